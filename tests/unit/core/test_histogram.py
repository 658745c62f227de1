"""Tests for L{hatwist.core.histogram}."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hatwist.core.histogram import Histogram

BOUNDS = (0.01, 0.1, 1.0)


class TallyTests(SynchronousTestCase):
    """Counting by size."""

    def test_boundsBelongToTheirBucket(self) -> None:
        """A value that is just a bound counts with those below it, as Prometheus has it."""
        tally = Histogram(BOUNDS)
        for value in (0.0, 0.01, 0.1, 0.5, 7.0):
            tally.add(value)
        inf = float("inf")
        self.assertEqual(list(tally.cumulative()), [(0.01, 2), (0.1, 3), (1.0, 4), (inf, 5)])
        self.assertAlmostEqual(tally.total, 7.61)

    @given(st.lists(st.floats(-1, 10)))
    def test_cumulative(self, values: list[float]) -> None:
        """Each bound has the number of values that do not exceed it, and the last one has all."""
        tally = Histogram(BOUNDS)
        for value in values:
            tally.add(value)
        for bound, count in tally.cumulative():
            self.assertEqual(count, sum(value <= bound for value in values))
