"""Tests for L{hatwist.resources.vigil}."""

from __future__ import annotations

from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from hatwist.core.errors import ResourceError
from hatwist.resources.vigil import PAUSE, Vigil


class VigilTests(SynchronousTestCase):
    """A resource that is here or not here, restored when the test says so."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.transcript: list[str] = []
        self.here = True
        self.restoring: Deferred[None] | None = None
        self.vigil = Vigil(self.clock, "thing", self.verify, self.restore)
        self.vigil.lost = lambda reason: self.transcript.append(f"lost: {reason}")
        self.vigil.begin(lambda: self.transcript.append("unsubscribed"))

    def verify(self) -> Deferred[bool]:
        self.transcript.append("verify")
        return succeed(self.here)

    def restore(self) -> Deferred[None]:
        self.transcript.append("restore")
        self.restoring = Deferred(lambda _: self.transcript.append("restore cancelled"))
        return self.restoring

    def restored(self) -> None:
        """The restoration under way succeeds."""
        assert self.restoring is not None
        self.here = True
        self.restoring.callback(None)

    def takeAway(self) -> None:
        """It goes away, and the kernel tells."""
        self.here = False
        self.vigil.suspect()

    def take(self) -> list[str]:
        """What happened since the last call."""
        transcript, self.transcript = self.transcript, []
        return transcript

    def test_falseAlarm(self) -> None:
        """What is still there is not restored."""
        self.vigil.suspect()
        self.assertEqual(self.take(), ["verify"])

    def test_restoredAtOnce(self) -> None:
        """What is gone is restored at once, and nobody is told of a loss."""
        self.takeAway()
        self.assertEqual(self.take(), ["verify", "restore"])
        self.restored()
        self.assertEqual(self.take(), [])

    def test_fight(self) -> None:
        """Who takes it away again and again meets one restoration in each pause."""
        self.takeAway()
        self.restored()
        self.take()
        for _ in range(3):
            self.takeAway()
            self.assertEqual(self.take(), ["verify"])
            self.clock.advance(PAUSE / 2)
            self.assertEqual(self.take(), [])
            self.clock.advance(PAUSE / 2)
            self.assertEqual(self.take(), ["verify", "restore"])
            self.restored()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_backBeforeThePauseIsOver(self) -> None:
        """What came back by itself during the pause is not restored."""
        self.takeAway()
        self.restored()
        self.takeAway()
        self.take()
        self.here = True
        self.clock.advance(PAUSE)
        self.assertEqual(self.take(), ["verify"])

    def test_takenAwayDuringARestoration(self) -> None:
        """What happened during a restoration is looked at after it."""
        self.takeAway()
        self.vigil.suspect()
        self.vigil.suspect()
        self.assertEqual(self.take(), ["verify", "restore"])
        assert self.restoring is not None
        self.restoring.callback(None)  # and yet it is not there
        self.assertEqual(self.take(), ["verify"])
        self.clock.advance(PAUSE)
        self.assertEqual(self.take(), ["verify", "restore"])

    def test_lost(self) -> None:
        """What cannot be restored is lost: told once, and no longer looked after."""
        self.takeAway()
        assert self.restoring is not None
        self.take()
        self.restoring.errback(ResourceError("the kernel refuses"))
        self.assertEqual(self.take(), ["unsubscribed", "lost: the kernel refuses"])
        self.vigil.suspect()
        self.clock.advance(10 * PAUSE)
        self.assertEqual(self.take(), [])

    def test_bug(self) -> None:
        """An error of any other kind is a loss too, with its traceback in the log."""
        self.takeAway()
        assert self.restoring is not None
        self.take()
        self.restoring.errback(ZeroDivisionError("oh"))
        self.assertEqual(self.take(), ["unsubscribed", "lost: oh"])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_releasedWhenLost(self) -> None:
        """Who is told of a loss may release at once."""
        ended: list[Deferred[None]] = []
        self.vigil.lost = lambda reason: ended.append(Deferred.fromCoroutine(self.vigil.end()))
        self.takeAway()
        assert self.restoring is not None
        self.restoring.errback(ResourceError("no"))
        (end,) = ended
        self.successResultOf(end)

    def test_end(self) -> None:
        """Its end stops a restoration and waits until that is over: what was begun must not come after a release."""
        dying: Deferred[None] = Deferred()
        self.vigil = Vigil(self.clock, "thing", self.verify, lambda: self.killed(dying))
        self.vigil.begin(lambda: self.transcript.append("unsubscribed"))
        self.takeAway()
        self.take()
        end = Deferred.fromCoroutine(self.vigil.end())
        self.assertEqual(self.take(), ["unsubscribed", "cancelled"])
        self.assertNoResult(end)
        dying.callback(None)
        self.successResultOf(end)
        self.vigil.suspect()
        self.assertEqual(self.take(), [])

    def killed(self, dying: Deferred[None]) -> Deferred[None]:
        """A restoration that takes a while to die."""

        async def restore() -> None:
            try:
                await Deferred()
            except CancelledError:
                self.transcript.append("cancelled")
                await dying
                raise

        return Deferred.fromCoroutine(restore())

    def test_endDuringThePause(self) -> None:
        """Its end during the pause leaves no timer."""
        self.takeAway()
        self.restored()
        self.takeAway()
        self.take()
        self.successResultOf(Deferred.fromCoroutine(self.vigil.end()))
        self.assertEqual(self.take(), ["unsubscribed"])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_beginAgain(self) -> None:
        """A second beginning replaces the first one's events."""
        self.vigil.begin(lambda: self.transcript.append("unsubscribed too"))
        self.assertEqual(self.take(), ["unsubscribed"])
