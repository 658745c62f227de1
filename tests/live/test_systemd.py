"""What systemd is told, the rights that the unit file gives, and C{hatwist release}, which it runs after each end."""

from __future__ import annotations

import os
import re
import signal
import socket
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.task import deferLater

from hatwist.lab.judge import LabJudge
from hatwist.lab.lan import Host, LabLan
from hatwist.lab.program import Program
from tests.daemons import (
    ADDRESS,
    CIDR,
    FOREGROUND,
    TOLERANCE,
    TWISTD,
    ended,
    heldAndKnown,
    options,
    start,
    until,
)
from tests.live.test_twistd import IFDOWN, IFUP

UNIT = Path(__file__).parents[2] / "examples" / "systemd" / "hatwist.service"
HATWIST = (sys.executable, "-m", "hatwist.frontends.cli")
LONG = ("--lease", "60")
"""With this lease the kernel removes nothing while a test runs."""


class Told:
    """The socket of a service manager, and what it was told so far."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._socket.bind(self.path)
        self._lines: list[str] = []

    def lines(self) -> list[str]:
        while True:
            try:
                self._lines += self._socket.recv(65536).decode().splitlines()
            except BlockingIOError:
                return self._lines

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def told(tmp_path: Path) -> Iterator[Told]:
    made = Told(tmp_path / "notify")
    yield made
    made.close()


def unitSays(key: str) -> str:
    """The value that the unit file gives to a key, once."""
    (found,) = re.findall(rf"^{key}=(.*)$", UNIT.read_text(), re.MULTILINE)
    return str(found)


def asInUnit() -> tuple[str, ...]:
    """What starts a program with the ambient capabilities of the unit, as a user who gains no other by being root."""
    names = unitSays("AmbientCapabilities").split()
    assert unitSays("CapabilityBoundingSet").split() == names
    rights = ",".join(["-all", *(f"+{name.removeprefix('CAP_').lower()}" for name in names)])
    return (
        *("setpriv", "--securebits=+noroot,+noroot_locked", "--no-new-privs"),
        *(f"--inh-caps={rights}", f"--ambient-caps={rights}", f"--bounding-set={rights}"),
    )


def capabilities(pid: int) -> set[str]:
    """The distinct sets that a process has: permitted, effective and bounding ones."""
    status = Path(f"/proc/{pid}/status").read_text()
    return set(re.findall(r"^Cap(?:Prm|Eff|Bnd):\s*(\w+)$", status, re.MULTILINE))


def guardOf(daemon: Program) -> int:
    """The process of its guard."""
    children = Path(f"/proc/{daemon.pid}/task/{daemon.pid}/children").read_text().split()
    (found,) = (
        int(pid)
        for pid in children
        if "guard/program.py" in Path(f"/proc/{pid}/cmdline").read_text()
    )
    return found


async def release(host: Host, *more: str, before: tuple[str, ...] = ()) -> Program:
    """Run C{hatwist release} there to its end, with the options of the daemon."""
    program = host.spawn(reactor, [*before, *HATWIST, "release", *options(host, *more)])
    await program.ended(30.0)
    return program


@pytest_twisted.async_yield_fixture
async def left(lan: LabLan, judge: LabJudge) -> AsyncIterator[Host]:
    """A host on which daemon and guard were killed together, so that the address is still there."""
    host = lan.host("alpha")
    start(host, "--address", CIDR, *LONG)
    await judge.untilHeldBy(ADDRESS, "alpha")
    host.killAll()
    await until(lambda: len(host.namespace.processes()) <= 1)
    assert CIDR in host.addresses()
    yield host


@pytest_twisted.ensureDeferred
async def test_told(lan: LabLan, judge: LabJudge, told: Told) -> None:
    """systemd hears: ready, the roles, that heartbeats go out, and the end; but not from one that hangs."""
    env = {"NOTIFY_SOCKET": told.path, "WATCHDOG_USEC": "400000"}
    alpha = start(lan.host("alpha"), "--address", CIDR, env=env)
    await until(lambda: "READY=1" in told.lines())
    assert told.lines()[0].startswith("STATUS=Starting")
    await judge.untilHeldBy(ADDRESS, "alpha")
    await until(lambda: "STATUS=default: ACTIVE, term 1: no holder was heard" in told.lines())
    await until(lambda: told.lines()[-1] == "WATCHDOG=1")
    alpha.freeze()
    await judge.untilHeldBy(ADDRESS)  # its guard let go
    silent = len(told.lines())
    # The watchdog's time, in which a daemon that runs is heard four times.
    await deferLater(reactor, 0.4)
    assert len(told.lines()) == silent
    alpha.thaw()
    await until(lambda: "WATCHDOG=1" in told.lines()[silent:])
    before = len(told.lines())
    os.kill(alpha.pid, signal.SIGHUP)
    await until(lambda: "READY=1" in told.lines()[before:])
    assert "RELOADING=1" in told.lines()[before:]
    alpha.stop()
    await ended(alpha)
    assert "STOPPING=1" in told.lines()
    after = told.lines()[told.lines().index("STOPPING=1") :]
    assert [line for line in after if line.startswith("STATUS=default: SHUTDOWN")]
    assert told.lines().count("READY=1") == 2


@pytest_twisted.ensureDeferred
async def test_rightsOfUnit(lan: LabLan, judge: LabJudge) -> None:
    """The unit's two ambient capabilities are enough to take over, announce, guard, and renew the kernel's lease."""
    command = (*asInUnit(), *TWISTD, *FOREGROUND)
    alpha, beta = (
        start(lan.host(name), "--address", CIDR, "--lease", "2", command=command)
        for name in ("alpha", "beta")
    )
    await heldAndKnown(judge, lan.host("alpha"), alpha, beta)
    guard = guardOf(alpha)
    both = f"{1 << 12 | 1 << 13:016x}"  # capability.h: CAP_NET_ADMIN, CAP_NET_RAW
    assert capabilities(alpha.pid) == capabilities(guard) == {both}
    began = await judge.watch(ADDRESS)
    await judge.untilAnsweredBy(ADDRESS, "alpha")
    alpha.kill()
    await judge.untilAnsweredBy(ADDRESS, "beta")
    report = await judge.report(ADDRESS, began)
    assert report.twoHolders == 0.0
    assert report.noHolder < TOLERANCE / 2  # the guard released, and said goodbye
    shown = lan.host("beta").run(["ip", "address", "show", "label", "eth0:ha"])
    assert re.search(r"valid_lft [12]sec", shown), shown
    await deferLater(reactor, 3.1)  # the kernel would have removed it by now
    await judge.untilHeldBy(ADDRESS, "beta")
    lan.host("beta").killAll()
    await judge.untilHeldBy(ADDRESS)


@pytest_twisted.ensureDeferred
async def test_released(left: Host, judge: LabJudge) -> None:
    """What daemon and guard left when both were killed is gone when hatwist release ends with 0."""
    program = await release(left, "--address", CIDR, before=asInUnit())
    assert program.status == 0, program.tail()
    assert CIDR not in left.addresses()
    assert program.lines == ["10.99.0.100/24: released"]
    await judge.untilHeldBy(ADDRESS)
    again = await release(left, "--address", CIDR)
    assert again.status == 0, again.tail()
    assert again.lines == ["10.99.0.100/24: not held here"]


@pytest_twisted.ensureDeferred
async def test_othersAddress(left: Host) -> None:
    """An address that the options do not name stays, and so does one of the host's own."""
    program = await release(left, "--address", "10.99.0.101/24")
    assert program.status == 0, program.tail()
    assert {CIDR, f"{left.ipv4()}/24"} <= set(left.addresses())


