"""
A link: a socket on one of the L{ways<hatwist.runtime.ways>} heartbeats travel.

The socket is handed to the reactor. What is read in one of the reactor's turns is bounded, so that whoever floods
a link does not keep the timers waiting.
"""

from __future__ import annotations

import errno
import os
import socket
from collections import Counter
from collections.abc import Callable
from ipaddress import ip_address
from typing import Any

from twisted.internet.protocol import DatagramProtocol
from twisted.logger import Logger

from hatwist.core.errors import EXPECTED, BadPacket
from hatwist.core.packet import Dropped, Packet
from hatwist.linux.interfaces import Farewell
from hatwist.linux.lan import udp
from hatwist.runtime.ways import Way

MAX_DATAGRAM = 65_535
TURN = 50
"""Datagrams read in one turn of the reactor: half a millisecond, were they all bad."""
_LEAST_ROOM = 512
"""Bytes of the receive buffer that the smallest datagram takes (struct sk_buff and its data)."""

Receiver = Callable[[Packet], None]


class Link(DatagramProtocol):
    """
    Counts, logs and survives what goes wrong.

    An error in sending is logged and counted, and never reaches the caller. An interface that
    goes and comes back is taken up again.

    @ivar way: to whom it sends, and from whom it receives.
    @ivar name: that of the way; no two links of one node have the same.
    @ivar bad: how many datagrams were dropped, by reason.
    @ivar dropped: the newest of them, by reason.
    @ivar beats: how many heartbeats were sent to everybody on the link.
    @ivar unsent: how many could not be sent, by the name of the error.
    """

    _log = Logger()
    noisy = False

    def __init__(self, reactor: Any, way: Way) -> None:
        self.way = way
        self.name = way.name
        self.bad: Counter[str] = Counter()
        self.dropped: dict[str, Dropped] = {}
        self.beats = self.bytes = 0
        self.unsent: Counter[str] = Counter()
        self._reactor = reactor
        self._port: Any = None
        self._index = 0
        self._queue = TURN
        self._failing = ""
        self._latest: bytes | None = None
        self._buffer = memoryview(bytearray(MAX_DATAGRAM))
        self._receiver: Receiver = lambda packet: None

    def open(self, receiver: Receiver) -> None:
        """
        Begin to receive: C{receiver(packet)} raises L{BadPacket} for what it cannot use.

        @raise OSError: the interface is missing, or the socket is not permitted.
        """
        self._receiver = receiver
        with self.way.open() as sock:
            self._index = udp.indexOf(self.way.interface)
            room = sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
            self._queue = max(TURN, room // _LEAST_ROOM)
            family = self.way.family
            port = self._reactor.adoptDatagramPort(sock.fileno(), family, self, MAX_DATAGRAM)
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
        if not self.way.lasts():
            self.close()  # and open it again below, as the host's addresses are now
        if self._port is None and not self._reopen():
            return
        self._latest = datagram
        error: OSError | None = None
        # Port.write asks of each target whether it is an address: all of them are.
        sendto = self._port.socket.sendto
        for target in self.way.targets(self._index):
            try:
                sendto(datagram, target)
            except ConnectionRefusedError:  # an earlier one was, see connectionRefused
                pass
            except OSError as e:
                error = e
                self._failed(e)
        if error is None:
            self.beats += 1
            self.bytes += len(datagram)
            if self._failing:
                self._log.info("Heartbeats on {link} are sent again", link=self.name)
                self._failing = ""
        elif self._replaced():
            self.close()  # the next heartbeat opens it again

    def farewells(self, datagram: bytes) -> list[Farewell]:
        """Where the guard sends a datagram that says for this node what it cannot say itself any more."""
        return [
            Farewell(self._index, ip_address(target[0]), target[1], datagram)
            for target in self.way.targets(self._index)
            if self._index
        ]

    def datagramReceived(self, datagram: bytes, addr: Any) -> None:
        try:
            packet = self.way.packet(datagram, addr)
            if (
                packet.data == self._latest
            ):  # our own broadcast; checking its signature would take longer
                raise BadPacket("reflected")
            if not self.way.admits(addr):
                raise BadPacket("foreign-source")
            self._receiver(packet)
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
                # The kernel tells an error of an earlier sending here, once; datagrams may be waiting behind it.
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
            return udp.indexOf(self.way.interface) != self._index
        except OSError:
            return True

    def _reopen(self) -> bool:
        try:
            self.open(self._receiver)
        except OSError as e:
            self._failed(e)
            return False
        return True
