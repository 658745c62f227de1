"""The driver, on two nodes of one process joined by links in memory."""

from __future__ import annotations

import errno
from collections.abc import Callable, Sequence
from typing import Any, cast
from unittest.mock import Mock

from twisted.internet.task import Clock
from twisted.logger import LogLevel, capturedLogs
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from hatwist.core.claims import Record, Role
from hatwist.core.counting import TRUSTED
from hatwist.core.effects import Hold, Persist, Release, RoleChange
from hatwist.core.electorate import Quorum, Ran
from hatwist.core.errors import BadPacket
from hatwist.core.packet import Packet
from hatwist.core.reports import Judged
from hatwist.core.worth import Fitness
from hatwist.linux.interfaces import Farewell
from hatwist.protocols.native.auth import Keyring
from hatwist.protocols.native.datagram import clusterId
from hatwist.protocols.native.machine import NativeMachine
from hatwist.protocols.native.rules import GroupRules, NodeRules
from hatwist.resources.memory import MemoryResource
from hatwist.runtime.driver import Custody
from hatwist.runtime.fence import Fence
from hatwist.runtime.interfaces import IRoleObserver
from hatwist.runtime.keeper import Keeper
from hatwist.runtime.link import Receiver
from hatwist.runtime.node import HURRY_LIMIT, STOP_LIMIT, Node
from hatwist.runtime.performer import BEGUN, Performer
from hatwist.runtime.persister import RETRY, SLOW
from hatwist.runtime.speaker import Speaker
from hatwist.runtime.store import MemoryStore
from tests.statements import Listener, Statement, Word

I, T = 0.1, 0.35  # noqa: E741


class Cable:
    """Joins the links in memory; each datagram arrives at once at all others, or waits to be read."""

    def __init__(self) -> None:
        self.links: list[MemoryLink] = []


class MemoryLink:
    """A link without a network."""

    name = "memory"

    def __init__(self, cable: Cable) -> None:
        self.cable = cable
        self.sent: list[bytes] = []
        self.unread: list[bytes] = []
        self.paused = False
        self.broken: Exception | None = None
        self.isOpen = False
        cable.links.append(self)

    def open(self, receiver: Receiver) -> None:
        if self.broken:
            raise self.broken
        self.receiver = receiver
        self.isOpen = True

    def close(self) -> None:
        self.isOpen = False

    def send(self, datagram: bytes, *way: object) -> None:
        self.sent.append(datagram)
        for link in self.cable.links:
            if link is not self and link.isOpen:
                link.unread.append(datagram)
                if not link.paused:
                    link.drain()

    def farewells(self, datagram: bytes, *way: object) -> list[Farewell]:
        return []

    def drain(self) -> None:
        unread, self.unread = self.unread, []
        for datagram in unread:
            self.receiver(Packet(datagram, self.name))


@implementer(IRoleObserver)
class Observer:
    def __init__(self) -> None:
        self.changes: list[RoleChange] = []

    def roleChanged(self, change: RoleChange) -> None:
        self.changes.append(change)
        raise RuntimeError("an observer that fails")


