"""What strangers on the wire may do to a pair that signs its heartbeats: nothing."""

from __future__ import annotations

import itertools
import os
import pathlib
import socket
import struct
import sys
import time
from collections.abc import AsyncIterator, Iterable
from typing import Any

import pytest
import pytest_twisted
from twisted.internet import reactor

from hatwist.core.claims import Claim, Role
from hatwist.core.worth import Fitness, Worth
from hatwist.lab.capture import SO_TIMESTAMPNS, Capture, Frame
from hatwist.lab.lab import GROUP, PORT, Lab
from hatwist.lab.verdict import Report
from hatwist.protocols.native.auth import Keyring
from hatwist.protocols.native.datagram import Datagram, GroupState, clusterId
from tests.statements import Statement

KEY = b"the key of the pair, 32 bytes..."
OTHER_KEY = b"a key that somebody else made up"
TICK = os.sysconf("SC_CLK_TCK")


class Secured(Lab):
    """Alpha and beta, which sign; the client is the stranger."""

    def __init__(self, keyFile: str) -> None:
        super().__init__(reactor, hosts=("alpha", "beta"), more=("--key-file", keyFile))
        self._wire = self.lan.client.socket(socket.AF_INET, socket.SOCK_DGRAM)
        member = struct.pack("=4s4si", bytes(4), bytes(4), self.lan.client.index("eth0"))
        self._wire.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, member)

    def inject(self, datagrams: Iterable[bytes]) -> None:
        """Send to the group, as fast as it goes."""
        for datagram in datagrams:
            self._wire.sendto(datagram, (GROUP, PORT))

    def transitions(self) -> dict[str, int]:
        """How many role changes each daemon has logged."""
        return {n: sum(" -> " in line for line in p.lines) for n, p in self.programs.items()}

    async def close(self) -> None:
        self._wire.close()
        await super().close()


@pytest_twisted.async_yield_fixture(scope="module")
async def pair(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Secured]:
    """The pair, running and settled: alpha holds."""
    path = tmp_path_factory.mktemp("keys") / "key"
    path.write_bytes(KEY)
    path.chmod(0o600)
    made = Secured(str(path))
    try:
        await made.start()
        yield made
    finally:
        await made.close()


def forged(**changes: Any) -> Datagram:
    """What a stranger would like to be believed: alpha, newer than all, holds by a huge claim."""
    claim = Claim(1 << 40, Worth(Fitness.FIT, 254, 0, "alpha"))
    state = GroupState("default", Role.ACTIVE, Fitness.FIT, 254, True, False, 1 << 40, claim)
    beat = Statement("alpha", 1 << 40, 1 << 60, (state,), cluster=clusterId("default"), address=0)
    return beat._replace(**changes).datagram


def forgeries() -> dict[str, bytes]:
    """One datagram for each reason."""
    ours, others = Keyring([KEY]), Keyring([OTHER_KEY])
    signed = ours.seal(forged())
    return {
        "magic": b"nonsense" * 20,
        "version": signed[:2] + b"\x09" + signed[3:],
        "truncated": signed[:10],
        "unsigned": Keyring().seal(forged()),
        "unknown-key": others.seal(forged()),
        "signature": signed[:-1] + bytes((signed[-1] ^ 1,)),
        "cluster": ours.seal(forged(cluster=clusterId("another"))),
    }


def payload(frame: Frame) -> bytes | None:
    """The heartbeat in a frame, if it is one."""
    data = frame.data
    if frame.kind != 0x0800 or data[23] != socket.IPPROTO_UDP or data[36:38] != PORT.to_bytes(2):
        return None
    return data[42:]


def heartbeats(frames: Iterable[Frame]) -> list[tuple[float, bytes]]:
    """The heartbeats that others sent, each with its time."""
    return [(f.time, p) for f in frames if not f.sent and (p := payload(f)) is not None]


async def eventful(pair: Secured) -> list[tuple[float, bytes]]:
    """
    Record real traffic in which everything happens: alpha stops, so beta takes over; alpha comes
    back; beta takes over from the dead; alpha comes back again.
    """
    await pair.settle()
    recording = Capture(pair.lan.client, reactor)
    for ending in ("stop", "loses power"):
        if ending == "stop":
            pair.programs["alpha"].stop()
        else:
            pair.host("alpha").powerOff()
        await pair.programs["alpha"].ended()
        await pair.untilOnly("beta")
        pair.host("alpha").powerOn()
        pair.run("alpha")
        await pair.untilOnly("alpha")
        await pair.elapse(0.3)
    recorded = heartbeats(recording.close())
    assert len(recorded) > 20
    return recorded


