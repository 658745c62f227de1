"""The phase in which a group is held: whether the holder must yield, to whom it hands over, when it announces again."""

from __future__ import annotations

from math import inf

from hatwist.core.causes import Cause
from hatwist.core.effects import Announce
from hatwist.core.obstacles import Obstacle
from hatwist.core.standing import Decision
from hatwist.core.states import Input, State
from hatwist.core.turn import Turn
from hatwist.core.worth import Fitness
from hatwist.protocols.native.conflict import Conflict
from hatwist.protocols.native.moveorders import MoveOrder
from hatwist.protocols.native.others import Others
from hatwist.protocols.native.parts import ElectionParts
from hatwist.protocols.native.precedence import fitter, kept
from hatwist.protocols.native.rules import FRESH


class Tenure:
    """
    From the claim to the end of its release.

    @ivar worthierSince: since when each worthier node could take the group.
    """

    def __init__(self, parts: ElectionParts, orders: MoveOrder) -> None:
        self._me = parts.me
        self._standing = parts.standing
        self._evidence = parts.evidence
        self._arbiter = parts.arbiter
        self._eligibility = parts.eligibility
        self._orders = orders
        self.conflict = Conflict(parts)
        self.worthierSince: dict[str, float] = {}
        self._announcedAt = -inf

    def activated(self, now: float) -> None:
        """Everything is held, and announced."""
        self._announcedAt = now

    def decide(self, others: Others, turn: Turn) -> Decision | None:
        """Yield, hand over, or go on."""
        if self._me.muted:
            return Decision(Input.YIELD, "another node of this name is heard", Cause.NAME)
        claim = self._standing.claim
        assert claim is not None
        found = self.conflict.decide(others, claim, turn)
        if found is not None:
            return found
        if self._evidence.unwitnessed(others, turn):
            return Decision(Input.YIELD, "the witness did not answer", Cause.WITNESS)
        found = self._arbiter.lapsed(others, turn)
        if found is not None:
            self._eligibility.unheardFrom(others.view.next)
            return found
        if self._standing.state is not State.ACTIVE:
            return None
        self._remind(others, turn)
        return self._orders.handover(others, turn) or self._handover(others, turn)

    def _remind(self, others: Others, turn: Turn) -> None:
        """
        Announce again when others may have been told otherwise: somebody else claimed or released
        in the meantime, even unseen, or comes back from where it could not be heard.
        """
        group, claim = self._me.rules.name, self._standing.claim
        assert claim is not None
        highest, since = others.highest()
        newest = since if highest > claim.term else -inf
        for peer in others:
            newest = max(newest, peer.words.releasedSince(group), peer.directSince)
        if newest > self._announcedAt:
            self._announcedAt = turn.now
            turn.do(Announce(group))

    def _handover(self, others: Others, turn: Turn) -> Decision | None:
        me, standing = self._me, self._standing
        assert standing.claim is not None
        useless = me.verdicts.fitness is Fitness.UNFIT and not me.rules.keepUnfit
        best = others.best()
        if best is None:
            self.worthierSince.clear()
            if useless:
                return Decision(Input.YIELD, f"released: {me.verdicts.reason}", Cause.UNFIT)
            return None
        mine, worth = me.worth, others.worth(best)
        worthier = others.worthier(mine) if worth > mine else []
        self._note([peer.name for peer in worthier], turn.now)
        if useless:
            why = f"released: {me.verdicts.reason}; named {best.name} as successor"
            return Decision(Input.YIELD, why, Cause.UNFIT)
        found = kept(worth, mine, standing.claim, me.rules)
        if found not in (Obstacle.HANDOVER, Obstacle.PREEMPT_DELAY):
            return None
        if not others.known(best, FRESH * me.timing.interval):
            return None  # it may have just died; its next packet brings this up again
        urgent = fitter(worth, mine, standing.claim)
        delay = me.rules.preemptDelay
        if not (urgent or turn.passed(self.worthierSince[best.name] + delay)):
            return None
        for peer in others:
            said = others.said(peer)
            if (
                said is not None
                and said.listening
                and peer.worth(said) > worth
                and others.direct(peer)
            ):
                return None
        why = f"handed over to {best.name}, which was worthier"
        return Decision(Input.YIELD, why, Cause.UNFIT if urgent else Cause.HANDOVER)

    def _note(self, worthier: list[str], now: float) -> None:
        for name in [name for name in self.worthierSince if name not in worthier]:
            del self.worthierSince[name]
        for name in worthier:
            self.worthierSince.setdefault(name, now)
