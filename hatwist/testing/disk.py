"""The disk of one simulated host."""

from __future__ import annotations

import random
from collections.abc import Callable

from hatwist.core.claims import Record
from hatwist.testing.timeline import Timeline

RETRY = 1.0
"""Seconds after which a refused write is tried again."""


class SimulatedDisk:
    """
    What is written is safe after a while.

    @ivar records: what is written, by group.
    @ivar refusing: it takes nothing.
    """

    def __init__(self, timeline: Timeline, chance: random.Random) -> None:
        self.records: dict[str, Record] = {}
        self.refusing = False
        self._timeline = timeline
        self._chance = chance

    def write(
        self, group: str, record: Record, done: Callable[[], None], alive: Callable[[], bool]
    ) -> None:
        """
        Write the record of a group.

        @param done: called once it is safe.
        @param alive: who writes lives; else nothing is written any more.
        """

        def written() -> None:
            if not alive():
                return
            if self.refusing:
                self._timeline.at(self._timeline.now + RETRY, written)
                return
            before = self.records.get(group)
            if before is not None and before.reserved > record.reserved:
                return
            self.records[group] = record
            done()

        self._timeline.at(self._timeline.now + self._chance.uniform(0.0005, 0.003), written)
