"""
The eyes of the judge: one process, one loop, that sees who holds an address and who answers.

Run as C{python -I -S eyes.py SPEC} with sockets that were opened inside the hosts handed down by
number, and nothing of Twisted or hatwist loaded, so that it is late for nothing. Every host has a
netlink socket that tells of addresses coming and going, and two echo sockets (UDP, IPv4 and IPv6)
that answer with the host's name from the address that was asked; the client has two that ask.

SPEC is JSON: C{{"hosts": [[name, netlink, echo4, echo6], ...], "ask": [fd4, fd6]}}.
Commands come on standard input, one a line, and reports go to standard output. Times are
C{time.monotonic()} seconds::

    watch SPACING ADDRESS...      from now on ask these, each every SPACING seconds
    mark WORD                     M time WORD stolen    once everything before is reported; stolen: seconds that the
                                  hypervisor has kept the processors from this machine, ever, all of them together

    H time host + address         the host got the address           - address: lost it
    W time address                a watch of it begins; what was told of it before is forgotten
    A time address host last      host answers after it had not: another did until the time LAST, or
                                  nobody for GAP times the spacing
    L time address host count     before an A, D or M: the latest answer, and the number since its A
    D time address host           no answer for DARK seconds; this was the latest
    S from to                     this process itself did not run; judge nothing finer in there
    O time host                   events were lost; what was missed follows, with the time seen
"""

from __future__ import annotations

import contextlib
import errno
import gc
import json
import os
import select
import socket
import struct
import sys
import time

PORT = 7
DARK = 0.004
GAP = 2.5
STALL = 0.010

# include/uapi/linux/rtnetlink.h, netlink.h, if_addr.h, in.h, in6.h
RTM_NEWADDR, RTM_DELADDR, RTM_GETADDR = 20, 21, 22
NLM_F_REQUEST, NLM_F_DUMP_INTR, NLM_F_DUMP = 0x1, 0x10, 0x300
NLMSG_DONE = 3
IFA_ADDRESS, IFA_LOCAL = 1, 2
IP_PKTINFO = 8
IPV6_RECVPKTINFO, IPV6_PKTINFO = 49, 50

# nlmsghdr: length, type, flags, sequence, pid
_HEADER = struct.Struct("=IHHII")
_QUESTION = struct.Struct("!IQ")


class Sight:
    """Whether one watched address is answered, and by whom."""

    def __init__(self, address: str, number: int) -> None:
        self.address = address
        self.number = number
        self.family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self.asked = 0
        self.host = ""
        self.latest = 0.0
        self.count = 0
        self.dark = True


class HostAddresses:
    """What one host's kernel says of its addresses."""

    def __init__(self, host: str, fd: int) -> None:
        self.host = host
        self.socket = socket.socket(fileno=fd)
        self.socket.setblocking(False)
        self.held: set[str] = set()
        self.seen: set[str] | None = None  # by the dump that is under way
        self.again = False
        self.dump()

    def dump(self) -> None:
        """Ask for every address; the answer is compared with what is known."""
        self.seen = set()
        body = struct.pack("=BBBBi", 0, 0, 0, 0, 0)
        length = _HEADER.size + len(body)
        header = _HEADER.pack(length, RTM_GETADDR, NLM_F_REQUEST | NLM_F_DUMP, 1, 0)
        self.socket.send(header + body)

    def read(self, changes: list[tuple[str, str, str]]) -> bool:
        """Append (host, sign, address) for all that is queued; False: some were lost."""
        while True:
            try:
                data = self.socket.recv(65536)
            except BlockingIOError:
                return True
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                if self.seen is None:
                    self.dump()
                else:  # one at a time
                    self.again = True
                return False
            at = 0
            while at + _HEADER.size <= len(data):
                length, kind, flags, _seq, _pid = _HEADER.unpack_from(data, at)
                if flags & NLM_F_DUMP_INTR:
                    self.again = True
                if kind in (RTM_NEWADDR, RTM_DELADDR):
                    address = addressOf(data[at + _HEADER.size : at + length])
                    self.note(kind == RTM_NEWADDR, address, changes)
                elif kind == NLMSG_DONE and self.seen is not None:
                    for address in self.held - self.seen:
                        self.note(False, address, changes)
                    self.seen = None
                    if self.again:
                        self.again = False
                        self.dump()
                at += (length + 3) & ~3

    def note(self, there: bool, address: str, changes: list[tuple[str, str, str]]) -> None:
        if self.seen is not None:
            (self.seen.add if there else self.seen.discard)(address)
        if there != (address in self.held):  # a renewal is no change
            (self.held.add if there else self.held.discard)(address)
            changes.append((self.host, "+" if there else "-", address))


def addressOf(body: bytes) -> str:
    """The address in an ifaddrmsg and its attributes."""
    family = body[0]
    found: dict[int, bytes] = {}
    at = 8
    while at + 4 <= len(body):
        length, kind = struct.unpack_from("=HH", body, at)
        found[kind] = body[at + 4 : at + length]
        at += (length + 3) & ~3
    return socket.inet_ntop(family, found.get(IFA_LOCAL) or found[IFA_ADDRESS])


