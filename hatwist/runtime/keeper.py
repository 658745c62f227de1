"""
The keeper of one group: makes its resources follow what is wanted, one operation at a time.

What is wanted may change at any moment; what is under way then is cancelled if it was acquiring, and
awaited if it was releasing. An acquisition that fails is rolled back as far as it had come.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger

from hatwist.core.errors import ResourceError
from hatwist.core.limits import LIMIT
from hatwist.core.phrases import blamed
from hatwist.resources.interfaces import IAnnouncer, IFenced, ILeased, IResource
from hatwist.runtime.steps import Steps, Told

PAUSE = 2.0  # Seconds between two attempts at a release that keeps failing; the first one follows sooner.


def _nothing(*ignored: object) -> None: ...


class Keeper:
    """
    @param resources: in the order in which they are acquired.
    @param retry: seconds after which a failed release is tried again, then twice as many, up to L{PAUSE}.
    @param first: a resource around the others, if any: acquired before them, as step 0, for which it does not
        count; released, which does not fail, once all of them are proven gone.
    @ivar wanted: they are to be held here.
    @ivar held: all of them are, and the owner was told.
    """

    _log = Logger()

    def __init__(
        self,
        reactor: IReactorTime,
        group: str,
        resources: Sequence[Any],
        retry: float = 1.0,
        first: Any = None,
    ) -> None:
        self._reactor = reactor
        self.group = group
        self.resources = list(resources)
        self._first = first
        self._retry = retry
        self.wanted = self.held = False
        self._steps = Steps(reactor, group, resources)
        self._releaseDue = True  # what may be held here is to be released
        self._jobs: deque[tuple[Callable[[], Coroutine[Any, Any, Any]], Deferred[Any]]] = deque()
        self._term = 0
        self._busy = False
        self._waits = False  # the owner was told of a loss, and is about to ask for a release
        self._undoing = False  # it was told of a refusal, of which the release is under way or done
        self._pause = 0.0
        self._retryLater: IDelayedCall | None = None
        self._onHeld: Callable[[], None] = _nothing
        self._onRefused: Callable[[str], None] = _nothing
        self._onReleased: Callable[[], None] = _nothing

    def start(
        self,
        onHeld: Callable[[], None],
        onRefused: Callable[[str], None],
        onReleased: Callable[[], None],
        onStep: Told = _nothing,
        permitted: Callable[[], bool] = lambda: True,
    ) -> None:
        """
        @param onHeld: all resources are held.
        @param onRefused: one could not be acquired, or was lost: its name, and why; C{release} is expected
            to follow.
        @param onReleased: none is held here, which is proven.
        @param onStep: called with each step of an acquisition or release that is not done at once.
        @param permitted: asked before each step of an acquisition, and after the last: may this node still hold?
        """
        self._onHeld, self._onRefused, self._onReleased = onHeld, onRefused, onReleased
        self._steps.start(onStep, permitted)
        for resource in self.resources:
            self._watch(resource)

    def hold(self, term: int = 0) -> None:
        """Acquire everything, in order, for the claim of this term."""
        self._term = term
        for resource in (self._first, *self.resources):
            if IFenced.providedBy(resource):
                resource.term = term
        self.wanted = True
        self._waits = self._undoing = False
        self._work()

    def release(self) -> None:
        """
        Release what may be held, in reverse; what is being acquired is cancelled.

        Asked for after a refusal, this waits for the release that has followed it by itself.
        """
        undoing, self._undoing = self._undoing, False
        if undoing and not self.wanted:
            if not (self._releaseDue or self._steps.mayBeHeld):
                self._onReleased()
            return
        self._releaseDue = True
        self._waits = False
        if not self._steps.mayBeHeld:
            self._steps.suspect(self.resources)  # proven gone once, and now proven anew
        if self.wanted:
            self.wanted = False
            if not self._steps.releasing:
                self._steps.interrupt()
        self._work()

    def replace(self, resources: Sequence[Any]) -> Deferred[None]:
        """
        Keep these from now on, in this order; what is in both lists, the same object, is not touched.

        After whatever is under way: releases those that are gone, in reverse, and while held acquires the new
        ones in order, then fires. A new one that cannot be acquired is told as lost, and the Deferred fails
        with L{ResourceError}; it does so too when one that is gone could not be released, which is tried
        again. While not held the new ones are released too: an earlier run may have left them.
        """
        return self._queue(lambda: self._exchange(list(resources)))

    def perform(self, operation: Callable[[], Deferred[Any]]) -> Deferred[Any]:
        """
        Once nothing is under way do something with a resource; fires with its result.

        A release that comes meanwhile cancels it, and so does L{LIMIT}.
        """
        return self._queue(lambda: self._steps.bounded(operation, LIMIT))

    def hurry(self) -> None:
        """Time is up: cancel what is under way, and give every further operation little time."""
        self._steps.hurry()

    def abandon(self) -> None:
        """Do and tell nothing from now on: who holds these resources next has a keeper of its own."""
        self.wanted = False
        if self._retryLater is not None and self._retryLater.active():
            self._retryLater.cancel()
        self._steps.abandon()
        self._drop()

    @property
    def stopTime(self) -> float:
        """Seconds that what may be held here asks for when the process is to end."""
        return float(sum(getattr(resource, "stopTime", 0.0) for resource in self._steps.mayBeHeld))

    @property
    def idle(self) -> bool:
        """Nothing is held, wanted or under way: what is here nevertheless is not of this process."""
        busy = self._busy or self._releaseDue or self._steps.abandoned
        return not (self.wanted or self.held or busy)

    def announce(self) -> None:
        """Tell the LAN again."""
        if self.held and self.wanted:
            for resource in self.resources:
                if IAnnouncer.providedBy(resource):
                    resource.announce()

    @property
    def announced(self) -> int:
        """How many times one of them told the LAN where it is."""
        return sum(getattr(resource, "announced", 0) for resource in self.resources)

    @property
    def leased(self) -> list[Any]:
        """
        What is held by a lease, an L{ILeased}, and is to be renewed.

        Also while others are acquired after it, or released before it, which may take longer than a lease.
        """
        return [resource for resource in self._steps.acquired if ILeased.providedBy(resource)]

    def _watch(self, resource: Any) -> None:
        resource.watch(lambda reason: self._lost(resource, reason))

    def _lost(self, resource: IResource, reason: str) -> None:
        self._steps.forget(resource)
        if self.wanted and resource in self.resources:
            self.held = False
            self._waits = True
            self._onRefused(blamed(resource.name, reason))

    def _queue(self, job: Callable[[], Coroutine[Any, Any, Any]]) -> Deferred[Any]:
        done: Deferred[Any] = Deferred()

        async def work() -> None:
            await Deferred.fromCoroutine(job()).addBoth(done.callback)

        self._jobs.append((work, done))
        if self._steps.abandoned:
            self._drop()
        self._work()
        return done

    def _drop(self) -> None:
        while self._jobs:
            self._jobs.popleft()[1].errback(ResourceError(f"{self.group}: stopped meanwhile"))

    def _work(self) -> None:
        if not self._busy:
            self._busy = True
            Deferred.fromCoroutine(self._follow()).addErrback(
                lambda f: self._log.failure("The keeper of {group} failed", f, group=self.group)
            )

    async def _follow(self) -> None:
        try:
            while not (self._steps.abandoned or self._waits):
                if self.wanted and not self.held:
                    await self._acquire()
                elif self._toRelease():
                    await self._release()
                elif self._jobs:
                    await self._jobs.popleft()[0]()
                else:
                    return
        finally:
            self._busy = False

    def _toRelease(self) -> bool:
        return self._releaseDue and not self.wanted and not self._steps.abandoned

    # Acquire

    async def _acquire(self) -> None:
        """If it fails the owner is told, and what was acquired is released, whether it asks for that or not."""
        self._releaseDue = True
        reason = await self._steps.acquire(self.resources, lambda: self.wanted, self._first)
        if not self.wanted:
            return
        if reason:
            self.wanted, self._undoing = False, True
            self._onRefused(reason)
            return
        self.held = True
        self._onHeld()

    # Release

    async def _release(self) -> None:
        self._releaseDue = self.held = False
        failed = await self._steps.release(self._inReverse(self._steps.mayBeHeld))
        if self._steps.abandoned:
            return
        if failed:
            self._releaseDue = True
            self._pause = min(2 * self._pause, max(self._retry, PAUSE)) or self._retry
            try:
                await self._steps.bounded(lambda: deferLater(self._reactor, self._pause), LIMIT)
            except (CancelledError, ResourceError):
                pass  # hurried: try at once
        elif not self._releaseDue and not self.wanted:
            self._pause = 0.0
            if self._first is not None:
                await self._first.release()
            self._onReleased()

    def _inReverse(self, resources: Sequence[Any]) -> list[Any]:
        """What is no longer kept comes first, as it is given; then what is, the last one first."""
        gone = [resource for resource in resources if resource not in self.resources]
        return gone + [resource for resource in self.resources[::-1] if resource in resources]

    # Other work

    async def _exchange(self, resources: list[Any]) -> None:
        old, self.resources = self.resources, resources
        new = [resource for resource in resources if resource not in old]
        for resource in new:
            self._watch(resource)
            if IFenced.providedBy(resource):
                resource.term = self._term
        if self.wanted:
            gone = [resource for resource in self._steps.mayBeHeld if resource not in resources]
            failed = await self._steps.release(gone[::-1])
            refused = ""
            if self.wanted:
                refused = await self._steps.acquire(
                    [r for r in resources if r not in self._steps.acquired], lambda: self.wanted
                )
            if refused and self.wanted:
                self._releaseDue, self.wanted, self.held = True, False, False
                self._undoing = True
                self._onRefused(refused)
                raise ResourceError(refused)
            while self._toRelease():
                await self._release()
                failed = ""
        else:
            gone = [resource for resource in old if resource not in resources]
            self._steps.suspect([*gone, *new])
            failed = await self._steps.release(self._inReverse([*gone[::-1], *new]))
        if failed:
            self._clearLater()
            raise ResourceError(failed)

    def _clearLater(self) -> None:
        """What is no longer kept and could not be released is released later."""
        if not self._steps.abandoned:
            self._retryLater = self._reactor.callLater(self._retry, self._queue, self._clear)

    async def _clear(self) -> None:
        kept = self.resources if self.wanted else ()
        leaving = [resource for resource in self._steps.mayBeHeld if resource not in kept]
        if leaving and await self._steps.release(self._inReverse(leaving[::-1])):
            self._clearLater()
