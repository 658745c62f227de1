"""
An hour of real traffic, recorded and played again: it moves nothing.

    python benchmarks/replay.py --seconds 3600 --write hour.pcap
    python benchmarks/replay.py --read hour.pcap

Two daemons that sign run at the default interval and tolerance, on a LAN of their own. Again and again one is
stopped, killed, frozen or loses power, so that the recording has claims, handovers and goodbyes in it. Then all
of it is played by a stranger: at the pair while it runs, and at each node while it starts. C{--read} plays an
earlier recording of the same key and cluster instead of a new one.
"""

from __future__ import annotations

import argparse
import itertools
import socket
import struct
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hatwist.core.errors import BadPacket
from hatwist.lab.capture import Capture, Frame
from hatwist.lab.lab import GROUP, PORT, Lab
from hatwist.lab.playing import inWorld
from hatwist.protocols.native.auth import Keyring

KEY = b"the key of benchmarks/replay.py, for no other use"
# Datagrams in one go, and seconds until the next: what a receive buffer takes without a loss.
SLICE, PAUSE = 100, 0.01
PCAP = struct.Struct("=IHHiIII")
RECORD = struct.Struct("=IIII")
MAGIC, ETHERNET = 0xA1B2C3D4, 1
FAULTS = ("stopped", "killed", "frozen", "without power")


def writePcap(path: Path, frames: Sequence[Frame]) -> None:
    """Write frames as a file that tcpdump and wireshark read."""
    with path.open("wb") as out:
        out.write(PCAP.pack(MAGIC, 2, 4, 0, 0, 65535, ETHERNET))
        for frame in frames:
            seconds, rest = divmod(frame.time, 1)
            size = len(frame.data)
            out.write(RECORD.pack(int(seconds), int(rest * 1e6), size, size) + frame.data)


def readPcap(path: Path) -> list[Frame]:
    """Read what L{writePcap} wrote."""
    data = path.read_bytes()
    frames, at = [], PCAP.size
    while at < len(data):
        seconds, micro, size, _ = RECORD.unpack_from(data, at)
        at += RECORD.size
        frames.append(Frame(seconds + micro / 1e6, data[at : at + size], False))
        at += size
    return frames


def payload(frame: Frame) -> bytes | None:
    """The heartbeat in a frame, if it is one."""
    data = frame.data
    if frame.kind != 0x0800 or data[23] != socket.IPPROTO_UDP or data[36:38] != PORT.to_bytes(2):
        return None
    return data[42:]


class Pair(Lab):
    """Alpha and beta, which sign; the client records, and plays."""

    def __init__(self, reactor: Any, keyFile: Path, interval: float, tolerance: float) -> None:
        more = ("--key-file", str(keyFile))
        super().__init__(reactor, interval, tolerance, ("alpha", "beta"), more=more)
        self._wire = self.lan.client.socket(socket.AF_INET, socket.SOCK_DGRAM)
        member = struct.pack("=4s4si", bytes(4), bytes(4), self.lan.client.index("eth0"))
        self._wire.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, member)

    async def start(self) -> None:
        await self.judge.start()
        # The kernels' own events say who holds; the client need not ask a thousand times a second.
        await self.judge.watch(self.address, spacing=0.1)
        await self.settle()

    async def play(self, datagrams: Sequence[bytes]) -> None:
        """Send them to the group, faster than they came, but so that every one arrives."""
        for at in range(0, len(datagrams), SLICE):
            for datagram in datagrams[at : at + SLICE]:
                self._wire.sendto(datagram, (GROUP, PORT))
            await self.elapse(PAUSE)

    def datagrams(self, name: str) -> tuple[int, int]:
        """How many UDP datagrams a host has taken, and lost for want of room (proc(5), net/snmp)."""
        lines = self.host(name).run(["cat", "/proc/net/snmp"]).splitlines()
        names, values = [line.split()[1:] for line in lines if line.startswith("Udp:")]
        found = dict(zip(names, map(int, values), strict=True))
        return found["InDatagrams"], found["RcvbufErrors"]

    def transitions(self) -> dict[str, int]:
        """How many role changes each daemon has logged."""
        return {n: sum(" -> " in line for line in p.lines) for n, p in self.programs.items()}

    async def suffer(self, fault: str, name: str) -> None:
        """One fault of one node, and the return from it."""
        other = "beta" if name == "alpha" else "alpha"
        patience = 10 * self.tolerance + 5
        if fault == "frozen":
            self.programs[name].freeze()
            await self.untilOnly(other, patience)
            await self.elapse(self.tolerance)
            self.programs[name].thaw()
        else:
            if fault == "stopped":
                self.programs[name].stop()
            elif fault == "killed":
                self.programs[name].kill()
            else:
                self.host(name).powerOff()
            await self.programs[name].ended()
            await self.untilOnly(other, patience)
            await self.elapse(self.tolerance)
            self.host(name).powerOn()
            self.run(name)
        await self.untilOnly(self.best, patience)

    async def close(self) -> None:
        self._wire.close()
        await super().close()


