"""Asking the LAN: the double in memory keeps the contract, and the filters say what they should."""

from __future__ import annotations

import socket
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from hatwist.linux.lan.memory import MemoryAsker, MemoryNeighbours
from hatwist.linux.lan.port import ARP_FILTER, NEIGHBOUR_FILTER, Instruction, arpFilter, attach
from hatwist.linux.netlink.messages import Address
from hatwist.protocols import frames
from tests import contracts_neighbours

MAC, OTHER = bytes.fromhex("02000000000a"), bytes.fromhex("02000000000b")


class MemoryWorld:
    """L{contracts_neighbours.World} in memory."""

    mac, otherMac = MAC, OTHER

    def __init__(self) -> None:
        self.lan = MemoryNeighbours()

    def asker(self) -> MemoryAsker:
        return self.lan.asker(MAC)

    def use(self, address: Address, *, here: bool = False) -> None:
        self.lan.use(address, MAC if here else OTHER)

    def leave(self, address: Address) -> None:
        self.lan.leave(address, OTHER)

    def announce(self, address: Address, *, here: bool = False) -> None:
        self.lan.announce(address, MAC if here else OTHER)

    async def until(self, condition: Callable[[], bool]) -> None:
        assert condition(), "it did not happen"


class MemoryContractTests(SynchronousTestCase):
    """The double keeps the contract, so that what is tested with it holds with the kernel."""

    def test_contract(self) -> None:
        """Every part of it."""
        for part in contracts_neighbours.CONTRACT:
            done = Deferred.fromCoroutine(part(MemoryWorld()))
            self.assertIsNone(self.successResultOf(done), part.__name__)

    def test_questionLost(self) -> None:
        """A test may let questions get lost, and count them."""
        lan, address = MemoryNeighbours(), IPv4Address("10.9.0.100")
        heard: list[bytes] = []
        asker = lan.asker(MAC)
        self.successResultOf(
            asker.start([address], lambda a, mac: heard.append(mac), lambda a, mac: None)
        )
        lan.use(address, OTHER)
        lan.deaf.add(address)
        asker.ask(address)
        self.assertEqual((heard, lan.asked), ([], [address]))

    def test_broken(self) -> None:
        """A test may let the start fail, as on an interface that is gone."""
        asker = MemoryNeighbours().asker(MAC)
        asker.broken = True
        self.assertRaises(OSError, asker.start, [], print, print)


class FilterTests(SynchronousTestCase):
    """The kernel's verdict on frames, as datagrams over a socket pair with the same filter."""

    def passes(self, instructions: tuple[Instruction, ...], frame: bytes) -> bool:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        with ours, theirs:
            attach(ours, instructions)
            ours.setblocking(False)
            try:
                theirs.send(frame)
                ours.recv(2048)
            except OSError:
                return False
            return True

    def test_neighbours(self) -> None:
        """Of IPv6 only neighbour solicitations and advertisements pass."""
        address = IPv6Address("fe80::100")
        advertisement = frames.unsolicitedAdvertisement(MAC, address)
        for frame in (
            advertisement,
            frames.neighbourSolicitation(MAC, address),
            frames.neighbourSolicitation(MAC, address, address),
        ):
            self.assertTrue(self.passes(NEIGHBOUR_FILTER, frame))
        for place, value in ((20, 17), (54, 134), (54, 137), (54, 128)):
            other = bytearray(advertisement)
            other[place] = value
            self.assertFalse(self.passes(NEIGHBOUR_FILTER, bytes(other)), (place, value))
        self.assertFalse(self.passes(NEIGHBOUR_FILTER, advertisement[:50]))

    def test_arp(self) -> None:
        """Every ARP frame for this host passes."""
        for frame in frames.announcements(MAC, IPv4Address("10.9.0.100")):
            self.assertTrue(self.passes(ARP_FILTER, frame))

    def test_senders(self) -> None:
        """Of ARP only what comes from one of the addresses passes, of however many; what is cut does not."""
        first = IPv4Address("10.9.0.0")
        for count in (1, 2, 500, 501):
            program = arpFilter([first + number for number in range(count)])
            for number, expected in ((0, True), (count - 1, True), (count, count > 500)):
                for frame in frames.announcements(MAC, first + number):
                    self.assertEqual(self.passes(program, frame), expected, (count, number))
        (frame, _) = frames.announcements(MAC, first)
        self.assertFalse(self.passes(arpFilter([first]), frame[:30]))
        self.assertFalse(self.passes(arpFilter([]), frame))
