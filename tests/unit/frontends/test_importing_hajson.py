"""Tests for L{hatwist.frontends.importing.hajson}: the configuration of the Node.js program."""

from __future__ import annotations

import json
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from hatwist.frontends.importing.notes import MigrationError
from tests.importing import Imported, imported


def of(*objects: dict[str, Any]) -> Imported:
    """What these objects make."""
    return imported(json.dumps(objects[0] if len(objects) == 1 else objects))


class HaJsonTests(SynchronousTestCase):
    """What an object says becomes a group."""

    def test_the_two_keys(self) -> None:
        """The two keys that the program itself reads are an interface and an alias, and nothing is lost."""
        found = of({"ethernetDevice": "bond0", "sharedEthernetDevice": "bond0:1"})
        self.assertEqual(
            found.values,
            {
                "cluster": "ha",
                "interface": "bond0",
                "group": {"ha": {"resources": [{"alias": "bond0:1"}]}},
            },
        )
        self.assertEqual(found.lost, [])
        self.assertIn("guard", found.why("sharedEthernetDevice"))
        self.assertIn("constants", found.why("interval and tolerance"))

    def test_constants(self) -> None:
        """The constants of the program are understood by their names, in milliseconds."""
        found = of(
            {
                "ETHERNET_DEVICE": "eth0",
                "sharedEthernetDevice": "eth0:0",
                "multicastInterval": 100,
                "tolerance": 350,
                "childTimeout": 10000,
                "multicastAddress": "239.1.2.3",
                "multicastPort": 5554,
                "ipVersion": "IPv4",
            }
        )
        self.assertEqual(found.lost, [])
        self.assertEqual((found.values["interval"], found.values["tolerance"]), (0.1, 0.35))
        self.assertEqual(found.values["multicast"], "239.1.2.3:5554")
        self.assertEqual(found.group("ha")["resources"], [{"alias": "eth0:0", "timeout": 10}])

    def test_address(self) -> None:
        """An address is shared without ifup; its prefix length may be a netmask of its own."""
        found = of(
            {"iface": "eth0", "ip": "10.0.0.1", "netmask": "255.255.255.0", "alias": "eth0:1"}
        )
        self.assertEqual(found.group("ha")["resources"], [{"address": "10.0.0.1/24"}])
        self.assertIn("/etc/network/interfaces", found.why("alias"))
        self.assertEqual(of({"address": "10.0.0.1/24"}).addresses, ["10.0.0.1/24"])
        self.assertIn(
            "prefix length is missing", of({"address": "10.0.0.1", "alias": "a"}).why("address")
        )

    def test_wrong_values(self) -> None:
        """A value that cannot be is told with its line, and an unknown key; the rest is carried over."""
        text = (
            '{\n "ethernetDevice": 7,\n "alias": "eth0:1",\n "interval": 1,\n "tolerance": "long",\n'
            ' "frob": {},\n "port": 99999,\n "ipVersion": "IPv6"\n}'
        )
        found = imported(text)
        self.assertEqual(found.group("ha")["resources"], [{"alias": "eth0:1"}])
        self.assertEqual(
            [(note.place.line, note.words) for note in found.notes.all if note.lost],
            [
                (2, "ethernetDevice: 7"),
                (4, "interval: 1"),
                (5, 'tolerance: "long"'),
                (6, "frob: {}"),
                (7, 'port: "239.2.3.4:99999"'),
                (8, 'ipVersion: "IPv6"'),
            ],
        )
        self.assertIn("it is milliseconds", found.why("interval: 1"))

    def test_unknown(self) -> None:
        """An unknown key is told with its value, unless that may be a secret."""
        found = of({"alias": "eth0:1", "heartbeat": 100, "passPhrase": "abc"})
        self.assertEqual(
            [note.words for note in found.notes.all if note.lost],
            ["heartbeat: 100", "passPhrase: ..."],
        )

    def test_several(self) -> None:
        """A list is several groups; what there can be one of is the first object's."""
        found = of(
            {"interface": "eth0", "alias": "eth0:1"},
            {"interface": "eth1", "alias": "eth1:1", "priority": 7},
            {"interface": "eth0", "alias": "eth0:1"},
        )
        self.assertEqual(list(found.values["group"]), ["ha", "ha-2"])
        self.assertEqual(found.group("ha-2")["priority"], 7)
        self.assertIn("there is one: eth0", found.why("interface of object 2"))
        self.assertIn("another one shares", found.why("object 3"))

    def test_nothing_shared(self) -> None:
        """An object that shares nothing makes a file of comments alone."""
        found = of({"ethernetDevice": "eth0"})
        self.assertEqual(found.values, {})
        self.assertIn("nothing that is shared", found.why("the object"))

    def test_not_json(self) -> None:
        """What is no JSON is told with its line; what is JSON of another shape, too."""
        for text, expected in (
            ('{\n"a": 1,\n}', "file0:3: is no JSON: "),
            ("[]", "file0: is neither"),
            ("[7]", "file0: is neither"),
        ):
            error = self.assertRaises(MigrationError, imported, text, kind="ha.json")
            self.assertTrue(str(error).startswith(expected), str(error))
        self.assertRaises(MigrationError, imported, "[" * 100_000, kind="ha.json")

    def test_hosts(self) -> None:
        """Hosts may have different interfaces."""
        found = imported(
            ("alpha", '{"ethernetDevice": "eth0", "sharedEthernetDevice": "shared"}'),
            ("beta", '{"ethernetDevice": "ens3", "sharedEthernetDevice": "shared"}'),
        )
        self.assertEqual(
            found.values["node"], {"alpha": {"interface": "eth0"}, "beta": {"interface": "ens3"}}
        )
        self.assertEqual(found.lost, [])
