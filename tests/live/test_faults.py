"""What happens to running daemons: clocks that jump, forged packets, interfaces that go and come."""

from __future__ import annotations

import glob
import os
import re
import signal
import socket
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.task import deferLater

from hatwist.core.claims import Claim, Role
from hatwist.core.worth import Fitness, Worth
from hatwist.lab.judge import LabJudge
from hatwist.lab.lan import Host, LabLan
from hatwist.lab.program import Program
from hatwist.protocols.native.auth import Keyring
from hatwist.protocols.native.datagram import Datagram, GroupState, clusterId
from tests.daemons import (
    ADDRESS,
    CIDR,
    INTERVAL,
    TOLERANCE,
    TWISTD,
    ended,
    heldAndKnown,
    roles,
    start,
    until,
)
from tests.statements import Statement

KEY, OTHER = b"the key of this cluster", b"another, not known here"
SPAN = 4 * TOLERANCE


def moment(program: Program) -> float:
    """The wall clock of its newest line, in seconds."""
    return datetime.strptime(program.lines[-1].split()[0], "%Y-%m-%dT%H:%M:%S%z").timestamp()


async def clockOf(program: Program) -> float:
    """What its wall clock says now, by a line that it logs."""
    before = len(program.lines)
    os.kill(program.pid, signal.SIGUSR1)
    while len(program.lines) == before:
        await deferLater(reactor, 0.01)
    return moment(program)


@pytest.mark.needs("faketime")
@pytest_twisted.ensureDeferred
async def test_wallClock(lan: LabLan, judge: LabJudge, tmp_path: Path) -> None:
    """Wall clocks that jump by a minute, back and forth, on either node or both, change no role."""
    library = glob.glob("/usr/lib/*/faketime/libfaketime.so.1")[0]
    hosts = [lan.host("alpha"), lan.host("beta")]
    offsets = {host.name: tmp_path / host.name for host in hosts}
    programs = []
    for host in hosts:
        offsets[host.name].write_text("+0s\n")
        env = {
            "LD_PRELOAD": library,
            "FAKETIME_TIMESTAMP_FILE": str(offsets[host.name]),
            "FAKETIME_NO_CACHE": "1",
            "DONT_FAKE_MONOTONIC": "1",
        }
        programs.append(start(host, "--address", CIDR, env=env))
    alpha, beta = programs
    await heldAndKnown(judge, hosts[0], *programs)
    # libfaketime makes a process with a child stand still for a second with every thread that begins, as
    # those do that write down terms and role changes. All of that is over when nothing more is said.
    await until(lambda: time.monotonic() - max(p.times[-1] for p in programs) > 2.5)
    await judge.untilHeldBy(ADDRESS, "alpha")
    began = await judge.watch(ADDRESS)
    await judge.untilAnsweredBy(ADDRESS, "alpha")
    before = [roles(program) for program in programs]
    said = [len(program.lines) for program in programs]
    for a, b in (
        (-60, 0),
        (0, 0),
        (60, 0),
        (0, 0),
        (0, -60),
        (0, 60),
        (-60, 60),
        (60, -60),
        (0, 0),
    ):
        for host, offset in zip(hosts, (a, b), strict=True):
            fresh = tmp_path / "fresh"  # never seen empty
            fresh.write_text(f"{offset:+d}s\n")
            fresh.rename(offsets[host.name])
        await deferLater(reactor, SPAN)
        shown = await clockOf(alpha) - await clockOf(beta)
        assert abs(shown - (a - b)) <= 2, "the clocks were not stepped"
    report = await judge.report(ADDRESS, began)
    assert report.holders == (("alpha",),)
    assert report.outage < TOLERANCE
    assert [roles(program) for program in programs] == before
    for program, count in zip(programs, said, strict=True):
        new = program.lines[count:]
        assert not [line for line in new if "peer-left" in line or "stalled" in line]


class Forger:
    """Sends heartbeats from the client's host, as a node that nobody should believe."""

    def __init__(self, client: Host) -> None:
        self._socket = client.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with client.namespace.entered():
            self._socket.setsockopt(
                socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(client.ipv4())
            )
        self._seq = 0

    def beat(self) -> Datagram:
        """A heartbeat of a node that is worthier than all, and ACTIVE."""
        self._seq += 1
        worth = Worth(Fitness.FIT, 254, 1, "forger")
        group = GroupState(
            "default",
            Role.ACTIVE,
            Fitness.FIT,
            254,
            eligible=True,
            highest=99,
            claim=Claim(99, worth),
        )
        return Statement(
            "forger",
            self._seq,
            10**15,
            (group,),
            cluster=clusterId("default"),
            interval=INTERVAL,
            tolerance=TOLERANCE,
            address=1,
        ).datagram

    def send(self, datagram: bytes) -> None:
        self._socket.sendto(datagram, ("239.2.3.4", 5555))

    def close(self) -> None:
        self._socket.close()


