"""Tests for L{hatwist.frontends.importing.keepalived}: keepalived.conf becomes groups, and what does not is told."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.importing import imported

KEY = "auth_pass ..."


def instance(
    *lines: str, name: str = "VI_1", router: int = 51, address: str = "192.168.1.100/24"
) -> str:
    """A C{vrrp_instance} with these lines in it."""
    inner = "\n".join(lines)
    addresses = f"virtual_ipaddress {{\n{address}\n}}" if address else ""
    return f"vrrp_instance {name} {{\ninterface eth0\nvirtual_router_id {router}\n{inner}\n{addresses}\n}}\n"


class InstanceTests(SynchronousTestCase):
    """One instance."""

    def test_least(self) -> None:
        """An instance becomes a group with its addresses, and nothing is lost."""
        found = imported(instance("state BACKUP", "priority 150", "advert_int 0.5"))
        self.assertEqual(
            found.values,
            {
                "cluster": "vrrp-51",
                "interval": 0.5,
                "interface": "eth0",
                "group": {
                    "VI_1": {
                        "resources": [{"address": "192.168.1.100/24@eth0"}],
                        "priority": 150,
                    }
                },
            },
        )
        self.assertEqual(found.lost, [])
        self.assertEqual(found.nodes["localhost"].tolerance, 1.75)

    def test_addresses(self) -> None:
        """An address has the prefix length and interface that it names, or that of one address and of the instance."""
        found = imported(
            instance(
                "virtual_ipaddress_excluded {",
                "2001:db8::1/64",
                "10.0.0.9 dev eth2 scope global no_track",
                "}",
                address="192.168.1.100/24 dev eth1 label eth1:vip brd 192.168.1.255\n192.168.1.101",
            )
        )
        self.assertEqual(
            found.addresses,
            [
                "192.168.1.100/24@eth1",
                "192.168.1.101/32@eth0",
                "2001:db8::1/64@eth0",
                "10.0.0.9/32@eth2",
            ],
        )
        self.assertEqual([words for words, _ in found.lost], ["10.0.0.9 scope global"])
        self.assertIn("eth0:ha", found.why("label eth1:vip").replace("INTERFACE", "eth0"))

    def test_families(self) -> None:
        """What keepalived ignores, an address of another family than the first, is told, and not shared."""
        found = imported(
            instance(
                *("virtual_ipaddress_excluded {", "2001:db8::2/64", "}"),
                address="192.168.1.100/24\n2001:db8::1/64\n192.168.1.101/24",
            )
        )
        self.assertEqual(
            found.addresses,
            ["192.168.1.100/24@eth0", "192.168.1.101/24@eth0", "2001:db8::2/64@eth0"],
        )
        self.assertEqual([words for words, _ in found.lost], ["2001:db8::1/64"])
        self.assertIn("other family", found.why("2001:db8::1/64"))

    def test_impossible_addresses(self) -> None:
        """An address that cannot be shared here is told, and the others are carried over."""
        found = imported(
            instance(
                address="192.168.1.100/24\n192.168.1.0/24\nrouter.example\n10.0.0.1 peer 10.0.0.2\n"
                "192.168.1.100/24 label eth0:1\n192.168.1.7 dev a/b\n192.168.1.8 frobnicate"
            )
        )
        self.assertEqual(found.addresses, ["192.168.1.100/24@eth0", "192.168.1.8/32@eth0"])
        told = [words for words, _ in found.lost]
        self.assertEqual(
            told,
            [
                "192.168.1.0/24",
                "router.example",
                "10.0.0.1 peer 10.0.0.2",
                "192.168.1.7 dev a/b",
                "192.168.1.8 frobnicate",
            ],
        )
        self.assertIn(
            "the same address is given in VI_1", found.why("192.168.1.100/24 label eth0:1")
        )

    def test_nothing_left(self) -> None:
        """An instance without an address that could be carried over is left out, with its line."""
        found = imported("\n" + instance(address="192.168.1.0/24"))
        self.assertEqual(found.values, {})
        self.assertIn("no address", found.why("VI_1"))
        self.assertIn(("VI_1", 2), [(note.words, note.place.line) for note in found.notes.all])

    def test_preempt(self) -> None:
        """nopreempt is carried over, except where keepalived itself ignores it."""
        self.assertIs(imported(instance("nopreempt")).group("VI_1")["preempt"], False)
        self.assertIs(
            imported(instance("state BACKUP", "nopreempt")).group("VI_1")["preempt"], False
        )
        ignored = imported(instance("state MASTER", "nopreempt"))
        self.assertNotIn("preempt", ignored.group("VI_1"))
        self.assertIn("keepalived ignores it", ignored.why("nopreempt"))
        self.assertEqual(
            imported(instance("preempt_delay 300")).group("VI_1")["preempt_delay"], 300
        )

    def test_priority(self) -> None:
        """A priority stays what it is; 255 becomes 254, which is told; what is none becomes the usual one."""
        self.assertEqual(imported(instance()).group("VI_1")["priority"], 100)
        owner = imported(instance("priority 255"))
        self.assertEqual(owner.group("VI_1")["priority"], 254)
        self.assertIn("254 is the highest", owner.why("priority 255"))
        for wrong in ("priority 256", "priority 0", "priority high", "priority"):
            found = imported(instance(wrong))
            self.assertEqual(found.group("VI_1")["priority"], 100)
            self.assertIn("here it is 100", found.why(wrong))

    def test_times(self) -> None:
        """down_timer_adverts becomes the tolerance; times that cannot be had are told."""
        found = imported(instance("advert_int 2", "down_timer_adverts 5"))
        self.assertEqual((found.values["interval"], found.values["tolerance"]), (2, 11))
        short = imported(instance("advert_int 1", "down_timer_adverts 1"))
        self.assertGreaterEqual(short.values["tolerance"], 2)
        self.assertIn("the nearest that can be had", short.why("1.5 s of silence"))
        self.assertIn("here it is 1", imported(instance("advert_int 0")).why("advert_int 0"))
        self.assertEqual(imported(instance("advert_int 255")).values["interval"], 1)

    def test_unicast(self) -> None:
        """Unicast peers become a link; IPv6 addresses alone are talked about by IPv6."""
        found = imported(
            instance(
                "unicast_src_ip 10.0.0.1", "unicast_peer {", "10.0.0.2", "10.0.0.3 min_ttl 1", "}"
            )
        )
        self.assertEqual(found.values["links"], ["eth0,unicast=10.0.0.2,10.0.0.3"])
        self.assertEqual(
            imported(instance(address="2001:db8::1/64")).values["links"], ["eth0,multicast6"]
        )
        wrong = imported(instance("unicast_peer {", "peer.example", "}"))
        self.assertIn("is no peer", wrong.why("peer.example"))

    def test_authentication(self) -> None:
        """A password is no key: it is not carried over, it is not printed, and what to do is told."""
        found = imported(instance("authentication {", "auth_type PASS", "auth_pass hush", "}"))
        self.assertNotIn("key_file", found.values)
        self.assertNotIn("hush", found.text)
        self.assertIn('key_file = "/etc/hatwist/key"', found.why(KEY))

    def test_no_interface(self) -> None:
        """An instance that names no interface, or one that cannot be, has eth0, and that is told."""
        text = "vrrp_instance V {\nvirtual_ipaddress {\n10.0.0.1/24\n}\n}\n"
        self.assertIn("names no interface", imported(text).why("vrrp_instance V"))
        wrong = imported(text.replace("virtual", "interface a/b\nvirtual", 1))
        self.assertIn("eth0 is written", wrong.why("interface a/b"))
        self.assertEqual(wrong.addresses, ["10.0.0.1/24@eth0"])

    def test_every_other_word(self) -> None:
        """Every word of keepalived.conf(5) in an instance is carried over or told; an unknown one too."""
        told = (
            "use_vmac vrrp.51",
            "vmac_xmit_base",
            "use_ipvlan",
            "garp_master_delay 10",
            "garp_lower_prio_repeat 2",
            "smtp_alert",
            "no_accept",
            "dont_track_primary",
            "mcast_src_ip 10.0.0.1",
            "version 3",
            "lvs_sync_daemon_interface eth1",
            "notify_fault /f",
            "notify_stop /s",
            "notify_master_rx_lower_pri /l",
            "frobnicate 7",
            "track_file {\nx\n}",
            "track_bfd {\nx\n}",
        )
        found = imported(instance(*told))
        for words in told:
            self.assertTrue(found.why(words.split("\n")[0].removesuffix(" {")))
        self.assertIn("nothing that corresponds", found.why("frobnicate"))


class MovingTests(SynchronousTestCase):
    """What moves with the addresses."""

    def routes(self, *lines: str, block: str = "virtual_routes") -> list[str]:
        """The commands that add; each has one that deletes the same."""
        self.notes = imported(instance(f"{block} {{", *lines, "}"))
        added = []
        for resource in self.notes.group("VI_1")["resources"]:
            if "command" in resource:
                command, undo = (" ".join(resource[key]) for key in ("command", "undo"))
                self.assertEqual(
                    undo, command.replace(" replace ", " del ").replace(" add ", " del ")
                )
                added.append(command)
        return added

    def test_routes(self) -> None:
        """A route becomes a command that adds it and one that deletes it, after the addresses."""
        self.assertEqual(
            self.routes(
                "src 192.168.1.100 to 10.1.0.0/16 via 192.168.1.254 dev eth1",
                "default gw 192.168.1.1 table 100",
                "blackhole 10.9.0.0/16 no_track",
                "2001:db8:1::/48 via 2001:db8::1",
            ),
            [
                "ip route replace 10.1.0.0/16 via 192.168.1.254 dev eth1 src 192.168.1.100",
                "ip route replace default via 192.168.1.1 table 100",
                "ip route replace blackhole 10.9.0.0/16",
                "ip -6 route replace 2001:db8:1::/48 via 2001:db8::1",
            ],
        )
        self.assertIn("only the daemon can undo", self.notes.why("blackhole"))

    def test_impossible_routes(self) -> None:
        """A route of several next hops, or what is none, is told."""
        self.assertEqual(
            self.routes(
                "10.0.0.0/8 via 1.2.3.4 or 1.2.3.5", "nowhere via 1.2.3.4", "10.0.0.0/8 via x"
            ),
            [],
        )
        self.assertEqual(
            [advice.partition(":")[0] for _, advice in self.notes.lost],
            ["'or' is unknown", "'nowhere' is no network", "'x' is no address"],
        )

    def test_rules(self) -> None:
        """Rules likewise; keepalived's own sample has one that keepalived refuses too."""
        self.assertEqual(
            self.routes(
                "from 192.168.2.0/24 table 2", "to 192.168.2./24 table 1", block="virtual_rules"
            ),
            ["ip rule add from 192.168.2.0/24 table 2"],
        )
        self.assertIn("is no network", self.notes.why("192.168.2./24"))


