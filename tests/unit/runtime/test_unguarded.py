"""A node without a guard."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from hatwist.core.claims import Role
from hatwist.core.reports import Judged
from hatwist.core.worth import Fitness
from hatwist.runtime.unguarded import REASON, Unguarded

I, T = 0.1, 0.35  # noqa: E741


class UnguardedTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.ready = True
        self.onUnready: Callable[[], None] = lambda: None
        self.told: list[tuple[str, Fitness, str]] = []
        self.roles = {"web": Role.STANDBY}
        self.watch = Unguarded(self.clock, self, I, T)
        self.watch.start(cast(Any, self))
        self.addCleanup(self.watch.stop)

    def tell(self, report: Judged) -> None:
        """As a node has it."""
        self.told.append((report.group, report.fitness, report.reason))

    def goes(self) -> None:
        """As a guard has it that fires or dies."""
        self.ready = False
        self.onUnready()

    def elapse(self, seconds: float) -> None:
        self.clock.pump([I / 4] * round(seconds / (I / 4)))

    def test_replaced(self) -> None:
        """One that is replaced at once is no news."""
        self.elapse(1.0)
        self.goes()
        self.elapse(0.2)
        self.ready = True
        self.elapse(1.0)
        self.assertEqual(self.told, [])
        self.assertFalse(self.watch.missing)

    def test_missing(self) -> None:
        """Without one for a tolerance every group is less fit, those that come too, until there is one."""
        self.goes()
        self.elapse(0.5)
        self.assertEqual(self.told, [("web", Fitness.DEGRADED, REASON)])
        self.assertTrue(self.watch.missing)
        self.roles["mail"] = Role.STANDBY
        self.elapse(0.2)
        self.assertEqual(self.told[1:], [("mail", Fitness.DEGRADED, REASON)])
        del self.roles["web"]
        self.ready = True
        self.elapse(0.2)
        self.assertEqual(self.told[2:], [("mail", Fitness.FIT, "")])
        self.assertFalse(self.watch.missing)

    def test_again(self) -> None:
        """Each time counts from when it went: the time for which one was there is none without one."""
        for _ in range(3):
            self.goes()
            self.elapse(0.3)
            self.ready = True
            self.elapse(0.3)
        self.assertEqual(self.told, [])

    def test_calm(self) -> None:
        """While there is one no timer runs."""
        self.elapse(0.2)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_stopped(self) -> None:
        """Once it is stopped nothing is looked at, whatever becomes of the guard."""
        self.watch.stop()
        self.goes()
        self.elapse(1.0)
        self.assertEqual((self.told, self.clock.getDelayedCalls()), ([], []))
