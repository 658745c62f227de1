"""Tests for L{hatwist.resources.command} and L{hatwist.resources.process}, with real programs."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import cast

from twisted.internet import reactor as _reactor
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import deferLater
from twisted.logger import LogLevel, capturedLogs
from twisted.trial.unittest import TestCase

from hatwist.core.errors import ResourceError
from hatwist.resources import process
from hatwist.resources.command import Command
from hatwist.resources.process import Ending, IProgramReactor, run
from tests.contracts import ResourceContract

reactor = cast(IProgramReactor, _reactor)


async def until(condition: object) -> None:
    """Wait for C{condition()} to be true; trial's own timeout bounds it."""
    assert callable(condition)
    while not condition():
        await deferLater(reactor, 0.005)


def gone(pid: int) -> bool:
    """Whether no process has this pid, or only its remains."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


class Programs(TestCase):
    """A directory for what the programs leave, and a bound for every test."""

    timeout = 20

    def setUp(self) -> None:
        self.where = Path(tempfile.mkdtemp(prefix="hatwist-test-"))
        self.addCleanup(shutil.rmtree, self.where)

    def path(self, name: str) -> str:
        return str(self.where / name)

    def pids(self, count: int, name: str = "pids") -> list[int]:
        """The pids that a program wrote, once there are C{count} of them; else none."""
        try:
            found = [int(line) for line in (self.where / name).read_text().splitlines()]
        except (FileNotFoundError, ValueError):
            return []
        return found if len(found) == count else []

    def hanging(self, trap: str = "") -> Sequence[str]:
        """A program that hangs, with a child in the background that hangs too; both say their pids."""
        script = (
            f'{trap} sleep 600 & echo $$ >>"$0.new"; echo $! >>"$0.new"; mv "$0.new" "$0"; wait'
        )
        return ["sh", "-c", f"{script}; while :; do sleep 600; done", self.path("pids")]


class CommandContractTests(ResourceContract, Programs):
    """A pair of commands with a check keeps the contract of every resource."""

    def makeResource(self) -> Command:
        held = self.path("held")
        return Command(reactor, ["touch", held], ["rm", "-f", held], check=["test", "-e", held])


class UncheckedCommandContractTests(ResourceContract, Programs):
    """A pair of commands without a check keeps the contract too."""

    def makeResource(self) -> Command:
        return Command(reactor, ["touch", self.path("held")], ["rm", "-f", self.path("held")])


class RunTests(Programs):
    """One program, from its start to its end."""

    async def test_exitCode(self) -> None:
        """The exit code and the last words come back, standard error before standard output."""
        ending = await run(
            reactor, ["sh", "-c", "echo out; echo first >&2; echo err >&2; exit 3"], 10
        )
        self.assertEqual((ending.code, ending.words), (3, "err"))
        ending = await run(reactor, ["sh", "-c", "echo one; printf two"], 10)
        self.assertEqual((ending.code, ending.words), (0, "two"))

    async def test_signal(self) -> None:
        """A program that a signal ended has the code that a shell would show."""
        ending = await run(reactor, ["sh", "-c", "kill -9 $$"], 10)
        self.assertEqual(ending.code, 128 + signal.SIGKILL)

    async def test_noShell(self) -> None:
        """Arguments reach the program as they are: nothing expands them."""
        ending = await run(reactor, ["printf", "%s", "$HOME; * `id`"], 10)
        self.assertEqual(ending.words, "$HOME; * `id`")

    async def test_missing(self) -> None:
        """A program that is not there is named."""
        failure = await self.failing(run(reactor, ["hatwist-no-such", "x"], 10))
        self.assertEqual(failure, "hatwist-no-such: no such program, or no permission to run it")

    async def failing(self, operation: Deferred[Ending]) -> str:
        """The text of the ResourceError that C{operation} fails with."""
        try:
            result = await operation
        except ResourceError as error:
            return str(error)
        self.fail(f"it succeeded with {result!r}")

    async def test_foundInSbin(self) -> None:
        """ifup is found although an ordinary user's PATH lacks /usr/sbin, and it finds ip there."""
        self.patch(os, "environ", {**os.environ, "PATH": "/usr/bin:/bin"})
        ending = await run(reactor, ["sh", "-c", "echo $PATH"], 10)
        self.assertEqual(ending.words, "/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin")

    async def test_environment(self) -> None:
        """It gets our environment and what is added to it."""
        self.patch(os, "environ", {**os.environ, "OURS": "1"})
        ending = await run(
            reactor, ["sh", "-c", "echo $OURS $HATWIST_TERM"], 10, {"HATWIST_TERM": "7"}
        )
        self.assertEqual(ending.words, "1 7")

    async def test_inheritsNothing(self) -> None:
        """It gets no descriptor of ours, an empty standard input, and a session of its own."""
        ours, other = os.pipe()
        self.addCleanup(os.close, ours)
        self.addCleanup(os.close, other)
        os.set_inheritable(ours, True)
        os.set_inheritable(other, True)
        script = (
            "import os, sys; fds = [f for f in os.listdir('/proc/self/fd') if int(f) > 2]; "
            "alive = [f for f in fds if os.path.exists('/proc/self/fd/' + f)]; "
            "print(sys.stdin.read() == '', alive, os.getsid(0) == os.getpid() == os.getpgid(0))"
        )
        ending = await run(reactor, [sys.executable, "-I", "-S", "-c", script], 10)
        self.assertEqual(ending.words, "True [] True")

    async def test_timeout(self) -> None:
        """One that exceeds its time is ended with all it started, and its last words are told."""
        running = run(reactor, ["sh", "-c", 'echo waiting; exec "$@"', "sh", *self.hanging()], 0.2)
        self.assertRegex(
            await self.failing(running), r"not done within 0.2 s, killed \(it said: waiting\)$"
        )
        for pid in self.pids(2):
            await until(lambda pid=pid: gone(pid))
        self.assertEqual(len(self.pids(2)), 2)

    async def test_timeoutKills(self) -> None:
        """One that ignores SIGTERM gets SIGKILL after the grace, with all it started."""
        self.patch(process, "GRACE", 0.1)
        await self.failing(run(reactor, self.hanging("trap '' TERM;"), 0.2))
        pids = self.pids(2)
        self.assertEqual(len(pids), 2)
        for pid in pids:
            await until(lambda pid=pid: gone(pid))

    async def test_cancelKillsAtOnce(self) -> None:
        """Cancelled, it is killed with all it started, and only then comes CancelledError."""
        running = run(reactor, self.hanging("trap '' TERM;"), 600)
        await until(lambda: self.pids(2))
        leader, child = self.pids(2)
        running.cancel()
        running.cancel()  # once more changes nothing
        with self.assertRaises(CancelledError):
            await running
        self.assertTrue(gone(leader))
        await until(lambda: gone(child))

    async def test_timeoutKillsStragglers(self) -> None:
        """What a program started and left behind when SIGTERM ended it is killed too."""
        script = '(trap \'\' TERM; echo $$ >"$0.new"; mv "$0.new" "$0"; while :; do sleep 600; done) & wait'
        script = script.replace("echo $$", "sh -c 'echo $PPID'")
        await self.failing(run(reactor, ["sh", "-c", script, self.path("pids")], 0.3))
        (straggler,) = self.pids(1)
        await until(lambda: gone(straggler))

    async def test_cancelAtOnce(self) -> None:
        """Cancelled before the child has begun its session, it is dead all the same."""
        slow = self.where / "setsid"
        pids = shlex.quote(self.path("pids"))
        slow.write_text(f"#!/bin/sh\necho $$ >{pids}.new; mv {pids}.new {pids}; exec sleep 600\n")
        slow.chmod(0o755)
        self.patch(os, "environ", {**os.environ, "PATH": f"{self.where}:{os.environ['PATH']}"})
        running = run(reactor, ["true"], 600)
        await until(lambda: self.pids(1))
        (pid,) = self.pids(1)
        running.cancel()
        with self.assertRaises(CancelledError):
            await running
        self.assertTrue(gone(pid))

    async def test_background(self) -> None:
        """A daemon left behind by a start command neither holds us up nor is killed."""
        script = 'sleep 600 & echo $! >"$0"; echo started'
        ending = await run(reactor, ["sh", "-c", script, self.path("pids")], 10)
        self.assertEqual((ending.code, ending.words), (0, "started"))
        (daemon,) = self.pids(1)
        self.assertFalse(gone(daemon))
        os.kill(daemon, signal.SIGKILL)
        await until(lambda: gone(daemon))

    async def test_outputLogged(self) -> None:
        """Every line is an event of the log with the program's name, made harmless."""
        with capturedLogs() as events:
            await run(reactor, ["printf", "one\\n\\033[2Jtwo\\n\\377\\nthree"], 10)
        self.assertEqual(
            [(event["program"], event["line"]) for event in events],
            [("printf", line) for line in ("one", "\ufffd[2Jtwo", "\\xff", "three")],
        )

    async def test_flood(self) -> None:
        """A flood of output costs a bounded log, no memory, and does not hold the program up."""
        script = "yes line | head -n 2000000; yes | head -c 5000000 | tr -d '\\n'; echo; echo end"
        with capturedLogs() as events:
            ending = await run(reactor, ["sh", "-c", script], 15)
        self.assertEqual((ending.code, ending.words), (0, "end"))
        self.assertEqual(ending.unlogged, 2000000 + 2 - process.LINES)
        said = [event for event in events if event["log_level"] == LogLevel.info]
        self.assertEqual(len(said), process.LINES)
        (warning,) = [event for event in events if event["log_level"] == LogLevel.warn]
        self.assertEqual(warning["unlogged"], ending.unlogged)


