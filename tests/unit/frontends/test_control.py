"""Tests for L{hatwist.frontends.control}: real sockets, services of this process on the loopback interface."""

from __future__ import annotations

import os
import shutil
import socket
import stat
import tempfile
from collections.abc import Callable
from typing import Any
from unittest import mock

from twisted.internet import reactor
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.internet.threads import deferToThread
from twisted.logger import Logger, LogLevel, capturedLogs, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from hatwist.core.claims import Claim, Role
from hatwist.core.effects import Change
from hatwist.core.errors import BadPacket, ConfigurationError
from hatwist.core.reports import Judged
from hatwist.core.worth import Fitness, Worth
from hatwist.frontends.cli.status import exitStatus
from hatwist.frontends.control import boxes, place, server
from hatwist.frontends.control.answers import ControlAnswers
from hatwist.frontends.control.boxes import CommandRefused
from hatwist.frontends.control.client import Client, NotRunning, Unclear, find
from hatwist.frontends.control.levels import Threshold
from hatwist.frontends.control.server import Control, Server
from hatwist.protocols.native.datagram import GroupState
from hatwist.service.service import HAService
from hatwist.service.snapshot import RECALLED
from hatwist.settings import GroupSettings
from tests.statements import Statement
from tests.unit.service import test_service

NOBODY = 65534


class BoxTests(SynchronousTestCase):
    """JSON of any size goes into AMP's boxes."""

    def test_big(self) -> None:
        """A value of a megabyte is cut into pieces that fit, and joined again."""
        value = ["x" * 1000] * 1000
        cut = boxes.pieces("answer", value)
        self.assertEqual(len(cut), 16)
        self.assertTrue(all(len(piece) <= boxes.MAX_VALUE for piece in cut.values()))
        self.assertEqual(boxes.joined("answer", cut), value)

    def test_encode(self) -> None:
        """The bytes are AMP's (each key and value after its length, and an empty key at the end)."""
        box = {b"a": b"1", b"bc": b""}
        data = boxes.encode(box)
        self.assertEqual(data, b"\0\1a\0\x011\0\2bc\0\0\0\0")
        self.assertEqual(boxes.decode(data + b"rest"), (box, b"rest"))
        for end in range(len(data)):
            self.assertIsNone(boxes.decode(data[:end]))

    def test_noBox(self) -> None:
        """What is no AMP is an error, not something to be waited for."""
        self.assertRaises(ValueError, boxes.decode, b"HTTP/1.1 200 OK\r\n")

    def test_nothing(self) -> None:
        """A box without the value is an error."""
        self.assertRaises(ValueError, boxes.joined, "answer", {})


class SocketTestCase(test_service.ServiceTestCase):
    """Services with a control socket."""

    def setUp(self) -> None:
        super().setUp()
        # The path of a socket is short; that of a test's directory is not.
        self.directory = tempfile.mkdtemp(prefix="hatwist")
        self.addCleanup(shutil.rmtree, self.directory)
        self.path = os.path.join(self.directory, "web.alpha.sock")

    def controlled(self, *resources: Any, path: str | None = None, **changes: Any) -> HAService:
        # Long enough for a machine that has much else to do.
        times = {"interval": 0.05, "tolerance": 0.5}
        service = self.service(*resources, **{**times, **changes})
        Control(service, reactor, path or self.path).setServiceParent(service)
        return service

    def ask(self, command: str, path: str | None = None, **arguments: Any) -> Deferred[Any]:
        """In a thread, since this reactor is the one that answers."""

        def asking() -> Any:
            with Client(path or self.path) as client:
                return client.call(command, **arguments)

        return deferToThread(asking)


