"""
The time that deadlines live on: monotonic, whatever happens to the wall clock, and not stopped by a suspension.

A reactor of Twisted keeps its timers on the wall clock: a step of it fires them all at once, or none for as
long as the step was. So a node has timers of its own, on CLOCK_BOOTTIME, and the reactor keeps the wall clock, by
which others date what they log. CLOCK_MONOTONIC stands still while the machine is suspended: who was confirmed
before would believe afterwards that it was just now.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from heapq import heapify, heappop, heappush
from itertools import count
from math import inf
from typing import Any

from twisted.internet.base import DelayedCall
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.task import Clock
from twisted.logger import Logger
from zope.interface import directlyProvides, implementer, providedBy

from hatwist.linux.timer import KernelTimer, NextTurn

MANY = 50
"""Calls that were cancelled, and are kept until they would have been due."""


@implementer(IReactorTime)
class Timers:
    """
    Delayed calls in the order of their times.

    @param seconds: the clock.
    @param arm: called with the time at which L{run} is to be called next, and with C{inf} where nothing waits.
    """

    _log = Logger()

    def __init__(self, seconds: Callable[[], float], arm: Callable[[float], None]) -> None:
        self.seconds = seconds
        self._arm = arm
        self._order = count()
        # A call that was moved has several; that of its time is the one that counts.
        self._calls: list[tuple[float, int, Any]] = []
        self._live: set[Any] = set()
        self._armed = inf
        self._running = False
        self._new: list[Any] = []

    def callLater(
        self, delay: float, callable: Callable[..., object], *args: Any, **kw: Any
    ) -> IDelayedCall:
        """
        See L{IReactorTime.callLater}. With a delay of 0 it is called in a later turn of the reactor.

        @raise ValueError: the delay is negative.
        @raise OSError: it is the only call, and the process has no descriptor left.
        """
        if delay < 0:
            raise ValueError(f"a delay cannot be negative: {delay}")
        call = DelayedCall(
            self.seconds() + delay,
            *(callable, args, kw),
            *(self._cancelled, self._sooner, self.seconds),
        )
        self._live.add(call)
        try:
            self._sooner(call)
        except OSError:
            self._live.discard(call)
            raise
        return call

    def getDelayedCalls(self) -> list[IDelayedCall]:
        """Those that will be called."""
        return list(self._live)

    def _sooner(self, call: Any) -> None:
        if self._running:  # what is added meanwhile has to wait for its turn
            self._new.append(call)
            return
        heappush(self._calls, (call.time, next(self._order), call))
        self._settle()

    def _cancelled(self, call: Any) -> None:
        self._live.discard(call)
        if len(self._calls) > MANY + 2 * len(self._live) and not self._running:
            self._calls = [entry for entry in self._calls if entry[2] in self._live]
            heapify(self._calls)
        if not self._live:
            self._settle()

    def _settle(self) -> None:
        """Have L{run} called in time; too early does no harm."""
        if self._running:
            return
        if not self._live:
            self._calls.clear()
        soonest = self._calls[0][0] if self._calls else inf
        if soonest < self._armed or soonest == inf:
            self._arm(soonest)
            self._armed = soonest

    def run(self) -> None:
        """Call whatever is due. What goes wrong is logged."""
        now, self._running = self.seconds(), True
        try:
            while self._calls and self._calls[0][0] <= now:
                at, _, call = heappop(self._calls)
                if call not in self._live or call.time != at:
                    continue
                if call.delayed_time > 0.0:
                    call.activate_delay()
                    heappush(self._calls, (call.time, next(self._order), call))
                    continue
                self._live.discard(call)
                self._call(call)
        finally:
            self._running = False
            for call in self._new:
                heappush(self._calls, (call.time, next(self._order), call))
            self._new.clear()
            self._armed = inf
            self._settle()

    def _call(self, call: Any) -> None:
        try:
            call.called = 1
            call.func(*call.args, **call.kw)
        except Exception:
            self._log.failure("A timed call failed: {call}", call=call)


class Monotonic:
    """
    A reactor, but that its time and its timers are on a clock that nobody sets. That of the reactor itself is left
    as it is.

    The kernel wakes it, for which it has two descriptors while any call waits.

    @param reactor: provides C{IReactorFDSet}.
    @param clock: which one; C{time.CLOCK_MONOTONIC} is enough for who holds nothing.
    @ivar seconds, callLater, getDelayedCalls: see L{IReactorTime}.
    """

    def __init__(self, reactor: Any, clock: int = time.CLOCK_BOOTTIME) -> None:
        self.reactor = reactor
        # Without a frame of its own: the time is asked for twenty times in an interval.
        self.seconds: Callable[[], float] = partial(time.clock_gettime, clock)
        timers = Timers(self.seconds, self._arm)
        self._timer = KernelTimer(reactor, clock, timers.run)
        self._turn = NextTurn(reactor, timers.run)
        self.callLater = timers.callLater
        self.getDelayedCalls = timers.getDelayedCalls
        directlyProvides(self, providedBy(reactor), IReactorTime)

    def __getattr__(self, name: str) -> Any:
        """All else is the reactor's."""
        return getattr(self.reactor, name)

    def _arm(self, at: float) -> None:
        if at == inf:
            self._turn.close()
            self._timer.close()
            return
        if not self._turn.opened:
            self._open()
        if at <= self.seconds():
            self._turn.set()
        else:
            self._timer.set(at)

    def _open(self) -> None:
        """Both at once: what began to run is not to fail later, for want of a descriptor."""
        self._timer.open()
        try:
            self._turn.open()
        except OSError:
            self._timer.close()
            raise


def monotonic(reactor: Any) -> Any:
    """This reactor with timers that no step of the wall clock moves; the time of a L{Clock} is simulated anyway."""
    return reactor if isinstance(reactor, Clock | Monotonic) else Monotonic(reactor)
