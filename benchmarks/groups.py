"""
What many groups cost, while nothing happens and when a host dies, beside keepalived with one VRRP instance for each.

    python benchmarks/groups.py

Groups of one address each, all held by the same host; hatwist as pip installs it: compiled, and without TLS. For each
number of nodes and groups: processor time of the holder and of the next node, guards included, as a share of one core;
frames, bytes in a second and bytes of the largest frame that the holder multicasts; seconds from the start of all nodes
at once until each group is held, and how many role changes followed; and after the holder's power is cut, when the
first and the last address is held elsewhere, and when the last one is announced, all from the moment of the cut. A
budget stands beside a figure where there is one. A loaded machine makes all of it worse, the peer's too: compare the
two of one run.
"""

from __future__ import annotations

import argparse
import socket
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from shutil import which
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from idle import NO_TLS, compiled, loop, used
from twisted.internet.task import deferLater

from hatwist.lab.capture import Capture
from hatwist.lab.judge import LabJudge
from hatwist.lab.lab import PORT, TWISTD
from hatwist.lab.lan import Host, LabLan
from hatwist.lab.playing import inWorld

INTERVAL, TOLERANCE = 0.1, 0.35
GROUPS, NODES = (1, 10, 100, 250, 1000), (2, 3, 8)
PATIENCE = 60.0
"""Seconds that a start or a takeover may take before it counts as never done."""
CALM = 5.0
"""Seconds from the last role change until a cluster counts as calm."""

SHARE = {1: 0.006, 100: 0.015, 250: 0.025, 1000: 0.06}
"""Budgets by groups: of a core, for a calm holder."""
STARTED = {250: TOLERANCE + 1.0, 1000: TOLERANCE + 3.0}
"""Seconds from the start of three nodes until all is held."""
HELD = {100: TOLERANCE + 0.060, 250: TOLERANCE + 0.120, 1000: TOLERANCE + 0.400}
TOLD = {100: TOLERANCE + 0.100, 250: TOLERANCE + 0.200, 1000: TOLERANCE + 0.700}
"""Seconds from a cut until the last address is held, and announced."""
FRAME = {3: 260, 32: 1472}
"""Bytes of a calm heartbeat, by nodes."""


def addresses(groups: int) -> list[str]:
    """One for each group."""
    return [f"10.98.{number // 250}.{number % 250 + 1}" for number in range(groups)]


class Peer(NamedTuple):
    """
    A program that keeps groups on a LAN.

    @ivar argv: what starts it on a host, given the names of all hosts, the host's, the addresses and a directory.
    @ivar speaks: a frame is one of its heartbeats.
    """

    name: str
    argv: Callable[[Sequence[str], str, Sequence[str], Path], list[str]]
    speaks: Callable[[bytes], bool]


def _priority(names: Sequence[str], name: str) -> int:
    return 200 - names.index(name)


def _hatwist(names: Sequence[str], name: str, shared: Sequence[str], where: Path) -> list[str]:
    file = where / "hatwist.toml"
    if not file.exists():
        lines = [f'interface = "eth0"\ninterval = {INTERVAL}\ntolerance = {TOLERANCE}']
        lines += [f"[node.{n}]\npriority = {_priority(names, n)}" for n in names]
        lines += [
            f'[group.g{number}]\nresources = [{{address = "{address}/16@eth0"}}]'
            for number, address in enumerate(shared)
        ]
        file.write_text("\n".join(lines) + "\n")
    argv = [sys.executable, "-c", NO_TLS + TWISTD, "--nodaemon", "--pidfile=", "ha"]
    return [*argv, "--config", str(file), "--node", name]


INSTANCE = """
vrrp_instance g{number} {{
    state BACKUP
    interface eth0
    virtual_router_id {router}
    priority {priority}
    advert_int {interval}
    {apart}
    virtual_ipaddress {{
        {address}/16 dev eth0
    }}
}}
"""


