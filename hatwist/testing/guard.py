"""The guard of one simulated host."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from hatwist.testing.timeline import HostClock, Timeline


class SimulatedGuard:
    """
    Fires when a deadline of any group passes. Firing concerns all groups that are armed, and ends that.

    @param there: there is a guard; else nothing is ever armed.
    @param onFired: called with what was armed.
    @ivar able: when it fires it releases everything; else it cannot release what only a daemon can.
    @ivar seconds: how long it takes to let go.
    """

    def __init__(
        self,
        timeline: Timeline,
        clock: HostClock,
        there: bool,
        able: bool,
        onFired: Callable[[list[str]], None],
    ) -> None:
        self.able = able
        self.seconds = 0.001
        self._timeline = timeline
        self._clock = clock
        self._there = there
        self._onFired = onFired
        self._until: dict[str, float] = {}
        self._armed: Counter[str] = Counter()  # how often each was

    @property
    def armed(self) -> list[str]:
        """The groups that it guards, in the order in which they were armed first."""
        return list(self._until)

    def arm(self, group: str, until: float) -> None:
        """Guard a group: it may be held until then, on the host's clock."""
        if self._there:
            self._armed[group] += 1
            self._until[group] = until
            self._watch(group)

    def pet(self, group: str, until: float) -> None:
        """It may be held until then, if it is armed."""
        if group in self._until:
            self._until[group] = max(self._until[group], until)

    def disarm(self, group: str) -> None:
        """Nothing of a group is held."""
        self._until.pop(group, None)

    def fire(self) -> None:
        """Let go of everything that is armed, if anything is."""
        fired = self.armed
        if fired:
            self._until.clear()
            self._onFired(fired)

    def _watch(self, group: str) -> None:
        number = self._armed[group]
        at = self._clock.when(self._until[group]) + 1e-6
        self._timeline.at(max(at, self._timeline.now), lambda: self._look(group, number))

    def _look(self, group: str, number: int) -> None:
        if group not in self._until or self._armed[group] != number:
            return
        if self._clock.now >= self._until[group]:
            self.fire()
        else:
            self._watch(group)
