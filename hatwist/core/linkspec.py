"""
What C{--link} says: one way heartbeats travel, as words and as a frozen value.

    eth0                                  IPv4 multicast
    eth0,multicast6                       IPv6 link-local multicast; needs no IPv4 address
    eth1,broadcast                        IPv4 broadcast, where a switch is in the way of multicast
    eth2,unicast=10.0.0.2,[fd00::3]:5556  to these peers only, and from these only
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import NamedTuple

_INTERFACE = re.compile(r"[^\s/:,%@]{1,15}\Z")
"""What the kernel takes as a name (dev_valid_name in net/core/dev.c), less our own separators."""
_ALLOWED = "allowed is INTERFACE[,multicast|multicast6|broadcast|unicast=PEER[,PEER...]]"


class Kind(StrEnum):
    """How a link reaches the others."""

    MULTICAST = "multicast"
    MULTICAST6 = "multicast6"
    BROADCAST = "broadcast"
    UNICAST = "unicast"


class MulticastGroup(NamedTuple):
    """Where heartbeats are sent to by multicast: an IPv4 multicast group and a UDP port."""

    address: IPv4Address
    port: int

    def __str__(self) -> str:
        return f"{self.address}:{self.port}"

    @property
    def address6(self) -> IPv6Address:
        """The link-local IPv6 group that goes with it: its 32 bits as group id (RFC 3307, section 4.3)."""
        return IPv6Address(b"\xff\x02" + bytes(10) + self.address.packed)


class LinkPeer(NamedTuple):
    """One node of a unicast link. Port C{None}: the port that the cluster uses."""

    address: IPv4Address | IPv6Address
    port: int | None = None

    def __str__(self) -> str:
        if self.port is None:
            return str(self.address)
        if self.address.version == 6:
            return f"[{self.address}]:{self.port}"
        return f"{self.address}:{self.port}"

    @classmethod
    def parse(cls, text: str) -> LinkPeer:
        """
        Read C{10.0.0.2}, C{10.0.0.2:5556}, C{fe80::2} or C{[fe80::2]:5556}.

        @raise ValueError: one sentence that says what is allowed.
        """
        host, port = text, ""
        if text.startswith("["):
            host, bracket, port = text[1:].partition("]")
            if not bracket or (port and port[0] != ":"):
                raise ValueError(
                    f"{text!r} is no peer: allowed are 10.0.0.2:5555 and [fd00::2]:5555"
                )
            port = port[1:]
        elif text.count(":") == 1:
            host, _, port = text.partition(":")
        try:
            address = ip_address(host)
        except ValueError:
            raise ValueError(
                f"{text!r} is no peer: allowed is an IP address, with a port if need be, "
                "such as 10.0.0.2, 10.0.0.2:5555 or [fd00::2]:5555"
            ) from None
        if isinstance(address, IPv6Address) and address.scope_id is not None:
            raise ValueError(f"{text!r}: leave out %{address.scope_id}, it is the link's interface")
        if address.is_multicast or address.is_unspecified or address == _LIMITED_BROADCAST:
            raise ValueError(f"{text!r} is not the address of one host")
        if text.endswith(":") or (port and not (port.isascii() and port.isdigit())):
            raise ValueError(f"{text!r}: allowed ports are 1 to 65535")
        if port and not 0 < int(port) < 65536:
            raise ValueError(f"{text!r}: allowed ports are 1 to 65535")
        return cls(address, int(port) if port else None)


_LIMITED_BROADCAST = IPv4Address("255.255.255.255")
_BOTH_HEAR_BROADCASTS = (Kind.BROADCAST, Kind.UNICAST)


@dataclass(frozen=True, slots=True)
class LinkSpec:
    """
    One way heartbeats travel.

    @ivar peers: of a unicast link, at least one; else none.
    """

    interface: str
    kind: Kind = Kind.MULTICAST
    peers: tuple[LinkPeer, ...] = ()

    @property
    def name(self) -> str:
        """Tells two links of one interface apart, in logs too: C{eth0}, or C{eth0,broadcast}."""
        if self.kind is Kind.MULTICAST:
            return self.interface
        return f"{self.interface},{self.kind.value}"

    def __str__(self) -> str:
        text = f"{self.interface},{self.kind.value}"
        return f"{text}={','.join(str(peer) for peer in self.peers)}" if self.peers else text

    @classmethod
    def parse(cls, text: str) -> LinkSpec:
        """
        Read what C{--link} was given.

        @raise ValueError: one sentence that says what is allowed.
        """
        interface, comma, rest = text.partition(",")
        if not _INTERFACE.match(interface) or interface in (".", ".."):
            raise ValueError(f"{interface!r} is no name of an interface; {_ALLOWED}")
        if not comma:
            return cls(interface)
        word, equals, peers = rest.partition("=")
        if word == Kind.UNICAST.value:
            if not peers:
                raise ValueError("unicast needs its peers: unicast=10.0.0.2,10.0.0.3")
            return cls(interface, Kind.UNICAST, _peers(peers.split(",")))
        try:
            kind = Kind(word)
        except ValueError:
            raise ValueError(
                f"{word!r} is no kind of link, of which each has one; {_ALLOWED}"
            ) from None
        if equals:
            raise ValueError(f"{word} takes no peers; {_ALLOWED}")
        return cls(interface, kind)


def _peers(texts: Iterable[str]) -> tuple[LinkPeer, ...]:
    found: list[LinkPeer] = []
    for text in texts:
        peer = LinkPeer.parse(text)
        if any(peer.address == other.address for other in found):
            raise ValueError(f"the peer {peer.address} is given twice")
        found.append(peer)
    return tuple(found)


def clashes(links: Iterable[LinkSpec]) -> Iterator[str]:
    """Why links cannot live side by side: a sentence for each that cannot, with those before it."""
    found: list[LinkSpec] = []
    for spec in links:
        if any(spec.name == other.name for other in found):
            more = ": name all its peers in one link" if spec.kind is Kind.UNICAST else ""
            yield f"the link {spec.name} is given twice{more}"
        names = {spec.name} | {other.name for other in found}
        if {LinkSpec(spec.interface, kind).name for kind in _BOTH_HEAR_BROADCASTS} <= names:
            yield (
                f"{spec.interface} has a broadcast and a unicast link: one of them, since broadcasts "
                "arrive at both"
            )
        found.append(spec)
