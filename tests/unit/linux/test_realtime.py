"""Tests for L{hatwist.linux.realtime}: what it does to processes of the tests' own, as far as their host permits."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from hatwist.linux import realtime
from hatwist.linux.guard import program
from hatwist.linux.guard.process import COMMAND, REALTIME

CHILD = """
import json, os, resource, subprocess, sys
from hatwist.linux import realtime
if "without" in sys.argv:
    resource.setrlimit(resource.RLIMIT_RTPRIO, (0, 0))
    resource.setrlimit(resource.RLIMIT_MEMLOCK, (0, 0))
    if os.geteuid() == 0:
        os.setresuid(*[65534] * 3)
refused = realtime.refused()
locked = next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmLck"))
child = [sys.executable, "-S", "-c", "import os; print(os.sched_getscheduler(0))"]
policy = os.sched_getscheduler(0) & ~os.SCHED_RESET_ON_FORK
ordinary = "without" in sys.argv or int(subprocess.check_output(child)) == os.SCHED_OTHER
print(json.dumps([refused, policy, int(locked), ordinary]))
"""
MAY = os.geteuid() == 0 and Path("/proc/self/uid_map").read_text().split()[1] == "0"
"""These tests are run by root of the host, who may do all of it."""


def inChild(*argv: str) -> Any:
    """What a process is refused that asks for it, its policy, what it has locked, and whether its child is ordinary."""
    root = Path(__file__).parents[3]
    said = subprocess.check_output([sys.executable, "-c", CHILD, *argv], cwd=root)
    return json.loads(said)


class RealtimeTests(SynchronousTestCase):
    """What a process has, and what it is told."""

    def test_asTold(self) -> None:
        """What is not refused is true; whatever it starts is ordinary."""
        refused, policy, locked, ordinary = inChild()
        self.assertEqual(policy == os.SCHED_RR, not any("come before" in what for what in refused))
        self.assertEqual(locked > 0, not any("locked" in what for what in refused))
        self.assertTrue(ordinary)
        if MAY:
            self.assertEqual(refused, [])

    def test_refused(self) -> None:
        """Who may not goes on as an ordinary process, and tells which limits would permit it."""
        refused, policy, locked, _ = inChild("without")
        self.assertEqual((policy, locked), (os.SCHED_OTHER, 0))
        self.assertEqual(
            refused,
            [
                "it may not come before other processes (Operation not permitted): LimitRTPRIO=2",
                "its memory may not be locked (Operation not permitted): LimitMEMLOCK=infinity",
            ],
        )

    def test_guard(self) -> None:
        """A guard comes before its daemon, where the host permits; it works in any case."""
        for command, wanted in ((COMMAND, os.SCHED_OTHER), (REALTIME, os.SCHED_RR)):
            guard = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            assert guard.stdin is not None
            assert guard.stdout is not None
            with guard:
                self.addCleanup(guard.kill)
                self.assertEqual(guard.stdout.read(5), program.message(program.READY))
                policy = os.sched_getscheduler(guard.pid) & ~os.SCHED_RESET_ON_FORK
                if MAY or wanted == os.SCHED_OTHER:
                    self.assertEqual(policy, wanted)
                    priority = os.sched_getparam(guard.pid).sched_priority
                    self.assertEqual(priority, realtime.GUARD if wanted else 0)
                guard.stdin.close()
                self.assertEqual(guard.wait(), 0)
