"""Raw links on sockets in memory: the contract, and what only they can be asked."""

from __future__ import annotations

import errno
from collections.abc import Callable
from contextlib import nullcontext
from ipaddress import IPv4Address, IPv6Address
from unittest import mock

from twisted.internet import reactor
from twisted.internet.defer import Deferred, succeed
from twisted.trial.unittest import TestCase

from hatwist.linux.lan.memory_raw import ROOM, MemoryRawLan, MemoryRawSockets
from hatwist.linux.lan.raw import RawPacket
from hatwist.linux.netlink.messages import Address
from hatwist.runtime.link import Link
from hatwist.runtime.ways import Raw
from tests.contracts_raw import RAW_CONTRACT, RawEnd, RawWorld

OWN: dict[int, tuple[Address, Address]] = {
    4: (IPv4Address("10.9.0.1"), IPv4Address("10.9.0.2")),
    6: (IPv6Address("fe80::1"), IPv6Address("fe80::2")),
}


class MemoryRawWorld:
    """Two hosts, whose links are read when somebody waits."""

    def __init__(self, version: int) -> None:
        self.version = version
        self.lan = MemoryRawLan()
        hosts = [self.lan.host(address) for address in OWN[version]]
        self.host = hosts[0]
        made = mock.Mock(seconds=reactor.seconds)
        self.near, self.far = (
            RawEnd(made, "eth0", address, host, nullcontext)
            for address, host in zip(OWN[version], hosts, strict=True)
        )

    def add(self, address: Address) -> None:
        self.host.addresses.add(address)

    def remove(self, address: Address) -> None:
        self.host.addresses.discard(address)

    def down(self) -> None:
        self.host.down.add("eth0")

    def up(self) -> None:
        self.host.down.clear()

    def pass_(self, data: bytes, hops: int) -> None:
        self.lan.hops = hops
        self.near.send(data)

    def until(self, condition: Callable[[], object]) -> Deferred[None]:
        met = condition()
        for end in (self.near, self.far):
            end.link.drain()
        assert met or condition(), "it did not happen"
        return succeed(None)


class ContractTests(TestCase):
    """By both versions of IP."""

    async def test_contract(self) -> None:
        """The double keeps to what the kernel's sockets keep to."""
        for version in (4, 6):
            for promise in RAW_CONTRACT:
                world: RawWorld = MemoryRawWorld(version)
                await promise(world)
                world.near.link.close()
                world.far.link.close()


class MemoryRawTests(TestCase):
    """What a test can arrange."""

    def setUp(self) -> None:
        self.lan = MemoryRawLan()
        self.host: MemoryRawSockets = self.lan.host(OWN[4][0])
        self.other = self.lan.host(OWN[4][1])
        self.link = Link(reactor, Raw("eth0", 4, self.host))

    def test_reactor(self) -> None:
        """The reactor finds it readable, and reads."""
        done: Deferred[object] = Deferred()
        self.addCleanup(self.link.close)
        self.link.open(done.callback)
        self.other.send(self.other.open("eth0", 4), 2, b"x", OWN[4][1], IPv4Address("224.0.0.18"))
        return done  # type: ignore[return-value]

    def test_missing(self) -> None:
        """No such interface, and no permission, are OSErrors when it is opened."""
        self.host.permitted = False
        self.assertRaises(PermissionError, self.link.open, lambda packet: None)
        self.host.interfaces.clear()
        with self.assertRaises(OSError) as caught:
            self.link.open(lambda packet: None)
        self.assertEqual(caught.exception.errno, errno.ENODEV)

    def test_replaced(self) -> None:
        """An interface that is replaced by one of its name is joined again by the packet after the next."""
        self.link.open(lambda packet: None)
        self.addCleanup(self.link.close)
        self.host.interfaces["eth0"] = 3
        for _ in range(3):
            self.link.send(b"x", OWN[4][0])
        self.assertEqual(self.link.unsent, {"ENODEV": 1})
        self.assertEqual(self.link.beats, 2)

    def test_full(self) -> None:
        """What has no room at a socket is lost, and nothing else."""
        sock = self.host.open("eth0", 4)
        self.addCleanup(sock.close)
        for number in range(ROOM + 5):
            self.host.arrive(RawPacket(b"%d" % number, OWN[4][1], 255, OWN[4][0]))
        self.assertEqual(len(sock.waiting), ROOM)

    def test_notForThisHost(self) -> None:
        """What is for another host, or the other family, does not arrive."""
        sock = self.host.open("eth0", 4)
        self.addCleanup(sock.close)
        for to in (OWN[4][1], OWN[6][0], IPv4Address("224.0.0.1"), IPv6Address("ff02::12")):
            self.host.arrive(RawPacket(b"x", OWN[4][1], 255, to))
        self.assertFalse(sock.waiting)
