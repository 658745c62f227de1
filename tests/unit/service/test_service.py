"""Tests for L{hatwist.service.service}: several nodes in one process, on the loopback interface, holding doubles."""

from __future__ import annotations

import errno
import json
import os
import signal
import socket
import threading
import time
from collections.abc import Callable
from ipaddress import IPv4Address
from typing import Any, cast
from unittest import mock

from twisted.application.internet import StreamServerEndpointService
from twisted.application.service import MultiService, Service
from twisted.internet import reactor
from twisted.internet.defer import CancelledError, Deferred, fail, maybeDeferred, succeed
from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.internet.error import CannotListenError
from twisted.internet.protocol import Factory
from twisted.logger import ILogObserver, LogEvent, formatEvent, globalLogPublisher
from twisted.trial.unittest import TestCase
from zope.interface import implementer

from hatwist.checks.check import CheckSpec
from hatwist.checks.inside import CallCheck
from hatwist.core.claims import Role
from hatwist.core.effects import RoleChange
from hatwist.core.electorate import Quorum
from hatwist.core.guarantee import Level
from hatwist.core.linkspec import LinkSpec, MulticastGroup
from hatwist.core.worth import Fitness
from hatwist.linux import realtime
from hatwist.linux.guard.client import GuardError
from hatwist.resources.addresses.spec import AddressSpec
from hatwist.resources.command import Command
from hatwist.resources.interface import Interface
from hatwist.resources.listener import Listener
from hatwist.resources.memory import MemoryResource
from hatwist.runtime import disk, node, store
from hatwist.runtime.interfaces import IRoleObserver
from hatwist.service import service as program
from hatwist.service.service import HAService
from hatwist.service.status import status
from hatwist.settings import GroupSettings, Settings


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
            "interval": 0.05,
            "tolerance": 0.15,
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


