"""Tests for groups that speak VRRP or CARP: what their settings are read to, and what is wrong with them."""

from __future__ import annotations

import os
from dataclasses import replace
from ipaddress import ip_address
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from hatwist.core.errors import ConfigurationError
from hatwist.core.guarantee import Level
from hatwist.protocols.vrrp.packet import Checksum
from hatwist.settings import Settings, load, loadAll, protocols
from hatwist.settings.changes import changes
from hatwist.settings.digest import digest
from hatwist.settings.protocols import RawLink
from hatwist.settings.summary import guaranteeOf, plan
from hatwist.settings.values import CarpSettings, VrrpSettings

HEAD = 'interface = "eth0"\n[node.alpha]\n[node.beta]\n'
VRRP = '[group.lan]\nprotocol = "vrrp"\nresources = [{address = "192.0.2.100/24"}]\nvrid = 51\n'
SIX = '[group.six]\nprotocol = "vrrp"\nresources = [{address = "2001:db8::1/64"}]\nvrid = 51\n'
CARP = '[group.old]\nprotocol = "carp"\nresources = [{address = "192.0.2.101/24"}]\nvhid = 7\n'
OWN = ip_address("192.0.2.1")


class ReadTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.directory = self.mktemp()
        os.mkdir(self.directory)
        self.secret = os.path.join(self.directory, "password")
        with open(self.secret, "w", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
            file.write("sesame\nand a note\n")

    def read(self, *texts: str, node: str = "alpha", head: str = HEAD) -> Settings:
        path = os.path.join(self.directory, "hatwist.toml")
        with open(path, "w") as file:
            file.write(head + "".join(texts))
        return load(path, node)

    def carp(self, more: str = "") -> str:
        return f'{CARP}password_file = "{self.secret}"\n{more}'

    def problems(self, *texts: str) -> list[str]:
        error = self.assertRaises(ConfigurationError, self.read, *texts)
        return [problem.partition("hatwist.toml:")[2] for problem in error.problems]

    def assertProblem(self, expected: str, *texts: str) -> None:
        """This one, and no other."""
        (found,) = self.problems(*texts)
        self.assertIn(expected, found)

    def test_native(self) -> None:
        """A group that does not say speaks hatwist's own protocol; one that says so, too."""
        for more in ("", 'protocol = "native"\n'):
            (group,) = self.read(
                '[group.g]\nresources = [{address = "192.0.2.9/24"}]\n', more
            ).groups
            self.assertEqual((group.protocol, group.native), ("native", True))
            self.assertEqual(protocols.rawLinks(group), [])

    def test_vrrp(self) -> None:
        """What is not said is as VRRP's standard has it."""
        (group,) = self.read(VRRP).groups
        self.assertEqual((group.protocol, group.vrrp), ("vrrp", VrrpSettings(51)))
        self.assertEqual(protocols.rawLinks(group), [RawLink("eth0", 4)])
        rules = protocols.routerRules(group, OWN)
        self.assertEqual((rules.vrid, rules.version, rules.interval), (51, 3, 1.0))
        self.assertEqual((rules.priority, rules.preempt, rules.link), (100, True, "eth0,raw"))
        self.assertEqual(rules.checksum, Checksum.PSEUDO_HEADER)

    def test_everything(self) -> None:
        """Each key arrives."""
        more = (
            'version = 2\nadvertisement_interval = 2\nunicast_peers = ["192.0.2.1", "192.0.2.2"]\nmin_ttl = 254\n'
            'auth_pass = "secret12"\nsync = "both"\npreempt = false\npreempt_delay = 9\nchecksum = "message"\n'
            "priority = {alpha = 150, beta = 90}\n"
        )
        for node, priority in (("alpha", 150), ("beta", 90)):
            (group,) = self.read(VRRP, more, node=node).groups
            rules = protocols.routerRules(group, OWN)
            self.assertEqual((rules.version, rules.interval, rules.hops), (2, 2.0, 254))
            self.assertEqual(rules.peers, (ip_address("192.0.2.2"),))  # and not this host itself
            self.assertEqual((rules.password, rules.sync), (b"secret12", "both"))
            self.assertEqual((rules.preempt, rules.preemptDelay), (False, 9.0))
            self.assertEqual((rules.checksum, rules.priority), (Checksum.MESSAGE, priority))

    def test_carp(self) -> None:
        """What is not said is as CARP has it; the password is the first line of its file."""
        (group,) = self.read(self.carp()).groups
        self.assertEqual((group.protocol, group.carp), ("carp", CarpSettings(7, b"sesame")))
        (group,) = self.read(
            self.carp("advbase = 2\nadvskew = {alpha = 3, beta = 9}\ndead_ratio = 4\n")
        ).groups
        rules = protocols.vhostRules(group, {"eth0,raw": OWN})
        self.assertEqual((rules.advbase, rules.advskew, rules.deadRatio), (2, 3, 4))
        self.assertEqual((rules.vhid, rules.password, rules.preempt), (7, b"sesame", True))

    def test_secrets(self) -> None:
        """No secret is in the text of settings."""
        settings = self.read(VRRP, 'version = 2\nauth_pass = "hush"\n', self.carp())
        self.assertNotIn("sesame", repr(settings))
        self.assertNotIn("hush", repr(settings))
        shown = plan({"alpha": settings})
        self.assertNotIn("sesame", shown)
        self.assertNotIn("hush", shown)

    def test_clearText(self) -> None:
        """hatwist check warns of a password that everybody can read, and of nothing where there is none."""
        with_ = self.read(VRRP, 'version = 2\nauth_pass = "hush"\n')
        self.assertIn("warning: auth_pass is sent in clear text", plan({"alpha": with_}))
        self.assertNotIn("warning", plan({"alpha": self.read(VRRP)}))

    def test_mode(self) -> None:
        """A password file that others may read is refused."""
        os.chmod(self.secret, 0o640)
        self.assertProblem("its mode is 0640", self.carp())

    def test_elsewhere(self) -> None:
        """The password file of this host must be there; that of another host need not be."""
        text = HEAD + self.carp()
        os.remove(self.secret)
        self.assertProblem("No such file", self.carp())
        path = os.path.join(self.directory, "hatwist.toml")
        with open(path, "w") as file:
            file.write(text)
        self.assertEqual(sorted(loadAll(path, "gamma")), ["alpha", "beta"])

    def test_interface(self) -> None:
        """An address is where its group speaks: where it says, or on the node's interface."""
        (group,) = self.read(VRRP).groups
        self.assertEqual([spec.interface for spec in group.addresses], ["eth0"])
        (group,) = self.read(VRRP.replace("/24", "/24@eth1")).groups
        self.assertEqual(protocols.rawLinks(group), [RawLink("eth1", 4)])

    def test_wrong(self) -> None:
        """Each mistake, by key, value and what is allowed."""
        for text, more, expected in (
            (VRRP.replace("vrid = 51\n", ""), "", "group.lan.vrid is missing"),
            (VRRP, "version = 4", "version = 4: allowed are whole numbers from 2 to 3"),
            (VRRP, "min_ttl = 0", "min_ttl = 0: allowed are whole numbers from 1 to 255"),
            (VRRP, "min_ttl = 9", "a TTL of 9: allowed are 1 to 255 with unicast peers"),
            (VRRP, 'checksum = "none"', "allowed are pseudo-header and message"),
            (VRRP, 'unicast_peers = ["224.0.0.18"]', "is not the address of one host"),
            (
                VRRP,
                'unicast_peers = ["fd00::2"]',
                "fd00::2: a virtual router is of one version of IP",
            ),
            (VRRP, "advertisement_interval = 41", "41: allowed are 0.01 to 40.95 seconds in steps"),
            (
                VRRP,
                "version = 2\nadvertisement_interval = 0.5",
                "0.5: allowed are 1 to 255 seconds",
            ),
            (VRRP, 'auth_pass = "x"', "auth_pass: version 3 has no password"),
            (VRRP, "priority = 0", "priority 0: allowed are 1 to 254"),
            (VRRP, 'last_resort = "keep"', 'is of no use with protocol = "vrrp"'),
            (VRRP, "ask_limit = 3", 'is of no use with protocol = "vrrp"'),
            (VRRP, "advbase = 1", 'goes with protocol = "carp"'),
            (self.carp(), "priority = 3", 'is of no use with protocol = "carp"'),
            (self.carp(), "preempt_delay = 3", 'is of no use with protocol = "carp"'),
            (self.carp(), "vrid = 3", 'goes with protocol = "vrrp"'),
            (
                self.carp(),
                "advskew = 255",
                "advskew = 255: allowed are whole numbers from 0 to 254",
            ),
            (self.carp(), "advskew = {gamma = 1}", "gamma = 1: there is no such node"),
            (CARP, "", "group.old.password_file is missing"),
            (SIX, "version = 2", "version 2 with IPv6 addresses: version 3 has them"),
            (
                VRRP.replace('"vrrp"', '"hsrp"').replace("vrid = 51\n", ""),
                "",
                "allowed are native and vrrp and carp",
            ),
        ):
            text, more = text, more
            self.assertProblem(expected, text, more)

    def test_addresses(self) -> None:
        """There are some, of one interface, and of one version of IP with VRRP; CARP has both."""
        both = '[{address = "192.0.2.100/24"}, {address = "2001:db8::1/64"}]'
        two = '[{address = "192.0.2.100/24"}, {address = "192.0.2.101/24@eth1"}]'
        one = '[{address = "192.0.2.100/24"}]'
        self.assertProblem("one version of IP", VRRP.replace(one, both))
        self.assertProblem("its addresses are on eth0 and eth1", VRRP.replace(one, two))
        self.assertProblem(
            "it has no address", VRRP.replace(one, '[{command = ["true"], undo = ["true"]}]')
        )
        (group,) = self.read(self.carp().replace('[{address = "192.0.2.101/24"}]', both)).groups
        self.assertEqual(
            [link.name for link in protocols.rawLinks(group)], ["eth0,raw", "eth0,raw6"]
        )

    def test_numbers(self) -> None:
        """No number is given twice on one interface and family; on others, and by the other protocol, it may be."""
        other = VRRP.replace("group.lan", "group.b").replace(".100", ".105")
        self.assertProblem("the vrid 51 is given 2 times on eth0,raw", VRRP, other)
        second = self.carp().replace("group.old", "group.b").replace(".101", ".105")
        self.assertProblem("vhid 7: it is given 2 times on eth0", self.carp(), second)
        found = self.read(
            VRRP, SIX, other.replace("/24", "/24@eth1"), self.carp().replace("= 7", "= 51")
        )
        self.assertEqual(len(found.groups), 4)

    def test_guarantee(self) -> None:
        """Nobody is promised more than such a protocol can give, votes or not."""
        found = self.read(VRRP, self.carp(), head='quorum = "majority"\n' + HEAD)
        for group in found.groups:
            level, _, gaps = guaranteeOf(found, group)
            self.assertEqual(level, Level.SELF_RELEASING)
            self.assertIn("if the network splits, both sides hold the addresses", gaps[0])
        slow = replace(found.groups[0], resources=(*found.groups[0].resources, _unit()))
        self.assertEqual(guaranteeOf(found, slow).level, Level.BEST_EFFORT)

    def test_digest(self) -> None:
        """Nodes agree on what all have to have alike, and each has its own of the rest."""
        plain = self.read(VRRP)
        for more, same in (
            ("priority = 3", True),
            ("min_ttl = 255", True),
            ("version = 2", False),
            ("advertisement_interval = 2", False),
            ('sync = "both"', False),
            ("preempt = false", False),
        ):
            self.assertEqual(digest(self.read(VRRP, more)) == digest(plain), same, more)

    def test_changes(self) -> None:
        """A reload tells what becomes another, no secret, and that a protocol does not."""
        old = self.read(VRRP)
        new = self.read(VRRP, "advertisement_interval = 2\npriority = 7\n")
        self.assertEqual(
            changes(old, new).lines,
            (
                "group lan: priority 100 becomes 7",
                "group lan: advertisement_interval 1 becomes 2",
            ),
        )
        native = self.read('[group.lan]\nresources = [{address = "192.0.2.100/24"}]\n')
        for one, other, words in (
            (old, native, "vrrp, file native"),
            (native, old, "native, file vrrp"),
        ):
            (problem,) = changes(one, other).problems
            self.assertIn(f"protocol cannot change by reload (running {words})", problem)
        before = self.read(self.carp())
        with open(self.secret, "w") as file:
            file.write("another")
        self.assertEqual(
            changes(before, self.read(self.carp())).lines, ("group old: another password",)
        )


def _unit() -> Any:
    from hatwist.settings import UnitSpec

    return UnitSpec("x.service")
