"""
Clusters that vote: the situations in which simpler rules had two holders, and for each rule a
proof that it is needed: without it, the same situation breaks the property.
"""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from math import inf
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from hatwist.core.claims import Grant, Role
from hatwist.core.electorate import Quorum
from hatwist.core.states import TABLE, Input, State
from hatwist.core.worth import Fitness
from hatwist.protocols.native import confirmations, rules, votes
from hatwist.protocols.native.election import Election
from hatwist.protocols.native.heartbeat import Heartbeat
from hatwist.protocols.native.peer import Peer
from hatwist.protocols.native.words import heardOf
from hatwist.testing import Simulation
from hatwist.testing.__main__ import judge
from hatwist.testing.host import GROUP, SimulatedHost

NAMES = ("alpha", "beta", "gamma")
T, I = 0.35, 0.1  # noqa: E741
SCHEDULES, SLICE = 300, 20
LIMIT = 60.0
"""Seconds after which no further slice of schedules is begun, on a slow or busy machine."""


def cluster(count: int = 3, **more: Any) -> Simulation:
    """Three nodes that vote, alpha the worthiest, settled."""
    names = ("alpha", "beta", "gamma", "delta", "epsilon")[:count]
    sim = Simulation(seed=1, members=names, **more)
    for number, name in enumerate(names):
        sim.start(name, priority=200 - 10 * number)
    sim.run(1.0)
    assert sim.holders() == ["alpha"], sim.transcript.moments
    return sim


def termsOf(sim: Simulation) -> list[int]:
    """The terms of all claims that are held from now on, in order."""
    terms: list[int] = []
    sim.transcript.watchers.append(
        lambda kind, node, what: terms.append(what.term) if kind == "hold" else None
    )
    return terms


def intercept(sim: Simulation, source: str, target: str) -> list[Heartbeat]:
    """What one node sends to another from now on, none of which arrives."""
    caught: list[Heartbeat] = []

    def travels(one: str, other: str, beat: Heartbeat) -> bool:
        if (one, other) != (source, target):
            return True
        caught.append(beat)
        return False

    sim.lan.filters.append(travels)
    return caught


def voteOf(beat: Heartbeat) -> Grant | None:
    return beat.groups[0].grant


def asks(sim: Simulation, name: str) -> bool:
    return sim.role(name) is Role.ASKING


