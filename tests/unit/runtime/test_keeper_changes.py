"""The keeper: progress, times, roll back, and resources that are exchanged while they are kept."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from hatwist.core.errors import ResourceError
from hatwist.core.limits import LIMIT, MARGIN
from hatwist.resources.interfaces import ILeased
from hatwist.resources.memory import MemoryResource
from hatwist.runtime.keeper import Keeper
from hatwist.runtime.prepared import Prepared


@implementer(ILeased)
class Leased(MemoryResource):
    """A resource in memory with a lease."""

    def renew(self, seconds: int) -> Deferred[None]:
        self._note(f"renew {seconds}")
        return succeed(None)


class Kept(SynchronousTestCase):
    """A keeper of resources a, b, c, which take their time if asked to."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.story: list[str] = []
        self.steps: list[tuple[int, int, str]] = []
        self.all = {name: self.make(name) for name in "abcdef"}
        self.keeper = self.keep("abc")

    def make(self, name: str) -> MemoryResource:
        return MemoryResource(self.clock, name, 0.0, self.story)

    def named(self, names: str) -> list[MemoryResource]:
        return [self.all[name] for name in names]

    def keep(self, names: str, first: Prepared | None = None) -> Keeper:
        keeper = Keeper(self.clock, "g", self.named(names), 0.5, first)
        keeper.start(
            lambda: self.story.append("HELD"),
            lambda reason: self.story.append(f"REFUSED {reason}"),
            lambda: self.story.append("RELEASED"),
            lambda *step: self.steps.append(step),
        )
        keeper.release()
        self.told()
        return keeper

    def told(self) -> list[str]:
        story = [line for line in self.story if not line.endswith((": acquire", ": release"))]
        self.story.clear()
        return story

    def heldNow(self) -> str:
        return "".join(name for name, resource in self.all.items() if resource.held)


