"""Waiting until something is seen."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from hatwist.lab.conditions import Conditions


class ConditionTests(SynchronousTestCase):
    """Numbers are seen."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.conditions: Conditions[int] = Conditions(self.clock)

    def test_seen(self) -> None:
        """Each fires with the first that it waits for, and hears of no other."""
        two = self.conditions.until(lambda n: n >= 2, 1.0, lambda: "")
        three = self.conditions.until(lambda n: n == 3, 1.0, lambda: "")
        self.conditions.look(1)
        self.assertNoResult(two)
        self.conditions.look(2)
        self.conditions.look(3)
        self.assertEqual([self.successResultOf(each) for each in (two, three)], [2, 3])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_late(self) -> None:
        """After its time it fails, with what is so then, and nothing is waited for any more."""
        seen = [1]
        never = self.conditions.until(lambda n: False, 1.0, lambda: f"seen {seen}")
        seen.append(2)
        self.clock.advance(1.0)
        self.assertEqual(str(self.failureResultOf(never, TimeoutError).value), "seen [1, 2]")
        self.conditions.look(3)
        self.conditions.fail(RuntimeError())

    def test_fail(self) -> None:
        """When there is nothing to see any more all are told."""
        waiting = [self.conditions.until(lambda n: False, 1.0, lambda: "") for _ in range(2)]
        self.conditions.fail(RuntimeError("ended"))
        for each in waiting:
            self.assertEqual(str(self.failureResultOf(each, RuntimeError).value), "ended")
