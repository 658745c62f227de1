"""
The native wire format: one heartbeat to bytes and back.

Every field is described byte by byte in docs/protocol.rst. All numbers are big endian; a name is one
byte of length and that many ASCII bytes. The signature that follows the bytes made here
is the business of L{hatwist.auth}.
"""

from __future__ import annotations

import hashlib
import re
from enum import IntEnum
from struct import Struct, error
from typing import NamedTuple

from hatwist.errors import BadPacket
from hatwist.worth import Fitness, Worth

MAGIC = b"hW"
VERSION = 1
MAX_SIZE = 65_507
"""Bytes that fit one IPv4 UDP datagram (RFC 768, RFC 791)."""
MAX_SEQ = (1 << 64) - 1
MAX_TERM = MAX_SESSION = 1 << 62
"""What a packet may say. The field has room above it: the next one after any that was heard can be sent."""
MICROSECONDS = 1_000_000
_NAME = re.compile(rb"[A-Za-z0-9._-]{1,63}\Z")

_PREFIX = Struct("!2sBB4s8s")  # magic, version, reserved, key id, cluster
_NODE = Struct("!QQII16s8sHH")  # session, seq, interval, tolerance, address, digest, groups, heard
_GROUP = Struct("!BBBBQBB")  # flags, role, fitness, priority, highest term, step, steps
_CLAIM = Struct("!QBB")  # term, fitness, priority
_CLAIM_ADDRESS = Struct("!QBB16s")  # the same with the claimer's address
_TERM = Struct("!Q")
_GRANT = Struct("!QQQ")  # session, term, seq
_HEARD = Struct("!QQIBBH")  # session, seq, age, flags, received, groups
_HEARD_GROUP = Struct("!HBB")  # index, role, flags
_LENGTH = Struct("!H")
_EXTENSION = Struct("!BH")  # kind, length
_REQUEST = Struct("!HQQ")  # index, session, term
MIN_SIZE = _PREFIX.size + 2 + _NODE.size + _LENGTH.size
"""Bytes of the shortest heartbeat: a name of one letter, no group, nobody heard."""

_ELIGIBLE, _LISTENING, _HAS_CLAIM, _HAS_RELEASED, _HAS_GRANT, _LETTING_GO = 1, 2, 4, 8, 16, 32
_WITNESSED, _MOVED = 64, 128
_MOVE = 1  # the kind of an extension: a request to move a group
_DIRECT, _LISTS = 1, 2


class Role(IntEnum):
    """What a node is in a group, as others are told. C{ASKING} is for clusters that vote."""

    STANDBY = 0
    ASKING = 1
    ACTIVE = 2
    SHUTDOWN = 3


class Claim(NamedTuple):
    """
    A claim to hold a group: its fencing token, and the claimer's worth then; both stay as they were.

    @ivar moved: the operator chose the claimer: no worthier node is given way to.
    """

    term: int
    worth: Worth
    moved: bool = False


class Released(NamedTuple):
    """
    A group was let go: of which claim, and to whom (C{""}: to nobody in particular).

    @ivar moved: the operator chose the successor. Not told beside a claim, which came later.
    """

    term: int
    successor: str
    moved: bool = False


class Request(NamedTuple):
    """
    The operator's wish, told to the holder: to hand over what it holds by one claim.

    @ivar holder, session, term: which node, which start of it, which claim; void for any other.
    @ivar to: to which node; C{""}: to the worthiest, if it is not the holder.
    """

    holder: str
    session: int
    term: int
    to: str


class Grant(NamedTuple):
    """A vote for one claim: who, which start of it, which claim, at which of its packets."""

    name: str
    session: int
    term: int
    seq: int


class GroupState(NamedTuple):
    """
    What the sender is in one group.

    @ivar eligible: others may defer to it and name it as successor.
    @ivar listening: it has just started and makes no claim yet.
    @ivar lettingGo: still ACTIVE, but on its way out: nobody need yield to it.
    @ivar witnessed: it reaches the witness.
    @ivar highest: the highest term it ever saw.
    @ivar step, steps: acquiring or releasing is at step C{step} of C{steps}; 0, 0 when at rest.
    @ivar reason: why its fitness is what it is; at most 255 bytes of UTF-8 on the wire.
    @ivar request: what the operator asks of the holder at this node.
    """

    name: str
    role: Role
    fitness: Fitness
    priority: int
    eligible: bool = False
    listening: bool = False
    highest: int = 0
    claim: Claim | None = None
    released: Released | None = None
    grant: Grant | None = None
    step: int = 0
    steps: int = 0
    reason: str = ""
    lettingGo: bool = False
    witnessed: bool = False
    request: Request | None = None


