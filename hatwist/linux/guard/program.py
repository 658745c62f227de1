"""
The guard: a small process that lets go of addresses when the daemon no longer can.

Run by L{hatwist.linux.guard.client} in a Python with -I -S. It imports nothing but modules written
in C, so that it starts in some milliseconds, and it needs nothing of the daemon but two pipes: commands
come on descriptor 0, answers go to descriptor 1, complaints to 2.

It fires when the deadline of any lease passes, on CLOCK_MONOTONIC or on CLOCK_BOOTTIME (which goes on while
the machine is suspended); when the pipe ends while a group is armed (the daemon is dead: at once); and
when it reads what it does not understand. Firing is final, and for all groups, since the farewell
ends the session of the whole node: it deletes, awaits the kernel's acknowledgements, and only if
every address is gone says each farewell L{TIMES} times; then it exits with L{STATUS}. When the pipe ends with
nothing armed it exits with 0. No signal ends it but SIGKILL.

Every message, in both directions, is its length without these four bytes, its kind (one byte), and:

    SAY       words, farewells. For groups that are armed with these words from now on
    ARM       group, lease, clocks, term (8 bytes), words, deletions. Replaces what was armed for it
    FOLLOW    group, lease, clocks. What is armed for it goes by this lease from now on
    PET       time, number of leases (2), of each: lease, its deadline
    DISARM    group. Everything of it is proven gone
    READY     nothing
    ARMED     group, term (8)
    DISARMED  group
    FIRING    nothing: from now on it deletes
    FIRED     group, number of farewells said (2), number of deletions (4), an errno for each (2)

    group, lease  its length (1) and name
    time          when this was written: CLOCK_MONOTONIC, CLOCK_BOOTTIME, in ns (8 each)
    clocks        time, and the deadline of the lease from now on, likewise
    words         a number (4), which never means others; 0: nothing is said
    deletions     their number (4), of each its length (4) and bytes: one rtnetlink message
    farewells     their number (2), of each: interface index (4), port (2), address length (1) and
                  address, datagram length (4) and bytes. Port 0: a whole packet of IP, with its header

Numbers are unsigned, most significant byte first. A lease, and words, are known for as long as a group goes by
them. Who woke late reads all that was written before it judges a deadline; but what was written after a deadline
of the group, or of the lease, had passed can save nothing more.
"""

import _signal  # type: ignore[import-not-found]
import _socket
import errno
import posix
import select
import sys
import time

ARM, PET, DISARM, FOLLOW, SAY = 1, 2, 3, 4, 5
READY, ARMED, DISARMED, FIRING, FIRED = 1, 2, 3, 4, 5

STATUS = 3
"""Its exit status after it fired."""
LIMIT = 1 << 26
"""Bytes of one message; a thousand addresses take about 60,000."""
LOOK = 0.2
"""Seconds between two looks at the clocks at most: a sleep is not shortened by a suspension."""
MOST = 1 << 16
"""Bytes read from the daemon at a time."""
PATIENCE = 1.0
"""Seconds that the kernel has to acknowledge."""
ROUNDS = 3
"""How often a deletion is tried."""
SLICE = 100
"""Deletions sent before their acknowledgements are read: a default buffer holds 256."""
TIMES, PAUSE = 3, 0.01
"""How often a farewell is said, and the seconds between."""

Clocks = tuple[int, int]
"""CLOCK_MONOTONIC and CLOCK_BOOTTIME, in nanoseconds."""
NEVER: Clocks = (1 << 64, 1 << 64)

GONE = (0, errno.ENODEV, errno.EADDRNOTAVAIL)
_RTM_SETLINK, _RTM_DELADDR = 19, 21
_NLMSG_ERROR = 2
# linux/netlink.h, in.h, in6.h; not all in the socket module
_NETLINK_ROUTE, _SOL_NETLINK, _NETLINK_CAP_ACK = 0, 270, 10
_IP_UNICAST_IF, _IPV6_UNICAST_IF = 50, 76


class Malformed(Exception):
    """A message that this program does not understand."""


def clocks() -> Clocks:
    """The time now."""
    return time.monotonic_ns(), time.clock_gettime_ns(time.CLOCK_BOOTTIME)


def passed(deadline: Clocks, now: Clocks) -> bool:
    """Whether C{deadline} has passed on either clock."""
    return now[0] >= deadline[0] or now[1] >= deadline[1]


