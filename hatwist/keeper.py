"""
The keeper of one group: makes its resources follow what is wanted, one operation at a time.

What is wanted may change at any moment; what is under way then is cancelled if it was acquiring, and
awaited if it was releasing. Resources are acquired in order and released in reverse.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure

from hatwist.interfaces import IAnnouncer, IFenced, ILeased, IResource

LIMIT = 60.0
"""Seconds for one operation of one resource; resources with commands have lower ones of their own."""
HURRIED = 0.1
"""The same once the keeper was told to hurry."""


class Keeper:
    """
    @param resources: in the order in which they are acquired.
    @param retry: seconds after which a failed release is tried again.
    @ivar wanted: they are to be held here.
    @ivar held: all of them are, and the owner was told.
    """

    _log = Logger()

    def __init__(
        self, reactor: IReactorTime, group: str, resources: Sequence[Any], retry: float = 1.0
    ) -> None:
        self._reactor = reactor
        self.group = group
        self.resources = list(resources)
        self._retry = retry
        self.wanted = False
        self.held = False
        self._touched = True  # an earlier run may have left them
        self._working = False
        self._over = False
        self._limit = LIMIT
        self._pending: Deferred[Any] | None = None
        self._onHeld: Callable[[], None] = lambda: None
        self._onRefused: Callable[[str], None] = lambda reason: None
        self._onReleased: Callable[[], None] = lambda: None

    def start(
        self,
        onHeld: Callable[[], None],
        onRefused: Callable[[str], None],
        onReleased: Callable[[], None],
    ) -> None:
        """
        @param onHeld: all resources are held.
        @param onRefused: one could not be acquired, or was lost; C{release} is expected to follow.
        @param onReleased: none is held here, which is proven.
        """
        self._onHeld, self._onRefused, self._onReleased = onHeld, onRefused, onReleased
        for resource in self.resources:
            resource.watch(lambda reason, resource=resource: self._lost(resource, reason))

    def hold(self, term: int = 0) -> None:
        """Acquire everything, in order, for the claim of this term."""
        for resource in self.resources:
            if IFenced.providedBy(resource):
                resource.term = term
        self.wanted = True
        self._work()

    def release(self) -> None:
        """Release everything, in reverse; what is being acquired is cancelled."""
        self._touched = True
        if self.wanted:
            self.wanted = False
            self._interrupt()
        self._work()

    def hurry(self) -> None:
        """Time is up: cancel what is under way, and give every further operation little time."""
        self._limit = HURRIED
        self._interrupt()

    def abandon(self) -> None:
        """Do and tell nothing from now on: who holds these resources next has a keeper of its own."""
        self._over = True
        self.wanted = False
        self._interrupt()

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
        """Keep what has a lease for so many seconds more."""
        if self.held and self.wanted:
            for resource in self.resources:
                if ILeased.providedBy(resource):
                    resource.renew(seconds)

    def _interrupt(self) -> None:
        if self._pending is not None:
            self._pending.cancel()

    def _lost(self, resource: IResource, reason: str) -> None:
        if self.wanted:
            self.held = False
            self._onRefused(f"{resource.name}: {reason}")

    def _work(self) -> None:
        if not self._working:
            self._working = True
            Deferred.fromCoroutine(self._follow()).addErrback(self._failed)

    def _failed(self, failure: Failure) -> None:
        self._log.failure("The keeper of {group} failed", failure, group=self.group)

    async def _follow(self) -> None:
        try:
            while not self._over:
                if self.wanted and not self.held:
                    if not await self._acquire():
                        return
                elif not self.wanted and self._touched:
                    await self._release()
                else:
                    return
        finally:
            self._working = False

    async def _bounded(self, operation: Callable[[], Deferred[Any]], limit: float) -> Any:
        pending = self._pending = operation()
        pending.addTimeout(limit, self._reactor)
        try:
            return await pending
        finally:
            self._pending = None

    async def _acquire(self) -> bool:
        """C{False}: it failed, the owner was told, and nothing more is to be done until it asks."""
        self._touched = True
        for resource in self.resources:
            try:
                await self._bounded(resource.acquire, self._limit)
            except Exception as e:
                if not self.wanted:
                    return True
                self.wanted = False
                reason = "cancelled" if isinstance(e, CancelledError) else str(e) or repr(e)
                self._onRefused(f"{resource.name}: {reason}")
                return not self.wanted
            if not self.wanted:
                return True
        self.held = True
        self._onHeld()
        return True

    async def _release(self) -> None:
        self._touched = self.held = False
        failed = False
        for resource in reversed(self.resources):
            if self._over:
                return
            try:
                await self._bounded(resource.release, self._limit)
            except Exception as e:
                failed = True
                self._log.error(
                    "{group}: {resource} could not be released: {reason}",
                    group=self.group,
                    resource=resource.name,
                    reason=str(e) or repr(e),
                )
        if self._over:
            return
        if failed:
            self._touched = True
            try:
                await self._bounded(
                    lambda: deferLater(self._reactor, self._retry),
                    2 * self._retry,
                )
            except CancelledError:
                pass  # hurried: try at once
        elif not self._touched and not self.wanted:
            self._onReleased()
