"""What the other nodes are in one group, for one decision: who holds it, who could, who asks for votes."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from math import inf

from hatwist.core.claims import Claim, Released, Role
from hatwist.core.obstacles import Obstacle
from hatwist.core.turn import Turn
from hatwist.core.worth import Fitness, Worth
from hatwist.protocols.native.candidate import Candidate
from hatwist.protocols.native.datagram import MAX_SEQ, GroupState
from hatwist.protocols.native.membership import Membership
from hatwist.protocols.native.peer import Peer
from hatwist.protocols.native.rules import FRESH

TELLING = 0.15
"""Intervals within which a node tells what it has let go of, once it is known that it holds nothing: a change is told
again after a tenth of one."""


class Others:
    """
    The other nodes, seen from one group at one time. What is asked for twice is computed once.

    @param passedOver: is this node passed over at present, because it let a succession pass?
    @ivar now: the time for which it is true.
    @ivar turn: the decision, if it is more than a question.
    """

    __slots__ = (
        "_able",
        "_asks",
        "_candidates",
        "_freshness",
        "_group",
        "_holders",
        "_passedOver",
        "_telling",
        "now",
        "turn",
        "view",
    )

    def __init__(
        self,
        view: Membership,
        me: Candidate,
        turn: Turn,
        passedOver: Callable[[str, Turn], bool],
    ) -> None:
        self.view = view
        self.now = turn.now
        self._group = me.rules.name
        self._asks = me.rules.asks
        self._freshness = FRESH * me.timing.interval
        self._telling = TELLING * me.timing.interval
        self.turn = turn
        self._passedOver = passedOver
        self._holders: list[tuple[Peer, Claim]] | None = None
        self._able: list[Peer] | None = None
        self._candidates: list[Peer] | None = None

    def __iter__(self) -> Iterator[Peer]:
        return iter(self.view.peers.values())

    def said(self, peer: Peer) -> GroupState | None:
        """The newest word on the group; C{None}: the node does not have it, or nothing is known."""
        return peer.state(self._group)

    @property
    def holders(self) -> list[tuple[Peer, Claim]]:
        """The live nodes that are ACTIVE, known directly or by hearsay, and by which claims."""
        if self._holders is None:
            self._holders = [
                (peer, said.claim)
                for peer in self
                if self._group in peer.words.leading
                and (said := peer.state(self._group)) is not None
                and said.claim is not None
                and not peer.ledger.empty(self._group)
                and self.known(peer, peer.tolerance)
            ]
        return self._holders

    def known(self, peer: Peer, seconds: float) -> bool:
        """The word on the group is younger than that."""
        if not self.turn.older(peer.lastKnown, seconds):
            return True
        return not self.turn.passed(peer.ledger.trueAt(self._group) + seconds)

    def doubted(self, known: Peer | None = None) -> Peer | None:
        """
        One that holds something, and has not told yet what; C{None}: nobody.

        @param known: of this one it is known.

        Where the LAN can be asked it is waited for no longer than its ledger's patience after its last word on that:
        it may be a recording, which never tells.
        """
        for peer in self:
            ledger = peer.ledger
            until, endless = ledger.doubtUntil, not self._asks
            if until == -inf and self._group in peer.words.leading and not ledger.complete:
                # It holds nothing any more, and has not told yet whom it has named as successor.
                until, endless = ledger.movedAt + self._telling, False
            if until > -inf and peer is not known and self.alive(peer):
                peer.awaitedBy(self._group)
                if endless or not self.turn.passed(until):
                    return peer
        return None

    # The node, whatever it is in the group

    def alive(self, peer: Peer) -> bool:
        """It is heard or heard of."""
        return not peer.left() and not self.turn.older(peer.lastWord, peer.tolerance)

    def direct(self, peer: Peer) -> bool:
        """Its own packets arrive here."""
        return not peer.left() and not self.turn.older(peer.lastPacket, peer.tolerance)

    def twoWay(self, peer: Peer) -> bool:
        """The same, and this node's arrive there."""
        return self.direct(peer) and not self.turn.older(peer.lastListed, peer.tolerance)

    def fresh(self, peer: Peer) -> bool:
        """Its own newest packet is recent enough for a positive word."""
        return not self.turn.older(peer.lastPacket, self._freshness)

    def lists(self, peer: Peer, seq: int) -> bool:
        """It has heard this packet of this node, or a later one, by whichever way."""
        if peer.listedSeq < seq:
            self.turn.attend()
            return False
        return True

    def believed(self, peer: Peer) -> bool:
        """It is no recording, see L{Membership.believed}."""
        if peer.listedSeq < 0:
            self.turn.attend()
        return self.view.believed(peer, self.now)

    def deafSince(self, peer: Peer) -> float | None:
        """Since when hearsay says that it receives nobody; C{None}: no such word."""
        self.turn.attend()
        return peer.deafSince

    @property
    def able(self) -> list[Peer]:
        """Who could hold the group instead: eligible, in both directions, and not holding now."""
        if self._able is None:
            group = self._group
            self._able = [
                peer
                for peer in self
                if (said := peer.state(group)) is not None
                and said.eligible
                and said.role is Role.STANDBY
                and self.twoWay(peer)
            ]
        return self._able

    @property
    def candidates(self) -> list[Peer]:
        """Those of them that are not passed over."""
        if self._candidates is None:
            able, turn = self.able, self.turn
            self._candidates = [peer for peer in able if not self._passedOver(peer.name, turn)]
        return self._candidates

    def anyFit(self) -> bool:
        """One of the candidates is not unfit."""
        fit = [peer for peer in self.able if self.worth(peer).fitness > Fitness.UNFIT]
        return len([peer for peer in fit if not self._passedOver(peer.name, self.turn)]) > 0

    def worth(self, peer: Peer) -> Worth:
        """What a node says that it is worth; it must have said so."""
        said = peer.state(self._group)
        assert said is not None
        return peer.worth(said)

    def best(self) -> Peer | None:
        """The worthiest candidate."""
        return max(self.candidates, key=self.worth, default=None)

    def worthier(self, worth: Worth) -> list[Peer]:
        """The candidates that are worthier than that."""
        return [peer for peer in self.candidates if self.worth(peer) > worth]

    def target(self, name: str) -> Peer | None:
        """The node of that name, if the operator may move the group there."""
        for peer in self.able:
            if peer.name == name and self.worth(peer).fitness > Fitness.UNFIT:
                return peer
        return None

    def inOrder(self) -> list[str]:
        """Who holds the group, or could at once, the worthiest first."""
        heirs = sorted(self.candidates, key=self.worth, reverse=True)
        return [peer.name for peer in (*(holder for holder, _ in self.holders), *heirs)]

    def present(self, names: Collection[str], since: int) -> set[str]:
        """Who of them is heard, and has heard this packet of this node, or a later one."""
        return {
            peer.name
            for peer in self
            if peer.name in names and self.twoWay(peer) and self.lists(peer, since)
        }

    def askers(self) -> list[tuple[Peer, Claim]]:
        """Who asks for votes, and is heard."""
        states = [(peer, said) for peer in self if (said := peer.state(self._group)) is not None]
        asking = [(p, s.claim) for p, s in states if s.role is Role.ASKING and s.claim is not None]
        return [(peer, claim) for peer, claim in asking if self.direct(peer)]

    def highest(self) -> tuple[int, float]:
        """The highest term that anybody told of, as far as it is believed, and when it was first told here."""
        return self.view.highest(self._group)

    def lettingGo(self, peer: Peer) -> bool:
        """It holds no longer than its release takes."""
        said = peer.state(self._group)
        return said is not None and said.lettingGo

    def lastRelease(
        self, released: Released | None, releasedAt: float, highestAt: float
    ) -> tuple[Released | None, float, Peer | None]:
        """
        The newest release, since when it is known, and whose it is; C{None} if a claim has followed it.

        Not its term decides: the holder that won a conflict may have the lower one.

        @param released, releasedAt: this node's own, whose owner is told as C{None}.
        @param highestAt: when the highest term was first known.
        """
        best, since, by = released, releasedAt, None
        for peer in self.view:
            state = peer.state(self._group)
            if state is not None and state.released:
                told = peer.words.releasedSince(self._group)
                if best is None or told > since:
                    best, since, by = state.released, told, peer
        return (None if highestAt > since else best), since, by

    def obstacle(self, peer: Peer) -> Obstacle | None:
        """Why another node does not hold the group, as far as can be known here; C{None}: it could."""
        said = peer.state(self._group)
        if said is not None and said.role is Role.ACTIVE and peer.alive(self.now):
            if said.lettingGo:
                return Obstacle.RELEASING
            return Obstacle.ACQUIRING if said.steps else Obstacle.HOLDS
        return self.unable(peer)

    def unable(self, peer: Peer) -> Obstacle | None:
        """What keeps another node from being given the group, whether or not it holds it now."""
        if peer.left():
            return Obstacle.FENCED if fenced(peer) else Obstacle.STOPPED
        if not peer.direct(self.now):
            return Obstacle.HEARSAY if peer.alive(self.now) else Obstacle.SILENT
        if not peer.twoWay(self.now):
            return Obstacle.ONE_WAY
        said = self.said(peer)
        if said is None:
            return Obstacle.UNKNOWN_GROUP if peer.ledger.complete else Obstacle.UNTOLD
        if said.fitness is Fitness.UNFIT and not said.eligible:
            return Obstacle.UNFIT
        if said.listening:
            return Obstacle.LISTENING
        if not said.eligible:
            return Obstacle.INELIGIBLE
        return Obstacle.ASKING if said.role is Role.ASKING else None


def fenced(peer: Peer) -> bool:
    """Its daemon died or hung: the last word of it is the goodbye that its guard said."""
    return peer.left() and peer.seq == MAX_SEQ