class RollBackTests(Kept):
    """An acquisition that fails."""

    CASES = (
        ("a", ["a: acquire failed", "REFUSED a: full", "a: released"]),
        ("b", ["a: acquired", "b: acquire failed", "REFUSED b: full", "b: released", "a: released"]),
        (
            "c",
            [
                *("a: acquired", "b: acquired", "c: acquire failed", "REFUSED c: full"),
                *("c: released", "b: released", "a: released"),
            ],
        ),
    )  # fmt: skip

    def test_asFarAsItCame(self) -> None:
        """What was acquired, and what failed, is released in reverse; what was not reached is not touched."""
        for name, expected in self.CASES:
            self.all[name].failNext("acquire", "full")
            self.keeper.hold(1)
            self.assertEqual(self.told(), [*expected, "RELEASED"], name)
            self.assertEqual(self.heldNow(), "")

    def test_ownTime(self) -> None:
        """An operation gets the time that its resource asks for and a margin, and the keeper's own limit else."""
        cases: tuple[tuple[dict[str, float], float, float], ...] = (
            ({}, LIMIT, LIMIT),
            ({"timeout": 3.0}, 3.0 + MARGIN, 3.0 + MARGIN),
            ({"acquireTime": 100.0, "releaseTime": 5.0}, 100.0 + MARGIN, 5.0 + MARGIN),
            ({"timeout": 3.0, "releaseTime": 5.0}, 3.0 + MARGIN, 5.0 + MARGIN),
        )
        for attributes, acquire, release in cases:
            resource = self.make("x")
            for name, value in attributes.items():
                setattr(resource, name, value)
            keeper = Keeper(self.clock, "g", [resource])
            refused: list[str] = []
            keeper.start(lambda: None, refused.append, lambda: None)
            keeper.release()
            resource.delay = None
            keeper.hold()
            self.clock.advance(acquire - 0.01)
            self.assertEqual(refused, [])
            self.told()
            self.clock.advance(0.02)
            self.assertEqual(refused, [f"x: not done within {acquire:g} s"])
            self.told()
            self.clock.advance(release - 0.01)
            self.assertEqual(self.told(), [])
            self.clock.advance(0.02)
            self.assertEqual(self.told(), ["x: release cancelled"])
            keeper.abandon()

    def test_steps(self) -> None:
        """Each step is told with its number and its resource, and the end of it before anything else is."""
        self.steps.clear()
        for resource in self.named("abc"):
            resource.delay = 0.1
        self.keeper.hold(1)
        self.clock.pump([0.1] * 3)
        self.assertEqual(
            self.steps,
            [
                (1, 3, "acquiring, step 1 of 3: a"),
                (2, 3, "acquiring, step 2 of 3: b"),
                (3, 3, "acquiring, step 3 of 3: c"),
                (0, 0, ""),
            ],
        )
        self.steps.clear()
        self.keeper.release()
        self.clock.pump([0.1] * 3)
        self.assertEqual(
            [words for _, _, words in self.steps],
            [
                *("releasing, step 1 of 3: c", "releasing, step 2 of 3: b"),
                *("releasing, step 3 of 3: a", ""),
            ],
        )

    def test_stepsAtOnce(self) -> None:
        """What is done at once is told to nobody: the end of it says it all."""
        self.all["b"].delay = 0.1
        self.steps.clear()
        self.keeper.hold(1)
        self.assertEqual(self.steps, [(2, 3, "acquiring, step 2 of 3: b")])
        self.clock.advance(0.1)
        self.assertEqual((self.steps[1:], self.told()[-1]), ([(0, 0, "")], "HELD"))
        self.all["b"].delay = 0.0
        self.steps.clear()
        self.keeper.release()
        self.assertEqual((self.steps, self.told()[-1]), ([], "RELEASED"))

    def surrounded(self, prepare: Callable[[int], Deferred[None]]) -> Keeper:
        """A keeper of a, b, c with what is prepared for them."""
        undone = lambda: self.story.append("UNDONE")  # noqa: E731
        return self.keep("abc", Prepared(self.clock, "g", prepare, undone))

    def test_prepare(self) -> None:
        """What prepares is awaited before the first resource, with the term; its failure hinders nothing."""
        prepared: Deferred[None] = Deferred()
        terms: list[int] = []
        keeper = self.surrounded(lambda term: (terms.append(term), prepared)[1])  # type: ignore[func-returns-value]
        keeper.hold(7)
        self.assertEqual((terms, self.told()), ([7], []))
        self.assertEqual(self.steps[-1], (0, 3, "acquiring, step 0 of 3: prepare"))
        with capturedLogs() as events:
            prepared.errback(ResourceError("it did not work"))
        self.assertEqual(events[0]["reason"], "it did not work")
        self.assertEqual(self.told()[-1], "HELD")

    def test_prepareTakesTooLong(self) -> None:
        """What prepares for longer than the limit is cancelled and told, and the resources are acquired."""
        keeper = self.surrounded(lambda term: Deferred())
        keeper.hold(7)
        with capturedLogs() as events:
            self.clock.advance(LIMIT)
        self.assertEqual(events[0]["reason"], "not done within 60 s")
        self.assertEqual(self.told()[-1], "HELD")

    def test_preparationGivenUp(self) -> None:
        """A release while it prepares cancels that, and nothing is acquired."""
        prepared: Deferred[None] = Deferred()
        keeper = self.surrounded(lambda term: prepared)
        keeper.hold()
        keeper.release()
        self.assertTrue(prepared.called)
        self.assertNotIn("a: acquired", self.told())
        self.assertEqual(self.heldNow(), "")

    def test_undone(self) -> None:
        """That an acquisition is undone is told once, after the last release, whether it had succeeded or not."""
        keeper = self.surrounded(lambda term: succeed(None))
        keeper.hold()
        keeper.release()
        self.assertEqual(self.told()[-2:], ["UNDONE", "RELEASED"])
        keeper.release()
        self.assertNotIn("UNDONE", self.told())
        self.all["b"].failNext("acquire")
        keeper.hold()
        self.assertEqual(self.told()[-2:], ["UNDONE", "RELEASED"])

    def test_notUndone(self) -> None:
        """As long as one resource cannot be released, it is not."""
        keeper = self.surrounded(lambda term: succeed(None))
        keeper.hold()
        self.told()
        self.all["b"].failNext("release")
        keeper.release()
        self.assertEqual(self.told(), ["c: released", "b: release failed", "a: released"])
        self.clock.advance(0.5)
        self.assertEqual(self.told(), ["b: released", "UNDONE", "RELEASED"])

    def test_leasesWhileUnderWay(self) -> None:
        """What is held already is renewed while others are still acquired after it, or released before it."""
        leased = Leased(self.clock, "l", 0.0, self.story)
        slow = self.all["a"]
        keeper = Keeper(self.clock, "g", [leased, slow])
        keeper.release()
        slow.delay = None
        keeper.hold()
        self.told()
        self.assertEqual(keeper.leased, [leased])
        slow.finish()
        keeper.release()
        self.told()
        self.assertEqual(keeper.leased, [leased])
        slow.finish()
        self.told()
        self.assertEqual(keeper.leased, [])


