"""Shared addresses on the real kernel: a veth pair, with an observer at its far end."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from pyroute2 import IPRoute
from twisted.internet import reactor
from twisted.internet.defer import CancelledError
from twisted.internet.task import LoopingCall, deferLater

from hatwist.core.errors import ResourceError
from hatwist.linux.interfaces import INetlink
from hatwist.linux.lan.sender import PacketSender
from hatwist.linux.netlink.messages import AddressChange, Event
from hatwist.linux.netlink.socket import Netlink
from hatwist.protocols import frames
from hatwist.resources.addresses.batch import Addresses
from tests import contracts, contracts_addresses

pytestmark = pytest.mark.needs("ip")

MAC = bytes.fromhex("02000000000a")
PATIENCE = 5.0


def ip(*arguments: str) -> str:
    """Run ip(8), and return what it says."""
    done = subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True)
    return done.stdout.strip()


class KernelWorld:
    """L{tests.contracts_addresses.World} on the kernel; ip(8) and pyroute2 are the other programs."""

    interface = "shared0"
    far = "shared1"
    other = "other0"

    def __init__(self) -> None:
        ip("link", "set", "lo", "up")
        mac = MAC.hex(":")
        ip("link", "add", self.interface, "address", mac, "type", "veth", "peer", "name", self.far)
        ip("link", "add", self.other, "type", "veth", "peer", "name", "other1")
        for name in (self.interface, self.far, self.other, "other1"):
            ip("link", "set", name, "up")
        self._netlink = Netlink(reactor)
        self._netlink.start()
        self._made: list[Addresses] = []
        self._addOwn()

    def _addOwn(self) -> None:
        ip("address", "replace", "10.9.0.1/24", "dev", self.interface)
        ip("address", "replace", "fd09::1/64", "dev", self.interface, "nodad")

    @property
    def netlink(self) -> INetlink:
        return self._netlink

    async def close(self) -> None:
        for resource in self._made:
            await resource.release()
            resource.close()
        self._netlink.stop()
        ip("link", "delete", self.interface)
        ip("link", "delete", self.other)

    def addresses(self, *texts: str) -> Addresses:
        made = Addresses(reactor, self._netlink, contracts_addresses.specsOf(texts))
        self._made.append(made)
        return made

    def add(self, text: str, interface: str) -> None:
        ip("address", "add", text, "dev", interface, *(["nodad"] if ":" in text else []))

    def delete(self, text: str, interface: str) -> None:
        ip("address", "delete", text, "dev", interface)

    def setUp(self, up: bool) -> None:
        ip("link", "set", self.interface, "up" if up else "down")
        if up:
            self._addOwn()

    def present(self) -> set[str]:
        with IPRoute() as judge:
            names = {link["index"]: link.get("ifname") for link in judge.get_links()}
            found = [
                (entry.get("local") or entry.get("address"), entry["prefixlen"], entry["index"])
                for entry in judge.get_addr()
            ]
        # the kernel makes link-local addresses as it sees fit
        return {f"{a}/{p}@{names[i]}" for a, p, i in found if not a.startswith("fe80")}

    def index(self) -> int:
        return socket.if_nametoindex(self.interface)

    async def elapse(self, seconds: float) -> None:
        await deferLater(reactor, seconds)

    async def until(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < deadline, "it did not happen"
            await deferLater(reactor, 0.005)


@pytest_twisted.async_yield_fixture
async def world() -> AsyncIterator[KernelWorld]:
    """A host with two interfaces, gone afterwards."""
    made = KernelWorld()
    yield made
    await made.close()


class Observer:
    """Sees every frame at the far end, with the time at which the kernel received it."""

    def __init__(self, interface: str) -> None:
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
        self.socket.setsockopt(socket.SOL_SOCKET, 35, 1)  # SO_TIMESTAMPNS
        self.socket.setblocking(False)
        self.socket.bind((interface, 0))
        self.seen: list[tuple[float, bytes]] = []

    def look(self) -> list[tuple[float, bytes]]:
        """Return what was seen of announcements so far."""
        while True:
            try:
                frame, ancillary, _flags, _where = self.socket.recvmsg(2048, 64)
            except BlockingIOError:
                return self.seen
            except OSError:  # its interface went down: told once
                continue
            stamp = ancillary[0][2]
            seconds, nanoseconds = (int.from_bytes(stamp[i : i + 8], sys.byteorder) for i in (0, 8))
            arp = frame[12:14] == b"\x08\x06"
            advertisement = frame[12:14] == b"\x86\xdd" and frame[20] == 58 and frame[54] == 136
            if arp or advertisement:
                self.seen.append((seconds + nanoseconds / 1e9, frame))

    def count(self) -> int:
        """How many announcements were seen so far."""
        return len(self.look())


@pytest.fixture
def observer(world: KernelWorld) -> Iterator[Observer]:
    """An observer at the far end of the shared interface."""
    made = Observer(world.far)
    yield made
    made.socket.close()


@contextmanager
def monitored(path: Path) -> Iterator[Callable[[], list[tuple[float, str]]]]:
    """Let ip(8) write down address events; gives a function that returns (time, line) of each."""
    with path.open("w") as output:
        process = subprocess.Popen(["ip", "-tshort", "-o", "monitor", "address"], stdout=output)

    def events() -> list[tuple[float, str]]:
        found = re.findall(r"^\[(\S+)\] ?(.*)$", path.read_text(), re.MULTILINE)
        return [(datetime.fromisoformat(stamp).timestamp(), line) for stamp, line in found]

    try:
        yield events
    finally:
        process.terminate()
        process.wait()


@pytest.mark.parametrize("part", contracts_addresses.CONTRACT, ids=lambda part: part.__name__)
@pytest_twisted.ensureDeferred
async def test_contract(world: KernelWorld, part: contracts_addresses.Part) -> None:
    """The kernel keeps what its double in memory keeps."""
    await part(world)


@pytest.mark.parametrize("part", contracts.CONTRACT, ids=lambda part: part.__name__)
@pytest_twisted.ensureDeferred
async def test_resource(world: KernelWorld, part: contracts.Part) -> None:
    """Addresses on the kernel are a resource like any other."""
    await part(world.addresses("10.9.0.100/24", "fd09::100/64"))


@pytest_twisted.ensureDeferred
async def test_noDuplicateAddressDetection(world: KernelWorld) -> None:
    """An IPv6 address can be bound to at the moment it is acquired."""
    resource = world.addresses("fd09::100/64")
    await resource.acquire()
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as bound:
        bound.bind(("fd09::100", 0))
    shown = ip("address", "show", "dev", world.interface, "to", "fd09::100")
    assert "nodad" in shown
    assert "tentative" not in shown


@pytest_twisted.ensureDeferred
async def test_backWithin50ms(world: KernelWorld, tmp_path: Path) -> None:
    """An address deleted by hand is back within 50 ms, as kernel events tell, ten times of ten."""
    texts = {"10.9.0.100/24", "fd09::100/64"}
    resource = world.addresses(*texts)
    await resource.acquire()
    with monitored(tmp_path / "events") as events:

        def listening() -> bool:
            ip("address", "replace", "10.9.0.7/24", "dev", world.other)
            return bool(events())

        await world.until(listening)
        gaps = []
        for _ in range(10):
            for text in texts:
                before = len(events())
                world.delete(text, world.interface)

                def back(text: str = text, before: int = before) -> bool:
                    new = [line for _, line in events()[before:] if text in line]
                    return len(new) > 1 and not new[-1].startswith("Deleted")

                await world.until(back)
                times = [stamp for stamp, line in events()[before:] if text in line]
                gaps.append(times[1] - times[0])
    print(f"\ndeleted by hand, back after: worst of {len(gaps)} {max(gaps) * 1000:.2f} ms")
    assert max(gaps) < 0.05


@pytest_twisted.ensureDeferred
async def test_refusedByKernel(world: KernelWorld) -> None:
    """Where the kernel refuses one address, the error says so and none of the batch is left."""
    setting = Path(f"/proc/sys/net/ipv6/conf/{world.interface}/disable_ipv6")
    setting.write_text("1")
    before = world.present()
    resource = world.addresses(*(f"10.9.0.{n}/24" for n in range(100, 110)), "fd99::1/64@shared0")
    with pytest.raises(ResourceError, match=r"fd99::1/64 was refused by shared0: Permission"):
        await resource.acquire()
    assert world.present() == before
    assert not await resource.verify()


@pytest_twisted.ensureDeferred
async def test_announced(world: KernelWorld, observer: Observer) -> None:
    """The far end sees the golden bytes of each form at 0, 0.1 and 0.5 s, and none after a release."""
    resource = world.addresses("10.9.0.100/24", "fd09::100/64")
    began = time.time()
    await resource.acquire()
    await world.until(lambda: observer.count() >= 9)
    await resource.release()
    v4, v6 = IPv4Address("10.9.0.100"), IPv6Address("fd09::100")
    expected = {
        frames.gratuitousRequest(MAC, v4),
        frames.gratuitousReply(MAC, v4),
        frames.unsolicitedAdvertisement(MAC, v6),
    }
    seen = observer.look()
    assert {frame for _, frame in seen} == expected
    for round_, due in enumerate((0.0, 0.1, 0.5)):
        for stamp, _frame in seen[3 * round_ : 3 * round_ + 3]:
            assert due <= stamp - began < due + 0.1
    print(f"\nfirst announcement {(seen[0][0] - began) * 1000:.2f} ms after acquire began")


@pytest_twisted.ensureDeferred
async def test_neighbourLearns(world: KernelWorld) -> None:
    """A neighbour whose cache points at another host points at us at once."""
    ip("netns", "add", "neighbour")
    try:
        ip("link", "set", world.far, "netns", "neighbour")
        inside = ("-n", "neighbour")
        ip(*inside, "link", "set", world.far, "up")
        ip(*inside, "address", "add", "10.9.0.2/24", "dev", world.far)
        ip(*inside, "address", "add", "fd09::2/64", "dev", world.far, "nodad")
        wrong = ("lladdr", "02:00:00:00:00:99", "dev", world.far, "nud", "stale")
        ip(*inside, "neigh", "add", "10.9.0.100", *wrong)
        ip(*inside, "neigh", "add", "fd09::100", *wrong)
        await world.addresses("10.9.0.100/24", "fd09::100/64").acquire()

        def learnt() -> bool:
            return ip(*inside, "neigh").count(MAC.hex(":")) >= 2

        await world.until(learnt)
    finally:
        # back first: the kernel takes its time to destroy a namespace, and the pair with it
        ip("-n", "neighbour", "link", "set", world.far, "netns", str(os.getpid()))
        ip("netns", "delete", "neighbour")


@pytest_twisted.ensureDeferred
async def test_announcedWhenCarrierReturns(world: KernelWorld, observer: Observer) -> None:
    """When the cable is plugged in again the addresses are announced again at once."""
    began = time.time()
    await world.addresses("10.9.0.100/24").acquire()
    await world.until(lambda: observer.count() >= 6)  # the rounds at 0, 0.1 and 0.5 s
    ip("link", "set", world.far, "down")
    await world.until(lambda: "LOWERLAYERDOWN" in ip("link", "show", "dev", world.interface))
    ip("link", "set", world.far, "up")
    await world.until(lambda: observer.count() >= 8)
    assert observer.look()[6][0] - began < 1.9, "that was the round at 2 s"


@pytest_twisted.ensureDeferred
async def test_interfaceGone(world: KernelWorld) -> None:
    """An interface that is taken away is a loss, and releasing afterwards succeeds."""
    losses: list[str] = []
    resource = world.addresses(f"10.8.0.100/24@{world.other}")
    resource.watch(losses.append)
    await resource.acquire()
    ip("link", "delete", world.other)
    await world.until(lambda: bool(losses))
    assert losses == ["interface other0 is gone"]
    await resource.release()
    with pytest.raises(ResourceError, match="there is no interface other0"):
        await resource.acquire()
    ip("link", "add", world.other, "type", "veth", "peer", "name", "other1")


@pytest_twisted.ensureDeferred
async def test_gone(world: KernelWorld) -> None:
    """Addresses that nobody renews are gone when the lease is over, by a second at most."""
    texts = ["10.9.0.100/24", "10.9.0.101/32@shared0", "fd09::100/64", "fd09::101/128@shared0"]
    wanted = {text.partition("/")[0] for text in texts}
    gone: dict[str, float] = {}

    def changed(events: Sequence[Event]) -> None:
        for event in events:
            if isinstance(event, AddressChange) and not event.present:
                gone[str(event.entry.address)] = time.monotonic() - began

    for lease in (1, 2):
        resource = world.addresses(*texts)
        resource.lease.seconds = lease
        gone.clear()
        began = time.monotonic()
        await resource.acquire()
        unsubscribe = world.netlink.subscribe(changed)
        # What goes first is a loss, and nothing deletes the others but the kernel.
        await world.until(lambda: wanted <= gone.keys())
        unsubscribe()
        print(
            f"\nlease {lease} s: gone after {min(gone.values()):.2f} to {max(gone.values()):.2f} s"
        )
        assert lease <= min(gone.values())
        assert max(gone.values()) < lease + 1.0
        await resource.release()


@pytest_twisted.ensureDeferred
async def test_renewed(world: KernelWorld, observer: Observer) -> None:
    """Renewed, addresses stay over five leases without any deletion, and are not announced for it."""
    texts = ("10.9.0.100/24", "10.9.0.101/32@shared0", "fd09::100/64", "fd09::101/128@shared0")
    gone: list[Event] = []

    def changed(events: Sequence[Event]) -> None:
        gone.extend(e for e in events if isinstance(e, AddressChange) and not e.present)

    resource = world.addresses(*texts)
    resource.lease.seconds = 1
    unsubscribe = world.netlink.subscribe(changed)
    await resource.acquire()
    for _ in range(15):
        await world.elapse(0.3)
        await resource.renew(1)
    unsubscribe()
    assert gone == []
    assert observer.count() == 4 * (2 * 2 + 2 * 1)  # the rounds at 0, 0.1, 0.5 and 2 s
    assert await resource.verify()


def arrived(client: socket.socket, server: socket.socket) -> Any:
    """Ask until the question arrives: of an interface that has only just come up the kernel loses some."""
    server.settimeout(0.1)
    end = time.monotonic() + PATIENCE
    while True:
        client.send(b"question")
        try:
            return server.recvfrom(100)[1]
        except TimeoutError:
            if time.monotonic() > end:
                raise


@pytest_twisted.ensureDeferred
async def test_noSource(world: KernelWorld) -> None:
    """An address alone in its network is not the source of what goes out, and good for what comes in."""
    for shared, there in (("10.9.0.100", "10.9.0.101"), ("fd09::100", "fd09::101")):
        family = socket.AF_INET6 if ":" in shared else socket.AF_INET
        prefix = 128 if ":" in shared else 32

        def source(family: int = family, there: str = there) -> str:
            with socket.socket(family, socket.SOCK_DGRAM) as asked:
                asked.connect((there, 9))
                return str(asked.getsockname()[0])

        own = source()
        resource = world.addresses(f"{shared}/{prefix}@shared0")
        resource.lease.seconds = 5
        await resource.acquire()
        assert source() == own
        with socket.socket(family, socket.SOCK_DGRAM) as server:
            server.bind((shared, 0))
            with socket.socket(family, socket.SOCK_DGRAM) as client:
                client.connect(server.getsockname())
                asker = arrived(client, server)
                server.sendto(b"answer", asker)
                client.settimeout(PATIENCE)
                assert client.recv(100) == b"answer"
                assert client.getpeername()[0] == shared
        await resource.release()


@pytest_twisted.ensureDeferred
async def test_renewalOfAThousand(world: KernelWorld) -> None:
    """A thousand are renewed in one batch, which takes less than 50 ms."""
    resource = world.addresses(*thousand())
    resource.lease.seconds = 5
    await resource.acquire()
    times = []
    for _ in range(5):
        began = time.monotonic()
        await resource.renew(5)
        times.append(time.monotonic() - began)
    print(f"\n1,000 renewed in {min(times) * 1000:.1f} to {max(times) * 1000:.1f} ms")
    assert min(times) < 0.050


def thousand() -> list[str]:
    return [f"10.9.{100 + n // 250}.{n % 250 + 2}/16@shared0" for n in range(1000)]


@pytest_twisted.ensureDeferred
async def test_thousand(world: KernelWorld, observer: Observer, tmp_path: Path) -> None:
    """A thousand addresses are all held and all announced, and all are gone after the release."""
    before = world.present()
    resource = world.addresses(*thousand())
    await resource.prepare()
    gaps = [0.0]
    last = time.monotonic()

    def tick() -> None:
        nonlocal last
        now = time.monotonic()
        gaps.append(now - last)
        last = now

    ticker = LoopingCall(tick)
    ticker.start(0.001)
    began = time.time()
    await resource.acquire()
    held = time.time()
    await world.until(lambda: observer.count() >= 2000)
    seen = observer.look()[:2000]
    assert len({frame[28:32] for _, frame in seen}) == 1000
    ticker.stop()
    releasing = time.time()
    await resource.release()
    released = time.time()
    assert world.present() == before
    print(
        f"\n1,000 addresses: held {(held - began) * 1000:.1f} ms, "
        f"first to last announced {(seen[999][0] - seen[0][0]) * 1000:.1f} ms, "
        f"both forms {(seen[-1][0] - began) * 1000:.1f} ms after the start; "
        f"longest turn {max(gaps) * 1000:.1f} ms; "
        f"released and proven {(released - releasing) * 1000:.1f} ms"
    )


@pytest_twisted.ensureDeferred
async def test_flushed(world: KernelWorld) -> None:
    """When all of a thousand are flushed at once, all are back."""
    resource = world.addresses(*thousand())
    await resource.acquire()
    there = world.present()
    ip("address", "flush", "dev", world.interface, "label", f"{world.interface}:ha")
    began = time.monotonic()
    await world.until(lambda: there <= world.present())
    print(f"\n1,000 flushed, seen to be back after {(time.monotonic() - began) * 1000:.0f} ms")


@pytest_twisted.ensureDeferred
async def test_cancelledInTheMiddle(world: KernelWorld) -> None:
    """An acquire cancelled when some of its addresses are added leaves none of them."""
    before = world.present()
    resource = world.addresses(*thousand())
    await resource.prepare()
    acquiring = resource.acquire()
    while not (added := len(world.present() - before)):
        await deferLater(reactor, 0)
    assert added < 1000
    acquiring.cancel()
    with pytest.raises(CancelledError):
        await acquiring
    assert world.present() == before


@pytest_twisted.ensureDeferred
async def test_eventsLost(world: KernelWorld) -> None:
    """When the kernel drops events for lack of room, a deletion among them is made good."""
    resource = world.addresses("10.9.0.100/24")
    await resource.acquire()
    events = world._netlink._events
    assert events is not None
    events.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    # The reactor does not run meanwhile, so nobody reads them.
    for number in range(20):
        world.add(f"10.7.0.{number + 1}/24", world.other)
    world.delete("10.9.0.100/24", world.interface)
    await world.until(lambda: "10.9.0.100/24@shared0" in world.present())


@pytest_twisted.ensureDeferred
async def test_stopped(world: KernelWorld) -> None:
    """When netlink is stopped what is under way fails, and it can be started again."""
    resource = world.addresses(*thousand())
    await resource.prepare()
    acquiring = resource.acquire()
    world._netlink.stop()
    with pytest.raises(ResourceError, match="netlink is"):
        await acquiring
    world._netlink.start()
    await resource.release()
    assert not [text for text in world.present() if text.startswith("10.9.10")]


PROGRAM = """
import sys
from twisted.internet import defer, reactor, task
from hatwist.core.errors import ResourceError
from hatwist.linux.netlink.socket import Netlink
from hatwist.resources.addresses.batch import Addresses
from hatwist.resources.addresses.spec import AddressSpec

