"""A second protocol plugs in: a toy is run by the real driver, alone and beside hatwist's own."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from hatwist.core.claims import Role
from hatwist.core.machine import Machine
from hatwist.protocols.native.auth import Keyring
from hatwist.protocols.native.machine import NativeMachine
from hatwist.protocols.native.rules import GroupRules, NodeRules
from hatwist.resources.memory import MemoryResource
from hatwist.runtime.node import Node
from hatwist.runtime.speaker import Speaker
from tests.contracts_machine import GROUP, START, MachineContract
from tests.toy import ToyMachine
from tests.unit.runtime.test_node import Cable, I, MemoryLink, Nodes, T


class ToyContract(MachineContract, SynchronousTestCase):
    """It keeps to what every protocol keeps to."""

    def make(self, name: str = "a", priority: int = 100, now: float = START) -> Machine:
        return ToyMachine(name, priority, GROUP, now)


class ToyTests(Nodes):
    """Nodes that speak the toy's protocol about one group, and hatwist's about another."""

    def setUp(self) -> None:
        super().setUp()
        self.other = Cable()
        self.found: dict[str, dict[str, MemoryResource]] = {}

    def toys(self, name: str, toy: int, native: int) -> Node:
        """A node, by its priority in the toy's group and in the other one, that runs."""
        rules = NodeRules("c", name, I, T, (GroupRules("web", native),), native)
        machine = NativeMachine(rules, Keyring(), 1, self.clock.seconds())
        ways: list[Any] = [MemoryLink(self.cable), MemoryLink(self.other)]
        resources = {group: MemoryResource(self.clock, group) for group in ("play", "web")}
        self.found[name] = resources
        node = Node(
            self.clock,
            [
                Speaker(ToyMachine(name, toy, "play", self.clock.seconds()), ways[:1]),
                Speaker(machine, ways[1:]),
            ],
            {group: self.custody(group, resource) for group, resource in resources.items()},
        )
        node.start()
        self.addCleanup(node.abort)
        return node

    def holders(self, group: str) -> list[str]:
        return [name for name, resources in self.found.items() if resources[group].held]

    def test_elects(self) -> None:
        """Each group is held by the node that its own protocol elects."""
        alpha, beta = self.toys("alpha", 200, 100), self.toys("beta", 100, 200)
        self.pass_(1.0)
        self.assertEqual((self.holders("play"), self.holders("web")), (["alpha"], ["beta"]))
        self.assertEqual(alpha.roles, {"play": Role.ACTIVE, "web": Role.STANDBY})
        self.assertEqual(beta.roles, {"play": Role.STANDBY, "web": Role.ACTIVE})

    def test_fallsSilent(self) -> None:
        """When a node falls silent the other one takes over in both, a tolerance later."""
        alpha, _ = self.toys("alpha", 200, 200), self.toys("beta", 100, 100)
        self.pass_(1.0)
        alpha.abort()
        self.pass_(T + I)
        self.assertEqual(self.found["beta"]["play"].held, True)
        self.assertEqual(self.found["beta"]["web"].held, True)

    def test_stops(self) -> None:
        """A stop lets go of both, and is over when both have said so; then the other one holds."""
        alpha, _ = self.toys("alpha", 200, 200), self.toys("beta", 100, 100)
        self.pass_(1.0)
        stopped = alpha.stop()
        self.pass_(0.01)
        self.successResultOf(stopped)
        self.assertEqual((self.holders("play"), self.holders("web")), (["beta"], ["beta"]))

    def test_refused(self) -> None:
        """What it cannot acquire it lets go of, and the other protocol does not notice."""
        alpha = self.toys("alpha", 200, 200)
        self.found["alpha"]["play"].failNext("acquire")
        self.pass_(T + 2 * I)
        self.assertEqual((self.holders("play"), self.holders("web")), ([], ["alpha"]))
        self.pass_(1.0)
        self.assertEqual(self.holders("play"), ["alpha"])
        error = self.assertRaises(ValueError, alpha.move, "play", "beta")
        self.assertEqual(str(error), "a toy cannot be moved")
