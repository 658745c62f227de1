"""
Tests for L{hatwist.service.roleservice} and L{hatwist.service.fake}: what follows the role of a node, on a clock.

The groups of a fake are kept by the keeper of a node, so that order and errors are those of a node.
"""

from __future__ import annotations

from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from hatwist.core.claims import Role
from hatwist.core.effects import RoleChange
from hatwist.core.errors import ResourceError
from hatwist.runtime.interfaces import IRoleObserver
from hatwist.service.fake import FakeHAService
from hatwist.service.terms import Term


@implementer(IRoleObserver)
class Observer:
    def __init__(self, story: list[Any]) -> None:
        self.story = story

    def roleChanged(self, change: RoleChange) -> None:
        self.story.append(f"{change.group}: {change.new}")


class FakeTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.ha = FakeHAService(self.clock, ["web", "mail"])
        self.story: list[Any] = []

    def become(self, role: Role, group: str | None = None) -> None:
        """At once: nothing is slow."""
        done = self.ha.become(role, group)
        self.clock.advance(0)
        self.successResultOf(done)

    def begin(self, coroutine: Any) -> Deferred[Any]:
        return Deferred.fromCoroutine(coroutine)


class RoleTests(FakeTestCase):
    """Who waits for a role is told."""

    def test_whenRole(self) -> None:
        """It fires with the change, now or later, of the group that was asked for."""
        waiting = self.ha.whenRole(Role.ACTIVE, "mail")
        self.become(Role.ACTIVE, "web")
        self.assertNoResult(waiting)
        self.become(Role.ACTIVE, "mail")
        self.assertEqual(self.successResultOf(waiting).group, "mail")
        found = self.successResultOf(self.ha.whenRole(Role.ACTIVE))
        self.assertEqual((found.group, found.new, found.term), ("web", Role.ACTIVE, 1))
        self.become(Role.STANDBY)
        self.assertNoResult(self.ha.whenRole(Role.ACTIVE))

    def test_whenRoleCancelled(self) -> None:
        """Who waits no more is not told, and keeps nobody else from it."""
        one, two = self.ha.whenRole(Role.ACTIVE), self.ha.whenRole(Role.ACTIVE)
        one.cancel()
        self.failureResultOf(one, CancelledError)
        self.become(Role.ACTIVE)
        self.successResultOf(two)

    def test_noGroup(self) -> None:
        """A group that does not exist is told with those that do."""
        error = self.assertRaises(ValueError, self.ha.whenRole, Role.ACTIVE, "wbe")
        self.assertEqual(str(error), "group='wbe': there is no such group; did you mean web?")
        self.assertRaises(ValueError, self.ha.addActive, Service(), 1.0, "x")

    def test_changes(self) -> None:
        """Every change comes once, in order, also to who is slow; it ends with the node."""
        found: list[str] = []

        async def follow(group: str | None) -> None:
            async for change in self.ha.changes(group):
                found.append(f"{group} {change.group} {change.new}")

        following = [self.begin(follow(None)), self.begin(follow("mail"))]
        slow = self.ha.changes()
        self.become(Role.ACTIVE)
        self.become(Role.ACTIVE, "mail")
        self.assertEqual(found, ["None web ACTIVE", "None mail ACTIVE", "mail mail ACTIVE"])
        stopping = self.ha.stopService()
        self.clock.advance(0)
        self.successResultOf(stopping)
        for each in following:
            self.successResultOf(each)

        async def all() -> list[str]:
            return [str(change.new) async for change in slow]

        self.assertEqual(
            self.successResultOf(self.begin(all())), ["ACTIVE", "ACTIVE", "SHUTDOWN", "SHUTDOWN"]
        )

    def test_observer(self) -> None:
        """An observer is told once, until it is removed; what is none is refused when it is added."""
        observer = Observer(self.story)
        self.ha.addObserver(observer)
        self.ha.addObserver(observer)
        self.become(Role.ACTIVE)
        self.ha.removeObserver(observer)
        self.become(Role.STANDBY)
        self.assertEqual(self.story, ["web: ACTIVE"])
        wrong: Any = object()
        error = self.assertRaises(TypeError, self.ha.addObserver, wrong)
        self.assertIn("@implementer(IRoleObserver)", str(error))

    def test_names(self) -> None:
        """A role prints as its name, wherever."""
        self.assertEqual((str(Role.ACTIVE), f"{Role.ACTIVE:>7}"), ("ACTIVE", " ACTIVE"))
        self.assertEqual(int(Role.ACTIVE), 2)


