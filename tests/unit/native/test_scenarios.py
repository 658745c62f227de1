"""
What a cluster does in each of the situations that simple rules get wrong.

Interval 0.1 s, tolerance 0.35 s; a packet travels for at most 1 ms, acquire and release take 0.5 ms each.
A test says how long something may take in these figures' terms, not by a round number.
"""

from __future__ import annotations

from functools import partial
from itertools import pairwise
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from hatwist.core.claims import Role
from hatwist.core.obstacles import Obstacle
from hatwist.core.worth import Fitness
from hatwist.protocols.native.datagram import Datagram
from hatwist.protocols.native.outbox import FIRST_WORD
from hatwist.testing import Simulation
from tests.statements import told

I, T = 0.1, 0.35  # noqa: E741
TRAVEL = 0.001
ACT = 0.0005
"""Acquire or release."""
LATE = 0.0003
"""How late a timer fires, at most, with a little room."""
HANDOVER = TRAVEL + ACT + LATE
"""From the end of one node's release to another's holding."""
RANKS = (("alpha", 200), ("beta", 150), ("gamma", 100))


class Scenario(SynchronousTestCase):
    """What the tests below share."""

    def cluster(self, *nodes: tuple[str, int], seed: int = 1, **rules: Any) -> Simulation:
        """These nodes, settled on the worthiest."""
        sim = Simulation(seed, I, T, **rules)
        for name, priority in nodes:
            sim.start(name, priority)
        sim.run(2.0)
        if nodes:
            self.assertEqual(sim.holders(), [nodes[0][0]])
            self.assertEqual(sim.transcript.overlap(), 0)
        return sim

    def divided(self, seed: int = 1, **rules: Any) -> Simulation:
        """Alpha and beta, both ACTIVE: they have not heard each other for a second."""
        sim = self.cluster(*RANKS[:2], seed=seed, **rules)
        sim.cut("alpha", "beta")
        sim.run(1.0)
        self.assertEqual(sim.holders(), ["alpha", "beta"])
        return sim

    def claims(self, sim: Simulation, since: float = 0.0) -> list[str]:
        """Who began to hold, in order."""
        return [name for at, name, holds in sim.transcript.changes if holds and at >= since]

    def drops(self, sim: Simulation, since: float = 0.0) -> list[str]:
        """Who ceased to hold, in order."""
        return [name for at, name, holds in sim.transcript.changes if not holds and at >= since]

    def gaps(self, sim: Simulation) -> list[float]:
        """Seconds from each drop to the next claim."""
        found = []
        for (at, _, holds), (later, _, again) in pairwise(sim.transcript.changes):
            if not holds and again:
                found.append(later - at)
        return found

    def told(self, sim: Simulation, what: str, since: float = 0.0) -> list[str]:
        return [f"{m.node} {m.what}" for m in sim.transcript.said(what, since)]


class StartTests(Scenario):
    """Who holds after a start."""

    def test_simultaneousStartSettlesOnTheWorthiestWithOneClaim(self) -> None:
        """Nodes that start together, in any order, listen for a tolerance; then only the worthiest claims."""
        for seed in range(20):
            sim = Simulation(seed, I, T)
            for name, priority in RANKS if seed % 2 else RANKS[::-1]:
                sim.start(name, priority)
                sim.run(seed % 5 * 0.005)
            sim.run(T)
            sim.run(I)
            self.assertEqual(self.claims(sim), ["alpha"], f"seed {seed}")
            sim.run(3.0)
            self.assertEqual(len(sim.transcript.changes), 1)

    def test_aLoneNodeClaimsAfterOneTolerance(self) -> None:
        """A node that hears nobody holds after one tolerance of listening, not earlier."""
        sim = Simulation(1, I, T)
        sim.start("alpha")
        sim.run(T - 1e-6)
        self.assertEqual(sim.holders(), [])
        sim.run(LATE)
        self.assertEqual(sim.holders(), ["alpha"])

    def test_nobodyClaimsWhileListening(self) -> None:
        """A worthier node that starts listens first, though it hears an unworthier holder."""
        sim = self.cluster(("beta", 150))
        start = sim.now
        sim.start("alpha", 200)
        sim.run(T - 1e-6)
        self.assertEqual(self.claims(sim, start), [])

    def test_aWorthierNodeThatRestartsFasterThanTheToleranceStarvesNobody(self) -> None:
        """Others hold while the worthiest is never up for longer than it must listen."""
        sim = Simulation(1, I, T)
        sim.start("alpha", 200)
        for name, priority in RANKS[1:]:
            sim.start(name, priority)

        def restart() -> None:
            sim.kill("alpha")
            sim.start("alpha", 200)

        for number in range(40):
            sim.at(0.3 * (number + 1), restart)
        sim.run(T + I)
        self.assertEqual(sim.holders(), ["beta"])
        sim.run(11.0)
        self.assertEqual(sim.transcript.darkness(T + I), 0)
        self.assertEqual(sim.holders(), ["beta"])
        self.assertNotIn("beta", self.drops(sim))

    def test_restartWithinTheToleranceCountsAsLettingGo(self) -> None:
        """A holder that lost power and is back within the tolerance holds nothing: its first packet frees the group."""
        sim = self.cluster(*RANKS)
        sim.kill("alpha")
        killed = sim.now
        sim.run(0.1)
        sim.start("alpha", 200)
        sim.run(FIRST_WORD * I + HANDOVER)
        self.assertEqual(sim.holders(), ["beta"])
        self.assertLess(sim.transcript.darkness(killed), 0.1 + FIRST_WORD * I + HANDOVER)
        sim.run(2.0)
        self.assertEqual(sim.holders(), ["alpha"])
        self.assertEqual(sim.transcript.overlap(), 0)

    def test_lossOfPowerCostsOneTolerance(self) -> None:
        """The next node holds one tolerance after the holder's last packet, never later."""
        for seed in range(20):
            sim = self.cluster(*RANKS, seed=seed)
            sim.run(seed * 0.007)
            sim.kill("alpha")
            killed = sim.now
            sim.run(1.0)
            self.assertEqual(self.claims(sim, killed), ["beta"])
            self.assertLess(sim.transcript.darkness(killed), T + TRAVEL + LATE)


