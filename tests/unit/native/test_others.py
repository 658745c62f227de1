"""Tests for L{hatwist.protocols.native.others} and C{succession}: who could hold a group, and who let it pass."""

from __future__ import annotations

from collections.abc import Iterable
from math import inf

from twisted.trial.unittest import SynchronousTestCase

from hatwist.core.claims import Released, Role
from hatwist.core.obstacles import Obstacle
from hatwist.core.turn import Turn
from hatwist.core.worth import Fitness, Worth
from hatwist.protocols.native.others import Others
from hatwist.protocols.native.succession import Heir
from tests.unit.native.test_explain import NOW, Scene, T


def names(peers: Iterable[object]) -> list[str]:
    return [peer.name for peer in peers]  # type: ignore[attr-defined]


def others(scene: Scene, turn: Turn | None = None) -> Others:
    return scene.election.others(scene.view, Turn(NOW) if turn is None else turn)


class CandidateTests(SynchronousTestCase):
    """Who could hold it instead."""

    def test_able(self) -> None:
        """It is eligible, stands by, and both hear each other."""
        scene = Scene().hear("b").hear("c", eligible=False).hear("d", heard=False)
        scene.hear("e", role=Role.ACTIVE, term=3).hear("f", at=NOW - 2 * T)
        self.assertEqual(names(others(scene).able), ["b"])

    def test_order(self) -> None:
        """The best is the worthiest; who is worthier than a node is what comes before it."""
        scene = Scene().hear("b", priority=50).hear("c", priority=150).hear("d", priority=120)
        found = others(scene)
        best = found.best()
        assert best is not None
        self.assertEqual(best.name, "c")
        self.assertEqual(names(found.worthier(Worth(Fitness.FIT, 100, 1, "a"))), ["c", "d"])
        self.assertEqual(found.inOrder(), ["c", "d", "b"])

    def test_holdersFirst(self) -> None:
        """Who holds comes first, however worthy."""
        scene = Scene().hear("b", priority=150).hear("c", role=Role.ACTIVE, term=3, priority=50)
        self.assertEqual(others(scene).inOrder(), ["c", "b"])

    def test_target(self) -> None:
        """The operator may choose any able node that is not unfit, also one that is passed over."""
        scene = Scene().hear("b").hear("c", fitness=Fitness.UNFIT)
        scene.election.succession.miss("b", Turn(NOW))
        found = others(scene)
        target = found.target("b")
        assert target is not None
        self.assertEqual((target.name, found.target("c"), found.target("d")), ("b", None, None))
        self.assertEqual(names(found.candidates), ["c"])
        self.assertFalse(found.anyFit())

    def test_lastRelease(self) -> None:
        """The newest release counts, until a claim follows it."""
        scene = Scene().hear("b", at=NOW - 0.2, released=Released(5, "a"))
        scene.hear("b", released=Released(5, "a")).hear("c", at=NOW - 0.1, released=Released(4, ""))
        scene.hear("c", released=Released(4, ""))
        found, since, by = others(scene).lastRelease(None, -inf, -inf)
        assert by is not None
        self.assertEqual((found, since, by.name), (Released(4, ""), NOW - 0.1, "c"))
        self.assertIsNone(others(scene).lastRelease(None, -inf, NOW)[0])
        own = others(scene).lastRelease(Released(3, "b"), NOW - 0.05, -inf)
        self.assertEqual(own, (Released(3, "b"), NOW - 0.05, None))


class SuccessionTests(SynchronousTestCase):
    """A named successor, and one that does not come."""

    def test_named(self) -> None:
        """A release names who is waited for, and for how long; if the operator chose this node, that is known."""
        for moved in (False, True):
            scene = Scene().hear("b", released=Released(5, "a", moved))
            expected = scene.election.succession.expected(
                others(scene), Released(5, "a", moved), NOW
            )
            self.assertEqual(expected, Heir("a", NOW + 0.2, moved))

    def test_looking(self) -> None:
        """To ask who is expected changes nothing."""
        scene = Scene()
        before = scene.election.succession.heir
        scene.election.succession.expected(others(scene), Released(5, "b"), NOW)
        self.assertEqual(scene.election.succession.heir, before)

    def test_passedOver(self) -> None:
        """One that let it pass is passed over for a tolerance, then for two, and not once it has held."""
        scene = Scene().hear("b")
        succession = scene.election.succession
        for count in (1, 2):
            succession.miss("b", Turn(NOW))
            turn = Turn(NOW)
            self.assertTrue(succession.passedOver("b", turn))
            self.assertAlmostEqual(turn.wake, NOW + count * T)
            self.assertFalse(succession.passedOver("b", Turn(NOW + count * T)))
        succession.held("b")
        self.assertFalse(succession.passedOver("b", Turn(NOW)))


class HindranceTests(SynchronousTestCase):
    """One judge says whether a group may be moved: to the holder, to the election and to the operator."""

    def test_orders(self) -> None:
        """An able standby may be given what another one holds, also one that only the order keeps from it."""
        for priority, moved in ((150, False), (50, False), (50, True)):
            scene = Scene().hear("c")
            scene.hear("b", role=Role.ACTIVE, term=5, priority=priority, moved=moved)
            orders = scene.election.orders
            for to in ("a", "c"):
                self.assertIsNone(
                    orders.obstacle(to, "b", others(scene)), f"{to} {priority} {moved}"
                )
                self.assertEqual(orders.hindrance(to, others(scene)), "")

    def test_unable(self) -> None:
        """Who could not hold it may not be given it; who would as a last resort only neither."""
        scene = Scene().hear("b", role=Role.ACTIVE, term=5).hear("c", fitness=Fitness.UNFIT)
        scene.hear("d", eligible=False).hear("e", heard=False)
        for to, found in (
            ("b", Obstacle.HOLDS),
            ("c", Obstacle.UNFIT),
            ("d", Obstacle.INELIGIBLE),
            ("e", Obstacle.ONE_WAY),
            ("f", Obstacle.UNKNOWN),
        ):
            self.assertIs(scene.election.orders.obstacle(to, "b", others(scene)), found)
        scene.election.setFitness(Fitness.UNFIT, "no carrier")
        self.assertIs(scene.election.orders.obstacle("a", "b", others(scene)), Obstacle.UNFIT)
