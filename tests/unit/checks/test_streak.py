"""Tests for L{hatwist.checks.streak}."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hatwist.checks.streak import CheckState, Streak


class TallyTests(SynchronousTestCase):
    """States after rows of results; g is a good one, b a failure."""

    def after(self, results: str, rise: int = 2, fall: int = 3) -> Streak:
        streak = Streak(rise, fall)
        for result in results:
            if result == "g":
                streak.good()
            else:
                streak.bad("refused")
        return streak

    def test_states(self) -> None:
        """The first result decides at once; later it takes the whole row, without a break."""
        for results, state, reason in (
            ("", "unknown", "no result yet"),
            ("g", "good", ""),
            ("b", "failed", "refused (from the start)"),
            ("bb", "failed", "refused (from the start)"),
            ("bg", "failed", "refused (from the start); good again: 1 of 2"),
            ("bgg", "good", ""),
            ("bgbg", "failed", "refused (from the start); good again: 1 of 2"),
            ("gb", "good", "refused (1 of 3)"),
            ("gbb", "good", "refused (2 of 3)"),
            ("gbbg", "good", ""),
            ("gbbgbb", "good", "refused (2 of 3)"),
            ("gbbb", "failed", "refused (3 of 3)"),
            ("gbbbbbb", "failed", "refused (3 of 3)"),
            ("gbbbg", "failed", "refused (3 of 3); good again: 1 of 2"),
            ("gbbbgg", "good", ""),
        ):
            streak = self.after(results)
            self.assertEqual((streak.state.value, streak.reason), (state, reason), results)

    def test_failure(self) -> None:
        """What counts as the failure does not change while it begins to recover."""
        self.assertEqual(self.after("gbbbg").failure, "refused (3 of 3)")
        self.assertEqual(self.after("gbb").failure, "")
        self.assertEqual(self.after("").failure, "")

    def test_latestReason(self) -> None:
        """The reason is that of the latest failure."""
        streak = self.after("gbbb")
        streak.bad("unreachable")
        self.assertEqual(streak.reason, "unreachable (3 of 3)")

    @given(st.text("gb", min_size=1), st.integers(1, 4), st.integers(1, 4))
    def test_againstTheDefinition(self, results: str, rise: int, fall: int) -> None:
        """Whatever comes: the state changes exactly after a row of that length."""
        state = results[0]
        for end in range(2, len(results) + 1):
            needed = fall if state == "g" else rise
            row = results[max(1, end - needed) : end]
            if len(row) == needed and state not in row:
                state = row[0]
        expected = CheckState.GOOD if state == "g" else CheckState.FAILED
        self.assertEqual(self.after(results, rise, fall).state, expected)
