"""A heartbeat to bytes, in the layout of L{hatwist.protocols.native.wire}."""

from __future__ import annotations

from struct import error

from hatwist.core.claims import Released
from hatwist.protocols.native.heartbeat import GroupState, HeardGroup, Heartbeat, Request
from hatwist.protocols.native.wire import (
    CLAIM,
    CLAIM_ADDRESS,
    DIRECT,
    ELIGIBLE,
    EXTENSION,
    GRANT,
    GROUP,
    HAS_CLAIM,
    HAS_GRANT,
    HAS_RELEASED,
    HEARD,
    HEARD_GROUP,
    LEAVING,
    LEFT,
    LENGTH,
    LETTING_GO,
    LISTENING,
    LISTS,
    MAGIC,
    MAX_SIZE,
    MICROSECONDS,
    MOVE,
    MOVED,
    NAME,
    NAMED,
    NODE,
    PREFIX,
    REQUEST,
    TERM,
    UNTOLD,
    VERSION,
    WITNESSED,
)


def encode(heartbeat: Heartbeat, keyId: bytes = b"\0\0\0\0") -> bytes:
    """
    The bytes of a heartbeat, without signature.

    @param keyId: four bytes that name the key it will be signed with; zeros: none.
    @raise ValueError: a field does not fit its place, or the whole does not fit a datagram.
    """
    try:
        data = b"".join(_parts(heartbeat, keyId))
    except (error, OverflowError) as e:
        raise ValueError(f"a field of the heartbeat is out of range: {e}") from e
    if len(data) > MAX_SIZE:
        raise ValueError(f"the heartbeat has {len(data)} bytes; a datagram holds {MAX_SIZE}")
    return data


def _parts(heartbeat: Heartbeat, keyId: bytes) -> list[bytes]:
    (cluster, name, session, seq, interval, tolerance, address, digest, groups, heard, leaving) = (
        heartbeat
    )
    if len(cluster) != 8 or len(digest) != 8:
        raise ValueError("cluster and digest have eight bytes each")
    parts = [
        PREFIX.pack(MAGIC, VERSION, LEAVING if leaving else 0, keyId, cluster),
        _packName(name),
        NODE.pack(
            session,
            seq,
            round(interval * MICROSECONDS),
            round(tolerance * MICROSECONDS),
            address.to_bytes(16, "big"),
            digest,
            len(groups),
            len(heard),
        ),
    ]
    index = {}
    for number, group in enumerate(groups):
        index[group.name] = number
        _packGroup(parts, group)
    for other in heard:
        parts.append(_packName(other.name))
        age = min(round(max(other.age, 0.0) * MICROSECONDS), 0xFFFFFFFF)
        flags = (
            (DIRECT if other.direct else 0)
            | (LISTS if other.lists else 0)
            | (LEFT if other.left else 0)
            | (NAMED if other.named else 0)
        )
        known = [g for g in other.groups if g.name in index]
        untold = [index[group] for group in other.untold]
        count = len(known) + len(untold)
        parts.append(
            HEARD.pack(other.session, other.seq, age, flags, other.lag, other.received, count)
        )
        parts += [HEARD_GROUP.pack(number, 0, UNTOLD) for number in untold]
        for entry in known:
            flags = (
                (HAS_CLAIM if entry.claim else 0)
                | (HAS_RELEASED if entry.released else 0)
                | (LETTING_GO if entry.lettingGo else 0)
                | (MOVED if _moved(entry) else 0)
            )
            parts.append(HEARD_GROUP.pack(index[entry.name], entry.role, flags))
            if entry.claim:
                term, (fitness, priority, number, _), _ = entry.claim
                parts.append(
                    CLAIM_ADDRESS.pack(term, fitness, priority, number.to_bytes(16, "big"))
                )
            _packReleased(parts, entry.released)
    extensions = b"".join(
        [_packRequest(index[group.name], group.request) for group in groups if group.request]
    )
    parts.append(LENGTH.pack(len(extensions)) + extensions)
    return parts


def _packRequest(index: int, request: Request) -> bytes:
    holder, session, term, to = request
    content = REQUEST.pack(index, session, term) + _packName(holder) + _packName(to)
    return EXTENSION.pack(MOVE, len(content)) + content


def _moved(state: GroupState | HeardGroup) -> bool:
    """One flag serves both: what was released before the claim interests nobody any more."""
    told = state.claim or state.released
    return told is not None and told.moved


def _packName(name: str) -> bytes:
    raw = name.encode("ascii")
    if raw and not NAME.match(raw):
        raise ValueError(f"not a name: {name!r}")
    return bytes((len(raw),)) + raw


def _packGroup(parts: list[bytes], group: GroupState) -> None:
    flags = (
        (ELIGIBLE if group.eligible else 0)
        | (LISTENING if group.listening else 0)
        | (HAS_CLAIM if group.claim else 0)
        | (HAS_RELEASED if group.released else 0)
        | (HAS_GRANT if group.grant else 0)
        | (LETTING_GO if group.lettingGo else 0)
        | (WITNESSED if group.witnessed else 0)
        | (MOVED if _moved(group) else 0)
    )
    parts.append(_packName(group.name))
    parts.append(
        GROUP.pack(
            flags, group.role, group.fitness, group.priority, group.highest, group.step, group.steps
        )
    )
    if group.claim:
        term, (fitness, priority, _, _), _ = group.claim
        parts.append(CLAIM.pack(term, fitness, priority))
    _packReleased(parts, group.released)
    if group.grant:
        parts.append(_packName(group.grant.name) + GRANT.pack(*group.grant[1:]))
    reason = group.reason.encode(errors="replace")[:255].decode(errors="ignore").encode()
    parts.append(bytes((len(reason),)) + reason)


def _packReleased(parts: list[bytes], released: Released | None) -> None:
    if released:
        parts.append(TERM.pack(released.term) + _packName(released.successor))
