"""Members change only in a way in which no two majorities stand beside each other."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterable

from twisted.trial.unittest import SynchronousTestCase

from hatwist.core.electorate import DIGESTS, FRESH, Quorum, Ran, meet, refusal, runs

PATH = "/var/lib/hatwist/default.a.json"


def majority(names: Iterable[str]) -> Quorum:
    found = frozenset(names)
    return Quorum(found, len(found) // 2 + 1)


def digest(quorum: Quorum | None) -> str:
    return f"{sorted(quorum.members)} {quorum.needed}" if quorum is not None else "none"


def sets(names: str = "abcde") -> list[Quorum]:
    """All that can be configured with these names: any number of votes from a majority on."""
    return [
        Quorum(frozenset(chosen), needed)
        for size in range(2, len(names) + 1)
        for chosen in itertools.combinations(names, size)
        for needed in range(size // 2 + 1, size + 1)
    ]


def twice(running: dict[str, Quorum]) -> tuple[str, str] | None:
    """Two nodes that can both have enough votes, by what each runs with; a vote is for a member of one's own set."""
    votes = {
        name: {v for v in own.members & set(running) if name in running[v].members}
        for name, own in running.items()
    }
    for one, other in itertools.combinations(running, 2):
        mine, theirs = votes[one] - {other}, votes[other] - {one}
        common = len(mine & theirs)
        lacking = [
            max(0, running[name].needed - len(all_) + common)
            for name, all_ in ((one, mine), (other, theirs))
        ]
        enough = len(mine) >= running[one].needed and len(theirs) >= running[other].needed
        if enough and sum(lacking) <= common:
            return one, other
    return None


class Operator:
    """Nodes with their memory, as somebody changes their configuration and restarts them one after the other."""

    def __init__(self, members: Quorum) -> None:
        self.wanted = members
        self.running = dict.fromkeys(sorted(members.members), members)
        self.memory = {n: runs(None, members, digest(members)) for n in self.running}

    def hear(self, heard: Iterable[tuple[str, str]]) -> None:
        """Packets of one node arrive at another."""
        for to, source in heard:
            ran = self.memory.get(to)
            if (
                to in self.running
                and source in self.running
                and ran
                and source in ran.quorum.members
            ):
                ran.heard[source] = digest(self.running[source])

    def restart(self, name: str) -> bool:
        """With what is wanted; C{False}: it was refused, and goes on as before."""
        ran, now = self.memory.get(name), 5.0
        if name not in self.wanted.members:
            return False
        if ran is None and self.wanted not in self.running.values():
            return False  # a new node comes last
        if ran is not None:
            ran = ran._replace(at=now)
        if refusal(ran, self.wanted, digest(self.wanted), name, PATH, now):
            return False
        for leaver in (
            set(self.running) - self.wanted.members
        ):  # stopped before anything else, for good
            del self.running[leaver], self.memory[leaver]
        self.memory[name] = runs(ran, self.wanted, digest(self.wanted))
        self.running[name] = self.wanted
        # An operator who changes his mind is slower than a heartbeat.
        self.hear((other, name) for other in self.running)
        return True


class RuleTests(SynchronousTestCase):
    """What may follow what."""

    def test_meet(self) -> None:
        """Of two sets that meet, no votes that suffice are beside others; of any others some are."""
        for one, other in itertools.product(sets("abcd"), repeat=2):
            apart = any(
                not set(x) & set(y)
                for x in itertools.combinations(sorted(one.members), one.needed)
                for y in itertools.combinations(sorted(other.members), other.needed)
            )
            self.assertEqual(meet(one, other), not apart, (one, other))

    def test_neighbours(self) -> None:
        """While some nodes run with one set and some with another that may follow it, never do two have the votes."""
        for old, new in itertools.product(sets("abcd"), repeat=2):
            if not meet(old, new):
                continue
            both = sorted(old.members & new.members)
            for moved in itertools.product((old, new), repeat=len(both)):
                running = dict.fromkeys(sorted(old.members - new.members), old)
                running |= dict.fromkeys(sorted(new.members - old.members), new)
                running |= dict(zip(both, moved, strict=True))
                self.assertIsNone(twice(running), (old, new, running))

    def test_threeToFive(self) -> None:
        """The finding: with two nodes more at once, two of three and three of five hold beside each other."""
        old, new = majority("abc"), majority("abcde")
        running = {"a": old, "b": old, "c": new, "d": new, "e": new}
        self.assertIsNotNone(twice(running))
        self.assertFalse(meet(old, new))

    def test_chains(self) -> None:
        """
        Whatever an operator wants next, in whatever order nodes are restarted, and whomever those hear: as long as
        refusals are heeded, leavers are stopped first and new nodes come last, never do two have the votes.
        """
        done = 0
        for seed in range(1500):
            chance = random.Random(seed)
            pool = [majority(q.members) for q in sets() if chance.random() < 0.8] or sets()
            operator = Operator(chance.choice(pool))
            for _ in range(60):
                names = sorted({*operator.running, *operator.wanted.members})
                what = chance.random()
                if what < 0.1:
                    operator.wanted = chance.choice(pool)
                elif what < 0.5:
                    done += operator.restart(chance.choice(names))
                else:
                    pairs = list(itertools.permutations(names, 2))
                    operator.hear(chance.sample(pairs, min(len(pairs), 12)))
                self.assertIsNone(twice(operator.running), (seed, operator.running))
        self.assertGreater(done, 1500)


