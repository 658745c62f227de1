"""The frames are scapy's, byte for byte, and were seen on a wire."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from ipaddress import IPv4Address, IPv6Address

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hatwist import frames

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
        frames.templates()
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
        frames.templates()
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
        frames.templates()
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
    """Frames are cheap, and scapy leaves nothing behind."""

    def test_thousand(self) -> None:
        """The 2,000 frames of 1,000 addresses are built by patching, far from scapy's 0.9 s."""
        frames.templates()
        began = time.process_time()
        for number in range(1000):
            frames.announcements(MAC, IPv4Address(0x0A000001 + number))
        self.assertLess(time.process_time() - began, 0.1)

    def test_scapyWritesNothingIntoTheHome(self) -> None:
        """Building the templates leaves the home directory empty and the environment as before."""
        home = self.mktemp()
        os.mkdir(home)
        environment = {
            "HOME": home,
            "PATH": os.environ["PATH"],
            "PYTHONPATH": os.pathsep.join(sys.path),
        }
        code = (
            "import os; before = dict(os.environ)\n"
            "from hatwist import frames; frames.templates()\n"
            "assert dict(os.environ) == before, 'environment changed'\n"
        )
        subprocess.run([sys.executable, "-B", "-c", code], env=environment, check=True, timeout=60)
        self.assertEqual(os.listdir(home), [])
