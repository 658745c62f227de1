"""While something is held: see that it went away, bring it back, and report it when that fails."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure

from hatwist.core.errors import ResourceError

# Seconds between two restorations: the first is made at once, but who fights over an interface with
# another program must not take a whole core for it.
PAUSE = 0.25


class Vigil:
    """
    Kept from L{begin} to L{end} over one resource.

    @param verify: asks the kernel whether it is there.
    @param restore: brings it back; fails with L{ResourceError}.
    @param permitted: asked before that; if not, it is not this node's any more, as its owner will learn.
    """

    _log = Logger()

    def __init__(
        self,
        reactor: IReactorTime,
        name: str,
        verify: Callable[[], Deferred[bool]],
        restore: Callable[[], Deferred[None]],
        permitted: Callable[[], bool] = lambda: True,
    ) -> None:
        self._reactor = reactor
        self._name = name
        self._verify = verify
        self._restore = restore
        self._permitted = permitted
        self._unsubscribe: Callable[[], None] | None = None
        self._busy = False
        self._again = False
        self._looking: Deferred[None] | None = None
        self._restored = float("-inf")
        self.lost: Callable[[str], None] | None = None

    def begin(self, unsubscribe: Callable[[], None]) -> None:
        """It is held from now on. C{unsubscribe} ends the events that lead to L{suspect}."""
        self._over()
        self._unsubscribe = unsubscribe

    async def end(self) -> None:
        """It is about to be released: from now on nothing restores it, and what was begun is over."""
        self._over()
        looking = self._looking
        if looking is not None:
            looking.cancel()
            await looking

    def suspect(self) -> None:
        """Something happened to it: look, and restore it if it is gone."""
        if self._unsubscribe is None:
            return
        if self._busy:
            self._again = True
            return
        self._busy = True
        self._looking = Deferred.fromCoroutine(self._look())
        self._looking.addBoth(self._looked)

    def _over(self) -> None:
        self._again = False
        if self._unsubscribe is not None:
            self._unsubscribe()
            self._unsubscribe = None

    async def _look(self) -> None:
        if await self._verify():
            return
        pause = self._restored + PAUSE - self._reactor.seconds()
        if pause > 0:
            await deferLater(self._reactor, pause)
            if await self._verify():
                return
        if not self._permitted():
            return
        self._log.warn("{name} was taken away, restoring it", name=self._name)
        self._restored = self._reactor.seconds()
        await self._restore()

    def _looked(self, result: Failure | None) -> None:
        self._busy = False
        self._looking = None
        if isinstance(result, Failure):
            if result.check(CancelledError):
                return
            self._over()
            if not result.check(ResourceError):
                self._log.failure("{name} could not be watched", result, name=self._name)
            if self.lost is not None:
                self.lost(result.getErrorMessage())
        elif self._again:
            self._again = False
            self.suspect()
