"""
What becomes of a group that the operator moves, and of a node that he drains.

Figures as in L{tests.unit.native.test_scenarios}: alpha is the worthiest, then beta, then gamma.
"""

from __future__ import annotations

from hatwist.core.claims import Role
from hatwist.core.reports import Drained, Judged, MoveWanted
from hatwist.core.worth import Fitness
from hatwist.protocols.native.datagram import Datagram, Request
from hatwist.testing import Simulation
from hatwist.testing.host import GROUP
from tests.statements import told
from tests.unit.native.test_scenarios import HANDOVER, LATE, RANKS, TRAVEL, I, Scenario, T

NAMES = ("alpha", "beta", "gamma")


def asked(beat: Datagram) -> bool:
    """It tells of a request, its own or another node's."""
    records = [record.state for each in beat.ranges for record in each.records]
    return any(state is not None and state.request is not None for state in records)


class Moving(Scenario):
    """What the tests below share."""

    def moved(self, to: str = "beta", seed: int = 1, **rules: object) -> Simulation:
        """The group was moved to a node that is not the worthiest, a second ago."""
        sim = self.cluster(*RANKS, seed=seed, **rules)
        sim.move("alpha", to)
        sim.run(1.0)
        self.assertEqual(sim.holders(), [to])
        return sim

    def isMoved(self, sim: Simulation, name: str) -> bool:
        """Does its claim say that the operator chose it?"""
        claim = sim.nodes[name].machine.elections[GROUP].standing.claim
        assert claim is not None
        return claim.moved

    def refusal(self, sim: Simulation, by: str, to: str) -> str:
        """The sentence by which a node refuses to move the group."""
        node = sim.nodes[by]
        return node.machine.elections[GROUP].hindrance(to, node.machine.view, node.now)


