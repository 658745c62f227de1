"""The frames are scapy's, byte for byte, and were seen on a wire."""

from __future__ import annotations

import time
from ipaddress import IPv4Address, IPv6Address

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hatwist.linux.lan import building
from hatwist.protocols import frames

MAC = bytes.fromhex("02000000000a")
REQUEST = bytes.fromhex(
    "ffffffffffff02000000000a0806000108000604000102000000000a0a630064ffffffffffff0a630064"
)
REPLY = bytes.fromhex(
    "ffffffffffff02000000000a0806000108000604000202000000000a0a63006402000000000a0a630064"
)
LINK_LOCAL = "fe800000000000000000000000000100"
ADVERTISEMENT = bytes.fromhex(
    "33330000000102000000000a86dd"
    f"6000000000203aff{LINK_LOCAL}ff020000000000000000000000000001"
    f"8800559420000000{LINK_LOCAL}020102000000000a"
)

PROBE = bytes.fromhex(
    "ffffffffffff02000000000a0806000108000604000102000000000a000000000000000000000a630064"
)
QUESTION = bytes.fromhex(
    "02000000000b02000000000a0806000108000604000102000000000a0a6300010000000000000a630064"
)
PROBE6 = bytes.fromhex(
    "3333ff00010002000000000a86dd"
    f"6000000000183aff{'00' * 16}ff0200000000000000000001ff000100"
    f"87007a2700000000{LINK_LOCAL}"
)
SOLICITATION = bytes.fromhex(
    "3333ff00010002000000000a86dd"
    "6000000000203afffe800000000000000000000000000001ff0200000000000000000001ff000100"
    f"8700789200000000{LINK_LOCAL}010102000000000a"
)

macs = st.binary(min_size=6, max_size=6)


class GoldenTests(SynchronousTestCase):
    """Frames captured from keepalived, and what scapy reads out of ours."""

    def test_request(self) -> None:
        """The request form is the captured one."""
        self.assertEqual(frames.gratuitousRequest(MAC, IPv4Address("10.99.0.100")), REQUEST)

    def test_reply(self) -> None:
        """The reply form names our own MAC as the target."""
        self.assertEqual(frames.gratuitousReply(MAC, IPv4Address("10.99.0.100")), REPLY)

    def test_advertisement(self) -> None:
        """The advertisement is the captured one: hop limit 255, override, from the address."""
        built = frames.unsolicitedAdvertisement(MAC, IPv6Address("fe80::100"))
        self.assertEqual(built, ADVERTISEMENT)

    def test_scapyReadsThem(self) -> None:
        """What scapy dissects from the golden bytes are the values that went in."""
        building.templates()
        from scapy.layers.inet6 import ICMPv6ND_NA, ICMPv6NDOptDstLLAddr, IPv6
        from scapy.layers.l2 import ARP, Ether

        for golden, operation, target in (
            (REQUEST, 1, "ff:ff:ff:ff:ff:ff"),
            (REPLY, 2, "02:00:00:00:00:0a"),
        ):
            arp = Ether(golden)[ARP]
            self.assertEqual(
                (arp.op, arp.hwsrc, arp.hwdst), (operation, "02:00:00:00:00:0a", target)
            )
            self.assertEqual((arp.psrc, arp.pdst), ("10.99.0.100", "10.99.0.100"))
        packet = Ether(ADVERTISEMENT)
        self.assertEqual((packet[IPv6].hlim, packet[IPv6].dst), (255, "ff02::1"))
        advertisement = packet[ICMPv6ND_NA]
        self.assertEqual((advertisement.O, advertisement.S, advertisement.R), (1, 0, 0))
        self.assertEqual(advertisement.tgt, "fe80::100")
        self.assertEqual(packet[ICMPv6NDOptDstLLAddr].lladdr, "02:00:00:00:00:0a")

    def test_badMac(self) -> None:
        """A hardware address that is not Ethernet's is refused, not padded."""
        with self.assertRaises(ValueError):
            frames.gratuitousRequest(b"\0" * 20, IPv4Address("10.99.0.100"))


