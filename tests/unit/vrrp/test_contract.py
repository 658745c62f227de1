"""VRRP is a protocol that a driver can run; each report has somebody."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import get_args

from twisted.trial.unittest import SynchronousTestCase

from hatwist.core.machine import Machine
from hatwist.core.packet import Outgoing, Packet
from hatwist.core.reports import Report
from hatwist.protocols.vrrp.machine import IGNORED, OF_GROUP, OF_NODE, VrrpMachine
from hatwist.protocols.vrrp.packet import HOPS
from hatwist.protocols.vrrp.rules import RouterRules, VrrpRules
from tests.contracts_machine import GROUP, START, MachineContract


class Version3Contract(MachineContract, SynchronousTestCase):
    """Version 3 by IPv4 multicast, at 0.1 s."""

    link = "eth0"
    version = 3
    interval = 0.1
    addresses: tuple[IPv4Address | IPv6Address, ...] = (IPv4Address("10.99.0.100"),)
    network = "10.99.0."

    def source(self, name: str) -> IPv4Address | IPv6Address:
        """A node's own address."""
        return ip_address(f"{self.network}{ord(name)}")

    def known(self, name: str) -> str:
        return str(self.source(name))

    def arriving(self, packet: Outgoing, source: Machine, target: Machine) -> Packet:
        return Packet(packet.data, self.link, packet.source, HOPS, packet.destination)

    def rules(self, name: str, priority: int) -> RouterRules:
        """Those of one node."""
        return RouterRules(
            GROUP,
            self.link,
            51,
            self.addresses,
            self.source(name),
            priority,
            version=self.version,
            interval=self.interval,
        )

    def make(self, name: str = "a", priority: int = 100, now: float = START) -> Machine:
        return VrrpMachine(VrrpRules("c", name, (self.rules(name, priority),)), now)


class Version6Contract(Version3Contract):
    """Version 3 by IPv6 multicast."""

    addresses = (IPv6Address("fe80::100"), IPv6Address("2001:db8::100"))
    network = "fe80::"


class UnicastContract(Version3Contract):
    """Version 3 by IPv4 unicast."""

    def rules(self, name: str, priority: int) -> RouterRules:
        peers = tuple(self.source(peer) for peer in "ab" if peer != name)
        return super().rules(name, priority)._replace(peers=peers)


class TotalTests(SynchronousTestCase):
    """No report is forgotten."""

    def test_reports(self) -> None:
        """Each report has its handler, or is ignored by name."""
        kinds = [*OF_GROUP, *OF_NODE, *IGNORED]
        self.assertEqual(sorted(kinds, key=str), sorted(get_args(Report), key=str))