class MoveTests(Moving):
    """Moves in a cluster that is well."""

    def test_atTheHolder(self) -> None:
        """The group is dark for one packet's time, goes to the node named, and stays there."""
        for seed in range(20):
            sim = self.cluster(*RANKS, seed=seed)
            sim.run(seed * 0.007)
            start = sim.now
            sim.move("alpha", "gamma")
            sim.run(5.0)
            self.assertEqual(self.claims(sim, start), ["gamma"])
            self.assertLess(sim.transcript.darkness(start), HANDOVER)
            self.assertEqual(sim.transcript.overlap(), 0)
            self.assertTrue(self.isMoved(sim, "gamma"))

    def test_atAnyNode(self) -> None:
        """It can be asked for anywhere, also at the node that is to have it, and is as fast."""
        for by, to in (("beta", "gamma"), ("gamma", "gamma"), ("gamma", "beta")):
            sim = self.cluster(*RANKS)
            start = sim.now
            sim.move(by, to)
            sim.run(2 * TRAVEL + 2 * HANDOVER)
            self.assertEqual(self.claims(sim, start), [to])
            self.assertLess(sim.transcript.darkness(start), HANDOVER)
            sim.run(3.0)
            self.assertEqual(sim.holders(), [to])
            self.assertEqual(sim.transcript.overlap(), 0)

    def test_says(self) -> None:
        """Both nodes give the operator as the reason."""
        sim = self.moved()
        self.assertIn(
            "alpha ACTIVE -> STANDBY (1): moved to beta by the operator", self.told(sim, "moved")
        )
        self.assertIn(
            "beta STANDBY -> ACTIVE (2): moved here by the operator", self.told(sim, "moved")
        )

    def test_toTheWorthiest(self) -> None:
        """It can be given back to the worthiest, from anywhere, and then is like any other group."""
        for by in NAMES:
            sim = self.moved()
            start = sim.now
            sim.move(by, "")
            sim.run(1.0)
            self.assertEqual(self.claims(sim, start), ["alpha"])
            self.assertLess(sim.transcript.darkness(start), HANDOVER)
            self.assertFalse(self.isMoved(sim, "alpha"))

    def test_toTheWorthiestWithoutPreemption(self) -> None:
        """The operator's word counts more than C{preempt = false}, and more than a delay."""
        for rules in ({"preempt": False}, {"preemptDelay": 5.0}):
            sim = self.moved(**rules)
            sim.move("beta", "")
            sim.run(1.0)
            self.assertEqual(sim.holders(), ["alpha"])

    def test_toTheWorthiestWhoIsAway(self) -> None:
        """If the worthiest is not there it gets the group as ever, when it returns."""
        sim = self.moved()
        for name in ("alpha", "gamma"):
            sim.kill(name)
        sim.run(1.0)
        sim.move("beta", "")
        sim.run(0.01)
        self.assertFalse(self.isMoved(sim, "beta"))
        sim.start("alpha", 200)
        sim.run(1.0)
        self.assertEqual(sim.holders(), ["alpha"])

    def test_twice(self) -> None:
        """Two moves at once, from two nodes to different ones: one of them is done, and stays."""
        for seed in range(20):
            sim = self.cluster(*RANKS, seed=seed)
            start = sim.now
            sim.move("beta", "gamma")
            sim.move("gamma", "beta")
            sim.run(5.0)
            self.assertEqual(len(self.claims(sim, start)), 1)
            self.assertIn(sim.holders(), (["beta"], ["gamma"]))
            self.assertLess(sim.transcript.darkness(start), HANDOVER)

    def test_again(self) -> None:
        """What was moved can be moved on."""
        sim = self.moved()
        sim.move("alpha", "gamma")
        sim.run(3.0)
        self.assertEqual(sim.holders(), ["gamma"])
        self.assertEqual(sim.transcript.overlap(), 0)

    def test_back(self) -> None:
        """What was moved once and came back is handed over like any other group."""
        sim = self.moved("gamma")
        sim.move("gamma", "")
        sim.run(1.0)
        sim.stop("alpha")
        sim.run(1.0)
        self.assertEqual(sim.holders(), ["beta"])
        self.assertFalse(self.isMoved(sim, "beta"))

    def test_notTheHighestTerm(self) -> None:
        """It can be asked for although a claim that lost a conflict had a higher term than the holder's."""
        sim = self.divided()
        sim.heal()
        sim.run(1.0)
        self.assertEqual(sim.holders(), ["alpha"])
        claim = sim.nodes["alpha"].machine.elections[GROUP].standing.claim
        assert claim is not None
        self.assertLess(claim.term, sim.nodes["beta"].machine.elections[GROUP].terms.highest)
        sim.move("beta", "beta")
        sim.run(I)
        self.assertEqual(sim.holders(), ["beta"])

    def test_toADegradedNode(self) -> None:
        """A degraded node keeps what was moved to it, since that was wanted."""
        sim = self.cluster(*RANKS)
        sim.fitness("beta", Fitness.DEGRADED)
        sim.run(0.1)
        sim.move("alpha", "beta")
        sim.run(3.0)
        self.assertEqual(sim.holders(), ["beta"])

    def test_lost(self) -> None:
        """A request that is lost is sent again, until it arrives."""
        sim = self.cluster(*RANKS)
        lost: list[Datagram] = []

        def travels(source: str, target: str, beat: Datagram) -> bool:
            if source == "beta" and target == "alpha" and len(lost) < 4:
                lost.append(beat)
                return False
            return True

        sim.lan.filters.append(travels)
        sim.move("beta", "gamma")
        sim.run(T)
        self.assertEqual(len([b for b in lost if asked(b)]), 4)
        self.assertEqual(sim.holders(), ["gamma"])

    def test_givenUp(self) -> None:
        """A request that cannot be met is given up after a tolerance, and that is told."""
        sim = self.cluster(*RANKS)
        sim.lan.filters.append(lambda source, target, beat: not (target == "alpha" and asked(beat)))
        start = sim.now
        sim.move("beta", "gamma")
        sim.run(T - 0.01)
        self.assertEqual(self.told(sim, "move-failed"), [])
        sim.run(0.02)
        self.assertEqual(
            self.told(sim, "move-failed"), ["beta move-failed gamma: alpha did not hand it over"]
        )
        sim.lan.filters.clear()
        sim.run(3.0)
        self.assertEqual(self.claims(sim, start), [])
        self.assertIsNone(sim.nodes["beta"].machine.elections[GROUP].orders.request)


