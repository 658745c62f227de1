"""A file that asks for more than a core gives."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from hatwist.settings.costs import MEASURED, MUCH, share, tooMuch


class CostsTests(SynchronousTestCase):
    def test_usual(self) -> None:
        """Nothing is wrong with what is usual."""
        for interval, nodes, groups in ((1.0, 3, 100), (0.1, 3, 10), (0.01, 2, 1), (1.0, 32, 1000)):
            self.assertEqual(tooMuch(interval, nodes, groups), "")

    def test_more(self) -> None:
        """Each of the three alone can be too much; the sentence has the figures, and an interval that is enough."""
        self.assertIn("more than a core gives", tooMuch(0.001, 3, 10))
        self.assertIn("more than a core gives", tooMuch(0.01, 40, 1))
        found = tooMuch(0.01, 3, 1000)
        self.assertRegex(
            found,
            r"^3 nodes with 1000 groups at an interval of 0\.01 s take about \d+% of a core on each node while nothing "
            r"happens, more than a core gives: an interval of [\d.]+ s is enough$",
        )
        fitting = float(found.split()[-4])
        self.assertEqual(tooMuch(fitting, 3, 1000), "")
        self.assertAlmostEqual(share(fitting, 3, 1000), MUCH / 2 + MEASURED.steady, 1)

    def test_much(self) -> None:
        """Less than a core is too much, too, where a takeover would have none of it."""
        interval = next(n / 1000 for n in range(1, 1000) if share(n / 1000, 3, 100) < 0.9)
        self.assertIn("leaves too little for a takeover", tooMuch(interval, 3, 100))
