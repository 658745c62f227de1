"""Tests for the kinds of checks that look at this host: programs, files, processes, this process itself."""

from __future__ import annotations

import os
import time
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from hatwist.checks import processes
from hatwist.checks.base import CheckFailed, CheckKind, CheckWorld
from hatwist.checks.inside import CallCheck, CarrierCheck, LatenessCheck
from hatwist.checks.processes import ProcessCheck
from hatwist.checks.programs import MISSING, CommandCheck, FileCheck, UnitCheck
from hatwist.linux.netlink.memory import MemoryKernel
from hatwist.linux.netlink.messages import IFF_UP
from hatwist.resources import process
from tests.unit.resources.test_command import Programs, gone, reactor, until

LIMIT = 10.0


async def asked(kind: CheckKind, world: CheckWorld | None = None) -> str:
    """What a check finds wrong, C{""}: nothing."""
    probe = kind.probe(world or CheckWorld(reactor))
    probe.start()
    try:
        await probe.run(LIMIT)
    except CheckFailed as error:
        return str(error)
    finally:
        probe.stop()
    return ""


class CommandTests(Programs):
    """A program of one's own."""

    def sh(self, script: str) -> CommandCheck:
        return CommandCheck(("sh", "-c", script))

    async def test_verdict(self) -> None:
        """0 is good; anything else is not, with the last words."""
        for script, expected in (
            ("true", ""),
            ("echo fine; exit 0", ""),
            ("exit 2", "ended with 2"),
            ("echo first >&2; echo disk full >&2; exit 2", "ended with 2: disk full"),
            ("echo on stdout; exit 1", "ended with 1: on stdout"),
            ("kill -9 $$", "ended with 137"),
        ):
            self.assertEqual(await asked(self.sh(script)), expected, script)

    async def test_missing(self) -> None:
        """A program that is missing is a problem of the configuration, and a failure at run time."""
        command = CommandCheck(("/usr/local/bin/hatwist-none", "x y"))
        self.assertEqual(
            command.problems(),
            [f"/usr/local/bin/hatwist-none: {MISSING}"],
        )
        self.assertIn("no such program", await asked(command))
        self.assertEqual(self.sh("true").problems(), [])

    async def test_environment(self) -> None:
        """It is told which group it checks."""
        world = CheckWorld(reactor, env={"HATWIST_GROUP": "web"})
        self.assertEqual(
            await asked(self.sh("echo $HATWIST_GROUP; exit 1"), world), "ended with 1: web"
        )

    async def test_notLogged(self) -> None:
        """What it says every other second does not fill the log."""
        with capturedLogs() as events:
            await asked(self.sh("yes | head -n 1000; exit 1"))
        self.assertEqual(events, [])

    async def test_cancelled(self) -> None:
        """Given up, it is killed at once with all that it started, although it ignores SIGTERM."""
        running = (
            CommandCheck(tuple(self.hanging("trap '' TERM;"))).probe(CheckWorld(reactor)).run(60)
        )
        await until(lambda: self.pids(2))
        running.cancel()
        with self.assertRaises(CancelledError):
            await running
        for pid in self.pids(2):
            await until(lambda pid=pid: gone(pid))


class UnitTests(Programs):
    """A unit, asked of a program that stands for systemctl and answers as systemctl(1) says."""

    def systemctl(self, script: str) -> None:
        program = self.where / "systemctl"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        self.patch(os, "environ", {**os.environ, "PATH": f"{self.where}:{os.environ['PATH']}"})

    async def test_verdict(self) -> None:
        """The state is the reason, unless it is active."""
        for script, expected in (
            ('test "$*" = "is-active -- web.service" && echo active', ""),
            ("echo failed; exit 3", "failed"),
            ("echo inactive; exit 4", "inactive"),
            ("exit 1", "ended with 1"),
            (
                "echo Failed to connect to bus: Host is down >&2; exit 1",
                "Failed to connect to bus: Host is down",
            ),
        ):
            self.systemctl(script)
            self.assertEqual(await asked(UnitCheck("web.service")), expected)

    async def test_missing(self) -> None:
        """Where there is no systemd such a check is a problem of the configuration."""
        self.patch(os, "environ", {"PATH": str(self.where)})
        self.patch(process, "SBIN", ())
        (self.where / "setsid").touch(0o755)
        self.assertEqual(UnitCheck("web.service").problems(), [f"systemctl: {MISSING}"])


