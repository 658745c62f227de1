"""
hatwist beside keepalived and ucarp, by VRRP and CARP: who holds, how soon, and that nobody else does.

The kernels' own address events judge. Bounds are the protocol's: three intervals of silence and the skew, or the skew
alone after a word of goodbye, and what a busy machine adds.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.task import deferLater

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
ENDS = 1.0
"""Seconds in which a program that is stopped or killed has let go; ucarp and keepalived run scripts and processes."""


@dataclass(frozen=True)
class Kind:
    """
    What both sides speak.

    @ivar seconds: between two advertisements.
    @ivar ttl: what the peer sends by unicast: keepalived 2.2 leaves IPv6 the kernel's hop limit.
    @ivar both: seconds for which the peer may hold what it has heard another take.
    """

    name: str
    version: int = 3
    family: int = 4
    seconds: float = 0.1
    unicast: bool = False
    ttl: int = 255
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
UNICAST6 = Kind("v3, IPv6, unicast", family=6, unicast=True, ttl=64)
UCARP = Kind("CARP", version=0, seconds=1.0, both=3.2)


class Peer:
    """
    A host with one of the programs.

    @ivar rank: the priority, or C{advskew}.
    @cvar begun: what it says once it listens.
    @cvar late: by how many seconds it may hear others too late.
    """

    begun = ""
    late = 0.0

    def __init__(self, host: Host, kind: Kind, rank: int, directory: Path) -> None:
        self.host, self.kind, self.rank = host, kind, rank
        self.password = "sesame" if kind.carp else kind.password
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

    async def listens(self) -> None:
        """Until it has begun to."""
        assert self.program is not None
        await self.program.says(self.begun, 30.0)

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

    begun = "listens on"

    def text(self, lan: LabLan) -> str:
        kind = self.kind
        lines = ['interface = "eth0"', "interval = 0.5", f'state_dir = "{self.directory}"']
        lines += [f'control = "{self.directory}/sock"', f"[node.{self.name}]", "[group.g]"]
        if kind.carp:
            secret = self.directory / "password"
            secret.write_text(f"{self.password}\n")
            secret.chmod(0o600)
            lines += ['protocol = "carp"', f"vhid = {ID}", f"advskew = {self.rank}"]
            lines += [f'password_file = "{secret}"']
        else:
            lines += ['protocol = "vrrp"', f"vrid = {ID}", f"version = {kind.version}"]
            lines += [f"priority = {self.rank}", f"advertisement_interval = {kind.seconds}"]
            if kind.unicast:
                peers = [self.own(host) for host in [self.host, *self.others(lan)]]
                lines += [f"unicast_peers = {peers}", f"min_ttl = {kind.ttl}"]
            if self.password:
                lines += [f'auth_pass = "{self.password}"']
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

    begun = "Entering BACKUP STATE"

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

    begun = "Switching to state: BACKUP"
    late = 1.1

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

    async def passes(self, seconds: float) -> None:
        """Nothing that is wanted can be waited for."""
        await deferLater(reactor, seconds)

    async def takes(
        self,
        peer: Peer,
        *beside: Peer,
        within: float,
        act: Callable[[], Any],
        starts: bool = False,
        after: Peer | None = None,
    ) -> tuple[float, Report]:
        """
        After something is done this peer holds, and nobody else but those beside it: how soon, and what was seen.

        @param within: seconds after it was done by the protocol; a busy machine, and ucarp, may take longer.
        @param starts: what is done starts it: it counts from when it listens.
        @param after: what is done ends this one: it counts from when that does not hold any more.
        """
        since = began = await self.judge.mark()
        await act()
        if starts:
            began = await self.judge.mark()
        wanted = {each.name for each in (peer, *beside)}
        holders = lambda: self.judge.holders(peer.kind.address)  # noqa: E731
        await self.judge.until(
            lambda: holders() == wanted, f"{sorted(wanted)} after {within:.3f} s", within + 10
        )
        report = await self.judge.report(peer.kind.address, since)
        if after is not None:
            gone = next(span.start for span in report.held if after.name not in span.hosts)
            assert gone - since < ENDS + report.stalled + report.stolen, report
            began = gone
        held = next(span.start for span in report.held if peer.name in span.hosts)
        took = max(0.0, held - began)
        late = LATE + report.stalled + report.stolen + peer.late
        assert took < within + late, f"{took:.3f} s, and not {within:.3f} s: {report}"
        return took, report


@pytest_twisted.async_yield_fixture
async def pair(lan: LabLan, judge: LabJudge, tmp_path: Path) -> AsyncIterator[Pair]:
    """Nothing runs yet."""
    yield Pair(lan, judge, tmp_path)


BOTH = {True: "hatwist higher", False: "hatwist lower"}
LIVES = [
    *((kind, higher) for kind in (MULTICAST, TWO, IPV6, UNICAST, UCARP) for higher in BOTH),
    (SECOND, True),
    (UNICAST6, False),
]


@pytest.mark.parametrize(
    ("kind", "higher"), LIVES, ids=[f"{kind.name}, {BOTH[higher]}" for kind, higher in LIVES]
)
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

    # By CARP the address may go without a word of it, and ucarp has none.
    goodbye = kind.skew(second.rank)
    if kind.carp:
        goodbye = kind.down(second.rank) if second is mine else 0.0

    def started(peer: Peer) -> Callable[[], Any]:
        async def start() -> None:
            peer.start(pair.lan)
            await peer.listens()

        return start

    soon = kind.down(second.rank)
    told("alone", await pair.takes(second, within=soon, act=started(second), starts=True))
    soon = kind.down(first.rank)
    for again in ("preempted", "returned"):
        report = told(again, await pair.takes(first, within=soon, act=started(first), starts=True))
        assert report.twoHolders < kind.both + report.stalled, report
        assert report.noHolder < LATE + report.stalled, report
        if again == "preempted":
            found = await pair.takes(second, within=goodbye, act=first.stop, after=first)
            assert told("stopped", found).twoHolders == 0, found
    if first is mine:  # whose guard says goodbye
        found = await pair.takes(second, within=goodbye, act=first.kill, after=first)
        assert told("killed", found).twoHolders == 0, found
    else:
        silence = kind.down(second.rank)
        found = await pair.takes(second, first, within=silence, act=first.kill)
        told("killed, and keeps it", found)
        first.clear()
        await pair.judge.untilHeldBy(kind.address, second.name)
    print(f"\n{kind.name}, hatwist {'higher' if higher else 'lower'}, ms: {'; '.join(said)}")


STAYS = [(MULTICAST, True), (MULTICAST, False), (UCARP, True)]


@pytest.mark.parametrize(
    ("kind", "higher"), STAYS, ids=[f"{kind.name}, {BOTH[higher]}" for kind, higher in STAYS]
)
@pytest_twisted.ensureDeferred
async def test_noPreempt(pair: Pair, kind: Kind, higher: bool) -> None:
    """Without preemption whoever holds goes on to, though the other one that returns ranks before it."""
    kind = replace(kind, preempt=False)
    mine, theirs = pair.made(kind, "alpha", higher)
    first, second = (mine, theirs) if higher else (theirs, mine)
    second.start(pair.lan)
    await pair.judge.untilHeldBy(kind.address, second.name)
    since = await pair.judge.mark()
    first.start(pair.lan)
    await first.listens()
    await pair.passes(1.5 * kind.down(second.rank))
    report = await pair.judge.report(kind.address, since)
    assert report.holders == ((second.name,),), report


@pytest.mark.parametrize("hatwist", ["alpha", "beta"])
@pytest.mark.parametrize("kind", [MULTICAST, IPV6, UCARP], ids=lambda kind: kind.name)
@pytest_twisted.ensureDeferred
async def test_equal(pair: Pair, kind: Kind, hatwist: str) -> None:
    """Of equals that could not hear each other the greater address holds by VRRP, and the lesser one by CARP."""
    mine, theirs = pair.made(kind, hatwist, None)
    pair.lan.cut("alpha", "beta")
    for each in (mine, theirs):
        each.start(pair.lan)
    judge, address = pair.judge, kind.address
    await judge.untilHeldBy(address, "alpha", "beta", timeout=15.0)
    pair.lan.heal("alpha", "beta")
    holder = "alpha" if kind.carp else "beta"
    await judge.untilHeldBy(address, holder, timeout=15.0)
    since = await judge.mark()
    await pair.passes(1.5 * kind.down(mine.rank))
    report = await judge.report(address, since)
    assert report.holders == ((holder,),), report


@pytest.mark.parametrize("kind", [TWO, UCARP], ids=lambda kind: kind.name)
@pytest_twisted.ensureDeferred
async def test_otherPassword(pair: Pair, kind: Kind) -> None:
    """With another password nobody is heard: both hold, and hatwist says why."""
    mine, theirs = pair.made(kind, "alpha", False)
    mine.password = "other123"
    theirs.start(pair.lan)
    await pair.judge.untilHeldBy(kind.address, theirs.name)
    mine.start(pair.lan)
    await pair.judge.untilHeldBy(kind.address, mine.name, theirs.name)
    said = "signature" if kind.carp else "authentication"
    assert mine.program is not None
    await mine.program.says(f"Dropped a packet from {theirs.own(theirs.host)} .*{said}")


@pytest_twisted.ensureDeferred
async def test_ownAddress(pair: Pair) -> None:
    """Without an address of its own a host cannot speak, and holds nothing; with another one it takes part again."""
    kind = MULTICAST
    mine, theirs = pair.made(kind, "alpha", True)
    theirs.start(pair.lan)
    await pair.judge.untilHeldBy(kind.address, theirs.name)
    mine.start(pair.lan)
    await pair.judge.untilHeldBy(kind.address, mine.name)

    async def lose() -> None:
        mine.host.deleteAddress(f"{mine.host.ipv4()}/24")

    async def find() -> None:
        mine.host.addAddress("10.99.0.77/24")

    took, _ = await pair.takes(theirs, within=kind.down(theirs.rank), act=lose)
    back, _ = await pair.takes(mine, within=kind.down(mine.rank), act=find)
    assert mine.program is not None
    assert any("no IPv4 address of its own" in line for line in mine.program.lines)
    print(f"\nwithout an address {1000 * took:.0f}, with another one {1000 * back:.0f} ms")


@pytest_twisted.ensureDeferred
async def test_migration(pair: Pair) -> None:
    """A pair of keepalived is exchanged host by host: a client is without an answer for one handover at most."""
    kind, lan, judge = MULTICAST, pair.lan, pair.judge
    ranks = {"alpha": 200, "beta": 250, "gamma": 50}

    def on(program: type[Peer], name: str) -> Peer:
        return program(lan.host(name), kind, ranks[name], pair.directory)

    first, second = on(Keepalived, "beta"), on(Keepalived, "gamma")
    first.start(lan)
    second.start(lan)
    await judge.untilHeldBy(FOUR, "beta")
    await judge.watch(FOUR)
    await judge.untilAnsweredBy(FOUR, "beta")
    since = await judge.mark()
    third = on(Hatwist, "alpha")
    third.start(lan)
    await third.listens()
    await pair.takes(third, within=kind.skew(third.rank), act=first.stop, after=first)
    back = on(Hatwist, "beta")
    back.start(lan)
    await judge.untilHeldBy(FOUR, "beta", timeout=20.0)
    await second.stop()
    last = on(Hatwist, "gamma")
    last.start(lan)
    await last.listens()
    await judge.untilAnsweredBy(FOUR, "beta")
    report = await judge.report(FOUR, since)
    alone = [hosts for hosts in report.holders if len(hosts) == 1]
    assert alone == [("beta",), ("alpha",), ("beta",)], report
    # It is announced with the release of the other: both are within one handover.
    assert report.longestWithout() < kind.skew(third.rank) + LATE + report.stalled, report
    assert report.outage < kind.skew(third.rank) + 2 * LATE + report.stalled, report
    print(f"\nexchanged, the longest outage {1000 * report.outage:.0f} ms")


MIXED = """
interface = "eth0"
interval = 0.2
state_dir = "{directory}"
control = "{directory}/sock"
http = "tcp:9107:interface=127.0.0.1"
[node.alpha]
[node.beta]
[group.web]
resources = [{{address = "10.99.0.110/24"}}]
priority = {{alpha = 200, beta = 100}}
[group.lan]
protocol = "vrrp"
vrid = 51
advertisement_interval = 0.2
priority = {{alpha = 150, beta = 100}}
resources = [{{address = "{FOUR}/24"}}]
[group.six]
protocol = "vrrp"
vrid = 51
advertisement_interval = 0.2
priority = {{alpha = 150, beta = 100}}
resources = [{{address = "fe80::100/64@eth0"}}, {{address = "{SIX}/64"}}]
[group.old]
protocol = "carp"
vhid = 7
advskew = {{alpha = 0, beta = 100}}
password_file = "{directory}/password"
resources = [{{address = "10.99.0.111/24"}}]
"""
EACH = {"web": "10.99.0.110", "lan": FOUR, "six": SIX, "old": "10.99.0.111"}


class Mixed:
    """Two hosts that run one file, with groups of each protocol."""

    def __init__(self, lan: LabLan, judge: LabJudge, directory: Path) -> None:
        self.lan, self.judge, self.directory = lan, judge, directory
        self.programs: dict[str, Program] = {}

    def at(self, name: str) -> Path:
        return self.directory / name

    def write(self, text: str = MIXED) -> None:
        for name in ("alpha", "beta"):
            self.at(name).mkdir(exist_ok=True)
            secret = self.at(name) / "password"
            secret.write_text("sesame")
            secret.chmod(0o600)
            said = text.format(directory=self.at(name), FOUR=FOUR, SIX=SIX)
            (self.at(name) / "hatwist.toml").write_text(said)

    def start(self, name: str) -> None:
        argv = [*TWISTD, *FOREGROUND, "ha", "--node", name]
        argv += ["--config", str(self.at(name) / "hatwist.toml")]
        self.programs[name] = self.lan.host(name).spawn(reactor, argv)

    def ask(self, name: str, *words: str) -> str:
        argv = [
            sys.executable,
            "-m",
            "hatwist.frontends.cli",
            words[0],
            "--control",
            str(self.at(name) / "sock"),
        ]
        with self.lan.host(name).namespace.entered():
            done = subprocess.run([*argv, *words[1:]], text=True, capture_output=True, check=False)
        assert done.returncode < 2, done.stderr
        return done.stdout

    def metrics(self, name: str) -> str:
        with (
            self.lan.host(name).namespace.entered(),
            urlopen("http://127.0.0.1:9107/metrics") as it,
        ):
            text: str = it.read().decode()
        return text

    async def held(self, name: str, *groups: str) -> None:
        for group in groups:
            await self.judge.untilHeldBy(EACH[group], name)

    async def reload(self, name: str, expected: str = "Reloaded: ") -> str:
        said = self.programs[name].saysNext(expected)
        self.programs[name].hangUp()
        return await said


@pytest_twisted.ensureDeferred
async def test_mixed(lan: LabLan, judge: LabJudge, tmp_path: Path) -> None:
    """Groups of each protocol in one daemon: taken, told of in the same words, drained, and given back."""
    mixed = Mixed(lan, judge, tmp_path)
    mixed.write()
    mixed.start("alpha")
    mixed.start("beta")
    await mixed.held("alpha", *EACH)
    master = lan.host("alpha").ipv4()
    status = json.loads(mixed.ask("beta", "status", "--json"))
    found = {name: (group["protocol"], group["holder"]) for name, group in status["groups"].items()}
    assert found["web"] == ("native", "alpha")
    assert found["lan"] == ("vrrp", master)
    assert found["old"] == ("carp", master)
    assert status["nodes"][master]["outside"]
    assert status["nodes"][master]["groups"]["lan"]["role"] == "ACTIVE"
    assert "lan" not in status["nodes"]["alpha"]["groups"]
    assert not status["troubles"], status["troubles"]
    shown = mixed.ask("alpha", "status")
    assert not re.search("(?i)silent|unknown", shown), shown
    assert f"{master} holds lan" in mixed.ask("beta", "why", "lan")
    assert "alpha holds old with term" in mixed.ask("alpha", "why", "old")
    assert f"lan: {master} ACTIVE" in mixed.ask("beta", "history")
    metrics = mixed.metrics("beta")
    for line in (
        'hatwist_role{group="lan",role="standby"} 1.0',
        'hatwist_holders{group="old"} 1.0',
        f'hatwist_peer_alive{{peer="{master}"}} 1.0',
    ):
        assert line in metrics, line
    since = await judge.mark()
    drained = mixed.ask("alpha", "drain")
    assert "lan: from alpha to the next master, which is not heard yet" in drained, drained
    await mixed.held("beta", *EACH)
    mixed.ask("alpha", "undrain")
    await mixed.held("alpha", *EACH)
    for group, address in EACH.items():
        report = await judge.report(address, since)
        assert [hosts for hosts in report.holders if len(hosts) == 1] == [
            ("alpha",),
            ("beta",),
            ("alpha",),
        ], (group, report)
        assert report.twoHolders < 0.06 + report.stalled, (group, report)
        assert report.longestWithout() < 0.7 + LATE + report.stalled, (group, report)


NEW = """
[group.new]
protocol = "vrrp"
vrid = 52
version = 2
resources = [{{address = "10.99.0.112/24"}}]
priority = {{alpha = 100, beta = 150}}
"""


@pytest_twisted.ensureDeferred
async def test_reloaded(lan: LabLan, judge: LabJudge, tmp_path: Path) -> None:
    """Groups of VRRP and CARP come and go by a reload; what cannot be is refused, and nothing is changed."""
    mixed = Mixed(lan, judge, tmp_path)
    native = MIXED.partition("[group.lan]")[0]
    mixed.write(native)
    mixed.start("alpha")
    mixed.start("beta")
    await mixed.held("alpha", "web")
    since = await judge.mark()
    mixed.write()
    for name in ("alpha", "beta"):
        await mixed.reload(name)
    await mixed.held("alpha", *EACH)
    mixed.write(MIXED.partition("[group.old]")[0] + NEW)
    for name in ("alpha", "beta"):
        said = await mixed.reload(name)
        assert "group old goes" in said, said
    await judge.untilHeldBy("10.99.0.111")
    await judge.untilHeldBy("10.99.0.112", "beta")
    running = (MIXED.partition("[group.old]")[0] + NEW).replace(
        '[{{address = "{FOUR}/24"}}]',
        '[{{address = "{FOUR}/24"}}, {{address = "10.99.0.113/24"}}]\npreempt_delay = 1',
    )
    mixed.write(running.replace("advertisement_interval = 0.2", "advertisement_interval = 0.3"))
    for name in ("alpha", "beta"):
        await mixed.reload(name, "preempt_delay 0 becomes 1")
    await judge.untilHeldBy("10.99.0.113", "alpha")
    for old, new, refusal in (
        ("vrid = 51", "vrid = 53", "vrid, version and interface stay as they are"),
        (
            'protocol = "vrrp"\nvrid = 51\nadvertisement_interval = 0.2',
            "",
            "protocol cannot change",
        ),
        ("vrid = 52", "vrid = 51", "is given 2 times"),
    ):
        mixed.write(running.replace(old, new, 1))
        await mixed.reload("alpha", refusal)
    await mixed.held("alpha", "web", "lan", "six")
    for group in ("web", "lan", "six"):
        report = await judge.report(EACH[group], since)
        assert report.holders[-1] == ("alpha",)
        assert report.holders.count(("alpha",)) == 1, (group, report)
    for program in mixed.programs.values():
        program.stop()
        await program.ended(10.0)
    for address in (*EACH.values(), "10.99.0.112", "10.99.0.113"):
        assert not judge.holders(address)
