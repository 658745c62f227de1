"""Commands of events, with real programs."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, cast

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import deferLater
from twisted.logger import capturedLogs
from zope.interface.verify import verifyObject

from hatwist.core.claims import Role
from hatwist.core.effects import EVENTS, Event, RoleChange
from hatwist.resources.memory import MemoryResource
from hatwist.runtime import hooks
from hatwist.runtime.hooks import QUEUE, Hooks
from hatwist.runtime.interfaces import IEventObserver, IRoleObserver
from hatwist.runtime.keeper import Keeper
from hatwist.runtime.node import Node
from hatwist.runtime.reporter import Reporter
from tests.unit.resources.test_command import Programs, gone, reactor, until

NAMES = ("EVENT", "CLUSTER", "NODE", "GROUP", "ROLE", "TERM", "PEER", "REASON")


class Observed:
    """What hooks use of a node."""

    def __init__(self) -> None:
        self.resource = MemoryResource(reactor, "r")
        self.cluster, self.name = "c1", "alpha"
        self.reporter = Reporter(["web", "mail"])
        self.subscribed = 0

    def employ(self, made: Hooks) -> None:
        """Keep the resource, with what these hooks prepare for it."""
        self.keeper = Keeper(reactor, "web", [self.resource], first=made.prepared)
        self.keeper.start(lambda: None, lambda reason: None, lambda: None)
        self.keeper.release()

    def subscribe(self, observer: IRoleObserver, group: str = "") -> Callable[[], None]:
        unsubscribe = self.reporter.subscribe(observer, group)
        self.subscribed += 1

        def end() -> None:
            self.subscribed -= 1
            unsubscribe()

        return end

    def change(self, old: Role, new: Role, term: int, reason: str = "", group: str = "web") -> None:
        self.reporter.report(RoleChange("c1", group, old, new, term, reason))

    def note(self, kind: str, peer: str = "", reason: str = "", group: str = "") -> None:
        self.reporter.report(Event(kind, group, peer, reason))


class HooksTests(Programs):
    """One group of one node."""

    def setUp(self) -> None:
        super().setUp()
        self.node = Observed()
        self.running: list[Hooks] = []
        self.addCleanup(lambda: gatherResults([each.stop(0) for each in self.running]))

    def hooks(self, commands: dict[str, Sequence[Sequence[str]]], timeout: float = 5.0) -> Hooks:
        made = Hooks(reactor, "web", commands, timeout)
        self.node.employ(made)
        made.start(cast(Node, self.node))
        self.running.append(made)
        return made

    def recording(self, *events: str, wait: str = ":") -> dict[str, Sequence[Sequence[str]]]:
        """Commands that write a line of what they are told."""
        words = "|".join(f"$HATWIST_{name}" for name in NAMES)
        script = f'{wait}; printf "%s\\n" "{words}|$*" >>"$0"'
        return {event: [["sh", "-c", script, self.path("said"), "arg"]] for event in events}

    def said(self) -> list[str]:
        try:
            return (self.where / "said").read_text().splitlines()
        except FileNotFoundError:
            return []

    async def untilSaid(self, count: int) -> list[str]:
        await until(lambda: len(self.said()) >= count)
        return self.said()

    def test_provides(self) -> None:
        """It is an observer of roles and of events."""
        self.assertTrue(verifyObject(IEventObserver, Hooks(reactor, "web", {})))

    def test_unknown(self) -> None:
        """An event that does not exist is a mistake, told with those that do."""
        with self.assertRaisesRegex(ValueError, "'aquired'.*acquired"):
            Hooks(reactor, "web", {"aquired": [["true"]]})

    async def test_environment(self) -> None:
        """Each event tells what happened in the environment, and only there."""
        self.hooks(self.recording(*EVENTS))
        self.node.note("peer-joined", "beta", "heard")
        await self.untilSaid(1)
        self.node.keeper.hold(7)
        await self.untilSaid(2)
        self.node.change(Role.STANDBY, Role.ACTIVE, 7, "no holder was heard")
        self.node.note("conflict", "beta", "it is ACTIVE too", "web")
        self.node.note("peer-left", "beta", "silent for 0.350 s")
        await self.untilSaid(5)
        self.node.change(Role.ACTIVE, Role.STANDBY, 7, "moved to beta")
        self.node.keeper.release()
        await self.untilSaid(6)
        self.assertEqual(
            self.said(),
            [
                "peer-joined|c1|alpha|web|STANDBY|0|beta|heard|arg",
                "prepare|c1|alpha|web|STANDBY|7|||arg",
                "acquired|c1|alpha|web|ACTIVE|7||no holder was heard|arg",
                "conflict|c1|alpha|web|ACTIVE|7|beta|it is ACTIVE too|arg",
                "peer-left|c1|alpha|web|ACTIVE|7|beta|silent for 0.350 s|arg",
                "released|c1|alpha|web|STANDBY|7||moved to beta|arg",
            ],
        )

    async def test_fromTheNetwork(self) -> None:
        """What a peer says reaches a command as one line of text: neither NUL nor line feed harm."""
        self.hooks(self.recording("conflict"))
        self.node.note("conflict", "beta", "a\0b\nc\x1b[2J $(id) 'é'" + "x" * 5000, "web")
        (line,) = await self.untilSaid(1)
        reason = line.split("|")[7]
        self.assertTrue(reason.startswith("a\ufffdb\ufffdc\ufffd[2J $(id) 'é'xxx"), reason)
        self.assertEqual(len(reason), hooks.REASON)

    async def test_others(self) -> None:
        """What happens to another group runs nothing, nor does an event that is none of these."""
        self.hooks(self.recording(*EVENTS))
        self.node.change(Role.STANDBY, Role.ACTIVE, 1, group="db")
        self.node.note("conflict", "beta", "", "db")
        self.node.note("stalled", "", "this node did nothing for 1 s")
        self.node.note("peer-left", "beta", "it said goodbye")
        lines = await self.untilSaid(1)
        await deferLater(reactor, 0.05)
        self.assertEqual([line.split("|")[0] for line in lines], ["peer-left"])

    async def test_order(self) -> None:
        """Commands run one after the other, in the order of events, each awaited, all of one event in their order."""
        log = self.path("said")

        def slow(word: str) -> list[str]:
            script = f'echo "{word}($HATWIST_PEER" >>$0; sleep 0.05; echo "{word})" >>$0'
            return ["sh", "-c", script, log]

        self.hooks({"peer-joined": [slow("a"), slow("b")], "peer-left": [slow("c")]})
        self.node.note("peer-joined", "beta")
        self.node.note("peer-left", "beta")
        self.node.note("peer-joined", "gamma")
        self.assertEqual(
            await self.untilSaid(10),
            [
                *("a(beta", "a)", "b(beta", "b)", "c(beta", "c)"),
                *("a(gamma", "a)", "b(gamma", "b)"),
            ],
        )

    async def test_failures(self) -> None:
        """A command that fails, is missing, or takes too long is told, and the next one runs."""
        hang = self.hanging()
        commands = [["sh", "-c", "echo no >&2; exit 3"], ["/none/such"], hang]
        self.hooks({"acquired": [*commands, *self.recording("x")["x"]]}, timeout=0.3)
        with capturedLogs() as events:
            self.node.change(Role.STANDBY, Role.ACTIVE, 1)
            await self.untilSaid(1)
        reasons = [e["reason"] for e in events if "a command of the event" in e["log_format"]]
        self.assertEqual(len(reasons), 3)
        self.assertIn("ended with 3 (no)", reasons[0])
        self.assertIn("no such program", reasons[1])
        self.assertIn("not done within 0.3 s", reasons[2])
        self.assertTrue(all(gone(pid) for pid in self.pids(2)))

    async def test_notInThisTurn(self) -> None:
        """Nothing is started in the turn of the reactor in which something happened."""
        started: list[object] = []
        spawn = reactor.spawnProcess

        def spawning(*args: Any, **more: Any) -> object:
            started.append(args)
            return spawn(*args, **more)

        self.patch(reactor, "spawnProcess", spawning)
        self.hooks(self.recording("acquired"))
        self.node.change(Role.STANDBY, Role.ACTIVE, 1)
        self.assertEqual(started, [])
        await self.untilSaid(1)
        self.assertEqual(len(started), 1)

    async def test_bounded(self) -> None:
        """So many events may wait; then the oldest is dropped, and told; the newest is never lost."""
        gate = self.path("gate")
        made = self.hooks(
            self.recording("peer-left", wait=f"while ! test -e {gate}; do sleep 0.02; done")
        )
        with capturedLogs() as events:
            for number in range(QUEUE + 6):
                self.node.note("peer-left", f"n{number}")
                if not number:
                    await deferLater(reactor, 0.05)
        dropped = [e["about"] for e in events if "no command runs" in e["log_format"]]
        self.assertEqual(dropped, [" (n1)", " (n2)", " (n3)", " (n4)", " (n5)"])
        self.assertEqual(made.dropped, 5)
        with open(gate, "w"):
            pass
        said = await self.untilSaid(QUEUE + 1)
        peers = [line.split("|")[6] for line in said]
        self.assertEqual(peers, ["n0", *(f"n{n}" for n in range(6, QUEUE + 6))])

    async def test_prepareIsAwaited(self) -> None:
        """Nothing is acquired before the commands of C{prepare} have ended; it waits for no other event's."""
        self.hooks(
            {
                **self.recording("peer-joined", wait="sleep 5"),
                **self.recording("prepare", wait="sleep 0.1"),
            }
        )
        self.node.note("peer-joined", "beta")
        await deferLater(reactor, 0.05)
        began = time.monotonic()
        self.node.keeper.hold(3)
        self.assertEqual(self.node.resource.transcript[-1], "released")
        await until(lambda: self.node.resource.held)
        self.assertEqual([line.split("|")[0] for line in self.said()], ["prepare"])
        self.assertLess(time.monotonic() - began, 2)

    async def test_prepareFails(self) -> None:
        """A preparation that fails hinders nothing, and is told."""
        self.hooks({"prepare": [["false"]]})
        with capturedLogs() as events:
            self.node.keeper.hold(3)
            await until(lambda: self.node.resource.held)
        self.assertTrue(any("preparation failed" in e["log_format"] for e in events))

    async def test_prepareHangs(self) -> None:
        """A preparation that hangs costs no more than the group's limit for each command."""
        self.hooks({"prepare": [["sleep", "600"], ["sleep", "601"]]}, 0.2)
        began = time.monotonic()
        self.node.keeper.hold(3)
        await until(lambda: self.node.resource.held)
        self.assertGreater(time.monotonic() - began, 0.4)
        self.assertLess(time.monotonic() - began, 3)

    async def test_prepareIsCut(self) -> None:
        """A release while it is being prepared kills what runs, and each C{prepare} has its C{released}."""
        self.hooks({"prepare": [self.hanging()], **self.recording("released")})
        self.node.keeper.hold(3)
        await until(lambda: self.pids(2))
        self.node.keeper.release()
        await until(lambda: all(gone(pid) for pid in self.pids(2)))
        (line,) = await self.untilSaid(1)
        self.assertTrue(line.startswith("released|c1|alpha|web|STANDBY|3|"), line)

    async def test_releasedAfterFailure(self) -> None:
        """An acquisition that failed is over too; the reason is why it did."""
        self.hooks(self.recording("acquired", "released"))
        self.node.resource.failNext("acquire", "full")
        self.node.keeper.hold(4)
        self.node.note("acquire-failed", "", "r: full", "web")
        (line,) = await self.untilSaid(1)
        self.assertTrue(line.startswith("released|c1|alpha|web|STANDBY|4||r: full"), line)

    async def test_releasedBeforeItIsTold(self) -> None:
        """The role change that follows a release may be decided some turns later: C{released} has its reason."""
        self.hooks(self.recording("released"))
        self.node.keeper.hold(4)
        await until(lambda: self.node.resource.held)
        self.node.change(Role.STANDBY, Role.ACTIVE, 4)
        self.node.keeper.release()
        await until(lambda: not self.node.resource.held)
        await deferLater(reactor, 0.05)
        self.assertEqual(self.said(), [])
        self.node.change(Role.ACTIVE, Role.STANDBY, 4, "moved to beta")
        (line,) = await self.untilSaid(1)
        self.assertTrue(line.startswith("released|c1|alpha|web|STANDBY|4||moved to beta"), line)

    async def test_releasedAtTheEnd(self) -> None:
        """A node that stops runs C{released} too, and its end is awaited."""
        made = self.hooks(self.recording("released", wait="sleep 0.1"))
        self.node.change(Role.STANDBY, Role.ACTIVE, 4)
        self.node.change(Role.ACTIVE, Role.SHUTDOWN, 4, "stopped")
        await made.stop()
        (line,) = self.said()
        self.assertTrue(line.startswith("released|c1|alpha|web|SHUTDOWN|4||stopped"), line)
        self.assertEqual(self.node.subscribed, 0)

    async def test_stopIsBounded(self) -> None:
        """Commands that do not end are killed a while after the node has stopped, and what waits is told."""
        made = self.hooks({"acquired": [self.hanging()], **self.recording("peer-left")})
        self.node.change(Role.STANDBY, Role.ACTIVE, 4)
        self.node.note("peer-left", "beta")
        await until(lambda: self.pids(2))
        with capturedLogs() as events:
            await made.stop(0.1)
        await until(lambda: all(gone(pid) for pid in self.pids(2)))  # the kernel takes its time
        (told,) = [e for e in events if "stopped while commands" in e["log_format"]]
        self.assertEqual(told["unrun"], 1)
        self.assertEqual(self.said(), [])

    async def test_nothingToDo(self) -> None:
        """Without commands nothing is started, nothing waited for."""
        made = self.hooks({})
        self.patch(reactor, "spawnProcess", None)
        self.node.keeper.hold(1)
        self.assertTrue(self.node.resource.held)
        self.node.change(Role.STANDBY, Role.ACTIVE, 1)
        done: Deferred[None] = made.stop()
        self.successResultOf(done)
