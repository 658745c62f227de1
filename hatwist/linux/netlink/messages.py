"""
Netlink messages: addresses by struct, in a few microseconds each, and what is sent once by pyroute2.

Its classes take 30 to 200 microseconds an address, which matters when a thousand are held, and a thousand events
arrive, in one takeover. The tests compare with what they encode. Sources:
linux/netlink.h, rtnetlink.h, if_addr.h, if_link.h, ip.h, RFC 3549.
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Iterator, Sequence
from functools import cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Any, NamedTuple

from hatwist.linux.netlink.classes import ifaddrmsg, ifinfmsg, rtmsg

Address = IPv4Address | IPv6Address

AF_UNSPEC, AF_INET, AF_INET6 = 0, 2, 10
NLMSG_ERROR, NLMSG_DONE = 2, 3
RTM_NEWLINK, RTM_DELLINK, RTM_GETLINK, RTM_SETLINK = 16, 17, 18, 19
RTM_NEWADDR, RTM_DELADDR, RTM_GETADDR = 20, 21, 22
RTM_NEWROUTE, RTM_GETROUTE = 24, 26
NLM_F_REQUEST, NLM_F_ACK, NLM_F_DUMP_INTR = 0x1, 0x4, 0x10
NLM_F_DUMP, NLM_F_REPLACE, NLM_F_CREATE = 0x300, 0x100, 0x400

IFF_UP, IFF_LOOPBACK, IFF_RUNNING, IFF_NOARP = 0x1, 0x8, 0x40, 0x80
IFA_F_SECONDARY, IFA_F_NODAD, IFA_F_DADFAILED = 0x01, 0x02, 0x08
IFA_F_DEPRECATED, IFA_F_TENTATIVE, IFA_F_PERMANENT = 0x20, 0x40, 0x80

# Who added an address (IFA_PROTO, Linux 5.18; older kernels ignore it). The kernel uses 1 to 3,
# keepalived 18; 72 is the letter H. `ip address show` prints it as "proto 72".
IFA_PROTO_HATWIST = 72

_HEADER = struct.Struct("=IHHII")  # length, type, flags, sequence number, port id
_FLAGS = struct.Struct("=HI")  # flags, sequence number: at 6 in a header
_ATTRIBUTE = struct.Struct("=HH")
_IFADDRMSG = struct.Struct("=BBBBI")
_IFINFOMSG = struct.Struct("=BxHiII")
_RTMSG = struct.Struct("=BBBBBBBBI")
_U32 = struct.Struct("=I")
_CACHEINFO = struct.Struct("=IIII")  # preferred, valid, and two that the kernel alone sets
_IFA_ADDRESS, _IFA_LOCAL, _IFA_LABEL, _IFA_BROADCAST, _IFA_CACHEINFO, _IFA_PROTO = 1, 2, 3, 4, 6, 11
_IFLA_AF_SPEC, _IFLA_INET_CONF, _PROMOTE_SECONDARIES = 26, 1, 20
_RTEXT_FILTER_SKIP_STATS = 1 << 3


FOREVER = 0xFFFFFFFF
"""As valid_lft: the address stays."""


class KernelAddress(NamedTuple):
    """
    One address of one interface.

    @ivar valid, preferred: seconds, valid_lft and preferred_lft.
    """

    address: Address
    prefix: int
    ifindex: int
    label: str | None = None
    proto: int = 0
    flags: int = IFA_F_PERMANENT
    valid: int = FOREVER
    preferred: int = FOREVER


class KernelLink(NamedTuple):
    """One interface."""

    ifindex: int
    name: str
    flags: int
    mac: bytes
    promotes: bool = False  # promote_secondaries of this interface
    forwards: bool = False  # IPv6 forwarding of this interface

    @property
    def up(self) -> bool:
        """Whether an administrator has it up."""
        return bool(self.flags & IFF_UP)

    @property
    def running(self) -> bool:
        """Whether it is up and has a carrier."""
        return self.flags & (IFF_UP | IFF_RUNNING) == IFF_UP | IFF_RUNNING

    @property
    def resolves(self) -> bool:
        """Whether neighbours find addresses on it by ARP or neighbour discovery over Ethernet."""
        return len(self.mac) == 6 and not self.flags & (IFF_LOOPBACK | IFF_NOARP)


class KernelRoute(NamedTuple):
    """One unicast route of the main table."""

    network: IPv4Network | IPv6Network
    ifindex: int
    gateway: bool
    metric: int = 0


class AddressChange(NamedTuple):
    """An address was added or changed (C{present}) or deleted."""

    present: bool
    entry: KernelAddress


class LinkChange(NamedTuple):
    """An interface was added or changed (C{present}) or is gone."""

    present: bool
    link: KernelLink


class EventsLost(NamedTuple):
    """The kernel had more events than there was room for: dump and compare."""


Event = AddressChange | LinkChange | EventsLost


def encodeAdd(
    address: Address,
    prefix: int,
    index: int,
    label: str | None = None,
    flags: int = 0,
    validLft: int | None = None,
) -> bytes:
    """
    Encode "add this address, or renew it if it is there", marked as ours.

    IPv6 addresses are added without duplicate address detection: they are usable at once. One that is
    alone in its network (/32, /128) is deprecated (preferred_lft 0): it is good for what comes to
    it, and no connection from here has it as its source unless a program asks for it.

    @param validLft: seconds, at least 1, after which the kernel deletes it; see L{lasting}.
    """
    attributes = [(_IFA_LOCAL, address.packed), (_IFA_ADDRESS, address.packed)]
    if isinstance(address, IPv4Address):
        if prefix < 31:  # as ifup does; RFC 3021 has none for /31
            network = IPv4Network((int(address), prefix), strict=False)
            attributes.append((_IFA_BROADCAST, network.broadcast_address.packed))
        if label is not None:
            attributes.append((_IFA_LABEL, label.encode() + b"\0"))
    else:
        flags |= IFA_F_NODAD
    attributes.append((_IFA_PROTO, bytes([IFA_PROTO_HATWIST])))
    how = NLM_F_REQUEST | NLM_F_ACK | NLM_F_REPLACE | NLM_F_CREATE
    encoded = _encodeAddress(RTM_NEWADDR, how, address, prefix, index, flags, attributes)
    alone = prefix == address.max_prefixlen
    if validLft is None and not alone:
        return encoded
    valid = FOREVER if validLft is None else validLft
    times = _CACHEINFO.pack(0 if alone else valid, valid, 0, 0)
    return _lengthened(encoded + _attribute(_IFA_CACHEINFO, times))


def lasting(message: bytes, validLft: int) -> bytes:
    """Return a message that was encoded with some C{validLft}, with this one."""
    preferred = _CACHEINFO.unpack(message[-16:])[0]
    return message[:-16] + _CACHEINFO.pack(validLft if preferred else 0, validLft, 0, 0)


def encodeDelete(address: Address, prefix: int, index: int) -> bytes:
    """Encode "delete this address from this interface", whatever its label is."""
    attributes = [(_IFA_LOCAL, address.packed), (_IFA_ADDRESS, address.packed)]
    how = NLM_F_REQUEST | NLM_F_ACK
    return _encodeAddress(RTM_DELADDR, how, address, prefix, index, 0, attributes)


@cache
def encodePromote(index: int, promote: bool) -> bytes:
    """
    Encode "set promote_secondaries of this interface" (/proc/sys may be read-only).

    Without it the kernel deletes every secondary address of a subnet with its primary, and the
    primary may be ours while the secondaries are other programs'.
    """
    conf = _attribute(_PROMOTE_SECONDARIES, _U32.pack(promote))
    inet = _attribute(AF_INET, _attribute(_IFLA_INET_CONF, conf))
    message = ifinfmsg()
    message["index"] = index
    encoded = _encode(message, RTM_SETLINK, NLM_F_REQUEST | NLM_F_ACK)
    return _lengthened(encoded + _attribute(_IFLA_AF_SPEC, inet))


@cache
def encodeDump(kind: int) -> bytes:
    """Encode the dump request of C{kind} (RTM_GETADDR, RTM_GETLINK or RTM_GETROUTE)."""
    how = NLM_F_REQUEST | NLM_F_DUMP
    if kind == RTM_GETADDR:
        return _encode(ifaddrmsg(), kind, how)
    if kind == RTM_GETLINK:
        message = ifinfmsg()
        message["attrs"] = [("IFLA_EXT_MASK", _RTEXT_FILTER_SKIP_STATS)]
        return _encode(message, kind, how)
    message = rtmsg()
    message["family"] = AF_UNSPEC
    return _encode(message, kind, how)


def kindOf(encoded: bytes) -> int:
    """What a message that is to be sent asks for, such as L{RTM_SETLINK}."""
    return int.from_bytes(encoded[4:6], sys.byteorder)


def numbered(message: bytes, sequence: int) -> bytes:
    """Return C{message} with its sequence number set."""
    return message[:8] + _U32.pack(sequence) + message[12:]


def numberedAll(messages: Sequence[bytes], first: int) -> bytes:
    """
    Return C{messages} one after the other, numbered from C{first}; success is told of the last one only.

    What the kernel refuses it tells of each, whether that was asked for or not (netlink_rcv_skb in af_netlink.c).
    """
    joined = bytearray().join(messages)
    offset, last = 0, len(messages) - 1
    for position, message in enumerate(messages):
        flags, _ = _FLAGS.unpack_from(joined, offset + 6)
        wanted = flags if position == last else flags & ~NLM_F_ACK
        _FLAGS.pack_into(joined, offset + 6, wanted, first + position)
        offset += len(message)
    return bytes(joined)


def _encodeAddress(
    kind: int,
    how: int,
    address: Address,
    prefix: int,
    index: int,
    flags: int,
    attributes: Sequence[tuple[int, bytes]],
) -> bytes:
    family = AF_INET if isinstance(address, IPv4Address) else AF_INET6
    body = _IFADDRMSG.pack(family, prefix, flags, 0, index)
    body += b"".join([_attribute(*attribute) for attribute in attributes])
    return _HEADER.pack(_HEADER.size + len(body), kind, how, 0, 0) + body


def _encode(message: Any, kind: int, how: int) -> bytes:
    header = message["header"]
    header["type"], header["flags"] = kind, how
    header["sequence_number"] = header["pid"] = 0
    message.encode()
    return _lengthened(bytes(message.data))


def _lengthened(message: bytes) -> bytes:
    """Pad to four bytes, as messages sent together must be, and say so in the length."""
    message += bytes(-len(message) % 4)
    return _U32.pack(len(message)) + message[4:]


def _attribute(kind: int, value: bytes) -> bytes:
    return _ATTRIBUTE.pack(4 + len(value), kind) + value + bytes(-len(value) % 4)


class Message(NamedTuple):
    """One message as received: its header, and the bytes after it."""

    kind: int
    flags: int
    sequence: int
    body: bytes


def split(data: bytes) -> Iterator[Message]:
    """Yield the messages of one datagram; a malformed one ends it (the kernel sends none)."""
    offset = 0
    while offset + 16 <= len(data):
        length, kind, flags, sequence, _port = _HEADER.unpack_from(data, offset)
        if length < 16 or offset + length > len(data):
            return
        yield Message(kind, flags, sequence, data[offset + 16 : offset + length])
        offset += (length + 3) & ~3


def errnoOf(body: bytes) -> int:
    """Return the positive errno of an acknowledgement, an error or the end of a dump."""
    return -int.from_bytes(body[:4], sys.byteorder, signed=True)


def _attributes(body: bytes, offset: int) -> dict[int, bytes]:
    found = {}
    while offset + 4 <= len(body):
        length, kind = _ATTRIBUTE.unpack_from(body, offset)
        if length < 4:
            break
        found[kind & 0x3FFF] = body[offset + 4 : offset + length]
        offset += (length + 3) & ~3
    return found


def _number(value: bytes | None, otherwise: int = 0) -> int:
    return otherwise if value is None else int.from_bytes(value, sys.byteorder)


def decodeAddress(body: bytes) -> KernelAddress | None:
    """Decode an ifaddrmsg and its attributes; None for one without an address."""
    if len(body) < _IFADDRMSG.size:
        return None
    family, prefix, flags, _scope, index = _IFADDRMSG.unpack_from(body)
    found = _attributes(body, 8)
    # IFA_LOCAL is ours, IFA_ADDRESS the peer's where there is one; IPv6 often has only the latter.
    packed = found.get(2) or found.get(1) or b""
    address: Address
    if family == AF_INET and len(packed) == 4:
        address = IPv4Address(packed)
    elif family == AF_INET6 and len(packed) == 16:
        address = IPv6Address(packed)
    else:
        return None
    label = found.get(3)
    times = found.get(_IFA_CACHEINFO, b"")
    preferred, valid = struct.unpack_from("=II", times) if len(times) >= 8 else (FOREVER, FOREVER)
    return KernelAddress(
        address,
        prefix,
        index,
        None if label is None else label.rstrip(b"\0").decode("ascii", "replace"),
        _number(found.get(11)),
        _number(found.get(8), flags),
        valid,
        preferred,
    )


def decodeLink(body: bytes) -> KernelLink | None:
    """Decode an ifinfomsg and its attributes; None for what a bridge says about its ports."""
    if len(body) < _IFINFOMSG.size:
        return None
    family, _kind, index, flags, _change = _IFINFOMSG.unpack_from(body)
    if family != AF_UNSPEC:
        return None
    found = _attributes(body, 16)
    families = _attributes(found.get(_IFLA_AF_SPEC, b""), 0)
    inet = _attributes(families.get(AF_INET, b""), 0).get(_IFLA_INET_CONF, b"")
    inet6 = _attributes(families.get(AF_INET6, b""), 0).get(2, b"")  # IFLA_INET6_CONF
    where = 4 * (_PROMOTE_SECONDARIES - 1)
    return KernelLink(
        index,
        found.get(3, b"").rstrip(b"\0").decode("utf-8", "replace"),
        flags,
        found.get(1, b""),
        any(inet[where : where + 4]),
        any(inet6[:4]),  # DEVCONF_FORWARDING is the first
    )


def decodeRoute(body: bytes) -> KernelRoute | None:
    """Decode an rtmsg and its attributes; None for what is not a unicast route of the main table."""
    if len(body) < _RTMSG.size:
        return None
    family, length, _src, _tos, table, _proto, _scope, kind, _flags = _RTMSG.unpack_from(body)
    if family not in (AF_INET, AF_INET6) or table != 254 or kind != 1:
        return None
    found = _attributes(body, 12)
    if 4 not in found:  # RTA_OIF: a multipath route has none, and is no connected one
        return None
    destination = found.get(1, bytes(4 if family == AF_INET else 16))
    try:
        network = (IPv4Network if family == AF_INET else IPv6Network)((destination, length), False)
    except ValueError:
        return None
    gateway = 5 in found or 18 in found  # RTA_GATEWAY, RTA_VIA
    return KernelRoute(network, _number(found[4]), gateway, _number(found.get(6)))