class Nodes(SynchronousTestCase):
    """Nodes on one cable, with one clock."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.cable = Cable()

    def node(
        self,
        name: str,
        priority: int,
        session: int = 1,
        quorum: Quorum | None = None,
        store: MemoryStore | None = None,
    ) -> tuple[Node, MemoryResource, MemoryLink]:
        rules = NodeRules("c", name, I, T, (GroupRules("g", priority),), priority, quorum=quorum)
        records = store.records if store is not None else {}
        machine = NativeMachine(rules, Keyring([b"k" * 16]), session, self.clock.seconds(), records)
        resource = MemoryResource(self.clock, name)
        link = MemoryLink(self.cable)
        links: Any = [link]
        node = Node(
            self.clock,
            [Speaker(machine, links)],
            {"g": self.custody("g", resource)},
            store,
            self.guard,
            votes=quorum is not None,
        )
        return node, resource, link

    def custody(self, group: str, resource: MemoryResource) -> Custody:
        """Of a group that is this one resource."""
        return Custody(Keeper(self.clock, group, [resource]), Fence(group))

    guard: Any = None

    def pass_(self, seconds: float) -> None:
        self.clock.pump([0.001] * round(seconds * 1000))


class NodeTests(Nodes):
    """What the driver does for its machine."""

    def test_takeover(self) -> None:
        """The worthiest holds; when it falls silent the other one does, a tolerance later."""
        alpha, one, cable = self.node("alpha", 200)
        beta, two, _ = self.node("beta", 100)
        alpha.start()
        beta.start()
        self.pass_(T + I)
        self.assertEqual((one.held, two.held), (True, False))
        cable.close()
        alpha.abort()
        self.pass_(T - 0.1)
        self.assertFalse(two.held)
        self.pass_(0.11)
        self.assertTrue(two.held)

    def test_stop(self) -> None:
        """A stop releases, then says goodbye, then closes; the other one holds in the same turn."""
        alpha, one, link = self.node("alpha", 200)
        beta, two, _ = self.node("beta", 100)
        alpha.start()
        beta.start()
        self.pass_(T + I)
        stopped = alpha.stop()
        self.pass_(0.002)
        self.successResultOf(stopped)
        self.assertEqual((one.held, two.held), (False, True))
        self.assertFalse(link.isOpen)
        self.assertEqual(one.transcript[-2:], ["release", "released"])

    def test_stopHangs(self) -> None:
        """A resource that cannot be released delays a stop by less than two seconds, and no goodbye is said."""
        alpha, one, link = self.node("alpha", 200)
        alpha.start()
        self.pass_(T + I)
        one.delay = None
        stopped = alpha.stop()
        said = len(link.sent)
        self.pass_(STOP_LIMIT + HURRY_LIMIT - 0.01)
        self.assertNoResult(stopped)
        self.pass_(0.02)
        self.successResultOf(stopped)
        beats = [alpha.machine.keyring.open(data) for data in link.sent[said:]]
        self.assertTrue(beats)
        self.assertEqual({beat.header.claims for beat in beats}, {1})
        self.assertLess(STOP_LIMIT + HURRY_LIMIT, 2.0)

    def test_stopTime(self) -> None:
        """A resource that asks for time to stop gets it, before anything is cut short, and then a goodbye is said."""
        alpha, one, link = self.node("alpha", 200)
        alpha.start()
        self.pass_(T + I)
        one.stopTime = 5.0  # type: ignore[attr-defined]
        one.delay = 4.0
        stopped = alpha.stop()
        self.pass_(3.9)
        self.assertNoResult(stopped)
        self.pass_(0.2)
        self.successResultOf(stopped)
        self.assertFalse(one.held)
        last = alpha.machine.keyring.open(link.sent[-1])
        self.assertTrue(last.header.leaving)

    def test_answeredMeanwhile(self) -> None:
        """What the guard had answered, and so ends as that is read, leaves nothing to do after a stop."""
        self.guard = Mock()
        alpha, one, link = self.node("alpha", 200)
        alpha.start()
        self.pass_(T + I)
        one.delay = None
        alpha.machine.elections["g"].backoff.until = 60.0
        alpha.drain(True)
        self.pass_(0.001)
        self.assertEqual(one.transcript[-1], "release")

        def check() -> bool:
            if one.transcript[-1] == "release":
                one.finish()
            return True

        self.guard.check.side_effect = check
        stopped = alpha.stop()
        self.successResultOf(stopped)
        self.assertEqual(one.transcript[-1], "released")
        self.assertFalse(link.isOpen)
        last = alpha.machine.keyring.open(link.sent[-1])
        self.assertTrue(last.header.leaving)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_progress(self) -> None:
        """The others hear at which step an acquisition is, and that it goes on, at every interval."""
        alpha, one, link = self.node("alpha", 200)
        one.name = "drbdadm primary r0"
        beta, two, _ = self.node("beta", 100)
        alpha.start()
        one.delay = 10.0
        beta.start()
        self.pass_(T + I)
        known = beta.machine.view.peers["alpha"].state("g")
        assert known is not None
        self.assertEqual((known.role, known.step, known.steps), (Role.ACTIVE, 1, 1))
        self.assertEqual(known.reason, "acquiring, step 1 of 1: drbdadm primary r0")
        said = len(link.sent)
        self.pass_(9.0)
        self.assertGreaterEqual(len(link.sent) - said, 9.0 / I - 1)
        self.assertEqual((one.held, "acquire" in two.transcript), (False, False))
        self.pass_(1.0 + I)
        known = beta.machine.view.peers["alpha"].state("g")
        assert known is not None
        self.assertEqual((one.held, known.step, known.steps, known.reason), (True, 0, 0, ""))

    def test_progressAndFitness(self) -> None:
        """What is under way is told before why the fitness is what it is, shortened if need be."""
        alpha, one, link = self.node("alpha", 200)
        one.name = "x" * 500
        alpha.start()
        one.delay = None
        alpha.tell(Judged("g", "", Fitness.DEGRADED, "the disk is slow"))
        self.pass_(T + 2 * I)
        listener = Listener()
        said = [listener.read(alpha.machine.keyring.open(data)) for data in link.sent]
        reason = said[-1].groups[0].reason
        self.assertRegex(reason, "^acquiring, step 1 of 1: x{70,}…; the disk is slow$")

    def test_reads_before_it_believes(self) -> None:
        """Heartbeats that wait unread when the deadline fires count: no takeover."""
        alpha, _, _ = self.node("alpha", 200)
        beta, two, link = self.node("beta", 100)
        alpha.start()
        beta.start()
        self.pass_(T + I)
        link.paused = True  # beta's process stands still; what arrives waits
        self.pass_(T - 0.02)
        self.clock.advance(0.05)
        link.paused = False
        self.pass_(0.2)
        self.assertFalse(two.held)
        self.assertNotIn("acquire", two.transcript)

    def test_refusedResigns(self) -> None:
        """A node whose resources are refused resigns, and never shows itself as ACTIVE."""
        alpha, one, _ = self.node("alpha", 200)
        beta, two, _ = self.node("beta", 100)
        observer = Observer()
        alpha.subscribe(observer)
        one.failNext("acquire")
        alpha.start()
        beta.start()
        self.pass_(T + I)
        self.assertEqual((one.held, two.held), (False, True))
        self.assertEqual([change.new for change in observer.changes], [Role.STANDBY])
        self.flushLoggedErrors(RuntimeError)

    def test_observer(self) -> None:
        """Observers learn of each change with term and reason; one that fails changes nothing."""
        alpha, _, _ = self.node("alpha", 200)
        observer = Observer()
        alpha.subscribe(observer)
        alpha.start()
        self.pass_(T + I)
        alpha.stop()
        self.pass_(0.01)
        self.assertEqual(
            [(c.old, c.new, c.term, c.reason) for c in observer.changes],
            [
                (None, Role.STANDBY, 0, "started, listening"),
                (Role.STANDBY, Role.ACTIVE, 1, "no holder was heard"),
                (Role.ACTIVE, Role.SHUTDOWN, 1, "stopped"),
            ],
        )
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 3)

    def test_cannotOpen(self) -> None:
        """A link that cannot be opened fails the start there and then, and opens nothing else."""
        alpha, one, link = self.node("alpha", 200)
        link.broken = OSError("no such device")
        self.assertRaises(OSError, alpha.start)
        self.assertEqual(one.transcript, [])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_badPackets(self) -> None:
        """A bad packet is the link's to count, and moves nothing."""
        alpha, _, link = self.node("alpha", 200)
        alpha.start()
        self.assertRaises(BadPacket, link.receiver, Packet(b"hello", "memory"))
        self.pass_(T + I)
        self.assertEqual(alpha.roles["g"], Role.ACTIVE)

    def test_senderSurvives(self) -> None:
        """An exception while a heartbeat is sent ends neither the sender nor the node."""
        alpha, _, link = self.node("alpha", 200)
        alpha.start()
        good, link.send = link.send, lambda data, *way: 1 / 0  # type: ignore[method-assign,assignment]
        self.pass_(2 * I)
        link.send = good  # type: ignore[method-assign]
        before = len(link.sent)
        self.pass_(1.0)
        self.assertGreaterEqual(len(link.sent) - before, 9)
        self.assertTrue(self.flushLoggedErrors(ZeroDivisionError))

    def test_steadyState(self) -> None:
        """In quiet times each node sends one packet in an interval."""
        nodes = [self.node(name, p) for name, p in (("a", 3), ("b", 2), ("c", 1))]
        for node, _, _ in nodes:
            node.start()
        self.pass_(1.0)
        before = [len(link.sent) for _, _, link in nodes]
        self.pass_(10.0)
        for (_, _, link), count in zip(nodes, before, strict=True):
            self.assertApproximates(len(link.sent) - count, 100, 2)


