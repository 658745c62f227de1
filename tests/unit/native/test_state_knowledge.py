"""
Tests for L{hatwist.protocols.native.state.knowledge}: nodes that tell each other of their groups on a cruel LAN.

What L{tests.tellers.cruel} asserts: whatever is lost, copied, late, out of order or cut one way, whoever restarts or is
restored from a snapshot, a node believes of a group what the other one was at the packet as of which it believes it. And
if from some time on nothing is lost between two nodes that hear each other, and nothing takes longer than I/50, two
intervals later each knows every group of the other as it is then, provided that a frame for each I/4 and the tokens of
that time hold what is lacked.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from hatwist.core.errors import BadPacket
from hatwist.protocols.native.state.asking import Asking
from hatwist.protocols.native.state.datagram import Datagram, GroupRecord, Listing, Range
from hatwist.protocols.native.state.journal import Journal
from hatwist.protocols.native.state.knowledge import Knowledge, News
from hatwist.protocols.native.state.ledger import Ledger
from hatwist.protocols.native.state.records import Records
from hatwist.protocols.native.state.telling import Telling
from hatwist.protocols.native.state.tokens import Tokens
from tests.tellers import Lan, Teller, Violation, cruel
from tests.unit.native.test_state_ledger import active, standby

SEEDS = range(12)


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
    return journal.records._groups.pop(group, None) is not None


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


def dropLate(ledger: Ledger, seq: int, version: int, claims: int, now: float) -> int:
    """G3: late packets are dropped whole."""
    if seq <= ledger.directSeq:
        raise BadPacket("replayed")
    return _arrived(ledger, seq, version, claims, now)


def silent(asking: Asking, *args: object) -> list[object]:
    """G10: nobody asks."""
    return []


def once(telling: Telling, *args: object) -> int:
    """G9: a change is told once."""
    return telling.told


def unaware(knowledge: Knowledge, by: str, listing: Listing, now: float) -> bool:
    """G8: a node does not notice that it was restored."""
    knowledge.telling.confirm(by, min(listing.known, knowledge.journal.version), now)
    return False


_put, _begin, _arrived = Records.put, Knowledge.begin, Ledger.arrived
