"""
The time that deadlines live on: monotonic, whatever happens to the wall clock, and not stopped by a suspension.

A reactor of Twisted keeps its timers on the wall clock: a step of it fires them all at once, or none for as
long as the step was. L{useMonotonic} makes one keep them on CLOCK_BOOTTIME. CLOCK_MONOTONIC stands still while
the machine is suspended: who was confirmed before would believe afterwards that it was just now.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any


class ClockError(RuntimeError):
    """The reactor cannot change its clock any more."""


def boottime() -> float:
    """Seconds of CLOCK_BOOTTIME."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def useMonotonic(reactor: Any, seconds: Callable[[], float] = boottime) -> None:
    """
    Put a reactor's timers on a monotonic clock; doing it again does nothing.

    To be called before anything is scheduled: timers that exist were counted on the other clock.

    @param seconds: which one; C{time.monotonic} is enough for who holds nothing.
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
    # The same without a frame of its own: the time is asked for twenty times in an interval.
    direct = partial(time.clock_gettime, time.CLOCK_BOOTTIME)
    reactor.seconds = direct if seconds is boottime else seconds


def isMonotonic(reactor: Any) -> bool:
    """Whether its timers are on a monotonic clock."""
    seconds = reactor.seconds
    if isinstance(seconds, partial):
        return seconds.args == (time.CLOCK_BOOTTIME,)
    return seconds in (boottime, time.monotonic)
