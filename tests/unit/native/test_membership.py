"""Tests for L{hatwist.protocols.native.membership}."""

from __future__ import annotations

from math import inf

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hatwist.core.claims import Claim, Released, Role
from hatwist.core.errors import BadPacket
from hatwist.core.turn import Turn
from hatwist.core.worth import Fitness, Worth
from hatwist.protocols.native.datagram import Datagram, GroupRecord, GroupState
from hatwist.protocols.native.election import Election
from hatwist.protocols.native.encoding import fingerprint
from hatwist.protocols.native.membership import MAX_TERMS, REMEMBERED, Membership
from hatwist.protocols.native.peer import Peer
from hatwist.protocols.native.rules import GroupRules, Timing
from hatwist.protocols.native.state.ledger import MAX_GROUPS
from tests import statements
from tests.statements import Statement, Word, hear

T = 0.35
CLAIM = Claim(5, Worth(Fitness.FIT, 100, 1, "b"))
HOLDS = GroupState("g", Role.ACTIVE, Fitness.FIT, 100, claim=CLAIM, highest=5)
STANDBY = GroupState("g", Role.STANDBY, Fitness.FIT, 100)


def membership(name: str) -> Membership:
    """What a node of that name knows, which has the group "g"."""
    found = statements.membership(name, T)
    found.serve(("g",))
    return found


def actives(view: Membership, now: float) -> list[tuple[Peer, Claim]]:
    """The live nodes that are ACTIVE."""
    group = Election("home", GroupRules("g"), Timing(0.1, T), (1, view.name), now)
    return group.others(view, Turn(now)).holders


def beat(
    name: str,
    seq: int,
    session: int = 1,
    role: Role = Role.STANDBY,
    heard: tuple[Word, ...] = (),
    released: Released | None = None,
) -> Statement:
    claim = CLAIM if role == Role.ACTIVE else None
    group = GroupState("g", role, Fitness.FIT, 100, True, claim=claim, released=released)
    return Statement(name, seq, session, (group,), heard)


def word(
    name: str,
    seq: int,
    age: float = 0.0,
    session: int = 1,
    groups: tuple[GroupState, ...] = (),
    direct: bool = True,
    lists: bool = True,
    named: bool = False,
) -> Word:
    return Word(name, session, seq, age, direct, lists, 20, groups, named=named)


