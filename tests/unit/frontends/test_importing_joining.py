"""Tests for L{hatwist.frontends.importing.keepalived.joining}: keepalived.conf becomes groups that speak VRRP."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from hatwist.frontends.importing.notes import MigrationError
from tests.importing import Imported, imported
from tests.unit.frontends.test_importing_keepalived import instance


def joined(*texts: str | tuple[str, str]) -> Imported:
    return imported(*texts, keepsVrrp=True)


class JoiningTests(SynchronousTestCase):
    def test_least(self) -> None:
        """An instance becomes a router of the same number, version and interval, and nothing is lost."""
        found = joined(instance("state BACKUP", "priority 150", "advert_int 2"))
        self.assertEqual(
            found.values,
            {
                "cluster": "vrrp-51",
                "interface": "eth0",
                "group": {
                    "VI_1": {
                        "protocol": "vrrp",
                        "vrid": 51,
                        "version": 2,
                        "advertisement_interval": 2,
                        "resources": [{"address": "192.168.1.100/24@eth0"}],
                        "priority": 150,
                    }
                },
            },
        )
        self.assertEqual(found.lost, [])

    def keys(
        self, *lines: str, before: str = "", address: str = "192.168.1.100/24"
    ) -> dict[str, object]:
        found = joined(before + instance(*lines, address=address))
        group: dict[str, object] = found.values["group"]["VI_1"]
        return group

    def test_version(self) -> None:
        """Its own comes before that of all; IPv6 has 3 only."""
        three = "global_defs {\nvrrp_version 3\n}\n"
        self.assertEqual(self.keys()["version"], 2)
        self.assertEqual(self.keys(before=three)["version"], 3)
        self.assertEqual(self.keys("version 2", before=three)["version"], 2)
        self.assertEqual(self.keys("version 3")["version"], 3)
        self.assertEqual(self.keys(address="fe80::100/64")["version"], 3)

    def test_interval(self) -> None:
        """Version 2 has whole seconds, as keepalived runs it; version 3 has parts."""
        self.assertEqual(self.keys("advert_int 0.1")["advertisement_interval"], 1)
        self.assertEqual(self.keys("version 3", "advert_int 0.1")["advertisement_interval"], 0.1)

    def test_password(self) -> None:
        """Of version 2 eight bytes of it; version 3 has none, and AH neither."""
        lines = ("authentication {", "auth_type PASS", "auth_pass secret1234", "}")
        self.assertEqual(self.keys(*lines)["auth_pass"], "secret12")
        self.assertNotIn("auth_pass", self.keys("version 3", *lines))
        self.assertNotIn("auth_pass", self.keys(lines[0], "auth_type AH", *lines[2:]))

    def test_unicast(self) -> None:
        """Peers are peers, and IPv6 comes with the hop limit that keepalived sends."""
        four = self.keys("unicast_peer {", "192.168.1.2", "}")
        self.assertEqual(four["unicast_peers"], ["192.168.1.2"])
        self.assertNotIn("min_ttl", four)
        six = self.keys("unicast_peer {", "fd00::2", "}", address="fd00::100/64")
        self.assertEqual((six["unicast_peers"], six["min_ttl"]), (["fd00::2"], 64))

    def test_hosts(self) -> None:
        """The files of two hosts are one: each is a peer of the other."""
        texts = [
            (host, instance(f"priority {priority}", "unicast_peer {", f"192.168.1.{peer}", "}"))
            for host, priority, peer in (("alpha", 150, 2), ("beta", 100, 1))
        ]
        found = joined(*texts)
        group = found.values["group"]["VI_1"]
        self.assertEqual(group["unicast_peers"], ["192.168.1.2", "192.168.1.1"])
        self.assertEqual(found.lost, [])

    def test_unadvertised(self) -> None:
        """What is not advertised, or is on another interface, would make another list of addresses: it is left out."""
        found = joined(
            instance(
                "virtual_ipaddress_excluded {",
                "10.0.0.9",
                "}",
                address="192.168.1.100/24\n10.9.0.1 dev eth3",
            )
        )
        self.assertEqual(found.addresses, ["192.168.1.100/24@eth0"])
        self.assertEqual(len(found.lost), 2)

    def test_sync(self) -> None:
        """The members of a sync group stay groups of their own, held together."""
        both = "vrrp_sync_group both {\ngroup {\nlan\nwan\n}\n}\n"
        found = joined(
            both
            + instance(name="lan")
            + instance(name="wan", router=52, address="192.168.1.101/24")
            + instance(name="own", router=53, address="192.168.1.102/24")
        )
        groups = found.values["group"]
        self.assertEqual(
            {name: group.get("sync") for name, group in groups.items()},
            {"lan": "both", "wan": "both", "own": None},
        )

    def test_numberless(self) -> None:
        """An instance without a number cannot be joined."""
        found = joined(instance(router=0) + instance(name="b", address="192.168.1.101/24"))
        self.assertEqual(list(found.values["group"]), ["b"])
        self.assertIn("left out as a whole", str(found.lost))

    def test_others(self) -> None:
        """No other program's file speaks VRRP."""
        error = self.assertRaises(
            MigrationError, joined, "node alpha beta\nkeepalive 1\ndeadtime 9\n"
        )
        self.assertIn("goes with keepalived, not with Heartbeat", str(error))
