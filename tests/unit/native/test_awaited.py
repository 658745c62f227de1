"""
Who waits for word of a node, in L{hatwist.protocols.native.peer} and C{others}: what is waited for, for how long, and
who is decided when it comes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from math import inf
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from hatwist.core.agenda import Agenda
from hatwist.core.claims import Claim, Grant, Released, Role
from hatwist.core.obstacles import Obstacle
from hatwist.core.states import State
from hatwist.core.turn import Turn
from hatwist.core.worth import Fitness, Worth
from hatwist.protocols.native.datagram import GroupState, Range
from hatwist.protocols.native.election import Election
from hatwist.protocols.native.membership import Membership
from hatwist.protocols.native.others import TELLING
from hatwist.protocols.native.state.knowledge import Knowledge
from hatwist.testing import Simulation
from tests.statements import Statement, Word
from tests.unit.native.test_explain import NOW, SESSION, I, Scene, T

ME = Word("a", SESSION, 1)


class Decided(Scene):
    """The same, where it is also told which groups are to be decided."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        knowledge = Knowledge("a", SESSION, I, T, 1400, 0.0)
        agenda = Agenda(lambda group: self.election.settle())
        self.view = Membership(knowledge, T, b"d" * 8, agenda)
        self.view.serve(("web",))
        agenda.add("web")
        self.now = NOW

    def hear(self, *args: Any, **more: Any) -> Decided:
        super().hear(*args, **more)
        return self

    @property
    def due(self) -> bool:
        """Is the group to be decided? If so it is."""
        found = self.view.agenda.due(self.now)
        for name in found:
            self.election.decide(self.view, -inf, self.now)
            self.view.agenda.decided(name, self.election.wake, self.election.attentive)
        return bool(found)

    def at(self, now: float) -> Decided:
        self.now = now
        return self

    def calm(self) -> Decided:
        """Nothing is due any more."""
        for _ in range(10):
            if not self.due:
                return self
        raise AssertionError("it never comes to rest")

    def doubtful(self, seq: int, claims: int, told: int = 0, through: int = 0) -> Decided:
        """
        A packet of b that says how many groups it claims, of a state of which not all is told.

        @param through: through which version the packet tells it; 0: of none.
        """
        datagram = Statement("b", seq, 1, (), (ME,), digest=b"d" * 8).datagram
        header = datagram.header._replace(claims=claims)
        ranges = (Range("b", 1, 0, through, header.version),) if through else ()
        self.view.knowledge.seq = 1
        self.view.receive(datagram._replace(header=header, ranges=ranges), "eth0", True, self.now)
        return self

    @property
    def obstacle(self) -> Obstacle | None:
        assert self.election.candidacy is not None
        others = self.election.others(self.view, Turn(self.now))
        return self.election.candidacy.obstacle(others, others.turn)


