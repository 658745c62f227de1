"""Raw sockets in memory: L{RawSockets<hatwist.linux.lan.raw.RawSockets>} for tests, of hosts on one LAN."""

from __future__ import annotations

import errno
import os
from collections import deque
from contextlib import suppress

from hatwist.linux.lan.raw import GROUPS, HOPS, RECEIVE_BUFFER, RawPacket, Socket
from hatwist.linux.netlink.messages import Address, KernelAddress

ROOM = RECEIVE_BUFFER // 512
"""Packets that wait at a socket; what comes then is lost."""


class MemoryRawLan:
    """
    @ivar hops: what is left of each packet when it arrives.
    @ivar sent: every packet that left, in order.
    """

    def __init__(self) -> None:
        self.hosts: list[MemoryRawSockets] = []
        self.hops = HOPS
        self.sent: list[RawPacket] = []

    def host(self, *addresses: Address) -> MemoryRawSockets:
        """One more host, which has these addresses on its C{eth0}."""
        host = MemoryRawSockets(self, set(addresses))
        self.hosts.append(host)
        return host


class MemoryRawSocket:
    """One raw socket: readable, for a reactor too, while a packet waits."""

    def __init__(self, interface: str, version: int) -> None:
        self.interface, self.version = interface, version
        self.waiting: deque[RawPacket] = deque()
        self._event = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)

    def fileno(self) -> int:
        """See L{Socket}."""
        return self._event

    def getsockopt(self, level: int, option: int) -> int:
        """See L{Socket}: the size of its buffer."""
        return RECEIVE_BUFFER

    def close(self) -> None:
        """See L{Socket}."""
        event, self._event = self._event, -1
        if event >= 0:
            os.close(event)

    @property
    def closed(self) -> bool:
        return self._event < 0

    def put(self, packet: RawPacket) -> None:
        """A packet arrives."""
        if len(self.waiting) < ROOM:
            self.waiting.append(packet)
            os.eventfd_write(self._event, 1)

    def take(self) -> RawPacket:
        """@raise BlockingIOError: none is there."""
        if self.closed:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        if not self.waiting:
            with suppress(BlockingIOError):
                os.eventfd_read(self._event)
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        return self.waiting.popleft()


class MemoryRawSockets:
    """
    L{RawSockets<hatwist.linux.lan.raw.RawSockets>} of one host.

    @ivar addresses: those it has; what is shared comes and goes here.
    @ivar interfaces: their numbers, by name: one that is replaced has another.
    @ivar down: interfaces that are down: nothing leaves, and nothing arrives.
    @ivar permitted: it may open raw sockets.
    """

    def __init__(self, lan: MemoryRawLan, addresses: set[Address]) -> None:
        self.addresses = addresses
        self.interfaces = {"eth0": 2}
        self.down: set[str] = set()
        self.permitted = True
        self._lan = lan
        self._sockets: list[MemoryRawSocket] = []

    def index(self, interface: str) -> int:
        """See L{RawSockets.index<hatwist.linux.lan.raw.RawSockets.index>}."""
        try:
            return self.interfaces[interface]
        except KeyError:
            raise OSError(errno.ENODEV, os.strerror(errno.ENODEV), interface) from None

    def open(self, interface: str, version: int) -> MemoryRawSocket:
        """See L{RawSockets.open<hatwist.linux.lan.raw.RawSockets.open>}."""
        self.index(interface)
        if not self.permitted:
            raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))
        sock = MemoryRawSocket(interface, version)
        self._sockets.append(sock)
        return sock

    def send(
        self, sock: Socket, index: int, data: bytes, source: Address, destination: Address
    ) -> None:
        """See L{RawSockets.send<hatwist.linux.lan.raw.RawSockets.send>}."""
        assert isinstance(sock, MemoryRawSocket)
        if len(data) > 0xFFFF - 20:
            raise OSError(errno.EMSGSIZE, os.strerror(errno.EMSGSIZE))
        if source not in self.addresses:
            raise OSError(errno.EADDRNOTAVAIL, f"{source} is no address of this host any more")
        if self.interfaces.get(sock.interface) != index:
            raise OSError(errno.ENODEV, os.strerror(errno.ENODEV))
        if sock.interface in self.down:
            raise OSError(errno.ENETUNREACH, os.strerror(errno.ENETUNREACH))
        packet = RawPacket(data, source, self._lan.hops, destination)
        self._lan.sent.append(packet)
        for host in self._lan.hosts:
            if host is not self:
                host.arrive(packet)

    def receive(self, sock: Socket, buffer: memoryview) -> RawPacket:
        """See L{RawSockets.receive<hatwist.linux.lan.raw.RawSockets.receive>}."""
        assert isinstance(sock, MemoryRawSocket)
        return sock.take()

    def present(self) -> list[tuple[str, KernelAddress]]:
        """See L{RawSockets.present<hatwist.linux.lan.raw.RawSockets.present>}."""
        return [
            (name, KernelAddress(address, 24 if address.version == 4 else 64, index))
            for name, index in self.interfaces.items()
            for address in sorted(self.addresses, key=int)
        ]

    def arrive(self, packet: RawPacket) -> None:
        """A packet reaches the host: each of its sockets gets a copy."""
        version = packet.destination.version
        if packet.destination != GROUPS[version] and packet.destination not in self.addresses:
            return
        for sock in self._sockets:
            if not sock.closed and sock.version == version and sock.interface not in self.down:
                sock.put(packet)
