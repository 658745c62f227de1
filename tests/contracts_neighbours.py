"""What holds for asking the LAN, on the kernel and on its double alike."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Protocol

from twisted.internet.defer import Deferred
from zope.interface.verify import verifyObject

from hatwist.linux.interfaces import IAsker
from hatwist.linux.netlink.messages import Address

SHARED4, SHARED6 = IPv4Address("10.9.0.100"), IPv6Address("fd09::100")
BOTH = (SHARED4, SHARED6)
STRANGE = ip_address("10.9.0.101")


class World(Protocol):
    """A LAN with this host and another one. C{mac} and C{otherMac} are theirs."""

    mac: bytes
    otherMac: bytes

    def asker(self) -> IAsker:
        """One that is not started; closed at the end."""

    def use(self, address: Address, *, here: bool = False) -> None:
        """Let the other host (or this one) add an address, without a word."""

    def leave(self, address: Address) -> None:
        """Let the other host delete it."""

    def announce(self, address: Address, *, here: bool = False) -> None:
        """Let the other host (or this one) announce it to everybody."""

    def until(self, condition: Callable[[], bool]) -> Awaitable[None]:
        """Wait for it; fail after some seconds."""


class Ears:
    """What an asker told."""

    def __init__(self) -> None:
        self.answers: list[tuple[Address, bytes]] = []
        self.claims: list[tuple[Address, bytes]] = []

    async def start(
        self, world: World, asker: IAsker | None = None, addresses: Sequence[Address] = BOTH
    ) -> IAsker:
        asker = world.asker() if asker is None else asker
        await asker.start(
            addresses,
            lambda address, mac: self.answers.append((address, mac)),
            lambda address, mac: self.claims.append((address, mac)),
        )
        return asker


async def untilAnswered(world: World, ears: Ears, asker: IAsker, *addresses: Address) -> None:
    """Ask until all are answered: a kernel needs a moment to listen for a new IPv6 address."""
    known = len(ears.answers)

    def condition() -> bool:
        for address in addresses:
            asker.ask(address)
        return {address for address, _ in ears.answers[known:]} >= set(addresses)

    await world.until(condition)


async def _settled(world: World, ears: Ears, asker: IAsker) -> None:
    """All that was under way has arrived: answers to later questions have."""
    for address in BOTH:
        world.use(address)
    await untilAnswered(world, ears, asker, *BOTH)


async def provides(world: World) -> None:
    """It provides the interface."""
    assert verifyObject(IAsker, world.asker())


async def answered(world: World) -> None:
    """Whoever uses an address answers, with its MAC, and the asker's own cannot be meant."""
    ears = Ears()
    asker = await ears.start(world)
    for address in BOTH:
        world.use(address)
    await untilAnswered(world, ears, asker, *BOTH)
    assert set(ears.answers) == {(address, world.otherMac) for address in BOTH}
    assert ears.claims == []


async def nobody(world: World) -> None:
    """An address that nobody uses is not answered, nor one that nobody uses any more."""
    ears = Ears()
    asker = await ears.start(world)
    for address in BOTH:
        asker.ask(address)
        world.use(address)
        world.leave(address)
        asker.ask(address)
    world.use(SHARED4)
    await untilAnswered(world, ears, asker, SHARED4)
    assert set(ears.answers) == {(SHARED4, world.otherMac)}


async def ourselves(world: World) -> None:
    """What this host uses or announces itself is not told."""
    ears = Ears()
    asker = await ears.start(world)
    for address in BOTH:
        world.use(address, here=True)
        world.announce(address, here=True)
        asker.ask(address)
    await _settled(world, ears, asker)
    assert {mac for _, mac in ears.answers + ears.claims} == {world.otherMac}
    assert ears.claims == []


async def claimed(world: World) -> None:
    """An announcement by another host is told as what it is, unasked."""
    ears = Ears()
    await ears.start(world)
    for address in BOTH:
        world.announce(address)
    await world.until(lambda: {address for address, _ in ears.claims} == set(BOTH))
    assert {mac for _, mac in ears.claims} == {world.otherMac}
    assert ears.answers == []


async def strange(world: World) -> None:
    """Addresses that were not named at the start are not asked for, nor told."""
    ears = Ears()
    asker = await ears.start(world)
    world.use(STRANGE)
    world.announce(STRANGE)
    asker.ask(STRANGE)
    await _settled(world, ears, asker)
    assert {address for address, _ in ears.answers + ears.claims} == set(BOTH)


async def closed(world: World) -> None:
    """After it is closed, twice too, nothing is told and asking does nothing."""
    ears, others = Ears(), Ears()
    asker, other = await ears.start(world), await others.start(world)
    asker.close()
    asker.close()
    world.use(SHARED4)
    world.announce(SHARED4)
    asker.ask(SHARED4)
    await _settled(world, others, other)
    assert (ears.answers, ears.claims) == ([], [])


Part = Callable[[World], Coroutine[Deferred[object], object, None]]

CONTRACT: tuple[Part, ...] = (provides, answered, nobody, ourselves, claimed, strange, closed)
