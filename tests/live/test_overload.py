"""A host that is busy with something else: its groups stay where they are."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest_twisted
from twisted.internet import reactor

from hatwist.lab.lab import TWISTD, Lab

GROUPS = 100
BURST = 10.0
"""Seconds for which every core is busy with ordinary processes."""
PROCESSES = 4


class Busy:
    """Three hosts with many groups, and processes that do nothing but compute."""

    def __init__(self, directory: Path) -> None:
        self.file = directory / "hatwist.toml"
        self.lab = Lab(reactor, hosts=("alpha", "beta", "gamma"), daemon=self._daemon)
        lines = [
            f'interface = "eth0"\ninterval = {self.lab.interval}\ntolerance = {self.lab.tolerance}'
        ]
        for name in self.lab.names:
            lines.append(f"[node.{name}]\npriority = {self.lab.priority(name)}")
        for number in range(GROUPS):
            address = Lab.address if not number else f"10.98.0.{number}"
            lines.append(f'[group.g{number}]\nresources = [{{address = "{address}/16@eth0"}}]')
        self.file.write_text("\n".join(lines) + "\n")
        self._burning: list[subprocess.Popen[bytes]] = []

    def _daemon(self, lab: Lab, host: str) -> list[str]:
        return [
            *(sys.executable, "-c", TWISTD, "--nodaemon", "--pidfile=", "ha"),
            *("--config", str(self.file), "--node", host),
        ]

    def burn(self) -> None:
        """From now on."""
        argv = [sys.executable, "-S", "-c", "while True: pass"]
        self._burning = [subprocess.Popen(argv) for _ in range(PROCESSES)]

    def rest(self) -> None:
        """No more."""
        for process in self._burning:
            process.kill()
            process.wait()
        self._burning = []


@pytest_twisted.async_yield_fixture()
async def busy(tmp_path: Path) -> AsyncIterator[Busy]:
    """Three hosts, of which alpha holds everything."""
    made = Busy(tmp_path)
    try:
        await made.lab.start()
        yield made
    finally:
        made.rest()
        await made.lab.close()


@pytest_twisted.ensureDeferred
async def test_burst(busy: Busy) -> None:
    """A burst of load on every core changes no role, and two tolerances after it nothing is told of it any more."""
    lab = busy.lab
    judge = lab.judge
    addresses = [lab.address, *(f"10.98.0.{number}" for number in range(1, GROUPS))]
    await judge.until(
        lambda: all(judge.holders(address) == {"alpha"} for address in addresses),
        "alpha holds all of it, alone",
        60.0,
    )
    await lab.elapse(2.0)
    before = len(judge.changes)
    busy.burn()
    await lab.elapse(BURST)
    busy.rest()
    await lab.elapse(2 * lab.tolerance)
    calm = {name: len(lab.programs[name].lines) for name in lab.names}
    assert judge.changes[before:] == [], lab.said()
    await lab.elapse(3.0)
    assert judge.changes[before:] == [], lab.said()
    for name, count in calm.items():
        later = [line for line in lab.programs[name].lines[count:] if "keeps-up" not in line]
        assert [line for line in later if "Reporter#warn" in line] == [], lab.said()
