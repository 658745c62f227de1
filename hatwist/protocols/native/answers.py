"""How often another holder is answered, so that it learns of this one: not with each packet it sends."""

from __future__ import annotations

from math import inf

from hatwist.core.turn import Turn
from hatwist.protocols.native.candidate import Candidate
from hatwist.protocols.native.peer import Peer
from hatwist.protocols.native.rules import ANSWER


class Answers:
    """The answers of one group. They outlast its claims, which may follow each other fast."""

    def __init__(self, me: Candidate) -> None:
        self._me = me
        self._at = -inf
        self._stamps: dict[str, tuple[int, int]] = {}

    def due(self, turn: Turn) -> bool:
        """The last answer is long enough ago."""
        return turn.passed(self._at + ANSWER * self._me.timing.interval)

    def given(self, now: float) -> None:
        """An answer is sent now."""
        self._at = now

    def first(self, peer: Peer) -> bool:
        """Whether its newest packet has not been answered; from now on it has."""
        stamp = (peer.session, peer.seq)
        if stamp == self._stamps.get(peer.name):
            return False
        self._stamps[peer.name] = stamp
        return True

    def forget(self, name: str) -> None:
        """The conflict with that node is over."""
        self._stamps.pop(name, None)
