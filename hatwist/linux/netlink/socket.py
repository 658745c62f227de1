"""
A netlink socket that the reactor owns: no thread, no subprocess, 7 microseconds an address.

Two sockets: one for requests and their answers, one for events. The kernel works a message off and
queues its answer before send returns, so a batch that fits one slice is over in the turn it began. The first
operations of a turn are done at once, so that one group is moved without waiting; many groups ask together.
"""

from __future__ import annotations

import errno
import socket
from collections import deque
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from typing import Any

from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IDelayedCall, IReadDescriptor
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from hatwist.linux.interfaces import INetlink
from hatwist.linux.netlink.messages import (
    RTM_DELADDR,
    RTM_DELLINK,
    RTM_GETADDR,
    RTM_GETLINK,
    RTM_GETROUTE,
    RTM_NEWADDR,
    RTM_NEWLINK,
    RTM_NEWROUTE,
    AddressChange,
    Event,
    EventsLost,
    KernelAddress,
    KernelLink,
    KernelRoute,
    LinkChange,
    Message,
    decodeAddress,
    decodeLink,
    decodeRoute,
    split,
)
from hatwist.linux.netlink.operations import READS, Batch, Batches, Dump
from hatwist.linux.netlink.repeats import Repeats
from hatwist.linux.netlink.subscribers import About, Subscribers

BUFFER = 4 << 20
AT_ONCE = 4
"""Operations that are done as soon as they are asked for in one turn of the reactor: the steps of one release."""

# linux/netlink.h; the socket module has none of them
_SOL_NETLINK = 270
_NETLINK_CAP_ACK, _NETLINK_GET_STRICT_CHK = 10, 12
_SO_RCVBUFFORCE = 33
_RTMGRP_LINK, _RTMGRP_IPV4_IFADDR, _RTMGRP_IPV6_IFADDR = 0x1, 0x10, 0x100
_EVENT_GROUPS = _RTMGRP_LINK | _RTMGRP_IPV4_IFADDR | _RTMGRP_IPV6_IFADDR


def _open(groups: int) -> socket.socket:
    """Open a netlink socket for C{groups}, with as much room to receive as we may have."""
    opened = socket.socket(
        socket.AF_NETLINK,
        socket.SOCK_RAW | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC,
        socket.NETLINK_ROUTE,
    )
    try:
        try:
            opened.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, BUFFER)
        except OSError:  # not root of the whole machine: up to net.core.rmem_max then
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
        for option in (_NETLINK_CAP_ACK, _NETLINK_GET_STRICT_CHK):
            with suppress(OSError):  # an older kernel answers at greater length; we read that too
                opened.setsockopt(_SOL_NETLINK, option, 1)
        opened.bind((0, groups))
    except BaseException:
        opened.close()
        raise
    return opened


@implementer(IReadDescriptor)
class _Reader:
    """One socket in the reactor: it calls C{readable} when there is something to read."""

    def __init__(self, groups: int, readable: Callable[[], None], lost: Callable[[], None]) -> None:
        self.socket = _open(groups)
        self._readable = readable
        self._lost = lost

    def fileno(self) -> int:
        return self.socket.fileno()

    def logPrefix(self) -> str:
        return "netlink"

    def doRead(self) -> None:
        self._readable()

    def connectionLost(self, reason: Failure) -> None:
        self.socket.close()
        self._lost()

    def receive(self) -> bytes | None:
        """Return the kernel's next datagram, None when there is none; OSError as recv has it."""
        while True:
            try:
                data, (port, _groups) = self.socket.recvfrom(65536)
            except BlockingIOError:
                return None
            if port == 0:  # from the kernel, and not from another process
                return data


