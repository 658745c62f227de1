"""README's two hosts, as a reader would set them up, in the lab."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.task import deferLater

from hatwist.lab.judge import LabJudge
from hatwist.lab.lan import Host, LabLan
from hatwist.lab.program import Program
from tests.daemons import ended, until

README = (Path(__file__).parent.parent.parent / "README.rst").read_text()
SHARED = "192.168.1.100"


def line(beginning: str, containing: str = "") -> str:
    """The first command of README that begins and goes on so."""
    for text in README.splitlines():
        if text.startswith(f"    {beginning}") and containing in text:
            return text.strip()
    raise AssertionError(f"README has no line {beginning}...{containing}")


def sh(host: Host, command: str) -> str:
    return host.run(["sh", "-c", command])


@pytest.mark.needs("ip")
@pytest_twisted.ensureDeferred
async def test_twoHosts(lan: LabLan, judge: LabJudge, tmp_path: Path) -> None:
    """The lines that README has for two hosts give what it promises, log lines and all."""
    alpha, beta = lan.host("alpha"), lan.host("beta")
    for host in (alpha, beta):
        host.addAddress(f"192.168.1.{host.number}/24")
    bin_ = tmp_path / "bin"
    bin_.mkdir()
    (bin_ / "twistd").write_text(
        f"#!{sys.executable}\nfrom twisted.scripts.twistd import run\nrun()\n"
    )
    (bin_ / "twistd").chmod(0o755)
    (tmp_path / "etc").mkdir()
    key = str(tmp_path / "etc/key")

    def here(command: str) -> str:
        return command.replace("/etc/hatwist", str(tmp_path / "etc")).replace(
            "/opt/hatwist/bin", str(bin_)
        )

    sh(alpha, here(line("(umask")))
    assert os.stat(key).st_mode & 0o777 == 0o600

    def run(host: Host, containing: str) -> Program:
        argv = shlex.split(here(line("/opt/hatwist/bin/twistd", containing)))
        return host.spawn(reactor, argv, path=str(tmp_path))

    first = run(alpha, "--node alpha")
    await first.says("started, listening")
    second = run(beta, "--node beta")
    await judge.untilHeldBy(SHARED, "alpha")
    await second.says("peer-joined alpha")
    assert f"{SHARED}/24" in sh(alpha, line("ip address show"))
    assert SHARED not in sh(beta, line("ip address show"))
    first.stop()
    await judge.untilHeldBy(SHARED, "beta")
    await ended(first)
    for text in re.findall(r"^    ((?:default: |peer-joined ).*)", README, re.MULTILINE):
        await first.says(re.escape(text) + "$")
    second.stop()
    await ended(second)


@pytest.mark.needs("ip")
@pytest_twisted.ensureDeferred
async def test_oneFile(lan: LabLan, judge: LabJudge, tmp_path: Path) -> None:
    """The lines that README has for one file on two hosts: init, check, run, and every command it lists."""
    alpha, beta = lan.host("alpha"), lan.host("beta")
    for host in (alpha, beta):
        host.addAddress(f"192.168.1.{host.number}/24")
    (tmp_path / "etc").mkdir()
    hatwist = f"{sys.executable} -m hatwist.frontends.cli"
    twistd = f"{sys.executable} -c 'from twisted.scripts.twistd import run; run()'"

    def here(command: str) -> str:
        command = command.replace("/opt/hatwist/bin/hatwist", hatwist)
        command = command.replace("/opt/hatwist/bin/twistd", twistd)
        return command.replace("/etc/hatwist", str(tmp_path / "etc"))

    sh(alpha, here(line("(umask")))
    sh(alpha, here(line("/opt/hatwist/bin/hatwist init")))
    file = tmp_path / "etc/hatwist.toml"
    run = here(line("/opt/hatwist/bin/twistd", "--config"))
    programs = {}
    for host in (alpha, beta):
        check = here(
            line("/opt/hatwist/bin/hatwist check").replace(
                " check", " check /etc/hatwist/hatwist.toml"
            )
        )
        assert "guarantee: " in sh(host, f"{check} --node {host.name}")
        mine = tmp_path / f"{host.name}.toml"
        mine.write_text(f'control = "{tmp_path}/{host.name}.sock"\n{file.read_text()}')
        argv = shlex.split(run.replace(str(file), str(mine)))
        argv += ["--node", host.name]
        programs[host.name] = host.spawn(reactor, argv, path=str(tmp_path))
    await judge.untilHeldBy(SHARED, "alpha")
    await programs["beta"].says("peer-joined alpha")
    listed = [
        text.split("#")[0].strip() for text in README.splitlines() if text[:12] == "    hatwist "
    ]
    assert len(listed) == 7

    def told(command: str) -> str:
        return sh(
            alpha, f"{command.replace('hatwist', hatwist, 1)} --control {tmp_path}/alpha.sock"
        )

    def ready() -> bool:
        nodes = json.loads(told("hatwist status --json"))["nodes"]
        return bool(nodes["beta"]["groups"]["main"]["eligible"])

    await until(ready)  # beta listens for a tolerance first
    for command in listed:
        if command != "hatwist watch":  # which never ends
            told(command)
    await judge.untilHeldBy(SHARED, "beta")
    for program in programs.values():
        program.stop()
        await ended(program)


class Pair:
    """README's two hosts with fast heartbeats: alpha holds, beta stands by."""

    def __init__(self, lan: LabLan, judge: LabJudge, path: Path) -> None:
        self.judge = judge
        (path / "key").write_text("k" * 32)
        (path / "key").chmod(0o400)
        self.programs = []
        lan.client.addAddress("192.168.1.9/24")
        for host in (lan.host("alpha"), lan.host("beta")):
            host.addAddress(f"192.168.1.{host.number}/24")
            given = shlex.split(line("/opt/hatwist/bin/twistd", f"--node {host.name}"))[1:]
            given[given.index("/etc/hatwist/key")] = str(path / "key")
            argv = [sys.executable, "-c", "from twisted.scripts.twistd import run; run()", *given]
            program = host.spawn(reactor, [*argv, "--interval", "0.1"], path=str(path))
            self.programs.append(program)
        self.alpha, self.beta = self.programs

    async def settled(self) -> float:
        await self.alpha.says("peer-joined beta: heard")
        await self.beta.says("peer-joined alpha: heard")
        await deferLater(reactor, 0.5)  # a tolerance and more: beta listens no more
        await self.judge.untilHeldBy(SHARED, "alpha")
        began = await self.judge.watch(SHARED)
        await self.judge.untilAnsweredBy(SHARED, "alpha")
        return began

    @property
    def guard(self) -> int:
        """Alpha's guard process."""
        pid = self.alpha.pid
        (found,) = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return int(found)

    async def over(self, began: float) -> float:
        """Beta holds now, and never both did; the result is how many seconds nobody answered."""
        await self.judge.untilHeldBy(SHARED, "beta")
        await self.judge.untilAnsweredBy(SHARED, "beta")
        report = await self.judge.report(SHARED, began)
        assert report.twoHolders == 0
        return report.outage


