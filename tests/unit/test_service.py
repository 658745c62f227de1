"""Tests for L{hatwist.service}: several nodes in one process, on the loopback interface, holding doubles."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from ipaddress import IPv4Address
from typing import Any
from unittest import mock

from twisted.application.internet import StreamServerEndpointService
from twisted.application.service import MultiService, Service
from twisted.internet import reactor
from twisted.internet.defer import CancelledError, Deferred, maybeDeferred
from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.internet.error import CannotListenError
from twisted.internet.protocol import Factory
from twisted.logger import ILogObserver, LogEvent, formatEvent, globalLogPublisher
from twisted.trial.unittest import TestCase
from zope.interface import implementer

from hatwist import node
from hatwist.effects import RoleChange
from hatwist.heartbeat import Role
from hatwist.interfaces import IRoleObserver
from hatwist.link import MulticastGroup
from hatwist.resources.listener import Listener
from hatwist.resources.memory import MemoryResource
from hatwist.service import HAService
from hatwist.settings import Settings


@implementer(IRoleObserver)
class Observer:
    """Keeps the changes, and fires when one to a role has come."""

    def __init__(self, transcript: list[str] | None = None) -> None:
        self.changes: list[RoleChange] = []
        self._transcript = transcript
        self._waiting: list[tuple[Role, Deferred[RoleChange]]] = []

    def roleChanged(self, change: RoleChange) -> None:
        self.changes.append(change)
        if self._transcript is not None:
            self._transcript.append(change.new.name)
        for waiting in [w for w in self._waiting if w[0] is change.new]:
            self._waiting.remove(waiting)
            waiting[1].callback(change)

    def next(self, role: Role) -> Deferred[RoleChange]:
        """Fires with the next change to C{role}."""
        waiting: Deferred[RoleChange] = Deferred()
        self._waiting.append((role, waiting))
        return waiting.addTimeout(5.0, reactor)


class Noting(Service):
    """A service that notes its start and its stop, which may take until it is told."""

    def __init__(self, name: str, transcript: list[str]) -> None:
        self.name = name
        self.transcript = transcript
        self.stopping: Deferred[None] | None = None
        self.onStop: Callable[[], None] = lambda: None

    def startService(self) -> None:
        super().startService()
        self.transcript.append(f"{self.name} starts")

    def stopService(self) -> Deferred[None] | None:
        super().stopService()
        self.transcript.append(f"{self.name} stops")
        self.onStop()
        return self.stopping


class Broken(Service):
    """A service that cannot start."""

    def startService(self) -> None:
        raise ValueError("no certificate")


def freePort() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


@implementer(ILogObserver)
class Log:
    """Keeps what is logged, as text."""

    def __init__(self) -> None:
        self.events: list[LogEvent] = []

    def __call__(self, event: LogEvent) -> None:
        self.events.append(event)

    def lines(self, beginning: str) -> list[str]:
        """Level and text of each line that begins so."""
        texts = [(event["log_level"].name, formatEvent(event)) for event in self.events]
        return [f"{level}: {text}" for level, text in texts if text.startswith(beginning)]


class ServiceTestCase(TestCase):
    """Makes services whose tolerance is short; all are stopped in the end."""

    def setUp(self) -> None:
        self.transcript: list[str] = []
        self.group = MulticastGroup(IPv4Address("239.2.3.4"), freePort())

    def resource(self, name: str) -> MemoryResource:
        return MemoryResource(reactor, name, transcript=self.transcript)

    def service(self, *resources: Any, **changes: Any) -> HAService:
        words: dict[str, Any] = {
            "interface": "lo",
            "stateDir": self.mktemp(),
            "node": "alpha",
            "interval": 0.02,
            "tolerance": 0.04,
            "multicast": self.group,
        }
        made = HAService(Settings(**{**words, **changes}), reactor, resources)
        self.addCleanup(made.stopService)
        return made

    def log(self) -> Log:
        """What is logged from now on."""
        log = Log()
        globalLogPublisher.addObserver(log)
        self.addCleanup(globalLogPublisher.removeObserver, log)
        return log

    async def until(self, condition: Callable[[], bool]) -> None:
        """Five seconds at most."""
        for _ in range(500):
            if condition():
                return
            await self.elapse(0.01)
        self.fail("it never came to be")

    def elapse(self, seconds: float) -> Deferred[None]:
        """For what must not happen meanwhile."""
        passed: Deferred[None] = Deferred()
        reactor.callLater(seconds, passed.callback, None)
        return passed

    async def active(self, service: HAService) -> RoleChange:
        """Start it, and wait until it holds."""
        observer = Observer()
        service.addObserver(observer)
        service.startService()
        return await observer.next(Role.ACTIVE)


class OrderTests(ServiceTestCase):
    """What is held comes up in order, and goes down in reverse."""

    async def test_addActive(self) -> None:
        """A child starts after everything else is held, and has stopped before any of it is let go of."""
        service = self.service(self.resource("one"), self.resource("two"))
        service.addActive(Noting("web", self.transcript))
        await self.active(service)
        self.assertEqual(
            [line for line in self.transcript if not line.endswith(": release")],
            [
                *("two: released", "one: released", "one: acquire", "one: acquired"),
                *("two: acquire", "two: acquired", "web starts"),
            ],
        )
        self.transcript.clear()
        await service.stopService()
        self.assertEqual(
            self.transcript,
            ["web stops", "two: release", "two: released", "one: release", "one: released"],
        )

    async def test_stopAwaited(self) -> None:
        """The address is held until what the child's stopService returned has fired."""
        address = self.resource("address")
        web = Noting("web", self.transcript)
        web.stopping = Deferred()
        service = self.service(address)
        service.addActive(web)
        await self.active(service)
        asked: Deferred[None] = Deferred()
        web.onStop = lambda: asked.callback(None)
        stopped = service.stopService()
        await asked
        self.assertTrue(address.held)
        self.assertNoResult(stopped)
        web.stopping.callback(None)
        await stopped
        self.assertFalse(address.held)

    async def test_severalActive(self) -> None:
        """Several children start in the order in which they were added, and stop in reverse."""
        service = self.service()
        for name in ("database", "web"):
            service.addActive(Noting(name, self.transcript))
        await self.active(service)
        await service.stopService()
        self.assertEqual(
            self.transcript, ["database starts", "web starts", "web stops", "database stops"]
        )

    async def test_activeCannotStart(self) -> None:
        """A child that cannot start makes the node resign and let go: nobody is sent to a dead service."""
        address = self.resource("address")
        service = self.service(address)
        service.addActive(Broken())
        observer = Observer()
        service.addObserver(observer)
        service.startService()
        change = await self.released(address)
        self.assertFalse(address.held)
        self.assertEqual(service.role, Role.STANDBY)
        self.assertNotIn(Role.ACTIVE, [change.new for change in observer.changes])
        self.assertEqual(change, "release")

    def released(self, resource: MemoryResource) -> Deferred[str]:
        """Fires when it was held, and is released again."""
        done: Deferred[str] = Deferred()
        release = resource.release

        def noted() -> Deferred[None]:
            was = resource.held
            ended = release()
            if was and not done.called:
                ended.addCallback(lambda _: reactor.callLater(0, done.callback, "release"))
            return ended

        resource.release = noted  # type: ignore[method-assign]
        return done.addTimeout(5.0, reactor)

    def test_addActiveLate(self) -> None:
        """addActive on a running service is refused: it would not be part of what is held now."""
        service = self.service()
        service.startService()
        self.assertRaises(RuntimeError, service.addActive, Noting("web", self.transcript))

    def test_listensOnce(self) -> None:
        """Twisted's service that would listen the first time only is refused, with what to use."""
        endpoint = TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1")
        once = StreamServerEndpointService(endpoint, Factory())
        error = self.assertRaises(TypeError, self.service().addActive, once)
        self.assertIn("hatwist.resources.listener.Listener", str(error))

    def test_noResource(self) -> None:
        """What does not provide IResource is refused where it is given."""
        self.assertRaises(TypeError, self.service, object())


