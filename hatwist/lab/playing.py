"""How a program of the lab runs: in a private world, with timers on the monotonic clock."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, NoReturn

from twisted.internet.defer import Deferred
from twisted.internet.task import react

from hatwist.lab import world
from hatwist.runtime.clock import Monotonic


def inWorld(argv: Sequence[str], main: Callable[[Any], Coroutine[Any, Any, None]]) -> NoReturn:
    """
    Run C{main} with a reactor, and end the process; outside of a private world, enter one first.

    @param argv: what to run again in there: a script or C{-m} and a module, with its arguments.
    """
    if not world.inside():
        again = [sys.executable, *argv]
        sys.exit(world.enter(again, again))

    def run(reactor: Any) -> Deferred[None]:
        return Deferred.fromCoroutine(main(Monotonic(reactor, time.CLOCK_MONOTONIC)))

    react(run)
