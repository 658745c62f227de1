"""What is asked of the kernel in one turn of the reactor is asked together; and who is told of which event."""

from __future__ import annotations

import errno
from collections import deque
from collections.abc import Callable, Sequence
from ipaddress import ip_address, ip_interface
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from hatwist.linux.netlink import socket as netlink
from hatwist.linux.netlink.messages import (
    NLM_F_ACK,
    RTM_DELADDR,
    RTM_NEWADDR,
    RTM_SETLINK,
    AddressChange,
    Event,
    EventsLost,
    KernelAddress,
    KernelLink,
    LinkChange,
    encodeAdd,
    encodePromote,
    split,
)
from hatwist.linux.netlink.operations import SLICE
from hatwist.linux.netlink.subscribers import LINKS, About, Subscribers


class FakeSocket:
    """
    Answers at once, as the kernel does: what it refuses, and what asks for an answer. Each write is kept.
    """

    def __init__(self) -> None:
        self.writes: list[int] = []
        self.kinds: list[int] = []
        self.answers: deque[bytes] = deque()
        self.answered = 0
        self.refused: set[int] = set()
        self._count = 0

    def send(self, data: bytes) -> None:
        messages = list(split(data))
        self.writes.append(len(messages))
        for message in messages:
            self.kinds.append(message.kind)
            number = 0
            if message.kind in (RTM_NEWADDR, RTM_DELADDR, RTM_SETLINK):
                number = errno.EACCES if self._count in self.refused else 0
                self._count += 1
                if not number and not message.flags & NLM_F_ACK:
                    continue
            kind = 2 if message.kind in (RTM_NEWADDR, RTM_DELADDR, RTM_SETLINK) else 3
            body = (-number).to_bytes(4, "little", signed=True) + bytes(16)
            header = (16 + len(body)).to_bytes(4, "little") + kind.to_bytes(2, "little")
            self.answered += 1
            number_ = message.sequence.to_bytes(4, "little")
            self.answers.append(header + bytes(2) + number_ + bytes(4) + body)

    def close(self) -> None:
        pass


class FakeReader:
    """A descriptor in no reactor."""

    def __init__(self, groups: int, readable: Callable[[], None], lost: Callable[[], None]) -> None:
        self.socket = FakeSocket()
        self.readable = readable

    def receive(self) -> bytes | None:
        return self.socket.answers.popleft() if self.socket.answers else None


class FakeReactor(Clock):
    """No descriptor is ever readable by itself."""

    def addReader(self, reader: Any) -> None:
        pass

    removeReader = addReader


def adding(number: int) -> bytes:
    return encodeAdd(ip_address(f"10.9.{number // 250}.{number % 250 + 1}"), 24, 2)


