"""Tests for L{hatwist.protocols.native.election}: every cell of the table, and what the rules of one node say."""

from __future__ import annotations

import importlib.util
from math import inf
from pathlib import Path
from types import ModuleType

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hatwist.core.claims import Claim, Released, Role
from hatwist.core.effects import Effect, Event, Hold, Release, RoleChange
from hatwist.core.states import TABLE, Do, Input, State
from hatwist.core.worth import Fitness, Worth
from hatwist.protocols.native.election import Election
from hatwist.protocols.native.membership import Membership
from hatwist.protocols.native.rules import GroupRules, Timing

DOCS = Path(__file__).parents[3] / "docs"

# What every input does in every state: the state that follows and what is done, or nothing at all.
NOTHING = None
EXPECTED: dict[tuple[str, str], tuple[str, str] | None] = {
    ("starting", "ready"): ("standby", ""),
    ("starting", "ask"): NOTHING,
    ("starting", "claim"): NOTHING,
    ("starting", "held"): NOTHING,
    ("starting", "refused"): NOTHING,
    ("starting", "yield"): NOTHING,
    ("starting", "released"): ("starting", "clean"),
    ("starting", "fenced"): NOTHING,
    ("starting", "stop"): ("stopping", "release"),
    ("standby", "ready"): NOTHING,
    ("standby", "ask"): ("asking", "name a new term"),
    ("standby", "claim"): ("acquiring", "name a new term, hold"),
    ("standby", "held"): NOTHING,
    ("standby", "refused"): NOTHING,
    ("standby", "yield"): NOTHING,
    ("standby", "released"): NOTHING,
    ("standby", "fenced"): NOTHING,
    ("standby", "stop"): ("shutdown", ""),
    ("asking", "ready"): NOTHING,
    ("asking", "ask"): NOTHING,
    ("asking", "claim"): ("acquiring", "hold"),
    ("asking", "held"): NOTHING,
    ("asking", "refused"): NOTHING,
    ("asking", "yield"): ("standby", "drop the claim"),
    ("asking", "released"): NOTHING,
    ("asking", "fenced"): NOTHING,
    ("asking", "stop"): ("shutdown", "drop the claim"),
    ("acquiring", "ready"): NOTHING,
    ("acquiring", "ask"): NOTHING,
    ("acquiring", "claim"): NOTHING,
    ("acquiring", "held"): ("active", "activate"),
    ("acquiring", "refused"): ("releasing", "release"),
    ("acquiring", "yield"): ("releasing", "release"),
    ("acquiring", "released"): NOTHING,
    ("acquiring", "fenced"): ("starting", "begin anew, release"),
    ("acquiring", "stop"): ("stopping", "release"),
    ("active", "ready"): NOTHING,
    ("active", "ask"): NOTHING,
    ("active", "claim"): NOTHING,
    ("active", "held"): NOTHING,
    ("active", "refused"): ("releasing", "release"),
    ("active", "yield"): ("releasing", "release"),
    ("active", "released"): NOTHING,
    ("active", "fenced"): ("starting", "begin anew, release"),
    ("active", "stop"): ("stopping", "release"),
    ("releasing", "ready"): NOTHING,
    ("releasing", "ask"): NOTHING,
    ("releasing", "claim"): NOTHING,
    ("releasing", "held"): NOTHING,
    ("releasing", "refused"): NOTHING,
    ("releasing", "yield"): NOTHING,
    ("releasing", "released"): ("standby", "released"),
    ("releasing", "fenced"): ("starting", "begin anew, release"),
    ("releasing", "stop"): ("stopping", ""),
    ("stopping", "ready"): NOTHING,
    ("stopping", "ask"): NOTHING,
    ("stopping", "claim"): NOTHING,
    ("stopping", "held"): NOTHING,
    ("stopping", "refused"): NOTHING,
    ("stopping", "yield"): NOTHING,
    ("stopping", "released"): ("shutdown", "released"),
    ("stopping", "fenced"): NOTHING,
    ("stopping", "stop"): NOTHING,
    ("shutdown", "ready"): NOTHING,
    ("shutdown", "ask"): NOTHING,
    ("shutdown", "claim"): NOTHING,
    ("shutdown", "held"): NOTHING,
    ("shutdown", "refused"): NOTHING,
    ("shutdown", "yield"): NOTHING,
    ("shutdown", "released"): NOTHING,
    ("shutdown", "fenced"): NOTHING,
    ("shutdown", "stop"): NOTHING,
}

# The inputs that lead a new group to each state.
ROADS: dict[State, tuple[Input, ...]] = {
    State.STARTING: (),
    State.STANDBY: (Input.READY,),
    State.ASKING: (Input.READY, Input.ASK),
    State.ACQUIRING: (Input.READY, Input.CLAIM),
    State.ACTIVE: (Input.READY, Input.CLAIM, Input.HELD),
    State.RELEASING: (Input.READY, Input.CLAIM, Input.HELD, Input.YIELD),
    State.STOPPING: (Input.READY, Input.CLAIM, Input.HELD, Input.STOP),
    State.SHUTDOWN: (Input.READY, Input.STOP),
}

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

