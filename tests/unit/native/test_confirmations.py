"""Tests for L{hatwist.protocols.native.confirmations}: which packet a majority has received."""

from __future__ import annotations

from math import inf

from twisted.trial.unittest import SynchronousTestCase

from hatwist.core.turn import Turn
from tests.statements import Statement, Word, hear, membership

NO_LAG = 255

BOTH = (frozenset("bc"), 2)
ONE = (frozenset("bc"), 1)


def beat(name: str, seq: int, listed: int, lag: int = 0, session: int = 1) -> Statement:
    """A packet that lists a's packet of that number, and the one that was received itself."""
    return Statement(
        name, seq, session, heard=(Word("a", 1, listed, direct=lag < NO_LAG, lag=lag),)
    )


class ConfirmationTests(SynchronousTestCase):
    """Node a sent packet 1 at 10.1, 2 at 10.2, and so on."""

    def setUp(self) -> None:
        self.view = membership("a")
        self.view.knowledge.seq = 8
        for seq in range(1, 9):
            self.view.departed(seq, 10.0 + seq / 10)

    def hear(self, statement: Statement) -> None:
        hear(self.view, statement, 11.0)

    def test_slowest(self) -> None:
        """What so many have received left when the slowest of the quickest so many had it."""
        both, one = [self.view.confirmations.join("g", votes) for votes in (BOTH, ONE)]
        self.assertEqual((both.at, one.at), (-inf, -inf))
        self.hear(beat("b", 1, 3))
        self.assertEqual((both.at, one.at), (-inf, 10.3))
        self.hear(beat("c", 1, 5))
        self.assertEqual((both.at, one.at), (10.3, 10.5))
        self.assertEqual(self.view.confirmations.join("h", BOTH), both)

    def test_directOnly(self) -> None:
        """A packet that a voter knows of through others only confirms nothing."""
        one = self.view.confirmations.join("g", ONE)
        self.hear(beat("b", 1, 5, NO_LAG))
        self.assertEqual(one.at, -inf)
        self.hear(beat("b", 2, 6, 2))
        self.assertEqual(one.at, 10.4)

    def test_neverBack(self) -> None:
        """What was confirmed stays so, whatever a later start of a voter says."""
        both = self.view.confirmations.join("g", BOTH)
        self.hear(beat("b", 1, 3))
        self.hear(beat("c", 1, 5))
        self.hear(beat("b", 1, 2, NO_LAG, session=2))
        self.hear(beat("c", 2, 6))
        self.assertEqual(both.at, 10.3)

    def test_tooFew(self) -> None:
        """Votes that do not suffice confirm nothing; without anybody's the question does not arise."""
        few, none = [
            self.view.confirmations.join("g", votes)
            for votes in ((frozenset("b"), 2), (frozenset(), 1))
        ]
        self.hear(beat("b", 1, 3))
        self.assertEqual((few.at, none.at), (-inf, -inf))

    def test_left(self) -> None:
        """Votes by which no group goes any more are not kept, nor waited for."""
        agenda = self.view.agenda
        self.hear(beat("b", 1, 3))
        for group in ("g", "h"):
            pulse = self.view.confirmations.join(group, ONE)
            Turn(11.0, group=group).older(pulse, 100.0)
        self.view.confirmations.leave("g", ONE)
        self.assertEqual(agenda.deadline, 110.3)
        self.view.confirmations.leave("h", ONE)
        self.assertEqual(agenda.deadline, inf)


class LagTests(SynchronousTestCase):
    """What a node tells of the packets of others that it has received itself."""

    def test_lag(self) -> None:
        """It is told how much newer the newest word is than the newest packet that came directly."""
        view = membership("b")
        lags = []
        for sender, seq in (("d", 5), ("c", 9), ("c", 270), ("d", 271)):
            heard = (Word("d", 1, seq),) if sender == "c" else ()
            hear(view, Statement(sender, seq, heard=heard), 10.0)
            told = view.listings(10.0)["d"]
            lags.append(told.seq - told.directSeq)
        self.assertEqual(lags, [0, 4, 265, 0])

    def test_hearsay(self) -> None:
        """Of a node that is known through others only no packet was received."""
        view = membership("b")
        hear(view, Statement("c", 1, heard=(Word("a", 1, 3, lag=0),)), 10.0)
        told = view.listings(10.0)
        self.assertEqual({name: told[name].directSeq for name in told}, {"a": -1, "c": 1})
