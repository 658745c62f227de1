"""A LAN with a judge and a daemon on every host: what the scenarios play on."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from twisted.internet.defer import Deferred, DeferredList, FirstError
from twisted.internet.task import deferLater

from hatwist.core.errors import HatwistError
from hatwist.frontends.control import place
from hatwist.lab.heartbeats import Heartbeats
from hatwist.lab.judge import LabJudge
from hatwist.lab.lan import Host, LabLan
from hatwist.lab.program import Program

HOSTS = ("alpha", "beta", "gamma")
GROUP, PORT = "239.2.3.4", 5555
# Lines of each daemon in a message
LAST = 40
TWISTD = "from twisted.scripts.twistd import run; run()"


class Setup(NamedTuple):
    """
    What a scenario needs.

    @ivar hosts: the worthiest first.
    @ivar links: how many LANs each host is on.
    @ivar more: further options for every daemon.
    """

    hosts: tuple[str, ...] = HOSTS
    links: int = 1
    more: tuple[str, ...] = ()


PLAIN = Setup()
Daemon = Callable[["Lab", str], Sequence[str]]


def haDaemon(lab: Lab, host: str) -> list[str]:
    """The C{twistd ha} line of one host, as an administrator would type it."""
    return [
        *(sys.executable, "-c", TWISTD, "--nodaemon", "--pidfile=", "ha"),
        *("--interface", "eth0", "--address", lab.cidr, "--node", host),
        *("--priority", str(lab.priority(host))),
        *("--interval", f"{lab.interval:g}", "--tolerance", f"{lab.tolerance:g}"),
        *lab.more,
    ]


class Lab:
    """
    Hosts that keep one address alive; the first named is the worthiest, and so on.

    @ivar address: the shared address, bare; C{cidr} has its prefix length.
    @ivar interval: seconds between heartbeats.
    @ivar tolerance: silence, in seconds, after which a node counts as gone.
    @ivar more: further options for every daemon.
    @ivar port: where heartbeats go.
    """

    address = "10.99.0.100"
    cidr = "10.99.0.100/24"
    port = PORT

    def __init__(
        self,
        reactor: Any,
        interval: float = 0.1,
        tolerance: float = 0.35,
        hosts: Sequence[str] = HOSTS,
        daemon: Daemon = haDaemon,
        more: Sequence[str] = (),
        links: int = 1,
    ) -> None:
        self.reactor = reactor
        self.interval = interval
        self.tolerance = tolerance
        self.more = tuple(more)
        self.names = tuple(hosts)
        self.programs: dict[str, Program] = {}
        self._daemon = daemon
        self._moments = 0
        self.lan = LabLan(hosts, links)
        self.judge = LabJudge(self.lan, reactor)
        self.heartbeats = Heartbeats(self.lan.client, reactor, GROUP, PORT)

    def priority(self, name: str) -> int:
        """The priority that a host's daemon is given."""
        return 120 - 10 * self.names.index(name)

    @classmethod
    def of(
        cls,
        setup: Setup,
        reactor: Any,
        interval: float = 0.1,
        tolerance: float = 0.35,
        daemon: Daemon = haDaemon,
    ) -> Lab:
        """A lab as a scenario needs it."""
        return cls(reactor, interval, tolerance, setup.hosts, daemon, setup.more, setup.links)

    @property
    def best(self) -> str:
        """The worthiest host's name."""
        return self.names[0]

    @property
    def second(self) -> str:
        """The name of the next in line."""
        return self.names[1]

    def host(self, name: str) -> Host:
        """The host of that name."""
        return self.lan.host(name)

    async def start(self) -> None:
        """Start everything; returns when the worthiest host answers and all have settled."""
        await self.judge.start()
        await self.judge.watch(self.address)
        await self.settle()

    def run(self, name: str) -> Program:
        """Start the daemon of one host."""
        self.programs[name] = self.host(name).spawn(self.reactor, self._daemon(self, name))
        return self.programs[name]

    async def command(self, name: str, *words: str) -> str:
        """
        Type a command of C{hatwist} on a host, such as C{"move", "default", "beta"}; what it prints.

        @raise HatwistError: it fails.
        """
        argv = [sys.executable, "-m", "hatwist.frontends.cli", *words]
        socket = place.defaultPath("default", name)
        program = self.host(name).spawn(self.reactor, [*argv, "--control", socket])
        status = await program.ended()
        if status:
            raise HatwistError(f"{' '.join(words)} on {name} ({status}): {program.tail()}")
        return "\n".join(program.lines)

    def runs(self, name: str) -> bool:
        """Does its daemon run?"""
        return name in self.programs and self.programs[name].status is None

    async def settle(self) -> None:
        """
        Undo every fault, start the daemons that do not run, and wait until the worthiest alone
        holds the address and answers, and every node has been there for a tolerance.
        """
        self.lan.healAll()
        began = self.reactor.seconds()
        for name in self.names:
            self.host(name).thaw()
            self.host(name).powerOn()
        for name in self.names:
            if not self.runs(name):
                self.run(name)
        everybody = {self.host(name).ipv4() for name in self.names}
        await self._watched(self.heartbeats.untilHeard(everybody, began))
        await self.elapse(self.tolerance + 2 * self.interval)
        await self._watched(self.untilOnly(self.best))

    async def without(self, name: str) -> None:
        """Settle with one host's daemon stopped, unless that is so already."""
        if self.runs(name) or not all(self.runs(n) for n in self.names if n != name):
            await self.settle()
            self.programs[name].stop()
            await self.programs[name].ended()
        rest = [n for n in self.names if n != name]
        await self._watched(self.untilOnly(rest[0]))
        await self.elapse(self.tolerance)

    def untilOnly(self, name: str, timeout: float = 10.0) -> Deferred[None]:
        """Fires when that host alone holds the address, and answers."""
        return self.judge.until(
            lambda: (
                self.judge.holders(self.address) == {name}
                and self.judge.answering(self.address) == name
            ),
            f"{self.address} held by {name} alone, which answers",
            timeout,
        )

    def elapse(self, seconds: float) -> Deferred[None]:
        """Fires after that time: for what must not happen meanwhile."""
        return deferLater(self.reactor, seconds, lambda: None)

    def anyMoment(self) -> Deferred[None]:
        """
        Fires within an interval, at another phase of it each time (the golden ratio spreads them
        evenly): else every fault would come the same time after a heartbeat.
        """
        self._moments += 1
        return self.elapse(self._moments * 0.6180339887 % 1.0 * self.interval)

    async def _watched(self, waiting: Deferred[None]) -> None:
        """Wait, but give up when a daemon ends meanwhile; in vain: say what the daemons said."""
        ends = [p.ended(None) for p in self.programs.values() if p.status is None]
        race: Deferred[Any] = DeferredList(
            [waiting, *ends], fireOnOneCallback=True, fireOnOneErrback=True, consumeErrors=True
        )
        try:
            _, first = await race
        except FirstError as error:
            error.subFailure.trap(TimeoutError)
            raise HatwistError(f"{error.subFailure.value}\n{self.said()}") from error
        finally:
            waiting.cancel()
            for end in ends:
                end.cancel()
        if first > 0:
            raise HatwistError(f"a daemon ended by itself\n{self.said()}")

    def said(self, since: float | None = None) -> str:
        """
        The last lines of every daemon, and of the one that ran there before, each with its time.

        @param since: which time is 0; default: when the first of these lines was read.
        """
        programs = [p for name in self.names for p in self.host(name).programs[-2:]]
        first = min((p.times[-LAST:][0] for p in programs if p.times), default=0.0)
        zero = first if since is None else since
        return "\n".join(f"--- {p.name}:\n{p.timed(zero, LAST)}" for p in programs)

    async def close(self) -> None:
        """End and remove everything."""
        await self.heartbeats.close()
        await self.judge.close()
        await self.lan.close()
