"""A histogram of plain numbers, cheap enough for what happens at every heartbeat."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from itertools import accumulate
from math import floor, inf
from typing import NamedTuple

BOUNDS = tuple(float(f"{m}e{e}") for e in range(-3, 2) for m in ("1", "2.5", "5"))
"""Seconds: 0.001, 0.0025, 0.005, and so on up to 50."""


class Distribution(NamedTuple):
    """
    How many values there were of which size, at one moment.

    @ivar cumulative: each bound with how many values do not exceed it; the last bound is infinite.
    @ivar total: the sum of all values.
    """

    cumulative: tuple[tuple[float, int], ...]
    total: float


class Histogram:
    """
    Counts values by size.

    @param bounds: ascending; a value counts in the first bucket whose bound it does not exceed, or in one more.
    @ivar counts: one number for each bound, and one for what exceeds them all.
    @ivar total: the sum of all values.
    """

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: tuple[float, ...] = BOUNDS) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def add(self, value: float) -> None:
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    def cumulative(self) -> Iterator[tuple[float, int]]:
        """Each bound with how many values do not exceed it; the last bound is infinite."""
        return zip((*self.bounds, inf), accumulate(self.counts), strict=True)

    def distribution(self) -> Distribution:
        """What was counted so far."""
        return Distribution(tuple(self.cumulative()), self.total)


class Lateness:
    """
    How late a beat comes that is due once in an interval.

    @ivar tally: by how many seconds.
    @ivar at, by: when one last came later than the limit, and by how many seconds.
    """

    __slots__ = ("_due", "_limit", "at", "by", "tally")

    def __init__(self) -> None:
        self.tally = Histogram()
        self.at, self.by = -inf, 0.0
        self._due = self._limit = 0.0

    def start(self, now: float, limit: float) -> None:
        """The first one is due now."""
        self._due, self._limit = now, limit

    def beat(self, now: float, interval: float) -> float:
        """One came, so many seconds late; those between, if it is that late, never will."""
        late = now - self._due
        self.tally.add(late)
        if late > self._limit:
            self.at, self.by = now, late
        self._due += interval * (1 + max(0, floor(late / interval)))
        return late
