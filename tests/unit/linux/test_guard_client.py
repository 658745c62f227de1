"""What L{hatwist.linux.guard.client} logs, and does of guards that hang; the rest is in L{tests.contracts_guard}."""

from __future__ import annotations

from typing import Any, cast

from twisted.internet.defer import succeed
from twisted.internet.task import Clock
from twisted.logger import ILogObserver, LogEvent, formatEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from hatwist.linux.guard import client as guarding
from hatwist.linux.guard import program
from hatwist.linux.guard.client import START_LIMIT, GuardClient, GuardError
from hatwist.linux.guard.program import Reader


class FiredTests(SynchronousTestCase):
    """The line that tells that it fired."""

    def setUp(self) -> None:
        self.lines: list[str] = []
        take = cast(ILogObserver, self.take)
        globalLogPublisher.addObserver(take)
        self.addCleanup(globalLogPublisher.removeObserver, take)
        self.clock = Clock()
        self.guard = GuardClient(self.clock)

    def take(self, event: LogEvent) -> None:
        if event.get("log_namespace", "").startswith("hatwist.linux.guard.client."):
            self.lines.append(formatEvent(event))

    def run_(self, *groups: str) -> None:
        """A guard that is there, and has these groups armed."""
        self.guard._child, self.guard._ready = object(), True  # type: ignore[assignment]
        for group in groups:
            self.guard.arm(group, 1, group, 0.0, []).addErrback(lambda _: None)

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
        self.failureResultOf(self.guard.arm("main", 1, "main", 0.0, []))
        self.assertEqual(self.lines, ["The guard of main fired: it was not renewed in time"])

    def test_none(self) -> None:
        """Without a guard the groups are named the same way."""
        self.guard._fired(["main"], "it was not renewed in time")
        self.assertEqual(self.lines[0], "There was no guard when main had to be released")


class Child:
    """A guard process that does nothing by itself."""

    pid = 0
    born = -1e9

    def __init__(self, reactor: Any, command: Any, received: Any, ended: Any) -> None:
        self.received, self.ended = received, ended
        self.killed = 0
        self.reaped = succeed("signal 9")
        children.append(self)

    def kill(self) -> None:
        self.killed += 1


children: list[Child] = []


class StartLimitTests(SynchronousTestCase):
    """A guard that is not ready in time is killed, whichever it is."""

    def setUp(self) -> None:
        children.clear()
        self.patch(guarding, "GuardProcess", Child)
        self.clock = Clock()
        self.guard = GuardClient(self.clock)
        self.started = self.guard.start()

    def test_first(self) -> None:
        """Of the first one, the owner is told."""
        self.clock.advance(START_LIMIT)
        self.assertEqual(children[0].killed, 1)
        children[0].ended()
        self.failureResultOf(self.started, GuardError)
        self.assertEqual(len(children), 1)

    def test_replacement(self) -> None:
        """One that came in place of another is replaced in its turn."""
        children[0].received(program.READY, Reader(b""))
        self.clock.advance(2 * START_LIMIT)
        self.assertEqual(children[0].killed, 0)
        children[0].ended()
        self.clock.advance(START_LIMIT)
        self.assertEqual(children[1].killed, 1)
        children[1].ended()
        children[2].received(program.READY, Reader(b""))
        self.clock.advance(2 * START_LIMIT)
        self.assertEqual([child.killed for child in children], [0, 1, 0])
