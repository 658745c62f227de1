"""More groups than are decided in one go, in L{hatwist.protocols.native.machine}: none is forgotten or waits long."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from hatwist.core.effects import Effect, Hold, Release, RoleChange
from hatwist.core.reports import Gone, Held, Judged, Report, Stopped
from hatwist.core.worth import Fitness
from hatwist.protocols.native.auth import Keyring
from hatwist.protocols.native.election import Election
from hatwist.protocols.native.machine import SLICE, NativeMachine
from hatwist.protocols.native.rules import GroupRules, NodeRules
from hatwist.testing import Simulation
from tests.statements import Listener, Statement

I, T = 0.1, 0.35  # noqa: E741
GROUPS = [f"g{number:03}" for number in range(138)]


class SlicesTests(SynchronousTestCase):
    """One node, "a", with more than two slices of groups; its time begins at 100."""

    def setUp(self) -> None:
        self.rules = NodeRules("home", "a", I, T, tuple([GroupRules(name) for name in GROUPS]), 1)
        self.machine = NativeMachine(self.rules, Keyring(), 5, 100.0)
        self.listener = Listener()
        self.said: list[Statement] = []
        self.decided: list[str] = []
        decide = Election.decide

        def note(election: Election, *args: Any) -> None:
            self.decided.append(election.rules.name)
            decide(election, *args)

        self.patch(Election, "decide", note)

    def run_(self, now: float, beat: bool = False) -> list[Effect]:
        """All that it decides until nothing is due any more; what it says goes to the listener."""
        effects: list[Effect] = []
        for turn in range(100):
            effects += self.machine.decide(now, beat and turn == 0)
            self.said += self.send(now)
            if self.machine.deadline > now:
                return effects
        raise AssertionError("it never comes to rest")

    def send(self, now: float) -> list[Statement]:
        opened = [self.machine.keyring.open(each.data) for each in self.machine.outgoing(now)]
        return [self.listener.read(each) for each in opened]

    def tell(self, report: Callable[[str], Report], names: Sequence[str], now: float) -> None:
        for name in names:
            self.machine.tell(report(name), now)

    def hold(self) -> None:
        """It is alone, and holds all of them from 100.5 on."""
        self.run_(100.0, True)
        self.tell(Gone, GROUPS, 100.01)
        for step in range(1, 5):
            self.run_(100.0 + step * I, True)
        self.tell(Held, GROUPS, 100.5)
        self.run_(100.5, True)

    def test_atOnce(self) -> None:
        """So many are decided in one go, the next ones at once after that, and each of them once."""
        self.hold()
        self.decided.clear()
        for name in GROUPS:
            self.machine.tell(Judged(name, "", Fitness.DEGRADED, "slow"), 100.51)
        self.machine.decide(100.51)
        self.assertEqual((len(self.decided), self.machine.deadline), (SLICE, 100.51))
        self.machine.decide(100.511)
        self.assertEqual((len(self.decided), self.machine.deadline), (2 * SLICE, 100.511))
        self.machine.decide(100.512)
        self.assertEqual(sorted(self.decided), GROUPS)
        self.send(100.512)
        self.assertGreater(self.machine.deadline, 100.512)

    def test_heardBetween(self) -> None:
        """What it says leaves after each of them."""
        self.hold()
        for name in GROUPS:
            self.machine.tell(Judged(name, "", Fitness.DEGRADED, "slow"), 100.51)
        said = []
        for _ in range(3):
            self.machine.decide(100.51)
            said.append(len({g.name for s in self.send(100.51) for g in s.groups if g.reason}))
        self.assertEqual(said, [SLICE, 2 * SLICE, len(GROUPS)])

    def test_claimedFirst(self) -> None:
        """What is claimed here is decided before what is not, whatever its name."""
        claimed, free = GROUPS[-3:], GROUPS[:-3]
        for name in free:
            self.machine.tell(Judged(name, "", Fitness.UNFIT, "down"), 100.0)
        self.hold()
        self.assertEqual(self.machine.tally.claims, set(claimed))
        for turn in range(3):  # else one of them would have its turn by chance
            self.decided.clear()
            self.machine.agenda.touchAll()
            self.machine.decide(100.51 + turn / 1000)
            self.assertEqual(len(self.decided), SLICE)
            self.assertEqual([name for name in self.decided if name in claimed], claimed)

    def test_stopped(self) -> None:
        """Where all is let go of in one turn, its last words tell of every group, and each role change is told."""
        self.hold()
        self.machine.tell(Stopped(), 100.6)
        released = [e.group for e in self.run_(100.6) if isinstance(e, Release)]
        self.assertEqual(sorted(released), GROUPS)
        self.tell(Gone, GROUPS, 100.61)
        effects = self.run_(100.61)
        self.assertTrue(self.machine.over)
        self.assertEqual(sorted([e.group for e in effects if isinstance(e, RoleChange)]), GROUPS)
        last = self.said[-1]
        self.assertTrue(last.leaving)
        self.assertEqual([g.name for g in last.groups if g.released is None], [])

    def test_removed(self) -> None:
        """Where a reload takes away all that a node stands by for, each role change is told."""
        for name in GROUPS:
            self.machine.tell(Judged(name, "", Fitness.UNFIT, "down"), 100.0)
        self.hold()
        self.machine.change(self.rules._replace(groups=()), 100.6, {})
        effects = self.run_(100.6)
        self.assertEqual(sorted([e.group for e in effects if isinstance(e, RoleChange)]), GROUPS)
        self.assertEqual(list(self.machine.groups), [])

    def test_allAtOnce(self) -> None:
        """Who was alone and has listened claims every group in the same moment."""
        self.run_(100.0, True)
        self.tell(Gone, GROUPS, 100.01)
        for step in range(1, 4):
            self.run_(100.0 + step * I, True)
        claimed = [e.group for e in self.run_(100.36) if isinstance(e, Hold)]
        self.assertEqual(sorted(claimed), GROUPS)


class ManyNodesTests(SynchronousTestCase):
    """32 nodes that start at once."""

    def test_start(self) -> None:
        """Each group is held by the worthiest, once, after a tolerance, and few packets are sent for that."""
        sim = Simulation(3, wire=False)
        names = [f"n{number:02}" for number in range(32)]
        groups = [f"g{number}" for number in range(4)]
        for node, name in enumerate(names):
            own = [GroupRules(g, 200 if node == at else 100) for at, g in enumerate(groups)]
            sim.start(name, groups=own)
        sim.run(T + I)
        self.assertEqual([sim.holders(g) for g in groups], [[name] for name in names[:4]])
        self.assertLess(sim.lan.sent / len(names), 16)
        sent = sim.lan.sent
        sim.run(2 * I)
        self.assertLess((sim.lan.sent - sent) / len(names) / 2, 3)
        changes = [len(sim.transcript.groups[g].changes) for g in groups]
        self.assertEqual(changes, [1] * 4)


class ReportTests(SynchronousTestCase):
    """A report of this node that waits for its turn."""

    def test_confirmedMeanwhile(self) -> None:
        """What others confirm meanwhile counts: with votes a claim goes on, however long it is not decided."""
        names = ("alpha", "beta", "gamma")
        sim = Simulation(1, members=names)
        for number, name in enumerate(names):
            sim.start(name, 200 - number)
        sim.run(1.0)
        node = sim.nodes["alpha"]
        seq = node.machine.outbox.seq
        sim.runUntil(lambda: node.machine.outbox.seq > seq, 2 * I)
        before = node.machine.until("g", node.now)
        self.patch(node, "decide", lambda beating=None: None)
        node.machine.tell(Judged("g", "", Fitness.FIT, ""), node.now)
        sim.run(0.005)  # the others have answered
        self.assertGreater(node.machine.until("g", node.now), before)
