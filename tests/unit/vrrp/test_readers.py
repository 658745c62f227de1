"""What is sent, as others read it who know nothing of hatwist: scapy's layers of VRRP, and the other way round."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address
from itertools import product

from scapy.layers.inet import IP, checksum
from scapy.layers.inet6 import IPv6
from scapy.layers.vrrp import VRRP, VRRPv3
from twisted.trial.unittest import SynchronousTestCase

from hatwist.protocols.vrrp.packet import (
    GROUPS,
    HOPS,
    OWNER,
    PROTOCOL,
    RESIGN,
    Checksum,
    VrrpAdvert,
    decode,
    encode,
)

A = ip_address("10.99.0.1")
A6 = ip_address("fe80::a")
VIPS = (ip_address("10.99.0.100"), ip_address("10.99.0.101"))
VIPS6 = (ip_address("fe80::100"), ip_address("2001:db8::100"))
Address = IPv4Address | IPv6Address


class ScapyTests(SynchronousTestCase):
    """Both ways."""

    def header(self, source: Address, to: Address) -> IP | IPv6:
        """The header of IP that a link puts before it."""
        if source.version == 4:
            return IP(src=str(source), dst=str(to), ttl=HOPS, proto=PROTOCOL, tos=0xC0, flags="DF")
        return IPv6(src=str(source), dst=str(to), hlim=HOPS, nh=PROTOCOL)

    def recomputed(self, packet: IP | IPv6, layer: type) -> int:
        """The checksum as scapy computes it."""
        fresh = packet.copy()
        fresh[layer].chksum = None
        return int(type(packet)(bytes(fresh))[layer].chksum)

    def test_version3(self) -> None:
        """Each field, and the checksum with a pseudo-header, by both versions of IP and by unicast."""
        for (source, vips), priority, interval, unicast in product(
            ((A, VIPS), (A6, VIPS6)), (RESIGN, 1, 150, OWNER), (0.01, 1.0, 40.95), (False, True)
        ):
            to = ip_address("10.99.0.3" if source.version == 4 else "fe80::3")
            to = to if unicast else GROUPS[source.version]
            advert = VrrpAdvert(3, 51, priority, interval, vips)
            data = bytes(self.header(source, to) / encode(advert, source, to))
            packet = (IP if source.version == 4 else IPv6)(data)
            read = packet[VRRPv3]
            self.assertEqual(
                (read.version, read.type, read.vrid, read.priority, read.ipcount, read.res),
                (3, 1, 51, priority, 2, 0),
            )
            self.assertEqual(read.adv, round(interval * 100))
            self.assertEqual([ip_address(each) for each in read.addrlist], list(vips))
            self.assertEqual(read.chksum, self.recomputed(packet, VRRPv3))

    def test_version2(self) -> None:
        """Each field, the password, and the checksum of the message."""
        for priority, password in product((RESIGN, 100, OWNER), (None, b"secret12")):
            advert = VrrpAdvert(2, 51, priority, 3.0, VIPS, password)
            packet = IP(bytes(self.header(A, GROUPS[4]) / encode(advert, A, GROUPS[4])))
            read = packet[VRRP]
            self.assertEqual(
                (read.version, read.type, read.vrid, read.priority, read.ipcount, read.adv),
                (2, 1, 51, priority, 2, 3),
            )
            self.assertEqual(read.authtype, 0 if password is None else 1)
            said = read.auth1.to_bytes(4, "big") + read.auth2.to_bytes(4, "big")
            self.assertEqual(said, password or bytes(8))
            self.assertEqual(read.chksum, self.recomputed(packet, VRRP))

    def test_message(self) -> None:
        """The checksum of RFC 9568 is the Internet checksum of the message, and not that of the pseudo-header."""
        advert = VrrpAdvert(3, 51, 150, 1.0, VIPS)
        data = encode(advert, A, GROUPS[4], Checksum.MESSAGE)
        self.assertEqual(checksum(data), 0)
        self.assertNotEqual(checksum(encode(advert, A, GROUPS[4])), 0)

    def test_understood(self) -> None:
        """What scapy makes is understood."""
        for source, vips in ((A, VIPS), (A6, VIPS6)):
            layer = VRRPv3(vrid=7, priority=99, adv=250, addrlist=[str(each) for each in vips])
            packet = bytes(self.header(source, GROUPS[source.version]) / layer)
            data = packet[20 if source.version == 4 else 40 :]
            found = decode(data, source, GROUPS[source.version])
            self.assertEqual(found.advert, VrrpAdvert(3, 7, 99, 2.5, vips))
        layer = VRRP(vrid=7, priority=99, adv=5, addrlist=[str(each) for each in VIPS])
        packet = bytes(self.header(A, GROUPS[4]) / layer)
        found = decode(packet[20:], A, GROUPS[4])
        self.assertEqual(found.advert, VrrpAdvert(2, 7, 99, 5.0, VIPS))
