"""A node inside of other programs: processes of their own, on the loopback interface."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.unit.service.test_service import freePort

PROGRAM = """\
import json
import sys
import time

which, directory, port, *steps = sys.argv[1:]
wall, offset = time.time, [0.0]
time.time = lambda: wall() + offset[0]  # which Twisted takes over when it is imported
if which == "asyncio":
    from twisted.internet import asyncioreactor

    asyncioreactor.install()
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import react

from hatwist.api import HAService, MemoryResource, Role, settings

chosen = settings(
    interface="lo",
    node="alpha",
    stateDir=directory,
    interval=0.05,
    tolerance=0.175,
    multicast=f"239.250.0.1:{port}",
)


async def main(reactor):
    resource = MemoryResource(reactor)
    ha = HAService(chosen, reactor, [resource])
    told = []
    ha.every(0.1, lambda: told.append("job"))
    terms, changes = ha.terms(), ha.changes()
    ha.startService()
    found = {"explained": "", "steps": [], "loop": type(reactor).__name__}
    async for term in terms:
        await ha.whenRole(Role.ACTIVE)
        found["held"], found["term"] = resource.held, term.number > 0
        found["explained"] = ha.explain().holder
        for step in map(float, steps):
            before, began, sent = reactor.seconds(), ha.seconds(), ha.figures().sent
            offset[0] = step
            woke = await term.sleep(1.0)
            now = reactor.seconds(), ha.seconds(), ha.figures().sent
            found["steps"].append([now[0] - before, now[1] - began, now[2] - sent, woke])
        break
    del terms
    drained = await ha.drain(force=True)
    found["drained"] = [moved.group for moved in drained.arrivals]
    await ha.stopService()
    found["held after"], found["jobs"] = resource.held, len(told) > 0
    found["roles"] = [str(change.new) async for change in changes]
    print(json.dumps(found))


react(lambda reactor: Deferred.fromCoroutine(main(reactor)))
"""


def played(which: str, directory: str, *steps: int) -> Any:
    """
    What the program has found.

    @param steps: seconds by which the wall clock is wrong, one after the other.
    """
    os.mkdir(directory)
    argv = [which, os.path.abspath(directory), str(freePort()), *map(str, steps)]
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *argv],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


class EmbeddedTests(SynchronousTestCase):
    def check(self, found: Any) -> None:
        self.assertTrue(found["held"] and found["term"] and found["jobs"], found)
        self.assertFalse(found["held after"])
        self.assertEqual((found["explained"], found["drained"]), ("alpha", ["default"]))
        self.assertEqual(found["roles"], ["STANDBY", "ACTIVE", "STANDBY", "SHUTDOWN"])

    def test_asyncio(self) -> None:
        """On asyncio's loop a node holds, follows, drains and stops as on any other."""
        found = played("asyncio", self.mktemp())
        self.assertEqual(found["loop"], "AsyncioSelectorReactor")
        self.check(found)

    def test_wallClockSet(self) -> None:
        """The clock of a running process is set by an hour, either way: beats go on as before, and no role changes."""
        found = played("epoll", self.mktemp(), 0, -3600, 3600)
        self.check(found)
        calm, back, forth = found["steps"]
        self.assertLess(abs(calm[0] - 1.0), 30)
        self.assertLess(back[0], -3000)
        self.assertGreater(forth[0], 3000)
        for _, slept, sent, woke in (calm, back, forth):
            self.assertTrue(woke)
            self.assertLess(slept, 2.0)  # seconds; 1.0 and what a busy machine adds
            self.assertGreater(sent, 10)  # of 20
            self.assertLess(sent, 45)