class RefusalTests(Moving):
    """What cannot be moved, and the sentences that say so."""

    def test_target(self) -> None:
        """Only a node that is heard, hears, and may hold can be given the group."""
        sim = self.cluster(*RANKS)
        for fault, to, sentence in (
            (lambda: None, "alpha", "alpha holds g already"),
            (lambda: None, "delta", "delta is not known here"),
            (
                lambda: sim.fitness("beta", Fitness.UNFIT, "http check failed 3 times"),
                "beta",
                "beta cannot take g: http check failed 3 times",
            ),
            (lambda: sim.kill("gamma"), "gamma", "gamma is not heard"),
            (lambda: sim.start("gamma"), "gamma", "gamma has only just started"),
            (
                lambda: sim.cut("alpha", "gamma", bothWays=False),
                "gamma",
                "gamma does not hear alpha",
            ),
            (lambda: sim.stop("beta"), "beta", "beta has stopped"),
        ):
            fault()
            if "stopped" in sentence:
                sim.heal()
            sim.run(3 * I if "just" in sentence else 2 * T)
            self.assertEqual(self.refusal(sim, "alpha", to), sentence)
        self.assertEqual(sim.holders(), ["alpha"])

    def test_oneself(self) -> None:
        """A node refuses for itself what it refuses for others."""
        sim = self.cluster(*RANKS)
        sim.drain("beta")
        self.assertEqual(
            self.refusal(sim, "beta", "beta"),
            "beta cannot take g: drained (hatwist undrain ends it)",
        )

    def test_backoff(self) -> None:
        """A node that has just failed to acquire is not given the group."""
        sim = self.cluster(*RANKS)
        sim.nodes["beta"].failing = True
        sim.move("alpha", "beta")
        sim.run(0.1)
        self.assertEqual(sim.holders(), ["alpha"])
        self.assertFalse(self.isMoved(sim, "alpha"))
        self.assertIn(
            "beta is not eligible: it failed to acquire", self.refusal(sim, "alpha", "beta")
        )

    def test_holder(self) -> None:
        """There must be one holder, which hears the node that is asked."""
        sim = Simulation(1, I, T)
        for name, priority in RANKS:
            sim.start(name, priority)
        self.assertEqual(self.refusal(sim, "beta", "gamma"), "nobody holds g")
        sim.run(2.0)
        sim.cut("beta", "alpha", bothWays=False)
        sim.run(2 * T)
        self.assertEqual(
            self.refusal(sim, "beta", "gamma"), "alpha, which holds g, does not hear this node"
        )
        sim.heal()
        sim.cut("alpha", "beta", bothWays=False)
        sim.run(2 * T)
        self.assertEqual(self.refusal(sim, "beta", "gamma"), "alpha, which holds g, is not heard")

    def test_twoHolders(self) -> None:
        """While two hold, that is settled first."""
        sim = self.divided()
        sim.heal()
        sim.runUntil(lambda: bool(sim.transcript.said("conflict alpha")), I)
        self.assertEqual(
            self.refusal(sim, "beta", "alpha"),
            "alpha and beta hold g at once; wait until one has yielded",
        )

    def test_busy(self) -> None:
        """A holder that is not done with acquiring, or lets go already, moves nothing."""
        sim = self.cluster(*RANKS)
        sim.nodes["beta"].acquireTime = sim.nodes["beta"].releaseTime = 0.05
        sim.move("alpha", "beta")
        sim.run(0.02)
        self.assertEqual(self.refusal(sim, "beta", "gamma"), "beta is still acquiring g")
        sim.run(0.1)
        sim.move("beta", "alpha")
        sim.run(0.02)
        self.assertEqual(self.refusal(sim, "beta", "gamma"), "beta is releasing g")
        self.assertEqual(self.refusal(sim, "alpha", "gamma"), "beta is releasing g")

    def test_noGroup(self) -> None:
        """What is told of a group that went meanwhile changes nothing."""
        sim = self.cluster(*RANKS)
        node = sim.nodes["alpha"]
        node.machine.tell(MoveWanted("web", "beta"), node.now)
        self.assertEqual(node.machine.decide(node.now), [])
        self.assertIsNone(node.machine.elections[GROUP].orders.request)