class Reader:
    """Reads the fields of one message in order; L{Malformed} when it is shorter than they say."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def take(self, count: int) -> bytes:
        start, self._at = self._at, self._at + count
        if self._at > len(self._data):
            raise Malformed("a message is shorter than its fields say")
        return self._data[start : self._at]

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "big")

    def string(self, size: int) -> bytes:
        """A field that begins with its length in C{size} bytes."""
        return self.take(self.number(size))

    def clocks(self) -> Clocks:
        return self.number(8), self.number(8)

    def end(self) -> None:
        """@raise Malformed: something is left."""
        if self._at != len(self._data):
            raise Malformed("a message is longer than its fields say")


def message(kind: int, *fields: bytes) -> bytes:
    """Frame one message."""
    body = b"".join(fields)
    return (1 + len(body)).to_bytes(4, "big") + kind.to_bytes(1, "big") + body


def string(data: bytes, size: int) -> bytes:
    """A field that begins with its length in C{size} bytes."""
    return len(data).to_bytes(size, "big") + data


def split(data: bytes) -> tuple[list[bytes], bytes]:
    """
    Return the whole messages in C{data}, each from its kind on, and what is left.

    @raise Malformed: a length that none has.
    """
    found = []
    at = 0
    while len(data) - at >= 4:
        length = int.from_bytes(data[at : at + 4], "big")
        if not 1 <= length <= LIMIT:
            raise Malformed(f"a message of {length} bytes")
        if len(data) - at - 4 < length:
            break
        found.append(data[at + 4 : at + 4 + length])
        at += 4 + length
    return found, data[at:]


class Mouth:
    """
    A socket for all that leaves by one interface and one version of IP: datagrams of UDP, or whole packets.

    Whole packets need CAP_NET_RAW; a socket for them receives nothing (raw(7), IPPROTO_RAW).

    @ivar users: how many farewells have it.
    """

    def __init__(self, family: int, index: int, whole: bool) -> None:
        self.users = 0
        self.socket: _socket.socket | None = None
        kind = _socket.SOCK_RAW if whole else _socket.SOCK_DGRAM
        kind |= _socket.SOCK_CLOEXEC | _socket.SOCK_NONBLOCK
        try:
            self.socket = _socket.socket(family, kind, _socket.IPPROTO_RAW if whole else 0)
        except OSError as error:
            complain(f"no socket for a farewell: {error}")
            return
        here = index.to_bytes(4, sys.byteorder)
        four, six = _socket.IPPROTO_IP, _socket.IPPROTO_IPV6
        options: list[tuple[int, int, int | bytes]] = [
            (four, _socket.IP_MULTICAST_TTL, 1),
            (four, _socket.IP_MULTICAST_LOOP, 0),
            (four, _socket.IP_MULTICAST_IF, bytes(8) + here),  # struct ip_mreqn
            (four, _IP_UNICAST_IF, index.to_bytes(4, "big")),
            (_socket.SOL_SOCKET, _socket.SO_BROADCAST, 1),
        ]
        if family == _socket.AF_INET6:
            options = [
                (six, _socket.IPV6_MULTICAST_HOPS, 1),
                (six, _socket.IPV6_MULTICAST_LOOP, 0),
                (six, _socket.IPV6_MULTICAST_IF, here),
                (six, _IPV6_UNICAST_IF, index.to_bytes(4, "big")),
            ]
        for option in options:
            try:
                self.socket.setsockopt(*option)
            except OSError as error:  # it may arrive all the same
                complain(f"a farewell on interface {index}: option {option[1]}: {error}")


mouths: dict[tuple[int, int, bool], Mouth] = {}
"""Those that are open."""


class Goodbye:
    """One datagram, or whole packet, for one destination, through a socket that is open already."""

    def __init__(self, index: int, port: int, address: bytes, datagram: bytes) -> None:
        families = {4: _socket.AF_INET, 16: _socket.AF_INET6}
        if len(address) not in families:
            raise Malformed(f"an address of {len(address)} bytes")
        family = families[len(address)]
        text = _socket.inet_ntop(family, address)
        self._where = (text, port) if family == _socket.AF_INET else (text, port, 0, index)
        self._datagram = datagram
        self._key = (family, index, not port)
        if self._key not in mouths:
            mouths[self._key] = Mouth(*self._key)
        mouths[self._key].users += 1

    def say(self) -> bool:
        """Send it once; whether that was possible."""
        mouth = mouths[self._key].socket
        try:
            return mouth is not None and bool(mouth.sendto(self._datagram, self._where))
        except OSError as error:
            complain(f"a farewell to {self._where[0]}: {error}")
            return False

    def close(self) -> None:
        mouth = mouths[self._key]
        mouth.users -= 1
        if not mouth.users:
            del mouths[self._key]
            if mouth.socket is not None:
                mouth.socket.close()


class ArmedLease:
    """
    Until when the groups that follow it may be held.

    @ivar followers: how many do.
    """

    def __init__(self, deadline: Clocks) -> None:
        self.deadline = deadline
        self.followers = 0


class Farewells:
    """
    What is said once all is gone.

    @ivar users: how many groups are armed with it.
    """

    def __init__(self, farewells: list[Goodbye]) -> None:
        self.farewells = farewells
        self.users = 0


class ArmedGroup:
    """What is armed for one group: its lease and its words by name and number."""

    __slots__ = ("deletions", "lease", "words")

    def __init__(self, lease: bytes, words: int, deletions: list[bytes]) -> None:
        self.lease = lease
        self.words = words
        self.deletions = deletions


class Deleter:
    """A netlink socket of its own, open from the start."""

    def __init__(self) -> None:
        kind = _socket.SOCK_RAW | _socket.SOCK_CLOEXEC | _socket.SOCK_NONBLOCK
        self._socket = _socket.socket(_socket.AF_NETLINK, kind, _NETLINK_ROUTE)
        self._socket.bind((0, 0))
        try:
            self._socket.setsockopt(_SOL_NETLINK, _NETLINK_CAP_ACK, 1)
        except OSError:  # an older kernel's acknowledgements are longer
            pass
        self._sequence = 1

    def delete(self, messages: list[bytes]) -> list[int]:
        """Send all, in order, and return an errno for each; ETIMEDOUT when none came in time."""
        answers = [errno.ETIMEDOUT] * len(messages)
        left = list(range(len(messages)))
        until = time.monotonic() + PATIENCE
        for _ in range(ROUNDS):
            for start in range(0, len(left), SLICE):
                self._exchange(messages, left[start : start + SLICE], answers, until)
            # What an interface is told around the deletions has its place, and is not said twice.
            left = [n for n in left if deletes(messages[n]) and answers[n] not in GONE]
            if not left or time.monotonic() >= until:
                break
        return answers

    def _exchange(
        self, messages: list[bytes], part: list[int], answers: list[int], until: float
    ) -> None:
        waiting = {}
        sent = b""
        for position in part:
            number = self._sequence.to_bytes(4, sys.byteorder)
            waiting[self._sequence] = position
            self._sequence += 1
            sent += messages[position][:8] + number + messages[position][12:]
        try:
            self._socket.send(sent)
            while waiting:
                # What took long may have been the sending itself: the answers lie there then.
                left = max(0.0, until - time.monotonic())
                if not select.select([self._socket.fileno()], [], [], left)[0]:
                    return
                data, (port, _groups) = self._socket.recvfrom(65536)
                if port == 0:
                    self._read(data, waiting, answers)
        except OSError as error:
            for position in waiting.values():
                answers[position] = error.errno or errno.EIO

    @staticmethod
    def _read(data: bytes, waiting: dict[int, int], answers: list[int]) -> None:
        at = 0
        while at + 20 <= len(data):
            length = int.from_bytes(data[at : at + 4], sys.byteorder)
            kind = int.from_bytes(data[at + 4 : at + 6], sys.byteorder)
            number = int.from_bytes(data[at + 8 : at + 12], sys.byteorder)
            if length < 16:
                return
            if kind == _NLMSG_ERROR and number in waiting:
                code = int.from_bytes(data[at + 16 : at + 20], sys.byteorder, signed=True)
                answers[waiting.pop(number)] = -code
            at += (length + 3) & ~3


def deletes(request: bytes) -> bool:
    """Whether a netlink message deletes an address."""
    return int.from_bytes(request[4:6], sys.byteorder) == _RTM_DELADDR


class Guard:
    """
    @ivar groups: what is armed, by name.
    """

    def __init__(self) -> None:
        self.groups: dict[bytes, ArmedGroup] = {}
        self._leases: dict[bytes, ArmedLease] = {}
        self._words: dict[int, Farewells] = {0: Farewells([])}
        self._soonest: Clocks = NEVER  # no deadline of a lease is earlier, on either clock
        self._deleter = Deleter()
        self._rest = b""

    def watch(self) -> None:
        """Return when it is time to fire, or when the daemon has gone with nothing armed."""
        while self._drain():
            tell()
            now = clocks()
            wait = None
            if self.groups:
                if passed(self._soonest, now):
                    ends = [lease.deadline for lease in self._leases.values()]
                    if any(passed(end, now) for end in ends):
                        complain("a deadline has passed")
                        return
                    self._soonest = soonest(ends)
                left = min(self._soonest[0] - now[0], self._soonest[1] - now[1]) / 1e9
                wait = min(LOOK, left)
            select.select([0], [1] if untold else [], [], wait)

    def _drain(self) -> bool:
        """Take in all that was written; whether to go on."""
        while True:
            try:
                data = posix.read(0, MOST)
            except BlockingIOError:
                return True
            if not data:
                if self.groups:
                    complain("the daemon is gone")
                return False
            found, self._rest = split(self._rest + data)
            for each in found:
                if not self._take(each):
                    complain("the daemon was late")
                    return False
            if len(data) < MOST:  # the pipe was empty then (pipe(7))
                return True

    def _take(self, data: bytes) -> bool:
        """Take in one message; False when it comes from one who had been late."""
        reader = Reader(data)
        kind = reader.number(1)
        if kind == PET:
            return self._pet(reader)
        if kind == SAY:
            number = reader.number(4)
            if number in self._words:
                raise Malformed("words that are known already")
            self._words[number] = Farewells(_farewells(reader))
            return True
        name = reader.string(1)
        if kind == DISARM:
            reader.end()
            if name in self.groups:
                self._forget(self.groups.pop(name))
            answer(DISARMED, string(name, 1))
            return True
        if kind not in (ARM, FOLLOW):
            raise Malformed(f"a message of kind {kind}")
        lease, written, deadline = reader.string(1), reader.clocks(), reader.clocks()
        group = self.groups.get(name)
        concerned = [lease] if group is None else [lease, group.lease]
        if any(passed(self._leases[e].deadline, written) for e in concerned if e in self._leases):
            return False
        if kind == ARM:
            term = reader.take(8)
            armed = ArmedGroup(lease, reader.number(4), _deletions(reader))
        elif group is None:
            raise Malformed("a lease for what is not armed")
        else:
            reader.end()
            armed = ArmedGroup(lease, group.words, group.deletions)
        if armed.words not in self._words:
            raise Malformed("words that are not known")
        self._extend(self._leases.setdefault(lease, ArmedLease(deadline)), deadline)
        self._leases[lease].followers += 1
        self._words[armed.words].users += 1
        self.groups[name] = armed
        if group is not None:
            self._forget(group)
        if kind == ARM:
            answer(ARMED, string(name, 1), term)
        return True

    def _pet(self, reader: Reader) -> bool:
        written = reader.clocks()
        for _ in range(reader.number(2)):
            lease, deadline = self._leases.get(reader.string(1)), reader.clocks()
            if lease is None:
                raise Malformed("a pet for what is not armed")
            if passed(lease.deadline, written):
                return False
            self._extend(lease, deadline)
        reader.end()
        return True

    def _extend(self, lease: ArmedLease, deadline: Clocks) -> None:
        lease.deadline = deadline
        self._soonest = soonest([self._soonest, deadline])

    def _forget(self, group: ArmedGroup) -> None:
        """It is armed no more, or otherwise: what nobody else needs goes with it."""
        lease = self._leases[group.lease]
        lease.followers -= 1
        if not lease.followers:
            del self._leases[group.lease]
        words = self._words[group.words]
        words.users -= 1
        if group.words and not words.users:
            del self._words[group.words]
            for farewell in words.farewells:
                farewell.close()

    def fire(self) -> None:
        """Delete everything; if it is gone, say so. Never raises."""
        answer(FIRING)
        tell()
        groups = self.groups
        requests = [each for group in groups.values() for each in group.deletions]
        try:
            answers = self._deleter.delete(requests)
        except Exception as error:
            complain(f"deleting failed: {error!r}")
            answers = [errno.EIO] * len(requests)
        failed = [
            number
            for request, number in zip(requests, answers)  # noqa: B905
            if deletes(request) and number not in GONE
        ]
        said = dict.fromkeys(self._words, 0)
        if failed:
            complain(f"an address could not be deleted: {posix.strerror(failed[0])}; no farewell")
        elif any(words.farewells for words in self._words.values()):
            for count in range(TIMES):
                if count:
                    time.sleep(PAUSE)
                for number, words in self._words.items():
                    said[number] += sum(farewell.say() for farewell in words.farewells)
        at = 0
        for name, group in groups.items():
            numbers = answers[at : at + len(group.deletions)]
            at += len(numbers)
            counts = said[group.words].to_bytes(2, "big"), len(numbers).to_bytes(4, "big")
            answer(FIRED, string(name, 1), *counts, *(n.to_bytes(2, "big") for n in numbers))
        tell()


def soonest(ends: list[Clocks]) -> Clocks:
    """The first of these on each clock."""
    return min(end[0] for end in ends), min(end[1] for end in ends)


def _deletions(reader: Reader) -> list[bytes]:
    """The rest of a message that arms."""
    deletions = [reader.string(4) for _ in range(reader.number(4))]
    for deletion in deletions:
        length = int.from_bytes(deletion[:4], sys.byteorder)
        kind = int.from_bytes(deletion[4:6], sys.byteorder)
        if length != len(deletion) or kind not in (_RTM_DELADDR, _RTM_SETLINK):
            raise Malformed("a deletion that is none")
    reader.end()
    return deletions


def _farewells(reader: Reader) -> list[Goodbye]:
    """The rest of a message that says what is to be said."""
    said = [
        (reader.number(4), reader.number(2), reader.string(1), reader.string(4))
        for _ in range(reader.number(2))
    ]
    reader.end()
    return [Goodbye(*fields) for fields in said]


untold = bytearray()
"""Answers that are not written yet."""


def answer(kind: int, *fields: bytes) -> None:
    """Tell the daemon, with what else there is to tell: see L{tell}."""
    untold.extend(message(kind, *fields))


def tell() -> None:
    """Write the answers, if the daemon listens; what has no room waits."""
    try:
        while untold:
            del untold[: posix.write(1, untold)]
    except BlockingIOError:
        pass
    except OSError:
        untold.clear()


def complain(text: str) -> None:
    """Tell whoever reads standard error."""
    try:
        posix.write(2, f"hatwist guard: {text}\n".encode("utf-8", "replace"))
    except OSError:
        pass


def seclude() -> None:
    """Become independent of the daemon and of whoever signals it."""
    for number in range(1, _signal.NSIG):
        try:
            _signal.signal(number, _signal.SIG_IGN)
        except (OSError, ValueError):  # SIGKILL and SIGSTOP; 32 and 33 are the C library's
            pass
    _signal.pthread_sigmask(_signal.SIG_SETMASK, ())
    for step in (posix.setsid, lambda: posix.chdir("/"), _spare):
        try:
            step()
        except OSError:  # leads a session already; may not
            pass
    try:
        descriptors = [int(name) for name in posix.listdir("/proc/self/fd")]
    except OSError:  # no /proc
        descriptors = list(range(1024))
    for descriptor in descriptors:
        if descriptor > 2:
            try:
                posix.close(descriptor)
            except OSError:  # the one that listed them
                pass
    posix.set_blocking(0, False)
    posix.set_blocking(1, False)


def _spare() -> None:
    """Let a machine out of memory kill something else; only root may ask for it."""
    score = posix.open("/proc/self/oom_score_adj", posix.O_WRONLY | posix.O_CLOEXEC)
    try:
        posix.write(score, b"-1000")
    finally:
        posix.close(score)


def main() -> int:
    """Guard until it is over; the exit status."""
    seclude()
    guard = Guard()
    answer(READY)
    tell()
    try:
        guard.watch()
    except BaseException as error:  # fire rather than fail
        complain(f"{error!r}")
    if not guard.groups:
        tell()
        return 0
    guard.fire()
    return STATUS


if __name__ == "__main__":
    posix._exit(main())
