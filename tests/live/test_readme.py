"""README's two hosts, as a reader would set them up, in the lab."""

from __future__ import annotations

import os
import re
import shlex
import sys
from pathlib import Path

import pytest
import pytest_twisted
from twisted.internet import reactor

from hatwist.lab.judge import Judge
from hatwist.lab.lan import Host, Lan
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
async def test_twoHosts(lan: Lan, judge: Judge, tmp_path: Path) -> None:
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
    key = str(tmp_path / "hatwist.key")

    def here(command: str) -> str:
        return command.replace("/etc/hatwist.key", key).replace("/opt/hatwist/bin", str(bin_))

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

    # And what to do by hand where only the daemon was killed.
    second.kill()
    await second.ended()
    assert judge.holders(SHARED) == {"beta"}
    delete = re.search(r"``(ip address del [^`]+)``", README)
    assert delete is not None
    sh(beta, delete[1])
    await judge.untilHeldBy(SHARED)


@pytest_twisted.ensureDeferred
async def test_onlyTheDaemonKilled(lan: Lan, judge: Judge, tmp_path: Path) -> None:
    """README says that a killed daemon's address stays until it starts again: so it is, as long as it says so."""
    assert "No guard" in README
    host = lan.host("alpha")
    host.addAddress("192.168.1.1/24")
    (tmp_path / "key").write_text("k" * 32)
    (tmp_path / "key").chmod(0o400)
    given = shlex.split(line("/opt/hatwist/bin/twistd", "--node alpha"))[1:]
    given[given.index("/etc/hatwist.key")] = str(tmp_path / "key")
    run = [sys.executable, "-c", "from twisted.scripts.twistd import run; run()", *given]
    program = host.spawn(reactor, [*run, "--interval", "0.1"], path=str(tmp_path))
    await judge.untilHeldBy(SHARED, "alpha")
    program.kill()
    await program.ended()
    assert judge.holders(SHARED) == {"alpha"}
    again = host.spawn(reactor, [*run, "--interval", "0.1"], path=str(tmp_path))
    await judge.untilHeldBy(SHARED)
    await again.says("started, listening")
    await judge.untilHeldBy(SHARED, "alpha")
    again.stop()
    await ended(again)
    await until(lambda: not judge.holders(SHARED))