@pytest_twisted.ensureDeferred
async def test_forgeries(pair: Secured) -> None:
    """What is not signed by the key, or is of another cluster, moves nothing and is counted by reason."""
    await pair.settle()
    since, before = await pair.judge.mark(), pair.transitions()
    for reason, datagram in forgeries().items():
        pair.inject([datagram] * 10)
        for name in pair.names:
            await pair.programs[name].says(rf"Dropped a packet .*: {reason}\b.*\(10 so far\)")
    await pair.elapse(3 * pair.tolerance)
    report = await pair.judge.report(pair.address, since)
    assert report.holders == (("alpha",),)
    assert pair.transitions() == before


@pytest_twisted.ensureDeferred
async def test_replayAtRunning(pair: Secured) -> None:
    """Recorded traffic, takeovers and goodbyes in it, moves nothing at running nodes, in any order."""
    recorded = [data for _, data in await eventful(pair)]
    await pair.elapse(pair.tolerance)
    since, before = await pair.judge.mark(), pair.transitions()
    for again in (recorded, recorded[::-1], recorded):
        pair.inject(again)
        await pair.elapse(pair.tolerance)
    report = await pair.judge.report(pair.address, since)
    assert report.holders == (("alpha",),)
    assert pair.transitions() == before
    for name in pair.names:
        await pair.programs[name].says(r"Dropped a packet .*: replayed")


@pytest.mark.parametrize("victim", ["alpha", "beta"])
@pytest_twisted.ensureDeferred
async def test_replayAtFresh(pair: Secured, victim: str) -> None:
    """
    The same traffic, fed over and over to a node that starts while its peer runs, brings about no
    instant with two holders, and the worthiest holds in the end, as without it.
    """
    recorded = [data for _, data in await eventful(pair)]
    since = await pair.judge.mark()
    pair.host(victim).powerOff()
    await pair.programs[victim].ended()
    pair.host(victim).powerOn()
    pair.run(victim)
    until = time.monotonic() + 3.0
    while time.monotonic() < until:
        pair.inject(recorded)
        await pair.elapse(0.05)
    await pair.untilOnly("alpha")
    report = await pair.judge.report(pair.address, since)
    assert report.twoHolders == 0
    expected = (("alpha",),) if victim == "beta" else (("alpha",), (), ("beta",), (), ("alpha",))
    assert report.holders == expected


@pytest_twisted.ensureDeferred
async def test_replayAtLone(pair: Secured) -> None:
    """
    A lone fresh node can be kept waiting by a recording of a holder, at its pace, and no longer than
    that lasts: each packet counts once. Then it takes over within a tolerance.
    """
    await pair.settle()
    recording = Capture(pair.lan.client, reactor)
    await pair.elapse(3.0)
    recorded = heartbeats(recording.close())
    for name in pair.names:
        pair.host(name).powerOff()
        await pair.programs[name].ended()
        pair.host(name).powerOn()
    began = pair.reactor.seconds()
    pair.run("beta")
    await pair.heartbeats.untilHeard({pair.host("beta").ipv4()}, began)
    started, first = time.monotonic(), recorded[0][0]
    for at, data in recorded:
        await pair.elapse(max(0.0, at - first - (time.monotonic() - started)))
        pair.inject([data])
    waited = time.monotonic() - started
    held = pair.judge.holders(pair.address)
    pair.inject(data for _, data in recorded)  # a second time it is worth nothing
    await pair.untilOnly("beta", timeout=2 * pair.tolerance)
    print(
        f"recording of {waited:.2f} s: at its end held by {sorted(held) or 'nobody'}, "
        f"taken over {time.monotonic() - started - waited:.2f} s later"
    )


