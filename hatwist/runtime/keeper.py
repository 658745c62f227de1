"""
The keeper of one group: makes its resources follow what is wanted, one operation at a time.

What is wanted may change at any moment; what is under way then is cancelled if it was acquiring, and
awaited if it was releasing. An acquisition that fails is rolled back as far as it had come.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, TimeoutError, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger

from hatwist.core.errors import ResourceError
from hatwist.core.limits import LIMIT, timeFor
from hatwist.core.phrases import blamed
from hatwist.resources.interfaces import IAnnouncer, IFenced, ILeased, IResource

PAUSE = 2.0  # Seconds between two attempts at a release that keeps failing; the first one follows sooner.
HURRIED = 0.1  # Seconds for each operation once the keeper was told to hurry.
TOO_LATE = "this node did nothing for longer than it may hold"


def _nothing(*ignored: object) -> None: ...


class Keeper:
    """
    @param resources: in the order in which they are acquired.
    @param retry: seconds after which a failed release is tried again, then twice as many, up to L{PAUSE}.
    @ivar wanted: they are to be held here.
    @ivar held: all of them are, and the owner was told.
    @ivar prepare: called with the term, and awaited, before the first resource; its failure is only logged.
    @ivar permitted: asked before each step of an acquisition, and after the last: may this node still hold?
    @ivar over: called when an acquisition is undone to its end: nothing is held, which is proven.
    """

    _log = Logger()

    def __init__(
        self, reactor: IReactorTime, group: str, resources: Sequence[Any], retry: float = 1.0
    ) -> None:
        self._reactor = reactor
        self.group = group
        self.resources = list(resources)
        self._retry = retry
        self.wanted = self.held = False
        self.prepare: Callable[[int], Deferred[None]] = lambda term: succeed(None)
        self.permitted: Callable[[], bool] = lambda: True
        self.over: Callable[[], None] = _nothing
        self._left = list(resources)  # what may be held here: at first whatever an earlier run left
        self._here: list[Any] = []  # what is: acquired, and not being released yet
        self._asked = True  # what may be held here is to be released
        self._attempted = False
        self._jobs: deque[tuple[Callable[[], Coroutine[Any, Any, Any]], Deferred[Any]]] = deque()
        self._term = 0
        self._working = self._over = self._hurried = False
        self._pause = 0.0
        self._pending: Deferred[Any] | None = None
        self._releasing = False  # that is what is pending
        self._again: IDelayedCall | None = None
        self._onHeld: Callable[[], None] = _nothing
        self._onRefused: Callable[[str], None] = _nothing
        self._onReleased: Callable[[], None] = _nothing
        self._onStep: Callable[[int, int, str], None] = _nothing

    def start(
        self,
        onHeld: Callable[[], None],
        onRefused: Callable[[str], None],
        onReleased: Callable[[], None],
        onStep: Callable[[int, int, str], None] = _nothing,
    ) -> None:
        """
        @param onHeld: all resources are held.
        @param onRefused: one could not be acquired, or was lost: its name, and why; C{release} is expected
            to follow.
        @param onReleased: none is held here, which is proven.
        @param onStep: called with C{(2, 5, "acquiring, step 2 of 5: drbdadm primary r0")}, and with
            C{(0, 0, "")} when nothing is under way any more.
        """
        self._onHeld, self._onRefused, self._onReleased = onHeld, onRefused, onReleased
        self._onStep = onStep
        for resource in self.resources:
            self._watch(resource)

    def hold(self, term: int = 0) -> None:
        """Acquire everything, in order, for the claim of this term."""
        self._term = term
        for resource in self.resources:
            if IFenced.providedBy(resource):
                resource.term = term
        self.wanted = True
        self._work()

    def release(self) -> None:
        """Release what may be held, in reverse; what is being acquired is cancelled."""
        self._asked = True
        if not self._left:
            self._left = list(self.resources)  # proven once, and now proven anew
        if self.wanted:
            self.wanted = False
            if not self._releasing:
                self._interrupt()
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
        return self._queue(lambda: self._bounded(operation, LIMIT))

    def hurry(self) -> None:
        """Time is up: cancel what is under way, and give every further operation little time."""
        self._hurried = True
        self._interrupt()

    def abandon(self) -> None:
        """Do and tell nothing from now on: who holds these resources next has a keeper of its own."""
        self._over = True
        self.wanted = False
        if self._again is not None and self._again.active():
            self._again.cancel()
        self._interrupt()
        self._drop()

    @property
    def stopTime(self) -> float:
        """Seconds that what may be held here asks for when the process is to end."""
        return float(sum(getattr(resource, "stopTime", 0.0) for resource in self._left))

    @property
    def idle(self) -> bool:
        """Nothing is held, wanted or under way: what is here nevertheless is not of this process."""
        return not (self.wanted or self.held or self._asked or self._working or self._over)

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

    def renew(self, seconds: int) -> None:
        """
        Keep what has a lease for so many seconds more.

        Also while others are acquired after it, or released before it, which may take longer than a lease.
        """
        for resource in self._here:
            if ILeased.providedBy(resource):
                resource.renew(seconds)

    def _watch(self, resource: Any) -> None:
        resource.watch(lambda reason: self._lost(resource, reason))

    def _interrupt(self) -> None:
        if self._pending is not None:
            self._pending.cancel()

    def _lost(self, resource: IResource, reason: str) -> None:
        if resource in self._here:
            self._here.remove(resource)
        if self.wanted and resource in self.resources:
            self.held = False
            self._onRefused(blamed(resource.name, reason))

    def _queue(self, job: Callable[[], Coroutine[Any, Any, Any]]) -> Deferred[Any]:
        done: Deferred[Any] = Deferred()

        async def work() -> None:
            await Deferred.fromCoroutine(job()).addBoth(done.callback)

        self._jobs.append((work, done))
        if self._over:
            self._drop()
        self._work()
        return done

    def _drop(self) -> None:
        while self._jobs:
            self._jobs.popleft()[1].errback(ResourceError(f"{self.group}: stopped meanwhile"))

    def _work(self) -> None:
        if not self._working:
            self._working = True
            Deferred.fromCoroutine(self._follow()).addErrback(
                lambda f: self._log.failure("The keeper of {group} failed", f, group=self.group)
            )

    async def _follow(self) -> None:
        try:
            while not self._over:
                if self.wanted and not self.held:
                    if not await self._acquire():
                        return
                elif self._toRelease():
                    await self._release()
                elif self._jobs:
                    await self._jobs.popleft()[0]()
                else:
                    return
        finally:
            self._working = False

    def _toRelease(self) -> bool:
        return self._asked and not self.wanted and not self._over

    def _step(self, word: str = "", step: int = 0, steps: int = 0, name: str = "") -> None:
        if not self._over:
            self._onStep(step, steps, f"{word}, step {step} of {steps}: {name}" if steps else "")

    async def _bounded(self, operation: Callable[[], Deferred[Any]], limit: float) -> Any:
        if self._hurried:
            limit = HURRIED
        pending = self._pending = operation()
        pending.addTimeout(limit, self._reactor)
        try:
            return await pending
        except TimeoutError:
            raise ResourceError(f"not done within {limit:g} s") from None
        finally:
            self._pending = None

    # Acquire

    async def _acquire(self) -> bool:
        """C{False}: it failed, the owner was told, and nothing more is to be done until it asks."""
        self._asked = self._attempted = True
        reason = self._tooLate()
        if not reason:
            if not await self._prepare():
                return True
            reason = await self._acquireThese(self.resources)
        if not self.wanted:
            return True
        if reason:
            self.wanted = False
            self._onRefused(reason)
            return not self.wanted
        self.held = True
        self._onHeld()
        return True

    async def _prepare(self) -> bool:
        """C{False}: it is no longer wanted."""
        self._step("acquiring", 0, len(self.resources), "prepare")
        try:
            await self._bounded(lambda: self.prepare(self._term), LIMIT)
        except Exception as e:
            if self.wanted:
                self._log.error(
                    "{group}: the preparation failed, and the resources are acquired all the same: {reason}",
                    group=self.group,
                    reason=_said(e),
                )
        return self.wanted

    async def _acquireThese(self, resources: Sequence[Any]) -> str:
        """Acquire them in order, as long as that is wanted; the result says what failed and why, or C{""}."""
        failed = ""
        for number, resource in enumerate(resources, 1):
            if failed := self._tooLate():
                break
            self._step("acquiring", number, len(resources), resource.name)
            if resource not in self._left:
                self._left.append(resource)
            try:
                await self._bounded(resource.acquire, timeFor(resource, "acquireTime"))
            except Exception as e:
                failed = blamed(resource.name, _said(e))
                break
            if not self.wanted:
                break
            if resource not in self._here:
                self._here.append(resource)
        self._step()
        return failed or self._tooLate()

    def _tooLate(self) -> str:
        """Why nothing more may be acquired, for a process that was stopped in the middle of it; or C{""}."""
        return "" if self.permitted() else TOO_LATE

    # Release

    async def _release(self) -> None:
        self._asked = self.held = False
        failed = await self._releaseThese(self._left)
        if self._over:
            return
        if failed:
            self._asked = True
            self._pause = min(2 * self._pause, max(self._retry, PAUSE)) or self._retry
            try:
                await self._bounded(lambda: deferLater(self._reactor, self._pause), LIMIT)
            except (CancelledError, ResourceError):
                pass  # hurried: try at once
        elif not self._asked and not self.wanted:
            self._pause = 0.0
            attempted, self._attempted = self._attempted, False
            self._onReleased()
            if attempted:
                self.over()

    async def _releaseThese(self, resources: Sequence[Any]) -> str:
        """Release them in reverse, all of them; the result says what failed and why, or C{""}."""
        failed = ""
        leaving = [resource for resource in resources if resource not in self.resources]
        leaving += reversed([resource for resource in self.resources if resource in resources])
        for number, resource in enumerate(leaving, 1):
            if self._over:
                break
            self._step("releasing", number, len(leaving), resource.name)
            if resource in self._here:
                self._here.remove(resource)
            self._releasing = True
            try:
                await self._bounded(resource.release, timeFor(resource, "releaseTime"))
                if resource in self._left:
                    self._left.remove(resource)
            except Exception as e:
                failed = failed or blamed(resource.name, _said(e))
                self._log.error(
                    "{group}: {resource} could not be released: {reason}",
                    group=self.group,
                    resource=resource.name,
                    reason=_said(e),
                )
            finally:
                self._releasing = False
        self._step()
        return failed

    # Other work

    async def _exchange(self, resources: list[Any]) -> None:
        old, self.resources = self.resources, resources
        new = [resource for resource in resources if resource not in old]
        for resource in new:
            self._watch(resource)
            if IFenced.providedBy(resource):
                resource.term = self._term
        if self.wanted:
            gone = [resource for resource in self._left if resource not in resources]
            failed = await self._releaseThese(gone[::-1])
            refused = ""
            if self.wanted:
                refused = await self._acquireThese([r for r in resources if r not in self._here])
            if refused and self.wanted:
                self._asked, self.wanted, self.held = True, False, False
                self._onRefused(refused)
                raise ResourceError(refused)
            while self._toRelease():
                await self._release()
                failed = ""
        else:
            gone = [resource for resource in old if resource not in resources]
            self._left += [r for r in [*gone, *new] if r not in self._left]
            failed = await self._releaseThese([*gone[::-1], *new])
        if failed:
            self._clearLater()
            raise ResourceError(failed)

    def _clearLater(self) -> None:
        """What is no longer kept and could not be released is released later."""
        if not self._over:
            self._again = self._reactor.callLater(self._retry, self._queue, self._clear)

    async def _clear(self) -> None:
        kept = self.resources if self.wanted else ()
        leaving = [resource for resource in self._left if resource not in kept]
        if leaving and await self._releaseThese(leaving[::-1]):
            self._clearLater()


def _said(error: Exception) -> str:
    return "cancelled" if isinstance(error, CancelledError) else str(error) or repr(error)