@pytest_twisted.ensureDeferred
async def test_forged(lan: LabLan, judge: LabJudge, tmp_path: Path) -> None:
    """With a key, packets that are unsigned, wrongly signed, changed or cut move nothing, and are told."""
    file = tmp_path / "key"
    file.write_bytes(KEY + b"\n")
    file.chmod(0o600)
    hosts = [lan.host("alpha"), lan.host("beta")]
    alpha, beta = (start(host, "--address", CIDR, "--key-file", str(file)) for host in hosts)
    await heldAndKnown(judge, hosts[0], alpha, beta)
    assert [line for line in alpha.lines if line.endswith("heartbeats signed")]
    began = await judge.watch(ADDRESS)
    await judge.untilAnsweredBy(ADDRESS, "alpha")
    before = roles(alpha), roles(beta)
    forger = Forger(lan.client)
    good = Keyring([KEY])
    forgeries: dict[str, Callable[[], bytes]] = {
        "unsigned": lambda: Keyring().seal(forger.beat()),
        "unknown-key": lambda: Keyring([OTHER]).seal(forger.beat()),
        "signature": lambda: good.seal(forger.beat())[:-1] + b"!",
        "truncated": lambda: good.seal(forger.beat())[:8],
        "magic": lambda: b"hello, is anybody there?",
    }
    try:
        for reason, forge in forgeries.items():
            for _ in range(20):
                forger.send(forge())
            for program in (alpha, beta):
                await program.says(
                    f"Dropped a packet from 10.99.0.200 on eth0: {reason}.*10 so far"
                )
        await deferLater(reactor, SPAN)
        report = await judge.report(ADDRESS, began)
        assert report.holders == (("alpha",),)
        assert (roles(alpha), roles(beta)) == before
        assert not [line for line in alpha.lines + beta.lines if "forger" in line]
        # The same packet with the right signature is believed: it was the signature that held it off.
        forger.send(good.seal(forger.beat()))
        await alpha.says("peer-joined forger")
    finally:
        forger.close()


@pytest_twisted.ensureDeferred
async def test_differentKeys(lan: LabLan, judge: LabJudge, tmp_path: Path) -> None:
    """Nodes with different keys do not take part in one cluster, and each says so; the first one holds."""
    programs = []
    for name, key in (("alpha", KEY), ("beta", OTHER)):
        file = tmp_path / name
        file.write_bytes(key)
        file.chmod(0o400)
        programs.append(start(lan.host(name), "--address", CIDR, "--key-file", str(file)))
        await judge.untilHeldBy(ADDRESS, "alpha")
    await programs[1].says("still-served in default")
    assert judge.holders(ADDRESS) == {"alpha"}
    for program, source in zip(programs, ("10.99.0.2", "10.99.0.1"), strict=True):
        await program.says(f"Dropped a packet from {re.escape(source)} on eth0: unknown-key")
        assert not [line for line in program.lines if "peer-joined" in line]


@pytest_twisted.ensureDeferred
async def test_differentSettings(lan: LabLan, judge: LabJudge) -> None:
    """Nodes whose shared settings differ say so, instead of leaving it to be guessed."""
    alpha = start(lan.host("alpha"), "--address", CIDR)
    beta = start(lan.host("beta"), "--address", CIDR, "--address", "10.99.0.101/24")
    await alpha.says("configuration-differs beta: its shared configuration is another")
    await beta.says("configuration-differs alpha")


CLUSTERS = """\
import os
from twisted.application.service import Application
from twisted.internet import reactor
from hatwist.service.service import HAService
from hatwist.settings import settings

application = Application("two clusters")
for number, (cluster, priority) in enumerate(zip(("one", "two"), os.environ["PRIORITIES"].split())):
    HAService(
        settings(
            interface="eth0",
            address=[f"10.99.0.{100 + number}/24"],
            cluster=cluster,
            node=os.environ["NODE"],
            priority=priority,
            interval=0.1,
            here=True,
        )
    ).setServiceParent(application)
"""


