"""What C{hatwist import} makes of a keepalived pair takes over from that pair, host by host."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.task import deferLater

from hatwist.lab.judge import LabJudge
from hatwist.lab.lan import Host, LabLan
from hatwist.lab.program import Program
from tests.daemons import ADDRESS, CIDR, FOREGROUND, TWISTD, ended

INSTANCE = """\
vrrp_instance VI_1 {{
    state {state}
    interface eth0
    virtual_router_id 51
    priority {priority}
    advert_int 0.2
    virtual_ipaddress {{
        {cidr}
    }}
}}
"""


class Pair:
    """Two hosts, each with a keepalived.conf, and the one file that was imported from them."""

    def __init__(self, lan: LabLan, directory: Path) -> None:
        self.alpha, self.beta = lan.host("alpha"), lan.host("beta")
        self._directory = directory
        for host, state, priority in ((self.alpha, "MASTER", 150), (self.beta, "BACKUP", 100)):
            text = INSTANCE.format(state=state, priority=priority, cidr=CIDR)
            (directory / f"{host.name}.conf").write_text(text)
            (directory / f"{host.name}.conf").chmod(0o644)
        files = [f"{host.name}={directory / host.name}.conf" for host in (self.alpha, self.beta)]
        made = self.alpha.run([sys.executable, "-m", "hatwist.frontends.cli", "import", *files])
        (directory / "hatwist.toml").write_text(made)

    def keepalived(self, host: Host) -> Program:
        """Start it there."""
        own = self._directory / host.name
        argv = ["keepalived", "--dont-fork", "--log-console", "--vrrp", "--no-syslog"]
        argv += ["--use-file", f"{own}.conf", "--pid", f"{own}.pid", "--vrrp_pid", f"{own}.vrrp"]
        return host.spawn(reactor, argv)

    def hatwist(self, host: Host) -> Program:
        """Start it there, with the imported file."""
        file = str(self._directory / "hatwist.toml")
        argv = [*TWISTD, *FOREGROUND, "ha", "--config", file, "--node", host.name]
        state = self._directory / f"{host.name}-state"
        state.mkdir()
        return host.spawn(reactor, argv, {**os.environ, "STATE_DIRECTORY": str(state)})


@pytest.mark.needs("keepalived")
@pytest_twisted.ensureDeferred
async def test_hostByHost(lan: LabLan, judge: LabJudge, tmp_path: Path) -> None:
    """
    A node beside a keepalived that has the address stays STANDBY; when that stops it has the address, and hands it to
    the worthier node that is started then. Never two hosts have it.
    """
    pair = Pair(lan, tmp_path)
    old = pair.keepalived(pair.alpha)
    await judge.untilHeldBy(ADDRESS, "alpha")
    began = await judge.watch(ADDRESS)
    await judge.untilAnsweredBy(ADDRESS, "alpha")
    beta = pair.hatwist(pair.beta)
    await beta.says("VI_1: STANDBY, term 0")
    # Three tolerances: it would have claimed by now.
    await deferLater(reactor, 3 * 0.7)
    await judge.untilHeldBy(ADDRESS, "alpha")
    assert not [line for line in beta.lines if "-> ACTIVE" in line], beta.tail()
    old.stop()
    await judge.untilHeldBy(ADDRESS, "beta")
    await judge.untilAnsweredBy(ADDRESS, "beta")
    alpha = pair.hatwist(pair.alpha)
    await alpha.says("VI_1: STANDBY -> ACTIVE")
    await judge.untilHeldBy(ADDRESS, "alpha")
    await judge.untilAnsweredBy(ADDRESS, "alpha")
    report = await judge.report(ADDRESS, began)
    assert report.twoHolders == 0
    print(f"outage {report.outage:.3f} s, nobody held for {report.noHolder:.3f} s")
    assert report.outage < 1.0 + report.stalled
    for program in (alpha, beta):
        program.stop()
        await ended(program)
