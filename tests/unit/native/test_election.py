"""Tests for L{hatwist.protocols.native.election}: what the rules of one node say."""

from __future__ import annotations

from math import inf

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hatwist.core.claims import Claim, Released, Role
from hatwist.core.effects import Event, Hold, Release, RoleChange
from hatwist.core.states import Input, State
from hatwist.core.worth import Fitness, Worth
from hatwist.protocols.native.election import Election
from hatwist.protocols.native.rules import GroupRules, Timing
from tests.statements import membership
from tests.unit.core.test_states import ROADS

# What others are told in each state: a holder says ACTIVE until its release is proven.
TOLD = {
    State.STARTING: Role.STANDBY,
    State.STANDBY: Role.STANDBY,
    State.ASKING: Role.ASKING,
    State.ACQUIRING: Role.ACTIVE,
    State.ACTIVE: Role.ACTIVE,
    State.RELEASING: Role.ACTIVE,
    State.STOPPING: Role.ACTIVE,
    State.SHUTDOWN: Role.SHUTDOWN,
}


def election(state: State = State.STARTING, **rules: object) -> Election:
    """A group of node "a" that was led to a state, with nothing left to perform."""
    found = Election(
        "home",
        GroupRules("web", **rules),  # type: ignore[arg-type]
        Timing(0.1, 0.35),
        (1, "a"),
        0.0,
    )
    for step in ROADS[state]:
        found.input(step, 0.0, "because")
    found.effects.clear()
    found.sendNow = False
    return found


class ShutdownTests(SynchronousTestCase):
    """What was stopped never comes back."""

    @given(st.lists(st.sampled_from(Input), max_size=12))
    def test_shutdownAbsorbs(self, inputs: list[Input]) -> None:
        """After SHUTDOWN no input, fitness or refusal has any effect but the report of fitness."""
        group = election(State.SHUTDOWN)
        for what in inputs:
            group.input(what, 1.0)
            group.refused("no", 1.0)
            group.setFitness(Fitness.UNFIT, what.value)
        self.assertEqual(group.standing.role, Role.SHUTDOWN)
        self.assertTrue(all(isinstance(e, Event) and e.kind == "fitness" for e in group.effects))
        group.decide(membership("a"), 0.0, 99.0)
        self.assertEqual((group.standing.role, group.wake), (Role.SHUTDOWN, inf))


class RoleTests(SynchronousTestCase):
    """What others are told follows from the state."""

    def test_roleOfEachState(self) -> None:
        """A holder is ACTIVE to others from the start of acquire to the end of release."""
        self.assertEqual(set(TOLD), set(State))
        for state, role in TOLD.items():
            told = election(state).tell(membership("a"), 1.0)
            self.assertEqual(told.role, role, state)
            self.assertEqual(told.claim is not None, role in (Role.ACTIVE, Role.ASKING), state)
            self.assertEqual(told.listening, state is State.STARTING, state)
            letting = state in (State.RELEASING, State.STOPPING)
            self.assertEqual(told.lettingGo, letting, state)

    def test_fenced(self) -> None:
        """After its guard has fired, a node is STANDBY at once, releases again, and listens for a tolerance."""
        for state in (State.ACQUIRING, State.ACTIVE, State.RELEASING):
            group = election(state)
            group.standing.clean = True
            group.fenced("the guard released it", 7.0, said=True)
            told = group.tell(membership("a"), 7.0)
            self.assertEqual((told.role, told.claim, told.listening), (Role.STANDBY, None, True))
            self.assertIsNone(told.released)
            assert group.candidacy is not None
            self.assertEqual((group.standing.clean, group.candidacy.listenUntil), (False, 7.35))
            changes = [e for e in group.effects if isinstance(e, RoleChange)]
            if state is State.ACQUIRING:
                self.assertEqual(changes, [])  # it never told its log that it was ACTIVE
            else:
                why = "the guard released it"
                change = RoleChange("home", "web", Role.ACTIVE, Role.STANDBY, 1, why)
                self.assertEqual(changes, [change])

    def test_stopWhileStarting(self) -> None:
        """One that stops before it ever claimed is STANDBY until it is proven clean, then says goodbye."""
        group = election()
        group.input(Input.STOP, 1.0)
        self.assertEqual(
            (group.standing.state, group.standing.role), (State.STOPPING, Role.STANDBY)
        )
        group.input(Input.RELEASED, 1.1)
        self.assertEqual(
            (group.standing.state, group.standing.role), (State.SHUTDOWN, Role.SHUTDOWN)
        )

    def test_started(self) -> None:
        """A new group first asks to release what an earlier crash may have left."""
        group = Election("home", GroupRules("web"), Timing(0.1, 0.35), (1, "a"), 5.0)
        self.assertEqual(
            group.effects,
            [
                Release("web"),
                RoleChange("home", "web", None, Role.STANDBY, 0, "started, listening"),
            ],
        )

    def test_lifeInRoleChanges(self) -> None:
        """Each role change is told once, with the term and reason of its claim."""
        group = election(State.STANDBY)
        group.terms.highest = 6
        for what, why in (
            (Input.CLAIM, "no holder was heard"),
            (Input.HELD, ""),
            (Input.YIELD, "b is worthier"),
            (Input.RELEASED, ""),
            (Input.STOP, "stopped"),
        ):
            group.input(what, 1.0, why)
        self.assertEqual(
            group.effects,
            [
                Hold("web", 7),
                RoleChange("home", "web", Role.STANDBY, Role.ACTIVE, 7, "no holder was heard"),
                Release("web"),
                RoleChange("home", "web", Role.ACTIVE, Role.STANDBY, 7, "b is worthier"),
                RoleChange("home", "web", Role.STANDBY, Role.SHUTDOWN, 0, "stopped"),
            ],
        )

    def test_refusedIsNoRoleChange(self) -> None:
        """A claim whose resources were never acquired is reported as failed, not as a role."""
        group = election(State.STANDBY)
        group.input(Input.CLAIM, 1.0, "no holder was heard")
        group.refused("in use", 1.0)
        group.input(Input.RELEASED, 1.0)
        self.assertEqual(
            group.effects,
            [Hold("web", 1), Event("acquire-failed", "web", "", "in use"), Release("web")],
        )
        self.assertEqual(group.standing.released, Released(1, ""))


