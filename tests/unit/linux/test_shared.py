"""Groups share sockets: what one of them is told and does is as if it had its own."""

from __future__ import annotations

import errno
from collections.abc import Callable
from ipaddress import ip_address
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from hatwist.linux.interfaces import IAsker, ISender
from hatwist.linux.lan.memory import MemoryAsker, MemoryNeighbours
from hatwist.linux.lan.shared import Askers, Senders
from hatwist.linux.netlink.messages import Address, KernelLink
from tests import contracts_neighbours
from tests.unit.linux.test_neighbours import MAC, OTHER, MemoryWorld

ONE, TWO, SIX = ip_address("10.9.0.1"), ip_address("10.9.0.2"), ip_address("fd09::1")


class SharedWorld(MemoryWorld):
    """L{contracts_neighbours.World} of one user of what others use, too."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.askers = Askers(self.clock, None, lambda *_: self.lan.asker(MAC))  # type: ignore[arg-type]
        other = self.askers.open("eth0")
        other.start([ip_address("10.9.0.250")], lambda *_: None, lambda *_: None)

    def asker(self) -> Any:
        return self.askers.open("eth0")

    async def until(self, condition: Callable[[], bool]) -> None:
        self.clock.advance(0)
        await super().until(condition)


class AskersTests(SynchronousTestCase):
    """One L{IAsker} for each interface."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.lan = MemoryNeighbours()
        self.made: list[MemoryAsker] = []
        self.broken = False
        self.askers = Askers(self.clock, None, self.make)  # type: ignore[arg-type]
        self.told: list[tuple[str, str, Address]] = []

    def make(self, reactor: Any, netlink: Any, interface: str) -> Any:
        self.made.append(self.lan.asker(MAC, interface))
        self.made[-1].broken = self.broken
        return self.made[-1]

    def user(self, name: str, *addresses: Address, interface: str = "eth0") -> IAsker:
        user = self.askers.open(interface)
        done = user.start(
            addresses,
            lambda address, mac: self.told.append((name, "answered", address)),
            lambda address, mac: self.told.append((name, "claimed", address)),
        )
        self.assertNoResult(done) if self.broken else self.successResultOf(done)
        return user

    def test_contract(self) -> None:
        """One user among others has what a user of its own sockets has."""
        for part in contracts_neighbours.CONTRACT:
            done = Deferred.fromCoroutine(part(SharedWorld()))
            self.assertIsNone(self.successResultOf(done), part.__name__)

    def test_oneForAll(self) -> None:
        """There is one for each interface, and each user is told of its own addresses only."""
        one, two = self.user("one", ONE), self.user("two", TWO, SIX)
        self.user("three", ONE, interface="eth1")
        self.assertEqual([asker.interface for asker in self.made], ["eth0", "eth1"])
        for address in (ONE, TWO, SIX):
            self.lan.use(address, OTHER)
        two.ask(TWO)  # even in the turn in which it came
        two.ask(ONE)
        one.ask(ONE)
        self.lan.announce(SIX, OTHER)
        self.assertEqual(
            self.told,
            [("two", "answered", TWO), ("one", "answered", ONE), ("two", "claimed", SIX)],
        )

    def test_last(self) -> None:
        """When a user closes, the others go on; with the last one the sockets are given back."""
        one, two = self.user("one", ONE), self.user("two", TWO)
        one.close()
        one.close()
        self.clock.advance(0)
        self.lan.announce(ONE, OTHER)
        self.lan.announce(TWO, OTHER)
        self.assertEqual(self.told, [("two", "claimed", TWO)])
        two.close()
        self.assertEqual((self.lan.askers, self.clock.getDelayedCalls()), ([], []))
        self.user("again", ONE)
        self.assertEqual(len(self.made), 2)

    def test_broken(self) -> None:
        """Where there is no such interface each user is told so, until there is one."""
        self.broken = True
        for name in ("one", "two"):
            error = self.assertRaises(OSError, self.user, name, ONE)
            self.assertEqual(error.errno, errno.ENODEV)
        self.broken = False
        self.user("three", ONE)
        self.lan.announce(ONE, OTHER)
        self.assertEqual(self.told, [("three", "claimed", ONE)])


@implementer(ISender)
class Sender:
    """Counts what it sends; each third frame fails."""

    def __init__(self) -> None:
        self.errors = self.sent = 0
        self.closed = False

    def send(self, frame: bytes) -> None:
        self.sent += 1
        self.errors += self.sent % 3 == 0

    def close(self) -> None:
        assert not self.closed
        self.closed = True


class SendersTests(SynchronousTestCase):
    """One socket for each interface."""

    def test_oneForAll(self) -> None:
        """It is closed with its last user; errors are counted where they happened."""
        made: list[Sender] = []

        def make(link: KernelLink) -> Sender:
            made.append(Sender())
            return made[-1]

        senders = Senders(make)
        eth0, eth1 = KernelLink(1, "eth0", 0, MAC), KernelLink(2, "eth1", 0, MAC)
        one, two, three = senders.open(eth0), senders.open(eth0), senders.open(eth1)
        for user in (one, two, two, three):
            user.send(b"frame")
        self.assertEqual([sender.sent for sender in made], [3, 1])
        self.assertEqual((one.errors, two.errors, three.errors), (0, 1, 0))
        one.close()
        one.close()
        one.send(b"frame")
        self.assertEqual((one.errors, made[0].sent, made[0].closed), (1, 3, False))
        two.close()
        self.assertEqual([sender.closed for sender in made], [True, False])
        senders.open(eth0)
        self.assertEqual(len(made), 3)

    def test_refused(self) -> None:
        """One that cannot be opened is tried again for the next user."""

        def make(link: KernelLink) -> Sender:
            raise OSError(errno.EPERM, "Operation not permitted")

        senders = Senders(make)
        for _ in range(2):
            self.assertRaises(OSError, senders.open, KernelLink(1, "eth0", 0, MAC))
