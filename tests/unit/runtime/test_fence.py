"""For how long the guard and the kernel are told to keep what is held."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address
from itertools import pairwise
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
from hatwist.runtime.leases import Leases

THREE = Quorum(frozenset(("alpha", "beta", "gamma")), 2)
FAREWELL = Farewell(2, ip_address("239.255.0.7"), 5407, b"goodbye")


class FakeMachine:
    """Says of each lease what the test wants."""

    interval: float | None
    tolerance = 1.0

    def __init__(self, interval: float) -> None:
        self.interval = interval
        self.ends: dict[str, float] = {}

    def until(self, lease: str, now: float) -> float:
        return self.ends[lease]


class FakeGuard:
    """What it was told."""

    def __init__(self) -> None:
        self.deadlines: dict[str, float] = {}
        self.calls: list[str] = []

    @property
    def deadline(self) -> float:
        """Of the only lease."""
        return max(self.deadlines.values(), default=-inf)

    def pet(self, deadlines: Mapping[str, float]) -> None:
        self.calls.append("pet")
        self.deadlines.update(deadlines)

    def follow(self, group: str, lease: str, deadline: float) -> None:
        self.calls.append(f"{group} follows {lease} until {deadline:g}")

    def flush(self) -> None:
        pass


class FenceTestCase(SynchronousTestCase):
    def make(self, interval: float, tolerance: float, lease: int = 60) -> None:
        self.timing = Timing(interval, tolerance)
        self.renewed: list[tuple[float, int]] = []
        self.groups: list[list[str]] = []
        self.now = 0.0
        self.guard = FakeGuard()
        self.machine = cast(Any, FakeMachine(interval))
        guard: Any = self.guard
        kernel = KernelLease(
            kernelLease(self.timing, THREE, lease), leaseMargin(self.timing, THREE)
        )
        self.leases = Leases({self.machine: kernel}, guard, self.keep)
        self.fence = Fence("g")
        self.claim(self.fence, "one", 0.0)

    def claim(self, fence: Fence, lease: str, until: float, farewells: Any = ()) -> None:
        self.machine.ends[lease] = until
        self.leases.follow(fence, self.machine, lease, self.now)
        fence.claimed(7, farewells)

    def keep(self, due: Mapping[str, int]) -> None:
        self.renewed += [(self.now, seconds) for seconds in sorted({*due.values()})]
        self.groups.append(list(due))

    def to(self, lease: float, now: float) -> None:
        """After a decision at C{now} the lease lasts until then."""
        self.machine.ends["one"], self.now = lease, now
        self.leases.renew(now, now)

    def renew(self, now: float, confirmed: float) -> float:
        """At C{now}, a majority has confirmed what was sent at C{confirmed}; returns the lease."""
        lease = confirmed + self.timing.hold
        self.to(lease, now)
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
        if self.leases.kernels[self.machine].margin is None:
            return
        now = confirmed = 100.0
        for step, age in steps:
            now += step
            confirmed = max(confirmed, now - age)
            count = len(self.renewed)
            lease = self.renew(now, confirmed)
            for at, seconds in self.renewed[count:]:
                self.assertLessEqual(at + seconds, lease - LEASE_MARGIN + 1e-6)

    def test_rate(self) -> None:
        """What follows no votes is renewed four times while it would last, and twice in a second at most."""
        for lease, pause in ((2, 0.5), (60, 15.0)):
            self.make(0.1, 0.35, lease)
            for step in range(400):
                self.to(10.0 + step / 10, 10.0 + step / 10)
            times = [at for at, _ in self.renewed]
            gaps = {round(b - a, 6) for a, b in pairwise(times)}
            self.assertEqual((gaps, {seconds for _, seconds in self.renewed}), ({pause}, {lease}))

    def test_together(self) -> None:
        """Groups of one lease are renewed together, also one that came later, and not one that is let go of."""
        self.make(0.5, 3.5)
        mail, news = Fence("mail"), Fence("news")
        self.claim(mail, "one", 0.0)
        self.renew(10.0, 10.0)
        self.claim(news, "one", 10.0 + self.timing.hold)
        mail.released()
        self.renew(
            10.6, 10.2
        )  # longer than what the kernel knows of the one that came, and of no other
        self.assertEqual(self.renewed, [(10.0, 3), (10.6, 2)])
        self.assertEqual(self.groups, [["g", "mail"], ["news"]])


class GuardTests(FenceTestCase):
    """What the guard is told."""

    def setUp(self) -> None:
        self.make(0.5, 2.5)
        self.claim(self.fence, "one", 12.0, [FAREWELL])

    def test_order(self) -> None:
        """It is armed with the claim, its lease as it was decided last, and the farewells."""
        self.assertEqual(self.fence.order(), GuardOrder(7, "0 one", 12.0, [FAREWELL]))
        self.to(13.0, 11.0)
        self.assertEqual(self.fence.order(), GuardOrder(7, "0 one", 13.0, [FAREWELL]))
        self.fence.revised([])
        self.assertEqual(self.fence.order(), GuardOrder(7, "0 one", 13.0, []))

    def test_fewTimes(self) -> None:
        """It is told a few times in an interval, and while the group is let go of, of every gain."""
        for lease, told in ((13.0, 13.0), (13.1, 13.0), (13.125, 13.125), (13.1, 13.125)):
            self.to(lease, 11.0)
            self.assertEqual(self.guard.deadline, told)
        self.fence.released()
        self.to(13.126, 11.0)
        self.assertEqual(self.guard.deadline, 13.126)

    def test_once(self) -> None:
        """However many groups follow a lease, and however many leases there are: one call."""
        for number in range(100):
            self.claim(Fence(f"g{number}"), "one" if number % 2 else f"{number}", 12.0)
        self.guard.calls.clear()
        self.to(13.0, 11.0)
        self.assertEqual(self.guard.calls, ["pet"])
        self.assertEqual(len(self.guard.deadlines), 51)

    def test_another(self) -> None:
        """A group that goes on by another lease is told at once, and the other ones stay where they are."""
        mail = Fence("mail")
        self.claim(mail, "one", 12.0)
        self.guard.calls.clear()
        self.machine.ends["two"] = 12.5
        self.leases.follow(mail, self.machine, "two", 11.0)
        self.assertEqual(self.guard.calls, ["mail follows 0 two until 12.5"])
        self.assertEqual((self.fence.until, mail.until), (12.0, 12.5))
        self.assertEqual(mail.order(), GuardOrder(7, "0 two", 12.5, ()))

    def test_unfollowed(self) -> None:
        """A lease that no group follows any more is asked for no longer."""
        self.leases.ended(self.fence)
        self.machine.ends.clear()
        self.leases.renew(11.0, 11.0)
        self.assertNotIn("pet", self.guard.calls)

    def test_margin(self) -> None:
        """The least that was left is known for as long as the lease is followed."""
        self.assertIsNone(self.fence.margin)
        for lease, now in ((13.0, 11.0), (14.0, 12.5), (15.0, 12.6)):
            self.to(lease, now)
        self.assertEqual(self.fence.margin, 0.5)
        self.leases.ended(self.fence)
        self.assertIsNone(self.fence.margin)

    def test_ended(self) -> None:
        """Once nothing is claimed nothing may be held, and nobody is told anything."""
        self.leases.ended(self.fence)
        self.to(20.0, 11.0)
        self.assertEqual((self.fence.until, self.guard.deadline), (-inf, -inf))

    def test_eachMachine(self) -> None:
        """What a machine without votes holds is kept for as long as was asked, and not by the votes of another's."""
        other: Any = FakeMachine(0.1)
        other.tolerance = 0.3
        guard: Any = self.guard
        kernels = {self.machine: KernelLease(2, 0.4), other: KernelLease(60)}
        leases = Leases(kernels, guard, self.keep)
        for machine, group in ((self.machine, "voted"), (other, "router")):
            fence = Fence(group)
            machine.ends["one"] = 11.3
            leases.follow(fence, machine, "one", 11.0)
            fence.claimed(7, [])
        leases.renew(11.0, 11.0)
        self.assertEqual((self.renewed[-1][1], self.groups[-1]), (60, ["router"]))
        self.assertNotIn(["voted"], self.groups)

    def test_noGuard(self) -> None:
        """Without a guard the last decision counts all the same, and nothing is renewed."""
        leases = Leases({self.machine: KernelLease(60)}, None, self.keep)
        fence = Fence("g")
        leases.follow(fence, self.machine, "one", 11.0)
        fence.claimed(7, [])
        self.machine.ends["one"] = 13.0
        leases.renew(11.0, 11.0)
        self.assertEqual((fence.until, self.renewed), (13.0, []))
