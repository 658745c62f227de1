"""What a backup knows of the master, and until when it waits for the next word of it."""

from __future__ import annotations

from math import inf
from typing import NamedTuple

from hatwist.core.backoff import Backoff
from hatwist.core.causes import Cause
from hatwist.core.standing import Decision
from hatwist.core.states import Input
from hatwist.protocols.vrrp.packet import RESIGN, Address, VrrpAdvert
from hatwist.protocols.vrrp.rules import RouterRules
from hatwist.protocols.vrrp.timing import masterDown, skew

LATE = 1.0
"""Intervals by which a timer may be late and still be believed: beyond, this host stood still, and heard nothing."""

RECENT = 2.0
"""Intervals for which a master is alive after a word of it, in the words of people."""


class VrrpMaster(NamedTuple):
    """The newest advertisement that a backup heard: whose, how important, and when."""

    source: Address
    priority: int
    at: float


class Watch:
    """
    @ivar master: who was heard last; C{None}: nobody since the start, or it resigned.
    @ivar interval: that of the master; without one this router's own.
    @ivar downAt: when the master is believed to be down; C{inf}: nobody waits for that.
    @ivar lowerSince: since when the master has a lower priority; C{-inf}: it has not.
    """

    def __init__(self, rules: RouterRules, backoff: Backoff) -> None:
        self.rules = rules
        self.master: VrrpMaster | None = None
        self.interval = rules.interval
        self.downAt = inf
        self.lowerSince = -inf
        self._backoff = backoff
        self._resigned = self._patient = False

    def configure(self, rules: RouterRules) -> None:
        """Go on with other rules. A timer that runs goes on."""
        self.rules = rules
        if self.master is None or rules.version == 2:
            self.interval = rules.interval

    def start(self, now: float) -> None:
        """Begin to wait, as at a start (RFC 9568, 6.4.1): an owner does not."""
        self._patient = self._resigned = False
        self.lowerSince = -inf
        if self.master is None:
            self.interval = self.rules.interval
        self.downAt = now if self.rules.owner else now + self._down

    def ended(self) -> None:
        """This router is master itself, and knows no other."""
        self.master = None
        self.interval = self.rules.interval
        self.downAt = inf
        self._resigned = False

    @property
    def skew(self) -> float:
        """Seconds by which this backup is slower than one of the highest priority."""
        return skew(self.rules.version, self.rules.rank, self.interval)

    @property
    def _down(self) -> float:
        return masterDown(self.rules.version, self.rules.rank, self.interval)

    def claim(self, now: float) -> Decision:
        """To be master now that L{downAt} has passed, and why."""
        master = self.master
        if self._resigned:
            return Decision(Input.CLAIM, "the master resigned", Cause.VACANCY)
        if self.rules.owner and master is None:
            return Decision(Input.CLAIM, "its interface has the addresses anyway", Cause.OTHER)
        if master is None:
            return Decision(Input.CLAIM, "no master was heard", Cause.SILENCE)
        if now < master.at + RECENT * self.interval:
            why = f"{master.source} has the lower priority {master.priority}"
            return Decision(Input.CLAIM, why, Cause.HANDOVER)
        return Decision(Input.CLAIM, f"{master.source} is silent", Cause.SILENCE)

    def heard(self, advert: VrrpAdvert, source: Address, now: float) -> bool:
        """
        Take note of an advertisement (RFC 9568, 6.4.2).

        Of many words of a master that resigns, such as those of a guard that repeats itself, the first one counts.

        @return: the master is believed to be down earlier than it was.
        """
        before, self._patient = self.downAt, False
        if advert.priority == RESIGN:
            self.master, self._resigned = None, True
            self.lowerSince = -inf
            self.downAt = min(self.downAt, now + self.skew)
            return self.downAt < before
        lower = advert.priority < self.rules.rank
        if not lower:
            self.lowerSince = -inf
        elif self._preempts(now):
            self.master, self._resigned = VrrpMaster(source, advert.priority, now), False
            return False
        self.follow(advert, source, now)
        return self.downAt < before

    def follow(self, advert: VrrpAdvert, source: Address, now: float) -> None:
        """This is the master: wait for its next word, by its own interval."""
        self.master, self._resigned = VrrpMaster(source, advert.priority, now), False
        self.interval = advert.interval
        self.downAt = now + self._down

    def _preempts(self, now: float) -> bool:
        """A master of a lower priority is not waited for."""
        rules = self.rules
        if self.lowerSince == -inf:
            self.lowerSince = now
        if rules.owner:
            return True
        able = rules.preempt and now >= self._backoff.until
        return able and now >= self.lowerSince + rules.preemptDelay

    def late(self, due: float, now: float) -> bool:
        """
        Has the timer come so late that this host must have stood still? Then wait for one more word, once.

        @param due: when it was to come.
        """
        if self._patient or now <= due + LATE * self.interval:
            return False
        self._patient = True
        self.downAt = now + self.interval + self.skew
        return True
