"""How sure it is that no two nodes hold a group, and why."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple


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


def outspoken(protocol: str, lease: int, unguardable: tuple[str, ...]) -> Guarantee:
    """
    That of a group whose protocol is spoken with others, who may be no nodes of hatwist: silence alone decides.

    @param protocol: what people call it.
    @param lease: whole seconds of the kernel's own lease on addresses; 0: none.
    @param unguardable: resources that the guard cannot release, by name.
    """
    gaps = [
        f"if the network splits, both sides hold the addresses: {protocol} has no votes",
        "what another program does that speaks it: killed, many of them leave the addresses on their host",
    ]
    if not lease:
        gaps.append("daemon and guard killed together: addresses stay, since there is no lease")
    if unguardable:
        names = ", ".join(unguardable)
        why = f"the guard cannot release {names}, which stays where only the daemon dies"
        return Guarantee(Level.BEST_EFFORT, why, tuple(gaps))
    why = f"this node, where it dies or hangs, releases what it holds before {protocol} lets another take it"
    return Guarantee(Level.SELF_RELEASING, why, tuple(gaps))