class OldRequestTests(Moving):
    """A request is good for one claim of one start of one node."""

    def hear(self, sim: Simulation, request: Request) -> None:
        """Let alpha, which holds, hear a request from beta."""
        source = sim.nodes["beta"].machine
        told = source.elections[GROUP].tell(source.view, sim.nodes["beta"].now)
        source.view.knowledge.journal.put(told._replace(request=request))
        source.outbox.answer()
        sim.nodes["beta"].decide()
        sim.run(0.002)

    def test_void(self) -> None:
        """One for another term, another start, or another node is nothing to the holder."""
        sim = self.cluster(*RANKS)
        machine = sim.nodes["alpha"].machine
        claim = machine.elections[GROUP].standing.claim
        assert claim is not None
        good = Request("alpha", machine.session, claim.term, "gamma")
        start = sim.now
        for void in (
            good._replace(holder="beta"),
            good._replace(session=good.session - 1),
            good._replace(session=good.session + 1),
            good._replace(term=good.term + 1),
        ):
            self.hear(sim, void)
            sim.run(T)
            self.assertEqual(self.claims(sim, start), [], void)
        self.hear(sim, good)
        sim.run(I)
        self.assertEqual(sim.holders(), ["gamma"])

    def test_fromTheDead(self) -> None:
        """The last packet of a node that died since counts for a tolerance, not for ever."""
        sim = self.cluster(*RANKS)
        sim.drain("gamma")
        sim.run(0.1)
        machine = sim.nodes["alpha"].machine
        claim = machine.elections[GROUP].standing.claim
        assert claim is not None
        self.hear(sim, Request("alpha", machine.session, claim.term, "gamma"))
        sim.kill("beta")
        sim.run(T + 0.01)
        sim.drain("gamma", False)
        sim.run(1.0)
        self.assertEqual(sim.holders(), ["alpha"])


class OvertakenTests(Moving):
    """Moves that something else comes between."""

    def test_successorDies(self) -> None:
        """A successor that dies in the move: the worthiest holds again, after two intervals at most."""
        for seed in range(20):
            sim = self.cluster(*RANKS, seed=seed)
            start = sim.now
            sim.move("alpha", "beta")
            sim.runUntil(lambda sim=sim: not sim.holders(), 0.1)  # type: ignore[misc]
            sim.kill("beta")
            sim.run(1.0)
            self.assertEqual(self.claims(sim, start), ["alpha"])
            self.assertLess(sim.transcript.darkness(start), 2 * I + LATE + TRAVEL)
            self.assertFalse(self.isMoved(sim, "alpha"))

    def test_successorDiesWhileTheHolderReleases(self) -> None:
        """A holder that learns of it before it has let go names another one, and that is no move."""
        sim = self.cluster(*RANKS)
        sim.nodes["alpha"].releaseTime = 2 * T
        sim.move("alpha", "gamma")
        sim.run(I)
        sim.kill("gamma")
        sim.run(3.0)
        self.assertEqual(
            self.told(sim, "named as")[0], "beta STANDBY -> ACTIVE (2): named as successor"
        )
        self.assertEqual(sim.holders(), ["alpha"])

    def test_acquireFails(self) -> None:
        """A successor that cannot acquire gives the group to the worthiest, where it stays."""
        sim = self.cluster(*RANKS)
        sim.nodes["gamma"].failing = True
        start = sim.now
        sim.move("alpha", "gamma")
        sim.run(5.0)
        self.assertEqual(self.claims(sim, start), ["gamma", "alpha"])
        self.assertLess(sim.transcript.darkness(start), HANDOVER)

    def test_acquireFailsAlone(self) -> None:
        """When a successor that could not acquire claims later, that has nothing to do with the move."""
        sim = self.cluster(*RANKS)
        sim.nodes["gamma"].failing = True
        sim.nodes["gamma"].acquireTime = 0.05
        sim.move("alpha", "gamma")
        sim.run(0.02)
        for name in ("alpha", "beta"):
            sim.kill(name)
        sim.run(0.05)
        self.assertEqual(sim.holders(), [])
        sim.drain("gamma")
        sim.nodes["gamma"].failing = False
        sim.run(3.0)
        sim.drain("gamma", False)
        sim.run(1.0)
        self.assertEqual(sim.holders(), ["gamma"])
        self.assertFalse(self.isMoved(sim, "gamma"))

    def test_holderDies(self) -> None:
        """A holder that dies before it has heard of the move: the worthiest left takes over as ever."""
        sim = self.cluster(*RANKS)
        sim.kill("alpha")
        sim.move("beta", "gamma")
        sim.run(1.0)
        self.assertEqual(sim.holders(), ["beta"])
        self.assertFalse(self.isMoved(sim, "beta"))

    def test_moveMeetsADrain(self) -> None:
        """A target that is drained at the same time gets nothing."""
        sim = self.cluster(*RANKS)
        sim.move("alpha", "beta")
        sim.drain("beta")
        sim.run(2.0)
        self.assertEqual(sim.holders(), ["alpha"])
        self.assertEqual(sim.transcript.overlap(), 0)