@implementer(IRoleObserver)
class Acting:
    """An observer that does something once it has seen these changes."""

    def __init__(self, roles: Sequence[Role], act: Callable[[], object]) -> None:
        self.roles = list(roles)
        self.act = act
        self.seen: list[Role] = []

    def roleChanged(self, change: RoleChange) -> None:
        self.seen.append(change.new)
        if self.seen == self.roles:
            self.act()


class TurnTests(Nodes):
    """What happens while a node is deciding, telling or stopping, in the same turn of the reactor."""

    def test_stopInObserver(self) -> None:
        """An observer may stop the node: its goodbye is said, and the change to SHUTDOWN is told."""
        for roles in ((Role.STANDBY, Role.ACTIVE), (Role.STANDBY, Role.ACTIVE, Role.STANDBY)):
            alpha, one, link = self.node("alpha", 200)
            acting = Acting(roles, alpha.stop)
            alpha.subscribe(acting)
            alpha.start()
            self.pass_(T + I)
            alpha.drain(True)
            self.pass_(I)
            self.successResultOf(alpha.stop())
            self.assertEqual(acting.seen, [*roles, Role.SHUTDOWN])
            last = alpha.machine.keyring.open(link.sent[-1])
            self.assertEqual((one.held, last.header.leaving), (False, True))

    def test_drainInObserver(self) -> None:
        """What an observer wants is done in the same turn, and does not wait for a heartbeat."""
        alpha, one, _ = self.node("alpha", 200)
        acting = Acting((Role.STANDBY, Role.ACTIVE), lambda: alpha.drain(True))
        alpha.subscribe(acting)
        alpha.start()
        while Role.ACTIVE not in acting.seen:
            self.pass_(0.001)
        self.assertFalse(one.held)
        self.assertEqual(acting.seen[-1], Role.STANDBY)

    def test_hurried(self) -> None:
        """A stop that ends as it is cut short is over, and nothing is said to the contrary later."""
        alpha, one, _ = self.node("alpha", 200)
        alpha.start()
        self.pass_(T + I)
        keeper = alpha.keepers["g"]
        one.delay = None
        stopped = alpha.stop()
        keeper.hurry = one.finish  # type: ignore[method-assign]
        with capturedLogs() as logged:
            self.pass_(STOP_LIMIT + HURRY_LIMIT + 0.1)
        self.successResultOf(stopped)
        errors = [event for event in logged if event["log_level"] >= LogLevel.error]
        self.assertEqual((one.held, errors), (False, []))
        self.assertEqual(self.clock.getDelayedCalls(), [])


