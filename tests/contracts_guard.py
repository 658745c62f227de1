"""What holds for the guard process and for its double alike."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Coroutine
from ipaddress import IPv4Address, ip_address, ip_interface
from typing import Protocol

from twisted.internet.defer import Deferred
from zope.interface.verify import verifyObject

from hatwist.linux.guard.client import GuardClient, GuardError
from hatwist.linux.guard.memory import MemoryGuard
from hatwist.linux.interfaces import Farewell, IGuard
from hatwist.linux.netlink.messages import encodeDelete

TOLERANCE = 0.35
LONG = 60.0


class GuardWorld(Protocol):
    """
    A host with one interface up, and a guard that is not started.

    @ivar fired, died: what the guard told its owner.
    """

    fired: list[tuple[str, ...]]
    died: int

    @property
    def guard(self) -> GuardClient | MemoryGuard: ...

    def index(self) -> int:
        """Return the index of the interface."""

    def seconds(self) -> float:
        """The clock that deadlines are on."""

    def add(self, text: str) -> None:
        """Add C{ADDRESS/PREFIX} to the interface."""

    def has(self, text: str) -> bool:
        """Whether C{ADDRESS/PREFIX} is on the interface."""

    def said(self) -> list[bytes]:
        """The datagrams that came for 239.2.3.4:5555 so far."""

    def resigned(self) -> list[tuple[str, str, int, bytes]]:
        """Source, destination, hops and bytes of each packet of protocol 112 that was said so far."""

    def kill(self) -> None:
        """Kill the guard."""

    def hang(self, seconds: float) -> None:
        """Let nothing of the guard's owner run for so long."""

    def until(self, condition: Callable[[], bool]) -> Awaitable[None]:
        """Wait for it; fail after some seconds."""


def deletionOf(world: GuardWorld, text: str) -> bytes:
    """Encode the deletion of C{ADDRESS/PREFIX}."""
    parsed = ip_interface(text)
    return encodeDelete(parsed.ip, parsed.network.prefixlen, world.index())


async def armed(
    world: GuardWorld,
    group: str,
    text: str,
    seconds: float,
    word: bytes = b"goodbye",
    lease: str = "",
) -> None:
    """Arm, by this lease or by one of its own, and only then add the address."""
    farewell = Farewell(world.index(), IPv4Address("239.2.3.4"), 5555, word)
    deadline = world.seconds() + seconds
    await world.guard.arm(group, 7, lease or group, deadline, [deletionOf(world, text)], [farewell])
    world.add(text)


def elapsed(world: GuardWorld, at: float) -> Awaitable[None]:
    """Wait for a time."""
    return world.until(lambda: world.seconds() >= at)


def firings(world: GuardWorld, count: int) -> Awaitable[None]:
    """Wait until the owner was told of so many."""
    return world.until(lambda: len(world.fired) == count)


async def isGuard(world: GuardWorld) -> None:
    """It provides the interface."""
    assert verifyObject(IGuard, world.guard)


async def notStarted(world: GuardWorld) -> None:
    """Nothing can be armed before it is started, or after it is stopped; and it can start again."""
    for _ in range(2):
        try:
            await world.guard.arm("web", 1, "web", world.seconds() + LONG, [])
        except GuardError:
            pass
        else:
            raise AssertionError("it should have failed")
        await world.guard.start()
        await armed(world, "web", "10.9.0.100/24", LONG)
        await world.guard.disarm("web")
        await world.guard.stop()
    assert world.has("10.9.0.100/24")


async def firesAtDeadline(world: GuardWorld) -> None:
    """When nobody pets it, the address is deleted at the deadline, and the farewell said three times."""
    await world.guard.start()
    began = world.seconds()
    await armed(world, "web", "10.9.0.100/24", TOLERANCE)
    await world.until(lambda: not world.has("10.9.0.100/24"))
    assert world.seconds() - began >= TOLERANCE
    await world.until(lambda: world.said() == [b"goodbye"] * 3)
    await world.until(lambda: bool(world.fired))
    assert world.fired == [("web",)]
    assert world.guard.counters["fired"] == 1
    assert not world.guard.permits("web")