class StayTests(Moving):
    """How long a moved group stays."""

    def test_worthierRestarts(self) -> None:
        """A worthier node that restarts does not take it back."""
        sim = self.moved()
        sim.kill("alpha")
        sim.run(1.0)
        sim.start("alpha", 200)
        sim.run(3.0)
        self.assertEqual(sim.holders(), ["beta"])
        self.assertEqual(self.drops(sim), ["alpha"])

    def test_holderRestarts(self) -> None:
        """When its holder restarts the worthiest takes over, and keeps it."""
        for orderly in (False, True):
            sim = self.moved()
            (sim.stop if orderly else sim.kill)("beta")
            sim.run(0.1)
            sim.start("beta", 150)
            sim.run(3.0)
            self.assertEqual(sim.holders(), ["alpha"])
            self.assertFalse(self.isMoved(sim, "alpha"))
            self.assertEqual(sim.transcript.overlap(), 0)

    def test_holderAloneRestarts(self) -> None:
        """A holder that comes back alone does not remember the move: the worthiest gets it when it comes."""
        sim = self.moved()
        for name in NAMES:
            sim.kill(name)
        sim.start("beta", 150)
        sim.run(1.0)
        self.assertEqual(sim.holders(), ["beta"])
        sim.start("alpha", 200)
        sim.run(1.0)
        self.assertEqual(sim.holders(), ["alpha"])

    def test_unfit(self) -> None:
        """A holder that becomes less fit than at the move hands over, and does not get it back."""
        for fitness in (Fitness.UNFIT, Fitness.DEGRADED):
            sim = self.moved()
            sim.fitness("beta", fitness)
            sim.run(0.1)
            self.assertEqual(sim.holders(), ["alpha"])
            sim.fitness("beta", Fitness.FIT)
            sim.run(3.0)
            self.assertEqual(sim.holders(), ["alpha"])

    def test_fence(self) -> None:
        """A holder whose guard has fired begins anew, without the move."""
        sim = self.moved(guarded=True)
        sim.fire("beta")
        sim.run(3.0)
        self.assertEqual(sim.holders(), ["alpha"])
        self.assertEqual(sim.transcript.overlap(), 0)

    def test_cutOff(self) -> None:
        """After a cut what was moved stays, though the worthiest claimed meanwhile, with a later term."""
        for seed in range(20):
            sim = self.moved(seed=seed, asks=seed % 2 == 1)
            sim.isolate("beta")
            sim.run(2 * T + I + seed * 0.013)
            self.assertEqual(sim.holders(), ["alpha", "beta"])
            healed = sim.now
            sim.heal()
            sim.run(I + 2 * HANDOVER)
            self.assertEqual(sim.holders(), ["beta"], f"seed {seed}")
            sim.run(3.0)
            self.assertEqual(self.claims(sim, healed), [])
            self.assertEqual(self.drops(sim, healed), ["alpha"])

    def test_halfHealed(self) -> None:
        """Who yields to a holder that does not hear it yet does not claim at once again."""
        for seed in range(10):
            sim = self.moved(seed=seed, asks=True)
            sim.isolate("beta")
            sim.run(2 * T + 2 * I)
            self.assertEqual(sim.holders(), ["alpha", "beta"])
            start = sim.now
            sim.lan.blocked = {("alpha", "beta")}
            sim.run(1.5 * I)
            sim.heal()
            sim.run(1.0)
            self.assertEqual(self.claims(sim, start), [], f"seed {seed}")
            self.assertEqual(sim.holders(), ["beta"])

    def test_cutOffWithoutPreemption(self) -> None:
        """Without preemption the later claim stays, moved or not."""
        sim = self.moved(preempt=False)
        sim.isolate("beta")
        sim.run(2 * T)
        sim.heal()
        sim.run(2.0)
        self.assertEqual(sim.holders(), ["alpha"])

    def test_movedOnBothSides(self) -> None:
        """If both sides of a cut were moved, the last move stays, though its node is less worthy."""
        sim = self.moved()
        sim.isolate("beta")
        sim.run(2 * T)
        sim.move("alpha", "gamma")
        sim.run(1.0)
        self.assertEqual(sim.holders(), ["beta", "gamma"])
        sim.heal()
        sim.run(3.0)
        self.assertEqual(sim.holders(), ["gamma"])

    def test_metByRelay(self) -> None:
        """Two holders that know each other through a third one only follow the same order."""
        sim = self.moved()
        sim.isolate("beta")
        sim.run(2 * T)
        sim.lan.blocked -= {("beta", "gamma"), ("gamma", "beta")}
        sim.run(1.0)
        self.assertEqual(sim.holders(), ["beta"])
        sim.run(2.0)
        self.assertEqual(sim.holders(), ["beta"])

    def test_moveDuringAHeal(self) -> None:
        """A move that is asked for while a cut heals ends with one holder, that stays."""
        for step in range(40):
            sim = self.divided(seed=step)
            sim.start("gamma", 100)
            sim.cut("gamma", "alpha")
            sim.run(1.0)
            start = sim.now
            sim.heal()
            by = ("alpha", "beta", "gamma")[step % 3]
            sim.at(start + step * 0.001, lambda sim=sim, by=by: sim.move(by, "gamma"))  # type: ignore[misc]
            sim.run(I + 0.1)
            holders = sim.holders()
            self.assertEqual(len(holders), 1, f"step {step}")
            sim.run(3.0)
            self.assertEqual(sim.holders(), holders, f"step {step}")
            self.assertEqual(sim.transcript.overlap(start + I + 0.1), 0)


