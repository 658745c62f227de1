"""Tests for L{hatwist.protocols.vrrp.timetable}."""

from __future__ import annotations

from math import inf

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hatwist.protocols.vrrp.timetable import Timetable


class TimetableTests(SynchronousTestCase):
    """Who is due is found, and nobody else is asked."""

    def setUp(self) -> None:
        self.due: dict[str, float] = {}
        self.asked = 0
        self.table = Timetable(self._due)

    def _due(self, name: str) -> float:
        self.asked += 1
        return self.due[name]

    def set(self, name: str, due: float) -> None:
        """It is due then, and the table is told."""
        self.due[name] = due
        self.table.note(name)

    def test_due(self) -> None:
        """Whoever is due is taken once, the earliest first."""
        self.set("b", 2.0)
        self.set("a", 1.0)
        self.set("c", 3.0)
        self.assertEqual(self.table.deadline, 1.0)
        self.assertEqual(self.table.take(2.0), ["a", "b"])
        self.assertEqual(self.table.take(2.0), [])
        self.assertEqual(self.table.deadline, 3.0)

    def test_later(self) -> None:
        """Who is due later than was noted is not taken before, though nobody said so."""
        self.set("a", 1.0)
        self.due["a"] = 5.0
        self.assertEqual(self.table.deadline, 5.0)
        self.set("b", 1.0)
        self.due["b"] = 6.0
        self.assertEqual(self.table.take(4.0), [])
        self.assertEqual(self.table.take(6.0), ["a", "b"])

    def test_earlier(self) -> None:
        """Who is due earlier than was noted is, once that is noted."""
        self.set("a", 5.0)
        self.set("a", 1.0)
        self.assertEqual(self.table.deadline, 1.0)
        self.assertEqual(self.table.take(9.0), ["a"])
        self.assertEqual(self.table.take(9.0), [])

    def test_never(self) -> None:
        """Who waits for something else is not listed, and nobody who was forgotten."""
        self.set("a", inf)
        self.set("b", 1.0)
        self.table.forget("b")
        self.assertEqual(self.table.deadline, inf)
        self.assertEqual(self.table.take(1e9), [])

    def test_cost(self) -> None:
        """Of a thousand whose time is put off all the while, one is asked for the deadline, and each once at most."""
        names = [f"n{number:03}" for number in range(1000)]
        for name in names:
            self.set(name, 1.0 + int(name[1:]) / 1000)
        for name in names:
            self.due[name] += 10.0
        self.asked = 0
        self.assertEqual(self.table.deadline, 11.0)
        self.assertLessEqual(self.asked, 1001)
        self.asked = 0
        self.assertEqual(self.table.take(11.0), ["n000"])
        self.assertEqual(self.asked, 1)
        self.assertEqual(self.table.deadline, 11.001)
        self.assertEqual(self.asked, 2)

    @given(
        st.lists(st.tuples(st.sampled_from("abcd"), st.integers(0, 20), st.booleans()), max_size=60)
    )
    def test_asASortedList(self, steps: list[tuple[str, int, bool]]) -> None:
        """It finds what a search through all would find, whatever was put off or brought forward."""
        due: dict[str, float] = {}
        table = Timetable(lambda name: due[name])
        now = 0.0
        for name, when, look in steps:
            due[name] = now + when
            table.note(name)
            self.assertEqual(table.deadline, min(due.values()))
            if look:
                now += when / 2
                found = sorted(name for name, time in due.items() if time <= now)
                self.assertEqual(sorted(table.take(now)), found)
                for name_ in found:
                    due[name_] = now + 7
                    table.note(name_)
