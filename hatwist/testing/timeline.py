"""The time of a simulation, what is to happen in it, and what has happened."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from typing import Any, NamedTuple

from hatwist.testing.host import GROUP, Node


class Moment(NamedTuple):
    """One line of the transcript: seconds since the start, which node, what."""

    at: float
    node: str
    what: str


class Timeline:
    """
    Things happen one after the other, each at its time, which passes only when told to.

    @ivar now: seconds of true time since the start.
    @ivar nodes: the hosts, by name.
    @ivar transcript: role changes, events and faults, in order.
    @ivar changes: (time, node, holds now), each time a node became or ceased to be a holder of the first group. A
        node is a holder from the start of acquire to the end of release.
    """

    def __init__(self) -> None:
        self.now = 0.0
        self.nodes: dict[str, Node] = {}
        self.transcript: list[Moment] = []
        self.changes: list[tuple[float, str, bool]] = []
        self.watchers: list[Callable[[str, Node, Any], None]] = []
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

    # What has happened

    def holders(self, group: str = GROUP) -> list[str]:
        """Who holds a group now, sorted."""
        return sorted(
            name
            for name, node in self.nodes.items()
            if group in node.groups and node.groups[group].held
        )

    def said(self, what: str, since: float = 0.0) -> list[Moment]:
        """The lines of the transcript that contain C{what}."""
        return [moment for moment in self.transcript if what in moment.what and moment.at >= since]

    def darkness(self, since: float = 0.0) -> float:
        """The longest time without any holder, in seconds, from C{since} until now."""
        worst, count, dark = 0.0, 0, since
        for at, _, holds in self.changes:
            count += 1 if holds else -1
            if count == 0:
                dark = max(at, since)
            elif count == 1 and holds:
                worst = max(worst, at - dark)
        return max(worst, self.now - dark) if count == 0 else worst

    def overlap(self, since: float = 0.0) -> float:
        """The total time with two holders or more, in seconds."""
        total, count, before = 0.0, 0, 0.0
        for at, _, holds in [*self.changes, (self.now, "", True)]:
            if count > 1:
                total += max(0.0, at - max(before, since))
            count, before = count + (1 if holds else -1), at
        return total

    def _note(self, node: str, what: str) -> None:
        self.transcript.append(Moment(self.now, node, what))
        for watcher in self.watchers:
            watcher("note", self.nodes.get(node, _NOBODY), what)

    def _hold(self, node: Node, holds: bool, group: str = GROUP) -> None:
        part = node.groups[group]
        if part.held != holds:
            part.held = holds
            if group == GROUP:
                self.changes.append((self.now, node.name, holds))


_NOBODY: Any = None
