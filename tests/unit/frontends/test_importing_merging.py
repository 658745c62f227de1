"""Tests for L{hatwist.frontends.importing.merging} and C{reading}: the files of several hosts as one."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from hatwist.frontends.importing.kinds import heartbeatFile, kindOf
from hatwist.frontends.importing.notes import MigrationError
from hatwist.frontends.importing.reading import Source
from tests.importing import imported


def vrrp(
    priority: int,
    *lines: str,
    name: str = "VI_1",
    interface: str = "eth0",
    router: int = 51,
    addresses: str = "10.0.0.1/24",
    more: str = "",
) -> str:
    """A keepalived.conf."""
    inner = "\n".join(lines)
    return (
        f"{more}\nvrrp_instance {name} {{\ninterface {interface}\nvirtual_router_id {router}\n"
        f"priority {priority}\n{inner}\nvirtual_ipaddress {{\n{addresses}\n}}\n}}\n"
    )


class MergeTests(SynchronousTestCase):
    """One file for all hosts."""

    def test_priorities(self) -> None:
        """Priorities of one group are the nodes'; nothing is lost."""
        found = imported(("alpha", vrrp(200)), ("beta", vrrp(100)))
        self.assertEqual(
            found.values["node"], {"alpha": {"priority": 200}, "beta": {"priority": 100}}
        )
        self.assertNotIn("priority", found.group("VI_1"))
        self.assertEqual(found.lost, [])
        self.assertEqual(
            {name: node.groups[0].priority for name, node in found.nodes.items()},
            {"alpha": 200, "beta": 100},
        )

    def test_active_active(self) -> None:
        """Where groups prefer different hosts, each has its own priorities."""

        def both(one: int, two: int) -> str:
            return vrrp(one) + vrrp(two, name="VI_2", router=52, addresses="10.0.0.2/24")

        found = imported(("alpha", both(200, 100)), ("beta", both(100, 200)))
        self.assertEqual(found.group("VI_1")["priority"], {"alpha": 200, "beta": 100})
        self.assertEqual(found.group("VI_2")["priority"], {"alpha": 100, "beta": 200})
        self.assertEqual([node.groups[1].priority for node in found.nodes.values()], [100, 200])

    def test_router(self) -> None:
        """A group is the same by its router id, whatever each file calls it."""
        found = imported(("alpha", vrrp(200, name="WEB")), ("beta", vrrp(100, name="web1")))
        self.assertEqual(list(found.values["group"]), ["WEB"])
        self.assertIn("called WEB everywhere", found.why("alpha: WEB, beta: web1"))

    def test_interfaces(self) -> None:
        """Hosts may have different interfaces: then addresses are where their network is."""
        found = imported(("alpha", vrrp(200)), ("beta", vrrp(100, interface="ens3")))
        self.assertEqual(
            {name: node["interface"] for name, node in found.values["node"].items()},
            {"alpha": "eth0", "beta": "ens3"},
        )
        self.assertEqual(found.addresses, ["10.0.0.1/24"])
        self.assertIn("connected to its network", found.why("10.0.0.1/24 on ens3 and eth0"))
        self.assertEqual(found.lost, [])

    def test_times(self) -> None:
        """What has to be the same everywhere is the longest, and that is told."""
        found = imported(("alpha", vrrp(2, "advert_int 1")), ("beta", vrrp(1, "advert_int 2")))
        self.assertEqual(found.values["interval"], 2)
        self.assertIn("same on all hosts: 2", found.why("interval (alpha: 1.0, beta: 2.0)"))

    def test_preemption(self) -> None:
        """It is that of the host with the highest priority, which is the one that could preempt."""
        delay = "preempt_delay 60"
        for first, second, preempt, seconds in (
            (("nopreempt",), (), False, 0),
            ((), ("nopreempt",), True, 0),
            ((delay,), (), True, 60),
            ((), (delay,), True, 0),
        ):
            found = imported(("alpha", vrrp(200, *first)), ("beta", vrrp(100, *second)))
            group = found.group("VI_1")
            self.assertEqual(
                (group.get("preempt", True), group.get("preempt_delay", 0)), (preempt, seconds)
            )
            self.assertIn("highest priority", found.why("differs"))

    def test_addresses(self) -> None:
        """An address of one host only is shared by all, which is told; so is a group."""
        found = imported(
            ("alpha", vrrp(200, addresses="10.0.0.1/24\n10.0.0.2/24")),
            ("beta", vrrp(100) + vrrp(100, name="VI_2", router=52, addresses="10.0.0.3/24")),
        )
        self.assertEqual(len(found.addresses), 3)
        self.assertEqual(
            found.lost,
            [
                (
                    "VI_1: 10.0.0.2/24@eth0",
                    "not in the file of beta; here it is shared by all hosts",
                ),
                ("group VI_2", "alpha has no such group; here every node may hold it"),
            ],
        )

    def test_disagreement(self) -> None:
        """Hosts that put one address into two groups, or call two groups the same, still make a file."""
        found = imported(
            ("alpha", vrrp(2)),
            ("beta", vrrp(1, router=52) + vrrp(1, router=53, name="VI_2", addresses="10.0.0.2/24")),
        )
        self.assertEqual(list(found.values["group"]), ["VI_1", "VI_2"])
        self.assertIn("has the same address already", found.why("VI_1-2: 10.0.0.1/24@eth0"))
        self.assertIn("nothing of it", found.why("VI_1-2"))
        prefix = imported(("alpha", vrrp(2)), ("beta", vrrp(1, addresses="10.0.0.1/32")))
        self.assertEqual(prefix.addresses, ["10.0.0.1/24@eth0"])

    def test_checks_and_commands(self) -> None:
        """A check or command of one host only is left out, since others might not have its program."""
        script = "vrrp_script s {{\nscript /bin/{}\n}}"
        track = "track_script {\ns\n}"
        found = imported(
            (
                "alpha",
                vrrp(2, track, "notify_master /m", "notify_backup /x", more=script.format("a")),
            ),
            (
                "beta",
                vrrp(1, track, "notify_master /m", "notify_backup /y", more=script.format("b")),
            ),
        )
        self.assertNotIn("checks", found.group("VI_1"))
        self.assertEqual(found.group("VI_1")["on"], {"acquired": ["/m"]})
        self.assertEqual(
            [words for words, _ in found.lost],
            ["check /bin/a", "check /bin/b", "VI_1: released: /x", "VI_1: released: /y"],
        )
        same = imported(
            ("alpha", vrrp(2, track, more=script.format("a"))),
            ("beta", vrrp(1, track, more=script.format("a"))),
        )
        self.assertEqual(len(same.group("VI_1")["checks"]), 1)

    def test_one_unnamed(self) -> None:
        """One host's file alone has its priority, and tells that the others need theirs."""
        self.assertIn("alpha=FILE", imported(vrrp(200)).why("VI_1: priority = 200"))
        named = imported(("alpha", vrrp(200)))
        self.assertEqual(named.values["node"], {"alpha": {"priority": 200}})
        self.assertIn("other hosts", named.why("[node.alpha]"))

    def test_conditions(self) -> None:
        """A file whose lines are for several hosts is that of those hosts, or of the one that is named."""
        text = vrrp(50, "@high priority 170", "@low priority 85", "@^low preempt_delay 9")
        found = imported(text)
        self.assertEqual(found.values["node"], {"high": {"priority": 170}, "low": {"priority": 85}})
        self.assertEqual(imported(("low", text)).values["node"], {"low": {"priority": 85}})
        other = imported(("beta", text))
        self.assertEqual(other.values["node"], {"beta": {"priority": 50}})
        self.assertIn("no such line is for this host", other.why("beta: @high @low"))

    def test_shared_file(self) -> None:
        """One file may be that of several hosts."""
        found = imported(vrrp(50), hosts=("alpha", "beta"))
        self.assertEqual(
            found.values["node"], {"alpha": {"priority": 50}, "beta": {"priority": 50}}
        )

    def test_nothing(self) -> None:
        """A host whose file shares nothing is no node."""
        found = imported(("alpha", vrrp(200)), ("beta", "virtual_server 10.0.0.1 80 {\n}\n"))
        self.assertEqual(list(found.values["node"]), ["alpha"])


