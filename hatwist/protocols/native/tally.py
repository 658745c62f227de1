"""What all groups of a node together come to, kept up to date by whoever changes one of them."""

from __future__ import annotations

from hatwist.core.claims import Role
from hatwist.core.standing import Standing
from hatwist.core.states import State


class Tally:
    """
    @ivar claims: the terms of this node's claims by group; votes may be still asked for.
    @ivar holds: the same for those by which something is held.
    @ivar unclean: groups of which an earlier start may have left something.
    @ivar running: groups that are not over.
    @ivar going: groups that are no longer configured, and of which others still hear.
    """

    def __init__(self) -> None:
        self.claims: dict[str, int] = {}
        self.holds: dict[str, int] = {}
        self.unclean: set[str] = set()
        self.running: set[str] = set()
        self.going: set[str] = set()

    def note(self, group: str, standing: Standing) -> None:
        """A group may have changed."""
        claim = standing.claim
        for terms, counts in ((self.claims, True), (self.holds, standing.role is Role.ACTIVE)):
            if claim is not None and counts:
                terms[group] = claim.term
            else:
                terms.pop(group, None)
        _mark(self.unclean, group, standing.state is State.STARTING and not standing.clean)
        _mark(self.running, group, standing.state is not State.SHUTDOWN)

    def forget(self, group: str) -> None:
        """It is no group of this node any more."""
        self.claims.pop(group, None)
        self.holds.pop(group, None)
        self.unclean.discard(group)
        self.running.discard(group)
        self.going.discard(group)


def _mark(groups: set[str], group: str, belongs: bool) -> None:
    if belongs:
        groups.add(group)
    else:
        groups.discard(group)
