"""Where shared addresses are now, or would be: their bytes, what announces them, what deletes them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import NamedTuple

from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater

from hatwist.core.errors import ResourceError
from hatwist.linux.interfaces import INetlink, ISender
from hatwist.linux.netlink.messages import Address, KernelLink, encodePromote, lasting
from hatwist.resources.addresses.placing import Finder, Placement, announcementsOf, place
from hatwist.resources.addresses.removing import asked, deleting, explained, unpromoted
from hatwist.resources.addresses.spec import AddressSpec

# Addresses encoded in one turn of the reactor: 8 ms
ENCODED = 50
Key = tuple[Address, int, int]


class Found(NamedTuple):
    """
    The place of each address, as the kernel's interfaces and routes were when it was asked.

    @ivar placed: by L{Placement.key}, in the order of the addresses.
    @ivar links: every interface by its index.
    """

    placed: dict[Key, Placement]
    links: dict[int, KernelLink]


class Places:
    """
    The places of one batch of addresses, with the sockets that announce them.

    @param openSender: opens what announces on an interface; OSError when that is not possible.
    @ivar specs: the addresses of the batch now, each once.
    @ivar name: what logs and errors call the batch.
    @ivar placed, links: as in L{Found}: what was last taken over by L{take}.
    @ivar coming: is about to be added, and so is among what the guard is to delete.
    @ivar promoted: interfaces of which promote_secondaries was set here, until all is released.
    """

    def __init__(
        self, reactor: IReactorTime, netlink: INetlink, openSender: Callable[[KernelLink], ISender]
    ) -> None:
        self._reactor = reactor
        self._netlink = netlink
        self._openSender = openSender
        self.specs: tuple[AddressSpec, ...] = ()
        self.name = ""
        self._senders: dict[int, ISender] = {}
        self.placed: dict[Key, Placement] = {}
        self.links: dict[int, KernelLink] = {}
        self.indexes: frozenset[int] = frozenset()
        self._promotable: frozenset[int] = frozenset()  # those with an IPv4 address
        self._renewals: tuple[int, Sequence[Placement], Sequence[bytes]] | None = None
        self.coming: Sequence[Placement] = ()
        self.promoted: set[int] = set()

    def serve(self, specs: Sequence[AddressSpec]) -> None:
        """The batch consists of these from now on, at least one."""
        self.specs = tuple(dict.fromkeys(specs))
        more = f" and {len(self.specs) - 1} more" if len(self.specs) > 1 else ""
        self.name = f"{self.specs[0]}{more}"

    async def find(self, specs: Sequence[AddressSpec]) -> Found:
        """
        Find each address's interface anew; encode again only what changed. Changes nothing.

        @raise ResourceError: an address has no place, or nothing can be announced there.
        """
        links = await asked(self.name, self._netlink.dumpLinks())
        routes = []
        if any(spec.interface is None for spec in specs):
            routes = await asked(self.name, self._netlink.dumpRoutes())
        finder = Finder(links, routes)
        before = {placement.spec: placement for placement in self.placed.values()}
        placed: dict[Key, Placement] = {}
        encoded = 0
        for spec in specs:
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
        return Found(placed, {link.ifindex: link for link in links})

    def take(self, found: Found) -> None:
        """From now on this is where they are."""
        # Where an address was before it moved need not be kept: a release asks the kernel for all of them.
        self.placed, self.links = found
        self.indexes = frozenset(placement.link.ifindex for placement in self.placed.values())
        self._promotable = _ofVersion4(self.placed.values())
        self._renewals = None
        self.coming = ()

    def _open(self, link: KernelLink) -> None:
        if link.ifindex in self._senders or not link.resolves:
            return
        try:
            self._senders[link.ifindex] = self._openSender(link)
        except OSError as error:
            raise ResourceError(
                f"{self.name}: cannot announce on {link.name}: {explained(error.errno)}"
            ) from error

    def expect(self, coming: Sequence[Placement]) -> None:
        """These are about to be added, beside those that are L{placed}."""
        self.coming = coming

    def putBack(self) -> None:
        """All is released, and promote_secondaries is again as it was."""
        self.promoted.clear()

    def see(self, links: Iterable[KernelLink]) -> None:
        """Interfaces are like this now, and their addresses announced as before."""
        self.links.update((link.ifindex, link) for link in links)

    def linkChanged(self, link: KernelLink) -> bool:
        """Take in what an interface is like now; the result says whether its addresses are to be announced anew."""
        before = self.links.get(link.ifindex, link)
        self.links[link.ifindex] = link
        if (link.mac, link.resolves) != (before.mac, before.resolves):
            self._renewals = None
            here = [p for p in self.placed.values() if p.link.ifindex == link.ifindex]
            for placement in here:
                self.placed[placement.key] = placement._replace(
                    link=link, frames=announcementsOf(placement.spec, link)
                )
        return link.mac != before.mac or (link.running and not before.running)

    def renewals(self, seconds: int) -> tuple[Sequence[Placement], Sequence[bytes]] | None:
        """
        All that are placed, and the netlink message that renews each; they are the same bytes each time.

        C{None}: promote_secondaries must be set first, see L{add}.
        """
        links = self.links
        for ifindex in self._promotable:
            if ifindex in links and not links[ifindex].promotes:
                return None
        known = self._renewals
        if known is None or known[0] != seconds:
            placed = tuple(self.placed.values())
            messages = [lasting(placement.add, seconds) for placement in placed]
            known = self._renewals = seconds, placed, messages
        return known[1:]

    async def add(
        self, placed: Sequence[Placement], seconds: int | None, permitted: Callable[[], bool]
    ) -> list[int]:
        """
        Add these, or renew them, for C{seconds} or, if C{None}, for ever; return an errno for each.

        @param permitted: see L{INetlink.request}.
        @raise ResourceError: the kernel cannot be asked.
        """
        messages = [placement.add for placement in placed]
        if seconds is not None:
            messages = [lasting(message, seconds) for message in messages]
        first = self.promoting(placed)
        requested = self._netlink.request([*first, *messages], permitted)
        return (await asked(self.name, requested))[len(first) :]

    def deletions(self) -> list[bytes]:
        """The netlink messages that delete them all, and what is L{coming}."""
        placements = (*self.placed.values(), *self.coming)
        links = {i: unpromoted(link, self.promoted) for i, link in self.links.items()}
        return deleting([(links.get(p.link.ifindex, p.link), p.delete) for p in placements])

    def promoting(self, placed: Iterable[Placement]) -> list[bytes]:
        """
        The netlink messages that set promote_secondaries where these are, as long as they are there.

        Whichever way ours goes, by lease, too: it may be the primary of its subnet, because the host's own
        address went and came back after it, and the host's own would go with it.
        """
        here = _ofVersion4(placed)
        unset = sorted(i for i in here if i in self.links and not self.links[i].promotes)
        self.promoted.update(unset)
        self.links.update((i, self.links[i]._replace(promotes=True)) for i in unset)
        return [encodePromote(i, True) for i in unset]

    def announcements(self, missing: Collection[Key]) -> Iterator[tuple[ISender, bytes]]:
        """Yield each frame with its sender: first the form that most hosts heed, of every address."""
        for form in range(2):
            for key, placement in list(self.placed.items()):
                sender = self._senders.get(placement.link.ifindex)
                if sender is None or key in missing:
                    continue
                if form < len(placement.frames):
                    yield sender, placement.frames[form]

    def closeUnused(self) -> None:
        """Give back the sockets of interfaces that are there no more. Takes some ms each."""
        for ifindex in self._senders.keys() - self.links.keys():
            self._senders.pop(ifindex).close()

    def close(self) -> None:
        """Give back all sockets. Takes some ms each."""
        senders, self._senders = self._senders, {}
        for sender in senders.values():
            sender.close()


def _ofVersion4(placed: Iterable[Placement]) -> frozenset[int]:
    """The interfaces of those that have an IPv4 address."""
    return frozenset(p.link.ifindex for p in placed if p.spec.address.version == 4)
