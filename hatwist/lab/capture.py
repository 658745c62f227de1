"""Frames on a host's interface, as they come and go."""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorFDSet, IReactorTime, IReadDescriptor
from twisted.python.failure import Failure
from zope.interface import implementer

from hatwist.lab.conditions import Conditions
from hatwist.lab.lan import Host

# include/uapi/linux/if_ether.h, if_packet.h, asm-generic/socket.h
ETH_P_ALL = 0x0003
PACKET_OUTGOING = 4
SO_TIMESTAMPNS = 35
RECEIVE_BUFFER = 4 << 20


class Frame(NamedTuple):
    """
    One Ethernet frame.

    @ivar time: when the kernel saw it, as C{time.monotonic()} would have said, in seconds.
    @ivar data: all of it, from the destination address on.
    @ivar sent: the host sent it (else it received it).
    """

    time: float
    data: bytes
    sent: bool

    @property
    def kind(self) -> int:
        """The Ethernet type, such as 0x0806 for ARP."""
        return int.from_bytes(self.data[12:14])


@implementer(IReadDescriptor)
class Capture:
    """
    Collects every frame an interface of a host sends and receives, until closed.

    @ivar frames: what there was so far, in the kernel's order.
    """

    def __init__(self, host: Host, reactor: Any, interface: str = "eth0") -> None:
        assert IReactorFDSet.providedBy(reactor)
        assert IReactorTime.providedBy(reactor)
        self.frames: list[Frame] = []
        self._reactor: Any = reactor
        self._name = f"capture on {host.name}"
        self._conditions: Conditions[Frame] = Conditions(reactor)
        self._socket = host.socket(socket.AF_PACKET, socket.SOCK_RAW)
        self._socket.setblocking(False)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        self._socket.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        with host.namespace.entered():
            self._socket.bind((interface, ETH_P_ALL))
        reactor.addReader(self)

    def fileno(self) -> int:
        return self._socket.fileno()

    def logPrefix(self) -> str:
        return self._name

    def doRead(self) -> None:
        """Take what is queued."""
        for frame in self._drain():
            self._conditions.look(frame)

    def _drain(self) -> list[Frame]:
        fresh = []
        # The kernel stamps by the wall clock.
        offset = time.time() - time.monotonic()
        while True:
            try:
                data, ancillary, _flags, origin = self._socket.recvmsg(65536, 64)
            except OSError:  # nothing more, or the interface is down
                break
            seconds, nanoseconds = struct.unpack_from("=qq", ancillary[0][2])
            at = seconds + nanoseconds / 1e9 - offset
            fresh.append(Frame(at, data, origin[2] == PACKET_OUTGOING))
        self.frames += fresh
        return fresh

    def until(
        self, condition: Callable[[Frame], object], what: str, timeout: float = 10.0
    ) -> Deferred[Frame]:
        """Fires with the first frame, seen already or yet to come, of which the condition is true."""
        self._drain()
        done: Deferred[Frame] = Deferred()
        for frame in self.frames:
            if condition(frame):
                done.callback(frame)
                return done
        late = f"{self._name}: not seen within {timeout} s: {what}"
        return self._conditions.until(condition, timeout, lambda: late)

    def connectionLost(self, reason: Failure) -> None:
        self.close()

    def close(self) -> list[Frame]:
        """Stop, and return every frame there was."""
        if self._socket.fileno() >= 0:
            self._drain()
            self._reactor.removeReader(self)
            self._socket.close()
        return self.frames