async def pettedHolds(world: GuardWorld) -> None:
    """While it is petted nothing is deleted, over several deadlines, and everything is when that ends."""
    await world.guard.start()
    began = world.seconds()
    await armed(world, "web", "10.9.0.100/24", TOLERANCE)
    for n in range(1, 9):
        await elapsed(world, began + n * TOLERANCE / 2)
        assert world.guard.check()
        assert world.guard.permits("web")
        assert world.has("10.9.0.100/24")
        world.guard.pet({"web": world.seconds() + TOLERANCE})
    last = world.seconds()
    await world.until(lambda: not world.has("10.9.0.100/24"))
    assert world.seconds() >= last + TOLERANCE * 0.99
    await world.until(lambda: world.fired == [("web",)])


async def disarmedStays(world: GuardWorld) -> None:
    """What is disarmed is not deleted, and can be armed again."""
    await world.guard.start()
    began = world.seconds()
    for _ in range(2):
        await armed(world, "web", "10.9.0.100/24", TOLERANCE)
        await world.guard.disarm("web")
        assert not world.guard.permits("web")
    await world.guard.disarm("never armed")
    await elapsed(world, began + 1.5 * TOLERANCE)
    assert world.has("10.9.0.100/24")
    assert world.guard.check()
    assert world.fired == []
    assert world.said() == []


async def latePet(world: GuardWorld) -> None:
    """An owner that hung past the deadline finds out when it looks, and a pet saves nothing any more."""
    await world.guard.start()
    await armed(world, "web", "10.9.0.100/24", TOLERANCE)
    world.hang(1.5 * TOLERANCE)
    world.guard.pet({"web": world.seconds() + LONG})
    assert not world.guard.permits("web")
    assert world.fired == [("web",)]
    assert world.guard.check()
    await world.until(lambda: not world.has("10.9.0.100/24"))


async def armedTooLate(world: GuardWorld) -> None:
    """An owner that hung past the deadline before it knew that it was armed is never told that it is."""
    await world.guard.start()
    if isinstance(world.guard, MemoryGuard):
        world.guard.slow = True
    arming = world.guard.arm(
        "web", 7, "web", world.seconds() + TOLERANCE, [deletionOf(world, "10.9.0.100/24")]
    )
    world.hang(1.5 * TOLERANCE)
    if isinstance(world.guard, MemoryGuard):
        world.guard.confirm()
    try:
        await arming
    except GuardError:
        pass
    else:
        raise AssertionError("it should have failed")
    assert not world.guard.permits("web")
    await world.until(lambda: world.fired == [("web",)])


async def untilWhen(world: GuardWorld) -> None:
    """It knows until when a group may be held; before it is armed, and after its end, not at all."""
    await world.guard.start()
    assert world.guard.until("web") < 0
    await armed(world, "web", "10.9.0.100/24", TOLERANCE)
    assert abs(world.guard.until("web") - world.seconds() - TOLERANCE) < 0.1
    world.guard.pet({"web": world.seconds() + LONG})
    assert abs(world.guard.until("web") - world.seconds() - LONG) < 0.1
    await world.guard.disarm("web")
    assert world.guard.until("web") < 0


async def foundByLooking(world: GuardWorld) -> None:
    """The first look after the deadline says so, once, before anything else runs."""
    await world.guard.start()
    await armed(world, "web", "10.9.0.100/24", TOLERANCE)
    world.hang(1.5 * TOLERANCE)
    assert world.fired == []
    assert not world.guard.check()
    assert world.fired == [("web",)]
    assert world.guard.check()
    await world.until(lambda: world.said() == [b"goodbye"] * 3)
    assert world.fired == [("web",)]


async def allFire(world: GuardWorld) -> None:
    """When the deadline of one group passes, all are let go of: the farewell ends the whole session."""
    await world.guard.start()
    await armed(world, "web", "10.9.0.100/24", TOLERANCE)
    await armed(world, "mail", "10.9.0.101/24", LONG)
    await world.until(lambda: not world.has("10.9.0.101/24"))
    assert not world.has("10.9.0.100/24")
    await world.until(lambda: bool(world.fired))
    assert set(world.fired[0]) == {"web", "mail"}


