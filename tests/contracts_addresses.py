"""What holds for shared addresses on the kernel and on its double alike."""

from __future__ import annotations

import errno
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from ipaddress import ip_interface
from typing import Protocol

from twisted.internet.defer import Deferred

from hatwist.core.errors import ResourceError
from hatwist.linux.interfaces import INetlink
from hatwist.linux.netlink.messages import (
    IFA_F_DEPRECATED,
    IFA_F_PERMANENT,
    AddressChange,
    Event,
    encodeAdd,
    encodeDelete,
    encodePromote,
)
from hatwist.resources.addresses.batch import Addresses
from hatwist.resources.addresses.renewing import renew
from hatwist.resources.addresses.spec import AddressSpec


class World(Protocol):
    """
    A host with C{interface} up, 10.9.0.1/24 and fd09::1/64 on it, and another interface C{other}.

    The rest of it is what other programs do, and an independent look at the result.
    """

    interface: str
    other: str

    @property
    def netlink(self) -> INetlink: ...

    def addresses(self, *texts: str) -> Addresses:
        """Make the resource for these addresses."""

    def add(self, text: str, interface: str) -> None:
        """Add C{ADDRESS/PREFIX} as another program."""

    def delete(self, text: str, interface: str) -> None:
        """Delete C{ADDRESS/PREFIX} as another program."""

    def setUp(self, up: bool) -> None:
        """Take C{interface} up or down as an administrator."""

    def present(self) -> set[str]:
        """Return every C{ADDRESS/PREFIX@INTERFACE} in the world."""

    def until(self, condition: Callable[[], bool]) -> Awaitable[None]:
        """Wait for it; fail after some seconds."""

    def elapse(self, seconds: float) -> Awaitable[None]:
        """Let so much time pass."""

    def index(self) -> int:
        """Return the index of C{interface}."""


def _here(world: World, *texts: str) -> set[str]:
    return {f"{text}@{world.interface}" for text in texts}


async def _fails(doing: Deferred[None]) -> str:
    try:
        await doing
    except ResourceError as error:
        return str(error)
    raise AssertionError("it should have failed")


async def acquireAddsAll(world: World) -> None:
    """IPv4 and IPv6 addresses are all there once acquired, and gone, these only, once released."""
    before = world.present()
    resource = world.addresses("10.9.0.100/24", "10.9.0.101/24", "fd09::100/64")
    await resource.acquire()
    added = _here(world, "10.9.0.100/24", "10.9.0.101/24", "fd09::100/64")
    assert world.present() - before == added
    await resource.release()
    assert world.present() == before


async def marksAreSet(world: World) -> None:
    """An address of ours has our label where labels exist, and our protocol number."""
    resource = world.addresses("10.9.0.100/24", "fd09::100/64")
    await resource.acquire()
    found = {str(e.address): e for e in await world.netlink.dumpAddresses()}
    assert found["10.9.0.100"].label == f"{world.interface}:ha"
    assert found["10.9.0.100"].proto == found["fd09::100"].proto == 72
    await resource.release()


async def routeFindsInterface(world: World) -> None:
    """Without a named interface an address goes where its network is connected; without one, fails."""
    before = world.present()
    resource = world.addresses("10.9.0.100/24")
    await resource.acquire()
    assert world.present() - before == _here(world, "10.9.0.100/24")
    await resource.release()
    text = await _fails(world.addresses("10.9.0.100/24", "172.31.5.5/24").acquire())
    assert "172.31.5.5/24" in text
    assert "@INTERFACE" in text
    assert world.present() == before


async def missingInterface(world: World) -> None:
    """An address on an interface that does not exist fails by name, and none of its batch is left."""
    before = world.present()
    text = await _fails(world.addresses("10.9.0.100/24", "10.9.0.101/24@none0").acquire())
    assert "none0" in text
    assert "10.9.0.101/24" in text
    assert world.present() == before


async def downInterface(world: World) -> None:
    """An address on an interface that is down is refused: nobody would reach it."""
    world.setUp(False)
    before = world.present()
    resource = world.addresses(f"10.9.0.100/24@{world.interface}")
    assert "is down" in await _fails(resource.acquire())
    assert world.present() == before
    world.setUp(True)


async def deletedIsBack(world: World) -> None:
    """An address that another program deletes is there again, and it is no loss."""
    losses: list[str] = []
    resource = world.addresses("10.9.0.100/24", "fd09::100/64")
    resource.watch(losses.append)
    await resource.acquire()
    for text in ("10.9.0.100/24", "fd09::100/64"):
        world.delete(text, world.interface)
        assert _here(world, text).isdisjoint(world.present())
        await world.until(lambda text=text: _here(world, text) <= world.present())  # type: ignore[misc]
    await resource.release()
    assert losses == []


