"""Tests for L{hatwist.frontends.notify}: what a service manager reads from its socket."""

from __future__ import annotations

import os
import shutil
import socket
import sys
import tempfile
from itertools import pairwise
from types import SimpleNamespace
from typing import Any, cast

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import ILogObserver, LogEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase, TestCase
from zope.interface import implementer

from hatwist.core.claims import Role
from hatwist.core.effects import RoleChange
from hatwist.frontends.notify import AGAIN, LOOK, Notifier
from hatwist.resources import process
from hatwist.service.service import HAService


class Reactor(Clock):
    """A clock, and what is to be done at shutdown."""

    def __init__(self) -> None:
        super().__init__()
        self.triggers: dict[object, Any] = {}

    def addSystemEventTrigger(self, phase: str, event: str, call: Any) -> object:
        assert (phase, event) == ("before", "shutdown")
        identity = object()
        self.triggers[identity] = call
        return identity

    def removeSystemEventTrigger(self, identity: object) -> None:
        del self.triggers[identity]


class Service:
    """What a notifier sees of an L{HAService}."""

    def __init__(self, interval: float = 1.0) -> None:
        self.settings = SimpleNamespace(interval=interval)
        self.sent, self.silent = 0, False
        self.groups = {"web": None, "db": None}
        self.observers: list[Any] = []

    def figures(self) -> Any:
        return SimpleNamespace(sent=self.sent, silent=self.silent)

    def addObserver(self, observer: Any) -> None:
        self.observers.append(observer)

    def change(self, new: Role, term: int, reason: str, group: str = "web") -> None:
        change = RoleChange("lan", group, Role.STANDBY, new, term, reason)
        for observer in self.observers:
            observer.roleChanged(change)


