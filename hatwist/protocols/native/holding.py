"""What a holder decides: whether it must yield, to whom it hands over, when it announces again."""

from __future__ import annotations

from math import inf

from hatwist.core.causes import Cause
from hatwist.core.claims import Claim
from hatwist.core.effects import Announce
from hatwist.core.states import State
from hatwist.core.worth import Fitness, Worth
from hatwist.protocols.native.membership import Membership
from hatwist.protocols.native.moveorders import Movable
from hatwist.protocols.native.peer import Peer
from hatwist.protocols.native.rules import ANSWER, DEAF, DEAF_BY_RELAY, FRESH, WITNESSED


class Holder(Movable):
    """A group with the decisions of a node that holds it."""

    def holding(self, view: Membership, sent: dict[int, float], now: float) -> None:
        """Decide as a holder: yield, hand over, or go on."""
        if self.muted:
            self._yield("another node of this name is heard", now, Cause.NAME)
            return
        if self._conflict(view, now) or self._unwitnessed(view, now):
            return
        if self.voter is not None:
            if self._outvoted(sent, now):
                return
        elif self._unheard(view, sent, now):
            return
        if self.state is State.ACTIVE:
            self._remind(view, now)
            if not self._moving(view, now):
                self._handover(view, now)

    def _remind(self, view: Membership, now: float) -> None:
        """
        Announce again when others may have been told otherwise: somebody else claimed or released
        in the meantime, even unseen, or comes back from where it could not be heard.
        """
        assert self.claim is not None
        highest, since = view.highest(self.rules.name)
        newest = since if highest > self.claim.term else -inf
        for peer in view:
            newest = max(newest, peer.releasedSince(self.rules.name), peer.directSince)
        if newest > self.announcedAt:
            self.announcedAt = now
            self.effects.append(Announce(self.rules.name))

    def _order(self, claim: Claim, agreed: bool) -> tuple[int, Worth, int]:
        # The votes of a majority follow the highest term. Nodes of different configuration need one
        # order all the same, or both would stay. What the operator moved stays, the last move first.
        first = claim.term
        if not agreed or (self.rules.preempt and self.voter is None):
            first = claim.term if claim.moved else 0
        return (first, claim.worth, claim.term)

    def _conflict(self, view: Membership, now: float) -> bool:
        """Another ACTIVE is known: one of the two yields. True: it is this one."""
        assert self.claim is not None
        interval = self.timing.interval
        found = view.actives(self.rules.name, now)
        for name in set(self.conflicts) - {peer.name for peer, _ in found}:
            del self.conflicts[name]
            self.answeredStamp.pop(name, None)
            self.effects.append(Announce(self.rules.name))
            self.event("conflict-over", name, "the addresses are announced again")
        for peer, claim in found:
            if peer.name not in self.conflicts:
                self.conflicts[peer.name] = now
                self.event("conflict", peer.name, f"it is ACTIVE too, with term {claim.term}")
            since = self.conflicts[peer.name]
            if peer.state(self.rules.name).lettingGo:
                continue
            if not self._proven(peer, view, now):
                if now >= self.answeredAt + ANSWER * interval:
                    self.answeredAt = now
                    self.sendNow = True
                self._probe(now)
                continue
            agreed = view.agrees(peer)
            if self._order(claim, agreed) > self._order(self.claim, agreed):
                self._yield(f"{peer.name} held it as well and had precedence", now, Cause.CONFLICT)
                return True
            direct = peer.direct(now)
            limit = max(since, peer.listedAt) + DEAF * interval
            if not direct:
                deaf = peer.deafSince
                limit = inf if deaf is None else max(since, deaf) + DEAF_BY_RELAY * interval
            if self.voter is None and self._at(limit, now):
                self._yield(
                    f"{peer.name} held it as well and did not hear this node", now, Cause.CONFLICT
                )
                return True
            stamp = (peer.session, peer.seq)
            if stamp != self.answeredStamp.get(peer.name) and (
                now >= self.answeredAt + ANSWER * interval
            ):
                self.answeredStamp[peer.name] = stamp
                self.answeredAt = now
                self.sendNow = True
                self.effects.append(Announce(self.rules.name))
        return False

    def _proven(self, peer: Peer, view: Membership, now: float) -> bool:
        """
        Its packets are no recording, see L{Membership.believed}, or the LAN says the same.

        One that has not heard of this node yet will have, at its next packet, since it is answered at once.
        """
        if not self.rules.asks or self.served(now):
            return True
        return view.believed(peer, now) if peer.direct(now) else peer.deafSince is None

    def lease(self, now: float) -> float:
        """
        Until when this node may hold, on its own clock, if nothing more is heard.

        While it lets go, as it must at the end of the lease, until that must be done.
        """
        since = now if self.voter is None else self.confirmedAt
        return since + self.timing.hold + (self.timing.grace if self.lettingGo else 0.0)

    def _unwitnessed(self, view: Membership, now: float) -> bool:
        """A holder that the witness does not answer may be the one that is cut off."""
        if not self.rules.witness or not self._at(self.witnessedAt + self.timing.witnessHold, now):
            return False
        if self.rules.keepUnwitnessed:
            others = [peer.announced(self.rules.name) for peer in view if peer.twoWay(now)]
            if others and not any(said is not None and said.witnessed for said in others):
                self.keptAt = now
                return False
            # It is back, and another node was answered first: this node's next question will tell.
            if others and not self._at(self.keptAt + WITNESSED * self.timing.interval, now):
                return False
        self._yield("the witness did not answer", now, Cause.WITNESS)
        return True

    def _outvoted(self, sent: dict[int, float], now: float) -> bool:
        """
        Once the votes are too old, others may have them: the claim is over.

        A little earlier than the guard believes so: that is for a daemon that cannot decide any more. This node
        may claim again once a majority has heard of it since.
        """
        if not self._at(self.lease(now) - self.timing.lateness, now):
            return False
        age = now - self.confirmedAt
        self.unheardSeq = max(sent, default=0) + 1
        self._yield(f"no majority has confirmed its heartbeats for {age:.3f} s", now, Cause.VOTES)
        return True

    def _unheard(self, view: Membership, sent: dict[int, float], now: float) -> bool:
        """
        A holder whose heartbeats demonstrably arrive nowhere lets go before the others take over.

        Silence proves nothing: only an eligible node's own fresh packet counts, and only if that
        node has heard of this start of this one. One that never has may be a recording; if it is none, it
        will claim, and the LAN tells so.
        """
        timing = self.timing
        newest, heardSince = self.claimedAt, inf
        for peer in view:
            if not peer.alive(now) or (self.rules.asks and peer.listedSeq < 0):
                continue
            newest = max(newest, sent.get(peer.listedSeq, -inf))
            said = peer.announced(self.rules.name)
            if said is not None and said.eligible and now - peer.directAt < FRESH * timing.interval:
                heardSince = min(heardSince, peer.directSince)
        # One that is heard again only now had no time yet to list a new heartbeat.
        if not self._at(max(newest, heardSince) + timing.hold, now):
            return False
        self.unheardSeq = max(sent, default=0) + 1
        why = f"no node has received its heartbeats for {now - newest:.3f} s"
        self._yield(why, now, Cause.UNHEARD)
        return True

    def _handover(self, view: Membership, now: float) -> None:
        mine = self.worth
        assert self.claim is not None
        candidates = self._candidates(view, now)
        best = max(candidates, key=self._worthOf, default=None)
        if best is None:
            self.worthierSince.clear()
            if self.fitness == Fitness.UNFIT and not self.rules.keepUnfit:
                self._yield(f"released: {self.fitnessReason}", now, Cause.UNFIT)
            return
        worth = self._worthOf(best)
        fitter, preempt = worth.fitness > mine.fitness, self.rules.preempt
        if self.claim.moved:  # so it was wanted, unless this node was fitter then
            fitter = fitter and mine.fitness < self.claim.worth.fitness
            preempt = False
        worthier = {peer.name for peer in candidates if self._worthOf(peer) > mine}
        for name in set(self.worthierSince) - worthier:
            del self.worthierSince[name]
        for name in worthier:
            self.worthierSince.setdefault(name, now)
        if self.fitness == Fitness.UNFIT and not self.rules.keepUnfit:
            why = f"released: {self.fitnessReason}; named {best.name} as successor"
            self._yield(why, now, Cause.UNFIT)
        elif not worth > mine or not (fitter or preempt):
            return
        elif now - best.directAt >= FRESH * self.timing.interval:
            return  # it may have just died; its next packet brings this up again
        elif fitter or self._at(self.worthierSince[best.name] + self.rules.preemptDelay, now):
            for peer in view:
                said = peer.announced(self.rules.name)
                if (
                    said is not None
                    and said.listening
                    and peer.direct(now)
                    and peer.worth(said) > worth
                    and not self._at(peer.directAt + peer.tolerance, now)
                ):
                    return
            why = f"handed over to {best.name}, which was worthier"
            self._yield(why, now, Cause.UNFIT if fitter else Cause.HANDOVER)