@implementer(INetlink)
class Netlink:
    """
    L{INetlink} of the network namespace it is started in.

    @param reactor: where its sockets are read.
    """

    _log = Logger()

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._requests: _Reader | None = None
        self._events: _Reader | None = None
        self._queue: deque[Batch | Dump] = deque()
        self._current: Batches | Dump | None = None
        self._soon: IDelayedCall | None = None
        self._prompt = 0
        self._working = False
        self._delivering = False
        self._sequence = 1
        self._subscribers = Subscribers()
        self._repeats = Repeats()

    def start(self) -> None:
        """Open the sockets; OSError when that is not possible. Starting twice is starting once."""
        if self._requests is not None:
            return
        events = _Reader(_EVENT_GROUPS, self._readEvents, self._disconnected)
        try:
            requests = _Reader(0, self._work, self._disconnected)
        except BaseException:
            events.socket.close()
            raise
        self._requests, self._events = requests, events
        self._reactor.addReader(requests)
        self._reactor.addReader(events)

    def _disconnected(self) -> None:
        """The reactor gave up one of the sockets, or is itself at its end: without both it is over."""
        self._log.warn("the netlink sockets are closed")
        self.stop()

    def stop(self) -> None:
        """Close the sockets; what is under way fails with OSError. It may be started again."""
        readers = (self._requests, self._events)
        self._requests = self._events = None
        if self._soon is not None:
            self._soon.cancel()
            self._soon = None
        for reader in readers:
            if reader is not None:
                self._reactor.removeReader(reader)
                reader.socket.close()
        self._fail(OSError(errno.ESHUTDOWN, "netlink is stopped"))

    def request(
        self, messages: Sequence[bytes], permitted: Callable[[], bool] = lambda: True
    ) -> Deferred[list[int]]:
        """See L{INetlink.request}."""
        done: Deferred[list[int]] = Deferred(self._cancel)
        return self._submit(Batch(messages, done, permitted), done)

    def dumpAddresses(self) -> Deferred[list[KernelAddress]]:
        """See L{INetlink.dumpAddresses}."""
        done: Deferred[list[KernelAddress]] = Deferred(self._cancel)
        return self._submit(Dump(RTM_GETADDR, RTM_NEWADDR, decodeAddress, done), done)

    def dumpLinks(self) -> Deferred[list[KernelLink]]:
        """See L{INetlink.dumpLinks}."""
        done: Deferred[list[KernelLink]] = Deferred(self._cancel)
        return self._submit(Dump(RTM_GETLINK, RTM_NEWLINK, decodeLink, done), done)

    def dumpRoutes(self) -> Deferred[list[KernelRoute]]:
        """See L{INetlink.dumpRoutes}."""
        done: Deferred[list[KernelRoute]] = Deferred(self._cancel)
        return self._submit(Dump(RTM_GETROUTE, RTM_NEWROUTE, decodeRoute, done), done)

    def subscribe(
        self, callback: Callable[[Sequence[Event]], None], about: Collection[About] | None = None
    ) -> Callable[[], None]:
        """See L{INetlink.subscribe}."""
        return self._subscribers.add(callback, about)

    def _submit(self, operation: Batch | Dump, done: Deferred[Any]) -> Deferred[Any]:
        if self._requests is None:
            return fail(OSError(errno.ESHUTDOWN, "netlink is not started"))
        self._queue.append(operation)
        if self._soon is None:
            # What else is asked for in this turn of the reactor is done together in the next one.
            self._soon = self._reactor.callLater(0, self._together)
            self._prompt = AT_ONCE
        if self._prompt:
            self._prompt -= 1
            self._work()
        return done

    def _together(self) -> None:
        self._soon = None
        self._work()

    def _cancel(self, done: Deferred[Any]) -> None:
        self._queue = deque(
            each for each in self._queue if isinstance(each, Dump) or each.done is not done
        )
        if self._current is not None:
            self._current.abandon(done)

    def _work(self) -> None:
        """Go on with the operations, one after the other, until one must wait for the reactor."""
        if self._working:
            return
        self._working = True
        try:
            going = True
            while going and self._requests is not None:
                try:
                    going = self._step(self._requests)
                except OSError as error:
                    self._log.error("the netlink socket failed: {error}", error=error)
                    self._fail(error)
        finally:
            self._working = False

    def _step(self, reader: _Reader) -> bool:
        """Finish, send the next slice, or read answers; return whether to go on in this turn."""
        if self._current is None and self._queue:
            self._current = self._next()
        operation = self._current
        if operation is None:  # late answers to what failed: nobody waits for them
            return reader.receive() is not None
        if operation.complete:
            self._finish(operation)
            return True
        if operation.idle:
            data, self._sequence = operation.next(self._sequence)
            self._sequence &= 0x7FFFFFFF
            if not data:
                return True
            reader.socket.send(data)
            if not operation.last:
                return False  # let other readers have a turn; the answers wait until the next
        for _ in range(operation.reads):
            received = reader.receive()
            if received is None:
                return False
            for message in split(received):
                operation.feed(message)
            if operation.idle:
                return True
        return False

    def _next(self) -> Batches | Dump:
        """Changes that follow each other are made together; a dump answers all who ask before the next change."""
        first = self._queue.popleft()
        if isinstance(first, Batch):
            batches = [first]
            while self._queue and isinstance(self._queue[0], Batch):
                batches.append(self._queue.popleft())  # type: ignore[arg-type]
            return Batches(batches)
        others: list[Dump] = []
        while self._queue and isinstance(self._queue[0], Dump):
            other = self._queue.popleft()
            if isinstance(other, Dump) and not first.answers(other):
                others.append(other)
        self._queue.extendleft(reversed(others))
        return first

    def _finish(self, operation: Batches | Dump) -> None:
        if isinstance(operation, Batches):
            # The kernel queues the event of a deletion before its answer: deliver in that order too.
            self._readEvents(everything=True)
        elif operation.kind == RTM_GETLINK:
            self._subscribers.learn(operation.result)
        self._current = None
        for done, result in operation.waiting:
            if done.called:
                continue  # cancelled
            if operation.failure is not None:
                done.errback(Failure(operation.failure))
            else:
                done.callback(result)

    def _fail(self, error: OSError) -> None:
        """Fail what is under way and what waits: its outcome is not known."""
        failed = [] if self._current is None else [done for done, _ in self._current.waiting]
        for operation in self._queue:
            failed += operation.asking if isinstance(operation, Dump) else [operation.done]
        self._current = None
        self._queue.clear()
        for done in failed:
            if not done.called:
                done.errback(Failure(error))

    def _readEvents(self, everything: bool = False) -> None:
        """Read the events that are there, or as many as one turn may take, and deliver them."""
        if self._events is None or self._delivering:
            return
        events: list[Event] = []
        changing = isinstance(self._current, Batches)
        try:
            for _ in range(READS * 64 if everything else READS):
                received = self._events.receive()
                if received is None:
                    break
                # What comes while changes are made is as a rule what a renewal brings.
                if not self._repeats.repeats(received) or not changing:
                    events.extend(e for m in split(received) if (e := _eventOf(m)) is not None)
        except OSError as error:
            # ENOBUFS: the kernel dropped some. Of anything else we know no more than that either.
            self._log.warn("kernel events were lost: {error}", error=error)
            events.append(EventsLost())
            self._repeats.forget()
        if events:
            self._deliver(events)

    def _deliver(self, events: Sequence[Event]) -> None:
        self._delivering = True
        try:
            self._subscribers.tell(events)
        finally:
            self._delivering = False


def _eventOf(message: Message) -> Event | None:
    if message.kind in (RTM_NEWADDR, RTM_DELADDR):
        entry = decodeAddress(message.body)
        return None if entry is None else AddressChange(message.kind == RTM_NEWADDR, entry)
    if message.kind in (RTM_NEWLINK, RTM_DELLINK):
        link = decodeLink(message.body)
        return None if link is None else LinkChange(message.kind == RTM_NEWLINK, link)
    return None
