"""
The packet of CARP: 36 bytes, and one frozen value.

    version 2 and type 1 (a half byte each), vhid, advskew, length of what is signed in words (7), demote, advbase,
    checksum (2), counter (8), HMAC-SHA1 (20)

Sources: struct carp_header in sys/netinet/ip_carp.h of OpenBSD and FreeBSD, src/ip_carp.h of ucarp.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address
from struct import Struct
from typing import NamedTuple, Union

from hatwist.core.errors import BadPacket

_CARP = Struct(">BBBBBBHQ20s")
SIZE = _CARP.size
_VERSION, _TYPE = 2, 1
_AUTHLEN = 7
"""32-bit words of counter and HMAC."""
_VRRP2, _VRRP3 = 0x21, 0x31
SKEWS = 256
"""What C{advskew} counts: parts of a second."""
HOPS = 255
"""Of a packet that no router has passed on."""
LEAVING = 255
"""C{advbase} and C{advskew} of a goodbye: whoever hears it takes the sender for silent."""
COUNTERS = 1 << 64

Address = Union[IPv4Address, IPv6Address]  # noqa: UP007 - PyPy 3.9 runs this


class CarpPacket(NamedTuple):
    """
    One advertisement of a master.

    @ivar advbase: seconds, 0-255; C{advskew}: 0-255, see L{SKEWS}. Their sum is the interval.
    @ivar demote: how badly off the sender is, 0-255; only OpenBSD uses it, others send 0.
    @ivar counter: 0 to 2**64 - 1.
    @ivar digest: 20 bytes, see L{hatwist.protocols.carp.auth}. It covers vhid and counter alone of all these.
    """

    vhid: int
    advbase: int
    advskew: int
    counter: int
    digest: bytes
    demote: int = 0

    @property
    def interval(self) -> int:
        """Between two advertisements, in parts of a second, see L{SKEWS}."""
        return self.advbase * SKEWS + self.advskew

    def __str__(self) -> str:
        if self.advbase == self.advskew == LEAVING:
            return f"vhid {self.vhid} goodbye"
        demoted = f" demoted {self.demote}" if self.demote else ""
        return f"vhid {self.vhid} {self.advbase} s + {self.advskew}/{SKEWS}{demoted}"


def encode(packet: CarpPacket) -> bytes:
    """The bytes of it, with their checksum."""
    first = (_VERSION << 4 | _TYPE, packet.vhid, packet.advskew, _AUTHLEN)
    last = (packet.counter, packet.digest)
    data = _CARP.pack(*first, packet.demote, packet.advbase, 0, *last)
    return _CARP.pack(*first, packet.demote, packet.advbase, _checksum(data), *last)


def decode(data: bytes) -> CarpPacket:
    """
    Read one.

    @raise BadPacket: it is none, or was damaged on the way. Nobody's signature was checked yet.
    """
    if _isVrrp(data):
        raise BadPacket("vrrp")
    if len(data) < SIZE:
        raise BadPacket("truncated", f"{len(data)} bytes, of {SIZE}")
    if len(data) > SIZE:
        raise BadPacket("trailing", f"{len(data)} bytes, of {SIZE}")
    first, vhid, advskew, authlen, demote, advbase, _, counter, digest = _CARP.unpack(data)
    if first >> 4 != _VERSION:
        raise BadPacket("version", f"CARP version {first >> 4}, here {_VERSION}")
    if first & 0xF != _TYPE:
        raise BadPacket("malformed", f"type {first & 0xF}, of which there is {_TYPE} only")
    if authlen != _AUTHLEN:
        raise BadPacket("malformed", f"{authlen} words are signed, not {_AUTHLEN}")
    if _checksum(data):
        raise BadPacket("checksum")
    return CarpPacket(vhid, advbase, advskew, counter, digest, demote)


def _isVrrp(data: bytes) -> bool:
    """
    Whether it is of VRRP, which has the same protocol number: of version 3, or of version 2, which begins as CARP does.

    VRRPv2 has its addresses counted where L{_AUTHLEN} is here, and 8 bytes after them (RFC 3768, section 5.1). Seven
    addresses are 44 bytes, and 36 bytes are five.
    """
    if len(data) < 8 or data[0] not in (_VRRP2, _VRRP3):
        return False
    return data[0] == _VRRP3 or len(data) == 16 + 4 * data[3]


def _checksum(data: bytes) -> int:
    """
    Of an even number of bytes (RFC 1071); 0, where they hold their checksum already and it is right.

    A one's complement sum is a remainder; no packet is all zeros, so 0 stands for all ones.
    """
    return (int.from_bytes(data, "big") % 0xFFFF or 0xFFFF) ^ 0xFFFF
