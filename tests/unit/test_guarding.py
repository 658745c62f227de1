"""Tests for what L{hatwist.linux.guarding} logs; what it does is in L{tests.contracts_guard}."""

from __future__ import annotations

from typing import cast

from twisted.internet.task import Clock
from twisted.logger import ILogObserver, LogEvent, formatEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from hatwist.linux import guard as program
from hatwist.linux.guard import Reader
from hatwist.linux.guarding import Guard


class FiredTests(SynchronousTestCase):
    """The line that tells that it fired."""

    def setUp(self) -> None:
        self.lines: list[str] = []
        take = cast(ILogObserver, self.take)
        globalLogPublisher.addObserver(take)
        self.addCleanup(globalLogPublisher.removeObserver, take)
        self.clock = Clock()
        self.guard = Guard(self.clock)

    def take(self, event: LogEvent) -> None:
        if event.get("log_namespace", "").endswith("guarding.Guard"):
            self.lines.append(formatEvent(event))

    def run_(self, *groups: str) -> None:
        """A guard that is there, and has these groups armed."""
        self.guard._child, self.guard._ready = object(), True  # type: ignore[assignment]
        for group in groups:
            self.guard.arm(group, 1, 0.0, []).addErrback(lambda _: None)

    def test_byItself(self) -> None:
        """It names the groups, and says nothing twice."""
        self.guard._send = lambda *_: None  # type: ignore[method-assign]
        self.run_("main", "mail")
        self.guard._received(program.FIRING, Reader(b""))
        self.assertEqual(self.lines, ["The guard of main and mail fired"])

    def test_late(self) -> None:
        """A deadline that has passed is the reason."""
        self.guard._send = lambda *_: None  # type: ignore[method-assign]
        self.run_("main")
        self.failureResultOf(self.guard.arm("main", 1, 0.0, []))
        self.assertEqual(self.lines, ["The guard of main fired: it was not renewed in time"])

    def test_none(self) -> None:
        """Without a guard the groups are named the same way."""
        self.guard._fired(["main"], "it was not renewed in time")
        self.assertEqual(self.lines[0], "There was no guard when main had to be let go")
