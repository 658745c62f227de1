"""Tests for L{hatwist.frontends.composition}: a node in a program of one's own."""

from __future__ import annotations

import os
import signal
from typing import Any

from twisted.application.service import MultiService
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from hatwist.core.errors import ConfigurationError
from hatwist.frontends.composition import makeService
from hatwist.frontends.control.place import DIRECTORY
from hatwist.runtime.lock import NodeLock
from hatwist.service.service import HAService
from hatwist.settings import Settings, settings


class MakeServiceTests(SynchronousTestCase):
    """Settings and a reactor become one service."""

    def setUp(self) -> None:
        reactor: Any = Clock()
        reactor.callWhenRunning = lambda *call: None
        self.reactor = reactor
        self.directory = self.mktemp()
        os.mkdir(self.directory)

    def settings(self, **words: Any) -> Settings:
        usual = {"interface": "lo", "address": ["10.0.0.1/24"], "node": "alpha"}
        return settings(**{**usual, "stateDir": self.directory, **words})

    def names(self, service: HAService) -> list[str | None]:
        return [child.name for child in service]

    def test_asTwistd(self) -> None:
        """It has all that twistd ha has: notifications, reloads, the proof of frames, and the control socket."""
        made = makeService(self.settings(), self.reactor)
        self.assertEqual(self.names(made), ["notifier", "reloader", "frames-proof", "control"])
        made = makeService(
            self.settings(http="tcp:0:interface=127.0.0.1", control="none"), self.reactor
        )
        self.assertEqual(self.names(made), ["web", "notifier", "reloader", "frames-proof"])

    def test_name(self) -> None:
        """It has a name, by which its parent finds it; two clusters go below one parent."""
        parent = MultiService()
        made = makeService(self.settings(cluster="one"), self.reactor)
        made.setServiceParent(parent)
        makeService(self.settings(cluster="two"), self.reactor).setServiceParent(parent)
        self.assertIs(parent.getServiceNamed("ha-one-alpha"), made)

    def test_problems(self) -> None:
        """What keeps it from running here is told at once, in the words of Python."""
        lock = NodeLock.of(self.directory, "default", "alpha")
        lock.take()
        self.addCleanup(lock.free)
        wrong = self.settings(control="relative.sock", http="ssl:1:privateKey=/none")
        error = self.assertRaises(ConfigurationError, makeService, wrong, self.reactor)
        control, http, taken = error.problems
        self.assertTrue(control.startswith("control='relative.sock': "), control)
        self.assertTrue(http.startswith("http='ssl:1:privateKey=/none': "), http)
        self.assertIn("alpha", taken)
        self.assertIn(DIRECTORY, control)

    def test_read(self) -> None:
        """A function that reads the settings is asked now and at each reload; what it raises comes through."""
        asked: list[Settings] = []

        def read() -> Settings:
            asked.append(self.settings(priority=len(asked)))
            return asked[-1]

        made = makeService(read, self.reactor)
        self.assertEqual(len(asked), 1)
        reloader: Any = made.getServiceNamed("reloader")
        Deferred.fromCoroutine(reloader.preview()).addErrback(lambda failure: None)
        self.assertEqual(len(asked), 2)

        def fail() -> Settings:
            raise ConfigurationError(["no such file"])

        self.assertRaises(ConfigurationError, makeService, fail, self.reactor)

    def test_notRead(self) -> None:
        """With settings of its own code there is nothing to reload, and a reload says so."""
        reloader: Any = makeService(self.settings(), self.reactor).getServiceNamed("reloader")
        failure = self.failureResultOf(
            Deferred.fromCoroutine(reloader.preview()), ConfigurationError
        )
        self.assertIn("from its own code", str(failure.value))

    def test_signals(self) -> None:
        """A program that goes on without its node has its signals as before."""
        mine = lambda number, frame: None  # noqa: E731
        for number in (signal.SIGHUP, signal.SIGUSR1):
            self.addCleanup(signal.signal, number, signal.signal(number, mine))
        reloader: Any = makeService(self.settings(), self.reactor).getServiceNamed("reloader")
        reloader.startService()
        self.assertIsNot(signal.getsignal(signal.SIGHUP), mine)
        reloader.stopService()
        self.assertIs(signal.getsignal(signal.SIGHUP), mine)
        self.assertIs(signal.getsignal(signal.SIGUSR1), mine)
        reloader.startService()
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # somebody else's since
        reloader.stopService()
        self.assertIs(signal.getsignal(signal.SIGHUP), signal.SIG_IGN)
