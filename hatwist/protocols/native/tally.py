"""What all groups of a node together come to, kept up to date by whoever changes one of them."""

from __future__ import annotations

from hatwist.core.standing import Standing
from hatwist.core.states import State


class Tally:
    """
    @ivar claims: groups that this node has claimed, or asks votes for.
    @ivar starting: groups for which it listens first.
    @ivar unclean: groups of which an earlier start may have left something.
    @ivar running: groups that are not over.
    @ivar going: groups that are no longer configured, and of which others still hear.
    """

    def __init__(self) -> None:
        self.claims: set[str] = set()
        self.starting: set[str] = set()
        self.unclean: set[str] = set()
        self.running: set[str] = set()
        self.going: set[str] = set()
        self._noted: dict[str, tuple[bool, State, bool]] = {}

    def note(self, group: str, standing: Standing) -> None:
        """A group may have changed."""
        now = (standing.claim is not None, standing.state, standing.clean)
        if self._noted.get(group) == now:
            return
        self._noted[group] = now
        _mark(self.claims, group, standing.claim is not None)
        _mark(self.starting, group, standing.state is State.STARTING)
        _mark(self.unclean, group, standing.state is State.STARTING and not standing.clean)
        _mark(self.running, group, standing.state is not State.SHUTDOWN)

    def forget(self, group: str) -> None:
        """It is no group of this node any more."""
        self._noted.pop(group, None)
        self.claims.discard(group)
        self.starting.discard(group)
        self.unclean.discard(group)
        self.running.discard(group)
        self.going.discard(group)


def _mark(groups: set[str], group: str, belongs: bool) -> None:
    if belongs:
        groups.add(group)
    else:
        groups.discard(group)
