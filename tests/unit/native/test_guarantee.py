"""Tests for L{hatwist.protocols.native.guarantee}: each level, each gap, and the figures behind them."""

from __future__ import annotations

from math import inf
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hatwist.core.electorate import Quorum
from hatwist.core.guarantee import Guarantee, Level
from hatwist.protocols.native.guarantee import (
    LEASE_LATE,
    LEASE_MARGIN,
    affordable,
    ample,
    askLimit,
    enough,
    guarantee,
    kernelLease,
)
from hatwist.protocols.native.rules import Timing

THREE = Quorum(frozenset(("alpha", "beta", "gamma")), 2)
USUAL = Timing(1.0, 3.5)
PARTITION = "if the network splits, both sides can hold the addresses"
BOTH = "daemon and guard killed together"


def found(
    timing: Timing = USUAL,
    quorum: Quorum | None = None,
    guarded: bool = True,
    lease: int = 4,
    **more: Any,
) -> Guarantee:
    return guarantee(timing, quorum, guarded, lease, **more)


class LevelTests(SynchronousTestCase):
    """What a configuration guarantees, and why."""

    def test_unguarded(self) -> None:
        """Without a guard nothing is sure, votes or not."""
        for quorum in (None, THREE):
            known = found(quorum=quorum, guarded=False)
            self.assertEqual(
                (known.level, known.reason), (Level.BEST_EFFORT, "no guard is running")
            )

    def test_unguardable(self) -> None:
        """With a resource that the guard cannot release it is best effort, and the resource is named."""
        for quorum in (None, THREE):
            known = found(quorum=quorum, unguardable=("command mail", "eth0:1"))
            self.assertIs(known.level, Level.BEST_EFFORT)
            self.assertIn("command mail, eth0:1", known.reason)

    def test_selfReleasing(self) -> None:
        """With a guard and without votes a node lets go by itself, and a partition is the gap."""
        known = found()
        self.assertIs(known.level, Level.SELF_RELEASING)
        self.assertIn("a partition is not covered", known.reason)
        self.assertEqual(known.gaps, (PARTITION,))

    def test_exclusive(self) -> None:
        """With votes, and time to lose a round trip, no two nodes hold; the figures are told."""
        known = found(Timing(0.1, 0.35), THREE, lease=2)
        self.assertIs(known.level, Level.EXCLUSIVE)
        self.assertIn("the votes of 2 of 3 nodes", known.reason)
        self.assertIn("releases 0.333 s after", known.reason)
        self.assertIn("2 lost round trips are survived", known.reason)

    def test_tooHasty(self) -> None:
        """Votes with no time to lose a round trip are not called exclusive, and the tolerance that does is named."""
        for timing in (Timing(0.1, 0.2), Timing(0.01, 0.025), Timing(0.1, 0.35, 0.2)):
            known = found(timing, THREE, lease=2)
            self.assertIs(known.level, Level.SELF_RELEASING, timing)
            wanted = f"raise --tolerance to {enough(timing):g} s"
            self.assertTrue(known.reason.endswith(wanted), known.reason)
            self.assertEqual([gap for gap in known.gaps if wanted in gap], list(known.gaps[:1]))
            better = timing._replace(tolerance=enough(timing))
            self.assertIs(found(better, THREE, lease=2).level, Level.EXCLUSIVE, timing)

    def test_slowRelease(self) -> None:
        """Where it is the release that takes the time, the reason says so."""
        known = found(Timing(0.1, 0.35, 0.2), THREE)
        self.assertIn("a release may take 0.2 s", known.reason)

    def test_delay(self) -> None:
        """A slower network leaves less time."""
        timing = Timing(0.01, 0.035)
        self.assertIs(found(timing, THREE, delay=0.001).level, Level.EXCLUSIVE)
        self.assertIs(found(timing, THREE, delay=0.005).level, Level.SELF_RELEASING)

    def test_witnessIsNeverExclusive(self) -> None:
        """No finite limit covers every loss: a witness is never called exclusive."""
        for timing in (USUAL, Timing(0.1, 0.45), Timing(1.0, 600.0)):
            known = found(timing, witness=True)
            self.assertIs(known.level, Level.SELF_RELEASING)
            self.assertIn("the witness covers most partitions", known.reason)

    @given(st.floats(0.005, 60), st.floats(2, 100), st.sampled_from((None, 0.0, 0.2, 5.0)))
    def test_exclusiveIsEarned(
        self, interval: float, intervals: float, release: float | None
    ) -> None:
        """Exclusive is told only where hold keeps both bounds: before the promise ends, not too eager."""
        timing = Timing(interval, interval * intervals, release)
        if found(timing, THREE).level is Level.EXCLUSIVE:
            late = timing.releaseTime + timing.lateness
            self.assertLessEqual(timing.hold / 0.99 + late, timing.tolerance / 1.01 + 1e-9)
            self.assertGreaterEqual(timing.hold + 1e-6, 2 * interval + 0.002 + timing.lateness)

    @given(st.floats(0.005, 60), st.sampled_from((None, 0.0, 0.2, 5.0)))
    def test_enough(self, interval: float, release: float | None) -> None:
        """The tolerance that is named is enough, and hardly more than that."""
        tolerance = enough(Timing(interval, 1.0, release))
        self.assertGreaterEqual(Timing(interval, tolerance, release).survives(), 1)
        self.assertLess(Timing(interval, tolerance - 0.05, release).survives(), 1)