class HandoverTests(Scenario):
    """Planned moves."""

    def test_aCleanStopTakesOnePacketsTime(self) -> None:
        """The holder releases, says so, and the next holds on that packet: no overlap, no tolerance."""
        for seed in range(20):
            sim = self.cluster(*RANKS, seed=seed)
            sim.stop("alpha")
            stopped = sim.now
            sim.run(1.0)
            self.assertEqual(self.claims(sim, stopped), ["beta"])
            self.assertLess(sim.transcript.darkness(stopped), HANDOVER)
            self.assertEqual(sim.transcript.overlap(), 0)
            self.assertEqual(sim.role("alpha"), Role.SHUTDOWN)

    def test_aWorthierNodeReturnsAndIsHandedTheGroupAtOnce(self) -> None:
        """Preemption darkens the group for one packet's time, with no overlap."""
        for seed in range(20):
            sim = self.cluster(*RANKS[1:], seed=seed)
            joined = sim.now
            sim.start("alpha", 200)
            sim.run(T + I)
            self.assertEqual(sim.holders(), ["alpha"])
            self.assertLess(sim.transcript.darkness(joined), HANDOVER)
            self.assertEqual(sim.transcript.overlap(), 0)

    def test_withoutPreemptTheHolderStays(self) -> None:
        """With no-preempt a worthier node that joins stays standby until the holder goes."""
        sim = self.cluster(("beta", 150), preempt=False)
        sim.start("alpha", 200)
        sim.run(5.0)
        self.assertEqual(self.claims(sim), ["beta"])
        sim.stop("beta")
        sim.run(0.01)
        self.assertEqual(sim.holders(), ["alpha"])

    def test_withoutPreemptAFitterNodeStillTakesOver(self) -> None:
        """No-preempt is about priority: a holder that is worse off than another hands over."""
        sim = self.cluster(*RANKS[:2], preempt=False)
        sim.fitness("alpha", Fitness.DEGRADED)
        sim.run(0.01)
        self.assertEqual(sim.holders(), ["beta"])
        sim.fitness("alpha", Fitness.FIT)
        sim.run(3.0)
        self.assertEqual(sim.holders(), ["beta"])

    def test_preemptDelayWaits(self) -> None:
        """A worthier node must have been eligible for the whole preempt delay."""
        sim = self.cluster(("beta", 150), preemptDelay=2.0)
        sim.start("alpha", 200)
        sim.runUntil(lambda: self.eligible(sim, "alpha"), 1.0)
        eligible = sim.now
        sim.run(2.0)
        self.assertEqual(sim.holders(), ["beta"])
        sim.runUntil(lambda: sim.holders() == ["alpha"], 0.1)
        self.assertLess(sim.now - eligible, 2.0 + 3 * TRAVEL + 2 * ACT + LATE)

    def test_preemptDelayStartsAnewAfterAnInterruption(self) -> None:
        """A worthier node that was drained in between must wait for the whole delay again."""
        sim = self.cluster(("beta", 150), preemptDelay=2.0)
        sim.start("alpha", 200)
        sim.run(1.5)
        sim.fitness("alpha", Fitness.UNFIT)
        sim.run(0.2)
        sim.fitness("alpha", Fitness.FIT)
        again = sim.now
        sim.run(2.0)
        self.assertEqual(self.claims(sim, 2.0), [])
        sim.run(0.01)
        self.assertEqual(self.claims(sim, again), ["alpha"])

    def test_preemptDelayCountsForEachNode(self) -> None:
        """The worthiest node waits for its own delay, from its last interruption, also while another one waits."""
        sim = self.cluster(("gamma", 100), preemptDelay=2.0)
        sim.start("alpha", 200)
        sim.start("beta", 150)
        sim.run(1.5)
        sim.fitness("alpha", Fitness.UNFIT)
        sim.run(0.2)
        sim.fitness("alpha", Fitness.FIT)
        again = sim.now
        sim.run(1.99)
        self.assertNotIn("alpha", self.claims(sim))
        sim.run(0.02)
        self.assertEqual(self.claims(sim, again), ["alpha"])

    def eligible(self, sim: Simulation, name: str) -> bool:
        node = sim.nodes[name]
        election = node.machine.elections["g"]
        return election.eligible(node.machine.view, node.now)

    def test_preemptionIsNotStaged(self) -> None:
        """Two worthier nodes join together: the group moves once, to the worthiest."""
        for seed in range(20):
            sim = self.cluster(("gamma", 100), seed=seed)
            joined = sim.now
            sim.start("beta", 150)
            sim.run(0.03 + seed * 0.01)
            sim.start("alpha", 200)
            sim.run(3.0)
            self.assertEqual(self.claims(sim, joined), ["alpha"], f"seed {seed}")

    def test_theHandoverPacketIsLost(self) -> None:
        """The word of the release is told again a tenth of an interval later, and heard then."""
        sim = self.cluster(*RANKS[:2])
        lost: list[int] = []

        def once(source: str, target: str, beat: Datagram) -> bool:
            if source == "alpha" and any(state.released for state in told(beat)) and not lost:
                lost.append(beat.header.seq)
                return False
            return True

        sim.lan.filters.append(once)
        sim.fitness("alpha", Fitness.UNFIT)
        drained = sim.now
        sim.run(1.0)
        self.assertEqual(self.claims(sim, drained), ["beta"])
        self.assertEqual(len(lost), 1)
        self.assertLess(sim.transcript.darkness(drained), 0.1 * I + HANDOVER + LATE)

    def test_theHandoverPacketsReachOnlyTheThirdNode(self) -> None:
        """A successor that hears nothing of the release itself hears of it from a third node."""
        sim = self.cluster(*RANKS)
        sim.lan.filters.append(lambda source, target, beat: (source, target) != ("alpha", "beta"))
        sim.fitness("alpha", Fitness.UNFIT)
        drained = sim.now
        sim.run(1.0)
        self.assertEqual(self.claims(sim, drained), ["beta"])
        self.assertLess(sim.transcript.darkness(drained), I + HANDOVER + TRAVEL)
        self.assertEqual(sim.transcript.overlap(), 0)

    def test_aReleaseHeardByRelayIsNotHandedBack(self) -> None:
        """Who knows of the release by relay only does not take the former holder's last own word for its state."""
        sim = self.cluster(*RANKS)
        sim.lan.filters.append(lambda source, target, beat: (source, target) != ("alpha", "beta"))
        sim.fitness("alpha", Fitness.UNFIT)
        drained = sim.now
        sim.run(0.003)
        sim.fitness("gamma", Fitness.DEGRADED)  # it sends at once
        sim.run(0.1)
        self.assertEqual(self.claims(sim, drained), ["beta"])
        self.assertEqual(self.drops(sim, drained), ["alpha"])

    def test_theSuccessorDiesInTheHandover(self) -> None:
        """When the named successor says nothing, another node claims two intervals after the release."""
        for stop in (True, False):
            sim = self.cluster(*RANKS)
            if stop:
                sim.stop("alpha")
            else:
                sim.fitness("alpha", Fitness.UNFIT)
            sim.kill("beta")
            gone = sim.now
            sim.run(1.0)
            self.assertEqual(self.claims(sim, gone), ["gamma"])
            self.assertGreater(sim.transcript.darkness(gone), 2 * I - TRAVEL)
            self.assertLess(sim.transcript.darkness(gone), 2 * I + HANDOVER)

    def test_theSuccessorDiesAndTheFormerHolderClaimsAgain(self) -> None:
        """A holder that made room for a worthier node which died holds again, two intervals later."""
        sim = self.cluster(("beta", 150))
        sim.start("alpha", 200)
        sim.runUntil(lambda: sim.holders() == [], 1.0)
        sim.kill("alpha")
        gone = sim.now
        sim.run(1.0)
        self.assertEqual(self.claims(sim, gone), ["beta"])
        self.assertLess(sim.transcript.darkness(gone), 2 * I + ACT + LATE)

    def test_theSuccessorBecomesUnfitInTheHandover(self) -> None:
        """When the named successor says that it is not eligible, another claims at once."""
        sim = self.cluster(*RANKS)
        sim.fitness("beta", Fitness.UNFIT)
        sim.stop("alpha")
        stopped = sim.now
        sim.run(1.0)
        self.assertEqual(self.claims(sim, stopped), ["gamma"])
        self.assertLess(sim.transcript.darkness(stopped), HANDOVER + TRAVEL)

    def test_aWorthierNodeReturnsInTheMiddleOfAHandover(self) -> None:
        """The named successor claims at once all the same, and hands over to the worthier one afterwards."""
        for seed in range(20):
            sim = self.cluster(*RANKS, seed=seed)
            sim.start("omega", 250)
            stop = sim.now + T - 0.003 + seed * 0.0003
            sim.at(stop, partial(sim.stop, "alpha"))
            sim.run(2.0)
            self.assertEqual(sim.holders(), ["omega"], f"seed {seed}")
            self.assertLess(sim.transcript.darkness(1.0), HANDOVER, f"seed {seed}")
            self.assertEqual(sim.transcript.overlap(), 0, f"seed {seed}")

    def test_theSuccessorClaimsThoughItSeesSomebodyWorthier(self) -> None:
        """A release that names beta is beta's, also when alpha became eligible while it was under way."""
        sim = self.cluster(("gamma", 100), ("beta", 50))
        sim.start("alpha", 200, preemptDelay=0.0)
        sim.nodes["gamma"].releaseTime = 0.02
        sim.stop("gamma")
        stopped = sim.now
        sim.run(0.0205 + HANDOVER)
        self.assertEqual(self.claims(sim, stopped), ["beta"])
        sim.run(1.0)
        self.assertEqual(self.claims(sim, stopped), ["beta", "alpha"])

    def test_theSuccessorIsChosenWhenTheReleaseIsDone(self) -> None:
        """A release that takes long names whoever is the best when it is done, not when it began."""
        sim = self.cluster(*RANKS)
        sim.nodes["alpha"].releaseTime = 1.0
        sim.stop("alpha")
        sim.run(0.1)
        sim.kill("beta")
        sim.run(0.95)
        self.assertEqual(sim.holders(), ["gamma"])
        self.assertLess(sim.transcript.darkness(2.0), HANDOVER)
        self.assertEqual(sim.transcript.overlap(), 0)

    def test_noClaimWhileTheReleaseRuns(self) -> None:
        """A holder says ACTIVE until its release has completed, however long that takes."""
        sim = self.cluster(*RANKS)
        sim.nodes["alpha"].releaseTime = 5.0
        sim.stop("alpha")
        sim.run(4.99)
        self.assertEqual(sim.holders(), ["alpha"])
        sim.run(0.02)
        self.assertEqual(sim.holders(), ["beta"])
        self.assertEqual(sim.transcript.overlap(), 0)

    def test_aThirdNodeThatMissedTheGoodbyeDoesNotBlockTheSuccessor(self) -> None:
        """Older word of the former holder, told by a node that missed its goodbye, holds nobody back."""
        sim = self.cluster(*RANKS)
        sim.cut("alpha", "gamma", bothWays=False)
        sim.stop("alpha")
        stopped = sim.now
        sim.run(2.0)
        self.assertEqual(self.claims(sim, stopped), ["beta"])
        self.assertEqual(self.drops(sim, stopped), ["alpha"])
        self.assertLess(sim.transcript.darkness(stopped), HANDOVER)
        self.assertEqual(self.told(sim, "conflict", stopped), [])


