"""What an address is in the configuration."""

from __future__ import annotations

import ipaddress
from collections.abc import Hashable
from dataclasses import dataclass
from typing import ClassVar

from hatwist.core.table import Table
from hatwist.linux.netlink.messages import Address

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

    kind: ClassVar[str] = "address"
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

    @classmethod
    def read(cls, table: Table) -> AddressSpec | None:
        """Of a table with the key C{address}."""
        return table.take("address", cls.parse, None)

    @property
    def given(self) -> str:
        where = "" if self.interface is None else f"@{self.interface}"
        return f"{self.address}/{self.prefix}{where}"

    @property
    def programs(self) -> tuple[str, ...]:
        return ()

    @property
    def releaseTime(self) -> float:
        return 0.0

    def identity(self, group: str) -> Hashable:
        return self.address

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
