"""Who else says that it is master while this router is, and has to give way."""

from __future__ import annotations

from math import inf
from typing import NamedTuple

from hatwist.protocols.vrrp.packet import Address

SILENT = 3.0
"""Intervals without a word after which a rival has given way."""
MOST = 16
"""Rivals of a router that are remembered: there is one, or somebody makes them up."""


class Rival(NamedTuple):
    """
    Times are seconds.

    @ivar since, at: when it was heard first and last, as a master beside this one.
    @ivar told: the log has it.
    """

    since: float
    at: float
    told: bool


class Rivals:
    """@ivar known: by address."""

    def __init__(self) -> None:
        self.known: dict[Address, Rival] = {}

    def heard(self, source: Address, now: float, tell: bool) -> tuple[bool, bool]:
        """
        There is one.

        @param tell: the log shall have it.
        @return: whether it is new, and whether the log has to be told.
        """
        known = self.known.get(source)
        if known is None and len(self.known) >= MOST:
            return False, False
        old = known if known is not None else Rival(now, now, False)
        self.known[source] = Rival(old.since, now, old.told or tell)
        return known is None, tell and not old.told

    def since(self, source: Address, now: float) -> float:
        """When it was heard first; a new one: now."""
        known = self.known.get(source)
        return known.since if known is not None else now

    def resigned(self, source: Address) -> None:
        """This one has given way."""
        known = self.known.get(source)
        if known is not None:
            self.known[source] = known._replace(at=-inf)

    def gone(self, interval: float, now: float) -> list[tuple[Address, bool]]:
        """Those that have given way, and whether the log was told of them."""
        silent = [
            (source, rival.told)
            for source, rival in self.known.items()
            if now >= rival.at + SILENT * interval
        ]
        for source, _ in silent:
            del self.known[source]
        return silent

    def forget(self) -> None:
        """This router is master anew."""
        self.known.clear()
