"""What the operator prepares before the first resource of a group is acquired, as a resource around all others."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import CancelledError, Deferred, TimeoutError, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from hatwist.core.limits import LIMIT
from hatwist.resources.interfaces import IFenced, IResource


@implementer(IResource, IFenced)
class Prepared:
    """
    Held from before the first resource of an acquisition until all of them are proven gone.

    @param prepare: called with the term of the claim, and awaited; a failure is only logged.
    @param undone: called when all is proven gone, whether the preparation had ended or not.
    @ivar acquireTime: seconds that C{prepare} may take.
    """

    _log = Logger()
    name = "prepare"
    acquireTime = LIMIT

    def __init__(
        self,
        reactor: IReactorTime,
        group: str,
        prepare: Callable[[int], Deferred[None]],
        undone: Callable[[], None],
    ) -> None:
        self.term = 0
        self._reactor = reactor
        self._group = group
        self._prepare = prepare
        self._undone = undone
        self._held = False

    def acquire(self) -> Deferred[None]:
        """Prepare. Fails only when it is cancelled: the resources are acquired all the same."""
        self._held = True
        preparing = self._prepare(self.term)
        if not preparing.called:
            preparing.addTimeout(self.acquireTime, self._reactor)
        return preparing.addErrback(self._failed)

    def release(self) -> Deferred[None]:
        """Tell that all is undone, if it was acquired."""
        if self._held:
            self._held = False
            self._undone()
        return succeed(None)

    def verify(self) -> Deferred[bool]:
        """See L{IResource.verify}."""
        return succeed(self._held)

    def watch(self, lost: Callable[[str], None]) -> None:
        """See L{IResource.watch}: this is never lost."""

    def _failed(self, failure: Failure) -> None:
        if failure.check(CancelledError):
            failure.raiseException()
        late = failure.check(TimeoutError)
        self._log.error(
            "{group}: the preparation failed, and the resources are acquired all the same: {reason}",
            group=self._group,
            reason=f"not done within {self.acquireTime:g} s" if late else failure.getErrorMessage(),
        )
