"""Tests for C{journal}, C{records}, C{ledger} and C{spans} of L{hatwist.protocols.native.state}."""

from __future__ import annotations

from itertools import pairwise
from math import inf

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hatwist.core.claims import Claim, Grant, Released, Role
from hatwist.core.errors import BadPacket
from hatwist.core.worth import Fitness, Worth
from hatwist.protocols.native.heartbeat import MAX_SEQ, GroupState
from hatwist.protocols.native.state import journal as journals
from hatwist.protocols.native.state.datagram import GroupRecord, Range
from hatwist.protocols.native.state.encoding import fingerprint
from hatwist.protocols.native.state.journal import Journal
from hatwist.protocols.native.state.ledger import MAX_SPANS, NEVER, AsOf, Ledger
from hatwist.protocols.native.state.spans import joined, without


def standby(group: str, priority: int = 1) -> GroupState:
    return GroupState(group, Role.STANDBY, Fitness.FIT, priority)


def active(group: str, term: int = 1) -> GroupState:
    claim = Claim(term, Worth(Fitness.FIT, 1, 7, "b"))
    return GroupState(group, Role.ACTIVE, Fitness.FIT, 1, claim=claim)


def told(journal: Journal, start: int, end: int = -1) -> Range:
    """What a node tells of itself now."""
    end = journal.version if end < 0 else end
    records = tuple(journal.records.between(start, end))
    return Range("b", 1, start, end, journal.version, records)


def between(journal: Journal, start: int, end: int) -> list[tuple[str, int]]:
    return [(name, version) for name, version, _ in journal.records.between(start, end)]


class SpansTests(SynchronousTestCase):
    """Stretches of versions are sets of versions."""

    @given(
        st.lists(st.tuples(st.integers(0, 20), st.integers(1, 6), st.booleans()), max_size=12),
    )
    def test_sets(self, steps: list[tuple[int, int, bool]]) -> None:
        """Whatever is added and taken out, they are sorted, do not touch, and hold what a set holds."""
        spans: list[tuple[int, int]] = []
        versions: set[int] = set()
        for start, size, add in steps:
            stretch = set(range(start + 1, start + size + 1))
            if add:
                spans, versions = joined(spans, start, start + size), versions | stretch
            else:
                spans, versions = without(spans, start, start + size), versions - stretch
            held = [v for first, last in spans for v in range(first + 1, last + 1)]
            self.assertEqual(held, sorted(versions))
            self.assertTrue(all(a[1] < b[0] for a, b in pairwise(spans)))


