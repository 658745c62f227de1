"""Tests for L{hatwist.frontends.logs}: what the journal of systemd reads."""

from __future__ import annotations

import io
import os
import socket
from typing import Any, TextIO

from twisted.logger import Logger, LogLevel
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from hatwist.frontends import logs
from hatwist.frontends.logs import journal, journalStream, prioritized


def identity(stream: Any) -> dict[str, str]:
    """The environment in which the journal reads this stream."""
    status = os.fstat(stream.fileno())
    return {"JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}"}


class StreamTests(SynchronousTestCase):
    """Whether the journal reads what is printed: by device and inode, as systemd.exec(5) says."""

    def opened(self, descriptor: int) -> TextIO:
        stream = os.fdopen(descriptor, "w")
        self.addCleanup(stream.close)
        return stream

    def pair(self) -> TextIO:
        """One end of a socket, as the journal has the other."""
        one, other = socket.socketpair()
        self.addCleanup(other.close)
        return self.opened(one.detach())

    def test_table(self) -> None:
        """Standard output is it where the variable names it; else standard error, if both are sockets."""
        reading, writing = os.pipe()
        self.addCleanup(os.close, reading)
        pipe, one, other = self.opened(writing), self.pair(), self.pair()
        for out, error, named, expected in (
            (one, one, one, one),
            (pipe, one, pipe, pipe),
            (one, other, other, other),  # each has a stream of its own
            (pipe, other, other, None),  # whoever sent the output elsewhere wants it there
            (one, one, other, None),
        ):
            self.assertIs(journalStream(identity(named), out, error), expected)
        self.assertIsNone(journalStream({}, one, one))
        self.assertIsNone(journalStream(identity(one), io.StringIO(), io.StringIO()))


class LinesTests(SynchronousTestCase):
    """Lines with priorities, as sd-daemon(3) has them."""

    def written(self) -> list[str]:
        return self.stream.getvalue().splitlines()

    def setUp(self) -> None:
        self.stream = io.StringIO()
        self.patch(logs, "journalStream", lambda: self.stream)
        self.log = Logger("hatwist.runtime.link", observer=journal())

    def test_levels(self) -> None:
        """Each level has its priority, and no line has a time, which the journal keeps itself."""
        for level in ("debug", "info", "warn", "error", "critical"):
            getattr(self.log, level)("what {happened}", happened="it was")
        self.assertEqual(
            self.written(),
            [
                f"<{number}>[hatwist.runtime.link#{level}] what it was"
                for number, level in (
                    (7, "debug"),
                    (6, "info"),
                    (4, "warn"),
                    (3, "error"),
                    (2, "critical"),
                )
            ],
        )

    def test_lines(self) -> None:
        """Every line of a traceback has the priority: for the journal each is an entry."""
        try:
            raise ValueError("two\nlines")
        except ValueError:
            self.log.failure("It failed", Failure())
        lines = self.written()
        self.assertGreater(len(lines), 3)
        self.assertEqual({line[:3] for line in lines}, {"<2>"})

    def test_noLevel(self) -> None:
        """What has no level counts as info."""
        self.assertEqual(prioritized("a\nb", None), "<6>a\n<6>b\n")
        self.assertEqual(prioritized("a", LogLevel.warn), "<4>a\n")
