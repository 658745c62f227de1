"""The witness: by which way it is asked, and what an answer proves."""

from __future__ import annotations

import errno
import struct
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any

from twisted.internet import reactor
from twisted.internet.task import Clock
from twisted.trial.unittest import SkipTest, SynchronousTestCase

from hatwist.linux.lan.echo import Echo
from hatwist.linux.lan.witness import Neighbour, Witness
from hatwist.linux.netlink.memory import MemoryKernel
from hatwist.linux.netlink.messages import IFA_PROTO_HATWIST, IFF_UP, Address, KernelAddress
from hatwist.protocols import frames

MAC, GATEWAY_MAC = bytes.fromhex("02000000000a"), bytes.fromhex("02000000000b")
GATEWAY, OWN = IPv4Address("10.9.0.254"), IPv4Address("10.9.0.1")
GATEWAY6, OWN6 = IPv6Address("fd09::fe"), IPv6Address("fd09::1")
FAR = IPv4Address("192.0.2.1")


class Port:
    """In place of a packet socket."""

    def __init__(self, received: Callable[[bytes], None]) -> None:
        self.receive = received
        self.sent: list[bytes] = []
        self.isOpen = False
        self.missing = False
        self.mac = b""

    def open(self) -> None:
        if self.missing:
            raise OSError(errno.ENODEV, "No such device")
        self.isOpen, self.mac = True, MAC

    def send(self, frame: bytes) -> bool:
        self.sent.append(frame)
        return True

    def close(self) -> None:
        self.isOpen = False


class NeighbourTests(SynchronousTestCase):
    """Asking on the LAN."""

    def setUp(self) -> None:
        self.numbers: list[int] = []

    def make(self, address: Address = GATEWAY, source: Address | None = OWN) -> Neighbour:
        def makePort(_reactor: Any, _interface: str, _kind: int, _only: Any, received: Any) -> Any:
            self.port = Port(received)
            return self.port

        return Neighbour(None, "eth0", address, source, self.numbers.append, makePort)

    def answer(self, mac: bytes = GATEWAY_MAC, address: IPv4Address = GATEWAY) -> None:
        self.port.receive(MAC + frames.gratuitousReply(mac, address)[6:])

    def test_first(self) -> None:
        """The first question goes to everybody, from our own address; later ones to the one that answered."""
        asker = self.make()
        asker.send(1)
        self.answer()
        asker.send(2)
        self.assertEqual(
            self.port.sent,
            [
                frames.arpQuestion(MAC, GATEWAY, OWN),
                frames.arpQuestion(MAC, GATEWAY, OWN, GATEWAY_MAC),
            ],
        )
        self.assertEqual(self.numbers, [1])

    def test_anotherMac(self) -> None:
        """One that does not answer any more is looked for everywhere again: it may have been replaced."""
        asker = self.make()
        asker.send(1)
        self.answer()
        asker.send(2)
        asker.send(3)
        self.assertEqual(self.port.sent[2], frames.arpQuestion(MAC, GATEWAY, OWN))

    def test_oldest(self) -> None:
        """An answer is taken for that to the oldest question it may belong to, and one round is left out."""
        asker = self.make()
        asker.send(1)
        asker.send(2)
        self.answer()
        self.answer()
        self.assertEqual(self.numbers, [1])
        asker.send(3)
        self.assertEqual(len(self.port.sent), 2)
        self.answer()
        self.assertEqual(self.numbers, [1])
        asker.send(4)
        self.answer()
        self.assertEqual(self.numbers, [1, 4])

    def test_lost(self) -> None:
        """Questions that were not answered for two rounds are not answered by what comes later."""
        asker = self.make()
        for number in range(1, 6):
            asker.send(number)
        self.answer()
        self.assertEqual(self.numbers, [3])

    def test_noAnswer(self) -> None:
        """What was not asked for, is of another address, of our own MAC, or said to all, is none."""
        asker = self.make()
        self.port.open()
        self.answer()
        asker.send(1)
        self.answer(address=OWN)
        self.answer(mac=MAC)
        self.port.receive(frames.gratuitousReply(GATEWAY_MAC, GATEWAY))
        self.port.receive(frames.gratuitousRequest(GATEWAY_MAC, GATEWAY))
        self.port.receive(b"nonsense")
        self.assertEqual(self.numbers, [])

    def test_ipv6(self) -> None:
        """By IPv6 a solicited advertisement is the answer; without an own address any is."""
        advertisement = frames.unsolicitedAdvertisement(GATEWAY_MAC, GATEWAY6)
        solicited = bytearray(advertisement)
        solicited[58] |= 0x40
        total = int.from_bytes(solicited[56:58], "big") - 0x4000
        solicited[56:58] = (total % 0xFFFF).to_bytes(2, "big")
        asker = self.make(GATEWAY6, OWN6)
        asker.send(1)
        self.assertEqual(self.port.sent, [frames.neighbourSolicitation(MAC, GATEWAY6, OWN6)])
        self.port.receive(advertisement)
        self.assertEqual(self.numbers, [])
        self.port.receive(bytes(solicited))
        self.assertEqual(self.numbers, [1])
        asker = self.make(GATEWAY6, None)
        asker.send(2)
        self.assertEqual(self.port.sent, [frames.neighbourSolicitation(MAC, GATEWAY6)])
        self.port.receive(advertisement)
        self.assertEqual(self.numbers, [1, 2])

    def test_missing(self) -> None:
        """Without the interface nothing is asked, and nothing raised; it is tried again."""
        asker = self.make()
        self.port.missing = True
        self.assertFalse(asker.send(1))
        self.port.missing = False
        self.assertTrue(asker.send(2))
        self.assertEqual(len(self.port.sent), 1)


