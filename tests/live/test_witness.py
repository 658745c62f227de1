"""The witness on the real kernel: a host at the far end of a wire, or behind it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from ipaddress import ip_address

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.task import deferLater

from hatwist.lab.switch import writeSysctl
from hatwist.linux.lan.witness import Witness
from hatwist.linux.netlink.socket import Netlink
from tests.wire import Wire, ip

pytestmark = pytest.mark.needs("ip")

INTERVAL = 0.1
FAR, FAR6 = "192.0.2.1", "2001:db8::1"
WAYS = {"10.9.0.2": "arp", "fd09::2": "ndp", FAR: "icmp", FAR6: "icmp"}


class World:
    """A wire, with further addresses behind its far end."""

    def __init__(self) -> None:
        self.wire = Wire()
        self.netlink = Netlink(reactor)
        self.netlink.start()
        self.told: list[tuple[float, float]] = []
        self.witness: Witness | None = None
        self.route()

    def route(self) -> None:
        self.wire.farIp("link", "set", "lo", "up")
        self.wire.farIp("address", "replace", f"{FAR}/32", "dev", "lo")
        self.wire.farIp("address", "replace", f"{FAR6}/128", "dev", "lo")
        ip("route", "replace", FAR, "via", "10.9.0.2")
        ip("route", "replace", FAR6, "via", "fd09::2")

    def ask(self, address: str, interface: str | None = Wire.near) -> Witness:
        self.witness = Witness(
            reactor,
            self.netlink,
            ip_address(address),
            interface,
            INTERVAL,
            lambda sent: self.told.append((sent, reactor.seconds())),
        )
        self.witness.start()
        return self.witness

    def close(self) -> None:
        if self.witness is not None:
            self.witness.stop()
        self.netlink.stop()
        self.wire.close()


@pytest_twisted.async_yield_fixture
async def world() -> AsyncIterator[World]:
    """This host, another one and a wire; gone afterwards."""
    made = World()
    yield made
    made.close()


@pytest.mark.parametrize("address", WAYS)
@pytest_twisted.ensureDeferred
async def test_answers(world: World, address: str) -> None:
    """Four times in an interval the witness is known to be reached, a few milliseconds after the question."""
    witness = world.ask(address)
    await world.wire.until(lambda: len(world.told) >= 20)
    assert witness.way == WAYS[address]
    (first, _), (last, _) = world.told[0], world.told[-1]
    lags = sorted(heard - sent for sent, heard in world.told)
    spacing = (last - first) / (len(world.told) - 1)
    print(
        f"{address} by {witness.way}: every {spacing * 1000:.1f} ms, "
        f"median {lags[10] * 1000:.2f} ms, worst {lags[-1] * 1000:.2f} ms"
    )
    assert INTERVAL / 4 * 0.9 < spacing < INTERVAL / 2
    assert lags[10] < 0.01


@pytest.mark.parametrize("address", WAYS)
@pytest_twisted.ensureDeferred
async def test_cut(world: World, address: str) -> None:
    """After a cut nothing newer than the cut is told; once healed, the answers come again by themselves."""
    witness = world.ask(address)
    await world.wire.until(lambda: len(world.told) >= 4)
    world.wire.farIp("link", "set", Wire.far, "down")
    cut = reactor.seconds()
    await deferLater(reactor, 3 * INTERVAL)
    assert witness.latest <= cut
    world.wire.farIp("link", "set", Wire.far, "up")
    world.wire.farIp("address", "replace", "fd09::2/64", "dev", Wire.far, "nodad")
    world.route()
    await world.wire.until(lambda: witness.latest > cut)
    assert witness.way == WAYS[address]


@pytest_twisted.ensureDeferred
async def test_quietGateway(world: World) -> None:
    """A gateway that answers questions only from its own subnet's hosts is reached: we ask from ours."""
    with world.wire.there.entered():
        writeSysctl(f"net/ipv4/conf/{Wire.far}/arp_ignore", "2")
    world.ask("10.9.0.2")
    await world.wire.until(lambda: len(world.told) >= 4)


@pytest_twisted.ensureDeferred
async def test_pingSocket(world: World) -> None:
    """Where unprivileged ping is allowed, its sockets do as well as raw ones."""
    writeSysctl("net/ipv4/ping_group_range", "0 0")
    try:
        for address in (FAR, FAR6):
            world.told.clear()
            witness = world.ask(address, None)
            await world.wire.until(lambda: len(world.told) >= 4)
            assert witness.way == "icmp"
            witness.stop()
    finally:
        writeSysctl("net/ipv4/ping_group_range", "1 0")


@pytest_twisted.ensureDeferred
async def test_replaced(world: World) -> None:
    """An interface that is replaced, on either side, is followed."""
    witness = world.ask("10.9.0.2")
    await world.wire.until(lambda: len(world.told) >= 4)
    world.wire.cut()
    await world.wire.until(lambda: witness.way == "icmp")
    cut = witness.latest
    world.wire.make()
    await world.wire.until(lambda: witness.latest > cut and witness.way == "arp")
