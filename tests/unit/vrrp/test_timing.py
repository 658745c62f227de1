"""Tests for L{hatwist.protocols.vrrp.timing}: no time is ever rounded."""

from __future__ import annotations

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hatwist.protocols.vrrp.timing import SLOTS, Beat, hold, masterDown, skew

intervals = st.integers(1, 4095).map(lambda hundredths: hundredths / 100)
moments = st.floats(0, 1e8)


class SkewTests(SynchronousTestCase):
    """How long a backup waits."""

    def test_version3(self) -> None:
        """(256 - priority) x the master's interval / 256."""
        self.assertEqual(skew(3, 100, 1.0), 156 / 256)
        self.assertAlmostEqual(skew(3, 254, 0.01), 0.000078125, 15)
        self.assertAlmostEqual(masterDown(3, 150, 0.1), 0.3 + 0.1 * 106 / 256, 15)

    def test_version2(self) -> None:
        """(256 - priority) / 256 seconds, whatever the interval is."""
        self.assertEqual(skew(2, 100, 1.0), 156 / 256)
        self.assertEqual(skew(2, 100, 5.0), 156 / 256)
        self.assertEqual(masterDown(2, 255, 2.0), 6 + 1 / 256)

    @given(st.sampled_from([2, 3]), st.integers(1, 254), intervals)
    def test_neverTruncated(self, version: int, priority: int, interval: float) -> None:
        """It is never nothing, never rounded, and always shorter for the higher priority."""
        exact = Fraction(256 - priority, 256) * (Fraction(interval) if version == 3 else 1)
        self.assertAlmostEqual(skew(version, priority, interval), float(exact), 12)
        self.assertGreater(skew(version, priority, interval), skew(version, priority + 1, interval))
        self.assertGreater(skew(version, 255, interval), 0)


class HoldTests(SynchronousTestCase):
    """How long a master may hold without a word."""

    @given(intervals)
    def test_endsBeforeOthersTakeOver(self, interval: float) -> None:
        """Released before the backup of the highest priority takes over, and there is time to hold."""
        released = hold(interval, None) + min(0.020, 0.0015 + 0.010 * 3 * interval)
        self.assertLess(released, masterDown(3, 254, interval))
        self.assertGreater(hold(interval, None), 2 * interval)

    def test_slow(self) -> None:
        """What takes longer to release begins earlier."""
        self.assertAlmostEqual(hold(1.0, 0.5), hold(1.0, 0.1) - 0.4)


class BeatTests(SynchronousTestCase):
    """When a master advertises."""

    @given(intervals, st.integers(0, SLOTS - 1), moments)
    def test_onceInAnInterval(self, interval: float, slot: int, now: float) -> None:
        """The next beat is later than now, at most an interval later, and an interval after the last one."""
        beat = Beat(interval, slot)
        last, after = beat.last(now), beat.after(now)
        little = interval * 2e-6 + now * 1e-15
        self.assertTrue(now - interval - little <= last <= now + little, (last, now))
        self.assertTrue(now < after <= now + interval + little, (now, after))
        self.assertAlmostEqual(after - last, interval, delta=little)

    @given(intervals, st.integers(0, SLOTS - 1), st.integers(0, 10**9))
    def test_never(self, interval: float, slot: int, number: int) -> None:
        """At a beat the next one is due, and not this one again."""
        beat = Beat(interval, slot)
        now = (number + slot / SLOTS) * interval
        self.assertEqual(beat.last(now), now)
        self.assertEqual(beat.after(now), (number + 1 + slot / SLOTS) * interval)

    def test_together(self) -> None:
        """Those of one slot are due at the very same time, since when ever they advertise; others are not."""
        one, other = Beat(0.1, 3), Beat(0.1, 4)
        self.assertEqual(one.after(1000.0), one.after(1000.0187))
        self.assertNotEqual(one.after(1000.0), other.after(1000.0))