class Way:
    """In place of either way of asking."""

    def __init__(self, arguments: tuple[Any, ...]) -> None:
        self.arguments = arguments[1:-1]
        self.answer: Callable[[int], None] = arguments[-1]
        self.asked: list[int] = []
        self.works = True
        self.closed = False

    def send(self, sequence: int) -> bool:
        self.asked.append(sequence)
        return self.works

    def close(self) -> None:
        self.closed = True


class WitnessTests(SynchronousTestCase):
    """Rounds, times and ways."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.kernel = MemoryKernel()
        self.eth0 = self.kernel.addLink("eth0", MAC)
        self.ways: list[Way] = []
        self.times: list[float] = []

    def own(self, text: str, **more: Any) -> None:
        address, _, prefix = text.partition("/")
        self.kernel.addAddress(KernelAddress(ip_address(address), int(prefix), self.eth0, **more))

    def start(self, address: Address = GATEWAY, interface: str | None = "eth0") -> Witness:
        def make(*arguments: Any) -> Way:
            self.ways.append(Way(arguments))
            return self.ways[-1]

        witness = Witness(
            self.clock, self.kernel, address, interface, 0.1, self.times.append, make, make
        )
        witness.start()
        self.addCleanup(witness.stop)
        return witness

    def test_rounds(self) -> None:
        """It is asked four times in an interval, and an answer proves the time of its question."""
        self.own("10.9.0.1/24")
        witness = self.start()
        self.clock.pump([0.025] * 4)
        (way,) = self.ways
        self.assertEqual(way.asked, [1, 2, 3, 4])
        way.answer(2)
        self.assertEqual((self.times, witness.latest), ([0.05], 0.05))

    def test_stale(self) -> None:
        """An answer that comes twice, late, or to nothing that was asked, proves nothing more."""
        self.own("10.9.0.1/24")
        self.start()
        self.clock.pump([0.025] * 4)
        for number in (3, 3, 2, 99, 0):
            self.ways[0].answer(number)
        self.assertEqual(len(self.times), 1)

    def test_unsent(self) -> None:
        """A question that could not be sent cannot be answered."""
        self.own("10.9.0.1/24")
        self.start()
        self.ways[0].works = False
        self.clock.pump([0.025])
        self.ways[0].answer(1)
        self.assertEqual(self.times, [])

    def test_ways(self) -> None:
        """In a subnet of ours it is asked by ARP or NDP, from our own address; else by ICMP."""
        self.own("10.9.0.100/24", proto=IFA_PROTO_HATWIST)
        self.own("10.9.0.1/24")
        self.own("fd09::1/64")
        for address, way, arguments in (
            (GATEWAY, "arp", ("eth0", GATEWAY, OWN)),
            (GATEWAY6, "ndp", ("eth0", GATEWAY6, OWN6)),
            (FAR, "icmp", (FAR, "eth0")),
        ):
            self.assertEqual(self.start(address).way, way)
            self.assertEqual(self.ways[-1].arguments, arguments)

    def test_onlyShared(self) -> None:
        """Where all addresses there are shared ones, it is asked from none."""
        self.own("10.9.0.100/24", proto=IFA_PROTO_HATWIST)
        self.start()
        self.assertEqual(self.ways[-1].arguments, ("eth0", GATEWAY, None))

    def test_otherInterface(self) -> None:
        """With an interface named, another one's subnet does not count."""
        self.own("10.9.0.1/24")
        self.assertEqual(self.start(interface="eth1").way, "icmp")
        self.assertEqual(self.start(interface=None).way, "arp")

    def test_change(self) -> None:
        """When the interface or its addresses change the way does, and old answers are void."""
        self.own("10.9.0.1/24")
        witness = self.start()
        self.clock.pump([0.025])
        self.kernel.changeLink(self.eth0, promotes=True)
        self.assertEqual(len(self.ways), 1)
        self.kernel.changeLink(self.eth0, flags=0)
        self.assertEqual((witness.way, len(self.ways)), ("icmp", 2))
        self.assertTrue(self.ways[0].closed)
        self.ways[0].answer(1)
        self.assertEqual(self.times, [])
        self.kernel.changeLink(self.eth0, flags=IFF_UP)
        self.assertEqual((witness.way, len(self.ways)), ("arp", 3))

    def test_stopped(self) -> None:
        """After a stop nothing is asked and nothing told."""
        self.own("10.9.0.1/24")
        witness = self.start()
        self.clock.pump([0.025])
        witness.stop()
        self.clock.pump([0.025] * 4)
        self.ways[0].answer(1)
        self.assertEqual((self.ways[0].asked, self.times), ([1], []))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_unreadable(self) -> None:
        """While interfaces cannot be read nothing is asked; the next event looks again."""
        self.own("10.9.0.1/24")
        self.kernel.broken = OSError("broken")
        witness = self.start()
        self.clock.pump([0.025])
        self.assertEqual((witness.way, self.ways), ("", []))
        self.kernel.broken = None
        self.kernel.changeLink(self.eth0, promotes=True)
        self.assertEqual(witness.way, "arp")


