"""What has happened in a simulation, and how well a group was held."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from hatwist.testing.timeline import Timeline


class Moment(NamedTuple):
    """One line of the transcript: seconds since the start, which node, what."""

    at: float
    node: str
    what: str


class Transcript:
    """
    @param hosts: by name.
    @ivar moments: role changes, events and faults, in order.
    @ivar changes: (time, node, holds now), each time a node became or ceased to be a holder of the first group. A
        node is a holder from the start of acquire to the end of release.
    @ivar watchers: each is called with what happens as it happens: C{("note", host, what)} for each moment,
        C{("hold", host, effect)} when a host begins to acquire the first group, and C{("heard", host, sender)} when
        it has taken in a packet.
    """

    def __init__(self, timeline: Timeline, hosts: Mapping[str, Any]) -> None:
        self.moments: list[Moment] = []
        self.changes: list[tuple[float, str, bool]] = []
        self.watchers: list[Callable[[str, Any, Any], None]] = []
        self._hosts = hosts
        self._timeline = timeline

    def note(self, node: str, what: str) -> None:
        """Add a line."""
        self.moments.append(Moment(self._timeline.now, node, what))
        self.tell("note", self._hosts.get(node), what)

    def tell(self, kind: str, host: Any, what: Any) -> None:
        """Let those who watch know."""
        for watcher in self.watchers:
            watcher(kind, host, what)

    def holds(self, node: str, holds: bool) -> None:
        """A node became or ceased to be a holder of the first group."""
        self.changes.append((self._timeline.now, node, holds))

    def said(self, what: str, since: float = 0.0) -> list[Moment]:
        """The lines that contain C{what}."""
        return [moment for moment in self.moments if what in moment.what and moment.at >= since]

    def darkness(self, since: float = 0.0) -> float:
        """The longest time without any holder, in seconds, from C{since} until now."""
        worst, count, dark = 0.0, 0, since
        for at, _, holds in self.changes:
            count += 1 if holds else -1
            if count == 0:
                dark = max(at, since)
            elif count == 1 and holds:
                worst = max(worst, at - dark)
        return max(worst, self._timeline.now - dark) if count == 0 else worst

    def overlap(self, since: float = 0.0) -> float:
        """The total time with two holders or more, in seconds."""
        total, count, before = 0.0, 0, 0.0
        for at, _, holds in [*self.changes, (self._timeline.now, "", True)]:
            if count > 1:
                total += max(0.0, at - max(before, since))
            count, before = count + (1 if holds else -1), at
        return total