class TogetherTests(SynchronousTestCase):
    """Requests and dumps."""

    def setUp(self) -> None:
        self.patch(netlink, "_Reader", FakeReader)
        self.reactor = FakeReactor()
        self.netlink = netlink.Netlink(self.reactor)
        self.netlink.start()
        reader: Any = self.netlink._requests
        self.reader, self.kernel = reader, reader.socket
        self.done: list[Any] = []

    def ask(self, number: int, permitted: Callable[[], bool] = lambda: True) -> Deferred[list[int]]:
        asked = self.netlink.request([adding(number)], permitted)
        asked.addBoth(lambda result: self.done.append((number, result)))
        return asked

    def busy(self) -> None:
        """As much as is done at once in one turn was asked for in this one."""
        for _ in range(netlink.AT_ONCE):
            self.netlink.request([])

    def turns(self) -> None:
        """Let the reactor turn, as often as there is something to read or to do."""
        for _ in range(50):
            self.reactor.advance(0)
            self.reader.readable()

    def tell(self, number: int, *promoting: bool) -> None:
        """Ask for an address, and before it that interfaces are told this."""
        first = [encodePromote(2, promote) for promote in promoting]
        asked = self.netlink.request([*first, adding(number)])
        asked.addBoth(lambda result: self.done.append((number, result)))

    def test_alike(self) -> None:
        """What an interface is told alike by many of one turn it is told once, and all have the answer."""
        self.busy()
        self.kernel.refused = {0, 2}
        for number in (1, 2, 3):
            self.tell(number, True)
        self.turns()
        self.assertEqual(self.kernel.kinds, [RTM_SETLINK, *[RTM_NEWADDR] * 3])
        refused = errno.EACCES
        self.assertEqual(self.done, [(1, [refused, 0]), (2, [refused, refused]), (3, [refused, 0])])

    def test_notAlike(self) -> None:
        """What it was told otherwise meanwhile it is told again."""
        self.busy()
        self.tell(1, True)
        self.tell(2, True, False)
        self.tell(3, True)
        self.turns()
        told, added = RTM_SETLINK, RTM_NEWADDR
        self.assertEqual(self.kernel.kinds, [told, added, told, added, told, added])
        self.assertEqual(self.done, [(1, [0, 0]), (2, [0, 0, 0]), (3, [0, 0])])

    def test_addedTwice(self) -> None:
        """An address that is asked for twice is asked for twice."""
        self.busy()
        self.ask(1)
        self.ask(1)
        self.turns()
        self.assertEqual(self.kernel.kinds, [RTM_NEWADDR] * 2)

    def test_alone(self) -> None:
        """One request is sent in the turn in which it is asked for."""
        self.ask(1)
        self.assertEqual(self.kernel.writes, [1])
        self.assertEqual(self.done, [(1, [0])])

    def test_steps(self) -> None:
        """Whoever asks again once it is answered is answered in the same turn: a release has three steps."""
        for number in range(3):
            self.ask(number)
        self.assertEqual((self.done, self.kernel.writes), ([(n, [0]) for n in range(3)], [1] * 3))

    def test_manySteps(self) -> None:
        """More than that is done together in the next turn, after which the first ones are done at once again."""
        for number in range(netlink.AT_ONCE + 3):
            self.ask(number)
        self.assertEqual(len(self.done), netlink.AT_ONCE)
        self.turns()
        self.assertEqual(self.kernel.writes, [*[1] * netlink.AT_ONCE, 3])
        self.ask(99)
        self.assertEqual(self.done[-1], (99, [0]))

    def test_many(self) -> None:
        """A thousand are a write for each hundred, in their order; each is told what became of its own."""
        self.busy()
        self.kernel.refused = {0, 500, 999}
        for number in range(1000):
            self.ask(number)
        self.turns()
        self.assertEqual(len(self.kernel.writes), -(-1000 // SLICE))
        wanted = [(n, [errno.EACCES if n in self.kernel.refused else 0]) for n in range(1000)]
        self.assertEqual(self.done, wanted)

    def test_oneAnswer(self) -> None:
        """Of each write only the last message is acknowledged; what is refused before it has its number."""
        self.kernel.refused = {3, 7}
        answered: list[int] = []
        asked = self.netlink.request([adding(number) for number in range(10)])
        asked.addCallback(answered.extend)
        self.assertEqual(self.kernel.answered, 3)
        wanted = [errno.EACCES if number in self.kernel.refused else 0 for number in range(10)]
        self.assertEqual(answered, wanted)

    def test_lastRefused(self) -> None:
        """Where the last one of a write is refused, that is its answer, and what came before it is done."""
        self.kernel.refused = {1}
        answered: list[int] = []
        self.netlink.request([adding(0), adding(1)]).addCallback(answered.extend)
        self.assertEqual(answered, [0, errno.EACCES])

    def test_permitted(self) -> None:
        """Each is asked for its own permission, last, just before it would be sent."""
        asked: list[int] = []

        def permitted(number: int) -> Callable[[], bool]:
            def asking() -> bool:
                asked.append(number)
                return number % 2 == 0

            return asking

        self.busy()
        for number in range(10):
            self.ask(number, permitted(number))
        self.assertEqual(asked, [])
        self.turns()
        self.assertEqual(asked, list(range(10)))
        wanted = [(n, [errno.ECANCELED if n % 2 else 0]) for n in range(10)]
        self.assertEqual((sorted(self.done), self.kernel.writes), (wanted, [5]))

    def test_cancelled(self) -> None:
        """One that is cancelled is not sent, and the others are."""
        self.busy()
        asked = [self.ask(number) for number in range(5)]
        asked[2].cancel()
        self.turns()
        self.assertEqual(self.kernel.writes, [4])
        self.assertEqual([n for n, result in self.done if result == [0]], [0, 1, 3, 4])
        (failure,) = [result for n, result in self.done if n == 2]
        self.assertTrue(failure.check(CancelledError))

    def test_dumps(self) -> None:
        """Who asks before the next change shares a dump, and who asks after it does not."""
        found: list[int] = []

        def dump(asked: Deferred[Any], number: int) -> None:
            asked.addCallback(lambda _: found.append(number))

        self.busy()
        for number in range(3):
            dump(self.netlink.dumpLinks(), number)
        for number in range(3, 6):
            dump(self.netlink.dumpRoutes(), number)
            dump(self.netlink.dumpLinks(), 10 + number)
        self.ask(7)
        dump(self.netlink.dumpLinks(), 99)
        self.turns()
        self.assertEqual(sorted(found), [0, 1, 2, 3, 4, 5, 13, 14, 15, 99])
        self.assertEqual(found[-1], 99)
        self.assertEqual(len(self.kernel.writes), 4)  # links, routes, the change, links

    def test_stopped(self) -> None:
        """What waits when it is stopped fails, whoever asked for it."""
        self.busy()
        waiting = [self.netlink.dumpLinks(), self.netlink.dumpLinks()]
        self.ask(3)
        self.netlink.stop()
        for each in waiting:
            self.failureResultOf(each, OSError)
        self.assertIsInstance(self.done[-1][1].value, OSError)
        self.turns()
        self.assertEqual(self.kernel.writes, [])


def link(index: int, name: str) -> KernelLink:
    return KernelLink(index, name, 0, bytes(6))


def address(text: str, present: bool = True) -> AddressChange:
    parsed = ip_interface(text)
    return AddressChange(present, KernelAddress(parsed.ip, parsed.network.prefixlen, 2))


class SubscribersTests(SynchronousTestCase):
    """Who is told."""

    def setUp(self) -> None:
        self.subscribers = Subscribers()
        self.told: list[tuple[str, Event]] = []

    def add(self, name: str, about: Sequence[About] | None) -> Callable[[], None]:
        def tell(events: Sequence[Event]) -> None:
            self.told.extend((name, event) for event in events)

        return self.subscribers.add(tell, about)

    def names(self, *events: Event) -> list[str]:
        self.told.clear()
        self.subscribers.tell(events)
        return [name for name, _ in self.told]

    def test_topics(self) -> None:
        """Each is told what it asked for, and all are when events were lost."""
        self.add("web", [ip_address("10.9.0.1"), "eth0"])
        self.add("mail", [ip_address("10.9.0.2"), 3])
        self.add("links", [LINKS])
        self.add("all", None)
        for event, wanted in (
            (address("10.9.0.1/24"), ["web", "all"]),
            (address("10.9.0.2/24", False), ["mail", "all"]),
            (address("10.9.0.3/24"), ["all"]),
            (LinkChange(True, link(2, "eth0")), ["web", "links", "all"]),
            (LinkChange(True, link(3, "eth1")), ["mail", "links", "all"]),
            (LinkChange(True, link(4, "eth2")), ["links", "all"]),
            (EventsLost(), ["web", "mail", "links", "all"]),
        ):
            self.assertEqual(self.names(event), wanted, event)

    def test_order(self) -> None:
        """Several events reach each in one call, in their order."""
        calls: list[list[Event]] = []
        self.subscribers.add(lambda events: calls.append(list(events)), [ip_address("10.9.0.1")])
        events = [address("10.9.0.1/24"), address("10.9.0.2/24"), address("10.9.0.1/24", False)]
        self.subscribers.tell(events)
        self.assertEqual(calls, [[events[0], events[2]]])

    def test_renamed(self) -> None:
        """An interface that is renamed is news for who asked for either name, known from a dump or from events."""
        self.subscribers.learn([link(2, "eth0")])
        self.add("old", ["eth0"])
        self.add("new", ["lan0"])
        self.assertEqual(self.names(LinkChange(True, link(2, "lan0"))), ["old", "new"])
        self.assertEqual(self.names(LinkChange(False, link(2, "lan0"))), ["new"])

    def test_ended(self) -> None:
        """Who has ended is told nothing, also where another subscriber ends it in the middle of it."""
        ends: list[Callable[[], None]] = []
        self.subscribers.add(lambda events: ends[0](), None)
        ends.append(self.add("web", [ip_address("10.9.0.1")]))
        self.assertEqual(self.names(address("10.9.0.1/24")), [])
        ends[0]()

    def test_failing(self) -> None:
        """One that fails is logged, and the others are told."""

        def fail(events: Sequence[Event]) -> None:
            raise ZeroDivisionError

        self.subscribers.add(fail, None)
        self.add("web", None)
        self.assertEqual(self.names(EventsLost()), ["web"])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
