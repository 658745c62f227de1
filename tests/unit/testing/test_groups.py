"""Clusters of many groups under random faults, and proof that the judge of such schedules can fail."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from hatwist.core.effects import Hold
from hatwist.core.obstacles import Obstacle
from hatwist.core.standing import Decision
from hatwist.core.states import Input
from hatwist.core.worth import Fitness
from hatwist.protocols.native.candidacy import Candidacy
from hatwist.protocols.native.conflict import Conflict
from hatwist.protocols.native.datagram import Range
from hatwist.protocols.native.election import Election
from hatwist.protocols.native.evidence import Evidence
from hatwist.protocols.native.machine import NativeMachine
from hatwist.protocols.native.moveorders import MoveOrder
from hatwist.protocols.native.rules import GroupRules
from hatwist.protocols.native.state.ledger import Ledger
from hatwist.protocols.native.votes import Majority
from hatwist.testing import Simulation, groups
from hatwist.testing.__main__ import judge
from hatwist.testing.groupsjudge import GroupsJudge
from hatwist.testing.words import heard, hears, saying, unknown
from tests.once import once

I, T = 0.1, 0.35  # noqa: E741
SCHEDULES, SLICE = 16, 4
NAMES = ("alpha", "beta", "gamma")


@once
class ScheduleTests(SynchronousTestCase):
    """What every such schedule must keep."""

    def assertKept(self, kind: str) -> None:
        slices = [range(start, start + SLICE) for start in range(0, SCHEDULES, SLICE)]
        context = multiprocessing.get_context("fork")
        with ProcessPoolExecutor(2, mp_context=context) as pool:
            found = [v for part in pool.map(partial(judge, kind=kind), slices) for v in part]
        lines = [f"{kind} seed {v.seed} at {v.at:.4f} s: {v.what}" for v in found]
        self.assertEqual(lines, [], "\n".join(lines))

    def test_groups(self) -> None:
        """Without votes: no two hold a group that hear each other, and each is held again once faults have ended."""
        self.assertKept("groups")

    def test_groupsMajority(self) -> None:
        """With votes: no two hold a group at any time, and each is held again once faults have ended."""
        self.assertKept("groups-majority")


def begin(votes: bool) -> tuple[Simulation, GroupsJudge]:
    """Two groups: alpha holds g0, beta g1. There are no guards."""
    sim = Simulation(seed=1, members=NAMES if votes else (), guarded=False)
    found = GroupsJudge(sim, 1)
    for number, name in enumerate(NAMES):
        worths = {"g0": 200 - number, "g1": 200 if number == 1 else 100 - number}
        sim.start(name, groups=[GroupRules(group, worth) for group, worth in worths.items()])
    sim.run(2.0)
    assert (sim.holders("g0"), sim.holders("g1")) == (["alpha"], ["beta"])
    return sim, found


def end(sim: Simulation, found: GroupsJudge, *configured: str) -> GroupsJudge:
    found.settled(configured or ("g0", "g1"), 2 * T + I, 2 * T, 0.05)
    return found


def healed(votes: bool = False) -> GroupsJudge:
    """alpha was alone for a while."""
    sim, found = begin(votes)
    sim.isolate("alpha")
    sim.run(1.0)
    sim.heal()
    return end(sim, found)


def restarted(votes: bool = False) -> GroupsJudge:
    """alpha was without power for a while."""
    sim, found = begin(votes)
    sim.kill("alpha")
    sim.run(1.0)
    sim.start("alpha", groups=sim.files["alpha"])
    return end(sim, found)


def removed(votes: bool = False) -> GroupsJudge:
    """g0 goes from one node after the other."""
    sim, found = begin(votes)
    for name in NAMES:
        sim.reload(name, [rules for rules in sim.files[name] if rules.name == "g1"])
        sim.run(I)
    return end(sim, found, "g1")


def changed(votes: bool = False) -> GroupsJudge:
    """A check of g0 fails on gamma, a standby."""
    sim, found = begin(votes)
    sim.fitness("gamma", Fitness.UNFIT, "a check", "g0")
    sim.run(2 * I)
    return end(sim, found)


class JudgeTests(SynchronousTestCase):
    """
    Each property is noticed when the rule that keeps it is taken away.

    The same story is told twice: with all rules nothing is found; without one, just this.
    """

    def assertNoticed(
        self,
        story: Callable[[], GroupsJudge],
        what: str,
        owner: object,
        name: str,
        without: object,
    ) -> None:
        self.assertEqual(story().violations, [])
        self.patch(owner, name, without)
        found = [violation.what for violation in story().violations]
        self.assertTrue(any(what in line for line in found), f"{what!r} not in {found}")

    def test_conflict(self) -> None:
        """Two holders that have heard each other."""
        what = "g0: alpha and beta hold it, and have heard each other"
        self.assertNoticed(healed, what, Conflict, "decide", lambda *_: None)

    def test_twoInTheEnd(self) -> None:
        """Two holders after the faults have ended."""
        what = "g0: in the end ['alpha', 'beta'] held it"
        self.assertNoticed(healed, what, Conflict, "decide", lambda *_: None)

    def test_twoWithVotes(self) -> None:
        """With votes, two holders at any time: one does not let go when its votes are old."""
        what, story = "g0: alpha and beta hold it", partial(healed, True)
        self.assertNoticed(story, what, Majority, "lapsed", lambda *_: None)

    def test_terms(self) -> None:
        """With votes, a claim with a term that is not greater than those before it."""
        sim, found = begin(votes=True)
        sim.transcript.tell("hold", sim.nodes["beta"], Hold("g0", 1))
        what = [violation.what for violation in found.violations]
        self.assertEqual(what, ["g0: beta claimed with term 1 after 1"])

    def test_nobody(self) -> None:
        """Nobody holds a group in the end; of the other one nothing is said."""
        settled = Candidacy._vacancy

        def once(self: Candidacy, *more: Any) -> Decision | Obstacle:
            waits = self._terms.highest and self._me.rules.name == "g0"
            return Obstacle.SUCCESSOR if waits else settled(self, *more)

        what = "g0: in the end nobody held it"
        self.assertNoticed(restarted, what, Candidacy, "_vacancy", once)
        self.assertEqual({v.what[:2] for v in restarted().violations}, {"g0"})

    def test_liveHolder(self) -> None:
        """A claim while a holder is heard."""
        what = "and had heard the holder"
        self.assertNoticed(restarted, what, Evidence, "blocks", lambda *_: False)

    def test_stoodStill(self) -> None:
        """A holder that stood still for longer than others wait, and goes on where nobody else holds yet."""

        def thawed() -> GroupsJudge:
            sim, found = begin(votes=False)
            sim.freeze("alpha")
            sim.run(2 * T)
            sim.thaw("alpha")
            sim.run(1.0)
            return end(sim, found)

        what = "g0: alpha stood still for 0.7000 s, and holds it"
        self.assertNoticed(thawed, what, Election, "stalled", lambda *_: None)

    def test_moves(self) -> None:
        """A move that nothing comes of."""
        self.patch(MoveOrder, "handover", lambda *_: None)
        found = [violation.what for violation in judge(range(6), "groups")]
        self.assertTrue(any("held it after a move to" in line for line in found), found)

    def test_keptThoughRemoved(self) -> None:
        """A group that is not let go of when it is no longer configured."""
        settled = Election.input

        def deaf(self: Election, what: Input, *more: Any) -> None:
            if what is not Input.STOP:
                settled(self, what, *more)

        what = "g0: alpha is configured without it, and holds it"
        self.assertNoticed(removed, what, Election, "input", deaf)

    def test_claimedThoughRemoved(self) -> None:
        """A node that claims what it is not configured with any more."""
        settled = Election.input

        def deaf(self: Election, what: Input, *more: Any) -> None:
            if what is not Input.STOP or self.me.name == "alpha":
                settled(self, what, *more)

        self.assertEqual(removed().violations, [])
        self.patch(Election, "input", deaf)
        sim, found = begin(votes=False)
        sim.reload("beta", [rules for rules in sim.files["beta"] if rules.name == "g1"])
        sim.kill("alpha")
        sim.run(1.0)
        what = [violation.what for violation in found.violations]
        self.assertIn("g0: beta claimed, and is not configured with it", what)

    def test_toldForEver(self) -> None:
        """A group that is told of for ever."""
        what = "g0: ['alpha', 'beta', 'gamma'] still tell of it"
        self.assertNoticed(removed, what, NativeMachine, "_forget", lambda self: None)

    def test_oldWord(self) -> None:
        """A node that takes in only what another one said first of its worth."""
        take = Ledger.take

        def once(self: Ledger, told: Range, seq: int, now: float) -> set[str]:
            records = []
            for record in told.records:
                before, after = self.records.get(record.name), record.state
                if before is not None and before.state is not None and after is not None:
                    first = before.state
                    kept = after._replace(fitness=first.fitness, priority=first.priority)
                    record = record._replace(state=kept)
                records.append(record)
            return take(self, told._replace(records=tuple(records)), seq, now)

        self.patch(Ledger, "check", lambda *_: set())  # by which it would notice
        what = "g0: alpha has an old word of gamma"
        self.assertNoticed(changed, what, Ledger, "take", once)


class WordTests(SynchronousTestCase):
    """What is compared: the words of one node, and what another one has of them."""

    def test_unknown(self) -> None:
        """Old is what differs from a word that was said before and still is; a group that goes is a word, too."""
        for before, after, known, old in (
            ({"a": 1}, {"a": 1}, {"a": 1}, []),
            ({"a": 1}, {"a": 1}, {"a": 2}, ["a"]),
            ({"a": 1}, {"a": 1}, {}, ["a"]),
            ({"a": 1}, {"a": 2}, {"a": 1}, []),
            ({"a": 1}, {}, {"a": 1}, []),
            ({}, {"a": 1}, {}, []),
            ({}, {}, {"a": 1}, ["a"]),
            ({"a": 1, "b": 1}, {"a": 1, "b": 1}, {"a": 0, "b": 0}, ["a", "b"]),
        ):
            self.assertEqual(unknown(before, after, known), old, (before, after, known))

    def test_machines(self) -> None:
        """In a settled cluster each node has heard what the others say."""
        sim, _ = begin(votes=True)
        sim.run(2 * I)
        for one in NAMES:
            for other in NAMES:
                if one != other:
                    machine, told = sim.nodes[one].machine, sim.nodes[other]
                    self.assertEqual(
                        heard(machine, other), saying(told.machine, told.now), (one, other)
                    )
                    self.assertTrue(hears(machine, told.machine))

    def test_never(self) -> None:
        """Of a node that never spoke nothing is heard."""
        sim, _ = begin(votes=False)
        sim.isolate("gamma")
        sim.kill("gamma")
        gamma = sim.start("gamma", groups=sim.files["gamma"])
        sim.run(1.0)
        alpha = sim.nodes["alpha"].machine
        self.assertEqual((heard(gamma.machine, "alpha"), hears(gamma.machine, alpha)), ({}, False))
        self.assertFalse(hears(alpha, gamma.machine))


class StoryTests(SynchronousTestCase):
    """What the schedules are made of."""

    def test_sameSeedSameStory(self) -> None:
        """A seed tells the whole story: two runs of it are alike to the last microsecond."""
        _, one = groups.majority(4)
        _, other = groups.majority(4)
        self.assertEqual(one.transcript.moments, other.transcript.moments)
        self.assertGreater(len(one.transcript.moments), 10)

    def test_begins(self) -> None:
        """The first line says what the cluster is."""
        _, sim = groups.plain(1)
        self.assertRegex(sim.transcript.moments[0].what, r"^[3-8] nodes, \d+ groups, no votes")
