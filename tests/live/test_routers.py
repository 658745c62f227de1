"""
hatwist beside keepalived and ucarp, by VRRP and CARP: who holds, how soon, and that nobody else does.

The kernels' own address events judge. Bounds are the protocol's: three intervals of silence and the skew, or the skew
alone after a word of goodbye, and what a busy machine adds.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet import reactor

from hatwist.lab.judge import LabJudge
from hatwist.lab.lan import Host, LabLan
from hatwist.lab.program import Program
from hatwist.lab.verdict import Report
from tests.daemons import FOREGROUND, TWISTD

pytestmark = [pytest.mark.needs("ip"), pytest.mark.needs("keepalived"), pytest.mark.needs("ucarp")]

FOUR, SIX = "10.99.0.100", "fd99::100"
LINK_LOCAL = "fe80::100"
ID = 51
HIGH, LOW = 150, 100
FAST, SLOW = 0, 50
LATE = 0.15
"""Seconds that two busy processors may add to the protocol's bound."""
STARTS = 6.0
"""Seconds that a program may take until it listens."""


@dataclass(frozen=True)
class Kind:
    """
    What both sides speak.

    @ivar seconds: between two advertisements.
    @ivar both: seconds for which the peer may hold what it has heard another take.
    """

    name: str
    version: int = 3
    family: int = 4
    seconds: float = 0.1
    unicast: bool = False
    password: str = ""
    preempt: bool = True
    both: float = 0.06

    @property
    def carp(self) -> bool:
        return not self.version

    @property
    def address(self) -> str:
        return FOUR if self.family == 4 else SIX

    def skew(self, rank: int) -> float:
        """Of who has this rank: a priority, or an advskew."""
        if self.carp:
            return rank / 256
        return (256 - rank) / 256 * (self.seconds if self.version == 3 else 1.0)

    def down(self, rank: int) -> float:
        return 3 * self.seconds + self.skew(rank)


MULTICAST = Kind("v3")
SECOND = Kind("v3, 1 s", seconds=1.0)
TWO = Kind("v2, 1 s", version=2, seconds=1.0, password="secret12")
IPV6 = Kind("v3, IPv6", family=6)
UNICAST = Kind("v3, unicast", unicast=True)
UNICAST6 = Kind("v3, IPv6, unicast", family=6, unicast=True)
UCARP = Kind("CARP", version=0, seconds=1.0, both=3.2)


class Peer:
    """
    A host with one of the programs.

    @ivar rank: the priority, or C{advskew}.
    """

    def __init__(self, host: Host, kind: Kind, rank: int, directory: Path) -> None:
        self.host, self.kind, self.rank = host, kind, rank
        self.directory = directory / host.name
        self.directory.mkdir(exist_ok=True)
        self.program: Program | None = None

    @property
    def name(self) -> str:
        return self.host.name

    def others(self, lan: LabLan) -> list[Host]:
        return [host for host in lan.hosts.values() if host not in (self.host, lan.client)]

    def own(self, host: Host) -> str:
        return host.ipv4() if self.kind.family == 4 else host.ipv6()

    def start(self, lan: LabLan) -> None:
        raise NotImplementedError

    async def stop(self) -> None:
        """In good order."""
        assert self.program is not None
        self.program.stop()
        await self.program.ended(10.0)

    async def kill(self) -> None:
        """What it leaves is left."""
        assert self.program is not None
        self.program.kill()
        await self.program.ended(10.0)

    def clear(self) -> None:
        """Take away what a killed one left, as its host's start would."""


