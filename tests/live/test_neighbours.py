"""Asking the LAN on the real kernel: a wire with another host at its far end."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from ipaddress import IPv4Address

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.task import deferLater

from hatwist.linux.lan.neighbours import REPEAT, Asker
from hatwist.linux.lan.sender import PacketSender
from hatwist.linux.lan.shared import Askers
from hatwist.linux.netlink.messages import Address, KernelLink
from hatwist.linux.netlink.socket import Netlink
from hatwist.protocols import frames
from tests import contracts_neighbours
from tests.contracts_neighbours import BOTH, SHARED4, SHARED6, Ears, untilAnswered
from tests.wire import Wire, ip

pytestmark = pytest.mark.needs("ip")


class KernelWorld:
    """L{contracts_neighbours.World} on the kernel."""

    def __init__(self) -> None:
        self.wire = Wire()
        self.mac, self.otherMac = Wire.mac, Wire.farMac
        self.netlink = Netlink(reactor)
        self.netlink.start()
        self.askers: list[Asker] = []

    def close(self) -> None:
        for asker in self.askers:
            asker.close()
        self.netlink.stop()
        self.wire.close()

    def asker(self) -> Asker:
        self.askers.append(Asker(reactor, self.netlink, Wire.near))
        return self.askers[-1]

    def _words(self, address: Address, here: bool) -> tuple[str, ...]:
        length = 24 if address.version == 4 else 64
        nodad = () if address.version == 4 else ("nodad",)
        return (f"{address}/{length}", "dev", Wire.near if here else Wire.far, *nodad)

    def use(self, address: Address, *, here: bool = False) -> None:
        (ip if here else self.wire.farIp)("address", "replace", *self._words(address, here))

    def leave(self, address: Address) -> None:
        self.wire.farIp("address", "delete", *self._words(address, False)[:3])

    def announce(self, address: Address, *, here: bool = False) -> None:
        mac = self.mac if here else self.otherMac
        name = Wire.near if here else Wire.far
        link = KernelLink(0, name, 0, mac)
        if here:
            sender = PacketSender(link)
        else:
            with self.wire.there.entered():
                sender = PacketSender(link)
        for frame in frames.announcements(mac, address):
            sender.send(frame)
        assert sender.errors == 0
        sender.close()

    def until(self, condition: Callable[[], bool]) -> Awaitable[None]:
        return self.wire.until(condition)


@pytest_twisted.async_yield_fixture
async def world() -> AsyncIterator[KernelWorld]:
    """This host, another one and a wire; gone afterwards."""
    made = KernelWorld()
    yield made
    made.close()


@pytest.mark.parametrize("part", contracts_neighbours.CONTRACT, ids=lambda part: part.__name__)
@pytest_twisted.ensureDeferred
async def test_contract(world: KernelWorld, part: contracts_neighbours.Part) -> None:
    """The kernel keeps what its double in memory keeps."""
    await part(world)


@pytest.mark.parametrize("part", contracts_neighbours.CONTRACT, ids=lambda part: part.__name__)
@pytest_twisted.ensureDeferred
async def test_shared(world: KernelWorld, part: contracts_neighbours.Part) -> None:
    """One user among others keeps it too, on sockets that they share."""
    askers = Askers(reactor, world.netlink)
    other = Ears()
    await other.start(world, askers.open(Wire.near), (IPv4Address("10.9.0.250"),))
    world.asker = lambda: askers.open(Wire.near)  # type: ignore[method-assign,assignment,return-value]
    await part(world)
    assert (other.answers, other.claims) == ([], [])


@pytest_twisted.ensureDeferred
async def test_noCacheChanges(world: KernelWorld) -> None:
    """Asking leaves no trace in the neighbour tables of either host."""
    ears = Ears()
    asker = await ears.start(world)
    for address in BOTH:
        world.use(address)
    await untilAnswered(world, ears, asker, *BOTH)
    for table in (ip("neigh", "show"), world.wire.farIp("neigh", "show")):
        assert str(SHARED4) not in table
        assert str(SHARED6) not in table
        assert "10.9.0.1 " not in table


@pytest_twisted.ensureDeferred
async def test_fast(world: KernelWorld) -> None:
    """An answer is there within milliseconds of the question."""
    ears = Ears()
    asker = await ears.start(world)
    for address in BOTH:
        world.use(address)
        await untilAnswered(world, ears, asker, address)
        took = []
        for _ in range(20):
            seen, began = len(ears.answers), time.monotonic()
            asker.ask(address)
            await world.until(lambda: len(ears.answers) > seen)  # noqa: B023
            took.append(time.monotonic() - began)
        print(
            f"{address}: median {sorted(took)[10] * 1000:.2f} ms, worst {max(took) * 1000:.2f} ms"
        )
        assert sorted(took)[10] < 0.01


@pytest_twisted.ensureDeferred
async def test_conflictWhileHeld(world: KernelWorld) -> None:
    """While this host holds the address, another one that announces it is told as a claim."""
    ears = Ears()
    await ears.start(world)
    for address in BOTH:
        world.use(address, here=True)
        world.announce(address)
    await world.until(lambda: {address for address, _ in ears.claims} == set(BOTH))


@pytest_twisted.ensureDeferred
async def test_flood(world: KernelWorld) -> None:
    """However many frames say the same, with whatever MAC, it is told now and then; an answer is told at once."""
    ears = Ears()
    asker = await ears.start(world)
    with world.wire.there.entered():
        sender = PacketSender(KernelLink(0, Wire.far, 0, world.otherMac))
    sent, began = 0, time.monotonic()
    while sent < 2000:
        for _ in range(100):
            sent += 1
            mac = b"\x02\0" + sent.to_bytes(4, "big")
            for address in BOTH:
                for frame in frames.announcements(mac, address):
                    sender.send(frame)
        await deferLater(reactor, 0)
    await world.until(lambda: {address for address, _ in ears.claims} == set(BOTH))
    assert sender.errors == 0
    sender.close()
    # Of two addresses, one said in two ways.
    most = 3 * (1 + (time.monotonic() - began) / REPEAT)
    assert len(ears.claims) < min(most, 3 * sent)
    world.use(SHARED4)
    for _ in range(3):
        seen = len(ears.answers)
        asker.ask(SHARED4)
        await world.until(lambda: len(ears.answers) > seen)  # noqa: B023


@pytest_twisted.ensureDeferred
async def test_interfaceReplaced(world: KernelWorld) -> None:
    """After the interface was replaced by another of the same name, questions are answered again."""
    ears = Ears()
    asker = await ears.start(world)
    world.wire.cut()
    for address in BOTH:
        asker.ask(address)
    world.wire.make()
    for address in BOTH:
        world.use(address)

    await untilAnswered(world, ears, asker, *BOTH)


@pytest_twisted.ensureDeferred
async def test_setDownAndUp(world: KernelWorld) -> None:
    """An interface that was down for a while is asked on again, and hears claims again."""
    ears = Ears()
    asker = await ears.start(world)
    ip("link", "set", Wire.near, "down")
    asker.ask(SHARED4)
    ip("link", "set", Wire.near, "up")
    world.use(SHARED4)

    await untilAnswered(world, ears, asker, SHARED4)
    world.announce(SHARED4)
    await world.until(lambda: bool(ears.claims))


@pytest_twisted.ensureDeferred
async def test_macChanged(world: KernelWorld) -> None:
    """With a changed MAC of its own, answers still come, and the old MAC is a stranger's."""
    ears = Ears()
    asker = await ears.start(world)
    ip("link", "set", Wire.near, "address", "02:00:00:00:01:03")
    world.use(SHARED4)

    await untilAnswered(world, ears, asker, SHARED4)
    assert ears.answers[0] == (SHARED4, world.otherMac)


@pytest_twisted.ensureDeferred
async def test_missing(world: KernelWorld) -> None:
    """On an interface that is not there the start is an OSError, and nothing stays open."""
    asker = Asker(reactor, world.netlink, "no-such-0")
    with pytest.raises(OSError, match="No such device"):
        asker.start([IPv4Address("10.9.0.100")], print, print)
    asker.ask(IPv4Address("10.9.0.100"))
