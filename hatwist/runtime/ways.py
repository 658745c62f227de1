"""
The ways on which datagrams travel between nodes: which socket, to whom, and from whom.

A way has no transport: L{hatwist.runtime.link.Link} has, and treats all ways alike. The sockets come prepared from
L{hatwist.linux.lan.udp} and L{hatwist.linux.lan.raw}.
"""

from __future__ import annotations

import errno
import socket
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any, Protocol

from hatwist.core.linkspec import Kind, LinkPeer, LinkSpec, MulticastGroup
from hatwist.core.packet import Outgoing, Packet
from hatwist.linux.interfaces import Farewell
from hatwist.linux.lan import raw, udp
from hatwist.linux.lan.raw import RawSockets, Socket
from hatwist.linux.netlink.messages import Address

Target = tuple[Any, ...]
"""A socket address, or what else a way sends to; the first of it is an address, or its text."""


class Way(Protocol):
    """
    One way on one network interface, by one address family.

    @ivar name: tells two ways of one node apart; L{Packet.link} of what arrives.
    """

    interface: str
    name: str

    def index(self) -> int:
        """
        The number of its interface.

        @raise OSError: ENODEV.
        """
        ...

    def open(self) -> Socket:
        """
        A new socket.

        @raise OSError: the interface is missing, or the socket is not permitted.
        """
        ...

    def lasts(self) -> bool:
        """Whether the socket that was opened last is still the one that L{open} would return now."""
        ...

    def targets(self, index: int, destination: Address | None = None) -> Sequence[Target]:
        """
        To where a datagram is sent.

        @param index: the interface's number.
        @param destination: what the datagram names; of use where the protocol chooses its receivers itself.
        """
        ...

    def send(self, sock: Any, index: int, packet: Outgoing, target: Target) -> None:
        """
        Send a datagram to one of its targets.

        @raise OSError: it was not sent.
        """
        ...

    def farewell(self, index: int, packet: Outgoing, target: Target) -> Farewell | None:
        """How the guard sends it there; C{None}: it cannot."""
        ...

    def receive(self, sock: Any, buffer: memoryview) -> tuple[Packet, Target]:
        """
        The next packet that has arrived, without any header of the network's, and where it came from.

        @raise BlockingIOError: there is none.
        """
        ...

    def admits(self, addr: Target) -> bool:
        """Whether anything is taken from this socket address."""
        ...


class UdpWay(ABC):
    """What all ways by UDP have in common: see L{Way}."""

    family = socket.AF_INET

    def __init__(self, interface: str, kind: Kind, port: int) -> None:
        self.interface = interface
        self.name = LinkSpec(interface, kind).name
        self._port = port

    @abstractmethod
    def open(self) -> socket.socket:
        """See L{Way.open}."""

    @abstractmethod
    def targets(self, index: int, destination: Address | None = None) -> Sequence[Target]:
        """See L{Way.targets}: those that it is configured with."""

    def index(self) -> int:
        """See L{Way.index}."""
        return udp.indexOf(self.interface)

    def lasts(self) -> bool:
        """See L{Way.lasts}."""
        return True

    def send(self, sock: socket.socket, index: int, packet: Outgoing, target: Target) -> None:
        """See L{Way.send}."""
        sock.sendto(packet.data, target)

    def farewell(self, index: int, packet: Outgoing, target: Target) -> Farewell:
        """See L{Way.farewell}."""
        return Farewell(index, ip_address(target[0]), target[1], packet.data)

    def receive(self, sock: socket.socket, buffer: memoryview) -> tuple[Packet, Target]:
        """See L{Way.receive}. Who sent it is in the datagram itself, signed."""
        size, addr = sock.recvfrom_into(buffer)
        return Packet(bytes(buffer[:size]), self.name), addr

    def admits(self, addr: Target) -> bool:
        """See L{Way.admits}."""
        return True


class Multicast(UdpWay):
    """
    IPv4 multicast.

    @param loop: what is sent also reaches other sockets of this host.
    """

    def __init__(self, interface: str, group: MulticastGroup, loop: bool = False) -> None:
        super().__init__(interface, Kind.MULTICAST, group.port)
        self._group = group.address
        self._targets = ((str(group.address), group.port),)
        self._loop = loop

    def open(self) -> socket.socket:
        return udp.openMulticast4(self.interface, self._group, self._port, self._loop)

    def targets(self, index: int, destination: Address | None = None) -> Sequence[Target]:
        return self._targets


class Multicast6(UdpWay):
    """
    IPv6 link-local multicast. No IPv4 address is needed; while the interface's own link-local address is
    tentative, for 1-2 s after it comes up, nothing can be sent.

    @param loop: what is sent also reaches other sockets of this host.
    """

    family = socket.AF_INET6

    def __init__(self, interface: str, group: MulticastGroup, loop: bool = False) -> None:
        super().__init__(interface, Kind.MULTICAST6, group.port)
        self._group = group.address6
        self._text = str(group.address6)
        self._loop = loop

    def open(self) -> socket.socket:
        return udp.openMulticast6(self.interface, self._group, self._port, self._loop)

    def targets(self, index: int, destination: Address | None = None) -> Sequence[Target]:
        return ((self._text, self._port, 0, index),)


