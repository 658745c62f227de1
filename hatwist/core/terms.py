"""The terms of one group: which one a new claim gets, and how none is given twice, also over a restart."""

from __future__ import annotations

from math import inf

from hatwist.core.claims import Record

MARGIN = 64
"""Terms that are set aside on disk at a time, so that no claim waits for a disk."""


class Terms:
    """
    @param reserved: what an earlier start set aside.
    @ivar highest: the highest term that is known, since C{highestAt}.
    @ivar reserved: no term up to this one is given to a new claim after a restart: that is safe on disk.
    @ivar reserving: the same, but the disk may still be at it.
    """

    def __init__(self, reserved: int) -> None:
        self.highest, self.highestAt = reserved, -inf
        self.reserved = reserved
        self.reserving = 0

    def learn(self, term: int, at: float) -> None:
        """Somebody has told of this term, first at C{at}."""
        if term > self.highest:
            self.highest, self.highestAt = term, at

    def next(self, now: float) -> int:
        """Name a term for a new claim: one above the highest ever seen."""
        self.highest, self.highestAt = self.highest + 1, now
        return self.highest

    @property
    def scarce(self) -> bool:
        """Few are left of what was set aside."""
        return self.highest + MARGIN // 4 > self.reserving

    def reserve(self) -> int:
        """Set more of them aside; returns what is to be written to disk."""
        self.reserving = self.highest + MARGIN
        return self.reserving

    def persisted(self, record: Record) -> None:
        """This is on disk now."""
        self.reserved = max(self.reserved, record.reserved)
