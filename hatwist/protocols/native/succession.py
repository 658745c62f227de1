"""Who is to follow the last holder, and who let that pass."""

from __future__ import annotations

from math import inf
from typing import NamedTuple

from hatwist.core.backoff import MAX_BACKOFF
from hatwist.core.claims import Released
from hatwist.core.standing import Standing
from hatwist.core.turn import Turn
from hatwist.protocols.native.candidate import Candidate
from hatwist.protocols.native.others import Others
from hatwist.protocols.native.rules import SUCCESSION


class Heir(NamedTuple):
    """
    Who was named as successor.

    @ivar name: C{""}: nobody.
    @ivar until: how long the others wait for it.
    @ivar chosen: it is this node, and the operator wants so: its next claim stays, whoever is worthier.
    """

    name: str = ""
    until: float = -inf
    chosen: bool = False


class Succession:
    """
    @ivar heir: as of the last decision.
    """

    def __init__(self, me: Candidate, standing: Standing) -> None:
        self._me = me
        self._standing = standing
        self.heir = Heir()
        self._missed: dict[str, tuple[int, float]] = {}
        self._judged = -inf

    def expected(self, others: Others, released: Released | None, since: float) -> Heir:
        """
        Who is to claim now.

        @param released: the last release, if no claim has followed it, known since C{since}.
        """
        heir, wait = self.heir, SUCCESSION * self._me.timing.interval
        if released is not None:
            chosen = released.moved and released.successor == self._me.name
            heir = Heir(released.successor, since + wait, chosen)
        for peer, claim in others.askers():
            if claim.moved and peer.name != heir.name:
                # It was quicker than the word of the release.
                heir = heir._replace(name=peer.name, until=others.now + wait)
        return heir

    def claimed(self) -> None:
        """This node has claimed, by the operator's wish or not."""
        if self.heir.chosen:
            self.heir = self.heir._replace(chosen=False)

    def over(self) -> None:
        """Somebody holds: nobody is waited for."""
        if self.heir.name:
            self.heir = self.heir._replace(name="", chosen=False)

    # Who let it pass

    def judge(self, name: str, holds: bool, since: float, turn: Turn) -> None:
        """
        The time of a named successor is over, or not yet: note it once if it did not claim.

        @param since: when it was named.
        """
        if self._judged != since and turn.now >= self.heir.until:
            self._judged = since
            if not holds:
                self.miss(name, turn)

    def miss(self, name: str, turn: Turn) -> None:
        """A named successor let its time pass: it is passed over for a while, each time for twice as long."""
        count = self._missed.get(name, (0, -inf))[0]
        tolerances = min(1 << min(count, 10), MAX_BACKOFF)
        self._missed[name] = (count + 1, turn.now + tolerances * self._me.timing.tolerance)
        self._standing.event(
            "succession-missed", turn, name, "it was named as successor, and did not claim"
        )

    def passedOver(self, name: str, turn: Turn) -> bool:
        """Is it still too early to name it again?"""
        missed = self._missed.get(name)
        return missed is not None and not turn.passed(missed[1])

    def held(self, name: str) -> None:
        """It holds: nothing is held against it."""
        self._missed.pop(name, None)
