"""Two nodes hold a group at once: which one yields, and how the other one learns of it."""

from __future__ import annotations

from math import inf

from hatwist.core.causes import Cause
from hatwist.core.claims import Claim
from hatwist.core.effects import Announce
from hatwist.core.standing import Decision
from hatwist.core.states import Input
from hatwist.core.turn import Turn
from hatwist.protocols.native.others import Others
from hatwist.protocols.native.parts import ElectionParts
from hatwist.protocols.native.peer import Peer
from hatwist.protocols.native.precedence import order
from hatwist.protocols.native.rules import DEAF, DEAF_BY_RELAY


class Conflict:
    """
    The conflicts of one claim.

    @ivar known: since when each other holder is known.
    """

    def __init__(self, parts: ElectionParts) -> None:
        self._me = parts.me
        self._standing = parts.standing
        self._evidence = parts.evidence
        self._arbiter = parts.arbiter
        self._answers = parts.answers
        self.known: dict[str, float] = {}

    def decide(self, others: Others, claim: Claim, turn: Turn) -> Decision | None:
        """Another ACTIVE is known: one of the two yields, perhaps this one."""
        holders = others.holders
        if self.known:
            self._end({peer.name for peer, _ in holders}, turn)
        for peer, other in holders:
            found = self._with(peer, other, others, claim, turn)
            if found is not None:
                return found
        return None

    def _end(self, holders: set[str], turn: Turn) -> None:
        for name in [name for name in self.known if name not in holders]:
            del self.known[name]
            self._answers.forget(name)
            turn.do(Announce(self._me.rules.name))
            self._standing.event("conflict-over", turn, name, "the addresses are announced again")

    def _with(
        self, peer: Peer, other: Claim, others: Others, claim: Claim, turn: Turn
    ) -> Decision | None:
        name, now = peer.name, turn.now
        turn.attend()  # each packet of the other one is answered, and each word on whom it hears counts
        if name not in self.known:
            self.known[name] = now
            self._standing.event(
                "conflict", turn, name, f"it is ACTIVE too, with term {other.term}"
            )
        if others.lettingGo(peer):
            return None
        due = self._answers.due(turn)
        if not self._evidence.proves(peer, others):
            if due:
                self._answers.given(now)
                turn.hurry()
            self._evidence.probe(turn)
            return None
        # The votes of a majority follow the highest term. Nodes of different configuration need one order all the
        # same, or both would stay.
        byTerm = others.view.agrees(peer) and (
            self._arbiter.exclusive or not self._me.rules.preempt
        )
        if order(other, byTerm) > order(claim, byTerm):
            why = f"{name} held it as well and had precedence"
            return Decision(Input.YIELD, why, Cause.CONFLICT)
        if not self._arbiter.exclusive and turn.passed(self._deafUntil(peer, now)):
            why = f"{name} held it as well and did not hear this node"
            return Decision(Input.YIELD, why, Cause.CONFLICT)
        if due and self._answers.first(peer):
            self._answers.given(now)
            turn.hurry()
            turn.do(Announce(self._me.rules.name))
        return None

    def _deafUntil(self, peer: Peer, now: float) -> float:
        """When one that has not noticed this node by then never will: it is left alone with the group."""
        since, interval = self.known[peer.name], self._me.timing.interval
        if peer.direct(now):
            return max(since, peer.lastListed.at) + DEAF * interval
        deaf = peer.deafSince
        return inf if deaf is None else max(since, deaf) + DEAF_BY_RELAY * interval
