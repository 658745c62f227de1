"""Bytes to a datagram, see L{hatwist.protocols.native.layout}; nothing that is out of its range passes."""

from __future__ import annotations

from functools import lru_cache
from struct import Struct, error
from typing import Any

from hatwist.core.claims import MAX_SESSION, MAX_TERM, Claim, Grant, Released, Role
from hatwist.core.errors import BadPacket
from hatwist.core.worth import Fitness, Worth
from hatwist.protocols.native.datagram import (
    Datagram,
    GroupRecord,
    GroupState,
    Header,
    Listing,
    Range,
    Request,
    Want,
)
from hatwist.protocols.native.layout import (
    BEHIND,
    CLAIM,
    CLAIM_ADDRESS,
    DIRECT,
    DRAINED,
    ELIGIBLE,
    GRANT,
    GRANT_NAMED,
    HAS_CLAIM,
    HAS_GRANT,
    HAS_RELEASED,
    HAS_REQUEST,
    LEAVING,
    LEFT,
    LENGTH,
    LETTING_GO,
    LISTENING,
    LISTING,
    LISTS,
    MAX_VERSION,
    MICROSECONDS,
    MOVED,
    NAME,
    NAMED,
    NODE_ELIGIBLE,
    NODE_LISTENING,
    NODE_WITNESSED,
    NONE,
    PREFIX,
    RANGE,
    RECORD,
    RECORD_FLAGS,
    REMOVED,
    SENDER,
    SESSION_TERM,
    TERM,
    WANT,
    WITNESSED,
    keyIdOf,
)

_ROLES = tuple(Role)
_FITNESSES = tuple(Fitness)
_REMOVED = (REMOVED, 0, 0, 0, 0, 0, 0, 0)
RANGES = 64
"""Ranges that are remembered, with their bytes."""
_ranges: dict[tuple[object, ...], tuple[bytes, Range]] = {}


def decode(data: bytes, looked: bool = False) -> Datagram:
    """
    The datagram in these bytes, whose signature was already cut off.

    @param looked: L{keyIdOf} has found nothing wrong with it.
    @raise BadPacket: it is none, see L{hatwist.core.errors.REASONS}.
    """
    if not looked:
        keyIdOf(data)
    reader = _Reader(data)
    try:
        datagram = reader.datagram()
    except (error, IndexError) as e:
        raise BadPacket("truncated") from e
    if reader.at != len(data):
        raise BadPacket("trailing", f"{len(data) - reader.at} bytes")
    return datagram


@lru_cache(4096)
def _name(raw: bytes) -> str:
    if not NAME.match(raw):
        raise BadPacket("malformed", "a name")
    return raw.decode("ascii")


@lru_cache(4096)
def _text(raw: bytes) -> str:
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        text = ""
    if not text:
        raise BadPacket("malformed", "a text")
    return text


def _term(term: int) -> int:
    if not 0 < term <= MAX_TERM:
        raise BadPacket("malformed", "a term")
    return term


def _session(session: int) -> int:
    if session > MAX_SESSION:
        raise BadPacket("malformed", "a session")
    return session


def _worth(fitness: int, priority: int, address: int, name: str) -> Worth:
    if fitness >= len(_FITNESSES) or priority > 254:
        raise BadPacket("malformed", "fitness or priority")
    return Worth(_FITNESSES[fitness], priority, address, name)


