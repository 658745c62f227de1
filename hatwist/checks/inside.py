"""Checks of this process itself, and of its host's interfaces."""

from __future__ import annotations

import inspect
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, maybeDeferred

from hatwist.checks.base import CheckFailed, CheckWorld, Stateless
from hatwist.linux.netlink.carrier import CarrierWatch


@dataclass(frozen=True, slots=True)
class CarrierCheck:
    """Good while an interface has a carrier."""

    interface: str

    @property
    def name(self) -> str:
        return f"carrier {self.interface}"

    def problems(self) -> list[str]:
        known = sorted(name for _, name in socket.if_nameindex())
        if self.interface in known:
            return []
        return [f"there is no interface {self.interface!r} on this host; it has {', '.join(known)}"]

    def probe(self, world: CheckWorld) -> _CarrierProbe:
        return _CarrierProbe(world, self)


class _CarrierProbe:
    def __init__(self, world: CheckWorld, spec: CarrierCheck) -> None:
        self._name = spec.interface
        self._watcher = CarrierWatch(world.kernel, [self._name], _ignored, _ignored)
        self._known: Deferred[None] | None = None

    def start(self) -> None:
        self._known = self._watcher.start()

    def stop(self) -> None:
        self._watcher.stop()

    def run(self, limit: float) -> Deferred[None]:
        """The kernel tells of changes by itself; what it told last is the answer."""
        asked: Deferred[None] = Deferred()
        running = self._watcher.running[self._name]
        if running is None:
            asked.errback(CheckFailed("the kernel has not told yet"))
        elif not running:
            asked.errback(CheckFailed("no carrier"))
        else:
            asked.callback(None)
        return asked


def _ignored(name: str) -> None:
    """It is looked at when asked."""


@dataclass(frozen=True, slots=True)
class LatenessCheck:
    """
    Good as long as this process's reactor was never late by more than C{limit} seconds since the last time.

    What makes it late is a machine without time to spare, or a callback that takes long.
    """

    limit: float

    @property
    def name(self) -> str:
        return f"lateness {self.limit:g}"

    def problems(self) -> list[str]:
        return []

    def probe(self, world: CheckWorld) -> _LatenessProbe:
        return _LatenessProbe(world, self)


class _LatenessProbe:
    LEAST = 0.01

    def __init__(self, world: CheckWorld, spec: LatenessCheck) -> None:
        self._reactor = world.reactor
        self._limit = spec.limit
        self._worst = 0.0
        self._due = 0.0
        self._ticking: Any = None

    def start(self) -> None:
        self._tick()

    def stop(self) -> None:
        if self._ticking is not None and self._ticking.active():
            self._ticking.cancel()

    def _tick(self) -> None:
        now = self._reactor.seconds()
        if self._ticking is not None:
            self._worst = max(self._worst, now - self._due)
        every = max(self.LEAST, self._limit / 2)
        self._due = now + every
        self._ticking = self._reactor.callLater(every, self._tick)

    def run(self, limit: float) -> Deferred[None]:
        # This may be the first call after a stall, before the tick that is due.
        worst = max(self._worst, self._reactor.seconds() - self._due)
        self._worst = 0.0
        asked: Deferred[None] = Deferred()
        if worst > self._limit:
            asked.errback(CheckFailed(f"late by {worst:.3f} s"))
        else:
            asked.callback(None)
        return asked


@dataclass(frozen=True, slots=True)
class CallCheck:
    """
    Good unless a function returns something false other than C{None}, or raises; for programs that embed a node.

    @ivar function: may return a Deferred, or be a coroutine function. It must not block: heartbeats
        wait for it.
    @ivar called: what logs and errors call it; by default its own name.
    """

    function: Callable[[], Any]
    called: str = ""

    @property
    def name(self) -> str:
        return self.called or f"call {getattr(self.function, '__qualname__', repr(self.function))}"

    def problems(self) -> list[str]:
        return []

    def probe(self, world: CheckWorld) -> _CallProbe:
        return _CallProbe(self)


class _CallProbe(Stateless):
    def __init__(self, spec: CallCheck) -> None:
        self._function = spec.function

    def run(self, limit: float) -> Deferred[None]:
        return Deferred.fromCoroutine(self._run())

    async def _run(self) -> None:
        try:
            result = await maybeDeferred(self._called)
        except (CancelledError, CheckFailed):
            raise
        except Exception as error:
            raise CheckFailed(f"{type(error).__name__}: {error}".rstrip(": ")) from error
        if result is not None and not result:
            raise CheckFailed(f"it returned {result!r}")

    def _called(self) -> Any:
        result = self._function()
        return Deferred.fromCoroutine(result) if inspect.iscoroutine(result) else result