class Hatwist(Peer):
    """C{twistd ha}."""

    def text(self, lan: LabLan) -> str:
        kind = self.kind
        lines = ['interface = "eth0"', "interval = 0.5", f'state_dir = "{self.directory}"']
        lines += [f'control = "{self.directory}/sock"', f"[node.{self.name}]", "[group.g]"]
        if kind.carp:
            secret = self.directory / "password"
            secret.write_text("sesame\n")
            secret.chmod(0o600)
            lines += ['protocol = "carp"', f"vhid = {ID}", f"advskew = {self.rank}"]
            lines += [f'password_file = "{secret}"']
        else:
            lines += ['protocol = "vrrp"', f"vrid = {ID}", f"version = {kind.version}"]
            lines += [f"priority = {self.rank}", f"advertisement_interval = {kind.seconds}"]
            if kind.unicast:
                peers = [self.own(host) for host in [self.host, *self.others(lan)]]
                lines += [f"unicast_peers = {peers}"]
            if kind.password:
                lines += [f'auth_pass = "{kind.password}"']
        shared = [f"{FOUR}/24"] if kind.family == 4 else [f"{LINK_LOCAL}/64@eth0", f"{SIX}/64"]
        if kind.unicast and kind.family == 6:
            shared = [f"{SIX}/64"]
        listed = ", ".join(f'{{address = "{each}"}}' for each in shared)
        lines += [f"preempt = {str(kind.preempt).lower()}", f"resources = [{listed}]"]
        return "\n".join(lines) + "\n"

    def start(self, lan: LabLan) -> None:
        file = self.directory / "hatwist.toml"
        file.write_text(self.text(lan))
        argv = [*TWISTD, *FOREGROUND, "ha", "--config", str(file), "--node", self.name]
        self.program = self.host.spawn(reactor, argv)


class Keepalived(Peer):
    """keepalived 2.2."""

    def text(self, lan: LabLan) -> str:
        kind = self.kind
        lines = [f"interface eth0\nvirtual_router_id {ID}\npriority {self.rank}"]
        lines += [f"advert_int {kind.seconds}", f"version {kind.version}"]
        if not kind.preempt:
            lines += ["state BACKUP", "nopreempt"]
        if kind.password:
            lines += [f"authentication {{\nauth_type PASS\nauth_pass {kind.password}\n}}"]
        if kind.unicast:
            peers = "\n".join(self.own(host) for host in self.others(lan))
            lines += [f"unicast_src_ip {self.own(self.host)}\nunicast_peer {{\n{peers}\n}}"]
        shared = [f"{FOUR}/24"] if kind.family == 4 else [f"{LINK_LOCAL}/64", f"{SIX}/64"]
        if kind.unicast and kind.family == 6:
            shared = [f"{SIX}/64"]
        lines += ["virtual_ipaddress {", *shared, "}"]
        body = "\n".join(lines)
        return f"global_defs {{\nvrrp_garp_master_delay 0\n}}\nvrrp_instance g {{\n{body}\n}}\n"

    def start(self, lan: LabLan) -> None:
        at = self.directory
        (at / "conf").write_text(self.text(lan))
        argv = ["keepalived", "-n", "-l", "-D", "--vrrp", "-f", f"{at}/conf"]
        argv += ["-p", f"{at}/pid", "-r", f"{at}/vrrp", "-c", f"{at}/checkers"]
        self.program = self.host.spawn(reactor, argv)

    async def kill(self) -> None:
        assert self.program is not None
        self.host.killAll()
        await self.program.ended(10.0)

    def clear(self) -> None:
        for name in ("pid", "vrrp"):
            (self.directory / name).unlink(missing_ok=True)
        for address in (f"{FOUR}/24", f"{SIX}/64", f"{LINK_LOCAL}/64"):
            with suppress(Exception):
                self.host.deleteAddress(address)


class Ucarp(Peer):
    """ucarp 1.5."""

    def start(self, lan: LabLan) -> None:
        scripts = []
        for name, verb in (("up", "replace"), ("down", "delete")):
            script = self.directory / name
            script.write_text(f"#!/bin/sh\nip address {verb} {FOUR}/24 dev eth0\n")
            script.chmod(0o755)
            scripts.append(str(script))
        argv = ["ucarp", "-i", "eth0", "-s", self.host.ipv4(), "-v", str(ID), "-p", "sesame"]
        argv += ["-a", FOUR, "-b", "1", "-k", str(self.rank), "-u", scripts[0], "-d", scripts[1]]
        # Else it looks each ten seconds only for a carrier.
        argv += ["-f", "none", "-z", "--ignoreifstate", *(["-P"] if self.kind.preempt else [])]
        self.program = self.host.spawn(reactor, argv)

    def clear(self) -> None:
        with suppress(Exception):
            self.host.deleteAddress(f"{FOUR}/24")