class DeferenceTests(Scenario):
    """Waiting for a worthier node has an end."""

    def test_aWorthierNodeThatDoesNotClaimIsWaitedForOneToleranceMore(self) -> None:
        """A worthier node that says it is eligible and never claims holds the others up for one tolerance."""
        sim = self.cluster(*RANKS)
        beta = sim.nodes["beta"].machine.elections["g"]
        assert beta.candidacy is not None
        self.patch(beta.candidacy, "_vacancy", lambda *_: Obstacle.SUCCESSOR)
        sim.kill("alpha")
        killed = sim.now
        sim.run(3.0)
        self.assertEqual(self.claims(sim, killed)[0], "gamma")
        self.assertGreater(sim.transcript.darkness(killed), 2 * T - I - TRAVEL)
        self.assertLess(sim.transcript.darkness(killed), 2 * T + TRAVEL + 2 * LATE)


class FitnessTests(Scenario):
    """Failures that a node notices in itself."""

    def test_theWorthiestThatAlwaysFailsToAcquireIsLeftAlone(self) -> None:
        """The next node holds; the failing one is tried again ever more rarely, each time for a moment."""
        sim = Simulation(1, I, T)
        for name, priority in RANKS[:2]:
            sim.start(name, priority)
        sim.nodes["alpha"].failing = True
        sim.run(T + I)
        self.assertEqual(sim.holders(), ["beta"])
        sim.run(60.0)
        # Not eligible for 2, 4, 8, 16, 32, 64, 64 tolerances: tried at 0, 0.7, 2.1, 4.9, 10.5, 21.7, 44.1 s.
        self.assertEqual(self.claims(sim).count("alpha"), 7)
        self.assertLess(sim.transcript.darkness(T + I), 2 * HANDOVER)
        self.assertEqual(sim.transcript.overlap(), 0)

    def test_aLoneNodeThatFailsToAcquireTriesEverMoreRarely(self) -> None:
        """Nobody else is eligible: the only node tries again after 1, 2, 4, 8 intervals, then each 4 tolerances."""
        sim = Simulation(1, I, T)
        sim.start("alpha").failing = True
        sim.run(T + 60.0)
        gaps = self.gaps(sim)
        for gap, expected in zip(gaps, (I, 2 * I, 4 * I, 8 * I, *[4 * T] * 100), strict=False):
            # Where the back-off ends first, that is the next attempt.
            self.assertLess(gap, expected + 2 * LATE + TRAVEL)
        self.assertGreater(len(gaps), 30)
        self.assertLess(len(gaps), 60)
        self.assertGreater(min(gaps[8:]), 2 * T)
        sim.nodes["alpha"].failing = False
        sim.run(4 * T + HANDOVER)
        self.assertEqual(sim.holders(), ["alpha"])

    def test_twoNodesThatFailToAcquireBothSlowDown(self) -> None:
        """What nobody can hold costs each node a claim in 4 tolerances, and is held within that once it can be."""
        sim = Simulation(1, I, T)
        for name, priority in RANKS[:2]:
            sim.start(name, priority).failing = True
        sim.run(20.0)
        before, start = len(self.claims(sim)), sim.now
        sim.run(40.0)
        for name in ("alpha", "beta"):
            self.assertLess(self.claims(sim, start).count(name), 1.2 * 40.0 / (4 * T))
        self.assertLess(before, 60)
        for node in sim.nodes.values():
            node.failing = False
        sim.run(4 * T + HANDOVER)
        self.assertEqual(len(sim.holders()), 1)
        self.assertEqual(sim.transcript.overlap(), 0)

    def test_everybodyDrainedReleases(self) -> None:
        """Without keepUnfit nobody holds once nobody is fit, until somebody is."""
        sim = self.cluster(*RANKS)
        for name, _ in RANKS:
            sim.fitness(name, Fitness.UNFIT)
            sim.run(0.5)
        self.assertEqual(sim.holders(), [])
        drained = sim.now
        sim.run(5.0)
        self.assertEqual(self.claims(sim, drained), [])
        sim.fitness("gamma", Fitness.FIT)
        sim.run(HANDOVER)
        self.assertEqual(sim.holders(), ["gamma"])

    def test_everybodyDrainedKeeps(self) -> None:
        """With keepUnfit the group moves to who is still fit, and stays with somebody when nobody is."""
        sim = self.cluster(*RANKS, keepUnfit=True)
        drained = sim.now
        for name, holder in (("alpha", "beta"), ("beta", "gamma"), ("gamma", "alpha")):
            sim.fitness(name, Fitness.UNFIT)
            sim.run(2.0)
            self.assertEqual(sim.holders(), [holder])
        self.assertLess(sim.transcript.darkness(drained), HANDOVER)
        self.assertEqual(sim.transcript.overlap(), 0)
        sim.fitness("gamma", Fitness.DEGRADED)
        sim.run(0.01)
        self.assertEqual(sim.holders(), ["gamma"])

    def test_unfitFromTheStartAndKept(self) -> None:
        """With keepUnfit a cluster of unfit nodes has a holder; without it has none."""
        for keep, holders in ((True, ["alpha"]), (False, [])):
            sim = Simulation(1, I, T, keepUnfit=keep)
            for name, priority in RANKS[:2]:
                sim.start(name, priority)
                sim.fitness(name, Fitness.UNFIT)
            sim.run(2.0)
            self.assertEqual(sim.holders(), holders)


