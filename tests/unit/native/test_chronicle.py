"""Tests for L{hatwist.protocols.native.chronicle} and L{hatwist.core.recorder}, in a simulated cluster."""

from __future__ import annotations

from timeit import repeat
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from hatwist.core.claims import Record, Released, Role
from hatwist.core.effects import Change, Event, Persist, RoleChange
from hatwist.core.packet import Outgoing, Received
from hatwist.core.recorder import Recorder
from hatwist.core.reports import MoveWanted, NotHeld
from hatwist.core.worth import Fitness
from hatwist.protocols.native.chronicle import Chronicle
from hatwist.protocols.native.heartbeat import GroupState, Heard, HeardGroup, Heartbeat, clusterId
from hatwist.protocols.native.intake import Statement
from hatwist.protocols.native.membership import Membership
from hatwist.testing import Simulation
from hatwist.testing.host import GROUP


class Watched:
    """alpha, beta and gamma, of whom gamma's chronicle is kept, after each decision of its."""

    def __init__(self, **more: Any) -> None:
        self.sim = Simulation(seed=3, **more)
        self.chronicle = Chronicle("gamma")
        self.changes: list[Change] = []
        self.sim.transcript.watchers.append(self._watch)
        for number, name in enumerate(("alpha", "beta", "gamma")):
            self.sim.start(name, priority=200 - 10 * number)
        self.sim.run(1.0)
        assert self.sim.holders() == ["alpha"]

    def _watch(self, kind: str, node: Any, what: Any) -> None:
        if node is not None and node.name == "gamma":
            self.look()

    def look(self) -> None:
        node = self.sim.nodes["gamma"]
        now = node.now
        self.changes += self.chronicle.look(node.machine.view, [GROUP], now)

    def since(self, seconds: float) -> list[tuple[str, str, str, str]]:
        """What changed while time passes: node, old, new, reason."""
        self.changes.clear()
        self.sim.run(seconds)
        self.look()
        return self.told()

    def told(self) -> list[tuple[str, str, str, str]]:
        """Without the steps between."""
        return [
            (c.node, "STANDBY" if c.old == "ACQUIRING" else c.old, c.new, c.reason)
            for c in self.changes
            if c.new != "ACQUIRING"
        ]


