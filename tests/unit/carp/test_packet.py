"""Tests for C{packet} and C{auth} of L{hatwist.protocols.carp}."""

from __future__ import annotations

import hmac
from ipaddress import IPv4Address, IPv6Address, ip_address

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hatwist.core.errors import REASONS, BadPacket
from hatwist.protocols.carp.auth import Seal
from hatwist.protocols.carp.packet import LEAVING, SIZE, Address, CarpPacket, decode, encode

SEAL = Seal(b"sesame", 42, [IPv4Address("10.99.0.100")])

# Captured from ucarp 1.5.2 but for the goodbye, which ucarp never says: advbase, advskew, counter, bytes.
GOLDEN = (
    (
        1,
        0,
        0xD62EE7E09F4B881A,
        "212a00070001 29b2 d62ee7e09f4b881a 5a3a108f61a9e28f70e6ec9be6f2abaca824885c",
    ),
    (
        1,
        50,
        0x9335C866BF674135,
        "212a32070001 501b 9335c866bf674135 9a5e634356ccbe3bb08afa6d4aae29ca7943551a",
    ),
    (255, 255, 1, "212aff0700ff 405f 0000000000000001 c9dfe25187ec1e05488bd385bfe47f0491c65f8a"),
)
SAID = bytes.fromhex(GOLDEN[0][3])
VRRP2 = bytes.fromhex("213396010001 3e03 0a630064 0000000000000000")

packets = st.builds(
    CarpPacket,
    st.integers(0, 255),
    st.integers(0, 255),
    st.integers(0, 255),
    st.integers(0, (1 << 64) - 1),
    st.binary(min_size=20, max_size=20),
    st.integers(0, 255),
)


def changed(at: int, value: int) -> bytes:
    """A good packet with another byte there, and its checksum made good again."""
    data = bytearray(SAID)
    data[at] = value
    data[6:8] = bytes(2)
    total = int.from_bytes(data, "big") % 0xFFFF ^ 0xFFFF
    return bytes(data[:6]) + total.to_bytes(2, "big") + bytes(data[8:])


class PacketTests(SynchronousTestCase):
    """Bytes to one value, and back."""

    def refused(self, data: bytes) -> str:
        with self.assertRaises(BadPacket) as caught:
            decode(data)
        self.assertIn(caught.exception.reason, REASONS)
        return str(caught.exception.reason)

    def test_goldenIn(self) -> None:
        """What ucarp sends is read, and its signature is right."""
        for base, skew, counter, text in GOLDEN:
            packet = decode(bytes.fromhex(text))
            self.assertEqual((*packet[:4], packet.demote), (42, base, skew, counter, 0))
            self.assertTrue(SEAL.verify(counter, packet.digest))

    def test_goldenOut(self) -> None:
        """The same is what ucarp would send, byte by byte."""
        for base, skew, counter, text in GOLDEN:
            said = CarpPacket(42, base, skew, counter, SEAL.digest(counter))
            self.assertEqual(encode(said), bytes.fromhex(text))

    @given(packets)
    def test_roundTrip(self, packet: CarpPacket) -> None:
        """Whatever is sent is read as it was meant."""
        self.assertEqual(decode(encode(packet)), packet)

    @given(st.binary(max_size=80) | st.binary(min_size=SIZE, max_size=SIZE))
    def test_fuzz(self, data: bytes) -> None:
        """Any other bytes are refused, by a reason that is counted."""
        try:
            decode(data)
        except BadPacket as bad:
            self.assertIn(bad.reason, REASONS)

    @given(st.integers(0, SIZE - 1), st.integers(1, 255))
    def test_damaged(self, at: int, bits: int) -> None:
        """A packet of which one byte was damaged is refused."""
        data = bytearray(SAID)
        data[at] ^= bits
        self.refused(bytes(data))

    def test_length(self) -> None:
        """It has 36 bytes, not fewer and not more."""
        self.assertEqual(len(SAID), SIZE)
        decode(SAID)
        for size in range(SIZE):
            self.assertEqual(self.refused(SAID[:size]), "truncated")
        self.assertEqual(self.refused(SAID + b"\0"), "trailing")

    def test_version(self) -> None:
        """Version 2 is read, and no other."""
        decode(changed(0, 0x21))
        for version in (0, 1, 4, 15):
            self.assertEqual(self.refused(changed(0, version << 4 | 1)), "version")

    def test_type(self) -> None:
        """An advertisement is read, and no other type."""
        for kind in (0, 2, 15):
            self.assertEqual(self.refused(changed(0, 0x20 | kind)), "malformed")

    def test_authlen(self) -> None:
        """Seven words are signed, and no other number."""
        for words in (0, 4, 6, 8, 255):
            self.assertEqual(self.refused(changed(3, words)), "malformed")

    def test_checksum(self) -> None:
        """A checksum that is right over all 36 bytes is taken, and no other."""
        decode(changed(2, 7))
        self.assertEqual(self.refused(SAID[:6] + b"\0\0" + SAID[8:]), "checksum")

    def test_toldFromVrrp(self) -> None:
        """A packet of VRRP is known as that, also one of the same length; one of CARP is none."""
        five = bytes.fromhex("21339605000100000a6300640a6300650a6300660a6300670a630068") + bytes(8)
        seven = bytes.fromhex("2133960700010000") + bytes(36)
        three = bytes.fromhex("313396070064") + bytes(30)
        for data in (VRRP2, five, seven, three, three[:12]):
            self.assertEqual(self.refused(data), "vrrp")
        self.assertEqual([len(five), len(three)], [SIZE, SIZE])
        self.assertEqual(self.refused(SAID[:28]), "truncated")
        decode(SAID)

    def test_words(self) -> None:
        """It is one line for people, and a goodbye is called that."""
        self.assertEqual(str(decode(SAID)), "vhid 42 1 s + 0/256")
        self.assertEqual(str(decode(bytes.fromhex(GOLDEN[2][3]))), "vhid 42 goodbye")
        self.assertEqual(str(CarpPacket(1, 2, 3, 0, b"", 4)), "vhid 1 2 s + 3/256 demoted 4")
        self.assertEqual(CarpPacket(1, LEAVING, LEAVING, 0, b"").interval, 65535)