async def main(reactor):
    netlink = Netlink(reactor)
    netlink.start()
    resource = Addresses(reactor, netlink, [AddressSpec.parse(text) for text in sys.argv[1:]])
    try:
        await resource.acquire()
    except ResourceError as error:
        print(error)

task.react(lambda reactor: defer.ensureDeferred(main(reactor)))
"""


@pytest.mark.needs("setpriv")
@pytest.mark.parametrize("missing", ["net_admin", "net_raw"])
@pytest_twisted.ensureDeferred
async def test_noPermission(world: KernelWorld, missing: str) -> None:
    """Without the right to add or to announce it fails, says which right, and nothing is left."""
    before = world.present()
    without = ["setpriv", f"--bounding-set=-{missing}", "--inh-caps=-all"]
    program = [sys.executable, "-c", PROGRAM, "10.9.0.100/24"]
    done = subprocess.run([*without, *program], capture_output=True, text=True, timeout=60)
    assert f"CAP_{missing.upper()}" in done.stdout, done.stderr
    assert world.present() == before


@pytest_twisted.ensureDeferred
async def test_senderCounts(world: KernelWorld) -> None:
    """A sender whose interface is down, or gone, counts its errors and raises none."""
    links = {link.name: link for link in await world.netlink.dumpLinks()}
    sender = PacketSender(links[world.other])
    frame = frames.gratuitousRequest(MAC, IPv4Address("10.9.0.100"))
    sender.send(frame)
    assert sender.errors == 0
    ip("link", "set", world.other, "down")
    sender.send(frame)
    sender.send(frame)
    assert sender.errors == 2
    sender.close()
    sender.send(frame)
    assert sender.errors == 3