class JournalTests(SynchronousTestCase):
    """A node numbers what changes."""

    def setUp(self) -> None:
        self.journal = Journal()

    def test_numbers(self) -> None:
        """Each change has the next version, and what is said again has none."""
        journal = self.journal
        self.assertEqual(journal.version, 0)
        for change, version in (
            (standby("a"), 1),
            (standby("b"), 2),
            (standby("a"), 2),
            (standby("a", 2), 3),
        ):
            before = journal.version
            self.assertEqual(journal.put(change), version > before)
            self.assertEqual(journal.version, version)
        self.assertEqual(between(journal, 0, 3), [("b", 2), ("a", 3)])
        self.assertEqual(between(journal, 2, 3), [("a", 3)])
        self.assertEqual(between(journal, 0, 2), [("b", 2)])
        self.assertEqual(between(journal, 3, 9), [])

    def test_removed(self) -> None:
        """A group that goes leaves word of that, and can come again."""
        journal = self.journal
        self.assertFalse(journal.remove("a"))
        journal.put(standby("a"))
        self.assertTrue(journal.remove("a"))
        self.assertFalse(journal.remove("a"))
        self.assertEqual(list(journal.records), [GroupRecord("a", 2, None)])
        self.assertTrue(journal.put(standby("a")))
        self.assertEqual(list(journal.records), [GroupRecord("a", 3, standby("a"))])

    def test_onlyWhatIsTold(self) -> None:
        """What no datagram tells is no change: what is cut off a reason, or that a successor was chosen by a move."""
        journal = self.journal
        state = active("a")._replace(reason="x" * 300, released=Released(1, "c"))
        self.assertTrue(journal.put(state._replace(grant=Grant("c", 1, 2))))
        for same in (
            state._replace(grant=Grant("c", 1, 2)),
            state._replace(grant=Grant("c", 1, 2), reason="x" * 301),
            state._replace(grant=Grant("c", 1, 2), released=Released(1, "c", True)),
        ):
            self.assertFalse(journal.put(same))
        self.assertTrue(journal.put(state._replace(grant=Grant("c", 1, 3))))

    def test_tooMany(self) -> None:
        """More groups than a datagram can count are refused; a known one may go on changing."""
        self.patch(journals, "MAX_GROUPS", 2)
        self.journal.put(standby("a"))
        self.journal.put(standby("b"))
        self.journal.remove("b")
        self.assertRaises(ValueError, self.journal.put, standby("c"))
        self.assertTrue(self.journal.put(standby("b")))

    @settings(deadline=None)
    @given(st.lists(st.tuples(st.sampled_from("abcd"), st.integers(0, 3)), max_size=200))
    def test_sum(self, changes: list[tuple[str, int]]) -> None:
        """The sum is that of the records there are, whatever went before; so are those between two versions."""
        journal = Journal()
        for group, priority in changes:
            if priority:
                journal.put(standby(group, priority))
            else:
                journal.remove(group)
        records = sorted(journal.records, key=lambda record: record.version)
        self.assertEqual(journal.records.sum, sum(map(fingerprint, records)) % (1 << 64))
        for start in (0, journal.version // 2):
            self.assertEqual(
                list(journal.records.between(start, journal.version)),
                [record for record in records if record.version > start],
            )


class LedgerTests(SynchronousTestCase):
    """What is known of a node is dated by the packet as of which it is known."""

    def setUp(self) -> None:
        self.journal = Journal()
        self.ledger = Ledger(1, 7.0, 0.0)
        self.seq = 0

    def packet(self, start: int = -1, end: int = -1, now: float = 1.0) -> set[str]:
        """The node's next packet, with a range perhaps, is taken in."""
        self.seq += 1
        seq = self.ledger.arrived(self.seq, self.journal.version, 0, now)
        return self.ledger.take(told(self.journal, start, end), seq, now) if start >= 0 else set()

    def test_nothingYet(self) -> None:
        """Of a node that said nothing nothing is known; version 0 says that it has no groups."""
        self.assertFalse(self.ledger.complete)
        self.assertFalse(self.ledger.knows("a"))
        self.assertEqual(self.ledger.asOf("a"), (-1, -inf))
        self.packet()
        self.assertTrue(self.ledger.complete and self.ledger.knows("a"))
        self.assertIsNone(self.ledger.of("a"))
        self.assertEqual(self.ledger.asOf("a"), (1, 1.0))

    def test_changesOnly(self) -> None:
        """It tells which groups have changed, and no others."""
        for group in "abc":
            self.journal.put(standby(group))
        self.assertEqual(self.packet(0), {"a", "b", "c"})
        self.journal.put(active("b"))
        self.assertEqual(self.packet(0), {"b"})
        self.assertEqual(self.packet(0, now=2.0), set())
        self.assertEqual(self.ledger.asOf("c"), (3, 2.0))

    def test_unknownIsNotStandby(self) -> None:
        """Without a record, a group of an incomplete node is not known; of a complete one it is not there."""
        self.journal.put(standby("a"))
        self.journal.put(active("b"))
        self.packet(0, 1)
        self.assertFalse(self.ledger.complete)
        self.assertEqual((self.ledger.knows("a"), self.ledger.knows("b")), (True, False))
        self.assertEqual(self.ledger.gap, (1, 2))
        self.packet(1)
        self.assertTrue(self.ledger.complete and self.ledger.knows("c"))

    def test_rangesOfDifferentTimes(self) -> None:
        """Ranges that join on do not make a whole, if they were made at different times and another one is missing."""
        for group in "ab":
            self.journal.put(standby(group))
        first = told(self.journal, 0, 1)
        self.journal.put(active("a"))
        self.ledger.arrived(2, 3, 0, 1.0)
        self.ledger.take(first, -1, 1.0)
        self.ledger.take(told(self.journal, 1, 2), 2, 1.0)
        self.assertEqual((self.ledger.through, self.ledger.complete), (2, False))
        self.assertEqual(self.ledger.asOf("a"), (-1, -inf))
        self.ledger.take(told(self.journal, 2, 3), 2, 1.0)
        self.assertEqual(self.ledger.of("a"), active("a"))
        self.assertTrue(self.ledger.complete)

    def test_olderStatement(self) -> None:
        """What is known beyond a statement is not known as of it, nor by it complete."""
        self.journal.put(standby("a"))
        self.packet(0)
        for term in (1, 2):
            self.journal.put(active("a", term))
        self.ledger.take(told(self.journal, 1), -1, 2.0)  # relayed
        self.ledger.date(2, 2, 0, 2.0, 2.0)
        self.assertEqual((self.ledger.through, self.ledger.settled), (3, AsOf(1, 1, 1.0)))
        self.assertEqual(self.ledger.asOf("a"), (-1, -inf))
        self.ledger.date(3, 3, 0, 2.5, 2.6)
        self.assertEqual(self.ledger.asOf("a"), (3, 2.5))

    def test_latePacket(self) -> None:
        """Of a packet that later ones have overtaken only the records count, and those without a date."""
        self.journal.put(standby("a"))
        late = told(self.journal, 0)
        self.journal.put(standby("b"))
        self.assertEqual(self.ledger.arrived(5, 2, 1, 1.0), 5)
        self.assertEqual(self.ledger.arrived(4, 1, 0, 2.0), -1)
        self.assertEqual(self.ledger.take(late, -1, 2.0), {"a"})
        self.assertEqual((self.ledger.stated, self.ledger.claims), (AsOf(5, 2, 1.0), 1))
        self.assertEqual(self.ledger.asOf("a"), (-1, -inf))

    def test_lowerVersion(self) -> None:
        """A record replaces a lower version only, whichever packet brings it."""
        self.journal.put(standby("a"))
        before = told(self.journal, 0)
        self.journal.put(active("a"))
        self.packet(0)
        self.assertEqual(self.ledger.take(before, -1, 2.0), set())
        self.assertEqual(self.ledger.of("a"), active("a"))

    def test_spans(self) -> None:
        """What comes before the gap is filled is kept, in 32 stretches at most."""
        for number in range(100):
            self.journal.put(standby(f"{number}"))
        self.ledger.arrived(1, 100, 0, 1.0)
        for start in range(1, 99, 2):
            self.ledger.take(told(self.journal, start, start + 1), 1, 1.0)
        self.assertEqual(self.ledger.gap, (0, 1))
        self.assertTrue(self.ledger.holed)
        for start in range(0, 2 * MAX_SPANS, 2):
            self.ledger.take(told(self.journal, start, start + 1), 1, 1.0)
        self.assertEqual(self.ledger.gap, (2 * MAX_SPANS, 100))

    def test_sum(self) -> None:
        """If the sum is another one, everything is forgotten, counted, and wanted anew."""
        self.journal.put(standby("a"))
        self.packet(0)
        self.assertEqual(self.ledger.check(1, self.journal.records.sum, 1.0), set())
        self.assertEqual(self.ledger.check(0, 7, 1.0), set())
        self.assertEqual(self.ledger.check(1, 7, 1.0), {"a"})
        self.assertEqual((self.ledger.diverged, self.ledger.gap), (1, (0, 1)))
        self.assertEqual((self.ledger.knows("a"), self.ledger.settled), (False, NEVER))
        self.packet(0, now=2.0)
        self.assertTrue(self.ledger.complete)

    def test_neverGiven(self) -> None:
        """A version that only others told of is not waited for after two tolerances of the node's own word."""
        self.journal.put(standby("a"))
        self.packet(0)
        self.ledger.mention(9, 1.0)
        self.packet(now=7.9)
        self.assertEqual(self.ledger.check(2, self.journal.records.sum, 7.9), set())
        self.packet(now=8.0)
        self.assertEqual(self.ledger.check(3, self.journal.records.sum, 8.0), {"a"})
        self.packet(0, now=8.1)
        self.assertTrue(self.ledger.complete)

    def test_livesTwice(self) -> None:
        """A node that was restored from a snapshot says what cannot be: it is not believed."""
        for group in "ab":
            self.journal.put(standby(group))
        self.seq = 9
        self.packet(0)
        for seq, version in ((5, 3), (11, 1), (10, 3)):
            self.assertRaises(BadPacket, self.ledger.arrived, seq, version, 0, 2.0)
        self.assertEqual(self.ledger.diverged, 3)
        other = Range("b", 1, 0, 2, 2, (GroupRecord("a", 2, active("a")),))
        self.assertEqual(self.ledger.take(other, -1, 2.0), set())
        self.assertEqual(self.ledger.of("a"), standby("a"))

    def test_doubtful(self) -> None:
        """One that claims something not known blocks for as long as more comes in, else for two tolerances."""
        for group in "abc":
            self.journal.put(active(group))
        self.assertFalse(self.ledger.doubtful(1.0))
        self.ledger.arrived(1, 3, 3, 1.0)
        for now, more, doubtful in (
            (7.9, False, True),
            (7.9, True, True),
            (14.8, False, True),
            (14.9, False, False),
        ):
            if more:
                self.ledger.take(told(self.journal, 0, 1), -1, now)
            self.assertEqual(self.ledger.doubtful(now), doubtful, now)
        self.ledger.arrived(2, 3, 0, 7.9)
        self.assertFalse(self.ledger.doubtful(7.9))

    def test_goodbye(self) -> None:
        """With its goodbye a node is SHUTDOWN in all groups, and released what it held to nobody in particular."""
        handed = standby("a")._replace(released=Released(4, "c"))
        self.journal.put(handed)
        self.journal.put(active("b", 5))
        self.packet(0)
        self.ledger.leave(MAX_SEQ, 2.0)
        a, b = self.ledger.of("a"), self.ledger.of("b")
        assert a is not None
        assert b is not None
        self.assertEqual((a.role, a.released), (Role.SHUTDOWN, Released(4, "c")))
        self.assertEqual((b.role, b.claim, b.released), (Role.SHUTDOWN, None, Released(5, "")))
        self.ledger.date(MAX_SEQ, 2, 1, 3.0, 3.0)
        self.assertEqual((self.ledger.stated, self.ledger.claims), (AsOf(MAX_SEQ, 2, 2.0), 0))

    @settings(deadline=None, max_examples=100)
    @given(st.data())
    def test_anyOrder(self, data: st.DataObject) -> None:
        """
        Whatever ranges come, made whenever, in whichever order, by another one's knowledge too: what is dated was so.
        """
        journal = Journal()
        was: dict[int, dict[str, GroupState]] = {0: {}}
        ranges: list[Range] = []
        relay = Ledger(1, 7.0, 0.0)
        for number in range(data.draw(st.integers(1, 12))):
            group = data.draw(st.sampled_from("abc"))
            if data.draw(st.booleans()):
                journal.put(standby(group, number))
            else:
                journal.remove(group)
            was[journal.version] = {r.name: r.state for r in journal.records if r.state is not None}
            for _ in range(data.draw(st.integers(0, 2)) if journal.version else 0):
                end = data.draw(st.integers(1, journal.version))
                start = data.draw(st.integers(0, end - 1))
                ranges.append(told(journal, start, end))
                if data.draw(st.booleans()):
                    relay.take(ranges[-1], -1, 0.0)
            if relay.through:
                records = tuple(relay.records.between(0, relay.through))
                ranges.append(Range("b", 1, 0, relay.through, relay.newest, records))
        # The packet of sequence number n had version n.
        ledger = Ledger(1, 7.0, 0.0)
        for _ in range(data.draw(st.integers(0, 20))):
            if len(ranges) > 0 and data.draw(st.booleans()):
                chosen = data.draw(st.integers(0, len(ranges) - 1))
                ledger.take(ranges[chosen], -1, 1.0)
            else:
                version = data.draw(st.integers(0, journal.version))
                ledger.date(version, version, 0, 1.0, 1.0)
            for group in "abc":
                seq, _ = ledger.asOf(group)
                if seq >= 0:
                    self.assertEqual(ledger.of(group), was[seq].get(group))
            if ledger.complete and ledger.settled is ledger.stated:
                known = {r.name: r.state for r in ledger.records if r.state is not None}
                self.assertEqual(known, was[ledger.through])
