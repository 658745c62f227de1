"""
The vote of one node in one group, and the counting of the others' votes.

A vote is a promise to one claim: for a tolerance after its last packet was heard, no other claim gets it.
A claim that a majority has promised itself to therefore stands alone, for C{hold} after it sent the last
packet that the majority's votes name. What a node knows by hearsay is never a vote.
"""

from __future__ import annotations

from math import inf

from hatwist.core.causes import Cause
from hatwist.core.claims import Grant, Record, Role
from hatwist.core.electorate import Quorum
from hatwist.core.obstacles import Obstacle
from hatwist.core.standing import Decision, Standing
from hatwist.core.states import Input, State
from hatwist.core.terms import Terms
from hatwist.core.turn import Turn
from hatwist.protocols.native.candidate import Candidate
from hatwist.protocols.native.heartbeat import GroupState
from hatwist.protocols.native.membership import Membership
from hatwist.protocols.native.others import Others
from hatwist.protocols.native.peer import Peer


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

    def decide(self, view: Membership, busy: bool, reserved: int, turn: Turn) -> bool:
        """
        Renew, withdraw or give the vote.

        @param busy: this node holds, lets go, or asks for itself: it has no vote to give.
        @param reserved: the highest term that is safe on disk.
        @return: the vote is another claim's now, or free: others are waiting to be told.
        """
        before = self.grant and self.grant[:3]
        if self.grant is not None:
            self._renew(view, turn)
        if self.grant is None and not busy and turn.passed(self.silentUntil):
            self._give(view, reserved, turn)
        return (self.grant and self.grant[:3]) != before

    def _renew(self, view: Membership, turn: Turn) -> None:
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
        if turn.passed(self.until):
            self.grant = None

    def _end(self, peer: Peer) -> float:
        return peer.directAt + max(peer.tolerance, self._tolerance)

    def _claims(self, peer: Peer) -> int:
        """The term that its own newest packet claims or asks for; 0: none."""
        said = peer.announced(self.group)
        return said.claim.term if said is not None and said.claim is not None else 0

    def _give(self, view: Membership, reserved: int, turn: Turn) -> None:
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
                or not peer.twoWay(turn.now)
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
            turn.passed(self.until)

    def _mayHave(self, peer: Peer, said: GroupState, reserved: int) -> bool:
        assert said.claim is not None
        term = said.claim.term
        # Who holds already has a majority: one vote more takes none from anybody, and a voter that was not
        # there at the claim can confirm it.
        if (self.promised < term or said.role is Role.ACTIVE) and term <= reserved:
            return True
        # The same claim once more promises nothing new.
        return self.last is not None and self.last[:3] == (peer.name, peer.session, term)


class Majority:
    """
    The arbiter of a cluster that votes: a claim stands for as long as a majority has promised itself to it.

    @ivar confirmedAt: when the newest packet of the claim left for which it has enough votes.
    @ivar voteAgainAfter: when votes may be asked for again, after they were not given.
    """

    exclusive = True
    first = Input.ASK

    def __init__(
        self,
        me: Candidate,
        standing: Standing,
        terms: Terms,
        quorum: Quorum,
        record: Record,
        now: float,
    ) -> None:
        self._me = me
        self._standing = standing
        self._terms = terms
        self.quorum = quorum
        tolerance = me.timing.tolerance
        self.voter = Voter(me.rules.name, quorum, record, tolerance, now + tolerance)
        self.confirmedAt = self.voteAgainAfter = -inf

    @property
    def grant(self) -> Grant | None:
        return self.voter.grant

    @property
    def vote(self) -> Grant | None:
        return self.voter.last

    @property
    def storable(self) -> bool:
        return self._terms.highest < self._terms.reserved

    def look(self, others: Others, sent: dict[int, float], turn: Turn) -> bool:
        standing, voter = self._standing, self.voter
        if standing.claim is not None:
            claim = (self._me.name, self._me.session, standing.claim.term)
            group, view = self._me.rules.name, others.view
            time = confirmed(view, group, self.quorum, claim, sent, turn.now)
            self.confirmedAt = max(self.confirmedAt, time)
        busy = standing.claim is not None or not standing.clean or standing.state is State.SHUTDOWN
        if not voter.decide(others.view, busy, self._terms.reserved, turn):
            return False
        turn.hurry()
        return voter.grant is not None

    def reach(self, others: Others, since: int) -> Obstacle | None:
        present = len(others.present(self.quorum.members, since)) + 1
        return None if present >= self.quorum.needed else Obstacle.VOTES

    @property
    def askAt(self) -> float:
        return max(self.voteAgainAfter, self.voter.silentUntil)

    def waits(self, turn: Turn) -> Obstacle | None:
        if self.voter.grant is not None:
            return Obstacle.VOTE_GIVEN
        return None if turn.passed(self.askAt) else Obstacle.ASK_LATER

    def named(self, term: int) -> None:
        self.voter.promised = term
        self.confirmedAt = -inf

    def defeated(self, until: float) -> None:
        self.voteAgainAfter = until

    def granted(self, now: float) -> bool:
        return self.confirmedAt + self._me.hold > now

    def confirmed(self, now: float) -> float:
        return self.confirmedAt

    def lapsed(self, others: Others, sent: dict[int, float], turn: Turn) -> Decision | None:
        """
        Once the votes are too old, others may have them: the claim is over.

        A little earlier than the guard believes so: that is for a daemon that cannot decide any more. This node
        may claim again once a majority has heard of it since.
        """
        since = self.confirmed(turn.now)
        if not turn.passed(since + self._me.hold - self._me.timing.lateness):
            return None
        age = turn.now - since
        why = f"no majority has confirmed its heartbeats for {age:.3f} s"
        return Decision(Input.YIELD, why, Cause.VOTES)


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