class Pair:
    """hatwist on one host and another program on the other, one of which ranks before the other."""

    def __init__(self, lan: LabLan, judge: LabJudge, directory: Path) -> None:
        self.lan, self.judge, self.directory = lan, judge, directory

    def made(self, kind: Kind, hatwist: str, higher: bool | None) -> tuple[Peer, Peer]:
        """
        @param hatwist: the host that it is on.
        @param higher: it ranks before the other; C{None}: as it does.
        @return: hatwist and the other.
        """
        high, low = (FAST, SLOW) if kind.carp else (HIGH, LOW)
        other = next(name for name in ("alpha", "beta") if name != hatwist)
        ranks = {True: (high, low), False: (low, high), None: (low, low)}[higher]
        theirs = Ucarp if kind.carp else Keepalived
        mine = Hatwist(self.lan.host(hatwist), kind, ranks[0], self.directory)
        return mine, theirs(self.lan.host(other), kind, ranks[1], self.directory)

    async def takes(
        self, peer: Peer, *beside: Peer, within: float, act: Callable[[], Any]
    ) -> tuple[float, Report]:
        """
        After something is done this peer holds, and nobody else but those beside it: how soon, and what was seen.

        @param within: seconds after it was done.
        """
        since = await self.judge.mark()
        done = act()
        if done is not None:
            await done
        wanted = {each.name for each in (peer, *beside)}
        holders = lambda: self.judge.holders(peer.kind.address)  # noqa: E731
        await self.judge.until(
            lambda: holders() == wanted, f"{sorted(wanted)} after {within:.3f} s", within + 10
        )
        report = await self.judge.report(peer.kind.address, since)
        held = next(span.start for span in report.held if peer.name in span.hosts)
        took = held - since
        assert took < within + report.stalled, f"{took:.3f} s, and not {within:.3f} s"
        return took, report


@pytest_twisted.async_yield_fixture
async def pair(lan: LabLan, judge: LabJudge, tmp_path: Path) -> AsyncIterator[Pair]:
    """Nothing runs yet."""
    yield Pair(lan, judge, tmp_path)


LIVES = [MULTICAST, SECOND, TWO, IPV6, UNICAST, UNICAST6, UCARP]


@pytest.mark.parametrize("higher", [True, False], ids=["hatwist higher", "hatwist lower"])
@pytest.mark.parametrize("kind", LIVES, ids=lambda kind: kind.name)
@pytest_twisted.ensureDeferred
async def test_life(pair: Pair, kind: Kind, higher: bool) -> None:
    """Elected, preempted, stopped, preempted again, killed: each time one holds, in time."""
    mine, theirs = pair.made(kind, "alpha", higher)
    first, second = (mine, theirs) if higher else (theirs, mine)
    said = []

    def told(what: str, found: tuple[float, Report]) -> Report:
        took, report = found
        both = f", both {1000 * report.twoHolders:.0f}" if report.twoHolders else ""
        said.append(f"{what} {1000 * took:.0f}{both}")
        return report

    goodbye = kind.down(second.rank) if kind.carp and not higher else kind.skew(second.rank)
    if kind.carp and higher:
        goodbye = 1.0  # ucarp looks once in a second what has come
    told(
        "alone",
        await pair.takes(
            second, within=kind.down(second.rank) + STARTS, act=lambda: second.start(pair.lan)
        ),
    )
    for again in ("preempted", "returned"):
        report = told(
            again,
            await pair.takes(
                first, within=kind.down(first.rank) + STARTS, act=lambda: first.start(pair.lan)
            ),
        )
        assert report.twoHolders < kind.both + report.stalled, report
        assert report.noHolder < LATE + report.stalled, report
        if again == "preempted":
            stopped = told(
                "stopped", await pair.takes(second, within=goodbye + LATE, act=first.stop)
            )
            assert stopped.twoHolders == 0, stopped
    if first is mine:
        killed = told(
            "killed", await pair.takes(second, within=kind.down(second.rank) + LATE, act=first.kill)
        )
        assert killed.twoHolders == 0, killed
    else:
        told(
            "killed, and keeps it",
            await pair.takes(second, first, within=kind.down(second.rank) + LATE, act=first.kill),
        )
        first.clear()
        await pair.judge.untilHeldBy(kind.address, second.name)
    print(f"\n{kind.name}, hatwist {'higher' if higher else 'lower'}, ms: {'; '.join(said)}")
