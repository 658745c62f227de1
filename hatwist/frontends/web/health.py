"""What a load balancer wants to know: yes or no, and one line that says why."""

from __future__ import annotations

from collections.abc import Sequence

from hatwist.core.claims import Role
from hatwist.runtime.node import Node

Verdict = tuple[bool, str]


def active(node: Node | None, groups: Sequence[str] = ()) -> Verdict:
    """
    Whether this node holds all of C{groups}; without any: at least one of those that it knows.

    @raise LookupError: a group is not known here.
    """
    if node is None:
        return False, "the node does not run"
    if any(group not in node.roles for group in groups):
        raise LookupError("no such group here")
    held = {name for name, role in node.roles.items() if role is Role.ACTIVE}
    good = held.issuperset(groups) if groups else bool(held)
    asked = groups or list(node.roles)
    return good, "\n".join(f"{name}: {node.roles[name].name}" for name in dict.fromkeys(asked))


def alive(node: Node | None, now: float) -> Verdict:
    """Whether the reactor turns in time, and heartbeats leave."""
    if node is None:
        return False, "the node does not run"
    machine = node.machine
    tolerance = machine.rules.tolerance
    late = node.driver.lateness
    if now < late.at + tolerance:
        return False, f"it was late by {late.by:.3f} s, {now - late.at:.3f} s ago"
    # At a start, and for a tolerance at most, what an earlier run left is released before anything is said.
    spoke = max(machine.outbox.lastSent, node.startedAt)
    if now > spoke + tolerance + machine.rules.interval:
        return False, f"it has sent no heartbeat for {now - spoke:.3f} s"
    failing = [f"{link.name}: {link.failing}" for link in node.links if link.failing]
    if len(failing) == len(node.links):
        return False, f"no heartbeat can be sent: {', '.join(failing)}"
    text = f"heartbeats are sent; {len(node.links) - len(failing)} of {len(node.links)} links work"
    return True, text
