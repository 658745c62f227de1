"""Tests of a node whose groups come, go and change while it runs."""

from __future__ import annotations

from hatwist.core.claims import Role
from hatwist.core.effects import RoleChange
from hatwist.protocols.native.rules import GroupRules
from hatwist.resources.memory import MemoryResource
from hatwist.runtime.fence import UNLIMITED
from hatwist.runtime.node import Node
from tests.unit.runtime.test_node import I, Nodes, T


class ChangeTests(Nodes):
    """Two nodes, the first of which holds a group."""

    def setUp(self) -> None:
        super().setUp()
        self.a, self.resourceA, self.linkA = self.node("a", 200)
        self.b, self.resourceB, self.linkB = self.node("b", 100)
        for node in (self.a, self.b):
            node.start()
            self.addCleanup(node.abort)
        self.pass_(2 * T)
        self.assertEqual(self.a.roles["g"], Role.ACTIVE)
        self.transcript = len(self.resourceA.transcript)

    def become(self, node: Node, *groups: GroupRules) -> dict[str, MemoryResource]:
        """Give it these groups; the resources of those that are new."""
        new = {g.name: MemoryResource(self.clock, g.name) for g in groups}
        new = {name: r for name, r in new.items() if name not in node.keepers}
        rules = node.machine.rules._replace(groups=groups, digest=b"%8d" % len(groups))
        node.change(
            node.machine, rules, {name: self.custody(name, r) for name, r in new.items()}, UNLIMITED
        )
        return new

    def unmoved(self) -> None:
        self.assertEqual(self.resourceA.transcript[self.transcript :], [])
        self.assertTrue(self.resourceA.held)

    def test_comes(self) -> None:
        """A group that comes is released, listened for and held like at a start; the other one stays."""
        new = self.become(self.a, GroupRules("g", 200), GroupRules("h", 50))
        self.pass_(T / 2)
        self.assertFalse(new["h"].held)
        self.assertEqual(new["h"].transcript, ["release", "released"])
        newB = self.become(self.b, GroupRules("g", 100), GroupRules("h", 60))
        self.pass_(3 * T)
        self.assertEqual((new["h"].held, newB["h"].held), (False, True))
        self.assertEqual(self.b.roles, {"g": Role.STANDBY, "h": Role.ACTIVE})
        self.unmoved()

    def test_goes(self) -> None:
        """A group that goes is released and handed over; after a while nobody speaks of it."""
        changes: list[RoleChange] = []

        class Observer:
            def roleChanged(self, change: RoleChange) -> None:
                changes.append(change)

        self.a.subscribe(Observer())  # type: ignore[arg-type]
        self.become(self.a, GroupRules("h", 200))
        self.pass_(I)
        self.assertFalse(self.resourceA.held)
        self.assertTrue(self.resourceB.held)
        self.assertEqual(
            [(c.group, c.new, c.reason) for c in changes if c.group == "g"],
            [("g", Role.SHUTDOWN, "no longer configured")],
        )
        self.pass_(3 * T)
        self.assertEqual(self.a.roles, {"h": Role.ACTIVE})
        self.assertEqual(list(self.a.keepers), ["h"])

    def test_goesFromStandby(self) -> None:
        """Where it is not held it goes at once, and that is told like any role change."""
        changes: list[RoleChange] = []

        class Observer:
            def roleChanged(self, change: RoleChange) -> None:
                changes.append(change)

        self.b.subscribe(Observer())  # type: ignore[arg-type]
        self.become(self.b, GroupRules("h", 200))
        gone = [(c.old, c.new) for c in changes if c.group == "g"]
        self.assertEqual(gone, [(Role.STANDBY, Role.SHUTDOWN)])
        self.assertEqual(list(self.b.keepers), ["h"])
        self.pass_(3 * T)
        self.unmoved()

    def test_back(self) -> None:
        """A group that goes and comes back at once is refused, and nothing has changed."""
        self.resourceA.delay = 1.0
        self.become(self.a, GroupRules("h", 200))
        rules = self.a.machine.rules
        error = self.assertRaises(ValueError, self.become, self.a, GroupRules("g", 200))
        self.assertIn("g: still being released", str(error))
        self.assertIs(self.a.machine.rules, rules)
        self.pass_(1.0 + 3 * T)
        self.become(self.a, GroupRules("h", 200), GroupRules("g", 200))
        self.resourceA.delay = 0.0
        self.pass_(4 * T)
        self.assertEqual(self.a.roles, {"h": Role.ACTIVE, "g": Role.ACTIVE})

    def test_changes(self) -> None:
        """A new priority counts at once, over there too."""
        self.become(self.a, GroupRules("g", 50))
        self.pass_(3 * I)
        self.assertEqual((self.resourceA.held, self.resourceB.held), (False, True))
        self.become(self.a, GroupRules("g", 150))
        self.pass_(3 * I)
        self.assertEqual((self.resourceA.held, self.resourceB.held), (True, False))

    def test_stop(self) -> None:
        """A stop while a group goes waits for both, and says goodbye."""
        self.become(self.a, GroupRules("h", 200), GroupRules("g", 200))
        self.pass_(3 * T)
        self.resourceA.delay = 0.1
        self.become(self.a, GroupRules("h", 200))
        stopped = self.a.stop()
        self.pass_(0.2)
        self.successResultOf(stopped)
        self.assertFalse(self.resourceA.held)
        self.assertTrue(self.resourceB.held)
