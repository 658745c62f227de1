"""What is known of the groups of another node, in one session of it, and as of which of its packets."""

from __future__ import annotations

from math import inf
from typing import NamedTuple

from hatwist.core.claims import Released, Role
from hatwist.core.errors import BadPacket
from hatwist.protocols.native.datagram import GroupState, Range
from hatwist.protocols.native.state.records import Records
from hatwist.protocols.native.state.spans import Spans, joined

MAX_GROUPS = 0xFFFF
"""Of one session of a node, those that went included."""
MAX_SPANS = 32


class AsOf(NamedTuple):
    """
    At this packet of a node its state was of this version.

    @ivar seq: -1: there is no such word.
    @ivar at: when it was so, in seconds of the local clock.
    """

    seq: int
    version: int
    at: float


NEVER = AsOf(-1, 0, -inf)


class Ledger:
    """
    The records of one session of another node, as far as they are known. A new session begins with a new one.

    What is known of a group is dated by the packet as of which it is known. A group without a record is one that the
    node does not have only if this is C{complete}; else nothing is known of it, and that is not STANDBY.

    @param patience: seconds after which nobody waits for what does not come: two tolerances of that node.
    @ivar through: all records whose last change is not above this version are known.
    @ivar newest: the highest version that was ever told of, by whichever way.
    @ivar stated: its version as of the newest packet that is known of, by whichever way.
    @ivar settled: the newest packet as of which everything was known.
    @ivar proven: the newest of its packets that was taken in here as of which everything was known.
    @ivar directSeq: the number of its newest packet that was taken in here; -1: none.
    @ivar left: it said goodbye.
    @ivar claims: how many groups it holds or asks for, as of C{stated}.
    @ivar movedAt: when C{through} last rose, or this was last complete.
    @ivar raisedAt: when C{newest} last rose.
    @ivar diverged: how often what it says of itself, or others of it, could not be true.
    """

    def __init__(self, session: int, patience: float, now: float) -> None:
        self.session = session
        self.patience = patience
        self.records = Records()
        self.through = self.newest = 0
        self.stated = self.settled = self.proven = NEVER
        self.directSeq = -1
        self.claims = 0
        self.left = False
        self.movedAt = self.raisedAt = now
        self.diverged = 0
        self._spans: Spans = []
        self._dated: dict[str, tuple[int, float]] = {}

    def __repr__(self) -> str:
        return f"<Ledger session {self.session} through {self.through} of {self.newest}>"

    # What is known

    @property
    def complete(self) -> bool:
        """Everything that it ever told of is known."""
        return self.through == self.newest and self.stated.seq >= 0

    @property
    def gap(self) -> tuple[int, int]:
        """The first stretch of versions that is not known."""
        return (self.through, self._spans[0][0] if self._spans else self.newest)

    @property
    def holed(self) -> bool:
        """Something behind the gap has come: what lies in it was lost, or is late."""
        return bool(self._spans)

    @property
    def standing(self) -> tuple[object, ...]:
        """What is known of all its groups at once: another value, and an answer about any of them may be another."""
        return self.proven, self.settled, self.complete, self.claims > 0, self.left

    def knows(self, group: str) -> bool:
        """Is it known what the node is in this group, or that it does not have it?"""
        return self.complete or self.records.get(group) is not None

    def of(self, group: str) -> GroupState | None:
        """
        What it is in this group; C{None}: it does not have it, or nothing is known, see L{knows}.

        With its goodbye it released whatever it held, to nobody in particular.
        """
        record = self.records.get(group)
        state = record.state if record is not None else None
        if state is None or not self.left:
            return state
        claim = state.claim
        return state._replace(
            role=Role.SHUTDOWN,
            eligible=False,
            claim=None,
            released=Released(claim.term, "") if claim is not None else state.released,
            grant=None,
            lettingGo=False,
            request=None,
        )

    def asOf(self, group: str) -> tuple[int, float]:
        """
        As of which packet that is known, and when it was true; (-1, -inf): it is known without a date, or not at all.

        What came in a packet itself is known as of it; everything is, as of C{settled}, but what is newer than that.
        """
        record = self.records.get(group)
        dated = self._dated.get(group, (-1, -inf))
        if record is None or record.version <= self.settled.version:
            return max(dated, (self.settled.seq, self.settled.at))
        return dated

    def provenBy(self, group: str) -> int:
        """Its newest packet that was taken in here, as of which its record is known; -1: there is none, others told."""
        record = self.records.get(group)
        if record is None:
            return -1
        seq = self._dated.get(group, NEVER)[0]
        return max(seq, self.proven.seq) if record.version <= self.proven.version else seq

    def trueAt(self, group: str) -> float:
        """Not before then its record, which there is, was true; L{-inf}: nothing is known of that."""
        record = self.records.get(group)
        at = self.asOf(group)[1]
        newer = record is not None and record.version > self.stated.version
        return max(at, self.settled.at, self.stated.at if newer else -inf)

    @property
    def doubtUntil(self) -> float:
        """Until when it may hold anything: it claims something, and what it is comes in; C{-inf}: that is known."""
        doubtful = self.claims > 0 and not self.complete
        return self.movedAt + self.patience if doubtful else -inf

    def empty(self, group: str) -> bool:
        """It holds nothing, and asks for nothing, whatever its record of this group says, which is older."""
        record = self.records.get(group)
        return self.claims == 0 and (record is None or record.version <= self.stated.version)

    # What comes in

    def arrived(self, seq: int, version: int, claims: int, now: float) -> int:
        """
        A packet of the node itself has come.

        @return: its number, by which its records are dated; -1: later ones came before, and only its records count.
        @raise BadPacket: a version only rises, and earlier or later packets had another. So this node was restored from
            a snapshot perhaps, or there are two.
        """
        if self.left:
            return -1  # it was overtaken by the last words
        stated = self.stated
        if (version - stated.version) * (seq - stated.seq) < 0 or (
            seq == stated.seq and version != stated.version
        ):
            self.diverged += 1
            raise BadPacket(
                "malformed", f"version {version} at {seq}; {stated.version} at {stated.seq}"
            )
        if seq <= self.directSeq:
            return -1
        self.directSeq = seq
        if (
            seq == stated.seq
        ):  # others have told of this packet before it came: it is word of now all the same
            self.stated = stated._replace(at=max(now, stated.at))
            self._settle(now)
        self.date(seq, version, claims, now, now)
        return seq

    def date(self, seq: int, version: int, claims: int, at: float, now: float) -> None:
        """
        At packet C{seq} its version was this one, by whichever way that is known.

        @param at: when that was.
        """
        if seq > self.stated.seq and version >= self.stated.version and not self.left:
            self.stated = AsOf(seq, version, max(at, self.stated.at))
            self.claims = claims
            self.mention(version, now)
            self._settle(now)

    def leave(self, seq: int, at: float) -> None:
        """With packet C{seq} it said goodbye."""
        if seq > self.stated.seq:
            self.stated = AsOf(seq, self.stated.version, max(at, self.stated.at))
            self.claims = 0
            self.left = True

    def mention(self, version: int, now: float) -> None:
        """There is this version."""
        if version > self.newest:
            if self.through == self.newest:
                self.movedAt = now
            self.newest, self.raisedAt = version, now

    def take(self, told: Range, seq: int, now: float) -> set[str]:
        """
        Take in records, by whichever way they come: also from a packet that is late.

        @param seq: of the node's own packet that brought them, if that is newer than any before; else -1.
        @return: the groups of which something new is known.
        @raise BadPacket: these are more groups than there can be.
        """
        changed = set()
        put, dated, settled = self.records.put, self._dated, self.settled.version
        for record in told.records:
            name = record.name
            if len(self.records) >= MAX_GROUPS and self.records.get(name) is None:
                raise BadPacket("malformed", f"more than {MAX_GROUPS} groups")
            # Up to the version at which all was known there is nothing new, but from a node that lives twice.
            if record.version > settled and put(record):
                changed.add(name)
                if seq >= 0:
                    dated[name] = (seq, now)
                elif name in dated:
                    del dated[name]
            elif seq >= 0 and self.records.get(name) == record:
                dated[name] = (seq, now)
        self.mention(told.newest, now)
        self._cover(told.start, told.end, now)
        self._settle(now)
        return changed

    def check(self, seq: int, sum: int, now: float) -> set[str]:
        """
        Compare with what it says itself. If it cannot be so, everything is asked anew.

        @param seq: of its newest packet, which has C{sum} of its records.
        @return: the groups that were forgotten.
        """
        if self.stated.seq != seq:
            return set()
        if self.settled is self.stated:
            return set() if self.records.sum == sum else self._forget(now)
        if self.stated.version < self.newest and now >= self.raisedAt + self.patience:
            self.newest = self.stated.version  # others told of what it never heard of itself
            return self._forget(now)
        return set()

    def _cover(self, start: int, end: int, now: float) -> None:
        if end <= self.through:
            return
        if not self._spans and start <= self.through:
            self.through, self.movedAt = end, now
            return
        spans = joined(self._spans, start, end)
        if spans[0][0] <= self.through:
            end = spans.pop(0)[1]
            if end > self.through:
                self.through, self.movedAt = end, now
        self._spans = spans[:MAX_SPANS]

    def _settle(self, now: float) -> None:
        # Not if the version is only reached: a record may be newer than the statement.
        if (
            self.through == self.newest == self.stated.version
            and self.stated.seq >= 0
            and not self.left
        ):
            self.settled = self.stated
            if self.stated.seq == self.directSeq:
                self.proven = self.stated
            self.movedAt = now

    def _forget(self, now: float) -> set[str]:
        groups = {record.name for record in self.records}
        self.diverged += 1
        self.records = Records()
        self._spans = []
        self._dated = {}
        self.through = 0
        self.settled = self.proven = NEVER
        self.movedAt = now
        return groups
