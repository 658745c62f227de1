"""Tests for L{hatwist.frontends.importing.heartbeat.linuxha} and C{haresources}: Heartbeat, version 1."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from hatwist.core.linkspec import Kind
from hatwist.frontends.importing.notes import MigrationError
from hatwist.frontends.importing.reading import Source
from tests.importing import Imported, imported

MAIN = "keepalive 2\ndeadtime 30\nbcast eth1\nnode alpha beta\nauto_failback on\n"
LINE = "alpha 192.168.1.100/24/eth0 apache2\n"


def both(main: str = MAIN, resources: str = LINE) -> Imported:
    """What ha.cf and haresources make."""
    return imported(Source("", "ha.cf", main), Source("", "haresources", resources))


class ResourceTests(SynchronousTestCase):
    """The lines of haresources."""

    def resources(self, *texts: str) -> list[dict[str, Any]]:
        """What the resources of one line become."""
        self.found = both(resources=f"alpha 10.9.9.9/24/eth9 {' '.join(texts)}\n")
        found = self.found.group("alpha")["resources"][1:]
        for each in found:
            if each.pop("timeout", None) is None:
                self.assertIn("address", each)
        return list(found)

    def test_whole(self) -> None:
        """A line is a group, in its order, with the preferred node's priority; exactly the key is lost."""
        found = both()
        self.assertEqual(
            found.values,
            {
                "cluster": "heartbeat",
                "interval": 2,
                "tolerance": 30,
                "interface": "eth0",
                "links": ["eth1,broadcast"],
                "node": {"alpha": {"priority": 200}, "beta": {"priority": 100}},
                "group": {
                    "alpha": {
                        "resources": [
                            {"address": "192.168.1.100/24@eth0"},
                            {"unit": "apache2.service", "timeout": 60},
                        ]
                    }
                },
            },
        )
        self.assertEqual([words for words, _ in found.lost], ["authkeys"])
        self.assertEqual(
            {name: node.groups[0].priority for name, node in found.nodes.items()},
            {"alpha": 200, "beta": 100},
        )

    def test_addresses(self) -> None:
        """An address in each of the forms that Heartbeat takes."""
        self.assertEqual(
            self.resources(
                "10.0.0.1",
                "IPaddr::10.0.0.2",
                "IPaddr::10.0.0.3/24",
                "IPaddr2::10.0.0.4/255.255.255.0/eth0:1",
                "10.0.0.5/28/eth1/10.0.0.15",
                "IPaddr::10.0.0.6/24/10.0.0.255",
                "IPv6addr::2001:db8::7/64/eth0",
                "IPv6addr::2001:db8::8",
            ),
            [
                {"address": "10.0.0.1/32"},
                {"address": "10.0.0.2/32"},
                {"address": "10.0.0.3/24"},
                {"address": "10.0.0.4/24@eth0"},
                {"address": "10.0.0.5/28@eth1"},
                {"address": "10.0.0.6/24"},
                {"address": "2001:db8::7/64@eth0"},
                {"address": "2001:db8::8/128"},
            ],
        )
        self.assertIn("no prefix length", self.found.why("IPaddr::10.0.0.2"))
        self.assertIn("broadcast", self.found.why("10.0.0.6"))

    def test_impossible_addresses(self) -> None:
        """An address that cannot be shared is told."""
        for text in ("10.0.0.0/24", "IPaddr::here", "IPaddr::10.0.0.1/255.0.255.0", "IPaddr::"):
            self.assertEqual(self.resources(text), [])
            self.assertTrue(self.found.why(text))

    def test_scripts(self) -> None:
        """A script of Heartbeat's becomes what it runs, another one a unit, or a command where it has arguments."""
        self.assertEqual(
            self.resources(
                "drbddisk::r0",
                "Filesystem::/dev/drbd0::/srv::ext4::noatime",
                "LVM::vg0",
                "postfix",
                "app::one::two",
                "/opt/run",
                "apache::/etc/x.conf",
            ),
            [
                {"command": ["drbdadm", "primary", "r0"], "undo": ["drbdadm", "secondary", "r0"]},
                {
                    "command": ["mount", "-t", "ext4", "-o", "noatime", "/dev/drbd0", "/srv"],
                    "undo": ["umount", "/srv"],
                    "check": ["mountpoint", "-q", "/srv"],
                },
                {
                    "command": ["vgchange", "--activate", "y", "vg0"],
                    "undo": ["vgchange", "--activate", "n", "vg0"],
                },
                {"unit": "postfix.service"},
                {
                    "command": ["/etc/init.d/app", "one", "two", "start"],
                    "undo": ["/etc/init.d/app", "one", "two", "stop"],
                },
                {"command": ["/opt/run", "start"], "undo": ["/opt/run", "stop"]},
                {
                    "command": ["/etc/ha.d/resource.d/apache", "/etc/x.conf", "start"],
                    "undo": ["/etc/ha.d/resource.d/apache", "/etc/x.conf", "stop"],
                },
            ],
        )

    def test_not_carried(self) -> None:
        """What has no counterpart is told; what is not needed is told, and is not lost."""
        texts = (
            "MailTo::a@b",
            "ldirectord::x",
            "IPsrcaddr::10.0.0.1",
            "drbddisk",
            "Filesystem::x",
            "a;b",
        )
        self.assertEqual(self.resources(*texts, "SendArp::10.0.0.1/eth0"), [])
        self.assertEqual([words for words, _ in self.found.lost], [*texts, "authkeys"])
        self.assertIn("announces", self.found.why("SendArp"))

    def test_lines(self) -> None:
        """A backslash continues a line, and several lines are several groups with priorities of their own."""
        found = both(
            resources="alpha 10.0.0.1 \\\n  10.0.0.2 # x\nbeta 10.0.0.3\nalpha 10.0.0.4 10.0.0.1\nbeta\n"
        )
        self.assertEqual(
            {
                name: (len(group["resources"]), group["priority"])
                for name, group in found.values["group"].items()
            },
            {
                "alpha": (2, {"alpha": 200, "beta": 100}),
                "beta": (1, {"alpha": 100, "beta": 200}),
                "alpha-2": (1, {"alpha": 200, "beta": 100}),
            },
        )
        self.assertEqual(
            [(words, advice) for words, advice in found.lost if words != "authkeys"],
            [
                ("10.0.0.1", "it is in the group alpha already"),
                ("beta", "it has no resources"),
            ],
        )

    def test_domains(self) -> None:
        """Nodes are called as their hosts call themselves, without domain where that tells them apart."""
        main = MAIN.replace("alpha beta", "alpha.x.org beta.x.org")
        found = both(main, LINE.replace("alpha", "alpha.x.org"))
        self.assertEqual(
            found.values["node"], {"alpha": {"priority": 200}, "beta": {"priority": 100}}
        )
        same = both(MAIN.replace("alpha beta", "h.x.org h.y.org"), LINE.replace("alpha", "h.x.org"))
        self.assertEqual(list(same.values["node"]), ["h.x.org", "h.y.org"])