class AnswerTests(SocketTestCase):
    """What is asked, and answered."""

    async def test_status(self) -> None:
        """The whole status comes through."""
        service = self.controlled(self.resource("one"), cluster="web")
        await self.active(service)
        found = await self.ask("Status")
        self.assertEqual((found["cluster"], found["node"]), ("web", "alpha"))
        group = found["groups"]["default"]
        self.assertEqual((group["role"], group["holder"]), ("ACTIVE", "alpha"))
        self.assertEqual(group["resources"], ["one"])
        self.assertEqual(found["nodes"]["alpha"]["self"], True)
        self.assertEqual(found["history"][-1]["new"], "ACTIVE")
        self.assertGreater(found["counters"]["sent"], 0)
        self.assertEqual(found["groups"]["default"]["reason"], "no holder was heard")

    async def test_acquiring(self) -> None:
        """A node that has claimed, and waits for a resource, is a standby for scripts, and shown as acquiring."""
        resource = self.resource("slow")
        service = self.controlled(resource)
        resource.delay = None
        service.startService()
        await self.until(lambda: "slow: release" in self.transcript)  # what an earlier start left
        resource.finish()
        await self.until(lambda: "slow: acquire" in self.transcript)
        found = await self.ask("Status")
        self.assertEqual(found["groups"]["default"]["holder"], "alpha")
        self.assertEqual(
            found["groups"]["default"]["under_way"], {"alpha": "acquiring, step 2 of 2"}
        )
        self.assertEqual(exitStatus(found, "default"), 1)
        resource.finish()
        await self.until(lambda: service.role is Role.ACTIVE)
        found = await self.ask("Status")
        self.assertEqual(found["groups"]["default"]["under_way"], {})
        self.assertEqual(exitStatus(found, "default"), 0)

    async def test_why(self) -> None:
        """The paragraph comes with the time of day; the flight recorder, if wanted."""
        await self.active(self.controlled())
        found = await self.ask("Why")
        self.assertIn("alpha holds default", found["groups"]["default"]["text"])
        self.assertRegex(found["groups"]["default"]["text"], r"since \d{4}-\d\d-\d\d \d\d:\d\d")
        self.assertNotIn("recorder", found)
        full = await self.ask("Why", group="default", full=True)
        self.assertIn("STANDBY -> ACTIVE", "".join(text for _, _, text in full["recorder"]))
        for group in ("mail", ""):
            error = await self.assertFailure(self.ask("Why", group=group), CommandRefused)
            self.assertEqual(str(error), f"there is no group {group!r}; there is default")

    async def test_troubles(self) -> None:
        """Packets that were dropped of late are told, and so is why a node gave way to another of its name."""
        service = self.controlled()
        await self.active(service)
        self.assertEqual((await self.ask("Why"))["troubles"], [])
        node(service).links[0]._count(BadPacket("unsigned"), ("10.0.0.2", 6543))
        (told,) = (await self.ask("Why"))["troubles"]
        self.assertRegex(
            told,
            "10.0.0.2 does not sign its heartbeats, and this node has a key: "
            r"1 packet was rejected on lo since the start, .+ \(unsigned\)",
        )
        machine = node(service).machine
        claim = Claim(1 << 30, Worth(Fitness.FIT, 100, 1, "alpha"))
        state = GroupState("default", Role.ACTIVE, Fitness.FIT, 100, claim=claim)
        twin = Statement("alpha", 1, machine.session + 1, (state,), tolerance=9.0, address=1)
        self.assertRaises(BadPacket, machine.hear, twin.datagram, "lo", service.seconds())
        await self.until(lambda: service.role is Role.STANDBY)
        found = await self.ask("Status")
        self.assertRegex(
            found["troubles"][0], "another host runs a node alpha, so this one holds nothing"
        )
        why = await self.ask("Why")
        self.assertIn(
            "is silent and holds nothing: another host runs a node of this name",
            why["groups"]["default"]["text"],
        )

    async def test_bigAnswer(self) -> None:
        """An answer of more than a box's value holds, comes through; a second question after it too."""
        service = self.controlled()
        await self.active(service)
        for number in range(900):
            service.history.add(Change(0.0, "beta", "default", "", "STANDBY", number, "x" * 400))

        def asking() -> Any:
            with Client(self.path) as client:
                return client.call("History"), client.call("History", limit=1)

        everything, last = await deferToThread(asking)
        self.assertGreaterEqual(len(everything), 900)
        self.assertEqual([entry["term"] for entry in last], [899])

    async def test_watch(self) -> None:
        """Watch answers at the next change, and without one after the time given."""
        service = self.controlled()
        await self.active(service)
        quiet = await self.ask("Watch", wait=0.05)
        self.assertEqual(quiet["groups"]["default"]["role"], "ACTIVE")
        waiting = self.ask("Watch", wait=30.0)
        await self.until(lambda: len(node(service).driver.reporter.watchers) == 2)
        node(service).tell(Judged("default", "test", Fitness.UNFIT, "test"))
        found = await waiting
        self.assertEqual(found["groups"]["default"]["role"], "STANDBY")

    async def test_announce(self) -> None:
        """Announcing reaches the resource; what is not held is refused."""
        resource = self.resource("one")
        service = self.controlled(resource)
        service.startService()
        error = await self.assertFailure(self.ask("Announce"), CommandRefused)
        self.assertIn("nothing is held here", str(error))
        await self.until(lambda: service.role is Role.ACTIVE)
        self.assertEqual(await self.ask("Announce"), {"groups": ["default"]})
        self.assertIn("one: announce", self.transcript)

    async def test_wrong(self) -> None:
        """What nobody knows, and arguments that are none, are refused with a sentence."""
        await self.active(self.controlled())
        for command, arguments, words in (
            ("Nonsense", {}, "of another version"),
            ("Preview", {}, "has its configuration from its own code"),
            ("Reload", {}, "has its configuration from its own code"),
            ("Watch", {"wait": "soon"}, "wait: allowed are 0 to 3600 seconds"),
            ("LogLevel", {"level": "loud"}, "there is no level 'loud'; allowed are debug"),
            ("Move", {"group": "mail", "node": "b"}, "there is no group 'mail'"),
            ("Move", {"group": "default", "node": "b"}, "no node 'b' is known; there are alpha"),
        ):
            error = await self.assertFailure(self.ask(command, **arguments), CommandRefused)
            self.assertIn(words, str(error))

    async def test_history(self) -> None:
        """Of one group, the newest only; what is no number, and a group that never was, are refused."""
        service = self.controlled()
        await self.active(service)
        for number in (1, 2):
            service.history.add(Change(0.0, "beta", "former", "", "STANDBY", number, "heard"))
        found = await self.ask("History", group="former", limit=1)
        self.assertEqual([entry["term"] for entry in found], [2])
        for arguments, words in (
            ({"group": "nosuch"}, "there is no group 'nosuch'; there is default"),
            ({"limit": -5}, "limit: allowed is 1 or more"),
            ({"limit": "x"}, "limit: allowed is 1 or more"),
        ):
            error = await self.assertFailure(self.ask("History", **arguments), CommandRefused)
            self.assertEqual(str(error), words)

    async def test_logLevelOfNobody(self) -> None:
        """A namespace in which nobody logs is refused, with one that is like it; modules and classes are not."""
        service = self.controlled()
        await self.active(service)
        error = await self.assertFailure(
            self.ask("LogLevel", level="warn", namespace="hatwist.runtime.lnik"), CommandRefused
        )
        self.assertEqual(
            str(error),
            "nothing here logs as 'hatwist.runtime.lnik'; did you mean hatwist.runtime.link?",
        )
        for namespace in (
            "twisted",
            "hatwist.runtime.link",
            "hatwist.runtime.node.Node",
            "log_legacy",
        ):
            found = await self.ask("LogLevel", level="info", namespace=namespace)
            self.assertEqual(found["namespace"], namespace)

    async def test_logLevel(self) -> None:
        """From then on only what is as grave is logged, in that namespace; a stop undoes it."""
        service = self.controlled()
        await self.active(service)
        log = self.log()
        await self.ask("LogLevel", level="warn", namespace="hatwist.runtime.link")
        for name in ("hatwist.runtime.link.deep", "hatwist.other"):
            Logger(name).info("said {name}", name=name)
            Logger(name).warn("warned {name}", name=name)
        said = [e["log_namespace"] for e in log.events if e["log_format"] == "said {name}"]
        warned = [e["log_namespace"] for e in log.events if e["log_format"] == "warned {name}"]
        self.assertEqual(said, ["hatwist.other"])
        self.assertEqual(warned, ["hatwist.runtime.link.deep", "hatwist.other"])
        await service.stopService()
        Logger("hatwist.runtime.link").info("said again")
        self.assertTrue(any(e["log_format"] == "said again" for e in log.events))


