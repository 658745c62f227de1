"""
Clusters that vote: the situations in which simpler rules had two holders, and for each rule a
proof that it is needed: without it, the same situation breaks the property.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from hatwist import election, holding, rules, votes
from hatwist.election import Election, Input
from hatwist.heartbeat import Grant, Role
from hatwist.testing import Simulation
from hatwist.testing.majority import run
from hatwist.testing.simulation import GROUP
from hatwist.worth import Fitness

NAMES = ("alpha", "beta", "gamma")
T, I = 0.35, 0.1  # noqa: E741


def cluster(count: int = 3, **more: Any) -> Simulation:
    """Three nodes that vote, alpha the worthiest, settled."""
    names = ("alpha", "beta", "gamma", "delta", "epsilon")[:count]
    sim = Simulation(seed=1, members=names, **more)
    for number, name in enumerate(names):
        sim.start(name, priority=200 - 10 * number)
    sim.run(1.0)
    assert sim.holders() == ["alpha"], sim.transcript
    return sim


class VoteTests(SynchronousTestCase):
    """What a cluster that votes does in each situation."""

    def test_majority(self) -> None:
        """A holder that loses its majority lets go before the majority has another one."""
        sim = cluster()
        sim.isolate("alpha")
        sim.run(T + I)
        self.assertEqual(sim.holders(), ["beta"])
        self.assertEqual(sim.overlap(), 0)
        self.assertLess(sim.darkness(0.9), I)

    def test_minority(self) -> None:
        """Without a majority nobody holds, for as long as that lasts."""
        sim = cluster()
        sim.isolate("alpha")
        sim.cut("beta", "gamma")
        sim.run(3.0)
        self.assertEqual(sim.holders(), [])
        sim.heal()
        sim.run(T + 2 * I)
        self.assertEqual(len(sim.holders()), 1)

    def test_darkToTheEnd(self) -> None:
        """Four nodes that ask at once settle on one: votes are withdrawn when a claim is given up."""
        for seed in range(20):
            sim = Simulation(seed=seed, members=("a", "b", "c", "d"))
            for name in ("a", "b", "c", "d"):
                sim.start(name, priority=100)
            sim.run(T + 6 * I)
            self.assertEqual(len(sim.holders()), 1, f"seed {seed}")

    def test_hearsayIsNoVote(self) -> None:
        """After a cut longer than a tolerance, being heard again is no vote."""
        sim = cluster()
        sim.isolate("alpha")
        sim.run(T + 4 * I)
        sim.heal()
        sim.run(1.0)
        self.assertEqual(sim.overlap(), 0)
        self.assertEqual(sim.holders(), ["alpha"])

    def test_minorityIsNotDeferredTo(self) -> None:
        """A worthier node that sees a minority only keeps nobody waiting."""
        sim = cluster(5)
        for other in ("beta", "gamma", "delta"):
            sim.cut("alpha", other)
        sim.run(T + 3 * I)
        self.assertEqual(sim.holders(), ["beta"])

    def test_voterComesBack(self) -> None:
        """A voter that was cut off confirms the sitting holder again, so that another may leave."""
        sim = cluster()
        sim.isolate("gamma")
        sim.run(1.0)
        sim.heal()
        sim.run(2 * I)
        sim.kill("beta")
        sim.run(2.0)
        self.assertEqual(sim.holders(), ["alpha"])
        self.assertEqual(len(sim.changes), 1)

    def test_voterRestarts(self) -> None:
        """One voter after the other restarts, and the holder stays: votes are remembered."""
        sim = cluster()
        for name in ("beta", "gamma"):
            sim.kill(name)
            sim.run(0.1)
            sim.start(name, priority=50)
            sim.run(1.0)
        self.assertEqual(sim.changes[1:], [])

    def test_deafCandidate(self) -> None:
        """A candidate that hears nobody does not keep the votes it once had."""
        sim = cluster()
        sim.cut("beta", "alpha", bothWays=False)
        sim.cut("gamma", "alpha", bothWays=False)
        sim.run(T + 4 * I)
        self.assertEqual(sim.holders(), ["beta"])
        self.assertEqual(sim.overlap(), 0)

    def test_goodbyeOvertaken(self) -> None:
        """A goodbye that an older packet follows still counts, and the older packet does not."""
        sim = cluster()
        sim.weather.late, sim.weather.lateness = 0.5, 0.04
        sim.stop("alpha")
        sim.run(0.5)
        self.assertEqual(sim.holders(), ["beta"])
        self.assertEqual(sim.overlap(), 0)

    def test_handover(self) -> None:
        """A handover takes a few packets' time, votes included."""
        sim = cluster()
        sim.kill("alpha")
        sim.run(1.0)
        sim.start("alpha", priority=200)
        began = sim.now
        sim.run(2.0)
        self.assertEqual(sim.holders(), ["alpha"])
        self.assertLess(sim.darkness(began), 0.010)

    def test_diskFull(self) -> None:
        """A node that cannot remember asks for no votes and gives none, and the others go on."""
        sim = Simulation(seed=1, members=NAMES)
        sim._persist = lambda node, effect: None  # type: ignore[method-assign]
        for name in NAMES:
            sim.start(name)
        sim.run(3.0)
        self.assertEqual(sim.holders(), [])

    def test_spuriousGuard(self) -> None:
        """A guard that fires while its daemon lives: the daemon begins anew, and no second holder shows."""
        sim = cluster()
        sim.fire("alpha")
        sim.run(0.02)
        self.assertEqual(sim.holders(), ["beta"])
        sim.run(2.0)
        self.assertEqual(sim.overlap(), 0)
        self.assertEqual(sim.holders(), ["alpha"])

    def test_frozenHolder(self) -> None:
        """A frozen holder's guard lets go before others take over; thawed, it is STANDBY first."""
        sim = cluster()
        sim.freeze("alpha")
        sim.run(5.0)
        self.assertEqual(sim.holders(), ["beta"])
        sim.thaw("alpha")
        self.assertEqual(sim.role("alpha"), Role.STANDBY)
        sim.run(2.0)
        self.assertEqual(sim.overlap(), 0)

    def test_schedules(self) -> None:
        """Under random faults of every kind there are never two holders, and terms always rise."""
        for seed in range(150):
            violations, _ = run(seed, wire=seed % 10 == 0)
            self.assertEqual(violations, [])