class VotedTests(Moving):
    """Moves where claims take votes."""

    def voters(self, seed: int = 1) -> Simulation:
        return self.cluster(*RANKS, seed=seed, members=NAMES)

    def test_move(self) -> None:
        """The least worthy gets the votes, and nobody else asks for any, though the terms rise."""
        for seed in range(20):
            sim = self.voters(seed)
            start = sim.now
            sim.move("beta", "gamma")
            sim.run(5.0)
            self.assertEqual(self.claims(sim, start), ["gamma"])
            self.assertLess(sim.transcript.darkness(start), 0.010)
            self.assertEqual(sim.transcript.overlap(), 0)
            highest = {node.machine.elections[GROUP].terms.highest for node in sim.nodes.values()}
            claim = sim.nodes["gamma"].machine.elections[GROUP].standing.claim
            assert claim is not None
            self.assertEqual(highest, {claim.term})

    def test_votesLost(self) -> None:
        """A successor that gets no votes at first asks again before others do, and the move still counts."""
        for highest in range(10):
            sim = self.voters()
            # By that it draws another lot.
            sim.nodes["gamma"].machine.elections[GROUP].terms.highest += highest
            self.loseVotes(sim, 1.2 * I)
            sim.move("alpha", "gamma")
            sim.run(2.0)
            self.assertEqual(sim.holders(), ["gamma"])
            self.assertTrue(self.isMoved(sim, "gamma"))

    def test_releaseUnheard(self) -> None:
        """The worthiest, if it knows only by hearsay that the successor asks, and not why, does not ask."""
        for seed in range(10):
            sim = self.voters(seed)
            sim.move("alpha", "gamma")
            sim.run(1.0)
            self.hideFromAlpha(sim)
            sim.move("gamma", "beta")
            sim.run(2.0)
            self.assertEqual(sim.holders(), ["beta"])
            self.assertEqual(sim.nodes["alpha"].machine.elections[GROUP].terms.highest, 3)

    def hideFromAlpha(self, sim: Simulation) -> None:
        """For half an interval alpha hears no release, and nothing from beta."""
        end = sim.now + I / 2

        def travels(source: str, target: str, beat: Datagram) -> bool:
            hidden = source == "beta" or any(state.released for state in told(beat))
            return target != "alpha" or sim.now >= end or not hidden

        sim.lan.filters.append(travels)

    def test_noVotes(self) -> None:
        """A successor that gets none, so that another node holds, has nothing to do with the move any more."""
        sim = self.voters()
        self.loseVotes(sim, T)
        sim.move("alpha", "gamma")
        sim.run(2.0)
        self.assertEqual(sim.holders(), ["alpha"])
        sim.drain("beta")
        sim.kill("alpha")
        sim.run(2.0)
        self.assertEqual(sim.holders(), ["gamma"])
        self.assertFalse(self.isMoved(sim, "gamma"))

    def loseVotes(self, sim: Simulation, seconds: float) -> None:
        """Whenever gamma asks for votes in this time it hears nobody."""
        end = sim.now + seconds

        def travels(source: str, target: str, beat: Datagram) -> bool:
            return target != "gamma" or sim.now >= end or sim.role("gamma") is not Role.ASKING

        sim.lan.filters.append(travels)

    def test_minority(self) -> None:
        """A holder that loses its votes loses the move as well."""
        sim = self.voters()
        sim.move("alpha", "gamma")
        sim.run(1.0)
        sim.isolate("gamma")
        sim.run(2 * T)
        self.assertEqual(sim.holders(), ["alpha"])
        sim.heal()
        sim.run(2.0)
        self.assertEqual(sim.holders(), ["alpha"])
        self.assertEqual(sim.transcript.overlap(), 0)


