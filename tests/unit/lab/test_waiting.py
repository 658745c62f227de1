"""Tests for L{hatwist.lab.waiting}, and for who waits for a program of the lab."""

from __future__ import annotations

import os

from twisted.internet.error import ProcessDone
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from hatwist.lab.program import Program
from hatwist.lab.waiting import STEP, Waiting, runDelay


class WaitingTests(SynchronousTestCase):
    """Whose waits count, and when."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.delays = {1: 7.0}
        self.waiting = Waiting(
            *(self.clock, lambda: list(self.delays), lambda pid: self.delays[pid]),
            seconds=self.clock.seconds,
        )
        self.waiting.start()

    def pass_(self, seconds: float, **waits: float) -> None:
        for pid, wait in waits.items():
            number = int(pid[1:])
            self.delays[number] = self.delays.get(number, 0.0) + wait
        self.clock.pump([STEP] * round(seconds / STEP))

    def test_between(self) -> None:
        """What one waited counts for the time in which it did, and for no other."""
        self.pass_(1.0)
        self.pass_(1.0, p1=0.3)
        self.pass_(1.0)
        self.assertAlmostEqual(self.waiting.between(0.5, 2.5), 0.3)
        self.assertEqual(self.waiting.between(0.0, 0.9), 0.0)
        self.assertEqual(self.waiting.between(1.2, 3.0), 0.0)

    def test_several(self) -> None:
        """The waits of all add up; those of one from before it was looked at do not count."""
        self.pass_(0.5, p2=50.0)
        self.pass_(0.5, p1=0.1, p2=0.2)
        del self.delays[1]
        self.pass_(0.5, p2=0.4)
        self.waiting.stop()
        self.assertAlmostEqual(self.waiting.between(0.0, 2.0), 0.7)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_nothing(self) -> None:
        """Before the first look there is nothing."""
        self.assertEqual(Waiting(self.clock, list).between(0.0, 1.0), 0.0)

    def test_kernel(self) -> None:
        """The kernel tells it of a process; one that is gone has waited for nothing."""
        self.assertGreaterEqual(runDelay(os.getpid()), 0.0)
        self.assertEqual(runDelay(2**22 + 1), 0.0)


class ProgramTests(SynchronousTestCase):
    """Who waits for what a program says."""

    def test_ended(self) -> None:
        """Its end is told to all of them at once."""
        program = Program("one", Clock())
        waiting = [program.says(text) for text in ("this", "that", "something")]
        program.processEnded(Failure(ProcessDone(0)))
        for each in waiting:
            self.assertIn("one ended (0)", str(self.failureResultOf(each, RuntimeError).value))
