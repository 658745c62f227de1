"""Who decides whether a claim may be held, and until when: nobody besides the node, or a majority of the nodes."""

from __future__ import annotations

from math import inf
from typing import Protocol

from hatwist.core.causes import Cause
from hatwist.core.claims import Grant
from hatwist.core.electorate import Quorum
from hatwist.core.obstacles import Obstacle
from hatwist.core.standing import Decision, Standing
from hatwist.core.states import Input
from hatwist.core.turn import Turn
from hatwist.protocols.native.candidate import Candidate
from hatwist.protocols.native.others import Others


class Arbiter(Protocol):
    """
    What an election asks of whoever decides about claims.

    @ivar exclusive: no two claims ever have its consent at once.
    @ivar first: what a node does that nothing keeps from claiming: claim, or ask.
    @ivar quorum: whose votes are asked for; C{None}: nobody's.
    """

    @property
    def exclusive(self) -> bool: ...
    @property
    def first(self) -> Input: ...
    @property
    def quorum(self) -> Quorum | None: ...

    @property
    def grant(self) -> Grant | None:
        """This node's own vote, which others are told."""

    @property
    def vote(self) -> Grant | None:
        """The last one that it gave, which must outlive a restart."""

    @property
    def storable(self) -> bool:
        """The next term is as safe on disk as it must be."""

    def look(self, others: Others, turn: Turn) -> bool:
        """
        Take in what has arrived.

        @return: L{vote} has changed, and must be written to disk.
        """

    def settle(self) -> None:
        """What is known is about to change: keep what was true by it."""

    def reach(self, others: Others, since: int) -> Obstacle | None:
        """
        What keeps this node from reaching whoever must consent or know.

        @param since: only who has heard this packet of it counts, or a later one; -1: any.
        """

    @property
    def askAt(self) -> float:
        """When consent may be asked for next; C{-inf}: at any time."""

    def waits(self, turn: Turn) -> Obstacle | None:
        """What keeps an able node from L{first}."""

    def named(self, term: int) -> None:
        """This node has named a new term."""

    def defeated(self, until: float) -> None:
        """Consent was not given; it may be asked for again then."""

    def granted(self, now: float) -> bool:
        """Consent was given to the present claim, and lasts."""

    def confirmed(self, now: float) -> float:
        """Since when the claim may have been without consent, at the earliest: a lease runs from then."""

    def lapsed(self, others: Others, turn: Turn) -> Decision | None:
        """Why a holder must let go, if it must; what it sends must be heard again before it may claim."""


class Alone:
    """Nobody need be asked. A holder goes on for as long as somebody hears it, or it hears nobody."""

    exclusive = False
    first = Input.CLAIM
    quorum = grant = vote = None
    storable = True
    askAt = -inf

    def __init__(self, me: Candidate, standing: Standing) -> None:
        self._me = me
        self._standing = standing

    def look(self, others: Others, turn: Turn) -> bool:
        return False

    def settle(self) -> None:
        pass

    def reach(self, others: Others, since: int) -> Obstacle | None:
        found = None
        for peer in others:
            if others.twoWay(peer):
                return None
            if found is None and others.direct(peer):
                found = Obstacle.ONE_WAY
        return found

    def waits(self, turn: Turn) -> Obstacle | None:
        return None

    def named(self, term: int) -> None:
        pass

    def defeated(self, until: float) -> None:
        pass

    def granted(self, now: float) -> bool:
        return True

    def confirmed(self, now: float) -> float:
        return now

    def lapsed(self, others: Others, turn: Turn) -> Decision | None:
        """
        A holder whose heartbeats demonstrably arrive nowhere lets go before the others take over.

        Silence proves nothing: only an eligible node's own fresh packet counts, and only if that
        node has heard of this start of this one. One that never has may be a recording; if it is none, it
        will claim, and the LAN tells so.
        """
        me, claimedAt, received = self._me, self._standing.claimedAt, others.view.received
        if not turn.passed(claimedAt + me.hold) or not turn.older(received, me.hold):
            return None
        heardSince = inf
        for peer in others:
            said = others.said(peer)
            if (
                said is not None
                and said.eligible
                and not (me.rules.asks and not others.lists(peer, 0))
                and others.fresh(peer)
            ):
                heardSince = min(heardSince, peer.directSince)
        # One that is heard again only now had no time yet to list a new heartbeat.
        if not turn.passed(heardSince + me.hold):
            return None
        why = f"no node has received its heartbeats for {turn.now - max(claimedAt, received.at):.3f} s"
        return Decision(Input.YIELD, why, Cause.UNHEARD)
