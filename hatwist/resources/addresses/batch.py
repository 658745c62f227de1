"""Shared addresses: added in one batch, kept, announced, and let go of so that no copy stays."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import inf

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from zope.interface import implementer

from hatwist.core.errors import ResourceError
from hatwist.linux.interfaces import INetlink, ISender
from hatwist.linux.lan.sender import PacketSender
from hatwist.linux.netlink.messages import IFA_F_DADFAILED, KernelLink
from hatwist.resources.addresses.places import Found
from hatwist.resources.addresses.placing import AddressSpec, Placement, keyOf
from hatwist.resources.addresses.removing import Removal, drop, uncancelled
from hatwist.resources.addresses.upkeep import RAN_OUT, HeldAddresses, refusal
from hatwist.resources.interfaces import IAnnouncer, ILeased, IResource

__all__ = ["AddressSpec", "Addresses"]

# Seconds until it is asked again whether a lease was renewed
WAIT = 0.05
# Seconds between arming and adding that cost no whole second of the lease
PROMPT = 0.4


@implementer(IResource, IAnnouncer, ILeased)
class Addresses(HeldAddresses):
    """
    Any number of shared addresses, held and let go of together.

    @param netlink: the kernel; it is started by its owner, before anything is asked here.
    @param specs: the addresses, at least one.
    @param openSender: opens what announces on an interface; OSError when that is not possible.
    @param lease: seconds for which they are added, whole, at least 1: the kernel deletes them then, up
        to 1.0 s late, unless L{renew} was called. None: they stay.
    @param arm: called when it is known what will be added (see L{deletions}), which waits for it.
    @param until: until when they may be here, as the guard has it, on the reactor's clock: asked last, before
        anything is added, renewed or announced. After that time they are lost. C{inf}: for the lease.
    @ivar lease: may be changed between two acquires.
    @ivar specs: the addresses now, see L{change}.
    """

    def __init__(
        self,
        reactor: IReactorTime,
        netlink: INetlink,
        specs: Sequence[AddressSpec],
        openSender: Callable[[KernelLink], ISender] = PacketSender,
        lease: int | None = None,
        arm: Callable[[], Deferred[None]] | None = None,
        until: Callable[[], float] = lambda: inf,
    ) -> None:
        if not specs:
            raise ValueError("no address to share")
        if lease is not None and lease < 1:
            raise ValueError(f"a lease of {lease} s: the kernel counts whole seconds from 1")
        super().__init__(reactor, netlink, openSender, lease, until)
        self._arm = arm
        self._serve(specs)

    def _serve(self, specs: Sequence[AddressSpec]) -> None:
        """These are to be held from now on."""
        self.specs = tuple(dict.fromkeys(specs))
        more = f" and {len(self.specs) - 1} more" if len(self.specs) > 1 else ""
        self.name = f"{self.specs[0]}{more}"
        self._removal = Removal(self.name, self._netlink, self.specs)

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
        self._stopHolding()
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
        self._stopHolding()
        self._places.close()

    # Acquire

    async def _acquire(self) -> None:
        try:
            await self._place()
            began = self._reactor.seconds()
            await self._armed()
            if self._unsubscribe is None:
                # From here on, what happens to an address between its adding and the last answer counts.
                self._missing.clear()
                self._unsubscribe = self._netlink.subscribe(self._changed)
            placed = list(self._places.placed.values())
            self._leased = inf if self.lease is None else began + self.lease
            await self._addAll(placed, await self._leaseToAdd(PROMPT))
            self._held = True
            self._announcer.start()
        except Exception as error:  # CancelledError is one
            self._stopHolding()
            await self._rollBack(error)
            raise
        self._restoreSoon()
        # Closing takes some ms: after the announcement, and only if an interface is there no more.
        self._places.closeUnused()

    async def _addAll(self, placed: Sequence[Placement], seconds: int | None) -> None:
        """Add them, or fail for the first that is refused, and where it was too late."""
        answers = await self._add(placed, seconds)
        if not self._mayBeHere():
            # Whoever was stopped in the very moment of adding has added it too late.
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
        self._places.take(await self._places.find(self.name, self.specs))

    # Release

    async def _release(self) -> None:
        await self._remove()
        if not self._places.placed:
            try:
                await self._place()
            except ResourceError as error:
                # no matter yet: an interface may still come
                self._log.info("{resource} has no place: {error}", resource=self.name, error=error)

    async def _remove(self) -> None:
        await self._removal.remove(list(self._places.placed.values()), self._places.promoted)
        self._places.promoted.clear()

    # Change

    async def _change(self, specs: tuple[AddressSpec, ...]) -> None:
        old, places = self.specs, self._places
        if not self._held:
            await Removal(self.name, self._netlink, [*old, *specs]).remove(
                [*places.placed.values()], places.promoted
            )
            places.promoted.clear()
            places.take(Found({}, {}))
            self._serve(specs)
            await self._release()
            return
        before = Found(dict(places.placed), places.links)
        after = await places.find(self.name, specs)
        new = [p for key, p in after.placed.items() if key not in before.placed]
        gone = [p for key, p in before.placed.items() if key not in after.placed]
        # Whatever comes between, a release removes both.
        self._removal = Removal(self.name, self._netlink, [*old, *specs])
        try:
            places.coming = new
            await self._armed()
            seconds = await self._leaseToAdd() if new else None
            places.take(Found({**before.placed, **after.placed}, after.links))
            await self._addAll(new, seconds)
        except Exception:  # CancelledError is one
            places.take(before)
            self._missing.difference_update(p.key for p in new)
            await uncancelled(Deferred.fromCoroutine(drop(self.name, self._netlink, new, old)))
            raise
        places.take(after)
        both = self._removal
        self._serve(specs)
        self._removal = both
        self._missing.intersection_update(after.placed)
        self.announce()
        await drop(self.name, self._netlink, gone, specs)
        self._removal = Removal(self.name, self._netlink, specs)
        if gone:
            await self._armed()

    async def _leaseToAdd(self, late: float = 0.0) -> int | None:
        """
        Wait until a second is left at least: the kernel knows no shorter lease.

        @param late: see L{_left}.
        """
        while self._unsubscribe is not None and self._mayBeHere():
            seconds = self._left(late)
            if seconds is None or seconds > 0:
                return seconds
            await deferLater(self._reactor, WAIT)
        self._lose(RAN_OUT)
        raise ResourceError(f"{self.name}: {RAN_OUT}")

    async def _armed(self) -> None:
        if self._arm is not None:
            await self._arm()

    # Verify

    async def _verify(self) -> bool:
        there = await self._ask(self._netlink.dumpAddresses())
        usable = {keyOf(entry) for entry in there if not entry.flags & IFA_F_DADFAILED}
        if self._places.placed:
            return self._places.placed.keys() <= usable
        links = await self._ask(self._netlink.dumpLinks())
        names = {link.ifindex: link.name for link in links}
        found = {(address, prefix, names.get(ifindex)) for address, prefix, ifindex in usable}
        anywhere = {(address, prefix) for address, prefix, _ in usable}
        return all(
            (spec.address, spec.prefix, spec.interface) in found
            if spec.interface is not None
            else (spec.address, spec.prefix) in anywhere
            for spec in self.specs
        )