class HeardGroup(NamedTuple):
    """What a known node is in a group, where that is more than a plain standby."""

    name: str
    role: Role
    claim: Claim | None = None
    released: Released | None = None
    lettingGo: bool = False


class Heard(NamedTuple):
    """
    What the sender knows of another node.

    @ivar age: seconds since the newest word of it, 0 to 4294.967295.
    @ivar direct: the sender itself receives its packets.
    @ivar lists: that node says that it receives the sender's packets.
    @ivar received: how many of its last 20 packets arrived.
    """

    name: str
    session: int
    seq: int
    age: float
    direct: bool
    lists: bool
    received: int
    groups: tuple[HeardGroup, ...] = ()


class Heartbeat(NamedTuple):
    """
    One datagram's worth of knowledge.

    @ivar cluster: eight bytes, see L{clusterId}.
    @ivar session, seq: which start of this node, and its packet's number; together the stamp.
    @ivar interval, tolerance: seconds, to a microsecond.
    @ivar address: the number that breaks ties of worth.
    @ivar digest: eight bytes; equal on nodes that share a configuration.
    """

    cluster: bytes
    name: str
    session: int
    seq: int
    interval: float
    tolerance: float
    address: int
    digest: bytes
    groups: tuple[GroupState, ...]
    heard: tuple[Heard, ...] = ()


