"""A changed configuration file on a running pair: what is good is applied, what is not changes nothing."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest_twisted
from twisted.internet import reactor
from twisted.internet.defer import gatherResults

from hatwist.lab.lab import TWISTD, Lab
from tests.broken import BROKEN, GOOD

BASE = GOOD.replace('"lo"', '"eth0"').replace("10.99.0.100", Lab.address)
SECOND = "10.99.0.101"
OLD, NEW = "a" * 32, "b" * 32


class Pair:
    """Two hosts that run one file."""

    def __init__(self, directory: Path) -> None:
        self.file = directory / "hatwist.toml"
        self.key = directory / "key"
        self.lab = Lab(reactor, hosts=("alpha", "beta"), daemon=self._daemon)

    def _daemon(self, lab: Lab, host: str) -> list[str]:
        return [
            *(sys.executable, "-c", TWISTD, "--nodaemon", "--pidfile=", "ha"),
            *("--config", str(self.file), "--node", host),
        ]

    def write(self, text: str) -> None:
        self.file.write_text(text, encoding="utf-8", errors="surrogateescape")

    def writeKeys(self, *keys: str) -> None:
        self.key.write_text("".join(f"{key}\n" for key in keys))
        self.key.chmod(0o600)

    async def reload(
        self, expected: str = "Reloaded: ", hosts: tuple[str, ...] = ("alpha", "beta")
    ) -> None:
        """Tell the daemons to read it; returns when they have said what came of it."""
        programs = [self.lab.programs[host] for host in hosts]
        said = [program.saysNext(expected) for program in programs]
        for program in programs:
            program.hangUp()
        await gatherResults(said, consumeErrors=True)


@pytest_twisted.async_yield_fixture()
async def pair(tmp_path: Path) -> AsyncIterator[Pair]:
    """A pair that runs, alpha holding."""
    made = Pair(tmp_path)
    made.write(BASE)
    try:
        await made.lab.start()
        yield made
    finally:
        await made.lab.close()


async def undisturbed(pair: Pair, since: float) -> None:
    """The kernel has had the first address on alpha all the time, which has gone on answering."""
    lab = pair.lab
    await lab.judge.untilAnsweredBy(lab.address, "alpha")
    report = await lab.judge.report(lab.address, since)
    assert report.holders == (("alpha",),), lab.said()
    assert report.noHolder == report.twoHolders == 0
    # A machine that is busy answers late.
    assert report.outage < 0.05 + report.stalled, lab.said()


@pytest_twisted.ensureDeferred
async def test_broken(pair: Pair) -> None:
    """Every broken file leaves the pair as it is: one message on each node, no question unanswered."""
    lab = pair.lab
    since = await lab.judge.mark()
    said = {name: len(lab.programs[name].lines) for name in lab.names}
    for broken in BROKEN:
        pair.write(broken.text.replace('"lo', '"eth0'))
        await pair.reload("Not reloaded, and the old configuration goes on")
        print(broken.name)
    pair.write(BASE)
    await pair.reload("Reloaded: nothing has changed")
    await undisturbed(pair, since)
    for name, before in said.items():
        lines = lab.programs[name].lines[before:]
        assert not [line for line in lines if " -> " in line], lab.said()


@pytest_twisted.ensureDeferred
async def test_restart(pair: Pair) -> None:
    """What takes a restart is named, and nothing of the file is applied."""
    lab = pair.lab
    since = await lab.judge.mark()
    pair.write(
        BASE.replace("interval = 0.1", "interval = 0.2").replace(
            "}]", f'}}, {{address = "{SECOND}/24"}}]'
        )
    )
    await pair.reload(r"interval cannot change by reload \(running 0.1, file 0.2\)")
    await lab.elapse(0.3)
    assert not lab.judge.holders(SECOND)
    await undisturbed(pair, since)


@pytest_twisted.ensureDeferred
async def test_address(pair: Pair) -> None:
    """An address that comes is held beside the other, one that goes is gone, and the other has no gap."""
    lab = pair.lab
    await lab.judge.watch(lab.address, SECOND)
    since = await lab.judge.mark()
    pair.write(BASE.replace("}]", f'}}, {{address = "{SECOND}/24"}}]'))
    await pair.reload(f"Reloaded: group web: with {SECOND}/24")
    await lab.judge.untilHeldBy(SECOND, "alpha")
    await lab.judge.untilAnsweredBy(SECOND, "alpha")
    await undisturbed(pair, since)
    lab.host("alpha").powerOff()
    await lab.judge.untilHeldBy(SECOND, "beta")
    await lab.judge.untilHeldBy(lab.address, "beta")
    lab.host("alpha").powerOn()
    lab.run("alpha")
    await lab.untilOnly("alpha")
    since = await lab.judge.mark()
    pair.write(BASE)
    await pair.reload(f"Reloaded: group web: without {SECOND}/24")
    await lab.judge.until(lambda: not lab.judge.holders(SECOND), "the second one gone")
    await undisturbed(pair, since)


@pytest_twisted.ensureDeferred
async def test_group(pair: Pair) -> None:
    """A group that comes is held where it belongs, one that goes is let go of; the other has no gap."""
    lab = pair.lab
    since = await lab.judge.mark()
    more = f'[group.db]\npriority = {{beta = 250}}\nresources = [{{address = "{SECOND}/24"}}]\n'
    pair.write(BASE + more)
    await pair.reload("Reloaded: group db comes: ")
    await lab.judge.untilHeldBy(SECOND, "beta")
    pair.write(BASE)
    await pair.reload("Reloaded: group db goes: ")
    await lab.judge.until(lambda: not lab.judge.holders(SECOND), "the group gone")
    pair.write(BASE + more.replace("beta = 250", "alpha = 250, beta = 1"))
    await lab.elapse(2 * lab.tolerance)
    await pair.reload("Reloaded: group db comes: ")
    await lab.judge.untilHeldBy(SECOND, "alpha")
    await undisturbed(pair, since)


@pytest_twisted.ensureDeferred
async def test_priority(pair: Pair) -> None:
    """A priority changed by reload moves the group as a returning node would: within milliseconds."""
    lab = pair.lab
    since = await lab.judge.mark()
    pair.write(BASE.replace("200", "50"))
    await pair.reload("Reloaded: group web: priority ", ("alpha",))
    await lab.untilOnly("beta")
    report = await lab.judge.report(lab.address, since)
    assert report.twoHolders == 0
    assert report.outage < 0.1 + report.stalled, lab.said()


@pytest_twisted.ensureDeferred
async def test_keys(tmp_path: Path) -> None:
    """The key is changed in three steps on a live pair, with no role change; the goodbye of the guard has it."""
    pair = Pair(tmp_path)
    pair.write(f'key_file = "{pair.key}"\n{BASE}')
    pair.writeKeys(OLD)
    lab = pair.lab
    try:
        await lab.start()
        since = await lab.judge.mark()
        for keys in ((OLD, NEW), (NEW, OLD), (NEW,)):
            pair.writeKeys(*keys)
            for host in ("beta", "alpha"):
                await pair.reload("Reloaded: keys: ", (host,))
                await lab.elapse(2 * lab.tolerance)
        await undisturbed(pair, since)
        assert not any("peer-left" in line for p in lab.programs.values() for line in p.lines)
        since = await lab.judge.mark()
        lab.programs["alpha"].kill()
        await lab.untilOnly("beta")
        report = await lab.judge.report(lab.address, since)
        assert report.outage < 0.1 + report.stalled, lab.said()
    finally:
        await lab.close()


@pytest_twisted.ensureDeferred
async def test_noPlace(pair: Pair) -> None:
    """A new address that has no place on a host is refused there, by the standby too, and nothing is changed."""
    lab = pair.lab
    since = await lab.judge.mark()
    pair.write(BASE.replace("}]", '}, {address = "10.98.0.1/24"}]').replace("200", "210"))
    await pair.reload("  group web: 10.98.0.1/24: no interface is connected to its network")
    await undisturbed(pair, since)
    pair.write(BASE)
    await pair.reload("Reloaded: nothing has changed")


@pytest_twisted.ensureDeferred
async def test_refused(pair: Pair) -> None:
    """An address that the kernel refuses is told with its reason; the group stays what it was, and moves as such."""
    lab = pair.lab
    since = await lab.judge.mark()
    with lab.lan.host("alpha").namespace.entered():
        Path("/proc/sys/net/ipv6/conf/eth0/disable_ipv6").write_text("1")
    pair.write(BASE.replace("}]", '}, {address = "fd00::1/64@eth0"}]').replace("200", "210"))
    await pair.reload("Reloaded, but: group web: .*fd00::1/64", ("alpha",))
    await undisturbed(pair, since)
    pair.write(BASE)
    await pair.reload("Reloaded: nothing has changed")
    lab.programs["alpha"].stop()
    await lab.untilOnly("beta")