class NeededTests(SynchronousTestCase):
    """Each rule is needed: without it, there are two holders, or one term is held twice."""

    def broken(self, situation: Callable[[], Simulation]) -> Simulation:
        """The situation is harmless with all rules; returns what happens without the one patched out."""
        sim = situation()
        self.assertGreater(sim.overlap(), 0, "the rule is not needed here")
        return sim

    def test_13_onlyVotesCount(self) -> None:
        """Being heard by a majority is no vote: counting it makes two holders."""

        def situation() -> Simulation:
            sim = cluster()
            sim.isolate("alpha")
            sim.run(T + I)
            sim.heal()
            sim.run(0.5)
            return sim

        self.assertEqual(situation().overlap(), 0)

        def heard(
            view: Any, group: str, quorum: Any, claim: Any, sent: Any, now: float
        ) -> float:
            count = sum(peer.alive(now) for peer in view) + 1
            return now if count >= quorum.needed else -inf

        self.patch(election, "confirmed", heard)
        found = 0.0
        for seed in range(60):
            found += sum("two holders" in v.what for v in run(seed)[0])
        self.assertGreater(found, 0)

    def test_14_termsRise(self) -> None:
        """Without asking for a term above all promised ones, one term is held twice."""
        voter = votes.Voter(GROUP, rules.Quorum(frozenset(NAMES), 2), votes.Record(9), T, 0.0)
        sim = cluster()
        peer = sim.nodes["beta"].machine.view.peers["alpha"]
        self.assertFalse(voter._mayHave(peer, 9, 64))
        self.assertTrue(voter._mayHave(peer, 10, 64))
        self.assertFalse(voter._mayHave(peer, 65, 64))
        voter.last = Grant("alpha", peer.session, 9, 1)
        self.assertTrue(voter._mayHave(peer, 9, 64))

        def held() -> list[int]:
            """A holder's claim is forgotten by all who promised it, and a new one has its term."""
            sim = cluster()
            terms = [sim.nodes["alpha"].machine.elections[GROUP].highest]
            watch = lambda kind, node, what: kind == "hold" and terms.append(what.term)  # noqa: E731
            sim.watchers.append(watch)
            sim.run(0.05)  # no packet is under way
            sim.kill("alpha")
            for name in ("beta", "gamma"):
                sim.nodes[name].machine.elections[GROUP].highest = 0
                sim.nodes[name].machine.view._terms.clear()
            sim.run(3.0)
            return terms

        self.assertEqual(len(held()), len(set(held())))
        self.patch(votes.Voter, "_mayHave", lambda self, peer, term, reserved: True)
        self.assertNotEqual(len(held()), len(set(held())))

    def rivals(self, seed: int) -> Simulation:
        """Two nodes that cannot hear each other ask for the vote of the third, one just after the other."""
        sim = Simulation(seed=seed, members=NAMES)
        sim.start("alpha")
        sim.start("beta")
        sim.run(0.0004)
        sim.start("gamma")
        sim.cut("beta", "gamma")
        sim.fitness("alpha", Fitness.UNFIT)
        sim.run(0.3)
        sim.nodes["gamma"].machine.elections[GROUP].highest += 5  # it asked before, unheard
        sim.run(1.0)
        return sim

    def test_15_exclusive(self) -> None:
        """A voter that gives its vote to another before a tolerance has passed makes two holders."""
        seeds = range(20)
        self.assertEqual(sum(self.rivals(seed).overlap() for seed in seeds), 0)
        good = votes.Voter.decide

        def fickle(self: Any, view: Any, *more: Any) -> bool:
            for peer in view:
                claim = peer.state(GROUP).claim
                if claim is not None and claim.term > self.promised:
                    self.grant = None
            return good(self, view, *more)

        self.patch(votes.Voter, "decide", fickle)
        self.assertGreater(sum(self.rivals(seed).overlap() for seed in seeds), 0)

    def restarted(self) -> Simulation:
        """Isolate beta; then heal it with gamma, cut alpha from gamma and restart gamma, all at once."""
        sim = cluster()
        sim.isolate("beta")
        sim.run(2 * T)
        sim.heal()
        sim.cut("alpha", "gamma")
        sim.cut("alpha", "beta")
        sim.kill("gamma")
        sim.start("gamma", priority=50)
        sim.run(3 * T)
        return sim

    def test_15_silenceAfterRestart(self) -> None:
        """A voter that votes at once after a restart has forgotten what it promised: two holders."""
        self.assertEqual(self.restarted().overlap(), 0)
        good = votes.Voter.decide

        def hasty(self: Any, *args: Any) -> bool:
            self.silentUntil = -inf
            self.promised = 0
            return good(self, *args)

        self.patch(votes.Voter, "decide", hasty)
        self.broken(self.restarted)

    def frozen(self) -> Simulation:
        """A holder is cut off, and freezes shortly before its lease ends."""
        sim = cluster()
        sim.isolate("alpha")
        sim.run(0.25)
        sim.freeze("alpha")
        sim.run(1.0)
        return sim

    def test_17_confirmedNotNow(self) -> None:
        """A guard that counts from the pet and not from the confirmed heartbeat lets go too late."""
        self.assertEqual(self.frozen().overlap(), 0)
        self.patch(holding.Holder, "lease", lambda self, now: now + self.timing.hold)
        self.broken(self.frozen)

    def fired(self) -> Simulation:
        """The guard fires while the daemon lives; a keeper that does not know adds the address again."""
        sim = cluster()
        sim.fire("alpha")
        sim.run(1.0)
        return sim

    def test_18_firingIsFinal(self) -> None:
        """A daemon that goes on after its guard has fired, and adds the address again, is a second holder."""
        self.assertEqual(self.fired().overlap(), 0)

        def unaware(sim: Simulation, node: Any) -> None:
            if node.fenced and not node.held:
                node.fenced = False
                sim._hold(node, True)

        self.patch(Simulation, "_wake", unaware)
        self.broken(self.fired)

    def slow(self) -> Simulation:
        """What is held takes 60 ms to let go of, and the guard cannot do it."""
        sim = Simulation(seed=1, members=NAMES, guarded=False)
        sim.release = 0.065
        for number, name in enumerate(NAMES):
            sim.start(name, priority=200 - number).releaseTime = 0.060
        sim.run(1.0)
        sim.isolate("alpha")
        sim.run(1.0)
        return sim

    def test_holdIncludesTheRelease(self) -> None:
        """A lease that leaves no time for the release ends too late."""
        self.assertEqual(self.slow().overlap(), 0)
        self.patch(rules.Timing, "releaseTime", property(lambda self: 0.0))
        self.broken(self.slow)


class ArithmeticTests(SynchronousTestCase):
    """The figures that the guarantee rests on are computed, never typed."""

    def test_hold(self) -> None:
        """hold/(1-e) + release + lateness stays below tolerance/(1+e), and the known cases come out."""
        for interval, tolerance, release, hold, survives in (
            (1.0, 3.5, None, 3.40, 2),
            (0.1, 0.35, None, 0.333, 2),
            (0.1, 0.35, 0.200, 0.140, 0),
            (0.01, 0.035, None, 0.0294, 1),
            (0.01, 0.045, None, 0.0392, 2),
        ):
            timing = rules.Timing(interval, tolerance, release)
            self.assertApproximates(timing.hold, hold, 0.004 * tolerance + 0.001)
            self.assertLessEqual(
                timing.hold / 0.99 + timing.releaseTime + timing.lateness, tolerance / 1.01 + 1e-9
            )
            self.assertEqual(timing.survives(), survives, (interval, tolerance))

    def test_asks(self) -> None:
        """Only a cluster that votes ever asks."""
        self.assertIs(
            Election("c", rules.GroupRules("g"), rules.Timing(I, T), (1, "a"), 0.0).voter, None
        )
        self.assertIn(Input.ASK, election.TABLE[election.State.STANDBY])
