"""Tests for C{telling}, C{tokens}, C{asking}, C{answering} and C{packing} of L{hatwist.protocols.native.state}."""

from __future__ import annotations

from collections.abc import Collection
from math import inf

from twisted.trial.unittest import SynchronousTestCase

from hatwist.core.claims import Claim, Grant, Released, Role
from hatwist.core.worth import NO_ADDRESS, Fitness, Worth
from hatwist.protocols.native.datagram import (
    Datagram,
    GroupRecord,
    GroupState,
    Header,
    Range,
    Request,
    Want,
)
from hatwist.protocols.native.encoding import encode
from hatwist.protocols.native.layout import MIN_FRAME
from hatwist.protocols.native.state.answering import Answering
from hatwist.protocols.native.state.asking import Asking
from hatwist.protocols.native.state.knowledge import Knowledge
from hatwist.protocols.native.state.ledger import Ledger
from hatwist.protocols.native.state.tokens import Tokens
from tests.unit.native.test_state_ledger import standby

PLAIN = Header(bytes(8), "a", 0, 0, 1.0, 3.5, NO_ADDRESS, bytes(8))
FRAME = 1440


def told(datagrams: list[Datagram]) -> list[tuple[str, int, int]]:
    """Whose records, from which version to which, in this order."""
    return [(r.owner, r.start, r.end) for datagram in datagrams for r in datagram.ranges]


def wants(datagrams: list[Datagram]) -> list[tuple[str, str, int, int]]:
    return [(w.owner, w.teller, w.start, w.end) for d in datagrams for w in d.wants]


class TellingCase(SynchronousTestCase):
    """Node a, with an interval of 1 and a tolerance of 3.5 seconds, knows others."""

    def setUp(self) -> None:
        self.now = 0.0
        self.knowledge = Knowledge("a", 1, 1.0, 3.5, FRAME, 0.0)
        self.telling = self.knowledge.telling
        self.present: set[str] = set()
        self.live: set[str] = set()

    def meet(self, *names: str, present: bool = True) -> None:
        for name in names:
            self.knowledge.begin(name, 1, 3.5, self.now)
            self.knowledge.ledgers[name].date(1, 0, 0, self.now, self.now)
            self.live.add(name)
            if present:
                self.present.add(name)

    def put(self, *groups: str) -> None:
        for group in groups:
            self.knowledge.journal.put(standby(group))

    def send(self, now: float, whole: bool = True) -> list[Datagram]:
        self.now = now
        listings = {
            name: self.knowledge.listing(
                name, now, direct=True, lists=True, named=True, lapses=0, received=20
            )
            for name in self.live
        }
        sent = self.knowledge.compose(PLAIN, listings, self.present, self.live, whole, now)
        for datagram in sent:
            self.assertTrue(len(encode(datagram)) <= FRAME, len(encode(datagram)))
        return sent

    def rest(self) -> float:
        return self.telling.restDue(lambda: (self.present, self.live))


