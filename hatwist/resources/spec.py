"""What every kind of resource is made of: a value that a configuration describes, and what makes a resource of it."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any, ClassVar, NamedTuple, Protocol

from twisted.internet.defer import Deferred

from hatwist.core.parsing import Seconds
from hatwist.core.table import Table
from hatwist.linux.interfaces import INetlink, ISender
from hatwist.linux.netlink.messages import KernelLink

TIMEOUT = 10.0
"""Seconds that a program may take each way, where nothing else is said."""
LIMITS = Seconds(0.1, 3600)
"""What a configuration may say instead."""


class World(NamedTuple):
    """
    What a resource is made in.

    @ivar reactor: provides IReactorTime and IReactorProcess.
    @ivar group: the name of its group.
    @ivar permitted: whether anything may be held here now, as the guard has it.
    @ivar look: looks what the guard has done.
    @ivar until: until when, as of the last look, in seconds on the reactor's clock.
    @ivar openSender: opens what announces on an interface; C{OSError} when that is not possible.
    @ivar arm: tells the guard what the first argument owns: netlink messages that delete it all. Fires once the
        guard has confirmed; nothing may be added before.
    @ivar busy: whether the node is overloaded: what can wait is to wait.
    """

    reactor: Any
    netlink: INetlink
    group: str
    openSender: Callable[[KernelLink], ISender]
    permitted: Callable[[], bool]
    look: Callable[[], object]
    until: Callable[[], float]
    arm: Callable[[Hashable, Sequence[bytes]], Deferred[None]]
    busy: Callable[[], bool] = lambda: False


class Spec(Protocol):
    """
    What a configuration says of one resource: a value that never changes, and compares by what it says.

    Each class has C{read} too, which makes one of a table, see L{hatwist.resources.kinds}.

    @ivar kind: the key that names it in a table.
    """

    kind: ClassVar[str]

    @property
    def given(self) -> str:
        """What it was given as, such as C{"eth0:1"}."""

    @property
    def programs(self) -> tuple[str, ...]:
        """What must be on the PATH for it."""

    @property
    def releaseTime(self) -> float:
        """Seconds that its release may take, where the guard cannot make sure of it; 0.0: the guard can."""

    def identity(self, group: str) -> Hashable:
        """What no other of its kind may have too, in this group or another."""


class ResourcePart(Protocol):
    """What is one resource of a running group: one L{Spec}, or several that are held as one."""

    @property
    def shared(self) -> object:
        """What of it must be the same on every node; its C{repr} goes into the digest, and must never change."""

    def make(self, world: World) -> Any:
        """The resource, an L{IResource}. Nothing is touched yet."""


class LoneSpec(Spec, ResourcePart, Protocol):
    """What is one resource by itself."""


def readTimeout(table: Table, usual: float = TIMEOUT) -> float:
    """The key C{timeout} of a resource."""
    return table.take("timeout", LIMITS, usual)
