"""The judge of the lab: starts its eyes, keeps what they report, and lets others wait for it."""

from __future__ import annotations

import json
import os
import socket
import sys
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorProcess, IReactorTime
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure

from hatwist.lab import eyes
from hatwist.lab.conditions import Conditions
from hatwist.lab.lan import Host, LabLan
from hatwist.lab.verdict import Answered, HostChange, Report, Span, judge

# include/uapi/linux/rtnetlink.h
RTMGRP_IPV4_IFADDR, RTMGRP_IPV6_IFADDR = 0x10, 0x100
RECEIVE_BUFFER = 4 << 20


class LabJudge(ProcessProtocol):
    """
    Sees every host's addresses, and asks a shared address as a client does, each millisecond.

    The asking and the clock are in a process of their own (L{hatwist.lab.eyes}), so that a busy
    reactor here changes no figure.

    @ivar changes: every address that came or went on any host, since the start.
    @ivar answers: for each watched address, who answered when.
    """

    def __init__(self, lan: LabLan, reactor: Any, receiveBuffer: int = RECEIVE_BUFFER) -> None:
        """
        @param receiveBuffer: bytes that the kernel may keep for each host's address events; it
            gives no more than net.core.rmem_max.
        """
        assert IReactorProcess.providedBy(reactor)
        assert IReactorTime.providedBy(reactor)
        self.changes: list[HostChange] = []
        self.answers: dict[str, list[Answered]] = {}
        self._holders: dict[str, set[str]] = {}
        self._answering: dict[str, str | None] = {}
        self._stalls: list[Span] = []
        self._stolen: list[tuple[float, float]] = []  # at each mark: seconds, ever
        self._lost = 0
        self._spacing = 0.001
        self._reactor: Any = reactor
        self._rest = b""
        self._complaints = b""
        self._marks: dict[str, Deferred[float]] = {}
        self._conditions: Conditions[None] = Conditions(reactor)
        self._end: Deferred[None] | None = None
        self._ended = False
        sockets: list[socket.socket] = []
        hosts = []
        for host in lan.hosts.values():
            if host is lan.client:
                continue
            opened = [_addressEvents(host, receiveBuffer), *_echoes(host)]
            hosts.append([host.name, *range(3 + len(sockets), 3 + len(sockets) + len(opened))])
            sockets += opened
        ask = [lan.client.socket(family, socket.SOCK_DGRAM) for family in FAMILIES]
        spec = {"hosts": hosts, "ask": [3 + len(sockets), 4 + len(sockets)]}
        sockets += ask
        fds: dict[int, Any] = {0: "w", 1: "r", 2: "r"}
        fds.update({3 + number: s.fileno() for number, s in enumerate(sockets)})
        argv = [sys.executable, "-I", "-S", eyes.__file__, json.dumps(spec)]
        reactor.spawnProcess(self, sys.executable, argv, {}, childFDs=fds)
        for opened_ in sockets:
            opened_.close()

    def start(self) -> Deferred[float]:
        """Fires when it sees; addresses that are there already are then known."""
        return self.mark()

    def watch(self, *addresses: str, spacing: float = 0.001) -> Deferred[float]:
        """
        From now on ask these bare addresses, and no others, each every C{spacing} seconds.

        Fires with the time at which that began.
        """
        self._spacing = spacing
        self._command("watch", str(spacing), *addresses)
        return self.mark()

    def mark(self) -> Deferred[float]:
        """Fires with a time up to which all that was seen is known here."""
        word = str(len(self._marks) + 1) + os.urandom(4).hex()
        done: Deferred[float] = Deferred()
        if self._ended:
            done.errback(self._failure())
            return done
        self._marks[word] = done
        self._command("mark", word)
        return done

    async def report(self, address: str, since: float, until: float | None = None) -> Report:
        """Judge C{address} from C{since} to C{until} (default: now)."""
        now = await self.mark()
        return judge(
            address,
            since,
            now if until is None else until,
            self.changes,
            self.answers.get(address, []),
            self._stalls,
            self._lost,
            self._spacing,
            self._stolen[-1][1] - [ever for at, ever in self._stolen if at <= since][-1],
        )

    def holders(self, address: str) -> set[str]:
        """The hosts whose kernels have the bare C{address} now."""
        return set(self._holders.get(address, ()))

    def answering(self, address: str) -> str | None:
        """The host that answers on a watched address; None for some milliseconds of silence."""
        return self._answering.get(address)

    def until(
        self, condition: Callable[[], object], what: str, timeout: float = 10.0
    ) -> Deferred[None]:
        """
        Fires as soon as C{condition()} is true; it is asked again after whatever was seen.

        @param what: what is waited for, to complete "not seen within 10 s: ...".
        @raise TimeoutError: through the Deferred, after C{timeout} seconds.
        """
        done: Deferred[None] = Deferred()
        if self._ended:
            done.errback(self._failure())
            return done
        if condition():
            done.callback(None)
            return done

        def late() -> str:
            state = {a: sorted(hosts) for a, hosts in self._holders.items() if hosts}
            return (
                f"not seen within {timeout} s: {what}; holders {state}, answering {self._answering}"
            )

        return self._conditions.until(lambda _: condition(), timeout, late)

    def untilHeldBy(self, address: str, *hosts: str, timeout: float = 10.0) -> Deferred[None]:
        """Fires when exactly these hosts hold the address."""
        wanted = set(hosts)
        return self.until(
            lambda: self.holders(address) == wanted,
            f"{address} held by {sorted(wanted) or 'nobody'}",
            timeout,
        )

    def untilAnsweredBy(self, address: str, host: str, timeout: float = 10.0) -> Deferred[None]:
        """Fires when C{host} answers the client."""
        return self.until(
            lambda: self.answering(address) == host, f"{host} answers on {address}", timeout
        )

    def signal(self, number: int) -> None:
        """Send its eyes a signal: SIGSTOP makes the judge blind for a while."""
        transport: Any = self.transport
        os.kill(transport.pid, number)

    def close(self) -> Deferred[None]:
        """End its eyes; fires when they have ended."""
        self._end = Deferred()
        if self._ended:
            self._end.callback(None)
        else:
            transport: Any = self.transport
            transport.closeStdin()
        return self._end

    def _command(self, *words: str) -> None:
        transport: Any = self.transport
        transport.writeToChild(0, (" ".join(words) + "\n").encode())

    def childDataReceived(self, childFD: int, data: bytes) -> None:
        if childFD == 2:
            self._complaints += data
            return
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._note(line.decode().split())
        self._conditions.look(None)

    def _note(self, words: list[str]) -> None:
        kind, time = words[0], float(words[1])
        if kind == "H":
            host, sign, address = words[2:]
            self.changes.append(HostChange(time, host, address, sign == "+"))
            holders = self._holders.setdefault(address, set())
            (holders.add if sign == "+" else holders.discard)(host)
        elif kind == "A":
            address, host = words[2:4]
            self._answering[address] = host
            self.answers[address].append(Answered(host, time, time, 1))
        elif kind == "L":
            address, _host, number = words[2:]
            runs = self.answers[address]
            runs[-1] = runs[-1]._replace(last=time, number=int(number))
        elif kind == "W":
            self.answers[words[2]] = []
            self._answering[words[2]] = None
        elif kind == "D":
            self._answering[words[2]] = None
        elif kind == "S":
            self._stalls.append(Span((), time, float(words[2])))
        elif kind == "O":
            self._lost += 1
        elif kind == "M":
            self._stolen.append((time, float(words[3])))
            self._marks.pop(words[2]).callback(time)

    def processEnded(self, reason: Failure) -> None:
        self._ended = True
        for mark in self._marks.values():
            mark.errback(self._failure())
        self._marks.clear()
        self._conditions.fail(self._failure())
        if self._end is not None and not self._end.called:
            self._end.callback(None)

    def _failure(self) -> RuntimeError:
        return RuntimeError(f"the judge's eyes have ended: {self._complaints.decode()}")


FAMILIES = (socket.AF_INET, socket.AF_INET6)


def _addressEvents(host: Host, receiveBuffer: int) -> socket.socket:
    events = host.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
    events.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receiveBuffer)
    events.bind((0, RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR))
    return events


def _echoes(host: Host) -> tuple[socket.socket, socket.socket]:
    four, six = (host.socket(family, socket.SOCK_DGRAM) for family in FAMILIES)
    four.setsockopt(socket.IPPROTO_IP, eyes.IP_PKTINFO, 1)
    four.bind(("0.0.0.0", eyes.PORT))
    six.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    six.setsockopt(socket.IPPROTO_IPV6, eyes.IPV6_RECVPKTINFO, 1)
    six.bind(("::", eyes.PORT))
    return four, six
