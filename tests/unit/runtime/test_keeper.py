"""The keeper: resources follow what is wanted, one operation at a time."""

from __future__ import annotations

from twisted.internet import reactor
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from hatwist.core.limits import LIMIT
from hatwist.resources.command import Command
from hatwist.resources.memory import MemoryResource
from hatwist.runtime.keeper import Keeper


class KeeperTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.story: list[str] = []
        self.one = MemoryResource(self.clock, "one", None, self.story)
        self.two = MemoryResource(self.clock, "two", None, self.story)
        self.keeper = Keeper(self.clock, "g", [self.one, self.two], retry=0.5)
        self.keeper.start(
            lambda: self.story.append("HELD"),
            lambda reason: self.story.append(f"REFUSED {reason}"),
            lambda: self.story.append("RELEASED"),
        )

    def told(self) -> list[str]:
        story = list(self.story)
        self.story.clear()
        return story

    def hold(self) -> None:
        self.keeper.hold()
        self.one.finish()
        self.two.finish()
        self.told()

    def test_order(self) -> None:
        """Resources are acquired in order, each awaited, and released in reverse."""
        self.keeper.hold()
        self.assertEqual(self.told(), ["one: acquire"])
        self.one.finish()
        self.assertEqual(self.told(), ["one: acquired", "two: acquire"])
        self.two.finish()
        self.assertEqual(self.told(), ["two: acquired", "HELD"])
        self.keeper.release()
        self.two.finish()
        self.one.finish()
        self.assertEqual(
            self.told(),
            ["two: release", "two: released", "one: release", "one: released", "RELEASED"],
        )

    def test_firstRelease(self) -> None:
        """A release before anything was held still releases, whatever an earlier run left."""
        self.keeper.release()
        self.two.finish()
        self.one.finish()
        self.assertEqual(self.told()[-1], "RELEASED")

    def test_refused(self) -> None:
        """A refused acquire is told with its reason, and what was acquired before is released when asked."""
        self.two.failNext("acquire", "no room")
        self.keeper.hold()
        self.one.finish()
        self.two.finish()
        self.assertIn("REFUSED two: no room", self.told())
        self.assertFalse(self.keeper.held)
        # It does not wait to be asked: nothing half acquired stays.
        self.two.finish()
        self.one.finish()
        self.assertEqual(
            self.told(), ["two: released", "one: release", "one: released", "RELEASED"]
        )

    def test_releaseCancelsAcquire(self) -> None:
        """A release that comes while a resource is being acquired cancels that, and then releases."""
        self.keeper.hold()
        self.keeper.release()
        self.assertEqual(self.told(), ["one: acquire", "one: acquire cancelled", "two: release"])
        self.two.finish()
        self.one.finish()
        self.assertEqual(self.told()[-1], "RELEASED")
        self.assertNotIn("HELD", self.story)

    def test_failedRelease(self) -> None:
        """A failed release is never told as released; all others are released, and it alone is tried again."""
        self.hold()
        self.two.failNext("release", "stuck")
        self.keeper.release()
        self.two.finish()
        self.one.finish()
        self.assertNotIn("RELEASED", self.told())
        self.assertFalse(self.one.held)
        self.clock.advance(0.5)
        self.two.finish()
        # What is proven gone is not released once more.
        self.assertEqual(self.told(), ["two: release", "two: released", "RELEASED"])

    def test_hangs(self) -> None:
        """An operation that never ends is cancelled at its limit, and counts as failed."""
        self.keeper.hold()
        self.clock.advance(LIMIT)
        self.assertIn("REFUSED", self.told()[2])

    def test_hurry(self) -> None:
        """A keeper that is told to hurry gives up what hangs, and still releases the rest."""
        self.hold()
        self.keeper.release()
        self.keeper.hurry()
        self.assertEqual(self.told(), ["two: release", "two: release cancelled", "one: release"])
        self.one.finish()
        self.assertFalse(self.one.held)
        self.assertNotIn("RELEASED", self.story)

    def test_lost(self) -> None:
        """A resource that is lost while held is told as refused, with its name and the reason."""
        self.hold()
        self.two.lose("deleted")
        self.assertEqual(self.told(), ["REFUSED two: deleted"])
        self.assertFalse(self.keeper.held)

    def test_lostWhenNotWanted(self) -> None:
        """A loss after the release was asked for is no news."""
        self.hold()
        self.keeper.release()
        self.told()
        self.two.lose("deleted")
        self.assertEqual(self.told(), [])

    def test_announce(self) -> None:
        """Announcements go out while everything is held, and not before or after."""
        self.keeper.hold()
        self.keeper.announce()
        self.one.finish()
        self.two.finish()
        self.told()
        self.keeper.announce()
        self.assertEqual(self.told(), ["one: announce", "two: announce"])
        self.keeper.release()
        self.told()
        self.keeper.announce()
        self.assertEqual(self.told(), [])

    def test_term(self) -> None:
        """What passes on the fencing token has that of the claim before it is acquired."""
        command = Command(reactor, ["true"], ["true"])  # type: ignore[arg-type]
        keeper = Keeper(self.clock, "g", [self.one, command])
        keeper.hold(7)
        self.assertEqual(command.term, 7)

    def test_holdAgain(self) -> None:
        """What was released can be held again."""
        self.hold()
        self.keeper.release()
        self.two.finish()
        self.one.finish()
        self.hold()
        self.assertTrue(self.keeper.held)