class FileTests(Programs):
    """A file."""

    async def test_verdict(self) -> None:
        """It is there, and no older than allowed."""
        path = self.where / "stamp"
        spec = FileCheck(str(path))
        self.assertEqual(await asked(spec), "No such file or directory")
        path.touch()
        self.assertEqual(await asked(spec), "")
        self.assertEqual(await asked(FileCheck(str(path), 60)), "")
        then = time.time() - 100
        os.utime(path, (then, then))
        self.assertRegex(
            await asked(FileCheck(str(path), 60)), r"^last changed 10[01] s ago, allowed are 60 s$"
        )
        self.assertEqual(await asked(FileCheck(str(path), 200)), "")
        self.assertEqual(await asked(FileCheck(str(self.where))), "")
        self.assertEqual(spec.problems(), [])

    async def test_pipe(self) -> None:
        """A named pipe, at which an open would wait, is there like any other."""
        os.mkfifo(self.path("pipe"))
        self.assertEqual(await asked(FileCheck(self.path("pipe"))), "")

    async def test_odd(self) -> None:
        """A name that looks like an option, or has a line feed in it, is a name."""
        path = self.where / "-c\n%n"
        self.assertEqual(await asked(FileCheck(str(path))), "No such file or directory")
        path.touch()
        self.assertEqual(await asked(FileCheck(str(path))), "")


# Nobody else's, where two runs of the tests share a machine; longer than the kernel keeps.
SLEEPER = f"hatwist-sleeper-{os.getpid()}"


class ProcessTests(Programs):
    """A process."""

    async def sleeping(self) -> int:
        """The pid of a process called hatwist-sleeper, whose name is longer than the kernel keeps."""
        program = self.where / SLEEPER
        program.symlink_to("/bin/sleep")
        script = '"$1" 600 & echo $! >"$0.new"; mv "$0.new" "$0"'
        reaper = CommandCheck(("sh", "-c", script, self.path("pids"), str(program)))
        self.assertEqual(await asked(reaper), "")
        (pid,) = self.pids(1)
        self.addCleanup(self.kill, pid)
        await until(lambda: (processes.stat(pid) or "")[0] == "hatwist-sleeper")
        return pid

    @staticmethod
    def kill(pid: int) -> None:
        if not gone(pid):
            os.kill(pid, 9)

    async def test_byName(self) -> None:
        """It is alive, by its name, for as long as it is."""
        probe = ProcessCheck(SLEEPER).probe(CheckWorld(reactor))
        self.patch(processes, "SLICE", 3)  # several turns, on the smallest machine
        with self.assertRaises(CheckFailed):
            await probe.run(LIMIT)
        pid = await self.sleeping()
        await probe.run(LIMIT)
        await probe.run(LIMIT)
        os.kill(pid, 9)
        await until(lambda: gone(pid))
        with self.assertRaises(CheckFailed) as caught:
            await probe.run(LIMIT)
        self.assertEqual(str(caught.exception), "there is no such process")

    async def test_cancelled(self) -> None:
        """A search among many processes can be given up."""
        self.patch(processes, "SLICE", 1)
        running = ProcessCheck("hatwist-none").probe(CheckWorld(reactor)).run(LIMIT)
        running.cancel()
        with self.assertRaises(CancelledError):
            await running

    async def test_byFile(self) -> None:
        """It is alive, by the number in the first line of a file, and has the name, if one is given."""
        path = self.where / "x.pid"
        spec = ProcessCheck(None, str(path))
        self.assertEqual(await asked(spec), "No such file or directory")
        path.write_text("")
        self.assertEqual(await asked(spec), "there is no number in its first line")
        pid = await self.sleeping()
        path.write_text(f"{pid}\n/var/lib/postgresql\n")
        self.assertEqual(await asked(spec), "")
        self.assertEqual(await asked(ProcessCheck("hatwist-sleeper-long", str(path))), "")
        self.assertEqual(
            await asked(ProcessCheck("postgres", str(path))),
            f"process {pid} is hatwist-sleeper, not postgres",
        )
        os.kill(pid, 9)
        await until(lambda: gone(pid))
        self.assertEqual(await asked(spec), f"process {pid} is not alive")

    def test_names(self) -> None:
        """Each of the forms has a name that says what is looked at."""
        self.assertEqual(ProcessCheck("nginx").name, "process nginx")
        self.assertEqual(ProcessCheck(None, "/run/x.pid").name, "pidfile /run/x.pid")
        self.assertEqual(ProcessCheck("x", "/run/x.pid").name, "process x pidfile /run/x.pid")


