"""
What the operator wants: to move a group to a node of his choice, or back to the worthiest.

Any node takes the wish; if another one holds, it is told in heartbeats until the claim that was to be moved
is over, or a tolerance has passed.
"""

from __future__ import annotations

from hatwist.core.causes import Cause
from hatwist.core.states import State
from hatwist.core.worth import Fitness
from hatwist.protocols.native.heartbeat import GroupState, Request
from hatwist.protocols.native.inputs import Driven
from hatwist.protocols.native.membership import Membership, Peer
from hatwist.protocols.native.rules import FRESH


class Movable(Driven):
    """A group with what is done about the operator's wishes."""

    def move(self, to: str, view: Membership, now: float) -> None:
        """
        Ask the holder to hand over: to that node, or (C{""}) to the worthiest.

        @raise ValueError: a sentence that says why it cannot be.
        """
        why = self.hindrance(to, view, now)
        if why:
            raise ValueError(why)
        self.request = Request(*self._held(view, now), to)
        self.requestUntil = now + self.timing.tolerance

    def hindrance(self, to: str, view: Membership, now: float) -> str:
        """Why it cannot be moved there (C{""}: to the worthiest), a sentence; C{""}: it can."""
        try:
            holder, _, _ = self._held(view, now)
        except ValueError as e:
            return str(e)
        return self._unable(to, holder, view, now) if to else ""

    def others(self, view: Membership, now: float) -> list[str]:
        """Who besides this node holds, or could at once, the worthiest first."""
        holders = [peer.name for peer, _ in view.actives(self.rules.name, now)]
        heirs = sorted(self._candidates(view, now), key=self._worthOf, reverse=True)
        return holders + [peer.name for peer in heirs]

    def _held(self, view: Membership, now: float) -> tuple[str, int, int]:
        """Which claim of which start of whom is to be moved."""
        group = self.rules.name
        holders = self._claims(view, now)
        if not holders:
            raise ValueError(f"nobody holds {group}")
        if len(holders) > 1:
            names = " and ".join(sorted(name for name, _, _ in holders))
            raise ValueError(f"{names} hold {group} at once; wait until one has yielded")
        name = holders[0][0]
        if name == self.name:
            if self.state is State.ACQUIRING:
                raise ValueError(f"{name} is still acquiring {group}")
            lettingGo = self.state is not State.ACTIVE
        else:
            peer = view.peers[name]
            if not peer.twoWay(now):
                what = "does not hear this node" if peer.direct(now) else "is not heard"
                raise ValueError(f"{name}, which holds {group}, {what}")
            lettingGo = peer.state(group).lettingGo
        if lettingGo:
            raise ValueError(f"{name} is releasing {group}")
        return holders[0]

    def _claims(self, view: Membership, now: float) -> list[tuple[str, int, int]]:
        """The claims by which somebody holds now: whose, of which session, which term."""
        others = view.actives(self.rules.name, now)
        claims = [(peer.name, peer.session, claim.term) for peer, claim in others]
        if self.claim is not None and self.state is not State.ASKING:
            claims.append((self.name, self.session, self.claim.term))
        return claims

    def _unable(self, name: str, holder: str, view: Membership, now: float) -> str:
        """Why that node cannot be given the group, as far as is known here; or C{""}."""
        group = self.rules.name
        if name == holder:
            return f"{name} holds {group} already"
        said: GroupState | None
        if name == self.name:
            said = self.tell(view, now)
        else:
            peer = view.peers.get(name)
            if peer is None:
                return f"{name} is not known here"
            if not peer.direct(now):
                return f"{name} has stopped" if peer.left() else f"{name} is not heard"
            if not peer.twoWay(now):
                return f"{name} does not hear {self.name}"
            said = peer.announced(group)
        if said is None:
            return f"{name} has no group {group}"
        if said.fitness == Fitness.UNFIT:
            return f"{name} cannot take {group}: {said.reason}"
        if said.listening:
            return f"{name} has only just started"
        if not said.eligible:
            return f"{name} is not eligible: it failed to acquire, stood still, or is cut off"
        return ""

    def _expire(self, view: Membership, now: float) -> None:
        """The wish was met or overtaken, or it is too late for it."""
        request = self.request
        if request is None:
            return
        if request[:3] not in self._claims(view, now):
            self.request = None
        elif self._at(self.requestUntil, now):
            self.request = None
            if request.to:
                why = self._unable(request.to, request.holder, view, now)
                why = why or f"{request.holder} did not hand it over"
                self.event("move-failed", request.to, why)

    def _moving(self, view: Membership, now: float) -> bool:
        """As the holder, do what the operator wants. True: it is handed over."""
        assert self.claim is not None
        claim = (self.name, self.session, self.claim.term)
        for request in self._requests(view, now):
            if request is None or request[:3] != claim:
                continue
            best = self._best(view, now)
            if request.to:
                target = self._target(request.to, view, now)
            elif best is not None and self._worthOf(best) > self.worth:
                target = best
            else:
                self.claim = self.claim._replace(moved=False)
                continue
            # One that may have just died is waited for.
            if target is not None and now - target.directAt < FRESH * self.timing.interval:
                self.movingTo, self.request = request.to, None
                self._yield(f"moved to {target.name} by the operator", now, Cause.MOVE)
                return True
        return False

    def _requests(self, view: Membership, now: float) -> list[Request | None]:
        heard = [self._said(peer) for peer in view if peer.direct(now)]
        return [self.request, *[said.request for said in heard if said is not None]]

    def _said(self, peer: Peer) -> GroupState | None:
        return peer.announced(self.rules.name)
