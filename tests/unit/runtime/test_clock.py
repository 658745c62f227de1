"""Timers on the monotonic clock."""

from __future__ import annotations

import errno
import os
import time
from itertools import pairwise
from math import inf
from typing import Any
from unittest import mock

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.asyncioreactor import AsyncioSelectorReactor
from twisted.internet.epollreactor import EPollReactor
from twisted.internet.interfaces import IReactorTCP, IReactorTime
from twisted.internet.selectreactor import SelectReactor
from twisted.internet.task import Clock, LoopingCall
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from hatwist.linux.guard import client as guarding
from hatwist.runtime.clock import Monotonic, Timers, monotonic

HOUR = 3600.0


class World:
    """A clock that a test sets, and the timer of a kernel that goes by it."""

    def __init__(self) -> None:
        self.now = 100.0
        self.armed: list[float] = []
        self.timers = Timers(lambda: self.now, self.armed.append)
        self.called: list[Any] = []

    def later(self, delay: float, name: Any) -> Any:
        return self.timers.callLater(delay, self.called.append, name)

    def advance(self, seconds: float) -> None:
        """As the kernel does: wake at each time that was set, and only then."""
        end = self.now + seconds
        while self.armed and self.armed[-1] <= end:
            self.now = max(self.now, self.armed[-1])
            self.timers.run()
        self.now = end


class TimersTests(SynchronousTestCase):
    def test_order(self) -> None:
        """Calls come in the order of their times, and of one time in the order in which they were made."""
        world = World()
        for delay, name in ((2.0, "c"), (1.0, "a"), (1.0, "b"), (3.0, "d")):
            world.later(delay, name)
        world.advance(2.0)
        self.assertEqual(world.called, ["a", "b", "c"])

    def test_early(self) -> None:
        """Nothing is called before its time, though run is."""
        world = World()
        world.later(1.0, "a")
        world.now += 0.999
        world.timers.run()
        self.assertEqual(world.called, [])
        self.assertEqual(world.armed[-1], 101.0)

    def test_cancelled(self) -> None:
        """What is cancelled is not called; with the last one nothing waits any more."""
        world = World()
        call = world.later(1.0, "a")
        self.assertEqual(world.timers.getDelayedCalls(), [call])
        call.cancel()
        self.assertEqual(world.armed, [101.0, inf])
        world.advance(2.0)
        self.assertEqual((world.called, world.timers.getDelayedCalls()), ([], []))

    def test_nextTurn(self) -> None:
        """What a call makes is never called in the same turn, so that sockets are read in between."""
        world = World()
        turns = []

        def again() -> None:
            turns.append(world.now)
            world.timers.callLater(0, again)

        world.timers.callLater(0, again)
        for number in (1, 2, 3):
            world.timers.run()
            self.assertEqual(len(turns), number)
        self.assertEqual(world.armed[-1], world.now)

    def test_failed(self) -> None:
        """A call that fails is logged, and the others come."""
        world = World()
        world.timers.callLater(1.0, lambda: 1 / 0)
        world.later(1.0, "a")
        world.advance(1.0)
        self.assertEqual(world.called, ["a"])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_negative(self) -> None:
        """A negative delay is refused."""
        self.assertRaises(ValueError, World().timers.callLater, -0.1, lambda: None)

    def test_kept(self) -> None:
        """Thousands of calls that are made and cancelled leave nothing behind."""
        world = World()
        world.later(HOUR, "a")
        for number in range(1000):
            world.later(HOUR, number).cancel()
        self.assertLess(len(world.timers._calls), 60)
        self.assertEqual(len(world.armed), 1)

    @given(
        st.lists(
            st.tuples(
                st.sampled_from(("later", "reset", "delay", "cancel", "advance")),
                st.integers(0, 7),
                st.integers(0, 40).map(lambda n: n / 4),
            ),
            max_size=40,
        )
    )
    def test_asTwisted(self, steps: list[tuple[str, int, float]]) -> None:
        """Whatever is made, moved and cancelled: each is called when Twisted's own clock would call it."""
        world, model = World(), Clock()
        model.advance(world.now)
        ours: list[Any] = []
        theirs: list[Any] = []
        found: list[tuple[float, int]] = []
        expected: list[tuple[float, int]] = []
        for step, number, seconds in steps:
            if step == "later":
                name = len(ours)
                ours.append(
                    world.timers.callLater(seconds, lambda n=name: found.append((world.now, n)))
                )
                theirs.append(
                    model.callLater(seconds, lambda n=name: expected.append((model.seconds(), n)))
                )
            elif step == "advance":
                world.advance(seconds)
                model.advance(0)
                for _ in range(int(seconds * 4)):
                    model.advance(0.25)
            elif number < len(ours) and ours[number].active():
                arguments = () if step == "cancel" else (seconds,)
                getattr(ours[number], step)(*arguments)
                getattr(theirs[number], step)(*arguments)
        # Of one time the order may differ where one of them was moved.
        self.assertEqual(sorted(found), sorted(expected))
        self.assertEqual([at for at, _ in found], [at for at, _ in expected])
        self.assertEqual(
            sorted(call.getTime() for call in world.timers.getDelayedCalls()),
            sorted(call.getTime() for call in model.getDelayedCalls()),
        )


