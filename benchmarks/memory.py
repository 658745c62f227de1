"""
What a node keeps in memory while nothing happens, and how soon a new one is heard.

    python benchmarks/memory.py

Two daemons with one group, on a LAN of their own, as pip installs them: compiled, and without TLS. It prints what the
holder's daemon and its guard have resident, and which part of it is theirs where the pages that processes share are
divided among them (proportional); what a daemon has where TLS is installed, which Twisted then imports; and the time
from the start of a process to its first heartbeat on the wire, the worst of some starts, with how much of it the
process ran. The budgets are 45 MB and 8 MB resident, and 0.5 s. A loaded machine makes starts slower, but needs no more
memory.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from idle import NO_TLS, compiled, loop, proven, used

from hatwist.lab.capture import Capture, Frame
from hatwist.lab.lab import PORT, TWISTD, Lab, Setup, haDaemon
from hatwist.lab.lan import Host
from hatwist.lab.playing import inWorld
from hatwist.linux.guard import program

HOSTS = Setup(hosts=("alpha", "beta"))
BUDGETS = {"daemon": 45.0, "guard": 8.0}
"""Megabytes resident."""
START = 0.5


class Memory(NamedTuple):
    """Megabytes that a process has: of its own and shared, and with its part of the latter only."""

    resident: float
    proportional: float

    def __str__(self) -> str:
        return f"{self.resident:5.1f} MB resident, {self.proportional:5.1f} MB proportional"


def memory(pid: int) -> Memory:
    """What a process has now (proc(5), smaps_rollup)."""
    found = {}
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]:
        name, kilobytes, _ = line.split()
        found[name] = int(kilobytes) / 1024
    return Memory(found["Rss:"], found["Pss:"])


def guard(host: Host) -> int:
    """The process id of a host's guard."""
    (found,) = (
        pid
        for pid in host.namespace.processes()
        if program.__file__ in Path(f"/proc/{pid}/cmdline").read_text()
    )
    return found


def plain(lab: Lab, host: str) -> list[str]:
    """A daemon without TLS."""
    return [NO_TLS + word if word == TWISTD else word for word in haDaemon(lab, host)]


def plainHolder(lab: Lab, host: str) -> list[str]:
    """The worthiest without TLS, the others with it, if it is installed."""
    return plain(lab, host) if host == lab.best else haDaemon(lab, host)


async def resident(reactor: Any) -> bool:
    """Print what daemons and a guard have in memory; whether all of it is within its budget."""
    lab = Lab.of(HOSTS, reactor, daemon=plainHolder)
    try:
        await lab.judge.start()
        await lab.judge.watch(lab.address, spacing=0.5)
        await lab.settle()
        await proven(lab)
        await lab.elapse(1.0)
        found = {
            "daemon": memory(lab.programs[lab.best].pid),
            "guard": memory(guard(lab.host(lab.best))),
        }
        tls = memory(lab.programs[lab.second].pid)
    finally:
        await lab.close()
    for name, budget in BUDGETS.items():
        print(
            f"{name:8} {found[name]}  "
            f"(budget {budget:g} MB resident: {found[name].resident / budget:.2f} of it)"
        )
    if find_spec("OpenSSL"):
        print(f"with TLS {tls}  (no budget)")
    return all(found[name].resident <= budget for name, budget in BUDGETS.items())


def isHeartbeat(host: Host, frame: Frame) -> bool:
    """Did this host multicast it?"""
    source = bytes(int(part) for part in host.ipv4().split("."))
    data = frame.data
    return frame.kind == 0x0800 and data[26:30] == source and data[36:38] == PORT.to_bytes(2)


async def starting(reactor: Any, count: int) -> bool:
    """Print the time from the start of a process to its first heartbeat; whether it is within its budget."""
    lab = Lab.of(HOSTS, reactor, daemon=plain)
    found, ran = [], []
    try:
        await lab.judge.start()
        await lab.judge.watch(lab.address, spacing=0.5)
        await lab.settle()
        host = lab.host(lab.second)
        for _ in range(count):
            lab.programs[host.name].stop()
            await lab.programs[host.name].ended()
            frames = Capture(lab.lan.client, reactor)
            began = time.monotonic()
            lab.run(host.name)
            first = await frames.until(
                lambda frame: isHeartbeat(host, frame), f"a heartbeat of {host.name}"
            )
            found.append(first.time - began)
            ran.append(used(host))
            frames.close()
    finally:
        await lab.close()
    print(
        f"process to first heartbeat, {count} times: median {statistics.median(found):.3f} s, "
        f"worst {max(found):.3f} s, "
        f"ran for {statistics.median(ran):.3f} s  (budget {START:g} s: {max(found) / START:.2f} of it)",
        flush=True,
    )
    return max(found) <= START


async def _main(reactor: Any, options: argparse.Namespace) -> None:
    print(f"a million steps of an empty loop: {loop() * 1000:.0f} ms", flush=True)
    compiled()
    within = [await resident(reactor), await starting(reactor, options.starts)]
    if not all(within):
        raise SystemExit(1)


def main(argv: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description="What an idle node has in memory.")
    parser.add_argument("--starts", type=int, default=10, help="how many starts to time (10)")
    options = parser.parse_args(argv)
    inWorld([__file__, *argv], lambda reactor: _main(reactor, options))


if __name__ == "__main__":
    main(sys.argv[1:])
