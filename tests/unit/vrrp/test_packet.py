"""Tests for L{hatwist.protocols.vrrp.packet}: golden vectors, each rule of receiving and sending, and junk."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Literal, NamedTuple

from hypothesis import assume, given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hatwist.core.errors import REASONS, BadPacket
from hatwist.protocols.vrrp.packet import (
    GROUPS,
    MAX_INTERVAL,
    PROTOCOL,
    Checksum,
    VrrpAdvert,
    decode,
    encode,
    pseudoHeader,
)

A, B = ip_address("10.99.0.1"), ip_address("10.99.0.2")
VIP = (ip_address("10.99.0.100"),)
VIP6 = (ip_address("fe80::100"), ip_address("2001:db8::100"))
HEX6 = "fe800000000000000000000000000100 20010db8000000000000000000000100"
GLOBAL6 = "20010db8000000000000000000000100"
PSEUDO, MESSAGE = Checksum.PSEUDO_HEADER, Checksum.MESSAGE


class Golden(NamedTuple):
    """A packet that was seen on a wire, or computed from one that was."""

    raw: str
    source: str
    advert: VrrpAdvert
    checksum: Checksum = PSEUDO
    destination: str = "224.0.0.18"
    sorted: bool = True


def _v3(priority: int, interval: float, *addresses: str) -> VrrpAdvert:
    listed = tuple(map(ip_address, addresses)) or VIP
    return VrrpAdvert(3, 51, priority, interval, listed)


GOLDEN = {
    "keepalived v2": Golden(
        "213396010001 3e03 0a630064 0000000000000000",
        "10.99.0.1",
        VrrpAdvert(2, 51, 150, 1.0, VIP),
        MESSAGE,
    ),
    "keepalived v2, password": Golden(
        "213396010101 cf84 0a630064 7365637265743132",
        "10.99.0.1",
        VrrpAdvert(2, 51, 150, 1.0, VIP, b"secret12"),
        MESSAGE,
    ),
    "keepalived v3": Golden("313396010064 42ad 0a630064", "10.99.0.1", _v3(150, 1.0)),
    "v3 by RFC 9568": Golden("313396010064 2da0 0a630064", "10.99.0.1", _v3(150, 1.0), MESSAGE),
    "keepalived v3, unicast": Golden(
        "313396010064 185a 0a630064", "10.99.0.1", _v3(150, 1.0), PSEUDO, "10.99.0.3"
    ),
    "keepalived v3, priority 0": Golden("313300010064 d8ad 0a630064", "10.99.0.1", _v3(0, 1.0)),
    "keepalived v3, from .2": Golden("313364010064 74ac 0a630064", "10.99.0.2", _v3(100, 1.0)),
    "keepalived and FRR v3, 0.1 s": Golden(
        "31339601000a 4307 0a630064", "10.99.0.1", _v3(150, 0.1)
    ),
    "v3 by RFC 9568, 0.1 s": Golden(
        "31339601000a 2dfa 0a630064", "10.99.0.1", _v3(150, 0.1), MESSAGE
    ),
    "keepalived IPv6": Golden(
        f"313396020064 0bf4 {HEX6}",
        "fe80::a",
        _v3(150, 1.0, *map(str, VIP6)),
        destination="ff02::12",
    ),
    "keepalived IPv6, 0.1 s": Golden(
        f"31339602000a 0d57 {HEX6}",
        "fe80::ff:fe00:1",
        _v3(150, 0.1, *map(str, VIP6)),
        destination="ff02::12",
    ),
    "keepalived IPv6, no link-local": Golden(
        f"31339601000a 0ce9 {GLOBAL6}",
        "fe80::ff:fe00:1",
        _v3(150, 0.1, "2001:db8::100"),
        destination="ff02::12",
    ),
    "FRR IPv6": Golden(
        f"313396010064 091d {GLOBAL6}",
        "fe80::c5bc:5002:fc7f:f033",
        _v3(150, 1.0, "2001:db8::100"),
        destination="ff02::12",
    ),
    "FRR IPv6, priority 0": Golden(
        f"313300010064 9f1d {GLOBAL6}",
        "fe80::c5bc:5002:fc7f:f033",
        _v3(0, 1.0, "2001:db8::100"),
        destination="ff02::12",
    ),
    "FRR IPv6, global first": Golden(
        f"31339602000a 0b58 {GLOBAL6} fe800000000000000000000000000100",
        "fe80::100",
        _v3(150, 0.1, "2001:db8::100", "fe80::100"),
        destination="ff02::12",
        sorted=False,
    ),
}


class GoldenTests(SynchronousTestCase):
    """What was seen on wires is understood, and said in the same way."""

    def test_decode(self) -> None:
        """Each vector stands for its value, with its checksum."""
        for name, (raw, source, advert, checksum, to, _) in GOLDEN.items():
            found = decode(bytes.fromhex(raw), ip_address(source), ip_address(to))
            self.assertEqual(found, (advert, checksum), name)

    def test_encode(self) -> None:
        """Each value gives its vector, but for one whose addresses stand in an order that we do not use."""
        for name, (raw, source, advert, checksum, to, same) in GOLDEN.items():
            made = encode(advert, ip_address(source), ip_address(to), checksum)
            (self.assertEqual if same else self.assertNotEqual)(made, bytes.fromhex(raw), name)


def packet(**changed: object) -> bytes:
    """One of version 3 by IPv4."""
    return encode(_v3(150, 1.0)._replace(**changed), A, GROUPS[4])  # type: ignore[arg-type]


def repaired(data: bytes, source: IPv4Address | IPv6Address = A) -> bytes:
    """The same with a right checksum, so that nothing else is wrong but what was changed."""
    blank = data[:6] + b"\0\0" + data[8:]
    over = blank
    if data[0] >> 4 == 3:
        over = pseudoHeader(source, GROUPS[source.version], len(data)) + blank
    words = [int.from_bytes(over[at : at + 2], "big") for at in range(0, len(over), 2)]
    total = sum(words)
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return blank[:6] + (~total & 0xFFFF).to_bytes(2, "big") + blank[8:]


class ReceivingTests(SynchronousTestCase):
    """Which messages are none: each rule with what passes it, and what does not. The rest is in test_intake."""

    def assertBad(self, reason: str, data: bytes, source: IPv4Address | IPv6Address = A) -> None:
        """It is dropped for this reason, which is one of those that are counted."""
        with self.assertRaises(BadPacket) as caught:
            decode(data, source, GROUPS[source.version])
        self.assertEqual(caught.exception.reason, reason, str(caught.exception))
        self.assertIn(reason, REASONS)

    def good(self, data: bytes, source: IPv4Address | IPv6Address = A) -> VrrpAdvert:
        """It is understood."""
        return decode(data, source, GROUPS[source.version]).advert

    def test_repaired(self) -> None:
        """The checksum of these tests, which is computed in another way, is the same."""
        for data in (packet(), packet(priority=1), packet(addresses=VIP * 7)):
            self.assertEqual(repaired(data), data)

    def test_version(self) -> None:
        """Versions 2 and 3 are understood; 1, 4 and 15 are not."""
        self.assertEqual(self.good(packet()).version, 3)
        two = encode(VrrpAdvert(2, 51, 150, 1.0, VIP), A, GROUPS[4])
        self.assertEqual(self.good(two).version, 2)
        for version in (0, 1, 4, 15):
            self.assertBad("version", repaired(bytes([version << 4 | 1]) + packet()[1:]))

    def test_version2IsForIpv4(self) -> None:
        """By IPv6 there is version 3, and no version 2."""
        source = ip_address("fe80::1")
        six = encode(_v3(150, 1.0, "fe80::100"), source, GROUPS[6])
        self.assertEqual(self.good(six, source).addresses, (VIP6[0],))
        self.assertBad("version", bytes([0x21]) + six[1:], source)

    def test_type(self) -> None:
        """Type 1 is an advertisement; there is no other."""
        self.assertEqual(self.good(repaired(bytes([0x31]) + packet()[1:])).priority, 150)
        for kind in (0, 2, 15):
            self.assertBad("malformed", repaired(bytes([0x30 | kind]) + packet()[1:]))

    def test_truncated(self) -> None:
        """A whole packet is understood, and none that lacks a byte at its end."""
        for version in (2, 3):
            data = encode(VrrpAdvert(version, 51, 150, 1.0, VIP * 2), A, GROUPS[4])
            self.assertEqual(len(self.good(data).addresses), 2)
            for size in range(len(data)):
                self.assertBad("truncated", data[:size])

    def test_overlong(self) -> None:
        """Nothing may follow, as it does where keepalived 2.4 signs."""
        for version in (2, 3):
            data = encode(VrrpAdvert(version, 51, 150, 1.0, VIP), A, GROUPS[4])
            self.assertEqual(self.good(data).priority, 150)
            for more in (b"\0", bytes(4), bytes(32)):
                self.assertBad(
                    "trailing", repaired(data + more) if len(more) % 2 == 0 else data + more
                )

    def test_count(self) -> None:
        """As many addresses as the count says: not one more, and not one less."""
        for count, reason in ((1, "trailing"), (3, "truncated")):
            data = bytearray(packet(addresses=VIP * 2))
            data[3] = count
            self.assertBad(reason, repaired(bytes(data)))
        self.assertEqual(len(self.good(packet(addresses=VIP * 255)).addresses), 255)

    def test_countZero(self) -> None:
        """One address is enough; without any there is nothing to hold."""
        self.assertEqual(self.good(packet()).addresses, VIP)
        self.assertBad("malformed", repaired(bytes.fromhex("3133960000640000")))

    def test_checksum(self) -> None:
        """Any byte that is another one is noticed."""
        data = packet()
        self.assertEqual(self.good(data).priority, 150)
        for at in (1, 2, 5, 6, 7, 8, 11):
            damaged = data[:at] + bytes([data[at] ^ 0x55]) + data[at + 1 :]
            self.assertBad("checksum", damaged)
        self.assertBad("checksum", data, B)

    def test_checksumForms(self) -> None:
        """By IPv4 both checksums of version 3 are understood, and told apart; by IPv6 there is one."""
        for checksum in Checksum:
            data = encode(_v3(150, 1.0), A, GROUPS[4], checksum)
            self.assertIs(decode(data, A, GROUPS[4]).checksum, checksum)
        source = ip_address("fe80::1")
        six = [encode(_v3(1, 1.0, "fe80::100"), source, GROUPS[6], each) for each in Checksum]
        self.assertEqual(six[0], six[1])
        over = six[0][:6] + b"\0\0" + six[0][8:]
        message = over[:6] + (~(int.from_bytes(over, "big") % 0xFFFF) & 0xFFFF).to_bytes(2, "big")
        self.assertBad("checksum", message + over[8:], source)

    def test_checksum2(self) -> None:
        """In version 2 the checksum is of the message alone: a pseudo-header is an error."""
        data = encode(VrrpAdvert(2, 51, 150, 1.0, VIP), A, GROUPS[4])
        self.assertIs(decode(data, A, GROUPS[4]).checksum, MESSAGE)
        self.assertEqual(encode(VrrpAdvert(2, 51, 150, 1.0, VIP), B, GROUPS[4], PSEUDO), data)
        blank = data[:6] + b"\0\0" + data[8:]
        total = int.from_bytes(pseudoHeader(A, GROUPS[4], len(data)) + blank, "big") % 0xFFFF
        self.assertBad("checksum", blank[:6] + (~total & 0xFFFF).to_bytes(2, "big") + blank[8:])

    def test_vridZero(self) -> None:
        """1 to 255 are routers, 0 is none."""
        for vrid in (1, 255):
            self.assertEqual(self.good(packet(vrid=vrid)).vrid, vrid)
        self.assertBad("malformed", packet(vrid=0))

    def test_intervalZero(self) -> None:
        """The shortest interval is one hundredth, or in version 2 one second; 0 is dropped."""
        for version, least in ((2, 1.0), (3, 0.01)):
            advert = VrrpAdvert(version, 51, 150, least, VIP)
            self.assertEqual(self.good(encode(advert, A, GROUPS[4])).interval, least)
            none = encode(advert._replace(interval=0.0), A, GROUPS[4])
            self.assertBad("interval", none)

    def test_authenticationType(self) -> None:
        """Version 2 has no authentication, or a password; the header of RFC 2338's type 2 is unknown."""
        data = encode(VrrpAdvert(2, 51, 150, 1.0, VIP, b"12345678"), A, GROUPS[4])
        self.assertEqual(self.good(data).password, b"12345678")
        for kind, password in ((0, None), (1, b"12345678")):
            again = repaired(data[:4] + bytes([kind]) + data[5:])
            self.assertEqual(self.good(again).password, password)
        self.assertBad("authentication", repaired(data[:4] + b"\2" + data[5:]))

    def test_reservedBits(self) -> None:
        """Reserved bits are not looked at, as keepalived does not; the interval is not changed by them."""
        data = packet()
        for bits in (0x10, 0xF0):
            self.assertEqual(
                self.good(repaired(data[:4] + bytes([data[4] | bits]) + data[5:])).interval, 1.0
            )

    def test_carp(self) -> None:
        """CARP has the same number: it is told apart by its length, also from seven addresses."""
        golden = bytes.fromhex(
            "212a00070001 29b2 d62ee7e09f4b881a 5a3a108f61a9e28f70e6ec9be6f2abaca824885c"
        )
        self.assertBad("carp", golden)
        seven = encode(VrrpAdvert(2, 42, 150, 1.0, VIP * 7), A, GROUPS[4])
        self.assertEqual(len(self.good(seven).addresses), 7)
        five = encode(VrrpAdvert(2, 42, 150, 1.0, VIP * 5), A, GROUPS[4])
        self.assertEqual((len(five), len(self.good(five).addresses)), (36, 5))


