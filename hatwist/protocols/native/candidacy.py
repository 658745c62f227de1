"""The phase in which a group is not held: when to claim, to ask for votes, and for whom to wait."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from math import inf

from hatwist.core.causes import Cause
from hatwist.core.claims import Claim, Released, Role
from hatwist.core.obstacles import Obstacle
from hatwist.core.standing import Decision
from hatwist.core.states import Input
from hatwist.core.turn import Turn
from hatwist.core.worth import Fitness
from hatwist.protocols.native.others import Others
from hatwist.protocols.native.parts import ElectionParts
from hatwist.protocols.native.peer import Peer
from hatwist.protocols.native.precedence import kept
from hatwist.protocols.native.rules import ASK_AFTER, ASKING, LAST_CALL
from hatwist.protocols.native.succession import Heir

Doubt = Callable[[Released | None, Peer | None, Turn], Obstacle | None]


class Candidacy:
    """
    From the start, or the end of a release, to the claim.

    @ivar listenUntil: no claim is made before, since a holder may not have been heard yet.
    @ivar deferringSince: since when a worthier node could have claimed; C{None}: there is none.
    """

    def __init__(self, parts: ElectionParts, listenUntil: float = -inf) -> None:
        self._me = parts.me
        self._standing = parts.standing
        self._terms = parts.terms
        self._backoff = parts.backoff
        self._evidence = parts.evidence
        self._arbiter = parts.arbiter
        self._eligibility = parts.eligibility
        self._succession = parts.succession
        self.listenUntil = listenUntil
        self.deferringSince: float | None = None

    # STARTING

    def starting(self, others: Others, turn: Turn) -> Decision | None:
        """It has listened for long enough?"""
        timing = self._me.timing
        if self._me.rules.asks and turn.passed(self.listenUntil - timing.interval):
            self._evidence.probe(turn)  # so that an answer is there when the first claim is decided
        return None if self.listening(others, turn) else Decision(Input.READY)

    def listening(self, others: Others, turn: Turn) -> Obstacle | None:
        """Why it is not ready yet."""
        if not self._standing.clean:
            return Obstacle.UNCLEAN
        if not turn.passed(max(self.listenUntil, self._backoff.patience)):
            return Obstacle.LISTENING
        # Nodes that start together settle at once on the worthiest, instead of handing over later.
        worth = self._me.worth
        for peer in others:
            said = others.said(peer)
            if (
                said is not None
                and said.listening
                and said.fitness > Fitness.UNFIT
                and peer.worth(said) > worth
                and others.direct(peer)
                and not turn.passed(self.listenUntil + self._me.timing.interval / 2)
            ):
                return Obstacle.STARTING
        return None

    # ASKING

    def asking(self, others: Others, turn: Turn) -> Decision | None:
        """Votes were asked for: enough of them, or no hope?"""
        claim, interval = self._standing.claim, self._me.timing.interval
        assert claim is not None
        rivals = [peer for peer, other in others.askers() if other.worth > claim.worth]
        if self._arbiter.granted(turn.now) and self._eligibility.unable(others) is None:
            return Decision(Input.CLAIM)
        if not (
            rivals
            or any(self._evidence.blocks(peer, others, turn) for peer, _ in others.holders)
            or self._eligibility.unable(others) is not None
            or turn.passed(self._standing.claimNamedAt + ASKING * interval)
        ):
            return None
        better = others.worthier(self._me.worth)
        chosen = self._succession.heir.chosen
        rank = 0 if chosen else len({peer.name for peer in (*better, *rivals)})
        self._arbiter.defeated(turn.now + self._lot() * interval * (rank + 1))
        return Decision(Input.YIELD)

    def _lot(self) -> float:
        """0.1 to 0.6, another one for each node and term: who waits less asks first."""
        seed = f"{self._me.name} {self._me.session} {self._terms.highest}".encode()
        return 0.1 + 0.5 * hashlib.sha256(seed).digest()[0] / 256

    # STANDBY

    def decide(self, others: Others, lastSent: float, turn: Turn) -> Decision | None:
        """
        Claim, or ask, once nothing keeps it from that.

        @param lastSent: when the newest packet of this node left.
        """
        if self._me.verdicts.fitness is Fitness.UNFIT and not self._me.rules.keepUnfit:
            self.deferringSince = None
            return None
        holders = [p for p, _ in others.holders if self._evidence.blocks(p, others, turn)]
        if holders:
            self._follow(holders, lastSent, turn)
            return None
        if not turn.passed(self._backoff.patience):
            return None
        if not self._mayClaim(others, turn):
            return None
        released, since, by = self._lastRelease(others)
        heir = self._succession.expected(others, released, since)
        self._succession.heir = heir
        found = self._vacancy(heir, released, by, others, turn)
        successor = others.view.peers.get(heir.name)
        if released is not None and successor is not None:
            said = others.said(successor)
            holds = said is not None and said.role is Role.ACTIVE
            self._succession.judge(successor.name, holds, since, turn)
        self._defer(found, turn.now)
        found = self._undisputed(found, released, by, turn, self._stillServed)
        return found if isinstance(found, Decision) else None

    def obstacle(self, others: Others, turn: Turn) -> Obstacle | None:
        """What keeps this node, which is able, from claiming: as L{decide} has it, which changes nothing here."""
        if others.holders:
            return self._against(*others.holders[0], others)
        released, since, by = self._lastRelease(others)
        heir = self._succession.expected(others, released, since)
        found = self._vacancy(heir, released, by, others, turn)
        found = self._undisputed(found, released, by, turn, self._evidence.doubt)
        return found if isinstance(found, Obstacle) else None

    def waitsFor(self, others: Others) -> tuple[str, list[Peer]]:
        """The named successor, or C{""}, and who is worthier than this node and could claim."""
        released, since, _ = self._lastRelease(others)
        heir = self._succession.expected(others, released, since)
        return heir.name, self._better(heir, released, others)

    def _follow(self, holders: list[Peer], lastSent: float, turn: Turn) -> None:
        """Somebody holds: notice in time when it falls silent, and let it hear this node."""
        timing, evidence = self._me.timing, self._evidence
        self.deferringSince = None
        self._succession.over()
        for peer in holders:
            self._succession.held(peer.name)
            silent = turn.older(peer.lastWord, ASK_AFTER * timing.interval)
            # Who was late itself has lost packets, in all groups at once: it listens first.
            if silent and turn.passed(self._backoff.patience):
                evidence.probe(turn)
            call = LAST_CALL * self._me.hold
            if turn.older(peer.lastWord, call) and lastSent < peer.at + call:
                turn.hurry()
        evidence.follow(holders)

    def _mayClaim(self, others: Others, turn: Turn) -> bool:
        if self._eligibility.unable(others) is not None or not self._arbiter.storable:
            return False
        if turn.passed(self._backoff.until):
            return True
        since = max(self._standing.claimedAt, self._standing.releasedAt)
        return not others.candidates and turn.passed(self._backoff.retryAt(since))

    def _vacancy(
        self, heir: Heir, released: Released | None, by: Peer | None, others: Others, turn: Turn
    ) -> Decision | Obstacle:
        """
        With no live holder known: why this node claims now, or for whom it waits.

        @param by: of whom the release is; what it is in this group is known.
        """
        claim = self._arbiter.first
        # A successor that asks for votes names a new term, and the release counts no more.
        if heir.name == self._me.name and (released or not turn.passed(heir.until)):
            if heir.chosen:
                return Decision(claim, "moved here by the operator", Cause.MOVE)
            return Decision(claim, "named as successor", Cause.SUCCESSION)
        successor = others.view.peers.get(heir.name)
        if successor is not None:
            said = others.said(successor)
            # One that holds may not be eligible: it has just been cut off, say.
            able = said is not None and (said.eligible or said.role is Role.ACTIVE)
            if able and others.alive(successor) and not turn.passed(heir.until):
                return Obstacle.SUCCESSOR
        if others.doubted(by) is not None:
            return Obstacle.DOUBT
        better = self._better(heir, released, others)
        if better:
            since = turn.now if self.deferringSince is None else self.deferringSince
            if not turn.passed(since + self._me.timing.tolerance):
                return Obstacle.DEFERS
            name = max(better, key=others.worth).name
            return Decision(claim, f"{name} was worthier but did not claim", Cause.DEFAULT)
        if released is not None:
            return Decision(claim, "the holder released it", Cause.VACANCY)
        return Decision(claim, "no holder was heard", Cause.SILENCE)

    def _better(self, heir: Heir, released: Released | None, others: Others) -> list[Peer]:
        worth = self._me.worth
        better = others.worthier(worth)
        # To ask against a worthier node that asks would name a higher term, and cost that node this one's vote.
        better += [p for p, claim in others.askers() if claim.worth > worth and others.twoWay(p)]
        if released is not None:
            # One that let its time pass is no longer deferred to.
            better = [peer for peer in better if peer.name != heir.name]
        return better

    def _defer(self, found: Decision | Obstacle, now: float) -> None:
        if found is Obstacle.DEFERS:
            if self.deferringSince is None:
                self.deferringSince = now
        elif isinstance(found, Decision) and found.cause in (Cause.VACANCY, Cause.SILENCE):
            self.deferringSince = None

    def _undisputed(
        self,
        found: Decision | Obstacle,
        released: Released | None,
        by: Peer | None,
        turn: Turn,
        doubt: Doubt,
    ) -> Decision | Obstacle:
        """The same, unless the LAN says that somebody holds, or whoever must consent does not yet."""
        # Who waits for a worthier node asks too, all the time: that one may be waiting for the LAN.
        if found is not Obstacle.SUCCESSOR or self.deferringSince is not None:
            served = doubt(released, by, turn)
            if served is not None:
                return served
        if isinstance(found, Obstacle):
            return found
        return self._arbiter.waits(turn) or found

    def _stillServed(
        self, released: Released | None, by: Peer | None, turn: Turn
    ) -> Obstacle | None:
        found = self._evidence.stillServed(released, by, turn)
        if found is Obstacle.SERVED and self.deferringSince is not None:
            self.deferringSince = turn.now  # a worthier node does not claim for the same reason
        return found

    def _lastRelease(self, others: Others) -> tuple[Released | None, float, Peer | None]:
        standing = self._standing
        return others.lastRelease(standing.released, standing.releasedAt, self._terms.highestAt)

    def _against(self, holder: Peer, claim: Claim, others: Others) -> Obstacle:
        """What an able standby waits for while another node holds."""
        said = others.said(holder)
        assert said is not None
        return kept(self._me.worth, holder.worth(said), claim, self._me.rules)
