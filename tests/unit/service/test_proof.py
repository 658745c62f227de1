"""Tests for L{hatwist.service.proof}, with real programs in the place of scapy's."""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path
from typing import Any

from twisted.internet import reactor as _reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock, deferLater
from twisted.logger import LogLevel, capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase, TestCase

from hatwist.protocols.frames import TEMPLATES
from hatwist.service import proof
from hatwist.service.proof import COMMAND, FramesProof

reactor: Any = _reactor
LINES = "\n".join(f"{name} {frame.hex()}" for name, frame in TEMPLATES._asdict().items())


def prints(text: str) -> list[str]:
    """A program that prints this."""
    return [sys.executable, "-I", "-S", "-c", f"print({text!r})"]


class ProofTests(TestCase):
    """What comes of the comparison, in the log; the daemon goes on whatever it is."""

    timeout = 70

    def setUp(self) -> None:
        self.patch(proof, "AFTER", 0.0)

    async def logged(self, command: list[str], words: str) -> LogLevel:
        """Run the proof until it has logged a line with these words in it."""
        service = FramesProof(reactor, command)
        with capturedLogs() as events:
            service.startService()
            while not (found := [e for e in events if words in str(formatEvent(e))]):
                await deferLater(reactor, 0.01)
            await (service.stopService() or deferLater(reactor, 0))
        level: LogLevel = found[0]["log_level"]
        return level

    async def test_scapy(self) -> None:
        """scapy itself builds the frames that are sent."""
        level = await self.logged(list(COMMAND), "are scapy's, byte for byte")
        self.assertEqual(level, LogLevel.info)

    async def test_noise(self) -> None:
        """What a library says besides is no template."""
        level = await self.logged(
            prints(f"WARNING: no IPv4 address found on lo !\n\n{LINES}"), "byte for byte"
        )
        self.assertEqual(level, LogLevel.info)

    async def test_differing(self) -> None:
        """Frames that scapy builds otherwise, or not at all, are named."""
        lines = LINES.replace("probe6 3333ff", "probe6 3333fe").replace("reply", "replay")
        level = await self.logged(prints(lines), "builds other frames than those that are sent")
        self.assertEqual(level, LogLevel.error)
        await self.logged(prints(lines), "reply, probe6")

    async def test_failing(self) -> None:
        """A scapy that is missing is told of with its own words."""
        program = [sys.executable, "-I", "-S", "-c", "import scapy"]
        level = await self.logged(
            program, "could not be compared with scapy's: ModuleNotFoundError: No module"
        )
        self.assertEqual(level, LogLevel.warn)

    async def test_killed(self) -> None:
        """A process that somebody kills, such as a kernel without memory, has proven nothing, whatever it said."""
        program = [sys.executable, "-I", "-S", "-c", f"print('''{LINES}''', flush=True); {KILL}"]
        level = await self.logged(program, "could not be compared")
        self.assertEqual(level, LogLevel.warn)

    async def test_hanging(self) -> None:
        """A process that takes too long is killed."""
        self.patch(proof, "LIMIT", 0.2)
        level = await self.logged(["sleep", "600"], "not done within 0.2 s, killed")
        self.assertEqual(level, LogLevel.warn)

    async def test_missing(self) -> None:
        """A program that is not there, or may not be run, is told of."""
        level = await self.logged(["/nowhere/python"], "no such program")
        self.assertEqual(level, LogLevel.warn)

    async def test_noProcess(self) -> None:
        """Where no process can be made, that is said."""

        def spawnProcess(*arguments: object, **named: object) -> None:
            raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))

        self.patch(reactor, "spawnProcess", spawnProcess)
        level = await self.logged(list(COMMAND), "Resource temporarily unavailable")
        self.assertEqual(level, LogLevel.warn)

    async def test_stopped(self) -> None:
        """A daemon that ends meanwhile takes the process with it, and says nothing of it."""
        pid = Path(self.mktemp()).absolute()
        program = ["sh", "-c", f"echo $$ >{pid}.new; mv {pid}.new {pid}; exec sleep 600"]
        service = FramesProof(reactor, program)
        with capturedLogs() as events:
            service.startService()
            while not pid.exists():
                await deferLater(reactor, 0.01)
            stopping = service.stopService()
            assert stopping is not None
            await stopping
        self.assertFalse(Path(f"/proc/{pid.read_text().strip()}").exists())
        self.assertEqual([e for e in events if e.get("log_namespace") == proof.__name__], [])


KILL = "import posix; posix.kill(posix.getpid(), 9)"


class StartTests(SynchronousTestCase):
    """When it begins."""

    def test_late(self) -> None:
        """Nothing is started while the daemon has its own start to do, nor once it has stopped."""
        clock = Clock()
        started: list[object] = []

        def run(*arguments: object, **named: object) -> Deferred[object]:
            started.append(arguments)
            return Deferred()

        self.patch(proof, "run", run)
        service = FramesProof(clock)
        service.startService()
        clock.advance(proof.AFTER - 0.01)
        self.assertEqual(started, [])
        service.stopService()
        self.assertEqual(clock.getDelayedCalls(), [])
        service.startService()
        clock.advance(proof.AFTER)
        self.assertEqual(len(started), 1)
        service.stopService()
