"""
The election in one group on one node: when to claim, to ask for votes, and for whom to wait.

A group is always in one L{State}, and L{TABLE} says what each L{Input} does to it. What is here looks at
what is known of the others and decides which input is due. A node is a holder from the start of
C{ACQUIRING} to the end of C{RELEASING} or C{STOPPING}, and tells the others ACTIVE for just as long.
"""

from __future__ import annotations

import hashlib
from math import inf

from hatwist.core.causes import Cause
from hatwist.core.claims import Claim, Record, Released, Role
from hatwist.core.effects import Persist
from hatwist.core.electorate import Quorum
from hatwist.core.states import TABLE, Do, Input, Next, State
from hatwist.core.worth import Fitness
from hatwist.protocols.native.holding import Holder
from hatwist.protocols.native.membership import Membership
from hatwist.protocols.native.peer import Peer
from hatwist.protocols.native.rules import (
    ANSWER_FRESH,
    ASK_AFTER,
    ASK_EVERY,
    ASKING,
    LAST_CALL,
    REMIND,
    SUCCESSION,
    GroupRules,
    Timing,
)
from hatwist.protocols.native.votes import MARGIN, confirmed

__all__ = ["TABLE", "Do", "Election", "GroupRules", "Input", "Next", "Quorum", "State", "Timing"]