@pytest_twisted.ensureDeferred
async def test_replayAtHolder(pair: Secured) -> None:
    """
    A lone holder that started after its worthier peer died, and so never heard it, keeps the address
    when a recording of that peer as the holder is played to it.
    """
    await pair.settle()
    recording = Capture(pair.lan.client, reactor)
    await pair.elapse(2.0)
    recorded = heartbeats(recording.close())
    for name in pair.names:
        pair.host(name).powerOff()
        await pair.programs[name].ended()
        pair.host(name).powerOn()
    pair.run("beta")
    await pair.untilOnly("beta")
    await pair.elapse(pair.tolerance)
    since, before = await pair.judge.mark(), pair.transitions()["beta"]
    started, first = time.monotonic(), recorded[0][0]
    for at, data in recorded:
        await pair.elapse(max(0.0, at - first - (time.monotonic() - started)))
        pair.inject([data])
    await pair.elapse(3 * pair.tolerance)
    report = await pair.judge.report(pair.address, since)
    print(f"no holder for {report.noHolder:.2f} s of {time.monotonic() - started:.2f} s")
    assert report.holders == (("beta",),)
    assert pair.transitions()["beta"] == before


class Arrivals:
    """When each host's heartbeats arrived at the client, by the kernel's word; read at the end."""

    def __init__(self, pair: Secured) -> None:
        client = pair.lan.client
        self._ear = client.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._ear.setblocking(False)
        self._ear.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._ear.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self._ear.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        member = struct.pack("=4s4si", socket.inet_aton(GROUP), bytes(4), client.index("eth0"))
        self._ear.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, member)
        self._ear.bind((GROUP, PORT))

    def gaps(self) -> dict[str, list[float]]:
        """For each host's address the silences between its heartbeats in seconds, sorted."""
        times: dict[str, list[float]] = {}
        with self._ear:
            while True:
                try:
                    _, ancillary, _, source = self._ear.recvmsg(65536, 64)
                except BlockingIOError:
                    break
                seconds, nanoseconds = struct.unpack_from("=qq", ancillary[0][2])
                times.setdefault(source[0], []).append(seconds + nanoseconds / 1e9)
        return {a: sorted(y - x for x, y in itertools.pairwise(t)) for a, t in times.items()}


def cpu(pid: int) -> float:
    """Seconds of processor time that a process has used."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


async def flooded(pair: Secured, kind: str, packets: pathlib.Path) -> tuple[Report, dict[str, int]]:
    """What was seen while these came, and the transitions before it."""
    await pair.settle()
    flooder = pair.lan.client.spawn(
        reactor,
        [
            *(sys.executable, "-m", "tests.flood"),
            *("eth0", GROUP, str(PORT), "20000", "10", str(packets)),
        ],
    )
    await flooder.says("flooding")
    arrivals = Arrivals(pair)
    since, before = await pair.judge.mark(), pair.transitions()
    used = {name: cpu(pair.programs[name].pid) for name in pair.names}
    began = time.monotonic()
    await flooder.ended(20.0)
    took = time.monotonic() - began
    gaps = arrivals.gaps()
    print(f"\n{kind}: {flooder.lines[-1]}")
    for name in pair.names:
        share = (cpu(pair.programs[name].pid) - used[name]) / took
        some = gaps[pair.host(name).ipv4()]
        print(
            f"{name}: {share:.1%} of a core; between {len(some)} heartbeats 99 % "
            f"{some[len(some) * 99 // 100] * 1000:.1f} ms, at most {some[-1] * 1000:.1f} ms"
        )
        assert some[-1] < pair.tolerance
    report = await pair.judge.report(pair.address, since)
    print(f"outage {report.outage * 1000:.1f} ms, judge stood still {report.stalled * 1000:.1f} ms")
    assert int(flooder.lines[-1].split()[1]) > 190_000
    return report, before


@pytest.mark.parametrize("kind", ["signature", "everything"])
@pytest_twisted.ensureDeferred
async def test_flood(pair: Secured, tmp_path: pathlib.Path, kind: str) -> None:
    """20,000 bad packets a second for 10 s cause no failover; heartbeats go on in time."""
    bad = forgeries()
    chosen = list(bad.values()) if kind == "everything" else [bad[kind]]
    (tmp_path / "packets").write_text("\n".join(data.hex() for data in chosen))
    for _ in range(3):
        report, before = await flooded(pair, kind, tmp_path / "packets")
        # Taken again, three times at most, when the machine itself stood still.
        if report.holders == (("alpha",),) or report.stalled < pair.tolerance / 2:
            break
    assert report.holders == (("alpha",),)
    assert pair.transitions() == before
    for name in pair.names:
        assert any("100000 so far" in line for line in pair.programs[name].lines) or len(chosen) > 1
