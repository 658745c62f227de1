"""What a load balancer wants to know: yes or no, and one line that says why."""

from __future__ import annotations

from collections.abc import Sequence

from hatwist.core.claims import Role
from hatwist.service.figures import Figures
from hatwist.settings import Settings

Verdict = tuple[bool, str]


def active(figures: Figures | None, groups: Sequence[str] = ()) -> Verdict:
    """
    Whether this node holds all of C{groups}; without any: at least one of those that it knows.

    @raise LookupError: a group is not known here.
    """
    if figures is None:
        return False, "the node does not run"
    roles = figures.roles
    if any(group not in roles for group in groups):
        raise LookupError("no such group here")
    held = {name for name, role in roles.items() if role is Role.ACTIVE}
    good = held.issuperset(groups) if groups else bool(held)
    asked = groups or list(roles)
    return good, "\n".join(f"{name}: {roles[name].name}" for name in dict.fromkeys(asked))


def alive(figures: Figures | None, settings: Settings) -> Verdict:
    """Whether the reactor turns in time, and heartbeats leave."""
    if figures is None:
        return False, "the node does not run"
    now, tolerance = figures.now, settings.tolerance
    if now < figures.lateAt + tolerance:
        late = now - figures.lateAt
        return False, f"it was late by {figures.lateBy:.3f} s, {late:.3f} s ago"
    # At a start, and for a tolerance at most, what an earlier run left is released before anything is said.
    spoke = max(figures.sentAt, figures.startedAt)
    if now > spoke + tolerance + settings.interval:
        return False, f"it has sent no heartbeat for {now - spoke:.3f} s"
    failing = [f"{link.name}: {link.failing}" for link in figures.links if link.failing]
    if len(failing) == len(figures.links):
        return False, f"no heartbeat can be sent: {', '.join(failing)}"
    working = len(figures.links) - len(failing)
    return True, f"heartbeats are sent; {working} of {len(figures.links)} links work"
