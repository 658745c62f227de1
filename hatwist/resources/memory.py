"""The double: a resource that exists only here, keeps a transcript, and fails or dawdles as it is told."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

from hatwist.core.errors import ResourceError
from hatwist.resources.interfaces import IAnnouncer, IResource


@implementer(IResource, IAnnouncer)
class MemoryResource:
    """
    Behaves as every resource does, for tests of what holds resources: a group, a service of yours.

    @ivar transcript: every call in order, and what became of it: C{"acquire"}, then C{"acquired"},
        C{"acquire failed"} or C{"acquire cancelled"}; likewise C{release}; C{"verify"}; C{"announce"}.
        Several resources may share one list, to see the order among them.
    @ivar held: whether it is held.
    @ivar delay: seconds that each acquire and release takes; C{None} waits for L{finish}.
    """

    def __init__(
        self,
        reactor: IReactorTime,
        name: str = "memory",
        delay: float | None = 0.0,
        transcript: list[str] | None = None,
    ) -> None:
        self._reactor = reactor
        self.name = name
        self.delay = delay
        self.transcript: list[str] = [] if transcript is None else transcript
        self._prefix = "" if transcript is None else f"{name}: "
        self.held = False
        self._failures: dict[str, deque[str]] = {"acquire": deque(), "release": deque()}
        self._pending: Deferred[None] | None = None
        self._lost: Callable[[str], None] | None = None

    def failNext(self, operation: str, reason: str = "refused", times: int = 1) -> None:
        """Let the next C{times} calls of C{operation} ("acquire" or "release") fail with C{reason}."""
        self._failures[operation].extend([reason] * times)

    def finish(self) -> None:
        """Let the operation in flight end now."""
        if self._pending is None:
            raise ValueError(f"{self.name}: nothing is in flight")
        pending, self._pending = self._pending, None
        pending.callback(None)

    def lose(self, reason: str) -> None:
        """Take it away while it is held, as a kernel or an administrator might."""
        self.held = False
        if self._lost is not None:
            self._lost(reason)

    def acquire(self) -> Deferred[None]:
        """Hold it, after the delay."""
        return Deferred.fromCoroutine(self._perform("acquire", True))

    def release(self) -> Deferred[None]:
        """Let go of it, after the delay."""
        return Deferred.fromCoroutine(self._perform("release", False))

    def verify(self) -> Deferred[bool]:
        """Whether it is held."""
        self._note("verify")
        answer: Deferred[bool] = Deferred()
        answer.callback(self.held)
        return answer

    def watch(self, lost: Callable[[str], None]) -> None:
        """Have L{lose} call C{lost}."""
        self._lost = lost

    def announce(self) -> None:
        """Note it, if it is held."""
        if self.held:
            self._note("announce")

    async def _perform(self, operation: str, held: bool) -> None:
        if self._pending is not None:
            raise AssertionError(f"{self.name}: {operation} while another operation is in flight")
        self._note(operation)
        try:
            await self._wait()
        except CancelledError:
            self._note(f"{operation} cancelled")
            raise
        failures = self._failures[operation]
        if failures:
            self._note(f"{operation} failed")
            raise ResourceError(f"{self.name}: {failures.popleft()}")
        self.held = held
        self._note(f"{operation}d")

    async def _wait(self) -> None:
        if self.delay == 0:
            return
        pending = self._pending = Deferred[None]()
        timer = None if self.delay is None else self._reactor.callLater(self.delay, self.finish)
        try:
            await pending
        finally:
            self._pending = None
            if timer is not None and timer.active():
                timer.cancel()

    def _note(self, what: str) -> None:
        self.transcript.append(self._prefix + what)
