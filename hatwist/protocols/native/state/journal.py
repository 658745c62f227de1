"""What this node is in each of its groups, with a number for each change."""

from __future__ import annotations

from hatwist.protocols.native.heartbeat import GroupState
from hatwist.protocols.native.state.datagram import GroupRecord
from hatwist.protocols.native.state.layout import reasonBytes
from hatwist.protocols.native.state.records import Records

MAX_GROUPS = 0xFFFF


class Journal:
    """
    The records of one session of this node. A new session begins with a new one.

    @ivar version: of the newest change; 0: there was none, and this node has no groups.
    """

    def __init__(self) -> None:
        self.version = 0
        self.records = Records()

    def put(self, state: GroupState) -> bool:
        """
        This is so from now on. Is it a change?

        @raise ValueError: it is a group too many: those that went count until the next session.
        """
        told = toldOf(state)
        known = self.records.get(state.name)
        if known is not None and known.state == told:
            return False
        if known is None and len(self.records) >= MAX_GROUPS:
            raise ValueError(f"{MAX_GROUPS} groups have been here since the start: restart first")
        self._note(state.name, told)
        return True

    def remove(self, group: str) -> bool:
        """
        This node has a group no more. Is it a change?

        A record of that stays for the session: a group without any is one of which nothing was told yet.
        """
        known = self.records.get(group)
        if known is None or known.state is None:
            return False
        self._note(group, None)
        return True

    def _note(self, group: str, state: GroupState | None) -> None:
        self.version += 1
        self.records.put(GroupRecord(group, self.version, state))


def toldOf(state: GroupState) -> GroupState:
    """
    What a datagram tells of it, so that all who know of a record sum up the same.

    A reason is cut, and beside a claim nobody is told whether an earlier release was a move.
    """
    released = state.released
    if released is not None and released.moved and state.claim is not None:
        state = state._replace(released=released._replace(moved=False))
    if len(state.reason) > 63:
        state = state._replace(reason=reasonBytes(state.reason).decode())
    return state