class HearsayTests(Scenario):
    """What nodes know of each other through third ones."""

    def test_hearsayDoesNotCirculate(self) -> None:
        """Four nodes that tell each other of a dead one hold it for dead as soon as one alone would."""
        sim = self.cluster(*RANKS, ("delta", 90), ("epsilon", 80))
        sim.kill("alpha")
        killed = sim.now
        sim.run(T + TRAVEL + LATE)
        self.assertEqual(sim.holders(), ["beta"])
        sim.run(1.0)
        self.assertEqual(
            {node.split()[0] for node in self.told(sim, "peer-left alpha", killed)},
            {"beta", "gamma", "delta", "epsilon"},
        )

    def test_relayedLivenessPreventsATakeover(self) -> None:
        """B does not take over from A, which it cannot hear, as long as C hears A."""
        sim = self.cluster(*RANKS)
        sim.cut("alpha", "beta")
        cut = sim.now
        sim.run(10.0)
        self.assertEqual(self.claims(sim, cut) + self.drops(sim, cut), [])
        sim.kill("alpha")
        killed = sim.now
        sim.run(T + I + HANDOVER)
        self.assertEqual(sim.holders(), ["beta"])
        self.assertLess(sim.transcript.darkness(killed), T + I)

    def test_whoHearsButIsNotHeardNeverClaims(self) -> None:
        """A node whose packets reach nobody leaves the group to others, however worthy it is."""
        sim = self.cluster(*RANKS)
        sim.cut("beta", "alpha", bothWays=False)
        sim.cut("beta", "gamma", bothWays=False)
        sim.run(1.0)
        sim.kill("alpha")
        killed = sim.now
        sim.run(5.0)
        self.assertEqual(self.claims(sim, killed), ["gamma"])
        self.assertLess(sim.transcript.darkness(killed), T + I)

    def test_everyPeerOfAHolderDies(self) -> None:
        """The holder stays as it is: silence of all others is no reason to let go and claim again."""
        for seed in range(10):
            sim = self.cluster(*RANKS, seed=seed)
            sim.run(seed * 0.01)
            sim.kill("beta")
            sim.kill("gamma")
            killed = sim.now
            sim.run(5.0)
            self.assertEqual(sim.holders(), ["alpha"])
            self.assertEqual([c for c in sim.transcript.changes if c[0] >= killed], [])

    def test_lastCall(self) -> None:
        """A holder that is heard by nobody lets go before the others take over: no overlap."""
        for seed in range(30):
            sim = self.cluster(*RANKS, seed=seed)
            sim.run(seed * 0.004)
            sim.cut("alpha", "beta", bothWays=False)
            sim.cut("alpha", "gamma", bothWays=False)
            muted = sim.now
            sim.run(3.0)
            self.assertEqual(sim.transcript.overlap(), 0, f"seed {seed}")
            self.assertEqual(self.claims(sim, muted), ["beta"], f"seed {seed}")
            self.assertLess(sim.transcript.darkness(muted), 0.05, f"seed {seed}")

    def test_lastCallWithOneOther(self) -> None:
        """The same for two nodes."""
        for seed in range(30):
            sim = self.cluster(*RANKS[:2], seed=seed)
            sim.run(seed * 0.004)
            sim.cut("alpha", "beta", bothWays=False)
            muted = sim.now
            sim.run(3.0)
            self.assertEqual(sim.transcript.overlap(), 0, f"seed {seed}")
            self.assertEqual(self.claims(sim, muted), ["beta"], f"seed {seed}")


