"""
What a node says, whole: for tests that tell another node all of it at once, and ask what it has said.

A datagram tells changes. A L{Statement} is turned into one that tells each of its groups anew; what came in several
datagrams is put together by a L{Listener}.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from hatwist.protocols.native.datagram import (
    Datagram,
    GroupRecord,
    GroupState,
    Header,
    Listing,
    Range,
    clusterId,
)
from hatwist.protocols.native.encoding import fingerprint
from hatwist.protocols.native.membership import Membership
from hatwist.protocols.native.state.journal import toldOf
from hatwist.protocols.native.state.knowledge import Knowledge

STEP = 2048
"""Versions that each packet of a statement has."""
ME = "a"
"""The node that listens: of its own groups others need not know any."""


class Word(NamedTuple):
    """
    What the sender knows of another node.

    @ivar groups: what it is in them, as of C{seq}.
    @ivar lag: by how much older its newest packet is that the sender received itself; 255: it received none.
    """

    name: str
    session: int
    seq: int
    age: float = 0.0
    direct: bool = True
    lists: bool = True
    received: int = 20
    groups: tuple[GroupState, ...] = ()
    left: bool = False
    named: bool = False
    lag: int = 255
    lapses: int = 0
    claims: int = 0

    @property
    def listing(self) -> Listing:
        version = _version(self.seq) if self.name != ME else 0
        return Listing(
            self.name,
            self.session,
            self.seq,
            self.age,
            self.direct,
            self.lists,
            self.left,
            self.named,
            self.seq - self.lag if self.lag < 255 else -1,
            self.lapses,
            self.received,
            version,
            max(self.claims, _claims(self.groups)),
            version,
        )

    @property
    def range(self) -> Range:
        version = _version(self.seq)
        records = _records(self.groups, version)
        return Range(self.name, self.session, 0, version, version, records)


class Statement(NamedTuple):
    """All that a node says in one packet: of itself in each group, and of others."""

    name: str
    seq: int
    session: int = 1
    groups: tuple[GroupState, ...] = ()
    heard: tuple[Word, ...] = ()
    leaving: bool = False
    cluster: bytes = clusterId("home")
    interval: float = 0.1
    tolerance: float = 0.35
    address: int = 2
    digest: bytes = bytes(8)
    eligible: bool = True

    @property
    def datagram(self) -> Datagram:
        version = _version(self.seq)
        records = _records(self.groups, version)
        header = Header(
            self.cluster,
            self.name,
            self.session,
            self.seq,
            self.interval,
            self.tolerance,
            self.address,
            self.digest,
            version,
            sum(map(fingerprint, records)) % (1 << 64),
            _claims(self.groups),
            self.leaving,
            self.eligible,
            any(state.listening for state in self.groups),
            witnessed=any(state.witnessed for state in self.groups),
        )
        told = Range(self.name, self.session, 0, version, version, records)
        ranges = [word.range for word in self.heard if word.groups]
        return Datagram(header, tuple([w.listing for w in self.heard]), (), (told, *ranges))


def _version(seq: int) -> int:
    return (
        min(seq, 1 << 20) + 1
    ) * STEP  # a record is no farther than 32 bits from the beginning of its range


def _claims(groups: Iterable[GroupState]) -> int:
    return sum(state.claim is not None for state in groups)


def _records(groups: tuple[GroupState, ...], version: int) -> tuple[GroupRecord, ...]:
    first = version - len(groups) + 1
    return tuple([GroupRecord(s.name, first + at, toldOf(s)) for at, s in enumerate(groups)])


class Listener:
    """What the nodes say of themselves in the datagrams that are read here, put together."""

    def __init__(self) -> None:
        self._groups: dict[tuple[str, int], dict[str, GroupState]] = {}

    def read(self, datagram: Datagram) -> Statement:
        """The sender's word on each of its groups, as far as it has told it."""
        header = datagram.header
        groups = self._groups.setdefault((header.name, header.session), {})
        for state in told(datagram):
            groups[state.name] = state
        return Statement(
            header.name,
            header.seq,
            header.session,
            tuple(groups.values()),
            tuple([_word(listing) for listing in datagram.heard]),
            header.leaving,
            header.cluster,
            header.interval,
            header.tolerance,
            header.address,
            header.digest,
            header.eligible,
        )


def _word(listing: Listing) -> Word:
    lag = listing.seq - listing.directSeq if listing.directSeq >= 0 else 255
    return Word(
        listing.name,
        listing.session,
        listing.seq,
        listing.age,
        listing.direct,
        listing.lists,
        listing.received,
        (),
        listing.left,
        listing.named,
        min(lag, 255),
        listing.lapses,
    )


def told(datagram: Datagram) -> list[GroupState]:
    """What the sender says of its own groups in this datagram: what has changed."""
    name = datagram.header.name
    return [
        record.state
        for each in datagram.ranges
        for record in each.records
        if each.owner == name and record.state is not None
    ]


def membership(
    name: str, tolerance: float = 0.35, digest: bytes = b"", session: int = 1
) -> Membership:
    """What a node of that name knows of others: nothing yet."""
    knowledge = Knowledge(name, session, 0.1, tolerance, 1400, 0.0)
    return Membership(knowledge, tolerance, digest)


def hear(view: Membership, statement: Statement, now: float, link: str = "eth0") -> None:
    """It receives a packet."""
    view.receive(statement.datagram, link, True, now)
