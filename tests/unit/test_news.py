"""A packet that is no news need not be decided on."""

from __future__ import annotations

from collections import Counter
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from hatwist.core.effects import Change
from hatwist.protocols.native.datagram import Datagram
from hatwist.protocols.native.machine import NativeMachine
from hatwist.testing import Simulation, majority, schedules
from tests.once import once

NAMES = ("alpha", "beta", "gamma")


class NewsTests(SynchronousTestCase):
    """What L{Machine.news} promises."""

    def setUp(self) -> None:
        self.packets: Counter[str] = Counter()
        self.wrong: list[str] = []
        hear = NativeMachine.hear

        def hearAndDecide(machine: NativeMachine, beat: Datagram, link: str, now: float) -> None:
            hear(machine, beat, link, now)
            self.packets["news" if machine.news else "none"] += 1
            if not machine.news and now < machine.deadline:
                self._decided(machine, now)

        self.patch(NativeMachine, "hear", hearAndDecide)

    def _decided(self, machine: NativeMachine, now: float) -> None:
        """Decide all the same: nothing may come of it."""
        before = machine.deadline
        effects: list[Any] = machine.decide(now)
        # A word of its own that has changed with time alone would be told with the next beat.
        machine.outgoing(now)
        # So would be what has become of others with time alone.
        if any(not isinstance(effect, Change) for effect in effects):
            self.wrong.append(f"{machine.rules.name} at {now}: {effects}")
        machine.news = bool(effects)
        if machine.deadline < before - 1e-9:
            self.wrong.append(f"{machine.rules.name} at {now}: {machine.deadline} before {before}")

    @once
    def test_nothing(self) -> None:
        """In random schedules of faults it changes nothing whether such a packet is decided on."""
        for seed in range(60):
            schedules.run(seed)
            majority.run(seed)
        self.assertEqual(self.wrong, [])
        self.assertGreater(self.packets["none"], 1000)

    def test_settled(self) -> None:
        """In a settled cluster a holder has no news, and the others that of the holder only."""
        sim = Simulation(seed=1)
        for priority, name in enumerate(reversed(NAMES)):
            sim.start(name, priority=priority)
        sim.run(2.0)
        self.packets.clear()
        before = {name: node.machine.outbox.seq for name, node in sim.nodes.items()}
        sim.run(10.0)
        sent = sum(node.machine.outbox.seq - before[name] for name, node in sim.nodes.items())
        self.assertEqual(sim.holders(), ["alpha"])
        self.assertApproximates(self.packets["none"] / (2 * sent), 4 / 6, 0.05)


class DecisionsTests(SynchronousTestCase):
    """How often a settled cluster decides."""

    def test_holder(self) -> None:
        """A holder without votes decides once in an interval."""
        sim = Simulation(seed=1)
        for priority, name in enumerate(reversed(NAMES)):
            sim.start(name, priority=priority)
        sim.run(2.0)
        count: Counter[str] = Counter()
        decide = NativeMachine.decide

        def counted(machine: NativeMachine, *arguments: Any) -> Any:
            count[machine.rules.name] += 1
            return decide(machine, *arguments)

        self.patch(NativeMachine, "decide", counted)
        sim.run(100 * sim.interval)
        self.assertLess(count["alpha"], 110)
        self.assertLess(count["beta"], 250)
