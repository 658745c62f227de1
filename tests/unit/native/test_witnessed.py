"""Two nodes and a witness: who is cut off lets go before the other one takes over."""

from __future__ import annotations

from functools import partial
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from hatwist.core.claims import Role
from hatwist.core.turn import Turn
from hatwist.protocols.native import rules
from hatwist.protocols.native.datagram import Datagram
from hatwist.protocols.native.rules import Timing
from hatwist.testing import Simulation
from hatwist.testing.host import GROUP
from hatwist.testing.lan import WITNESS

T, I = 0.35, 0.1  # noqa: E741
PHASES = 12
SLOW, FAST = 0.99, 1.01


def pair(
    phase: int = 0, rates: tuple[float, float] = (1.0, 1.0), tolerance: float = T, **more: Any
) -> Simulation:
    """Alpha holds, both reach the witness, and it is some twelfth of an interval into one."""
    sim = Simulation(seed=phase + 1, tolerance=tolerance, **{"witness": True, **more})
    sim.start("alpha", priority=200, rate=rates[0])
    sim.start("beta", priority=100, rate=rates[1])
    sim.run(2.0 + phase * I / PHASES)
    assert sim.holders() == ["alpha"], sim.transcript.changes
    return sim


def holds(sim: Simulation, name: str) -> bool:
    """It holds, alone."""
    return sim.holders() == [name]


class CutOffTests(SynchronousTestCase):
    """The holder is cut off from the witness and from its peer at once."""

    def test_letsGoFirst(self) -> None:
        """Whenever that is, and though clocks are 1 % off, no two hold; the other one holds in time."""
        for tolerance in (0.25, 0.35, 0.45):
            for rates in ((1.0, 1.0), (SLOW, FAST), (FAST, SLOW)):
                for phase in range(PHASES):
                    sim = pair(phase, rates, tolerance)
                    sim.isolate("alpha")
                    cut = sim.now
                    sim.runUntil(partial(holds, sim, "beta"), 1.0)
                    where = f"phase {phase}, rates {rates}, tolerance {tolerance}"
                    self.assertLess(sim.now - cut, tolerance * 1.02 + 0.005, where)
                    sim.run(1.0)
                    self.assertEqual(sim.transcript.overlap(), 0, where)

    @staticmethod
    def sent(sim: Simulation, seq: int) -> bool:
        return sim.nodes["alpha"].machine.outbox.seq > seq

    def test_oneHeartbeatLost(self) -> None:
        """With a tolerance of three and a half intervals the heartbeat before that may be lost as well."""
        for phase in range(PHASES):
            sim = pair(phase, (SLOW, FAST))
            lost = sim.nodes["alpha"].machine.outbox.seq + 1

            def travels(source: str, target: str, beat: Datagram, lost: int = lost) -> bool:
                return (source, beat.header.seq) != ("alpha", lost)

            sim.lan.filters.append(travels)
            sim.runUntil(partial(self.sent, sim, lost), 3 * I)
            sim.isolate("alpha")
            sim.run(1.0)
            self.assertEqual(sim.holders(), ["beta"])
            self.assertEqual(sim.transcript.overlap(), 0, phase)

    def test_needed(self) -> None:
        """Without a witness both hold, until they hear each other again."""
        sim = pair(witness=False)
        sim.isolate("alpha")
        sim.run(2.0)
        self.assertEqual(sim.holders(), ["alpha", "beta"])

    def test_limitNeeded(self) -> None:
        """With the limit of a holder that needs no witness, there are two holders for a while."""
        self.patch(rules.Timing, "witnessHold", property(lambda self: self.hold))
        overlaps = []
        for phase in range(PHASES):
            sim = pair(phase)
            sim.isolate("alpha")
            sim.run(2.0)
            overlaps.append(sim.transcript.overlap())
        self.assertGreater(max(overlaps), 0)

    def test_heals(self) -> None:
        """When the cut heals, the worthier one is handed the group as ever."""
        sim = pair()
        sim.isolate("alpha")
        sim.run(2.0)
        healed = sim.now
        sim.heal()
        sim.run(1.0)
        self.assertEqual(sim.holders(), ["alpha"])
        self.assertEqual(sim.transcript.overlap(), 0)
        self.assertLess(sim.transcript.darkness(healed), 0.01)

    def test_peerCutOff(self) -> None:
        """The standby is cut off: the holder stays, and the standby never claims."""
        sim = pair()
        sim.isolate("beta")
        sim.run(5.0)
        self.assertEqual(sim.transcript.changes[1:], [])