class MembershipTests(SynchronousTestCase):
    """What node "a" knows of the others."""

    def setUp(self) -> None:
        self.view = membership("a")

    def receive(self, statement: Statement, now: float) -> Peer:
        hear(self.view, statement, now)
        return self.view.peers[statement.name]

    def test_aliveForOneTolerance(self) -> None:
        """A node is alive for its own tolerance after its newest packet, and not a moment longer."""
        peer = self.receive(beat("b", 1), 10.0)
        self.assertTrue(peer.alive(10.0 + T - 1e-6))
        self.assertFalse(peer.alive(10.0 + T))

    def test_strangeGroups(self) -> None:
        """Group names that packets make up fill no memory; what is told of this node's own groups is kept."""
        self.view.serve(["mine"])
        states: list[GroupState] = []
        refused = 0
        for seq in range(80):
            names = [f"g{seq}-{n}" for n in range(1000)]
            states = [GroupState(n, Role.STANDBY, Fitness.FIT, 100, highest=8) for n in names]
            states.append(GroupState("mine", Role.STANDBY, Fitness.FIT, 100, highest=9 + seq))
            try:
                self.receive(Statement("b", seq, groups=tuple(states)), 10.0 + seq)
            except BadPacket:
                refused += 1
        self.assertLessEqual(len(self.view.peers["b"].ledger.records), MAX_GROUPS)
        known = [f"g{seq}-{n}" for seq in range(80) for n in range(1000)]
        known = [name for name in known if self.view.highest(name)[0]]
        self.assertLessEqual(len(known), MAX_TERMS)
        self.assertGreater(self.view.highest("mine")[0], 8)

    def test_toleranceOfTheSender(self) -> None:
        """The tolerance that counts is the one in the sender's packets."""
        peer = self.receive(beat("b", 1)._replace(tolerance=2.0), 10.0)
        self.assertTrue(peer.alive(11.9))

    def test_olderChangesNothing(self) -> None:
        """A packet that was overtaken, or comes from an earlier start, changes nothing."""
        peer = self.receive(beat("b", 5, session=2), 10.0)
        for old in (beat("b", 4, 2, Role.ACTIVE), beat("b", 9, 1, Role.ACTIVE)):
            self.receive(old, 11.0)
            self.assertEqual((peer.session, peer.seq, peer.at), (2, 5, 10.0))
            state = peer.state("g")
            assert state is not None
            self.assertEqual(state.role, Role.STANDBY)

    def test_restartFrees(self) -> None:
        """What an earlier start of a node held, its newer one does not hold."""
        self.receive(beat("b", 5, role=Role.ACTIVE), 10.0)
        self.assertEqual([p.name for p, _ in actives(self.view, 10.1)], ["b"])
        self.receive(beat("b", 1, session=2), 10.1)
        self.assertEqual(actives(self.view, 10.1), [])

    def test_hearsayKeepsItsAge(self) -> None:
        """Word of a node counts from when it was true, not from when it is told."""
        self.receive(beat("b", 1, heard=(word("c", 7, age=0.3),)), 10.0)
        peer = self.view.peers["c"]
        self.assertAlmostEqual(peer.at, 9.7)
        self.assertTrue(peer.alive(10.0))
        self.assertFalse(peer.alive(10.06))
        self.assertFalse(peer.direct(10.0))

    def test_hearsayOfTheSameStampChangesNothing(self) -> None:
        """The same word, told again however freshly, keeps nobody alive."""
        self.receive(beat("b", 1, heard=(word("c", 7, age=0.3),)), 10.0)
        self.receive(beat("b", 2, heard=(word("c", 7, age=0.0, groups=(HOLDS,)),)), 10.1)
        self.assertAlmostEqual(self.view.peers["c"].at, 9.7)
        self.assertEqual(actives(self.view, 10.1), [])

    def test_hearsayDoesNotCirculate(self) -> None:
        """Nodes that tell each other of a dead one agree on when it was last heard."""
        views = {name: membership(name) for name in "abc"}
        for name in "abc":
            hear(views[name], beat("x", 9, role=Role.ACTIVE), 10.0)
        now = 10.0
        for seq in range(1, 20):
            now += 0.05
            for name in "abc":
                told = beat(name, seq).datagram
                told = told._replace(heard=tuple(views[name].listings(now).values()))
                for other in "abc":
                    if other != name:
                        views[other].receive(told, "eth0", True, now)
        for view in views.values():
            self.assertAlmostEqual(view.peers["x"].at, 10.0)
            self.assertEqual(actives(view, 10.0 + T), [])

    @given(st.lists(st.tuples(st.integers(1, 3), st.integers(0, 9), st.booleans()), max_size=20))
    def test_newestStampWins(self, facts: list[tuple[int, int, bool]]) -> None:
        """Whichever way facts come, and in whatever order, the newest stamp is what is known."""
        view = membership("a")
        newest = (0, -1)
        for number, (session, seq, direct) in enumerate(facts):
            if direct:
                hear(view, beat("c", seq, session), 10.0)
            else:
                told = (word("c", seq, session=session),)
                hear(view, beat("b", number, heard=told), 10.0)
            newest = max(newest, (session, seq))
            peer = view.peers["c"]
            self.assertEqual((peer.session, peer.seq), newest)

    def test_newerHearsayOfAHolder(self) -> None:
        """A holder known by hearsay only is a holder."""
        self.receive(beat("b", 1, heard=(word("c", 7, groups=(HOLDS,)),)), 10.0)
        self.assertEqual([(p.name, c) for p, c in actives(self.view, 10.0)], [("c", CLAIM)])

    def test_ownNameIsNoNews(self) -> None:
        """What others say of this node makes no peer of it; it tells whether they hear it."""
        peer = self.receive(beat("b", 1, heard=(word("a", 42),)), 10.0)
        self.assertEqual(set(self.view.peers), {"b"})
        self.assertEqual((peer.lastListed.at, peer.listedSeq), (10.0, 42))

    def test_twoWay(self) -> None:
        """A link is two-way only if the peer itself hears this session of this node, and lately."""
        for heard, expected in (
            ((), False),
            ((word("a", 1),), True),
            ((word("a", 1, session=0),), False),
            ((word("a", 1, direct=False),), False),
            ((word("a", 1, age=T),), False),
        ):
            self.view = membership("a")
            peer = self.receive(beat("b", 1, heard=heard), 10.0)
            self.assertEqual(peer.twoWay(10.0), expected, heard)
            self.assertFalse(peer.twoWay(10.0 + T))

    def test_deafByRelay(self) -> None:
        """A node that is said not to list the one that hears it is noted as deaf, until it does."""
        self.receive(beat("b", 1, heard=(word("c", 1, lists=False),)), 10.0)
        self.receive(beat("b", 2, heard=(word("c", 2, lists=False),)), 10.1)
        self.assertEqual(self.view.peers["c"].deafSince, 10.0)
        self.receive(beat("b", 3, heard=(word("c", 3),)), 10.2)
        self.assertIsNone(self.view.peers["c"].deafSince)

    def test_laterPacketThatIsNotKnown(self) -> None:
        """Word of a later packet is no word on a group whose record did not come: that grows old, and is asked for."""
        self.receive(beat("c", 5, role=Role.ACTIVE), 10.0)
        self.receive(beat("b", 1, heard=(word("c", 9)._replace(claims=1),)), 10.2)
        peer = self.view.peers["c"]
        self.assertEqual((peer.seq, peer.at), (9, 10.2))
        self.assertEqual((peer.ledger.asOf("g"), peer.ledger.complete), ((5, 10.0), False))
        self.assertEqual([p.name for p, _ in actives(self.view, 10.3)], ["c"])
        self.assertEqual(actives(self.view, 10.4), [])
        told = self.view.listings(10.3)["c"]
        self.assertEqual((told.seq, told.known < told.version), (9, True))
        self.receive(beat("d", 1, heard=(word("c", 9, groups=(STANDBY,)),)), 10.3)
        self.assertEqual((peer.ledger.asOf("g"), peer.state("g")), ((9, 10.2), STANDBY))

    def test_groupThatThisNodeLacks(self) -> None:
        """What a node is in a group that this one does not have is kept, and can be told to others."""
        self.view.serve(())
        peer = self.receive(beat("b", 1, role=Role.ACTIVE), 10.0)
        self.assertEqual([r.name for r in peer.ledger.records.between(0, 1 << 60)], ["g"])

    def test_groupThatIsGone(self) -> None:
        """A node that gives up its only group is still there, and holds nothing."""
        self.receive(beat("b", 1, role=Role.ACTIVE), 10.0)
        datagram = beat("b", 2).datagram
        gone = (GroupRecord("g", datagram.header.version, None),)
        told = datagram.ranges[0]._replace(records=gone)
        header = datagram.header._replace(sum=fingerprint(gone[0]))
        self.view.receive(Datagram(header, (), (), (told,)), "eth0", True, 10.2)
        peer = self.view.peers["b"]
        self.assertTrue(peer.alive(10.3))
        self.assertEqual((peer.state("g"), peer.ledger.knows("g")), (None, True))
        self.assertEqual(actives(self.view, 10.3), [])

    def test_deadLaterStart(self) -> None:
        """Word of a later start that is older than a tolerance says nothing of the start that is heard."""
        self.receive(beat("c", 5, role=Role.ACTIVE), 10.0)
        self.receive(beat("b", 1, heard=(word("c", 9, age=T, session=2),)), 10.1)
        self.assertEqual(self.view.peers["c"].session, 1)
        self.receive(beat("b", 2, heard=(word("c", 9, age=T / 2, session=2),)), 10.1)
        self.assertEqual(self.view.peers["c"].session, 2)
        self.assertEqual(actives(self.view, 10.1), [])

    def test_believed(self) -> None:
        """A recording names neither this start nor that of a two-way neighbour, whatever others say."""
        peer = self.receive(beat("c", 5, role=Role.ACTIVE), 10.0)
        self.assertFalse(self.view.believed(peer, 10.0))
        me = word("a", 1)
        self.receive(beat("b", 1, heard=(me, word("c", 5))), 10.0)
        self.assertFalse(self.view.believed(peer, 10.0))
        # Nor does a second recording count.
        self.receive(beat("d", 1, heard=(word("c", 5, named=True),)), 10.0)
        self.assertFalse(self.view.believed(peer, 10.0))
        self.receive(beat("b", 2, heard=(me, word("c", 5, lists=False, named=True))), 10.0)
        self.assertTrue(self.view.believed(peer, 10.0))
        self.assertFalse(self.view.believed(peer, 10.0 + T))
        self.receive(beat("c", 6, role=Role.ACTIVE, heard=(word("a", 1, direct=False),)), 10.1)
        self.assertTrue(self.view.believed(peer, 11.0))

    def test_goodbye(self) -> None:
        """A node that said goodbye is not alive, however fresh its packet."""
        peer = self.receive(beat("b", 1, role=Role.SHUTDOWN)._replace(leaving=True), 10.0)
        self.assertTrue(peer.left())
        self.assertEqual((peer.alive(10.0), peer.direct(10.0), peer.twoWay(10.0)), (False,) * 3)

    def test_releaseIsDatedOnce(self) -> None:
        """A release that is repeated counts from when it was first told."""
        peer = self.receive(beat("b", 1, released=Released(5, "c")), 10.0)
        self.receive(beat("b", 2, released=Released(5, "c")), 10.1)
        self.assertEqual(peer.words.releasedSince("g"), 10.0)
        self.receive(beat("b", 3, released=Released(6, "")), 10.2)
        self.assertEqual(peer.words.releasedSince("g"), 10.2)
        self.assertEqual(peer.words.releasedSince("other"), -inf)

    def test_highestTerm(self) -> None:
        """The highest term is noted from every path, with when it was first told."""
        self.assertEqual(self.view.highest("g"), (0, -inf))
        self.receive(beat("b", 1, heard=(word("c", 7, groups=(HOLDS,)),)), 10.0)
        self.assertEqual(self.view.highest("g"), (5, 10.0))
        higher = beat("b", 2)
        self.receive(higher._replace(groups=(higher.groups[0]._replace(highest=9),)), 10.1)
        self.receive(beat("b", 3), 10.2)
        self.assertEqual(self.view.highest("g"), (9, 10.1))

    def test_received(self) -> None:
        """Of the last 20 packets, those that never came are counted as missing."""
        peer = self.receive(beat("b", 1), 10.0)
        self.assertEqual(peer.reception.ofLast20, 20)
        self.receive(beat("b", 4), 10.1)
        self.assertEqual(peer.reception.ofLast20, 18)
        for seq in range(5, 25):
            self.receive(beat("b", seq), 10.2)
        self.assertEqual(peer.reception.ofLast20, 20)
        self.receive(beat("b", 1000), 10.3)
        self.assertEqual(peer.reception.ofLast20, 1)

    def test_tellsWhatItKnows(self) -> None:
        """What is told of the others: stamp, age, way, how many claims one has, and whether its groups are known."""
        self.receive(beat("b", 3, role=Role.ACTIVE, heard=(word("a", 1),)), 10.0)
        self.receive(beat("c", 4, heard=(word("d", 9, age=0.1, lists=False),)), 10.1)
        told = self.view.listings(10.2).values()
        self.assertEqual(
            [(t.name, t.seq, round(t.age, 6), t.direct, t.lists, t.named) for t in told],
            [
                ("b", 3, 0.2, True, True, True),
                ("c", 4, 0.1, True, False, False),
                ("d", 9, 0.2, False, False, False),
            ],
        )
        self.assertEqual(
            [(t.claims, t.known == t.version) for t in told], [(1, True), (0, True), (0, False)]
        )

    def test_forgets(self) -> None:
        """A node that was silent for an hour is forgotten, and not a moment before."""
        self.receive(beat("b", 1), 10.0)
        self.view.forget(10.0 + REMEMBERED)
        self.assertEqual(set(self.view.peers), {"b"})
        self.view.forget(10.1 + REMEMBERED)
        self.assertEqual(set(self.view.peers), set())
