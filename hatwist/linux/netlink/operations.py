"""What is under way on a netlink socket: a batch of changes or a dump, fed with what is received."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.defer import Deferred

from hatwist.linux.netlink.messages import (
    NLM_F_DUMP_INTR,
    NLMSG_DONE,
    NLMSG_ERROR,
    Message,
    encodeDump,
    errnoOf,
    numbered,
)

# A default receive buffer holds 256 answers or events, so fewer are ever outstanding: a slice is
# sent, and its answers read, before the next. A hundred additions are 2 ms for the kernel.
SLICE = 100
# Datagrams read in one turn of the reactor, about 2 ms of work; the rest waits for the next turn.
READS = 128
DUMP_READS = 2  # of up to 32 kB, or 400 addresses, each


class Batch:
    """Changes under way: sent in slices, each answered by its sequence number."""

    reads = READS
    failure: OSError | None = None

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
        self._waiting: dict[int, int] = {}
        self.result = [0] * len(messages)

    @property
    def idle(self) -> bool:
        """Whether no answer is outstanding."""
        return not self._waiting

    @property
    def last(self) -> bool:
        """Whether nothing is left to send."""
        return self._sent >= len(self._messages)

    @property
    def complete(self) -> bool:
        return self.idle and self.last

    def abandon(self) -> None:
        """Send no more; what was sent is still answered, and what was not has ECANCELED."""
        self.result[self._sent :] = [errno.ECANCELED] * (len(self.result) - self._sent)
        self._messages = self._messages[: self._sent]

    def next(self, sequence: int) -> tuple[bytes, int]:
        """Return the next slice, numbered from C{sequence}, and the first number after it."""
        part = self._messages[self._sent : self._sent + SLICE]
        for offset in range(len(part)):
            self._waiting[sequence + offset] = self._sent + offset
        self._sent += len(part)
        joined = b"".join(numbered(m, sequence + offset) for offset, m in enumerate(part))
        return joined, sequence + len(part)

    def feed(self, message: Message) -> None:
        if message.kind != NLMSG_ERROR:
            return
        position = self._waiting.pop(message.sequence, None)
        if position is not None:
            self.result[position] = errnoOf(message.body)


class Dump:
    """A dump under way; begun anew when the kernel says that something changed meanwhile."""

    reads = DUMP_READS
    last = True

    @staticmethod
    def permitted() -> bool:
        """It changes nothing."""
        return True

    def __init__(
        self, kind: int, item: int, decode: Callable[[bytes], Any], done: Deferred[Any]
    ) -> None:
        self.done = done
        self.failure: OSError | None = None
        self.idle = True
        self.complete = False
        self.result: list[Any] = []
        self._request = encodeDump(kind)
        self._item = item
        self._decode = decode
        self._sequence = 0
        self._interrupted = False

    def abandon(self) -> None:
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