class MisplacedTests(ServiceTestCase):
    """An address without a place here is told of at the start, not only when it is needed."""

    async def test_start(self) -> None:
        """A start warns of each address that no network of this host has, as a reload and check --here refuse it."""
        log = self.log()
        specs = tuple(map(AddressSpec.parse, ("198.51.100.9/24", "203.0.113.9/24@eth99")))
        self.service(groups=(GroupSettings("main", specs),), lease=2).startService()
        until = "; until then this node cannot take it over"
        await self.until(lambda: len(log.lines("group main: ")) >= 2)
        self.assertEqual(
            log.lines("group main: "),
            [
                (
                    "warn: group main: 198.51.100.9/24: no interface is connected to its network; "
                    f"say which, with @INTERFACE{until}"
                ),
                "warn: group main: 203.0.113.9/24 on eth99: there is no interface eth99" + until,
            ],
        )


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
        service.addObserver(observer)  # once more, for which it is not told twice
        await observer.next(Role.ACTIVE)
        service.removeObserver(leaver)
        await service.stopService()
        self.assertEqual(
            [(c.cluster, c.old, c.new, c.term, c.reason) for c in observer.changes],
            [
                ("web", None, Role.STANDBY, 0, "started, listening"),
                ("web", Role.STANDBY, Role.ACTIVE, 1, "no holder was heard"),
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
        """The clock of the reactor stays the wall clock, by which others date what they log."""
        service = self.service()
        service.startService()
        self.assertApproximates(reactor.seconds(), time.time(), 5)
        self.assertApproximates(service.seconds(), time.clock_gettime(time.CLOCK_BOOTTIME), 5)

    def test_realtimeRefused(self) -> None:
        """What the host refuses is logged and among the troubles, and the node runs all the same."""
        log = self.log()
        self.patch(realtime, "refused", lambda: ["it may not (EPERM): LimitRTPRIO=2"])
        service = self.service(realtime=True)
        service.startService()
        said = "realtime: it may not (EPERM): LimitRTPRIO=2"
        self.assertEqual(
            log.lines("realtime"), [f"error: {said}; a busy host can make this node late"]
        )
        self.assertIn(said, status(service.status())["troubles"])

    def test_realtimeUnasked(self) -> None:
        """Nothing of it is asked for where the settings do not."""
        self.patch(realtime, "refused", lambda: self.fail("it was asked for"))
        service = self.service()
        service.startService()
        self.assertEqual(status(service.status())["troubles"], [])


class GuaranteeTests(ServiceTestCase):
    """The guarantee in force is told at each start, and what it does not cover."""

    three = Quorum(frozenset(("alpha", "beta", "gamma")), 2)

    def told(self, *resources: Any, **changes: Any) -> list[str]:
        """What the log says of it."""
        log = self.log()
        service = self.service(*resources, **changes)
        service.startService()
        assert service.node is not None
        self.rules = service.node.machine.rules
        self.lease = service.node.driver.leases.kernels[service.node.machine].seconds
        return [
            *log.lines("Guarantee: "),
            *log.lines("Not protected: "),
            *log.lines("Without a lease"),
        ]

    def test_selfReleasing(self) -> None:
        """Without votes a partition is not covered."""
        first, second = self.told()
        self.assertTrue(
            first.startswith("info: Guarantee: self-releasing: a node that dies or"), first
        )
        self.assertTrue(second.startswith("info: Not protected: if the network splits, both sides"))

    def test_exclusive(self) -> None:
        """With votes, and a tolerance that outlives a lost round trip, it is exclusive."""
        (first, *rest) = self.told(quorum=self.three, interval=1.0, tolerance=10.0, lease=10)
        self.assertTrue(
            first.startswith("info: Guarantee: exclusive: a holder has the votes of 2 of 3")
        )
        self.assertIn("9.772 s after the last confirmed", first)
        self.assertEqual(
            rest,
            [
                (
                    "info: Not protected: daemon and guard killed together, and cut off: "
                    "the kernel's lease may end up to 0.5 s after the votes"
                )
            ],
        )
        self.assertIsNone(self.rules.release)

    def test_tooShort(self) -> None:
        """With votes and a tolerance too short for them it runs, and says what is missing."""
        first, second, *_ = self.told(quorum=self.three, interval=0.1, tolerance=0.2)
        self.assertTrue(
            first.startswith(
                "info: Guarantee: self-releasing: the tolerance of 0.2 s leaves 0.189 s to hold"
            ),
            first,
        )
        self.assertTrue(first.endswith("raise --tolerance to 0.247 s"), first)
        self.assertTrue(second.startswith("info: Not protected: a partition: "), second)

    def test_unguardable(self) -> None:
        """What the guard cannot release is named, as a warning: it stays where the daemon dies."""
        first, *rest = self.told(self.resource("web"), self.resource("db"))
        self.assertTrue(
            first.startswith("warn: Guarantee: best effort: the guard cannot release web, db"),
            first,
        )
        self.assertTrue(all(line.startswith("warn: Not protected: ") for line in rest))

    def test_services(self) -> None:
        """Services of this process die with it: they take nothing from the guarantee."""
        service = self.service()
        service.addActive(Noting("web", self.transcript))
        self.assertEqual(service.guarantee.level, Level.SELF_RELEASING)

    def command(self, timeout: float) -> Command:
        return Command(cast(Any, reactor), ["/bin/true"], ["/bin/true"], timeout=timeout)

    def test_slowRelease(self) -> None:
        """With votes, what commands take to stop is kept free at the end of the hold time."""
        first, *_ = self.told(
            self.command(2.0), self.command(1.0), quorum=self.three, tolerance=10.0
        )
        self.assertEqual(self.rules.release, 3.02)
        self.assertIn("best effort: the guard cannot release /bin/true, /bin/true", first)

    def test_slowService(self) -> None:
        """So is what a service takes that runs where the address is, and that a tolerance has no room for it."""
        for tolerance, timeout, level in (
            (10.0, 3.0, Level.EXCLUSIVE),
            (3.5, 10.0, Level.SELF_RELEASING),
        ):
            service = self.service(quorum=self.three, interval=1.0, tolerance=tolerance)
            service.addActive(Noting("web", self.transcript), timeout)
            found = service.guarantee
            self.assertIs(found.level, level)
        self.assertIn("a release may take 10.02 s", found.reason)

    def test_prepare(self) -> None:
        """So is the killing of what prepares."""
        hooks = (("prepare", (("sleep", "9"),)),)
        self.told(groups=(GroupSettings(hooks=hooks),), quorum=self.three, tolerance=10.0)
        self.assertEqual(self.rules.release, 0.14)

    def test_many(self) -> None:
        """So are many addresses."""
        for count, release in ((20, None), (1000, 0.118)):
            specs = tuple(
                AddressSpec.parse(f"198.18.{n // 250}.{n % 250 + 1}/15@lo") for n in range(count)
            )
            self.told(groups=(GroupSettings(resources=specs),), quorum=self.three, tolerance=10.0)
            self.assertEqual(self.rules.release and round(self.rules.release, 6), release)

    def test_tooSlowRelease(self) -> None:
        """Where they take too long for the tolerance it runs all the same, and says so."""
        first, second, *_ = self.told(
            self.command(10.0), quorum=self.three, interval=1.0, tolerance=3.5
        )
        self.assertIsNone(self.rules.release)
        self.assertIn("best effort", first)
        self.assertEqual(
            second,
            "warn: Not protected: a partition: a release may take 10.02 s, for which a tolerance of "
            "3.5 s has no room; raise --tolerance to 12.286 s",
        )

    def test_unknownRelease(self) -> None:
        """A resource that does not say how long it takes may take as long as it is waited for."""
        service = self.service(self.resource("web"), quorum=self.three, tolerance=10.0)
        self.assertIn("60.02 s", service.guarantee.gaps[0])

    def test_withoutVotes(self) -> None:
        """Without votes nobody waits for a slow release."""
        self.told(self.command(2.0), tolerance=10.0)
        self.assertIsNone(self.rules.release)

    def test_noLease(self) -> None:
        """Addresses without a lease are warned of, and named among what is not covered."""
        spec = AddressSpec.parse("198.51.100.1/32@lo")
        told = self.told(groups=(GroupSettings(resources=(spec,)),), lease=0)
        self.assertEqual(
            len([line for line in told if line.startswith("warn: Without a lease")]), 1
        )
        self.assertEqual(
            [line for line in told if "there is no lease" in line],
            [
                (
                    "info: Not protected: daemon and guard killed together: addresses stay, since "
                    "there is no lease"
                )
            ],
        )
        self.assertEqual(self.lease, 0)

    def test_lease(self) -> None:
        """With one there is no such warning, and nothing of it without addresses."""
        self.assertFalse(any(" lease" in line for line in self.told(lease=0)))
        spec = AddressSpec.parse("198.51.100.1/32@lo")
        self.assertFalse(
            any(
                " lease" in line
                for line in self.told(groups=(GroupSettings(resources=(spec,)),), lease=2)
            )
        )

    def test_leaseOfVotes(self) -> None:
        """The kernel's lease is no longer than the votes, from the first moment on."""
        self.told(quorum=self.three, interval=1.0, tolerance=10.0, lease=3600)
        self.assertEqual(self.lease, 9)

    def test_witness(self) -> None:
        """A witness is told of with what it cannot see."""
        service = self.service(witness=IPv4Address("192.0.2.1"), interval=0.1, tolerance=0.35)
        self.assertIn("the witness covers most partitions", service.guarantee.reason)
        (gap,) = service.guarantee.gaps
        self.assertTrue(gap.startswith("if nodes reach the witness but not each other"))
        service = self.service(witness=IPv4Address("192.0.2.1"), interval=0.1, tolerance=0.2)
        self.assertTrue(service.guarantee.gaps[1].endswith("with --tolerance 0.45 it does not"))


class Shared(Interface):
    """An interface that no host has, so that it never has a carrier."""

    def __init__(self) -> None:
        super().__init__(cast(Any, reactor), cast(Any, None), "absent0")

    def acquire(self) -> Deferred[None]:
        return succeed(None)

    def release(self) -> Deferred[None]:
        return succeed(None)


class CarrierTests(ServiceTestCase):
    """Without a carrier nothing can be served, unless the interface is itself what is held."""

    links = (LinkSpec("lo"),)

    async def test_none(self) -> None:
        """Where the shared interface has no carrier nothing is claimed, and the log says why."""
        log = self.log()
        service = self.service(self.resource("one"), interface="absent0", links=self.links)
        service.startService()
        await self.until(
            lambda: bool(log.lines("fitness in default: unfit: no carrier on absent0"))
        )
        await self.elapse(0.75)  # five times the tolerance
        self.assertEqual(service.role, Role.STANDBY)

    async def test_managed(self) -> None:
        """An interface that is given as a resource is down until it is held."""
        await self.active(self.service(Shared(), interface="absent0", links=self.links))


class CheckTests(ServiceTestCase):
    """A function of the program's own decides whether its node is fit."""

    async def test_function(self) -> None:
        """While it says no nothing is claimed; when it says yes it is; when it fails again all is let go."""
        answers = [False]
        resource = self.resource("one")
        service = self.service(resource)
        service.addCheck(CheckSpec(CallCheck(lambda: answers[0], "queue"), 0.1, rise=1, fall=2))
        log = self.log()
        service.startService()
        told = "fitness in default: unfit: queue: it returned False"
        await self.until(lambda: bool(log.lines(told)))
        await self.elapse(0.5)
        self.assertEqual(service.role, Role.STANDBY)
        answers[0] = True
        await self.until(lambda: service.role is Role.ACTIVE)
        answers[0] = False
        await self.until(lambda: service.role is Role.STANDBY)
        self.assertFalse(resource.held)

    async def test_late(self) -> None:
        """A check that comes once the service runs is refused."""
        service = self.service(self.resource("one"))
        service.startService()
        self.assertRaises(RuntimeError, service.addCheck, CheckSpec(CallCheck(bool, "never")))


class StateTests(ServiceTestCase):
    """What is remembered over a restart."""

    def test_damaged(self) -> None:
        """A damaged state file fails the start there and then, and nothing is left open."""
        service = self.service(self.resource("one"))
        directory = service.settings.stateDir
        os.mkdir(directory)
        with open(os.path.join(directory, "default.alpha.json"), "w") as file:
            file.write("{")
        before = descriptors()
        error = self.assertRaises(ValueError, service.startService)
        self.assertIn("default.alpha.json is not a state file", str(error))
        self.assertEqual(descriptors(), before)
        self.assertFalse(service.running)
        self.assertEqual(self.transcript, [])

    async def test_members(self) -> None:
        """Members are remembered; too many others fail the start, and one more is written down before anything."""

        def votes(*names: str) -> Quorum:
            return Quorum(frozenset(names), len(names) // 2 + 1)

        three = ("alpha", "beta", "gamma")
        service = self.service(quorum=votes(*three))
        directory = service.settings.stateDir
        service.startService()
        path = os.path.join(directory, "default.alpha.json")
        await self.until(lambda: os.path.exists(path))
        await service.stopService()

        def names() -> list[str]:
            with open(path) as file:
                return list(json.load(file)["members"]["names"])

        self.assertEqual(names(), ["alpha", "beta", "gamma"])
        other = self.service(quorum=votes(*three, "delta", "epsilon"), stateDir=directory)
        self.assertIn("one node at a time", str(self.assertRaises(ValueError, other.startService)))
        with open(path) as file:
            content = json.load(file)
        digest = content["members"]["digests"][0]
        content["members"]["heard"] = {"beta": digest, "gamma": digest}
        with open(path, "w") as file:
            json.dump(content, file)
        other = self.service(quorum=votes(*three, "delta"), stateDir=directory)
        other.startService()
        self.assertEqual(names(), ["alpha", "beta", "delta", "gamma"])
        await other.stopService()

    async def test_stopWaitsForTheDisk(self) -> None:
        """A stop ends when its last write has: it must not fall upon what the next start writes."""
        self.patch(program, "WRITTEN", 30.0)
        service = self.service(quorum=Quorum(frozenset(("alpha", "beta", "gamma")), 2))
        service.startService()
        path = os.path.join(service.settings.stateDir, "default.alpha.json")
        await self.until(lambda: os.path.exists(path))
        goOn, begun = threading.Event(), []

        def slowly(*args: Any) -> None:
            begun.append(args)
            goOn.wait(30.0)
            disk.replaceFile(*args)

        self.patch(store, "replaceFile", slowly)
        self.addCleanup(goOn.set)
        os.unlink(path)
        stopped = service.stopService()
        await self.until(lambda: len(begun) > 0)
        self.assertNoResult(stopped)
        goOn.set()
        await stopped
        self.assertTrue(os.path.exists(path))

    async def test_session(self) -> None:
        """Each start of a node has a greater session than the one before, whatever the clock says."""
        service = self.service(self.resource("one"))
        await self.active(service)
        assert service.node is not None
        first = service.node.machine.session
        await service.stopService()
        path = os.path.join(service.settings.stateDir, "default.alpha.json")
        await self.until(lambda: os.path.exists(path))
        with mock.patch("time.time", return_value=0.0):
            service.startService()
        self.assertGreater(service.node.machine.session, first)


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
        """Where a child cannot start, the node does not stay in the cluster without it, nor do other children run."""
        service = self.service(self.resource("one"))
        Noting("first", self.transcript).setServiceParent(service)
        broken = Broken()
        broken.setServiceParent(service)
        await self.elapse(0)  # a reactor that runs has some open itself
        before = descriptors()
        self.assertRaises(ValueError, service.startService)
        # Twisted closes the port's socket in its next turn; a thread still writes down the session.
        await self.until(lambda: descriptors() == before)
        self.assertEqual(service.role, Role.SHUTDOWN)
        self.assertFalse(service.running)
        self.assertIn("first stops", self.transcript)
        self.transcript.clear()
        await maybeDeferred(broken.disownServiceParent)
        await self.active(service)


class UnguardedTests(ServiceTestCase):
    """A guard that cannot be started."""

    async def test_again(self) -> None:
        """Nothing is held without one, which is told; it is tried again, and then all is well."""
        self.patch(program, "GUARD_AGAIN", 0.1)
        service, log = self.service(self.resource("one")), self.log()
        start, failures = service._guard.start, [GuardError("no process"), GuardError("no memory")]
        self.patch(service._guard, "start", lambda: fail(failures.pop(0)) if failures else start())
        service.startService()
        await self.until(lambda: service._guard.pid is not None)
        told = "critical: No guard, so nothing will be held here until there is one: "
        self.assertEqual(log.lines("No guard"), [f"{told}no process", f"{told}no memory"])

    async def test_lost(self) -> None:
        """A holder that can get no other one is less fit, and what it says of the guarantee is true."""
        service = self.service(self.resource("one"))
        await self.active(service)
        guard = service._guard
        self.assertIs(service.guarantee.level, Level.BEST_EFFORT)  # the resource is one of ours
        self.assertNotIn("no guard", service.guarantee.reason)

        def spawn(*arguments: Any) -> None:
            raise OSError(errno.ENOMEM, "Cannot allocate memory")

        with mock.patch("hatwist.linux.guard.client.GuardProcess", spawn):
            assert guard.pid is not None
            os.kill(guard.pid, signal.SIGKILL)
            assert service.node is not None
            election = service.node.machine.elections["default"]
            await self.until(lambda: election.me.verdicts.fitness is Fitness.DEGRADED)
            self.assertEqual(election.me.verdicts.reason, "no guard is running")
            self.assertEqual(service.guarantee.reason, "no guard is running")
            self.assertEqual(status(service.status())["guarantee"]["level"], "best effort")
        await self.until(lambda: election.me.verdicts.fitness is Fitness.FIT)
        self.assertNotIn("no guard", service.guarantee.reason)

    async def test_stopped(self) -> None:
        """A service that is stopped meanwhile tries no more."""
        self.patch(program, "GUARD_AGAIN", 0.05)
        service, starts = self.service(), []

        def start() -> Deferred[None]:
            starts.append(reactor.seconds())
            return fail(GuardError("no process"))

        self.patch(service._guard, "start", start)
        service.startService()
        await self.until(lambda: len(starts) > 1)
        await service.stopService()
        count = len(starts)
        await self.elapse(0.2)
        self.assertEqual(len(starts), count)


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