class NotifierTests(SynchronousTestCase):
    """A notifier whose manager is a socket that this test reads."""

    def setUp(self) -> None:
        # trial's own directories may have names that are too long for a socket.
        directory = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, directory)
        self.path = os.path.join(directory, "notify")
        self.manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self.addCleanup(self.manager.close)
        self.reactor = Reactor()
        self.service = Service()
        self.warnings: list[Any] = []

        @implementer(ILogObserver)
        def noted(event: LogEvent) -> None:
            if event["log_level"].name == "warn":
                self.warnings.append(event)

        globalLogPublisher.addObserver(noted)
        self.addCleanup(globalLogPublisher.removeObserver, noted)

    def notifier(self, where: str | None = None, **more: str) -> Notifier:
        """One that is started, with these variables."""
        if where is None:
            where = self.path
            self.bind(where)
        self.environment = {"NOTIFY_SOCKET": where, "PATH": "/bin", **more}
        made = Notifier(
            cast(HAService, self.service), self.reactor, self.environment, lambda: 7_654_321
        )
        made.startService()
        return made

    def bind(self, where: str) -> None:
        self.manager.bind(where)

    def beat(self) -> None:
        self.service.sent += 1

    def told(self) -> list[str]:
        """The datagrams since the last call."""
        found = []
        while True:
            try:
                found.append(self.manager.recv(65536).decode())
            except BlockingIOError:
                return found

    def ready(self, **more: str) -> Notifier:
        """One that has said that it is ready, which was read."""
        made = self.notifier(**more)
        self.beat()
        self.reactor.advance(0)
        self.assertEqual(self.told()[-1 if "WATCHDOG_USEC" not in more else -2][:8], "READY=1\n")
        return made

    def test_ready(self) -> None:
        """READY=1 comes with the first heartbeat, not before, and has the roles."""
        self.notifier()
        self.service.change(Role.STANDBY, 0, "started, listening")
        self.reactor.pump([LOOK] * 3)
        (first,) = self.told()
        self.assertTrue(first.startswith("STATUS=Starting"), first)
        self.beat()
        self.reactor.advance(LOOK)
        self.assertEqual(self.told(), ["READY=1\nSTATUS=web: STANDBY, term 0: started, listening"])
        self.beat()
        self.reactor.advance(60)
        self.assertEqual(self.told(), [])
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_abstract(self) -> None:
        """A socket with an abstract name, which begins with @, is told as well."""
        name = f"hatwist-test-{os.getpid()}"
        self.manager.bind(f"\0{name}")
        self.notifier(f"@{name}")
        self.beat()
        self.reactor.advance(0)
        self.assertEqual(self.told()[-1], "READY=1\nSTATUS=Started")

    def test_status(self) -> None:
        """Every change of role is a status that has the roles of all groups in one line."""
        self.ready()
        self.service.change(Role.ACTIVE, 3, "no holder\nwas heard")
        self.service.change(Role.STANDBY, 4, "gave way", "db")
        self.assertEqual(
            self.told(),
            [
                "STATUS=web: ACTIVE, term 3: no holder was heard",
                "STATUS=web: ACTIVE, term 3: no holder was heard; db: STANDBY, term 4: gave way",
            ],
        )

    def test_reload(self) -> None:
        """A reload is told before with its time on the monotonic clock in microseconds, and after."""
        made = self.ready()
        made.reloading()
        made.reloaded()
        self.assertEqual(
            self.told(), ["RELOADING=1\nMONOTONIC_USEC=7654", "READY=1\nSTATUS=Started"]
        )

    def test_groupGone(self) -> None:
        """A group that a reload has removed is no longer in the status."""
        made = self.ready()
        self.service.change(Role.ACTIVE, 3, "no holder was heard")
        made.reloading()
        self.service.change(Role.SHUTDOWN, 2, "removed", "db")
        del self.service.groups["db"]
        made.reloaded()
        self.assertEqual(
            self.told()[-1], "READY=1\nSTATUS=web: ACTIVE, term 3: no holder was heard"
        )

    def test_stopping(self) -> None:
        """The end is told when the reactor begins to stop, before any service is stopped."""
        made = self.ready()
        (trigger,) = self.reactor.triggers.values()
        trigger()
        self.assertEqual(self.told(), ["STOPPING=1"])
        made.stopService()

    def test_stopped(self) -> None:
        """Once it is stopped nothing is told, and nothing is left; it can be started again."""
        made = self.ready(WATCHDOG_USEC="8000000")
        made.stopService()
        self.assertEqual(self.reactor.triggers, {})
        self.assertEqual(self.reactor.getDelayedCalls(), [])
        self.service.change(Role.ACTIVE, 3, "no holder was heard")
        self.assertEqual(self.told(), [])
        made.startService()
        self.reactor.advance(0)
        self.assertEqual(
            self.told()[1:],
            ["READY=1\nSTATUS=web: ACTIVE, term 3: no holder was heard", "WATCHDOG=1"],
        )
        made.stopService()

    def test_watchdog(self) -> None:
        """The watchdog is fed while heartbeats go out, and no more when they do not."""
        self.ready(WATCHDOG_USEC="8000000", WATCHDOG_PID=str(os.getpid()))
        for _ in range(4):
            self.beat()
            self.reactor.advance(2.0)
            self.assertEqual(self.told(), ["WATCHDOG=1"])
        self.reactor.pump([2.0] * 4)
        self.assertEqual(self.told(), [])
        self.beat()
        self.reactor.advance(2.0)
        self.assertEqual(self.told(), ["WATCHDOG=1"])

    def test_watchdogOfSilence(self) -> None:
        """A node that is to be silent for good is fed: its restart would displace its twin."""
        self.ready(WATCHDOG_USEC="8000000")
        self.service.silent = True
        self.reactor.pump([2.0] * 3)
        self.assertEqual(self.told(), ["WATCHDOG=1"] * 3)

    def test_watchdogTooShort(self) -> None:
        """A watchdog that slow heartbeats could not feed in time is told to wait for three."""
        self.service.settings.interval = 10.0
        self.notifier(WATCHDOG_USEC="8000000")
        self.assertIn("WATCHDOG_USEC=30000000", self.told())
        self.assertEqual(len(self.warnings), 1)
        fed = []
        for second in range(120):
            if second % 10 == 0:
                self.beat()
            self.reactor.advance(1.0)
            fed += [second for line in self.told() if line == "WATCHDOG=1"]
        gaps = [after - before for before, after in pairwise(fed)]
        self.assertLess(max(gaps), 30)

    def test_watchdogOfAnother(self) -> None:
        """A watchdog that waits for another process is not fed."""
        self.notifier(WATCHDOG_USEC="8000000", WATCHDOG_PID="1")
        self.beat()
        self.reactor.pump([2.0] * 10)
        self.assertNotIn("WATCHDOG=1", self.told())

    def test_noManager(self) -> None:
        """Without NOTIFY_SOCKET nothing is told, and no warning said."""
        made = self.notifier("")
        self.beat()
        self.service.change(Role.ACTIVE, 1, "no holder was heard")
        made.reloading()
        made.reloaded()
        self.reactor.advance(60)
        made.stopService()
        self.assertEqual(self.warnings, [])

    def test_gone(self) -> None:
        """A socket that is gone, or never was, is one warning, and harms nothing."""
        for where in (os.path.abspath("nowhere"), "vsock:2:1234"):
            self.warnings.clear()
            made = self.notifier(where)
            self.beat()
            self.reactor.advance(1)
            self.service.change(Role.ACTIVE, 1, "no holder was heard")
            made.reloading()
            self.reactor.advance(60)
            made.stopService()
            self.assertEqual(len(self.warnings), 1, where)

    def test_full(self) -> None:
        """What a busy manager has no room for is sent later, in order; a meal for the watchdog is not kept."""
        made = self.ready(WATCHDOG_USEC="8000000")
        filler = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self.addCleanup(filler.close)

        def fill() -> None:
            while True:
                filler.sendto(b"x", os.path.relpath(self.path))

        self.assertRaises(BlockingIOError, fill)
        self.service.change(Role.ACTIVE, 1, "no holder was heard")
        made.reloading()
        self.beat()
        self.reactor.advance(2.0)
        self.assertEqual(set(self.told()), {"x"})
        self.reactor.advance(AGAIN)
        self.assertEqual(
            self.told(),
            [
                "STATUS=web: ACTIVE, term 1: no holder was heard",
                "RELOADING=1\nMONOTONIC_USEC=7654",
            ],
        )
        self.assertEqual(self.warnings, [])

    def test_notInherited(self) -> None:
        """No program that the daemon starts finds the socket or the watchdog in its environment."""
        self.notifier(WATCHDOG_USEC="8000000", WATCHDOG_PID=str(os.getpid()))
        self.assertEqual(self.environment, {"PATH": "/bin"})


class InheritanceTests(TestCase):
    """Programs of resources, in a daemon that has no notifier."""

    def test_commands(self) -> Deferred[None]:
        """A command gets no variable by which it could speak to the service manager for the daemon."""
        for name in ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"):
            self.addCleanup(os.environ.pop, name, None)
            os.environ[name] = "1"
        script = "import os; print(sorted(n for n in os.environ if n[:6] in ('NOTIFY', 'WATCHD')))"
        done = process.run(cast(Any, reactor), [sys.executable, "-S", "-c", script], 10.0)
        return done.addCallback(lambda ending: self.assertEqual(ending.words, "[]"))