class ListenerTests(TestCase):
    """A port that is open while the address is held, every time."""

    def setUp(self) -> None:
        with socket.socket() as sock:
            sock.bind(("127.0.0.1", 0))
            self.port: int = sock.getsockname()[1]
        endpoint = TCP4ServerEndpoint(reactor, self.port, interface="127.0.0.1")
        factory = Factory()
        factory.noisy = False
        self.listener = Listener(endpoint, factory)

    def listens(self) -> bool:
        with socket.socket() as sock:
            return sock.connect_ex(("127.0.0.1", self.port)) == 0

    async def test_again(self) -> None:
        """It listens when it is started for the second time too, and not in between or afterwards."""
        for _ in range(2):
            await self.listener.startService()
            self.assertTrue(self.listens())
            await self.listener.stopService()
            self.assertFalse(self.listens())

    async def test_taken(self) -> None:
        """A port that is taken fails the start; once it is free the same service listens."""
        with socket.socket() as other:
            other.bind(("127.0.0.1", self.port))
            other.listen()
            with self.assertRaises(CannotListenError):
                await self.listener.startService()
            await self.listener.stopService()
        await self.listener.startService()
        self.assertTrue(self.listens())
        await self.listener.stopService()

    async def test_never(self) -> None:
        """Stopping what was never started is no error."""
        await self.listener.stopService()

    def test_cancelled(self) -> None:
        """A stop while it still waits for its port gives up waiting."""
        waiting: Deferred[Any] = Deferred()
        endpoint = mock.Mock()
        endpoint.listen.return_value = waiting
        listener = Listener(endpoint, Factory())
        started = listener.startService()
        stopped = listener.stopService()
        self.failureResultOf(started, CancelledError)
        self.successResultOf(stopped)


