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
from hatwist.protocols.native.confirmations import Confirmations, Votes
from hatwist.protocols.native.datagram import GroupState
from hatwist.protocols.native.membership import Membership
from hatwist.protocols.native.others import Others
from hatwist.protocols.native.peer import Peer


class Voter:
    """
    The one vote of this node.

    @param silentUntil: no vote is given before: an earlier start may have promised it.
    @ivar grant: the claim that has it now.
    @ivar until: until when that was promised at least; goes on with each packet of the claimer.
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
        self._claimer: Peer | None = None
        self._address = self._version = -1  # of the claimer, and of its record that was voted for
        self.until = -inf
        self._tolerance = tolerance

    def settle(self) -> None:
        """What is known is about to change: the promise has gone on until now."""
        grant, peer = self.grant, self._claimer
        if grant is not None and peer is not None and peer.session == grant.session:
            self.until = max(self.until, peer.directAt + self._term(peer))

    def decide(self, others: Others, busy: bool, reserved: int, turn: Turn) -> bool:
        """
        Renew, withdraw or give the vote.

        @param busy: this node holds, lets go, or asks for itself: it has no vote to give.
        @param reserved: the highest term that is safe on disk.
        @return: the vote is another claim's now, or free: others are waiting to be told.
        """
        before = self.grant
        if self.grant is not None:
            self._keep(others.view, turn)
        if self.grant is None and not busy and turn.passed(self.silentUntil):
            self._give(others, reserved, turn)
        return self.grant != before

    def _keep(self, view: Membership, turn: Turn) -> None:
        self.settle()
        grant = self.grant
        assert grant is not None
        peer = view.peers.get(grant.name)
        if peer is not None:
            # A later start of that node says that this one has ended; one of another node of its name does not.
            later = peer.session > grant.session
            same = peer.header is not None and peer.header.address == self._address
            if (later and same) or (peer.session == grant.session and self._over(peer, grant.term)):
                self.grant = None  # it says itself that nothing is held by this claim
                return
            if peer.session == grant.session and not turn.older(peer.lastPacket, self._term(peer)):
                return
        if turn.passed(self.until):
            self.grant = None

    def _term(self, peer: Peer) -> float:
        """For how long after its last packet a claimer has the vote, in seconds."""
        return max(peer.tolerance, self._tolerance)

    def _over(self, peer: Peer, term: int) -> bool:
        """It says itself, in a later record than the one voted for, or by its goodbye, that this claim is over."""
        record = peer.ledger.records.get(self.group)
        if peer.left() or record is None:
            return peer.left()
        claim = record.state.claim if record.state is not None else None
        return record.version > self._version and (claim is None or claim.term != term)

    def _give(self, others: Others, reserved: int, turn: Turn) -> None:
        best: tuple[bool, object] | None = None
        chosen = None
        for peer in others:
            said = others.said(peer)
            if (
                said is None
                or said.claim is None
                or said.lettingGo
                or peer.name not in self.quorum.members
                or not others.twoWay(peer)
                or not self._mayHave(peer, said, reserved)
            ):
                continue
            if peer.ledger.provenBy(self.group) < 0:
                peer.awaitedBy(self.group)  # others told of it: its own word will come
                continue
            rank = (said.role == Role.ACTIVE, said.claim.worth)
            if best is None or rank > best:
                best, chosen = rank, peer
        if chosen is not None:
            record, header, said = (
                chosen.ledger.records.get(self.group),
                chosen.header,
                others.said(chosen),
            )
            assert header is not None
            assert record is not None
            assert said is not None
            assert said.claim is not None
            term = said.claim.term
            self.promised = max(self.promised, term)
            self.grant = self.last = Grant(chosen.name, chosen.session, term)
            self._claimer, self._version = chosen, record.version
            self._address = header.address
            self.until = chosen.directAt + self._term(chosen)
            turn.older(chosen.lastPacket, self._term(chosen))

    def _mayHave(self, peer: Peer, said: GroupState, reserved: int) -> bool:
        assert said.claim is not None
        term = said.claim.term
        # Who holds already has a majority: one vote more takes none from anybody, and a voter that was not
        # there at the claim can confirm it.
        if (self.promised < term or said.role is Role.ACTIVE) and term <= reserved:
            return True
        # The same claim once more promises nothing new.
        return self.last == (peer.name, peer.session, term)


class Majority:
    """
    The arbiter of a cluster that votes: a claim stands for as long as a majority has promised itself to it.

    @ivar confirmedAt: when the newest packet of the claim left for which it has enough votes; as long as these are the
        same it goes on with what the voters say that they receive, see L{confirmed}.
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
        self._going: Going | None = None
        self._goes = False

    @property
    def grant(self) -> Grant | None:
        return self.voter.grant

    @property
    def vote(self) -> Grant | None:
        return self.voter.last

    @property
    def storable(self) -> bool:
        return self._terms.highest < self._terms.reserved

    def look(self, others: Others, turn: Turn) -> bool:
        standing, voter = self._standing, self.voter
        self.settle()
        if standing.claim is not None:
            claim = Grant(self._me.name, self._me.session, standing.claim.term)
            votes = (
                voters(others, self._me.rules.name, self.quorum, claim),
                self.quorum.needed - 1,
            )
            if self._going is None or self._going.votes != votes:
                self._goBy(Going(others.view.confirmations, self._me.rules.name, votes))
            self._goes = True
        else:
            self._goBy(None)
        busy = standing.claim is not None or not standing.clean or standing.state is State.SHUTDOWN
        if not voter.decide(others, busy, self._terms.reserved, turn):
            return False
        turn.hurry()
        return voter.grant is not None

    def settle(self) -> None:
        """A packet that tells of other votes confirms nothing by those that were there before."""
        self.voter.settle()
        self.confirmedAt, self._goes = self.confirmed(-inf), False

    def _goBy(self, going: Going | None) -> None:
        if self._going is not None:
            self._going.end()
        self._going, self._goes = going, False

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
        self._goBy(None)

    def defeated(self, until: float) -> None:
        self.voteAgainAfter = until

    def granted(self, now: float) -> bool:
        return self.confirmed(now) + self._me.hold > now

    def confirmed(self, now: float) -> float:
        if self.quorum.needed <= 1:
            return now
        if self._going is None or not self._goes:
            return self.confirmedAt
        return max(self.confirmedAt, self._going.at)

    def lapsed(self, others: Others, turn: Turn) -> Decision | None:
        """
        Once the votes are too old, others may have them: the claim is over.

        A little earlier than the guard believes so: that is for a daemon that cannot decide any more. This node
        may claim again once a majority has heard of it since.
        """
        if self.quorum.needed <= 1:
            return None
        since, hold = self.confirmed(turn.now), self._me.hold - self._me.timing.lateness
        if self._going is not None and self._going.at >= since:
            if self._going.lasts(hold, turn):
                return None
        elif not turn.passed(since + hold):
            return None
        age = turn.now - since
        why = f"no majority has confirmed its heartbeats for {age:.3f} s"
        return Decision(Input.YIELD, why, Cause.VOTES)


