"""Tests for L{hatwist.settings.digest}: running clusters compare these bytes, so that they are as they always were."""

from __future__ import annotations

import tomllib
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from hatwist.settings.digest import digest
from hatwist.settings.file import read
from hatwist.settings.options import settings

EVERYTHING = """
cluster = "web"
interface = "eth0"
interval = 0.1
tolerance = 0.45
quorum = "majority"
[node.alpha]
[node.beta]
[node.gamma]
[group.web]
resources = [
  {command = ["drbdadm", "primary", "r0"], undo = ["drbdadm", "secondary", "r0"], check = ["a b", "it's"], timeout = 3},
  {address = "192.168.1.101/24@eth1"},
  {address = "192.168.1.100/24"},
  {alias = "eth0:1"},
  {interface = "eth2"},
  {command = ["a"], undo = ["b"]},
  {unit = "nginx", timeout = 60},
  {address = "2001:db8::1/64"},
]
preempt = false
preempt_delay = 5
ask_limit = 30
last_resort = "keep"
checks = [
  {http = "http://127.0.0.1/", interval = 5, effect = "degraded"},
  {http = "https://[::1]/x", status = 204, contains = "ok", verify = false, timeout = 0.5, rise = 1, fall = 4},
  {tcp = "127.0.0.1:80"}, {process = "nginx", pidfile = "/run/x"}, {pidfile = "/run/y"},
  {command = ["/bin/true", "x"]}, {unit = "nginx"}, {file = "/srv/ok"}, {file = "/srv/ok", newer = 10},
  {ping = "10.0.0.1"}, {ping = "2001:db8::9", interface = "eth0"}, {carrier = "eth0"}, {lateness = 0.5},
]
on = {acquired = ["notify", "up"], peer-left = [["a"], ["b", "c"]], prepare = ["p"], timeout = 2}
[group.db]
priority = {beta = 250}
resources = [{unit = "postgresql.service"}]
"""
GROUP = 'interface = "eth0"\n[group.web]\nresources = [{}]\n'


class FixedTests(SynchronousTestCase):
    """As version 0.1.0 computed them, before there were rows of settings."""

    def file(self, text: str) -> str:
        """The digest of a file."""
        problems: list[str] = []
        found = read(tomllib.loads(text), text, "F", "alpha", False, problems)
        self.assertEqual(problems, [])
        return digest(found).hex()

    def test_everything(self) -> None:
        """A file with every shared setting, every kind of resource and every kind of check."""
        self.assertEqual(self.file(EVERYTHING), "bb03e3399b0d1b16")

    def test_resources(self) -> None:
        """Each kind of resource by itself."""
        for resource, expected in (
            ('{address = "192.168.1.100/24"}', "229fa9ee039a681a"),
            ('{alias = "eth0:1"}', "fd6bdb9f592864f3"),
            ('{interface = "eth2"}', "78d8a1596dfc96fe"),
            ('{command = ["a"], undo = ["b"]}', "d36448bb820c949a"),
            ('{command = ["a"], undo = ["b"], check = ["c"], timeout = 3}', "37992ad80951724a"),
            ('{unit = "nginx"}', "7ade5d242eeec62b"),
        ):
            self.assertEqual(self.file(GROUP.format(resource)), expected, resource)

    def test_checks(self) -> None:
        """Each kind of check by itself, whatever its class is called."""
        group = GROUP.format('{address = "192.168.1.100/24"}')
        for check, expected in (
            ('{http = "http://127.0.0.1/", interval = 5, effect = "degraded"}', "0848adfd13b04c98"),
            ('{tcp = "127.0.0.1:80"}', "6021669bf682af88"),
            ('{process = "nginx", pidfile = "/run/x"}', "3abe19c860d848ad"),
            ('{pidfile = "/run/y"}', "a0bf636ec33e2320"),
            ('{command = ["/bin/true", "x"]}', "caa74b04e4327bdd"),
            ('{unit = "nginx"}', "17265e9367fc530e"),
            ('{file = "/srv/ok", newer = 10}', "15376188b3c46699"),
            ('{ping = "2001:db8::9", interface = "eth0"}', "938aac1156c3848c"),
            ('{carrier = "eth0"}', "4003e8693be6cb86"),
            ("{lateness = 0.5}", "816fe46abe51fbfa"),
        ):
            self.assertEqual(self.file(f"{group}checks = [{check}]\n"), expected, check)

    def test_options(self) -> None:
        """Options come to the same as a file, and have stayed the same too."""
        votes: dict[str, Any] = {
            "address": ["10.0.0.1/24", "2001:db8::1/64@eth1"],
            "alias": ["eth0:1"],
            "cluster": "web",
            "interval": "0.1",
            "tolerance": "0.45",
            "preempt": False,
            "preemptDelay": "30",
            "askLimit": "2.5",
            "quorum": "2",
            "members": ["alpha,beta,gamma"],
        }
        for words, expected in (
            ({"address": ["10.0.0.1/24"]}, "38e0d8a7c1fcd7bd"),
            (votes, "2dd5283a8a19fc25"),
            ({"address": ["10.0.0.1/24"], "witness": "10.0.0.9"}, "208f128aa6442981"),
        ):
            found = settings(interface="eth0", node="alpha", **words)
            self.assertEqual(digest(found).hex(), expected, words)
