"""Tests for L{hatwist.runtime.link}: real sockets on the loopback interface, as any user."""

from __future__ import annotations

import errno
import socket
from ipaddress import IPv4Address
from typing import Any
from unittest import mock

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionLost
from twisted.logger import ILogObserver, LogEvent, LogLevel, globalLogPublisher
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase, TestCase
from zope.interface import implementer

from hatwist.core.errors import BadPacket
from hatwist.core.linkspec import MulticastGroup
from hatwist.core.packet import Packet
from hatwist.linux.lan.udp import openMulticast4
from hatwist.linux.netlink.present import interfaceAddress
from hatwist.runtime.link import Link, Receiver
from hatwist.runtime.ways import Multicast


def freePort() -> int:
    """A UDP port that nobody uses now."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


@implementer(ILogObserver)
class Logged:
    """What is logged by L{hatwist.runtime.link} while it listens: the events of warnings and of infos."""

    def __init__(self, case: SynchronousTestCase) -> None:
        self.events: list[LogEvent] = []
        globalLogPublisher.addObserver(self)
        case.addCleanup(globalLogPublisher.removeObserver, self)

    def __call__(self, event: LogEvent) -> None:
        if event.get("log_namespace") == "hatwist.runtime.link.Link":
            self.events.append(event)

    def fields(self, *names: str) -> list[tuple[Any, ...]]:
        """These fields of every event."""
        return [tuple(event.get(name) for name in names) for event in self.events]


class LoopbackTests(TestCase):
    """Two links on C{lo}, joined by the kernel."""

    def setUp(self) -> None:
        self.group = MulticastGroup(IPv4Address("239.2.3.4"), freePort())
        self.links: list[Link] = []

    def open(self, receiver: Receiver, port: int | None = None) -> Link:
        group = self.group if port is None else self.group._replace(port=port)
        link = Link(reactor, Multicast("lo", group, loop=True))
        link.open(receiver)
        self.addCleanup(link.close)
        return link

    def receiving(self) -> tuple[Link, Deferred[tuple[bytes, str]]]:
        arrived: Deferred[tuple[bytes, str]] = Deferred()

        def receive(packet: Packet) -> None:
            if not arrived.called:
                arrived.callback((packet.data, packet.link))

        return self.open(receive), arrived.addTimeout(5.0, reactor)

    async def test_received(self) -> None:
        """What one link sends reaches every other one, with the name of the link it came in by."""
        _, one = self.receiving()
        _, two = self.receiving()
        self.open(lambda packet: None).send(b"hello")
        self.assertEqual(await one, (b"hello", "lo"))
        self.assertEqual(await two, (b"hello", "lo"))

    async def test_groups(self) -> None:
        """A link hears only its own group: another one on the same port is not received."""
        _, arrived = self.receiving()
        group = self.group._replace(address=IPv4Address("239.2.3.5"))
        other = Link(reactor, Multicast("lo", group, loop=True))
        other.open(lambda packet: None)
        self.addCleanup(other.close)
        other.send(b"for others")
        self.open(lambda packet: None).send(b"for us")
        self.assertEqual(await arrived, (b"for us", "lo"))

    async def test_drain(self) -> None:
        """drain() reads what has arrived, without the reactor's help."""
        seen: list[bytes] = []
        link = self.open(lambda packet: seen.append(packet.data))
        sender = self.open(lambda packet: None)
        sender.send(b"1")
        sender.send(b"2")
        self.assertEqual(seen, [])
        link.drain()
        self.assertEqual(seen, [b"1", b"2"])

    async def test_closed(self) -> None:
        """A closed link reads nothing more, can be closed again, and the port is free for others."""
        link = self.open(lambda packet: self.fail("received"))
        link.close()
        link.close()
        link.drain()
        self.open(lambda packet: None).send(b"late")

    async def test_reopened(self) -> None:
        """Sending on a link that has lost its socket opens another, so that one interface's return is enough."""
        link, arrived = self.receiving()
        other, told = self.receiving()
        link.connectionLost(Failure(ConnectionLost()))
        link.send(b"again")
        self.assertEqual(await told, (b"again", "lo"))
        self.assertEqual(link.unsent, {})
        other.send(b"back")
        self.assertEqual(await arrived, (b"back", "lo"))

    async def test_badPackets(self) -> None:
        """Bad packets are counted by reason; the 1st, 10th and 100th of each are logged."""
        logged = Logged(self)
        done: Deferred[None] = Deferred()

        def refuse(packet: Packet) -> None:
            if packet.data == b"end":
                done.callback(None)
                return
            raise BadPacket("magic" if packet.data == b"m" else "signature", "what it was")

        link = self.open(refuse)
        sender = self.open(lambda packet: None)
        for number in range(120):
            sender.send(b"m" if number % 12 else b"s")
            link.drain()
        sender.send(b"end")
        await done.addTimeout(5.0, reactor)
        self.assertEqual(link.bad, {"magic": 110, "signature": 10})
        self.assertEqual(
            sorted(logged.fields("reason", "count", "link")),
            [
                ("magic: what it was", 1, "lo"),
                ("magic: what it was", 10, "lo"),
                ("magic: what it was", 100, "lo"),
                ("signature: what it was", 1, "lo"),
                ("signature: what it was", 10, "lo"),
            ],
        )
        self.assertEqual({event["log_level"] for event in logged.events}, {LogLevel.warn})
        self.assertTrue(all(event["source"] for event in logged.events))

    async def test_reflected(self) -> None:
        """A node's own packets, come back, are counted and are no news for the log."""
        logged = Logged(self)

        def refuse(packet: Packet) -> None:
            raise BadPacket("reflected")

        link = self.open(refuse)
        link.send(b"mine")
        link.drain()
        self.assertEqual((link.bad, logged.events), ({"reflected": 1}, []))

    async def test_repeated(self) -> None:
        """The copies of a guard's goodbye are counted and are no news for the log."""
        logged = Logged(self)

        def refuse(packet: Packet) -> None:
            raise BadPacket("repeated")

        link = self.open(refuse)
        for _ in range(2):
            link.received(Packet(b"goodbye", "lo"), ("127.0.0.1", 5555))
        self.assertEqual((link.bad, logged.events), ({"repeated": 2}, []))

    async def test_brokenReceiver(self) -> None:
        """A receiver that fails is logged with its traceback, and the next packet is received."""
        seen: list[bytes] = []

        def receive(packet: Packet) -> None:
            seen.append(packet.data)
            raise ZeroDivisionError

        link = self.open(receive)
        sender = self.open(lambda packet: None)
        for data in (b"1", b"2"):
            sender.send(data)
            link.drain()
        self.assertEqual(seen, [b"1", b"2"])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 2)

    async def test_tooLarge(self) -> None:
        """What does not fit into a datagram is an error of sending like any other."""
        link = self.open(lambda packet: None)
        link.send(bytes(70_000))
        self.assertEqual(link.unsent, {"EMSGSIZE": 1})

    def test_missingInterface(self) -> None:
        """Opening on an interface that does not exist raises there and then."""
        link = Link(reactor, Multicast("nope0", self.group))
        self.assertRaises(OSError, link.open, lambda packet: None)

    def test_notMulticast(self) -> None:
        """A socket that cannot be set up is closed."""
        opened: list[mock.Mock] = []

        def broken(*args: Any) -> mock.Mock:
            sock = mock.Mock()
            sock.setsockopt.side_effect = OSError(errno.EPERM, "not permitted")
            opened.append(sock)
            return sock

        self.patch(socket, "socket", broken)
        self.assertRaises(OSError, openMulticast4, "lo", self.group.address, self.group.port)
        opened[0].close.assert_called_once_with()