class Election(Holder):
    """One group on one node, complete."""

    _asked = 0
    _serving = (False, False)
    _remindAt = -inf
    _heir, _heirUntil = "", -inf
    _noted = -inf

    # Decisions

    def decide(
        self,
        view: Membership,
        sent: dict[int, float],
        lastSent: float,
        now: float,
        session: int = 0,
    ) -> None:
        """
        Look at everything known, once all that has arrived was taken in.

        @param sent: when each recent packet of this node left, by its number.
        @param lastSent: when the newest one left.
        @param session: of this node, which votes for it name.
        """
        self.wake = inf
        self.session = session
        if self._at(self.patience, now):
            self._patienceFrom = -inf
        self._at(self.backoffUntil, now)
        if self.rules.witness:
            self._at(self.doubtAt, now)
        highest, since = view.highest(self.rules.name)
        if highest > self.highest:
            self.highest, self.highestAt = highest, since
        if self.released and (
            self.highestAt > self.releasedAt
            or now
            >= self.releasedAt + max(self.timing.tolerance, SUCCESSION * self.timing.interval)
        ):
            self.released = None
        self._expire(view, now)
        if self.voter is not None:
            self._vote(view, sent, now)
        if self.highest + MARGIN // 4 > self._asked:
            self._persist()
        if self.state is State.STARTING:
            self._starting(view, now)
        if self.state is State.ASKING:
            self._asking(view, now)
        if self.state is State.STANDBY:
            self._standby(view, lastSent, now)
        elif self.state in (State.ACQUIRING, State.ACTIVE):
            self.holding(view, sent, now)

    def _vote(self, view: Membership, sent: dict[int, float], now: float) -> None:
        voter = self.voter
        assert voter is not None
        if self.claim is not None:
            claim = (self.name, self.session, self.claim.term)
            time = confirmed(view, self.rules.name, voter.quorum, claim, sent, now)
            self.confirmedAt = max(self.confirmedAt, time)
        busy = self.claim is not None or not self.clean or self.state is State.SHUTDOWN
        if voter.decide(view, busy, self.reserved, now, self._at):
            self.sendNow = True
            if voter.grant is not None:
                self._persist()

    def _persist(self) -> None:
        self._asked = self.highest + MARGIN
        vote = self.voter.last if self.voter is not None else None
        self.effects.append(Persist(self.rules.name, Record(self._asked, vote)))

    def _asking(self, view: Membership, now: float) -> None:
        """Votes were asked for: enough of them, or no hope?"""
        assert self.claim is not None
        worth = self.claim.worth
        rivals = [peer for peer, claim in self._askers(view, now) if claim.worth > worth]
        if self.confirmedAt + self.timing.hold > now and self._may(view, now):
            self.input(Input.CLAIM, now)
        elif (
            rivals
            or any(self._blocks(peer, view, now) for peer, _ in view.actives(self.rules.name, now))
            or not self._may(view, now)
            or self._at(self.askedAt + ASKING * self.timing.interval, now)
        ):
            better = [p for p in self._candidates(view, now) if self._worthOf(p) > self.worth]
            rank = 0 if self.chosen else len({peer.name for peer in (*better, *rivals)})
            self.askAfter = now + self._lot() * self.timing.interval * (rank + 1)
            self.input(Input.YIELD, now)

    def _askers(self, view: Membership, now: float) -> list[tuple[Peer, Claim]]:
        """Who asks for votes, and is heard."""
        states = [(peer, peer.state(self.rules.name)) for peer in view if peer.direct(now)]
        return [(p, s.claim) for p, s in states if s.role is Role.ASKING and s.claim is not None]

    def _lot(self) -> float:
        """0.1 to 0.6, another one for each node and term: who waits less asks first."""
        seed = f"{self.name} {self.session} {self.highest}".encode()
        return 0.1 + 0.5 * hashlib.sha256(seed).digest()[0] / 256

    def _starting(self, view: Membership, now: float) -> None:
        if self.rules.asks and self._at(self.listenUntil - self.timing.interval, now):
            self._probe(now)  # so that an answer is there when the first claim is decided
        if not self.clean or not self._at(max(self.listenUntil, self.patience), now):
            return
        # Nodes that start together settle at once on the worthiest, instead of handing over later.
        for peer in view:
            said = peer.announced(self.rules.name)
            if (
                said is not None
                and said.listening
                and said.fitness > Fitness.UNFIT
                and peer.direct(now)
                and peer.worth(said) > self.worth
                and not self._at(self.listenUntil + self.timing.interval / 2, now)
            ):
                return
        self.input(Input.READY, now)

    def _standby(self, view: Membership, lastSent: float, now: float) -> None:
        group, timing = self.rules.name, self.timing
        if self.fitness == Fitness.UNFIT and not self.rules.keepUnfit:
            self.deferringSince = None
            return
        actives = [
            (peer, claim)
            for peer, claim in view.actives(group, now)
            if self._blocks(peer, view, now)
        ]
        if actives:
            for peer, _ in actives:
                self._missed.pop(peer.name, None)
            self.deferringSince = None
            self._serving, self.chosen = (False, False), False
            self._heir = ""
            for peer, _ in actives:
                self.wordAt = max(self.wordAt, peer.at)
                if self._at(peer.at + ASK_AFTER * timing.interval, now):
                    self._probe(now)
                self._at(peer.at + peer.tolerance, now)
                call = peer.at + LAST_CALL * timing.hold
                if self._at(call, now) and lastSent < call:
                    self.sendNow = True
            return
        if not self._at(self.patience, now):
            return
        if not self._eligibleToClaim(view, now):
            for peer in view:
                if peer.alive(now):
                    self._at(max(peer.at, peer.directAt) + peer.tolerance, now)
            return
        why, cause = self._vacant(view, now)
        # Who waits for a worthier node asks too, all the time: that one may be waiting for the LAN.
        doubt = why or self.deferringSince is not None
        if (doubt and self._stillServed(view, now)) or not why:
            return
        if self.voter is None:
            self.input(Input.CLAIM, now, why, cause)
        elif self.voter.grant is None:
            if self._at(max(self.askAfter, self.voter.silentUntil), now):
                self.confirmedAt = -inf
                self.input(Input.ASK, now, why, cause)

    def _blocks(self, peer: Peer, view: Membership, now: float) -> bool:
        """
        An ACTIVE that is no recording, see L{Membership.believed}, is left alone.

        One that may be is so too for two tolerances, in which it could name this node, and for as long as the LAN
        answers for the address. What another node tells of a holder that cannot be heard here is that node's to
        judge.
        """
        if not self.rules.asks or not peer.direct(now) or view.believed(peer, now):
            return True
        limit = max(peer.directSince, self.startedAt) + 2 * self.timing.tolerance
        if not self._at(limit, now):
            return True
        self._probe(now)
        return now < max(limit, self.servedAt) + ANSWER_FRESH * self.timing.interval

    def _stillServed(self, view: Membership, now: float) -> bool:
        """
        Nobody is heard to hold, but the LAN answers for the address: heartbeats are lost on their way.

        It has been asked for a while when a holder falls silent; who was not listening then asks first. Anybody
        can answer: where no holder can be left by then, that prevents nothing.
        """
        if not self.rules.asks:
            return False
        released, _, by = self._lastRelease(view)
        # A goodbye may be recorded, unless its sender has named this start before.
        if released is not None and (by is None or by.listedSeq >= 0):
            return False
        self._probe(now)
        served = self.served(now)
        self._at(self.servedAt + ANSWER_FRESH * self.timing.interval, now)
        late = self._at(self.askUntil, now)
        if served and ((served, late) != self._serving or now >= self._remindAt):
            self._remindAt = now + REMIND
            answers = "answers for the address; it stays there"
            if late:
                answers = (
                    "answers for the address; no holder was heard for so long that it is taken"
                )
            self.event("still-served", reason=f"{self.answerer} {answers}")
        self._serving = (served, late)
        if late:
            return False
        if served and self.deferringSince is not None:
            self.deferringSince = now  # a worthier node does not claim for the same reason
        asked = self._at(self.askingSince + ASK_EVERY * self.timing.interval, now)
        return served or not asked

    def _eligibleToClaim(self, view: Membership, now: float) -> bool:
        if not self._may(view, now) or not self.storable:
            return False
        if self._at(self.backoffUntil, now):
            return True
        return not self._candidates(view, now) and self._at(self.retryAt, now)

    def _vacant(self, view: Membership, now: float) -> tuple[str, Cause]:
        """With no live holder known: why this node claims now, or C{""} and any cause."""
        group = self.rules.name
        released, since, _ = self._lastRelease(view)
        if released is not None:
            self._heir = released.successor
            self._heirUntil = since + SUCCESSION * self.timing.interval
            self.chosen = released.moved and released.successor == self.name
        for peer, claim in self._askers(view, now):
            if claim.moved and peer.name != self._heir:
                # It was quicker than the word of the release.
                self._heir = peer.name
                self._heirUntil = now + SUCCESSION * self.timing.interval
        # A successor that asks for votes names a new term, and the release counts no more.
        if self._heir == self.name and (released or not self._at(self._heirUntil, now)):
            if self.chosen:
                return "moved here by the operator", Cause.MOVE
            return "named as successor", Cause.SUCCESSION
        successor = view.peers.get(self._heir)
        said = successor.announced(group) if successor else None
        # One that holds may not be eligible: it has just been cut off, say.
        able = said is not None and (said.eligible or said.role is Role.ACTIVE)
        expected = successor is not None and successor.alive(now) and able
        if expected and not self._at(self._heirUntil, now):
            return "", Cause.OTHER
        worth = self.worth
        better = [p for p in self._candidates(view, now) if self._worthOf(p) > worth]
        if released is not None and successor is not None:
            if self._noted != since and now >= self._heirUntil:
                self._noted = since
                if successor.state(group).role is not Role.ACTIVE:
                    self._miss(successor.name, now)
            # One that let its time pass is no longer deferred to.
            better = [p for p in better if p is not successor]
        if better:
            if self.deferringSince is None:
                self.deferringSince = now
            if not self._at(self.deferringSince + self.timing.tolerance, now):
                for peer in better:
                    self._at(peer.directAt + peer.tolerance, now)
                    self._at(peer.listedAt + peer.tolerance, now)
                return "", Cause.OTHER
            name = max(better, key=self._worthOf).name
            return f"{name} was worthier but did not claim", Cause.DEFAULT
        self.deferringSince = None
        if released is not None:
            return "the holder released it", Cause.VACANCY
        return "no holder was heard", Cause.SILENCE

    def _lastRelease(self, view: Membership) -> tuple[Released | None, float, Peer | None]:
        """
        The newest release, since when it is known, and whose it is; C{None} if a claim has followed it.

        Not its term decides: the holder that won a conflict may have the lower one.
        """
        best, since, by = self.released, self.releasedAt, None
        for peer in view:
            state = peer.state(self.rules.name)
            if state.released:
                told = peer.releasedSince(self.rules.name)
                if best is None or told > since:
                    best, since, by = state.released, told, peer
        return (None if self.highestAt > since else best), since, by
