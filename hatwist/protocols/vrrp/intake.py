"""Which advertisements count (RFC 9568, 7.1), and of whom the log is told that it is configured otherwise."""

from __future__ import annotations

from typing import NamedTuple

from hatwist.core.errors import BadPacket
from hatwist.core.packet import Packet
from hatwist.core.turn import Turn
from hatwist.protocols.vrrp.neighbours import Neighbour, Neighbours, differences
from hatwist.protocols.vrrp.packet import GROUPS, Address, VrrpAdvert, decode
from hatwist.protocols.vrrp.router import Router


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


class Intake:
    """
    @ivar routers: by link and VRID.
    @ivar neighbours: who else speaks for them.
    @ivar told: groups of which the log is to be told something.
    """

    def __init__(self) -> None:
        self.routers: dict[tuple[str, int], Router] = {}
        self.neighbours = Neighbours()
        self.told: set[str] = set()

    def open(self, packet: Packet, now: float) -> tuple[Router, Said]:
        """
        For whom a packet is, and what it says.

        @raise BadPacket: it does not count, see L{hatwist.core.errors.REASONS}.
        """
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
        neighbour = self.neighbours.at(source)
        if neighbour is None or neighbour.agreed.get(rules.name) is not advert:
            self._compare(router, advert, packet, neighbour, now)
        if neighbour is not None:
            neighbour.heard(rules.name, advert, checksum, now)
        name = neighbour.name if neighbour is not None else str(source)
        return router, Said(name, source, packet.link, advert)

    def _compare(
        self,
        router: Router,
        advert: VrrpAdvert,
        packet: Packet,
        neighbour: Neighbour | None,
        now: float,
    ) -> None:
        found = list(differences(router.rules, advert, packet))
        name = router.rules.name
        if neighbour is not None:
            for each in found:
                if neighbour.news(name, each, now):
                    turn = Turn(now, router.effects)
                    who = neighbour.name
                    router.standing.event("configuration-differs", turn, who, each.words)
                    self.told.add(name)
            if not found:
                neighbour.agreed[name] = advert
        for each in found:
            if each.reason:
                raise BadPacket(each.reason, each.words)
