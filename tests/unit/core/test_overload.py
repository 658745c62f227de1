"""Who is late again and again, and who was late once."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from hatwist.core.overload import BEATS, BEGINS, Overload

I = 0.1  # noqa: E741


class OverloadTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.overload = Overload(I)
        self.now = 0.0

    def beats(self, *lates: float) -> list[str]:
        """What was told at beats that are late by these."""
        told = []
        for late in lates:
            self.now += I
            told.append(self.overload.beat(self.now, late))
        return [text for text in told if text]

    def test_once(self) -> None:
        """One pause is none, however long it was, nor is one now and then."""
        for _ in range(5):
            self.assertEqual(self.beats(3.0, *[0.0] * BEATS, 0.06, *[0.0] * BEATS), [])
        self.assertIsNone(self.overload.burden)
        self.assertEqual(self.overload.times, 0)

    def test_limit(self) -> None:
        """Half an interval late is not late."""
        self.assertEqual(self.beats(*[I / 2] * 20), [])

    def test_begins(self) -> None:
        """It begins with the third of a few beats that is late, which is told once, with figures."""
        told = self.beats(0.06, 0.0, 0.2, 0.0, 0.07, 0.3, 0.3)
        self.assertEqual(told, ["3 of the last 5 beats were late, by up to 0.200 s"])
        burden = self.overload.burden
        assert burden is not None
        self.assertEqual(burden[1:], (7, 5, 0.3))
        self.assertAlmostEqual(burden.since, 0.5)

    def test_ends(self) -> None:
        """It ends once so many beats in a row came in time, which is told once, with figures."""
        self.beats(*[0.06] * BEGINS)
        self.assertEqual(self.beats(*[0.0] * (BEATS - 1), 0.4, *[0.0] * (BEATS - 1)), [])
        self.assertIsNotNone(self.overload.burden)
        told = self.beats(0.0, *[0.0] * 50)
        self.assertEqual(
            told, ["it took 1.6 s, in which 4 of 19 beats were late, by up to 0.400 s"]
        )
        self.assertIsNone(self.overload.burden)
        self.assertEqual(self.overload.times, 1)
        self.assertAlmostEqual(self.overload.seconds, 1.6)

    def test_again(self) -> None:
        """What was before does not count towards the next one."""
        self.beats(*[0.06] * BEGINS, *[0.0] * BEATS)
        self.assertEqual(self.beats(*[0.06] * (BEGINS - 1)), [])
        self.assertEqual(len(self.beats(0.06)), 1)
        self.assertEqual(self.overload.times, 2)

    def test_work(self) -> None:
        """Decisions that take long, or begin late, make the next beat a late one; the longest counts."""
        for _ in range(BEGINS):
            self.overload.late(0.08)
            self.overload.late(0.02)
            told = self.beats(0.0)
        self.assertEqual(told, ["3 of the last 3 beats were late, by up to 0.080 s"])