def node(service: HAService) -> Any:
    assert service.node is not None
    return service.node


def alone(service: HAService) -> str:
    """The sentence that comes first where no other node is heard."""
    picture = service.status().picture
    assert picture is not None
    return picture.alone


class MovingTests(SocketTestCase):
    """Two nodes in this process, of which alpha is the worthier; each asked by its own socket."""

    async def pair(self, **group: Any) -> tuple[HAService, HAService]:
        state = self.mktemp()
        self.paths = {n: os.path.join(self.directory, f"{n}.sock") for n in ("alpha", "beta")}
        made = []
        for name, priority in (("alpha", 200), ("beta", 100)):
            service = self.service(
                self.resource(name),
                node=name,
                stateDir=state,
                interval=0.05,
                tolerance=1.0,
                groups=(GroupSettings(priority=priority, **group),),
            )
            Control(service, reactor, self.paths[name]).setServiceParent(service)
            made.append(service)
        alpha, beta = made
        await self.active(alpha)
        beta.startService()
        await self.until(lambda: node(alpha).others("default") == ["beta"])
        return alpha, beta

    def of(self, name: str, command: str, **arguments: Any) -> Deferred[Any]:
        return self.ask(command, self.paths[name], **arguments)

    async def test_move(self) -> None:
        """A dry move tells the plan and does nothing; a move waits until it is done, and is measured."""
        alpha, beta = await self.pair()
        plan = {"plan": ["default: from alpha to beta"]}
        self.assertEqual(
            await self.of("beta", "Move", group="default", node="beta", dry=True), plan
        )
        self.assertIs(alpha.role, Role.ACTIVE)
        found = await self.of("beta", "Move", group="default", node="beta")
        self.assertEqual((alpha.role, beta.role), (Role.STANDBY, Role.ACTIVE))
        (move,) = found["moves"]
        self.assertEqual((move["from"], move["to"]), ("alpha", "beta"))
        self.assertTrue(0 < move["dark"] < move["total"] < 5, move)

    async def test_moveBack(self) -> None:
        """Without a node it goes back to the worthiest, and stays with that if it is there."""
        alpha, _ = await self.pair()
        await self.of("alpha", "Move", group="default", node="beta")
        found = await self.of("alpha", "Move", group="default")
        self.assertEqual(found["plan"], ["default: from beta to alpha, the worthiest"])
        self.assertIs(alpha.role, Role.ACTIVE)
        found = await self.of("beta", "Move", group="default")
        self.assertEqual(found["moves"], [])
        self.assertIn("stays on alpha, the worthiest", found["plan"][0])

    async def test_moveRefused(self) -> None:
        """Nobody who cannot take it is given it, and the reason is told."""
        _, beta = await self.pair()
        node(beta).tell(Judged("default", "test", Fitness.UNFIT, "out of paper"))
        await self.until(lambda: beta.node is not None)
        found = await self.of("beta", "Move", group="default", node="alpha")
        self.assertEqual(found, {"plan": ["default: alpha holds it already"], "moves": []})
        error = await self.assertFailure(
            self.of("beta", "Move", group="default", node="beta"), CommandRefused
        )
        self.assertEqual(str(error), "beta cannot take default: it is unfit: out of paper")

    async def test_drain(self) -> None:
        """Drain hands over, undrain takes back; both are measured, and doing either twice is no error."""
        alpha, beta = await self.pair()
        found = await self.of("alpha", "Drain")
        self.assertEqual(found["plan"][0], "default: from alpha to beta")
        self.assertEqual([move["to"] for move in found["moves"]], ["beta"])
        self.assertIs(beta.role, Role.ACTIVE)
        again = await self.of("alpha", "Drain")
        self.assertEqual(again["plan"], ["alpha is drained already"])
        status = await self.of("beta", "Status")
        told = status["nodes"]["alpha"]["groups"]["default"]
        self.assertEqual(
            (told["fitness"], told["reason"]), ("unfit", "drained (hatwist undrain ends it)")
        )
        found = await self.of("alpha", "Undrain")
        self.assertEqual([(m["from"], m["to"]) for m in found["moves"]], [("beta", "alpha")])
        self.assertIs(alpha.role, Role.ACTIVE)
        again = await self.of("alpha", "Undrain")
        self.assertEqual(again["plan"], ["alpha is not drained"])

    async def test_drainAlone(self) -> None:
        """A node that nobody could succeed is drained by force only, and then holds nothing."""
        resource = self.resource("one")
        service = self.controlled(resource)
        await self.active(service)
        error = await self.assertFailure(self.ask("Drain"), CommandRefused)
        self.assertIn("no other node can take default, so it would be down", str(error))
        self.assertTrue(resource.held)
        found = await self.ask("Drain", force=True)
        self.assertEqual(found["moves"][0]["to"], "")
        self.assertFalse(resource.held)
        found = await self.ask("Undrain")
        self.assertEqual((found["moves"][0]["to"], found["moves"][0]["dark"]), ("alpha", None))
        self.assertTrue(resource.held)

    async def test_undrainStays(self) -> None:
        """Where preemption is off, undrain says that the group stays, and does not wait for it."""
        alpha, _ = await self.pair(preempt=False)
        await self.of("alpha", "Drain")
        found = await self.of("alpha", "Undrain")
        self.assertIn("stays on beta, since preempt is off", found["plan"][1])
        self.assertEqual(found["moves"], [])
        self.assertIs(alpha.role, Role.STANDBY)

    async def test_tooLate(self) -> None:
        """A move that is not done in time says so, and why; it goes on all the same."""
        _, beta = await self.pair()
        resource = beta.groups["default"].resources[-1]
        resource.delay = None
        asked = self.of("alpha", "Move", group="default", node="beta", wait=0.5)
        error = await self.assertFailure(asked, CommandRefused)
        self.assertIn("it has not come about within 0.5 s: beta has claimed default", str(error))
        self.assertIn(
            "It is acquiring, step 2 of 2: beta, and does not hold everything", str(error)
        )
        resource.finish()
        await self.until(lambda: beta.role is Role.ACTIVE)

    async def test_refusedFirst(self) -> None:
        """What cannot be waited for, and an empty name, are refused before anything is moved or drained."""
        alpha, _ = await self.pair()
        for command, arguments, words in (
            ("Move", {"group": "default", "node": "beta", "wait": -1}, "wait: allowed are 0 to"),
            ("Move", {"group": "default", "node": ""}, "node: an empty name"),
            ("Drain", {"wait": 3601}, "wait: allowed are 0 to 3600 seconds"),
            ("Undrain", {"wait": "soon"}, "wait: allowed are 0 to 3600 seconds"),
        ):
            error = await self.assertFailure(self.of("alpha", command, **arguments), CommandRefused)
            self.assertIn(words, str(error))
        self.assertFalse(node(alpha).drained)
        self.assertIsNone(node(alpha).machine.elections["default"].orders.request)
        self.assertIs(alpha.role, Role.ACTIVE)

    async def test_undrainUnfit(self) -> None:
        """What undrain says reckons with what checks say of this node, though it is drained."""
        alpha, _ = await self.pair()
        await self.of("alpha", "Drain")
        for fitness, words in (
            (Fitness.DEGRADED, "default: stays on beta: alpha is degraded: no paper"),
            (Fitness.UNFIT, "default: not yet: alpha is unfit: no paper"),
        ):
            node(alpha).tell(Judged("default", "checks", fitness, "no paper"))
            found = await self.of("alpha", "Undrain", dry=True)
            self.assertEqual(found["plan"], ["alpha may hold again", words])
        node(alpha).tell(Judged("default", "checks", Fitness.DEGRADED, "no paper"))
        found = await self.of("alpha", "Undrain")
        self.assertEqual(found["moves"], [])
        self.assertIs(alpha.role, Role.STANDBY)
        await self.of("alpha", "Drain")
        node(alpha).tell(Judged("default", "checks", Fitness.FIT, ""))
        found = await self.of("alpha", "Undrain")
        self.assertEqual([(m["from"], m["to"]) for m in found["moves"]], [("beta", "alpha")])

    async def test_moveKept(self) -> None:
        """A node that would hold in want of a better one is not ready for a move: the plan says so before."""
        _, beta = await self.pair(lastResort="keep")
        node(beta).tell(Judged("default", "checks", Fitness.UNFIT, "out of paper"))
        for dry in (True, False):
            asked = self.of("beta", "Move", group="default", node="beta", dry=dry)
            error = await self.assertFailure(asked, CommandRefused)
            self.assertIn("out of paper", str(error))

    async def test_alone(self) -> None:
        """
        A holder whose peer falls silent says first that it may be the one that is cut off, and that another may
        hold too; so does a standby, which cannot know who holds. Each has an exit status of its own.
        """
        alpha, beta = await self.pair()
        self.assertEqual((await self.of("alpha", "Status"))["alone"], "")
        node(beta).abort()
        await self.until(lambda: alone(alpha) != "")
        words = (
            "alpha hears no other node: it may be the one that is cut off. Look at the others: beta"
        )
        found = await self.of("alpha", "Status")
        self.assertEqual(found["alone"], words)
        self.assertIn("another node may hold default too", "".join(found["troubles"]))
        self.assertEqual(exitStatus(found), 5)
        error = await self.assertFailure(self.of("alpha", "Drain"), CommandRefused)
        self.assertIn("no other node that is heard can take default, so it may be down", str(error))
        why = await self.of("alpha", "Why")
        self.assertEqual(why["alone"], words)
        self.assertIn("another may hold default too", why["groups"]["default"]["text"])
        node(alpha).tell(Judged("default", "carrier", Fitness.UNFIT, "no carrier on eth0"))
        await self.until(lambda: alpha.role is Role.STANDBY)
        found = await self.of("alpha", "Status")
        self.assertEqual(exitStatus(found), 6)
        why = await self.of("alpha", "Why")
        self.assertIn("cannot tell who holds default", why["groups"]["default"]["text"])
        await self.of("alpha", "Drain")
        node(alpha).tell(Judged("default", "carrier", Fitness.FIT, ""))
        found = await self.of("alpha", "Undrain", dry=True)
        self.assertIn("default: alpha hears no holder; alpha will take it", found["plan"][1])

    async def test_aloneAfterGoodbye(self) -> None:
        """A node whose only peer was stopped is alone as it should be."""
        alpha, beta = await self.pair()
        await beta.stopService()
        await self.until(lambda: node(alpha).machine.view.peers["beta"].left())
        await self.until(lambda: not node(alpha).machine.view.peers["beta"].direct(alpha.seconds()))
        found = await self.of("alpha", "Status")
        self.assertEqual((found["alone"], found["troubles"], exitStatus(found)), ("", [], 0))

    async def test_aloneLong(self) -> None:
        """One that was heard a while ago is missed when the membership has forgotten it, for some days."""
        alpha, beta = await self.pair()
        node(beta).abort()
        await self.until(lambda: alone(alpha) != "")
        node(alpha).machine.view.peers.clear()
        self.assertIn("Look at the others: beta", alone(alpha))
        entries = [entry._replace(time=entry.time - RECALLED) for entry in alpha.history.entries]
        alpha.history.entries.clear()
        alpha.history.entries.extend(entries)
        self.assertEqual(alone(alpha), "")

    async def test_undrainBackOff(self) -> None:
        """A group that this node could not acquire of late is not waited for, and that is said."""
        alpha, _ = await self.pair()
        await self.of("alpha", "Drain")
        election = node(alpha).machine.elections["default"]
        election.backoff.until = alpha.seconds() + 60
        found = await self.of("alpha", "Undrain")
        self.assertEqual(found["moves"], [])
        self.assertRegex(
            found["plan"][1],
            "default: not yet: alpha could not hold the resources, and leaves the group to others for",
        )
        await self.of("alpha", "Drain")
        election.backoff.until = 0.0
        drain = node(alpha).drain

        def fail(on: bool) -> Any:
            election.backoff.until = alpha.seconds() + 60
            return drain(on)

        self.patch(node(alpha), "drain", fail)
        found = await self.of("alpha", "Undrain")
        self.assertEqual(found["moves"], [])
        self.assertIn(
            "default is not waited for: alpha could not hold the resources", found["note"]
        )

    async def test_forgetful(self) -> None:
        """A drain that cannot be remembered over a restart is done, and says so."""
        _, beta = await self.pair()

        def fail(session: int, on: bool) -> Deferred[None]:
            failed: Deferred[None] = Deferred()
            failed.errback(OSError("disk full"))
            return failed

        self.patch(node(beta)._store, "drain", fail)
        found = await self.of("beta", "Drain")
        self.assertIn("a restart will not know of it: disk full", found["note"])

    async def test_clientGone(self) -> None:
        """A client that leaves while it waits ends nothing but its waiting."""
        alpha, beta = await self.pair()
        resource = beta.groups["default"].resources[-1]
        resource.delay = None
        with socket.socket(socket.AF_UNIX) as raw:
            raw.connect(self.paths["alpha"])
            box = {b"_command": b"Move", b"_ask": b"1"}
            box.update(boxes.pieces("arguments", {"group": "default", "node": "beta"}))
            raw.sendall(boxes.encode(box))
            await self.until(lambda: len(node(alpha).driver.reporter.watchers) == 2)
        await self.until(lambda: len(node(alpha).driver.reporter.watchers) == 1)
        await self.until(lambda: "beta: acquire" in resource.transcript)
        resource.finish()
        await self.until(lambda: beta.role is Role.ACTIVE)


