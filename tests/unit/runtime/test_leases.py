"""For how long the kernel is told to keep addresses."""

from __future__ import annotations

from typing import Any, cast

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hatwist.core.claims import Role
from hatwist.core.electorate import Quorum
from hatwist.core.states import State
from hatwist.protocols.native.guarantee import LEASE_MARGIN, kernelLease, leaseMargin
from hatwist.protocols.native.rules import NodeRules, Timing
from hatwist.runtime.leases import Leases

THREE = Quorum(frozenset(("alpha", "beta", "gamma")), 2)


class FakeElection:
    """A holder."""

    role = Role.ACTIVE
    state = State.ACTIVE

    @property
    def standing(self) -> FakeElection:
        return self

    @property
    def lettingGo(self) -> bool:
        return self.state in (State.RELEASING, State.STOPPING)


class FakeMachine:
    """A node that holds C{g} until C{until}."""

    def __init__(self, interval: float, tolerance: float) -> None:
        self.rules = NodeRules("c", "alpha", interval, tolerance, quorum=THREE)
        self.elections = {"g": FakeElection()}
        self.until = 0.0

    def lease(self, group: str, now: float) -> float:
        return self.until


class FakeGuard:
    """What it was told last."""

    def pet(self, group: str, deadline: float) -> None:
        self.deadline = deadline


class LeasesTests(SynchronousTestCase):
    def make(self, interval: float, tolerance: float, lease: int = 60) -> None:
        self.timing = Timing(interval, tolerance)
        self.machine = FakeMachine(interval, tolerance)
        self.renewed: list[tuple[float, int]] = []
        self.now = 0.0
        self.leases = Leases(
            cast(Any, self.machine), {"g": cast(Any, self)}, cast(Any, FakeGuard())
        )
        self.leases.kernel = kernelLease(self.timing, THREE, lease)
        self.leases.margin = leaseMargin(self.timing, THREE)

    def renew(self, seconds: int) -> None:
        """As a keeper has it."""
        self.renewed.append((self.now, seconds))

    def pet(self, now: float, confirmed: float) -> None:
        """At C{now}, a majority has confirmed what was sent at C{confirmed}."""
        self.now, self.machine.until = now, confirmed + self.timing.hold
        self.leases.pet(now)

    def test_whatIsLeft(self) -> None:
        """It is what is left of the votes in whole seconds, however little; under one there is no renewal."""
        self.make(0.5, 2.5)
        self.pet(10.0, 10.0)
        self.assertEqual(self.renewed, [(10.0, 2)])
        self.pet(11.5, 10.6)  # 1.5 s are left
        self.assertEqual(self.renewed, [(10.0, 2), (11.5, 1)])
        self.pet(13.0, 11.5)  # 0.9 s
        self.assertEqual(len(self.renewed), 2)

    def test_notShortened(self) -> None:
        """What was written down before is not cut short: it ends before later votes, too."""
        self.make(0.5, 3.5)
        self.pet(10.0, 10.0)
        self.pet(11.5, 10.2)  # 1.7 s are left
        self.assertEqual(self.renewed, [(10.0, 3)])

    def test_lettingGo(self) -> None:
        """While a group is let go of the kernel is not told to keep it, and the guard still is."""
        self.make(0.5, 3.5)
        for state in (State.RELEASING, State.STOPPING):
            self.machine.elections["g"].state = state
            self.pet(self.now + 1.0, self.now + 1.0)
            self.assertEqual(self.renewed, [])
            self.assertEqual(self.leases._petted["g"], self.machine.until)

    def test_cannotFollow(self) -> None:
        """With votes that last for less than the kernel can count it is what was asked for."""
        for tolerance in (0.35, 1.4):
            self.make(0.1, tolerance, 2)
            self.pet(10.0, 10.0)
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
        if self.leases.margin is None:
            return
        now = confirmed = 100.0
        for step, age in steps:
            now += step
            confirmed = max(confirmed, now - age)
            count = len(self.renewed)
            self.pet(now, confirmed)
            for at, seconds in self.renewed[count:]:
                self.assertLessEqual(at + seconds, self.machine.until - LEASE_MARGIN + 1e-6)

    def test_byTheLastDecision(self) -> None:
        """Until when it may hold is what it decided last, not what it would think if it were asked now."""
        self.make(1.0, 3.5)
        self.machine.lease = lambda group, now: now + 3.4  # type: ignore[method-assign]
        self.leases.decided = 10.0
        self.assertEqual(self.leases.until("g"), 13.4)