class LifeTests(ServiceTestCase):
    """Start, stop, and start again."""

    async def test_roles(self) -> None:
        """It starts as STANDBY, is ACTIVE when all is held, and SHUTDOWN while it does not run."""
        service = self.service(self.resource("one"))
        self.assertEqual(service.role, Role.SHUTDOWN)
        service.startService()
        self.assertEqual(service.role, Role.STANDBY)
        observer = Observer()
        service.addObserver(observer)
        await observer.next(Role.ACTIVE)
        self.assertEqual(service.role, Role.ACTIVE)
        await service.stopService()
        self.assertEqual(service.role, Role.SHUTDOWN)

    async def test_observers(self) -> None:
        """An observer is told of each change with cluster, term and reason, and of none once removed."""
        service = self.service(self.resource("one"), cluster="web")
        observer, leaver = Observer(), Observer()
        service.addObserver(observer)
        service.addObserver(leaver)
        service.startService()
        await observer.next(Role.ACTIVE)
        service.removeObserver(leaver)
        await service.stopService()
        self.assertEqual(
            [(c.cluster, c.old, c.new, c.term, c.reason) for c in observer.changes],
            [
                ("web", None, Role.STANDBY, 0, "started, listening"),
                ("web", Role.STANDBY, Role.ACTIVE, 1, "no holder is heard"),
                ("web", Role.ACTIVE, Role.SHUTDOWN, 1, "stopped"),
            ],
        )
        self.assertEqual(len(leaver.changes), 2)

    async def test_restart(self) -> None:
        """A stopped service starts again, holds again, and leaves no more open than before."""
        resource = self.resource("one")
        service = self.service(resource)
        await self.active(service)
        await service.stopService()
        await self.elapse(0)  # Twisted closes the port's socket in its next turn
        before = descriptors()
        for _ in range(3):
            await self.active(service)
            self.assertTrue(resource.held)
            await service.stopService()
            self.assertFalse(resource.held)
        await self.until(lambda: descriptors() == before)

    async def test_stopGivesUp(self) -> None:
        """What could not be released in time is the next start's to release; behind its back nothing is tried."""
        self.patch(node, "STOP_LIMIT", 0.05)
        self.patch(node, "HURRY_LIMIT", 0.05)
        resource = self.resource("one")
        service = self.service(resource)
        await self.active(service)
        resource.failNext("release", times=1_000_000)
        await service.stopService()
        self.assertTrue(resource.held)
        self.transcript.clear()
        await self.elapse(0.1)  # five times what lies between two attempts
        self.assertEqual(self.transcript, [])
        resource._failures["release"].clear()
        await self.active(service)
        self.assertEqual(self.transcript[:2], ["one: release", "one: released"])
        self.assertTrue(resource.held)

    async def test_stopTwice(self) -> None:
        """Two calls of stopService both fire when all is over."""
        resource = self.resource("one")
        service = self.service(resource)
        await self.active(service)
        first, second = service.stopService(), service.stopService()
        await first
        await second
        self.assertEqual(self.transcript.count("one: release"), 2)  # of the start, and of the stop

    async def test_children(self) -> None:
        """Other children run from start to stop whatever the role is, and stop after the goodbye."""
        service = self.service(self.resource("one"))
        Noting("child", self.transcript).setServiceParent(service)
        service.startService()
        self.assertIn("child starts", self.transcript)
        await service.stopService()
        self.assertEqual(self.transcript[-1], "child stops")

    async def test_parent(self) -> None:
        """It is a service like any other: a parent starts and stops it."""
        parent = MultiService()
        resource = self.resource("one")
        service = self.service(resource)
        observer = Observer()
        service.addObserver(observer)
        service.setServiceParent(parent)
        parent.startService()
        await observer.next(Role.ACTIVE)
        await parent.stopService()
        self.assertFalse(resource.held)

    async def test_wallClock(self) -> None:
        """A reactor on the wall clock, as trial's is, is warned of, with what to call."""
        log = self.log()
        self.service().startService()
        (line,) = log.lines("Timers run on the wall clock")
        self.assertIn("useMonotonic(reactor)", line)