class FreezeTests(Scenario):
    """Nodes that stood still."""

    def test_aFrozenStandbyWakesAndStaysStandby(self) -> None:
        """A standby that slept for 3 s reads what has come before it believes that the holder is gone."""
        for seed in range(20):
            sim = self.cluster(*RANKS[:2], seed=seed)
            sim.freeze("beta")
            frozen = sim.now
            sim.run(3.0)
            sim.thaw("beta")
            sim.run(3.0)
            self.assertEqual(self.claims(sim, frozen), [])

    def test_aFrozenStandbyWhoseQueueIsLostWakesAndStaysStandby(self) -> None:
        """With nothing to read, it gives the others an interval to be heard."""
        for seed in range(20):
            sim = self.cluster(*RANKS[:2], seed=seed)
            sim.freeze("beta")
            frozen = sim.now
            sim.run(3.0)
            sim.nodes["beta"].inbox.clear()
            sim.thaw("beta")
            sim.run(3.0)
            self.assertEqual(self.claims(sim, frozen), [])

    def test_aFrozenStandbyWakesAndReadsAnOldReleaseInItsFavour(self) -> None:
        """A release that names the sleeper is old news when a later holder's packets lie behind it."""
        for loseRest in (False, True):
            sim = self.cluster(*RANKS)
            sim.stop("alpha")
            sim.freeze("beta")
            frozen = sim.now
            sim.run(3.0)
            self.assertEqual(sim.holders(), ["gamma"])
            if loseRest:
                while len(sim.nodes["beta"].inbox) > 4:
                    sim.nodes["beta"].inbox.pop()
            sim.thaw("beta")
            sim.run(0.01)
            self.assertEqual(self.claims(sim, frozen), ["gamma"])
            sim.run(2.0)
            self.assertEqual(sim.transcript.overlap(), 0)
            self.assertEqual(sim.holders(), ["beta"])  # by an orderly handover: it is worthier

    def test_aFrozenHolderWakesAndYields(self) -> None:
        """A holder that slept for longer than others wait lets go as soon as it wakes."""
        for seed in range(20):
            sim = self.cluster(*RANKS[:2], seed=seed)
            sim.freeze("alpha")
            sim.run(3.0)
            self.assertEqual(sim.holders(), ["alpha", "beta"])
            sim.nodes["alpha"].inbox.clear()
            sim.thaw("alpha")
            thawed = sim.now
            sim.run(0.01)
            self.assertEqual(sim.holders(), ["beta"])
            self.assertLess(sim.transcript.overlap(thawed), ACT + LATE)

    def test_aLoneFrozenHolderKeeps(self) -> None:
        """A holder that has no peers keeps the group over a stall."""
        sim = self.cluster(("alpha", 200))
        sim.freeze("alpha")
        sim.run(3.0)
        sim.thaw("alpha")
        sim.run(1.0)
        self.assertEqual(len(sim.transcript.changes), 1)