async def armedAnew(world: GuardWorld) -> None:
    """Arming what is armed replaces the deletions and the farewell; the old ones are forgotten."""
    await world.guard.start()
    await armed(world, "web", "10.9.0.100/24", TOLERANCE, b"old")
    await armed(world, "web", "10.9.0.101/24", TOLERANCE, b"new")
    await world.until(lambda: not world.has("10.9.0.101/24"))
    await world.until(lambda: world.said() == [b"new"] * 3)
    assert world.has("10.9.0.100/24")


async def armedAfterFiring(world: GuardWorld) -> None:
    """After it fired another one takes its place, and guards as the first did."""
    await world.guard.start()
    for n in (1, 2):
        await armed(world, "web", "10.9.0.100/24", TOLERANCE)
        await world.until(lambda: not world.has("10.9.0.100/24"))
        await firings(world, n)
    await world.until(lambda: len(world.said()) == 6)


async def replaced(world: GuardWorld) -> None:
    """One that is killed is replaced and armed again: the address stays, and is still guarded."""
    await world.guard.start()
    await armed(world, "web", "10.9.0.100/24", 4 * TOLERANCE)
    world.kill()
    await world.until(lambda: world.died == 1)
    assert world.guard.permits("web")
    assert world.has("10.9.0.100/24")
    await world.until(lambda: not world.has("10.9.0.100/24"))
    await world.until(lambda: world.fired == [("web",)])
    assert world.guard.counters == {"died": 1, "fired": 1}


async def noFarewell(world: GuardWorld) -> None:
    """After a deletion that the kernel refuses no farewell is said; the others are deleted all the same."""
    await world.guard.start()
    wrong = bytearray(deletionOf(world, "10.9.0.101/24"))
    wrong[16] = 99  # no such address family
    farewell = Farewell(world.index(), IPv4Address("239.2.3.4"), 5555, b"goodbye")
    deletions = [bytes(wrong), deletionOf(world, "10.9.0.100/24")]
    await world.guard.arm("web", 7, "web", world.seconds() + TOLERANCE, deletions, [farewell])
    world.add("10.9.0.100/24")
    await world.until(lambda: not world.has("10.9.0.100/24"))
    await world.until(lambda: bool(world.fired))
    assert world.said() == []


async def goneIsGone(world: GuardWorld) -> None:
    """What is not there, or on no interface that exists, counts as gone: the farewell is said."""
    await world.guard.start()
    nowhere = ip_interface("10.9.0.101/24")
    deletions = [
        encodeDelete(nowhere.ip, 24, 4321),
        deletionOf(world, "10.9.0.100/24"),
    ]
    farewell = Farewell(world.index(), IPv4Address("239.2.3.4"), 5555, b"goodbye")
    await world.guard.arm("web", 7, "web", world.seconds() + TOLERANCE, deletions, [farewell])
    await world.until(lambda: world.said() == [b"goodbye"] * 3)


async def resigns(world: GuardWorld) -> None:
    """
    It says goodbye by another protocol, too: with 255 hops, from the source that it was told.

    That source need not be there any more: the others know this node by it.
    """
    await world.guard.start()
    own, group = IPv4Address("10.9.0.1"), IPv4Address("224.0.0.18")
    gone, own6, group6 = ip_address("10.9.0.77"), ip_address("fd09::1"), ip_address("ff02::12")
    index = world.index()
    farewells = [
        Farewell(index, group, 0, b"to all", own, 112),
        Farewell(index, group, 0, b"from where?", gone, 112),
        Farewell(index, group6, 0, b"to all6", own6, 112),
        Farewell(index, IPv4Address("239.2.3.4"), 5555, b"goodbye"),
    ]
    await world.guard.arm("web", 7, "web", world.seconds() + TOLERANCE, [], farewells)
    expected = [
        ("10.9.0.1", "224.0.0.18", 255, b"to all"),
        ("10.9.0.77", "224.0.0.18", 255, b"from where?"),
        ("fd09::1", "ff02::12", 255, b"to all6"),
    ]
    await world.until(lambda: sorted(world.resigned()) == sorted(expected * 3))
    assert world.said() == [b"goodbye"] * 3