class CountedTests(Nodes):
    """A start's number beyond what any clock says."""

    def test_count(self) -> None:
        """One that others brought about is on disk at once: after a restart they could not do so again."""
        store = MemoryStore()
        node, _, link = self.node("a", 100, store=store)
        node.start()
        self.pass_(T)
        for told, kept in ((77, 1), (TRUSTED, TRUSTED + 1)):
            digest = node.machine.rules.digest
            beat = Statement(
                "b", told, 1, (), (Word("a", told, 1),), cluster=clusterId("c"), digest=digest
            )
            link.receiver(Packet(Keyring([b"k" * 16]).seal(beat.datagram), "memory"))
            self.assertEqual((node.machine.session, store.session), (told + 1, kept))


class HeardTests(Nodes):
    """By which configuration the other members were last heard is remembered, for a change of members."""

    def test_heard(self) -> None:
        """Members only, once each, a second later at most; and as of now when it stops."""
        store = MemoryStore()
        quorum = Quorum(frozenset("abc"), 2)
        store.ran = Ran(quorum, ("00",), {})
        node, _, link = self.node("a", 100, quorum=quorum, store=store)
        node.start()
        self.pass_(2 * T)
        writes = store.writes
        for number, name in enumerate("bcxbcxbcx"):
            beat = Statement(name, number, cluster=clusterId("c"), digest=b"8 bytes!")
            link.receiver(Packet(Keyring([b"k" * 16]).seal(beat.datagram), "memory"))
        self.assertEqual(store.ran.heard, dict.fromkeys("bc", b"8 bytes!".hex()))
        self.pass_(RETRY + 0.01)
        self.assertEqual(store.writes, writes + 1)
        self.successResultOf(node.stop())
        self.assertEqual(store.writes, writes + 2)