class ChangeTests(TellingCase):
    """A change is told at once, and until it is known to all."""

    def test_untilConfirmed(self) -> None:
        """At once, twice more a tenth of an interval apart, and then in each packet until all have confirmed it."""
        self.meet("b", "c")
        self.assertEqual(self.telling.wordDue(), inf)
        self.put("g")
        for now, due in ((1.0, -inf), (1.125, 1.1), (1.25, 1.225), (2.0, inf)):
            self.assertEqual(self.telling.wordDue(), due)
            self.assertEqual(told(self.send(now)), [("a", 0, 1)], now)
        self.telling.confirm("b", 1, 2.5)
        self.assertEqual(told(self.send(3.0)), [("a", 0, 1)])
        self.telling.confirm("c", 1, 3.5)
        self.assertEqual(told(self.send(4.0)), [])
        self.assertEqual((self.telling.wordDue(), self.rest()), (inf, inf))

    def test_oldestUnconfirmed(self) -> None:
        """A later change is told with the earlier ones that are not confirmed yet, in one range."""
        self.meet("b")
        self.put("g", "h")
        self.send(1.0)
        self.telling.confirm("b", 1, 1.5)
        self.put("i")
        self.assertEqual(told(self.send(2.0)), [("a", 1, 3)])

    def test_whoConfirmsNothing(self) -> None:
        """Who has confirmed nothing more for two tolerances asks by itself."""
        self.meet("b")
        self.put("g")
        self.send(1.0)
        self.telling.confirm("b", 0, 1.5)
        for now in range(2, 9):
            self.telling.confirm("b", 0, now - 0.1)
            expected = [("a", 0, 1)] if now < 8.5 else []
            self.assertEqual(told(self.send(float(now))), expected, now)
        self.assertEqual(told(self.send(9.0)), [])
        self.telling.confirm("b", 1, 9.5)
        self.put("h")
        self.assertEqual(told(self.send(10.0)), [("a", 1, 2)])

    def test_newSession(self) -> None:
        """What an earlier session of a node has confirmed says nothing of the present one."""
        self.meet("b", "c")
        self.put("g")
        self.send(1.0)
        for name in "bc":
            self.telling.confirm(name, 1, 1.5)
        self.knowledge.begin("b", 2, 3.5, 1.6)
        self.knowledge.ledgers["b"].date(1, 0, 0, 1.6, 1.6)
        self.telling.confirm("b", 0, 1.7)
        self.assertEqual(told(self.send(2.0)), [("a", 0, 1)])

    def test_moreThanAFrame(self) -> None:
        """More goes once, in ranges that join on, a frame for each token."""
        self.meet("b")
        self.put(*[f"group{number:04}" for number in range(1000)])
        sent = self.send(0.0)
        self.assertEqual(len(sent), 2)
        ends = [end for _, _, end in told(sent)]
        while self.telling.told < 1000:
            due = self.rest()
            self.assertTrue(self.now < due < self.now + 0.01, due)
            sent = self.send(due, whole=False)
            self.assertEqual([d.heard for d in sent], [()] * len(sent))
            ends += [end for _, _, end in told(sent)]
        self.assertEqual(len(ends), 24)
        self.assertEqual(ends[-1], 1000)
        self.assertEqual(self.rest(), inf)
        # Then only the oldest frame that is not confirmed.
        ((owner, start, end),) = told(self.send(5.0))
        self.assertEqual((owner, start), ("a", 0))
        self.assertTrue(ends[0] <= end <= ends[0] + 5, end)

    def test_deaf(self) -> None:
        """A node that nobody confirms goes round through all it has, a frame a packet."""
        self.put(*[f"group{number:03}" for number in range(100)])
        self.send(1.0)
        rounds = [told(self.send(float(now)))[-1] for now in range(2, 8)]
        self.assertEqual(rounds[:3], rounds[3:])
        self.assertEqual(rounds[0][1], 0)
        self.assertEqual(rounds[2][2], 100)
        self.assertEqual(rounds[0][2], rounds[1][1])

    def test_newest(self) -> None:
        """A range of one's own is as of the packet it is in."""
        self.meet("b")
        self.put("g", "h")
        (datagram,) = self.send(1.0)
        self.assertEqual((datagram.header.version, datagram.ranges[0].newest), (2, 2))
        self.assertEqual(datagram.header.sum, self.knowledge.journal.records.sum)


