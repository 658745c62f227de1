"""Tests for L{hatwist.protocols.vrrp.rules}: what can be configured, and what is said of all else."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from hatwist.protocols.vrrp.packet import OWNER
from hatwist.protocols.vrrp.rules import problems
from tests.vrrp import VIP, VIP6, rules


class ProblemTests(SynchronousTestCase):
    """Each rule: what it lets pass, and the sentence for what it does not."""

    def assertGood(self, **given: Any) -> None:
        """Nothing is wrong with these rules."""
        self.assertEqual(list(problems([rules(**given)])), [], given)

    def assertProblem(self, *words: str, **given: Any) -> None:
        """One problem that has these words, and names the group."""
        (found,) = problems([rules(**given)])
        for word in ("g: ", *words):
            self.assertIn(word, found)

    def test_vrid(self) -> None:
        """1 to 255."""
        self.assertGood(vrid=1)
        self.assertGood(vrid=255)
        for vrid in (0, 256, -1):
            self.assertProblem(f"vrid {vrid}", "1 to 255", vrid=vrid)

    def test_version(self) -> None:
        """2 and 3."""
        self.assertGood(version=2, interval=1.0)
        self.assertGood(version=3)
        self.assertProblem("version 4", "2 and 3", version=4)

    def test_priority(self) -> None:
        """1 to 254; 255 is that of an owner only, and an owner always has it."""
        self.assertGood(priority=1)
        self.assertGood(priority=254)
        self.assertGood(owner=True)
        self.assertEqual(rules(owner=True).rank, OWNER)
        self.assertEqual(rules(priority=254).rank, 254)
        for priority in (0, 255):
            self.assertProblem(f"priority {priority}", "1 to 254", "owner", priority=priority)

    def test_interval(self) -> None:
        """Hundredths of seconds up to 40.95, in version 2 whole seconds up to 255."""
        for interval in (0.01, 0.1, 0.29, 1.0, 40.95):
            self.assertGood(interval=interval)
        for interval in (0.0, 0.005, 0.015, 40.96):
            self.assertProblem("advertisement_interval", "0.01 to 40.95", interval=interval)
        for interval in (1.0, 255.0):
            self.assertGood(version=2, interval=interval)
        for interval in (0.1, 1.5, 256.0):
            self.assertProblem("1 to 255", version=2, interval=interval)

    def test_addresses(self) -> None:
        """One at least, of one version of IP, and as many as fit into one packet."""
        self.assertGood(addresses=(VIP,) * 255)
        self.assertProblem("256 addresses", "255", addresses=(VIP,) * 256)
        self.assertGood(addresses=VIP6 * 45)
        self.assertProblem("91 addresses", "90", addresses=(VIP6[0],) * 91)
        self.assertProblem("one version of IP", addresses=(VIP, VIP6[0]))
        (found,) = problems([rules()._replace(addresses=())])
        self.assertIn("no address", found)

    def test_version2IsForIpv4(self) -> None:
        """IPv6 takes version 3."""
        self.assertGood(addresses=VIP6)
        self.assertProblem("version 3", version=2, interval=1.0, addresses=VIP6)

    def test_source(self) -> None:
        """It is no shared address, but an owner's may be; by IPv6 multicast it is link-local."""
        self.assertGood(source=None)
        self.assertProblem("shared", source=VIP)
        self.assertGood(source=VIP, owner=True)
        self.assertGood(addresses=VIP6, source=ip_address("fe80::7"))
        other = ip_address("2001:db8::7")
        self.assertProblem("link-local", addresses=VIP6, source=other)
        self.assertGood(addresses=VIP6, source=other, peers=(ip_address("2001:db8::8"),))
        self.assertProblem("one version of IP", source=ip_address("fe80::7"))

    def test_password(self) -> None:
        """Eight bytes, and with version 2."""
        self.assertGood(version=2, interval=1.0, password=b"12345678")
        self.assertProblem("9 bytes", version=2, interval=1.0, password=b"123456789")
        self.assertProblem("version 3 has no password", password=b"secret")

    def test_hops(self) -> None:
        """Less than 255 only where peers are beyond a router, which multicast is not."""
        peers = (ip_address("10.99.0.9"),)
        self.assertGood(hops=255)
        self.assertGood(hops=254, peers=peers)
        self.assertProblem("TTL of 254", hops=254)
        self.assertProblem("TTL of 0", hops=0, peers=peers)

    def test_peers(self) -> None:
        """They are others."""
        self.assertGood(peers=(ip_address("10.99.0.2"),))
        self.assertProblem("own address", peers=(ip_address("10.99.0.1"),))

    def test_twice(self) -> None:
        """A VRID is one router of a link; on another link it may be another."""
        one, two = rules(name="lan"), rules(name="wan")
        (found,) = problems([one, two])
        self.assertIn("lan, wan: the vrid 51", found)
        self.assertEqual(list(problems([one, two._replace(link="eth1")])), [])
        self.assertEqual(list(problems([one, two._replace(vrid=52)])), [])

    def test_all(self) -> None:
        """All problems are told at once."""
        self.assertEqual(len(list(problems([rules(vrid=0, priority=0, interval=0.0)]))), 3)
