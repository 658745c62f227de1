"""Tests for L{hatwist.service.cluster}: a program's own services on several nodes, with simulated time."""

from __future__ import annotations

from typing import Any

from twisted.application.service import Service
from twisted.trial.unittest import SynchronousTestCase

from hatwist.checks.check import CheckSpec
from hatwist.checks.inside import CallCheck
from hatwist.core.claims import Role
from hatwist.resources.memory import MemoryResource
from hatwist.service.cluster import Cluster, ClusterNode


class Shop(Service):
    """Open where it runs."""

    def __init__(self, node: str, open: set[str]) -> None:
        self.node = node
        self.open = open

    def startService(self) -> None:
        super().startService()
        self.open.add(self.node)

    def stopService(self) -> None:
        super().stopService()
        self.open.discard(self.node)


class ClusterTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.cluster = Cluster()
        self.open: set[str] = set()

    def start(self, name: str, priority: int, **words: Any) -> ClusterNode:
        node = self.cluster.node(name, priority, **words)
        node.addActive(Shop(name, self.open))
        node.startService()
        return node

    def test_killed(self) -> None:
        """A service follows: another node has it within the tolerance and a little, and nothing runs in who is dead."""
        worked: list[str] = []
        alpha = self.cluster.node("alpha", 200)
        alpha.addActive(Shop("alpha", self.open))
        alpha.every(0.05, lambda: worked.append("alpha"))
        alpha.startService()
        self.start("beta", 100)
        self.cluster.run(1.0)
        self.assertEqual((self.cluster.holders(), self.open), (["alpha"], {"alpha"}))
        self.assertGreater(len(worked), 5)
        alpha.kill()
        before = len(worked)
        self.open.clear()
        self.cluster.run(0.3)
        self.assertEqual(self.open, set())
        self.cluster.run(0.2)
        self.assertEqual((self.cluster.holders(), self.open), (["beta"], {"beta"}))
        self.assertEqual(len(worked), before)
        again = self.start("alpha", 200)
        self.cluster.run(1.0)
        self.assertEqual((self.cluster.holders(), self.open), (["alpha"], {"alpha"}))
        self.assertIs(again.role, Role.ACTIVE)

    def test_stopped(self) -> None:
        """A stop hands over: the services of one node are closed before those of the next are open."""
        alpha = self.start("alpha", 200)
        self.start("beta", 100)
        self.cluster.run(1.0)
        stopping = alpha.stopService()
        self.cluster.run(0.1)
        self.successResultOf(stopping)
        self.assertEqual((self.cluster.holders(), self.open), (["beta"], {"beta"}))
        self.assertEqual(alpha.clock.getDelayedCalls(), [])

    def test_groups(self) -> None:
        """Each of many groups has its own resources; what cannot be acquired moves its own group only."""
        nodes = [
            self.cluster.node(name, priority, ["web", "mail"])
            for name, priority in (("alpha", 200), ("beta", 100))
        ]
        broken = MemoryResource(nodes[0].clock, "mailbox")
        broken.failNext("acquire", "no disk", 100)
        nodes[0].addResource(broken, "mail")
        for node in nodes:
            node.startService()
        self.cluster.run(3.0)
        self.assertEqual(
            (self.cluster.holders("web"), self.cluster.holders("mail")), (["alpha"], ["beta"])
        )
        self.assertFalse(broken.held)

    def test_checks(self) -> None:
        """A check that fails moves the group, and moves it back when it is well."""
        sick: list[int] = []
        alpha = self.cluster.node("alpha", 200)
        alpha.addCheck(CheckSpec(CallCheck(lambda: not sick, "queue"), interval=0.1, timeout=0.1))
        alpha.startService()
        self.start("beta", 100)
        self.cluster.run(2.0)
        self.assertEqual(self.cluster.holders(), ["alpha"])
        sick.append(1)
        self.cluster.run(2.0)
        self.assertEqual(self.cluster.holders(), ["beta"])
        sick.clear()
        self.cluster.run(2.0)
        self.assertEqual(self.cluster.holders(), ["alpha"])

    def test_cut(self) -> None:
        """Without votes both sides of a cut hold, and one of them after it: that is seen here too."""
        self.start("alpha", 200)
        self.start("beta", 100)
        self.cluster.run(1.0)
        self.cluster.cut("beta")
        self.cluster.run(1.0)
        self.assertEqual(self.cluster.holders(), ["alpha", "beta"])
        self.cluster.cut("beta", False)
        self.cluster.run(1.0)
        self.assertEqual((self.cluster.holders(), self.open), (["alpha"], {"alpha"}))

    def test_terms(self) -> None:
        """The term of a later holder is greater."""
        alpha, beta = self.start("alpha", 200), self.start("beta", 100)
        one = alpha.whenRole(Role.ACTIVE)
        two = beta.whenRole(Role.ACTIVE)
        self.cluster.run(1.0)
        alpha.kill()
        self.cluster.run(1.0)
        self.assertGreater(self.successResultOf(two).term, self.successResultOf(one).term)