class ManyTests(Nodes):
    """A node of many groups."""

    names = tuple(f"g{number}" for number in range(60))

    def many(self, delay: float | None = 0.0) -> Node:
        groups = tuple(GroupRules(name, 100) for name in self.names)
        rules = NodeRules("c", "alpha", I, T, groups, 1)
        machine = NativeMachine(rules, Keyring([b"k" * 16]), 1, self.clock.seconds())
        self.resources = {name: MemoryResource(self.clock, name, delay) for name in self.names}
        link = MemoryLink(self.cable)
        self.said: list[int] = []
        link.send = lambda datagram, *way: self.said.append(len(self.begun()))  # type: ignore[method-assign]
        links: Any = [link]
        custody = {name: self.custody(name, each) for name, each in self.resources.items()}
        self.store = MemoryStore()
        node = Node(self.clock, [Speaker(machine, links)], custody, self.store, self.guard)
        self.decisions = 0
        decide = machine.decide

        def counted(now: float, beat: bool = False) -> list[Any]:
            self.decisions += 1
            return decide(now, beat)

        machine.decide = counted  # type: ignore[method-assign]
        self.addCleanup(node.abort)
        node.start()
        return node

    def test_oneDecision(self) -> None:
        """What is told in one turn of the reactor is decided on once, in the next one, and noted at once."""
        node = self.many()
        self.pass_(T + I + 0.005)
        self.decisions = 0
        for name in self.names:
            node.tell(Judged(name, "test", Fitness.UNFIT, "out of paper"))
        fitness = {e.me.verdicts.fitness for e in node.machine.elections.values()}
        self.assertEqual((self.decisions, fitness), (0, {Fitness.UNFIT}))
        self.assertTrue(all(resource.held for resource in self.resources.values()))
        self.clock.advance(0)
        # Once for what was told, and once for what is released by it, before anything is sent.
        self.assertEqual(self.decisions, 2)
        self.assertFalse(any(resource.held for resource in self.resources.values()))

    def test_order(self) -> None:
        """Of what is told in one turn the last word counts."""
        node = self.many()
        self.pass_(T + I + 0.005)
        node.tell(Judged("g1", "test", Fitness.UNFIT, "out of paper"))
        node.tell(Judged("g1", "test", Fitness.FIT))
        self.pass_(I)
        self.assertTrue(self.resources["g1"].held)

    def test_stopped(self) -> None:
        """A stop is done at once, with all that was told before it."""
        node = self.many()
        self.pass_(T + I + 0.005)
        node.tell(Judged("g1", "test", Fitness.UNFIT, "out of paper"))
        self.successResultOf(node.stop())
        self.assertFalse(any(resource.held for resource in self.resources.values()))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_closed(self) -> None:
        """What was told is not decided on once all is closed."""
        node = self.many()
        self.pass_(T + I + 0.005)
        node.tell(Judged("g1", "test", Fitness.UNFIT, "out of paper"))
        node.abort()
        self.decisions = 0
        self.pass_(I)
        self.assertEqual((self.decisions, self.resources["g1"].held), (0, True))

    def test_begun(self) -> None:
        """The others hear of the claims when some acquisitions have begun, and not only after all of them."""
        self.many()
        self.pass_(T + I)
        self.assertEqual(next(filter(None, self.said)), BEGUN)
        self.assertEqual(self.begun(), set(self.names))

    def test_notWanted(self) -> None:
        """One that is not wanted any more when its turn comes does not begin."""
        keepers = {name: Mock() for name in self.names}
        performer = Performer(self.clock, cast(Any, keepers), Mock(), Mock(), Mock())
        for name in self.names:
            performer.perform(Hold(name, 7))
        performer.perform(Release("g0"))
        performer.perform(Release("g55"))
        self.clock.advance(0)
        called = [name for name, keeper in keepers.items() if keeper.hold.called]
        self.assertEqual(called, [name for name in self.names if name != "g55"])
        self.assertEqual(
            [k for k, keeper in keepers.items() if keeper.release.called], ["g0", "g55"]
        )

    def begun(self) -> set[str]:
        return {name for name, each in self.resources.items() if "acquire" in each.transcript}

    def test_oneWrite(self) -> None:
        """What is to be remembered of all groups is one write; while one is under way the rest is one more."""
        node = self.many()
        persister, writes = node.driver.persister, self.store.writes
        for name in self.names:
            persister.persist(name, Record(99))
        self.clock.advance(0)
        self.assertEqual(self.store.writes, writes + 1)
        self.store.hangs = True
        for number in (120, 150):
            for name in self.names:
                persister.persist(name, Record(number))
            self.clock.advance(0)
        self.store.goOn()
        self.clock.advance(0)
        self.assertEqual(self.store.writes, writes + 3)
        self.assertEqual({self.store.records[name] for name in self.names}, {Record(150)})