class ChronicleTests(SynchronousTestCase):
    """One node finds out what the others did, and why."""

    def test_start(self) -> None:
        """Who joins is noted, and who takes a group that nobody held."""
        watched = Watched()
        found = watched.told()
        self.assertEqual(
            sorted(found[:2]),
            [("alpha", "", "STANDBY", "heard"), ("beta", "", "STANDBY", "heard")],
        )
        self.assertEqual(found[2:], [("alpha", "STANDBY", "ACTIVE", "no holder was heard")])
        self.assertEqual(watched.chronicle.holders[GROUP]["alpha"].term, 1)

    def test_stop(self) -> None:
        """A node that stops names its successor, which is why that one has the group."""
        watched = Watched()
        watched.sim.stop("alpha")
        found = watched.since(0.3)
        self.assertEqual(
            found,
            [
                ("alpha", "ACTIVE", "SHUTDOWN", "stopped"),
                (
                    "beta",
                    "STANDBY",
                    "ACTIVE",
                    "named as successor by alpha, which stopped",
                ),
            ],
        )
        self.assertEqual(list(watched.chronicle.holders[GROUP]), ["beta"])

    def test_death(self) -> None:
        """One that falls silent is called that, and is why the next one has the group."""
        watched = Watched()
        watched.sim.kill("alpha")
        found = watched.since(0.6)
        self.assertEqual(found[0][:3], ("alpha", "ACTIVE", "SILENT"))
        self.assertTrue(found[0][3].startswith("silent for 0.3"), found)
        self.assertEqual(found[1], ("beta", "STANDBY", "ACTIVE", "alpha fell silent"))

    def test_heal(self) -> None:
        """A holder that was only not heard did not take over when it is heard again: it holds as long as before."""
        watched = Watched()
        before = watched.chronicle.holders[GROUP]["alpha"]
        watched.sim.isolate("gamma")
        watched.since(1.0)
        watched.sim.heal()
        found = [change for change in watched.since(1.0) if change[0] == "alpha"]
        self.assertEqual(
            found, [("alpha", "SILENT", "ACTIVE", "heard again; it had held all along")]
        )
        self.assertEqual(watched.chronicle.holders[GROUP]["alpha"], before)

    def test_healed(self) -> None:
        """One that took over while it could not be heard is not said to be anybody's successor."""
        watched = Watched()
        watched.sim.isolate("gamma")
        watched.since(1.0)
        watched.sim.kill("alpha")
        watched.since(1.0)
        watched.sim.heal()
        found = [change for change in watched.since(1.0) if change[0] == "beta"]
        self.assertEqual(
            found[0], ("beta", "SILENT", "ACTIVE", "it took over while it was not heard")
        )

    def test_fenced(self) -> None:
        """A daemon that died or hung did not say goodbye: its guard did."""
        watched = Watched(guarded=True)
        watched.sim.crash("alpha")
        found = watched.since(0.6)
        self.assertEqual(
            found,
            [
                ("alpha", "ACTIVE", "SHUTDOWN", "died or hung"),
                ("beta", "STANDBY", "ACTIVE", "alpha died or hung"),
            ],
        )
        self.assertTrue(
            watched.sim.transcript.said("its daemon died or hung, and its guard said goodbye")
        )

    def test_return(self) -> None:
        """A worthier one that is back is heard again, and gets the group by handover."""
        watched = Watched()
        watched.sim.kill("alpha")
        watched.since(1.0)
        watched.sim.start("alpha", priority=200)
        self.assertEqual(
            watched.since(1.0),
            [
                ("alpha", "SILENT", "STANDBY", "heard again"),
                ("beta", "ACTIVE", "STANDBY", "handed over to alpha"),
                ("alpha", "STANDBY", "ACTIVE", "named as successor by beta, which released it"),
            ],
        )

    def test_unfit(self) -> None:
        """Why a node let go is told by its fitness."""
        watched = Watched()
        watched.sim.fitness("alpha", Fitness.UNFIT, "no carrier on eth0")
        found = watched.since(0.3)
        self.assertEqual(
            found[0],
            ("alpha", "ACTIVE", "STANDBY", "released: no carrier on eth0; named beta as successor"),
        )

    def test_moved(self) -> None:
        """So is a move by the operator, with the nodes on both ends."""
        watched = Watched()
        node = watched.sim.nodes["alpha"]
        node.machine.tell(MoveWanted(GROUP, "beta"), node.now)
        self.assertEqual(
            watched.since(0.3),
            [
                ("alpha", "ACTIVE", "STANDBY", "moved to beta by the operator"),
                ("beta", "STANDBY", "ACTIVE", "moved from alpha by the operator"),
            ],
        )

    def test_late(self) -> None:
        """One that comes late does not invent a cause."""
        watched = Watched()
        chronicle = Chronicle("gamma")
        node = watched.sim.nodes["gamma"]
        found = chronicle.look(node.machine.view, [GROUP], node.now)
        self.assertEqual(
            [(c.old, c.new, c.reason) for c in found if c.node == "alpha"],
            [("", "ACTIVE", "it held already when it was first heard")],
        )

    def test_own(self) -> None:
        """A node's own changes come with the reason that it decided for."""
        chronicle = Chronicle("gamma")
        change = RoleChange("c", GROUP, Role.STANDBY, Role.ACTIVE, 4, "no holder was heard")
        found = chronicle.own(change, None, 9.0)
        self.assertEqual(
            found, Change(9.0, "gamma", GROUP, "STANDBY", "ACTIVE", 4, "no holder was heard")
        )
        self.assertEqual(chronicle.holders[GROUP], {"gamma": found})
        gone = RoleChange("c", GROUP, Role.ACTIVE, Role.SHUTDOWN, 4, "stopped")
        chronicle.own(gone, None, 10.0)
        self.assertEqual(chronicle.holders[GROUP], {})

    def test_acquiring(self) -> None:
        """A claim with steps still to do is no holder yet; who it is and why, stays known."""
        chronicle, view = Chronicle("gamma"), Membership("gamma", 0.35)
        view.serve([GROUP])
        found = []
        for seq, (role, step, steps) in enumerate(
            ((Role.STANDBY, 0, 0), (Role.ACTIVE, 1, 2), (Role.ACTIVE, 2, 2), (Role.ACTIVE, 0, 0)), 1
        ):
            state = GroupState(GROUP, role, Fitness.FIT, 100, step=step, steps=steps)
            beat = Heartbeat(clusterId("c"), "beta", 1, seq, 0.1, 0.35, 1, b"d" * 8, (state,))
            view.receive(beat, "eth0", 1, seq / 10)
            found += chronicle.look(view, [GROUP], seq / 10)
        self.assertEqual(
            [(c.old, c.new, c.reason) for c in found],
            [
                ("", "STANDBY", "heard"),
                ("STANDBY", "ACQUIRING", "no holder was heard"),
                ("ACQUIRING", "ACTIVE", "no holder was heard"),
            ],
        )

    def test_failed(self) -> None:
        """Who could not acquire everything did not hold; when it claims again, nobody is blamed for that."""
        chronicle, view = Chronicle("gamma"), Membership("gamma", 0.35)
        view.serve([GROUP])
        found = []
        gone = Released(7, "gamma")
        for seq, (role, steps, lettingGo, released) in enumerate(
            (
                (Role.STANDBY, 0, False, None),
                (Role.ACTIVE, 2, False, None),
                (Role.ACTIVE, 2, True, None),
                (Role.STANDBY, 0, False, gone),
                (Role.ACTIVE, 2, False, None),
                (Role.ACTIVE, 0, False, None),
            ),
            1,
        ):
            state = GroupState(
                GROUP, role, Fitness.FIT, 100, released=released, steps=steps, lettingGo=lettingGo
            )
            beat = Heartbeat(clusterId("c"), "beta", 1, seq, 0.1, 0.35, 1, b"d" * 8, (state,))
            view.receive(beat, "eth0", 1, seq / 10)
            found += chronicle.look(view, [GROUP], seq / 10)
        again = "it claimed again, after it gave up acquiring it"
        self.assertEqual(
            [(c.old, c.new, c.reason) for c in found],
            [
                ("", "STANDBY", "heard"),
                ("STANDBY", "ACQUIRING", "no holder was heard"),
                ("ACQUIRING", "STANDBY", "did not get everything; handed over to gamma"),
                ("STANDBY", "ACQUIRING", again),
                ("ACQUIRING", "ACTIVE", again),
            ],
        )

    def test_acquiringByHearsay(self) -> None:
        """Word from others that a node is ACTIVE does not say that it has everything: its own next packet does."""
        chronicle, view = Chronicle("gamma"), Membership("gamma", 0.35)
        view.serve([GROUP])
        found = []

        def hear(name: str, seq: int, role: Role, *heard: Heard) -> None:
            state = GroupState(GROUP, role, Fitness.FIT, 100)
            beat = Heartbeat(clusterId("c"), name, 1, seq, 0.1, 0.35, 1, b"d" * 8, (state,), heard)
            view.receive(beat, "eth0", 1, 1.0)
            found.extend(chronicle.look(view, [GROUP], 1.0))

        hear("beta", 1, Role.STANDBY)
        said = HeardGroup(GROUP, Role.ACTIVE)
        hear("alpha", 1, Role.STANDBY, Heard("beta", 1, 2, 0.0, True, True, 20, (said,)))
        self.assertEqual([c.new for c in found if c.node == "beta"], ["STANDBY", "ACQUIRING"])
        hear("beta", 3, Role.ACTIVE)
        self.assertEqual(found[-1].new, "ACTIVE")

    def test_bounded(self) -> None:
        """Nodes that the membership has forgotten are forgotten here too."""
        watched = Watched()
        view = watched.sim.nodes["gamma"].machine.view
        view.peers.clear()
        watched.chronicle.look(view, [GROUP], 1.0)
        state = GroupState(GROUP, Role.STANDBY, Fitness.FIT, 100)
        beat = Heartbeat(clusterId("c"), "new", 1, 1, 0.1, 0.35, 1, b"d" * 8, (state,))
        view.receive(beat, "eth0", 1, 2.0)
        watched.chronicle.look(view, [GROUP], 2.0)
        self.assertEqual(list(watched.chronicle._known), ["new"])