class PlaceTests(SocketTestCase):
    """The socket is where it should be, for whom it should be."""

    def quiet(self, path: str | None = None, **changes: Any) -> tuple[HAService, Control]:
        service = self.service(**changes)
        control = Control(service, reactor, path)
        control.setServiceParent(service)
        return service, control

    async def test_private(self) -> None:
        """Nobody else may connect, from the moment at which there is something to connect to."""
        modes = []
        original = os.chmod

        def chmod(path: Any, mode: int) -> None:
            modes.append(os.stat(path).st_mode & 0o777)
            original(path, mode)

        self.patch(os, "chmod", chmod)
        service = self.controlled()
        before = os.umask(0)
        try:
            service.startService()
            self.assertEqual(os.umask(0), 0)
        finally:
            os.umask(before)
        self.assertEqual([mode & 0o077 for mode in modes], [0])
        self.assertEqual(stat.S_IMODE(os.stat(self.path).st_mode), 0o600)
        await service.stopService()
        self.assertFalse(os.path.exists(self.path))

    async def test_stranger(self) -> None:
        """A process of another user is sent away, and that is logged."""
        log = self.log()
        service = self.controlled()
        service.startService()
        self.patch(server, "peerCredentials", lambda sock: (4711, NOBODY, NOBODY))
        await self.assertFailure(self.ask("Status"), NotRunning)
        self.assertIn(
            f"warn: The control socket was used by process 4711 of user {NOBODY}, who may not (1 times so far)",
            log.lines("The control"),
        )

    async def test_opened(self) -> None:
        """A socket that was made open to all is closed to strangers again as soon as one comes."""
        log = self.log()
        service = self.controlled()
        service.startService()
        os.chmod(self.path, 0o777)
        self.patch(server, "peerCredentials", lambda sock: (4711, NOBODY, NOBODY))
        await self.assertFailure(self.ask("Status"), NotRunning)
        self.assertEqual(stat.S_IMODE(os.stat(self.path).st_mode), 0o600)
        self.assertEqual(len(log.lines(f"{self.path} was open to others")), 1)

    async def test_credentials(self) -> None:
        """The kernel tells who the other end is."""
        one, other = socket.socketpair(socket.AF_UNIX)
        with one, other:
            self.assertEqual(server.peerCredentials(one), (os.getpid(), os.geteuid(), os.getegid()))

    async def test_stale(self) -> None:
        """What a daemon that was killed left is replaced."""
        with socket.socket(socket.AF_UNIX) as left:
            left.bind(self.path)
        await self.active(self.controlled())
        self.assertEqual((await self.ask("Status"))["node"], "alpha")

    async def test_live(self) -> None:
        """A socket on which another daemon listens is left alone, with an error that says so."""
        self.controlled().startService()
        second = self.controlled(node="beta")
        error = self.assertRaises(OSError, second.startService)
        self.assertIn("another daemon is listening on", str(error))
        self.assertEqual((await self.ask("Status"))["node"], "alpha")

    async def test_removed(self) -> None:
        """A socket that somebody removed does not keep the daemon from ending."""
        service = self.controlled()
        service.startService()
        os.unlink(self.path)
        await service.stopService()
        self.assertFalse(os.path.exists(self.path))

    async def test_default(self) -> None:
        """Without a path it is in the runtime directory, which is made if it can be."""
        where = os.path.join(self.directory, "run")
        self.patch(os, "environ", {**os.environ, "RUNTIME_DIRECTORY": where})
        service, control = self.quiet(cluster="web")
        service.startService()
        self.assertEqual(control.path, os.path.join(where, "web.alpha.sock"))
        self.assertEqual(await deferToThread(find), control.path)
        self.assertEqual((await self.ask("Status", find()))["cluster"], "web")

    async def test_defaultImpossible(self) -> None:
        """If it cannot be made the daemon runs without, and says what to do."""
        log = self.log()
        self.patch(os, "environ", {**os.environ, "RUNTIME_DIRECTORY": "/proc/hatwist"})
        service, _ = self.quiet()
        service.startService()
        await self.until(lambda: service.role is Role.ACTIVE)
        (line,) = log.lines("No control socket")
        self.assertIn("RuntimeDirectory=hatwist", line)

    def test_explicitImpossible(self) -> None:
        """Where one was asked for, that is an error, and nothing is left running."""
        plain = os.path.join(self.directory, "file")
        with open(plain, "w"):
            pass
        for path, words in (
            ("relative.sock", "is not a whole path"),
            ("/nonexistent/a.sock", "there is no directory /nonexistent"),
            (f"/tmp/{'x' * 120}.sock", "at most 107"),
            (plain, "is not a socket"),
        ):
            service, _ = self.quiet(path)
            error = self.assertRaises(OSError, service.startService)
            self.assertIn(words, str(error))
            self.assertIsNone(service.node)
        self.assertTrue(os.path.exists(plain))


