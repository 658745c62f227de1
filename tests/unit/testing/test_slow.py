"""Nodes that do not get the processor that they need: schedules of them, and what they rely on."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from hatwist.testing import Simulation, slow


class SlowTests(SynchronousTestCase):
    def test_schedules(self) -> None:
        """Nobody dies of it, and it makes no storm: with votes and without them."""
        for seed in range(8):
            self.assertEqual(slow.run(seed, wire=seed % 3 == 0)[0], [])

    def test_judged(self) -> None:
        """A node that does stand still for too long is found."""
        self.patch(slow, "ONE", (6.0, 8.0))
        self.patch(slow, "ALL", (6.0, 8.0))
        found = [violation for seed in range(4) for violation in slow.run(seed)[0]]
        self.assertTrue([v for v in found if "nothing but time was lost" in v.what])

    def test_lateBeat(self) -> None:
        """A beat that was due while a node stood still comes when it goes on: it is late, and not lost."""
        sim = Simulation(seed=1)
        for name in ("alpha", "beta"):
            sim.start(name)
        sim.run(1.0)
        alpha = sim.nodes["alpha"]
        for _ in range(20):
            before = alpha.machine.outbox.lastSent
            sim.runUntil(lambda last=before: alpha.machine.outbox.lastSent > last, 1.0)  # type: ignore[misc]
            sim.run(0.5 * sim.interval)
            sim.freeze("alpha")
            sim.run(0.8 * sim.interval)
            before = alpha.machine.outbox.lastSent
            sim.thaw("alpha")
            self.assertGreater(alpha.machine.outbox.lastSent, before)
