"""
Tests for L{hatwist.protocols.native.state.knowledge}: nodes that tell each other of their groups on a cruel LAN.

L{tests.tellers.cruel} asserts: whatever is lost, copied, late, out of order or cut one way, whoever restarts or is
restored from a snapshot, a node believes of a group what the other one was at the packet as of which it believes it.
And if from some time on nothing is lost between two nodes that hear each other, and nothing takes longer than I/50,
two intervals later each knows every group of the other as it is, as long as what is lacked is a frame or two.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from hatwist.core.claims import Claim, Role
from hatwist.core.worth import Fitness, Worth
from hatwist.protocols.native.datagram import Datagram, GroupRecord, GroupState, Listing
from hatwist.protocols.native.state.asking import Asking
from hatwist.protocols.native.state.journal import Journal
from hatwist.protocols.native.state.knowledge import Knowledge, News
from hatwist.protocols.native.state.ledger import Ledger
from hatwist.protocols.native.state.records import Records
from tests.tellers import Lan, Violation, cruel
from tests.unit.native.test_state_ledger import standby

SEEDS = range(12)


def holds(name: str, group: str) -> GroupState:
    """What a node of that name is in a group that it holds."""
    worth = Worth(Fitness.FIT, 1, int.from_bytes(name.encode(), "big"), name)
    return GroupState(group, Role.ACTIVE, Fitness.FIT, 1, claim=Claim(5, worth))


def survives(
    case: SynchronousTestCase, owner: type, name: str, replaced: Callable[..., Any], seeds: range
) -> bool:
    """Do these schedules pass without this rule?"""
    patch = case.patch(owner, name, replaced)
    try:
        for seed in seeds:
            cruel(seed)
    except Violation:
        return False
    finally:
        patch.restore()
    return True


# Each rule, removed.


def coverAll(ledger: Ledger, start: int, end: int, now: float) -> None:
    """G3: gaps are ignored."""
    ledger.through = max(ledger.through, end)


def settleEarly(ledger: Ledger, now: float) -> None:
    """G4: what is known beyond a statement is taken to be known as of it."""
    if ledger.stated.seq >= 0 and ledger.through >= ledger.stated.version:
        ledger.settled = ledger.stated


def unnumbered(journal: Journal, group: str) -> bool:
    """G1, G6: a group goes without a number, and without a trace."""
    record = journal.records._groups.pop(group, None)
    if record is not None:
        del journal.records._names[record.version]
    return record is not None


def anyVersion(records: Records, record: GroupRecord) -> bool:
    """G3: the last packet wins."""
    known = records.get(record.name)
    if known is not None:
        records._groups[record.name] = known._replace(version=0)
        records._names[0] = record.name
        records._names.pop(known.version, None)
    return _put(records, record)


def keptRecords(
    knowledge: Knowledge, name: str, session: int, tolerance: float, now: float
) -> None:
    """G18: what is known of an earlier session is kept."""
    before = knowledge.ledgers.get(name)
    _begin(knowledge, name, session, tolerance, now)
    if before is not None:
        knowledge.ledgers[name].records = before.records


def silent(asking: Asking, owner: str) -> None:
    """G10: nobody asks."""


def unaware(knowledge: Knowledge, by: str, listing: Listing, now: float) -> bool:
    """G8: a node does not notice that it was restored."""
    knowledge.telling.confirm(by, min(listing.known, knowledge.journal.version), now)
    return False


_put, _begin = Records.put, Knowledge.begin
REMOVED: list[tuple[type, str, Callable[..., Any], range]] = [
    (Ledger, "_cover", coverAll, range(2)),
    (Ledger, "_settle", settleEarly, range(25, 26)),
    (Journal, "remove", unnumbered, range(2)),
    (Records, "put", anyVersion, range(2)),
    (Knowledge, "begin", keptRecords, range(1, 2)),
    (Asking, "look", silent, range(2)),
    (Knowledge, "_confirmed", unaware, range(10, 11)),
]
"""Whose method is replaced by which, and schedules that notice."""


class CruelTests(SynchronousTestCase):
    """See above."""

    def test_anything(self) -> None:
        """Nobody believes what never was, and all know all within two intervals."""
        for seed in SEEDS:
            cruel(seed)

    def test_rules(self) -> None:
        """Without any one of these rules some schedule fails."""
        for owner, name, without, seeds in REMOVED:
            self.assertFalse(survives(self, owner, name, without, seeds), without.__doc__)


class NamedTests(SynchronousTestCase):
    """What chance hardly finds."""

    def lan(self, names: str, groups: int = 3, **settings: float) -> Lan:
        lan = Lan(1)
        for name in names:
            lan.start(name, [standby(f"g{number:03}") for number in range(groups)])
        lan.run(2.0)
        self.assertTrue(lan.allKnown())
        return lan

    def test_behindACut(self) -> None:
        """Who does not reach the owner asks a third node."""
        lan = self.lan("abc", 100)
        lan.cut |= {("a", "b"), ("b", "a")}
        lan.run(3.0)
        lan.nodes["b"].put(holds("b", "g050"))
        lan.run(3.0 + 4 * lan.interval)
        self.assertEqual(lan.ignorance("c", "b"), "")
        self.assertEqual(lan.ignorance("a", "b"), "")

    def test_deafRestart(self) -> None:
        """A node that hears nobody after its restart is known all the same, although packets are lost."""
        lan = self.lan("ab")
        lan.cut.add(("a", "b"))
        lan.loss = 0.3
        lan.start("b", [standby(f"g{number:03}") for number in range(200)])
        lan.run(lan.now + 40 * lan.interval)
        self.assertEqual(lan.ignorance("a", "b"), "")

    def test_groupOfOthers(self) -> None:
        """A group that the third node lacks is passed on all the same."""
        lan = self.lan("abc")
        lan.cut |= {("a", "b"), ("b", "a")}
        lan.nodes["b"].put(holds("b", "other"))
        lan.run(lan.now + 3 * lan.interval)
        known = lan.nodes["a"].knowledge.ledgers["b"].of("other")
        self.assertEqual(known, holds("b", "other"))

    def test_tellerDies(self) -> None:
        """If the node that was asked dies, another one is."""
        lan = self.lan("abcd", 200)
        lan.cut |= {("a", "b"), ("b", "a")}
        for number in range(200):
            lan.nodes["b"].put(holds("b", f"g{number:03}"))
        lan.run(lan.now + lan.interval)
        lan.stop("c")
        lan.run(lan.now + 12 * lan.interval)
        self.assertEqual(lan.ignorance("a", "b"), "")

    def test_addedAgain(self) -> None:
        """A group that goes and comes again, while nothing arrives, is not taken for the old one."""
        lan = self.lan("ab")
        lan.cut = {("a", "b"), ("b", "a")}
        a = lan.nodes["a"]
        a.remove("g001")
        lan.run(lan.now + lan.interval)
        a.put(holds("a", "g001"))
        a.remove("g002")
        lan.cut.clear()
        lan.run(lan.now + 2 * lan.interval)
        ledger = lan.nodes["b"].knowledge.ledgers["a"]
        self.assertEqual((ledger.of("g001"), ledger.of("g002")), (holds("a", "g001"), None))
        self.assertTrue(ledger.knows("g002"))

    def test_restored(self) -> None:
        """A node that was restored from a snapshot notices, and takes a new session."""
        lan = self.lan("ab")
        before = lan.snapshot("a")
        lan.nodes["a"].put(holds("a", "g001"))
        lan.run(lan.now + 5 * lan.interval)
        lan.restore(before)
        lan.run(lan.now + 2 * lan.interval)
        self.assertEqual(before.knowledge.session, 1001)
        self.assertEqual(lan.nodes["b"].knowledge.ledgers["a"].of("g001"), standby("g001"))

    def test_goodbyeOfAStranger(self) -> None:
        """The goodbye of a node of which nothing is known yet says that it holds nothing."""
        lan = self.lan("ab")
        b = lan.nodes["b"]
        header = lan.nodes["a"].plain._replace(name="z", session=7, seq=9, version=5, leaving=True)
        b.hear(Datagram(header), lan.now)
        ledger = b.knowledge.ledgers["z"]
        self.assertEqual((ledger.left, ledger.claims, ledger.of("g001")), (True, 0, None))
        self.assertGreaterEqual(lan.now, ledger.doubtUntil)

    def test_calm(self) -> None:
        """When everything is known nobody sends records, and each sends a packet an interval."""
        lan = self.lan("abc")
        frames, records = lan.frames, lan.records
        lan.run(lan.now + 20 * lan.interval)
        self.assertEqual(lan.records, records)
        self.assertTrue(60 <= lan.frames - frames <= 63, lan.frames - frames)

    def test_news(self) -> None:
        """Of each packet it is told which groups of which nodes have changed; of a calm one, none."""
        lan = self.lan("ab")
        found: list[News] = []
        b = lan.nodes["b"].knowledge
        receive = b.receive

        def note(datagram: Datagram, now: float) -> News:
            found.append(receive(datagram, now))
            return found[-1]

        self.patch(b, "receive", note)
        lan.run(lan.now + 2 * lan.interval)
        self.assertTrue(found)
        self.assertFalse(any(news.groups or news.turned for news in found))
        lan.nodes["a"].put(holds("a", "g001"))
        lan.run(lan.now + 2 * lan.interval)
        self.assertEqual([news.groups for news in found if news.groups], [{"a": {"g001"}}])

    def test_startOfMany(self) -> None:
        """Eight nodes with 300 groups that start at once, with 5 % loss, know all soon, and no storm comes of it."""
        lan = Lan(3, checks=False)
        lan.loss = 0.05
        names = [f"node{number}" for number in range(8)]
        for name in names:
            lan.start(name, [standby(f"group{number:03}") for number in range(300)])
        least = 8 * 7
        while not lan.allKnown() and lan.now < 3.0:
            lan.run(lan.now + 0.05)
        self.assertTrue(lan.allKnown(), lan.now)
        self.assertTrue(lan.records <= 3 * least, lan.records)
