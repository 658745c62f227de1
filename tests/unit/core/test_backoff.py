"""Tests for L{hatwist.core.backoff}: when a node keeps back because of itself."""

from __future__ import annotations

from math import inf

from twisted.trial.unittest import SynchronousTestCase

from hatwist.core.backoff import MAX_BACKOFF, MAX_RETRY, Backoff
from hatwist.core.obstacles import Obstacle
from hatwist.core.turn import Turn

I, T = 0.1, 0.35  # noqa: E741


class BackoffTests(SynchronousTestCase):
    """After a failure to acquire."""

    def setUp(self) -> None:
        self.backoff = Backoff(I, T)

    def test_doubles(self) -> None:
        """It lasts for 2 tolerances, then 4, and so on up to a limit; a success makes that forgotten."""
        spans = []
        for _ in range(8):
            self.backoff.refused("in use", 10.0)
            spans.append(round((self.backoff.until - 10.0) / T, 6))
        self.assertEqual(spans, [2, 4, 8, 16, 32, 64, MAX_BACKOFF, MAX_BACKOFF])
        self.assertEqual((self.backoff.failures, self.backoff.refusal), (8, "in use"))
        self.backoff.held()
        self.assertEqual((self.backoff.failures, self.backoff.refusal), (0, ""))
        self.assertIsNone(self.backoff.obstacle(10.0))

    def test_obstacle(self) -> None:
        """It is told until the very moment at which it ends, and the decision is woken then."""
        self.backoff.refused("in use", 10.0)
        until, turn = self.backoff.until, Turn(10.0)
        self.backoff.look(turn)
        self.assertEqual(turn.wake, until)
        self.assertIs(self.backoff.obstacle(until - 1e-6), Obstacle.BACK_OFF)
        self.assertIsNone(self.backoff.obstacle(until))

    def test_retry(self) -> None:
        """With nobody else there it tries again after an interval, two, four, and at most four tolerances."""
        gaps = []
        for _ in range(7):
            self.backoff.refused("in use", 10.0)
            gaps.append(round(self.backoff.retryAt(10.0) - 10.0, 6))
        self.assertEqual(gaps, [0.1, 0.2, 0.4, 0.8, *[round(MAX_RETRY * T, 6)] * 3])


class PatienceTests(SynchronousTestCase):
    """After this node was late itself."""

    def test_stalls(self) -> None:
        """Each stall makes it listen for an interval more, and all of them in a row for a tolerance at most."""
        backoff = Backoff(I, T)
        ends = []
        for now in (10.0, 10.1, 10.2, 10.3, 10.4):
            backoff.stalled(now)
            ends.append(round(backoff.patience, 6))
        self.assertEqual(ends, [10.1, 10.2, 10.3, 10.35, 10.35])

    def test_over(self) -> None:
        """Once it has listened, the next stall begins anew."""
        backoff, turn = Backoff(I, T), Turn(10.05)
        backoff.stalled(10.0)
        self.assertIs(backoff.obstacle(10.05), Obstacle.LATE)
        backoff.look(turn)
        self.assertEqual(turn.wake, 10.1)
        later = Turn(10.1)
        backoff.look(later)
        self.assertEqual((backoff.obstacle(10.1), later.wake), (None, inf))
        backoff.stalled(10.3)
        self.assertEqual(backoff.patience, 10.3 + I)
