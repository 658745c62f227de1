"""
Whether a node may start with other members than it ran with.

Votes keep two nodes from holding only as long as any two majorities have a node in common, also while some
nodes run with the old members and some with the new ones. So one change goes on at a time, between two sets whose
majorities meet; a third set may come only when nobody runs with the first one any more.
"""

from __future__ import annotations

from typing import NamedTuple

from hatwist.core.phrases import joined

FRESH = 600.0
"""Seconds: who was away for longer cannot know with which members the others run now."""
DIGESTS = 16
"""How many configurations are remembered: members stay while addresses, say, are changed by a reload."""


class Quorum(NamedTuple):
    """
    Who votes, and how many votes a claim takes.

    @ivar members: the names of all nodes that vote.
    @ivar needed: votes, the claimer's own included; more than half, so that two claims never have them.
    """

    members: frozenset[str]
    needed: int


class Ran(NamedTuple):
    """
    With which members a node ran last.

    @ivar digests: of every shared configuration with which it ran since then, in hexadecimal digits.
    @ivar heard: by which digest each other node was last heard, directly.
    @ivar at: when that was written down, in seconds since the epoch.
    """

    quorum: Quorum
    digests: tuple[str, ...]
    heard: dict[str, str]
    at: float = 0.0


def meet(one: Quorum, other: Quorum) -> bool:
    """Whether any votes that suffice in one set have a node in common with any that suffice in the other."""
    return one.needed + other.needed > len(one.members | other.members)


def runs(ran: Ran | None, quorum: Quorum | None, digest: str) -> Ran | None:
    """What is to be remembered when a node goes on with a configuration; C{quorum}: of that."""
    if ran is None or quorum not in (None, ran.quorum):
        heard = ran.heard if ran is not None else {}
        return Ran(quorum, (digest,), heard) if quorum is not None else None
    digests = [known for known in ran.digests if known != digest]
    return ran._replace(digests=(*digests, digest)[-DIGESTS:])


def refusal(
    ran: Ran | None, quorum: Quorum | None, digest: str, node: str, path: str, now: float
) -> str:
    """
    Why a node must not start now, in a sentence that says what to do; C{""}: it may.

    Without votes nobody relies on members. A node that remembers nothing is new: whoever started it has given
    it the members that the others have.

    @param ran: what it remembers.
    @param quorum, digest: what it is to run with.
    @param path: the file that remembers.
    @param now: seconds since the epoch.
    """
    if ran is None or quorum is None or quorum == ran.quorum:
        return ""
    old, new = ran.quorum.members, quorum.members
    anew = f"to begin anew, stop every node and remove the state file of each, here {path}"
    if not meet(ran.quorum, quorum):
        size = f"from {len(old)} to {len(new)} nodes"
        if len(old) == len(new):
            size = f"from {joined(sorted(old))} to {joined(sorted(new))}"
        step = _step(ran.quorum, quorum)
        how = (
            f"one node at a time: first {', '.join(sorted(step))} on every node; or, "
            if step
            else ""
        )
        return f"{size} at once could give two majorities; change {how}{anew}"
    had = ", ".join(sorted(old))
    if not -FRESH <= now - ran.at <= FRESH:
        return (
            f"this node last ran with {had}, and does not know what the others run with now: if still with these, "
            f"start it with these first, and change them a minute later; if with the new ones, remove {path}"
        )
    known = {*ran.digests, digest}
    behind = sorted(name for name in (old & new) - {node} if ran.heard.get(name) not in known)
    if behind:
        return (
            f"{joined(behind)} must be heard by this node first, running with {had}, which this node had, or with the "
            f"new ones, and otherwise with the same configuration: one change at a time; {anew}"
        )
    return ""


def _step(old: Quorum, new: Quorum) -> frozenset[str]:
    """Members between the two that can come next; none where only the number of votes is to blame."""
    for name in sorted(new.members - old.members):
        found = old.members | {name}
        if meet(old, Quorum(found, len(found) // 2 + 1)):
            return found
    for name in sorted(old.members - new.members):
        found = old.members - {name}
        if meet(old, Quorum(found, len(found) // 2 + 1)):
            return found
    return frozenset()