class WordsTests(SynchronousTestCase):
    """A refusal says which step to take."""

    old = majority(("alpha", "beta", "gamma"))

    def refused(
        self, new: Quorum | None, heard: dict[str, str] | None = None, at: float = 0.0
    ) -> str:
        known = dict.fromkeys(("beta", "gamma"), digest(self.old)) if heard is None else heard
        ran = Ran(self.old, (digest(self.old),), known, at)
        return refusal(ran, new, digest(new), "alpha", PATH, 0.0)

    def test_accepted(self) -> None:
        """The same ones, one more, one less; no votes any more; and whoever remembers nothing is new."""
        names = ("alpha", "beta", "gamma", "delta")
        for new in (
            self.old,
            majority(names),
            majority(names[:2]),
            Quorum(self.old.members, 3),
            None,
        ):
            self.assertEqual(self.refused(new), "")
        self.assertEqual(refusal(None, self.old, "", "alpha", PATH, 0.0), "")
        self.assertEqual(self.refused(self.old, {}, at=-2 * FRESH), "")

    def test_steps(self) -> None:
        """Too many at once, and members exchanged: what comes first is named."""
        five = majority(("alpha", "beta", "gamma", "delta", "epsilon"))
        found = self.refused(five)
        words = (
            "from 3 to 5 nodes at once could give two majorities; change one node at a time: first "
        )
        self.assertTrue(
            found.startswith(f"{words}alpha, beta, delta, gamma on every node; or, "), found
        )
        self.assertIn(f"remove the state file of each, here {PATH}", found)
        found = self.refused(majority(("alpha", "beta", "delta")))
        self.assertIn("from alpha, beta and gamma to alpha, beta and delta at once", found)
        self.assertIn("first alpha, beta, delta, gamma on every node", found)

    def test_behind(self) -> None:
        """Who was heard last by another configuration, or never, comes first."""
        four = majority(("alpha", "beta", "gamma", "delta"))
        self.assertIn("gamma must be heard", self.refused(four, {"beta": digest(self.old)}))
        both = self.refused(four, {"beta": "other", "gamma": "other"})
        self.assertTrue(
            both.startswith("beta and gamma must be heard by this node first, running with")
        )
        there = {"beta": digest(four), "gamma": digest(self.old)}
        self.assertEqual(self.refused(four, there), "")
        without = majority(("alpha", "beta"))
        self.assertEqual(self.refused(without, {"beta": digest(self.old)}), "")

    def test_away(self) -> None:
        """Who was away does not know what the others run with; a clock that was set back is no better."""
        four = majority(("alpha", "beta", "gamma", "delta"))
        for at in (-FRESH - 1, FRESH + 1):
            self.assertIn("does not know what the others run with now", self.refused(four, at=at))

    def test_remembered(self) -> None:
        """Each configuration that it runs with counts; without votes the last members stay; others begin anew."""
        ran = runs(None, self.old, "1")
        assert ran is not None
        self.assertEqual(ran, Ran(self.old, ("1",), {}))
        ran.heard["beta"] = "1"
        for number in range(2, 2 * DIGESTS):
            ran = runs(ran, None if number % 2 else self.old, str(number))
            assert ran is not None
        self.assertEqual((len(ran.digests), ran.digests[-1]), (DIGESTS, str(2 * DIGESTS - 1)))
        self.assertEqual((ran.quorum, ran.heard), (self.old, {"beta": "1"}))
        two = majority(("alpha", "beta"))
        self.assertEqual(runs(ran, two, "x"), Ran(two, ("x",), {"beta": "1"}))
        self.assertIsNone(runs(None, None, "1"))