class DrainTests(Moving):
    """Nodes that the operator has drained."""

    def reason(self, sim: Simulation, name: str) -> str:
        return sim.nodes[name].machine.elections[GROUP].me.verdicts.reason

    def test_holder(self) -> None:
        """A drained holder hands over in one packet's time, and gets nothing until it is drained no more."""
        for seed in range(20):
            sim = self.cluster(*RANKS, seed=seed)
            start = sim.now
            sim.drain("alpha")
            sim.run(2.0)
            self.assertEqual(self.claims(sim, start), ["beta"])
            self.assertLess(sim.transcript.darkness(start), HANDOVER)
            self.assertEqual(sim.transcript.overlap(), 0)
            self.assertEqual(self.reason(sim, "alpha"), "drained (hatwist undrain ends it)")
            sim.drain("alpha", False)
            sim.run(1.0)
            self.assertEqual(sim.holders(), ["alpha"])

    def test_nobodyElse(self) -> None:
        """With nobody else it lets go all the same, and does not claim."""
        sim = self.cluster(*RANKS[:1])
        sim.drain("alpha")
        sim.run(2.0)
        self.assertEqual(sim.holders(), [])
        sim.drain("alpha", False)
        sim.run(I)
        self.assertEqual(sim.holders(), ["alpha"])

    def test_lastResort(self) -> None:
        """With C{last_resort = "keep"} it keeps the group while nobody else is there, and only then."""
        sim = self.cluster(*RANKS[:1], keepUnfit=True)
        sim.drain("alpha")
        sim.run(2.0)
        self.assertEqual(sim.transcript.changes[1:], [])
        sim.start("beta", 150)
        sim.run(1.0)
        self.assertEqual(sim.holders(), ["beta"])
        sim.kill("beta")
        sim.run(1.0)
        self.assertEqual(sim.holders(), ["alpha"])

    def test_others(self) -> None:
        """It can be known beforehand who would be left."""
        sim = self.cluster(*RANKS)

        def others(name: str) -> list[str]:
            node = sim.nodes[name]
            return node.machine.others(GROUP, node.now)

        self.assertEqual(others("alpha"), ["beta", "gamma"])
        self.assertEqual(others("gamma"), ["alpha", "beta"])
        sim.drain("beta")
        sim.run(I)
        self.assertEqual(others("alpha"), ["gamma"])
        sim.kill("gamma")
        sim.run(2 * T)
        self.assertEqual(others("alpha"), [])

    def test_restart(self) -> None:
        """A drained node that restarts is still drained."""
        sim = self.cluster(*RANKS)
        sim.drain("alpha")
        sim.run(0.1)
        sim.kill("alpha")
        sim.start("alpha", 200)
        sim.run(2.0)
        self.assertEqual(sim.holders(), ["beta"])

    def test_votes(self) -> None:
        """A drained node still votes: with its vote a holder has a majority."""
        sim = self.cluster(*RANKS, members=NAMES)
        sim.drain("alpha")
        sim.run(1.0)
        self.assertEqual(sim.holders(), ["beta"])
        sim.kill("gamma")
        sim.run(3.0)
        self.assertEqual(sim.holders(), ["beta"])
        self.assertEqual(self.drops(sim), ["alpha"])

    def test_moveToIt(self) -> None:
        """Nothing is moved to a drained node."""
        sim = self.cluster(*RANKS)
        sim.drain("beta")
        sim.run(0.1)
        self.assertEqual(
            self.refusal(sim, "alpha", "beta"),
            "beta cannot take g: drained (hatwist undrain ends it)",
        )

    def test_movedHolder(self) -> None:
        """Draining ends a move: the node does not get the group back afterwards."""
        sim = self.moved()
        sim.drain("beta")
        sim.run(0.1)
        sim.drain("beta", False)
        sim.run(2.0)
        self.assertEqual(sim.holders(), ["alpha"])