class SendingTests(SynchronousTestCase):
    """What stands in what is sent."""

    def test_reservedBits(self) -> None:
        """They are 0, at the longest interval too, whose bits all stand beside them."""
        self.assertEqual(packet(interval=40.95)[4:6], bytes.fromhex("0fff"))
        self.assertEqual(packet(interval=0.01)[4:6], bytes.fromhex("0001"))

    def test_linkLocalFirst(self) -> None:
        """By IPv6 the link-local address comes first; the others, and those of IPv4, keep their order."""
        source = ip_address("fe80::1")
        listed = ("2001:db8::2", "fe80::100", "2001:db8::1")
        data = encode(_v3(150, 1.0, *listed), source, GROUPS[6])
        found = decode(data, source, GROUPS[6]).advert.addresses
        self.assertEqual([str(each) for each in found], [listed[1], listed[0], listed[2]])
        four = _v3(150, 1.0, "10.0.0.2", "169.254.0.1", "10.0.0.1")
        self.assertEqual(decode(encode(four, A, GROUPS[4]), A, GROUPS[4]).advert, four)

    def test_everyHundredth(self) -> None:
        """No interval is cut: each hundredth of a second arrives as it was."""
        for hundredths in range(1, 4096):
            interval = hundredths / 100
            self.assertEqual(
                decode(packet(interval=interval), A, GROUPS[4]).advert.interval, interval
            )

    def test_pseudoHeader(self) -> None:
        """It names both ends, the protocol and the length."""
        self.assertEqual(PROTOCOL, 112)
        self.assertEqual(
            pseudoHeader(A, GROUPS[4], 12).hex(), "0a630001" + "e0000012" + "0070" + "000c"
        )
        six = pseudoHeader(ip_address("fe80::1"), GROUPS[6], 40)
        self.assertEqual((len(six), six[32:].hex()), (40, "00000028" + "00000070"))