@pytest_twisted.ensureDeferred
async def test_notPermitted(left: Host) -> None:
    """Without the right to delete the address it ends with 1, and says what it takes."""
    without = ("setpriv", "--bounding-set=-all", "--inh-caps=-all")
    program = await release(left, "--address", CIDR, before=without)
    assert program.status == 1, program.tail()
    assert "CAP_NET_ADMIN" in program.tail()
    assert CIDR in left.addresses()


@pytest_twisted.ensureDeferred
async def test_wrong(lan: LabLan) -> None:
    """Options that are wrong end it with 2 and every problem."""
    program = await release(lan.host("alpha"), "--address", "10.99.0.100", "--lease", "x")
    assert program.status == 2
    assert program.lines[0] == "hatwist release failed:"
    assert sorted(line.split()[0] for line in program.lines[1:]) == ["--address", "--lease"]


@pytest_twisted.ensureDeferred
async def test_daemonRuns(lan: LabLan, judge: LabJudge) -> None:
    """While the daemon runs, or hangs, nothing is touched, and no second one starts."""
    host = lan.host("alpha")
    daemon = start(host, "--address", CIDR, *LONG)
    await judge.untilHeldBy(ADDRESS, "alpha")
    program = await release(host, "--address", CIDR)
    assert program.status == 1, program.tail()
    assert f"runs here already, as process {daemon.pid}" in program.tail()
    second = start(host, "--address", CIDR, *LONG)
    assert await second.ended() == 1
    assert second.lines[0] == "twistd ha cannot start:"
    assert second.lines[1:] == [
        f"  node alpha of cluster default runs here already, as process {daemon.pid}"
    ]
    assert CIDR in host.addresses()
    daemon.freeze()
    assert (await release(host, "--address", CIDR)).status == 1
    daemon.thaw()
    os.kill(daemon.pid, signal.SIGTERM)
    await ended(daemon)
    assert (await release(host, "--address", CIDR)).status == 0


@pytest.mark.needs("ip")
@pytest_twisted.ensureDeferred
async def test_alias(lan: LabLan, judge: LabJudge, tmp_path: Path) -> None:
    """What the guard cannot release is released too: an alias, by ifdown."""
    for name, text in (("ifup", IFUP), ("ifdown", IFDOWN.format(directory=tmp_path))):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    env = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    host = lan.host("alpha")
    start(host, "--alias", "eth0:1", env=env)
    await until(lambda: "10.99.0.101/24" in host.addresses())
    host.killAll()
    await until(lambda: len(host.namespace.processes()) <= 1)
    assert "10.99.0.101/24" in host.addresses()
    argv = [*HATWIST, "release", *options(host, "--alias", "eth0:1")]
    program = host.spawn(reactor, argv, {**os.environ, **env})
    assert await program.ended(30.0) == 0, program.tail()
    assert "10.99.0.101/24" not in host.addresses()
