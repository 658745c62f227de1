"""A datagram to bytes, in the layout of L{hatwist.protocols.native.layout}; and the sum of records."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from hashlib import blake2b
from struct import error

from hatwist.protocols.native.datagram import (
    Datagram,
    GroupRecord,
    GroupState,
    Header,
    Listing,
    Range,
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
    MAGIC,
    MAX_SIZE,
    MICROSECONDS,
    MOST,
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
    REMOVED,
    SENDER,
    SESSION_TERM,
    TERM,
    VERSION,
    WANT,
    WITNESSED,
    reasonBytes,
)

_Index = Mapping[str, tuple[int, Listing]]
_NOBODY: _Index = {}


def encode(datagram: Datagram, keyId: bytes = b"\0\0\0\0") -> bytes:
    """
    The bytes of a datagram, without signature.

    @param keyId: four bytes that name the key it will be signed with; zeros: none.
    @raise ValueError: a field does not fit its place, or the whole does not fit a datagram.
    """
    try:
        data = b"".join(_parts(datagram, keyId))
    except (error, OverflowError, KeyError) as e:
        raise ValueError(f"a field of the datagram is out of range: {e!r}") from e
    if len(data) > MAX_SIZE:
        raise ValueError(f"the datagram has {len(data)} bytes; there is room for {MAX_SIZE}")
    return data


def fingerprint(record: GroupRecord) -> int:
    """
    64 bits of a record: BLAKE2b (RFC 7693) of its version in 8 bytes, the record as in a relayed range that begins at
    this version, with the grant by name, and the bytes of its reason.
    """
    parts = [TERM.pack(record.version)]
    _packRecord(parts, record, record.version, _NOBODY, {}, True)
    if record.state is not None:
        parts.append(reasonBytes(record.state.reason))
    return int.from_bytes(blake2b(b"".join(parts), digest_size=8).digest(), "big")


def _parts(datagram: Datagram, keyId: bytes) -> list[bytes]:
    header, heard, wants, ranges = datagram
    if max(len(heard), len(wants), len(ranges)) > MOST:
        raise ValueError(f"more than {MOST} nodes heard, wants or ranges")
    parts = _packHeader(header, keyId)
    parts.append(bytes((len(heard), len(wants), len(ranges))))
    for listing in heard:
        _packListing(parts, listing)
    if wants or ranges:
        index = {listing.name: (at, listing) for at, listing in enumerate(heard)}
        for owner, session, teller, start, end in wants:
            at, listing = index[owner]
            if listing.session != session:
                raise ValueError("what is wanted is of another session than was heard")
            parts.append(WANT.pack(at, NONE if teller == owner else index[teller][0], start, end))
        for told in ranges:
            _packRange(parts, told, header.name, index)
    parts.append(LENGTH.pack(0))
    return parts


def _packHeader(header: Header, keyId: bytes) -> list[bytes]:
    if len(header.cluster) != 8 or len(header.digest) != 8:
        raise ValueError("cluster and digest have eight bytes each")
    flags = (
        (LEAVING if header.leaving else 0)
        | (NODE_ELIGIBLE if header.eligible else 0)
        | (NODE_LISTENING if header.listening else 0)
        | (DRAINED if header.drained else 0)
        | (NODE_WITNESSED if header.witnessed else 0)
    )
    sender = SENDER.pack(
        header.session,
        header.seq,
        round(header.interval * MICROSECONDS),
        round(header.tolerance * MICROSECONDS),
        header.address.to_bytes(16, "big"),
        header.digest,
        header.version,
        header.sum,
        header.claims,
        0,
        0,
        0,
    )
    prefix = PREFIX.pack(MAGIC, VERSION, flags, keyId, header.cluster)
    return [prefix, _packName(header.name), sender[:-3]]


def _packListing(parts: list[bytes], listing: Listing) -> None:
    (name, session, seq, age, direct, lists, left, named, directSeq, lapses, received) = listing[
        :11
    ]
    version, claims, known = listing[11:]
    behind = known != version
    flags = (
        (DIRECT if direct else 0)
        | (LISTS if lists else 0)
        | (BEHIND if behind else 0)
        | (LEFT if left else 0)
        | (NAMED if named else 0)
    )
    lag = seq - directSeq if directSeq >= 0 and 0 <= seq - directSeq < NONE else NONE
    age = min(max(round(age * MICROSECONDS), 0), 0xFFFFFFFF)
    parts.append(_packName(name))
    parts.append(
        LISTING.pack(session, seq, age, flags, lag, lapses & 0xFF, received, version, claims)
    )
    if behind:
        parts.append(TERM.pack(known))


def _packRange(parts: list[bytes], told: Range, sender: str, index: _Index) -> None:
    owner, session, start, end, newest, records = told
    relayed = owner != sender
    place = len(parts)
    parts.append(b"")
    texts: dict[str, int] = {}
    for record in records:
        state = record.state
        if state is not None and state.reason and state.reason not in texts:
            texts[state.reason] = len(texts) + 1
            raw = reasonBytes(state.reason)
            parts.append(bytes((len(raw),)) + raw)
    if len(texts) > MOST:
        raise ValueError(f"more than {MOST} texts in a range")
    for record in records:
        _packRecord(parts, record, start, index, texts, relayed)
    at = index[owner][0] if relayed else NONE
    parts[place] = RANGE.pack(at, session, start, end, newest, len(texts), len(records))


def _packRecord(
    parts: list[bytes],
    record: GroupRecord,
    start: int,
    index: _Index,
    texts: Mapping[str, int],
    relayed: bool,
) -> None:
    name, version, state = record
    if state is None:
        parts.append(_packName(name))
        parts.append(RECORD.pack(REMOVED, 0, 0, 0, version - start, 0, 0, 0, 0))
        return
    _, role, fitness, priority, eligible, listening, highest, claim, released, grant = state[:10]
    step, steps, reason, lettingGo, witnessed, request = state[10:]
    heard = index.get(grant.name) if grant is not None else None
    if heard is not None and grant is not None and heard[1].session != grant.session:
        heard = None
    told = claim or released
    flags = (
        (ELIGIBLE if eligible else 0)
        | (LISTENING if listening else 0)
        | (HAS_CLAIM if claim else 0)
        | (HAS_RELEASED if released else 0)
        | ((HAS_GRANT if heard else HAS_GRANT | GRANT_NAMED) if grant else 0)
        | (LETTING_GO if lettingGo else 0)
        | (WITNESSED if witnessed else 0)
        | (MOVED if told is not None and told.moved else 0)
        | (HAS_REQUEST if request else 0)
    )
    text = texts.get(reason, 1) if reason else 0
    delta = version - start
    parts.append(_packName(name))
    parts.append(RECORD.pack(flags, role, fitness, priority, delta, highest, step, steps, text))
    if claim:
        term, (fitness, priority, address, _), _ = claim
        if relayed:
            parts.append(CLAIM_ADDRESS.pack(term, fitness, priority, address.to_bytes(16, "big")))
        else:
            parts.append(CLAIM.pack(term, fitness, priority))
    if released:
        parts.append(TERM.pack(released.term) + _packName(released.successor))
    if grant:
        if heard:
            parts.append(GRANT.pack(heard[0], grant.term))
        else:
            parts.append(_packName(grant.name) + SESSION_TERM.pack(grant.session, grant.term))
    if request:
        holder, session, term, to = request
        parts.append(_packName(holder) + SESSION_TERM.pack(session, term) + _packName(to))


@lru_cache(4096)
def _packName(name: str) -> bytes:
    raw = name.encode("ascii")
    if raw and not NAME.match(raw):
        raise ValueError(f"not a name: {name!r}")
    return bytes((len(raw),)) + raw


def recordSize(name: str, state: GroupState | None, relayed: bool) -> int:
    """Bytes of a record at most, without its text."""
    size = 1 + len(name) + RECORD.size
    if state is None:
        return size
    if state.claim:
        size += CLAIM_ADDRESS.size if relayed else CLAIM.size
    if state.released:
        size += TERM.size + 1 + len(state.released.successor)
    if state.grant:
        size += 1 + len(state.grant.name) + SESSION_TERM.size
    if state.request:
        size += 2 + len(state.request.holder) + len(state.request.to) + SESSION_TERM.size
    return size


def listingSize(listing: Listing) -> int:
    """Bytes of a node heard."""
    behind = TERM.size if listing.known != listing.version else 0
    return 1 + len(listing.name) + LISTING.size + behind