@pytest_twisted.ensureDeferred
async def test_twoClusters(lan: LabLan, judge: LabJudge, tmp_path: Path) -> None:
    """One process can be in two clusters, the holder in one and the standby in the other."""
    file = tmp_path / "clusters.tac"
    file.write_text(CLUSTERS)
    programs = {}
    for name, priorities in (("alpha", "200 100"), ("beta", "100 200")):
        host = lan.host(name)
        env = {**os.environ, "NODE": name, "PRIORITIES": priorities}
        argv = [*TWISTD, "--nodaemon", "--pidfile=", "--python", str(file)]
        programs[name] = host.spawn(reactor, argv, env, str(tmp_path))
    for one, two in (("alpha", "beta"), ("beta", "beta")):
        await judge.untilHeldBy("10.99.0.100", one)
        await judge.untilHeldBy("10.99.0.101", two)
        if one == "alpha":
            await programs["beta"].says("peer-joined alpha")
            programs["alpha"].stop()
            await ended(programs["alpha"])
    programs["beta"].stop()
    await ended(programs["beta"])
    await judge.untilHeldBy("10.99.0.100")
    await judge.untilHeldBy("10.99.0.101")


@pytest.mark.needs("ip")
@pytest.mark.parametrize("which", ["alpha", "beta"])
@pytest_twisted.ensureDeferred
async def test_interfaceReplaced(which: str) -> None:
    """The heartbeats' interface is deleted and made anew: the node joins again, and one holds in the end."""
    lan = LabLan(("alpha", "beta"), links=2)
    judge = LabJudge(lan, reactor)
    try:
        await judge.start()
        hosts = [lan.host("alpha"), lan.host("beta")]
        alpha, beta = (start(host, "--interface", "eth1", "--address", CIDR) for host in hosts)
        await heldAndKnown(judge, hosts[0], alpha, beta)
        hit, program = lan.host(which), alpha if which == "alpha" else beta
        hit.run(["ip", "link", "delete", "eth1"])
        await program.says("Heartbeats on eth1 cannot be sent")
        # Without heartbeats the standby still hears the LAN answer for the address.
        await beta.says("still-served in default")
        assert judge.holders(ADDRESS) == {"alpha"}
        far = {"ifname": "eth1", "net_ns_fd": hit.namespace.fd, "address": hit.mac(1)}
        lan._switch.connect(which, 1, far)
        hit.setLink("eth1", up=True)
        hit.addAddress(f"{hit.ipv4(1)}/24", "eth1")
        await program.says("Heartbeats on eth1 are sent again")
        await judge.untilHeldBy(ADDRESS, "alpha")
        await deferLater(reactor, SPAN)
        assert judge.holders(ADDRESS) == {"alpha"}
        alpha.stop()
        await ended(alpha)
        await judge.untilHeldBy(ADDRESS, "beta")
    finally:
        await judge.close()
        await lan.close()


@pytest.mark.needs("ip")
@pytest_twisted.ensureDeferred
async def test_unreachable(lan: LabLan, judge: LabJudge) -> None:
    """A host without an address or with its interface down goes on, says what is wrong, and comes back."""
    alpha, beta = (start(lan.host(name), "--address", CIDR) for name in ("alpha", "beta"))
    await heldAndKnown(judge, lan.host("alpha"), alpha, beta)
    host = lan.host("beta")
    host.setLink("eth0", up=False)
    await beta.says("Heartbeats on eth0 cannot be sent: Network is unreachable")
    host.setLink("eth0", up=True)
    await beta.says("Heartbeats on eth0 are sent again")
    await judge.untilHeldBy(ADDRESS, "alpha")
    await deferLater(reactor, SPAN)
    assert judge.holders(ADDRESS) == {"alpha"}
    assert beta.status is None
    assert "Traceback" not in beta.tail(1000)


@pytest.mark.needs("ip")
@pytest_twisted.ensureDeferred
async def test_strayAddress(lan: LabLan, judge: LabJudge) -> None:
    """The shared address that somebody adds on a standby is told of, and gone at once."""
    alpha, beta = (start(lan.host(name), "--address", CIDR) for name in ("alpha", "beta"))
    await heldAndKnown(judge, lan.host("alpha"), alpha, beta)
    begun = await judge.mark()
    adding = lan.host("beta").spawn(reactor, ["ip", "address", "add", CIDR, "dev", "eth0"])
    await adding.ended()
    await beta.says(r"stray-address in default: .* put there by somebody else")
    await judge.untilHeldBy(ADDRESS, "alpha")
    report = await judge.report(ADDRESS, begun)
    print(f"\non two hosts for {report.twoHolders * 1000:.1f} ms")
    came = [c for c in judge.changes if c.host == "beta" and c.there and c.time >= begun]
    assert [c.address for c in came] == [ADDRESS]
    assert report.twoHolders < 0.2
