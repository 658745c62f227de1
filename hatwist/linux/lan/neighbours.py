"""
Asking the LAN who uses an address, and hearing it when somebody says so unasked.

Questions are probes, from no address (RFC 5227, RFC 4862): they change no cache of
anybody, and whoever holds the address answers. Nothing here waits: a question is sent, and an answer is
called back whenever it comes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from ipaddress import IPv4Address
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from hatwist.linux.interfaces import IAsker, INetlink, Seen
from hatwist.linux.lan.port import (
    ETH_P_ARP,
    ETH_P_IPV6,
    NEIGHBOUR_FILTER,
    Instruction,
    PacketPort,
    arpFilter,
)
from hatwist.linux.netlink.messages import Address, Event, EventsLost, KernelLink, LinkChange
from hatwist.linux.netlink.subscribers import LINKS
from hatwist.protocols import frames

ANSWER_TIME = 1.0
"""Seconds after a question in which what is told to everybody counts as its answer."""
REPEAT = 0.005
"""Seconds for which what was just said of an address, in the same way, is no news: floods cost little."""
_MOST = 16
"""Ways of saying it that are remembered for each address; sources of advertisements may be anything."""
_ARP_SAYS, _ARP_SENDER = slice(20, 22), slice(28, 32)
_ND_TYPE, _ND_SOURCE, _ND_TARGET = 54, slice(22, 38), slice(62, 78)


@implementer(IAsker)
class Asker:
    """
    L{IAsker} on one interface, by packet sockets: one for ARP, one for neighbour discovery, as needed.

    @param reactor: provides IReactorTime and IReactorFDSet.
    @param netlink: tells which MACs are our own, and when the interface is replaced.
    """

    _log = Logger()

    def __init__(self, reactor: Any, netlink: INetlink, interface: str) -> None:
        self.interface = interface
        self._reactor = reactor
        self._netlink = netlink
        self._ports: dict[int, PacketPort] = {}
        self._asked: dict[Address, float] = {}
        self._users: dict[Address, bytes] = {}
        self._told: dict[object, float] = {}
        self._macs: dict[int, bytes] = {}
        self._index = 0
        self._unsubscribe: Callable[[], None] | None = None
        self._answered: Seen = lambda address, mac: None
        self._claimed: Seen = lambda address, mac: None

    def start(self, addresses: Iterable[Address], answered: Seen, claimed: Seen) -> Deferred[None]:
        """See L{IAsker.start}."""
        self._answered, self._claimed = answered, claimed
        try:
            self.serve(addresses)
        except OSError:
            self.close()
            raise
        self._unsubscribe = self._netlink.subscribe(self._changed, [LINKS])
        return self._netlink.dumpLinks().addCallbacks(self._dumped, self._failed)

    def serve(self, addresses: Iterable[Address]) -> None:
        """
        All that may be asked for from now on.

        @raise OSError: as from L{start}.
        """
        self._asked = {each: self._asked.get(each, float("-inf")) for each in addresses}
        self._users = {each: mac for each, mac in self._users.items() if each in self._asked}
        versions = {address.version for address in self._asked}
        for version in self._ports.keys() - versions:
            self._ports.pop(version).close()
        if 4 in self._ports:
            self._ports[4].filter(self._arpFilter())
        for version in versions - self._ports.keys():
            port = self._port(version)
            port.open()
            self._ports[version] = port

    def ask(self, address: Address) -> None:
        """See L{IAsker.ask}."""
        port = self._ports.get(address.version)
        if port is None or address not in self._asked:
            return
        if not port.isOpen:
            self._open(port)
        self._asked[address] = self._reactor.seconds()
        self._told.clear()  # what is said from now on may be an answer
        if not port.mac:
            return
        if isinstance(address, IPv4Address):
            port.send(frames.arpQuestion(port.mac, address))
            user = self._users.get(address)
            if user is not None:  # broadcasts are what a busy wireless LAN loses first
                port.send(frames.arpQuestion(port.mac, address, destination=user))
        else:
            port.send(frames.neighbourSolicitation(port.mac, address))

    def close(self) -> None:
        """See L{IAsker.close}."""
        unsubscribe, self._unsubscribe = self._unsubscribe, None
        if unsubscribe is not None:
            unsubscribe()
        for port in self._ports.values():
            port.close()
        self._ports.clear()
        self._asked.clear()
        self._users.clear()
        self._told.clear()

    def _port(self, version: int) -> PacketPort:
        if version == 4:
            program = self._arpFilter()
            return PacketPort(self._reactor, self.interface, ETH_P_ARP, program, self._readArp)
        return PacketPort(
            self._reactor, self.interface, ETH_P_IPV6, NEIGHBOUR_FILTER, self._readNeighbour
        )

    def _arpFilter(self) -> tuple[Instruction, ...]:
        return arpFilter([address for address in self._asked if isinstance(address, IPv4Address)])

    def _open(self, port: PacketPort) -> None:
        try:
            port.open()
        except OSError as error:
            self._log.debug("{interface}: {error}", interface=self.interface, error=str(error))

    def _readArp(self, frame: bytes) -> None:
        self._read(frame, (frame[0] & 1, frame[_ARP_SAYS], frame[_ARP_SENDER]))

    def _readNeighbour(self, frame: bytes) -> None:
        kind = frame[_ND_TYPE : _ND_TYPE + 5]
        self._read(frame, (kind[:1], kind[4:], frame[_ND_SOURCE], frame[_ND_TARGET]))

    def _read(self, frame: bytes, says: object) -> None:
        """
        @param says: all of it that matters but whose MAC it is.
        """
        now = self._reactor.seconds()
        if now < self._told.get(says, float("-inf")) + REPEAT:
            return
        seen = frames.sighting(frame)
        if seen is None or seen.address not in self._asked or self._ours(seen.mac):
            return
        if len(self._told) > _MOST * len(self._asked):
            self._told.clear()
        self._told[says] = now
        asked = now - self._asked[seen.address] <= ANSWER_TIME
        self._users[seen.address] = seen.mac
        if seen.answer or (asked and seen.address.version == 6):
            self._answered(seen.address, seen.mac)
        else:
            self._claimed(seen.address, seen.mac)

    def _ours(self, mac: bytes) -> bool:
        return mac in self._macs.values() or any(mac == port.mac for port in self._ports.values())

    # Which interfaces there are

    def _failed(self, failure: Failure) -> None:
        self._log.warn("The interfaces could not be read: {error}", error=failure.value)

    def _dumped(self, links: Sequence[KernelLink]) -> None:
        self._macs = {link.ifindex: link.mac for link in links}
        for link in links:
            self._noticed(link)

    def _changed(self, events: Sequence[Event]) -> None:
        for event in events:
            if isinstance(event, EventsLost):
                self._netlink.dumpLinks().addCallbacks(self._dumped, self._failed)
            elif isinstance(event, LinkChange) and event.present:
                self._macs[event.link.ifindex] = event.link.mac
                self._noticed(event.link)
            elif isinstance(event, LinkChange):
                self._macs.pop(event.link.ifindex, None)

    def _noticed(self, link: KernelLink) -> None:
        """Another interface under our name, or another MAC of it: other sockets, other questions."""
        if link.name != self.interface:
            return
        other = self._index not in (0, link.ifindex)
        self._index = link.ifindex
        for port in self._ports.values():
            if other or (port.isOpen and port.mac != link.mac):
                port.close()
            if not port.isOpen and self._unsubscribe is not None:
                self._open(port)