class InsideTests(SynchronousTestCase):
    """This process and the interfaces."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.kernel = MemoryKernel()
        self.world = CheckWorld(self.clock, self.kernel)

    def ask(self, running: Deferred[None]) -> str:
        """What is wrong; there is an answer at once."""
        if running.called and running.result is None:
            return ""
        return str(self.failureResultOf(running, CheckFailed).value)

    def test_carrier(self) -> None:
        """An interface has a carrier, as the kernel told last."""
        index = self.kernel.addLink("eth1", bytes(6))
        probe = CarrierCheck("eth1").probe(self.world)
        probe.start()
        self.assertEqual(self.ask(probe.run(1)), "")
        self.kernel.changeLink(index, flags=IFF_UP)
        self.assertEqual(self.ask(probe.run(1)), "no carrier")
        self.kernel.removeLink(index)
        self.assertEqual(self.ask(probe.run(1)), "no carrier")
        self.kernel.addLink("eth1", bytes(6))
        self.assertEqual(self.ask(probe.run(1)), "")
        probe.stop()

    def test_noSuchInterface(self) -> None:
        """An interface that does not exist is a problem of the configuration."""
        (problem,) = CarrierCheck("nosuch0").problems()
        self.assertRegex(problem, r"^there is no interface 'nosuch0' on this host; it has .*lo")
        self.assertEqual(CarrierCheck("lo").problems(), [])

    def test_noNetlink(self) -> None:
        """Who checks a carrier must pass a netlink."""
        with self.assertRaises(ValueError):
            CarrierCheck("lo").probe(CheckWorld(self.clock))

    def test_lateness(self) -> None:
        """A reactor that was late since the last question fails, once."""
        probe = LatenessCheck(0.05).probe(self.world)
        probe.start()
        for _ in range(100):
            self.clock.advance(0.01)
        self.assertEqual(self.ask(probe.run(1)), "")
        self.clock.advance(0.2)
        for _ in range(50):
            self.clock.advance(0.01)
        self.assertRegex(self.ask(probe.run(1)), r"^late by 0\.1[789]\d s$")
        for _ in range(100):
            self.clock.advance(0.01)
        self.assertEqual(self.ask(probe.run(1)), "")
        probe.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def call(self, function: Any) -> str:
        return self.ask(CallCheck(function).probe(self.world).run(1))

    def test_call(self) -> None:
        """A function fails when it returns something false, or raises, now or later."""

        async def later() -> bool:
            return await succeed(False)

        def raising() -> None:
            raise RuntimeError("no space")

        for function, expected in (
            (lambda: True, ""),
            (lambda: None, ""),
            (lambda: False, "it returned False"),
            (lambda: 0, "it returned 0"),
            (lambda: succeed(True), ""),
            (lambda: succeed(False), "it returned False"),
            (later, "it returned False"),
            (raising, "RuntimeError: no space"),
            (lambda: fail(ValueError()), "ValueError"),
            (lambda: fail(CheckFailed("as it says")), "as it says"),
        ):
            self.assertEqual(self.call(function), expected)

    def test_callCancelled(self) -> None:
        """What a function waits for is cancelled when that takes too long."""
        waiting: Deferred[None] = Deferred()
        running = CallCheck(lambda: waiting).probe(self.world).run(1)
        running.cancel()
        self.failureResultOf(running, CancelledError)
        self.assertTrue(waiting.called)

    def test_callName(self) -> None:
        """A function has its own name, or the one that it is given."""
        self.assertEqual(CallCheck(os.getpid).name, "call getpid")
        self.assertEqual(CallCheck(os.getpid, "queue").name, "queue")
