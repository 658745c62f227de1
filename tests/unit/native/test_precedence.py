"""Tests for L{hatwist.protocols.native.precedence}: who goes before whom."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hatwist.core.claims import Claim
from hatwist.core.obstacles import Obstacle
from hatwist.core.worth import Fitness, Worth
from hatwist.protocols.native.precedence import fitter, kept, order
from hatwist.protocols.native.rules import GroupRules

FIT, DEGRADED, UNFIT = Fitness.FIT, Fitness.DEGRADED, Fitness.UNFIT


def worth(name: str, fitness: Fitness = FIT, priority: int = 100) -> Worth:
    return Worth(fitness, priority, ord(name), name)


CLAIMS = st.builds(
    Claim,
    st.integers(1, 5),
    st.builds(worth, st.sampled_from("ab"), st.sampled_from(Fitness), st.sampled_from((50, 100))),
    st.booleans(),
)


class KeptTests(SynchronousTestCase):
    """Another node beside the holder b."""

    def kept(
        self,
        other: Worth,
        holder: Worth,
        then: Fitness = FIT,
        moved: bool = False,
        preempt: bool = True,
        delay: float = 0.0,
    ) -> Obstacle:
        claim = Claim(1, holder._replace(fitness=then), moved)
        return kept(other, holder, claim, GroupRules("web", 100, preempt, delay))

    def test_table(self) -> None:
        """The order decides, unless preemption is off or the operator moved it; who has become less fit yields."""
        high, low = worth("a", priority=200), worth("a", priority=50)
        for other, holder, more, expected in (
            (low, worth("b"), {}, Obstacle.WORTH),
            (low, worth("b"), {"moved": True}, Obstacle.WORTH),
            (high, worth("b"), {}, Obstacle.HANDOVER),
            (high, worth("b"), {"delay": 5.0}, Obstacle.PREEMPT_DELAY),
            (high, worth("b"), {"preempt": False, "delay": 5.0}, Obstacle.NO_PREEMPT),
            (high, worth("b"), {"moved": True, "preempt": False}, Obstacle.MOVED),
            (low, worth("b", DEGRADED), {}, Obstacle.HANDOVER),
            (low, worth("b", DEGRADED), {"preempt": False}, Obstacle.HANDOVER),
            (low, worth("b", DEGRADED), {"delay": 5.0}, Obstacle.HANDOVER),
            # It was moved there when it was as fit as it is now: so it was wanted.
            (low, worth("b", DEGRADED), {"moved": True, "then": DEGRADED}, Obstacle.MOVED),
            (low, worth("b", UNFIT), {"moved": True, "then": DEGRADED}, Obstacle.HANDOVER),
        ):
            self.assertIs(self.kept(other, holder, **more), expected, f"{other} {holder} {more}")

    @given(CLAIMS, st.sampled_from(Fitness), st.sampled_from(Fitness))
    def test_fitter(self, claim: Claim, now: Fitness, other: Fitness) -> None:
        """Nobody is given the group as the fitter one who is not fitter than the holder is now."""
        holder = claim.worth._replace(fitness=now)
        if fitter(worth("c", other), holder, claim):
            self.assertGreater(other, now)


class OrderTests(SynchronousTestCase):
    """Two claims at once."""

    @given(CLAIMS, CLAIMS, st.booleans())
    def test_oneYields(self, one: Claim, other: Claim, byTerm: bool) -> None:
        """Of two different claims exactly one is before the other, on whichever node that is asked."""
        if one.worth != other.worth or one.term != other.term:
            mine, theirs = order(one, byTerm), order(other, byTerm)
            self.assertNotEqual(mine > theirs, theirs > mine)

    def test_table(self) -> None:
        """By term the higher one stays; else what was moved, the last move first, and then the worthier one."""
        good, poor = worth("a", priority=200), worth("b")
        self.assertGreater(order(Claim(2, poor), True), order(Claim(1, good), True))
        self.assertGreater(order(Claim(1, good), False), order(Claim(2, poor), False))
        self.assertGreater(order(Claim(1, poor, True), False), order(Claim(2, good), False))
        self.assertGreater(order(Claim(2, poor, True), False), order(Claim(1, good, True), False))