@pytest_twisted.ensureDeferred
async def test_daemonKilled(lan: LabLan, judge: LabJudge, tmp_path: Path) -> None:
    """Where the daemon is killed the guard lets go and says goodbye: the other has the address at once."""
    pair = Pair(lan, judge, tmp_path)
    began = await pair.settled()
    pair.alpha.kill()
    assert await pair.over(began) < 0.35 / 2
    await pair.beta.says("peer-left alpha")


@pytest_twisted.ensureDeferred
async def test_daemonHangs(lan: LabLan, judge: LabJudge, tmp_path: Path) -> None:
    """Where it hangs the guard lets go within the tolerance; when it wakes it is STANDBY first."""
    pair = Pair(lan, judge, tmp_path)
    began = await pair.settled()
    os.kill(pair.alpha.pid, signal.SIGSTOP)
    try:
        await pair.over(began)
    finally:
        os.kill(pair.alpha.pid, signal.SIGCONT)
    await pair.alpha.says("This daemon did not run for too long, so its guard released default")
    await pair.alpha.says(r"default: ACTIVE -> STANDBY, term \d+: the guard released it")


@pytest_twisted.ensureDeferred
async def test_bothKilled(lan: LabLan, judge: LabJudge, tmp_path: Path) -> None:
    """Where daemon and guard are killed the kernel removes the address, and only then the other takes it."""
    pair = Pair(lan, judge, tmp_path)
    began = await pair.settled()
    guard = pair.guard
    clock: Any = reactor
    killed = clock.seconds()
    os.kill(pair.alpha.pid, signal.SIGSTOP)
    os.kill(guard, signal.SIGKILL)
    pair.alpha.kill()
    await pair.beta.says("still-served in default")
    await pair.over(began)
    # The lease of two seconds, one that the kernel may be late, and what a busy machine takes.
    assert clock.seconds() - killed < 2 + 1.0 + 0.5


@pytest_twisted.ensureDeferred
async def test_guaranteeIsLogged(lan: LabLan, judge: LabJudge, tmp_path: Path) -> None:
    """What README shows of the guarantee is what its two hosts log."""
    pair = Pair(lan, judge, tmp_path)
    for text in re.findall(r"^    ((?:Guarantee|Not protected): .*)", README, re.MULTILINE):
        await pair.beta.says(re.escape(text) + "$")
