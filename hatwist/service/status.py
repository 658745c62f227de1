"""What one node knows of itself and of its cluster, in words and plain values: for the command, the web, scripts."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable
from math import inf
from typing import Any

from hatwist import __version__
from hatwist.core.obstacles import Obstacle
from hatwist.core.phrases import duration
from hatwist.core.picture import Explanation, GroupPicture, MemberPicture, PeerPicture, Picture
from hatwist.service.figures import Figures
from hatwist.service.snapshot import Snapshot
from hatwist.service.troubles import RECENT, dropping, overloaded, unsent, yielded
from hatwist.settings.digest import digest

SHOWN = 20
"""Changes of the history that are part of the status."""


def status(snapshot: Snapshot) -> dict[str, Any]:
    """
    Everything there is to tell, ready for JSON. The keys are described in docs/commands.rst.

    A service that does not run has no C{groups} and no C{nodes}.
    """
    settings, guarantee = snapshot.settings, snapshot.guarantee
    picture, figures = snapshot.picture, snapshot.figures
    found: dict[str, Any] = {
        "version": __version__,
        "cluster": settings.cluster,
        "node": settings.node,
        "session": 0,
        "uptime": 0.0,
        "interval": settings.interval,
        "tolerance": settings.tolerance,
        "digest": digest(settings).hex(),
        "signed": bool(settings.keys),
        "drained": False,
        "overloaded": False,
        "alone": "",
        "guarantee": {
            "level": guarantee.level.value,
            "reason": guarantee.reason,
            "gaps": list(guarantee.gaps),
        },
        "groups": {},
        "nodes": {},
        "history": [entry._asdict() for entry in list(snapshot.history.entries)[-SHOWN:]],
        "counters": {},
        "troubles": [],
    }
    if picture is None or figures is None:
        return found
    links = [link.name for link in figures.links]
    found["session"] = picture.session
    found["uptime"] = round(snapshot.uptime, 3)
    found["drained"] = picture.drained
    found["overloaded"] = figures.burden is not None
    found["alone"] = picture.alone
    found["groups"] = {
        name: _group(snapshot, picture, group, figures) for name, group in picture.groups.items()
    }
    found["nodes"] = {picture.node: _self(picture, links)}
    for peer in sorted(picture.peers.values(), key=lambda peer: peer.name):
        found["nodes"][peer.name] = _peer(peer, () if peer.outside else figures.heartbeats)
    found["counters"] = counters(figures)
    found["troubles"] = [*filter(None, [picture.split]), *troubles(snapshot)]
    return found


def troubles(snapshot: Snapshot) -> list[str]:
    """What an operator should know that no role and no reason shows, a clause each."""
    picture, figures = snapshot.picture, snapshot.figures
    if picture is None or figures is None:
        return []
    found = dropping(figures.links, figures.now, bool(snapshot.settings.keys))
    found += unsent(figures.links)
    found += snapshot.refused
    found += [
        f"{kind} in {group}, {duration(figures.now - at)} ago: {reason}"
        for (group, kind), (at, reason) in figures.notes.items()
        if figures.now - at < RECENT
    ]
    if figures.burden is not None:
        found.insert(0, overloaded(figures.burden, figures.now))
    if picture.displaced:
        found.insert(0, yielded(picture.node))
    return found


def _group(
    snapshot: Snapshot, picture: Picture, group: GroupPicture, figures: Figures
) -> dict[str, Any]:
    own, why, parts = group.own, snapshot.explanation(group.name), snapshot.parts[group.name]
    return {
        "protocol": parts.protocol,
        "role": figures.roles[group.name].name,
        "state": group.state.value,
        "holder": why.holder,
        "holders": list(why.holders),
        "under_way": _underWay(picture, group, why),
        "term": why.term,
        "since": round(time.time() - why.age, 3) if why.age is not None else None,
        "reason": because(why, picture.node),
        "fitness": own.fitness.name.lower(),
        "fitness_reason": own.reason,
        "priority": own.priority,
        "eligible": own.eligible,
        "step": own.step,
        "steps": own.steps,
        "resources": list(parts.resources),
        "checks": list(parts.checks),
    }


def because(why: Explanation, node: str) -> str:
    """Why the holder holds; with nobody there, why this node does not."""
    return why.because if why.holders else f"{node} {why.nodes[node].text}"


def _underWay(picture: Picture, group: GroupPicture, why: Explanation) -> dict[str, str]:
    """What each holder is doing that does not have everything: C{"acquiring, step 2 of 3"}."""
    found = {}
    for name in why.holders:
        kind = why.nodes[name].kind
        if kind is None or kind is Obstacle.HOLDS:
            continue
        peer = picture.peers.get(name)
        said = peer.groups.get(group.name) if peer is not None else group.own
        step = f", step {said.step} of {said.steps}" if said is not None and said.step else ""
        found[name] = f"{kind.value}{step}"
    return found


def _self(picture: Picture, links: Iterable[str]) -> dict[str, Any]:
    return {
        "alive": True,
        "self": True,
        "age": 0.0,
        "session": picture.session,
        "configuration": "same",
        "links": dict.fromkeys(links, 0.0),
        "received": 20,
        "diverged": 0,
        "outside": False,
        "groups": {name: _member(group.own) for name, group in picture.groups.items()},
    }


def _peer(peer: PeerPicture, links: Iterable[str]) -> dict[str, Any]:
    ages: dict[str, float | None] = dict.fromkeys(links)
    ages.update((name, round(age, 3)) for name, age in peer.links.items())
    return {
        "alive": peer.alive,
        "self": False,
        "age": round(peer.age, 3) if peer.age < inf else None,
        "session": peer.session,
        "configuration": "same" if peer.agrees else "differs",
        "links": ages,
        "received": peer.received,
        "diverged": peer.diverged,
        "left": peer.left,
        "fenced": peer.fenced,
        "hears_us": peer.twoWay,
        "outside": peer.outside,
        "groups": {name: _member(member) for name, member in peer.groups.items()},
    }


def _member(member: MemberPicture) -> dict[str, Any]:
    return {
        "role": member.role.name,
        "fitness": member.fitness.name.lower(),
        "reason": member.reason,
        "priority": member.priority,
        "term": member.term,
        "eligible": member.eligible,
    }


def counters(figures: Figures) -> dict[str, Any]:
    """What was counted since the start: packets sent, received and rejected, and events by kind."""
    rejected: Counter[str] = Counter()
    unsent: Counter[str] = Counter()
    for link in figures.links:
        rejected.update(link.bad)
        unsent.update(link.unsent)
    return {
        "sent": figures.sent,
        "received": {f"{peer}/{link}": n for (peer, link), n in sorted(figures.received.items())},
        "rejected": dict(rejected),
        "unsent": dict(unsent),
        "events": dict(figures.events),
    }
