"""Tests for L{hatwist.core.states} and L{hatwist.core.standing}: every cell of the table, and that it is obeyed."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hatwist.core.claims import Claim, Role
from hatwist.core.effects import Effect, Hold, Release, RoleChange
from hatwist.core.standing import Decision, Standing
from hatwist.core.states import TABLE, Do, Input, State
from hatwist.core.turn import Turn
from hatwist.core.worth import Fitness, Worth

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


class Group:
    """A group of node "a", and what its inputs bring about."""

    def __init__(self) -> None:
        self.turn = Turn(0.0)
        claim = Claim(1, Worth(Fitness.FIT, 100, 1, "a"))
        self.standing = Standing("home", "web", lambda now: claim, self.turn)

    def input(self, what: Input, now: float, why: str = "") -> None:
        self.turn.now = now
        self.standing.apply(Decision(what, why), self.turn)


def led(state: State = State.STARTING) -> Group:
    """A group that was led to a state, with nothing left to perform."""
    found = Group()
    for step in ROADS[state]:
        found.input(step, 0.0, "because")
    found.turn = Turn(0.0)
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
            group = led(State(state))
            told = group.standing.claim, group.standing.released, group.standing.role
            group.input(Input(what), 1.0, "because")
            where = f"{what} in {state}"
            if expected is NOTHING:
                self.assertEqual(group.standing.state, State(state), where)
                self.assertEqual(
                    (group.standing.claim, group.standing.released, group.standing.role),
                    told,
                    where,
                )
                self.assertEqual(group.turn.effects, [], where)
                self.assertFalse(group.turn.hurried, where)
                continue
            self.assertEqual(group.standing.state, State(expected[0]), where)
            self.assertTrue(group.turn.hurried, where)
            asked = [e for e in group.turn.effects if not isinstance(e, RoleChange)]
            wanted = [e for do in filter(None, expected[1].split(", ")) for e in ASKED[do]]
            self.assertEqual(asked, wanted, where)
            self.assertEqual(
                group.standing.role == Role.ACTIVE,
                group.standing.claim is not None and (group.standing.state is not State.ASKING),
                where,
            )

    def test_everyActionIsUsed(self) -> None:
        """The table uses every action, and L{Do} has no other."""
        used = {do for row in TABLE.values() for cell in row.values() if cell for do in cell.do}
        self.assertEqual(used, set(Do))

    def test_everyStateIsReached(self) -> None:
        """Every state can be reached from the start."""
        for state in State:
            self.assertEqual(led(state).standing.state, state)

    @given(st.lists(st.sampled_from(Input), max_size=30))
    def test_releaseBeforeHold(self, inputs: list[Input]) -> None:
        """Whatever happens, holding and releasing alternate, and STANDBY means that nothing is held."""
        group = led()
        holding = False
        for what in inputs:
            group.turn.effects.clear()
            group.input(what, 1.0)
            for effect in group.turn.effects:
                if isinstance(effect, Hold):
                    self.assertFalse(holding)
                    holding = True
            if holding and group.standing.role != Role.ACTIVE:
                # Either the driver has proven that it is gone, or the guard that it took it away.
                self.assertIn(what, (Input.RELEASED, Input.FENCED))
                holding = False


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
