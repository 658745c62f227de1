"""
What one node says of each group, and from which of its packets that is.

Its own packets say everything that it has; who tells of it by hearsay may lack a group, so that what is known of that
one stays, and grows old.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import NamedTuple

from hatwist.core.claims import Role
from hatwist.protocols.native.heartbeat import GroupState, HeardGroup

_UNTOLD = HeardGroup("", Role.STANDBY)
"""What a node is taken for in a group of which it said nothing."""
NEVER = (-1, float("-inf"))


class Word(NamedTuple):
    """
    The newest word on one group of one node.

    @ivar seq: of the packet as of which it is known; -1: no word of this session.
    @ivar at: when it was true, in seconds of the local clock.
    """

    seq: int
    at: float
    state: HeardGroup


class Words:
    """
    @ivar said: its own newest word on each group.
    @ivar states: what it is in each group in which it is more than a plain standby, by the newest word.
    @ivar stale: for each group of this node of which newer packets told nothing: the number and time of the one that
        did last.
    @ivar leading: the groups in which it is ACTIVE.
    """

    def __init__(self) -> None:
        self.said: dict[str, GroupState] = {}
        self.states: dict[str, HeardGroup] = {}
        self.stale: dict[str, tuple[int, float]] = {}
        self.leading: set[str] = set()
        self._releases: dict[str, tuple[int, float]] = {}
        self._heartbeat: tuple[GroupState, ...] = ()
        self._overruled: set[str] = set()
        self._relayed: tuple[HeardGroup, ...] | None = None

    def restart(self, groups: Iterable[str]) -> None:
        """A later start has said nothing yet. When releases were told goes on to count."""
        self.said, self.states, self._heartbeat = {}, {}, ()
        self.stale = dict.fromkeys(groups, NEVER)
        self.leading.clear()
        self._overruled.clear()
        self._relayed = None

    def serve(
        self, groups: Collection[str], before: Collection[str], stale: tuple[int, float] | None
    ) -> None:
        """
        This node has these groups from now on.

        @param before: those that it had. Hearsay of others was passed over.
        @param stale: number and time of its own newest packet, if others have told of a later one.
        """
        for group in set(before).difference(groups):
            self.stale.pop(group, None)
        for group in set(groups).difference(before):
            self.put(group, heardOf(self.said.get(group)), self.releasedSince(group))
            if stale is not None:
                self.stale[group] = stale
        self._relayed = None

    def state(self, group: str) -> HeardGroup:
        return self.states.get(group, _UNTOLD)

    def releasedSince(self, group: str) -> float:
        """When its newest release of a group was first told here."""
        return self._releases.get(group, (0, float("-inf")))[1]

    # A whole heartbeat of its own: what a packet that tells of changes only would name by itself

    def changes(self, groups: tuple[GroupState, ...]) -> Collection[str]:
        """Of which groups its newest packet says anything else than what is known."""
        if groups == self._heartbeat and not self._overruled and not self.stale:
            return ()
        said = self.said
        found = {state.name for state in groups if said.get(state.name) != state}
        found.update(set(said).difference([state.name for state in groups]))
        return found | self._overruled | self.stale.keys()

    def announce(
        self, groups: tuple[GroupState, ...], changed: Collection[str], now: float
    ) -> None:
        """Take in its newest packet."""
        self._heartbeat = groups
        if not changed:
            return
        self.said = {state.name: state for state in groups}
        self._overruled.clear()
        self.stale.clear()
        for name in changed:
            self.put(name, heardOf(self.said.get(name)), now)
        if len(self._releases) > len(self.said):
            # Of a group that it no longer has.
            self._releases = {n: told for n, told in self._releases.items() if n in self.said}

    def late(
        self,
        groups: tuple[GroupState, ...],
        served: Iterable[str],
        seq: int,
        newest: int,
        now: float,
    ) -> None:
        """Take in a packet of its own that was overtaken by hearsay of a later one."""
        self._heartbeat = groups
        before = set(self.said)
        self.said = {state.name: state for state in groups}
        for name in before.union(self.said, served):
            if self.stale.get(name, (newest, now))[0] <= seq or name not in served:
                self.put(name, heardOf(self.said.get(name)), now)
                if name in served:
                    self.stale[name] = (seq, now)
            else:
                self._overruled.add(name)

    # Hearsay

    def differs(self, group: str, state: HeardGroup) -> bool:
        """That is not what is known of a group."""
        plain = state.role == Role.STANDBY and not state.released
        return group in self.states if plain else self.states.get(group) != state

    def overrule(self, group: str, state: HeardGroup, now: float) -> None:
        """Others have newer word on one group."""
        if self.differs(group, state):
            self._overruled.add(group)
        self.put(group, state, now)
        self.stale.pop(group, None)

    def put(self, name: str, state: HeardGroup, now: float) -> None:
        self._relayed = None
        if state.role == Role.STANDBY and not state.released:
            self.states.pop(name, None)
        else:
            self.states[name] = state
        if state.role == Role.ACTIVE:
            self.leading.add(name)
        else:
            self.leading.discard(name)
        released = state.released
        if released and self._releases.get(name, (0, 0.0))[0] != released.term:
            self._releases[name] = (released.term, now)

    def relayed(self) -> tuple[HeardGroup, ...]:
        """What others are told: the groups in which it is more than a plain standby by its newest packet."""
        if self._relayed is None:
            self._relayed = tuple([s for n, s in self.states.items() if n not in self.stale])
        return self._relayed


def heardOf(state: GroupState | None) -> HeardGroup:
    """What is passed on of a node's own word; C{None}: it has said nothing."""
    if state is None:
        return _UNTOLD
    return HeardGroup(state.name, state.role, state.claim, state.released, state.lettingGo)