class SealTests(SynchronousTestCase):
    """Who knows password and addresses."""

    four: list[Address] = [IPv4Address("10.0.0.9"), IPv4Address("10.0.0.10")]
    six: list[Address] = [IPv6Address("2001:db8::9"), IPv6Address("2001:db8::10")]

    def test_password(self) -> None:
        """Another password, vhid or counter is not believed."""
        digest = SEAL.digest(7)
        self.assertTrue(SEAL.verify(7, digest))
        self.assertFalse(SEAL.verify(8, digest))
        for password, vhid in ((b"Sesame", 42), (b"", 42), (b"sesame", 43)):
            self.assertFalse(Seal(password, vhid, [IPv4Address("10.99.0.100")]).verify(7, digest))

    def test_passwordIsCut(self) -> None:
        """19 bytes of a password count, and the 20th does not."""
        one, two, other = (
            Seal(password, 1, self.four) for password in (b"x" * 19, b"x" * 25, b"x" * 18 + b"y")
        )
        self.assertTrue(one.verify(1, two.digest(1)))
        self.assertFalse(one.verify(1, other.digest(1)))

    def test_addresses(self) -> None:
        """All addresses are signed, as a set: in no order, each once; IPv4 before IPv6, by number."""
        seal = Seal(b"p", 1, [*self.six, *self.four])
        self.assertTrue(
            seal.verify(1, Seal(b"p", 1, [*self.four, *self.six, *self.four]).digest(1))
        )
        fewer: list[Address]
        for fewer in ([*self.four, self.six[0]], [*self.four], []):
            self.assertFalse(seal.verify(1, Seal(b"p", 1, fewer).digest(1)))
        # 10.0.0.9 comes before 10.0.0.10, which as text it does not.
        signed = bytes.fromhex("020101 0a000009 0a00000a 0000000000000001")
        self.assertEqual(
            Seal(b"p", 1, self.four).digest(1),
            hmac.digest(b"p".ljust(20, b"\0"), signed, "sha1"),
        )

    def test_linkLocal(self) -> None:
        """With link-local addresses, as FreeBSD signs, and without, as OpenBSD does: both are believed."""
        local = ip_address("fe80::100")
        seal = Seal(b"p", 1, [*self.six, local])
        self.assertTrue(seal.verify(1, Seal(b"p", 1, self.six).digest(1)))
        self.assertTrue(seal.verify(1, Seal(b"p", 1, [local, *self.six]).digest(1)))
        self.assertFalse(seal.verify(1, Seal(b"p", 1, [local]).digest(1)))
        self.assertFalse(Seal(b"p", 1, self.six).verify(1, seal.digest(1)))

    def test_weakness(self) -> None:
        """What is not signed can be changed by anybody who has heard one packet: advbase, advskew, demote."""
        heard = decode(SAID)
        forged = decode(encode(heard._replace(advskew=9, advbase=0, demote=3)))
        self.assertTrue(SEAL.verify(forged.counter, forged.digest))