class DoubtTests(SynchronousTestCase):
    """A node says that it claims something, and has not told yet what."""

    def test_waitedFor(self) -> None:
        """Nobody claims meanwhile, and not for one that claims nothing; where the LAN cannot be asked, for ever."""
        for claims, found in ((1, Obstacle.DOUBT), (0, None)):
            scene = Decided(asks=False).doubtful(1, claims)
            self.assertIs(scene.obstacle, found)
            scene.calm()
            self.assertEqual(scene.election.standing.holding, not claims)
        scene = Decided(asks=False)
        for seq in range(60):
            scene.at(NOW + seq * I).doubtful(seq, 1).calm()
        self.assertIs(scene.election.standing.state, State.STANDBY)

    def test_notForEver(self) -> None:
        """Where it can be, two tolerances after its last word on that: it may be a recording."""
        scene = Decided(asks=True)
        for seq in range(20):
            scene.at(NOW + 0.9 * seq * I).doubtful(seq, 1)
            late = scene.now >= NOW + 2 * T
            self.assertEqual(scene.obstacle is Obstacle.DOUBT, not late, scene.now)

    def test_told(self) -> None:
        """When it has told, that is over at once, and so it is when it falls silent."""
        scene = Decided(asks=False).doubtful(1, 1).calm()
        held = GroupState("db", Role.ACTIVE, Fitness.FIT, 100, claim=_claim("b", 5))
        told = Statement("b", 2, 1, (held,), (ME,), digest=b"d" * 8)
        scene.at(NOW + 0.01).view.receive(told.datagram, "eth0", True, scene.now)
        self.assertTrue(scene.due)
        self.assertTrue(scene.calm().election.standing.holding)
        scene = Decided(asks=False).doubtful(1, 1).calm()
        scene.at(NOW + T - 0.01).calm()
        self.assertFalse(scene.election.standing.holding)
        scene.at(NOW + T).calm()
        self.assertTrue(scene.election.standing.holding)

    def test_onePacketOfMany(self) -> None:
        """What others say, or a part of it, has nobody decided who waits for the rest."""
        scene = Decided(asks=False).hear("c").calm().doubtful(1, 1).calm()
        scene.at(NOW + 0.01).hear("c", NOW + 0.01, group="db")
        scene.calm()
        for seq in range(3, 6):
            scene.hear("c", NOW + 0.01 * seq, group="db")
            scene.at(NOW + 0.01 * seq).doubtful(seq, 1, through=seq)
            self.assertFalse(scene.due)

    def test_letGo(self) -> None:
        """Who holds nothing any more may have named a successor: it is waited for as long as that takes to tell."""
        for through, waits in ((0, True), (1, False)):
            scene = Decided(asks=False).hear("b", role=Role.ACTIVE, term=5, priority=50).calm()
            scene.at(NOW + 0.01)
            if through:
                scene.hear("b", NOW + 0.01, priority=50)
            else:
                scene.doubtful(2, 0)
            self.assertEqual(scene.obstacle is Obstacle.DOUBT, waits)
        scene.calm()
        scene = Decided(asks=False).hear("b", role=Role.ACTIVE, term=5, priority=50).calm()
        scene.at(NOW + 0.01).doubtful(2, 0).calm()
        self.assertFalse(scene.election.standing.holding)
        end = NOW + 0.01 + TELLING * I
        self.assertIs(scene.at(end - 0.001).obstacle, Obstacle.DOUBT)
        scene.at(end).calm()
        self.assertTrue(scene.election.standing.holding)

    def test_letGoOfOthers(self) -> None:
        """So it is not for one that never held this group."""
        scene = Decided(asks=False).hear("b", priority=50).doubtful(2, 0)
        self.assertIsNone(scene.obstacle)

    def test_whoReleasedIt(self) -> None:
        """Nor is it for the one that has just told of its release of this group, whatever else it claims."""
        scene = Decided(asks=False).hear("b", priority=50, released=Released(5, ""))
        self.assertIsNone(scene.doubtful(2, 1).obstacle)