class GapTests(SynchronousTestCase):
    """What is not covered is told."""

    def test_noLease(self) -> None:
        """Without a lease, addresses stay when both processes are killed."""
        gap = f"{BOTH}: addresses stay, since there is no lease"
        self.assertEqual(found(lease=0).gaps, (gap, PARTITION))
        self.assertEqual(found(quorum=THREE, lease=0).gaps, (gap,))
        self.assertEqual(found(quorum=THREE, lease=0).level, Level.EXCLUSIVE)

    def test_witness(self) -> None:
        """Two nodes that both reach the witness, but not each other, are its gap."""
        gap = "if nodes reach the witness but not each other, both sides can hold the addresses"
        self.assertEqual(found(witness=True).gaps, (gap,))

    def test_witnessHasNoTime(self) -> None:
        """Where the limit leaves no room for a lost heartbeat, that is told, with the tolerance that has."""
        known = found(Timing(0.01, 0.035), witness=True)
        self.assertEqual(len(known.gaps), 2)
        self.assertIn("up to 0.01 s too late; with --tolerance 0.045", known.gaps[1])
        self.assertEqual(len(found(Timing(0.01, 0.045), witness=True).gaps), 1)

    def test_witnessAndSlowRelease(self) -> None:
        """Where letting go takes longer than the witness leaves, that is told, with the tolerance that is enough."""
        slow = Timing(1.0, 3.5, 20.02)
        known = found(slow, witness=True)
        self.assertIn("the witness has no time to cover a partition", known.reason)
        self.assertEqual(
            known.gaps[1],
            "a node that is cut off releases too late: that may take 20.02 s, for which a tolerance of "
            f"3.5 s has no room; raise --tolerance to {ample(slow):g} s, or shorten the timeouts",
        )
        better = found(slow._replace(tolerance=ample(slow)), witness=True)
        self.assertIn("the witness covers most partitions", better.reason)
        self.assertEqual(len(better.gaps), 1)

    def test_witnessAndShortTolerance(self) -> None:
        """The same for a tolerance with no room for the witness at all."""
        known = found(Timing(0.01, 0.02), witness=True)
        self.assertIn("the witness has no time", known.reason)
        self.assertIn("leaves 0.005 s after the witness has answered", known.gaps[1])

    @given(st.floats(0.005, 60), st.floats(2, 100), st.sampled_from((None, 0.0, 0.2, 5.0)))
    def test_ample(self, interval: float, intervals: float, release: float | None) -> None:
        """With the tolerance that is named, a witness's only gap is the one that no tolerance closes."""
        timing = Timing(interval, interval * intervals, release)
        better = timing._replace(tolerance=ample(timing))
        self.assertEqual(len(found(better, witness=True).gaps), 1)
        if len(found(timing, witness=True).gaps) == 1:
            self.assertGreaterEqual(timing.hold + 1e-9, 3 * interval)

    def test_shortTolerance(self) -> None:
        """The kernel counts whole seconds: with a tolerance under about two its lease ends after the votes."""
        gap = f"{BOTH}: the kernel's lease is longer than the votes"
        for tolerance in (0.35, 1.0, 1.4):
            self.assertEqual(found(Timing(0.1, tolerance), THREE, lease=2).gaps, (gap,), tolerance)

    def test_lateKernel(self) -> None:
        """With a longer one, what the kernel may be late by is the gap, with its size."""
        known = found(USUAL, THREE)
        self.assertEqual(len(known.gaps), 1)
        self.assertIn(f"{BOTH}, and cut off", known.gaps[0])
        self.assertIn("0.5 s after the votes", known.gaps[0])

    def test_none(self) -> None:
        """With votes and a tolerance of a minute nothing is left: its margin for clocks is longer than that."""
        self.assertEqual(found(Timing(1.0, 60.0), THREE, lease=60).gaps, ())


