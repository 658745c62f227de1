"""What this node lacks of others, and whom it asks for it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from math import inf

from hatwist.protocols.native.datagram import Want
from hatwist.protocols.native.state.ledger import Ledger

SPACING = 0.1
"""Intervals between two packets that only ask, for up to four nodes; with more nodes it is more."""
STILL = 0.5
"""Intervals for which nothing more of a node must have come before this one asks for what may be on its way."""


class Asking:
    """
    @param interval: seconds.
    @param ledgers: what is known of each other node.
    @ivar open: the nodes of which something is not known.
    """

    def __init__(self, interval: float, ledgers: Mapping[str, Ledger]) -> None:
        self._interval = interval
        self._ledgers = ledgers
        self.open: set[str] = set()
        self._tellers: dict[str, dict[str, int]] = {}
        self._asked: dict[str, tuple[int, float]] = {}
        self._last: dict[str, str] = {}
        self._lastAt = -inf

    def look(self, owner: str) -> None:
        """Something new is known of a node."""
        ledger = self._ledgers[owner]
        if ledger.through < ledger.newest:
            self.open.add(owner)
        elif owner in self.open:
            self.open.discard(owner)
            self._tellers.pop(owner, None)
            self._asked.pop(owner, None)

    def begin(self, owner: str) -> None:
        """A node has a new session."""
        self.open.discard(owner)
        self._tellers.pop(owner, None)
        self._asked.pop(owner, None)

    def shows(self, teller: str, owner: str, known: int) -> None:
        """A node knows another one's records through this version."""
        if known > self._ledgers[owner].through:
            self._tellers.setdefault(owner, {})[teller] = known

    def due(self, present: Collection[str], live: Collection[str]) -> float:
        """
        When something is to be asked, without waiting for a packet that is due anyway; L{inf}: never.

        @param present: the nodes with which there is a two-way link; C{live}: those that are alive, by whichever way.
        """
        first = inf
        for owner in self.open:
            if owner not in live or self._teller(owner, present) is None:
                continue
            first = min(first, self._ripe(owner))
        if first == inf:
            return inf
        return max(first, self._lastAt + SPACING * self._interval * max(1.0, len(live) / 4))

    def _ripe(self, owner: str) -> float:
        ledger = self._ledgers[owner]
        asked, at = self._asked.get(owner, (-1, -inf))
        if asked == ledger.through:
            return at + self._interval
        if ledger.holed:
            return ledger.movedAt
        return max(ledger.movedAt, ledger.raisedAt) + STILL * self._interval

    def wants(self, now: float, present: Collection[str], live: Collection[str]) -> Iterator[Want]:
        """What to ask for in a packet that leaves now. What is yielded was asked."""
        for owner in sorted(self.open):
            if owner not in live or now < self._ripe(owner):
                continue
            teller = self._teller(owner, present)
            if teller is None:
                continue
            ledger = self._ledgers[owner]
            self._asked[owner] = (ledger.through, now)
            self._last[owner] = teller
            self._lastAt = now
            yield Want(owner, ledger.session, teller, *ledger.gap)

    def _teller(self, owner: str, present: Collection[str]) -> str | None:
        """The owner, if it hears this node, or one who knows more; in vain once, another one."""
        through = self._ledgers[owner].through
        if owner in present and self._asked.get(owner, (-1, 0.0))[0] != through:
            return owner
        able = [
            name
            for name, known in self._tellers.get(owner, {}).items()
            if known > through and name in present
        ]
        if owner in present:
            able.append(owner)
        if not able:
            return None
        able.sort()
        last = self._last.get(owner, "")
        return next((name for name in able if name > last), able[0])