class HookTests(FakeTestCase):
    """Functions, Deferreds and coroutines, before the node is active and before anything else is released."""

    def test_kinds(self) -> None:
        """Each is waited for: the node is ACTIVE only when the last one is done."""
        slow: Deferred[None] = Deferred()
        self.ha.addObserver(Observer(self.story))

        async def coroutine() -> None:
            self.story.append("coroutine")
            await slow
            self.story.append("done")

        self.ha.addHooks(lambda: self.story.append("function"), lambda: self.story.append("last"))
        self.ha.addHooks(coroutine)
        done = self.ha.become(Role.ACTIVE)
        self.assertEqual(self.story, ["function", "coroutine"])
        slow.callback(None)
        self.successResultOf(done)
        self.become(Role.STANDBY)
        self.assertEqual(
            self.story, ["function", "coroutine", "done", "web: ACTIVE", "last", "web: STANDBY"]
        )

    def test_failed(self) -> None:
        """An error gives the group up: all is released, the failed one included; nothing is half held."""
        broken = [True]

        async def acquire() -> None:
            if broken:
                raise KeyError("no such table")

        self.ha.addObserver(Observer(self.story))
        self.ha.addHooks(lambda: self.story.append("up"), lambda: self.story.append("down"))
        self.ha.addHooks(acquire, lambda: self.story.append("undone"))
        done = self.ha.become(Role.ACTIVE)
        self.clock.advance(0)
        error = self.failureResultOf(done, ResourceError).value
        self.assertIn("acquire: could not start: KeyError: 'no such table'", str(error))
        self.assertEqual(self.story, ["up", "undone", "down"])
        self.assertEqual(self.ha.role, Role.STANDBY)
        broken.clear()
        self.become(Role.ACTIVE)
        self.assertEqual(self.story[3:], ["up", "web: ACTIVE"])

    def test_late(self) -> None:
        """One that never answers is cut short by its timeout."""
        self.ha.addHooks(lambda: Deferred(), timeout=2.0)
        done = self.ha.become(Role.ACTIVE)
        self.clock.advance(1.9)
        self.assertNoResult(done)
        self.clock.advance(0.2)
        self.failureResultOf(done, ResourceError)

    def test_refused(self) -> None:
        """What is no service is refused when it is added."""
        wrong: Any = object()
        self.assertRaises(TypeError, self.ha.addActive, wrong)