class TrackingTests(SynchronousTestCase):
    """What is tracked becomes checks."""

    def checks(self, script: str, tracked: str, *more: str) -> list[dict[str, object]]:
        """The checks of an instance that tracks C{tracked}."""
        text = f"{script}\n" + instance("track_script {", tracked, "}", *more)
        self.found = imported(text)
        return list(self.found.group("VI_1").get("checks", []))

    def test_script(self) -> None:
        """A script becomes a command without a shell, with keepalived's own defaults."""
        script = "vrrp_script s {\nscript \"/bin/check 'a b' c\"\n}"
        self.assertEqual(
            self.checks(script, "s"),
            [
                {
                    "command": ["/bin/check", "a b", "c"],
                    "interval": 1,
                    "timeout": 1,
                    "rise": 1,
                    "fall": 1,
                    "effect": "unfit",
                }
            ],
        )
        script = "vrrp_script s {\nscript /bin/check\ninterval 5\ntimeout 3\nrise 2\nfall 4\ninit_fail\n}"
        (check,) = self.checks(script, "s")
        self.assertEqual(
            [check[key] for key in ("interval", "timeout", "rise", "fall")], [5, 3, 2, 4]
        )
        self.assertIn("always so", self.found.why("init_fail"))

    def test_weight(self) -> None:
        """A weight makes degraded of unfit, which is told; the one where it is tracked comes first."""
        script = "vrrp_script s {\nscript /bin/check\nweight -4\n}"
        (check,) = self.checks(script, "s")
        self.assertEqual(check["effect"], "degraded")
        self.assertIn("weights are not added up", self.found.why("s weight -4"))
        (check,) = self.checks(script, "s weight 0")
        self.assertEqual(check["effect"], "unfit")
        self.assertEqual(self.checks(script, "s weight 0 reverse"), [])
        self.assertIn("check for the opposite", self.found.why("reverse"))

    def test_shell(self) -> None:
        """What only a shell could read is told, but for a connect, which is a check of its own."""
        for script in ("a | b", "a > /dev/null", "a && b", "a `b`", "a 'b", "a $(b)"):
            self.assertEqual(self.checks(f'vrrp_script s {{\nscript "{script}"\n}}', "s"), [])
            self.assertIn("no shell", self.found.why("script"))
        for script in ("</dev/tcp/127.0.0.1/80", "bash -c '</dev/tcp/127.0.0.1/80'"):
            (check,) = self.checks(f'vrrp_script s {{\nscript "{script}"\n}}', "s")
            self.assertEqual(check["tcp"], "127.0.0.1:80")

    def test_impossible(self) -> None:
        """A script that is nowhere, empty, or of impossible numbers is told."""
        self.assertEqual(self.checks("", "s"), [])
        self.assertIn("no such script", self.found.why("s"))
        self.assertEqual(self.checks("vrrp_script s {\n}", "s"), [])
        self.assertIn("has no script", self.found.why("vrrp_script s"))
        (check,) = self.checks("vrrp_script s {\nscript /x\ninterval 0\nfrob\nuser joe\n}", "s")
        self.assertEqual(check["interval"], 1)
        self.assertIn("User=", self.found.why("user joe"))
        self.assertIn("no word of a script", self.found.why("frob"))
        self.assertEqual(self.checks("vrrp_script s {\nscript ./relative\n}", "s"), [])
        self.assertIn("absolute path", self.found.why("s"))

    def test_interfaces_and_processes(self) -> None:
        """A tracked interface is a carrier, a tracked process a process."""
        found = self.checks(
            "vrrp_track_process p {\nprocess nginx\n}\nvrrp_track_process q {\nprocess a b\n}",
            "x",
            "track_interface {\neth1\neth2 weight 5\n}",
            "track_process {\np\nq\n}",
        )
        self.assertEqual(
            [(next(iter(check.items())), check["effect"]) for check in found],
            [
                (("carrier", "eth1"), "unfit"),
                (("carrier", "eth2"), "degraded"),
                (("process", "nginx"), "degraded"),
            ],
        )
        self.assertIn("write a program", self.found.why("vrrp_track_process q"))

    def test_unused(self) -> None:
        """A script that nothing tracks is told, and not carried over."""
        found = imported("vrrp_script s {\nscript /x\n}\n" + instance())
        self.assertNotIn("checks", found.group("VI_1"))
        self.assertEqual(found.why("vrrp_script s"), "nothing tracks it")


