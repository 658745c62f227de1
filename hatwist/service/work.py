"""Work of a program's own as a service that runs only where a group is held."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import CancelledError, Deferred, maybeDeferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure


class Every(Service):
    """
    Calls a function at once when it starts, and then in every interval; never twice at a time.

    @param seconds: between two beginnings. One that comes while the last call is not done is left out.
    @param function: may return a Deferred or be a coroutine function. An error is logged, and the next call comes.
    """

    _log = Logger()

    def __init__(self, clock: IReactorTime, seconds: float, function: Callable[[], object]) -> None:
        self.name = f"every {seconds:g} s {getattr(function, '__qualname__', repr(function))}"
        self._seconds = seconds
        self._function = function
        self._pending: Deferred[Any] | None = None
        self._looping = LoopingCall(self._call)
        self._looping.clock = clock

    def startService(self) -> None:
        super().startService()
        self._looping.start(self._seconds)

    def stopService(self) -> Deferred[None] | None:
        """Cancel a call that is not done. Fires once it has ended."""
        super().stopService()
        if self._looping.running:
            self._looping.stop()
        pending = self._pending
        if pending is None:
            return None
        done: Deferred[None] = Deferred()
        pending.addBoth(lambda result: done.callback(None))
        pending.cancel()
        return done

    def _call(self) -> Deferred[Any]:
        pending = self._pending = maybeDeferred(self._function)
        pending.addErrback(self._failed)
        return pending.addBoth(self._done)

    def _done(self, result: Any) -> None:
        self._pending = None

    def _failed(self, failure: Failure) -> None:
        if self.running or not failure.check(CancelledError):
            self._log.failure("{name} failed; the next one comes", failure, name=self.name)


class HookPair(Service):
    """
    Two functions as a service, each of which may return a Deferred or be a coroutine function.

    @param acquire: called when everything else of the group is held. If it fails, C{release} is called too.
    """

    def __init__(self, acquire: Callable[[], object], release: Callable[[], object]) -> None:
        self.name = f"hook {getattr(acquire, '__qualname__', repr(acquire))}"
        self._acquire = acquire
        self._release = release

    def startService(self) -> Any:
        super().startService()
        return self._acquire()

    def stopService(self) -> Any:
        super().stopService()
        return self._release()
