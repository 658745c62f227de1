"""How long a holder may go on: the guard is told, and the kernel's lease of the addresses follows."""

from __future__ import annotations

from collections.abc import Mapping
from math import inf

from hatwist.core.claims import Role
from hatwist.linux.interfaces import IGuard
from hatwist.protocols.native.machine import Machine
from hatwist.runtime.keeper import Keeper

RENEWAL = 0.5
"""Seconds between two renewals of the kernel's lease."""


class Leases:
    """
    @param keepers: of the groups of the machine, as they come and go.
    @param guard: C{None}: there is none, and nothing is renewed.
    @ivar kernel: whole seconds for which the kernel keeps what is not renewed; 0: for ever.
    @ivar margin: seconds by which each of its leases ends before the votes; C{None}: it does not follow them,
        because there are none, or because they last for less than it can count.
    @ivar margins: the least that was left of the lease of each group held here, in seconds, whenever it
        was renewed.
    @ivar decided: when this node decided last.
    """

    def __init__(
        self, machine: Machine, keepers: Mapping[str, Keeper], guard: IGuard | None
    ) -> None:
        self.kernel = 0
        self.margin: float | None = None
        self.margins: dict[str, float] = {}
        self.decided = -inf
        self._machine = machine
        self._keepers = keepers
        self._guard = guard
        self._petted: dict[str, float] = {}
        self._renewed: dict[str, float] = {}
        self._kept: dict[str, float] = {}  # until when the kernel was last told to keep it

    def until(self, name: str) -> float:
        """Until when a group may be held here by the last decision: who has slept since knows of no newer one."""
        return self._machine.lease(name, self.decided)

    def fenced(self) -> None:
        """The guard has fired: what it was told counts no more."""
        self._petted.clear()

    def pet(self, now: float) -> None:
        """Tell the guard, a few times in an interval, until when this node may hold."""
        if self._guard is None:
            return
        step = self._machine.rules.interval / 4
        for name, election in list(self._machine.elections.items()):
            if election.standing.role is Role.ACTIVE:
                lease = self._machine.lease(name, now)
                before = self._petted.get(name, 0.0)
                # While it lets go by itself the guard waits for that.
                if (
                    lease >= before + (0.0 if election.standing.lettingGo else step)
                    and lease > before
                ):
                    if before:
                        left = before - now
                        self.margins[name] = min(left, self.margins.get(name, left))
                    self._petted[name] = lease
                    self._guard.pet(name, lease)
                    if not election.standing.lettingGo:
                        self._renew(name, lease, now)
            else:
                self._petted.pop(name, None)
                self.margins.pop(name, None)
                self._renewed.pop(name, None)
                self._kept.pop(name, None)

    def _renew(self, name: str, lease: float, now: float) -> None:
        """The kernel's lease too follows what is confirmed, in the whole seconds that it knows."""
        if not self.kernel or now < self._renewed.get(name, 0.0) + RENEWAL:
            return
        seconds = self.kernel
        if self.margin is not None:
            seconds = min(seconds, int(lease - self.margin - now))
            # Less cannot be written down; and what was written down before may last for longer.
            if seconds < 1 or now + seconds <= self._kept.get(name, -inf):
                return
        self._renewed[name] = now
        self._kept[name] = now + seconds
        self._keepers[name].renew(seconds)