async def releasedStaysAway(world: World) -> None:
    """After a release nothing comes back, whatever another program then does with the address."""
    before = world.present()
    resource = world.addresses("10.9.0.100/24", "fd09::100/64")
    await resource.acquire()
    await resource.release()
    world.add("10.9.0.100/24", world.interface)
    world.delete("10.9.0.100/24", world.interface)
    await world.netlink.dumpAddresses()
    assert not await resource.verify()
    assert world.present() == before


async def primaryDeleted(world: World) -> None:
    """When the subnet's primary is deleted, and ours with it as a secondary, ours is back."""
    resource = world.addresses("10.9.0.100/24")
    await resource.acquire()
    world.delete("10.9.0.1/24", world.interface)
    await world.until(lambda: _here(world, "10.9.0.100/24") <= world.present())
    world.add("10.9.0.1/24", world.interface)
    await resource.release()


async def othersSecondariesStay(world: World) -> None:
    """Releasing the primary of a subnet leaves the secondaries of other programs, without a break."""
    resource = world.addresses(f"10.77.0.100/24@{world.interface}")
    await world.netlink.request([encodePromote(world.index(), False)])
    await resource.acquire()
    world.add("10.77.0.2/24", world.interface)
    gone: list[str] = []

    def changed(events: Sequence[Event]) -> None:
        for event in events:
            if isinstance(event, AddressChange) and not event.present:
                gone.append(str(event.entry.address))

    unsubscribe = world.netlink.subscribe(changed)
    await resource.release()
    unsubscribe()
    assert gone == ["10.77.0.100"]
    assert _here(world, "10.77.0.2/24") <= world.present()
    links = {link.name: link for link in await world.netlink.dumpLinks()}
    assert not links[world.interface].promotes, "promote_secondaries was not put back"
    world.delete("10.77.0.2/24", world.interface)


async def promotes(world: World) -> bool:
    """Whether promote_secondaries is set."""
    links = {link.name: link for link in await world.netlink.dumpLinks()}
    return links[world.interface].promotes


async def ownStays(world: World) -> None:
    """The host's own address that came back after ours, as its secondary, outlives ours when the lease ends."""
    await world.netlink.request([encodePromote(world.index(), False)])
    resource = world.addresses(f"10.77.0.100/24@{world.interface}")
    resource.lease.seconds = 1
    await resource.acquire()
    world.add("10.77.0.2/24", world.interface)
    resource.watch(lambda reason: None)
    await world.until(lambda: not _here(world, "10.77.0.100/24") & world.present())
    assert _here(world, "10.77.0.2/24") <= world.present()
    await resource.release()
    assert _here(world, "10.77.0.2/24") <= world.present()
    assert not await promotes(world), "promote_secondaries was not put back"
    world.delete("10.77.0.2/24", world.interface)


async def twoPromote(world: World) -> None:
    """Of two batches on one interface neither takes promote_secondaries away from the other."""
    await world.netlink.request([encodePromote(world.index(), False)])
    one, two = (world.addresses(f"10.77.0.{n}/24@{world.interface}") for n in (100, 101))
    await one.acquire()
    await two.acquire()
    assert await promotes(world)
    await one.release()
    await world.elapse(0.05)
    assert await promotes(world)
    await two.release()
    assert not await promotes(world)
    await world.netlink.request([encodePromote(world.index(), True)])
    await one.acquire()
    await one.release()
    assert await promotes(world)
    await world.netlink.request([encodePromote(world.index(), False)])


async def copiesAreRemoved(world: World) -> None:
    """A release removes what an earlier run left, on any interface, and no other program's address."""
    before = world.present()
    indexes = {link.name: link.ifindex for link in await world.netlink.dumpLinks()}
    marked = encodeAdd(ip_interface("10.9.0.100/32").ip, 32, indexes[world.other])
    assert await world.netlink.request([marked]) == [0]
    world.add("10.9.0.100/24", world.interface)
    world.add("fd09::100/64", world.other)
    world.add("10.9.0.100/28", world.other)
    world.add("10.9.0.102/24", world.other)
    await world.addresses("10.9.0.100/24", "fd09::100/64").release()
    others = {f"10.9.0.100/28@{world.other}", f"10.9.0.102/24@{world.other}"}
    assert world.present() - before == others
    for text in ("10.9.0.100/28", "10.9.0.102/24"):
        world.delete(text, world.other)


async def downAndUp(world: World) -> None:
    """When the interface comes up again all addresses are there, those that the kernel flushed too."""
    losses: list[str] = []
    resource = world.addresses("10.9.0.100/24", "fd09::100/64")
    resource.watch(losses.append)
    await resource.acquire()
    world.setUp(False)
    assert _here(world, "fd09::100/64").isdisjoint(world.present())
    world.setUp(True)
    wanted = _here(world, "10.9.0.100/24", "fd09::100/64")
    await world.until(lambda: wanted <= world.present())
    assert await resource.verify()
    await resource.release()
    assert losses == []