class QuestionTests(SynchronousTestCase):
    """Frames that ask for an address."""

    def test_probe(self) -> None:
        """The ARP probe asks everybody, from no address (RFC 5227)."""
        self.assertEqual(frames.arpQuestion(MAC, IPv4Address("10.99.0.100")), PROBE)

    def test_question(self) -> None:
        """With an address of our own, and asked of one host alone, it is an ordinary ARP request."""
        question = frames.arpQuestion(
            MAC, IPv4Address("10.99.0.100"), IPv4Address("10.99.0.1"), bytes.fromhex("02000000000b")
        )
        self.assertEqual(question, QUESTION)

    def test_probe6(self) -> None:
        """The IPv6 probe goes to the solicited-node group, from no address, without an option."""
        self.assertEqual(frames.neighbourSolicitation(MAC, IPv6Address("fe80::100")), PROBE6)

    def test_solicitation(self) -> None:
        """With an address of our own it carries our MAC, so that the answer comes to us."""
        built = frames.neighbourSolicitation(MAC, IPv6Address("fe80::100"), IPv6Address("fe80::1"))
        self.assertEqual(built, SOLICITATION)

    @given(mac=macs, address=st.integers(0, 2**128 - 1), source=st.integers(1, 2**128 - 1))
    def test_solicitations(self, mac: bytes, address: int, source: int) -> None:
        """Both forms are scapy's, checksum included, for any MAC and addresses."""
        building.templates()
        from scapy.layers.inet6 import ICMPv6ND_NS, ICMPv6NDOptSrcLLAddr, IPv6
        from scapy.layers.l2 import Ether

        target, own = IPv6Address(address), IPv6Address(source)
        low = target.packed[13:]
        group = IPv6Address(bytes.fromhex("ff0200000000000000000001ff") + low)
        ether = Ether(src=mac.hex(":"), dst=f"33:33:ff:{low.hex(':')}")
        question = ICMPv6ND_NS(tgt=str(target))
        scapys = ether / IPv6(src="::", dst=str(group), hlim=255) / question
        built = frames.neighbourSolicitation(mac, target)
        self.assertEqual(built.hex(), bytes(scapys).hex())
        scapys = ether / IPv6(src=str(own), dst=str(group), hlim=255) / question
        built = frames.neighbourSolicitation(mac, target, own)
        scapys /= ICMPv6NDOptSrcLLAddr(lladdr=mac.hex(":"))
        self.assertEqual(built.hex(), bytes(scapys).hex())


class SightingTests(SynchronousTestCase):
    """What frames of others say about an address."""

    def seen(self, frame: bytes) -> tuple[str, str, bool] | None:
        found = frames.sighting(frame)
        return found and (str(found.address), found.mac.hex(), found.answer)

    def test_announcements(self) -> None:
        """Every announcement says who uses the address, to everybody."""
        for address in (IPv4Address("10.99.0.100"), IPv6Address("fe80::100")):
            for frame in frames.announcements(MAC, address):
                self.assertEqual(self.seen(frame), (str(address), MAC.hex(), False))

    def test_answers(self) -> None:
        """A reply or a solicited advertisement to one host is an answer."""
        self.assertEqual(self.seen(MAC + REPLY[6:]), ("10.99.0.100", MAC.hex(), True))
        solicited = bytearray(ADVERTISEMENT)
        solicited[58] |= 0x40
        solicited[56:58] = (int.from_bytes(solicited[56:58], "big") - 0x4000).to_bytes(2, "big")
        self.assertEqual(self.seen(bytes(solicited)), ("fe80::100", MAC.hex(), True))

    def test_questions(self) -> None:
        """Who asks from an address uses it; who probes does not, yet."""
        self.assertEqual(self.seen(QUESTION), ("10.99.0.1", MAC.hex(), False))
        self.assertEqual(self.seen(SOLICITATION), ("fe80::1", MAC.hex(), False))
        self.assertIsNone(self.seen(PROBE))
        self.assertIsNone(self.seen(PROBE6))

    def test_advertisementWithoutOption(self) -> None:
        """Without an option the sender's MAC counts."""
        frame = bytearray(ADVERTISEMENT[:78])
        frame[18:20] = (24).to_bytes(2, "big")
        frame[56:58] = b"\0\0"
        total = int.from_bytes(frame[22:54], "big") + 24 + 58 + int.from_bytes(frame[54:78], "big")
        frame[56:58] = (0xFFFF - total % 0xFFFF).to_bytes(2, "big")
        self.assertEqual(self.seen(bytes(frame)), ("fe80::100", MAC.hex(), False))

    def test_wrongOnes(self) -> None:
        """What a kernel would drop says nothing: hop limit, checksum, code, length, ARP of another kind."""
        for place in (21, 55, 57, 80):
            broken = bytearray(ADVERTISEMENT)
            broken[place] ^= 1
            self.assertIsNone(self.seen(bytes(broken)), place)
        for place in (14, 17, 18, 20, 21):
            broken = bytearray(REQUEST)
            broken[place] ^= 4
            self.assertIsNone(self.seen(bytes(broken)), place)

    @given(st.binary(max_size=100), st.sampled_from((b"\x08\x06", b"\x86\xdd")))
    def test_anything(self, rest: bytes, kind: bytes) -> None:
        """No frame whatever raises anything."""
        frames.sighting(bytes(12) + kind + rest)

    @given(st.integers(0, len(ADVERTISEMENT)))
    def test_cut(self, length: int) -> None:
        """Nor does one that is cut off."""
        for whole in (REQUEST, ADVERTISEMENT, SOLICITATION):
            frames.sighting(whole[:length])


