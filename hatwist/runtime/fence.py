"""Until when groups may be held here: what the guard is armed with, and how long the kernel keeps their addresses."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from typing import NamedTuple

from hatwist.core.machine import Machine
from hatwist.linux.interfaces import Farewell
from hatwist.resources.guard import GuardOrder

RENEWAL = 0.5
"""Seconds between two renewals of the kernel's lease where it follows votes, and at least so many elsewhere."""
RENEWALS = 4
"""How often a lease of the kernel is renewed while it would last."""


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


class HeldLease:
    """
    One lease, while groups follow it.

    @param name: what its machine calls it; C{key}: what the guard does.
    @param step: seconds by which it must have grown before the guard is told.
    @ivar until: when they must be let go of by the last decision.
    @ivar margin: the least that was left of it, in seconds, whenever it was renewed; C{None}: it was not.
    @ivar followers: the fences of those groups, by name.
    """

    def __init__(self, machine: Machine, name: str, key: str, step: float) -> None:
        self.machine = machine
        self.name = name
        self.key = key
        self.until = -inf
        self.margin: float | None = None
        self.followers: dict[str, Fence] = {}
        self._step = step
        self._leaving: set[str] = set()
        self._told = self._renewed = self._kept = -inf

    def joined(self, fence: Fence, until: float) -> None:
        """A group follows it, and it lasts until then."""
        self.until = until
        self.followers[fence.group] = fence
        self._kept = -inf

    def stays(self, fence: Fence) -> None:
        """A group of it is held."""
        self._leaving.discard(fence.group)

    def leaves(self, fence: Fence) -> None:
        """A group of it is let go of: the guard waits for that, up to the last moment."""
        self._leaving.add(fence.group)

    def left(self, fence: Fence) -> None:
        """A group follows it no more."""
        self.followers.pop(fence.group, None)
        self._leaving.discard(fence.group)

    def grows(self, until: float) -> bool:
        """Whether the guard is to be told if it lasts until then."""
        before = self._told
        return until > before and until >= before + (0.0 if self._leaving else self._step)

    def renewed(self, until: float, now: float) -> bool:
        """By the last decision it lasts until then; whether the guard is to be told."""
        self.until = until
        if not self.grows(until):
            return False
        before = self._told
        if before > -inf:
            left = before - now
            self.margin = left if self.margin is None else min(left, self.margin)
        self._told = until
        return True

    def toKeep(self, kernel: KernelLease, now: float) -> tuple[int, list[str]]:
        """
        The kernel's lease too follows what is confirmed, in the whole seconds that it knows.

        @return: for how many seconds it is to keep the addresses of which groups; none: for as long as it was told.
        """
        seconds, margin = kernel
        pause = RENEWAL if margin is not None else max(RENEWAL, seconds / RENEWALS)
        if not seconds or now < self._renewed + pause:
            return 0, []
        if margin is not None:
            seconds = min(seconds, int(self.until - margin - now))
            # Less cannot be written down; and what was written down before may last for longer.
            if seconds < 1 or now + seconds <= self._kept:
                return 0, []
        self._renewed = now
        end = now + seconds
        held = [
            fence
            for fence in self.followers.values()
            if not fence.lettingGo and (margin is None or end > fence.kept)
        ]
        for fence in held:
            fence.keep(end)
        self._kept = min((fence.kept for fence in self.followers.values()), default=-inf)
        return seconds, [fence.group for fence in held]


class Fence:
    """
    The fence of one group. The driver pushes what was decided; the group's L{GuardOrder} comes from here.

    @ivar lease: by which it is held; C{None}: it is not claimed.
    @ivar lettingGo: the guard waits for its release, and the kernel is told nothing any more.
    @ivar kept: until when the kernel was last told to keep its addresses.
    """

    def __init__(self, group: str) -> None:
        self.group = group
        self.lease: HeldLease | None = None
        self.lettingGo = False
        self.kept = -inf
        self._claimed = False
        self._term = 0
        self._farewells: Sequence[Farewell] = ()

    @property
    def until(self) -> float:
        """When the group must be let go of by the last decision; C{-inf}: it is not claimed."""
        return self.lease.until if self.lease is not None and self._claimed else -inf

    @property
    def margin(self) -> float | None:
        """See L{HeldLease.margin}."""
        return self.lease.margin if self.lease is not None else None

    def follows(self, lease: HeldLease) -> None:
        """By this lease from now on."""
        self.lease = lease

    def claimed(self, term: int, farewells: Sequence[Farewell]) -> None:
        """The group is to be held from now on, by a claim of this term, for as long as its lease lasts."""
        self._claimed, self._term, self._farewells = True, term, farewells
        self.lettingGo = False
        if self.lease is not None:
            self.lease.stays(self)

    def revised(self, farewells: Sequence[Farewell]) -> None:
        """The guard is to say something else, as soon as it is armed anew."""
        self._farewells = farewells

    def released(self) -> None:
        """The group is to be let go of: the guard waits for that, and the kernel is told nothing any more."""
        self.lettingGo = True
        if self.lease is not None:
            self.lease.leaves(self)

    def keep(self, until: float) -> None:
        """The kernel is told to keep its addresses until then."""
        self.kept = until

    def ended(self) -> None:
        """Nothing is held any more, or the guard has fired: what was told before counts no more."""
        self.lease = None
        self.lettingGo = self._claimed = False
        self.kept = -inf
        self._term, self._farewells = 0, ()

    def order(self) -> GuardOrder:
        """What the guard is to know of the present claim."""
        key = self.lease.key if self.lease is not None else ""
        return GuardOrder(self._term, key, self.until, self._farewells)