class ConflictTests(Scenario):
    """Two holders, and how one of them comes to yield."""

    def test_theLesserYieldsOnTheFirstPacket(self) -> None:
        """When a cut heals, one packet decides, and the worthier one never lets go."""
        for seed in range(20):
            sim = self.divided(seed)
            sim.heal()
            healed = sim.now
            sim.run(1.0)
            self.assertEqual(self.drops(sim, healed), ["beta"], f"seed {seed}")
            self.assertEqual(self.claims(sim, healed), [], f"seed {seed}")
            self.assertLess(sim.transcript.overlap(healed), I + TRAVEL + ACT)

    def test_withoutPreemptTheHigherTermStays(self) -> None:
        """Without preemption the later claim, which clients know already, is kept."""
        for seed in range(20):
            sim = self.divided(seed, preempt=False)
            sim.heal()
            healed = sim.now
            sim.run(2.0)
            self.assertEqual(self.drops(sim, healed), ["alpha"], f"seed {seed}")
            self.assertEqual(sim.holders(), ["beta"])

    def test_aDeafLesserIsLeftAlone(self) -> None:
        """The worthier holder yields to one that does not notice it for two intervals: better one than two."""
        sim = self.divided()
        sim.lan.blocked.discard(("beta", "alpha"))
        healed = sim.now
        sim.run(1.0)
        self.assertEqual(self.drops(sim, healed)[0], "alpha")
        self.assertLess(sim.transcript.overlap(healed), 3 * I + TRAVEL + ACT + LATE)
        self.assertEqual(sim.holders(), ["beta"])

    def test_aMuteLesserYields(self) -> None:
        """The lesser holder yields as soon as it hears the worthier one, mutual or not."""
        sim = self.divided()
        sim.lan.blocked.discard(("alpha", "beta"))
        healed = sim.now
        sim.run(1.0)
        self.assertEqual(self.drops(sim, healed), ["beta"])
        self.assertEqual(sim.holders(), ["alpha"])
        self.assertLess(sim.transcript.overlap(healed), I + TRAVEL + ACT)

    def relayed(self, **rules: Any) -> Simulation:
        """Alpha and beta, both ACTIVE, cut off from each other for good; gamma can hear alpha only."""
        sim = self.cluster(*RANKS, **rules)
        sim.cut("alpha", "beta")
        sim.cut("beta", "gamma")
        sim.run(1.0)
        self.assertEqual(sim.holders(), ["alpha", "beta"])
        return sim

    def test_theyMeetOnlyByRelay(self) -> None:
        """Word of the worthier holder, told by a third node, makes the lesser yield."""
        sim = self.relayed()
        sim.lan.blocked -= {("beta", "gamma"), ("gamma", "beta")}
        healed = sim.now
        sim.run(3.0)
        self.assertEqual(self.drops(sim, healed), ["beta"])
        self.assertEqual(self.claims(sim, healed), [])
        self.assertLess(sim.transcript.overlap(healed), I + 2 * TRAVEL + ACT)

    def test_theyMeetOnlyByRelayAndTheLesserIsDeaf(self) -> None:
        """The worthier yields to a holder that is relayed as deaf, after three intervals of that word."""
        sim = self.relayed()
        sim.lan.blocked.discard(("beta", "gamma"))
        healed = sim.now
        sim.run(2.0)
        self.assertEqual(self.drops(sim, healed), ["alpha"])
        self.assertEqual(sim.holders(), ["beta"])
        self.assertLess(sim.transcript.overlap(healed), 4 * I + 2 * TRAVEL + ACT)

    def test_termInflatedByHearingTheOther(self) -> None:
        """Having heard the other's higher term does not make one's own claim any newer."""
        sim = self.divided(preempt=False)
        sim.lan.blocked.discard(("beta", "alpha"))
        sim.run(0.11)  # alpha has heard beta's term, and yields to it
        sim.heal()
        healed = sim.now
        sim.run(2.0)
        self.assertEqual(self.claims(sim, healed), [])
        self.assertEqual(sim.holders(), ["beta"])
        terms = [c.term for c in (self.claimOf(sim, "beta"),) if c]
        self.assertEqual(terms, [2])

    def test_frozenKeysWithInflatedTerm(self) -> None:
        """A claim is compared by the term it was made with, also after higher ones were seen."""
        sim = self.divided(preempt=False)
        before = self.claimOf(sim, "beta")
        sim.nodes["alpha"].machine.elections["g"].terms.highest = 50
        sim.heal()
        sim.run(1.0)
        self.assertEqual(self.claimOf(sim, "beta"), before)
        self.assertEqual(sim.holders(), ["beta"])

    def claimOf(self, sim: Simulation, name: str) -> Any:
        return sim.nodes[name].machine.elections["g"].standing.claim

    def test_fitnessChangesAtTheHeal(self) -> None:
        """Claims keep the worth they were made with: one node yields, never both and never neither."""
        for seed in range(20):
            sim = self.divided(seed)
            sim.at(sim.now + 0.0004, partial(sim.fitness, "alpha", Fitness.DEGRADED))
            sim.at(sim.now + 0.0008, partial(sim.fitness, "alpha", Fitness.FIT))
            sim.at(sim.now + 0.0300, partial(sim.fitness, "alpha", Fitness.DEGRADED))
            sim.heal()
            healed = sim.now
            sim.run(0.5)
            # The conflict is alpha's; then it hands over in good order, since beta is fitter.
            self.assertEqual(self.drops(sim, healed)[0], "beta", f"seed {seed}")
            self.assertLess(sim.transcript.darkness(healed), HANDOVER + TRAVEL, f"seed {seed}")
            self.assertEqual(sim.holders(), ["beta"], f"seed {seed}")

    def test_fitnessChangedDuringTheCut(self) -> None:
        """A holder that became worse off during the cut wins by its claim, then hands over in good order."""
        for seed in range(20):
            sim = self.divided(seed)
            sim.fitness("alpha", Fitness.DEGRADED)
            sim.run(0.2 + seed * 0.005)
            sim.heal()
            healed = sim.now
            sim.run(1.0)
            self.assertEqual(self.drops(sim, healed), ["beta", "alpha"], f"seed {seed}")
            self.assertEqual(self.claims(sim, healed), ["beta"], f"seed {seed}")
            self.assertLess(sim.transcript.darkness(healed), HANDOVER, f"seed {seed}")

    def test_nobodyYieldsToOneThatLetsGo(self) -> None:
        """A holder stays when the worthier one that it meets is on its way out anyway."""
        sim = self.divided()
        sim.nodes["alpha"].releaseTime = 0.5
        sim.stop("alpha")
        sim.run(0.1)
        sim.heal()
        healed = sim.now
        sim.run(2.0)
        self.assertEqual(self.drops(sim, healed), ["alpha"])
        self.assertEqual(sim.transcript.darkness(healed), 0)

    def test_neverBothYield(self) -> None:
        """Whatever packets cross, are doubled or come late at the heal, somebody holds all the time."""
        for seed in range(40):
            for preempt in (True, False):
                sim = self.divided(seed, preempt=preempt)
                sim.lan.weather.doubled = sim.lan.weather.late = 0.3
                sim.heal()
                healed = sim.now
                sim.run(1.0)
                self.assertEqual(len(self.drops(sim, healed)), 1, f"seed {seed}")
                self.assertEqual(sim.transcript.darkness(healed), 0, f"seed {seed}")

    def test_threeHolders(self) -> None:
        """Three holders that meet become one, and it is the worthiest."""
        sim = self.cluster(*RANKS)
        for one, other in (("alpha", "beta"), ("beta", "gamma"), ("alpha", "gamma")):
            sim.cut(one, other)
        sim.run(1.0)
        self.assertEqual(sim.holders(), ["alpha", "beta", "gamma"])
        sim.heal()
        healed = sim.now
        sim.run(1.0)
        self.assertEqual(sorted(self.drops(sim, healed)), ["beta", "gamma"])
        self.assertEqual(self.claims(sim, healed), [])
        self.assertLess(sim.transcript.overlap(healed), I + TRAVEL + ACT)

    def test_theWinnerAnnouncesAgain(self) -> None:
        """The winner of a conflict reports it, and announces its addresses again when it is over."""
        sim = self.divided()
        sim.heal()
        sim.run(1.0)
        told = self.told(sim, "conflict")
        self.assertIn("alpha conflict beta: it is ACTIVE too, with term 2", told)
        self.assertIn("alpha conflict-over beta: the addresses are announced again", told)