class FrameTests(TellingCase):
    """No datagram exceeds a frame."""

    def test_heard(self) -> None:
        """Nodes heard go on in the next datagram, each is told of once, and each datagram has a number of its own."""
        names = [f"node{number:03}" for number in range(250)]
        self.meet(*names)
        sent = self.send(1.0)
        self.assertEqual(len(sent), 8)
        self.assertEqual(sorted(each.name for d in sent for each in d.heard), names)
        self.assertEqual([d.header.seq for d in sent], list(range(1, 9)))
        self.assertEqual(self.send(2.0)[0].header.seq, 9)

    def test_calm(self) -> None:
        """A calm packet has no records, whatever the number of groups."""
        self.meet("alpha", "beta")
        self.put(*[f"group{number:03}" for number in range(100)])
        while self.telling.told < 100:
            self.send(self.now + 0.1)
        for name in ("alpha", "beta"):
            self.telling.confirm(name, 100, 5.0)
        (calm,) = self.send(6.0)
        self.assertEqual(calm.ranges, ())
        self.assertTrue(len(encode(calm)) + 32 <= 260, len(encode(calm)))

    def test_calmOfMany(self) -> None:
        """That of 32 nodes is one frame."""
        self.meet(*[f"node{number:03}" for number in range(31)])
        (calm,) = self.send(1.0)
        self.assertEqual(len(calm.heard), 31)

    def test_referred(self) -> None:
        """Who is asked, or told of, is listed in that datagram."""
        names = [f"node{number:03}" for number in range(80)]
        self.meet(*names)
        for name in names[::7]:
            self.knowledge.ledgers[name].mention(5, 1.0)
            self.telling.asking.look(name)
        for whole in (False, True):
            sent = self.send(3.0 if whole else 2.0, whole)
            self.assertEqual(len(wants(sent)), 12)
            for datagram in sent:
                listed = {each.name for each in datagram.heard}
                self.assertTrue({w.owner for w in datagram.wants} <= listed)

    def test_tooSmall(self) -> None:
        """A frame in which a record might not fit is refused."""
        self.assertRaises(ValueError, Knowledge, "a", 1, 1.0, 3.5, MIN_FRAME - 1, 0.0)

    def test_longest(self) -> None:
        """The longest names and reasons there can be fit the smallest frame."""
        name, other = "n" * 63, "o" * 63
        knowledge = Knowledge(name, 1, 1.0, 3.5, MIN_FRAME, 0.0)
        knowledge.begin(other, 1, 3.5, 0.0)
        state = _longest(other, "g" * 63)
        ledger = knowledge.ledgers[other]
        ledger.date(1, 9, 0, 0.0, 0.0)
        ledger.take(Range(other, 1, 0, 5, 9, (_record(state, 1), _record(state, 2))), -1, 0.0)
        listing = knowledge.listing(
            other, 0.0, direct=True, lists=True, named=True, lapses=0, received=20
        )
        knowledge.telling.want(other, 0, 5, 0.0)
        header = PLAIN._replace(name=name)
        sent = knowledge.compose(header, {other: listing}, {other}, {other}, False, 0.0)
        self.assertEqual(told(sent), [(other, 0, 5)])
        for datagram in sent:
            self.assertTrue(len(encode(datagram)) <= MIN_FRAME)


def _longest(owner: str, group: str) -> GroupState:
    return GroupState(
        group,
        Role.ACTIVE,
        Fitness.FIT,
        1,
        claim=Claim(1, Worth(Fitness.FIT, 1, 1, owner)),
        released=Released(1, "s" * 63),
        grant=Grant("v" * 63, 1, 1),
        reason="r" * 255,
        request=Request("h" * 63, 1, 1, "t" * 63),
    )


def _record(state: GroupState, version: int) -> GroupRecord:
    return GroupRecord(state.name, version, state)


