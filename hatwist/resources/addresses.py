"""Shared addresses: added in one batch, kept, announced, and let go of so that no copy stays."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from math import inf
from typing import TypeVar

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger
from zope.interface import implementer

from hatwist import frames
from hatwist.errors import ResourceError
from hatwist.interfaces import IAnnouncer, ILeased, IResource
from hatwist.linux import INetlink, ISender
from hatwist.linux.messages import (
    IFA_F_DADFAILED,
    Address,
    AddressChange,
    Event,
    EventsLost,
    KernelLink,
    LinkChange,
    lasting,
)
from hatwist.linux.packet import PacketSender
from hatwist.resources.announcing import Announcer
from hatwist.resources.placing import (
    AddressSpec,
    Finder,
    Placement,
    announcementsOf,
    keyOf,
    place,
)
from hatwist.resources.removing import Removal, asked, deleting, explained

__all__ = ["AddressSpec", "Addresses"]

# Addresses encoded in one turn of the reactor: 8 ms
ENCODED = 50
# Who deletes an address more often than this in a second will not stop: the address is lost then.
FIGHT = 20
RAN_OUT = "its lease ran out"
_Key = tuple[Address, int, int]
_T = TypeVar("_T")


@implementer(IResource, IAnnouncer, ILeased)
class Addresses:
    """
    Any number of shared addresses, held and let go of together.

    @param netlink: the kernel; it is started by its owner, before anything is asked here.
    @param specs: the addresses, at least one.
    @param openSender: opens what announces on an interface; OSError when that is not possible.
    @param lease: seconds for which they are added, whole, at least 1: the kernel deletes them then, up
        to 1.0 s late, unless L{renew} was called. None: they stay.
    @param arm: called when it is known what will be added (see L{deletions}), which waits for it.
    @param permitted: asked before anything is added again or renewed; if not, they are lost.
    @ivar lease: may be changed between two acquires.
    """

    _log = Logger()

    def __init__(
        self,
        reactor: IReactorTime,
        netlink: INetlink,
        specs: Sequence[AddressSpec],
        openSender: Callable[[KernelLink], ISender] = PacketSender,
        lease: int | None = None,
        arm: Callable[[], Deferred[None]] | None = None,
        permitted: Callable[[], bool] = lambda: True,
    ) -> None:
        if not specs:
            raise ValueError("no address to share")
        if lease is not None and lease < 1:
            raise ValueError(f"a lease of {lease} s: the kernel counts whole seconds from 1")
        frames.templates()  # scapy's slow import happens here, while nothing is urgent
        self._reactor = reactor
        self._netlink = netlink
        self._specs = tuple(dict.fromkeys(specs))
        self._openSender = openSender
        self.lease = lease
        self._arm = arm
        self._permitted = permitted
        self._until = inf  # when the lease ends that was last asked for
        self._waiter: IDelayedCall | None = None
        self._senders: dict[int, ISender] = {}
        self._placed: dict[_Key, Placement] = {}
        self._links: dict[int, KernelLink] = {}
        self._held = False
        self._missing: set[_Key] = set()
        self._doubt = False
        self._restorer: IDelayedCall | None = None
        self._restored: dict[_Key, tuple[float, int]] = {}
        self._indexes: frozenset[int] = frozenset()
        self._announcer = Announcer(reactor, self._announcements)
        self._unsubscribe: Callable[[], None] | None = None
        self._lost: Callable[[str], None] | None = None
        more = f" and {len(self._specs) - 1} more" if len(self._specs) > 1 else ""
        self.name = f"{self._specs[0]}{more}"
        self._removal = Removal(self.name, netlink, self._specs)

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

    def watch(self, lost: Callable[[str], None]) -> None:
        """See L{IResource.watch}."""
        self._lost = lost

    def announce(self) -> None:
        """See L{IAnnouncer.announce}."""
        if self._held:
            self._announcer.start()

    @property
    def announced(self) -> int:
        """How many frames told the LAN where they are."""
        return self._announcer.sent

    def renew(self, seconds: int) -> Deferred[None]:
        """
        From now on the kernel keeps them for C{seconds}, at least 1. Not held, or without a lease: does nothing.

        Fires when that is so or they are lost; never fails. What had gone is added again. After the
        time that was last confirmed nothing is renewed: they are lost.
        """
        if seconds < 1:
            raise ValueError(f"a lease of {seconds} s: the kernel counts whole seconds from 1")
        renewing = Deferred.fromCoroutine(self._renew(seconds))
        return renewing.addErrback(lambda failure: self._lose(f"not renewed: {failure.value}"))

    def deletions(self) -> list[bytes]:
        """
        The netlink messages that delete them all, for the guard: as L{prepare} or L{acquire} placed them.

        Those that set promote_secondaries around the deletions are among them.
        """
        return deleting(
            [(self._links.get(p.link.ifindex, p.link), p.delete) for p in self._placed.values()]
        )

    def close(self) -> None:
        """Give the packet sockets back. Takes some ms each: after the release, not before."""
        self._stopHolding()
        senders, self._senders = self._senders, {}
        for sender in senders.values():
            sender.close()

    # Acquire

    async def _acquire(self) -> None:
        try:
            await self._place()
            if self._arm is not None:
                await self._arm()
            if self._unsubscribe is None:
                # From here on, what happens to an address between its adding and the last answer counts.
                self._missing.clear()
                self._unsubscribe = self._netlink.subscribe(self._changed)
            placed = list(self._placed.values())
            self._until = inf if self.lease is None else self._reactor.seconds() + self.lease
            answers = await self._add(placed, self.lease)
            for placement, number in zip(placed, answers, strict=True):
                if number:
                    raise ResourceError(_refused(placement, number))
            self._held = True
            self._announcer.start()
        except Exception as error:  # CancelledError is one
            self._stopHolding()
            await self._rollBack(error)
            raise
        self._restoreSoon()
        # Closing takes some ms: after the announcement, and only if an interface is there no more.
        for ifindex in self._senders.keys() - self._links.keys():
            self._senders.pop(ifindex).close()

    async def _add(self, placed: Sequence[Placement], seconds: int | None) -> list[int]:
        """Add or renew them, for C{seconds} or for ever; return an errno for each."""
        messages = [placement.add for placement in placed]
        if seconds is not None:
            messages = [lasting(message, seconds) for message in messages]
        return await self._ask(self._netlink.request(messages))

    async def _rollBack(self, error: BaseException) -> None:
        """Remove everything, whatever happens meanwhile: C{error} must leave no address behind."""
        try:
            await _uncancelled(Deferred.fromCoroutine(self._remove()))
        except ResourceError as second:
            raise ResourceError(f"{str(error) or 'cancelled'}; and then: {second}") from error

    async def _place(self) -> None:
        """Find each address's interface anew; encode again only what changed."""
        links = await self._ask(self._netlink.dumpLinks())
        routes = []
        if any(spec.interface is None for spec in self._specs):
            routes = await self._ask(self._netlink.dumpRoutes())
        finder = Finder(links, routes)
        before = {placement.spec: placement for placement in self._placed.values()}
        placed: dict[_Key, Placement] = {}
        encoded = 0
        for spec in self._specs:
            link = finder.find(spec)
            placement = before.get(spec)
            if placement is not None and placement.fits(link):
                placement = placement._replace(link=link)
            else:
                placement = place(spec, link)
                encoded += 1
                if encoded % ENCODED == 0:
                    await deferLater(self._reactor, 0)
            placed[placement.key] = placement
            self._open(link)
        # An address that moved stays known where it was until the next release, by the dump there.
        self._placed = placed
        self._indexes = frozenset(placement.link.ifindex for placement in placed.values())
        self._links = {link.ifindex: link for link in links}

    def _open(self, link: KernelLink) -> None:
        if link.ifindex in self._senders or not link.resolves:
            return
        try:
            self._senders[link.ifindex] = self._openSender(link)
        except OSError as error:
            raise ResourceError(
                f"{self.name}: cannot announce on {link.name}: {explained(error.errno)}"
            ) from error

    # Release

    def _stopHolding(self) -> None:
        """From now on nothing is announced and nothing comes back; what is there is still there."""
        self._held = False
        self._announcer.stop()
        self._missing.clear()
        self._restored.clear()
        self._doubt = False
        for call in (self._restorer, self._waiter):
            if call is not None and call.active():
                call.cancel()
        self._restorer = self._waiter = None
        unsubscribe, self._unsubscribe = self._unsubscribe, None
        if unsubscribe is not None:
            unsubscribe()

    async def _release(self) -> None:
        await self._remove()
        if not self._placed:
            try:
                await self._place()
            except ResourceError as error:
                # no matter yet: an interface may still come
                self._log.info("{resource} has no place: {error}", resource=self.name, error=error)

    async def _remove(self) -> None:
        await self._removal.remove(list(self._placed.values()))

    # Verify

    async def _verify(self) -> bool:
        there = await self._ask(self._netlink.dumpAddresses())
        usable = {keyOf(entry) for entry in there if not entry.flags & IFA_F_DADFAILED}
        if self._placed:
            return self._placed.keys() <= usable
        links = await self._ask(self._netlink.dumpLinks())
        names = {link.ifindex: link.name for link in links}
        found = {(address, prefix, names.get(ifindex)) for address, prefix, ifindex in usable}
        anywhere = {(address, prefix) for address, prefix, _ in usable}
        return all(
            (spec.address, spec.prefix, spec.interface) in found
            if spec.interface is not None
            else (spec.address, spec.prefix) in anywhere
            for spec in self._specs
        )

    # What happens to them while they are held

    def _changed(self, events: Sequence[Event]) -> None:
        for event in events:
            if isinstance(event, AddressChange):
                key = keyOf(event.entry)
                if key in self._placed:
                    (self._missing.discard if event.present else self._missing.add)(key)
            elif isinstance(event, EventsLost):
                self._doubt = True
            elif event.link.ifindex in self._indexes:
                self._linkChanged(event)
        self._restoreSoon()

    def _linkChanged(self, event: LinkChange) -> None:
        link = event.link
        before = self._links.get(link.ifindex, link)
        if not event.present:
            self._lose(f"interface {link.name} is gone")
            return
        self._links[link.ifindex] = link
        here = [p for p in self._placed.values() if p.link.ifindex == link.ifindex]
        if (link.mac, link.resolves) != (before.mac, before.resolves):
            for placement in here:
                self._placed[placement.key] = placement._replace(
                    link=link, frames=announcementsOf(placement.spec, link)
                )
        if link.mac != before.mac or (link.running and not before.running):
            self.announce()

    def _restoreSoon(self) -> None:
        """Restore what is missing in the reactor's next turn: all that went together, at once."""
        if self._held and (self._missing or self._doubt) and self._restorer is None:
            self._restorer = self._reactor.callLater(0, self._restore)

    def _restore(self) -> None:
        self._restorer = None
        done = Deferred.fromCoroutine(self._restoreNow())
        done.addErrback(lambda failure: self._lose(f"cannot be restored: {failure.value}"))

    async def _restoreNow(self) -> None:
        if self._doubt:
            await self._compare()
        waiting = [key for key in self._missing if key in self._placed and self._links[key[2]].up]
        if not self._held or not waiting:
            return
        if not self._mayAdd():
            self._lose(RAN_OUT)
            return
        seconds = self._left()
        if seconds == 0:
            # The kernel has no shorter lease than a second: the renewal adds them, if it comes in time.
            self._waitForRenewal()
            return
        # From here on a deletion is a new one, even if its event comes before our answer.
        self._missing.difference_update(waiting)
        if (fought := self._fought(waiting)) is not None:
            self._lose(f"{self._placed[fought].spec}: another program keeps deleting it")
            return
        self._log.warn(
            "{resource}: {count} of its addresses had gone, and are added again",
            resource=self.name,
            count=len(waiting),
        )
        placed = [self._placed[key] for key in waiting]
        answers = await self._add(placed, seconds)
        refused = [(p, number) for p, number in zip(placed, answers, strict=True) if number]
        if refused:
            await self._cannotRestore(refused)
        if self._held:
            self._announcer.start()

    # The lease

    def _mayAdd(self) -> bool:
        return self._reactor.seconds() < self._until and self._permitted()

    def _left(self) -> int | None:
        """Return the whole seconds that the lease still lasts."""
        return None if self.lease is None else int(self._until - self._reactor.seconds())

    def _waitForRenewal(self) -> None:
        if self._waiter is None or not self._waiter.active():
            wait = max(0.0, self._until - self._reactor.seconds())
            self._waiter = self._reactor.callLater(wait, self._restore)

    async def _renew(self, seconds: int) -> None:
        if not self._held or self.lease is None:
            return
        if not self._mayAdd():
            self._lose(RAN_OUT)
            return
        here = [
            placement
            for key, placement in self._placed.items()
            if key not in self._missing or self._links[key[2]].up
        ]
        back = [placement.key for placement in here if placement.key in self._missing]
        self._missing.difference_update(back)
        self._until = self._reactor.seconds() + seconds
        answers = await self._add(here, seconds)
        if self._held and not self._permitted():
            # The guard let go of them in this very moment, and this may have added them again.
            self._lose(RAN_OUT)
        refused = [(p, number) for p, number in zip(here, answers, strict=True) if number]
        if refused and self._held:
            await self._cannotRestore(refused)
        if back and self._held:
            self._announcer.start()

    # Losses

    async def _cannotRestore(self, refused: list[tuple[Placement, int]]) -> None:
        """Wait for an interface that is down; otherwise an address is lost."""
        links = await self._ask(self._netlink.dumpLinks())
        down = {link.ifindex for link in links if not link.up}
        for placement, number in refused:
            if not self._held:
                return
            if placement.link.ifindex in down:
                self._links.update((link.ifindex, link) for link in links)
                self._missing.add(placement.key)
            else:
                self._lose(_refused(placement, number))

    async def _compare(self) -> None:
        """Events were lost: make up for them by what the kernel has now."""
        self._doubt = False
        for link in await self._ask(self._netlink.dumpLinks()):
            if self._held and link.ifindex in self._indexes:
                self._linkChanged(LinkChange(True, link))
        there = {keyOf(entry) for entry in await self._ask(self._netlink.dumpAddresses())}
        if self._held:
            self._missing.update(self._placed.keys() - there)

    def _fought(self, keys: Sequence[_Key]) -> _Key | None:
        """Count restorations; return an address restored more than L{FIGHT} times in a second."""
        now = self._reactor.seconds()
        for key in keys:
            since, count = self._restored.get(key, (now, 0))
            if now - since >= 1.0:
                since, count = now, 0
            if count >= FIGHT:
                return key
            self._restored[key] = since, count + 1
        return None

    def _lose(self, reason: str) -> None:
        if not self._held:
            return
        self._stopHolding()
        self._log.error("{resource} is lost: {reason}", resource=self.name, reason=reason)
        if self._lost is not None:
            self._lost(reason)

    # Common

    def _announcements(self) -> Iterator[tuple[ISender, bytes]]:
        """Yield each frame with its sender: first the form that most hosts heed, of every address."""
        for form in range(2):
            for key, placement in list(self._placed.items()):
                sender = self._senders.get(placement.link.ifindex)
                if sender is None or key in self._missing:
                    continue
                if form < len(placement.frames):
                    yield sender, placement.frames[form]

    async def _ask(self, answer: Deferred[_T]) -> _T:
        return await asked(self.name, answer)


async def _uncancelled(work: Deferred[_T]) -> _T:
    """Wait for C{work} to its end, however often the waiting is cancelled."""
    while not work.called or isinstance(work.result, Deferred):
        waiting: Deferred[None] = Deferred()

        def done(result: _T, waiting: Deferred[None] = waiting) -> _T:
            if not waiting.called:
                waiting.callback(None)
            return result

        work.addBoth(done)
        try:
            await waiting
        except CancelledError:
            continue
    return await work


def _refused(placement: Placement, number: int) -> str:
    spec, link = placement.spec, placement.link
    return f"{spec.address}/{spec.prefix} was refused by {link.name}: {explained(number)}"
