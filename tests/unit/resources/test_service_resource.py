"""Tests for L{hatwist.resources.service}."""

from __future__ import annotations

from twisted.application.service import MultiService, Service
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase, TestCase

from hatwist.core.errors import ResourceError
from hatwist.resources.service import ServiceResource
from tests.contracts import ResourceContract


class ServiceContractTests(ResourceContract, TestCase):
    """A service keeps the contract of every resource."""

    def makeResource(self) -> ServiceResource:
        return ServiceResource(Clock(), MultiService())


class Slow(Service):
    """A service whose start and stop end when the test says so."""

    name = "slow"

    def __init__(self) -> None:
        self.starting: Deferred[None] = Deferred()
        self.stopping: Deferred[None] = Deferred()
        self.transcript: list[str] = []

    def startService(self) -> Deferred[None]:
        self.transcript.append("start")
        super().startService()
        return self.starting

    def stopService(self) -> Deferred[None]:
        self.transcript.append("stop")
        super().stopService()
        return self.stopping


class ServiceResourceTests(SynchronousTestCase):
    """Start and stop are awaited, bounded, and their failures told."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.service = Slow()
        self.resource = ServiceResource(self.clock, self.service, timeout=5.0)

    def test_startAwaited(self) -> None:
        """It is held once what startService returned has fired, and not before."""
        acquired = self.resource.acquire()
        self.assertNoResult(acquired)
        self.assertFalse(self.successResultOf(self.resource.verify()))
        self.service.starting.callback(None)
        self.successResultOf(acquired)
        self.assertTrue(self.successResultOf(self.resource.verify()))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_stopAwaited(self) -> None:
        """The release waits for the stop, since the address is let go of after it."""
        self.service.starting.callback(None)
        self.successResultOf(self.resource.acquire())
        released = self.resource.release()
        self.assertNoResult(released)
        self.service.stopping.callback(None)
        self.successResultOf(released)
        self.assertEqual(self.service.transcript, ["start", "stop"])

    def test_startFails(self) -> None:
        """A start whose Deferred fails is a ResourceError with the cause, and the service is stopped."""
        self.service.stopping.callback(None)
        self.service.starting.errback(OSError("port 80 is taken"))
        failure = self.failureResultOf(self.resource.acquire(), ResourceError)
        self.assertEqual(str(failure.value), "slow: could not start: OSError: port 80 is taken")
        self.assertEqual(self.service.transcript, ["start", "stop"])
        self.assertFalse(self.successResultOf(self.resource.verify()))

    def test_startRaises(self) -> None:
        """A start that raises is a ResourceError, and what had started before it is stopped."""

        class Broken(Service):
            def startService(self) -> None:
                raise ValueError("no certificate")

        parent, before = MultiService(), Service()
        before.setServiceParent(parent)
        Broken().setServiceParent(parent)
        parent.setName("web")
        resource = ServiceResource(self.clock, parent)
        failure = self.failureResultOf(resource.acquire(), ResourceError)
        self.assertEqual(str(failure.value), "web: could not start: ValueError: no certificate")
        self.assertFalse(before.running)

    def test_startHangs(self) -> None:
        """A start that exceeds its time is a ResourceError, and the service is stopped."""
        self.service.stopping.callback(None)
        acquired = self.resource.acquire()
        self.clock.advance(5.0)
        failure = self.failureResultOf(acquired, ResourceError)
        self.assertEqual(str(failure.value), "slow: did not start within 5 s")
        self.assertEqual(self.service.transcript, ["start", "stop"])

    def test_startCancelled(self) -> None:
        """A cancelled start ends in CancelledError when the service has stopped, not before."""
        acquired = self.resource.acquire()
        acquired.cancel()
        self.assertNoResult(acquired)
        self.service.stopping.callback(None)
        self.failureResultOf(acquired, CancelledError)
        self.assertEqual(self.service.transcript, ["start", "stop"])

    def test_stopFailsAndIsTriedAgain(self) -> None:
        """A stop that failed is not taken for a stop: the next release tries again."""
        self.service.starting.callback(None)
        self.successResultOf(self.resource.acquire())
        self.service.stopping.errback(OSError("still busy"))
        failure = self.failureResultOf(self.resource.release(), ResourceError)
        self.assertEqual(str(failure.value), "slow: could not stop: OSError: still busy")
        self.service.stopping = Deferred()
        self.service.stopping.callback(None)
        self.successResultOf(self.resource.release())
        self.assertEqual(self.service.transcript, ["start", "stop", "stop"])

    def test_stopHangs(self) -> None:
        """A stop that exceeds its time is a ResourceError, so that nobody waits for ever."""
        self.service.starting.callback(None)
        self.successResultOf(self.resource.acquire())
        released = self.resource.release()
        self.clock.advance(5.0)
        failure = self.failureResultOf(released, ResourceError)
        self.assertEqual(str(failure.value), "slow: did not stop within 5 s")