class Going:
    """The confirmation of one group for as long as the same nodes vote for it."""

    def __init__(self, confirmations: Confirmations, group: str, votes: Votes) -> None:
        self._confirmations = confirmations
        self._group = group
        self.votes = votes
        self._moment = confirmations.join(group, votes)

    @property
    def at(self) -> float:
        """When the newest packet left that enough of them have received; C{-inf}: none, or they are too few."""
        return self._moment.at

    def lasts(self, seconds: float, turn: Turn) -> bool:
        """That is no longer ago."""
        return not turn.older(self._moment, seconds)

    def end(self) -> None:
        """The group goes by other votes."""
        self._confirmations.leave(self._group, self.votes)


def voters(others: Others, group: str, quorum: Quorum, claim: Grant) -> frozenset[str]:
    """
    Who votes for a claim: it has said so itself, and has received the claimer without a gap of a tolerance since.

    Then its vote has not ended, whatever it has said of which nothing is known yet.
    """
    found = set()
    for peer in others:
        said = others.said(peer) if peer.name in quorum.members else None
        if said is None or said.grant != claim:
            continue
        if peer.ledger.provenBy(group) >= peer.lapsedSeq >= 0:
            found.add(peer.name)
        else:
            peer.awaitedBy(group)  # its next packet tells
    return frozenset(found)