async def oneLease(world: GuardWorld) -> None:
    """One pet holds all that follow the lease, and what nobody follows saves nothing; without it all are let go of."""
    await world.guard.start()
    began = world.seconds()
    await armed(world, "web", "10.9.0.100/24", TOLERANCE, lease="one")
    await armed(world, "mail", "10.9.0.101/24", TOLERANCE, lease="one")
    for n in range(1, 5):
        await elapsed(world, began + n * TOLERANCE / 2)
        assert world.guard.check()
        world.guard.pet({"one": world.seconds() + TOLERANCE, "none": world.seconds() + LONG})
    assert abs(world.guard.until("web") - world.guard.until("mail")) < 0.1
    last = world.seconds()
    await world.until(lambda: not (world.has("10.9.0.100/24") or world.has("10.9.0.101/24")))
    assert world.seconds() >= last + TOLERANCE * 0.99
    await world.until(lambda: bool(world.fired))
    assert set(world.fired[0]) == {"web", "mail"}


async def oneOfTwoLeases(world: GuardWorld) -> None:
    """The lease that ends first counts, however long another one lasts."""
    await world.guard.start()
    began = world.seconds()
    await armed(world, "web", "10.9.0.100/24", TOLERANCE, lease="short")
    await armed(world, "mail", "10.9.0.101/24", LONG, lease="long")
    world.guard.pet({"long": world.seconds() + LONG})
    await world.until(lambda: not (world.has("10.9.0.100/24") or world.has("10.9.0.101/24")))
    assert TOLERANCE <= world.seconds() - began < 3 * TOLERANCE


async def anotherLease(world: GuardWorld) -> None:
    """A group goes on by another lease: the first one's end is nothing to it then, and the other one's is."""
    await world.guard.start()
    began = world.seconds()
    await armed(world, "web", "10.9.0.100/24", TOLERANCE, lease="one")
    world.guard.follow("web", "two", world.seconds() + 2 * TOLERANCE)
    world.guard.follow("none", "two", world.seconds() + LONG)
    assert world.guard.until("web") > began + 1.5 * TOLERANCE
    world.guard.pet({"one": world.seconds() + LONG})
    await world.until(lambda: not world.has("10.9.0.100/24"))
    assert world.seconds() - began >= 2 * TOLERANCE
    await world.until(lambda: world.fired == [("web",)])


async def followedTooLate(world: GuardWorld) -> None:
    """What hung past the end of its lease is not saved by another one, nor by being armed with another one."""
    await world.guard.start()
    for n, again in enumerate((False, True), 1):
        await armed(world, "web", "10.9.0.100/24", TOLERANCE, lease="one")
        await armed(world, "mail", "10.9.0.101/24", LONG, lease="two")
        world.hang(1.5 * TOLERANCE)
        if again:
            arming = world.guard.arm("web", 7, "two", world.seconds() + LONG, [])
            arming.addErrback(lambda failure: failure.trap(GuardError))
        else:
            world.guard.follow("web", "two", world.seconds() + LONG)
        assert not world.guard.permits("web")
        await firings(world, n)
        await world.until(lambda: not (world.has("10.9.0.100/24") or world.has("10.9.0.101/24")))
        assert set(world.fired[-1]) == {"web", "mail"}


async def leftLease(world: GuardWorld) -> None:
    """A lease that nobody follows any more ends for nobody; who follows it later does so anew."""
    await world.guard.start()
    began = world.seconds()
    await armed(world, "web", "10.9.0.100/24", TOLERANCE, lease="one")
    await armed(world, "mail", "10.9.0.101/24", LONG, lease="two")
    await world.guard.disarm("web")
    await elapsed(world, began + 1.5 * TOLERANCE)
    assert world.guard.check()
    assert world.has("10.9.0.101/24")
    await armed(world, "web", "10.9.0.100/24", LONG, lease="one")
    assert world.guard.permits("web")
    assert world.fired == []