class MonotonicTests(SynchronousTestCase):
    def test_given(self) -> None:
        """A simulated reactor is taken as it is, and one that is monotonic already."""
        clock, memory = Clock(), MemoryReactorClock()
        self.assertIs(monotonic(clock), clock)
        self.assertIs(monotonic(memory), memory)
        own = monotonic(SelectReactor())
        self.assertIsInstance(own, Monotonic)
        self.assertIs(monotonic(own), own)

    def test_provides(self) -> None:
        """It provides what the reactor does, whose clock stays the wall clock."""
        reactor = SelectReactor()
        own = Monotonic(reactor)
        verifyObject(IReactorTime, own)
        self.assertTrue(IReactorTCP.providedBy(own))
        self.assertEqual(own.callFromThread, reactor.callFromThread)
        self.assertApproximates(own.seconds(), time.clock_gettime(time.CLOCK_BOOTTIME), 5)
        self.assertApproximates(reactor.seconds(), time.time(), 5)

    def test_suspended(self) -> None:
        """
        What was confirmed before a suspension is old afterwards, also for the guard's other clock, though
        CLOCK_MONOTONIC stood still meanwhile.
        """
        now = {time.CLOCK_MONOTONIC: 100.0, time.CLOCK_BOOTTIME: 200.0}
        self.patch(time, "clock_gettime", now.__getitem__)
        self.patch(time, "monotonic", lambda: now[time.CLOCK_MONOTONIC])
        reactor: Any = Monotonic(SelectReactor())
        confirmed = reactor.seconds()
        guard = guarding.GuardClient(reactor)
        now[time.CLOCK_BOOTTIME] += 3.0
        now[time.CLOCK_MONOTONIC] += 0.5
        clocks = int(now[time.CLOCK_MONOTONIC] * 1e9), int(now[time.CLOCK_BOOTTIME] * 1e9)
        limits = guard._limits(clocks, confirmed + 3.4)
        self.assertEqual([round(limit / 1e9, 3) for limit in limits], [100.9, 203.4])

    def test_descriptor(self) -> None:
        """There are descriptors only while a call waits, so that one who is made and forgotten has none."""
        reactor = SelectReactor()
        before = os.listdir("/proc/self/fd")
        own = Monotonic(reactor)
        self.assertEqual(os.listdir("/proc/self/fd"), before)
        call = own.callLater(HOUR, lambda: None)
        self.assertEqual(len(os.listdir("/proc/self/fd")), len(before) + 2)
        call.cancel()
        self.assertEqual(os.listdir("/proc/self/fd"), before)

    def test_noDescriptor(self) -> None:
        """Without a descriptor left a first call is refused, nothing is left open, and a later one is made."""
        own = Monotonic(SelectReactor())
        before = os.listdir("/proc/self/fd")
        with mock.patch.object(os, "eventfd", side_effect=OSError(errno.EMFILE, "too many")):
            self.assertRaises(OSError, own.callLater, 1.0, lambda: None)
        self.assertEqual((own.getDelayedCalls(), os.listdir("/proc/self/fd")), ([], before))
        call = own.callLater(1.0, lambda: None)
        self.assertEqual(own.getDelayedCalls(), [call])
        call.cancel()


class WallClockTests(SynchronousTestCase):
    """A heartbeat and a deadline on reactors that run, while the wall clock is set."""

    def play(self, reactor: Any, step: float) -> tuple[list[float], float]:
        """
        Beat every 20 ms and end by a deadline after 200 ms; the wall clock is set in between.

        @return: how far apart the heartbeats were, and when the deadline came.
        """
        wall = [0.0]
        reactor.seconds = lambda: time.time() + wall[0]
        own = Monotonic(reactor)
        beats: list[float] = []
        ended: list[float] = []
        began = time.monotonic()
        beating = LoopingCall(lambda: beats.append(time.monotonic()))
        beating.clock = own  # type: ignore[assignment]
        # Twisted's own, by the wall clock: nothing may depend on it, and it keeps the reactor from sleeping for ever.
        lost = reactor.callLater(0.11, lambda: None)

        def end() -> None:
            ended.append(time.monotonic() - began)
            beating.stop()
            if lost.active():
                lost.cancel()
            reactor.stop()

        def begin() -> None:
            beating.start(0.02)
            own.callLater(0.2, end)
            own.callLater(0.1, wall.__setitem__, 0, step)

        reactor.callWhenRunning(begin)
        reactor.run(installSignalHandlers=False)
        return [two - one for one, two in pairwise(beats)], ended[0]

    def check(self, make: Any) -> None:
        for step in (-HOUR, HOUR):
            gaps, end = self.play(make(), step)
            # 10 beats in 200 ms. Late by as much as a busy machine is; an hour would show.
            self.assertGreaterEqual(len(gaps), 3, step)
            self.assertLess(max(gaps), 0.15, step)
            self.assertGreaterEqual(end, 0.2, step)
            self.assertLess(end, 2.0, step)

    def test_epoll(self) -> None:
        """On Linux's usual reactor a step of an hour either way neither delays nor hurries anything."""
        self.check(EPollReactor)

    def test_select(self) -> None:
        """The same on select(2)."""
        self.check(SelectReactor)

    def test_asyncio(self) -> None:
        """The same on asyncio's loop."""
        import asyncio

        def make() -> Any:
            loop = asyncio.new_event_loop()
            self.addCleanup(loop.close)
            return AsyncioSelectorReactor(loop)

        self.check(make)

    def test_twisteds(self) -> None:
        """Twisted's own timers do wait for the wall clock: that is why there are others."""
        reactor: Any = EPollReactor()
        now = [1000.0]
        reactor.seconds = lambda: now[0]
        called: list[str] = []
        call = reactor.callLater(0.1, called.append, "due")
        now[0] += 0.2 - HOUR
        reactor.iterate(0)
        self.assertEqual(called, [])
        call.cancel()
