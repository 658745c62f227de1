"""The time of a simulation, and what is to happen in it."""

from __future__ import annotations

import heapq
from collections.abc import Callable


class Timeline:
    """
    Things happen one after the other, each at its time, which passes only when told to.

    @ivar now: seconds of true time since the start.
    """

    def __init__(self) -> None:
        self.now = 0.0
        self._queue: list[tuple[float, int, Callable[[], None]]] = []
        self._number = 0

    def at(self, time: float, act: Callable[[], None]) -> None:
        """Do something at a time of the simulation, in seconds."""
        self._number += 1
        heapq.heappush(self._queue, (time, self._number, act))

    def run(self, seconds: float) -> None:
        """Let time pass."""
        until = self.now + seconds
        queue = self._queue
        while queue and queue[0][0] <= until:
            at, _, act = heapq.heappop(queue)
            self.now = max(self.now, at)
            act()
        self.now = until

    def runUntil(self, condition: Callable[[], bool], limit: float) -> None:
        """
        Let time pass until a condition holds, which is looked at after everything that happens.

        @raise AssertionError: it does not within C{limit} seconds.
        """
        until = self.now + limit
        while not condition():
            if not self._queue or self._queue[0][0] > until:
                raise AssertionError(f"not within {limit} s")
            at, _, act = heapq.heappop(self._queue)
            self.now = max(self.now, at)
            act()


class HostClock:
    """
    The clock of one host.

    @ivar rate: seconds that it counts in a true one.
    """

    def __init__(self, timeline: Timeline, rate: float, offset: float) -> None:
        self.rate = rate
        self._timeline = timeline
        self._offset = offset

    @property
    def now(self) -> float:
        """What it shows."""
        return self._offset + self._timeline.now * self.rate

    def when(self, shown: float) -> float:
        """The true time at which it shows this."""
        return (shown - self._offset) / self.rate