class FailingStartTests(ServiceTestCase):
    """A start that fails leaves nothing open, and may be tried again."""

    def refused(self, service: HAService, error: type[Exception]) -> None:
        before = descriptors()
        timers = reactor.getDelayedCalls()
        self.assertRaises(error, service.startService)
        self.assertEqual(reactor.getDelayedCalls(), timers)
        self.assertEqual(descriptors(), before)
        self.assertIsNone(service.node)
        self.assertFalse(service.running)

    def test_missingInterface(self) -> None:
        """Without the heartbeat's interface the start fails there and then, and touches no resource."""
        self.refused(self.service(self.resource("one"), interface="nope0"), OSError)
        self.assertEqual(self.transcript, [])

    async def test_portTaken(self) -> None:
        """Where another program has the port for itself, the start fails, and works once it is free."""
        service = self.service(self.resource("one"))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
            other.bind(("", self.group.port))
            self.refused(service, OSError)
        await self.active(service)

    async def test_childFails(self) -> None:
        """Where a child cannot start, the node does not stay in the cluster without it."""
        service = self.service(self.resource("one"))
        broken = Broken()
        broken.setServiceParent(service)
        await self.elapse(0)  # a reactor that runs has some open itself
        before = descriptors()
        self.assertRaises(ValueError, service.startService)
        # Twisted closes the port's socket in its next turn; a thread still writes down the session.
        await self.until(lambda: descriptors() == before)
        self.assertEqual(service.role, Role.SHUTDOWN)
        self.assertFalse(service.running)
        await maybeDeferred(broken.disownServiceParent)
        await self.active(service)


class SeveralTests(ServiceTestCase):
    """Several nodes in one process know nothing of each other."""

    async def test_severalClusters(self) -> None:
        """Two clusters on one group and port each hold their own; stopping one leaves the other be."""
        one, two = self.resource("one"), self.resource("two")
        first = self.service(one, cluster="first")
        second = self.service(two, cluster="second", node="beta")
        await self.active(first)
        await self.active(second)
        self.assertTrue(one.held)
        self.assertTrue(two.held)
        await first.stopService()
        self.assertEqual((one.held, two.held), (False, True))
        self.assertEqual((first.role, second.role), (Role.SHUTDOWN, Role.ACTIVE))

    async def test_noGlobalState(self) -> None:
        """Observers and resources belong to one service."""
        mine, other = Observer(), Observer()
        first = self.service(self.resource("one"), cluster="first")
        second = self.service(self.resource("two"), cluster="second")
        first.addObserver(mine)
        second.addObserver(other)
        await self.active(first)
        self.assertEqual({change.cluster for change in mine.changes}, {"first"})
        self.assertEqual(other.changes, [])