class KindTests(SynchronousTestCase):
    """Which program a file is for."""

    def test_kinds(self) -> None:
        """It shows in what a file says."""
        for text, kind in (
            ("! x\nvrrp_instance A {\n}\n", "keepalived"),
            ("@a global_defs {\n}\n", "keepalived"),
            ("include conf.d/*\n", "keepalived"),
            ("auto lo\niface lo inet loopback\n", "ucarp"),
            ('{"ethernetDevice": "eth0"}', "ha.json"),
            ('[{"alias": "eth0:1"}]', "ha.json"),
            ('{"a": 1,', "ha.json"),
            ("node a b\nkeepalive 2\n", "heartbeat"),
            ("a 10.0.0.1 httpd\n", "heartbeat"),
            ("a drbddisk::r0\n", "heartbeat"),
            ("auth 1\n1 crc\n", "heartbeat"),
            ("", None),
            ("# nothing\n", None),
            ("#!/bin/sh\nexec /sbin/ifup $1:ucarp\n", None),
            ("[section]\nkey = 1\n", None),
        ):
            self.assertEqual(kindOf(text), kind, text)

    def test_heartbeat(self) -> None:
        """The three files of Heartbeat are told apart."""
        self.assertEqual(heartbeatFile("auth 2\n2 sha1 x\n"), "authkeys")
        self.assertEqual(heartbeatFile("node a\nbcast eth0\nmystery 10.0.0.1\n"), "ha.cf")
        self.assertEqual(heartbeatFile("a 10.0.0.1\nb IPaddr::10.0.0.2\n"), "haresources")

    def test_unknown(self) -> None:
        """A file of no kind, and files of two, are errors that say what to do."""
        with self.assertRaises(MigrationError) as caught:
            imported("hello\n")
        self.assertIn("say --from KIND", str(caught.exception))
        with self.assertRaises(MigrationError) as caught:
            imported(vrrp(1), "auto lo\n")
        self.assertIn("one import is of one program", str(caught.exception))
        with self.assertRaises(MigrationError) as caught:
            imported(Source("", "x", "hello\n"), kind="heartbeat")
        self.assertEqual(str(caught.exception), "x: is neither ha.cf nor haresources")