def clusterId(name: str) -> bytes:
    """The eight bytes by which packets of different clusters are told apart."""
    return hashlib.sha256(b"hatwist cluster " + name.encode()).digest()[:8]


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
    (cluster, name, session, seq, interval, tolerance, address, digest, groups, heard) = heartbeat
    if len(cluster) != 8 or len(digest) != 8:
        raise ValueError("cluster and digest have eight bytes each")
    parts = [
        _PREFIX.pack(MAGIC, VERSION, 0, keyId, cluster),
        _packName(name),
        _NODE.pack(
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
        flags = (_DIRECT if other.direct else 0) | (_LISTS if other.lists else 0)
        known = [g for g in other.groups if g.name in index]
        parts.append(_HEARD.pack(other.session, other.seq, age, flags, other.received, len(known)))
        for entry in known:
            flags = (
                (_HAS_CLAIM if entry.claim else 0)
                | (_HAS_RELEASED if entry.released else 0)
                | (_LETTING_GO if entry.lettingGo else 0)
                | (_MOVED if _moved(entry) else 0)
            )
            parts.append(_HEARD_GROUP.pack(index[entry.name], entry.role, flags))
            if entry.claim:
                term, (fitness, priority, number, _), _ = entry.claim
                parts.append(
                    _CLAIM_ADDRESS.pack(term, fitness, priority, number.to_bytes(16, "big"))
                )
            _packReleased(parts, entry.released)
    extensions = b"".join(
        [_packRequest(index[group.name], group.request) for group in groups if group.request]
    )
    parts.append(_LENGTH.pack(len(extensions)) + extensions)
    return parts


def _packRequest(index: int, request: Request) -> bytes:
    holder, session, term, to = request
    content = _REQUEST.pack(index, session, term) + _packName(holder) + _packName(to)
    return _EXTENSION.pack(_MOVE, len(content)) + content


def _moved(state: GroupState | HeardGroup) -> bool:
    """One flag serves both: what was released before the claim interests nobody any more."""
    told = state.claim or state.released
    return told is not None and told.moved


def _packName(name: str) -> bytes:
    raw = name.encode("ascii")
    if raw and not _NAME.match(raw):
        raise ValueError(f"not a name: {name!r}")
    return bytes((len(raw),)) + raw


def _packGroup(parts: list[bytes], group: GroupState) -> None:
    flags = (
        (_ELIGIBLE if group.eligible else 0)
        | (_LISTENING if group.listening else 0)
        | (_HAS_CLAIM if group.claim else 0)
        | (_HAS_RELEASED if group.released else 0)
        | (_HAS_GRANT if group.grant else 0)
        | (_LETTING_GO if group.lettingGo else 0)
        | (_WITNESSED if group.witnessed else 0)
        | (_MOVED if _moved(group) else 0)
    )
    parts.append(_packName(group.name))
    parts.append(
        _GROUP.pack(
            flags, group.role, group.fitness, group.priority, group.highest, group.step, group.steps
        )
    )
    if group.claim:
        term, (fitness, priority, _, _), _ = group.claim
        parts.append(_CLAIM.pack(term, fitness, priority))
    _packReleased(parts, group.released)
    if group.grant:
        parts.append(_packName(group.grant.name) + _GRANT.pack(*group.grant[1:]))
    reason = group.reason.encode()[:255].decode(errors="ignore").encode()
    parts.append(bytes((len(reason),)) + reason)


def _packReleased(parts: list[bytes], released: Released | None) -> None:
    if released:
        parts.append(_TERM.pack(released.term) + _packName(released.successor))


def keyIdOf(data: bytes) -> bytes:
    """
    The key id of a datagram, before anything else of it is believed.

    @raise BadPacket: C{truncated}, C{magic} or C{version}.
    """
    if len(data) < _PREFIX.size:
        raise BadPacket("truncated" if data[:2] == MAGIC[: len(data)] else "magic")
    magic, version, _, keyId, _ = _PREFIX.unpack_from(data)
    if magic != MAGIC:
        raise BadPacket("magic")
    if version != VERSION:
        raise BadPacket("version", f"{version}; this release speaks {VERSION}")
    return bytes(keyId)


def clusterOf(data: bytes) -> bytes:
    """The cluster id of a datagram that L{keyIdOf} has found to be long enough; not believed yet."""
    return data[8:16]


def decode(data: bytes) -> Heartbeat:
    """
    The heartbeat in these bytes, whose signature was already cut off.

    @raise BadPacket: it is not one, see L{hatwist.errors.REASONS}.
    """
    keyIdOf(data)
    try:
        heartbeat, end = _Reader(data).heartbeat()
    except (error, IndexError) as e:
        raise BadPacket("truncated") from e
    if end != len(data):
        raise BadPacket("trailing", f"{len(data) - end} bytes")
    return heartbeat


class _Reader:
    """Reads one datagram from left to right."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def take(self, struct: Struct) -> tuple:  # type: ignore[type-arg]
        values = struct.unpack_from(self.data, self.at)
        self.at += struct.size
        return values

    def raw(self) -> bytes:
        start = self.at + 1
        self.at = start + self.data[self.at]
        if self.at > len(self.data):
            raise BadPacket("truncated")
        return self.data[start : self.at]

    def name(self, empty: bool = False) -> str:
        raw = self.raw()
        if not _NAME.match(raw) and not (empty and not raw):
            raise BadPacket("malformed", "a name")
        return raw.decode("ascii")

    def heartbeat(self) -> tuple[Heartbeat, int]:
        _, _, _, _, cluster = self.take(_PREFIX)
        name = self.name()
        session, seq, interval, tolerance, raw, digest, groupCount, heardCount = self.take(_NODE)
        if session > MAX_SESSION:
            raise BadPacket("malformed", "session")
        if not 0 < interval < tolerance:
            raise BadPacket("malformed", "interval and tolerance")
        address = int.from_bytes(raw, "big")
        groups = tuple([self.group(address, name) for _ in range(groupCount)])
        names = [group.name for group in groups]
        if len(set(names)) != len(names):
            raise BadPacket("malformed", "a group twice")
        heard = tuple([self.heard(names) for _ in range(heardCount)])
        (length,) = self.take(_LENGTH)
        if self.at + length > len(self.data):
            raise BadPacket("truncated", "extensions")
        groups = self.extensions(self.at + length, groups)
        heartbeat = Heartbeat(
            cluster,
            name,
            session,
            seq,
            interval / MICROSECONDS,
            tolerance / MICROSECONDS,
            address,
            digest,
            groups,
            heard,
        )
        return heartbeat, self.at

    def extensions(self, end: int, groups: tuple[GroupState, ...]) -> tuple[GroupState, ...]:
        """What follows the heard nodes, up to C{end}; kinds that are not known are skipped."""
        states = list(groups)
        while self.at < end:
            kind, length = self.take(_EXTENSION)
            last = self.at + length
            if kind == _MOVE:
                index, request = self.request()
                if index >= len(states) or states[index].request is not None:
                    raise BadPacket("malformed", "group index of a request")
                states[index] = states[index]._replace(request=request)
            if not self.at <= last <= end:
                raise BadPacket("malformed", "length of an extension")
            self.at = last
        return tuple(states)

    def request(self) -> tuple[int, Request]:
        index, session, term = self.take(_REQUEST)
        if session > MAX_SESSION or not 0 < term <= MAX_TERM:
            raise BadPacket("malformed", "claim of a request")
        return index, Request(self.name(), session, term, self.name(empty=True))

    def group(self, address: int, sender: str) -> GroupState:
        name = self.name()
        flags, role, fitness, priority, highest, step, steps = self.take(_GROUP)
        if highest > MAX_TERM:
            raise BadPacket("malformed", "highest term")
        claim = None
        if flags & _HAS_CLAIM:
            term, claimFitness, claimPriority = self.take(_CLAIM)
            claim = self.claim(term, claimFitness, claimPriority, address, sender, flags)
        released = self.released(flags) if flags & _HAS_RELEASED else None
        grant = None
        if flags & _HAS_GRANT:
            grant = Grant(self.name(), *self.take(_GRANT))
            if grant.session > MAX_SESSION or not 0 < grant.term <= MAX_TERM:
                raise BadPacket("malformed", "grant")
        try:
            reason = self.raw().decode()
        except UnicodeDecodeError:
            raise BadPacket("malformed", "reason") from None
        return GroupState(
            name,
            self.role(role, claim),
            self.fitness(fitness),
            self.priority(priority),
            bool(flags & _ELIGIBLE),
            bool(flags & _LISTENING),
            highest,
            claim,
            released,
            grant,
            step,
            steps,
            reason,
            bool(flags & _LETTING_GO),
            bool(flags & _WITNESSED),
        )

    def heard(self, names: list[str]) -> Heard:
        name = self.name()
        session, seq, age, flags, received, count = self.take(_HEARD)
        if session > MAX_SESSION:
            raise BadPacket("malformed", "session of a heard node")
        if received > 20:
            raise BadPacket("malformed", "received")
        groups = tuple([self.heardGroup(names, name) for _ in range(count)])
        return Heard(
            name,
            session,
            seq,
            age / MICROSECONDS,
            bool(flags & _DIRECT),
            bool(flags & _LISTS),
            received,
            groups,
        )

    def heardGroup(self, names: list[str], sender: str) -> HeardGroup:
        index, role, flags = self.take(_HEARD_GROUP)
        if index >= len(names):
            raise BadPacket("malformed", "group index")
        claim = None
        if flags & _HAS_CLAIM:
            term, fitness, priority, raw = self.take(_CLAIM_ADDRESS)
            claim = self.claim(term, fitness, priority, int.from_bytes(raw, "big"), sender, flags)
        released = self.released(flags) if flags & _HAS_RELEASED else None
        lettingGo = bool(flags & _LETTING_GO)
        return HeardGroup(names[index], self.role(role, claim), claim, released, lettingGo)

    def claim(
        self, term: int, fitness: int, priority: int, address: int, sender: str, flags: int
    ) -> Claim:
        if not 0 < term <= MAX_TERM:
            raise BadPacket("malformed", "term of a claim")
        worth = Worth(self.fitness(fitness), self.priority(priority), address, sender)
        return Claim(term, worth, bool(flags & _MOVED))

    def released(self, flags: int) -> Released:
        (term,) = self.take(_TERM)
        if not 0 < term <= MAX_TERM:
            raise BadPacket("malformed", "term of a release")
        moved = flags & _MOVED and not flags & _HAS_CLAIM
        return Released(term, self.name(empty=True), bool(moved))

    @staticmethod
    def role(number: int, claim: Claim | None) -> Role:
        if number > Role.SHUTDOWN:
            raise BadPacket("malformed", "role")
        role = Role(number)
        if (claim is not None) != (role in (Role.ACTIVE, Role.ASKING)):
            raise BadPacket("malformed", "a claim goes with ACTIVE and ASKING")
        return role

    @staticmethod
    def fitness(number: int) -> Fitness:
        if number > Fitness.FIT:
            raise BadPacket("malformed", "fitness")
        return Fitness(number)

    @staticmethod
    def priority(number: int) -> int:
        if number > 254:
            raise BadPacket("malformed", "priority")
        return number
