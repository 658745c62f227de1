"""What holds for raw links on the kernel's sockets and on those in memory alike."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AbstractContextManager
from ipaddress import IPv4Address, IPv6Address
from typing import Any, Protocol, cast

from twisted.logger import ILogObserver, LogEvent, LogLevel, globalLogPublisher

from hatwist.core.errors import BadPacket
from hatwist.core.packet import Packet
from hatwist.linux.interfaces import Farewell
from hatwist.linux.lan.raw import GROUPS, HOPS, PROTOCOL, RawSockets
from hatwist.linux.netlink.messages import Address
from hatwist.runtime.link import TURN, Link
from hatwist.runtime.ways import Raw, rawName

SHARED: dict[int, Address] = {4: IPv4Address("10.9.0.100"), 6: IPv6Address("fe80::100")}


class RawEnd:
    """
    One host's end, which receives.

    @param address: its own.
    @param here: what is done on this host is done within it.
    """

    def __init__(
        self,
        reactor: Any,
        interface: str,
        address: Address,
        sockets: RawSockets,
        here: Callable[[], AbstractContextManager[object]],
    ) -> None:
        self.address = address
        self.got: list[Packet] = []
        self.here = here
        self.link = Link(reactor, Raw(interface, address.version, sockets))
        with here():
            self.link.open(self.got.append)

    def send(
        self, data: bytes, destination: Address | None = None, source: Address | None = None
    ) -> None:
        with self.here():
            self.link.send(data, source or self.address, destination)


class RawWorld(Protocol):
    """
    Two hosts on a LAN, C{near} and C{far}, both with a raw link by one version of IP.

    @ivar version: 4 or 6.
    """

    version: int

    @property
    def near(self) -> RawEnd: ...
    @property
    def far(self) -> RawEnd: ...
    def add(self, address: Address) -> None:
        """Give the near host one more address."""

    def remove(self, address: Address) -> None:
        """Take an address away from it."""

    def down(self) -> None:
        """Set its interface down."""

    def up(self) -> None:
        """Set it up again, with the address that it had."""

    def pass_(self, data: bytes, hops: int) -> None:
        """To the far host, of which so many hops are left when it arrives there."""

    def until(self, condition: Callable[[], object]) -> Awaitable[None]:
        """Wait for it; fail after some seconds."""


async def multicast(world: RawWorld) -> None:
    """
    What one sends the other receives, with source, hops and destination, and without the header of IP.

    Also where both send the same bytes, as two routers of VRRP may.
    """
    for one, other in ((world.near, world.far), (world.far, world.near)):
        one.send(b"hello, LAN")
        await world.until(lambda other=other: other.got)  # type: ignore[misc]
        name, group = other.link.name, GROUPS[world.version]
        assert other.got == [Packet(b"hello, LAN", name, one.address, HOPS, group)], other.got
        other.got.clear()
        assert (one.link.beats, dict(one.link.unsent)) == (1, {})


async def unicast(world: RawWorld) -> None:
    """To one host by its address, with as many hops."""
    near, far = world.near, world.far
    await _known(world)
    far.got.clear()
    near.send(b"you", far.address)
    await world.until(lambda: far.got)
    assert far.got == [Packet(b"you", far.link.name, near.address, HOPS, far.address)], far.got


async def _known(world: RawWorld) -> None:
    """A host that has asked for another one's MAC sends to it at once from then on."""
    while not world.far.got:
        world.near.send(b"who is there", world.far.address)
        for _ in range(50):
            await world.until(lambda: True)
            world.far.link.drain()


async def ownIsNotHeard(world: RawWorld) -> None:
    """Nobody hears itself."""
    world.near.send(b"mine")
    world.far.send(b"yours")
    await world.until(lambda: world.near.got)
    world.near.link.drain()
    assert [packet.data for packet in world.near.got] == [b"yours"]
    assert not world.near.link.bad


async def hops(world: RawWorld) -> None:
    """What a router has passed on, or only pretends to be of this LAN, is told with the hops that are left."""
    for left in (254, 1, 255):
        world.pass_(b"x", left)
        await world.until(lambda: world.far.got)
        assert world.far.got.pop().hops == left


async def sharedIsNotSource(world: RawWorld) -> None:
    """With a shared address on the interface it still sends by its own, and hears by the group."""
    world.add(SHARED[world.version])
    world.near.send(b"x")
    await world.until(lambda: world.far.got)
    assert world.far.got[0].source == world.near.address
    world.far.send(b"y")
    await world.until(lambda: world.near.got)


