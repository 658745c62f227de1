"""What a node without a guard tells: it is less fit than one that has one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from hatwist.core.reports import Judged
from hatwist.core.worth import Fitness
from hatwist.runtime.node import Node

REASON = "no guard is running"


def _nothing() -> None: ...


class Guarding(Protocol):
    """A guard, as it is looked at here; see L{hatwist.linux.guard.client.GuardClient}."""

    onUnready: Callable[[], None]

    @property
    def ready(self) -> bool: ...


class Unguarded:
    """
    Looks whether there is a guard: when there is none any more, and then once in an interval until there is one.

    One that is replaced is ready again within some ms. Without one for a tolerance the node is degraded, so
    that another one gets what it holds: if its daemon died as well, only the kernel's lease would end it.

    @ivar missing: that is so now.
    """

    _log = Logger()

    def __init__(
        self, reactor: IReactorTime, guard: Guarding, interval: float, tolerance: float
    ) -> None:
        self.missing = False
        self._interval = interval
        self._tolerance = tolerance
        self._reactor = reactor
        self._guard = guard
        self._node: Node | None = None
        self._call: IDelayedCall | None = None
        self._seen = 0.0
        self._told: set[str] = set()

    def start(self, node: Node) -> None:
        """Tell C{node} from now on."""
        self._node = node
        self._seen = self._reactor.seconds()
        self._guard.onUnready = self._watch
        self._watch()

    def stop(self) -> None:
        """Tell nothing more."""
        self._node = None
        self._guard.onUnready = _nothing
        self.missing = False
        self._told.clear()
        if self._call is not None and self._call.active():
            self._call.cancel()
        self._call = None

    def _watch(self) -> None:
        """There may be none now, as there was until now."""
        if self._call is None:
            self._seen = self._reactor.seconds()
            self._look()

    def _look(self) -> None:
        node, ready = self._node, self._guard.ready
        assert node is not None
        self._call = None if ready else self._reactor.callLater(self._interval, self._look)
        missing = not ready and self._reactor.seconds() - self._seen >= self._tolerance
        if missing and not self.missing:
            self._log.critical(
                "There has been no guard for {tolerance} s: this node is less fit until there is one",
                tolerance=self._tolerance,
            )
        self.missing = missing
        wanted = set(node.roles) if missing else set()
        for group in wanted - self._told:
            node.tell(Judged(group, "guard", Fitness.DEGRADED, REASON))
        for group in (self._told - wanted) & set(node.roles):
            node.tell(Judged(group, "guard", Fitness.FIT))
        self._told = wanted
