"""A node for tests of what hangs on one: it has the role that it is told, and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import inf
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorTime

from hatwist.core.claims import Role
from hatwist.core.effects import RoleChange
from hatwist.core.errors import ResourceError
from hatwist.resources.interfaces import IResource
from hatwist.runtime.fence import Fence, HeldLease
from hatwist.runtime.interfaces import IRoleObserver
from hatwist.runtime.keeper import Keeper
from hatwist.runtime.reporter import Reporter
from hatwist.service.roleservice import RoleService

WHY = "told so"


class FakeGroup:
    """One group: the keeper is a node's own, so that order, time limits and what follows an error are as there."""

    def __init__(self, clock: IReactorTime, name: str, tell: Callable[[RoleChange], None]) -> None:
        self.fence = Fence(name)
        self.role = Role.STANDBY
        self._name = name
        self._clock = clock
        self._tell = tell
        self._lease = HeldLease(None, name, name, 0.0)  # type: ignore[arg-type]
        self._resources: list[Any] = []
        self._keeper: Keeper | None = None
        self._becoming: tuple[Role, Deferred[None]] | None = None
        self._refusal = ""
        self.term = 0

    def add(self, resource: Any) -> None:
        """Acquired last."""
        IResource(resource)
        self._resources.append(resource)

    def become(self, role: Role, term: int | None) -> Deferred[None]:
        """See L{FakeHAService.become}."""
        if self._becoming is not None:
            raise RuntimeError(f"{self._name} is about to become {self._becoming[0]}")
        if role is self.role:
            return succeed(None)
        keeper = self._kept()
        done: Deferred[None] = Deferred()
        self._becoming = role, done
        if role is Role.ACTIVE:
            self.term = self.term + 1 if term is None else term
            self.fence.follows(self._lease)
            self._lease.joined(self.fence, inf)
            self.fence.claimed(self.term, ())
            keeper.hold(self.term)
        elif self.role is Role.ACTIVE:
            self._release(keeper)
        else:
            self._became(role, WHY)
        return done

    def _kept(self) -> Keeper:
        if self._keeper is None:
            self._keeper = Keeper(self._clock, self._name, self._resources)
            self._keeper.start(
                lambda: self._became(Role.ACTIVE, WHY), self._refused, self._released
            )
        return self._keeper

    def _release(self, keeper: Keeper) -> None:
        self.fence.released()
        keeper.release()

    def _refused(self, reason: str) -> None:
        self._refusal = reason
        self._release(self._kept())

    def _released(self) -> None:
        if self._becoming is None and self.role is not Role.ACTIVE:
            return
        self.fence.ended()
        reason, self._refusal = self._refusal or WHY, ""
        wanted = self._becoming[0] if self._becoming is not None else Role.STANDBY
        if wanted is not Role.ACTIVE:
            self._became(wanted, reason)
            return
        assert self._becoming is not None
        (_, done), self._becoming = self._becoming, None
        done.errback(ResourceError(reason))

    def _became(self, role: Role, reason: str) -> None:
        becoming, self._becoming = self._becoming, None
        old, self.role = self.role, role
        self._tell(RoleChange("fake", self._name, old, role, self.term, reason))
        if becoming is not None:
            becoming[1].callback(None)


class FakeHAService(RoleService):
    """
    Has all of L{HAService<hatwist.service.service.HAService>} that follows the role: active services, hooks, work,
    terms, changes and observers. No network, address or process is touched.

    @param clock: a L{Clock<twisted.internet.task.Clock>}.
    @param groups: their names.
    """

    def __init__(self, clock: IReactorTime, groups: Sequence[str] = ("default",)) -> None:
        super().__init__(clock, "ha-fake")
        self._reporter = Reporter(groups)
        self._groups = {name: FakeGroup(clock, name, self._reporter.report) for name in groups}
        self._subscribe(self._following)

    @property
    def roles(self) -> dict[str, Role]:
        """The role in every group, by name."""
        return {name: group.role for name, group in self._groups.items()}

    def _groupOf(self, group: str | None) -> FakeGroup:
        return self._groups[self._named(group)]

    def _subscribe(self, observer: IRoleObserver) -> Callable[[], None]:
        return self._reporter.subscribe(observer)

    def become(
        self, role: Role, group: str | None = None, term: int | None = None
    ) -> Deferred[None]:
        """
        Take a role, with all that a node does then, in its order. Fires once that is done.

        Fails with L{ResourceError} if what is to be acquired cannot be; all is released then, and the role is
        what it was.

        @param term: of a claim; C{None}: the last one and 1.
        @raise RuntimeError: it is about to take another one.
        """
        self.running = 1
        return self._groupOf(group).become(role, term)

    def stopService(self) -> Deferred[None]:
        """Release everything, as a node does when it is stopped."""
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        for name in self._groups:
            await self.become(Role.SHUTDOWN, name)
        self._closeWaiting()
        await super().stopService()