class NotifyTests(SynchronousTestCase):
    """What is run at changes becomes the commands of events."""

    def test_events(self) -> None:
        """notify_master and notify_backup run when held, and when held no more; notify at both, with its arguments."""
        found = imported(
            instance('notify_master "/m a"', "notify /n", "notify_backup /b", "priority 7")
        )
        self.assertEqual(
            found.group("VI_1")["on"],
            {
                "acquired": [["/m", "a"], ["/n", "INSTANCE", "VI_1", "MASTER", "100"]],
                "released": [["/b"], ["/n", "INSTANCE", "VI_1", "BACKUP", "100"]],
            },
        )

    def test_user(self) -> None:
        """Another user is told."""
        found = imported(instance("notify_master /m joe staff"))
        self.assertEqual(found.group("VI_1")["on"], {"acquired": ["/m"]})
        self.assertIn("User=", found.why("joe staff"))

    def test_shell(self) -> None:
        """What only a shell could read is told."""
        found = imported(instance('notify_master "a > b"', "notify_backup"))
        self.assertNotIn("on", found.group("VI_1"))
        self.assertIn("no shell", found.why("notify_master"))
        self.assertIn("no shell", found.why("notify_backup"))


class SyncTests(SynchronousTestCase):
    """A sync group is one group."""

    TWO = instance("priority 150", name="A", address="192.168.1.1/24") + instance(
        "priority 150", name="B", router=52, address="10.0.0.1/24"
    )

    def test_members(self) -> None:
        """Its members' addresses move together, in the order of the members."""
        found = imported("vrrp_sync_group G {\ngroup {\nB\nA\n}\nnotify_master /m\n}\n" + self.TWO)
        self.assertEqual(list(found.values["group"]), ["G"])
        self.assertEqual(found.addresses, ["10.0.0.1/24@eth0", "192.168.1.1/24@eth0"])
        self.assertEqual(found.group("G")["priority"], 150)
        self.assertEqual(found.group("G")["on"], {"acquired": ["/m"]})
        self.assertEqual(found.lost, [])

    def test_without_group(self) -> None:
        """Members without 'group', as in a sample of keepalived, are taken, and it is told that keepalived does not."""
        found = imported("vrrp_sync_group G {\nA\nB\n}\n" + self.TWO)
        self.assertEqual(list(found.values["group"]), ["G"])
        self.assertIn("keepalived ignores them", found.why("vrrp_sync_group G"))

    def test_weights(self) -> None:
        """Weights of members count for nothing, as in keepalived."""
        tracked = "track_interface {\neth9 weight 5\n}"
        text = instance(tracked, name="A")
        self.assertEqual(imported(text).group("A")["checks"][0]["effect"], "degraded")
        together = imported("vrrp_sync_group G {\ngroup {\nA\n}\n}\n" + text)
        self.assertEqual(together.group("G")["checks"][0]["effect"], "unfit")

    def test_strangers(self) -> None:
        """A member that is nowhere, or in two groups, is told, and so is what differs between members."""
        text = (
            "vrrp_sync_group G {\ngroup {\nA\nC\n}\n}\nvrrp_sync_group H {\ngroup {\nA\nB\n}\nfrob\n}\n"
            + self.TWO.replace("150", "90", 1)
        )
        found = imported(text)
        self.assertEqual(
            {name: group["priority"] for name, group in found.values["group"].items()},
            {"G": 90, "H": 150},
        )
        self.assertEqual(
            [words for words, _ in found.lost],
            ["vrrp_sync_group G: C", "vrrp_sync_group H: A", "frob"],
        )
        differ = imported(text.replace("A\nC", "A\nB").replace("B\n}\nfrob", "C\n}\nfrob"))
        self.assertIn(
            "its instances disagree on priority; the merged group uses that of",
            differ.why("vrrp_sync_group G"),
        )


