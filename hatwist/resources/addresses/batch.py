"""Shared addresses: added in one batch, kept, announced, and let go of so that no copy stays."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import inf

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger
from zope.interface import implementer

from hatwist.core.errors import ResourceError
from hatwist.linux.interfaces import INetlink, ISender
from hatwist.linux.lan.sender import PacketSender
from hatwist.linux.netlink.messages import IFA_F_DADFAILED, KernelLink
from hatwist.resources.addresses.announcing import Announcer
from hatwist.resources.addresses.lease import Lease
from hatwist.resources.addresses.places import Found, Places
from hatwist.resources.addresses.placing import Placement, keyOf
from hatwist.resources.addresses.removing import Removal, asked, drop, uncancelled
from hatwist.resources.addresses.renewing import renew
from hatwist.resources.addresses.spec import AddressSpec
from hatwist.resources.addresses.upkeep import RAN_OUT, Upkeep, refusal
from hatwist.resources.interfaces import IAnnouncer, ICloseable, ILeased, IResource

# Seconds until it is asked again whether a lease was renewed
WAIT = 0.05
# Seconds between arming and adding that cost no whole second of the lease
PROMPT = 0.4


@implementer(IResource, IAnnouncer, ICloseable, ILeased)
class Addresses:
    """
    Any number of shared addresses, held and let go of together.

    @param netlink: the kernel; it is started by its owner, before anything is asked here.
    @param specs: the addresses, at least one.
    @param openSender: opens what announces on an interface; OSError when that is not possible.
    @param lease: L{Lease.seconds} at first.
    @param arm: called when it is known what will be added (see L{deletions}), which waits for it.
    @param until: until when they may be here, as the guard has it: see L{Lease}. After that time they are lost.
    @param look: looks what the guard has done: see L{Lease}.
    @ivar upkeep: keeps them while they are held.
    @param busy: whether repeated announcements are to wait.
    """

    guarded = True
    _log = Logger()

    def __init__(
        self,
        reactor: IReactorTime,
        netlink: INetlink,
        specs: Sequence[AddressSpec],
        openSender: Callable[[KernelLink], ISender] = PacketSender,
        lease: int | None = None,
        arm: Callable[[], Deferred[None]] | None = None,
        until: Callable[[], float] = lambda: inf,
        look: Callable[[], object] = lambda: None,
        busy: Callable[[], bool] = lambda: False,
    ) -> None:
        if not specs:
            raise ValueError("no address to share")
        self._reactor = reactor
        self._netlink = netlink
        self._arm = arm
        self.lease = Lease(reactor, lease, until, look)
        self._places = Places(reactor, netlink, openSender)
        self._announcer = Announcer(
            reactor,
            lambda: self._places.announcements(self.upkeep.missing),
            self.lease.mayAdd,
            busy,
        )
        self.upkeep = Upkeep(reactor, netlink, self._places, self.lease, self._announcer)
        self._places.serve(specs)
        self._removal = Removal(self.name, netlink, self.specs)

    @property
    def name(self) -> str:
        """See L{IResource.name}."""
        return self._places.name

    @property
    def specs(self) -> tuple[AddressSpec, ...]:
        """The addresses now, see L{change}."""
        return self._places.specs

    # IResource, IAnnouncer

    def prepare(self) -> Deferred[None]:
        """
        Find the interfaces and encode everything, so that C{acquire} need not. Changes nothing.

        Fails with L{ResourceError} when an address has no place now; it may have one later.
        """
        return Deferred.fromCoroutine(self._place())

    def acquire(self) -> Deferred[None]:
        """See L{IResource.acquire}: all of them, or none is left here."""
        return Deferred.fromCoroutine(self._acquire())

    def release(self) -> Deferred[None]:
        """
        See L{IResource.release}: also of copies that an earlier run left on any interface.

        The first release, which every node makes as it starts, also prepares.
        """
        self.upkeep.end()
        return Deferred.fromCoroutine(self._release())

    def verify(self) -> Deferred[bool]:
        """See L{IResource.verify}: whether every one is there, usable, where it belongs."""
        return Deferred.fromCoroutine(self._verify())

    def change(self, specs: Sequence[AddressSpec]) -> Deferred[None]:
        """
        These from now on, at least one: what is in both lists is not touched.

        While held: fires when the guard knows of them, the new ones are added and announced, and then those
        that are gone are deleted. Fails with L{ResourceError} when a new one has no place or is refused: all
        is as it was then; or when one that is gone cannot be deleted, which the next release tries again.
        While not held: fires when the old and the new ones are proven gone. As an operation of a
        resource it runs beside no other: see L{hatwist.runtime.keeper.Keeper.perform}.
        """
        if not specs:
            raise ValueError("no address to share")
        return Deferred.fromCoroutine(self._change(tuple(dict.fromkeys(specs))))

    def watch(self, lost: Callable[[str], None]) -> None:
        """See L{IResource.watch}."""
        self.upkeep.onLost = lost

    def announce(self) -> None:
        """See L{IAnnouncer.announce}."""
        self.upkeep.announce()

    @property
    def announced(self) -> int:
        """How many frames told the LAN where they are."""
        return self._announcer.sent

    def renew(self, seconds: int) -> Deferred[None]:
        """
        From now on the kernel keeps them for C{seconds}, at least 1. Not held, or without a lease: does nothing.

        Fires when that is so or they are lost; never fails. What had gone is added again. After the
        time until which they may be here nothing is renewed: they are lost.
        """
        return renew([(self.upkeep, seconds)])

    @property
    def leftThere(self) -> bool:
        """A release has found, and removed, what this object had not placed."""
        return self._removal.found

    def deletions(self) -> list[bytes]:
        """
        The netlink messages that delete them all, for the guard: as L{prepare} or L{acquire} placed them.

        Those that set promote_secondaries around the deletions are among them.
        """
        return self._places.deletions()

    def close(self) -> None:
        """Give the packet sockets back. Takes some ms each: after the release, not before."""
        self.upkeep.end()
        self._places.close()

    # Acquire

    async def _acquire(self) -> None:
        try:
            await self._place()
            began = self._reactor.seconds()
            await self._armed()
            self.upkeep.begin()
            self.lease.begin(began)
            await self._addAll([*self._places.placed.values()], await self._leaseToAdd(PROMPT))
            self.upkeep.hold()
        except Exception as error:  # CancelledError is one
            self.upkeep.end()
            await self._rollBack(error)
            raise
        # Closing a socket takes some ms, so it comes after the announcement, and only where the interface is gone.
        self._places.closeUnused()

    async def _addAll(self, placed: Sequence[Placement], seconds: int | None) -> None:
        """Add them, or fail for the first that is refused, and where it was too late."""
        answers = await self._places.add(placed, seconds, self.lease.mayAdd)
        if not self.lease.mayAdd():
            # A process that was stopped between its last look and the kernel's work has added them too late.
            raise ResourceError(f"{self.name}: {RAN_OUT}")
        for placement, number in zip(placed, answers, strict=True):
            if number:
                raise ResourceError(refusal(placement, number))

    async def _rollBack(self, error: BaseException) -> None:
        """Remove everything, whatever happens meanwhile: C{error} must leave no address behind."""
        try:
            await uncancelled(Deferred.fromCoroutine(self._remove()))
        except ResourceError as second:
            raise ResourceError(f"{str(error) or 'cancelled'}; and then: {second}") from error

    async def _place(self) -> None:
        self._places.take(await self._places.find(self.specs))

    # Release

    async def _release(self) -> None:
        await self._remove()
        if not self._places.placed:
            try:
                await self._place()
            except ResourceError as error:
                # It may have a place when it is acquired: an interface can still come.
                self._log.info("{resource} has no place: {error}", resource=self.name, error=error)

    async def _remove(self) -> None:
        await self._removal.remove(list(self._places.placed.values()), self._places.promoted)
        self._places.putBack()

    # Change

    async def _change(self, specs: tuple[AddressSpec, ...]) -> None:
        old, places = self.specs, self._places
        if not self.upkeep.held:
            await Removal(self.name, self._netlink, [*old, *specs]).remove(
                [*places.placed.values()], places.promoted
            )
            places.putBack()
            places.take(Found({}, {}))
            places.serve(specs)
            self._removal = Removal(self.name, self._netlink, specs)
            await self._release()
            return
        before = Found(dict(places.placed), places.links)
        after = await places.find(specs)
        new = [p for key, p in after.placed.items() if key not in before.placed]
        gone = [p for key, p in before.placed.items() if key not in after.placed]
        # A release before the change is complete removes the old addresses and the new ones.
        self._removal = Removal(self.name, self._netlink, [*old, *specs])
        try:
            places.expect(new)
            await self._armed()
            seconds = await self._leaseToAdd() if new else None
            places.take(Found({**before.placed, **after.placed}, after.links))
            self.upkeep.follow()
            await self._addAll(new, seconds)
        except Exception:  # CancelledError is one
            places.take(before)
            self.upkeep.follow()
            self.upkeep.forget(new)
            await uncancelled(Deferred.fromCoroutine(drop(self.name, self._netlink, new, old)))
            raise
        places.take(after)
        places.serve(specs)
        self.upkeep.follow()
        self.upkeep.forget(gone)
        self.announce()
        await drop(self.name, self._netlink, gone, specs)
        self._removal = Removal(self.name, self._netlink, specs)
        if gone:
            await self._armed()

    async def _leaseToAdd(self, late: float = 0.0) -> int | None:
        """
        Wait until a second is left at least: the kernel knows no shorter lease.

        @param late: see L{Lease.left}.
        """
        while self.upkeep.begun and self.lease.mayAdd():
            seconds = self.lease.left(late)
            if seconds is None or seconds > 0:
                return seconds
            await deferLater(self._reactor, WAIT)
        self.upkeep.lose(RAN_OUT)
        raise ResourceError(f"{self.name}: {RAN_OUT}")

    async def _armed(self) -> None:
        if self._arm is not None:
            await self._arm()

    # Verify

    async def _verify(self) -> bool:
        there = await asked(self.name, self._netlink.dumpAddresses())
        usable = {keyOf(entry) for entry in there if not entry.flags & IFA_F_DADFAILED}
        if self._places.placed:
            return self._places.placed.keys() <= usable
        links = await asked(self.name, self._netlink.dumpLinks())
        names = {link.ifindex: link.name for link in links}
        found = {(address, prefix, names.get(ifindex)) for address, prefix, ifindex in usable}
        anywhere = {(address, prefix) for address, prefix, _ in usable}
        return all(
            (spec.address, spec.prefix, spec.interface) in found
            if spec.interface is not None
            else (spec.address, spec.prefix) in anywhere
            for spec in self.specs
        )