class AnswerTests(TellingCase):
    """What others lack is told to all, once."""

    def setUp(self) -> None:
        super().setUp()
        self.meet("b", "c")
        self.put("g", "h", "i", "j")
        self.send(0.0)
        for name in "bc":
            self.telling.confirm(name, 4, 0.5)

    def test_once(self) -> None:
        """What several want is told once, and not again for a quarter of an interval."""
        self.telling.want("a", 0, 2, 1.0)
        self.telling.want("a", 1, 3, 1.0)
        self.assertTrue(self.rest() <= 1.0)
        self.assertEqual(told(self.send(1.0, whole=False)), [("a", 0, 3)])
        self.assertEqual(self.rest(), inf)
        self.telling.want("a", 0, 4, 1.2)
        self.assertEqual(told(self.send(1.2, whole=False)), [("a", 3, 4)])
        self.telling.want("a", 0, 4, 1.26)
        self.assertEqual(told(self.send(1.26, whole=False)), [("a", 0, 3)])

    def test_notYetTold(self) -> None:
        """What was not told at all yet comes by itself."""
        self.put("k")
        self.telling.want("a", 4, 9, 1.0)
        self.assertEqual(self.rest(), self.telling._tokens.due)
        self.assertEqual(told(self.send(1.0)), [("a", 4, 5)])
        self.assertEqual(self.rest(), inf)

    def test_relayed(self) -> None:
        """Another node's records are told as far as they are all known, with the newest version that was told of."""
        ledger = self.knowledge.ledgers["b"]
        ledger.mention(9, 1.0)
        ledger.take(Range("b", 1, 0, 3, 9, (_record(standby("x"), 2),)), -1, 1.0)
        ledger.take(Range("b", 1, 5, 7, 9, (_record(standby("y"), 6),)), -1, 1.0)
        self.telling.want("b", 1, 9, 1.0)
        (datagram,) = self.send(1.0, whole=False)
        self.assertEqual(told([datagram]), [("b", 1, 3)])
        self.assertEqual(datagram.ranges[0].newest, 9)
        self.assertEqual([each.name for each in datagram.heard], ["b"])

    def test_answeredByAnother(self) -> None:
        """What another node tells first is not told again; the rest is, and what is asked for anew."""
        ledger = self.knowledge.ledgers["b"]
        ledger.take(Range("b", 1, 0, 3, 3, (_record(standby("x"), 2),)), -1, 1.0)
        self.telling.want("b", 0, 3, 1.0)
        answer = Datagram(
            PLAIN._replace(name="c", session=1, seq=2), ranges=(Range("b", 1, 0, 2, 3, ()),)
        )
        self.knowledge.receive(answer, 1.0)
        self.assertEqual(told(self.send(1.0, whole=False)), [("b", 2, 3)])
        self.telling.want("b", 0, 2, 1.1)
        self.assertEqual(told(self.send(1.1, whole=False)), [("b", 0, 2)])

    def test_forgottenMeanwhile(self) -> None:
        """Nothing is told of what is not known any more."""
        ledger = self.knowledge.ledgers["b"]
        ledger.take(Range("b", 1, 0, 3, 3, (_record(standby("x"), 2),)), -1, 1.0)
        ledger.arrived(2, 3, 0, 1.0)
        self.telling.want("b", 0, 3, 1.0)
        ledger.check(2, 7, 1.0)
        self.assertEqual(self.send(1.0, whole=False), [])
        self.assertEqual(self.rest(), inf)

    def test_noTokens(self) -> None:
        """An answer waits for a token; it overdraws nothing."""
        while self.telling._tokens.take():
            pass
        self.telling.want("a", 0, 2, 1.0)
        self.now = self.rest()
        self.assertTrue(self.now > 0.0)
        self.assertEqual(told(self.send(self.now, whole=False)), [("a", 0, 2)])


