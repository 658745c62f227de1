"""
Tests for L{hatwist.resources.unit}, against a program that stands for systemctl.

It keeps a unit's state in a file and answers as systemctl(1) of systemd 252 does: words and exit codes of
C{start}, C{stop} and C{is-active}. systemd itself does not run where these tests do.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import deferLater
from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from hatwist.core.errors import ResourceError
from hatwist.resources import unit
from hatwist.resources.unit import Unit, unitName
from tests.contracts import ResourceContract
from tests.unit.resources.test_command import Programs, gone, reactor, until

SYSTEMCTL = """\
#!/bin/sh
# What it is asked is written down; a file START, STOP or ISACTIVE is what it does instead.
cd "$(dirname "$0")"
echo "$@" >>asked
test "$1" = --no-ask-password && test "$3" = -- && test $# = 4 || exit 64
case "$2" in
start)
    test -e START && . ./START
    echo active >state ;;
stop)
    test -e STOP && . ./STOP
    echo inactive >state ;;
is-active)
    test -e ISACTIVE && . ./ISACTIVE
    cat state
    test "$(cat state)" = active || exit 3 ;;
*) exit 64 ;;
esac
"""
WEB = "web.service"


class Systemd(Programs):
    """A unit called web.service, inactive at first."""

    def setUp(self) -> None:
        super().setUp()
        program = self.where / "systemctl"
        program.write_text(SYSTEMCTL)
        program.chmod(0o755)
        self.become("inactive")
        self.patch(os, "environ", {**os.environ, "PATH": f"{self.where}:{os.environ['PATH']}"})

    def become(self, state: str) -> None:
        """systemd calls it that from now on."""
        new = self.where / "state.new"
        new.write_text(f"{state}\n")
        new.rename(self.where / "state")

    @property
    def state(self) -> str:
        return (self.where / "state").read_text().strip()

    def does(self, verb: str, script: str) -> None:
        """What systemctl does on C{START}, C{STOP} or C{ISACTIVE}."""
        (self.where / verb).write_text(script + "\n")

    def asked(self) -> list[str]:
        """The verbs of its calls, since the last time."""
        log = self.where / "asked"
        if not log.exists():
            return []
        verbs = [line.split()[1] for line in log.read_text().splitlines()]
        log.unlink()
        return verbs


class UnitContractTests(ResourceContract, Systemd):
    """A unit keeps the contract of every resource."""

    def makeResource(self) -> Unit:
        resource = Unit(reactor, WEB)
        self.addCleanup(resource.release)
        return resource


class UnitTests(Systemd):
    """Start and stop."""

    def setUp(self) -> None:
        super().setUp()
        self.resource = Unit(reactor, WEB, timeout=5.0, every=0.02)
        self.lost: list[str] = []
        self.resource.watch(self.lost.append)
        self.addCleanup(self.end)

    async def end(self) -> None:
        """Leave no timer behind."""
        for verb in ("STOP", "ISACTIVE"):
            (self.where / verb).unlink(missing_ok=True)
        await self.resource.release()

    async def failing(self, operation: Deferred[Any]) -> str:
        """The text of the ResourceError that C{operation} fails with."""
        try:
            await operation
        except ResourceError as error:
            return str(error)
        self.fail("it succeeded")

    async def test_calls(self) -> None:
        """It is started and stopped by name, without a shell, and asked whether that is so."""
        await self.resource.acquire()
        await self.resource.release()
        self.assertEqual(
            (self.where / "asked").read_text().splitlines()[:3],
            [
                f"--no-ask-password {verb} -- web.service"
                for verb in ("is-active", "start", "is-active")
            ],
        )
        self.assertEqual(self.asked()[-2:], ["stop", "is-active"])
        self.assertEqual(self.state, "inactive")

    async def test_alreadyActive(self) -> None:
        """One that is active already is not started again."""
        self.become("active")
        await self.resource.acquire()
        self.assertNotIn("start", self.asked())

    async def test_startFails(self) -> None:
        """A start that fails says what systemctl said, and what the unit is."""
        self.does("START", "echo failed >state; echo See journalctl -xeu web.service >&2; exit 1")
        self.assertEqual(
            await self.failing(self.resource.acquire()),
            "systemctl start web.service: ended with 1 (See journalctl -xeu web.service), it is failed",
        )

    async def test_oneshot(self) -> None:
        """One that has done its work and is inactive again gets a hint."""
        self.does("START", "exit 0")
        self.assertEqual(
            await self.failing(self.resource.acquire()),
            "systemctl start web.service: ended with 0, it is inactive; "
            "a oneshot service needs RemainAfterExit=yes",
        )

    async def test_stopOfNothing(self) -> None:
        """One that does not exist cannot be stopped, and counts as released."""
        self.does(
            "STOP", "echo Failed to stop web.service: Unit web.service not loaded. >&2; exit 5"
        )
        await self.resource.release()

    async def test_stopFails(self) -> None:
        """A stop that leaves it running is refused, whatever its exit code."""
        await self.resource.acquire()
        for script, expected in (
            ("exit 0", "ended with 0, it is active"),
            ("echo Access denied >&2; exit 4", "ended with 4 (Access denied), it is active"),
        ):
            self.does("STOP", script)
            self.assertEqual(
                await self.failing(self.resource.release()),
                f"systemctl stop web.service: {expected}",
            )

    async def test_noSystemd(self) -> None:
        """Where systemd cannot be asked nothing is proven: neither held nor released."""
        self.does("ISACTIVE", "echo Failed to connect to bus: Host is down >&2; exit 1")
        expected = (
            "systemctl is-active web.service: ended with 1 (Failed to connect to bus: Host is down)"
        )
        operations: tuple[Callable[[], Deferred[Any]], ...] = (
            self.resource.acquire,
            self.resource.release,
            self.resource.verify,
        )
        for operation in operations:
            self.assertEqual(await self.failing(operation()), expected)

    async def test_timeout(self) -> None:
        """A start that hangs is given up in time, and the stop that follows stops it."""
        resource = Unit(reactor, WEB, timeout=0.3)
        self.does("START", "sleep 600")
        self.assertRegex(
            await self.failing(resource.acquire()),
            r"^systemctl --no-ask-password start -- web.service: not done within 0.3 s, killed",
        )
        self.assertEqual(resource.releaseTime, 0.6)
        await self.resource.release()
        self.assertEqual(self.state, "inactive")

    async def test_cancelled(self) -> None:
        """A start that is cancelled ends at once, with the program that waits for it."""
        self.does("START", "echo $$ >pids.new; mv pids.new pids; exec sleep 600")
        starting = self.resource.acquire()
        await until(lambda: self.pids(1))
        starting.cancel()
        with self.assertRaises(CancelledError):
            await starting
        self.assertTrue(gone(self.pids(1)[0]))

    async def test_lookingIsNotLogged(self) -> None:
        """That it is looked at every few seconds does not fill the log."""
        with capturedLogs() as events:
            await self.resource.acquire()
            await until(lambda: len(self.asked()) >= 2)
        self.assertEqual(events, [])

    # While it is held

    async def restarted(self) -> None:
        """It was started again, and has been looked at since."""
        await until(lambda: self.state == "active")
        self.asked()
        log = self.where / "asked"
        await until(lambda: log.exists() and len(log.read_text().splitlines()) >= 3)

    async def test_restarted(self) -> None:
        """One that has stopped is started again, and nobody is told."""
        await self.resource.acquire()
        self.become("failed")
        await until(lambda: self.state == "active")
        self.assertEqual(self.lost, [])
        self.assertTrue(await self.resource.verify())

    async def test_stopsAgain(self) -> None:
        """One that stops again soon after it was restarted is lost."""
        await self.resource.acquire()
        self.become("failed")
        await self.restarted()
        self.become("failed")
        await until(lambda: self.lost)
        self.assertRegex(self.lost[0], r"^it stopped again, \d+\.\d s after it had been restarted$")
        self.assertEqual(self.state, "failed")

    async def test_restartedLater(self) -> None:
        """One that ran long enough in between is restarted once more."""
        self.patch(unit, "STEADY", 0.0)
        await self.resource.acquire()
        for _ in range(2):
            self.become("failed")
            await self.restarted()
        self.assertEqual(self.lost, [])

    async def test_restartFails(self) -> None:
        """One that cannot be restarted is lost."""
        await self.resource.acquire()
        self.does("START", "echo failed >state; exit 1")
        self.become("failed")
        await until(lambda: self.lost)
        self.assertEqual(self.lost, ["systemctl start web.service: ended with 1, it is failed"])

    async def test_patience(self) -> None:
        """That systemd does not answer now and then, as when it is updated, loses nothing; for long it does."""
        await self.resource.acquire()
        self.does("ISACTIVE", "echo Failed to connect to bus: Host is down >&2; exit 1")
        await until(lambda: self.asked().count("is-active") and self.resource._unanswered)
        (self.where / "ISACTIVE").unlink()
        await until(lambda: not self.resource._unanswered)
        self.assertEqual(self.lost, [])
        self.does("ISACTIVE", "echo Failed to connect to bus: Host is down >&2; exit 1")
        await until(lambda: self.lost)
        self.assertIn("Host is down", self.lost[0])

    async def test_notAfterRelease(self) -> None:
        """What was released is not looked at, nor restarted."""
        await self.resource.acquire()
        await self.resource.release()
        self.asked()
        await deferLater(reactor, 0.1)
        self.assertEqual((self.asked(), self.state), ([], "inactive"))

    async def test_releaseDuringRestart(self) -> None:
        """A release during a restart gives it up, and then stops the unit."""
        await self.resource.acquire()
        self.does("START", "echo $$ >pids.new; mv pids.new pids; exec sleep 600")
        self.become("failed")
        await until(lambda: self.pids(1))
        await self.resource.release()
        self.assertTrue(gone(self.pids(1)[0]))
        self.assertEqual((self.state, self.lost), ("inactive", []))


class NameTests(SynchronousTestCase):
    """Names of units."""

    def test_good(self) -> None:
        """Every type of unit, and a service where there is none."""
        for given, name in (
            ("nginx", "nginx.service"),
            ("nginx.service", "nginx.service"),
            ("srv-data.mount", "srv-data.mount"),
            ("getty@tty1.service", "getty@tty1.service"),
            (r"dev-disk-by\x2dlabel-x.swap", r"dev-disk-by\x2dlabel-x.swap"),
        ):
            self.assertEqual(unitName(given), name)

    def test_bad(self) -> None:
        """Patterns, which systemctl would expand, options and paths are none."""
        for given in (
            "",
            "*",
            "web*.service",
            "web[12].service",
            "--all",
            "a b",
            "/etc/x",
            "x.conf",
            3,
            None,
        ):
            with self.assertRaises(ValueError):
                unitName(given)