class SendErrorTests(SynchronousTestCase):
    """An error of sending is counted by name, told once, and never reaches the sender."""

    def setUp(self) -> None:
        self.logged = Logged(self)
        self.reactor = mock.Mock()
        self.group = MulticastGroup(IPv4Address("239.2.3.4"), freePort())
        way = Multicast("lo", self.group)
        self.sending = mock.Mock()
        self.patch(way, "send", self.sending)
        self.link = Link(self.reactor, way)
        self.link.open(lambda packet: None)
        self.addCleanup(self.link.close)

    def fail(self, *numbers: int) -> None:  # type: ignore[override]
        self.sending.side_effect = [OSError(number, "no") for number in numbers]
        for _ in numbers:
            self.link.send(b"x")

    def test_counted(self) -> None:
        """Each error has its counter; the log has a line where the error changes."""
        self.fail(
            *(errno.ENETUNREACH, errno.ENETUNREACH, errno.EPERM, errno.EPERM, errno.ENETUNREACH),
            *(errno.ENETDOWN, errno.ENOBUFS, errno.EHOSTUNREACH),
        )
        self.assertEqual(
            self.link.unsent,
            {"ENETUNREACH": 3, "EPERM": 2, "ENETDOWN": 1, "ENOBUFS": 1, "EHOSTUNREACH": 1},
        )
        self.assertEqual(
            self.logged.fields("error"),
            [
                ("Network is unreachable",),
                ("Operation not permitted",),
                ("Network is unreachable",),
                ("Network is down",),
                ("No buffer space available",),
                ("No route to host",),
            ],
        )

    def test_recovered(self) -> None:
        """When sending works again, that is one line."""
        self.fail(errno.ENETUNREACH)
        self.sending.side_effect = None
        self.link.send(b"x")
        self.link.send(b"x")
        levels = self.logged.fields("log_level")
        self.assertEqual(levels, [(LogLevel.warn,), (LogLevel.info,)])

    def test_refused(self) -> None:
        """That nobody listens at a peer's port is no error of sending, and the other targets are sent to."""
        self.fail(errno.ECONNREFUSED, errno.ECONNREFUSED)
        self.assertEqual((self.link.unsent, self.link.beats), ({}, 2))

    def test_tooLong(self) -> None:
        """What no interface can take is an error like any other."""
        self.fail(errno.EMSGSIZE)
        self.assertEqual((self.link.unsent, self.link.beats), ({"EMSGSIZE": 1}, 0))

    def test_sameInterface(self) -> None:
        """While it is the interface that was joined, no error makes the link open anew."""
        self.fail(errno.ENODEV, errno.ENXIO, errno.EADDRNOTAVAIL)
        self.assertEqual(self.reactor.addReader.call_count, 1)

    def test_replaced(self) -> None:
        """Where the interface is another one of the same name, it is closed, and joined by the next send."""
        self.patch(socket, "if_nametoindex", lambda name: 4711)
        self.fail(errno.ENODEV)
        self.reactor.removeReader.assert_called_once_with(self.link)
        self.patch(socket, "if_nametoindex", mock.Mock(side_effect=OSError(errno.ENODEV, "gone")))
        self.sending.side_effect = None
        self.link.send(b"x")
        self.assertEqual(self.link.unsent["ENODEV"], 2)
        self.assertEqual(self.reactor.addReader.call_count, 1)
        self.patch(socket, "if_nametoindex", lambda name: 1)
        self.link.send(b"x")
        self.assertEqual(self.reactor.addReader.call_count, 2)
        self.assertEqual(self.sending.call_args.args[3], ("239.2.3.4", self.group.port))


class InterfaceAddressTests(SynchronousTestCase):
    """The address that breaks ties is the interface's first."""

    def test_loopback(self) -> None:
        """The loopback interface has 127.0.0.1."""
        self.assertEqual(interfaceAddress("lo"), IPv4Address("127.0.0.1"))

    def test_none(self) -> None:
        """An interface without an address, or none at all, has none."""
        self.assertIsNone(interfaceAddress("nope0"))