async def saidOnce(world: GuardWorld) -> None:
    """What several groups say alike is said for all of them, three times; a group that is disarmed says nothing."""
    await world.guard.start()
    await armed(world, "dns", "10.9.0.102/24", TOLERANCE, b"other", "one")
    await armed(world, "web", "10.9.0.100/24", TOLERANCE, lease="one")
    await armed(world, "mail", "10.9.0.101/24", TOLERANCE, lease="one")
    await world.guard.disarm("dns")
    await world.until(lambda: len(world.said()) == 3)
    assert world.said() == [b"goodbye"] * 3
    await world.until(lambda: bool(world.fired))


async def manyAtOnce(world: GuardWorld) -> None:
    """A thousand groups are armed, by a lease each or by one for all, and held by one call."""
    await world.guard.start()
    for leases in (1, 1000):
        names = [f"group{n}" for n in range(1000)]
        late = world.seconds() + LONG
        arming = [
            world.guard.arm(name, 7, f"lease{n % leases}", late, []) for n, name in enumerate(names)
        ]
        world.guard.flush()
        for each in arming:
            await each
        world.guard.pet({f"lease{n}": late + LONG for n in range(leases)})
        assert min(map(world.guard.until, names)) > late + LONG - 1.0
        for name in names:
            await world.guard.disarm(name)
    assert (world.fired, world.died) == ([], 0)


async def confirmedTogether(world: GuardWorld) -> None:
    """Who waits for one of many that are confirmed together may look how it stands: that is not one deep stack."""
    await world.guard.start()
    if isinstance(world.guard, MemoryGuard):
        world.guard.slow = True
    names = [f"group{n}" for n in range(500)]
    late, depths, looked = world.seconds() + LONG, [], Deferred[None]()

    def look(_: None, name: str) -> None:
        depths.append(len(inspect.stack(0)))
        assert world.guard.until(name) > late - 1.0
        if len(depths) == len(names):
            looked.callback(None)

    arming = [world.guard.arm(name, 7, "lease", late, []) for name in names]
    for name, each in zip(names, arming, strict=True):
        each.addCallback(look, name)
    world.guard.flush()
    # All of them are answered before any answer is read.
    world.hang(0.2)
    if isinstance(world.guard, MemoryGuard):
        world.guard.confirm()
    await looked
    assert max(depths) < min(depths) + 10
    for each in arming:
        await each


async def endedWhileTold(world: GuardWorld) -> None:
    """Whose group was disarmed by somebody who is told before it is never told that it is armed."""
    await world.guard.start()
    if isinstance(world.guard, MemoryGuard):
        world.guard.slow = True
    late = world.seconds() + LONG
    first = world.guard.arm("web", 7, "lease", late, [])
    second = world.guard.arm("mail", 7, "lease", late, [])
    first.addCallback(lambda _: world.guard.disarm("mail"))
    world.guard.flush()
    world.hang(0.2)
    if isinstance(world.guard, MemoryGuard):
        world.guard.confirm()
    await first
    try:
        await second
    except GuardError:
        pass
    else:
        raise AssertionError("it should have failed")


async def stoppedArmed(world: GuardWorld) -> None:
    """What is still armed when it is stopped is let go of, and its owner is not told of it."""
    await world.guard.start()
    await armed(world, "web", "10.9.0.100/24", LONG)
    await world.guard.stop()
    assert not world.has("10.9.0.100/24")
    assert world.fired == []


Part = Callable[[GuardWorld], Coroutine[Deferred[object], object, None]]

CONTRACT: tuple[Part, ...] = (
    isGuard,
    notStarted,
    firesAtDeadline,
    pettedHolds,
    disarmedStays,
    latePet,
    armedTooLate,
    untilWhen,
    foundByLooking,
    allFire,
    armedAnew,
    armedAfterFiring,
    replaced,
    noFarewell,
    goneIsGone,
    resigns,
    oneLease,
    oneOfTwoLeases,
    anotherLease,
    followedTooLate,
    leftLease,
    saidOnce,
    manyAtOnce,
    confirmedTogether,
    endedWhileTold,
    stoppedArmed,
)
