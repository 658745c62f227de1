"""A kernel in memory: L{INetlink} and L{ISender} for tests, also for those of programs that use us."""

from __future__ import annotations

import errno
from collections.abc import Callable, Collection, Sequence
from ipaddress import IPv4Address, ip_network
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from zope.interface import implementer

from hatwist.linux.interfaces import INetlink, ISender
from hatwist.linux.netlink.messages import (
    FOREVER,
    IFA_F_DEPRECATED,
    IFA_F_PERMANENT,
    IFA_F_SECONDARY,
    IFF_RUNNING,
    IFF_UP,
    RTM_DELADDR,
    RTM_NEWADDR,
    RTM_SETLINK,
    Address,
    AddressChange,
    Event,
    KernelAddress,
    KernelLink,
    KernelRoute,
    LinkChange,
    Message,
    decodeAddress,
    decodeLink,
    split,
)
from hatwist.linux.netlink.subscribers import About, Subscribers


@implementer(INetlink)
class MemoryKernel:
    """
    Interfaces, addresses and routes that live in this object, and answer at once.

    It reads the same bytes as the kernel. What a test arranges (C{addLink} and so on) is what other
    programs and administrators do; C{frames} is what was sent.

    @param reactor: by its clock addresses with a valid_lft go away; without one they stay.
    @ivar refuse: errno with which adding an address is refused.
    @ivar refuseDelete: errno with which deleting an address is refused.
    @ivar frames: (interface name, frame) in the order of sending.
    @ivar requests: how many batches of changes were made.
    """

    def __init__(self, reactor: IReactorTime | None = None) -> None:
        self._reactor = reactor
        self._expiries: dict[tuple[Address, int, int], IDelayedCall] = {}
        self.links: dict[int, KernelLink] = {}
        self.addresses: list[KernelAddress] = []
        self.routes: list[KernelRoute] = []
        self.refuse: dict[Address, int] = {}
        self.refuseDelete: dict[Address, int] = {}
        self.frames: list[tuple[str, bytes]] = []
        self.senders: list[MemorySender] = []
        self.requests = 0
        self.broken: OSError | None = None
        self._paused = False
        self._untold: list[Event] = []
        self._waiting: list[tuple[Deferred[Any], Callable[[], Any]]] = []
        self._subscribers = Subscribers()

    # What a test arranges

    def addLink(self, name: str, mac: bytes, *, up: bool = True) -> int:
        """Add an interface; return its index."""
        ifindex = max(self.links, default=0) + 1
        flags = IFF_UP | IFF_RUNNING if up else 0
        self.links[ifindex] = KernelLink(ifindex, name, flags, mac)
        self._tell(LinkChange(True, self.links[ifindex]))
        return ifindex

    def changeLink(self, ifindex: int, **changes: Any) -> None:
        """Change fields of an interface; one that goes down loses its IPv6 addresses."""
        before = self.links[ifindex]
        after = before._replace(**changes)
        self.links[ifindex] = after
        if before.up and not after.up:
            for entry in [e for e in self.addresses if e.ifindex == ifindex]:
                if entry.address.version == 6:
                    self._drop(entry)
        self._tell(LinkChange(True, after))

    def removeLink(self, ifindex: int) -> None:
        """Take an interface away, and its addresses with it."""
        for entry in [e for e in self.addresses if e.ifindex == ifindex]:
            self._drop(entry)
        self._tell(LinkChange(False, self.links.pop(ifindex)))

    def addAddress(self, entry: KernelAddress) -> int:
        """Add an address as another program does; return an errno."""
        return self._add(entry)

    def deleteAddress(self, address: Address) -> int:
        """Delete an address wherever it is, as another program does; return an errno."""
        entries = [entry for entry in self.addresses if entry.address == address]
        for entry in entries:
            self._delete(entry)
        return 0 if entries else errno.EADDRNOTAVAIL

    def deleteEntry(self, entry: KernelAddress) -> int:
        """Delete one entry of C{addresses}, as another program does."""
        return self._delete(entry)

    def loseEvents(self, event: Event) -> None:
        """Deliver C{event} (such as L{EventsLost}) to the subscribers."""
        self._tell(event)

    def forget(self, address: Address) -> None:
        """Take an address away without any event, as when the events are lost."""
        self.addresses = [entry for entry in self.addresses if entry.address != address]

    def pause(self) -> None:
        """Leave operations unanswered from now on."""
        self._paused = True

    def resume(self) -> None:
        """Answer what waits, in order, and what comes."""
        self._paused = False
        while self._waiting and not self._paused:
            done, operation = self._waiting.pop(0)
            self._answer(done, operation)

    def openSender(self, link: KernelLink) -> MemorySender:
        """Open an L{ISender} that writes to C{frames}."""
        if link.ifindex not in self.links:
            raise OSError(errno.ENODEV, "No such device")
        sender = MemorySender(self, link.ifindex)
        self.senders.append(sender)
        return sender

    # INetlink

    def request(
        self, messages: Sequence[bytes], permitted: Callable[[], bool] = lambda: True
    ) -> Deferred[list[int]]:
        """See L{INetlink.request}."""
        self.requests += 1

        def change() -> list[int]:
            if not permitted():
                return [errno.ECANCELED] * len(messages)
            return [self._change(m) for data in messages for m in split(data)]

        return self._run(change)

    def dumpAddresses(self) -> Deferred[list[KernelAddress]]:
        """See L{INetlink.dumpAddresses}."""
        return self._run(lambda: list(self.addresses))

    def dumpLinks(self) -> Deferred[list[KernelLink]]:
        """See L{INetlink.dumpLinks}."""
        return self._run(lambda: list(self.links.values()))

    def dumpRoutes(self) -> Deferred[list[KernelRoute]]:
        """See L{INetlink.dumpRoutes}: those arranged, and those that addresses bring."""
        return self._run(lambda: self.routes + self._connected())

    def subscribe(
        self, callback: Callable[[Sequence[Event]], None], about: Collection[About] | None = None
    ) -> Callable[[], None]:
        """See L{INetlink.subscribe}."""
        self._subscribers.learn(self.links.values())
        return self._subscribers.add(callback, about)

    def _run(self, operation: Callable[[], Any]) -> Deferred[Any]:
        done: Deferred[Any] = Deferred(self._cancel)
        if self._paused:
            self._waiting.append((done, operation))
        else:
            self._answer(done, operation)
        return done

    def _cancel(self, done: Deferred[Any]) -> None:
        self._waiting = [waiting for waiting in self._waiting if waiting[0] is not done]

    def _answer(self, done: Deferred[Any], operation: Callable[[], Any]) -> None:
        if self.broken is not None:
            done.errback(self.broken)
        else:
            done.callback(operation())

    def _connected(self) -> list[KernelRoute]:
        found = {
            KernelRoute(ip_network((e.address, e.prefix), strict=False), e.ifindex, False): None
            for e in self.addresses
            if e.ifindex in self.links and self.links[e.ifindex].up
        }
        return list(found)

    def _change(self, message: Message) -> int:
        if message.kind == RTM_SETLINK:
            link = decodeLink(message.body)
            if link is None or link.ifindex not in self.links:
                return errno.ENODEV
            promotes = message.body[-4:] != bytes(4)  # the only change we ever ask for
            self.links[link.ifindex] = self.links[link.ifindex]._replace(promotes=promotes)
            self._tell(LinkChange(True, self.links[link.ifindex]))
            return 0
        entry = decodeAddress(message.body)
        if entry is None or message.kind not in (RTM_NEWADDR, RTM_DELADDR):
            return errno.EINVAL
        if message.kind == RTM_NEWADDR:
            return self.refuse.get(entry.address) or self._add(entry)
        if entry.ifindex not in self.links:
            return errno.ENODEV
        for present in self.addresses:
            if present[:3] == entry[:3]:
                return self.refuseDelete.get(entry.address) or self._delete(present)
        return errno.EADDRNOTAVAIL

    def _add(self, entry: KernelAddress) -> int:
        if entry.ifindex not in self.links:
            return errno.ENODEV
        for position, present in enumerate(self.addresses):
            if present[:3] == entry[:3]:
                self.addresses[position] = present._replace(
                    proto=entry.proto,
                    valid=entry.valid,
                    preferred=entry.preferred,
                    flags=_timed(present.flags, entry),
                )
                self._expireLater(entry)
                self._tell(AddressChange(True, self.addresses[position]))
                return 0
        flags = _timed(entry.flags, entry)
        label = entry.label
        if isinstance(entry.address, IPv4Address):
            flags &= ~IFA_F_SECONDARY
            if any(not e.flags & IFA_F_SECONDARY for e in self._sharing(entry)):
                flags |= IFA_F_SECONDARY
            label = label or self.links[entry.ifindex].name
        entry = entry._replace(flags=flags, label=label)
        self.addresses.append(entry)
        self._expireLater(entry)
        self._tell(AddressChange(True, entry))
        return 0

    def _expireLater(self, entry: KernelAddress) -> None:
        """The kernel may be up to a second late; this one is half a second."""
        key = entry[:3]
        before = self._expiries.pop(key, None)
        if before is not None and before.active():
            before.cancel()
        if entry.valid != FOREVER and self._reactor is not None:
            self._expiries[key] = self._reactor.callLater(entry.valid + 0.5, self._expire, key)

    def _expire(self, key: tuple[Address, int, int]) -> None:
        for entry in [entry for entry in self.addresses if entry[:3] == key]:
            self._delete(entry)

    def _sharing(self, entry: KernelAddress) -> list[KernelAddress]:
        """Return the other addresses of the interface in the subnet of C{entry}."""
        network = ip_network((entry.address, entry.prefix), strict=False)
        return [
            e
            for e in self.addresses
            if e[1:3] == entry[1:3] and e.address != entry.address and e.address in network
        ]

    def _delete(self, entry: KernelAddress) -> int:
        """Delete; a primary's secondaries go too, or the first of them becomes the primary."""
        sharing = self._sharing(entry)
        self._drop(entry)
        if isinstance(entry.address, IPv4Address) and not entry.flags & IFA_F_SECONDARY and sharing:
            if not self.links[entry.ifindex].promotes:
                for secondary in sharing:
                    self._drop(secondary)
            else:
                first = sharing[0]
                promoted = first._replace(flags=first.flags & ~IFA_F_SECONDARY)
                self.addresses[self.addresses.index(first)] = promoted
                self._tell(AddressChange(True, promoted))
        return 0

    def _drop(self, entry: KernelAddress) -> None:
        self.addresses.remove(entry)
        self._expireLater(entry._replace(valid=FOREVER))
        self._tell(AddressChange(False, entry))

    def _tell(self, event: Event) -> None:
        """Deliver in the order of what happened, also when a subscriber makes more happen."""
        self._untold.append(event)
        if len(self._untold) == 1:
            while self._untold:
                self._subscribers.tell(self._untold[:1])
                del self._untold[0]


def _timed(flags: int, entry: KernelAddress) -> int:
    """Return the flags of an address that is added or renewed as C{entry}."""
    flags &= ~(IFA_F_PERMANENT | IFA_F_DEPRECATED)
    flags |= IFA_F_PERMANENT if entry.valid == FOREVER else 0
    return flags | (0 if entry.preferred else IFA_F_DEPRECATED)


@implementer(ISender)
class MemorySender:
    """L{ISender} that writes to L{MemoryKernel.frames}, while the interface is up."""

    def __init__(self, kernel: MemoryKernel, ifindex: int) -> None:
        self._kernel = kernel
        self._ifindex = ifindex
        self.errors = 0
        self.closed = False

    def send(self, frame: bytes) -> None:
        """See L{ISender.send}."""
        link = self._kernel.links.get(self._ifindex)
        if link is None or not link.up or self.closed:
            self.errors += 1
        else:
            self._kernel.frames.append((link.name, frame))

    def close(self) -> None:
        """See L{ISender.close}."""
        self.closed = True