class Eyes:
    """The loop."""

    def __init__(self, hosts: list[tuple[str, int, int, int]], ask: list[int]) -> None:
        self.out: list[str] = []
        self.sights: list[Sight] = []
        self.spacing = 0.001
        self.addresses: dict[int, HostAddresses] = {}
        self.echoes: dict[int, tuple[socket.socket, bytes]] = {}
        for name, netlink, echo4, echo6 in hosts:
            self.addresses[netlink] = HostAddresses(name, netlink)
            for fd in (echo4, echo6):
                echo = socket.socket(fileno=fd)
                echo.setblocking(False)
                self.echoes[fd] = (echo, name.encode())
        self.ask: dict[int, socket.socket] = {}
        for fd in ask:
            question = socket.socket(fileno=fd)
            question.setblocking(False)
            self.ask[fd] = question
        self.byFamily = {s.family: s for s in self.ask.values()}
        self.commands = b""

    def run(self) -> None:
        """Until standard input ends."""
        everything = [0, *self.addresses, *self.echoes, *self.ask]
        next_ = time.monotonic()
        while True:
            before = time.monotonic()
            wait = max(0.0, next_ - before) if self.sights else 1.0
            ready = select.select(everything, (), (), wait)[0]
            now = time.monotonic()
            if now - before - wait > STALL:
                self.out.append(f"S {before + wait:.6f} {now:.6f}")
            if not set(ready).isdisjoint(self.addresses):
                self.readAddresses()
            for fd in ready:
                if fd in self.ask:
                    self.readAnswers(self.ask[fd])
                elif fd in self.echoes:
                    answer(*self.echoes[fd])
                elif fd == 0 and not self.readCommands():
                    return
            now = time.monotonic()
            if self.sights and now >= next_:
                self.question(now)
                next_ = max(next_ + self.spacing, now)
            self.flush()
            late = time.monotonic() - now
            if late > STALL:
                self.out.append(f"S {now:.6f} {now + late:.6f}")

    def readAddresses(self) -> None:
        """
        Read all netlink sockets twice: what was lost somewhere before it came up elsewhere is then
        surely here, and told first, whichever socket happened to be read first.
        """
        now = time.monotonic()
        changes: list[tuple[str, str, str]] = []
        for _ in range(2):
            for watched in self.addresses.values():
                if not watched.read(changes):
                    self.out.append(f"O {now:.6f} {watched.host}")
        # The changes of one host stay in order; hosts that do not hold the address in the end come first.
        final = {(host, address): sign for host, sign, address in changes}
        for last in ("-", "+"):
            for host, sign, address in changes:
                if final[host, address] == last:
                    self.out.append(f"H {now:.6f} {host} {sign} {address}")

    def question(self, now: float) -> None:
        for sight in self.sights:
            sight.asked += 1
            # No route, no carrier, full queue: a question without an answer.
            with contextlib.suppress(OSError):
                self.byFamily[sight.family].sendto(
                    _QUESTION.pack(sight.number, sight.asked), (sight.address, PORT)
                )
            if not sight.dark and now - sight.latest > max(DARK, GAP * self.spacing):
                sight.dark = True
                self.told(sight)
                self.out.append(f"D {now:.6f} {sight.address} {sight.host}")

    def readAnswers(self, question: socket.socket) -> None:
        while True:
            try:
                data = question.recv(64)
            except OSError:
                return
            now = time.monotonic()
            number, _sequence = _QUESTION.unpack_from(data)
            host = data[_QUESTION.size :].decode()
            for sight in self.sights:
                if sight.number == number:
                    gap = now - sight.latest
                    if host != sight.host or sight.dark or gap > GAP * self.spacing:
                        self.told(sight)
                        self.out.append(f"A {now:.6f} {sight.address} {host} {sight.latest:.6f}")
                        sight.count = 0
                    sight.host, sight.latest, sight.dark = host, now, False
                    sight.count += 1

    def told(self, sight: Sight) -> None:
        if sight.host:
            self.out.append(f"L {sight.latest:.6f} {sight.address} {sight.host} {sight.count}")

    def readCommands(self) -> bool:
        data = os.read(0, 65536)
        *lines, self.commands = (self.commands + data).split(b"\n")
        for line in lines:
            word, *rest = line.decode().split()
            if word == "watch":
                self.spacing = float(rest[0])
                first = 1 + max((s.number for s in self.sights), default=0)
                self.sights = [Sight(a, first + i) for i, a in enumerate(rest[1:])]
                now = time.monotonic()
                self.out += [f"W {now:.6f} {sight.address}" for sight in self.sights]
            elif word == "mark":
                self.readAddresses()
                for question in self.ask.values():
                    self.readAnswers(question)
                for sight in self.sights:
                    self.told(sight)
                self.out.append(f"M {time.monotonic():.6f} {rest[0]} {stolen():.2f}")
        return bool(data)

    def flush(self) -> None:
        if self.out:
            data = ("\n".join(self.out) + "\n").encode()
            self.out.clear()
            while data:
                data = data[os.write(1, data) :]


def stolen() -> float:
    """Seconds for which a processor was ready to run something and was given to another machine (proc(5), steal)."""
    with open("/proc/stat") as file:
        return int(file.readline().split()[8]) / os.sysconf("SC_CLK_TCK")


def answer(echo: socket.socket, name: bytes) -> None:
    """Answer all questions, each from the address that was asked."""
    while True:
        try:
            data, ancillary, _flags, sender = echo.recvmsg(64, 128)
        except OSError:
            return
        for level, kind, info in ancillary:
            if level == socket.IPPROTO_IP and kind == IP_PKTINFO:
                asked = info[8:12]  # in_pktinfo: ifindex, spec_dst, addr
                more = (level, kind, struct.pack("=i4s4s", 0, asked, asked))
            elif level == socket.IPPROTO_IPV6 and kind == IPV6_PKTINFO:
                more = (level, kind, info)  # in6_pktinfo: addr, ifindex
            else:
                continue
            # The address may have gone meanwhile.
            with contextlib.suppress(OSError):
                echo.sendmsg([data + name], [more], 0, sender)


if __name__ == "__main__":
    gc.disable()  # it makes no cycles
    with contextlib.suppress(BrokenPipeError):  # the judge has gone
        Eyes(**json.loads(sys.argv[1])).run()
