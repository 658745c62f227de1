"""A packet socket in the reactor: whole frames of one Ethernet type, out and in."""

from __future__ import annotations

import errno
import socket
import struct
from array import array
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from ipaddress import IPv4Address
from typing import NamedTuple

from twisted.internet.interfaces import IReactorFDSet, IReadDescriptor
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

ETH_P_ARP = 0x0806
ETH_P_IPV6 = 0x86DD
RECEIVE_BUFFER = 1 << 19
"""Bytes; the default holds 256 frames."""
READS = 64
"""Frames read in one turn of the reactor."""

# linux/if_packet.h, asm-generic/socket.h; the socket module has none of them
_SOL_PACKET, _PACKET_IGNORE_OUTGOING = 263, 23
_SO_ATTACH_FILTER = 26

# Classic BPF (linux/bpf_common.h): load a byte or a word, jump if equal, jump if greater, return
_LDB, _LDW, _JEQ, _JGT, _RET = 0x30, 0x20, 0x15, 0x25, 0x06
_SENDERS = 500
"""Addresses that one filter can tell: the kernel has 20 kB for it, where it was given no more (net.core.optmem_max)."""
_PACKET_TYPE = 0xFFFFF000 + 4  # SKF_AD_OFF + SKF_AD_PKTTYPE (linux/filter.h)
_PACKET_MULTICAST = 2  # the greatest of those for us: to this host, broadcast, multicast
_WHOLE = 0x40000


class Instruction(NamedTuple):
    """One struct sock_filter: what to do, how far to jump if true and if false, operand."""

    code: int
    true: int
    false: int
    k: int


ARP_FILTER: tuple[Instruction, ...] = (
    Instruction(_LDB, 0, 0, _PACKET_TYPE),
    Instruction(_JGT, 1, 0, _PACKET_MULTICAST),
    Instruction(_RET, 0, 0, _WHOLE),
    Instruction(_RET, 0, 0, 0),
)
"""ARP that is meant for this host."""


def arpFilter(senders: Collection[IPv4Address]) -> tuple[Instruction, ...]:
    """ARP that is meant for this host, from one of these addresses; from any, where these are too many for a filter."""
    if len(senders) > _SENDERS:
        return ARP_FILTER
    program = [
        Instruction(_LDB, 0, 0, _PACKET_TYPE),
        Instruction(_JGT, 0, 1, _PACKET_MULTICAST),
        Instruction(_RET, 0, 0, 0),
        Instruction(_LDW, 0, 0, 28),
    ]
    for address in senders:
        program += [Instruction(_JEQ, 0, 1, int(address)), Instruction(_RET, 0, 0, _WHOLE)]
    program.append(Instruction(_RET, 0, 0, 0))
    return tuple(program)


NEIGHBOUR_FILTER: tuple[Instruction, ...] = (
    Instruction(_LDB, 0, 0, _PACKET_TYPE),
    Instruction(_JGT, 6, 0, _PACKET_MULTICAST),
    Instruction(_LDB, 0, 0, 20),  # next header
    Instruction(_JEQ, 0, 4, 58),  # ICMPv6
    Instruction(_LDB, 0, 0, 54),  # its type
    Instruction(_JEQ, 1, 0, 135),  # neighbour solicitation
    Instruction(_JEQ, 0, 1, 136),  # neighbour advertisement
    Instruction(_RET, 0, 0, _WHOLE),
    Instruction(_RET, 0, 0, 0),
)
"""IPv6 neighbour discovery, without router advertisements, that is meant for this host."""


def attach(sock: socket.socket, instructions: Sequence[Instruction]) -> None:
    """Let the kernel drop every frame for which C{instructions} return 0 (SO_ATTACH_FILTER)."""
    packed = b"".join(struct.pack("=HBBI", *instruction) for instruction in instructions)
    held = array("B", packed)
    # struct sock_fprog: a count, and where they are
    program = struct.pack("@HP", len(instructions), held.buffer_info()[0])
    sock.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, program)


def _open(interface: str, ethertype: int, instructions: Sequence[Instruction]) -> socket.socket:
    # Protocol 0 first: nothing may come in before the filter is there.
    sock = socket.socket(
        socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC, 0
    )
    try:
        attach(sock, instructions)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        with suppress(OSError):  # Linux 4.20; the filter drops them too
            sock.setsockopt(_SOL_PACKET, _PACKET_IGNORE_OUTGOING, 1)
        sock.bind((interface, ethertype))
    except BaseException:
        sock.close()
        raise
    return sock


@implementer(IReadDescriptor)
class PacketPort:
    """
    One packet socket (packet(7)) on one interface; needs CAP_NET_RAW.

    @param received: called with each frame that passes the filter; our own never do.
    @ivar errors: how many frames could not be sent.
    @ivar mac: the interface's MAC when the socket was opened; empty while it is not open.
    """

    _log = Logger()

    def __init__(
        self,
        reactor: IReactorFDSet,
        interface: str,
        ethertype: int,
        instructions: Sequence[Instruction],
        received: Callable[[bytes], None],
    ) -> None:
        self.interface = interface
        self.errors = 0
        self.mac = b""
        self._reactor = reactor
        self._ethertype = ethertype
        self._instructions = instructions
        self._received = received
        self._socket: socket.socket | None = None
        self._failing = 0

    @property
    def isOpen(self) -> bool:
        return self._socket is not None

    def open(self) -> None:
        """
        Begin to receive. Opening twice is opening once.

        @raise OSError: no such interface, or not permitted.
        """
        if self._socket is None:
            self._socket = _open(self.interface, self._ethertype, self._instructions)
            self.mac = self._socket.getsockname()[4]
            self._reactor.addReader(self)

    def filter(self, instructions: Sequence[Instruction]) -> None:
        """
        Receive what passes this one from now on.

        @raise OSError: the kernel has no room for it; what was before stays.
        """
        if self._socket is not None:
            attach(self._socket, instructions)
        self._instructions = instructions

    def close(self) -> None:
        """
        Give the socket back.

        The kernel waits for all its processors here (up to tens of ms): not for a failover.
        """
        sock, self._socket = self._socket, None
        self.mac = b""
        if sock is not None:
            self._reactor.removeReader(self)
            sock.close()

    def send(self, frame: bytes) -> bool:
        """Send C{frame}, or count the error; opens the socket if need be. Never raises, never blocks."""
        try:
            self.open()
            assert self._socket is not None
            self._socket.send(frame)
        except OSError as error:
            self._failed(error)
            return False
        self._failing = 0
        return True

    def _failed(self, error: OSError) -> None:
        self.errors += 1
        if self._failing != error.errno:
            self._failing = error.errno or 0
            self._log.warn(
                "Frames cannot be sent on {interface}: {error}",
                interface=self.interface,
                error=error.strerror,
            )
        if error.errno in (errno.ENXIO, errno.ENODEV):
            self.close()  # the interface is gone; there may be another

    # The reactor's

    def fileno(self) -> int:
        return self._socket.fileno() if self._socket is not None else -1

    def logPrefix(self) -> str:
        return f"frames on {self.interface}"

    def doRead(self) -> None:
        """Read what is there, a bounded number of frames in one turn."""
        for _ in range(READS):
            if self._socket is None:
                return
            try:
                frame = self._socket.recv(2048)
            except BlockingIOError:
                return
            except OSError:  # the interface went down: told once
                continue
            try:
                self._received(frame)
            except Exception:
                self._log.failure("A frame on {interface} failed", interface=self.interface)

    def connectionLost(self, reason: Failure) -> None:
        self.close()