class EchoTests(SynchronousTestCase):
    """Echo requests to the loopback interface, which are answered before send returns."""

    def make(self, address: str) -> tuple[Echo, list[int]]:
        numbers: list[int] = []
        echo = Echo(reactor, ip_address(address), None, numbers.append)
        try:
            echo.open()
        except PermissionError:
            raise SkipTest("ICMP sockets are for root, or net.ipv4.ping_group_range") from None
        self.addCleanup(echo.close)
        return echo, numbers

    def test_answers(self) -> None:
        """Every request is answered with its own number, beyond 16 bits too."""
        for address in ("127.0.0.1", "::1"):
            echo, numbers = self.make(address)
            for number in (1, 2, 70_000):
                self.assertTrue(echo.send(number))
            echo.doRead()
            self.assertEqual(numbers, [1, 2, 70_000])

    def test_forged(self) -> None:
        """A reply without the token, of another kind, or with numbers that disagree, is none."""
        echo, _ = self.make("127.0.0.1")
        echo._raw = False
        good = struct.pack("!BBHHH", 0, 0, 0, 7, 5) + echo._token + struct.pack("!Q", 5)
        self.assertEqual(echo._sequence(good), 5)
        for place in (0, 1, 7, 10, 31):
            bad = bytearray(good)
            bad[place] ^= 1
            self.assertIsNone(echo._sequence(bytes(bad)), place)
        for length in range(len(good)):
            self.assertIsNone(echo._sequence(good[:length]))

    def test_raw(self) -> None:
        """Of a raw socket the IP header is skipped, and the identifier must be ours too."""
        echo, _ = self.make("127.0.0.1")
        echo._raw = True
        body = echo._token + struct.pack("!Q", 5)
        header = b"\x45" + bytes(19)
        good = header + struct.pack("!BBHHH", 0, 0, 0, echo._identifier, 5) + body
        self.assertEqual(echo._sequence(good), 5)
        other = header + struct.pack("!BBHHH", 0, 0, 0, echo._identifier ^ 1, 5) + body
        self.assertIsNone(echo._sequence(other))
        self.assertIsNone(echo._sequence(b""))

    def test_unreachable(self) -> None:
        """What cannot be sent is counted and not raised, and tried anew the next time."""
        echo = Echo(reactor, ip_address("10.9.9.9"), "no-such-0", print)
        self.assertFalse(echo.send(1))
        self.assertFalse(echo.send(2))
        self.assertEqual(echo.errors, 2)
