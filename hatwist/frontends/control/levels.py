"""The level from which on the log is written, changed while the daemon runs."""

from __future__ import annotations

import sys
from typing import Any

from twisted.logger import (
    FilteringLogObserver,
    ILogFilterPredicate,
    LogEvent,
    LogLevel,
    PredicateResult,
    globalLogPublisher,
)
from zope.interface import implementer

from hatwist.core.table import nearest

NAMESPACE = "hatwist"
"""What is meant if nothing is said: everything that this package logs."""
NAMES = tuple(level.name for level in LogLevel.iterconstants())


OTHERS = ("stdout", "stderr", "log_legacy")
"""What Twisted calls what was not logged by a module."""


def _logs(namespace: str) -> bool:
    """A module that is here, or a class in one."""
    module, _, name = namespace.rpartition(".")
    return (
        namespace in sys.modules
        or namespace in OTHERS
        or isinstance(getattr(sys.modules.get(module), name, None), type)
    )


@implementer(ILogFilterPredicate)
class Threshold:
    """
    Drops what is below the level of its namespace, before every observer that there is.

    Nothing happens until a level is set. What an observer leaves out by itself, as C{twist --log-level}
    does, does not come back by that.
    """

    def __init__(self) -> None:
        self.levels: dict[str, Any] = {}
        self._wrapped: list[tuple[Any, Any]] = []

    def set(self, level: str, namespace: str = NAMESPACE) -> None:
        """
        @param namespace: a dotted name; it counts for all below it that have no level of their own.
        @raise ValueError: there is no such level, or no module or class of that name.
        """
        if level not in NAMES:
            raise ValueError(f"there is no level {level!r}; allowed are {', '.join(NAMES)}")
        if not _logs(namespace):
            close = nearest(namespace, list(sys.modules), listed=False)
            raise ValueError(f"nothing here logs as {namespace!r}{close}")
        self.levels[namespace] = LogLevel.lookupByName(level)
        if not self._wrapped:
            # The publisher does not tell whom it has; there is no other way to come before them.
            for observer in list(globalLogPublisher._observers):
                filtering = FilteringLogObserver(observer, [self])
                globalLogPublisher.removeObserver(observer)
                globalLogPublisher.addObserver(filtering)
                self._wrapped.append((observer, filtering))

    def remove(self) -> None:
        """Everything is written again."""
        for observer, filtering in self._wrapped:
            globalLogPublisher.removeObserver(filtering)
            globalLogPublisher.addObserver(observer)
        self._wrapped.clear()
        self.levels.clear()

    def __call__(self, event: LogEvent) -> Any:
        level = event.get("log_level")
        name = event.get("log_namespace") or ""
        while level is not None and name:
            if name in self.levels:
                return PredicateResult.no if level < self.levels[name] else PredicateResult.maybe
            name = name.rpartition(".")[0]
        return PredicateResult.maybe