def _keepalived(names: Sequence[str], name: str, shared: Sequence[str], where: Path) -> list[str]:
    file = where / f"{name}.conf"
    text = "global_defs {\n    vrrp_version 3\n    vrrp_garp_master_refresh 0\n}\n"
    for number, address in enumerate(shared):
        # There are 255 router numbers on an address; more routers need another one.
        other = number // 255
        apart = f"mcast_src_ip 10.99.0.{names.index(name) + 1}"
        if other:
            apart = f"vrrp_mcast_group4 224.0.1.{other}\n    {apart}"
        text += INSTANCE.format(
            number=number,
            router=number % 255 + 1,
            priority=_priority(names, name),
            interval=INTERVAL,
            apart=apart,
            address=address,
        )
    file.write_text(text)
    file.chmod(0o644)
    argv = ["keepalived", "--dont-fork", "--log-console", "--vrrp", "--no-syslog"]
    argv += ["--use-file", str(file), "--pid", str(where / f"{name}.pid")]
    return [*argv, "--vrrp_pid", str(where / f"{name}.vrrp")]


def _isHeartbeat(frame: bytes) -> bool:
    return frame[12:14] == b"\x08\x00" and frame[23] == 17 and frame[36:38] == PORT.to_bytes(2)


def _isAdvertisement(frame: bytes) -> bool:
    return frame[12:14] == b"\x08\x00" and frame[23] == 112


HATWIST = Peer("hatwist", _hatwist, _isHeartbeat)
KEEPALIVED = Peer("keepalived", _keepalived, _isAdvertisement)


class Found(NamedTuple):
    """Figures of one run; seconds, shares of a core, bytes. What never came to be is infinite."""

    started: float
    after: int
    holder: float
    standby: float
    frames: float
    bytes: float
    largest: int
    first: float
    last: float
    told: float