class ClientTests(SocketTestCase):
    """Which daemon is asked, and what is said if none can be."""

    def test_find(self) -> None:
        """The only socket somebody listens on is the one; of several or none the message says so."""
        self.patch(os, "environ", {**os.environ, "RUNTIME_DIRECTORY": self.directory})
        paths = [os.path.join(self.directory, f"{name}.sock") for name in ("a", "b", "c")]
        error = self.assertRaises(NotRunning, find)
        self.assertIn(f"nothing listens in {self.directory}", str(error))
        listening = []
        for number, path in enumerate(paths):
            sock = socket.socket(socket.AF_UNIX)
            self.addCleanup(sock.close)
            sock.bind(path)
            if number:
                sock.listen()
                listening.append(path)
            if number == 1:
                self.assertEqual(find(), path)
        error = self.assertRaises(Unclear, find)
        for path in listening:
            self.assertIn(f"--control {path}", str(error))
        self.assertNotIn(paths[0], str(error))
        self.assertEqual(find("/given"), "/given")

    def test_notRunning(self) -> None:
        """Neither a missing socket nor a dead one is taken for a daemon."""
        self.assertRaises(NotRunning, Client, self.path)
        with socket.socket(socket.AF_UNIX) as left:
            left.bind(self.path)
        self.assertRaises(NotRunning, Client, self.path)

    def test_hangs(self) -> None:
        """A daemon that does not answer is not waited for for ever."""
        with socket.socket(socket.AF_UNIX) as hanging:
            hanging.bind(self.path)
            hanging.listen()
            with Client(self.path) as client:
                error = self.assertRaises(Unclear, client.call, "Status", 0.01)
        self.assertIn("did not answer within 0.01 s", str(error))