class DirectiveTests(SynchronousTestCase):
    """The directives of ha.cf."""

    def test_times(self) -> None:
        """Times are seconds, or milliseconds with ms; those that cannot be had are told."""
        found = both(MAIN.replace("keepalive 2", "keepalive 200ms").replace("30", "1500ms"))
        self.assertEqual((found.values["interval"], found.values["tolerance"]), (0.2, 1.5))
        short = both(MAIN.replace("deadtime 30", "deadtime 3"))
        self.assertGreaterEqual(short.values["tolerance"], 4)
        self.assertIn("the nearest", short.why("3 s of silence"))
        self.assertIn(
            "is not a number of seconds",
            both("deadtime soon\n" + MAIN.replace("deadtime 30\n", "")).why("deadtime soon"),
        )

    def test_links(self) -> None:
        """Each medium is a link, of one kind for each interface."""
        main = (
            "bcast eth1 eth2\nmcast eth0 239.0.0.43 6940 1 0\nucast eth3 10.0.0.1\nucast eth3 10.0.0.2\n"
            "ucast eth1 10.1.0.1\nserial /dev/ttyS0\nucast eth4 here\nmcast\nbcast a/b\nnode alpha beta\n"
        )
        found = both(main)
        self.assertEqual(
            found.values["links"],
            ["eth1,broadcast", "eth2,broadcast", "eth0", "eth3,unicast=10.0.0.1,10.0.0.2"],
        )
        self.assertEqual(found.values["multicast"], "239.0.0.43:6940")
        self.assertEqual(
            [words for words, _ in found.lost],
            ["serial /dev/ttyS0", "ucast eth4 here", "mcast", "bcast a/b", "authkeys"],
        )
        self.assertIn("one kind of link", found.why("ucast eth1 10.1.0.1"))

    def test_privileged_port(self) -> None:
        """Heartbeat's port needs root, so that another one is used, which is told."""
        found = both("mcast eth0 239.0.0.43 694 1 0\n" + MAIN)
        self.assertEqual(found.values["multicast"], "239.0.0.43:5555")
        self.assertIn("firewall", found.why("mcast"))

    def test_failback(self) -> None:
        """auto_failback off leaves things where they are; nice_failback says the opposite word for it."""
        for line, preempt in (
            ("auto_failback off", False),
            ("auto_failback legacy", True),
            ("auto_failback No", False),
            ("nice_failback on", False),
        ):
            found = both(MAIN.replace("auto_failback on", line))
            self.assertIs(found.group("alpha").get("preempt", True), preempt, line)
        self.assertIn(
            "allowed are", both(MAIN + "auto_failback perhaps\n").why("auto_failback perhaps")
        )

    def test_witness(self) -> None:
        """The first ping is the witness, and keeps where nobody reaches it; others are told."""
        found = both(
            MAIN
            + "ping 10.0.0.254 10.0.0.253\nping_group g 10.0.0.252\nping 127.0.0.1\nping 192.168.1.100\n"
        )
        self.assertEqual(
            (found.values["witness"], found.values["witness_lost"]), ("10.0.0.254", "keep")
        )
        self.assertEqual(
            [words for words, _ in found.lost],
            [
                "ping 10.0.0.253",
                "ping_group 10.0.0.252",
                "ping 127.0.0.1",
                "ping 192.168.1.100",
                "authkeys",
            ],
        )
        shared = both(MAIN + "ping 192.168.1.100\n")
        self.assertIn("answer for itself", shared.why("ping 192.168.1.100"))

    def test_others(self) -> None:
        """Every other directive is told, an unknown one too, and no password is printed."""
        lost = (
            "stonith_host * x y hush",
            "watchdog /dev/watchdog",
            "respawn u /x",
            "frob 7",
            "initdead 9",
            "crm on",
        )
        differs = (
            "logfacility local0",
            "warntime 3",
            "respawn h /usr/lib/ipfail",
            "apiauth x uid=y",
            "udpport 694",
        )
        found = both(MAIN + "\n".join((*lost, *differs, "crm off")) + "\n")
        self.assertEqual(
            [words for words, _ in found.lost],
            ["stonith_host * ...", *lost[1:], "authkeys"],
        )
        told = [words for words, _ in found.differs]
        self.assertEqual([words for words in differs if words not in told], [])
        self.assertNotIn("hush", found.text)

    def test_cluster(self) -> None:
        """A cluster that has a name keeps it."""
        self.assertEqual(both(MAIN + "cluster web site\n").values["cluster"], "web")


