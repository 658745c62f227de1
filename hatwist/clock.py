"""
The time that deadlines live on: monotonic, whatever happens to the wall clock.

A reactor of Twisted keeps its timers on the wall clock: a step of it fires them all at once, or none for as
long as the step was. L{useMonotonic} makes one keep them on CLOCK_MONOTONIC.
"""

from __future__ import annotations

import time
from typing import Any


class ClockError(RuntimeError):
    """The reactor cannot change its clock any more."""


def useMonotonic(reactor: Any) -> None:
    """
    Put a reactor's timers on CLOCK_MONOTONIC; doing it again does nothing.

    To be called before anything is scheduled: timers that exist were counted on the other clock.

    @raise ClockError: there are such timers.
    """
    if isMonotonic(reactor):
        return
    calls = reactor.getDelayedCalls()
    if calls:
        raise ClockError(
            f"the reactor already has {len(calls)} timers on the wall clock; put it on the monotonic "
            f"clock before anything else is scheduled: {', '.join(str(call) for call in calls[:3])}"
        )
    reactor.seconds = time.monotonic


def isMonotonic(reactor: Any) -> bool:
    """Whether its timers are on CLOCK_MONOTONIC."""
    return reactor.seconds is time.monotonic
