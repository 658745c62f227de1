"""Where an address goes: its interface, its bytes, its frames."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from hatwist.core.errors import ResourceError
from hatwist.linux.netlink.messages import (
    FOREVER,
    Address,
    KernelAddress,
    KernelLink,
    KernelRoute,
    encodeAdd,
    encodeDelete,
)
from hatwist.protocols import frames
from hatwist.resources.addresses.spec import NAME_ROOM, AddressSpec


class Placement(NamedTuple):
    """A shared address on an interface, ready to be added, announced and deleted."""

    spec: AddressSpec
    link: KernelLink
    add: bytes
    delete: bytes
    frames: tuple[bytes, ...]

    @property
    def key(self) -> tuple[Address, int, int]:
        """Address, prefix and interface index, by which kernel and placement find each other."""
        return self.spec.address, self.spec.prefix, self.link.ifindex

    def fits(self, link: KernelLink) -> bool:
        """Whether the bytes would be the same on C{link}."""
        ours = self.link
        return (ours.ifindex, ours.name, ours.mac, ours.forwards, ours.resolves) == (
            link.ifindex,
            link.name,
            link.mac,
            link.forwards,
            link.resolves,
        )


def keyOf(entry: KernelAddress) -> tuple[Address, int, int]:
    """Return what L{Placement.key} is for an address of the kernel."""
    return entry.address, entry.prefix, entry.ifindex


def labelOf(spec: AddressSpec, interface: str) -> str | None:
    """Return the label of C{spec} on C{interface}: None for IPv6, and where there is no room."""
    if spec.label is None or spec.address.version == 6:
        return None
    label = f"{interface}:{spec.label}"
    return label if len(label.encode()) <= NAME_ROOM else None


def announcementsOf(spec: AddressSpec, link: KernelLink) -> tuple[bytes, ...]:
    """Return the frames that announce C{spec} on C{link}; none where nobody resolves addresses."""
    if not link.resolves:
        return ()
    return frames.announcements(link.mac, spec.address, router=link.forwards)


def place(spec: AddressSpec, link: KernelLink) -> Placement:
    """Encode everything that C{spec} on C{link} needs; without a lease, for which there is room."""
    address, prefix = spec.address, spec.prefix
    return Placement(
        spec,
        link,
        encodeAdd(address, prefix, link.ifindex, labelOf(spec, link.name), validLft=FOREVER),
        encodeDelete(address, prefix, link.ifindex),
        announcementsOf(spec, link),
    )


class Finder:
    """
    Finds the interface of each address; made once for all of them, since they may be a thousand.

    @param links: every interface there is.
    @param routes: the routes, needed where a spec names no interface.
    """

    def __init__(self, links: Iterable[KernelLink], routes: Iterable[KernelRoute]) -> None:
        self._byName = {link.name: link for link in links}
        self._byIndex = {link.ifindex: link for link in self._byName.values()}
        # (version, prefix length), longest first -> leading bits of the network -> its routes
        self._routes: dict[tuple[int, int], dict[int, list[KernelRoute]]] = {}
        for route in sorted(routes, key=lambda route: -route.network.prefixlen):
            network = route.network
            if route.gateway or network.prefixlen == 0 or route.ifindex not in self._byIndex:
                continue
            leading = int(network.network_address) >> (network.max_prefixlen - network.prefixlen)
            among = self._routes.setdefault((network.version, network.prefixlen), {})
            among.setdefault(leading, []).append(route)

    def find(self, spec: AddressSpec) -> KernelLink:
        """
        Return the interface that C{spec} names, or that the most specific connected route leads to.

        @raise ResourceError: when there is none, more than one, or it is down.
        """
        if spec.interface is None:
            link = self._connected(spec)
        elif spec.interface in self._byName:
            link = self._byName[spec.interface]
        else:
            raise ResourceError(f"{spec}: there is no interface {spec.interface}")
        if not link.up:
            raise ResourceError(f"{spec}: {link.name} is down; bring it up first")
        return link

    def _connected(self, spec: AddressSpec) -> KernelLink:
        bits = int(spec.address)
        for (version, length), among in self._routes.items():
            if version != spec.address.version:
                continue
            routes = among.get(bits >> (spec.address.max_prefixlen - length))
            if routes:
                metric = min(route.metric for route in routes)
                indexes = {route.ifindex for route in routes if route.metric == metric}
                if len(indexes) == 1:
                    return self._byIndex[indexes.pop()]
                names = " and ".join(self._byIndex[ifindex].name for ifindex in sorted(indexes))
                raise ResourceError(
                    f"{spec}: its network is on {names}; say which, with @INTERFACE"
                )
        raise ResourceError(
            f"{spec}: no interface is connected to its network; say which, with @INTERFACE"
        )
