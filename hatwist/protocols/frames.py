"""
The frames that tell a LAN where an address lives, and those that ask for it: ARP, NA, NS.

There is one template of each form, as scapy builds it (L{hatwist.linux.lan.building}; each start of a
daemon proves it anew, L{hatwist.service.proof}). An announcement is a copy of it with the two addresses
patched in: 2 microseconds, where scapy takes 450, and 35 MB of memory. Sources: RFC 826, RFC 5227
sections 2.1.1 (probe) and 3 (gratuitous ARP), RFC 4861 sections 4.3, 4.4 and 7.2.6 (neighbour
solicitation, unsolicited advertisement), RFC 1071 (checksum).
"""

from __future__ import annotations

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
# NS: the same places; a question that asks from no address has no option.
_MAC = slice(0, 6)
_NS_DESTINATION_LOW = slice(51, 54)
_ALL_OF_ETHERNET = b"\xff" * 6
_ARP, _IPV6 = b"\x08\x06", b"\x86\xdd"
# Ethernet, IPv4, the lengths of their addresses, and the first byte of the operation
_ARP_FORM = bytes.fromhex("0001 0800 06 04 00")
_ICMPV6, _SOLICITATION, _ADVERTISEMENT = 58, 135, 136
_SOLICITED = 0x40
_SOURCE_OPTION, _TARGET_OPTION = 1, 2


class Templates(NamedTuple):
    """One whole Ethernet frame of each form, with every changing address zero."""

    request: bytes
    reply: bytes
    advertisement: bytes
    routerAdvertisement: bytes  # the same NA with the router flag, for a host that forwards
    question: bytes  # ARP: who has this address?
    solicitation: bytes  # the same by NS, with the asker's MAC
    probe6: bytes  # the same by NS, from no address (duplicate address detection)


class Sighting(NamedTuple):
    """
    What a frame says about an address: this MAC uses it.

    @ivar answer: it is said to one asker, and not to everybody.
    """

    address: IPv4Address | IPv6Address
    mac: bytes
    answer: bool


TEMPLATES = Templates(
    request=bytes.fromhex(
        "ffffffffffff 000000000000 0806 0001 0800 06 04 0001"
        "000000000000 00000000 ffffffffffff 00000000"
    ),
    reply=bytes.fromhex(
        "ffffffffffff 000000000000 0806 0001 0800 06 04 0002"
        "000000000000 00000000 000000000000 00000000"
    ),
    advertisement=bytes.fromhex(
        "333300000001 000000000000 86dd 60000000 0020 3a ff"
        "00000000000000000000000000000000 ff020000000000000000000000000001"
        "88 00 56a0 20000000 00000000000000000000000000000000 02 01 000000000000"
    ),
    routerAdvertisement=bytes.fromhex(
        "333300000001 000000000000 86dd 60000000 0020 3a ff"
        "00000000000000000000000000000000 ff020000000000000000000000000001"
        "88 00 d69f a0000000 00000000000000000000000000000000 02 01 000000000000"
    ),
    question=bytes.fromhex(
        "ffffffffffff 000000000000 0806 0001 0800 06 04 0001"
        "000000000000 00000000 000000000000 00000000"
    ),
    solicitation=bytes.fromhex(
        "3333ff000000 000000000000 86dd 60000000 0020 3a ff"
        "00000000000000000000000000000000 ff0200000000000000000001ff000000"
        "87 00 799f 00000000 00000000000000000000000000000000 01 01 000000000000"
    ),
    probe6=bytes.fromhex(
        "3333ff000000 000000000000 86dd 60000000 0018 3a ff"
        "00000000000000000000000000000000 ff0200000000000000000001ff000000"
        "87 00 7aa8 00000000 00000000000000000000000000000000"
    ),
)


def gratuitousRequest(mac: bytes, address: IPv4Address) -> bytes:
    """Return the request form (42 bytes): every host that knows the address updates its entry."""
    frame = bytearray(TEMPLATES.request)
    frame[_SOURCE_MAC] = frame[_ARP_SENDER_MAC] = _checked(mac)
    frame[_ARP_SENDER_IP] = frame[_ARP_TARGET_IP] = address.packed
    return bytes(frame)


def gratuitousReply(mac: bytes, address: IPv4Address) -> bytes:
    """
    Return the reply form (42 bytes), for hosts that ignore gratuitous requests.

    The target MAC is our own: with another, Linux ignores it for entries younger than a second.
    """
    frame = bytearray(TEMPLATES.reply)
    frame[_SOURCE_MAC] = frame[_ARP_SENDER_MAC] = frame[_ARP_TARGET_MAC] = _checked(mac)
    frame[_ARP_SENDER_IP] = frame[_ARP_TARGET_IP] = address.packed
    return bytes(frame)


