"""What a guard is to be armed with, and the bytes that tell it so."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from twisted.internet.defer import Deferred

from hatwist.linux.guard import program
from hatwist.linux.guard.program import NEVER, Clocks, message, passed, soonest, string
from hatwist.linux.interfaces import Farewell
from hatwist.linux.lan.raw import wholePacket

PIPE_BUF = 4096
"""Bytes that a pipe takes whole, or not at all (pipe(7))."""


class GuardLease:
    """
    Until when the groups that follow it may be held.

    @ivar limits: the deadline as the guard knows it.
    @ivar followers: the names of those groups.
    """

    def __init__(self, name: str, limits: Clocks) -> None:
        self.name = name
        self.limits = limits
        self.followers: set[str] = set()


class GuardLeases:
    """Those that groups follow, as the guard has them."""

    def __init__(self) -> None:
        self._known: dict[str, GuardLease] = {}
        self._soonest = NEVER  # none ends earlier, on either clock

    def get(self, name: str) -> GuardLease | None:
        """C{None}: no group follows it."""
        return self._known.get(name)

    def join(self, group: str, before: GuardLease | None, name: str, limits: Clocks) -> GuardLease:
        """A group follows this lease from now on, not C{before}; it ends then."""
        lease = self._known.get(name)
        if lease is None:
            lease = self._known[name] = GuardLease(name, limits)
        if before is not None and before is not lease:
            self.leave(group, before)
        lease.followers.add(group)
        self.extend(lease, limits)
        return lease

    def leave(self, group: str, lease: GuardLease) -> None:
        """A group follows it no more."""
        lease.followers.discard(group)
        if not lease.followers:
            del self._known[lease.name]

    def extend(self, lease: GuardLease, limits: Clocks) -> None:
        """It ends then."""
        lease.limits = limits
        if limits[0] < self._soonest[0] or limits[1] < self._soonest[1]:
            self._soonest = soonest([self._soonest, limits])

    def late(self, now: Clocks) -> list[str]:
        """The groups of those that have ended. It takes no time while none can have."""
        if not self._known or not passed(self._soonest, now):
            return []
        self._soonest = soonest([lease.limits for lease in self._known.values()])
        ended = [lease for lease in self._known.values() if passed(lease.limits, now)]
        return [group for lease in ended for group in sorted(lease.followers)]

    def clear(self) -> None:
        """No group follows any."""
        self._known.clear()


class Armed:
    """
    What is to be armed for a group, and who waits for it.

    @ivar confirmed: the guard has it.
    """

    def __init__(
        self, term: int, lease: GuardLease, deletions: list[bytes], farewells: tuple[Farewell, ...]
    ) -> None:
        self.term = term
        self.lease = lease
        self.deletions = deletions
        self.farewells = farewells
        self.confirmed = False
        self.waiting: list[Deferred[None]] = []

    def tell(self) -> None:
        """Whoever waits for it, of whom none may have failed meanwhile: the guard has it."""
        waiting, self.waiting = self.waiting, []
        for done in waiting:
            done.callback(None)

    def fail(self, error: Exception) -> None:
        """Whoever waits for it waits in vain."""
        waiting, self.waiting = self.waiting, []
        for done in waiting:
            done.errback(error)

    def encode(self, name: str, words: int, written: Clocks) -> bytes:
        """The message that arms; C{words} is the number of its farewells."""
        lease = string(self.lease.name.encode(), 1)
        fields = [string(name.encode(), 1), lease, encoded(written), encoded(self.lease.limits)]
        fields += [self.term.to_bytes(8, "big"), words.to_bytes(4, "big")]
        fields.append(len(self.deletions).to_bytes(4, "big"))
        fields += [string(deletion, 4) for deletion in self.deletions]
        return message(program.ARM, *fields)


class Wording:
    """The farewells that one guard knows, each once for all groups that have them; it forgets as the guard does."""

    def __init__(self) -> None:
        self._numbers: dict[tuple[Farewell, ...], int] = {(): 0}
        self._users: Counter[tuple[Farewell, ...]] = Counter()
        self._said: dict[str, tuple[Farewell, ...]] = {}
        self._last = 0

    def use(self, group: str, farewells: tuple[Farewell, ...]) -> tuple[int, bytes]:
        """Their number, and the message to be sent before it is used."""
        told = b""
        if farewells not in self._numbers:
            self._last += 1
            self._numbers[farewells] = self._last
            told = message(program.SAY, self._last.to_bytes(4, "big"), *_fields(farewells))
        number = self._numbers[farewells]
        self._users[farewells] += 1
        self.drop(group)
        self._said[group] = farewells
        return number, told

    def drop(self, group: str) -> None:
        """A group is not armed with what it had."""
        before = self._said.pop(group, None)
        if before is not None:
            self._users[before] -= 1
            if before and not self._users[before]:
                del self._users[before], self._numbers[before]


def _fields(farewells: Sequence[Farewell]) -> Iterator[bytes]:
    yield len(farewells).to_bytes(2, "big")
    for farewell in farewells:
        yield farewell.ifindex.to_bytes(4, "big") + farewell.port.to_bytes(2, "big")
        yield string(farewell.address.packed, 1) + string(_said(farewell), 4)


def _said(farewell: Farewell) -> bytes:
    """A datagram of UDP is said as it is, anything else as a whole packet of IP."""
    if farewell.source is None:
        return farewell.datagram
    return wholePacket(farewell.protocol, farewell.source, farewell.address, farewell.datagram)


def follow(group: str, lease: GuardLease, written: Clocks) -> bytes:
    """The message that a group goes by another lease."""
    names = string(group.encode(), 1), string(lease.name.encode(), 1)
    return message(program.FOLLOW, *names, encoded(written), encoded(lease.limits))


def pets(
    leases: Iterable[str], written: Clocks, limits: Sequence[Clocks]
) -> Iterator[tuple[bytes, int]]:
    """The messages that extend these leases, each short enough to be written whole, and how many are in each."""
    fields: list[bytes] = []
    size = 0
    for lease, each in zip(leases, limits, strict=True):
        field = string(lease.encode(), 1) + encoded(each)
        if size + len(field) > PIPE_BUF - 32:
            yield _pet(written, fields), len(fields)
            fields, size = [], 0
        fields.append(field)
        size += len(field)
    if fields:
        yield _pet(written, fields), len(fields)


def _pet(written: Clocks, fields: Sequence[bytes]) -> bytes:
    return message(program.PET, encoded(written), len(fields).to_bytes(2, "big"), *fields)


def encoded(times: Clocks) -> bytes:
    """As each message has them."""
    return (times[0] << 64 | times[1]).to_bytes(16, "big")