class SourcesTests(Moving):
    """Fitness has several sources."""

    def test_worst(self) -> None:
        """The worst verdict counts, with the reasons of all that say so; then the next worst."""
        sim = self.cluster(*RANKS)
        machine = sim.nodes["beta"].machine
        group = machine.elections[GROUP]
        machine.tell(Judged(GROUP, "checks", Fitness.DEGRADED, "slow"), 0.0)
        self.assertEqual(
            (group.me.verdicts.fitness, group.me.verdicts.reason), (Fitness.DEGRADED, "slow")
        )
        machine.tell(Judged(GROUP, "carrier", Fitness.UNFIT, "no carrier on eth0"), 0.0)
        machine.tell(Drained(True), 0.0)
        self.assertEqual(
            (group.me.verdicts.fitness, group.me.verdicts.reason),
            (Fitness.UNFIT, "no carrier on eth0; drained (hatwist undrain ends it)"),
        )
        machine.tell(Judged(GROUP, "carrier", Fitness.FIT, ""), 0.0)
        self.assertEqual(group.me.verdicts.reason, "drained (hatwist undrain ends it)")
        machine.tell(Drained(False), 0.0)
        self.assertEqual(
            (group.me.verdicts.fitness, group.me.verdicts.reason), (Fitness.DEGRADED, "slow")
        )
        machine.tell(Judged(GROUP, "checks", Fitness.FIT, ""), 0.0)
        self.assertEqual((group.me.verdicts.fitness, group.me.verdicts.reason), (Fitness.FIT, ""))