class CommandTests(Programs):
    """The pair of commands."""

    async def failing(self, operation: Deferred[None]) -> str:
        """The text of the ResourceError that C{operation} fails with."""
        try:
            await operation
        except ResourceError as error:
            return str(error)
        self.fail("it succeeded")

    async def test_startFails(self) -> None:
        """A start that ends with another code than 0 is refused, with its last words."""
        start = ["sh", "-c", "echo no such volume >&2; exit 4"]
        command = Command(reactor, start, ["true"])
        self.assertEqual(
            await self.failing(command.acquire()),
            "sh -c 'echo no such volume >&2; exit 4': ended with 4 (no such volume)",
        )
        self.assertFalse(await command.verify())

    async def test_startDidNothing(self) -> None:
        """A start that ends with 0 and has done nothing is refused when the check says so."""
        command = Command(reactor, ["true"], ["true"], check=["sh", "-c", "echo down; exit 1"])
        self.assertEqual(
            await self.failing(command.acquire()),
            "sh -c 'echo down; exit 1': ended with 1 after true had ended with 0 (down)",
        )

    async def test_stopFails(self) -> None:
        """Without a check a stop that ends with another code than 0 is refused."""
        command = Command(reactor, ["true"], ["false"])
        await command.acquire()
        self.assertEqual(await self.failing(command.release()), "false: ended with 1")
        self.assertTrue(await command.verify())

    async def test_stopDidNothing(self) -> None:
        """A stop that ends with 0 while the check says that it still runs is refused."""
        command = Command(reactor, ["true"], ["true"], check=["true"])
        self.assertEqual(
            await self.failing(command.release()),
            "true: ended with 0 and true says it still runs",
        )

    async def test_stopOfNothing(self) -> None:
        """A stop that complains because there is nothing to stop succeeds when the check agrees."""
        command = Command(reactor, ["true"], ["false"], check=["false"])
        await command.release()
        self.assertFalse(await command.verify())

    async def test_heldIsNotStartedAgain(self) -> None:
        """What the check finds running is not started again."""
        command = Command(reactor, ["touch", self.path("started")], ["true"], check=["true"])
        await command.acquire()
        self.assertFalse((self.where / "started").exists())

    async def test_neverOverlapping(self) -> None:
        """A stop asked for during a start begins when the start has ended."""
        log = self.path("log")
        say = 'echo "$1 begins" >>"$0"; sleep 0.1; echo "$1 ends" >>"$0"'
        command = Command(reactor, ["sh", "-c", say, log, "start"], ["sh", "-c", say, log, "stop"])
        starting, stopping = command.acquire(), command.release()
        await starting
        await stopping
        self.assertEqual(
            Path(log).read_text().splitlines(),
            ["start begins", "start ends", "stop begins", "stop ends"],
        )

    async def test_stopDuringHangingStart(self) -> None:
        """A hanging start that is cancelled is dead before the stop begins."""
        command = Command(reactor, self.hanging("trap '' TERM;"), ["true"], timeout=600)
        starting = command.acquire()
        await until(lambda: self.pids(2))
        stopping = command.release()
        starting.cancel()
        with self.assertRaises(CancelledError):
            await starting
        await stopping
        self.assertTrue(gone(self.pids(2)[0]))

    async def test_environment(self) -> None:
        """Start, stop and check get the variables of the command, and the term of the claim."""
        log = self.path("log")
        script = 'echo "$1 $HATWIST_GROUP $HATWIST_TERM" >>"$0"; test "$1" != check'
        start, stop, check = (
            ["sh", "-c", script, log, step] for step in ("start", "stop", "check")
        )
        command = Command(reactor, start, stop, check=check, env={"HATWIST_GROUP": "web"})
        command.term = 7
        await self.failing(command.acquire())
        await command.release()
        self.assertEqual(
            Path(log).read_text().splitlines(),
            ["check web 7", "start web 7", "check web 7", "stop web 7", "check web 7"],
        )

    async def test_lossSeenByVerify(self) -> None:
        """When verify finds that what was held is gone, who watches is told, once."""
        held = self.path("held")
        command = Command(reactor, ["touch", held], ["rm", "-f", held], check=["test", "-e", held])
        losses: list[str] = []
        command.watch(losses.append)
        await command.acquire()
        os.remove(held)
        self.assertFalse(await command.verify())
        self.assertFalse(await command.verify())
        self.assertEqual(losses, [f"touch {held}: its check says that it is gone"])
