"""What an address is in the configuration, and where it goes: its interface, its bytes, its frames."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
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

# IFNAMSIZ without its NUL: for interface names and, since labels are made of them, for labels
NAME_ROOM = 15
LABEL = "ha"
ALLOWED = "ADDRESS/PREFIX[@INTERFACE], such as 192.168.1.100/24 or 2001:db8::100/64@eth0"


@dataclass(frozen=True, slots=True)
class AddressSpec:
    """
    One shared address.

    @ivar prefix: its length in bits.
    @ivar interface: where it goes; None: where the connected route to it leads.
    @ivar label: what follows the interface's name and a colon in an IPv4 label; None for no label.
    """

    address: Address
    prefix: int
    interface: str | None = None
    label: str | None = LABEL

    @classmethod
    def parse(cls, text: str, label: str | None = LABEL) -> AddressSpec:
        """
        Read C{ADDRESS/PREFIX[@INTERFACE]}.

        @raise ValueError: with one sentence that says what is wrong, or allowed.
        """
        where, at, interface = text.strip().partition("@")
        if at and not (
            0 < len(interface) <= NAME_ROOM
            and interface.isprintable()
            and interface not in (".", "..")
            and not set(interface) & set("/: ")
        ):
            raise ValueError(
                f"{text!r}: an interface name has 1 to {NAME_ROOM} characters without '/', ':' or space"
            )
        host, slash, length = where.partition("/")
        if not slash or not length.isascii() or not length.isdigit():
            raise ValueError(f"{text!r} has no prefix length; allowed is {ALLOWED}")
        try:
            parsed = ipaddress.ip_interface(f"{host}/{int(length)}")
        except ValueError:
            raise ValueError(f"{text!r} is not an address; allowed is {ALLOWED}") from None
        reason = _unsharable(parsed)
        if reason is None and parsed.version == 6 and parsed.ip.is_link_local and not at:
            reason = "is link-local: say on which interface, with @INTERFACE"
        if reason is not None:
            raise ValueError(f"{text!r} {reason}")
        return cls(parsed.ip, parsed.network.prefixlen, interface or None, label)

    def __str__(self) -> str:
        where = "" if self.interface is None else f" on {self.interface}"
        return f"{self.address}/{self.prefix}{where}"


def _unsharable(parsed: ipaddress.IPv4Interface | ipaddress.IPv6Interface) -> str | None:
    """Return why no host may hold this address, or None."""
    address, network = parsed.ip, parsed.network
    if isinstance(parsed, ipaddress.IPv6Interface) and parsed.scope_id is not None:
        return "has a scope after '%': say the interface with @INTERFACE instead"
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return "is an IPv4 address in IPv6 clothes: write it as IPv4"
    for is_, what in (
        (address.is_multicast, "a multicast address"),
        (address.is_loopback, "a loopback address"),
        (address.is_unspecified, "the unspecified address"),
        (address.version == 4 and int(address) < 1 << 24, "in 0.0.0.0/8"),
        (address.version == 4 and address.is_reserved, "a reserved address"),
    ):
        if is_:
            return f"is {what}: allowed is a unicast address of the LAN"
    if network.prefixlen == 0:
        return "has prefix length 0: allowed is the prefix length of the LAN"
    if network.num_addresses > 2:
        if address == network.network_address:
            return f"is the address of the network {network} itself: allowed is one in it"
        if address.version == 4 and address == network.broadcast_address:
            return f"is the broadcast address of {network}: allowed is one below it"
    return None


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
