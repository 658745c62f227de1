"""Tells of role changes and events: the log, and those who observe this node."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from itertools import chain
from typing import Any

from twisted.logger import Logger

from hatwist.core.claims import Role
from hatwist.core.effects import Change, Effect, Event, RoleChange
from hatwist.runtime.interfaces import IEventObserver, IRoleObserver

_WARNINGS = frozenset(
    (
        "conflict",
        "stalled",
        "overloaded",
        "acquire-failed",
        "configuration-differs",
        "session",
        "same-name",
        "not-heard",
        "move-failed",
        "stray-address",
    )
)

_CHANGED = "{group}: {old} -> {new}, term {term}: {reason}"
_BEGUN = "{group}: {new}, term {term}: {reason}"


class Reporter:
    """
    @param groups: the names of the node's groups.
    @ivar roles: of this node in each group.
    @ivar observers, watchers: who is told at present, see L{subscribe} and L{watch}.
    @ivar counters: how many packets were sent (C{"sent"}), and how many events there were of each kind.
    @ivar brief: the log has nothing of each single pause: this node is overloaded, which it was told once.
    """

    _log = Logger()

    def __init__(self, groups: Iterable[str]) -> None:
        self.roles: dict[str, Role] = dict.fromkeys(groups, Role.STANDBY)
        self.counters: Counter[str] = Counter()
        self.observers: list[IRoleObserver] = []
        self._of: dict[str, list[IRoleObserver]] = {}
        self.watchers: list[Callable[[Change], None]] = []
        self.brief = False

    def subscribe(self, observer: IRoleObserver, group: str = "") -> Callable[[], None]:
        """
        Tell C{observer} of every role change of this node from now on; one of L{IEventObserver} of events, too.

        @param group: only of those of this group, after all who are told of every group, and of events that are
            of none.
        @return: ends it; a second call does nothing.
        """
        return _added(self._of.setdefault(group, []) if group else self.observers, observer)

    def watch(self, watcher: Callable[[Change], None]) -> Callable[[], None]:
        """
        Call C{watcher} with every role change of any node, as this one notices it.

        @return: ends it; a second call does nothing.
        """
        return _added(self.watchers, watcher)

    def comes(self, group: str) -> None:
        """There is a new group."""
        self.roles[group] = Role.STANDBY

    def goes(self, group: str) -> None:
        """A group is forgotten."""
        del self.roles[group]
        self._of.pop(group, None)

    def report(self, effect: Effect) -> None:
        """Tell everybody who wants to know."""
        if isinstance(effect, RoleChange):
            self._changed(effect)
        elif isinstance(effect, Event):
            self._noted(effect)
        elif isinstance(effect, Change):
            for watcher in list(self.watchers):
                self._call(watcher, effect)

    def _changed(self, change: RoleChange) -> None:
        self.roles[change.group] = change.new
        self._log.info(
            _BEGUN if change.old is None else _CHANGED,
            cluster=change.cluster,
            group=change.group,
            old=change.old.name if change.old is not None else "-",
            new=change.new.name,
            term=change.term,
            reason=change.reason,
        )
        for observer in (*self.observers, *self._of.get(change.group, ())):
            self._call(observer.roleChanged, change)

    def _noted(self, event: Event) -> None:
        if event.kind in ("overloaded", "keeps-up"):
            self.brief = event.kind == "overloaded"
        emit = self._log.warn if event.kind in _WARNINGS else self._log.info
        if self.brief and event.kind == "stalled":
            emit = self._log.debug
        emit(
            "{kind}{where}{about}: {reason}",
            kind=event.kind,
            where=f" in {event.group}" if event.group else "",
            about=f" {event.peer}" if event.peer else "",
            group=event.group,
            peer=event.peer,
            reason=event.reason,
        )
        self.counters[event.kind] += 1
        concerned = [self._of.get(event.group, ())] if event.group else self._of.values()
        for observer in (*self.observers, *chain(*concerned)):
            if IEventObserver.providedBy(observer):
                self._call(observer.noted, event)

    def _call(self, observer: Callable[[Any], object], what: Effect) -> None:
        try:
            observer(what)
        except Exception:
            self._log.failure("An observer failed on {what}", what=what)


def _added(those: list[Any], one: Any) -> Callable[[], None]:
    those.append(one)

    def end() -> None:
        nonlocal one
        if one is not None:
            those.remove(one)
            one = None

    return end