class TemplateTests(SynchronousTestCase):
    """Those that are kept."""

    def test_golden(self) -> None:
        """Each is what scapy builds, byte for byte."""
        built = {name: frame.hex() for name, frame in building.templates().items()}
        kept = {name: frame.hex() for name, frame in frames.TEMPLATES._asdict().items()}
        self.assertEqual(kept, built)


class PatchTests(SynchronousTestCase):
    """A patched template equals a frame that scapy builds from nothing."""

    @given(mac=macs, address=st.integers(0, 2**128 - 1), router=st.booleans())
    def test_advertisement(self, mac: bytes, address: int, router: bool) -> None:
        """Header, addresses and ICMPv6 checksum are scapy's for any MAC and any address."""
        self._compare(mac, IPv6Address(address), router)

    def test_checksumZero(self) -> None:
        """A sum of all ones gives checksum 0, as in scapy, not 0xffff."""
        base = frames.unsolicitedAdvertisement(bytes(6), IPv6Address("::"))
        mac = bytes(4) + base[56:58]
        self.assertEqual(frames.unsolicitedAdvertisement(mac, IPv6Address("::"))[56:58], b"\0\0")
        self._compare(mac, IPv6Address("::"), False)

    def _compare(self, mac: bytes, address: IPv6Address, router: bool) -> None:
        building.templates()
        from scapy.layers.inet6 import ICMPv6ND_NA, ICMPv6NDOptDstLLAddr, IPv6
        from scapy.layers.l2 import Ether

        scapys = bytes(
            Ether(src=mac.hex(":"), dst="33:33:00:00:00:01")
            / IPv6(src=str(address), dst="ff02::1", hlim=255)
            / ICMPv6ND_NA(tgt=str(address), R=int(router), S=0, O=1)
            / ICMPv6NDOptDstLLAddr(lladdr=mac.hex(":"))
        )
        ours = frames.unsolicitedAdvertisement(mac, address, router=router)
        self.assertEqual(ours.hex(), scapys.hex())

    @given(mac=macs, address=st.integers(0, 2**32 - 1))
    def test_arp(self, mac: bytes, address: int) -> None:
        """Both ARP forms are scapy's for any MAC and any address."""
        building.templates()
        from scapy.layers.l2 import ARP, Ether

        v4 = IPv4Address(address)
        for built, operation, target in (
            (frames.gratuitousRequest(mac, v4), 1, b"\xff" * 6),
            (frames.gratuitousReply(mac, v4), 2, mac),
        ):
            scapys = Ether(src=mac.hex(":"), dst="ff:ff:ff:ff:ff:ff") / ARP(
                op=operation,
                hwsrc=mac.hex(":"),
                psrc=str(v4),
                hwdst=target.hex(":"),
                pdst=str(v4),
            )
            self.assertEqual(built.hex(), bytes(scapys).hex())


class CostTests(SynchronousTestCase):
    """Frames are cheap."""

    def test_thousand(self) -> None:
        """The 2,000 frames of 1,000 addresses are built by patching, far from scapy's 0.9 s."""
        began = time.process_time()
        for number in range(1000):
            frames.announcements(MAC, IPv4Address(0x0A000001 + number))
        self.assertLess(time.process_time() - began, 0.1)
