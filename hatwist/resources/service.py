"""A Twisted service that runs only where the address is."""

from __future__ import annotations

from collections.abc import Callable

from twisted.application.service import IService
from twisted.internet.defer import CancelledError, Deferred, TimeoutError, maybeDeferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from zope.interface import implementer

from hatwist.core.errors import ResourceError
from hatwist.resources.interfaces import IResource


@implementer(IResource)
class ServiceResource:
    """
    Held while C{service} runs; its stop is awaited before whatever was acquired before it is released.

    The service must have no parent that would start or stop it on its own.

    @param timeout: seconds that C{startService} and C{stopService} may each take.
    """

    ephemeral = True
    _log = Logger()

    def __init__(self, reactor: IReactorTime, service: IService, timeout: float = 10.0) -> None:
        self._reactor = reactor
        self._service = service
        self._timeout = timeout
        self._unfinished = False
        self.acquireTime = 2 * timeout  # one that does not start is stopped again
        self.releaseTime = timeout
        self.name = service.name or type(service).__name__

    def acquire(self) -> Deferred[None]:
        """
        Start it. Fires when what C{startService} returned has fired, if that is a Deferred.

        A service that could not start is stopped, since a L{MultiService} may have started in part.
        """
        return Deferred.fromCoroutine(self._acquire())

    def release(self) -> Deferred[None]:
        """Stop it, if it runs, and wait until it has stopped."""
        return Deferred.fromCoroutine(self._release())

    def verify(self) -> Deferred[bool]:
        """Whether it runs."""
        answer: Deferred[bool] = Deferred()
        answer.callback(bool(self._service.running) and not self._unfinished)
        return answer

    def watch(self, lost: Callable[[str], None]) -> None:
        """A service stops only when it is asked to, so that nothing is ever reported."""

    async def _acquire(self) -> None:
        if self._service.running and not self._unfinished:
            return
        self._unfinished = True
        try:
            await self._bounded("start", self._service.startService)
        except (CancelledError, ResourceError):
            try:
                await self._release()
            except ResourceError as error:
                self._log.warn("{error}, after it could not be started", error=error)
            raise
        self._unfinished = False

    async def _release(self) -> None:
        if self._service.running or self._unfinished:
            self._unfinished = True  # it says "not running" from the beginning of its stop
            await self._bounded("stop", self._service.stopService)
            self._unfinished = False

    async def _bounded(self, step: str, method: Callable[[], object]) -> None:
        try:
            await maybeDeferred(method).addTimeout(self._timeout, self._reactor)
        except CancelledError:
            raise
        except TimeoutError:
            raise ResourceError(f"{self.name}: did not {step} within {self._timeout:g} s") from None
        except Exception as error:
            raise ResourceError(
                f"{self.name}: could not {step}: {type(error).__name__}: {error}"
            ) from error
