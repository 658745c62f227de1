"""Tests for L{hatwist.frontends.reloader}: signals in, another configuration out."""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import Any
from unittest import mock

from twisted.application.service import MultiService
from twisted.internet.defer import Deferred, fail, succeed
from twisted.logger import ILogObserver, LogEvent, formatEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from hatwist.core.errors import ResourceError
from hatwist.frontends import hangups
from hatwist.frontends.reloader import Reloader
from hatwist.frontends.tap import chosen
from hatwist.settings import Settings, host
from tests.broken import GOOD
from tests.unit.frontends.test_tap import parsed


def reading(*argv: str) -> Callable[[], Settings]:
    """What reads the configuration of a command line anew."""
    return lambda: chosen(parsed(*argv), here=True)


class ReloaderTests(SynchronousTestCase):
    """SIGHUP reads the configuration anew; SIGUSR1 does nothing but tell."""

    def setUp(self) -> None:
        for number in (signal.SIGHUP, signal.SIGUSR1):
            self.addCleanup(signal.signal, number, signal.getsignal(number))
        self.calls: list[tuple[Any, ...]] = []
        self.reloads: list[Settings] = []
        self.result: Deferred[tuple[str, ...]] = succeed(("group web: with 10.0.0.2/24",))
        self.patch(host, "mayChangeAddresses", lambda: True)
        self.patch(host, "maySendFrames", lambda: True)
        self.notifier = mock.Mock()
        self.observed: list[str] = []

        @implementer(ILogObserver)
        def observer(event: LogEvent) -> None:
            self.observed.append(formatEvent(event))

        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)

    def callFromThread(self, function: Any, *args: Any, **more: Any) -> None:
        self.calls.append((function, args, more))

    def reload(self, settings: Settings) -> Deferred[tuple[str, ...]]:
        self.reloads.append(settings)
        return self.result

    def signalled(self, number: signal.Signals, *argv: str) -> None:
        reactor, service = mock.Mock(callFromThread=self.callFromThread), mock.Mock()
        service.reload = self.reload
        reloader = Reloader(reactor, service, reading(*argv), self.notifier)
        parent = MultiService()
        reloader.setServiceParent(parent)
        parent.startService()
        signal.raise_signal(number)
        ((function, args, more),) = self.calls
        function(*args, **more)

    GOOD = ("--interface", "lo", "--address", "10.0.0.1/24", "--node", "alpha")

    def test_reload(self) -> None:
        """What was read anew is what the service goes on with, and the log tells what changed."""
        self.signalled(signal.SIGHUP, *self.GOOD)
        self.assertEqual([found.node for found in self.reloads], ["alpha"])
        self.assertIn("Reloaded: group web: with 10.0.0.2/24", self.observed)

    def test_early(self) -> None:
        """A SIGHUP that came during the start is answered when the reactor runs, once."""
        hangups.waiting.extend([signal.SIGHUP, signal.SIGHUP])
        reactor = mock.Mock()
        for expected in (1, 0):
            reactor.reset_mock()
            reloader = Reloader(reactor, mock.Mock(), reading(*self.GOOD), self.notifier)
            reloader.startService()
            asked = [c for c in reactor.callWhenRunning.mock_calls if c.args == (reloader._asked,)]
            self.assertEqual(len(asked), expected)

    def test_file(self) -> None:
        """Where the options name a file, that is read."""
        path = self.mktemp()
        with open(path, "w", encoding="utf-8") as file:
            file.write(GOOD)
        self.signalled(signal.SIGHUP, "--config", path, "--node", "beta")
        self.assertEqual([found.groups[0].name for found in self.reloads], ["web"])

    def test_bad(self) -> None:
        """What cannot be read changes nothing: the service is not even asked."""
        self.signalled(signal.SIGHUP, "--config", "/nonexistent/file")
        self.assertEqual(self.reloads, [])
        self.assertEqual(self.notifier.mock_calls, [mock.call.reloading(), mock.call.reloaded()])
        self.assertIn("Not reloaded, and the old configuration goes on:", self.observed)
        self.assertIn("  /nonexistent/file: No such file or directory", self.observed)

    def test_lost(self) -> None:
        """A resource that cannot be acquired is told."""
        self.result = fail(ResourceError("10.0.0.2/24: no"))
        self.signalled(signal.SIGHUP, *self.GOOD)
        self.assertIn("Reloaded, but: 10.0.0.2/24: no", self.observed)

    def test_postponed(self) -> None:
        """The reactor's own handlers of SIGTERM and SIGINT, which log, run in one of its turns; others stay."""
        for number in (signal.SIGTERM, signal.SIGINT):
            self.addCleanup(signal.signal, number, signal.getsignal(number))
        started = mock.Mock()
        reactor = mock.Mock(callFromThread=self.callFromThread, callWhenRunning=started)
        Reloader(reactor, mock.Mock(), reading(*self.GOOD), self.notifier).startService()
        own = mock.Mock()
        signal.signal(signal.SIGTERM, reactor.sigTerm)
        signal.signal(signal.SIGINT, own)
        function, *args = started.call_args.args
        function(*args)
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGINT)
        reactor.sigTerm.assert_not_called()
        own.assert_called_once()
        ((function, (number, _), _),) = self.calls
        self.assertEqual((function, number), (reactor.sigTerm, signal.SIGTERM))

    def test_ignored(self) -> None:
        """SIGUSR1 is logged by the reactor."""
        self.signalled(signal.SIGUSR1, *self.GOOD)
        self.assertIn("SIGUSR1 is ignored", self.observed)
        self.assertEqual(self.reloads, [])
