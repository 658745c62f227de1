"""One simulated host."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from hatwist.machine import Machine
from hatwist.votes import Record

GROUP = "g"
QUEUE = 300
"""Packets that wait for a frozen node; the kernel drops what comes after."""


class Node:
    """One simulated host: its daemon, its clock, and what it holds."""

    def __init__(self, name: str, machine: Machine, rate: float, offset: float) -> None:
        self.name = name
        self.machine = machine
        self.rate = rate
        self.offset = offset
        self.running = True
        self.frozen = self.draining = False
        self.held = False
        self.wanted = False
        self.acquireTime = self.releaseTime = 0.0005
        self.failing = False
        self.inbox: deque[Callable[[], None]] = deque()
        self.version = 0
        self.operation = 0
        self.disk: dict[str, Record] = {}
        self.guard: float | None = None
        self.armed = 0
        self.fenced = False

    def local(self, at: float) -> float:
        return self.offset + at * self.rate
