"""
Advertisements of VRRP, as they stand after the header of IP: version 2 (RFC 3768) and version 3 (RFC 9568).

Who sends one and to whom is part of the checksum, so that both belong to it, here and on its way.
"""

from __future__ import annotations

from enum import Enum
from ipaddress import IPv4Address, IPv6Address
from struct import Struct
from typing import NamedTuple, Union

from hatwist.core.errors import BadPacket

Address = Union[IPv4Address, IPv6Address]  # noqa: UP007 - PyPy 3.9 runs this

PROTOCOL = 112
"""In the header of IP."""
HOPS = 255
"""TTL or hop limit of what is sent, and of what was not forwarded by any router."""
GROUPS: dict[int, Address] = {4: IPv4Address("224.0.0.18"), 6: IPv6Address("ff02::12")}
"""To whom advertisements are multicast, by version of IP."""
ADVERTISEMENT = 1
"""The only type of packet."""
OWNER = 255
"""The priority of the router whose interface has the addresses anyway."""
RESIGN = 0
"""The priority by which a master says that it is none any more."""
PASSWORD = 8
"""Bytes of authentication in version 2."""
MAX_INTERVAL = {2: 255.0, 3: 40.95}
"""Seconds between two advertisements at most, by version."""

_HEADER = Struct("!BBBBHH")
_CHECKSUM_AT = 6
_NO_AUTHENTICATION, _SIMPLE_TEXT = 0, 1
_CARP_SIZE, _CARP_AUTHENTICATION = 36, 7


class Checksum(Enum):
    """Over what the checksum of version 3 is computed for IPv4. For IPv6, and in version 2, there is no choice."""

    PSEUDO_HEADER = "pseudo-header"
    """With source and destination, as keepalived and FRR read RFC 5798."""
    MESSAGE = "message"
    """Without them, as RFC 9568 has it, section 5.2.8."""


class VrrpAdvert(NamedTuple):
    """
    One advertisement.

    @ivar priority: 1 to 254, or L{OWNER}, or L{RESIGN}.
    @ivar interval: seconds between two of them.
    @ivar addresses: what its sender keeps alive, of one version of IP.
    @ivar password: eight bytes of version 2; C{None}: it has none.
    """

    version: int
    vrid: int
    priority: int
    interval: float
    addresses: tuple[Address, ...]
    password: bytes | None = None

    def __str__(self) -> str:
        listed = ", ".join(map(str, self.addresses))
        every = f"every {self.interval:g} s"
        return f"v{self.version} vrid {self.vrid} priority {self.priority} {every}: {listed}"


class Decoded(NamedTuple):
    """An advertisement that was read, and which checksum it has."""

    advert: VrrpAdvert
    checksum: Checksum


def encode(
    advert: VrrpAdvert,
    source: Address,
    destination: Address,
    checksum: Checksum = Checksum.PSEUDO_HEADER,
) -> bytes:
    """
    What follows the header of IP.

    Addresses of the link come first, as IPv6 wants it (RFC 9568, section 5.2.9).

    @param checksum: of version 3 for IPv4.
    """
    addresses = sorted(advert.addresses, key=lambda each: not _ofLink(each))
    first = advert.version << 4 | ADVERTISEMENT
    if advert.version == 2:
        auth = _NO_AUTHENTICATION if advert.password is None else _SIMPLE_TEXT
        time, trailer = auth << 8 | round(advert.interval), advert.password or b""
        trailer = trailer.ljust(PASSWORD, b"\0")
    else:
        time, trailer = round(advert.interval * 100), b""
    header = _HEADER.pack(first, advert.vrid, advert.priority, len(addresses), time, 0)
    data = header + b"".join([each.packed for each in addresses]) + trailer
    pseudo = b""
    if _pseudo(advert.version, source, checksum):
        pseudo = pseudoHeader(source, destination, len(data))
    total = ~_sum(pseudo + data) & 0xFFFF
    return data[:_CHECKSUM_AT] + total.to_bytes(2, "big") + data[_CHECKSUM_AT + 2 :]


def decode(data: bytes, source: Address, destination: Address) -> Decoded:
    """
    The advertisement in these bytes.

    @raise BadPacket: it is none, see L{hatwist.core.errors.REASONS}.
    """
    if len(data) < _HEADER.size:
        raise BadPacket("truncated")
    first, vrid, priority, count, time, _ = _HEADER.unpack_from(data)
    version, kind = first >> 4, first & 0xF
    if version not in (2, 3) or (version == 2 and source.version == 6):
        raise BadPacket("version", f"{version} by IPv{source.version}")
    if version == 2 and len(data) == _CARP_SIZE and count == _CARP_AUTHENTICATION:
        raise BadPacket("carp")  # by its length alone: version 2 with seven addresses has 44 bytes
    if kind != ADVERTISEMENT:
        raise BadPacket("malformed", f"type {kind}")
    size = 4 if source.version == 4 else 16
    end = _HEADER.size + count * size
    wanted = end + (PASSWORD if version == 2 else 0)
    if len(data) != wanted:
        reason = "truncated" if len(data) < wanted else "trailing"
        raise BadPacket(reason, f"{len(data)} bytes with {count} addresses")
    checksum = _verified(version, data, source, destination)
    if not vrid:
        raise BadPacket("malformed", "vrid 0")
    if not count:
        raise BadPacket("malformed", "no address")
    make = IPv4Address if size == 4 else IPv6Address
    addresses = tuple([make(data[at : at + size]) for at in range(_HEADER.size, end, size)])
    password = None
    if version == 2:
        auth, interval = time >> 8, float(time & 0xFF)
        if auth not in (_NO_AUTHENTICATION, _SIMPLE_TEXT):
            raise BadPacket("authentication", f"type {auth}")
        password = data[end:] if auth == _SIMPLE_TEXT else None
    else:
        interval = (time & 0xFFF) / 100
    if not interval:
        raise BadPacket("interval", "0")
    return Decoded(VrrpAdvert(version, vrid, priority, interval, addresses, password), checksum)


def pseudoHeader(source: Address, destination: Address, size: int) -> bytes:
    """
    What the checksum covers besides the message (RFC 1071 for IPv4, RFC 8200, section 8.1, for IPv6).

    @param size: bytes of the message.
    """
    both = source.packed + destination.packed
    if source.version == 4:
        return both + bytes((0, PROTOCOL)) + size.to_bytes(2, "big")
    return both + size.to_bytes(4, "big") + bytes((0, 0, 0, PROTOCOL))


def _pseudo(version: int, source: Address, checksum: Checksum) -> bool:
    return version == 3 and (source.version == 6 or checksum is Checksum.PSEUDO_HEADER)


def _verified(version: int, data: bytes, source: Address, destination: Address) -> Checksum:
    """Which checksum this is."""
    message = _sum(data)
    if version == 2:
        if message == 0xFFFF:
            return Checksum.MESSAGE
    else:
        if _sum(pseudoHeader(source, destination, len(data)) + data) == 0xFFFF:
            return Checksum.PSEUDO_HEADER
        if source.version == 4 and message == 0xFFFF:
            return Checksum.MESSAGE
    raise BadPacket("checksum")


def _sum(data: bytes) -> int:
    """
    The one's complement sum of 16-bit words (RFC 1071), of an even number of bytes.

    Carries come back in at the end, so it is a remainder; 0 stands for all ones, since no message is all zeros.
    """
    return int.from_bytes(data, "big") % 0xFFFF or 0xFFFF


def _ofLink(address: Address) -> bool:
    return address.version == 6 and address.is_link_local
