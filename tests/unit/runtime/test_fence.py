"""For how long the guard and the kernel are told to keep what is held."""

from __future__ import annotations

from ipaddress import ip_address
from math import inf
from typing import Any, cast

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hatwist.core.electorate import Quorum
from hatwist.linux.interfaces import Farewell
from hatwist.protocols.native.guarantee import LEASE_MARGIN, kernelLease, leaseMargin
from hatwist.protocols.native.rules import Timing
from hatwist.resources.guard import GuardOrder
from hatwist.runtime.fence import Fence, KernelLease

THREE = Quorum(frozenset(("alpha", "beta", "gamma")), 2)
FAREWELL = Farewell(2, ip_address("239.255.0.7"), 5407, b"goodbye")


class FakeGuard:
    """What it was told last."""

    deadline = -inf

    def pet(self, group: str, deadline: float) -> None:
        self.deadline = deadline


class FenceTestCase(SynchronousTestCase):
    def make(self, interval: float, tolerance: float, lease: int = 60) -> None:
        self.timing = Timing(interval, tolerance)
        self.renewed: list[tuple[float, int]] = []
        self.guard = FakeGuard()
        self.fence = Fence("g", cast(Any, self.guard), interval)
        self.fence.kernel = KernelLease(
            kernelLease(self.timing, THREE, lease), leaseMargin(self.timing, THREE)
        )
        self.fence.claimed(7, 0.0, ())

    def renew(self, now: float, confirmed: float) -> float:
        """At C{now}, a majority has confirmed what was sent at C{confirmed}; returns the lease."""
        lease = confirmed + self.timing.hold
        if seconds := self.fence.renew(lease, now):
            self.renewed.append((now, seconds))
        return lease


class KernelTests(FenceTestCase):
    """The kernel's lease of the addresses of a group that is held."""

    def test_whatIsLeft(self) -> None:
        """It is what is left of the votes in whole seconds, however little; under one there is no renewal."""
        self.make(0.5, 2.5)
        self.renew(10.0, 10.0)
        self.assertEqual(self.renewed, [(10.0, 2)])
        self.renew(11.5, 10.6)  # 1.5 s are left
        self.assertEqual(self.renewed, [(10.0, 2), (11.5, 1)])
        self.renew(13.0, 11.5)  # 0.9 s
        self.assertEqual(len(self.renewed), 2)

    def test_notShortened(self) -> None:
        """What was written down before is not cut short: it ends before later votes, too."""
        self.make(0.5, 3.5)
        self.renew(10.0, 10.0)
        self.renew(11.5, 10.2)  # 1.7 s are left
        self.assertEqual(self.renewed, [(10.0, 3)])

    def test_lettingGo(self) -> None:
        """While a group is let go of the kernel is not told to keep it, and the guard still is."""
        self.make(0.5, 3.5)
        self.fence.released()
        lease = self.renew(1.0, 1.0)
        self.assertEqual(self.renewed, [])
        self.assertEqual(self.guard.deadline, lease)

    def test_cannotFollow(self) -> None:
        """With votes that last for less than the kernel can count it is what was asked for."""
        for tolerance in (0.35, 1.4):
            self.make(0.1, tolerance, 2)
            self.renew(10.0, 10.0)
            self.assertEqual(self.renewed, [(10.0, 2)])

    @given(
        st.floats(0.1, 5),
        st.floats(2, 20),
        st.lists(st.tuples(st.floats(0, 2), st.floats(0, 3)), max_size=30),
    )
    def test_neverPastTheVotes(
        self, interval: float, intervals: float, steps: list[tuple[float, float]]
    ) -> None:
        """Whatever is confirmed when, no lease ends later than its margin before the votes."""
        self.make(interval, interval * intervals)
        if self.fence.kernel.margin is None:
            return
        now = confirmed = 100.0
        for step, age in steps:
            now += step
            confirmed = max(confirmed, now - age)
            count = len(self.renewed)
            lease = self.renew(now, confirmed)
            for at, seconds in self.renewed[count:]:
                self.assertLessEqual(at + seconds, lease - LEASE_MARGIN + 1e-6)


class GuardTests(FenceTestCase):
    """What the guard is told."""

    def setUp(self) -> None:
        self.make(0.5, 2.5)
        self.fence.claimed(7, 12.0, [FAREWELL])

    def test_order(self) -> None:
        """It is armed with the claim, its lease as it was decided last, and the farewells."""
        self.assertEqual(self.fence.order(), GuardOrder(7, 12.0, [FAREWELL]))
        self.fence.renew(13.0, 11.0)
        self.assertEqual(self.fence.order(), GuardOrder(7, 13.0, [FAREWELL]))
        self.fence.revised([])
        self.assertEqual(self.fence.order(), GuardOrder(7, 13.0, []))

    def test_fewTimes(self) -> None:
        """It is told a few times in an interval, and while the group is let go of, of every gain."""
        for lease, told in ((13.0, 13.0), (13.1, 13.0), (13.125, 13.125), (13.1, 13.125)):
            self.fence.renew(lease, 11.0)
            self.assertEqual(self.guard.deadline, told)
        self.fence.released()
        self.fence.renew(13.126, 11.0)
        self.assertEqual(self.guard.deadline, 13.126)

    def test_margin(self) -> None:
        """The least that was left is known for as long as the claim lasts."""
        self.assertIsNone(self.fence.margin)
        for lease, now in ((13.0, 11.0), (14.0, 12.5), (15.0, 12.6)):
            self.fence.renew(lease, now)
        self.assertEqual(self.fence.margin, 0.5)
        self.fence.ended()
        self.assertIsNone(self.fence.margin)

    def test_ended(self) -> None:
        """Once nothing is claimed nothing may be held, and nobody is told anything."""
        self.fence.ended()
        self.assertEqual(self.fence.renew(20.0, 11.0), 0)
        self.assertEqual((self.fence.until, self.guard.deadline), (-inf, -inf))

    def test_noGuard(self) -> None:
        """Without a guard the last decision counts all the same, and nothing is renewed."""
        fence = Fence("g", None, 0.5)
        fence.kernel = KernelLease(60)
        fence.claimed(7, 12.0, [])
        self.assertEqual(fence.renew(13.0, 11.0), 0)
        self.assertEqual(fence.until, 13.0)
