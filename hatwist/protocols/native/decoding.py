"""Bytes to a heartbeat, in the layout of L{hatwist.protocols.native.wire}; nothing that is out of its range passes."""

from __future__ import annotations

from struct import Struct, error

from hatwist.core.claims import MAX_SESSION, MAX_TERM, Claim, Grant, Released, Role
from hatwist.core.errors import BadPacket
from hatwist.core.worth import Fitness, Worth
from hatwist.protocols.native.heartbeat import GroupState, Heard, HeardGroup, Heartbeat, Request
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
    WITNESSED,
    keyIdOf,
)

# By their numbers: a call of the class takes four times as long, and each packet has several.
ROLES = tuple(sorted(Role))
FITNESSES = tuple(sorted(Fitness))


def decode(data: bytes) -> Heartbeat:
    """
    The heartbeat in these bytes, whose signature was already cut off.

    @raise BadPacket: it is not one, see L{hatwist.core.errors.REASONS}.
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
        if not NAME.match(raw) and not (empty and not raw):
            raise BadPacket("malformed", "a name")
        return raw.decode("ascii")

    def heartbeat(self) -> tuple[Heartbeat, int]:
        _, _, flags, _, cluster = self.take(PREFIX)
        name = self.name()
        session, seq, interval, tolerance, raw, digest, groupCount, heardCount = self.take(NODE)
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
        (length,) = self.take(LENGTH)
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
            bool(flags & LEAVING),
        )
        return heartbeat, self.at

    def extensions(self, end: int, groups: tuple[GroupState, ...]) -> tuple[GroupState, ...]:
        """What follows the heard nodes, up to C{end}; kinds that are not known are skipped."""
        states = list(groups)
        while self.at < end:
            kind, length = self.take(EXTENSION)
            last = self.at + length
            if kind == MOVE:
                index, request = self.request()
                if index >= len(states) or states[index].request is not None:
                    raise BadPacket("malformed", "group index of a request")
                states[index] = states[index]._replace(request=request)
            if not self.at <= last <= end:
                raise BadPacket("malformed", "length of an extension")
            self.at = last
        return tuple(states)

    def request(self) -> tuple[int, Request]:
        index, session, term = self.take(REQUEST)
        if session > MAX_SESSION or not 0 < term <= MAX_TERM:
            raise BadPacket("malformed", "claim of a request")
        return index, Request(self.name(), session, term, self.name(empty=True))

    def group(self, address: int, sender: str) -> GroupState:
        name = self.name()
        flags, role, fitness, priority, highest, step, steps = self.take(GROUP)
        if highest > MAX_TERM:
            raise BadPacket("malformed", "highest term")
        claim = None
        if flags & HAS_CLAIM:
            term, claimFitness, claimPriority = self.take(CLAIM)
            claim = self.claim(term, claimFitness, claimPriority, address, sender, flags)
        released = self.released(flags) if flags & HAS_RELEASED else None
        grant = None
        if flags & HAS_GRANT:
            grant = Grant(self.name(), *self.take(GRANT))
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
            bool(flags & ELIGIBLE),
            bool(flags & LISTENING),
            highest,
            claim,
            released,
            grant,
            step,
            steps,
            reason,
            bool(flags & LETTING_GO),
            bool(flags & WITNESSED),
        )

    def heard(self, names: list[str]) -> Heard:
        name = self.name()
        session, seq, age, flags, lag, received, count = self.take(HEARD)
        if session > MAX_SESSION:
            raise BadPacket("malformed", "session of a heard node")
        if received > 20:
            raise BadPacket("malformed", "received")
        told = [self.heardGroup(names, name) for _ in range(count)]
        return Heard(
            name,
            session,
            seq,
            age / MICROSECONDS,
            bool(flags & DIRECT),
            bool(flags & LISTS),
            received,
            tuple([group for group in told if isinstance(group, HeardGroup)]),
            bool(flags & LEFT),
            bool(flags & NAMED),
            tuple([group for group in told if isinstance(group, str)]),
            lag,
        )

    def heardGroup(self, names: list[str], sender: str) -> HeardGroup | str:
        """What is known of one group; its bare name: nothing is told of it."""
        index, role, flags = self.take(HEARD_GROUP)
        if index >= len(names):
            raise BadPacket("malformed", "group index")
        if flags & UNTOLD:
            return str(names[index])
        claim = None
        if flags & HAS_CLAIM:
            term, fitness, priority, raw = self.take(CLAIM_ADDRESS)
            claim = self.claim(term, fitness, priority, int.from_bytes(raw, "big"), sender, flags)
        released = self.released(flags) if flags & HAS_RELEASED else None
        lettingGo = bool(flags & LETTING_GO)
        return HeardGroup(names[index], self.role(role, claim), claim, released, lettingGo)

    def claim(
        self, term: int, fitness: int, priority: int, address: int, sender: str, flags: int
    ) -> Claim:
        if not 0 < term <= MAX_TERM:
            raise BadPacket("malformed", "term of a claim")
        worth = Worth(self.fitness(fitness), self.priority(priority), address, sender)
        return Claim(term, worth, bool(flags & MOVED))

    def released(self, flags: int) -> Released:
        (term,) = self.take(TERM)
        if not 0 < term <= MAX_TERM:
            raise BadPacket("malformed", "term of a release")
        moved = flags & MOVED and not flags & HAS_CLAIM
        return Released(term, self.name(empty=True), bool(moved))

    @staticmethod
    def role(number: int, claim: Claim | None) -> Role:
        if number > Role.SHUTDOWN:
            raise BadPacket("malformed", "role")
        role = ROLES[number]
        if (claim is not None) != (role in (Role.ACTIVE, Role.ASKING)):
            raise BadPacket("malformed", "a claim goes with ACTIVE and ASKING")
        return role

    @staticmethod
    def fitness(number: int) -> Fitness:
        if number > Fitness.FIT:
            raise BadPacket("malformed", "fitness")
        return FITNESSES[number]

    @staticmethod
    def priority(number: int) -> int:
        if number > 254:
            raise BadPacket("malformed", "priority")
        return number
