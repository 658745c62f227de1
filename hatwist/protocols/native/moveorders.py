"""
What the operator wants: to move a group to a node of his choice, or back to the worthiest.

Any node takes the order; if another one holds, it is told in heartbeats until the claim that was to be moved
is over, or a tolerance has passed.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf

from hatwist.core.causes import Cause
from hatwist.core.obstacles import Obstacle
from hatwist.core.standing import Decision, Standing
from hatwist.core.states import Input, State
from hatwist.core.turn import Turn
from hatwist.core.worth import Fitness
from hatwist.protocols.native.candidate import Candidate
from hatwist.protocols.native.datagram import Request
from hatwist.protocols.native.others import Others
from hatwist.protocols.native.rules import FRESH

_HERE = {
    Obstacle.UNCLEAN: "{to} has only just started",
    Obstacle.LISTENING: "{to} has only just started",
    Obstacle.STARTING: "{to} has only just started",
    Obstacle.UNFIT: "{to} cannot take {group}: {reason}",
    Obstacle.HOLDS: "{to} holds {group} already",
}
_THERE = {
    Obstacle.HOLDS: "{to} holds {group} already",
    Obstacle.UNKNOWN: "{to} is not known here",
    Obstacle.STOPPED: "{to} has stopped",
    Obstacle.FENCED: "{to} has stopped",
    Obstacle.SILENT: "{to} is not heard",
    Obstacle.HEARSAY: "{to} is not heard",
    Obstacle.ONE_WAY: "{to} does not hear {me}",
    Obstacle.UNKNOWN_GROUP: "{to} has no group {group}",
    Obstacle.UNFIT: "{to} cannot take {group}: {reason}",
    Obstacle.LISTENING: "{to} has only just started",
}
_OTHERWISE = "{to} is not eligible: it failed to acquire, stood still, or is cut off"


class MoveOrder:
    """
    The orders for one group, and what came of them.

    @param obstacle: what keeps this node from holding, which may be the target itself.
    @ivar request: what the operator wants of the holder, C{None}: nothing.
    @ivar movingTo: the successor that he wants, while the group is let go of.
    """

    def __init__(
        self,
        me: Candidate,
        standing: Standing,
        obstacle: Callable[[Others], Obstacle | None],
    ) -> None:
        self._me = me
        self._standing = standing
        self._obstacle = obstacle
        self.request: Request | None = None
        self._requestUntil = -inf
        self.movingTo = ""

    def ask(self, to: str, others: Others) -> None:
        """
        Ask the holder to hand over: to that node, or (C{""}) to the worthiest. What L{hindrance} speaks against
        changes nothing.
        """
        if not self.hindrance(to, others):
            self.request = Request(*self._claims(others)[0], to)
            self._requestUntil = others.now + self._me.timing.tolerance

    # May it be moved?

    def hindrance(self, to: str, others: Others) -> str:
        """Why it cannot be moved there now, a sentence; C{""}: it can."""
        why = self.immovable(others)
        if why or not to:
            return why
        return self._unable(to, self.holder(others), others)

    def holder(self, others: Others) -> str:
        """Who holds what can be moved, see L{immovable}."""
        return self._claims(others)[0][0]

    def immovable(self, others: Others) -> str:
        """Why it cannot be moved anywhere now, because of who holds it; C{""}: it can."""
        group = self._me.rules.name
        claims = self._claims(others)
        if not claims:
            return f"nobody holds {group}"
        if len(claims) > 1:
            names = " and ".join(sorted(name for name, _, _ in claims))
            return f"{names} hold {group} at once; wait until one has yielded"
        name, now = claims[0][0], others.now
        if name == self._me.name:
            if self._standing.state is State.ACQUIRING:
                return f"{name} is still acquiring {group}"
            lettingGo = self._standing.state is not State.ACTIVE
        else:
            peer = others.view.peers[name]
            if not peer.twoWay(now):
                what = "does not hear this node" if peer.direct(now) else "is not heard"
                return f"{name}, which holds {group}, {what}"
            lettingGo = others.lettingGo(peer)
        return f"{name} is releasing {group}" if lettingGo else ""

    def obstacle(self, to: str, holder: str, others: Others) -> Obstacle | None:
        """What keeps a node from being given what another one holds, as far as is known here."""
        if to == holder:
            return Obstacle.HOLDS
        if to == self._me.name:
            unfit = self._me.verdicts.fitness is Fitness.UNFIT
            found = None if unfit else self._obstacle(others)
        else:
            peer = others.view.peers.get(to)
            if peer is None:
                return Obstacle.UNKNOWN
            said, found = others.said(peer), others.unable(peer)
            # A node that is eligible as a last resort only is not given it.
            unfit = found is None and said is not None and said.fitness is Fitness.UNFIT
        if unfit:
            return Obstacle.UNFIT
        return None if found is None or found.overruledByMove else found

    def _unable(self, to: str, holder: str, others: Others) -> str:
        """The same as a sentence; C{""}: nothing does."""
        found, me = self.obstacle(to, holder, others), self._me
        if found is None:
            return ""
        words, reason = _HERE, me.verdicts.reason
        if to != me.name:
            words, peer = _THERE, others.view.peers.get(to)
            said = others.said(peer) if peer is not None else None
            reason = said.reason if said is not None else ""
        sentence = words.get(found, _OTHERWISE)
        return sentence.format(to=to, group=me.rules.name, me=me.name, reason=reason)

    def _claims(self, others: Others) -> list[tuple[str, int, int]]:
        """The claims by which somebody holds now: whose, of which session, which term."""
        claims = [(peer.name, peer.session, claim.term) for peer, claim in others.holders]
        claim = self._standing.claim
        if claim is not None and self._standing.state is not State.ASKING:
            claims.append((self._me.name, self._me.session, claim.term))
        return claims

    # What comes of it

    def expire(self, others: Others, turn: Turn) -> None:
        """The order was met or overtaken, or it is too late for it."""
        request = self.request
        if request is None:
            return
        if request[:3] not in self._claims(others):
            self.request = None
        elif turn.passed(self._requestUntil):
            self.request = None
            if request.to:
                why = self._unable(request.to, request.holder, others)
                why = why or f"{request.holder} did not hand it over"
                self._standing.event("move-failed", turn, request.to, why)

    def handover(self, others: Others, turn: Turn) -> Decision | None:
        """As the holder, do what the operator wants."""
        me, standing = self._me, self._standing
        assert standing.claim is not None
        claim = (me.name, me.session, standing.claim.term)
        for request in self._requests(others):
            if request[:3] != claim:
                continue
            target = others.best()
            if request.to:
                target = others.target(request.to)
            elif target is None or not others.worth(target) > me.worth:
                standing.unbind()
                continue
            # One that may have just died is waited for.
            if target is not None and others.known(target, FRESH * me.timing.interval):
                self.movingTo, self.request = request.to, None
                why = f"moved to {target.name} by the operator"
                return Decision(Input.YIELD, why, Cause.MOVE)
        return None

    def _requests(self, others: Others) -> list[Request]:
        found = [self.request] if self.request is not None else []
        for peer in others:
            said = others.said(peer)
            if said is not None and said.request is not None and others.direct(peer):
                found.append(said.request)
        return found

    def over(self) -> None:
        """The claim that was to be moved has ended."""
        self.movingTo = ""
