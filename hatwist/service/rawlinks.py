"""The raw links of a node, which its routers and virtual hosts share, and by which addresses it sends on them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any

from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from hatwist.core.reports import Judged
from hatwist.core.worth import Fitness
from hatwist.linux.interfaces import INetlink
from hatwist.linux.lan.raw import RawSockets, sourceOf
from hatwist.linux.netlink.messages import (
    Address,
    AddressChange,
    Event,
    EventsLost,
    KernelAddress,
    LinkChange,
)
from hatwist.runtime.link import Link
from hatwist.runtime.node import Node
from hatwist.runtime.ways import Raw
from hatwist.settings import GroupSettings
from hatwist.settings.protocols import RawLink, rawLinks

AGAIN = 30.0
"""Seconds after which a link that could not be sent on is tried again, though nothing was heard of its interface."""
TRANSIENT = ("ENOBUFS", "ENOMEM", "EAGAIN")
"""One packet was lost, and the next one may well be sent."""
UNREACHABLE = ("ENETUNREACH", "EHOSTUNREACH")
"""By unicast: there is no way to one of the peers, and the others may be reached. The carrier is judged by itself."""


class RawLinks:
    """
    @param moved: called when this host sends by another address than before.
    @ivar links: those that there are; the machines that speak by them have this list.
    """

    _log = Logger()

    def __init__(
        self, reactor: Any, netlink: INetlink, sockets: RawSockets, moved: Callable[[], None]
    ) -> None:
        self.links: list[Link] = []
        self._reactor = reactor
        self._netlink = netlink
        self._sockets = sockets
        self._moved = moved
        self._groups: dict[str, GroupSettings] = {}
        self._shared: frozenset[Address] = frozenset()
        self._there: list[tuple[str, KernelAddress]] = []
        self._node: Node | None = None
        self._unsubscribe: Callable[[], None] = lambda: None
        self._again: dict[str, IDelayedCall] = {}

    def want(self, groups: Iterable[GroupSettings]) -> None:
        """
        Have the links of these groups, too, besides those that there are.

        @raise OSError: one cannot be opened; what there is stays.
        """
        groups = list(groups)
        self._groups.update((group.name, group) for group in groups)
        self._shared = frozenset(s.address for g in self._groups.values() for s in g.addresses)
        known = {link.name for link in self.links}
        wanted = {link for group in groups for link in rawLinks(group)}
        new = [
            Link(self._reactor, Raw(*link, self._sockets), self._changed)
            for link in sorted(wanted)
            if link.name not in known
        ]
        if self._node is not None:
            try:
                for link in new:
                    self._connect(link)
            except OSError:
                for link in new:
                    link.close()
                raise
        self.links += new
        if self.links:
            self._look()

    def keep(self, groups: Collection[str]) -> None:
        """Only these groups are left."""
        for name in set(self._groups).difference(groups):
            del self._groups[name]
        wanted = {link.name for group in self._groups.values() for link in rawLinks(group)}
        for link in [link for link in self.links if link.name not in wanted]:
            self.links.remove(link)
            link.close()

    def source(self, link: RawLink, linkLocal: bool) -> Address | None:
        """The address of its own by which this host sends there; C{None}: it has none."""
        return sourceOf(self._there, link.interface, link.version, self._shared, linkLocal)

    def start(self, node: Node) -> None:
        """Tell a node, which has opened the links, from now on for which of its groups it cannot speak."""
        self._node = node
        self._unsubscribe = self._netlink.subscribe(self._noticed)
        self._look()  # an address may have changed since
        if self.links:
            names = " and ".join(link.name for link in self.links)
            self._log.info("VRRP and CARP are spoken on {links}", links=names)

    def stop(self) -> None:
        """Tell nothing more. The node closes the links."""
        self._node = None
        self._unsubscribe()
        for call in self._again.values():
            call.cancel()
        self._again.clear()

    def _connect(self, link: Link) -> None:
        assert self._node is not None
        for speaker in self._node.driver.speakers:
            if speaker.links is self.links:
                self._node.driver.connect(speaker.machine, link)

    # What the kernel tells

    def _noticed(self, events: Sequence[Event]) -> None:
        if not self.links:
            return
        names: set[str] = set()
        looks = False
        for event in events:
            if isinstance(event, EventsLost):
                names.update(link.way.interface for link in self.links)
                looks = True
            elif isinstance(event, LinkChange):
                names.add(event.link.name)
            elif isinstance(event, AddressChange) and event.entry.address not in self._shared:
                looks = True
        for link in list(self.links):
            if link.way.interface in names:
                self._renew(link)
        if looks:
            self._look()
            for link in list(self.links):
                if link.failing:
                    self._renew(link)

    def _renew(self, link: Link) -> None:
        call = self._again.pop(link.name, None)
        if call is not None and call.active():
            call.cancel()
        link.renew()

    def _look(self) -> None:
        """By which addresses does this host send now?"""
        try:
            there = self._sockets.present()
        except OSError as e:
            self._log.error("The addresses of this host cannot be read: {error}", error=str(e))
            return
        before, self._there = self._there, there
        if before != there and self._node is not None:
            self._moved()

    # What a link tells

    def _changed(self, link: Link) -> None:
        """It cannot be sent on, or it can again: nobody who cannot be heard may hold anything."""
        node, failing = self._node, link.failing
        if node is None or failing in TRANSIENT:
            return
        verdict, reason = Fitness.FIT, ""
        if failing:
            verdict, reason = Fitness.UNFIT, f"nothing can be sent on {link.name}: {failing}"
            if link.name not in self._again:
                self._again[link.name] = self._reactor.callLater(AGAIN, self._renew, link)
        node.tell(
            *[
                Judged(name, link.name, verdict, reason)
                for name, group in self._groups.items()
                if link.name in [each.name for each in rawLinks(group)]
                and not (failing in UNREACHABLE and group.vrrp is not None and group.vrrp.peers)
            ]
        )
