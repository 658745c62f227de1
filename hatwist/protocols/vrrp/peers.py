"""The other routers on the networks of this node, and in what they differ from it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Set
from math import inf
from typing import NamedTuple

from hatwist.core.packet import Packet
from hatwist.protocols.vrrp.packet import GROUPS, Address, Checksum, VrrpAdvert
from hatwist.protocols.vrrp.rules import RouterRules

MOST = 256
"""Peers that are remembered; of more nothing is told, and what they say counts all the same."""
LISTED = 4
"""Addresses that a line of the log names."""
REMIND = 60.0
"""Seconds between two lines of the log about the same difference."""


class Difference(NamedTuple):
    """
    In what a peer is configured otherwise.

    @ivar reason: its advertisement does not count, for this reason; C{""}: it does.
    @ivar kind: in what it differs, one word.
    @ivar words: a clause.
    """

    reason: str
    kind: str
    words: str


def differences(rules: RouterRules, advert: VrrpAdvert, packet: Packet) -> Iterator[Difference]:
    """
    What both sides have to be configured with alike.

    A different list of addresses is named, and the advertisement counts (RFC 9568, 7.1): to drop it, as RFC 3768 has
    it, would make two masters.
    """
    if advert.version != rules.version:
        words = f"speaks version {advert.version} of VRRP, and this node version {rules.version}"
        yield Difference("version", "version", words)
        return
    if rules.version == 2 and advert.password != rules.auth:
        has = "has no password" if advert.password is None else "has a password"
        mine = "this node has none" if rules.auth is None else "this node has one"
        if advert.password is not None and rules.auth is not None:
            has, mine = "has a password", "this node has another"
        yield Difference("authentication", "authentication", f"{has}, and {mine}")
    if advert.interval != round(rules.interval, 2):
        words = f"advertises every {advert.interval:g} s, and this node every {rules.interval:g} s"
        yield Difference("interval" if rules.version == 2 else "", "interval", words)
    theirs, mine_ = set(advert.addresses), set(rules.addresses)
    if theirs != mine_:
        also, lacks = _listed(theirs - mine_), _listed(mine_ - theirs)
        words = "; ".join(
            filter(None, (also and f"it has also {also}", lacks and f"it lacks {lacks}"))
        )
        yield Difference("", "addresses", f"has other addresses: {words}")
    if packet.destination is not None:
        unicast = packet.destination != GROUPS[rules.family]
        if unicast != bool(rules.peers):
            ways = ("multicast", "unicast")
            words = f"sends by {ways[unicast]}, and this node by {ways[not unicast]}"
            yield Difference("", "way", words)


def _listed(addresses: Set[Address]) -> str:
    names = sorted(map(str, addresses))
    more = [f"{len(names) - LISTED} more"] if len(names) > LISTED else []
    return ", ".join([*names[:LISTED], *more])


class VrrpPeer:
    """
    @ivar name: its address.
    @ivar nameless: the log is told nothing of it.
    @ivar at: when it was last heard.
    @ivar received: how many of its advertisements counted.
    @ivar checksums: how many of these had which checksum, of version 3 by IPv4.
    @ivar said: its newest advertisement for each group.
    @ivar differs: the groups in which it is configured otherwise than this node.
    """

    def __init__(self, source: Address, nameless: bool = False) -> None:
        self.name = str(source)
        self.nameless = nameless
        self.at = -inf
        self.received = 0
        self.checksums: Counter[Checksum] = Counter()
        self.said: dict[str, tuple[VrrpAdvert, float]] = {}
        self.differs: set[str] = set()
        self._told: dict[tuple[str, str], tuple[str, float]] = {}

    def heard(self, group: str, advert: VrrpAdvert, checksum: Checksum, now: float) -> None:
        """An advertisement of it counts."""
        self.at = now
        self.received += 1
        self.said[group] = (advert, now)
        if advert.version == 3 and advert.addresses[0].version == 4:
            self.checksums[checksum] += 1

    def compared(self, group: str, differs: bool) -> None:
        """Its newest advertisement was."""
        (self.differs.add if differs else self.differs.discard)(group)

    def news(self, group: str, found: Difference, now: float) -> bool:
        """Whether the log has to be told of a difference."""
        if self.nameless:
            return False
        words, at = self._told.get((group, found.kind), ("", -inf))
        if words == found.words and now < at + REMIND:
            return False
        self._told[group, found.kind] = (found.words, now)
        return True

    def forget(self, group: str) -> None:
        """A group is no longer configured, or otherwise."""
        self.said.pop(group, None)
        self.differs.discard(group)


class VrrpPeers:
    """@ivar known: by address."""

    def __init__(self) -> None:
        self.known: dict[Address, VrrpPeer] = {}

    def at(self, source: Address) -> VrrpPeer:
        """The one of this address; where there are too many, one of whom nothing is told or remembered."""
        found = self.known.get(source)
        if found is None:
            found = VrrpPeer(source, nameless=len(self.known) >= MOST)
            if not found.nameless:
                self.known[source] = found
        return found

    def forget(self, group: str) -> None:
        """A group is no longer configured, or otherwise."""
        for peer in self.known.values():
            peer.forget(group)