def _deleted(events: Sequence[Event], address: str) -> bool:
    return any(
        isinstance(event, AddressChange)
        and not event.present
        and str(event.entry.address) == address
        for event in events
    )


async def leaseRunsOut(world: World) -> None:
    """What nobody renews goes away by itself; that is a loss, and nothing is added again."""
    losses: list[str] = []
    before = world.present()
    resource = world.addresses("10.9.0.100/24", "fd09::100/64")
    resource.watch(losses.append)
    resource.lease.seconds = 1
    await resource.acquire()
    await world.elapse(0.9)
    assert _here(world, "10.9.0.100/24", "fd09::100/64") <= world.present()
    await world.until(lambda: bool(losses))
    await world.until(lambda: world.present() == before)
    await world.elapse(0.1)
    assert world.present() == before
    assert losses == ["its lease ran out"]
    await resource.renew(1)
    assert world.present() == before
    await resource.release()


async def leaseRenewed(world: World) -> None:
    """What is renewed stays, over several leases, without having been away for a moment."""
    losses: list[str] = []
    gone: list[bool] = []
    resource = world.addresses("10.9.0.100/24", "fd09::100/128@" + world.interface)
    resource.watch(losses.append)
    resource.lease.seconds = 1
    await resource.acquire()
    unsubscribe = world.netlink.subscribe(
        lambda events: gone.append(_deleted(events, "10.9.0.100") or _deleted(events, "fd09::100"))
    )
    for _ in range(6):
        await world.elapse(0.5)
        await resource.renew(1)
    entries = {str(e.address): e for e in await world.netlink.dumpAddresses()}
    assert entries["10.9.0.100"].valid == entries["fd09::100"].valid == 1
    assert entries["10.9.0.100"].label == f"{world.interface}:ha"
    assert await resource.verify()
    assert True not in gone
    assert losses == []
    unsubscribe()
    await resource.release()


async def renewedTogether(world: World) -> None:
    """Many are renewed together, and one that somebody deleted in between is back, for as long as the others."""
    losses: list[str] = []
    texts = [f"10.9.0.{number}/24" for number in range(100, 104)] + ["fd09::100/64"]
    made = [world.addresses(text) for text in texts]
    for resource in made:
        resource.watch(losses.append)
        resource.lease.seconds = 2
        await resource.acquire()
    for _ in range(4):
        await world.elapse(0.7)
        await renew([(resource.upkeep, 2) for resource in made])
    assert _here(world, *texts) <= world.present()
    world.delete(texts[1], world.interface)
    await world.until(
        lambda: bool(made[1].upkeep.missing) or _here(world, *texts) <= world.present()
    )
    await renew([(resource.upkeep, 2) for resource in made])
    assert _here(world, *texts) <= world.present()
    entries = {str(e.address): e for e in await world.netlink.dumpAddresses()}
    assert {entries[text.partition("/")[0]].valid for text in texts} <= {1, 2}
    await world.elapse(1.5)
    assert _here(world, *texts) <= world.present()
    assert losses == []
    for resource in made:
        await resource.release()


async def refusedAmongOthers(world: World) -> None:
    """Of changes that are made together each has its own answer, though only the last one is confirmed."""
    ifindex = world.index()
    addresses = [ip_interface(f"10.9.0.{number}/24").ip for number in range(100, 106)]
    messages = [encodeAdd(address, 24, ifindex) for address in addresses]
    messages[0] = messages[3] = encodeAdd(addresses[0], 24, 4321)
    wanted = [errno.ENODEV, 0, 0, errno.ENODEV, 0, 0]
    assert await world.netlink.request(messages) == wanted
    deletions = [encodeDelete(address, 24, ifindex) for address in addresses]
    gone = errno.EADDRNOTAVAIL
    assert await world.netlink.request(deletions) == [gone, 0, 0, gone, 0, 0]
    assert await world.netlink.request(deletions[:1]) == [gone]


async def leaseRestored(world: World) -> None:
    """Deleted by somebody while the lease lasts it is back, for no longer than the lease."""
    resource = world.addresses("10.9.0.100/24")
    resource.lease.seconds = 5
    await resource.acquire()
    await world.elapse(0.5)
    world.delete("10.9.0.100/24", world.interface)
    await world.until(lambda: _here(world, "10.9.0.100/24") <= world.present())
    entries = {str(e.address): e for e in await world.netlink.dumpAddresses()}
    assert 1 <= entries["10.9.0.100"].valid <= 4
    await resource.release()


