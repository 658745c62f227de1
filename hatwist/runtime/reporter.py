"""Tells of role changes and events: the log, those who observe this node, and the chronicle of all nodes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

from twisted.logger import Logger

from hatwist.core.claims import Role
from hatwist.core.effects import Change, Event, RoleChange
from hatwist.protocols.native.chronicle import Chronicle
from hatwist.protocols.native.machine import Machine
from hatwist.runtime.interfaces import IEventObserver, IRoleObserver

_WARNINGS = frozenset(
    (
        "conflict",
        "stalled",
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
    What is known of a node from outside.

    @param groups: the names of its groups.
    @ivar roles: of each group.
    @ivar counters: how many heartbeats were sent (C{"sent"}), and how many events there were of each kind.
    @ivar watchers: each is called with every role change of any node, as this one notices it.
    """

    _log = Logger()

    def __init__(self, reactor: Any, machine: Machine, groups: Iterable[str]) -> None:
        self._reactor = reactor
        self.machine = machine
        self.roles: dict[str, Role] = dict.fromkeys(groups, Role.STANDBY)
        self.counters: Counter[str] = Counter()
        self.chronicle = Chronicle(machine.rules.name, machine.elections)
        self.watchers: list[Callable[[Change], None]] = []
        self._observers: list[IRoleObserver] = []

    @property
    def now(self) -> float:
        """The time, on the clock of every time here."""
        return float(self._reactor.seconds())

    def addObserver(self, observer: IRoleObserver) -> None:
        self._observers.append(observer)

    def removeObserver(self, observer: IRoleObserver) -> None:
        self._observers.remove(observer)

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
        election = self.machine.elections.get(change.group)
        released = election.standing.released if election is not None else None
        self._tell(self.chronicle.own(change, released, self._reactor.seconds()))
        for observer in list(self._observers):
            try:
                observer.roleChanged(change)
            except Exception:
                self._log.failure("An observer failed on {change}", change=change)

    def _tell(self, change: Change) -> None:
        for watcher in list(self.watchers):
            try:
                watcher(change)
            except Exception:
                self._log.failure("A watcher failed on {change}", change=change)

    def _noted(self, event: Event) -> None:
        emit = self._log.warn if event.kind in _WARNINGS else self._log.info
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
        for observer in list(self._observers):
            if IEventObserver.providedBy(observer):
                try:
                    observer.noted(event)
                except Exception:
                    self._log.failure("An observer failed on {event}", event=event)
