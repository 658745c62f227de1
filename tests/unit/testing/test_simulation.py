"""
Properties of a cluster under random faults, and proof that their monitor can fail.

The schedules are made from their seeds: a failure names them, and
C{python -m hatwist.testing --seed N --schedules 1 --transcript} shows what happened.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from hatwist.core import standing
from hatwist.core.claims import Role
from hatwist.core.obstacles import Obstacle
from hatwist.core.standing import Decision
from hatwist.core.states import TABLE, Do, Input, Next, State
from hatwist.core.turn import Turn
from hatwist.core.worth import Fitness
from hatwist.protocols.native.candidacy import Candidacy
from hatwist.protocols.native.conflict import Conflict
from hatwist.protocols.native.election import Election
from hatwist.protocols.native.eligibility import Eligibility
from hatwist.protocols.native.heartbeat import Heartbeat
from hatwist.protocols.native.machine import NativeMachine
from hatwist.protocols.native.moveorders import MoveOrder
from hatwist.protocols.native.others import Others
from hatwist.protocols.native.tenure import Tenure
from hatwist.testing import Simulation
from hatwist.testing.__main__ import judge
from hatwist.testing.occupancy import Occupancy
from hatwist.testing.schedules import Monitor, run

SCHEDULES = 2000
SLICE = 100
T = 0.35


class ScheduleTests(SynchronousTestCase):
    """What every schedule of random faults must keep."""

    def test_everySchedule(self) -> None:
        """
        After the faults exactly one node holds, within a tolerance and an interval; never do two hold
        that hear each other, never none while one could, and nobody claims out of turn.
        """
        slices = [range(start, start + SLICE) for start in range(0, SCHEDULES, SLICE)]
        context = multiprocessing.get_context("fork")
        with ProcessPoolExecutor(2, mp_context=context) as pool:
            found = [violation for part in pool.map(judge, slices) for violation in part]
        lines = [f"seed {v.seed} at {v.at:.4f} s: {v.what}" for v in found]
        self.assertEqual(lines, [], "\n".join(lines))

    def test_sameSeedSameStory(self) -> None:
        """A seed tells the whole story: two runs of it are alike to the last microsecond."""
        _, one = run(17)
        _, other = run(17)
        self.assertEqual(one.transcript.moments, other.transcript.moments)
        self.assertEqual(one.transcript.changes, other.transcript.changes)
        self.assertGreater(len(one.transcript.moments), 10)

    def test_bytesOrValues(self) -> None:
        """Whether packets travel as bytes or as values makes no difference to who holds when."""
        for seed in (3, 5, 8):
            _, one = run(seed, wire=True)
            _, other = run(seed, wire=False)
            self.assertEqual(
                [c[1:] for c in one.transcript.changes], [c[1:] for c in other.transcript.changes]
            )


class MonitorTests(SynchronousTestCase):
    """
    Each property is noticed when the rule that keeps it is taken away.

    The same story is told twice: with all rules nothing is found; without one, just this.
    """

    def assertNoticed(
        self, story: Callable[[], Monitor], what: str, owner: object, name: str, without: object
    ) -> None:
        self.assertEqual(story().violations, [])
        self.patch(owner, name, without)
        found = [violation.what for violation in story().violations]
        self.assertTrue(any(what in line for line in found), f"{what!r} not in {found}")

    def begin(self, *names: str, seed: int = 1) -> tuple[Simulation, Monitor]:
        sim = Simulation(seed)
        monitor = Monitor(sim, seed)
        for number, name in enumerate(names):
            sim.start(name, priority=200 - number)
        sim.run(2.0)
        return sim, monitor

    def healed(self) -> Monitor:
        sim, monitor = self.begin("alpha", "beta")
        sim.cut("alpha", "beta")
        monitor.fault()
        sim.run(1.5)
        sim.heal()
        monitor.fault()
        monitor.finish()
        return monitor

    def killed(self) -> Monitor:
        sim, monitor = self.begin("alpha", "beta", "gamma")
        sim.kill("alpha")
        monitor.fault("alpha")
        sim.run(2.0)
        monitor.finish()
        return monitor

    def muted(self) -> Monitor:
        sim, monitor = self.begin("alpha", "beta", "gamma")
        for other in ("alpha", "gamma"):
            sim.cut("beta", other, bothWays=False)
        sim.fitness("gamma", Fitness.UNFIT)  # so that beta cannot come too late
        monitor.fault()
        sim.run(1.5)
        sim.kill("alpha")
        monitor.fault("alpha")
        sim.run(2.0)
        return monitor

    def thawed(self) -> Monitor:
        """A standby sleeps, and every packet that came meanwhile is lost."""
        sim, monitor = self.begin("alpha", "beta")
        sim.freeze("beta")
        monitor.fault("beta")
        sim.run(3.0)
        sim.nodes["beta"].inbox.clear()
        sim.lan.filters.append(lambda source, target, beat: sim.now > 5.05)
        sim.thaw("beta")
        monitor.fault("beta")
        sim.run(1.0)
        return monitor

    def stopped(self) -> Monitor:
        sim, monitor = self.begin("alpha", "beta")
        sim.stop("alpha")
        monitor.stopped.add("alpha")
        monitor.fault("alpha")
        sim.run(1.0)
        sim.kill("beta")
        monitor.fault("beta")
        sim.run(1.0)
        return monitor

    def moved(self) -> Monitor:
        sim, monitor = self.begin("alpha", "beta")
        sim.move("alpha", "beta")
        sim.run(1.0)
        monitor.fault()
        monitor.finish()
        monitor.move("beta", "alpha")
        return monitor

    def test_movedStays(self) -> None:
        """A holder that gives way to a worthier node, although the group was moved to it."""
        settled = Tenure._handover

        def forgetful(self: Tenure, others: Others, turn: Turn) -> Decision | None:
            mine = self._standing
            assert mine.claim is not None
            claim, mine.claim = mine.claim, mine.claim._replace(moved=False)
            found = settled(self, others, turn)
            mine.claim = claim
            return found

        self.assertNoticed(
            self.moved,
            "beta gave up for a worthier node what was moved to it",
            Tenure,
            "_handover",
            forgetful,
        )

    def test_moves(self) -> None:
        """A move that nothing comes of."""
        settled = MoveOrder.handover

        def once(self: MoveOrder, others: Others, turn: Turn) -> Decision | None:
            claim = self._standing.claim
            return settled(self, others, turn) if claim and claim.term < 2 else None

        self.assertNoticed(
            self.moved, "['beta'] held after a move to alpha", MoveOrder, "handover", once
        )

    def test_conflictRule(self) -> None:
        """Two holders that hear each other for longer than a packet travels."""
        self.assertNoticed(
            self.healed,
            "alpha and beta hold, and have heard each other",
            Conflict,
            "decide",
            lambda *_: None,
        )

    def test_twoInTheEnd(self) -> None:
        """Two holders after the faults have ended."""
        self.assertNoticed(
            self.healed,
            "in the end ['alpha', 'beta'] held",
            Conflict,
            "decide",
            lambda *_: None,
        )

    def test_nobodyClaims(self) -> None:
        """Nobody holds in the end, though somebody could."""
        settled = Candidacy._vacancy

        def once(self: Candidacy, *more: Any) -> Decision | Obstacle:
            return Obstacle.SUCCESSOR if self._terms.highest else settled(self, *more)

        self.assertNoticed(self.killed, "in the end nobody held", Candidacy, "_vacancy", once)

    def test_claimsLate(self) -> None:
        """No holder for longer than a tolerance and an interval, though somebody could."""
        settled = Candidacy._vacancy

        def late(self: Candidacy, *more: Any) -> Decision | Obstacle:
            *_, others, turn = more
            alpha = others.view.peers.get("alpha")
            waits = alpha and not turn.passed(alpha.at + 1.0)
            return Obstacle.SUCCESSOR if waits else settled(self, *more)

        self.assertNoticed(self.killed, "no holder from 2.0000", Candidacy, "_vacancy", late)

    def test_claimsUnheard(self) -> None:
        """A claim by a node that hears others and is heard by none."""
        self.assertNoticed(
            self.muted,
            "beta claimed, though none of ['gamma'] hears it",
            Eligibility,
            "unable",
            lambda *_: None,
        )

    def test_stallRule(self) -> None:
        """A claim by a node that was frozen itself, while the holder is well."""
        self.assertNoticed(
            self.thawed,
            "beta was frozen, and claimed while alpha held",
            Election,
            "stalled",
            lambda *_: None,
        )

    def test_liveHolder(self) -> None:
        """A claim while the holder is heard."""

        def eager(*_: Any) -> Decision:
            return Decision(Input.CLAIM, "mine")

        self.assertNoticed(
            self.killed, "claimed while it heard the holder alpha", Candidacy, "decide", eager
        )

    def test_shutdownAbsorbs(self) -> None:
        """A claim after SHUTDOWN."""
        self.assertEqual(self.stopped().violations, [])
        self.patch(
            standing,
            "TABLE",
            {
                **TABLE,
                State.STOPPING: {
                    **TABLE[State.STOPPING],
                    Input.RELEASED: Next(State.STANDBY, (Do.LET_GO,)),
                },
            },
        )
        found = [violation.what for violation in self.stopped().violations]
        self.assertIn("alpha claimed after its SHUTDOWN", found)


class SimulationTests(SynchronousTestCase):
    """The simulation is a tool that others test their services with: it measures what it says."""

    def test_darknessAndOverlap(self) -> None:
        """Time without a holder and time with two are counted from the given moment."""
        group = Occupancy()
        for at, name, holds in (
            (1.0, "a", True),
            (2.0, "b", True),
            (2.5, "a", False),
            (3.0, "b", False),
            (3.25, "a", True),
            (4.0, "a", False),
        ):
            group.note(at, name, holds)
        self.assertEqual(group.overlap(0.0, 6.0), 0.5)
        self.assertEqual(group.overlap(2.25, 6.0), 0.25)
        self.assertEqual(group.overlap(3.0, 6.0), 0.0)
        self.assertEqual(group.darkness(0.0, 6.0), 2.0)
        self.assertEqual(group.darkness(0.0, 4.0), 1.0)
        self.assertEqual(group.darkness(1.0, 4.0), 0.25)
        self.assertEqual(group.darkness(3.5, 4.0), 0.0)

    def test_holdersSince(self) -> None:
        """Who holds now is known without a look at what was before."""
        group = Occupancy()
        for at, name, holds in ((1.0, "a", True), (2.0, "b", True), (2.5, "a", False)):
            group.note(at, name, holds)
        self.assertEqual(group.since, {"b": 2.0})

    def test_neverHeld(self) -> None:
        """A cluster that never had a holder was dark all the time."""
        sim = Simulation()
        sim.run(2.5)
        self.assertEqual((sim.transcript.darkness(), sim.transcript.overlap()), (2.5, 0.0))

    def test_filters(self) -> None:
        """A filter sees every packet with its ways, and loses the ones it refuses."""
        sim = Simulation(seed=2)
        seen: list[tuple[str, str, int]] = []

        def travels(source: str, target: str, beat: Heartbeat) -> bool:
            seen.append((source, target, beat.seq))
            return source != "alpha"

        sim.lan.filters.append(travels)
        for name in ("alpha", "beta"):
            sim.start(name)
        sim.run(1.0)
        self.assertEqual({one[:2] for one in seen}, {("alpha", "beta"), ("beta", "alpha")})
        self.assertEqual(set(sim.nodes["alpha"].machine.view.peers), {"beta"})
        self.assertEqual(set(sim.nodes["beta"].machine.view.peers), set())

    def test_runUntil(self) -> None:
        """Time passes until a condition holds; if it never does, that is an error."""
        sim = Simulation(seed=2)
        sim.start("alpha")
        sim.runUntil(lambda: sim.holders() == ["alpha"], 1.0)
        self.assertLess(sim.now - T, 0.001)
        self.assertRaises(AssertionError, sim.runUntil, lambda: sim.holders() == [], 2.0)
        self.assertLess(sim.now, T + 2.001)

    def test_signed(self) -> None:
        """A cluster with a key signs its packets."""
        sim = Simulation(seed=3, key=b"0123456789abcdef")
        for name, priority in (("alpha", 200), ("beta", 100)):
            sim.start(name, priority)
        sim.run(1.0)
        self.assertEqual(sim.holders(), ["alpha"])
        self.assertEqual(sim.role("beta"), Role.STANDBY)
        self.assertIsInstance(sim.nodes["alpha"].machine, NativeMachine)

    def test_documentedExample(self) -> None:
        """The example in the package's documentation is true."""
        sim = Simulation(seed=1)
        for name, priority in (("alpha", 200), ("beta", 100)):
            sim.start(name, priority=priority)
        sim.run(1.0)
        self.assertEqual(sim.holders(), ["alpha"])
        sim.kill("alpha")
        sim.run(0.4)
        self.assertEqual(sim.holders(), ["beta"])
