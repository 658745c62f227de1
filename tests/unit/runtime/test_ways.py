"""The ways between nodes: to whom, and from whom."""

from __future__ import annotations

import socket
from ipaddress import IPv4Address

from twisted.trial.unittest import SynchronousTestCase

from hatwist.core.linkspec import LinkSpec, MulticastGroup
from hatwist.linux.lan import udp
from hatwist.runtime.ways import UdpWay, waysOf

GROUP = MulticastGroup(IPv4Address("239.2.3.4"), 5555)


def ways(text: str) -> list[UdpWay]:
    return [way for way in waysOf([LinkSpec.parse(text)], GROUP) if isinstance(way, UdpWay)]


class WayTests(SynchronousTestCase):
    """What each link of a configuration becomes."""

    CASES = (
        # what is configured; for each way its name, its family, and to where it sends by interface 7
        ("lo", [("lo", 4, [("239.2.3.4", 5555)])]),
        ("lo,multicast6", [("lo,multicast6", 6, [("ff02::ef02:304", 5555, 0, 7)])]),
        ("lo,broadcast", [("lo,broadcast", 4, [("255.255.255.255", 5555)])]),
        (
            "lo,unicast=10.0.0.2,10.0.0.3:7777",
            [("lo,unicast", 4, [("10.0.0.2", 5555), ("10.0.0.3", 7777)])],
        ),
        (
            "lo,unicast=fe80::2,[fd00::2]:7777,10.0.0.2",
            [
                ("lo,unicast", 4, [("10.0.0.2", 5555)]),
                ("lo,unicast6", 6, [("fe80::2", 5555, 0, 7), ("fd00::2", 7777, 0, 0)]),
            ],
        ),
    )

    def test_targets(self) -> None:
        """Each goes to its group, everybody or its peers, a link-local one by the interface."""
        for text, expected in self.CASES:
            found = [
                (way.name, {socket.AF_INET: 4, socket.AF_INET6: 6}[way.family], [*way.targets(7)])
                for way in ways(text)
            ]
            self.assertEqual(found, expected)

    def test_admits(self) -> None:
        """Only where peers are named it matters who sent it; a scope is no part of the address."""
        (named,) = ways("lo,unicast=fe80::2")
        for addr, expected in (
            (("fe80::2", 5555, 0, 7), True),
            (("fe80::2%lo", 9, 0, 7), True),
            (("fe80::3%lo", 5555, 0, 7), False),
        ):
            self.assertIs(named.admits(addr), expected, addr)
        (multicast,) = ways("lo")
        self.assertTrue(multicast.admits(("10.1.2.3", 5555)))

    def test_lasts(self) -> None:
        """A unicast way is opened anew once the host has another address there; others are not."""
        (named,) = ways("lo,unicast=127.0.0.9:1")
        self.assertTrue(named.lasts())
        with named.open():
            self.assertTrue(named.lasts())
            self.patch(udp, "isOwn", lambda own, family: False)
            self.assertFalse(named.lasts())
        (multicast,) = ways("lo")
        self.assertTrue(multicast.lasts())