class VoteTests(SynchronousTestCase):
    """What a cluster that votes does in each situation."""

    def test_majority(self) -> None:
        """A holder that loses its majority lets go before the majority has another one."""
        sim = cluster()
        sim.isolate("alpha")
        sim.run(T + I)
        self.assertEqual(sim.holders(), ["beta"])
        self.assertEqual(sim.transcript.overlap(), 0)
        self.assertLess(sim.transcript.darkness(0.9), I)

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
        self.assertEqual(sim.transcript.overlap(), 0)
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
        self.assertEqual(len(sim.transcript.changes), 1)

    def test_voterRestarts(self) -> None:
        """One voter after the other restarts, and the holder stays: votes are remembered."""
        sim = cluster()
        for name in ("beta", "gamma"):
            sim.kill(name)
            sim.run(0.1)
            sim.start(name, priority=50)
            sim.run(1.0)
        self.assertEqual(sim.transcript.changes[1:], [])

    def test_deafCandidate(self) -> None:
        """A candidate that hears nobody does not keep the votes it once had."""
        sim = cluster()
        sim.cut("beta", "alpha", bothWays=False)
        sim.cut("gamma", "alpha", bothWays=False)
        sim.run(T + 4 * I)
        self.assertEqual(sim.holders(), ["beta"])
        self.assertEqual(sim.transcript.overlap(), 0)

    def test_askerIsDeferredTo(self) -> None:
        """
        Who learns from a third node that a worthier one asks for votes does not ask for itself: that would name a
        higher term, and the vote that the worthier one needs could not be given any more.
        """
        names = ("alpha", "beta", "gamma", "delta")
        sim = Simulation(seed=1, members=names)
        for name, priority in zip(names, (200, 190, 100, 180), strict=True):
            sim.start(name, priority=priority, rate=1.005 if name == "delta" else 1.0)
        sim.run(1.0)
        lost: list[Heartbeat] = []

        def travels(one: str, other: str, beat: Heartbeat) -> bool:
            if (one, other) != ("beta", "delta") or beat.groups[0].role is not Role.ASKING or lost:
                return True
            lost.append(beat)
            return False

        sim.lan.filters.append(travels)
        sim.kill("alpha")
        rivals = []
        sim.runUntil(
            lambda: rivals.append(asks(sim, "delta")) or sim.holders() == ["beta"],  # type: ignore[func-returns-value]
            T + 2 * I,
        )
        self.assertEqual((len(lost), any(rivals)), (1, False), sim.transcript)
        self.assertEqual(sim.holders(), ["beta"])

    def test_goodbyeOvertaken(self) -> None:
        """A goodbye counts, though an older ACTIVE arrives after it, and later word of that ACTIVE."""
        sim = cluster()
        sim.run(0.05)
        own, told = intercept(sim, "alpha", "beta"), intercept(sim, "gamma", "beta")
        sim.run(0.11)
        self.assertEqual(own[-1].groups[0].role, Role.ACTIVE)
        relayed = {
            g.role for heard in told[-1].heard if heard.name == "alpha" for g in heard.groups
        }
        self.assertEqual(relayed, {Role.ACTIVE})
        sim.lan.filters.clear()
        sim.stop("alpha")
        sim.run(0.02)
        self.assertEqual(sim.holders(), ["beta"])
        changes = len(sim.transcript.changes)
        for source, beats in (("alpha", own), ("gamma", told)):
            for beat in beats:
                sim.nodes["beta"].arrive(sim.nodes[source], 0, sim.codec.seal(beat))
        sim.run(2.0)
        self.assertEqual(len(sim.transcript.changes), changes, sim.transcript.moments)
        self.assertEqual(sim.transcript.overlap(), 0)

    def test_goodbyeNeverArrives(self) -> None:
        """A goodbye of which only relayed older word arrives delays the successor by a tolerance at most."""
        sim = cluster()
        intercept(sim, "alpha", "beta")
        intercept(sim, "alpha", "gamma")
        sim.stop("alpha")
        sim.run(T + 3 * I)
        self.assertEqual(sim.holders(), ["beta"])
        self.assertEqual(sim.transcript.overlap(), 0)

    def late(self) -> tuple[Simulation, list[int]]:
        """
        Gamma's vote for a claim that beta has given up meanwhile arrives when beta asks again; alpha, which
        beta cannot hear, holds by gamma's vote, and beta's new claim has the very term of alpha's.
        """
        sim = Simulation(seed=1, members=NAMES)
        for number, name in enumerate(NAMES):
            sim.start(name, priority=200 - 10 * number)
        sim.fitness("gamma", Fitness.UNFIT)
        sim.run(1.0)
        terms = termsOf(sim)
        sim.cut("alpha", "beta")
        sim.run(2 * T)  # so that alpha names no successor, and waits for none
        sim.isolate("alpha")
        sim.runUntil(lambda: asks(sim, "beta"), 2 * T)
        caught = intercept(sim, "gamma", "beta")
        sim.run(0.8 * I)
        sim.lan.blocked -= {("alpha", "gamma"), ("gamma", "alpha")}
        sim.runUntil(lambda: not asks(sim, "beta"), I)
        sim.runUntil(lambda: asks(sim, "beta") and sim.holders() == ["alpha"], 2 * I)
        claim = sim.nodes["beta"].machine.elections[GROUP].standing.claim
        assert claim is not None
        self.assertEqual(terms, [claim.term])
        vote = next(beat for beat in caught if (grant := voteOf(beat)) and grant.name == "beta")
        sim.nodes["beta"].arrive(sim.nodes["gamma"], 0, sim.codec.seal(vote))
        sim.run(2 * T)
        sim.lan.filters.clear()
        sim.heal()
        sim.run(1.0)
        return sim, terms

    def test_lateGrant(self) -> None:
        """A vote that arrives late counts for the term that it names, not for the next attempt's."""
        sim, terms = self.late()
        self.assertEqual(sim.transcript.overlap(), 0)
        self.assertEqual(terms, sorted(set(terms)))
        self.assertEqual(sim.holders(), ["alpha"])

    def test_handover(self) -> None:
        """A handover takes a few packets' time, votes included."""
        sim = cluster()
        sim.kill("alpha")
        sim.run(1.0)
        sim.start("alpha", priority=200)
        began = sim.now
        sim.run(2.0)
        self.assertEqual(sim.holders(), ["alpha"])
        self.assertLess(sim.transcript.darkness(began), 0.010)

    def test_diskFull(self) -> None:
        """A node that cannot remember asks for no votes and gives none, and the others go on."""
        sim = Simulation(seed=1, members=NAMES)
        for name in NAMES:
            sim.start(name).disk.refusing = True
        sim.run(3.0)
        self.assertEqual(sim.holders(), [])

    def test_spuriousGuard(self) -> None:
        """A guard that fires while its daemon lives: the daemon begins anew, and no second holder shows."""
        sim = cluster()
        sim.fire("alpha")
        sim.run(0.02)
        self.assertEqual(sim.holders(), ["beta"])
        sim.run(2.0)
        self.assertEqual(sim.transcript.overlap(), 0)
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
        self.assertEqual(sim.transcript.overlap(), 0)

    def test_schedules(self) -> None:
        """
        Under random cuts, losses, delays, freezes, restarts, spurious firing of guards, slow and failing acquires,
        and clocks 1 % apart, there are never two holders, terms always rise, and a majority gets a holder.

        make simulate runs 20,000.
        """
        slices = [range(start, start + SLICE) for start in range(0, SCHEDULES, SLICE)]
        context = multiprocessing.get_context("fork")
        until = time.monotonic() + LIMIT
        found, done = [], 0
        with ProcessPoolExecutor(2, mp_context=context) as pool:
            for two in zip(slices[::2], [*slices[1::2], range(0)], strict=True):
                for part in pool.map(partial(judge, kind="majority"), two):
                    found += part
                done += sum(map(len, two))
                if time.monotonic() > until:
                    break
        lines = [f"seed {v.seed} at {v.at:.4f} s: {v.what}" for v in found]
        self.assertEqual(lines, [], "\n".join(lines))
        self.assertGreaterEqual(done, 2 * SLICE)


