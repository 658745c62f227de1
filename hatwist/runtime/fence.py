"""Until when a group may be held here: its guard is told, and the kernel's lease of its addresses follows."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from typing import NamedTuple

from hatwist.linux.interfaces import Farewell, IGuard
from hatwist.resources.guard import GuardOrder

RENEWAL = 0.5
"""Seconds between two renewals of the kernel's lease."""


class KernelLease(NamedTuple):
    """
    How long the kernel keeps addresses that are not renewed.

    @ivar seconds: whole ones; 0: for ever.
    @ivar margin: seconds by which each of its leases ends before the votes; C{None}: it does not follow them,
        because there are none, or because they last for less than it can count.
    """

    seconds: int = 0
    margin: float | None = None


UNLIMITED = KernelLease()


class Fence:
    """
    The fence of one group. The driver pushes what was decided; the group's L{GuardOrder} comes from here.

    @param guard: C{None}: there is none, and nothing is renewed.
    @param interval: seconds; the guard is told a few times in each.
    @ivar until: when the group must be let go of by the last decision; C{-inf}: it is not claimed.
    @ivar kernel: how its addresses are kept.
    @ivar margin: the least that was left of the lease, in seconds, whenever it was renewed, since the group was
        claimed; C{None}: it was not renewed.
    """

    def __init__(self, group: str, guard: IGuard | None, interval: float) -> None:
        self.until = -inf
        self.kernel = UNLIMITED
        self.margin: float | None = None
        self._group = group
        self._guard = guard
        self._step = interval / 4
        self._term = 0
        self._farewells: Sequence[Farewell] = ()
        self._lettingGo = False
        self._told = self._renewed = self._kept = -inf

    def claimed(self, term: int, lease: float, farewells: Sequence[Farewell]) -> None:
        """The group is to be held from now on, by a claim of this term, until then if nothing more is heard."""
        self.ended()
        self._term, self.until = term, lease
        self._farewells = farewells

    def revised(self, farewells: Sequence[Farewell]) -> None:
        """The guard is to say something else, as soon as it is armed anew."""
        self._farewells = farewells

    def released(self) -> None:
        """The group is to be let go of: the guard waits for that, and the kernel is told nothing any more."""
        self._lettingGo = True

    def ended(self) -> None:
        """Nothing is held any more, or the guard has fired: what was told before counts no more."""
        self.until = -inf
        self.margin = None
        self._lettingGo = False
        self._term, self._farewells = 0, ()
        self._told = self._renewed = self._kept = -inf

    def order(self) -> GuardOrder:
        """What the guard is to know of the present claim."""
        return GuardOrder(self._term, self.until, self._farewells)

    def renew(self, lease: float, now: float) -> int:
        """
        By the last decision the group may be held until then, if it is claimed.

        @return: for how many seconds the kernel is to keep what is held; 0: for as long as it was told.
        """
        if self.until == -inf:
            return 0
        self.until = lease
        before = self._told
        if self._guard is None or lease <= before:
            return 0
        # While it is let go of the guard waits for that, up to the last moment.
        if lease < before + (0.0 if self._lettingGo else self._step):
            return 0
        if before > -inf:
            left = before - now
            self.margin = left if self.margin is None else min(left, self.margin)
        self._told = lease
        self._guard.pet(self._group, lease)
        return 0 if self._lettingGo else self._keep(lease, now)

    def _keep(self, lease: float, now: float) -> int:
        """The kernel's lease too follows what is confirmed, in the whole seconds that it knows."""
        seconds, margin = self.kernel
        if not seconds or now < self._renewed + RENEWAL:
            return 0
        if margin is not None:
            seconds = min(seconds, int(lease - margin - now))
            # Less cannot be written down; and what was written down before may last for longer.
            if seconds < 1 or now + seconds <= self._kept:
                return 0
        self._renewed = now
        self._kept = now + seconds
        return seconds