def unsolicitedAdvertisement(mac: bytes, address: IPv6Address, *, router: bool = False) -> bytes:
    """
    Return the unsolicited neighbour advertisement (86 bytes): override flag set, from the address.

    @param router: this host forwards IPv6. Without the flag, hosts drop it as a default router.
    """
    form = TEMPLATES.routerAdvertisement if router else TEMPLATES.advertisement
    frame = bytearray(form)
    packed = address.packed
    frame[_SOURCE_MAC] = frame[_NA_OPTION_MAC] = _checked(mac)
    frame[_NA_SOURCE_IP] = frame[_NA_TARGET_IP] = packed
    # All parts lie on even offsets of what is summed, and the address is in there twice: in the
    # pseudo-header and as the target.
    more = int.from_bytes(mac, "big") + 2 * int.from_bytes(packed, "big")
    frame[_NA_CHECKSUM] = _checksum(form, more)
    return bytes(frame)


def _checksum(form: bytes, more: int) -> bytes:
    """
    The checksum of a template after numbers were added in places that were zero.

    A one's complement sum is the remainder by 0xffff, so that whole addresses are added at once.
    """
    total = 0xFFFF - int.from_bytes(form[_NA_CHECKSUM], "big") + more
    # The sum is never zero (the length is in it), so remainder 0 means 0xffff: checksum 0.
    return (0xFFFF - (total % 0xFFFF or 0xFFFF)).to_bytes(2, "big")


def arpQuestion(
    mac: bytes,
    address: IPv4Address,
    source: IPv4Address | None = None,
    destination: bytes = _ALL_OF_ETHERNET,
) -> bytes:
    """
    Return the frame that asks who has C{address} (42 bytes).

    @param source: our own address; C{None}: the probe of RFC 5227 section 2.1.1, which changes no
        cache of anybody.
    @param destination: the MAC that had it before, to ask it alone.
    """
    frame = bytearray(TEMPLATES.question)
    frame[_MAC] = _checked(destination)
    frame[_SOURCE_MAC] = frame[_ARP_SENDER_MAC] = _checked(mac)
    frame[_ARP_TARGET_IP] = address.packed
    if source is not None:
        frame[_ARP_SENDER_IP] = source.packed
    return bytes(frame)


def neighbourSolicitation(
    mac: bytes, address: IPv6Address, source: IPv6Address | None = None
) -> bytes:
    """
    Return the frame that asks who has C{address}, sent to its solicited-node group.

    @param source: our own address (86 bytes); C{None}: the probe of duplicate address detection
        (RFC 4862 section 5.4.2; 78 bytes), which changes no cache and is answered to everybody.
    """
    form = TEMPLATES.probe6 if source is None else TEMPLATES.solicitation
    frame = bytearray(form)
    low = address.packed[13:]
    frame[_MAC] = b"\x33\x33\xff" + low
    frame[_SOURCE_MAC] = _checked(mac)
    frame[_NS_DESTINATION_LOW] = low
    frame[_NA_TARGET_IP] = address.packed
    more = int.from_bytes(low, "big") + int(address)
    if source is not None:
        frame[_NA_SOURCE_IP] = source.packed
        frame[_NA_OPTION_MAC] = mac
        more += int(source) + int.from_bytes(mac, "big")
    frame[_NA_CHECKSUM] = _checksum(form, more)
    return bytes(frame)


def sighting(frame: bytes) -> Sighting | None:
    """
    Read who uses which address out of an ARP or neighbour discovery frame, C{None}: nobody says so.

    A probe says only that somebody would like to. Frames that a kernel would drop say nothing.
    """
    if frame[12:14] == _ARP:
        if len(frame) < 42 or frame[14:21] != _ARP_FORM or frame[21] not in (1, 2):
            return None
        address = frame[_ARP_SENDER_IP]
        if address == b"\0\0\0\0":
            return None
        answer = frame[21] == 2 and not frame[0] & 1
        return Sighting(IPv4Address(address), frame[_ARP_SENDER_MAC], answer)
    if frame[12:14] == _IPV6 and len(frame) >= 78:
        return _neighbour(frame)
    return None


def _neighbour(frame: bytes) -> Sighting | None:
    end = 54 + int.from_bytes(frame[18:20], "big")
    kind, code = frame[54], frame[55]
    # RFC 4861, section 7.1: what a receiver must check.
    if frame[20] != _ICMPV6 or frame[21] != 255 or code or not 78 <= end <= len(frame):
        return None
    source, target = frame[_NA_SOURCE_IP], frame[_NA_TARGET_IP]
    body = frame[54:end] + b"\0" * (end % 2)
    pseudo = int.from_bytes(frame[22:54], "big") + (end - 54) + _ICMPV6
    if (pseudo + int.from_bytes(body, "big")) % 0xFFFF:
        return None
    if kind == _ADVERTISEMENT:
        address, wanted, answer = target, _TARGET_OPTION, bool(frame[58] & _SOLICITED)
    elif kind == _SOLICITATION and any(source):
        address, wanted, answer = source, _SOURCE_OPTION, False
    else:
        return None
    mac, at = frame[_SOURCE_MAC], 78
    while at + 8 <= end and frame[at + 1]:
        if frame[at] == wanted and frame[at + 1] == 1:
            mac = frame[at + 2 : at + 8]
        at += 8 * frame[at + 1]
    return Sighting(IPv6Address(address), mac, answer)


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
