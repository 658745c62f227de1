"""
Whether a node keeps up: one that is late again and again is overloaded, and does without what can wait.

One beat that is late is a pause, as every virtual machine has them. What counts is how many of the last beats were.
"""

from __future__ import annotations

from typing import NamedTuple

LATE = 0.5
"""Intervals by which a beat, a deadline or a whole turn of decisions may be late, or take."""
BEATS, BEGINS = 8, 3
"""It begins when so many of so many beats were late, and ends when none of so many was: after two tolerances."""


class Burden(NamedTuple):
    """
    One time of overload.

    @ivar since: when it began; C{beats}: how many there were since, and C{late} how many of them late.
    @ivar worst: by how many seconds, at most.
    """

    since: float
    beats: int
    late: int
    worst: float


class Overload:
    """
    @param interval: seconds between two beats.
    @ivar burden: the present one; C{None}: it keeps up.
    @ivar times: how often one has begun.
    @ivar seconds: how long those took that are over.
    """

    __slots__ = ("_by", "_interval", "_recent", "burden", "seconds", "times")

    def __init__(self, interval: float) -> None:
        self.burden: Burden | None = None
        self.times = 0
        self.seconds = 0.0
        self._interval = interval
        self._recent: list[float] = []  # by how much each of the last beats was late; 0: it was not
        self._by = 0.0

    @property
    def limit(self) -> float:
        """Seconds by which something may be late."""
        return LATE * self._interval

    def late(self, by: float) -> None:
        """Something was late, or took so many seconds: it counts with the next beat."""
        if by > self._by:
            self._by = by

    def beat(self, now: float, by: float) -> str:
        """
        A beat came, so many seconds late.

        @return: what is to be told, a clause: it begins, or has ended; C{""}: all is as before.
        """
        by, self._by = max(by, self._by), 0.0
        late = by > self.limit
        if not late and not any(self._recent):
            return ""
        self._recent = [*self._recent, by if late else 0.0][-BEATS:]
        count, worst = sum(map(bool, self._recent)), max(self._recent)
        burden = self.burden
        if burden is None:
            if count < BEGINS:
                return ""
            self.times += 1
            self.burden = Burden(now, len(self._recent), count, worst)
            return (
                f"{count} of the last {len(self._recent)} beats were late, by up to {worst:.3f} s"
            )
        self.burden = burden = Burden(
            burden.since, burden.beats + 1, burden.late + late, max(burden.worst, by)
        )
        if count:
            return ""
        self.burden = None
        self.seconds += now - burden.since
        return (
            f"it took {now - burden.since:.1f} s, in which {burden.late} of {burden.beats} beats were late, "
            f"by up to {burden.worst:.3f} s"
        )