class WithoutWitnessTests(SynchronousTestCase):
    """A node that does not reach the witness neither claims nor keeps."""

    def test_neverClaims(self) -> None:
        """It does not claim, though it is alone, until the witness answers again."""
        sim = pair()
        sim.cut("beta", WITNESS)
        sim.run(1.0)
        sim.kill("alpha")
        sim.run(5.0)
        self.assertEqual(sim.holders(), [])
        self.assertEqual(sim.role("beta"), Role.STANDBY)
        sim.heal()
        sim.run(I + 0.01)
        self.assertEqual(sim.holders(), ["beta"])

    def test_neverSinceItsStart(self) -> None:
        """Nor does one that never reached it."""
        sim = Simulation(seed=1, witness=True)
        sim.lan.witness = False
        sim.start("alpha")
        sim.run(5.0)
        self.assertEqual(sim.transcript.changes, [])

    def test_holderHandsOver(self) -> None:
        """A holder that only the witness is cut off from hands over to the one that reaches it."""
        for keep in (False, True):
            for phase in range(PHASES):
                sim = pair(phase, keepUnwitnessed=keep)
                sim.cut("alpha", WITNESS)
                began = sim.now
                sim.run(2.0)
                self.assertEqual(sim.holders(), ["beta"])
                self.assertLess(sim.transcript.darkness(began), 0.01)
                self.assertEqual(sim.transcript.overlap(), 0)
                self.assertEqual(len(sim.transcript.said("the witness did not answer")), 1)


class NobodyTests(SynchronousTestCase):
    """The witness itself is dead, while the nodes hear each other."""

    def test_release(self) -> None:
        """By default nobody holds until it is back; then somebody holds at once."""
        for phase in range(PHASES):
            sim = pair(phase)
            sim.lan.witness = False
            sim.run(Timing(I, T).witnessHold + 0.01)
            self.assertEqual(sim.holders(), [])
            sim.run(3.0)
            self.assertEqual(sim.holders(), [])
            sim.lan.witness = True
            sim.run(I + I / 4 + 0.01)
            self.assertEqual(len(sim.holders()), 1)

    def test_keep(self) -> None:
        """Told to keep, the holder goes on for as long as it hears the other one, without a gap."""
        for tolerance in (0.25, 0.35, 0.45):
            for phase in range(PHASES):
                sim = pair(phase, (SLOW, FAST), tolerance, keepUnwitnessed=True)
                sim.lan.witness = False
                sim.run(5.0)
                self.assertEqual(
                    sim.transcript.changes[1:], [], f"phase {phase}, tolerance {tolerance}"
                )
                sim.lan.witness = True
                sim.run(2.0)
                self.assertEqual(sim.transcript.changes[1:], [])

    def test_keepThenAlone(self) -> None:
        """Told to keep, it lets go all the same when it hears nobody: it may be the one that is cut off."""
        sim = pair(keepUnwitnessed=True)
        sim.lan.witness = False
        sim.run(2.0)
        sim.cut("alpha", "beta")
        sim.run(T + 0.01)
        self.assertEqual(sim.holders(), [])

    def test_keepAndCutOff(self) -> None:
        """Told to keep, a holder that is cut off lets go first nevertheless."""
        for phase in range(PHASES):
            sim = pair(phase, (SLOW, FAST), keepUnwitnessed=True)
            sim.isolate("alpha")
            sim.run(1.0)
            self.assertEqual(sim.holders(), ["beta"])
            self.assertEqual(sim.transcript.overlap(), 0)


class ArithmeticTests(SynchronousTestCase):
    """The limits are computed; these are the model's own figures."""

    def test_table(self) -> None:
        """hold less one, or better two, intervals: so many heartbeats may be lost before the cut."""
        for interval, tolerance, release, hold, none, one, chosen in (
            (1.0, 3.5, None, 3.40, 2.40, 1.40, 1),
            (0.1, 0.35, None, 0.333, 0.233, 0.133, 1),
            (0.01, 0.035, None, 0.0294, 0.019, 0.009, 0),
            (0.01, 0.045, None, 0.0392, 0.029, 0.019, 1),
        ):
            timing = Timing(interval, tolerance, release)
            near = 0.004 * tolerance + 0.001
            self.assertApproximates(timing.hold, hold, near)
            self.assertApproximates(timing.hold - interval, none, near)
            self.assertApproximates(timing.hold - 2 * interval, one, near)
            self.assertApproximates(timing.witnessHold, (none, one)[chosen], near)

    def test_bound(self) -> None:
        """hold_w/(1-e) + release + lateness stays below tolerance/(1+e) less the intervals, clocks 1 % off."""
        for interval in (0.005, 0.01, 0.1, 1.0, 10.0):
            for intervals in (2, 2.5, 3, 3.5, 4.5, 10):
                timing = Timing(interval, interval * intervals)
                lost = 2 if timing.witnessHold < timing.hold - 1.5 * interval else 1
                self.assertLessEqual(
                    timing.witnessHold / 0.99 + timing.releaseTime + timing.lateness,
                    timing.tolerance / 1.01 - lost * interval / 0.99 + 1e-9,
                    (interval, intervals),
                )

    def test_told(self) -> None:
        """Others are told at once that a node no longer reaches the witness, well before it would let go."""
        sim = pair()
        beta = sim.nodes["beta"].machine
        peer = sim.nodes["alpha"].machine.view.peers["beta"]
        sim.run(I)
        self.assertTrue(peer.state(GROUP).witnessed)  # type: ignore[union-attr]
        sim.cut("beta", WITNESS)
        sim.runUntil(lambda: not peer.state(GROUP).witnessed, I)  # type: ignore[union-attr]
        self.assertTrue(beta.elections[GROUP].evidence.witnessed(Turn(sim.nodes["beta"].now)))
