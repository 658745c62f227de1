"""Tests for L{hatwist.core.fitness}: of several verdicts the worst counts."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hatwist.core.fitness import Verdicts
from hatwist.core.worth import Fitness

WORDS = st.lists(
    st.tuples(st.sampled_from("abc"), st.sampled_from(Fitness), st.sampled_from(("", "x", "y")))
)


class VerdictTests(SynchronousTestCase):
    """Checks, links and operator each have their say."""

    def test_worst(self) -> None:
        """The worst verdict counts, with the reasons of all who gave it."""
        verdicts = Verdicts()
        self.assertEqual((verdicts.fitness, verdicts.reason), (Fitness.FIT, ""))
        self.assertTrue(verdicts.put("checks", Fitness.DEGRADED, "slow"))
        self.assertTrue(verdicts.put("carrier", Fitness.UNFIT, "no carrier"))
        self.assertTrue(verdicts.put("drain", Fitness.UNFIT, "drained"))
        self.assertEqual(
            (verdicts.fitness, verdicts.reason), (Fitness.UNFIT, "no carrier; drained")
        )
        self.assertTrue(verdicts.put("carrier", Fitness.FIT, ""))
        self.assertEqual((verdicts.fitness, verdicts.reason), (Fitness.UNFIT, "drained"))

    def test_nothingNew(self) -> None:
        """A verdict that changes nothing of what counts is no news."""
        verdicts = Verdicts()
        self.assertFalse(verdicts.put("checks", Fitness.FIT, ""))
        verdicts.put("drain", Fitness.UNFIT, "drained")
        self.assertFalse(verdicts.put("checks", Fitness.DEGRADED, "slow"))

    @given(WORDS, st.sampled_from("abc"))
    def test_without(self, words: list[tuple[str, Fitness, str]], source: str) -> None:
        """Without a source it is as if that one had never spoken, and what counts stays as it was."""
        verdicts, silent = Verdicts(), Verdicts()
        for name, fitness, reason in words:
            verdicts.put(name, fitness, reason)
            if name != source:
                silent.put(name, fitness, reason)
        before = (verdicts.fitness, verdicts.reason)
        found = verdicts.without(source)
        self.assertEqual((found.fitness, found.reason), (silent.fitness, silent.reason))
        self.assertEqual((verdicts.fitness, verdicts.reason), before)
