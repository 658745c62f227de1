"""ICMP echo requests to one host, and their answers, matched one by one (RFC 792, RFC 4443)."""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Callable
from contextlib import suppress

from twisted.internet.interfaces import IReactorFDSet, IReadDescriptor
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from hatwist.linux.netlink.messages import Address

_HEADER = struct.Struct("!BBHHH")  # type, code, checksum, identifier, sequence number
_REQUEST, _REPLY = {4: 8, 6: 128}, {4: 0, 6: 129}
_TOKEN_SIZE = 16
_SOL_RAW, _ICMP_FILTER, _ICMP6_FILTER = 255, 1, 1
READS = 16
"""Packets read in one turn of the reactor."""


@implementer(IReadDescriptor)
class Echo:
    """
    A connected ICMP socket: what comes from anybody else does not reach us.

    An answer counts if it carries the token, which nobody knows who does not see our requests, and
    a sequence number that we gave away.

    @param answered: called with the sequence number of each answer.
    @ivar errors: how many requests could not be sent.
    """

    _log = Logger()

    def __init__(
        self,
        reactor: IReactorFDSet,
        address: Address,
        interface: str | None,
        answered: Callable[[int], None],
    ) -> None:
        self.errors = 0
        self._reactor = reactor
        self._address = address
        self._interface = interface
        self._answered = answered
        self._token = os.urandom(_TOKEN_SIZE)
        self._identifier = int.from_bytes(os.urandom(2), "big")
        self._socket: socket.socket | None = None
        self._raw = False
        self._failing = 0

    def open(self) -> None:
        """
        Begin. Opening twice is opening once.

        @raise OSError: not permitted, no such interface, or no route.
        """
        if self._socket is None:
            self._socket = self._connected()
            self._reactor.addReader(self)

    def _connected(self) -> socket.socket:
        version = self._address.version
        family = socket.AF_INET if version == 4 else socket.AF_INET6
        protocol = socket.IPPROTO_ICMP if version == 4 else socket.IPPROTO_ICMPV6
        flags = socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
        try:
            # Where net.ipv4.ping_group_range allows it, the kernel sorts the answers for us.
            sock = socket.socket(family, socket.SOCK_DGRAM | flags, protocol)
            self._raw = False
        except PermissionError:
            sock = socket.socket(family, socket.SOCK_RAW | flags, protocol)
            self._raw = True
        try:
            if self._raw:
                self._onlyReplies(sock, version)
            scope = 0
            if self._interface is not None:
                device = self._interface.encode() + b"\0"
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device)
                if self._address.is_link_local:
                    scope = socket.if_nametoindex(self._interface)
            name = str(self._address)
            sock.connect((name, 0) if version == 4 else (name, 0, 0, scope))
        except BaseException:
            sock.close()
            raise
        return sock

    @staticmethod
    def _onlyReplies(sock: socket.socket, version: int) -> None:
        """Let no other message of the host's ICMP traffic wake us up."""
        if version == 4:
            block = struct.pack("=I", 0xFFFFFFFF & ~(1 << _REPLY[4]))
            sock.setsockopt(_SOL_RAW, _ICMP_FILTER, block)
        else:
            words = [0xFFFFFFFF] * 8
            words[_REPLY[6] >> 5] &= ~(1 << (_REPLY[6] & 31))
            sock.setsockopt(socket.IPPROTO_ICMPV6, _ICMP6_FILTER, struct.pack("=8I", *words))

    def send(self, sequence: int) -> bool:
        """Send one request, or count the error; opens the socket if need be. Never raises."""
        version = self._address.version
        body = self._token + struct.pack("!Q", sequence)
        header = _HEADER.pack(_REQUEST[version], 0, 0, self._identifier, sequence & 0xFFFF)
        packet = header + body
        # The kernel computes it otherwise: of IPv6 for the pseudo-header, of ping sockets always.
        total = (0xFFFF - int.from_bytes(packet, "big") % 0xFFFF) or 0xFFFF
        packet = packet[:2] + total.to_bytes(2, "big") + packet[4:]
        try:
            self.open()
            assert self._socket is not None
            self._socket.send(packet)
        except OSError as error:
            self.errors += 1
            if self._failing != error.errno:
                self._failing = error.errno or 0
                self._log.warn(
                    "Echo requests to {address} cannot be sent: {error}",
                    address=str(self._address),
                    error=error.strerror,
                )
            self.close()  # another route, another interface of that name: a new socket finds out
            return False
        self._failing = 0
        return True

    def close(self) -> None:
        """Give the socket back."""
        sock, self._socket = self._socket, None
        if sock is not None:
            self._reactor.removeReader(self)
            sock.close()

    # The reactor's

    def fileno(self) -> int:
        return self._socket.fileno() if self._socket is not None else -1

    def logPrefix(self) -> str:
        return f"echo {self._address}"

    def doRead(self) -> None:
        """Read what is there, a bounded number of packets in one turn."""
        for _ in range(READS):
            if self._socket is None:
                return
            try:
                packet = self._socket.recv(2048)
            except BlockingIOError:
                return
            except OSError:  # "unreachable", told once: no answer is what it comes to
                continue
            sequence = self._sequence(packet)
            if sequence is not None:
                self._answered(sequence)

    def _sequence(self, packet: bytes) -> int | None:
        version = self._address.version
        if version == 4 and self._raw and packet:
            packet = packet[4 * (packet[0] & 15) :]  # behind the IP header
        with suppress(struct.error):
            kind, code, _, identifier, number = _HEADER.unpack_from(packet)
            token, rest = packet[8 : 8 + _TOKEN_SIZE], packet[8 + _TOKEN_SIZE :]
            (sequence,) = struct.unpack("!Q", rest)
            ours = not self._raw or identifier == self._identifier
            if ours and (kind, code, token) == (_REPLY[version], 0, self._token):
                if number == sequence & 0xFFFF:
                    return int(sequence)
        return None

    def connectionLost(self, reason: Failure) -> None:
        self.close()
