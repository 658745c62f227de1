"""One simulated host."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from hatwist.core.claims import Record
from hatwist.protocols.native.machine import Machine

GROUP = "g"
QUEUE = 300
"""Packets that wait for a frozen node; the kernel drops what comes after."""


class Part:
    """
    One group on one host.

    @ivar clean: nothing was acquired since the last release.
    @ivar guard: until when the guard lets it be held, on the node's clock; C{None}: it is not armed.
    """

    def __init__(self) -> None:
        self.held = self.wanted = self.failing = False
        self.clean = True
        self.acquireTime = self.releaseTime = 0.0005
        self.operation = 0
        self.guard: float | None = None
        self.armed = 0


def _ofTheFirst(name: str) -> Any:
    """An attribute of the group L{GROUP}."""
    return property(
        lambda self: getattr(self.groups[GROUP], name),
        lambda self, value: setattr(self.groups[GROUP], name, value),
    )


class Node:
    """
    One simulated host: its daemon, its clock, and what it holds.

    @ivar groups: each group by name; L{GROUP} is among them, and never held where the machine lacks it.
    @ivar guardTime: how long its guard takes to let go, in seconds.
    @ivar refusing: its disk takes nothing.
    """

    held = _ofTheFirst("held")
    wanted = _ofTheFirst("wanted")
    failing = _ofTheFirst("failing")
    acquireTime = _ofTheFirst("acquireTime")
    releaseTime = _ofTheFirst("releaseTime")
    guard = _ofTheFirst("guard")

    def __init__(
        self, name: str, machine: Machine, rate: float, offset: float, groups: Sequence[str]
    ) -> None:
        self.name = name
        self.machine = machine
        self.rate = rate
        self.offset = offset
        self.groups = {group: Part() for group in dict.fromkeys((GROUP, *groups))}
        self.running = True
        self.frozen = self.draining = False
        self.inbox: deque[Callable[[], None]] = deque()
        self.version = 0
        self.disk: dict[str, Record] = {}
        self.refusing = False
        self.guardTime = 0.001
        self.fenced = False

    def local(self, at: float) -> float:
        return self.offset + at * self.rate

    @property
    def up(self) -> bool:
        """Its daemon runs, and gets to run."""
        return self.running and not self.frozen