# What each action asks of the driver when a node with claims of term 1 does it.
ASKED: dict[str, tuple[Effect, ...]] = {
    "name a new term": (),
    "hold": (Hold("web", 1),),
    "release": (Release("web"),),
    "activate": (),
    "drop the claim": (),
    "released": (),
    "clean": (),
    "begin anew": (),
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


class TableTests(SynchronousTestCase):
    """Every input has its documented outcome in every state."""

    def test_total(self) -> None:
        """There is a cell for every state and input, here and in the code, and none besides."""
        cells = {(state.value, what.value) for state in State for what in Input}
        self.assertEqual(set(EXPECTED), cells)
        found = {(state.value, what.value) for state in TABLE for what in TABLE[state]}
        self.assertEqual(found, cells)

    def test_everyCell(self) -> None:
        """Each cell of the table is the expected one."""
        for (state, what), expected in EXPECTED.items():
            cell = TABLE[State(state)][Input(what)]
            found = cell and (cell.state.value, ", ".join(do.value for do in cell.do))
            self.assertEqual(found, expected, f"{what} in {state}")

    def test_everyCellEnforced(self) -> None:
        """Each input changes a group as its cell says, tells the others at once, and asks the driver for no more."""
        for (state, what), expected in EXPECTED.items():
            group = election(State(state))
            told = group.claim, group.released, group.role
            group.input(Input(what), 1.0, "because")
            where = f"{what} in {state}"
            if expected is NOTHING:
                self.assertEqual(group.state, State(state), where)
                self.assertEqual((group.claim, group.released, group.role), told, where)
                self.assertEqual(group.effects, [], where)
                self.assertFalse(group.sendNow, where)
                continue
            self.assertEqual(group.state, State(expected[0]), where)
            self.assertTrue(group.sendNow, where)
            asked = [e for e in group.effects if not isinstance(e, RoleChange)]
            wanted = [e for do in filter(None, expected[1].split(", ")) for e in ASKED[do]]
            self.assertEqual(asked, wanted, where)
            self.assertEqual(
                group.role == Role.ACTIVE,
                group.claim is not None and (group.state is not State.ASKING),
                where,
            )

    def test_everyActionIsUsed(self) -> None:
        """The table uses every action, and L{Do} has no other."""
        used = {do for row in TABLE.values() for cell in row.values() if cell for do in cell.do}
        self.assertEqual(used, set(Do))

    def test_everyStateIsReached(self) -> None:
        """Every state can be reached from the start."""
        for state in State:
            self.assertEqual(election(state).state, state)

    @given(st.lists(st.sampled_from(Input), max_size=12))
    def test_shutdownAbsorbs(self, inputs: list[Input]) -> None:
        """After SHUTDOWN no input, fitness or refusal has any effect but the report of fitness."""
        group = election(State.SHUTDOWN)
        for what in inputs:
            group.input(what, 1.0)
            group.refused("no", 1.0)
            group.setFitness(Fitness.UNFIT, what.value)
        self.assertEqual(group.role, Role.SHUTDOWN)
        self.assertTrue(all(isinstance(e, Event) and e.kind == "fitness" for e in group.effects))
        group.decide(Membership("a", 0.35), {}, 0.0, 99.0)
        self.assertEqual((group.role, group.wake), (Role.SHUTDOWN, inf))

    @given(st.lists(st.sampled_from(Input), max_size=30))
    def test_releaseBeforeHold(self, inputs: list[Input]) -> None:
        """Whatever happens, holding and releasing alternate, and STANDBY means that nothing is held."""
        group = election()
        holding = False
        for what in inputs:
            group.effects.clear()
            group.input(what, 1.0)
            for effect in group.effects:
                if isinstance(effect, Hold):
                    self.assertFalse(holding)
                    holding = True
            if holding and group.role != Role.ACTIVE:
                # Either the driver has proven that it is gone, or the guard that it took it away.
                self.assertIn(what, (Input.RELEASED, Input.FENCED))
                holding = False


class RoleTests(SynchronousTestCase):
    """What others are told follows from the state."""

    def test_roleOfEachState(self) -> None:
        """A holder is ACTIVE to others from the start of acquire to the end of release."""
        self.assertEqual(set(TOLD), set(State))
        for state, role in TOLD.items():
            told = election(state).tell(Membership("a", 0.35), 1.0)
            self.assertEqual(told.role, role, state)
            self.assertEqual(told.claim is not None, role in (Role.ACTIVE, Role.ASKING), state)
            self.assertEqual(told.listening, state is State.STARTING, state)
            letting = state in (State.RELEASING, State.STOPPING)
            self.assertEqual(told.lettingGo, letting, state)

    def test_fenced(self) -> None:
        """After its guard has fired, a node is STANDBY at once, releases again, and listens for a tolerance."""
        for state in (State.ACQUIRING, State.ACTIVE, State.RELEASING):
            group = election(state)
            group.clean = True
            group.fenced("the guard released it", 7.0, said=True)
            told = group.tell(Membership("a", 0.35), 7.0)
            self.assertEqual((told.role, told.claim, told.listening), (Role.STANDBY, None, True))
            self.assertIsNone(told.released)
            self.assertEqual((group.clean, group.listenUntil), (False, 7.35))
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
        self.assertEqual((group.state, group.role), (State.STOPPING, Role.STANDBY))
        group.input(Input.RELEASED, 1.1)
        self.assertEqual((group.state, group.role), (State.SHUTDOWN, Role.SHUTDOWN))

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
        group.highest = 6
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
        self.assertEqual(group.released, Released(1, ""))


class ClaimTests(SynchronousTestCase):
    """A claim's term and worth stay what they were when it was made."""

    def test_termAboveAllSeen(self) -> None:
        """A claim's term is one above the highest ever seen."""
        group = election(State.STANDBY, priority=7)
        group.highest = 41
        group.input(Input.CLAIM, 1.0)
        self.assertEqual(group.claim, Claim(42, Worth(Fitness.FIT, 7, 1, "a")))
        self.assertEqual(group.highest, 42)

    def test_frozen(self) -> None:
        """Neither a higher term seen later nor another fitness changes the claim."""
        group = election(State.ACTIVE)
        before = group.claim
        group.highest = 9
        group.setFitness(Fitness.DEGRADED, "one link down")
        told = group.tell(Membership("a", 0.35), 1.0)
        self.assertEqual((told.claim, told.highest, told.fitness), (before, 9, Fitness.DEGRADED))


class BackoffTests(SynchronousTestCase):
    """One that cannot acquire lets others try, for longer each time."""

    def test_doubling(self) -> None:
        """It is not eligible for 2 tolerances, then 4, doubling up to 64, and 2 again after a success."""
        group, view = election(State.STANDBY), Membership("a", 0.35)
        spans = []
        for _ in range(8):
            group.input(Input.CLAIM, 10.0)
            group.refused("no", 10.0)
            group.input(Input.RELEASED, 10.0)
            spans.append(round((group.backoffUntil - 10.0) / 0.35, 6))
            self.assertFalse(group.eligible(view, group.backoffUntil - 1e-6))
            self.assertTrue(group.eligible(view, group.backoffUntil))
        self.assertEqual(spans, [2, 4, 8, 16, 32, 64, 64, 64])
        group.input(Input.CLAIM, 99.0)
        group.input(Input.HELD, 99.0)
        group.refused("lost", 100.0)
        self.assertAlmostEqual(group.backoffUntil, 100.0 + 2 * 0.35)

    def test_reason(self) -> None:
        """Others are told why it failed for as long as it keeps away; a success makes that forgotten."""
        group, view = election(State.STANDBY), Membership("a", 0.35)
        group.input(Input.CLAIM, 10.0)
        group.refused("no place", 10.0)
        group.input(Input.RELEASED, 10.0)
        self.assertEqual(group.tell(view, 10.0).reason, "could not hold the resources: no place")
        self.assertEqual(group.tell(view, group.backoffUntil).reason, "")
        group.input(Input.CLAIM, 20.0)
        group.input(Input.HELD, 20.0)
        self.assertEqual(group.refusal, "")

    def test_lateAnswer(self) -> None:
        """A refusal that comes when nothing is wanted any more is no failure."""
        group = election(State.RELEASING)
        group.refused("no", 1.0)
        self.assertEqual((group.failures, group.effects), (0, []))


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


class DiagramTests(SynchronousTestCase):
    """The docs show the table that the code enforces."""

    def load(self) -> ModuleType:
        spec = importlib.util.spec_from_file_location("roles", DOCS / "roles.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    def test_committedIsGenerated(self) -> None:
        """docs/roles.svg and docs/roles.rst are what docs/roles.py makes of the table."""
        for name, text in self.load().pages().items():
            self.assertEqual((DOCS / name).read_text(), text, f"run docs/roles.py for {name}")

    def test_everyTransitionDrawn(self) -> None:
        """The diagram has an arrow for each pair of states that the table connects, and names its inputs."""
        drawn = self.load().pages()["roles.svg"]
        titles = [line for line in drawn.splitlines() if line.startswith("<g><title>")]
        pairs = {(s, cell.state) for s, row in TABLE.items() for cell in row.values() if cell}
        self.assertEqual(len(titles), len(pairs))
        for source, target in pairs:
            inputs = [w.value for w, cell in TABLE[source].items() if cell and cell.state is target]
            title = f"<title>{source.value} to {target.value}: {', '.join(inputs)}</title>"
            self.assertIn(title, drawn)