class FileTests(SynchronousTestCase):
    """Which files were given."""

    def test_keys(self) -> None:
        """The key of authkeys is not printed; that one has to be made is told."""
        found = imported(
            Source("", "ha.cf", MAIN),
            Source("", "haresources", LINE),
            Source("", "authkeys", "auth 1\n1 sha1 hush\n"),
        )
        self.assertNotIn("hush", found.text)
        self.assertIn("make a new one", found.why("auth ..."))

    def test_one_alone(self) -> None:
        """haresources alone makes a file, ha.cf alone asks for it."""
        alone = imported(Source("", "haresources", LINE + "beta 192.168.1.101/24\n"))
        self.assertEqual(list(alone.values["node"]), ["alpha", "beta"])
        self.assertEqual(alone.lost, [])
        main = imported(Source("", "ha.cf", MAIN))
        self.assertEqual(main.values, {})
        self.assertIn("give it too", main.why("haresources"))

    def test_no_interface(self) -> None:
        """Where no file names an interface, that is told."""
        found = imported(Source("", "haresources", "alpha 192.168.1.100\n"))
        self.assertEqual(found.values["interface"], "eth0")
        self.assertIn("eth0 is written", found.why("interface"))

    def test_own_files(self) -> None:
        """A host may have an ha.cf of its own; what is given without a host is for all."""
        main = "ucast eth1 10.0.0.{}\nnode alpha beta\n"
        found = imported(
            Source("alpha", "a/ha.cf", main.format(2)),
            Source("beta", "b/ha.cf", main.format(1)),
            Source("", "haresources", LINE),
        )
        self.assertEqual(
            {name: node["links"] for name, node in found.values["node"].items()},
            {"alpha": ["eth1,unicast=10.0.0.2"], "beta": ["eth1,unicast=10.0.0.1"]},
        )
        self.assertEqual(found.nodes["beta"].ways[0].kind, Kind.UNICAST)
        self.assertEqual(found.nodes["beta"].groups[0].priority, 100)

    def test_twice(self) -> None:
        """The same file twice for one host is an error."""
        with self.assertRaises(MigrationError) as caught:
            imported(Source("", "ha.cf", MAIN), Source("", "ha.cf.old", MAIN))
        self.assertEqual(str(caught.exception), "ha.cf.old: is the second ha.cf of one host")
