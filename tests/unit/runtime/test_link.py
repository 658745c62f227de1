"""Links on the loopback interface: what is sent arrives before send returns."""

from __future__ import annotations

import errno
import os
import socket
from ipaddress import IPv4Address, ip_address

from twisted.internet import reactor
from twisted.internet.error import ConnectionDone
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase

from hatwist.core.errors import BadPacket
from hatwist.core.linkspec import LinkPeer, LinkSpec, MulticastGroup
from hatwist.core.packet import Packet
from hatwist.runtime.link import TURN, Link
from hatwist.runtime.ways import Multicast, Unicast, waysOf

# A port of our own: tests of another run may be under way.
GROUP = MulticastGroup(IPv4Address("239.2.3.4"), 20000 + os.getpid() % 20000)


class LinkTests(TestCase):
    """What is common to all links, and each kind's own way."""

    def setUp(self) -> None:
        self.got: list[tuple[bytes, str]] = []

    def receive(self, packet: Packet) -> None:
        datagram, name = packet.data, packet.link
        if datagram.startswith(b"bad"):
            raise BadPacket("magic")
        if datagram.startswith(b"bug"):
            raise ZeroDivisionError
        self.got.append((datagram, name))

    def opened(self, link: Link) -> Link:
        link.open(self.receive)
        self.addCleanup(link.close)
        return link

    def links(self, *texts: str, group: MulticastGroup = GROUP) -> list[Link]:
        ways = waysOf(list(map(LinkSpec.parse, texts)), group, loop=True)
        return [self.opened(Link(reactor, way)) for way in ways]

    def multicast(self) -> tuple[Link, Link]:
        return self.links("lo")[0], self.links("lo")[0]

    def test_multicast(self) -> None:
        """What one link sends to the group is read by the other, under its own name, when drained."""
        one, two = self.multicast()
        one.send(b"hello")
        self.assertEqual(self.got, [])
        two.drain()
        self.assertEqual(self.got, [(b"hello", "lo")])

    def test_present(self) -> None:
        """A multicast link is made with reactor, interface and group."""
        link = self.opened(Link(reactor, Multicast("lo", GROUP)))
        self.assertEqual(link.name, "lo")

    def test_ownIsReflected(self) -> None:
        """What a link gets back of its own is dropped before anybody checks it."""
        one, _ = self.multicast()
        one.send(b"hello")
        one.drain()
        self.assertEqual(self.got, [])
        self.assertEqual(one.bad, {"reflected": 1})

    def test_group6(self) -> None:
        """The IPv6 group belongs to the IPv4 one, so that clusters are told apart there too."""
        self.assertEqual(GROUP.address6, ip_address("ff02::ef02:304"))

    def test_broadcast(self) -> None:
        """A broadcast comes in by every link of the port; two nodes of one host are not meant."""
        one, two = self.links("lo,broadcast")[0], self.links("lo,broadcast")[0]
        one.send(b"hello")
        two.drain()
        self.assertEqual(self.got, [(b"hello", "lo,broadcast")])

    def test_unicast(self) -> None:
        """Each peer gets its own copy, at its own port, by its own family."""
        port, other = GROUP.port, GROUP.port + 1
        one = self.links(f"lo,unicast=127.0.0.1:{other},[::1]:{other}")
        two = self.links(
            f"lo,unicast=127.0.0.1:{port},[::1]:{port}", group=GROUP._replace(port=other)
        )
        self.assertEqual([link.name for link in one], ["lo,unicast", "lo,unicast6"])
        for link in one:
            link.send(link.name.encode())
        for link in two:
            link.drain()
        self.assertEqual(self.got, [(b"lo,unicast", "lo,unicast"), (b"lo,unicast6", "lo,unicast6")])

    def test_foreignSource(self) -> None:
        """A unicast link takes nothing from an address that is no peer, and counts it."""
        for peer, family in (("127.0.0.9", socket.AF_INET), ("fd00::9", socket.AF_INET6)):
            link = self.links(f"lo,unicast={peer}")[0]
            with socket.socket(family, socket.SOCK_DGRAM) as stranger:
                stranger.sendto(b"hello", (("127.0.0.1", "::1")[":" in peer], GROUP.port))
            link.drain()
            self.assertEqual((self.got, link.bad), ([], {"foreign-source": 1}))
            link.close()
        self.flushLoggedErrors()

    def test_mixedFamilies(self) -> None:
        """One unicast link has one socket, so its peers are of one family."""
        peers = [LinkPeer(ip_address("10.0.0.2")), LinkPeer(ip_address("fd00::2"))]
        self.assertRaises(ValueError, Unicast, "lo", 1, peers)

    def test_sideBySide(self) -> None:
        """All kinds live on one interface and port, and what is sent by one comes in by the same."""
        other = GROUP._replace(port=GROUP.port + 1)
        for second in ("lo,broadcast", f"lo,unicast=127.0.0.1:{other.port}"):
            mine = self.links("lo", second)
            if "unicast" in second:
                others = self.links("lo")
                others += self.links(f"lo,unicast=127.0.0.1:{GROUP.port}", group=other)
            else:
                others = self.links("lo", second)
            self.got.clear()
            for link in mine:
                link.send(link.name.encode())
            for link in others:
                link.drain()
            got = [(data.decode(), name) for data, name in self.got]
            self.assertEqual(got, [(name, name) for name in ("lo", second.partition("=")[0])])
            for link in (*mine, *others):
                link.close()

    def test_counted(self) -> None:
        """Bad packets are counted by reason; receiver's own errors are logged; neither stops reading."""
        one, two = self.multicast()
        for data in (b"bad 1", b"bug", b"bad 2", b"good"):
            one.send(data)
        two.drain()
        self.assertEqual(self.got, [(b"good", "lo")])
        self.assertEqual(two.bad, {"magic": 2})
        self.assertLessEqual(two.dropped["magic"].at, reactor.seconds())
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_turn(self) -> None:
        """One turn of the reactor reads a bounded number, empty datagrams too; a drain reads them all."""
        one, two = self.multicast()
        for number in range(3 * TURN):
            one.send(b"" if number % 2 else b"x")
        two.doRead()
        self.assertEqual(len(self.got), TURN)
        two.drain()
        self.assertEqual(len(self.got), 3 * TURN)

    def test_reactorReads(self) -> None:
        """The reactor reads from it for as long as it is open, and at its own end has it closed."""
        one, two = self.multicast()
        self.assertIn(two, reactor.getReaders())
        two.close()
        self.assertNotIn(two, reactor.getReaders())
        self.assertEqual(two.fileno(), -1)
        reactor.removeReader(one)
        one.connectionLost(Failure(ConnectionDone()))
        self.assertEqual(one.fileno(), -1)

    def test_sendFails(self) -> None:
        """What cannot be sent is counted by error and never raised; other peers get theirs."""
        peer = f"lo,unicast=10.255.255.1,127.0.0.1:{GROUP.port + 1}"
        link = self.links(peer)[0]
        ear = self.links("lo,unicast=127.0.0.1", group=GROUP._replace(port=GROUP.port + 1))[0]
        link.send(b"hello")
        link.send(b"\0" * 65535)
        ear.drain()
        self.assertEqual(self.got, [(b"hello", "lo,unicast")])
        self.assertIn("EMSGSIZE", link.unsent)

    def test_missing(self) -> None:
        """An interface that is not there is an OSError when the link is opened, by every kind."""
        for kind in ("", ",multicast6", ",broadcast", ",unicast=::1"):
            (way,) = waysOf([LinkSpec.parse(f"no-such-0{kind}")], GROUP)
            link = Link(reactor, way)
            with self.assertRaises(OSError) as caught:
                link.open(self.receive)
            self.assertEqual(caught.exception.errno, errno.ENODEV)
            link.send(b"of a node that did not start")
            link.drain()
            link.close()
            self.assertEqual(link.unsent, {})

    def test_closed_for_good(self) -> None:
        """A link that was closed sends nothing, and opens no socket: whoever closed it would never know."""
        (link,) = self.links("lo")
        self.assertGreaterEqual(link.fileno(), 0)
        link.close()
        link.send(b"too late")
        link.renew()
        self.assertEqual((link.fileno(), link.beats, link.unsent), (-1, 0, {}))

    def test_reopened(self) -> None:
        """A link that was closed can be opened again at once: it has given its port back."""
        for kind in ("", ",broadcast", ",unicast=127.0.0.1"):
            (link,) = self.links(f"lo{kind}")
            link.close()
            self.opened(link).send(b"hello")
            self.assertFalse(link.unsent)
            link.close()

    def test_closed(self) -> None:
        """A closed link reads nothing any more, and may be closed again."""
        one, two = self.multicast()
        one.send(b"hello")
        two.close()
        two.drain()
        two.close()
        self.assertEqual(self.got, [])
