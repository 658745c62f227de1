"""CARP by the real driver and raw links, on sockets in memory, alone and beside hatwist's own protocol."""

from __future__ import annotations

from ipaddress import IPv4Address
from typing import Any

from twisted.internet.task import Clock

from hatwist.core.claims import Role
from hatwist.linux.guard.memory import MemoryGuard
from hatwist.linux.interfaces import Farewell
from hatwist.linux.lan.memory_raw import MemoryRawLan
from hatwist.linux.lan.raw import PROTOCOL
from hatwist.linux.netlink.memory import MemoryKernel
from hatwist.protocols.carp.machine import CarpMachine
from hatwist.protocols.carp.packet import decode
from hatwist.protocols.carp.rules import CarpRules, VhostRules
from hatwist.protocols.native.auth import Keyring
from hatwist.protocols.native.machine import NativeMachine
from hatwist.protocols.native.rules import GroupRules, NodeRules
from hatwist.resources.memory import MemoryResource
from hatwist.runtime.link import Link
from hatwist.runtime.node import Node
from hatwist.runtime.speaker import Speaker
from hatwist.runtime.ways import Raw
from tests.unit.runtime.test_node import I, MemoryLink, Nodes, T

SHARED = IPv4Address("10.99.0.100")


class ReadingClock(Clock):
    """A clock that reads from what is to be read, in each of its turns."""

    def __init__(self) -> None:
        super().__init__()
        self.readers: list[Any] = []

    def addReader(self, reader: Any) -> None:
        self.readers.append(reader)

    def removeReader(self, reader: Any) -> None:
        self.readers.remove(reader)

    def advance(self, amount: float) -> None:
        for reader in list(self.readers):
            reader.doRead()
        super().advance(amount)


class CarpNodeTests(Nodes):
    """Nodes with a virtual host, and with a group of hatwist's own."""

    def setUp(self) -> None:
        super().setUp()
        self.clock = ReadingClock()
        self.lan = MemoryRawLan()
        self.found: dict[str, dict[str, MemoryResource]] = {}

    def made(self, last: int, skew: int, native: int = 100) -> Node:
        """A node with this skew in CARP, and this priority in the other group, that runs."""
        name, own = f"n{last}", IPv4Address(f"10.99.0.{last}")
        link = Link(self.clock, Raw("eth0", 4, self.lan.host(own)))
        vhost = VhostRules("vip", 42, (SHARED,), b"sesame", {link.name: own}, 1, skew)
        now = self.clock.seconds()
        carp = CarpMachine(CarpRules("c", name, (vhost,)), last << 40, now)
        rules = NodeRules("c", name, I, T, (GroupRules("web", native),), last)
        machine = NativeMachine(rules, Keyring(), 1, now)
        resources = {group: MemoryResource(self.clock, group) for group in ("vip", "web")}
        self.found[name] = resources
        links: list[Any] = [MemoryLink(self.cable)]
        node = Node(
            self.clock,
            [Speaker(machine, links), Speaker(carp, [link])],
            {group: self.custody(group, resource) for group, resource in resources.items()},
            guard=self.guard,
        )
        node.start()
        self.addCleanup(node.abort)
        return node

    def holders(self, group: str) -> list[str]:
        return [name for name, resources in self.found.items() if resources[group].held]

    def test_elects(self) -> None:
        """Each group is held by the node that its own protocol elects."""
        one, two = self.made(1, skew=0, native=50), self.made(2, skew=100, native=200)
        self.pass_(3.1)
        self.assertEqual((self.holders("vip"), self.holders("web")), (["n1"], ["n2"]))
        self.assertEqual(one.roles, {"vip": Role.ACTIVE, "web": Role.STANDBY})
        self.assertEqual(two.roles, {"vip": Role.STANDBY, "web": Role.ACTIVE})
        self.pass_(5.0)
        sent = [decode(packet.data) for packet in self.lan.sent]
        self.assertEqual([packet.advskew for packet in sent], [0] * 6)

    def test_power(self) -> None:
        """When a node falls silent the other one takes over by CARP's bound."""
        one, _ = self.made(1, skew=0), self.made(2, skew=100)
        self.pass_(3.5)
        one.abort()
        self.found["n1"]["vip"].held = False
        self.pass_(3 - 0.5 + 100 / 256 - 0.01)
        self.assertEqual(self.holders("vip"), [])
        self.pass_(0.02)
        self.assertEqual(self.holders("vip"), ["n2"])

    def test_stops(self) -> None:
        """A stop lets go, and says goodbye by both protocols: the other one holds at once."""
        one, _ = self.made(1, skew=0), self.made(2, skew=100)
        self.pass_(3.5)
        stopped = one.stop()
        self.pass_(0.02)
        self.successResultOf(stopped)
        self.assertEqual((self.holders("vip"), self.holders("web")), (["n2"], ["n2"]))

    def test_unsent(self) -> None:
        """A node whose address is gone cannot advertise, and says so; the other one takes over."""
        one, _ = self.made(1, skew=0), self.made(2, skew=100)
        self.pass_(3.5)
        self.lan.hosts[0].addresses.clear()
        self.pass_(4.0)
        (link,) = [link for link in one.links if link.name == "eth0,raw"]
        self.assertEqual(link.failing, "EADDRNOTAVAIL")
        self.assertIn("n2", self.holders("vip"))

    def test_farewell(self) -> None:
        """The guard is armed with a goodbye of protocol 112, from the node's own address."""
        kernel = MemoryKernel()
        kernel.addLink("eth0", bytes(6))
        self.guard = MemoryGuard(self.clock, kernel)
        self.guard.start()
        one = self.made(1, skew=0)
        self.pass_(3.1)
        (found,) = one.driver.fences["vip"].order().farewells
        own, group = IPv4Address("10.99.0.1"), IPv4Address("224.0.0.18")
        self.assertEqual(found, Farewell(2, group, 0, found.datagram, own, PROTOCOL))
        said = decode(found.datagram)
        self.assertEqual((said.advbase, said.advskew), (255, 255))
