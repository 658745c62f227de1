"""What a program waits for of the roles of its node: one role, or every change."""

from __future__ import annotations

import weakref
from collections import deque

from twisted.internet.defer import Deferred
from zope.interface import implementer

from hatwist.core.claims import Role
from hatwist.core.effects import RoleChange
from hatwist.runtime.interfaces import IRoleObserver


class RoleChanges:
    """
    An asynchronous iterator, see L{RoleService.changes<hatwist.service.roleservice.RoleService.changes>}.
    """

    def __init__(self, group: str | None) -> None:
        self._group = group
        self._kept: deque[RoleChange] = deque()
        self._closed = False
        self._asking: Deferred[None] | None = None

    def __aiter__(self) -> RoleChanges:
        return self

    async def __anext__(self) -> RoleChange:
        while not self._kept:
            if self._closed:
                raise StopAsyncIteration
            self._asking = Deferred()
            await self._asking
        return self._kept.popleft()

    def add(self, change: RoleChange) -> None:
        """Keep it until it is asked for."""
        if self._group in (None, change.group):
            self._kept.append(change)
            self._tell()

    def close(self) -> None:
        """There are no more."""
        self._closed = True
        self._tell()

    def _tell(self) -> None:
        asking, self._asking = self._asking, None
        if asking is not None and not asking.called:
            asking.callback(None)


@implementer(IRoleObserver)
class Following:
    """Whoever waits for the roles of one node."""

    def __init__(self) -> None:
        self._last: dict[str, RoleChange] = {}
        self._waiting: list[tuple[str, Role, Deferred[RoleChange]]] = []
        # Those that somebody reads, in the order in which they were asked for.
        self._streams: weakref.WeakKeyDictionary[RoleChanges, None] = weakref.WeakKeyDictionary()

    def whenRole(self, role: Role, group: str) -> Deferred[RoleChange]:
        """Fires with the change to a role, which may be the last one that there was. Can be cancelled."""
        waiting: Deferred[RoleChange] = Deferred(self._forget)
        last = self._last.get(group)
        if last is not None and last.new is role:
            waiting.callback(last)
        else:
            self._waiting.append((group, role, waiting))
        return waiting

    def _forget(self, waiting: Deferred[RoleChange]) -> None:
        self._waiting = [each for each in self._waiting if each[2] is not waiting]

    def changes(self, group: str | None) -> RoleChanges:
        """Every change from now on."""
        stream = RoleChanges(group)
        self._streams[stream] = None
        return stream

    def roleChanged(self, change: RoleChange) -> None:
        """See L{IRoleObserver}."""
        self._last[change.group] = change
        due = [w for w in self._waiting if w[:2] == (change.group, change.new)]
        self._waiting = [w for w in self._waiting if w not in due]
        for stream in list(self._streams):
            stream.add(change)
        for _, _, waiting in due:
            waiting.callback(change)

    def close(self) -> None:
        """The node has stopped: nobody waits for further changes, but who waits for a role may see another start."""
        for stream in list(self._streams):
            stream.close()
        self._streams.clear()
