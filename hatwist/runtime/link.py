"""
A link: one way heartbeats travel, on one network interface, by one address family.

The sockets come prepared from L{hatwist.linux.lan.udp} and are handed to the reactor. What is read in one of
the reactor's turns is bounded, so that whoever floods a link does not keep the timers waiting.
"""

from __future__ import annotations

import errno
import fcntl
import os
import socket
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address
from struct import pack
from typing import Any, NamedTuple

from twisted.internet.error import MessageLengthError
from twisted.internet.protocol import DatagramProtocol
from twisted.logger import Logger

from hatwist.core.errors import EXPECTED, BadPacket
from hatwist.core.linkspec import Kind, LinkPeer, LinkSpec
from hatwist.core.packet import Dropped
from hatwist.linux.interfaces import Farewell
from hatwist.linux.lan import udp

MAX_DATAGRAM = 65_535
TURN = 50
"""Datagrams read in one turn of the reactor: half a millisecond, were they all bad."""
SIOCGIFADDR = 0x8915
_LEAST_ROOM = 512
"""Bytes of the receive buffer that the smallest datagram takes (struct sk_buff and its data)."""

Receiver = Callable[[bytes, str], None]


class MulticastGroup(NamedTuple):
    """Where heartbeats are sent to: an IPv4 multicast group and a UDP port."""

    address: IPv4Address
    port: int

    def __str__(self) -> str:
        return f"{self.address}:{self.port}"

    @property
    def address6(self) -> IPv6Address:
        """The link-local IPv6 group that goes with it: its 32 bits as group id (RFC 3307, section 4.3)."""
        return IPv6Address(b"\xff\x02" + bytes(10) + self.address.packed)


