"""What C{--link} says, and what it must not say."""

from __future__ import annotations

from ipaddress import ip_address

from twisted.trial.unittest import SynchronousTestCase

from hatwist.core.linkspec import Kind, LinkPeer, LinkSpec, clashes


class GoodTests(SynchronousTestCase):
    """Words to values."""

    def test_kinds(self) -> None:
        """Every kind is understood; without one it is IPv4 multicast."""
        self.assertEqual(LinkSpec.parse("eth0"), LinkSpec("eth0", Kind.MULTICAST))
        for kind in (Kind.MULTICAST, Kind.MULTICAST6, Kind.BROADCAST):
            self.assertEqual(LinkSpec.parse(f"eth0.5,{kind.value}"), LinkSpec("eth0.5", kind))

    def test_peers(self) -> None:
        """Unicast peers may be of both families, each with a port or without."""
        spec = LinkSpec.parse("eth1,unicast=10.0.0.2,10.0.0.3:6000,fe80::4,[fd00::5]:6001,[::6]")
        self.assertEqual(
            spec.peers,
            tuple(
                LinkPeer(ip_address(address), port)
                for address, port in (
                    ("10.0.0.2", None),
                    ("10.0.0.3", 6000),
                    ("fe80::4", None),
                    ("fd00::5", 6001),
                    ("::6", None),
                )
            ),
        )

    def test_roundTrip(self) -> None:
        """What is printed is read as the same."""
        for text in ("eth0,multicast", "eth0,broadcast", "eth0,unicast=10.0.0.2,[fd00::5]:6001"):
            self.assertEqual(str(LinkSpec.parse(text)), text)

    def test_names(self) -> None:
        """Links of one interface have different names; multicast has the interface's."""
        texts = ("eth0", "eth0,multicast6", "eth0,broadcast", "eth1,unicast=10.0.0.2", "eth1")
        names = [spec.name for spec in map(LinkSpec.parse, texts)]
        self.assertEqual(
            names, ["eth0", "eth0,multicast6", "eth0,broadcast", "eth1,unicast", "eth1"]
        )


class BadTests(SynchronousTestCase):
    """One sentence says what is allowed."""

    def refused(self, text: str, *words: str) -> None:
        with self.assertRaises(ValueError) as caught:
            LinkSpec.parse(text)
        for word in words:
            self.assertIn(word, str(caught.exception))
        self.assertNotIn("\n", str(caught.exception))

    def test_interface(self) -> None:
        """An impossible interface name is refused."""
        for text in ("", ",multicast", "sixteen-letters-", "eth 0", "a/b", "eth0:1", ".."):
            self.refused(text, "name of an interface", "allowed is INTERFACE")

    def test_kind(self) -> None:
        """An unknown kind, or two kinds, or a kind with peers it cannot have, is refused."""
        for text in ("eth0,", "eth0,anycast", "eth0,multicast,broadcast", "eth0,MULTICAST"):
            self.refused(text, "kind of link", "unicast=PEER")
        self.refused("eth0,broadcast=10.0.0.2", "takes no peers")

    def test_peer(self) -> None:
        """A peer that is missing, no address, or not one host's is refused."""
        for text in ("eth0,unicast", "eth0,unicast="):
            self.refused(text, "needs its peers")
        for peer in ("alpha", "10.0.0.2,", "10.0.0", "[fd00::2", "10.0.0.2/24", "[fd00::2]5555"):
            self.refused(f"eth0,unicast={peer}", "is no peer", "10.0.0.2")
        for peer in ("239.2.3.4", "ff02::1", "0.0.0.0", "::", "255.255.255.255"):
            self.refused(f"eth0,unicast={peer}", "not the address of one host")
        for peer in ("10.0.0.2:", "10.0.0.2:0", "10.0.0.2:65536", "[fd00::2]:x", "[fd00::2]:"):
            self.refused(f"eth0,unicast={peer}", "1 to 65535")
        self.refused("eth0,unicast=fe80::2%eth0", "leave out %eth0")
        self.refused("eth0,unicast=10.0.0.2,10.0.0.2:6000", "given twice")

    def clashing(self, *texts: str) -> list[str]:
        return list(clashes(map(LinkSpec.parse, texts)))

    def test_twice(self) -> None:
        """The same kind of link twice on one interface is refused, with the way out."""
        self.assertEqual(
            self.clashing("eth0", "eth0,multicast", "eth1"), ["the link eth0 is given twice"]
        )
        self.assertIn(
            "all its peers in one link",
            self.clashing("eth0,unicast=10.0.0.2", "eth0,unicast=10.0.0.3")[0],
        )

    def test_clash(self) -> None:
        """Broadcast and unicast on one interface are refused; on two they are not."""
        self.assertIn("one of them", self.clashing("eth0,unicast=10.0.0.2", "eth0,broadcast")[0])
        self.assertEqual(self.clashing("eth0,unicast=10.0.0.2", "eth1,broadcast"), [])