class RestTests(SynchronousTestCase):
    """What is around instances."""

    def test_several(self) -> None:
        """Several instances are several groups; there is one interval, the shortest, and an address is in one group."""
        found = imported(
            instance("advert_int 3", name="A", address="10.0.0.1/24")
            + instance(
                "interface eth1",
                "advert_int 2",
                name="B",
                router=9,
                address="10.0.0.1/24\n10.1.0.1/24",
            )
            + instance(name="A", address="10.2.0.1/24")
        )
        self.assertEqual(found.values["interval"], 2)
        self.assertEqual(found.values["links"], ["eth0", "eth1"])
        self.assertEqual(found.addresses, ["10.0.0.1/24@eth0", "10.1.0.1/24@eth1"])
        self.assertIn("given in A already", found.why("10.0.0.1/24"))
        self.assertIn("one of this name", found.why("vrrp_instance A"))
        self.assertIn("one for all groups: 2", found.why("A: advert_int 3"))

    def test_globals(self) -> None:
        """Each word of global_defs and each block that is not VRRP is told."""
        found = imported(
            "global_defs {\nrouter_id X\nsmtp_server 1.2.3.4\nvrrp_garp_interval 1\nscript_user joe\nfrob\n}\n"
            "virtual_server 10.0.0.1 80 {\nreal_server 10.0.0.2 80 {\nweight 1\n}\n}\n"
            "static_routes {\n10.0.0.0/8 via 1.2.3.4\n}\nfrobs {\n}\n" + instance()
        )
        self.assertEqual(
            [words for words, _ in found.lost],
            [
                "smtp_server 1.2.3.4",
                "script_user joe",
                "frob",
                "virtual_server 10.0.0.1 80",
                "static_routes",
                "frobs",
            ],
        )
        self.assertIn("keep keepalived", found.why("virtual_server"))

    def test_only_servers(self) -> None:
        """A file without VRRP makes a file of comments alone."""
        found = imported("virtual_server 10.0.0.1 80 {\nlb_algo rr\n}\n")
        self.assertEqual(found.values, {})
        self.assertIn("IPVS", found.why("virtual_server"))

    def test_names(self) -> None:
        """Names that hatwist does not take are changed, and stay apart."""
        found = imported(
            instance(name="'a b'", address="10.0.0.1/24")
            + instance(name="a/b", router=2, address="10.0.0.2/24")
        )
        self.assertEqual(list(found.values["group"]), ["a-b", "a-b-2"])