class ClaimTests(SynchronousTestCase):
    """A claim's term and worth stay what they were when it was made."""

    def test_termAboveAllSeen(self) -> None:
        """A claim's term is one above the highest ever seen."""
        group = election(State.STANDBY, priority=7)
        group.terms.highest = 41
        group.input(Input.CLAIM, 1.0)
        self.assertEqual(group.standing.claim, Claim(42, Worth(Fitness.FIT, 7, 1, "a")))
        self.assertEqual(group.terms.highest, 42)

    def test_frozen(self) -> None:
        """Neither a higher term seen later nor another fitness changes the claim."""
        group = election(State.ACTIVE)
        before = group.standing.claim
        group.terms.highest = 9
        group.setFitness(Fitness.DEGRADED, "one link down")
        told = group.tell(membership("a"), 1.0)
        self.assertEqual((told.claim, told.highest, told.fitness), (before, 9, Fitness.DEGRADED))


class BackoffTests(SynchronousTestCase):
    """One that cannot acquire lets others try, for longer each time."""

    def test_doubling(self) -> None:
        """It is not eligible for 2 tolerances, then 4, doubling up to 64, and 2 again after a success."""
        group, view = election(State.STANDBY), membership("a")
        spans = []
        for _ in range(8):
            group.input(Input.CLAIM, 10.0)
            group.refused("no", 10.0)
            group.input(Input.RELEASED, 10.0)
            spans.append(round((group.backoff.until - 10.0) / 0.35, 6))
            self.assertFalse(group.eligible(view, group.backoff.until - 1e-6))
            self.assertTrue(group.eligible(view, group.backoff.until))
        self.assertEqual(spans, [2, 4, 8, 16, 32, 64, 64, 64])
        group.input(Input.CLAIM, 99.0)
        group.input(Input.HELD, 99.0)
        group.refused("lost", 100.0)
        self.assertAlmostEqual(group.backoff.until, 100.0 + 2 * 0.35)

    def test_reason(self) -> None:
        """Others are told why it failed for as long as it keeps away; a success makes that forgotten."""
        group, view = election(State.STANDBY), membership("a")
        group.input(Input.CLAIM, 10.0)
        group.refused("no place", 10.0)
        group.input(Input.RELEASED, 10.0)
        self.assertEqual(group.tell(view, 10.0).reason, "could not hold the resources: no place")
        self.assertEqual(group.tell(view, group.backoff.until).reason, "")
        group.input(Input.CLAIM, 20.0)
        group.input(Input.HELD, 20.0)
        self.assertEqual(group.backoff.refusal, "")

    def test_lateAnswer(self) -> None:
        """A refusal that comes when nothing is wanted any more is no failure."""
        group = election(State.RELEASING)
        group.refused("no", 1.0)
        self.assertEqual((group.backoff.failures, group.effects), (0, []))


class TimingTests(SynchronousTestCase):
    """How long one may hold unheard is computed, never typed."""

    def test_hold(self) -> None:
        """At 0.1 s / 0.35 s: 0.98 tolerances less the release (5 ms) and the lateness of timers (4.9 ms)."""
        self.assertAlmostEqual(Timing(0.1, 0.35).hold, 0.99 / 1.01 * 0.35 - 0.005 - 0.0049)
        self.assertAlmostEqual(0.99 / 1.01, 0.98, 3)

    @given(st.floats(0.01, 10), st.floats(2, 10))
    def test_belowTolerance(self, interval: float, intervals: float) -> None:
        """Clocks 1 % apart, a holder's limit ends before the others' tolerance."""
        timing = Timing(interval, interval * intervals)
        self.assertLess(timing.hold / 0.99, timing.tolerance / 1.01 + 1e-9)
        self.assertGreater(timing.hold, 0)