class AffordableTests(SynchronousTestCase):
    """Which release a node reckons with."""

    def test_votes(self) -> None:
        """With votes the longest, if a lost round trip is survived then."""
        self.assertEqual(affordable(Timing(1.0, 23.0, 20.0), THREE, False), 20.0)
        self.assertIsNone(affordable(Timing(1.0, 21.0, 20.0), THREE, False))

    def test_witness(self) -> None:
        """With a witness the longest, if the witness can be asked again before one lets go."""
        self.assertEqual(affordable(Timing(1.0, 3.5, 1.0), None, True), 1.0)
        self.assertIsNone(affordable(Timing(1.0, 3.5, 2.0), None, True))
        self.assertIsNone(affordable(Timing(1.0, 3.5, 20.0), None, True))

    def test_neither(self) -> None:
        """Without both nobody else's time runs, and a release may take as long as it does."""
        self.assertIsNone(affordable(Timing(1.0, 35.0, 1.0), None, False))

    @given(st.floats(0.005, 60), st.floats(2, 100), st.floats(0, 60))
    def test_room(self, interval: float, intervals: float, release: float) -> None:
        """Whatever is reckoned with leaves a node that the witness answers some time to hold."""
        timing = Timing(interval, interval * intervals, release)
        for quorum, witness in ((THREE, True), (None, True)):
            chosen = affordable(timing, quorum, witness)
            if chosen is not None:
                self.assertGreater(timing._replace(release=chosen).witnessHold, interval / 2)


class LeaseTests(SynchronousTestCase):
    """The kernel's lease is no longer than the votes, where that can be."""

    def test_withoutVotes(self) -> None:
        """Without votes it is what was asked for."""
        for lease in (0, 2, 4, 3600):
            self.assertEqual(kernelLease(USUAL, None, lease), lease)

    def test_withVotes(self) -> None:
        """With votes: hold less a margin, in whole seconds, at most what was asked for; 0 stays none."""
        self.assertEqual(kernelLease(USUAL, THREE, 4), 3)
        self.assertEqual(kernelLease(USUAL, THREE, 0), 0)
        self.assertEqual(kernelLease(Timing(1.0, 35.0), THREE, 10), 10)
        self.assertEqual(kernelLease(Timing(1.0, 35.0), THREE, 3600), 33)

    def test_askLimit(self) -> None:
        """With votes an answer of the LAN is no holder's once its last lease is over, and what others wait for."""
        self.assertEqual(askLimit(USUAL, THREE, 4), 3 + 1 + 3.5)
        self.assertEqual(askLimit(USUAL, None, 4), inf)
        self.assertEqual(askLimit(USUAL, THREE, 0), inf)

    def test_cannotBe(self) -> None:
        """Where the votes last for less than a second the kernel cannot count that: what was asked for."""
        self.assertEqual(kernelLease(Timing(0.1, 0.35), THREE, 2), 2)

    @given(st.floats(2, 600), st.integers(2, 3600))
    def test_gapIsTrue(self, tolerance: float, lease: int) -> None:
        """If no gap is told, the kernel's lease, late as it may be, ends before the votes are free."""
        timing = Timing(tolerance / 5, tolerance)
        known = found(timing, THREE, lease=lease)
        ends = kernelLease(timing, THREE, lease) + LEASE_LATE
        if known.level is Level.EXCLUSIVE and not known.gaps:
            self.assertLessEqual(ends, tolerance / 1.01 + 1e-9)
        self.assertGreaterEqual(timing.hold - LEASE_MARGIN, 1.0)
