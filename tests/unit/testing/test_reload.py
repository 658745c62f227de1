"""Groups that come and go on simulated nodes, one node after the other."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from hatwist.core.claims import Role
from hatwist.core.reports import Stopped
from hatwist.protocols.native.rules import GroupRules
from hatwist.testing import Simulation

I, T = 0.1, 0.35  # noqa: E741
NAMES = ("alpha", "beta", "gamma")
ONE, TWO = GroupRules("one", 100), GroupRules("two", 100)


def cluster(**more: object) -> Simulation:
    """alpha, the worthiest for group one, holds it; the others stand by."""
    sim = Simulation(seed=1, **more)  # type: ignore[arg-type]
    for number, name in enumerate(NAMES):
        sim.start(name, groups=[ONE._replace(priority=200 - number)])
    sim.run(1.0)
    assert sim.holders("one") == ["alpha"], sim.transcript.moments
    return sim


class ReloadTests(SynchronousTestCase):
    """What L{Simulation.reload} does."""

    def test_comes(self) -> None:
        """A group that comes is held once a tolerance was listened for."""
        sim = cluster()
        for name in NAMES:
            sim.reload(name, [*sim.files[name], TWO])
        sim.run(0.9 * T)
        self.assertEqual(sim.holders("two"), [])
        sim.run(0.2 * T + I)
        self.assertEqual((len(sim.holders("two")), sim.holders("one")), (1, ["alpha"]))

    def test_goes(self) -> None:
        """One that goes on its holder is held by another node, and by nobody once none is configured with it."""
        sim = cluster()
        sim.reload("alpha", [])
        sim.run(I)
        self.assertEqual(sim.holders("one"), ["beta"])
        for name in ("beta", "gamma"):
            sim.reload(name, [])
        sim.run(2 * T)
        self.assertEqual(sim.holders("one"), [])
        self.assertEqual([list(node.machine.groups) for node in sim.nodes.values()], [[], [], []])

    def test_comesBack(self) -> None:
        """One that comes back while it is still let go of has to wait; the operator tries again."""
        sim = cluster()
        sim.nodes["alpha"].groups["one"].releaseTime = 0.25
        sim.reload("alpha", [])
        sim.reload("alpha", [ONE])
        self.assertTrue(sim.transcript.said("does not reload: one: still being released"))
        sim.run(0.25 + 2 * T)
        self.assertTrue(sim.transcript.said("reloads, and has one"))
        self.assertEqual(list(sim.nodes["alpha"].machine.groups), ["one"])

    def test_laterOrder(self) -> None:
        """Only the last order of two counts, when a daemon that stood still gets to run."""
        sim = cluster()
        sim.freeze("gamma")
        sim.reload("gamma", [ONE, TWO])
        sim.reload("gamma", [TWO])
        sim.run(I)
        self.assertEqual(list(sim.nodes["gamma"].machine.groups), ["one"])
        sim.thaw("gamma")
        self.assertEqual(len(sim.transcript.said("reloads, and has")), 1)
        self.assertTrue(sim.transcript.said("reloads, and has two"))

    def test_keepsTerms(self) -> None:
        """A group that is added again on all nodes goes on with terms above those that it had."""
        sim = cluster(members=NAMES)
        sim.run(1.0)
        before = sim.nodes["alpha"].machine.elections["one"].terms.highest
        for groups in ([], [ONE]):
            for name in NAMES:
                sim.reload(name, groups)
            sim.run(2.0)
        (holder,) = sim.holders("one")
        claim = sim.nodes[holder].machine.elections["one"].standing.claim
        assert claim is not None
        self.assertGreater(claim.term, before)

    def test_comesAtTheEnd(self) -> None:
        """A reload that comes while a daemon stops keeps it from nothing: it says goodbye when all is released."""
        sim = cluster()
        alpha = sim.nodes["alpha"]
        alpha.groups["one"].releaseTime = 0.05
        sim.tell("alpha", Stopped())
        sim.reload("alpha", [*sim.files["alpha"], TWO])
        sim.run(0.1)
        self.assertTrue(alpha.machine.over)
        self.assertEqual(sim.role("alpha", "one"), Role.SHUTDOWN)
        self.assertTrue(sim.transcript.said("peer-left alpha: it said goodbye"))

    def test_firesMeanwhile(self) -> None:
        """A guard that fires while a group that goes is let go of: it is gone all the same, and told of no more."""
        sim = cluster(guarded=True)
        sim.nodes["alpha"].groups["one"].releaseTime = 0.1
        sim.reload("alpha", [TWO])
        sim.run(0.02)
        sim.fire("alpha")
        sim.run(0.1 + 2 * T)
        self.assertTrue(sim.transcript.said("its guard fires"))
        self.assertEqual(list(sim.nodes["alpha"].machine.groups), ["two"])
        self.assertEqual(sim.holders("one"), ["beta"])

    def test_frozenForLong(self) -> None:
        """An order waits for a daemon that stands still, however many packets the kernel has to drop meanwhile."""
        sim = cluster()
        sim.freeze("gamma")
        sim.run(20.0)
        sim.reload("gamma", [TWO])
        sim.thaw("gamma")
        sim.run(I)
        self.assertEqual([rules.name for rules in sim.nodes["gamma"].machine.rules.groups], ["two"])
