"""One thing is wrong and stays so: what must not come of it; and proof that the judge of such schedules can fail."""

from __future__ import annotations

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from itertools import pairwise
from math import inf
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from hatwist.core.backoff import MAX_BACKOFF
from hatwist.core.obstacles import Obstacle
from hatwist.core.states import Input
from hatwist.core.turn import Turn
from hatwist.core.worth import Fitness
from hatwist.protocols.native import votes
from hatwist.protocols.native.datagram import Datagram
from hatwist.protocols.native.election import Election
from hatwist.protocols.native.membership import Membership
from hatwist.protocols.native.outbox import FIRST_WORD
from hatwist.testing import Simulation
from hatwist.testing.__main__ import judge
from hatwist.testing.host import GROUP
from tests.once import once

I, T = 0.1, 0.35  # noqa: E741
SCHEDULES = {"cuts": 200, "islands": 200, "rolling": 80, "broken": 60}
SLICE = 20
_FENCED = Input.FENCED


def cluster(*names: str, **more: Any) -> Simulation:
    """The first one holds, the others stand by."""
    sim = Simulation(seed=1, **{"members": names, "asks": True, **more})
    for number, name in enumerate(names):
        sim.start(name, priority=200 - 50 * number)
    sim.run(2.0)
    assert sim.holders() == [names[0]], sim.transcript.moments
    return sim


def claims(sim: Simulation, since: float) -> list[str]:
    """Who became a holder since then, in order."""
    return [name for at, name, holds in sim.transcript.changes if holds and at > since]


@once
class ScheduleTests(SynchronousTestCase):
    """What every such schedule must keep."""

    def assertKept(self, kind: str) -> None:
        slices = [range(start, start + SLICE) for start in range(0, SCHEDULES[kind], SLICE)]
        context = multiprocessing.get_context("fork")
        with ProcessPoolExecutor(2, mp_context=context) as pool:
            found = [v for part in pool.map(partial(judge, kind=kind), slices) for v in part]
        lines = [f"{kind} seed {v.seed} at {v.at:.4f} s: {v.what}" for v in found]
        self.assertEqual(lines, [], "\n".join(lines))

    def test_cuts(self) -> None:
        """While ways are cut nobody claims whom word of a holder reaches, and nothing moves after four tolerances."""
        self.assertKept("cuts")

    def test_islands(self) -> None:
        """Islands that meet one way after the other settle on one holder, and nobody claims who hears one."""
        self.assertKept("islands")

    def test_rolling(self) -> None:
        """Each node is restarted in turn: the group moves when its holder goes, and for no other node."""
        self.assertKept("rolling")

    def test_broken(self) -> None:
        """Slow releases, full disks, nodes without the group: with votes there are never two holders."""
        self.assertKept("broken")


class JudgeTests(SynchronousTestCase):
    """The judge notices when a rule is taken away."""

    def assertNoticed(
        self, kind: str, what: str, seeds: range, owner: object, name: str, without: object
    ) -> None:
        self.patch(owner, name, without)
        found = [violation.what for violation in judge(seeds, kind)]
        self.assertTrue(any(what in line for line in found), f"{what!r} not in {found}")

    def test_recordings(self) -> None:
        """Without belief in who names this node, a cut makes nodes claim that hear the holder."""
        self.assertNoticed(
            "cuts", "and hears the holder", range(20), Membership, "believed", lambda *args: False
        )

    def test_standingCut(self) -> None:
        """The same goes on for as long as the cut lasts."""
        self.assertNoticed(
            "cuts", "after a standing cut", range(20), Membership, "believed", lambda *args: False
        )

    def test_votersThatWereDown(self) -> None:
        """If only a new term gets a vote, a standby's restart makes the holder let go."""

        def strict(self: Any, peer: Any, said: Any, reserved: int) -> bool:
            return bool(self.promised < said.claim.term <= reserved)

        self.assertNoticed(
            "rolling", "a standby, had gone", range(1, 60, 2), votes.Voter, "_mayHave", strict
        )

    def test_roomForRelease(self) -> None:
        """If the guard gives a release no time, two hold."""
        good = Election.lease

        def hasty(self: Election, now: float) -> float:
            return good(self, now) - (self.me.timing.grace if self.standing.lettingGo else 0.0)

        self.patch(Election, "fenced", lambda self, why, now, said: self.input(_FENCED, now, why))
        self.assertNoticed("broken", "two holders", range(60), Election, "lease", hasty)


class FencedTests(SynchronousTestCase):
    """A guard that fires while its daemon lives and lets go."""

    def deaf(self, release: float, **more: Any) -> Simulation:
        """The holder hears nobody, and takes its time to let go of what no guard can release."""
        sim = Simulation(
            seed=2, tolerance=0.8, members=("a", "b", "c"), asks=True, guardable=False, **more
        )
        sim.release = 0.3
        for name, priority in (("a", 200), ("b", 100), ("c", 50)):
            sim.start(name, priority=priority).releaseTime = release
        sim.run(3.0)
        assert sim.holders() == ["a"], sim.transcript.moments
        for other in "bc":
            sim.cut(other, "a", bothWays=False)
        sim.run(5.0)
        return sim

    def test_slowRelease(self) -> None:
        """A release that keeps to its time is done before anybody else claims; the guard does not fire."""
        sim = self.deaf(0.28)
        self.assertEqual(sim.transcript.overlap(), 0)
        self.assertEqual(sim.holders(), ["b"])
        self.assertEqual(sim.transcript.said("guard fires"), [])

    def test_noRelease(self) -> None:
        """One that never succeeds keeps the votes: nobody else holds."""
        sim = self.deaf(inf)
        self.assertTrue(sim.transcript.said("guard fires"))
        self.assertEqual((sim.transcript.overlap(), sim.holders()), (0, ["a"]))

    def test_silentUntilClean(self) -> None:
        """After a guard has said goodbye, nothing is said before all is proven released, however late in life."""
        sim = cluster("alpha", "beta", "gamma")
        sim.nodes["alpha"].releaseTime = 0.2
        sim.run(3 * T)
        sim.fire("alpha")
        before = sim.nodes["alpha"].machine.outbox.seq
        sim.run(0.19)
        self.assertEqual(sim.nodes["alpha"].machine.outbox.seq, before)
        sim.run(0.05)
        self.assertGreater(sim.nodes["alpha"].machine.outbox.seq, before)

    def test_votes(self) -> None:
        """A node whose guard has fired votes as soon as it holds nothing: with one of three down that is needed."""
        sim = cluster("alpha", "beta", "gamma")
        sim.kill("gamma")
        sim.run(1.0)
        fired = sim.now
        sim.fire("alpha")
        sim.run(1.0)
        self.assertEqual(claims(sim, fired)[:1], ["beta"])
        self.assertLess(sim.transcript.darkness(fired), 2 * I)


