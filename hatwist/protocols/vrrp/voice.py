"""What a master says, and when."""

from __future__ import annotations

from math import inf

from hatwist.core.packet import Outgoing
from hatwist.protocols.vrrp.packet import VrrpAdvert, encode
from hatwist.protocols.vrrp.rules import RouterRules

ANSWERS = 50
"""Answers in an interval at most: whoever floods this router is not flooded back."""


class Voice:
    """
    @ivar advertAt: when the next advertisement is due; C{inf}: this router is no master.
    @ivar sentAt: when the last one was.
    @ivar word: the priority that is to be said now; C{None}: nothing is.
    """

    def __init__(self, rules: RouterRules) -> None:
        self.advertAt = inf
        self.sentAt = -inf
        self.word: int | None = None
        self.configure(rules)

    def configure(self, rules: RouterRules) -> None:
        """Say something else from now on."""
        self._rules = rules
        self._beat = rules.beat
        self._packets: dict[int, list[Outgoing]] = {}

    def begin(self, now: float) -> None:
        """This router is master, and says so at once."""
        self.advertAt = now

    def answer(self, now: float) -> None:
        """Somebody must hear that there is a master: say it now, and not at the next beat."""
        if self.advertAt < inf:
            soonest = max(now, self.sentAt + self._rules.interval / ANSWERS)
            self.advertAt = min(self.advertAt, soonest)

    def speak(self, now: float) -> None:
        """If it is time, an advertisement is to be said."""
        if now >= self.advertAt:
            self.word, self.sentAt = self._rules.rank, now
            self.advertAt = self._beat.after(now)

    def end(self, word: int | None = None) -> None:
        """This router is master no more; C{word}: what it says last."""
        self.advertAt, self.word = inf, word

    def taken(self) -> list[Outgoing]:
        """The packets of what is to be said now; they are said now."""
        word, self.word = self.word, None
        return [] if word is None else self.packets(word)

    def packets(self, priority: int) -> list[Outgoing]:
        """What says this priority, to each destination."""
        found = self._packets.get(priority)
        if found is None:
            found = self._packets[priority] = self._compose(priority)
        return found

    def _compose(self, priority: int) -> list[Outgoing]:
        rules, source = self._rules, self._rules.source
        if source is None:
            return []
        advert = VrrpAdvert(
            rules.version, rules.vrid, priority, rules.interval, rules.addresses, rules.auth
        )
        return [
            Outgoing(encode(advert, source, to, rules.checksum), rules.link, advert, source, to)
            for to in rules.destinations
        ]
