"""Acquiring and releasing the resources of one group: in order, one operation at a time, each in bounded time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, TimeoutError
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from hatwist.core.errors import ResourceError
from hatwist.core.limits import timeFor
from hatwist.core.phrases import blamed

HURRIED = 0.1  # Seconds for each operation once it must be done in a hurry.
TOO_LATE = "this node did nothing for longer than it may hold"

Told = Callable[[int, int, str], None]
"""
Called with C{(2, 5, "acquiring, step 2 of 5: drbdadm primary r0")} for each step that is not done at once, and with
C{(0, 0, "")} when nothing is under way any more.
"""


class Steps:
    """
    @param resources: what an earlier run may have left.
    @ivar mayBeHeld: resources that may be held here: each from before it is acquired until it is proven gone.
    @ivar acquired: those of them that are: acquired, and not being released yet.
    @ivar releasing: what is under way is a release.
    @ivar abandoned: nothing is done or told any more.
    """

    _log = Logger()

    def __init__(self, reactor: IReactorTime, group: str, resources: Sequence[Any]) -> None:
        self._reactor = reactor
        self._group = group
        self.mayBeHeld = list(resources)
        self.acquired: list[Any] = []
        self.releasing = False
        self.abandoned = False
        self._hurrying = self._tells = False
        self._pending: Deferred[Any] | None = None
        self._permitted: Callable[[], bool] = lambda: True
        self._told: Told = lambda step, steps, words: None

    def start(self, told: Told, permitted: Callable[[], bool]) -> None:
        """
        @param permitted: may this node still hold? Asked before each step of an acquisition, and after the last.
        """
        self._told, self._permitted = told, permitted

    def interrupt(self) -> None:
        """Cancel the operation that is under way."""
        if self._pending is not None:
            self._pending.cancel()

    def hurry(self) -> None:
        """Time is up: cancel what is under way, and give every further operation little time."""
        self._hurrying = True
        self.interrupt()

    def abandon(self) -> None:
        """Cancel what is under way, begin and tell nothing more."""
        self.abandoned = True
        self.interrupt()

    def suspect(self, resources: Sequence[Any]) -> None:
        """These may be held here, too."""
        self.mayBeHeld += [resource for resource in resources if resource not in self.mayBeHeld]

    def forget(self, resource: Any) -> None:
        """This is not acquired any more: it is lost, or about to be released."""
        if resource in self.acquired:
            self.acquired.remove(resource)

    def tooLate(self) -> str:
        """Why nothing more may be acquired, for a process that was stopped in the middle of it; or C{""}."""
        return "" if self._permitted() else TOO_LATE

    async def bounded(
        self,
        operation: Callable[[], Deferred[Any]],
        limit: float,
        waits: Callable[[], None] = lambda: None,
    ) -> Any:
        """
        Wait for an operation, which becomes the one that is under way.

        @param waits: is called if it is not done at once.
        @raise ResourceError: it was not done within C{limit} seconds. What it fails with is raised, too.
        """
        if self._hurrying:
            limit = HURRIED
        pending = operation()
        if pending.called and not isinstance(pending.result, Deferred):
            return await pending
        self._pending = pending
        pending.addTimeout(limit, self._reactor)
        waits()
        try:
            return await pending
        except TimeoutError:
            raise ResourceError(f"not done within {limit:g} s") from None
        finally:
            self._pending = None

    async def acquire(
        self, resources: Sequence[Any], wanted: Callable[[], bool], first: Any = None
    ) -> str:
        """
        Acquire them in order; return what failed and why, or C{""}.

        @param wanted: are they still to be held? Asked after each of them: if not, the others are left alone.
        @param first: is acquired before them as step 0, if it is given.
        """
        failed = ""
        numbered = [] if first is None else [(0, first)]
        for number, resource in [*numbered, *enumerate(resources, 1)]:
            if failed := self.tooLate():
                break
            waits = partial(self._step, "acquiring", number, len(resources), resource.name)
            if resource is not first:
                self.suspect([resource])
            try:
                await self.bounded(resource.acquire, timeFor(resource, "acquireTime"), waits)
            except Exception as e:
                failed = blamed(resource.name, said(e))
                break
            if not wanted():
                break
            if resource is not first and resource not in self.acquired:
                self.acquired.append(resource)
        self._over()
        return failed or self.tooLate()

    async def release(self, resources: Sequence[Any]) -> str:
        """
        Release them in order, all of them; return what failed first and why, or C{""}.

        A guard is not released as long as something may be held that it guards.
        """
        failed = ""
        for number, resource in enumerate(resources, 1):
            if self.abandoned:
                break
            if self._guards(resource):
                continue
            waits = partial(self._step, "releasing", number, len(resources), resource.name)
            self.forget(resource)
            self.releasing = True
            try:
                await self.bounded(resource.release, timeFor(resource, "releaseTime"), waits)
                if resource in self.mayBeHeld:
                    self.mayBeHeld.remove(resource)
            except Exception as e:
                failed = failed or blamed(resource.name, said(e))
                self._log.error(
                    "{group}: {resource} could not be released: {reason}",
                    group=self._group,
                    resource=resource.name,
                    reason=said(e),
                )
            finally:
                self.releasing = False
        self._over()
        return failed

    def _guards(self, resource: Any) -> bool:
        """Whether this is a guard, and something that it guards may be held here."""
        others = (other for other in self.mayBeHeld if other is not resource)
        return getattr(resource, "guards", False) and any(
            getattr(other, "guarded", False) for other in others
        )

    def _step(self, word: str, step: int, steps: int, name: str) -> None:
        if not self.abandoned:
            self._tells = True
            self._told(step, steps, f"{word}, step {step} of {steps}: {name}")

    def _over(self) -> None:
        """Nothing is under way any more, as those hear who heard of a step."""
        if self._tells and not self.abandoned:
            self._told(0, 0, "")
        self._tells = False


def said(error: Exception) -> str:
    """The words of an error for a log or a reason."""
    return "cancelled" if isinstance(error, CancelledError) else str(error) or repr(error)