class MemoryOfTermsTests(Nodes):
    """Terms and votes are remembered by a store; what happens when it cannot."""

    full = OSError(errno.ENOSPC, "No space left on device")

    def voters(self) -> list[tuple[Node, MemoryResource, MemoryStore]]:
        quorum = Quorum(frozenset(("alpha", "beta")), 2)
        found = []
        for name, priority in (("alpha", 200), ("beta", 100)):
            store = MemoryStore()
            node, resource, _ = self.node(name, priority, quorum=quorum, store=store)
            found.append((node, resource, store))
        return found

    def test_gone(self) -> None:
        """What is on disk at last, of a group that is here no more, is not written again and again."""
        store = MemoryStore()
        alpha, _, _ = self.node("alpha", 200, store=store)
        alpha.start()
        store.failure = self.full
        alpha.driver.persister.persist(*Persist("gone", Record(16)))
        alpha.driver.persister.flush()
        store.failure, writes = None, store.writes
        self.pass_(3 * RETRY)
        self.assertEqual((store.writes, store.records["gone"]), (writes + 1, Record(16)))

    def test_written(self) -> None:
        """A term is on disk before the claim that uses it, with room for many more, and the session with it."""
        store = MemoryStore()
        alpha, one, _ = self.node("alpha", 200, session=7, store=store)
        alpha.start()
        self.assertEqual(store.session, 7)
        self.assertGreater(store.records["g"].reserved, 1)
        self.pass_(T + I)
        self.assertTrue(one.held)
        writes = store.writes
        self.pass_(5.0)
        self.assertEqual(store.writes, writes)

    def test_notAgain(self) -> None:
        """After a restart no term is used that an earlier start may have used."""
        store = MemoryStore()
        alpha, _, _ = self.node("alpha", 200, store=store)
        alpha.start()
        self.pass_(T + I)
        first = alpha.machine.elections["g"].standing.claim
        alpha.abort()
        alpha, _, _ = self.node("alpha", 200, session=2, store=store)
        alpha.start()
        self.pass_(T + I)
        second = alpha.machine.elections["g"].standing.claim
        assert first is not None
        assert second is not None
        self.assertGreater(second.term, first.term)

    def test_withoutQuorumItGoesOn(self) -> None:
        """A full disk keeps nobody from holding who needs no votes; it is logged once, and its end too."""
        store = MemoryStore()
        store.failure = self.full
        alpha, one, _ = self.node("alpha", 200, store=store)
        with capturedLogs() as logs:
            alpha.start()
            self.pass_(5 * RETRY)
            self.assertTrue(one.held)
            told = [e for e in logs if e["log_level"] is LogLevel.error]
            self.assertEqual(len(told), 1, told)
            self.assertIn("No space left on device", told[0]["error"])
            self.assertIn("a term may be used twice", told[0]["consequence"])
            store.failure = None
            self.pass_(RETRY + 0.01)
            self.assertEqual(store.session, 1)
            self.assertGreater(store.records["g"].reserved, 1)
            self.assertEqual(
                [e["log_format"] for e in logs if "remembered again" in e["log_format"]],
                ["Terms can be remembered again"],
            )

    def test_withQuorumNobodyAsks(self) -> None:
        """Where claims take votes, nobody asks for any, or gives any, that is not on disk; later they do."""
        (alpha, one, first), (beta, two, second) = self.voters()
        first.failure = second.failure = self.full
        with capturedLogs() as logs:
            alpha.start()
            beta.start()
            self.pass_(3.0)
            self.assertEqual((one.held, two.held), (False, False))
            said = {e["consequence"] for e in logs if e["log_level"] is LogLevel.error}
            self.assertEqual(said, {"no claim is made and no vote given beyond those on disk"})
            self.assertEqual({alpha.roles["g"], beta.roles["g"]}, {Role.STANDBY})
        first.failure = second.failure = None
        self.pass_(RETRY + T + I)
        self.assertEqual((one.held, two.held), (True, False))

    def test_voterWithoutDisk(self) -> None:
        """One of two that cannot remember gives no vote, so that the other one does not hold."""
        (alpha, one, _), (beta, two, second) = self.voters()
        second.failure = self.full
        alpha.start()
        beta.start()
        self.pass_(3.0)
        self.assertEqual((one.held, two.held), (False, False))

    def standby(self, votes: bool) -> tuple[list[Node], list[MemoryResource], list[MemoryStore]]:
        """The worthier alpha holds, and beta could."""
        nodes, resources, stores = zip(*self.voters(), strict=True)
        if not votes:
            self.cable.links.clear()
            found = [self.node(n, p, store=MemoryStore()) for n, p in (("a", 200), ("b", 100))]
            nodes, resources, _ = zip(*found, strict=True)
            stores = tuple(node._store for node in nodes)
        for node in nodes:
            node.start()
        self.pass_(T + 2 * I)
        self.assertEqual([one.held for one in resources], [True, False])
        return list(nodes), list(resources), list(stores)

    def test_degraded(self) -> None:
        """
        A holder that cannot remember hands over to a node that can, with votes or without, as long as its disk
        fails; status, heartbeats and the log have the reason. Then it is like the others again.
        """
        for votes in (True, False):
            nodes, resources, stores = self.standby(votes)
            (alpha, _), (first, _) = nodes, stores
            first.failure = self.full
            alpha.driver.persister.persist(*Persist("g", Record(99)))
            self.pass_(1.0)
            self.assertEqual([one.held for one in resources], [False, True], votes)
            group = alpha.machine.elections["g"]
            self.assertIs(group.me.verdicts.fitness, Fitness.DEGRADED)
            reason = "terms and votes cannot be remembered: [Errno 28] No space left on device"
            self.assertEqual(group.me.verdicts.reason, reason)
            self.pass_(5.0)
            self.assertEqual([one.held for one in resources], [False, True], votes)
            first.failures = 1
            self.pass_(3 * RETRY)
            self.assertIs(group.me.verdicts.fitness, Fitness.FIT)
            self.assertEqual([one.held for one in resources], [True, False], votes)
            for node in nodes:
                node.abort()

    def test_slow(self) -> None:
        """A disk that hangs is as bad as a full one, after two seconds; one that is slow is not."""
        nodes, resources, stores = self.standby(votes=False)
        alpha, first = nodes[0], stores[0]
        for wait, holds in ((SLOW - 0.1, True), (SLOW + 1.0, False)):
            first.hangs = True
            alpha.driver.persister.persist(*Persist("g", Record(99)))
            self.pass_(wait)
            self.assertEqual(resources[0].held, holds)
            first.goOn()
            self.pass_(3.0)
            self.assertEqual([one.held for one in resources], [True, False])

    def test_usedUp(self) -> None:
        """When the disk fills later, claims go on up to the last term on disk, and not beyond."""
        (alpha, one, first), (beta, _, _) = self.voters()
        alpha.start()
        beta.start()
        self.pass_(T + I)
        self.assertTrue(one.held)
        first.failure = self.full
        beta.machine.tell(
            Judged("g", "", Fitness.UNFIT, "so that alpha must"), self.clock.seconds()
        )
        group = alpha.machine.elections["g"]
        for left, holds in ((1, True), (0, False)):
            group.terms.highest = group.terms.reserved - left
            one.lose("taken away")
            self.pass_(0.01)
            self.assertFalse(one.held)
            group.backoff.until = self.clock.seconds()
            self.pass_(1.0)
            self.assertEqual(one.held, holds)


