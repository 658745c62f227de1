"""
What a node would say of its groups, and what another one has of it: all that the simulator reads of a machine's view.

A judge of schedules compares the two, whatever the way is by which the words travel.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hatwist.protocols.native.machine import NativeMachine

Words = Mapping[str, Any]
"""A value for each group that a node has; equal if the same is said of the group."""


def saying(machine: NativeMachine, now: float) -> Words:
    """What a node says of each of its groups."""
    return {name: e.tell(machine.view, now) for name, e in machine.elections.items()}


def heard(machine: NativeMachine, other: str) -> Words:
    """What a node has heard of the groups of another one, as the newest word."""
    peer = machine.view.peers.get(other)
    if peer is None or peer.beat is None:
        return {}
    return {state.name: state for state in peer.beat.groups}


def hears(machine: NativeMachine, other: NativeMachine) -> bool:
    """A node has received packets of the present session of another one."""
    peer = machine.view.peers.get(other.name)
    return peer is not None and peer.session == other.session and peer.directSeq >= 0


def unknown(before: Words, after: Words, known: Words) -> list[str]:
    """
    Of which groups another node has an old word.

    @param before, after: what a node said before the time that its words may take, and after it.
    @param known: what the other one has of it then.
    """
    calm = [name for name in {*before, *after} if before.get(name) == after.get(name)]
    gone = [name for name in known if name not in before and name not in after]
    return sorted([name for name in calm if known.get(name) != after[name]] + gone)