class Stub:
    """As much of a service as one question needs."""

    node = None
    settings: Any = None


class FloodTests(SynchronousTestCase):
    """Whoever floods the socket or hangs keeps nothing else waiting."""

    def setUp(self) -> None:
        self.clock = Clock()
        stub: Any = Stub()
        self.server = Server(stub, self.clock)
        self.patch(server, "peerCredentials", lambda sock: (1, os.geteuid(), 1))

    def connect(self) -> tuple[Any, StringTransport]:
        made = self.server.buildProtocol(None)
        transport: Any = StringTransport()
        transport.socket = None
        made.makeConnection(transport)
        original = made.answerNext

        def answerNext() -> None:
            self.clock.rightNow += self.takes
            original()

        made.answerNext = answerNext
        return made, transport

    takes = 0.01

    question = boxes.encode(
        {b"_command": b"LogLevel", b"_ask": b"1", b"arguments": b'{"level": "loud"}'}
    )

    def test_noJson(self) -> None:
        """Arguments that are no JSON, or nested too deep to be read, are refused, and nothing is logged."""
        for arguments in (b"[", b"[" * boxes.MAX_VALUE, b'{"a":' * 10000, b"[]"):
            protocol, transport = self.connect()
            with capturedLogs() as events:
                asked = {b"_command": b"Status", b"_ask": b"1", b"arguments": arguments}
                protocol.dataReceived(boxes.encode(asked))
                self.clock.advance(1)
            self.assertEqual(self.answers(transport), 1, arguments[:9])
            self.assertEqual(events, [])

    def test_strangers(self) -> None:
        """Of a flood of strangers the log has a line now and then, with how many they were."""
        self.patch(server, "peerCredentials", lambda sock: (4711, NOBODY, NOBODY))
        with capturedLogs() as events:
            for _ in range(100):
                for _ in range(50):
                    self.assertTrue(self.connect()[1].disconnected)
                self.clock.advance(server.TELL / 50)
        self.assertEqual(len(events), 2)
        self.assertGreater(events[-1]["count"], 2000)
        self.assertEqual(self.server.connections, [])

    def answers(self, transport: StringTransport) -> int:
        found: int = transport.value().count(b"REFUSED")
        return found

    def test_oneInATurn(self) -> None:
        """Of a flood one question is answered in each turn of the reactor, and each connection has its turn."""
        one, first = self.connect()
        two, second = self.connect()
        for protocol in (one, two):
            protocol.dataReceived(self.question * 5)
        self.assertEqual(self.answers(first) + self.answers(second), 0)
        counts = []
        for _ in range(4):
            self.clock.advance(server.REST * self.takes + 0.001)
            counts.append((self.answers(first), self.answers(second)))
        self.assertEqual(counts, [(1, 0), (1, 1), (2, 1), (2, 2)])

    def test_rest(self) -> None:
        """After an answer that took long the socket rests for four times as long."""
        protocol, transport = self.connect()
        protocol.dataReceived(self.question * 2)
        self.clock.advance(0)
        self.assertEqual(self.answers(transport), 1)
        self.clock.advance(0.039)
        self.assertEqual(self.answers(transport), 1)
        self.clock.advance(0.002)
        self.assertEqual(self.answers(transport), 2)

    def test_unread(self) -> None:
        """One with enough unanswered questions is not read, until it has fewer."""
        protocol, transport = self.connect()
        protocol.dataReceived(self.question * server.WAITING)
        self.assertEqual(transport.producerState, "paused")
        self.clock.advance(0)
        self.assertEqual(transport.producerState, "producing")

    def test_clogged(self) -> None:
        """One that does not take its answers gets no further ones until it does."""
        protocol, transport = self.connect()
        self.assertIs(transport.producer, protocol)
        protocol.pauseProducing()
        protocol.dataReceived(self.question)
        self.clock.advance(0)
        self.assertEqual(self.answers(transport), 0)
        protocol.resumeProducing()
        self.clock.advance(0)
        self.assertEqual(self.answers(transport), 1)

    def test_crowd(self) -> None:
        """One connection too many ends the one that has been quiet for longest."""
        made = [self.connect() for _ in range(server.CONNECTIONS + 1)]
        self.assertTrue(made[0][1].disconnected)
        self.assertFalse(any(transport.disconnected for _, transport in made[1:]))

    def test_garbage(self) -> None:
        """What is no question ends its connection, and nothing else."""
        for data in (
            b"GET / HTTP/1.1\r\n\r\n",
            boxes.encode({b"_answer": b"7"}),
            boxes.encode({b"_error": b"7", b"_error_code": b"x", b"_error_description": b""}),
            boxes.encode({b"hello": b"you"}),
            b"\0\1a\xff\xff" + b"x" * 0xFFFF + b"\0\1b\xff\xff",
            b"\0\0",
        ):
            protocol, transport = self.connect()
            protocol.dataReceived(data)
            self.clock.advance(1)
            self.assertTrue(transport.disconnecting or transport.disconnected, data[:20])
            protocol.connectionLost()
        self.assertEqual(self.server.connections, [])