class RecorderTests(SynchronousTestCase):
    """The flight recorder keeps what matters, and no more than that."""

    state = GroupState("web", Role.ACTIVE, Fitness.FIT, 120, True, reason="")
    heard = Received("beta", b"d" * 8, Statement("beta", 17, 4, "eth0", (state,)))
    packet = Outgoing(b"a heartbeat", None, 4)

    def test_lines(self) -> None:
        """A decision is told after what had come in before it, oldest first, in words."""
        recorder = Recorder()
        recorder.packet(1.0, self.heard)
        recorder.told(1.1, NotHeld("web", "in use"))
        recorder.decided(1.2, [Event("conflict", "web", "beta", "too")])
        recorder.sent(1.2, Outgoing(b"", None, 4))
        recorder.decided(1.3, [Persist("web", Record(64, None))])
        recorder.decided(1.4, [])
        self.assertEqual(
            [tuple(line) for line in recorder.lines()],
            [
                (1.0, "packet", "beta 17.4 on eth0: web ACTIVE fit 120 eligible"),
                (1.1, "told", "notheld web in use"),
                (1.2, "decided", "conflict web beta: too"),
                (1.2, "sent", "4"),
                (1.3, "decided", "persist web, terms to 64"),
            ],
        )
        self.assertEqual(len(recorder), 1)

    def test_bounded(self) -> None:
        """A hundred thousand packets and decisions leave the newest of each, and no more than the limits."""
        recorder = Recorder(decisions=3, inputs=2)
        for number in range(1000):
            for _ in range(5):
                recorder.packet(number, self.heard)
            recorder.decided(number, [Event("peer-joined", "", f"n{number}", "heard")])
        lines = list(recorder.lines())
        self.assertEqual(len(lines), 3 * (2 + 1))
        self.assertEqual(lines[-1].text, "peer-joined n999: heard")

    def test_quiet(self) -> None:
        """A day of heartbeats does not push out the last decision."""
        recorder = Recorder()
        recorder.decided(0.0, [Event("peer-left", "", "beta", "silent")])
        for number in range(1000):
            recorder.packet(number, self.heard)
            recorder.decided(number, [])
            recorder.sent(number, self.packet)
        self.assertEqual(next(recorder.lines()).text, "peer-left beta: silent")

    def test_cheap(self) -> None:
        """A packet and its decision take less than 5 microseconds of recording, where nothing else runs."""
        recorder = Recorder()

        def record() -> None:
            recorder.packet(1.0, self.heard)
            recorder.decided(1.0, [])
            recorder.sent(1.0, self.packet)

        self.assertLess(min(repeat(record, number=500, repeat=20)) / 500, 5e-6)

    def test_everything(self) -> None:
        """All that a cluster that votes does can be told."""
        sim = Simulation(seed=1, members=("alpha", "beta", "gamma"))
        recorder = Recorder()
        for name in ("alpha", "beta", "gamma"):
            machine = sim.start(name).machine
            decide = machine.decide

            def decided(now: float, beat: bool = False, decide: Any = decide) -> Any:
                effects = decide(now, beat)
                recorder.decided(now, effects)
                return effects

            machine.decide = decided  # type: ignore[method-assign]
        sim.run(2.0)
        sim.kill(sim.holders()[0])
        sim.run(2.0)
        sim.stop(sim.holders()[0])
        sim.run(1.0)
        text = "\n".join(line.text for line in recorder.lines())
        for word in ("hold g, term", "STANDBY -> ACTIVE", "peer-left", "persist g", "release g"):
            self.assertIn(word, text)