class NeededTests(SynchronousTestCase):
    """Each rule is needed: without it, there are two holders, or one term is held twice."""

    def broken(self, situation: Callable[[], Simulation]) -> Simulation:
        """The situation is harmless with all rules; returns what happens without the one patched out."""
        sim = situation()
        self.assertGreater(sim.transcript.overlap(), 0, "the rule is not needed here")
        return sim

    def test_schedulesNotice(self) -> None:
        """The random schedules find two holders where votes are not asked for, and one term held twice."""
        good = votes.Majority.confirmed
        self.patch(votes.Majority, "confirmed", lambda self, now: now)
        found = [violation.what for violation in judge(range(40, 70, 29), "majority")]
        self.assertTrue(any("two holders" in what for what in found), found)
        self.assertTrue(any("do not rise" in what for what in found), found)
        self.patch(votes.Majority, "confirmed", good)
        self.patch(votes.Voter, "decide", lambda *args: False)
        found = [violation.what for violation in judge(range(1), "majority")]
        self.assertTrue(any("no holder although" in what for what in found), found)

    def cutOff(self) -> Simulation:
        """The holder is cut off for longer than a tolerance."""
        sim = cluster()
        sim.isolate("alpha")
        sim.run(T + 3 * I)
        sim.heal()
        sim.run(1.0)
        return sim

    def confirmedAt(self, time: Callable[[Peer], float]) -> None:
        """What a voter confirms is no longer when the packet left that it received."""

        def kth(self: Any, votes: Any) -> float:
            times = sorted([time(self._peers[name]) for name in votes[0]], reverse=True)
            return times[votes[1] - 1] if len(times) >= votes[1] else -inf

        self.patch(confirmations.Confirmations, "_time", kth)

    def test_13_onlyVotesCount(self) -> None:
        """A holder that takes "a majority is alive and hears me" for votes stays when others have them."""
        self.assertEqual(self.cutOff().transcript.overlap(), 0)

        def heard(others: Any, quorum: Any, claim: Any) -> frozenset[str]:
            return frozenset([peer.name for peer in others if others.twoWay(peer)])

        self.patch(votes, "voters", heard)
        self.confirmedAt(lambda peer: peer.lastListed.at + T)
        self.assertGreater(self.broken(self.cutOff).transcript.overlap(), I)

    def test_13_forThisClaim(self) -> None:
        """A vote that counts for any claim of its node makes two holders, of one term even."""

        def anyTerm(others: Any, quorum: Any, claim: Any) -> frozenset[str]:
            said = [(peer.name, others.said(peer)) for peer in others]
            return frozenset([n for n, s in said if s and s.grant and s.grant[:2] == claim[:2]])

        self.patch(votes, "voters", anyTerm)
        sim, terms = VoteTests.late(self)  # type: ignore[arg-type]
        self.assertGreater(sim.transcript.overlap(), 0)
        self.assertNotEqual(terms, sorted(set(terms)))

    def mute(self) -> Simulation:
        """The holder hears all others, and none of them hears it."""
        sim = cluster()
        for other in ("beta", "gamma"):
            sim.cut("alpha", other, bothWays=False)
        sim.run(1.0)
        return sim

    def test_13_fromSending(self) -> None:
        """A lease that runs from the arrival of votes, not from the sending of what they name, is too long."""
        self.assertEqual(self.mute().transcript.overlap(), 0)

        self.confirmedAt(lambda peer: peer.directAt)
        self.broken(self.mute)

    def held(self) -> list[int]:
        """A holder's claim is forgotten by all who promised it; returns the terms held before and after."""
        sim = cluster()
        terms = termsOf(sim)
        first = sim.nodes["alpha"].machine.elections[GROUP].terms.highest
        sim.run(0.05)  # no packet is under way
        sim.kill("alpha")
        for name in ("beta", "gamma"):
            sim.nodes[name].machine.elections[GROUP].terms.highest = 0
            sim.nodes[name].machine.view._terms.clear()
        sim.run(3.0)
        return [first, *terms]

    def test_14_termsRise(self) -> None:
        """A voter that votes for a term not above all it ever promised lets one term be held twice."""
        terms = self.held()
        self.assertEqual((len(terms), len(set(terms))), (2, 2), terms)
        self.patch(votes.Voter, "_mayHave", lambda self, peer, term, reserved: True)
        terms = self.held()
        self.assertLess(len(set(terms)), len(terms))

    def forgotten(self, disk: bool) -> list[int]:
        """Beta knows nothing of alpha's claim; gamma, which voted for it, is switched off and on again."""
        sim = Simulation(seed=1, members=NAMES)
        terms = termsOf(sim)
        sim.start("alpha", priority=200)
        sim.start("gamma", priority=50)
        sim.run(1.0)
        assert sim.holders() == ["alpha"]
        sim.kill("alpha")
        sim.kill("gamma")
        if not disk:
            sim.nodes["gamma"].disk.records.clear()
        sim.start("gamma", priority=50)
        sim.start("beta", priority=100)
        sim.run(2.0)
        assert len(sim.holders()) == 1
        return terms

    def test_14_onDisk(self) -> None:
        """A voter that forgets what it promised when it is switched off lets one term be held twice."""
        terms = self.forgotten(disk=True)
        self.assertEqual((len(terms), terms), (2, sorted(set(terms))))
        terms = self.forgotten(disk=False)
        self.assertEqual(terms, [terms[0]] * 2)

    def rivals(self, seed: int) -> Simulation:
        """Two nodes that cannot hear each other ask for the vote of the third, one just after the other."""
        sim = Simulation(seed=seed, members=NAMES)
        sim.start("alpha")
        sim.start("beta")
        sim.run(0.001)
        sim.start("gamma")
        sim.cut("beta", "gamma")
        sim.fitness("alpha", Fitness.UNFIT)
        sim.run(0.3)
        sim.nodes["gamma"].machine.elections[GROUP].terms.highest += 5  # it asked before, unheard
        sim.run(1.0)
        return sim

    def test_15_exclusive(self) -> None:
        """A voter that gives its vote to a second claim before a tolerance has passed makes two holders."""
        seeds = range(5)
        self.assertEqual([self.rivals(seed).transcript.overlap() for seed in seeds], [0] * 5)
        good = votes.Voter.decide

        def fickle(self: Any, others: Any, *more: Any) -> bool:
            for peer in others:
                claim = peer.state(GROUP).claim
                if claim is not None and claim.term > self.promised:
                    self.grant = self.last = None
            return good(self, others, *more)

        self.patch(votes.Voter, "decide", fickle)
        overlaps = [self.rivals(seed).transcript.overlap() for seed in seeds]
        self.assertGreater(sum(overlaps), 0)

    def test_15_wholeTolerance(self) -> None:
        """A vote that lapses earlier than a tolerance after the claim's last packet makes two holders."""

        def lost() -> Simulation:
            """Alpha holds and hears beta's votes; beta and gamma hear nothing of alpha any more."""
            sim = cluster()
            sim.fitness("gamma", Fitness.UNFIT)
            sim.run(0.5)
            for other in ("beta", "gamma"):
                sim.cut("alpha", other)
            for name in ("beta", "gamma"):  # they forget that it holds
                machine = sim.nodes[name].machine
                machine.agenda.touchAll()
                alpha = machine.view.peers["alpha"]
                alpha.words.put(GROUP, heardOf(None), 0.0)
                majority = machine.elections[GROUP].arbiter
                assert isinstance(majority, votes.Majority)
                majority.voter._seq = alpha.seq  # which is no word of alpha's
            sim.run(1.0)
            return sim

        self.assertEqual(lost().transcript.overlap(), 0)
        self.patch(votes.Voter, "_term", lambda self, peer: T / 4)
        self.broken(lost)

    def test_15_votesAreWithdrawn(self) -> None:
        """Where packets are lost two may ask at once: votes that do not end with the claim keep all dark."""

        def dark() -> float:
            total = 0.0
            for seed in range(10):
                sim = Simulation(seed=seed, members=("a", "b", "c", "d", "e"))
                sim.lan.weather.loss = 0.4
                for name in ("a", "b", "c", "d"):
                    sim.start(name, priority=100)
                sim.run(10 * T)
                total += sim.transcript.darkness()
            return total

        def lasting(self: votes.Voter, view: Any, turn: Any) -> None:
            self.settle()
            if turn.now >= self.until:
                self.grant = None

        settled = dark()
        self.patch(votes.Voter, "_keep", lasting)
        self.assertGreater(dark(), 2 * settled)

    def restarted(self) -> Simulation:
        """Isolate beta; then heal it with gamma, cut alpha off and restart gamma, all at once."""
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
        """A voter that votes at once after a restart may have promised otherwise before: two holders."""
        self.assertEqual(self.restarted().transcript.overlap(), 0)
        good = votes.Voter.decide

        def hasty(self: Any, *args: Any) -> bool:
            self.silentUntil = -inf
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
        self.assertEqual(self.frozen().transcript.overlap(), 0)
        self.patch(votes.Majority, "confirmed", lambda self, now: now)
        self.broken(self.frozen)

    def fired(self) -> Simulation:
        """The guard fires while the daemon lives; a keeper that does not know adds the address again."""
        sim = cluster()
        sim.fire("alpha")
        sim.run(1.0)
        return sim

    def test_18_firingIsFinal(self) -> None:
        """A daemon that goes on after its guard has fired, and adds the address again, is a second holder."""
        self.assertEqual(self.fired().transcript.overlap(), 0)

        def unaware(node: Any) -> None:
            if node.fenced and not node.held:
                node.fenced = False
                node.setHeld(True)

        self.patch(SimulatedHost, "_wake", unaware)
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
        self.assertEqual(self.slow().transcript.overlap(), 0)
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
        alone = Election("c", rules.GroupRules("g"), rules.Timing(I, T), (1, "a"), 0.0).arbiter
        self.assertIs(alone.first, Input.CLAIM)
        quorum = Quorum(frozenset("abc"), 2)
        voting = Election("c", rules.GroupRules("g"), rules.Timing(I, T), (1, "a"), 0.0, quorum)
        self.assertIs(voting.arbiter.first, Input.ASK)
        self.assertIn(Input.ASK, TABLE[State.STANDBY])