class AskingTests(SynchronousTestCase):
    """What is lacked is asked for, and of whom."""

    def setUp(self) -> None:
        self.ledgers = {name: Ledger(1, 7.0, 0.0) for name in "bcde"}
        self.asking = Asking(1.0, self.ledgers)

    def lacks(self, owner: str, now: float, spans: tuple[tuple[int, int], ...] = ()) -> None:
        ledger = self.ledgers[owner]
        ledger.date(ledger.stated.seq + 1, 9, 0, now, now)
        for start, end in spans:
            ledger.take(Range(owner, 1, start, end, 9), -1, now)
        self.asking.look(owner)

    def ask(self, now: float, present: Collection[str]) -> list[tuple[str, str, int, int]]:
        asked: list[Want] = list(self.asking.wants(now, present, "bcde"))
        return [(w.owner, w.teller, w.start, w.end) for w in asked]

    def test_hole(self) -> None:
        """What lies before something that has come was lost: the first of it is asked for at once, of the owner."""
        self.lacks("b", 1.0, ((2, 4), (6, 7)))
        self.assertEqual(self.asking.due("b", "bcde"), 1.0)
        expected = [("b", "b", 0, 2)]
        self.assertEqual(self.ask(1.0, "b"), expected)
        self.assertEqual(self.ask(1.5, "b"), [])
        self.assertEqual(self.asking.due("b", "bcde"), 2.0)
        self.assertEqual(self.ask(2.0, "b"), expected)
        self.ledgers["b"].take(Range("b", 1, 0, 9, 9), -1, 2.0)
        self.asking.look("b")
        self.assertEqual(self.asking.due("b", "bcde"), inf)

    def test_onItsWay(self) -> None:
        """What may be on its way is waited for, until nothing has come for half an interval."""
        self.lacks("b", 1.0, ((0, 2),))
        self.assertEqual(self.asking.due("b", "bcde"), 1.5)
        self.assertEqual(self.ask(1.4, "b"), [])
        self.ledgers["b"].take(Range("b", 1, 2, 3, 9), -1, 1.4)
        self.assertEqual(self.asking.due("b", "bcde"), 1.9)
        self.assertEqual(self.ask(1.9, "b"), [("b", "b", 3, 9)])

    def test_spacing(self) -> None:
        """Packets that only ask leave a tenth of an interval apart at least, more with more nodes."""
        self.lacks("b", 1.0, ((2, 3),))
        self.ask(1.0, "b")
        self.lacks("c", 1.0, ((2, 3),))
        self.assertEqual(self.asking.due("bc", "bcde"), 1.1)
        self.assertEqual(self.asking.due("bc", "bcdefghi"), 1.2)

    def test_third(self) -> None:
        """Where the owner does not hear this node, or does not answer, another is asked who knows more."""
        self.lacks("b", 1.0)
        self.assertEqual(self.asking.due("cd", "bcde"), inf)
        for teller, known in (("c", 5), ("d", 9), ("e", 9)):
            self.asking.shows(teller, "b", known)
        asked = [self.ask(now, "cd") for now in (2.0, 3.0, 4.0)]
        self.assertEqual([teller for [(_, teller, _, _)] in asked], ["c", "d", "c"])
        self.ledgers["b"].take(Range("b", 1, 0, 5, 9), -1, 4.0)
        self.assertEqual(self.ask(5.0, "cd"), [("b", "d", 5, 9)])
        self.assertEqual(self.ask(6.0, "bcd"), [("b", "b", 5, 9)])

    def test_dead(self) -> None:
        """Nobody asks for what a dead node was."""
        self.lacks("b", 1.0)
        self.assertEqual(self.asking.due("b", "cde"), inf)
        self.assertEqual(list(self.asking.wants(3.0, "b", "cde")), [])


class TokensTests(SynchronousTestCase):
    """All nodes together send no more than the buffers of each of them take."""

    def test_rate(self) -> None:
        """Two at the start; then a thousand a second for all, 32 in a row at most."""
        tokens = Tokens(0.0)
        self.assertEqual([tokens.take() for _ in range(3)], [True, True, False])
        tokens.fill(0.0, 10)
        self.assertAlmostEqual(tokens.due, 0.01)
        tokens.fill(0.0099, 10)
        self.assertFalse(tokens.take())
        tokens.fill(tokens.due, 10)
        self.assertTrue(tokens.take())
        tokens.fill(100.0, 10)
        self.assertEqual([tokens.take() for _ in range(33)], [True] * 32 + [False])

    def test_overdraw(self) -> None:
        """A first word overdraws, as far as 32 frames: a flood of changes ends there."""
        tokens = Tokens(0.0)
        taken = 0
        while tokens.take(overdraw=True):
            taken += 1
        self.assertEqual(taken, 34)
        tokens.fill(0.0329, 1)
        self.assertFalse(tokens.take())
        tokens.fill(0.033, 1)
        self.assertTrue(tokens.take())


class AnsweringTests(SynchronousTestCase):
    """What was told is remembered for as long as it may be on its way."""

    def test_perNode(self) -> None:
        """Versions of one node are not those of another one; a new session begins anew."""
        answering = Answering(1.0)
        answering.told("b", 0, 5, 1.0)
        answering.want("c", 0, 5, 1.0)
        self.assertEqual(answering.next(), ("c", 0, 5))
        self.assertTrue(answering.fresh("b", 1, 4, 1.2))
        answering.forget("b")
        self.assertFalse(answering.fresh("b", 1, 4, 1.2))