class ThresholdTests(SynchronousTestCase):
    """Which events pass."""

    def test_namespaces(self) -> None:
        """The nearest namespace with a level counts; what has no level or namespace passes."""
        threshold = Threshold()
        self.addCleanup(threshold.remove)
        before = list(globalLogPublisher._observers)
        threshold.set("error", "hatwist")
        threshold.set("debug", "hatwist.runtime.link")
        passes: Callable[..., bool] = lambda **event: threshold(event).name == "maybe"  # noqa: E731
        self.assertFalse(passes(log_level=LogLevel.warn, log_namespace="hatwist.runtime.node.Node"))
        self.assertTrue(passes(log_level=LogLevel.error, log_namespace="hatwist.runtime.node.Node"))
        self.assertTrue(passes(log_level=LogLevel.debug, log_namespace="hatwist.runtime.link.Link"))
        self.assertTrue(passes(log_level=LogLevel.debug, log_namespace="hatwistful"))
        self.assertTrue(passes(log_level=LogLevel.debug))
        self.assertTrue(passes(log_namespace="hatwist"))
        threshold.remove()
        self.assertEqual(sorted(map(id, globalLogPublisher._observers)), sorted(map(id, before)))


class UsualTests(SynchronousTestCase):
    """Where sockets are by default."""

    def test_usual(self) -> None:
        """In /run/hatwist, or where systemd says, by cluster and node."""
        self.patch(os, "environ", {})
        self.assertEqual(place.defaultPath("web", "alpha"), "/run/hatwist/web.alpha.sock")
        self.patch(os, "environ", {"RUNTIME_DIRECTORY": "/run/one:/run/two"})
        self.assertEqual(place.defaultPath("web", "alpha"), "/run/one/web.alpha.sock")
        self.assertEqual(place.sockets("/nonexistent"), [])