class Case(NamedTuple):
    """What is kept becomes C{new}; C{story} is all that happens."""

    held: bool
    new: str
    story: list[str]


class ReplaceTests(Kept):
    """Other resources for a keeper that runs."""

    CASES = {
        "nothing changes": Case(True, "abc", []),
        "one more": Case(True, "abcd", ["d: acquired"]),
        "one in the middle": Case(True, "adbc", ["d: acquired"]),
        "one less": Case(True, "ac", ["b: released"]),
        "all others": Case(
            True,
            "def",
            ["c: released", "b: released", "a: released", "d: acquired", "e: acquired", "f: acquired"],
        ),
        "one for another": Case(True, "adc", ["b: released", "d: acquired"]),
        "another order": Case(True, "cba", []),
        "nothing left": Case(True, "", ["c: released", "b: released", "a: released"]),
        "not held": Case(False, "abc", []),
        "not held, one more": Case(False, "abcd", ["d: released"]),
        "not held, others": Case(False, "ade", ["c: released", "b: released", "e: released", "d: released"]),
    }  # fmt: skip

    def test_replace(self) -> None:
        """What goes is released in reverse, then what is new acquired in order; nothing else is touched."""
        for name, case in self.CASES.items():
            self.setUp()
            if case.held:
                self.keeper.hold(1)
            self.told()
            self.successResultOf(self.keeper.replace(self.named(case.new)))
            self.assertEqual(self.told(), case.story, name)
            self.assertEqual(self.heldNow(), "".join(sorted(case.new)) if case.held else "", name)
            self.assertEqual(self.keeper.held, case.held, name)
            # From then on it is as if it had always been so.
            if not case.held:
                self.keeper.hold(2)
                self.told()
            self.keeper.release()
            self.assertEqual(
                self.told(), [*(f"{r.name}: released" for r in self.named(case.new[::-1])), "RELEASED"]
            )  # fmt: skip

    def test_duringAcquisition(self) -> None:
        """While they are acquired it waits until that is done."""
        self.all["b"].delay = None
        self.keeper.hold()
        replaced = self.keeper.replace(self.named("acd"))
        self.assertNoResult(replaced)
        self.all["b"].finish()
        self.assertNoResult(replaced)
        self.assertEqual(self.told(), ["a: acquired", "b: acquired", "c: acquired", "HELD"])
        self.all["b"].finish()
        self.successResultOf(replaced)
        self.assertEqual(self.told(), ["b: released", "d: acquired"])

    def test_duringRelease(self) -> None:
        """While they are released it waits until that is done, and told."""
        self.keeper.hold()
        self.all["b"].delay = None
        self.keeper.release()
        replaced = self.keeper.replace(self.named("ac"))
        self.assertNoResult(replaced)
        self.told()
        self.all["b"].finish()
        self.assertEqual(self.told()[:3], ["b: released", "a: released", "RELEASED"])
        self.all["b"].finish()
        self.successResultOf(replaced)

    def test_newRefused(self) -> None:
        """A new one that cannot be acquired is told as a loss, and everything is released, also what went."""
        self.keeper.hold()
        self.told()
        self.all["d"].failNext("acquire", "full")
        replaced = self.keeper.replace(self.named("acd"))
        self.assertIn("d: full", str(self.failureResultOf(replaced, ResourceError).value))
        self.assertEqual(
            self.told(),
            [
                *("b: released", "d: acquire failed", "REFUSED d: full"),
                *("d: released", "c: released", "a: released", "RELEASED"),
            ],
        )

    def test_goneStays(self) -> None:
        """What goes and cannot be released is told, and tried again, while the others are held."""
        self.keeper.hold()
        self.told()
        self.all["b"].failNext("release", "stuck", times=2)
        replaced = self.keeper.replace(self.named("acd"))
        self.assertIn("b: stuck", str(self.failureResultOf(replaced, ResourceError).value))
        self.assertEqual(self.told(), ["b: release failed", "d: acquired"])
        self.clock.advance(0.5)
        self.assertEqual(self.told(), ["b: release failed"])
        self.clock.advance(0.5)
        self.assertEqual(self.told(), ["b: released"])
        self.assertEqual(self.heldNow(), "acd")
        self.clock.advance(10)
        self.assertEqual(self.told(), [])

    def test_goneStaysToTheEnd(self) -> None:
        """Nothing is told as released while what went could not be."""
        self.keeper.hold()
        self.all["b"].failNext("release", "stuck", times=2)
        self.failureResultOf(self.keeper.replace(self.named("ac")), ResourceError)
        self.told()
        self.keeper.release()
        self.assertEqual(self.told(), ["b: release failed", "c: released", "a: released"])
        self.clock.advance(0.5)
        self.assertEqual(self.told(), ["b: released", "RELEASED"])

    def test_releaseMeanwhile(self) -> None:
        """A release that comes while a new one is acquired cancels that; it is done once all is released."""
        self.keeper.hold()
        self.all["d"].delay = None
        replaced = self.keeper.replace(self.named("abd"))
        self.told()
        self.keeper.release()
        self.assertEqual(self.told(), ["d: acquire cancelled"])
        self.assertNoResult(replaced)
        self.all["d"].finish()
        self.assertEqual(self.told(), ["d: released", "b: released", "a: released", "RELEASED"])
        self.successResultOf(replaced)

    def test_releaseWhileOneGoes(self) -> None:
        """A release of what goes is not cut short by the release of everything: that only follows."""
        self.keeper.hold()
        self.all["b"].delay = None
        replaced = self.keeper.replace(self.named("acd"))
        self.told()
        self.keeper.release()
        self.assertEqual(self.told(), [])
        self.all["b"].finish()
        self.assertEqual(self.told(), ["b: released", "c: released", "a: released", "RELEASED"])
        self.successResultOf(replaced)

    def test_lossOfTheGone(self) -> None:
        """What is no longer kept cannot be lost."""
        self.keeper.hold()
        self.successResultOf(self.keeper.replace(self.named("ac")))
        self.told()
        self.all["b"].lose("deleted")
        self.assertEqual(self.told(), [])

    def test_lossOfTheNew(self) -> None:
        """What is new is watched like all others."""
        self.keeper.hold()
        self.successResultOf(self.keeper.replace(self.named("abcd")))
        self.told()
        self.all["d"].lose("deleted")
        self.assertEqual(self.told(), ["REFUSED d: deleted"])

    def test_perform(self) -> None:
        """Other work waits for what is under way, keeps all else waiting, and a release cancels it."""
        self.all["b"].delay = None
        working: Deferred[Any] = Deferred()
        did: list[str] = []
        operation: Callable[[], Deferred[Any]] = lambda: (did.append("began"), working)[1]  # type: ignore[func-returns-value]  # noqa: E731
        self.keeper.hold()
        performed = self.keeper.perform(operation)
        self.assertEqual(did, [])
        self.all["b"].finish()
        self.assertEqual(did, ["began"])
        self.all["b"].delay = 0.0
        self.keeper.release()
        self.failureResultOf(performed)
        self.assertEqual(self.told()[-1], "RELEASED")

    def test_performFails(self) -> None:
        """Work that fails is for who asked for it: nothing else happens."""
        self.keeper.hold()
        self.told()
        performed = self.keeper.perform(lambda: fail(ResourceError("no")))
        self.failureResultOf(performed, ResourceError)
        self.assertEqual((self.told(), self.keeper.held), ([], True))

    def test_abandoned(self) -> None:
        """Who waits for a keeper that is given up is told so."""
        self.all["a"].delay = None
        self.keeper.hold()
        replaced = self.keeper.replace(self.named("ab"))
        self.keeper.abandon()
        self.failureResultOf(replaced, ResourceError)

    def test_givenUpBefore(self) -> None:
        """Who asks one that was given up already is told so, too."""
        self.keeper.abandon()
        self.failureResultOf(self.keeper.replace(self.named("ab")), ResourceError)
        self.failureResultOf(self.keeper.perform(lambda: succeed(None)), ResourceError)