class _Reader:
    """Reads one datagram from left to right."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def take(self, struct: Struct) -> tuple[Any, ...]:
        values = struct.unpack_from(self.data, self.at)
        self.at += struct.size
        return values

    def raw(self) -> bytes:
        start = self.at + 1
        self.at = start + self.data[self.at]
        if self.at > len(self.data):
            raise BadPacket("truncated")
        return self.data[start : self.at]

    def anybody(self) -> str:
        """A name, or C{""}: nobody in particular."""
        raw = self.raw()
        return _name(raw) if raw else ""

    def datagram(self) -> Datagram:
        _, _, flags, _, cluster = self.take(PREFIX)
        name = _name(self.raw())
        values = self.take(SENDER)
        session, seq, interval, tolerance, raw, digest, version, sum_, claims = values[:9]
        heardCount, wantCount, rangeCount = values[9:]
        if not 0 < interval < tolerance:
            raise BadPacket("malformed", "interval and tolerance")
        if version >= MAX_VERSION:
            raise BadPacket("malformed", "version")
        header = Header(
            cluster,
            name,
            _session(session),
            seq,
            interval / MICROSECONDS,
            tolerance / MICROSECONDS,
            int.from_bytes(raw, "big"),
            digest,
            version,
            sum_,
            claims,
            bool(flags & LEAVING),
            bool(flags & NODE_ELIGIBLE),
            bool(flags & NODE_LISTENING),
            bool(flags & DRAINED),
            bool(flags & NODE_WITNESSED),
        )
        heard = tuple([self.listing() for _ in range(heardCount)])
        if len({listing.name for listing in heard}) != heardCount:
            raise BadPacket("malformed", "a node twice in heard")
        wants: tuple[Want, ...] = ()
        ranges: tuple[Range, ...] = ()
        if wantCount:
            wants = tuple([self.want(heard) for _ in range(wantCount)])
        if rangeCount:
            ranges = tuple([self.range(header, heard) for _ in range(rangeCount)])
        (length,) = self.take(LENGTH)
        self.at += length
        if self.at > len(self.data):
            raise BadPacket("truncated", "what follows")
        return Datagram(header, heard, wants, ranges)

    def listing(self) -> Listing:
        name = _name(self.raw())
        values = LISTING.unpack_from(self.data, self.at)
        session, seq, age, flags, lag, lapses, received, version, claims = values
        self.at += LISTING.size
        known = self.take(TERM)[0] if flags & BEHIND else version
        if received > 20 or (lag != NONE and lag > seq):
            raise BadPacket("malformed", "what is received of a node")
        if version >= MAX_VERSION or known >= MAX_VERSION:
            raise BadPacket("malformed", "version of a heard node")
        return Listing(
            name,
            _session(session),
            seq,
            age / MICROSECONDS,
            bool(flags & DIRECT),
            bool(flags & LISTS),
            bool(flags & LEFT),
            bool(flags & NAMED),
            -1 if lag == NONE else seq - lag,
            lapses,
            received,
            version,
            claims,
            known,
        )

    def want(self, heard: tuple[Listing, ...]) -> Want:
        owner, teller, start, end = self.take(WANT)
        if owner >= len(heard) or (teller != NONE and teller >= len(heard)):
            raise BadPacket("malformed", "index of a want")
        if not start < end < MAX_VERSION:
            raise BadPacket("malformed", "bounds of a want")
        whose = heard[owner]
        by = whose.name if teller == NONE else heard[teller].name
        return Want(whose.name, whose.session, by, start, end)

    def range(self, header: Header, heard: tuple[Listing, ...]) -> Range:
        """A range is told again until all have confirmed it: its records are read once."""
        begins = self.at
        owner, session, start, end, newest, textCount, count = self.take(RANGE)
        relayed = owner != NONE
        if relayed and owner >= len(heard):
            raise BadPacket("malformed", "index of a range")
        if not start < end <= newest < MAX_VERSION:
            raise BadPacket("malformed", "bounds of a range")
        if not relayed and (session, newest) != (header.session, header.version):
            raise BadPacket("malformed", "a range of the sender that is not as of this packet")
        nodes = tuple([(listing.name, listing.session) for listing in heard])
        key = header.name, header.address, nodes, self.data[begins : self.at]
        if key in _ranges:
            raw, known = _ranges[key]
            if self.data.startswith(raw, begins):
                self.at = begins + len(raw)
                return known
        name = heard[owner].name if relayed else header.name
        texts = [""] + [_text(self.raw()) for _ in range(textCount)]
        address = None if relayed else header.address
        records = []
        before = start
        for _ in range(count):
            record = self.record(start, texts, address, name, heard)
            if not before < record.version <= end:
                raise BadPacket("malformed", "version of a record")
            before = record.version
            records.append(record)
        if len({record.name for record in records}) != count:
            raise BadPacket("malformed", "a group twice")
        found = Range(name, _session(session), start, end, newest, tuple(records))
        if len(_ranges) >= RANGES:
            _ranges.clear()
        _ranges[key] = self.data[begins : self.at], found
        return found

    def record(
        self,
        start: int,
        texts: list[str],
        address: int | None,
        owner: str,
        heard: tuple[Listing, ...],
    ) -> GroupRecord:
        """@param address: of the owner; C{None}: each claim has it."""
        name = _name(self.raw())
        values = self.take(RECORD)
        flags, role, fitness, priority, delta, highest, step, steps, text = values
        if flags & REMOVED:
            if values[:4] + values[5:] != _REMOVED:
                raise BadPacket("malformed", "a group that was removed, and is something")
            return GroupRecord(name, start + delta, None)
        if flags > RECORD_FLAGS or text >= len(texts) or role >= len(_ROLES):
            raise BadPacket("malformed", "a record")
        if highest > MAX_TERM:
            raise BadPacket("malformed", "highest term")
        worth = _worth(fitness, priority, 0, owner)
        moved = bool(flags & MOVED)
        claim = self.claim(owner, address, moved) if flags & HAS_CLAIM else None
        if (claim is not None) != (role in (Role.ACTIVE, Role.ASKING)):
            raise BadPacket("malformed", "a claim goes with ACTIVE and ASKING")
        released = None
        if flags & HAS_RELEASED:
            term = _term(self.take(TERM)[0])
            released = Released(term, self.anybody(), moved and claim is None)
        elif moved and claim is None:
            raise BadPacket("malformed", "moved goes with a claim or a release")
        grant = None
        if flags & HAS_GRANT:
            grant = self.grant(bool(flags & GRANT_NAMED), heard)
        elif flags & GRANT_NAMED:
            raise BadPacket("malformed", "a grant")
        return GroupRecord(
            name,
            start + delta,
            GroupState(
                name,
                _ROLES[role],
                worth.fitness,
                priority,
                bool(flags & ELIGIBLE),
                bool(flags & LISTENING),
                highest,
                claim,
                released,
                grant,
                step,
                steps,
                texts[text],
                bool(flags & LETTING_GO),
                bool(flags & WITNESSED),
                self.request() if flags & HAS_REQUEST else None,
            ),
        )

    def claim(self, owner: str, address: int | None, moved: bool) -> Claim:
        if address is None:
            term, fitness, priority, raw = self.take(CLAIM_ADDRESS)
            address = int.from_bytes(raw, "big")
        else:
            term, fitness, priority = self.take(CLAIM)
        return Claim(_term(term), _worth(fitness, priority, address, owner), moved)

    def grant(self, named: bool, heard: tuple[Listing, ...]) -> Grant:
        if named:
            name = _name(self.raw())
            session, term = self.take(SESSION_TERM)
        else:
            index, term = self.take(GRANT)
            if index >= len(heard):
                raise BadPacket("malformed", "index of a grant")
            name, session = heard[index].name, heard[index].session
        return Grant(name, _session(session), _term(term))

    def request(self) -> Request:
        holder = _name(self.raw())
        session, term = self.take(SESSION_TERM)
        return Request(holder, _session(session), _term(term), self.anybody())