addresses4 = st.lists(st.ip_addresses(v=4), min_size=1, max_size=20).map(tuple)
addresses6 = (
    st.lists(st.ip_addresses(v=6), min_size=1, max_size=20)
    .map(lambda listed: sorted(listed, key=lambda each: not each.is_link_local))
    .map(tuple)
)
passwords = st.none() | st.binary(min_size=8, max_size=8)


@st.composite
def adverts(draw: st.DrawFn) -> tuple[VrrpAdvert, IPv4Address | IPv6Address]:
    """Any that can be said, and who says it."""
    kinds: list[tuple[int, Literal[4, 6]]] = [(2, 4), (3, 4), (3, 6)]
    version, family = draw(st.sampled_from(kinds))
    interval = draw(st.integers(1, 255)) * 1.0
    if version == 3:
        interval = draw(st.integers(1, 4095)) / 100
    advert = VrrpAdvert(
        version,
        draw(st.integers(1, 255)),
        draw(st.integers(0, 255)),
        interval,
        draw(addresses4 if family == 4 else addresses6),
        draw(passwords) if version == 2 else None,
    )
    return advert, draw(st.ip_addresses(v=family))


class PropertyTests(SynchronousTestCase):
    """Whatever is said is understood, and whatever comes raises nothing but BadPacket."""

    @given(adverts(), st.sampled_from(Checksum), st.booleans())
    def test_bothWays(
        self,
        said: tuple[VrrpAdvert, IPv4Address | IPv6Address],
        checksum: Checksum,
        unicast: bool,
    ) -> None:
        """What is encoded is decoded to the same, with the same checksum where there is a choice."""
        advert, source = said
        to = source if unicast else GROUPS[source.version]
        found = decode(encode(advert, source, to, checksum), source, to)
        self.assertEqual(found.advert, advert)
        if advert.version == 3 and source.version == 4:
            # A pseudo-header whose sum is nothing makes both the same.
            same = encode(advert, source, to, PSEUDO) == encode(advert, source, to, MESSAGE)
            self.assertIs(found.checksum, PSEUDO if same else checksum)
        self.assertLessEqual(found.advert.interval, MAX_INTERVAL[advert.version])

    @given(st.binary(max_size=100), st.ip_addresses(), st.booleans())
    def test_junk(self, data: bytes, source: IPv4Address | IPv6Address, right: bool) -> None:
        """Any bytes are an advertisement or a BadPacket, also with a right checksum."""
        if right and len(data) >= 8 and len(data) % 2 == 0:
            data = repaired(bytes([0x31]) + data[1:], source)
        try:
            found = decode(data, source, GROUPS[source.version])
        except BadPacket as e:
            self.assertIn(e.reason, REASONS)
        else:
            self.assertTrue(found.advert.addresses)
            self.assertGreater(found.advert.interval, 0)

    @given(adverts(), st.data())
    def test_damaged(
        self, said: tuple[VrrpAdvert, IPv4Address | IPv6Address], data: st.DataObject
    ) -> None:
        """One byte that is another one never makes another advertisement: its checksum is wrong, or its shape."""
        advert, source = said
        assume(advert.version == 2 or source.version == 6)  # else there are two right checksums
        good = encode(advert, source, GROUPS[source.version])
        at = data.draw(st.integers(0, len(good) - 1))
        flipped = data.draw(st.integers(1, 255))
        with self.assertRaises(BadPacket):
            bad = good[:at] + bytes([good[at] ^ flipped]) + good[at + 1 :]
            found = decode(bad, source, GROUPS[source.version])
            self.assertEqual(found.advert, advert, "another one")
            raise BadPacket("the same", "all ones and all zeros are one number")
