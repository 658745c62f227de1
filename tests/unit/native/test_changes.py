"""Only what something concerns is decided, in L{hatwist.protocols.native.machine}; and nothing is forgotten by that."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Mapping
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from hatwist.core.claims import Record
from hatwist.core.effects import Effect
from hatwist.core.errors import BadPacket
from hatwist.core.packet import Outgoing, Packet, Received
from hatwist.core.reports import Judged, Report
from hatwist.core.worth import Fitness
from hatwist.protocols.native.election import Election
from hatwist.protocols.native.intake import Codec
from hatwist.protocols.native.machine import NativeMachine
from hatwist.protocols.native.rules import NodeRules
from hatwist.testing import Simulation, simulation
from hatwist.testing.__main__ import KINDS

GROUPS = [f"g{number:02}" for number in range(20)]


class Twin(NativeMachine):
    """Beside it goes a machine that is told the same, and decides on every group each time: they never differ."""

    def __init__(
        self,
        rules: NodeRules,
        keyring: Codec,
        session: int,
        now: float,
        records: Mapping[str, Record] | None = None,
    ) -> None:
        super().__init__(rules, keyring, session, now, records)
        self.diligent = NativeMachine(rules, keyring, session, now, records)

    def receive(self, packet: Packet, now: float) -> Received:
        with contextlib.suppress(BadPacket):
            self.diligent.receive(packet, now)
        return super().receive(packet, now)

    def tell(self, report: Report, now: float) -> None:
        super().tell(report, now)
        self.diligent.tell(report, now)

    def change(self, rules: NodeRules, now: float, records: Mapping[str, Record]) -> None:
        super().change(rules, now, records)
        self.diligent.change(rules, now, records)

    def decide(self, now: float, beat: bool = False) -> list[Effect]:
        self.diligent.agenda.touchAll()
        found = super().decide(now, beat)
        other = self.diligent.decide(now, beat)
        assert found == other, (self.name, now, found, other)
        for name, election in self.elections.items():
            twin = self.diligent.elections[name]
            assert election.told == twin.told, (self.name, now, election.told, twin.told)
            mine, its = self.until(name, now), self.diligent.until(name, now)
            assert mine == its, (self.name, now, mine, its)
        return found

    def outgoing(self, now: float) -> list[Outgoing]:
        found = super().outgoing(now)
        other = self.diligent.outgoing(now)
        assert found == other, (self.name, now, found, other)
        return found


class TwinTests(SynchronousTestCase):
    """No touch is forgotten: who decides only what changed does what one does that decides on everything."""

    def test_same(self) -> None:
        """In random schedules of each kind both ask for the same, say the same, and hold for as long."""
        self.patch(simulation, "NativeMachine", Twin)
        for kind, run in KINDS.items():
            for seed in (1, 2):
                self.assertEqual(run(seed)[0], [], (kind, seed))


class CountTests(SynchronousTestCase):
    """How many decisions are made."""

    def cluster(self, **more: Any) -> Simulation:
        """Three nodes that are calm; gamma is the least."""
        sim = Simulation(7, wire=False, **more)
        for name, priority in (("alpha", 200), ("beta", 100), ("gamma", 50)):
            sim.start(name, priority, groups=GROUPS)
        sim.run(2.0)
        for name in GROUPS:
            self.assertEqual(sim.holders(name), ["alpha"])
        decided: Counter[tuple[str, str]] = Counter()
        decide = Election.decide

        def count(election: Election, *args: Any) -> None:
            decided[election.me.name, election.rules.name] += 1
            decide(election, *args)

        self.patch(Election, "decide", count)
        self.decided = decided
        return sim

    def test_calm(self) -> None:
        """In a calm cluster no group is decided, whether votes are needed, the LAN is asked, or a witness."""
        for more in (
            {},
            {"members": ("alpha", "beta", "gamma")},
            {"asks": True},
            {"witness": True},
        ):
            sim = self.cluster(**more)
            sim.run(3.0)
            self.assertEqual(self.decided, {}, more)

    def test_oneChange(self) -> None:
        """What changes in one group is decided in that group, on each node."""
        for members in ((), ("alpha", "beta", "gamma")):
            sim = self.cluster(members=members)
            sim.tell("gamma", Judged("g07", "", Fitness.UNFIT, "told so"))
            sim.run(1.0)
            self.assertEqual(
                set(self.decided), {("alpha", "g07"), ("beta", "g07"), ("gamma", "g07")}
            )

    def test_death(self) -> None:
        """A node that holds nothing dies: each group is decided once for that, on each other node."""
        sim = self.cluster()
        sim.kill("gamma")
        sim.run(1.0)
        self.assertEqual(
            self.decided, {(node, name): 1 for node in ("alpha", "beta") for name in GROUPS}
        )
