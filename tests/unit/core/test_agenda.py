"""Tests for L{hatwist.core.agenda}: which groups are to be decided, and when."""

from __future__ import annotations

from math import inf

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hatwist.core.agenda import Agenda
from hatwist.core.turn import Turn


def agenda(*groups: str) -> Agenda:
    """One with these groups, each of which was decided, and waits for nothing."""
    found = Agenda()
    for group in groups:
        found.add(group)
    for group in found.due(0.0):
        found.decided(group, inf, False)
    return found


class AgendaTests(SynchronousTestCase):
    """Groups that were touched, and groups whose time has come."""

    def test_new(self) -> None:
        """A group that is added is due, once."""
        found = Agenda()
        found.add("a")
        self.assertEqual((found.due(1.0), found.due(1.0)), (["a"], []))

    def test_touched(self) -> None:
        """What is touched is due, in the order of names; others, and strangers, are not."""
        found = agenda("a", "b", "c")
        found.touch(("c", "a", "stranger"))
        self.assertEqual((found.due(1.0), found.deadline), (["a", "c"], inf))
        found.touchAll()
        self.assertEqual(found.due(1.0), ["a", "b", "c"])

    def test_before(self) -> None:
        """Before word of others changes somebody is told, whatever concerned the group before; else nobody is."""
        told: list[str] = []
        found = Agenda(told.append)
        found.add("a")
        found.add("b")
        found.due(0.0)
        found.touch(("a",))
        found.touchAll()
        self.assertEqual(told, [])
        found.change(("a", "unknown"))
        self.assertEqual((told, found.due(1.0)), (["a"], ["a", "b"]))
        found.changeAll()
        self.assertEqual((sorted(told), found.due(1.0)), (["a", "a", "b"], ["a", "b"]))

    def test_slices(self) -> None:
        """So many at once, what cannot wait before the rest, and everybody in turn, whoever is touched again."""
        found = agenda(*"abcdef")
        found.touchAll()
        self.assertEqual((found.due(0.0, 4, "f"), found.left), (["a", "b", "c", "f"], True))
        found.touch("abcf")
        self.assertEqual((found.due(0.0, 4, "f"), found.left), (["a", "d", "e", "f"], True))
        self.assertEqual((found.due(0.0, 4, "f"), found.left), (["b", "c"], False))
        self.assertEqual((found.due(0.0, 4), found.left), ([], False))

    def test_wake(self) -> None:
        """A group is due at the time that its last decision named, even if that was the time before, too."""
        found = agenda("a", "b")
        found.decided("a", 5.0, False)
        found.decided("a", 3.0, False)
        self.assertEqual((found.deadline, found.due(2.9)), (3.0, []))
        self.assertEqual((found.due(3.0), found.deadline), (["a"], inf))
        found.decided("a", 3.0, False)
        self.assertEqual((found.deadline, found.due(3.0)), (3.0, ["a"]))
        self.assertEqual(found.due(6.0), [])

    def test_attentive(self) -> None:
        """Who asked for that is decided with the next packet, and with the one after that only if it asks again."""
        found = agenda("a", "b")
        found.decided("a", inf, True)
        self.assertEqual(found.due(1.0), [])
        found.packet()
        self.assertEqual(found.due(1.0), ["a"])
        found.packet()
        self.assertEqual(found.due(1.0), [])

    def test_dropped(self) -> None:
        """A group that went is never due, whatever it waited for."""
        found = agenda("a")
        pulse = found.pulse(0.0)
        Turn(0.0, group="a").older(pulse, 1.0)
        found.decided("a", 1.0, True)
        found.touch(("a",))
        found.drop("a")
        found.packet()
        self.assertEqual((found.due(2.0), found.deadline), ([], inf))

    @given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 9)), max_size=200))
    @settings(deadline=None)
    def test_wakes(self, wakes: list[tuple[str, int]]) -> None:
        """Of all times that a group was to be decided at the last one counts, however often it changed."""
        found, last = agenda("a", "b", "c"), dict.fromkeys("abc", inf)
        for group, wake in wakes:
            found.decided(group, wake, False)
            last[group] = wake
        self.assertEqual(found.deadline, min(last.values()))
        for now in range(10):
            self.assertEqual(found.due(now), sorted(g for g, wake in last.items() if wake == now))


class PulseTests(SynchronousTestCase):
    """A time that is renewed, and who asked how long ago it is."""

    def test_renewed(self) -> None:
        """For as long as it is renewed in time nobody is decided."""
        found = agenda("a")
        pulse = found.pulse(0.0)
        self.assertFalse(Turn(0.0, group="a").older(pulse, 1.0))
        for now in (0.5, 1.2, 2.0):
            self.assertEqual(found.due(now), [])
            pulse.renew(now, now)
            self.assertEqual(found.deadline, now + 1.0)

    def test_passes(self) -> None:
        """Once it is too old, who asked is decided, once; and again when it is renewed."""
        found = agenda("a", "b")
        pulse = found.pulse(0.0)
        Turn(0.0, group="a").older(pulse, 1.0)
        Turn(0.0, group="b").older(pulse, 2.0)
        self.assertEqual((found.due(0.9), found.due(1.0), found.due(1.5)), ([], ["a"], []))
        self.assertTrue(Turn(1.5, group="a").older(pulse, 1.0))
        pulse.renew(0.4, 1.5)  # it is too old all the same
        self.assertEqual(found.due(1.5), [])
        pulse.renew(1.5, 1.5)
        self.assertEqual((found.due(1.5), found.deadline), (["a"], 3.5))

    def test_question(self) -> None:
        """A mere question has nobody decided."""
        found = agenda("a")
        pulse = found.pulse(0.0)
        self.assertEqual((Turn(1.0).older(pulse, 1.0), Turn(0.9).older(pulse, 1.0)), (True, False))
        self.assertEqual((found.deadline, found.due(5.0)), (inf, []))

    def test_ended(self) -> None:
        """Of one that nobody goes by any more nothing comes."""
        found = agenda("a")
        pulse = found.pulse(0.0)
        Turn(0.0, group="a").older(pulse, 1.0)
        pulse.end()
        self.assertEqual((found.deadline, found.due(5.0)), (inf, []))

    @given(st.lists(st.tuples(st.floats(0, 0.4), st.booleans()), max_size=60))
    @settings(deadline=None)
    def test_neverWrong(self, steps: list[tuple[float, bool]]) -> None:
        """Whenever the answer to what a group asked last has changed, the group is due."""
        found = agenda("a")
        pulse, now = found.pulse(0.0), 0.0
        answer = Turn(now, group="a").older(pulse, 1.0)
        for gap, renewed in steps:
            now += gap
            if renewed:
                pulse.renew(now, now)
            if found.due(now):
                answer = Turn(now, group="a").older(pulse, 1.0)
            self.assertEqual(answer, now >= pulse.at + 1.0)