class Link(DatagramProtocol, ABC):
    """
    What all links have in common: they count, log and survive what goes wrong.

    An error in sending is logged and counted, and never reaches the caller. An interface that
    goes and comes back is taken up again.

    @ivar interface: the interface's name.
    @ivar name: what the receiver is told; no two links of one node have the same.
    @ivar bad: how many datagrams were dropped, by reason.
    @ivar dropped: the newest of them, by reason.
    @ivar beats: how many heartbeats were sent to everybody on the link.
    @ivar unsent: how many could not be sent, by the name of the error.
    """

    _log = Logger()
    noisy = False
    family = socket.AF_INET

    def __init__(self, reactor: Any, interface: str, name: str) -> None:
        self.interface = interface
        self.name = name
        self.bad: Counter[str] = Counter()
        self.dropped: dict[str, Dropped] = {}
        self.beats = 0
        self.unsent: Counter[str] = Counter()
        self._reactor = reactor
        self._port: Any = None
        self._index = 0
        self._queue = TURN
        self._failing = ""
        self._latest: bytes | None = None
        self._buffer = memoryview(bytearray(MAX_DATAGRAM))
        self._receiver: Receiver = lambda data, link: None

    @abstractmethod
    def _prepare(self) -> socket.socket:
        """A new socket for this link; OSError when that is not possible now."""

    @abstractmethod
    def _targets(self) -> Sequence[Any]:
        """The socket addresses that every datagram is sent to."""

    def open(self, receiver: Receiver) -> None:
        """
        Begin to receive: C{receiver(datagram, name)} raises L{BadPacket} for what it cannot use.

        @raise OSError: the interface is missing, or the socket is not permitted.
        """
        self._receiver = receiver
        with self._prepare() as sock:
            self._index = udp.indexOf(self.interface)
            room = sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
            self._queue = max(TURN, room // _LEAST_ROOM)
            port = self._reactor.adoptDatagramPort(sock.fileno(), self.family, self, MAX_DATAGRAM)
        # Port.doRead counts bytes: datagrams without any would keep the reactor there for ever.
        port.doRead = self._turn
        self._port = port

    @property
    def failing(self) -> str:
        """The name of the error that the last heartbeat met, such as C{"ENETUNREACH"}; C{""}: it was sent."""
        return self._failing

    def close(self) -> None:
        port, self._port = self._port, None
        if port is not None:
            port.stopListening()
            # The port itself does both in the reactor's next turn; until then nothing could be opened.
            port.socket.close()
            self.transport = None

    def drain(self) -> None:
        """
        Read all that has arrived, now: a deadline is believed only after that.

        At most what the buffer could hold, so that it ends while more arrives.
        """
        self._read(self._queue)

    def send(self, datagram: bytes) -> None:
        """Send to everybody on the link. Failing is an event for the log, and no error."""
        if self._port is None and not self._reopen():
            return
        self._latest = datagram
        error: OSError | None = None
        for target in self._targets():
            try:
                self._port.write(datagram, target)
            except OSError as e:
                error = e
                self._failed(e)
            except MessageLengthError:
                error = OSError(errno.EMSGSIZE, os.strerror(errno.EMSGSIZE))
                self._failed(error)
        if error is None:
            self.beats += 1
            if self._failing:
                self._log.info("Heartbeats on {link} are sent again", link=self.name)
                self._failing = ""
        elif self._replaced():
            self.close()  # the next heartbeat opens it again

    def farewells(self, datagram: bytes) -> list[Farewell]:
        """Where the guard sends a datagram that says for this node what it cannot say itself any more."""
        return [
            Farewell(self._index, ip_address(target[0]), target[1], datagram)
            for target in self._targets()
            if self._index
        ]

    def datagramReceived(self, datagram: bytes, addr: Any) -> None:
        try:
            if datagram == self._latest:  # broadcasts come back: no need to check a signature
                raise BadPacket("reflected")
            self._admit(addr)
            self._receiver(datagram, self.name)
        except BadPacket as e:
            self._count(e, addr)
        except Exception:
            self._log.failure("A packet from {source} could not be handled", source=addr[0])

    def stopProtocol(self) -> None:
        """The reactor has given up a socket, of its own accord too: at its end. It may be an earlier one."""
        if self._port is not None and self._port.disconnected:
            self._port = None

    def connectionRefused(self) -> None:
        """Nobody listens at a peer's port; its silence is judged elsewhere."""

    def _admit(self, addr: Any) -> None:
        """
        Look at who sent it.

        @raise BadPacket: not somebody we listen to.
        """

    def _turn(self) -> None:
        self._read(TURN)

    def _read(self, most: int) -> None:
        """Read what is there, at most so many datagrams."""
        port = self._port
        if port is None:
            return
        receive, buffer = port.socket.recvfrom_into, self._buffer
        for _ in range(most):
            try:
                size, addr = receive(buffer)
            except (BlockingIOError, InterruptedError):
                return
            except OSError as e:
                # Told once, of something sent before; there may be datagrams behind it.
                self._log.debug("Reading from {link}: {error}", link=self.name, error=str(e))
                continue
            self.datagramReceived(bytes(buffer[:size]), addr)
            if self._port is not port:
                return

    def _count(self, bad: BadPacket, addr: Any) -> None:
        self.bad[bad.reason] += 1
        self.dropped[bad.reason] = Dropped(self._reactor.seconds(), addr[0])
        count = self.bad[bad.reason]
        if count == 10 ** (len(str(count)) - 1) and bad.reason not in EXPECTED:
            self._log.warn(
                "Dropped a packet from {source} on {link}: {reason} ({count} so far)",
                source=addr[0],
                link=self.name,
                reason=str(bad),
                count=count,
            )

    def _failed(self, error: OSError) -> None:
        name = errno.errorcode.get(error.errno or 0, str(error.errno))
        self.unsent[name] += 1
        if self._failing != name:
            self._failing = name
            self._log.warn(
                "Heartbeats on {link} cannot be sent: {error}",
                link=self.name,
                error=os.strerror(error.errno or 0),
            )

    def _replaced(self) -> bool:
        """The interface is not the one that the socket is bound to."""
        try:
            return udp.indexOf(self.interface) != self._index
        except OSError:
            return True

    def _reopen(self) -> bool:
        try:
            self.open(self._receiver)
        except OSError as e:
            self._failed(e)
            return False
        return True


class MulticastLink(Link):
    """Heartbeats by IPv4 multicast on one interface."""

    def __init__(
        self, reactor: Any, interface: str, group: MulticastGroup, loop: bool = False
    ) -> None:
        super().__init__(reactor, interface, LinkSpec(interface).name)
        self._group = group
        self._loop = loop

    def _prepare(self) -> socket.socket:
        return udp.openMulticast4(self.interface, self._group.address, self._group.port, self._loop)

    def _targets(self) -> Sequence[Any]:
        return ((str(self._group.address), self._group.port),)


class Multicast6Link(Link):
    """
    Heartbeats by IPv6 link-local multicast. No IPv4 address is needed; while the interface's own
    link-local address is tentative, for 1-2 s after it comes up, nothing can be sent.
    """

    family = socket.AF_INET6

    def __init__(
        self, reactor: Any, interface: str, group: MulticastGroup, loop: bool = False
    ) -> None:
        super().__init__(reactor, interface, LinkSpec(interface, Kind.MULTICAST6).name)
        self._group = group
        self._loop = loop

    def _prepare(self) -> socket.socket:
        group = self._group
        return udp.openMulticast6(self.interface, group.address6, group.port, self._loop)

    def _targets(self) -> Sequence[Any]:
        return ((str(self._group.address6), self._group.port, 0, self._index),)


class BroadcastLink(Link):
    """Heartbeats by IPv4 broadcast on one interface. The kernel gives us back our own."""

    def __init__(self, reactor: Any, interface: str, port: int) -> None:
        super().__init__(reactor, interface, LinkSpec(interface, Kind.BROADCAST).name)
        self._number = port

    def _prepare(self) -> socket.socket:
        return udp.openBroadcast(self.interface, self._number)

    def _targets(self) -> Sequence[Any]:
        return ((udp.EVERYBODY, self._number),)


class UnicastLink(Link):
    """
    Heartbeats to named peers of one address family, and from them only.

    @param port: our own; also of every peer that has none.
    @param shared: addresses that come and go, which are not listened at alone.
    """

    def __init__(
        self,
        reactor: Any,
        interface: str,
        port: int,
        peers: Sequence[LinkPeer],
        shared: Collection[IPv4Address | IPv6Address] = (),
    ) -> None:
        versions = {peer.address.version for peer in peers}
        if len(versions) != 1:
            raise ValueError("a unicast link has peers of one address family")
        name = LinkSpec(interface, Kind.UNICAST).name
        if versions == {6}:
            self.family = socket.AF_INET6
            name += "6"
        super().__init__(reactor, interface, name)
        self._number, self._peers = port, tuple(peers)
        self._admitted = frozenset(str(peer.address) for peer in peers)
        self._shared = frozenset(shared)
        self._own: udp.Own | None = None

    def _prepare(self) -> socket.socket:
        self._index = udp.indexOf(self.interface)
        # At one address it stays out of the way of links of other kinds, in other processes too.
        own = udp.ownAddress(self.interface, self.family, self._targets())
        self._own = None if own and ip_address(own.address) in self._shared else own
        return udp.openUnicast(self.interface, self._number, self.family, self._own)

    def send(self, datagram: bytes) -> None:
        if self._own is not None and not udp.isOwn(self._own, self.family):
            self.close()  # the host has another address now, or none: opened again as that is
        super().send(datagram)

    def _targets(self) -> Sequence[Any]:
        port = self._number
        if self.family == socket.AF_INET:
            return [(str(peer.address), peer.port or port) for peer in self._peers]
        scopes = [self._index if peer.address.is_link_local else 0 for peer in self._peers]
        pairs = zip(self._peers, scopes, strict=True)
        return [(str(p.address), p.port or port, 0, scope) for p, scope in pairs]

    def _admit(self, addr: Any) -> None:
        if addr[0].partition("%")[0] not in self._admitted:
            raise BadPacket("foreign-source")


def makeLinks(
    reactor: Any,
    specs: Sequence[LinkSpec],
    group: MulticastGroup,
    loop: bool = False,
    shared: Collection[IPv4Address | IPv6Address] = (),
) -> list[Link]:
    """
    The links that C{specs} ask for: one each, two for a unicast one with peers of both families.

    @param group: of all multicast links; its port is that of all links.
    @param loop: what is multicast also reaches other sockets of this host.
    @param shared: the addresses that the cluster keeps alive.
    """
    links: list[Link] = []
    for spec in specs:
        if spec.kind is Kind.MULTICAST:
            links.append(MulticastLink(reactor, spec.interface, group, loop))
        elif spec.kind is Kind.MULTICAST6:
            links.append(Multicast6Link(reactor, spec.interface, group, loop))
        elif spec.kind is Kind.BROADCAST:
            links.append(BroadcastLink(reactor, spec.interface, group.port))
        else:
            for version in (4, 6):
                peers = [peer for peer in spec.peers if peer.address.version == version]
                if peers:
                    links.append(UnicastLink(reactor, spec.interface, group.port, peers, shared))
    return links


def interfaceAddress(interface: str) -> IPv4Address | None:
    """The first IPv4 address of an interface (SIOCGIFADDR, netdevice(7)), or C{None}."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        try:
            answer = fcntl.ioctl(sock, SIOCGIFADDR, pack("16s16x8x", interface.encode()))
        except OSError:
            return None
    return IPv4Address(answer[20:24])
