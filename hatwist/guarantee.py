"""The guarantee in force, computed from the configuration, with what it rests on and what would raise it."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from hatwist.rules import Quorum, Timing

GUARDABLE_LEASE = 1.0
"""Seconds: the kernel counts leases in whole ones, so that shorter ones cannot be written down."""


class Level(Enum):
    """How sure it is that no two nodes hold a group."""

    BEST_EFFORT = "best effort"
    SELF_RELEASING = "self-releasing"
    EXCLUSIVE = "exclusive"


class Guarantee(NamedTuple):
    """
    @ivar reason: why it is this one; a sentence without full stop.
    @ivar gaps: what it does not cover, each a sentence without full stop.
    """

    level: Level
    reason: str
    gaps: tuple[str, ...] = ()


def guarantee(
    timing: Timing,
    quorum: Quorum | None,
    guarded: bool,
    lease: int,
    unguardable: tuple[str, ...] = (),
    delay: float = 0.001,
) -> Guarantee:
    """
    @param guarded: a guard process releases what a dead or hung daemon left.
    @param lease: whole seconds of the kernel's own lease on addresses; 0: none.
    @param unguardable: resources that the guard cannot release, by name.
    """
    if not guarded:
        return Guarantee(Level.BEST_EFFORT, "no guard is running")
    if unguardable:
        names = ", ".join(unguardable)
        return Guarantee(Level.BEST_EFFORT, f"the guard cannot release {names}")
    gaps = []
    if not lease:
        gaps.append("daemon and guard killed together: addresses stay, since there is no lease")
    if quorum is None:
        gaps.append("nodes that cannot hear each other hold at the same time")
        return Guarantee(
            Level.SELF_RELEASING,
            "a node that dies or hangs lets go by itself; without --quorum a partition is not covered",
            tuple(gaps),
        )
    survives = timing.survives(delay)
    if survives < 1:
        return Guarantee(
            Level.SELF_RELEASING,
            f"the tolerance of {timing.tolerance:g} s leaves {timing.hold:.3f} s to hold, "
            "in which not even one lost round trip is survived; raise --tolerance",
            tuple(gaps),
        )
    if timing.hold - 0.4 < GUARDABLE_LEASE:
        gaps.append("daemon and guard killed together: the kernel's lease is longer than the votes")
    return Guarantee(
        Level.EXCLUSIVE,
        f"a holder has the votes of {quorum.needed} of {len(quorum.members)} nodes, and lets go "
        f"{timing.hold:.3f} s after the last confirmed heartbeat; {survives} lost round trips are survived",
        tuple(gaps),
    )
