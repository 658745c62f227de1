"""Tests for L{hatwist.service.rawlinks}, on raw sockets and a kernel in memory."""

from __future__ import annotations

import errno
from dataclasses import replace
from ipaddress import ip_address
from types import SimpleNamespace
from typing import Any

from twisted.internet.task import Clock
from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from hatwist.core.errors import BadPacket
from hatwist.core.packet import Packet
from hatwist.core.reports import Judged, Report
from hatwist.core.worth import Fitness
from hatwist.linux.lan.memory_raw import MemoryRawLan
from hatwist.linux.netlink.memory import MemoryKernel
from hatwist.linux.netlink.messages import KernelAddress
from hatwist.resources.addresses.spec import AddressSpec
from hatwist.runtime.link import Link
from hatwist.runtime.speaker import Speaker
from hatwist.service.rawlinks import AGAIN, RawLinks
from hatwist.settings import GroupSettings
from hatwist.settings.protocols import RawLink
from hatwist.settings.values import CarpSettings, VrrpSettings

OWN, SHARED = ip_address("10.9.0.1"), ip_address("10.9.0.100")
LINK = RawLink("eth0", 4)
LAN = GroupSettings("lan", (AddressSpec.parse(f"{SHARED}/24@eth0"),), vrrp=VrrpSettings(51))
OLD = GroupSettings("old", (AddressSpec.parse("10.9.0.101/24@eth0"),), carp=CarpSettings(7, b"p"))
SIX = GroupSettings("six", (AddressSpec.parse("fe80::100/64@eth0"),), vrrp=VrrpSettings(51))


class ReaderClock(Clock):
    def addReader(self, reader: Any) -> None: ...

    def removeReader(self, reader: Any) -> None: ...


class FakeNode:
    """A node with two machines that share the links."""

    def __init__(self, links: list[Link]) -> None:
        self.told: list[Report] = []
        self.machines = [SimpleNamespace(name="vrrp"), SimpleNamespace(name="carp")]
        machines: list[Any] = list(self.machines)
        speakers = [Speaker(machine, links) for machine in machines]
        native: Any = SimpleNamespace(name="native")
        self.driver = SimpleNamespace(
            speakers=[Speaker(native, []), *speakers], connect=self.connect
        )
        self.received: list[tuple[str, bytes]] = []

    def connect(self, machine: Any, link: Link) -> None:
        def receive(packet: Packet) -> None:
            if machine.name == "vrrp" and packet.data == b"carp":
                raise BadPacket("carp")
            self.received.append((machine.name, packet.data))

        link.open(receive)

    def tell(self, *reports: Report) -> None:
        self.told += reports


class RawLinksTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = ReaderClock()
        self.lan = MemoryRawLan()
        self.host = self.lan.host(OWN)
        self.kernel = MemoryKernel()
        self.eth0 = self.kernel.addLink("eth0", b"\x02\x00\x00\x00\x00\x01")
        self.moves = 0
        self.raw = RawLinks(self.clock, self.kernel, self.host, self.moved)
        self.addCleanup(self.closed)

    def moved(self) -> None:
        self.moves += 1

    def closed(self) -> None:
        for link in self.raw.links:
            link.close()

    def started(self, *groups: GroupSettings) -> FakeNode:
        self.raw.want(groups)
        node = FakeNode(self.raw.links)
        for link in self.raw.links:
            for machine in node.machines:
                node.connect(machine, link)
        self.raw.start(node)  # type: ignore[arg-type]
        return node

    def says(self) -> None:
        self.raw.links[0].send(b"hello", OWN)

    def judged(self, node: FakeNode) -> list[tuple[str, Fitness]]:
        """What was told since the last time."""
        told, node.told = node.told, []
        for report in told:
            assert isinstance(report, Judged)
            self.assertEqual(report.source, "eth0,raw")
        return [(report.group, report.fitness) for report in told if isinstance(report, Judged)]

    def test_shared(self) -> None:
        """All groups of one interface and family share a link, whatever they speak."""
        node = self.started(LAN, OLD, SIX)
        self.assertEqual([link.name for link in self.raw.links], ["eth0,raw", "eth0,raw6"])
        peer = self.lan.host(ip_address("10.9.0.2"))
        sock = peer.open("eth0", 4)
        for data in (b"vrrp", b"carp"):
            peer.send(sock, 2, data, ip_address("10.9.0.2"), ip_address("224.0.0.18"))
        sock.close()
        self.raw.links[0].drain()
        self.assertEqual(node.received, [("vrrp", b"vrrp"), ("carp", b"carp")])

    def test_native(self) -> None:
        """Groups of hatwist's own protocol have none."""
        self.raw.want([GroupSettings("web", (AddressSpec.parse("10.9.0.9/24"),))])
        self.assertEqual(self.raw.links, [])

    def test_source(self) -> None:
        """It is sent by the host's own address, and by none that is shared."""
        self.host.addresses |= {SHARED, ip_address("10.9.0.50")}
        self.raw.want([LAN])
        self.assertEqual(self.raw.source(LINK, True), OWN)
        self.assertIsNone(self.raw.source(RawLink("eth0", 6), True))
        self.assertIsNone(self.raw.source(RawLink("eth1", 4), True))

    def test_moved(self) -> None:
        """Another own address is noticed; that a shared one came is no matter."""
        self.started(LAN)
        self.assertEqual(self.moves, 0)
        self.kernel.addAddress(KernelAddress(SHARED, 24, self.eth0))
        self.assertEqual(self.moves, 0)
        self.host.addresses = {ip_address("10.9.0.7")}
        self.kernel.addAddress(KernelAddress(ip_address("10.9.0.7"), 24, self.eth0))
        self.assertEqual((self.moves, self.raw.source(LINK, True)), (1, ip_address("10.9.0.7")))

    def test_gone(self) -> None:
        """So is that there is none any more."""
        self.kernel.addAddress(KernelAddress(OWN, 24, self.eth0))
        self.started(LAN)
        self.host.addresses.clear()
        self.kernel.deleteAddress(OWN)
        self.assertEqual((self.moves, self.raw.source(LINK, True)), (1, None))

    def test_failing(self) -> None:
        """Where nothing can be sent no group of the link may be held; where it can be again, each may."""
        node = self.started(LAN, OLD)
        self.host.down.add("eth0")
        self.says()
        self.assertEqual(self.judged(node), [("lan", Fitness.UNFIT), ("old", Fitness.UNFIT)])
        self.says()
        self.assertEqual(self.judged(node), [])
        self.host.down.clear()
        self.says()
        self.assertEqual(self.judged(node), [("lan", Fitness.FIT), ("old", Fitness.FIT)])

    def test_otherFamily(self) -> None:
        """Groups of another link are not concerned."""
        node = self.started(LAN, SIX)
        self.host.down.add("eth0")
        self.says()
        self.assertEqual(self.judged(node), [("lan", Fitness.UNFIT)])

    def test_unreachable(self) -> None:
        """By unicast one peer to whom there is no way is no reason to let go of what others can be told."""
        alone = replace(LAN, vrrp=VrrpSettings(51, peers=(ip_address("10.8.0.2"),)))
        node = self.started(alone, OLD)
        self.host.down.add("eth0")
        self.says()
        self.assertEqual(self.judged(node), [("old", Fitness.UNFIT)])

    def test_onePeer(self) -> None:
        """That one cannot be reached is told once, and not anew with each packet that reaches another one."""
        self.started(LAN)
        (link,), real = self.raw.links, self.host.send
        near, far = ip_address("10.9.0.2"), ip_address("10.8.0.2")
        ways = {near}

        def send(sock: Any, index: int, data: bytes, source: Any, destination: Any) -> None:
            if destination not in ways:
                raise OSError(errno.ENETUNREACH, "Network is unreachable")
            real(sock, index, data, source, destination)

        self.patch(self.host, "send", send)
        with capturedLogs() as logs:
            for _ in range(5):
                link.send(b"hello", OWN, far)
                link.send(b"hello", OWN, near)
                self.assertEqual(link.failing, "ENETUNREACH")
            ways.add(far)
            link.send(b"hello", OWN, far)
        self.assertEqual((link.failing, link.beats, link.unsent), ("", 6, {"ENETUNREACH": 5}))
        self.assertEqual(len(logs), 2)

    def test_transient(self) -> None:
        """One packet for which there was no room is no reason to let go."""
        node = self.started(LAN)

        def full(*args: Any) -> None:
            raise OSError(errno.ENOBUFS, "No buffer space available")

        self.patch(self.host, "send", full)
        self.says()
        self.assertEqual(self.judged(node), [])
        self.assertEqual(self.raw.links[0].failing, "ENOBUFS")

    def test_again(self) -> None:
        """Who is unfit says nothing, and so would never find out: it is tried again after a while."""
        node = self.started(LAN)
        self.host.down.add("eth0")
        self.says()
        self.judged(node)
        self.host.down.clear()
        self.clock.advance(AGAIN - 0.1)
        self.assertEqual(self.judged(node), [])
        self.clock.advance(0.2)
        self.assertEqual(self.judged(node), [("lan", Fitness.FIT)])

    def test_linkEvent(self) -> None:
        """A change of the interface is reason enough to try at once."""
        node = self.started(LAN)
        self.host.down.add("eth0")
        self.says()
        self.judged(node)
        self.host.down.clear()
        self.kernel.changeLink(self.eth0, flags=0)
        self.assertEqual(self.judged(node), [("lan", Fitness.FIT)])
        self.assertFalse([call for call in self.clock.getDelayedCalls() if call.active()])

    def test_replaced(self) -> None:
        """Who only listens hears on, where its interface is replaced by another of the same name."""
        self.started(LAN)
        link = self.raw.links[0]
        before = link.fileno()
        self.kernel.changeLink(self.eth0, flags=0)
        self.assertEqual(link.fileno(), before)  # it is the same
        self.host.interfaces["eth0"] = 9
        self.kernel.removeLink(self.eth0)
        self.kernel.addLink("eth0", b"\x02\x00\x00\x00\x00\x02")
        self.assertGreaterEqual(link.fileno(), 0)
        self.says()
        self.assertEqual((link.unsent, link.beats), ({}, 1))

    def test_missing(self) -> None:
        """While there is none of that name there is no socket; when there is, there is one."""
        self.started(LAN)
        link = self.raw.links[0]
        del self.host.interfaces["eth0"]
        self.kernel.removeLink(self.eth0)
        self.assertEqual((link.fileno(), link.failing), (-1, "ENODEV"))
        self.host.interfaces["eth0"] = 9
        self.kernel.addLink("eth0", b"\x02\x00\x00\x00\x00\x02")
        self.assertGreaterEqual(link.fileno(), 0)
        self.assertEqual(link.failing, "")

    def test_comes(self) -> None:
        """A group that comes while it runs has its link opened for both protocols."""
        node = self.started(LAN)
        self.raw.want([LAN, SIX])
        self.assertEqual([link.name for link in self.raw.links], ["eth0,raw", "eth0,raw6"])
        self.assertGreaterEqual(self.raw.links[1].fileno(), 0)
        self.assertEqual(node.told, [])

    def test_cannotCome(self) -> None:
        """Where that cannot be opened everything is as it was."""
        self.started(LAN)
        self.host.permitted = False
        self.assertRaises(PermissionError, self.raw.want, [LAN, SIX])
        self.assertEqual([link.name for link in self.raw.links], ["eth0,raw"])

    def test_keep(self) -> None:
        """A link goes with the last group that speaks by it."""
        self.started(LAN, OLD, SIX)
        four, six = self.raw.links
        self.raw.keep({"old"})
        self.assertEqual((self.raw.links, six.fileno()), ([four], -1))
        self.assertGreaterEqual(four.fileno(), 0)

    def test_stop(self) -> None:
        """After its end it tells nothing, and has no timer."""
        node = self.started(LAN)
        self.host.down.add("eth0")
        self.says()
        self.raw.stop()
        node.told.clear()
        self.host.down.clear()
        self.kernel.changeLink(self.eth0, flags=0)
        self.clock.advance(2 * AGAIN)
        self.assertEqual((node.told, self.clock.getDelayedCalls()), ([], []))
