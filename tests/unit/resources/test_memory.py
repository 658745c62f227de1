"""Tests for L{hatwist.resources.memory}."""

from __future__ import annotations

from twisted.internet.defer import CancelledError
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase, TestCase
from zope.interface.verify import verifyObject

from hatwist.core.errors import ResourceError
from hatwist.resources.interfaces import IAnnouncer
from hatwist.resources.memory import MemoryResource
from tests.contracts import ResourceContract


class MemoryContractTests(ResourceContract, TestCase):
    """The double keeps the contract, so that what is tested with it holds with the real ones."""

    def makeResource(self) -> MemoryResource:
        return MemoryResource(Clock())


class MemoryResourceTests(SynchronousTestCase):
    """What the double adds: delays, failures, losses, a transcript."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.resource = MemoryResource(self.clock, delay=1.0)

    def test_delay(self) -> None:
        """An operation takes the delay, and what is held changes at its end."""
        acquired = self.resource.acquire()
        self.clock.advance(0.9)
        self.assertNoResult(acquired)
        self.assertFalse(self.resource.held)
        self.clock.advance(0.1)
        self.assertIsNone(self.successResultOf(acquired))
        self.assertTrue(self.resource.held)
        self.assertEqual(self.resource.transcript, ["acquire", "acquired"])

    def test_finishedByHand(self) -> None:
        """Without a delay an operation waits for finish()."""
        self.resource.delay = None
        acquired = self.resource.acquire()
        self.clock.advance(1000)
        self.assertNoResult(acquired)
        self.resource.finish()
        self.successResultOf(acquired)
        self.assertRaises(ValueError, self.resource.finish)

    def test_failure(self) -> None:
        """A scripted failure is a ResourceError with its reason, as often as was said."""
        self.resource.delay = 0.0
        self.resource.failNext("acquire", "the kernel refuses", times=2)
        for _ in range(2):
            failure = self.failureResultOf(self.resource.acquire(), ResourceError)
            self.assertEqual(str(failure.value), "memory: the kernel refuses")
        self.successResultOf(self.resource.acquire())
        self.assertEqual(
            self.resource.transcript,
            ["acquire", "acquire failed", "acquire", "acquire failed", "acquire", "acquired"],
        )

    def test_failedReleaseStaysHeld(self) -> None:
        """After a release that failed it is still held."""
        self.resource.delay = 0.0
        self.successResultOf(self.resource.acquire())
        self.resource.failNext("release")
        self.failureResultOf(self.resource.release(), ResourceError)
        self.assertTrue(self.successResultOf(self.resource.verify()))

    def test_cancelled(self) -> None:
        """A cancelled operation changes nothing, leaves no timer, and another may follow."""
        acquired = self.resource.acquire()
        acquired.cancel()
        self.failureResultOf(acquired, CancelledError)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertFalse(self.resource.held)
        released = self.resource.release()
        self.clock.advance(1.0)
        self.successResultOf(released)
        self.assertEqual(
            self.resource.transcript, ["acquire", "acquire cancelled", "release", "released"]
        )

    def test_overlap(self) -> None:
        """Two operations at a time are a fault of the caller, and the double says so."""
        first = self.resource.acquire()
        self.failureResultOf(self.resource.release(), AssertionError)
        self.clock.advance(1.0)
        self.successResultOf(first)

    def test_lose(self) -> None:
        """What is lost is not held, and who watches is told why."""
        losses: list[str] = []
        self.resource.watch(losses.append)
        self.resource.held = True
        self.resource.lose("deleted by hand")
        self.assertEqual(losses, ["deleted by hand"])
        self.assertFalse(self.resource.held)

    def test_announce(self) -> None:
        """It announces only while it is held."""
        self.assertTrue(verifyObject(IAnnouncer, self.resource))
        self.resource.announce()
        self.assertEqual(self.resource.transcript, [])
        self.resource.held = True
        self.resource.announce()
        self.assertEqual(self.resource.transcript, ["announce"])

    def test_sharedTranscript(self) -> None:
        """Resources that share a transcript show the order among them."""
        transcript: list[str] = []
        for name in ("first", "second"):
            resource = MemoryResource(self.clock, name, 0.0, transcript)
            self.successResultOf(resource.acquire())
        self.assertEqual(
            transcript,
            ["first: acquire", "first: acquired", "second: acquire", "second: acquired"],
        )
