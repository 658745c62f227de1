"""What follows from the records of one node: in which groups it is ACTIVE, and since when its releases are known."""

from __future__ import annotations

from math import inf

from hatwist.core.claims import Role
from hatwist.protocols.native.datagram import GroupState


class Words:
    """
    @ivar leading: the groups in which it is ACTIVE.
    """

    def __init__(self) -> None:
        self.leading: set[str] = set()
        self._releases: dict[str, tuple[int, float]] = {}

    def restart(self) -> None:
        """A later start has said nothing yet. When releases were told goes on to count."""
        self.leading.clear()

    def releasedSince(self, group: str) -> float:
        """When its newest release of a group was first told here."""
        return self._releases.get(group, (0, -inf))[1]

    def put(self, group: str, state: GroupState | None, now: float) -> None:
        """This is what it is in a group from now on; C{None}: it does not have it, or nothing is known."""
        if state is not None and state.role is Role.ACTIVE:
            self.leading.add(group)
        else:
            self.leading.discard(group)
        released = state.released if state is not None else None
        if released is None:
            if state is None:
                self._releases.pop(group, None)
        elif self._releases.get(group, (0, 0.0))[0] != released.term:
            self._releases[group] = (released.term, now)
