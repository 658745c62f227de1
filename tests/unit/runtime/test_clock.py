"""Timers on the monotonic clock."""

from __future__ import annotations

import time

from twisted.internet.selectreactor import SelectReactor
from twisted.trial.unittest import SynchronousTestCase

from hatwist.linux.guard import client as guarding
from hatwist.runtime.clock import ClockError, boottime, isMonotonic, useMonotonic


class FakeReactor:
    """Only what the clock looks at; the reactor that trial runs on must not be changed."""

    def __init__(self, calls: list[str]) -> None:
        self.calls = calls

    def seconds(self) -> float:
        return 0.0

    def getDelayedCalls(self) -> list[str]:
        return self.calls


class ClockTests(SynchronousTestCase):
    def test_used(self) -> None:
        """A reactor that is put on the monotonic clock schedules by it; doing it twice is harmless."""
        reactor = FakeReactor([])
        self.assertFalse(isMonotonic(reactor))
        useMonotonic(reactor)
        useMonotonic(reactor)
        self.assertTrue(isMonotonic(reactor))
        self.assertApproximates(reactor.seconds(), time.clock_gettime(time.CLOCK_BOOTTIME), 5)

    def test_suspended(self) -> None:
        """
        What was confirmed before a suspension is old afterwards, also for the guard's other clock, though
        CLOCK_MONOTONIC stood still meanwhile.
        """
        now = {time.CLOCK_MONOTONIC: 100.0, time.CLOCK_BOOTTIME: 200.0}
        self.patch(time, "clock_gettime", now.__getitem__)
        self.patch(time, "monotonic", lambda: now[time.CLOCK_MONOTONIC])
        reactor = FakeReactor([])
        useMonotonic(reactor)
        confirmed = reactor.seconds()
        guard = guarding.GuardClient(reactor)
        now[time.CLOCK_BOOTTIME] += 3.0
        now[time.CLOCK_MONOTONIC] += 0.5
        clocks = int(now[time.CLOCK_MONOTONIC] * 1e9), int(now[time.CLOCK_BOOTTIME] * 1e9)
        limits = guard._limits(clocks, confirmed + 3.4)
        self.assertEqual([round(limit / 1e9, 3) for limit in limits], [100.9, 203.4])

    def test_real(self) -> None:
        """The timers of a real reactor count from the monotonic clock afterwards."""
        reactor = SelectReactor()
        # Its own wakers are readers and no timers.
        useMonotonic(reactor)
        call = reactor.callLater(10, lambda: None)
        self.assertApproximates(call.getTime(), boottime() + 10, 5)
        call.cancel()

    def test_tooLate(self) -> None:
        """A reactor with timers is refused: they were counted on the other clock."""
        reactor = FakeReactor(["a timer"])
        error = self.assertRaises(ClockError, useMonotonic, reactor)
        self.assertIn("a timer", str(error))
        self.assertFalse(isMonotonic(reactor))