class Run:
    """
    One peer on a LAN of its own.

    @param names: of the hosts, the worthiest first.
    """

    def __init__(self, reactor: Any, peer: Peer, names: Sequence[str], groups: int) -> None:
        self._reactor = reactor
        self._peer = peer
        self._names = names
        self._shared = addresses(groups)
        self._lan = LabLan(names)
        self._judge = LabJudge(self._lan, reactor)
        self._best, self._next = (self._lan.host(name) for name in names[:2])

    async def measure(self, seconds: float) -> Found:
        """All figures, and end everything."""
        try:
            with TemporaryDirectory() as where:
                return await self._measure(Path(where), seconds)
        finally:
            await self._judge.close()
            await self._lan.close()

    async def _measure(self, where: Path, seconds: float) -> Found:
        await self._judge.start()
        began = time.monotonic()
        for name in self._names:
            argv = self._peer.argv(self._names, name, self._shared, where)
            self._lan.host(name).spawn(self._reactor, argv)
        never = float("inf")
        if not await self._all(self._best):
            return Found(never, 0, never, never, never, never, 0, never, never, never)
        started = self._times(self._best)[-1]
        changes = len(self._judge.changes)
        await self._calm()
        after = len(self._judge.changes) - changes
        calm = await self._idle(seconds)
        return Found(started - began, after, *calm, *await self._dead())

    async def _idle(self, seconds: float) -> tuple[float, float, float, float, int]:
        capture = Capture(self._lan.client, self._reactor)
        hosts = (self._best, self._next)
        before, began = [used(host) for host in hosts], time.monotonic()
        await deferLater(self._reactor, seconds)
        took = time.monotonic() - began
        shares = [(used(host) - was) / took for host, was in zip(hosts, before, strict=True)]
        sizes = [
            len(frame.data)
            for frame in capture.close()
            if self._peer.speaks(frame.data) and self._from(frame.data, self._best)
        ]
        return shares[0], shares[1], len(sizes) / took, sum(sizes) / took, max(sizes, default=0)

    async def _dead(self) -> tuple[float, float, float]:
        capture = Capture(self._lan.client, self._reactor)
        cut = time.monotonic()
        self._best.powerOff()
        if not await self._all(self._next):
            return (float("inf"),) * 3
        await deferLater(self._reactor, 1.0)  # announcements that wait their turn
        times = [at for at in self._times(self._next) if at > cut]
        told: dict[bytes, float] = {}
        for frame in capture.close():
            if frame.kind == 0x0806 and frame.time > cut and self._from(frame.data, self._next):
                told.setdefault(frame.data[28:32], frame.time)
        wanted = [told.get(socket.inet_aton(address), float("inf")) for address in self._shared]
        return times[0] - cut, times[-1] - cut, max(wanted) - cut

    @staticmethod
    def _from(frame: bytes, host: Host) -> bool:
        return frame[6:12] == bytes.fromhex(host.mac().replace(":", ""))

    async def _all(self, host: Host) -> bool:
        """Whether one host comes to hold all of it, alone, within L{PATIENCE}."""
        wanted = {host.name}
        try:
            await self._judge.until(
                lambda: all(self._judge.holders(address) == wanted for address in self._shared),
                f"all of it held by {host.name}",
                PATIENCE,
            )
        except TimeoutError:
            return False
        return True

    async def _calm(self) -> None:
        """Wait until nothing has changed for L{CALM}, at most L{PATIENCE}."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            changes = len(self._judge.changes)
            await deferLater(self._reactor, CALM)
            if len(self._judge.changes) == changes:
                return

    def _times(self, host: Host) -> list[float]:
        """When each shared address came to a host, in order."""
        shared = set(self._shared)
        return sorted(
            change.time
            for change in self._judge.changes
            if change.host == host.name and change.there and change.address in shared
        )


def report(peer: Peer, nodes: int, groups: int, found: Found) -> bool:
    """Print them; whether all are within their budgets."""
    own = peer is HATWIST
    good = True

    def beside(value: float, budget: float | None, digits: str) -> str:
        nonlocal good
        if budget is None or not own:
            return ""
        good = good and value <= budget
        return f" (budget {budget:{digits}}: {value / budget:.2f} of it)"

    def lines() -> Iterator[str]:
        start = STARTED.get(groups) if nodes == 3 else None
        yield (
            f"all held {found.started:.2f} s after the start{beside(found.started, start, '.2f')}, "
            f"{found.after} changes of addresses later"
        )
        share = SHARE.get(groups)
        yield (
            f"calm: holder {found.holder:.2%}{beside(found.holder, share, '.1%')}, standby {found.standby:.2%} of a "
            f"core; {found.frames:.1f} frames and {found.bytes:.0f} bytes in a second, "
            f"largest {found.largest}{beside(found.largest - 42, FRAME.get(nodes), 'd')}"
        )
        yield (
            f"power lost: first held after {found.first * 1000:.0f} ms, last after {found.last * 1000:.0f} ms"
            f"{beside(found.last, HELD.get(groups), '.2f')}, last announced after {found.told * 1000:.0f} ms"
            f"{beside(found.told, TOLD.get(groups), '.2f')}"
        )

    print(f"{peer.name}, {nodes} nodes, {groups} groups", flush=True)
    for line in lines():
        print(f"  {line}", flush=True)
    return good


async def _main(reactor: Any, options: argparse.Namespace) -> None:
    print(f"a million steps of an empty loop: {loop() * 1000:.0f} ms", flush=True)
    good = True
    for nodes in options.nodes:
        names = [f"n{number}" for number in range(1, nodes + 1)]
        for groups in options.groups:
            for peer in options.peers:
                found = await Run(reactor, peer, names, groups).measure(options.seconds)
                good &= report(peer, nodes, groups, found)
    if not good:
        raise SystemExit(1)


def _numbers(text: str) -> list[int]:
    return [int(word) for word in text.split(",")]


def main(argv: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description="What many groups cost.")
    parser.add_argument("--groups", type=_numbers, default=GROUPS, metavar="N,N", help="how many")
    parser.add_argument("--nodes", type=_numbers, default=NODES, metavar="N,N", help="how many")
    parser.add_argument("--seconds", type=float, default=5.0, help="how long to look at calm (5)")
    parser.add_argument("--alone", action="store_true", help="without keepalived")
    options = parser.parse_args(argv)
    options.peers = [HATWIST]
    if not options.alone:
        if which("keepalived"):
            options.peers.append(KEEPALIVED)
        else:
            print("keepalived is not installed: there is nothing to compare with", flush=True)
    compiled()
    inWorld([__file__, *argv], lambda reactor: _main(reactor, options))


if __name__ == "__main__":
    main(sys.argv[1:])