async def record(pair: Pair, seconds: float) -> list[Frame]:
    """So much traffic, with a fault about every tenth of it."""
    recording = Capture(pair.lan.client, pair.reactor)
    until = time.monotonic() + seconds
    for fault in itertools.cycle(FAULTS):
        rest = until - time.monotonic()
        if rest <= 0:
            break
        await pair.elapse(min(rest, seconds / 10))
        if time.monotonic() < until:
            await pair.suffer(fault, "alpha")
    return [f for f in recording.close() if not f.sent and payload(f) is not None]


def describe(datagrams: Sequence[bytes]) -> str:
    """What a recording has in it."""
    keyring = Keyring([KEY])
    beats = []
    for data in datagrams:
        try:
            beats.append(keyring.open(data))
        except BadPacket as bad:
            raise SystemExit(f"this is no recording of this benchmark: {bad}") from bad
    states = [r.state for b in beats for told in b.ranges for r in told.records]
    terms = {s.claim.term for s in states if s is not None and s.claim is not None}
    goodbyes = sum(b.header.leaving for b in beats)
    starts = len({(b.header.name, b.header.session) for b in beats})
    return f"{len(beats)} heartbeats, {starts} starts, {len(terms)} claims, {goodbyes} goodbyes"


async def atRunning(pair: Pair, datagrams: Sequence[bytes]) -> bool:
    """In order, in reverse and in order again, at nodes that run."""
    await pair.settle()
    since, before = await pair.judge.mark(), pair.transitions()
    counted = {name: pair.datagrams(name) for name in pair.names}
    for again in (datagrams, datagrams[::-1], datagrams):
        await pair.play(again)
        await pair.elapse(pair.tolerance)
    report = await pair.judge.report(pair.address, since)
    moved = {name: count - before[name] for name, count in pair.transitions().items()}
    good = report.holders == (("alpha",),) and not any(moved.values())
    for name, (taken, lost) in counted.items():
        now = pair.datagrams(name)
        print(f"{name} took {now[0] - taken} datagrams, and lost {now[1] - lost}")
    print(f"at the running pair: held by {report.holders}, role changes {moved}: {word(good)}")
    return good


async def atFresh(pair: Pair, datagrams: Sequence[bytes], victim: str) -> bool:
    """Over and over, at one that starts while its peer runs."""
    await pair.settle()
    since = await pair.judge.mark()
    pair.host(victim).powerOff()
    await pair.programs[victim].ended()
    pair.host(victim).powerOn()
    pair.run(victim)
    rounds, until = 0, time.monotonic() + 3 * pair.tolerance + 1
    while time.monotonic() < until:
        await pair.play(datagrams)
        rounds += 1
    await pair.untilOnly("alpha")
    report = await pair.judge.report(pair.address, since)
    expected = (("alpha",),) if victim == "beta" else (("alpha",), (), ("beta",), (), ("alpha",))
    good = report.twoHolders == 0 and report.holders == expected
    print(f"at {victim}, started afresh, {rounds} times: held by {report.holders}: {word(good)}")
    return good


def word(good: bool) -> str:
    return "ok" if good else "FAILED"


async def _main(reactor: Any, options: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory() as directory:
        keyFile = Path(directory, "key")
        keyFile.write_bytes(KEY)
        keyFile.chmod(0o600)
        pair = Pair(reactor, keyFile, options.interval, options.tolerance)
        try:
            await pair.start()
            if options.read:
                frames = readPcap(options.read)
            else:
                frames = await record(pair, options.seconds)
                if options.write:
                    writePcap(options.write, frames)
            datagrams = [data for frame in frames if (data := payload(frame)) is not None]
            print(f"{frames[-1].time - frames[0].time:.0f} s of traffic: {describe(datagrams)}")
            results = [await atRunning(pair, datagrams)]
            for victim in pair.names:
                results.append(await atFresh(pair, datagrams, victim))
        finally:
            await pair.close()
    if not all(results):
        raise SystemExit(1)


def main(argv: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=60, help="how long to record (60)")
    parser.add_argument("--interval", type=float, default=1.0, help="of the daemons (1)")
    parser.add_argument("--tolerance", type=float, default=3.5, help="of the daemons (3.5)")
    parser.add_argument("--write", type=Path, help="keep the recording in this pcap file")
    parser.add_argument("--read", type=Path, help="play this one")
    options = parser.parse_args(argv)
    inWorld([__file__, *argv], lambda reactor: _main(reactor, options))


if __name__ == "__main__":
    main(sys.argv[1:])
