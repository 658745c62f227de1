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
from typing import Any

from twisted.internet.interfaces import IReadDescriptor
from twisted.logger import Logger, LogLevel
from twisted.python.failure import Failure
from zope.interface import implementer

from hatwist.core.errors import EXPECTED, FOREIGN, BadPacket
from hatwist.core.packet import Dropped, Outgoing, Packet
from hatwist.linux.interfaces import Farewell
from hatwist.linux.lan.raw import Socket
from hatwist.linux.netlink.messages import Address
from hatwist.runtime.ways import Target, Way

MAX_DATAGRAM = 65_535
TURN = 50
"""Datagrams read in one turn of the reactor: half a millisecond, were they all bad."""
_LEAST_ROOM = 512
"""Bytes of the receive buffer that the smallest datagram takes (struct sk_buff and its data)."""

Receiver = Callable[[Packet], None]


@implementer(IReadDescriptor)
class Link:
    """
    Counts, logs and survives what goes wrong.

    An error in sending is logged and counted, and never reaches the caller. An interface that
    goes and comes back is taken up again.

    @param changed: called with the link when L{failing} is another.
    @ivar way: to whom it sends, and from whom it receives.
    @ivar name: that of the way; no two links of one node have the same.
    @ivar bad: how many datagrams were dropped, by reason.
    @ivar dropped: the newest of them, by reason.
    @ivar beats: how many datagrams were sent to all that they were for.
    @ivar unsent: how many could not be sent, by the name of the error.
    """

    _log = Logger()

    def __init__(
        self, reactor: Any, way: Way, changed: Callable[[Link], None] = lambda link: None
    ) -> None:
        self.way = way
        self.name = way.name
        self.bad: Counter[str] = Counter()
        self.dropped: dict[str, Dropped] = {}
        self.beats = self.bytes = 0
        self.unsent: Counter[str] = Counter()
        self._reactor = reactor
        self._socket: Socket | None = None
        self._index = 0
        self._queue = TURN
        self._failing = ""
        self._unreached: Address | None = None  # for whom the last that failed was
        self._changed = changed
        self._latest: bytes | None = None
        self._buffer = memoryview(bytearray(MAX_DATAGRAM))
        self._receivers: list[Receiver] = []

    def open(self, receiver: Receiver) -> None:
        """
        Begin to receive: C{receiver(packet)} raises L{BadPacket} for what it cannot use.

        One that is open gets a further receiver, of another protocol by the same socket; each packet is for the first
        that does not say it is of another protocol (L{FOREIGN}).

        @raise OSError: the interface is missing, or the socket is not permitted.
        """
        if not self._receivers:
            self._open()
        self._receivers.append(receiver)

    def _open(self) -> None:
        sock = self.way.open()
        try:
            self._index = self.way.index()
            room = sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
        except BaseException:
            sock.close()
            raise
        self._queue = max(TURN, room // _LEAST_ROOM)
        self._socket = sock
        self._reactor.addReader(self)

    @property
    def failing(self) -> str:
        """The name of the error that the last heartbeat met, such as C{"ENETUNREACH"}; C{""}: it was sent."""
        return self._failing

    def close(self) -> None:
        """Receive and send nothing any more, until it is opened again."""
        self._receivers = []
        self._shut()

    def renew(self) -> None:
        """
        Its interface has changed: where it is another one of the same name, or came back, take it up.

        Whoever only listens would not notice, and hear nothing any more. That it failed to send is forgotten.
        """
        if not self._receivers:
            return
        if self._socket is not None and self._replaced():
            self._shut()
        if self._socket is None and not self._reopen():
            return
        self._fails("")

    def _shut(self) -> None:
        if self._socket is not None:
            self._reactor.removeReader(self)
            sock, self._socket = self._socket, None
            sock.close()

    def _fails(self, name: str) -> None:
        if self._failing != name:
            self._failing = name
            self._changed(self)

    def drain(self) -> None:
        """
        Read all that has arrived, now: a deadline is believed only after that.

        At most what the buffer could hold, so that it ends while more arrives.
        """
        self._read(self._queue)

    def send(
        self, datagram: bytes, source: Address | None = None, destination: Address | None = None
    ) -> None:
        """
        Send to everybody on the link, or to a destination. Failing is an event for the log, and no error.

        @param source: see L{Outgoing}.
        """
        if not self._receivers:
            return  # it is closed
        if not self.way.lasts():
            self._shut()  # and open it again below, as the host's addresses are now
        if self._socket is None and not self._reopen():
            return
        self._latest = datagram
        packet = Outgoing(datagram, None, "", source, destination)
        error: OSError | None = None
        for target in self.way.targets(self._index, destination):
            try:
                self.way.send(self._socket, self._index, packet, target)
            except ConnectionRefusedError:  # an earlier one was: nobody listens there
                pass
            except OSError as e:
                error = e
                self._failed(e)
                self._unreached = destination
        if error is None:
            self.beats += 1
            self.bytes += len(datagram)
            if self._failing and destination == self._unreached:  # others may be reached all along
                self._log.info("Heartbeats on {link} are sent again", link=self.name)
                self._fails("")
        elif self._replaced():
            self._shut()  # the next heartbeat opens it again

    def farewells(
        self, datagram: bytes, source: Address | None = None, destination: Address | None = None
    ) -> list[Farewell]:
        """Where the guard sends a datagram that says for this node what it cannot say itself any more."""
        packet = Outgoing(datagram, None, "", source, destination)
        targets = self.way.targets(self._index, destination) if self._index else ()
        found = [self.way.farewell(self._index, packet, target) for target in targets]
        return [farewell for farewell in found if farewell is not None]

    def received(self, packet: Packet, addr: Target) -> None:
        """A packet has arrived."""
        try:
            # Where a datagram itself tells its sender, the same bytes are our own; checking their signature would take
            # longer. Of VRRP two routers may send the same.
            if packet.data == self._latest and packet.source is None:
                raise BadPacket("reflected")
            if not self.way.admits(addr):
                raise BadPacket("foreign-source")
            self._hand(packet)
        except BadPacket as e:
            self._count(e, addr)
        except Exception:
            self._log.failure("A packet from {source} could not be handled", source=addr[0])

    def _hand(self, packet: Packet) -> None:
        """@raise BadPacket: nobody can use it."""
        *others, last = self._receivers
        for receiver in others:
            try:
                receiver(packet)
                return
            except BadPacket as e:
                if e.reason not in FOREIGN:
                    raise
        last(packet)

    # The reactor's

    def fileno(self) -> int:
        return self._socket.fileno() if self._socket is not None else -1

    def logPrefix(self) -> str:
        return self.name

    def doRead(self) -> None:
        """Read what is there, a bounded number of datagrams in one turn."""
        self._read(TURN)

    def connectionLost(self, reason: Failure) -> None:
        """The reactor has given up the socket, of its own accord too: at its end."""
        self._shut()

    def _read(self, most: int) -> None:
        """Read what is there, at most so many datagrams."""
        sock = self._socket
        if sock is None:
            return
        receive, buffer = self.way.receive, self._buffer
        for _ in range(most):
            try:
                packet, addr = receive(sock, buffer)
            except (BlockingIOError, InterruptedError):
                return
            except OSError as e:
                # The kernel tells an error of an earlier sending here, once; datagrams may be waiting behind it.
                self._log.debug("Reading from {link}: {error}", link=self.name, error=str(e))
                continue
            self.received(packet, addr)
            if self._socket is not sock:
                return

    def _count(self, bad: BadPacket, addr: Any) -> None:
        self.bad[bad.reason] += 1
        self.dropped[bad.reason] = Dropped(self._reactor.seconds(), str(addr[0]))
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
            self._fails(name)
            # Without its address a node goes on holding, and nobody hears of it.
            lost = error.errno == errno.EADDRNOTAVAIL
            self._log.emit(
                LogLevel.critical if lost else LogLevel.warn,
                "Heartbeats on {link} cannot be sent: {error}",
                link=self.name,
                error=error.strerror if lost else os.strerror(error.errno or 0),
            )

    def _replaced(self) -> bool:
        """The interface is not the one that the socket is bound to."""
        try:
            return self.way.index() != self._index
        except OSError:
            return True

    def _reopen(self) -> bool:
        try:
            self._open()
        except OSError as e:
            self._failed(e)
            return False
        return True