async def addressGone(world: RawWorld) -> None:
    """Without its own address nothing leaves, by no other source either, and that is said loudly; with it, it does."""
    near = world.near
    events: list[LogEvent] = []
    observer = cast(ILogObserver, events.append)
    globalLogPublisher.addObserver(observer)
    try:
        world.add(SHARED[world.version])
        world.remove(near.address)
        near.send(b"lost")
        near.send(b"lost, too")
        assert dict(near.link.unsent) == {"EADDRNOTAVAIL": 2}, near.link.unsent
        loud = [event for event in events if event.get("log_level") is LogLevel.critical]
        assert [event["error"] for event in loud] == [
            f"{near.address} is no address of this host any more"
        ]
    finally:
        globalLogPublisher.removeObserver(observer)
    assert near.link.failing == "EADDRNOTAVAIL"
    world.add(near.address)
    near.send(b"back")
    await world.until(lambda: world.far.got)
    assert [packet.data for packet in world.far.got] == [b"back"]
    assert near.link.failing == ""


async def noSource(world: RawWorld) -> None:
    """A packet that names no source is not sent."""
    with world.near.here():
        world.near.link.send(b"x")
    assert dict(world.near.link.unsent) == {"EADDRNOTAVAIL": 1}


async def downAndUp(world: RawWorld) -> None:
    """While the interface is down nothing is sent, which is counted; when it is up again both ways are open."""
    world.down()
    world.near.send(b"lost")
    assert world.near.link.failing, "sent by an interface that is down"
    world.up()

    def again() -> bool:
        world.near.send(b"back")
        world.far.send(b"there")
        return bool(world.far.got and world.near.got)

    await world.until(again)
    assert world.far.got[0].data == b"back"


async def twoProtocols(world: RawWorld) -> None:
    """Two protocols by one socket: what is not for the first is for the second, and what is for nobody is counted."""
    taken: list[tuple[str, bytes]] = []

    def receiver(name: str, other: str) -> Callable[[Packet], None]:
        def receive(packet: Packet) -> None:
            if packet.data.startswith(other.encode()):
                raise BadPacket(other)
            if packet.data == b"?":
                raise BadPacket("vrrp" if name == "carp" else "carp")
            if packet.data == b"bad":
                raise BadPacket("checksum")
            taken.append((name, packet.data))

        return receive

    link = world.far.link
    link.close()
    with world.far.here():
        link.open(receiver("vrrp", "carp"))
        link.open(receiver("carp", "vrrp"))
    for data in (b"carp 1", b"vrrp 1", b"?", b"bad", b"carp 2"):
        world.near.send(data)
    await world.until(lambda: len(taken) == 3)
    assert taken == [("carp", b"carp 1"), ("vrrp", b"vrrp 1"), ("carp", b"carp 2")]
    assert dict(link.bad) == {"vrrp": 1, "checksum": 1}


async def bounded(world: RawWorld) -> None:
    """A turn of the reactor reads a bounded number of packets; a drain reads all that have arrived."""
    link = world.far.link
    link.close()
    got: list[Packet] = []
    with world.far.here():
        link.open(got.append)
    for number in range(2 * TURN + 10):
        world.near.send(b"%d" % number)
    link.doRead()
    assert len(got) == TURN
    link.drain()
    assert [packet.data for packet in got] == [b"%d" % number for number in range(2 * TURN + 10)]


async def empty(world: RawWorld) -> None:
    """A packet without a byte is one, too."""
    world.near.send(b"")
    await world.until(lambda: world.far.got)
    assert world.far.got[0].data == b""


async def tooLarge(world: RawWorld) -> None:
    """What does not fit is an error of sending like any other."""
    world.near.send(bytes(70_000))
    assert dict(world.near.link.unsent) == {"EMSGSIZE": 1}


async def closed(world: RawWorld) -> None:
    """Closed it hears nothing, and it can be opened again."""
    link = world.far.link
    link.close()
    link.close()
    world.near.send(b"nobody")
    link.drain()
    assert not world.far.got
    with world.far.here():
        link.open(world.far.got.append)
    world.near.send(b"somebody")
    await world.until(lambda: world.far.got)
    assert [packet.data for packet in world.far.got] == [b"somebody"]


async def farewell(world: RawWorld) -> None:
    """The guard is told protocol and source, and sends to everybody, or to the destination that the packet names."""
    near, link = world.near, world.near.link
    (said,) = link.farewells(b"bye", near.address)
    group = GROUPS[world.version]
    index = said.ifindex
    assert index > 0
    assert said == Farewell(index, group, 0, b"bye", near.address, PROTOCOL)
    (said,) = link.farewells(b"bye", near.address, world.far.address)
    assert said.address == world.far.address
    assert link.farewells(b"bye") == []


async def named(world: RawWorld) -> None:
    """Its name tells interface and version of IP."""
    way = world.near.link.way
    assert world.near.link.name == rawName(way.interface, world.version)


RAW_CONTRACT: tuple[Callable[[RawWorld], Coroutine[Any, Any, None]], ...] = (
    multicast,
    unicast,
    ownIsNotHeard,
    hops,
    sharedIsNotSource,
    addressGone,
    noSource,
    downAndUp,
    twoProtocols,
    bounded,
    empty,
    tooLarge,
    closed,
    farewell,
    named,
)
