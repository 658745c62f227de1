"""Tests for L{hatwist.runtime.lock}: two processes of one node, on real files."""

from __future__ import annotations

import os
import subprocess
import sys

from twisted.trial.unittest import SynchronousTestCase

from hatwist.runtime.lock import NodeLock, Taken

HOLDER = """\
import sys, time
from hatwist.runtime.lock import NodeLock
NodeLock.of(sys.argv[1], "web", "alpha").take()
print("taken", flush=True)
time.sleep(60)
"""


class NodeLockTests(SynchronousTestCase):
    """The lock of node alpha in a new directory."""

    def setUp(self) -> None:
        self.directory = os.path.join(self.mktemp(), "state")

    def lock(self, node: str = "alpha") -> NodeLock:
        made = NodeLock.of(self.directory, "web", node)
        self.addCleanup(made.free)
        return made

    def test_dots(self) -> None:
        """Nodes whose names are the same with those of their clusters run side by side."""
        for cluster, node in (("a.b", "c"), ("a", "b.c")):
            lock = NodeLock.of(self.directory, cluster, node)
            self.addCleanup(lock.free)
            lock.take()

    def test_one(self) -> None:
        """Only one has it at a time; the other one is told who does."""
        first, second = self.lock(), self.lock()
        first.take()
        for refused in (second.take, second.check):
            error = self.assertRaises(Taken, refused)
            self.assertEqual(
                str(error),
                f"node alpha of cluster web runs here already, as process {os.getpid()}",
            )
        first.free()
        second.check()
        second.take()
        self.assertRaises(Taken, first.take)

    def test_others(self) -> None:
        """Nodes of other names have locks of their own."""
        self.lock().take()
        self.lock("beta").take()

    def test_check(self) -> None:
        """A look makes no file and no directory."""
        self.lock().check()
        self.assertFalse(os.path.exists(self.directory))

    def test_killed(self) -> None:
        """A process that is killed has it no more."""
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        holder = subprocess.Popen(
            [sys.executable, "-c", HOLDER, self.directory],
            stdout=subprocess.PIPE,
            env=environment,
            text=True,
        )
        try:
            assert holder.stdout is not None
            self.assertEqual(holder.stdout.readline(), "taken\n")
            error = self.assertRaises(Taken, self.lock().take)
            self.assertIn(f"as process {holder.pid}", str(error))
        finally:
            holder.kill()
            holder.communicate()
        self.lock().take()

    def test_notInherited(self) -> None:
        """A program that is started by who has it does not keep it when that one frees it."""
        lock = self.lock()
        lock.take()
        child = subprocess.Popen(
            [sys.executable, "-c", "print('up', flush=True); input()"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            close_fds=False,
            text=True,
        )
        try:
            assert child.stdout is not None
            self.assertEqual(child.stdout.readline(), "up\n")
            lock.free()
            self.lock().take()
        finally:
            child.communicate("\n")

    def test_link(self) -> None:
        """A symbolic link in its place is not followed."""
        os.makedirs(self.directory)
        os.symlink("/dev/null", os.path.join(self.directory, "web.alpha.lock"))
        self.assertRaises(OSError, self.lock().take)

    def test_fifo(self) -> None:
        """Of a FIFO in its place nobody is waited for."""
        os.makedirs(self.directory)
        os.mkfifo(os.path.join(self.directory, "web.alpha.lock"))
        self.lock().check()