class ReloadTests(SynchronousTestCase):
    """A reload that somebody asks for over the socket."""

    def setUp(self) -> None:
        self.reloaded: Deferred[tuple[str, ...]] = Deferred(lambda _: self.fail("it was ended"))
        self.reloader = mock.Mock(reload=lambda: self.reloaded)
        service = mock.Mock(seconds=iter((1.0, 3.5)).__next__)
        service.getServiceNamed.return_value = self.reloader
        self.answers = ControlAnswers(service, Clock(), Threshold())
        self.done: Deferred[Any] = Deferred.fromCoroutine(self.answers.reload({}))
        self.answers.pending = self.done

    def test_told(self) -> None:
        """What was done and how long it took is the answer."""
        self.reloaded.callback(("this", "that"))
        expected = {"changes": ["this", "that"], "total": 2.5}
        self.assertEqual(self.successResultOf(self.done), expected)

    def test_refused(self) -> None:
        """So is what is wrong."""
        self.reloaded.errback(ConfigurationError(["a", "b"]))
        refused = self.failureResultOf(self.done, boxes.CommandRefused).value
        self.assertEqual(str(refused), "not reloaded, and the old configuration goes on:\n  a\n  b")

    def test_left(self) -> None:
        """Who asked for it may leave: it goes on, and is not left half done."""
        self.answers.cancel()
        self.failureResultOf(self.done, CancelledError)
        self.reloaded.callback(("this",))