class OperatorTests(Nodes):
    """What an operator can ask of a running node."""

    def setUp(self) -> None:
        super().setUp()
        self.store = MemoryStore()
        self.alpha, self.one, _ = self.node("alpha", 200, store=self.store)
        self.beta, self.two, _ = self.node("beta", 100)
        for node in (self.alpha, self.beta):
            node.start()
            self.addCleanup(node.abort)
        self.pass_(T + I)

    def held(self) -> tuple[bool, bool]:
        return (self.one.held, self.two.held)

    def test_move(self) -> None:
        """A group is moved within the turn, stays, and is given back to the worthiest."""
        self.alpha.move("g", "beta")
        self.pass_(0.002)
        self.assertEqual(self.held(), (False, True))
        self.pass_(3.0)
        self.assertEqual(self.held(), (False, True))
        self.alpha.move("g", None)
        self.pass_(0.002)
        self.assertEqual(self.held(), (True, False))

    def test_moveAtTheOther(self) -> None:
        """A node that does not hold asks the holder, at once."""
        self.beta.move("g", "beta")
        self.pass_(0.002)
        self.assertEqual(self.held(), (False, True))

    def test_cannotMove(self) -> None:
        """What cannot be done is said in a sentence, and changes nothing."""
        error = self.assertRaises(ValueError, self.alpha.move, "g", "gamma")
        self.assertEqual(str(error), "gamma is not known here")
        error = self.assertRaises(ValueError, self.alpha.move, "web", "beta")
        self.assertEqual(str(error), "no group web; there are: g")
        self.assertRaises(ValueError, self.alpha.others, "web")
        self.pass_(T)
        self.assertEqual(self.held(), (True, False))
        self.beta.abort()
        error = self.assertRaises(ValueError, self.beta.move, "g", "beta")
        self.assertEqual(str(error), "this node does not run")

    def test_drain(self) -> None:
        """A drained node hands over within the turn, and so it stays over a restart until it is drained no more."""
        self.assertEqual(self.alpha.others("g"), ["beta"])
        self.successResultOf(self.alpha.drain(True))
        self.pass_(0.002)
        self.assertTrue(self.alpha.drained)
        self.assertEqual(self.held(), (False, True))
        self.successResultOf(self.alpha.stop())
        alpha, one, _ = self.node("alpha", 200, session=2, store=self.store)
        alpha.start()
        self.addCleanup(alpha.abort)
        self.assertTrue(alpha.drained)
        self.pass_(2.0)
        self.assertFalse(one.held)
        self.successResultOf(alpha.drain(False))
        self.pass_(0.002)
        self.assertTrue(one.held)
        self.assertFalse(self.store.drained)

    def test_drainNotRemembered(self) -> None:
        """A drain that cannot be written down is done, and whoever asked for it is told that a restart ends it."""
        self.store.failure = OSError(errno.ENOSPC, "No space left on device")
        self.failureResultOf(self.alpha.drain(True), OSError)
        self.pass_(0.002)
        self.assertTrue(self.alpha.drained)
        self.assertEqual(self.held(), (False, True))

    def test_sources(self) -> None:
        """Each source of fitness speaks for itself: one that is content does not overrule another."""
        self.alpha.tell(Judged("g", "carrier", Fitness.UNFIT, "no carrier on eth0"))
        self.alpha.tell(Judged("g", "checks", Fitness.FIT, ""))
        self.pass_(0.002)
        self.assertEqual(self.held(), (False, True))
        self.alpha.tell(Judged("g", "carrier", Fitness.FIT, ""))
        self.pass_(0.002)
        self.assertEqual(self.held(), (True, False))
