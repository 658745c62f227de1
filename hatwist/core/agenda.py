"""
Which groups are to be decided: those that something concerns, and those whose own time has come.

A decision asks whether a time has come, see L{hatwist.core.turn.Turn}. A time that is renewed all the while, such as
when a node was last heard, is a L{Pulse}: it remembers who asked how old it is, so that nobody need be asked again
before the answer changes.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Container, Iterable
from heapq import heapify, heappop, heappush
from math import inf


class Pulse:
    """
    When something last happened that happens again and again.

    @ivar at: the time; C{-inf}: never.
    """

    __slots__ = ("_agenda", "_passed", "_waiting", "at")

    def __init__(self, agenda: Agenda, at: float = -inf) -> None:
        self.at = at
        self._agenda = agenda
        self._waiting: dict[float, set[str]] = {}
        self._passed: dict[float, set[str]] = {}

    def older(self, age: float, now: float, asker: str = "") -> bool:
        """
        Is it so long ago?

        @param asker: the group that is to be decided once the answer is another; C{""}: none.
        """
        passed = now >= self.at + age
        if asker:
            if passed:
                self._passed.setdefault(age, set()).add(asker)
            else:
                self._waiting.setdefault(age, set()).add(asker)
                self._agenda.waiting.add(self)
        return passed

    def forget(self) -> None:
        """It has not happened, as far as that counts from now on."""
        self.at = -inf

    def renew(self, at: float, now: float) -> None:
        """It has happened again."""
        self.at = at
        if not self._passed:
            return
        for age in [age for age in self._passed if now < at + age]:
            self._agenda.touch(self._passed.pop(age))

    def end(self) -> None:
        """Nobody asks any more."""
        self._passed.clear()
        self._waiting.clear()
        self._agenda.waiting.discard(self)

    @property
    def due(self) -> float:
        """When it will be too old for somebody; L{inf}: nobody has asked."""
        return self.at + min(self._waiting) if self._waiting else inf

    def look(self, now: float) -> None:
        """Touch those for whom it is too old now."""
        for age in [age for age in self._waiting if now >= self.at + age]:
            self._agenda.touch(self._waiting.pop(age))


class Agenda:
    """
    @param before: is told of a group before what is known of the others changes in it.
    @ivar touched: the groups that something concerns.
    @ivar left: the last call of L{due} did not give all of them.
    @ivar waiting: the moments that will be too old for somebody.
    """

    def __init__(self, before: Callable[[str], None] = lambda group: None) -> None:
        self.touched: set[str] = set()
        self.left = False
        self.waiting: set[Pulse] = set()
        self._before = before
        self._attentive: set[str] = set()
        self._wakes: dict[str, float] = {}
        self._heap: list[tuple[float, str]] = []
        self._last = ""  # of those that were given last

    # Which groups there are

    def add(self, group: str) -> None:
        """It is decided from now on."""
        self._wakes.setdefault(group, inf)
        self.touched.add(group)

    def drop(self, group: str) -> None:
        """There is nothing left to decide."""
        self._wakes.pop(group, None)
        self.touched.discard(group)
        self._attentive.discard(group)

    # What concerns them

    def touch(self, groups: Iterable[str]) -> None:
        """Something concerns these; others than those added are passed over."""
        self.touched.update([group for group in groups if group in self._wakes])

    def change(self, groups: Iterable[str]) -> None:
        """What is known of the others is about to change in these."""
        for group in groups:
            if group in self._wakes:
                self._before(group)
                self.touched.add(group)

    def touchAll(self) -> None:
        """Something concerns every group."""
        self.touched.update(self._wakes)

    def changeAll(self) -> None:
        """What is known of the others is about to change in every group."""
        self.change(self._wakes)

    def packet(self) -> None:
        """A packet has come: this concerns who asked to be decided with each."""
        if self._attentive:
            attentive, self._attentive = self._attentive, set()
            self.touch(attentive)

    def pulse(self, at: float = -inf) -> Pulse:
        """A time that will be renewed."""
        return Pulse(self, at)

    # Decisions

    def due(self, now: float, most: int | None = None, first: Container[str] = ()) -> list[str]:
        """
        The groups that are to be decided now, in the order of their names.

        @param most: so many at once; it goes on with the next ones at the next call. C{None}: all.
        @param first: those that cannot wait for that.
        """
        for pulse in [pulse for pulse in self.waiting if now >= pulse.due]:
            pulse.look(now)
            if pulse.due == inf:
                self.waiting.discard(pulse)
        heap = self._heap
        while heap and heap[0][0] <= now:
            time, group = heappop(heap)
            if self._wakes.get(group) == time:
                self._wakes[group] = inf
                self.touch((group,))
        found = sorted(self.touched)
        if most is not None and len(found) > most:
            begins = bisect_right(found, self._last)
            turn = found[begins:] + found[:begins]
            turn.sort(key=lambda group: group not in first)
            found = turn[:most]
            self._last = found[-1]
            found.sort()
        self.touched.difference_update(found)
        self.left = bool(self.touched)
        return found

    def decided(self, group: str, wake: float, attentive: bool) -> None:
        """
        A group was decided.

        @param wake: when it is to be decided again at the latest.
        @param attentive: it is to be decided with the next packet, whatever that says.
        """
        if attentive:
            self._attentive.add(group)
        else:
            self._attentive.discard(group)
        if self._wakes[group] == wake:
            return
        self._wakes[group] = wake
        if wake < inf:
            heappush(self._heap, (wake, group))
            if len(self._heap) > 4 * len(self._wakes) + 16:
                self._heap = [(time, name) for name, time in self._wakes.items() if time < inf]
                heapify(self._heap)

    @property
    def deadline(self) -> float:
        """When a group is due that nothing touches meanwhile; L{inf}: none will be."""
        heap = self._heap
        while heap and self._wakes.get(heap[0][1]) != heap[0][0]:
            heappop(heap)
        times = [pulse.due for pulse in self.waiting]
        return min([*times, heap[0][0]] if heap else times, default=inf)
