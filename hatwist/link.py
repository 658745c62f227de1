"""
A link: one way heartbeats travel. Here, IPv4 multicast on one network interface.

The socket is made and set up here, since Twisted's own multicast transport cannot choose all of this; it
is then handed to the reactor.
"""

from __future__ import annotations

import errno
import fcntl
import os
import socket
from collections import Counter
from collections.abc import Callable
from ipaddress import IPv4Address
from struct import pack
from typing import Any, NamedTuple

from twisted.internet.error import MessageLengthError
from twisted.internet.protocol import DatagramProtocol
from twisted.logger import Logger

from hatwist.errors import BadPacket

MAX_DATAGRAM = 65_535
RECEIVE_BUFFER = 1 << 20
"""Bytes; the kernel may grant less. A flood must not push the peers' heartbeats out."""
IP_MULTICAST_ALL = 49
"""linux/in.h; Python's socket module does not have it."""
SIOCGIFADDR = 0x8915
GONE = (errno.ENODEV, errno.ENXIO, errno.EADDRNOTAVAIL)


class MulticastGroup(NamedTuple):
    """Where heartbeats are sent to: an IPv4 multicast group and a UDP port."""

    address: IPv4Address
    port: int

    def __str__(self) -> str:
        return f"{self.address}:{self.port}"


def openMulticast(interface: str, group: MulticastGroup, loop: bool = False) -> socket.socket:
    """
    A socket that sends to and receives from a group on one interface only, with TTL 1 (see ip(7)).

    @param loop: packets also reach other sockets of this host.
    @raise OSError: no such interface, or not permitted.
    """
    index = socket.if_nametoindex(interface)
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.encode() + b"\0")
        sock.setsockopt(socket.IPPROTO_IP, IP_MULTICAST_ALL, 0)
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 1)
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_LOOP, int(loop))
        # struct ip_mreqn: group, local address, interface index
        member = pack("!4s4s", group.address.packed, bytes(4)) + pack("=i", index)
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, member)
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, member)
        sock.bind((str(group.address), group.port))
    except OSError:
        sock.close()
        raise
    return sock


class MulticastLink(DatagramProtocol):
    """
    Heartbeats by multicast on one interface.

    An error in sending is logged and counted, and never reaches the caller. An interface that
    goes and comes back is joined again.

    @ivar name: the interface's name.
    @ivar bad: how many datagrams were dropped, by reason.
    @ivar unsent: how many could not be sent, by the name of the error.
    """

    _log = Logger()
    noisy = False

    def __init__(
        self, reactor: Any, interface: str, group: MulticastGroup, loop: bool = False
    ) -> None:
        self.name = interface
        self.bad: Counter[str] = Counter()
        self.unsent: Counter[str] = Counter()
        self._reactor = reactor
        self._group = group
        self._loop = loop
        self._port: Any = None
        self._index = 0
        self._failing = ""
        self._receiver: Callable[[bytes, str], None] = lambda data, link: None

    def open(self, receiver: Callable[[bytes, str], None]) -> None:
        """
        Begin to receive: C{receiver(datagram, name)} raises L{BadPacket} for what it cannot use.

        @raise OSError: the interface is missing, or the socket is not permitted.
        """
        self._receiver = receiver
        sock = openMulticast(self.name, self._group, self._loop)
        with sock:
            self._index = socket.if_nametoindex(self.name)
            self._port = self._reactor.adoptDatagramPort(
                sock.fileno(), socket.AF_INET, self, MAX_DATAGRAM
            )

    def close(self) -> None:
        port, self._port = self._port, None
        if port is not None:
            port.stopListening()
            # The port itself does that in the reactor's next turn; until then nothing could be opened.
            self.transport = None

    def drain(self) -> None:
        """Read what has arrived, now: a deadline is believed only after that."""
        if self._port is not None:
            self._port.doRead()

    def send(self, datagram: bytes) -> None:
        """Send to the group. Failing is an event for the log, and no error."""
        if self._port is None and not self._reopen():
            return
        try:
            self._port.write(datagram, (str(self._group.address), self._group.port))
        except MessageLengthError:
            self._failed(OSError(errno.EMSGSIZE, ""))
        except OSError as e:
            self._failed(e)
            if e.errno in GONE and self._replaced():
                self.close()
        else:
            if self._failing:
                self._log.info("Heartbeats on {link} are sent again", link=self.name)
                self._failing = ""

    def datagramReceived(self, datagram: bytes, addr: Any) -> None:
        try:
            self._receiver(datagram, self.name)
        except BadPacket as e:
            self.bad[e.reason] += 1
            count = self.bad[e.reason]
            if count == 10 ** (len(str(count)) - 1) and e.reason != "reflected":
                self._log.warn(
                    "Dropped a packet from {source} on {link}: {reason} ({count} so far)",
                    source=addr[0],
                    link=self.name,
                    reason=str(e),
                    count=count,
                )
        except Exception:
            self._log.failure("A packet from {source} could not be handled", source=addr[0])

    def connectionRefused(self) -> None:
        """Nobody listens at a peer's port; its silence is judged elsewhere."""

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
        """The interface is not the one that was joined."""
        try:
            return socket.if_nametoindex(self.name) != self._index
        except OSError:
            return True

    def _reopen(self) -> bool:
        try:
            self.open(self._receiver)
        except OSError as e:
            self._failed(e)
            return False
        return True


def interfaceAddress(interface: str) -> IPv4Address | None:
    """The first IPv4 address of an interface (SIOCGIFADDR, netdevice(7)), or C{None}."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        try:
            answer = fcntl.ioctl(sock, SIOCGIFADDR, pack("16s16x8x", interface.encode()))
        except OSError:
            return None
    return IPv4Address(answer[20:24])
