"""Which advertisements count (RFC 9568, 7.1), and of whom the log is told that it is configured otherwise."""

from __future__ import annotations

from typing import NamedTuple

from hatwist.core.errors import BadPacket
from hatwist.core.packet import Packet
from hatwist.core.turn import Turn
from hatwist.protocols.vrrp.packet import GROUPS, Address, Checksum, VrrpAdvert, decode
from hatwist.protocols.vrrp.peers import VrrpPeer, VrrpPeers, differences
from hatwist.protocols.vrrp.router import Router

MOST = 4096
"""Packets that are known by heart: each router of each peer has one."""


class Said(NamedTuple):
    """
    What was heard; as text it is for the flight recorder.

    @ivar name: of the sender, which is its address.
    """

    name: str
    source: Address
    link: str
    advert: VrrpAdvert

    def __str__(self) -> str:
        return f"{self.name} on {self.link}: {self.advert}"


class Familiar(NamedTuple):
    """A packet that counted, and that differs in nothing: its next copy need not be read again."""

    packet: Packet
    router: Router
    peer: VrrpPeer
    checksum: Checksum
    said: Said


class VrrpIntake:
    """
    @ivar routers: by link and VRID.
    @ivar peers: who else speaks for them.
    @ivar told: groups of which the log is to be told something.
    """

    def __init__(self) -> None:
        self.routers: dict[tuple[str, int], Router] = {}
        self.peers = VrrpPeers()
        self.told: set[str] = set()
        self._known: dict[bytes, Familiar] = {}

    def changed(self) -> None:
        """The routers, or what they are configured with, may be others."""
        self._known.clear()

    def open(self, packet: Packet, now: float) -> tuple[Router, Said]:
        """
        For whom a packet is, and what it says.

        @raise BadPacket: it does not count, see L{hatwist.core.errors.REASONS}.
        """
        known = self._known.get(packet.data)
        if known is None or known.packet != packet:
            known = self._read(packet, now)
        known.peer.heard(known.router.rules.name, known.said.advert, known.checksum, now)
        return known.router, known.said

    def _read(self, packet: Packet, now: float) -> Familiar:
        source = packet.source
        if source is None:
            raise BadPacket("malformed", "no source")
        destination = packet.destination or GROUPS[source.version]
        advert, checksum = decode(packet.data, source, destination)
        router = self.routers.get((packet.link, advert.vrid))
        if router is None or router.rules.family != source.version:
            raise BadPacket("vrid", str(advert.vrid))
        rules = router.rules
        if source == rules.source:
            raise BadPacket("reflected")
        if rules.peers and source not in rules.peers:
            raise BadPacket("foreign-source", "no unicast peer")
        if packet.hops is None or packet.hops < rules.hops:
            raise BadPacket("hops", f"{packet.hops}, and not {rules.hops}")
        peer = self.peers.at(source)
        differs = self._compare(router, advert, packet, peer, now)
        said = Said(peer.name, source, packet.link, advert)
        known = Familiar(packet, router, peer, checksum, said)
        if not differs:
            if len(self._known) >= MOST:
                self._known.clear()
            self._known[packet.data] = known
        return known

    def _compare(
        self,
        router: Router,
        advert: VrrpAdvert,
        packet: Packet,
        peer: VrrpPeer,
        now: float,
    ) -> bool:
        """Whether it differs in anything; that is told, and may be too much."""
        found = list(differences(router.rules, advert, packet))
        name = router.rules.name
        for each in found:
            if peer.news(name, each, now):
                turn, who = Turn(now, router.effects), peer.name
                router.standing.event("configuration-differs", turn, who, each.words)
                self.told.add(name)
        peer.compared(name, bool(found))
        for each in found:
            if each.reason:
                raise BadPacket(each.reason, each.words)
        return bool(found)
