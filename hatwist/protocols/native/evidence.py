"""What the LAN and the witness have answered, and when: evidence besides heartbeats."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf

from hatwist.core.claims import Released
from hatwist.core.effects import Ask
from hatwist.core.obstacles import Obstacle
from hatwist.core.standing import Standing
from hatwist.core.turn import Turn
from hatwist.protocols.native.candidate import Candidate
from hatwist.protocols.native.others import Others
from hatwist.protocols.native.peer import Peer
from hatwist.protocols.native.rules import (
    ANSWER_FRESH,
    ASK_AFTER,
    ASK_EVERY,
    REMIND,
    WITNESSED,
)

STRANGERS = 8
"""MAC addresses remembered of those that answer."""


class Evidence:
    """
    @ivar answeredBy: the MAC address that last answered for an address of the group.
    @ivar lanAnsweredAt: when it did; C{lanProbedAt}: when the LAN was last asked, C{lanProbedSince}: since when
        without a pause.
    """

    def __init__(self, me: Candidate, standing: Standing, now: float) -> None:
        self._me = me
        self._standing = standing
        self._startedAt = self._holderAt = now
        self._followed: Sequence[Peer] = ()
        self.answeredBy = ""
        self.lanAnsweredAt = self.lanProbedAt = self.lanProbedSince = -inf
        self._answeredWhileHeld: set[str] = set()
        self._warned = (False, False)
        self._warnAgainAt = -inf
        self._keptAt = -inf
        self._keeps = False

    # The LAN

    def probe(self, turn: Turn) -> None:
        """Ask the LAN, at most every quarter of an interval, for as long as there is a doubt."""
        me = self._me
        if not me.rules.asks:
            return
        now, interval = turn.now, me.timing.interval
        if now >= self.lanProbedAt + ANSWER_FRESH * interval:
            self.lanProbedSince = now
        if turn.passed(self.lanProbedAt + ASK_EVERY * interval):
            self.lanProbedAt = now
            turn.do(Ask(me.rules.name))
            turn.passed(now + ASK_EVERY * interval)

    def answered(self, by: str, now: float) -> None:
        """Another host has answered for an address of the group: C{by}, the MAC address it named."""
        self.lanAnsweredAt = now
        if by:
            self.answeredBy = by
            # A stranger may announce it at any time, and is to fill no memory.
            heard = self._startedAt < self.holderAt > now - ASK_AFTER * self._me.timing.interval
            if heard and len(self._answeredWhileHeld) < STRANGERS:
                self._answeredWhileHeld.add(by)

    def served(self, now: float) -> bool:
        """Another host has answered of late for an address of the group."""
        return now < self.lanAnsweredAt + ANSWER_FRESH * self._me.timing.interval

    @property
    def askUntil(self) -> float:
        """Until when an answer of the LAN prevents a claim; L{inf}: for as long as there are any."""
        return self.holderAt + self._me.rules.askLimit

    @property
    def holderAt(self) -> float:
        """When the newest word of a holder was true, or this node started."""
        return max([self._holderAt, *[peer.at for peer in self._followed]])

    def follow(self, holders: Sequence[Peer]) -> None:
        """These hold: the LAN need not be asked about what they say, from now on too."""
        self._followed = holders
        self._warned = (False, False)

    def settle(self) -> None:
        """What is known is about to change: it may be that they hold no longer."""
        self._holderAt, self._followed = self.holderAt, ()

    def blocks(self, holder: Peer, others: Others, turn: Turn) -> bool:
        """
        An ACTIVE that is no recording, see L{Membership.believed}, is left alone.

        One that may be is so too for two tolerances, in which it could name this node, and for as long as the LAN
        answers for the address. What another node tells of a holder that cannot be heard here is that node's to
        judge.
        """
        timing = self._me.timing
        if not self._me.rules.asks or not others.direct(holder) or others.believed(holder):
            return True
        limit = max(holder.directSince, self._startedAt) + 2 * timing.tolerance
        if not turn.passed(limit):
            return True
        self.probe(turn)
        return turn.now < max(limit, self.lanAnsweredAt) + ANSWER_FRESH * timing.interval

    def proves(self, holder: Peer, others: Others) -> bool:
        """
        An ACTIVE's packets are no recording, see L{Membership.believed}, or the LAN says the same.

        One that has not heard of this node yet will have, at its next packet, since it is answered at once.
        """
        now = others.now
        if not self._me.rules.asks or self.served(now):
            return True
        return (
            others.believed(holder) if others.direct(holder) else others.deafSince(holder) is None
        )

    def doubt(self, released: Released | None, by: Peer | None, turn: Turn) -> Obstacle | None:
        """
        Nobody is heard to hold, but the LAN answers for the address: heartbeats are lost on their way.

        It has been asked for a while when a holder falls silent; who was not listening then asks first. Anybody
        can answer: where no holder can be left by then, that prevents nothing.

        @param released: the last release, if no claim has followed it, and whose it was.
        """
        timing = self._me.timing
        if not self._questionable(released, by):
            return None
        turn.passed(self.lanAnsweredAt + ANSWER_FRESH * timing.interval)
        if turn.passed(self.askUntil):
            return None
        asked = turn.passed(self.lanProbedSince + ASK_EVERY * timing.interval)
        if self.served(turn.now):
            return Obstacle.SERVED
        return None if asked else Obstacle.ASKS_LAN

    def _questionable(self, released: Released | None, by: Peer | None) -> bool:
        # A goodbye may be recorded, unless its sender has named this start before.
        return self._me.rules.asks and not (
            released is not None and (by is None or by.listedSeq >= 0)
        )

    def stillServed(
        self, released: Released | None, by: Peer | None, turn: Turn
    ) -> Obstacle | None:
        """The same for a node that would claim: it asks, and warns of what answers."""
        if not self._questionable(released, by):
            return None
        self.probe(turn)
        found = self.doubt(released, by, turn)
        served, late = self.served(turn.now), turn.now >= self.askUntil
        if served and ((served, late) != self._warned or turn.now >= self._warnAgainAt):
            self._warnAgainAt = turn.now + REMIND
            answers = "answers for the address; it stays there"
            if late:
                answers = (
                    "answers for the address; no holder was heard for so long that it is taken"
                )
            self._standing.event("still-served", turn, reason=f"{self._answerer} {answers}")
        self._warned = (served, late)
        return found

    @property
    def _answerer(self) -> str:
        """Who answered last for an address, and whether that was told of a holder ever before."""
        if not self.answeredBy:
            return "another host"
        strange = self._answeredWhileHeld and self.answeredBy not in self._answeredWhileHeld
        return self.answeredBy + (" (not seen while a node held it)" if strange else "")

    # The witness

    def witnessed(self, turn: Turn) -> bool:
        """The witness has answered recently enough to hold, or none is asked."""
        me = self._me
        return not me.rules.witness or not turn.older(me.witnessed, me.timing.witnessHold)

    def unwitnessed(self, others: Others, turn: Turn) -> bool:
        """A holder that the witness does not answer may be the one that is cut off: it must let go."""
        rules, timing = self._me.rules, self._me.timing
        if self.witnessed(turn):
            self._keeps = False
            return False
        if rules.keepUnwitnessed:
            told = [others.said(peer) for peer in others if others.twoWay(peer)]
            keeps = bool(told) and not any(said is not None and said.witnessed for said in told)
            if keeps or self._keeps:
                self._keeps, self._keptAt = keeps, turn.now
            if keeps:
                return False
            # It is back, and another node was answered first: this node's next question will tell.
            if told and not turn.passed(self._keptAt + WITNESSED * timing.interval):
                return False
        return True
