"""
One virtual router on one node, put together from its parts.

Its state is a L{hatwist.core.standing.Standing}. A backup is what the standards call it, STANDBY here; a master is a
node with a claim, which it has until what it holds is proven gone. While it lets go of its own accord it goes on
to advertise, so that nobody takes what is still here; then it resigns, with priority 0.
"""

from __future__ import annotations

from math import inf

from hatwist.core.backoff import Backoff
from hatwist.core.causes import Cause
from hatwist.core.claims import Claim, Record
from hatwist.core.effects import Announce, Effect, Persist
from hatwist.core.fitness import Verdicts
from hatwist.core.standing import Decision, Standing
from hatwist.core.states import Do, Input, State
from hatwist.core.terms import Terms
from hatwist.core.turn import Turn
from hatwist.core.worth import Fitness, Worth, addressNumber
from hatwist.protocols.vrrp.packet import RESIGN, Address, VrrpAdvert
from hatwist.protocols.vrrp.rivals import Rivals
from hatwist.protocols.vrrp.rules import RouterRules
from hatwist.protocols.vrrp.voice import Voice
from hatwist.protocols.vrrp.watch import Watch

TOLERANCE = 3.0
"""Intervals that a failure to acquire is reckoned in, see L{Backoff}."""


class Router:
    """
    Pure: C{now} is an argument, what to do comes back in L{effects}.

    @param record: what an earlier start left on disk.
    @ivar watch: the backup's part; C{voice}, C{rivals}: the master's.
    @ivar superior: the master that this one gives way to; C{None}: none.
    @ivar leads: among equal priorities its address decides, see L{hatwist.protocols.vrrp.sync}.
    @ivar because: why it claimed last, a clause.
    @ivar effects: what was decided since they were last taken.
    """

    def __init__(self, cluster: str, rules: RouterRules, record: Record, now: float) -> None:
        self.rules = rules
        self.effects: list[Effect] = []
        self.terms = Terms(record.reserved)
        self.verdicts = Verdicts()
        self.backoff = Backoff(rules.interval, TOLERANCE * rules.interval)
        self.watch = Watch(rules, self.backoff)
        self.voice = Voice(rules)
        self.rivals = Rivals()
        self.superior: Address | None = None
        self.leads = True
        self.because = ""
        self.standing = Standing(cluster, rules.name, self._claimant, Turn(now, self.effects))
        self._source(now)

    def _claimant(self, now: float) -> Claim:
        rules = self.rules
        worth = Worth(
            self.verdicts.fitness, rules.priority, addressNumber(rules.source), str(rules.source)
        )
        return Claim(self.terms.next(now), worth)

    @property
    def able(self) -> bool:
        """It takes part."""
        return self.verdicts.fitness is not Fitness.UNFIT

    @property
    def advertises(self) -> bool:
        """It is master, as far as others are told."""
        return self.standing.claim is not None and self.superior is None

    @property
    def advertAt(self) -> float:
        """When it speaks next; C{inf}: it does not."""
        return self.voice.advertAt

    @property
    def claimAt(self) -> float:
        """When it is to be master; C{inf}: something else comes first."""
        standing, backoff = self.standing, self.backoff
        if standing.state is not State.STANDBY or not self.able:
            return inf
        retryAt = backoff.retryAt(max(standing.claimedAt, standing.releasedAt))
        return max(self.watch.downAt, min(backoff.until, retryAt))

    # What is heard

    def hear(self, advert: VrrpAdvert, source: Address, now: float) -> bool:
        """
        Take in an advertisement for this router.

        @return: there is something to decide or to say.
        """
        if not self.advertises:
            return self.watch.heard(advert, source, now)
        if advert.priority == RESIGN:
            self.rivals.resigned(source)
            self.voice.answer(now)
        elif self._outranked(advert, source, now):
            self.superior = source
            self.voice.end()
            self.watch.follow(advert, source, now)
        else:
            self._assert(advert, source, now)
        return True

    def _outranked(self, advert: VrrpAdvert, source: Address, now: float) -> bool:
        """By the priority, then by the address as an unsigned number (RFC 9568, 6.4.3), whatever C{preempt} says."""
        rules = self.rules
        if advert.priority != rules.rank:
            return advert.priority > rules.rank
        if rules.source is not None and int(source) < int(rules.source):
            return False
        # Where others decide for this router too, they are given the time to.
        return self.leads or now >= self.rivals.since(source, now) + rules.interval

    def _assert(self, advert: VrrpAdvert, source: Address, now: float) -> None:
        """
        Another one is master too, and has to give way: it is told at once, and so are switches (RFC 9568, 6.4.3).

        The LAN is told again when it is met and when it is gone. One that has just been preempted is none for the log.
        """
        rules, standing = self.rules, self.standing
        if self.leads or advert.priority != rules.rank:
            self.voice.answer(now)
        lasting = now >= standing.claimedAt + rules.interval
        new, tell = self.rivals.heard(source, now, lasting)
        turn = Turn(now, self.effects)
        if tell:
            words = f"holds too, with priority {advert.priority}; it has to give way"
            standing.event("conflict", turn, str(source), words)
        if new and standing.state is State.ACTIVE:
            turn.do(Announce(rules.name))

    # What is decided

    def look(self, now: float) -> None:
        """What follows from what was told."""
        standing = self.standing
        if standing.state is State.STARTING and standing.clean:
            self._apply(Decision(Input.READY), now)
            self.watch.start(now)
        if self.terms.scarce:
            turn = Turn(now, self.effects)
            turn.do(Persist(self.rules.name, Record(self.terms.reserve())))

    def claim(self, now: float) -> None:
        """Be master."""
        decision = self.watch.claim(now)
        self.because = decision.why
        self._apply(decision, now)

    def yieldFor(self, decision: Decision, now: float) -> None:
        """Let go."""
        self._apply(decision, now)

    @property
    def reason(self) -> Decision | None:
        """Why it has to let go; C{None}: it has not."""
        if self.superior is not None and self.watch.master is not None:
            theirs, mine = self.watch.master.priority, self.rules.rank
            why = f"{self.superior} has priority {theirs}"
            if theirs == mine:
                why = f"{self.superior} has the same priority, and the greater address"
            return Decision(Input.YIELD, why, Cause.HANDOVER)
        if self.superior is not None:
            return Decision(Input.YIELD, f"{self.superior} was master", Cause.HANDOVER)
        if not self.able:
            return Decision(Input.YIELD, f"released: {self.verdicts.reason}", Cause.UNFIT)
        return None

    def speak(self, now: float) -> None:
        """It is time to advertise."""
        self.voice.speak(now)
        gone = self.rivals.gone(self.rules.interval, now) if self.rivals.known else []
        if gone and self.standing.state is State.ACTIVE:
            turn = Turn(now, self.effects)
            for source, told in gone:
                if told:
                    words = "the addresses are announced again"
                    self.standing.event("conflict-over", turn, str(source), words)
            turn.do(Announce(self.rules.name))

    def _apply(self, decision: Decision, now: float) -> None:
        for did in self.standing.apply(decision, Turn(now, self.effects)):
            if did is Do.HOLD:
                self.superior = None
                self.watch.ended()
                self.rivals.forget()
                self.voice.begin(now)
            elif did is Do.ACTIVATE:
                self.backoff.held()
            elif did is Do.RESTART:
                self.superior = None
                self.voice.end()

    # Reports

    def held(self, now: float) -> None:
        """Everything is acquired."""
        self._apply(Decision(Input.HELD), now)

    def refused(self, reason: str, now: float) -> None:
        """It could not be acquired, or was lost: let go, and let others try for a while."""
        if self.standing.holding:
            self.backoff.refused(reason, now)
            self.standing.event("acquire-failed", Turn(now, self.effects), reason=reason)
            why = f"could not hold the resources: {reason}"
            self._apply(Decision(Input.REFUSED, why), now)

    def gone(self, now: float) -> None:
        """
        Nothing is held here any more. A master that let go of its own accord resigns.

        One that gave way says its own priority once more, now that it does not answer for the addresses any more, as
        keepalived does with C{vrrp_higher_prio_send_advert}: its superior announces them again. Else whoever
        believed this one would go on to do so.
        """
        claimed, activated = self.standing.claim is not None, self.standing.activated
        self._apply(Decision(Input.RELEASED), now)
        if not claimed or self.standing.claim is not None:
            return
        if self.superior is None:
            self.voice.end(RESIGN)
            self.watch.start(now)
        else:
            followed = activated and self.watch.master is not None
            self.voice.end(self.rules.rank if followed else None)
            self.superior = None

    def fenced(self, why: str, now: float) -> None:
        """The guard has fired, and has resigned for this node where it could release all that was held."""
        if self.rules.guardable:
            self._apply(Decision(Input.FENCED, why), now)
        else:
            self._apply(Decision(Input.YIELD, why, Cause.GUARD), now)

    def stop(self, why: str, now: float) -> None:
        """Let go, and never come back."""
        self._apply(Decision(Input.STOP, why), now)

    def judge(self, source: str, fitness: Fitness, reason: str, now: float) -> None:
        """One source's verdict, in place of its last. Whoever takes part again begins as at a start."""
        before = self.able
        if self.verdicts.put(source, fitness, reason):
            words = ": ".join(
                filter(None, (self.verdicts.fitness.name.lower(), self.verdicts.reason))
            )
            self.standing.event("fitness", Turn(now, self.effects), reason=words)
        if self.able and not before and self.standing.state is State.STANDBY:
            self.watch.start(now)

    def configure(self, rules: RouterRules, now: float) -> None:
        """Go on with other rules of the same identity. A master says at once what is new."""
        if rules == self.rules:
            return
        self.rules = rules
        self.watch.configure(rules)
        self.voice.configure(rules)
        self.voice.answer(now)
        self._source(now)

    def _source(self, now: float) -> None:
        """Without an address of its own it cannot speak."""
        rules = self.rules
        if rules.source is None:
            words = f"this host has no IPv{rules.family} address of its own on {rules.link}"
            self.judge("source", Fitness.UNFIT, words, now)
        else:
            self.judge("source", Fitness.FIT, "", now)
