"""Every role change has a cause that can be counted: L{hatwist.core.causes} and who sets it."""

from __future__ import annotations

import ast
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

import hatwist
from hatwist.core.causes import Cause
from hatwist.core.claims import Role
from hatwist.core.states import Input
from hatwist.core.worth import Fitness
from hatwist.protocols.native.election import Election
from hatwist.protocols.native.rules import GroupRules, Timing
from tests.statements import membership

ROOT = Path(hatwist.__file__).parent


class CauseTests(SynchronousTestCase):
    """One group, alone on its LAN."""

    def setUp(self) -> None:
        self.view = membership("alpha")
        timing = Timing(0.1, 0.35)
        self.group = Election("c", GroupRules("g"), timing, (1, "alpha"), 0.0)
        self.group.letGo(self.view, 0.0)

    def decide(self, now: float) -> None:
        self.group.decide(self.view, now, now)

    def claimed(self) -> None:
        """It has claimed at 1.0, and holds since 1.5."""
        self.decide(1.0)
        self.decide(1.0)
        self.group.input(Input.HELD, 1.5)

    def test_claim(self) -> None:
        """A start and a claim are counted with their causes, and how long the claim took to hold."""
        self.claimed()
        self.assertEqual(
            self.group.standing.transitions,
            {
                (None, Role.STANDBY, Cause.STARTED): 1,
                (Role.STANDBY, Role.ACTIVE, Cause.SILENCE): 1,
            },
        )
        self.assertEqual(
            (sum(self.group.standing.takeovers.counts), self.group.standing.takeovers.total),
            (1, 0.5),
        )

    def test_ends(self) -> None:
        """What ends a claim is its cause, whatever began it."""
        for cause in (Cause.RESOURCES, Cause.GUARD, Cause.STOPPED, Cause.UNFIT):
            self.setUp()
            self.claimed()
            if cause is Cause.RESOURCES:
                self.group.refused("gone", 2.0)
            elif cause is Cause.GUARD:
                self.group.fenced("the guard released it", 2.0, said=True)
            elif cause is Cause.STOPPED:
                self.group.input(Input.STOP, 2.0, "stopped")
            else:
                self.group.setFitness(Fitness.UNFIT, "a check says so")
                self.decide(2.0)
            self.group.letGo(self.view, 2.1)
            new = Role.SHUTDOWN if cause is Cause.STOPPED else Role.STANDBY
            self.assertEqual(self.group.standing.transitions[(Role.ACTIVE, new, cause)], 1, cause)

    def test_stoppedAsStandby(self) -> None:
        """A standby that is stopped is counted too."""
        self.decide(0.1)
        self.group.input(Input.READY, 0.4)
        self.group.input(Input.STOP, 0.5, "stopped")
        self.assertEqual(
            self.group.standing.transitions[(Role.STANDBY, Role.SHUTDOWN, Cause.STOPPED)], 1
        )

    def test_everyYieldHasOne(self) -> None:
        """Wherever a holder yields, and wherever a node claims, the source names the cause."""
        without, found = [], 0
        for path in sorted((ROOT / "protocols" / "native").glob("*.py")):
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if isinstance(node, ast.Call) and ast.unparse(node.func) == "Decision":
                    what = ast.unparse(node.args[0])
                    found += what == "Input.YIELD" or what == "claim"
                    # Whoever asked for votes in vain never held, and a claim goes on with the cause of asking.
                    if len(node.args) == 2:
                        without.append(f"{path.name}:{node.lineno}")
        self.assertEqual(without, [])
        self.assertGreater(found, 10)
