"""What has happened in a simulation, and how well its groups were held."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from hatwist.testing.occupancy import Occupancy
from hatwist.testing.timeline import Timeline


class Moment(NamedTuple):
    """One line of the transcript: seconds since the start, which node, what."""

    at: float
    node: str
    what: str


class Transcript:
    """
    @param hosts: by name.
    @param first: the group that is meant where none is named.
    @ivar moments: role changes, events and faults, in order.
    @ivar groups: who held each group, by its name.
    @ivar watchers: each is called with what happens as it happens: C{("note", host, what)} for each moment,
        C{("hold", host, effect)} when a host begins to acquire a group, C{("holds", host, (group, it does))} when it
        became or ceased to be a holder, C{("heard", host, L{Arrival<hatwist.testing.lan.Arrival>})} when it has taken
        in a packet, and C{("reload", host, groups that go)} when it goes by another configuration.
    """

    def __init__(self, timeline: Timeline, hosts: Mapping[str, Any], first: str) -> None:
        self.moments: list[Moment] = []
        self.groups: defaultdict[str, Occupancy] = defaultdict(Occupancy)
        self.watchers: list[Callable[[str, Any, Any], None]] = []
        self._hosts = hosts
        self._timeline = timeline
        self._first = first

    @property
    def changes(self) -> list[tuple[float, str, bool]]:
        """Of the first group, see L{Occupancy.changes}."""
        return self.groups[self._first].changes

    def note(self, node: str, what: str, group: str = "") -> None:
        """Add a line, which names the group unless that is the first one."""
        if group not in ("", self._first):
            what = f"{group}: {what}"
        self.moments.append(Moment(self._timeline.now, node, what))
        self.tell("note", self._hosts.get(node), what)

    def tell(self, kind: str, host: Any, what: Any) -> None:
        """Let those who watch know."""
        for watcher in self.watchers:
            watcher(kind, host, what)

    def holds(self, node: str, group: str, holds: bool) -> None:
        """A node became or ceased to be a holder of a group."""
        self.groups[group].note(self._timeline.now, node, holds)
        self.tell("holds", self._hosts.get(node), (group, holds))

    def said(self, what: str, since: float = 0.0) -> list[Moment]:
        """The lines that contain C{what}."""
        return [moment for moment in self.moments if what in moment.what and moment.at >= since]

    def darkness(self, since: float = 0.0, group: str = "") -> float:
        """See L{Occupancy.darkness}, until now."""
        return self.groups[group or self._first].darkness(since, self._timeline.now)

    def overlap(self, since: float = 0.0, group: str = "") -> float:
        """See L{Occupancy.overlap}, until now."""
        return self.groups[group or self._first].overlap(since, self._timeline.now)
