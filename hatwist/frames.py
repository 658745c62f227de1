"""
The frames that tell a LAN where an address lives: gratuitous ARP and the unsolicited advertisement.

scapy builds one template of each form, once; after that an announcement is a copy of bytes with
the two addresses patched in (2 microseconds, where scapy takes 450). Sources: RFC 826, RFC 5227
section 3 (gratuitous ARP), RFC 4861 sections 4.4 and 7.2.6 (unsolicited neighbour advertisement),
RFC 1071 (checksum).
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from ipaddress import IPv4Address, IPv6Address
from typing import NamedTuple

# Offsets into an Ethernet frame. ARP: header 14, fixed part 8, sender MAC, IP, target MAC, IP.
_SOURCE_MAC = slice(6, 12)
_ARP_SENDER_MAC = slice(22, 28)
_ARP_SENDER_IP = slice(28, 32)
_ARP_TARGET_MAC = slice(32, 38)
_ARP_TARGET_IP = slice(38, 42)
# NA: Ethernet 14, IPv6 40 (source at 8), ICMPv6: type, code, checksum, flags, target, option.
_NA_SOURCE_IP = slice(22, 38)
_NA_CHECKSUM = slice(56, 58)
_NA_TARGET_IP = slice(62, 78)
_NA_OPTION_MAC = slice(80, 86)


class Templates(NamedTuple):
    """One whole Ethernet frame of each form, with every changing address zero."""

    request: bytes
    reply: bytes
    advertisement: bytes
    routerAdvertisement: bytes  # the same NA with the router flag, for a host that forwards


@contextmanager
def _scapyElsewhere() -> Iterator[None]:
    """Let scapy write its caches where they are removed again, not into somebody's home."""
    names = ("XDG_CACHE_HOME", "XDG_CONFIG_HOME")
    before = {name: os.environ.get(name) for name in names}
    with tempfile.TemporaryDirectory(prefix="hatwist-scapy-") as directory:
        os.environ.update(dict.fromkeys(names, directory))
        try:
            yield
        finally:
            for name, value in before.items():
                if value is None:
                    del os.environ[name]
                else:
                    os.environ[name] = value


@cache
def templates() -> Templates:
    """Build the templates. The first call imports scapy (0.2-0.5 s): call before it is urgent."""
    with _scapyElsewhere():
        # mypy knows no types of scapy's layers
        from scapy.layers.inet6 import (  # type: ignore[import-untyped,unused-ignore]
            ICMPv6ND_NA,
            ICMPv6NDOptDstLLAddr,
            IPv6,
        )
        from scapy.layers.l2 import ARP, Ether  # type: ignore[import-untyped,unused-ignore]

        zero, everyone = "00:00:00:00:00:00", "ff:ff:ff:ff:ff:ff"
        ether = Ether(src=zero, dst=everyone)
        arp = {"hwsrc": zero, "psrc": "0.0.0.0", "pdst": "0.0.0.0"}

        def advertisement(router: int) -> bytes:
            return bytes(
                Ether(src=zero, dst="33:33:00:00:00:01")
                / IPv6(src="::", dst="ff02::1", hlim=255)
                / ICMPv6ND_NA(tgt="::", R=router, S=0, O=1)
                / ICMPv6NDOptDstLLAddr(lladdr=zero)
            )

        return Templates(
            request=bytes(ether / ARP(op=1, hwdst=everyone, **arp)),
            reply=bytes(ether / ARP(op=2, hwdst=zero, **arp)),
            advertisement=advertisement(0),
            routerAdvertisement=advertisement(1),
        )


def gratuitousRequest(mac: bytes, address: IPv4Address) -> bytes:
    """Return the request form (42 bytes): every host that knows the address updates its entry."""
    frame = bytearray(templates().request)
    frame[_SOURCE_MAC] = frame[_ARP_SENDER_MAC] = _checked(mac)
    frame[_ARP_SENDER_IP] = frame[_ARP_TARGET_IP] = address.packed
    return bytes(frame)


def gratuitousReply(mac: bytes, address: IPv4Address) -> bytes:
    """
    Return the reply form (42 bytes), for hosts that ignore gratuitous requests.

    The target MAC is our own: with another, Linux ignores it for entries younger than a second.
    """
    frame = bytearray(templates().reply)
    frame[_SOURCE_MAC] = frame[_ARP_SENDER_MAC] = frame[_ARP_TARGET_MAC] = _checked(mac)
    frame[_ARP_SENDER_IP] = frame[_ARP_TARGET_IP] = address.packed
    return bytes(frame)


def unsolicitedAdvertisement(mac: bytes, address: IPv6Address, *, router: bool = False) -> bytes:
    """
    Return the unsolicited neighbour advertisement (86 bytes): override flag set, from the address.

    @param router: this host forwards IPv6. Without the flag, hosts drop it as a default router.
    """
    form = templates().routerAdvertisement if router else templates().advertisement
    frame = bytearray(form)
    packed = address.packed
    frame[_SOURCE_MAC] = frame[_NA_OPTION_MAC] = _checked(mac)
    frame[_NA_SOURCE_IP] = frame[_NA_TARGET_IP] = packed
    # A one's complement sum is the remainder by 0xffff. All parts lie on even offsets of what is
    # summed, and the address is in there twice: in the pseudo-header and as the target.
    total = (0xFFFF - int.from_bytes(form[_NA_CHECKSUM], "big")) + int.from_bytes(mac, "big")
    total += 2 * int.from_bytes(packed, "big")
    # The sum is never zero (the length is in it), so remainder 0 means 0xffff: checksum 0.
    frame[_NA_CHECKSUM] = (0xFFFF - (total % 0xFFFF or 0xFFFF)).to_bytes(2, "big")
    return bytes(frame)


def announcements(
    mac: bytes, address: IPv4Address | IPv6Address, *, router: bool = False
) -> tuple[bytes, ...]:
    """Return every frame that announces C{address}, the one that works for most hosts first."""
    if isinstance(address, IPv4Address):
        return gratuitousRequest(mac, address), gratuitousReply(mac, address)
    return (unsolicitedAdvertisement(mac, address, router=router),)


def _checked(mac: bytes) -> bytes:
    if len(mac) != 6:
        raise ValueError(f"a MAC address has 6 bytes, not {len(mac)}: {mac.hex(':')}")
    return mac