class Broadcast(UdpWay):
    """IPv4 broadcast. The kernel gives us back our own."""

    def __init__(self, interface: str, port: int) -> None:
        super().__init__(interface, Kind.BROADCAST, port)

    def open(self) -> socket.socket:
        return udp.openBroadcast(self.interface, self._port)

    def targets(self, index: int, destination: Address | None = None) -> Sequence[Target]:
        return ((udp.EVERYBODY, self._port),)


class Unicast(UdpWay):
    """
    To named peers of one address family, and from them only.

    @param port: our own; also of every peer that has none.
    @param shared: addresses that come and go, which are not listened at alone.
    """

    def __init__(
        self,
        interface: str,
        port: int,
        peers: Sequence[LinkPeer],
        shared: Collection[IPv4Address | IPv6Address] = (),
    ) -> None:
        versions = {peer.address.version for peer in peers}
        if len(versions) != 1:
            raise ValueError("a unicast link has peers of one address family")
        super().__init__(interface, Kind.UNICAST, port)
        if versions == {6}:
            self.family = socket.AF_INET6
            self.name += "6"
        self._peers = tuple(peers)
        self._admitted = frozenset(str(peer.address) for peer in peers)
        self._shared = frozenset(shared)
        self._own: udp.Own | None = None

    def open(self) -> socket.socket:
        # Bound to one address, the socket takes nothing away from links of other kinds, in other processes too.
        targets = self.targets(udp.indexOf(self.interface))
        own = udp.ownAddress(self.interface, self.family, targets)
        self._own = None if own and ip_address(own.address) in self._shared else own
        return udp.openUnicast(self.interface, self._port, self.family, self._own)

    def lasts(self) -> bool:
        """Not where the host has another address now, or none."""
        return self._own is None or udp.isOwn(self._own, self.family)

    def targets(self, index: int, destination: Address | None = None) -> Sequence[Target]:
        port = self._port
        if self.family == socket.AF_INET:
            return [(str(peer.address), peer.port or port) for peer in self._peers]
        scopes = [index if peer.address.is_link_local else 0 for peer in self._peers]
        pairs = zip(self._peers, scopes, strict=True)
        return [(str(p.address), p.port or port, 0, scope) for p, scope in pairs]

    def admits(self, addr: Target) -> bool:
        return addr[0].partition("%")[0] in self._admitted


class Raw:
    """
    Protocol 112 by one version of IP: each packet leaves by the source that it names, for its destination, or for
    everybody who speaks VRRP or CARP. See L{Way}.
    """

    def __init__(self, interface: str, version: int, sockets: RawSockets) -> None:
        self.interface = interface
        self.name = rawName(interface, version)
        self._version = version
        self._sockets = sockets

    def index(self) -> int:
        """See L{Way.index}."""
        return self._sockets.index(self.interface)

    def open(self) -> Socket:
        """See L{Way.open}."""
        return self._sockets.open(self.interface, self._version)

    def lasts(self) -> bool:
        """See L{Way.lasts}."""
        return True

    def targets(self, index: int, destination: Address | None = None) -> Sequence[Target]:
        """See L{Way.targets}."""
        return ((raw.GROUPS[self._version] if destination is None else destination,),)

    def send(self, sock: Socket, index: int, packet: Outgoing, target: Target) -> None:
        """See L{Way.send}."""
        if packet.source is None:  # the kernel would choose a shared address, or 0.0.0.0
            raise OSError(errno.EADDRNOTAVAIL, "this host has no address of its own to send from")
        self._sockets.send(sock, index, packet.data, packet.source, target[0])

    def farewell(self, index: int, packet: Outgoing, target: Target) -> Farewell | None:
        """See L{Way.farewell}."""
        if packet.source is None:
            return None
        return Farewell(index, target[0], 0, packet.data, packet.source, raw.PROTOCOL)

    def receive(self, sock: Socket, buffer: memoryview) -> tuple[Packet, Target]:
        """See L{Way.receive}."""
        data, source, hops, destination = self._sockets.receive(sock, buffer)
        return Packet(data, self.name, source, hops, destination), (source,)

    def admits(self, addr: Target) -> bool:
        """See L{Way.admits}: that is for the protocol to say."""
        return True


def rawName(interface: str, version: int) -> str:
    """The name of the raw link of an interface by one version of IP."""
    return f"{interface},raw" if version == 4 else f"{interface},raw6"


def waysOf(
    specs: Sequence[LinkSpec],
    group: MulticastGroup,
    loop: bool = False,
    shared: Collection[IPv4Address | IPv6Address] = (),
) -> Iterator[Way]:
    """
    The ways that C{specs} ask for: one each, two for a unicast one with peers of both families.

    @param group: of all multicast ways; its port is that of all ways.
    @param loop: what is multicast also reaches other sockets of this host.
    @param shared: the addresses that the cluster keeps alive.
    """
    for spec in specs:
        if spec.kind is Kind.MULTICAST:
            yield Multicast(spec.interface, group, loop)
        elif spec.kind is Kind.MULTICAST6:
            yield Multicast6(spec.interface, group, loop)
        elif spec.kind is Kind.BROADCAST:
            yield Broadcast(spec.interface, group.port)
        else:
            for version in (4, 6):
                peers = [peer for peer in spec.peers if peer.address.version == version]
                if peers:
                    yield Unicast(spec.interface, group.port, peers, shared)