class VoterTests(SynchronousTestCase):
    """Nobody votes by hearsay: the word of the node itself is waited for."""

    def test_claimer(self) -> None:
        """A claim of which others told first gets the vote with the claimer's own word; no packet of others counts."""
        scene = Decided("abc").hear("b").hear("c").calm()
        arbiter = scene.election.arbiter
        asking = _asking()
        scene.at(NOW + 0.01).hear("c", NOW + 0.01, third=(Word("b", 1, 2, groups=(asking,)),))
        scene.hear("c", NOW + 0.01, group="db").calm()
        self.assertIsNone(arbiter.grant)
        for _ in range(3):
            scene.hear("c", NOW + 0.01, group="db")
            self.assertFalse(scene.due)
        own = Statement("b", 2, 1, (asking,), (ME,), address=2, digest=b"d" * 8)
        scene.at(NOW + 0.02).view.receive(own.datagram, "eth0", True, scene.now)
        self.assertTrue(scene.due)
        self.assertEqual(arbiter.grant, Grant("b", 1, 5))

    def test_claimerInParts(self) -> None:
        """So it is where that word is in a part of what the claimer has to tell, of which nothing else is known."""
        scene = Decided("abc").hear("b").hear("c").calm()
        asking = _asking()
        scene.at(NOW + 0.01).hear("c", NOW + 0.01, third=(Word("b", 1, 2, groups=(asking,)),))
        scene.calm()
        own = Statement("b", 2, 1, (asking,), (ME,), address=2, digest=b"d" * 8).datagram
        (told,) = own.ranges
        more = told.newest + 5
        for seq, ranges in ((3, ()), (4, (told._replace(newest=more),))):
            self.assertIsNone(scene.calm().election.arbiter.grant)
            header = own.header._replace(seq=seq, version=more)
            packet = own._replace(header=header, ranges=ranges)
            scene.at(NOW + 0.01 * seq).view.receive(packet, "eth0", True, scene.now)
            self.assertTrue(scene.due)
        self.assertEqual(scene.election.arbiter.grant, Grant("b", 1, 5))

    def test_voter(self) -> None:
        """A vote of which another node told first counts once the voter has said so itself."""
        scene = Decided("abc").hear("b").hear("c").calm()
        election = scene.election
        self.assertIs(election.standing.state, State.ASKING)
        assert election.standing.claim is not None
        grant = Grant("a", election.me.session, election.standing.claim.term)
        voted = GroupState("web", Role.STANDBY, Fitness.FIT, 100, True, grant=grant)
        scene.view.departed(1, NOW)
        scene.at(NOW + 0.01).hear("b", NOW + 0.01, third=(Word("c", 1, 2, groups=(voted,)),))
        self.assertIs(scene.calm().election.standing.state, State.ASKING)
        me = ME._replace(lag=0)
        own = Statement("c", 2, 1, (voted,), (me,), address=2, digest=b"d" * 8)
        scene.at(NOW + 0.02).view.receive(own.datagram, "eth0", True, scene.now)
        self.assertTrue(scene.due)
        self.assertIs(election.standing.state, State.ACQUIRING)

    def asking(self) -> Decided:
        """a asks for votes, c has given its own, and has not told yet whether it received what a sent since."""
        scene = Decided("abc").hear("b").hear("c").calm()
        claim = scene.election.standing.claim
        assert claim is not None
        grant = Grant("a", scene.election.me.session, claim.term)
        scene.view.departed(1, NOW)
        return scene.at(NOW + 0.01).hear("c", NOW + 0.01, grant=grant).calm()

    def counts(self, scene: Decided, lapses: int) -> bool:
        """c's next packet, in which it has received a's: is c's vote counted, though no record comes with it?"""
        known = scene.view.peers["c"]
        header = known.header
        assert header is not None
        header = header._replace(seq=header.seq + 1, version=header.version + 1)
        listing = ME._replace(lag=0, lapses=lapses).listing
        packet = Statement("c", header.seq, 1, (), (ME,)).datagram
        packet = packet._replace(header=header, heard=(listing,), ranges=())
        scene.at(NOW + 0.02).view.receive(packet, "eth0", True, scene.now)
        scene.view.agenda.touch(("web",))
        scene.calm()
        return scene.election.standing.state is State.ACQUIRING

    def test_withdrawnUnheard(self) -> None:
        """A vote counts on, but not of one that did not receive its claimer for a tolerance: it may be withdrawn."""
        self.assertTrue(self.counts(self.asking(), lapses=0))
        scene = self.asking()
        self.assertFalse(self.counts(scene, lapses=1))
        claim = scene.election.standing.claim
        assert claim is not None
        grant = Grant("a", scene.election.me.session, claim.term)
        voted = GroupState("web", Role.STANDBY, Fitness.FIT, 100, True, grant=grant)
        me = ME._replace(lag=0, lapses=1)
        again = Statement("c", 9, 1, (voted,), (me,), address=2, digest=b"d" * 8)
        scene.at(NOW + 0.03).view.receive(again.datagram, "eth0", True, scene.now)
        self.assertIs(scene.calm().election.standing.state, State.ACQUIRING)


def _claim(name: str, term: int) -> Claim:
    return Claim(term, Worth(Fitness.FIT, 200, 2, name))


def _asking() -> GroupState:
    return GroupState("web", Role.ASKING, Fitness.FIT, 200, True, highest=5, claim=_claim("b", 5))


class StartTests(SynchronousTestCase):
    """How many decisions a start takes."""

    def most(self, nodes: int, groups: int, votes: bool) -> int:
        """Decisions of that group on that node that had the most, in the two seconds after all start at once."""
        decided: Counter[tuple[str, str]] = Counter()
        decide = Election.decide

        def count(election: Election, *args: Any) -> None:
            decided[election.me.name, election.rules.name] += 1
            decide(election, *args)

        names: Sequence[str] = [f"n{number}" for number in range(nodes)]
        sim = Simulation(1, wire=False, members=names if votes else ())
        found = self.patch(Election, "decide", count)
        for number, name in enumerate(names):
            sim.start(name, 200 - number, groups=[f"g{number:03}" for number in range(groups)])
        sim.run(2.0)
        found.restore()
        for number in range(groups):
            self.assertEqual(sim.holders(f"g{number:03}"), ["n0"])
        return max(decided.values())

    def test_bounded(self) -> None:
        """With many groups a group is decided at most twelve times more often than one that is alone."""
        for nodes, groups, votes in ((3, 100, True), (5, 150, True), (4, 120, False)):
            alone = self.most(nodes, 1, votes)
            self.assertLessEqual(self.most(nodes, groups, votes), alone + 12, (nodes, groups))
