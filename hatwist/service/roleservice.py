"""A service with a role in each of its groups, and what a program hangs on that: services, functions, coroutines."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import Any

from twisted.application.service import IService, MultiService
from twisted.internet.defer import Deferred

from hatwist.core.claims import Role
from hatwist.core.effects import RoleChange
from hatwist.core.table import nearest
from hatwist.resources.service import ServiceResource
from hatwist.runtime.interfaces import IRoleObserver
from hatwist.service.following import Following, RoleChanges
from hatwist.service.terms import TermIterator, TermSource
from hatwist.service.work import Every, HookPair


def nothing() -> None:
    """What ends that which has not begun."""


class RoleService(MultiService):
    """
    Where no group is named, the first one is meant.

    @ivar clock: the reactor, with timers that no step of the wall clock moves.
    """

    def __init__(self, clock: Any, name: str) -> None:
        super().__init__()
        self.name = name
        self.clock = clock
        self._following = Following()
        self._sources: list[TermSource] = []
        # What ends it, by observer. Who waits for a role is told first.
        self._observers: dict[IRoleObserver, Callable[[], None]] = {self._following: nothing}

    @property
    @abstractmethod
    def roles(self) -> Mapping[str, Role]:
        """The role in every group, by name."""

    @abstractmethod
    def _groupOf(self, group: str | None) -> Any:
        """What takes resources by C{add}, and has a C{fence}."""

    @abstractmethod
    def _subscribe(self, observer: IRoleObserver) -> Callable[[], None]:
        """Tell an observer from now on, if there is anything to tell; what ends it."""

    def _named(self, group: str | None) -> str:
        names = list(self.roles)
        if group is None:
            return names[0]
        if group not in names:
            raise ValueError(f"group={group!r}: there is no such group{nearest(group, names)}")
        return group

    def _closeWaiting(self) -> None:
        """Nothing comes any more."""
        self._following.close()
        for source in self._sources:
            source.close()

    @property
    def role(self) -> Role:
        """ACTIVE while everything of the first group is held here; SHUTDOWN while the service does not run."""
        return next(iter(self.roles.values()))

    def addActive(self, service: IService, timeout: float = 10.0, group: str | None = None) -> None:
        """
        Start a service whenever the addresses are held, and await its stop before they are released.

        It has no other parent, and must bear being started more than once.

        @param timeout: seconds that its start and its stop may take.
        @param group: the group it belongs to; C{None}: the first one.
        @raise RuntimeError: this service already runs.
        @raise ValueError: there is no such group.
        @raise TypeError: it is no service, or one of Twisted's that listens only once.
        """
        if self.running:
            raise RuntimeError("addActive comes before the service is started")
        from twisted.application.internet import StreamServerEndpointService

        if not IService.providedBy(service):
            raise TypeError(f"{service!r} is no service: it does not provide IService")
        if isinstance(service, StreamServerEndpointService):
            raise TypeError(
                "StreamServerEndpointService and strports.service listen only the first time that they "
                "are started; use hatwist.resources.listener.Listener(endpoint, factory)"
            )
        self._groupOf(group).add(ServiceResource(self.clock, service, timeout))

    def addHooks(
        self,
        acquire: Callable[[], object],
        release: Callable[[], object] = nothing,
        timeout: float = 10.0,
        group: str | None = None,
    ) -> None:
        """
        The same of two functions, which may return a Deferred or be coroutine functions.

        If C{acquire} fails, C{release} is called too, the group is given up, and tried again after a while.
        """
        self.addActive(HookPair(acquire, release), timeout, group)

    def every(
        self,
        seconds: float,
        function: Callable[[], object],
        timeout: float = 10.0,
        group: str | None = None,
    ) -> None:
        """
        Call a function in every interval, on the holder of a group only; see L{Every}.

        @param timeout: seconds that a call may take to end once it is cancelled, which the group waits for.
        """
        self.addActive(Every(self.clock, seconds, function), timeout, group)

    def terms(self, group: str | None = None, timeout: float = 10.0) -> TermIterator:
        """
        Each L{Term} for which the group is held here: C{async for term in ha.terms():}. It ends when the node stops.

        The group is let go of when what is done in the term has come back for the next one.

        @param timeout: seconds that this may take.
        """
        source = TermSource(self.clock, self._groupOf(group).fence)
        self.addActive(source, timeout, group)
        self._sources.append(source)
        return source.terms()

    def whenRole(self, role: Role, group: str | None = None) -> Deferred[RoleChange]:
        """Fires with the change to this role: the last one, if that led to it, or the next one. Can be cancelled."""
        return self._following.whenRole(role, self._named(group))

    def changes(self, group: str | None = None) -> RoleChanges:
        """
        Every L{RoleChange} from now on: C{async for change in ha.changes():}. It ends when the node has stopped.

        @param group: C{None}: of all groups.
        """
        return self._following.changes(None if group is None else self._named(group))

    def addObserver(self, observer: IRoleObserver) -> None:
        """
        Tell C{observer} of every role change from now on; once, however often it is given.

        @raise TypeError: it does not provide L{IRoleObserver}.
        """
        if not IRoleObserver.providedBy(observer):
            raise TypeError(
                f"{observer!r} does not provide IRoleObserver: put @implementer(IRoleObserver) before its class"
            )
        if observer in self._observers:
            return
        self._observers[observer] = self._subscribe(observer)

    def removeObserver(self, observer: IRoleObserver) -> None:
        self._observers.pop(observer)()