async def renewedBack(world: World) -> None:
    """In the last second of a lease it is the renewal that brings back what somebody deleted."""
    losses: list[str] = []
    resource = world.addresses("10.9.0.100/24")
    resource.watch(losses.append)
    resource.lease.seconds = 1
    await resource.acquire()
    await world.elapse(0.2)
    world.delete("10.9.0.100/24", world.interface)
    await world.elapse(0.2)
    assert not _here(world, "10.9.0.100/24") & world.present()
    await resource.renew(1)
    assert _here(world, "10.9.0.100/24") <= world.present()
    await world.elapse(0.7)  # past the first lease
    assert losses == []
    world.delete("10.9.0.100/24", world.interface)
    await world.until(lambda: losses == ["its lease ran out"])
    await resource.release()


async def leaseOff(world: World) -> None:
    """Without a lease they stay, and a renewal changes nothing."""
    resource = world.addresses("10.9.0.100/24")
    await resource.acquire()
    await resource.renew(1)
    entries = {str(e.address): e for e in await world.netlink.dumpAddresses()}
    assert entries["10.9.0.100"].valid == 0xFFFFFFFF
    assert entries["10.9.0.100"].flags & IFA_F_PERMANENT
    await resource.release()


async def aloneIsDeprecated(world: World) -> None:
    """An address alone in its network is deprecated, with and without a lease; others are not."""
    texts = ("10.9.0.100/32", "fd09::100/128", "10.9.0.101/24", "fd09::101/64")
    for lease in (None, 5):
        resource = world.addresses(*texts)
        resource.lease.seconds = lease
        await resource.acquire()
        if lease:
            await resource.renew(4)
        found = {str(e.address): e.flags for e in await world.netlink.dumpAddresses()}
        flags = [found[text.partition("/")[0]] & IFA_F_DEPRECATED for text in texts]
        assert flags == [IFA_F_DEPRECATED, IFA_F_DEPRECATED, 0, 0]
        await resource.release()


async def guardDeletes(world: World) -> None:
    """The deletions for the guard delete all of ours and, of a shared subnet, nothing else."""
    resource = world.addresses("10.9.0.100/24", f"10.77.0.100/24@{world.interface}", "fd09::100/64")
    await resource.prepare()
    deletions = resource.deletions()
    await resource.acquire()
    assert resource.deletions() == deletions
    world.add("10.77.0.2/24", world.interface)
    resource.close()  # it would add them again
    answers = await world.netlink.request(deletions)
    assert set(answers) == {0}
    gone = _here(world, "10.9.0.100/24", "10.77.0.100/24", "fd09::100/64")
    assert not gone & world.present()
    assert _here(world, "10.77.0.2/24") <= world.present()
    links = {link.name: link for link in await world.netlink.dumpLinks()}
    assert not links[world.interface].promotes
    world.delete("10.77.0.2/24", world.interface)


async def netlinkAnswers(world: World) -> None:
    """A batch answers with one errno per message, in order, after the events of its deletions."""
    ifindex = world.index()
    address = ip_interface("10.9.0.100/24").ip
    add, delete = encodeAdd(address, 24, ifindex), encodeDelete(address, 24, ifindex)
    seen: list[bool] = []

    def changed(events: Sequence[Event]) -> None:
        seen.extend(
            event.present
            for event in events
            if isinstance(event, AddressChange) and event.entry.address == address
        )

    unsubscribe = world.netlink.subscribe(changed)
    nowhere = encodeAdd(address, 24, 4321)
    answers = await world.netlink.request([add, add, delete, delete, nowhere])
    assert answers == [0, 0, 0, errno.EADDRNOTAVAIL, errno.ENODEV]
    assert seen[-1] is False
    assert True in seen
    unsubscribe()
    seen.clear()
    assert await world.netlink.request([]) == []
    assert await world.netlink.request([add, delete]) == [0, 0]
    assert seen == []


async def netlinkRoutes(world: World) -> None:
    """The dump of routes has the connected ones, with the index of their interface."""
    routes = await world.netlink.dumpRoutes()
    found = {str(r.network) for r in routes if r.ifindex == world.index() and not r.gateway}
    assert {"10.9.0.0/24", "fd09::/64"} <= found


Part = Callable[[World], Coroutine[Deferred[object], object, None]]

CONTRACT: tuple[Part, ...] = (
    acquireAddsAll,
    marksAreSet,
    routeFindsInterface,
    missingInterface,
    downInterface,
    deletedIsBack,
    releasedStaysAway,
    primaryDeleted,
    othersSecondariesStay,
    ownStays,
    twoPromote,
    copiesAreRemoved,
    downAndUp,
    leaseRunsOut,
    leaseRenewed,
    renewedTogether,
    refusedAmongOthers,
    leaseRestored,
    renewedBack,
    leaseOff,
    aloneIsDeprecated,
    guardDeletes,
    netlinkAnswers,
    netlinkRoutes,
)


def specsOf(texts: tuple[str, ...]) -> list[AddressSpec]:
    """Parse what a contract names."""
    return [AddressSpec.parse(text) for text in texts]
