"""Tests for L{hatwist.frontends.importing.ucarp.ucarp} and C{stanzas}: interfaces(5) with options of ucarp."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from hatwist.frontends.importing.notes import MigrationError
from tests.importing import imported

BASE = """\
# comment
auto eth0
iface eth0 inet static
    address 10.0.0.2/24
    ucarp-vid 3
    ucarp-vip 10.0.0.1
    ucarp-password hush
"""
UP = "iface eth0:ucarp inet static\n    address 10.0.0.1\n    netmask 255.255.255.0\n"


class UcarpTests(SynchronousTestCase):
    """What a stanza says becomes a group."""

    def test_whole(self) -> None:
        """Address, prefix length of the stanza that ucarp brings up, interval and priority are carried over."""
        found = imported(
            BASE + "    ucarp-advskew 50\n    ucarp-advbase 2\n    ucarp-master yes\n" + UP
        )
        self.assertEqual(
            found.values,
            {
                "cluster": "carp-3",
                "interval": 2,
                "interface": "eth0",
                "group": {
                    "carp-3": {"resources": [{"address": "10.0.0.1/24@eth0"}], "priority": 204}
                },
            },
        )
        self.assertEqual([words for words, _ in found.lost], ["ucarp-password ..."])
        self.assertNotIn("hush", found.text)
        self.assertIn("delete the ucarp- options", found.why("iface eth0:ucarp"))

    def test_defaults(self) -> None:
        """Without ucarp-master nothing is preempted; the lowest advskew is the highest priority."""
        found = imported(BASE + UP)
        self.assertEqual(found.group("carp-3")["priority"], 254)
        self.assertIs(found.group("carp-3")["preempt"], False)
        for no in ("no", "off", "false", "0"):
            self.assertIs(
                imported(BASE + f" ucarp-master {no}\n" + UP).group("carp-3")["preempt"], False
            )

    def test_options(self) -> None:
        """Broadcast is a link, deadratio a tolerance; scripts and unknown options are told, and bad numbers."""
        found = imported(
            BASE
            + " ucarp-nomcast yes\n ucarp-deadratio 5\n ucarp-upscript /u\n ucarp-frob 1\n ucarp-advskew 999\n"
        )
        self.assertEqual(found.values["links"], ["eth0,broadcast"])
        self.assertEqual(found.values["tolerance"], 5.5)
        self.assertEqual(found.addresses, ["10.0.0.1/32@eth0"])
        self.assertEqual(
            [words for words, _ in found.lost],
            ["ucarp-password ...", "ucarp-upscript /u", "ucarp-frob 1", "ucarp-advskew 999"],
        )

    def test_stanza_of_the_address(self) -> None:
        """Its commands and other options are told; another address, or none, is not carried over."""
        found = imported(BASE + UP + "    up /bin/hello\n    gateway 10.0.0.254\n")
        self.assertEqual(
            [words for words, _ in found.lost],
            ["ucarp-password ...", "up /bin/hello", "gateway 10.0.0.254"],
        )
        other = imported(BASE + UP.replace("10.0.0.1\n", "10.0.0.9\n"))
        self.assertIn("not the address of ucarp-vip", other.why("address 10.0.0.9"))
        self.assertEqual(other.addresses, ["10.0.0.1/32@eth0"])
        self.assertIn("/32 is taken", imported(BASE).why("ucarp-vip 10.0.0.1"))
        wrong = imported(BASE + UP.replace("255.255.255.0", "255.0.255.0"))
        self.assertIn("no netmask", wrong.why("10.0.0.1 255.0.255.0"))

    def test_incomplete(self) -> None:
        """What ifup itself would not start is told, and leaves nothing."""
        for key in ("ucarp-vid 3", "ucarp-vip 10.0.0.1", "ucarp-password hush"):
            found = imported(BASE.replace(key, "mtu 1500"))
            self.assertEqual(found.values, {})
            self.assertIn(f"without {key.split()[0]}", found.why("iface eth0"))

    def test_impossible(self) -> None:
        """An address or interface that cannot be is told."""
        self.assertIn(
            "no IP address",
            imported(BASE.replace("vip 10.0.0.1", "vip here")).why("ucarp-vip here"),
        )
        network = imported(
            BASE.replace("vip 10.0.0.1", "vip 10.0.0.0") + UP.replace("10.0.0.1", "10.0.0.0")
        )
        self.assertIn("the network", network.why("ucarp-vip 10.0.0.0"))
        self.assertTrue(imported(BASE.replace("iface eth0", "iface a/b")).why("iface a/b"))

    def test_several(self) -> None:
        """Each interface is a group; the times of all are the longest."""
        other = BASE.replace("eth0", "eth1").replace("10.0.0.", "10.1.0.").replace("vid 3", "vid 4")
        found = imported(BASE + other + " ucarp-advbase 3\n")
        self.assertEqual(list(found.values["group"]), ["carp-3", "carp-4"])
        self.assertEqual(found.values["interval"], 3)
        self.assertEqual(found.values["links"], ["eth0", "eth1"])
        self.assertIn("in another stanza", imported(BASE + BASE).why("iface eth0"))

    def test_hosts(self) -> None:
        """Two hosts' files are one; the worthier host decides whether it preempts."""
        found = imported(
            ("alpha", BASE + " ucarp-master yes\n" + UP),
            (
                "beta",
                BASE.replace("eth0", "ens3") + " ucarp-advskew 100\n" + UP.replace("eth0", "ens3"),
            ),
        )
        self.assertEqual(
            found.values["node"],
            {
                "alpha": {"priority": 254, "interface": "eth0"},
                "beta": {"priority": 154, "interface": "ens3"},
            },
        )
        self.assertEqual(found.addresses, ["10.0.0.1/24"])
        self.assertNotIn("preempt", found.group("carp-3"))
        self.assertEqual(found.nodes["beta"].interface, "ens3")

    def test_files(self) -> None:
        """Files that are named with source are read, each option may be continued, and loops are told."""
        files = {
            "/d/*": [("/d/a", BASE.replace("ucarp-vid 3", "ucarp_vid \\\n  3"))],
            "/e/[a-zA-Z0-9]*": [],
        }

        def opener(pattern: str, beside: str) -> list[tuple[str, str]]:
            return files[pattern]

        text = "source /d/*\nsource-directory /e\n" + UP
        self.assertEqual(imported(text, opener=opener).addresses, ["10.0.0.1/24@eth0"])
        files["/d/*"] = [("/d/a", "source /d/*")]
        self.assertRaises(MigrationError, imported, text, opener=opener)
        unread = imported("source /x\n" + BASE)
        self.assertIn("it was not read", unread.why("source /x"))

    def test_without_ucarp(self) -> None:
        """A file without ucarp is an error."""
        for text in ("iface lo inet loopback\n", "auto lo\n"):
            error = self.assertRaises(MigrationError, imported, text)
            self.assertTrue(str(error).startswith("file0: "), str(error))