class VoteTests(SynchronousTestCase):
    """Votes of nodes that were not there, or lack something."""

    def test_lackingTheGroup(self) -> None:
        """A voter that is not reloaded yet, and relays word of the holder, frees nobody's vote."""
        for seed in range(5):
            names = ("alpha", "beta", "gamma", "delta", "epsilon")
            sim = Simulation(seed=seed, members=names, asks=True)
            for name in names:
                groups = ("other",) if name == "delta" else (GROUP, "other")
                sim.start(name, priority=200 if name == "alpha" else 100, groups=groups)
            sim.run(2.0)
            self.assertEqual(sim.holders(), ["alpha"])
            for other in ("beta", "gamma", "epsilon"):
                sim.cut("alpha", other)
            sim.run(3.0)
            self.assertEqual(sim.transcript.overlap(), 0)

    def test_standbyStops(self) -> None:
        """The last voter that saw the claim stops: the others, which were restarted since, confirm the holder."""
        sim = cluster("alpha", "beta", "gamma", preempt=False)
        began = sim.now
        for name in ("gamma", "beta"):
            sim.stop(name)
            sim.run(1.0)
            sim.kill(name)
            sim.start(name)
            sim.run(2.0)
        sim.stop("beta")
        sim.run(2.0)
        self.assertEqual((sim.holders(), claims(sim, began)), (["alpha"], []))

    def test_deafHolder(self) -> None:
        """A holder that hears nobody loses its votes, and does not get the group straight back."""
        sim = cluster("alpha", "beta", "gamma")
        since = sim.now
        for other in ("beta", "gamma"):
            sim.cut(other, "alpha", bothWays=False)
        sim.run(3.0)
        self.assertEqual(claims(sim, since), ["beta"])
        self.assertLess(sim.transcript.darkness(since), T)
        sim.heal()
        sim.run(1.0)
        self.assertEqual(claims(sim, since), ["beta", "alpha"])

    def test_fullDisk(self) -> None:
        """A worthier node that cannot store is not eligible: nobody hands over to it."""
        sim = cluster("alpha", "beta", "gamma")
        sim.kill("alpha")
        sim.run(1.0)
        sim.nodes["alpha"].disk.refusing = True
        began = sim.now
        sim.start("alpha", priority=200)
        sim.run(10.0)
        self.assertEqual((claims(sim, began), sim.transcript.darkness(began)), ([], 0))


class SuccessionTests(SynchronousTestCase):
    """A successor that does not come."""

    def test_backsOff(self) -> None:
        """Each time one lets a handover pass it is passed over for twice as long, and not for ever."""
        sim = cluster("alpha", "beta", members=())
        sim.kill("alpha")
        sim.run(1.0)
        began = sim.now
        alpha = sim.start("alpha", priority=200).machine.elections[GROUP]
        assert alpha.candidacy is not None
        self.patch(alpha.candidacy, "_vacancy", lambda *_: Obstacle.SUCCESSOR)
        sim.run(60 * T)
        missed = [moment.at for moment in sim.transcript.said("succession-missed", began)]
        gaps = [later - at for at, later in pairwise(missed)]
        self.assertGreater(len(gaps), 3)
        for number, gap in enumerate(gaps):
            self.assertGreater(gap, min(1 << number, MAX_BACKOFF) * T)
            self.assertLess(gap, min(1 << number, MAX_BACKOFF) * T + 5 * I)

    def test_recovers(self) -> None:
        """Once it has held again, nothing is held against it."""
        sim = cluster("alpha", "beta", members=())
        beta = sim.nodes["beta"].machine.elections[GROUP]
        beta.succession.miss("alpha", Turn(sim.nodes["beta"].now, beta.effects))
        sim.run(2 * I)
        sim.fitness("alpha", Fitness.UNFIT)
        sim.run(1.0)
        self.assertEqual(sim.holders(), ["beta"])
        sim.fitness("alpha", Fitness.FIT)
        sim.run(1.0)
        self.assertEqual(sim.holders(), ["alpha"])


class FirstWordTests(SynchronousTestCase):
    """A node listens before it speaks."""

    def test_listens(self) -> None:
        """Nothing leaves before every other node would have been heard."""
        sim = cluster("alpha", "beta", members=())
        began = sim.now
        first: list[float] = []

        def travels(source: str, target: str, beat: Datagram) -> bool:
            if source == "gamma":
                first.append(sim.now)
            return True

        sim.lan.filters.append(travels)
        sim.start("gamma")
        sim.run(1.0)
        self.assertApproximates(first[0] - began, FIRST_WORD * I, 0.001)
