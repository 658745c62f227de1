"""How long a machine kept programs waiting for a processor: what makes them late without a fault of theirs."""

from __future__ import annotations

import time
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable
from pathlib import Path

from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall

STEP = 0.05
"""Seconds between two looks."""


def runDelay(pid: int) -> float:
    """Seconds that a process was ready to run and did not (proc(5), schedstat); 0.0: it is gone."""
    try:
        return int(Path(f"/proc/{pid}/schedstat").read_text().split()[1]) / 1e9
    except (OSError, IndexError):
        return 0.0


class Waiting:
    """
    Adds up, from L{start} to L{stop}, the waits of those programs that run.

    @param pids: asked at each look.
    @param seconds: the judge's clock.
    """

    def __init__(
        self,
        reactor: IReactorTime,
        pids: Callable[[], Iterable[int]],
        delay: Callable[[int], float] = runDelay,
        seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        self._seconds = seconds
        self._pids = pids
        self._delay = delay
        self._known: dict[int, float] = {}
        self._times: list[float] = []
        self._totals: list[float] = []
        self._total = 0.0
        self._looking = LoopingCall(self.look)
        self._looking.clock = reactor

    def start(self) -> None:
        """Begin."""
        self._looking.start(STEP).addErrback(lambda _: None)

    def stop(self) -> None:
        """Look once more, and no longer."""
        if self._looking.running:
            self._looking.stop()
            self.look()

    def look(self) -> None:
        """Add what has come since the last look."""
        for pid in self._pids():
            now = self._delay(pid)
            # What a process waited before it is first looked at does not count.
            self._total += max(0.0, now - self._known.get(pid, now))
            self._known[pid] = now
        self._times.append(self._seconds())
        self._totals.append(self._total)

    def between(self, since: float, until: float) -> float:
        """The waits in that time, and in the steps in which it begins and ends."""
        if not self._times:
            return 0.0
        first = max(0, bisect_right(self._times, since) - 1)
        last = min(len(self._times) - 1, bisect_left(self._times, until))
        return max(0.0, self._totals[last] - self._totals[first])
