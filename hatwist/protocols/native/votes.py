"""
The vote of one node in one group, and the counting of the others' votes.

A vote is a promise to one claim: for a tolerance after its last packet was heard, no other claim gets it.
A claim that a majority has promised itself to therefore stands alone, for C{hold} after it sent the last
packet that the majority's votes name. What a node knows by hearsay is never a vote.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf

from hatwist.core.claims import Grant, Record, Role
from hatwist.core.electorate import Quorum
from hatwist.protocols.native.heartbeat import GroupState
from hatwist.protocols.native.membership import Membership
from hatwist.protocols.native.peer import Peer

MARGIN = 64
"""Terms that are set aside on disk at a time, so that no claim waits for a disk."""


class Voter:
    """
    The one vote of this node.

    @param silentUntil: no vote is given before: an earlier start may have promised it.
    @ivar grant: the claim that has it now, with the newest packet of that claim that was heard.
    @ivar promised: the highest term voted or asked for.
    """

    def __init__(
        self, group: str, quorum: Quorum, record: Record, tolerance: float, silentUntil: float
    ) -> None:
        self.group = group
        self.quorum = quorum
        self.silentUntil = silentUntil
        self.promised = record.reserved
        self.last = record.vote
        self.grant: Grant | None = None
        self._address = -1  # of the claimer
        self.until = -inf
        self._tolerance = tolerance

    def decide(
        self,
        view: Membership,
        busy: bool,
        reserved: int,
        now: float,
        at: Callable[[float, float], bool],
    ) -> bool:
        """
        Renew, withdraw or give the vote.

        @param busy: this node holds, lets go, or asks for itself: it has no vote to give.
        @param reserved: the highest term that is safe on disk.
        @param at: notes a time at which to decide again, and tells whether it has come.
        @return: the vote is another claim's now, or free: others are waiting to be told.
        """
        before = self.grant and self.grant[:3]
        if self.grant is not None:
            self._renew(view, now, at)
        if self.grant is None and not busy and at(self.silentUntil, now):
            self._give(view, reserved, now, at)
        return (self.grant and self.grant[:3]) != before

    def _renew(self, view: Membership, now: float, at: Callable[[float, float], bool]) -> None:
        grant = self.grant
        assert grant is not None
        peer = view.peers.get(grant.name)
        if peer is not None:
            word = peer.word(self.group)
            claim = word.state.claim
            # A later start of that node says that this one has ended; one of another node of its name does not.
            later = peer.session > grant.session
            if (later and peer.beat is not None and peer.beat.address == self._address) or (
                peer.session == grant.session
                and word.seq > grant.seq
                and (claim is None or claim.term != grant.term)
            ):
                self.grant = None  # it says itself that nothing is held by this claim
                return
            if self._claims(peer) == grant.term and peer.session == grant.session:
                self.grant = grant._replace(seq=max(peer.directSeq, grant.seq))
                self.until = max(self.until, self._end(peer))
        if at(self.until, now):
            self.grant = None

    def _end(self, peer: Peer) -> float:
        return peer.directAt + max(peer.tolerance, self._tolerance)

    def _claims(self, peer: Peer) -> int:
        """The term that its own newest packet claims or asks for; 0: none."""
        said = peer.announced(self.group)
        return said.claim.term if said is not None and said.claim is not None else 0

    def _give(
        self, view: Membership, reserved: int, now: float, at: Callable[[float, float], bool]
    ) -> None:
        best: tuple[bool, object] | None = None
        chosen = None
        for peer in view:
            said = peer.announced(self.group)
            if (
                said is None
                or said.claim is None
                or said.lettingGo
                or peer.name not in self.quorum.members
                or peer.state(self.group).claim != said.claim
                or not peer.twoWay(now)
                or not self._mayHave(peer, said, reserved)
            ):
                continue
            rank = (said.role == Role.ACTIVE, said.claim.worth)
            if best is None or rank > best:
                best, chosen = rank, peer
        if chosen is not None:
            term = self._claims(chosen)
            self.promised = max(self.promised, term)
            self.grant = Grant(chosen.name, chosen.session, term, chosen.directSeq)
            self.last = self.grant
            assert chosen.beat is not None
            self._address = chosen.beat.address
            self.until = self._end(chosen)
            at(self.until, now)

    def _mayHave(self, peer: Peer, said: GroupState, reserved: int) -> bool:
        assert said.claim is not None
        term = said.claim.term
        # Who holds already has a majority: one vote more takes none from anybody, and a voter that was not
        # there at the claim can confirm it.
        if (self.promised < term or said.role is Role.ACTIVE) and term <= reserved:
            return True
        # The same claim once more promises nothing new.
        return self.last is not None and self.last[:3] == (peer.name, peer.session, term)


def confirmed(
    view: Membership,
    group: str,
    quorum: Quorum,
    claim: tuple[str, int, int],
    sent: dict[int, float],
    now: float,
) -> float:
    """
    When the newest packet of a claim left for which it has enough votes; C{-inf}: it never had.

    @param claim: the claimer's name and session, and the term.
    @param sent: when its recent packets left, by number.
    """
    times = []
    for peer in view:
        if peer.name not in quorum.members:
            continue
        said = peer.announced(group)
        if said is not None and said.grant is not None and said.grant[:3] == claim:
            times.append(sent.get(said.grant.seq, -inf))
    if quorum.needed <= 1:
        return now
    if len(times) < quorum.needed - 1:
        return -inf
    return sorted(times, reverse=True)[quorum.needed - 2]