class TermTests(FakeTestCase):
    """A coroutine works in the terms of its node, and the node waits for it."""

    def test_terms(self) -> None:
        """Each term ends with the role: who sleeps wakes, and the addresses wait until the work has come back."""
        numbers: list[int] = []
        closing: Deferred[None] = Deferred()

        async def work() -> str:
            async for term in self.ha.terms():
                numbers.append(term.number)
                while await term.sleep(5.0):
                    self.story.append("works")
                self.story.append(f"valid: {term.valid}")
                await closing
            return "ended"

        working = self.begin(work())
        self.become(Role.ACTIVE)
        self.clock.advance(5.0)
        self.clock.advance(5.0)
        standing = self.ha.become(Role.STANDBY)
        self.assertEqual(self.story, ["works", "works", "valid: False"])
        self.assertNoResult(standing)
        closing.callback(None)
        self.successResultOf(standing)
        self.become(Role.ACTIVE)
        self.assertEqual(numbers, [1, 2])
        stopping = self.ha.stopService()
        self.clock.advance(0)
        self.successResultOf(stopping)
        self.assertEqual(self.successResultOf(working), "ended")
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_gone(self) -> None:
        """A coroutine that fails or leaves the loop keeps nobody waiting."""

        async def leave() -> None:
            async for _ in self.ha.terms():
                return

        async def fail() -> None:
            async for _ in self.ha.terms():
                raise KeyError("a fault of the program")

        left, failed = self.begin(leave()), self.begin(fail())
        self.become(Role.ACTIVE)
        self.successResultOf(left)
        self.failureResultOf(failed, KeyError)
        del left, failed
        self.become(Role.STANDBY)

    def test_late(self) -> None:
        """Who comes in the middle of a term gets it."""
        terms = self.ha.terms()
        self.become(Role.ACTIVE)
        term = self.successResultOf(self.begin(terms.__anext__()))
        self.assertTrue(term.valid)

    def test_asking(self) -> None:
        """Who is cancelled while there is no term is no reader any more; a term then is nobody's."""
        terms = self.ha.terms()
        asking = self.begin(terms.__anext__())
        asking.cancel()
        self.failureResultOf(asking, CancelledError)
        self.become(Role.ACTIVE)
        self.become(Role.STANDBY)

    def test_fence(self) -> None:
        """A term is over when its node must let go, though nobody has come to release anything: it stood still."""
        fence = self.ha._groupOf(None).fence
        terms = self.ha.terms()
        self.become(Role.ACTIVE)
        term: Term = self.successResultOf(self.begin(terms.__anext__()))
        assert fence.lease is not None
        fence.lease.until = self.clock.seconds() + 1.0
        self.assertTrue(term.valid)
        sleeping = term.sleep(0.5)
        self.clock.advance(1.5)
        self.assertFalse(term.valid)
        self.assertIs(self.successResultOf(sleeping), False)
        self.assertIs(self.successResultOf(term.sleep(1.0)), False)

    def test_cancelled(self) -> None:
        """A sleep that is cancelled leaves no timer."""
        terms = self.ha.terms()
        self.become(Role.ACTIVE)
        sleeping = self.successResultOf(self.begin(terms.__anext__())).sleep(1.0)
        sleeping.cancel()
        self.failureResultOf(sleeping, CancelledError)
        self.assertEqual(self.clock.getDelayedCalls(), [])


class EveryTests(FakeTestCase):
    """Work in intervals, on the holder only."""

    def test_holderOnly(self) -> None:
        """It begins when the node is to be active, and no call comes after that."""
        self.ha.every(2.0, lambda: self.story.append(self.clock.seconds()))
        self.clock.advance(10.0)
        self.assertEqual(self.story, [])
        self.become(Role.ACTIVE)
        self.clock.advance(2.0)
        self.clock.advance(2.0)
        self.become(Role.STANDBY)
        self.clock.advance(10.0)
        self.assertEqual(self.story, [10.0, 12.0, 14.0])
        self.become(Role.ACTIVE)
        self.assertEqual(len(self.story), 4)

    def test_failed(self) -> None:
        """An error is logged, and the next call comes."""

        async def fail() -> None:
            self.story.append(1)
            raise KeyError("once")

        self.ha.every(1.0, fail)
        self.become(Role.ACTIVE)
        self.clock.advance(1.0)
        self.assertEqual(len(self.story), 2)
        self.assertEqual(len(self.flushLoggedErrors(KeyError)), 2)

    def test_pending(self) -> None:
        """A call that is not done keeps the next one waiting; a release cancels it, and waits until it has ended."""
        undoing: Deferred[None] = Deferred()

        async def job() -> None:
            self.story.append("begins")
            try:
                await Deferred()
            finally:
                await undoing
                self.story.append("ends")

        self.ha.every(1.0, job)
        self.become(Role.ACTIVE)
        self.clock.advance(5.0)
        standing = self.ha.become(Role.STANDBY)
        self.assertEqual(self.story, ["begins"])
        self.assertNoResult(standing)
        undoing.callback(None)
        self.clock.advance(0)
        self.successResultOf(standing)
        self.assertEqual(self.story, ["begins", "ends"])
