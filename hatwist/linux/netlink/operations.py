"""What is under way on a netlink socket: a batch of changes or a dump, fed with what is received."""

from __future__ import annotations

import errno
import os
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.defer import Deferred

from hatwist.linux.netlink.messages import (
    NLM_F_DUMP_INTR,
    NLMSG_DONE,
    NLMSG_ERROR,
    RTM_SETLINK,
    Message,
    encodeDump,
    errnoOf,
    kindOf,
    numbered,
    numberedAll,
)

# A default receive buffer holds 256 answers or events, so fewer are ever outstanding: a slice is
# sent, and its answers read, before the next. A hundred additions are 2 ms for the kernel.
SLICE = 100
# Datagrams read in one turn of the reactor, about 2 ms of work; the rest waits for the next turn.
READS = 128
DUMP_READS = 2  # of up to 32 kB, or 400 addresses, each


class Batch:
    """
    Changes that were asked for in one call.

    @param permitted: asked last, each time before any of them is sent.
    @ivar result: an errno for each.
    """

    def __init__(
        self,
        messages: Sequence[bytes],
        done: Deferred[Any],
        permitted: Callable[[], bool] = lambda: True,
    ) -> None:
        self.done = done
        self.permitted = permitted
        self._messages = messages
        self._sent = 0
        self.result = [0] * len(messages)

    @property
    def last(self) -> bool:
        """Whether nothing is left to send."""
        return self._sent >= len(self._messages)

    def abandon(self) -> None:
        """Send no more; what was sent is still answered, and what was not has ECANCELED."""
        self.result[self._sent :] = [errno.ECANCELED] * (len(self.result) - self._sent)
        self._messages = self._messages[: self._sent]

    def next(self, most: int) -> list[tuple[int, bytes]]:
        """The next messages, so many at most, with the position of each."""
        first = self._sent
        part = self._messages[first : first + most]
        self._sent += len(part)
        return list(enumerate(part, first))


class Batches:
    """
    Batches under way together: sent in slices in their order.

    The kernel answers each message that it refuses, by its sequence number, and the last one of a slice in any case.

    What several batches of a slice tell an interface alike, with nothing told to any interface between, is sent once:
    the kernel would tell everybody who listens of each of them.
    """

    reads = READS
    failure: OSError | None = None

    def __init__(self, batches: Sequence[Batch]) -> None:
        self.batches = batches
        self._unsent = deque(batches)
        self._waiting: dict[int, list[tuple[Batch, int]]] = {}
        self._final = 0  # the number of the last message that was sent

    @property
    def idle(self) -> bool:
        """Whether no answer is outstanding."""
        return not self._waiting

    @property
    def last(self) -> bool:
        """Whether nothing is left to send."""
        while self._unsent and self._unsent[0].last:
            self._unsent.popleft()
        return not self._unsent

    @property
    def complete(self) -> bool:
        return self.idle and self.last

    @property
    def waiting(self) -> list[tuple[Deferred[Any], list[Any]]]:
        """Who waits, and for which result."""
        return [(batch.done, batch.result) for batch in self.batches]

    def next(self, sequence: int) -> tuple[bytes, int]:
        """Return the next slice, numbered from C{sequence}, and the first number after it; empty: none is permitted."""
        part: list[bytes] = []
        told, answered = b"", 0
        while len(part) < SLICE and not self.last:
            batch = self._unsent[0]
            if not batch.permitted():
                batch.abandon()
                continue
            for position, message in batch.next(SLICE - len(part)):
                if message == told:
                    self._waiting[answered].append((batch, position))
                    continue
                number = sequence + len(part)
                self._waiting[number] = [(batch, position)]
                part.append(message)
                if kindOf(message) == RTM_SETLINK:
                    told, answered = message, number
        self._final = sequence + len(part) - 1
        return numberedAll(part, sequence), sequence + len(part)

    def feed(self, message: Message) -> None:
        if message.kind != NLMSG_ERROR:
            return
        for batch, position in self._waiting.pop(message.sequence, ()):
            batch.result[position] = errnoOf(message.body)
        if message.sequence == self._final:
            # The kernel works them off in their order: what it has not refused by now is done.
            self._waiting.clear()

    def abandon(self, done: Deferred[Any]) -> None:
        """Who waits by C{done} does not want any more to be sent."""
        for batch in self.batches:
            if batch.done is done:
                batch.abandon()


class Dump:
    """A dump under way; begun anew when the kernel says that something changed meanwhile."""

    reads = DUMP_READS
    last = True

    def __init__(
        self, kind: int, item: int, decode: Callable[[bytes], Any], done: Deferred[Any]
    ) -> None:
        self.kind = kind
        self.asking = [done]
        self.failure: OSError | None = None
        self.idle = True
        self.complete = False
        self.result: list[Any] = []
        self._request = encodeDump(kind)
        self._item = item
        self._decode = decode
        self._sequence = 0
        self._interrupted = False

    @property
    def waiting(self) -> list[tuple[Deferred[Any], list[Any]]]:
        """Who waits, and for which result."""
        return [(done, list(self.result)) for done in self.asking]

    def answers(self, other: Dump) -> bool:
        """Take over who waits for another one, if it is of the same kind: this one has not begun yet."""
        if other.kind == self.kind:
            self.asking += other.asking
        return other.kind == self.kind

    def abandon(self, done: Deferred[Any]) -> None:
        """Nothing to keep back: the kernel runs one dump at a time, so it is read to its end."""

    def next(self, sequence: int) -> tuple[bytes, int]:
        """Return the request numbered C{sequence}, and the number after it."""
        self._sequence = sequence
        self._interrupted = self.idle = False
        self.result = []
        return numbered(self._request, sequence), sequence + 1

    def feed(self, message: Message) -> None:
        if message.sequence != self._sequence:
            return
        self._interrupted |= bool(message.flags & NLM_F_DUMP_INTR)
        if message.kind == self._item:
            decoded = self._decode(message.body)
            if decoded is not None:
                self.result.append(decoded)
        elif message.kind in (NLMSG_DONE, NLMSG_ERROR):
            number = errnoOf(message.body)
            if number and number != errno.EINTR:
                self.failure = OSError(number, os.strerror(number))
            self.idle = True
            self.complete = self.failure is not None or not (self._interrupted or number)
