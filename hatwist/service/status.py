"""What one node knows of itself and of its cluster, as plain values: for the command, for the web, for scripts."""

from __future__ import annotations

import time
from collections import Counter
from math import inf
from typing import TYPE_CHECKING, Any

from hatwist import __version__
from hatwist.core.phrases import duration
from hatwist.protocols.native.election import Election
from hatwist.protocols.native.explain import HOLDING, Explanation, explain
from hatwist.protocols.native.heartbeat import GroupState
from hatwist.protocols.native.isolation import Here, isolated, missing, split
from hatwist.protocols.native.membership import Peer
from hatwist.protocols.native.reasons import fenced
from hatwist.resources.guard import GuardResource
from hatwist.runtime.node import Node
from hatwist.service.troubles import RECENT, dropping, rejecting, unsent, yielded

if TYPE_CHECKING:
    from hatwist.service.service import HAService

SHOWN = 20
"""Changes of the history that are part of the status."""
RECALLED = 7 * 86400.0
"""Seconds for which a node counts as one of the cluster that the history names, and nobody hears any more."""


def explanation(service: HAService, group: str, alone: str | None = None) -> Explanation:
    """
    Why a group is where it is, as this node knows it.

    @param alone: what L{isolation} says, for who has asked it already.
    @raise KeyError: there is no such group, or the service does not run.
    """
    node = service.node
    if node is None:
        raise KeyError(group)
    now = service.seconds()
    here = Here(
        isolation(service) if alone is None else alone, port=service.settings.multicast.port
    )
    composition = service.groups.get(group)
    if composition is not None and composition.senses.answer:
        here = here._replace(answer=composition.senses.answer)
    found = explain(
        node.machine.elections[group], node.machine.view, now, node.machine.chronicle, here
    )
    if found.holder is not None:
        entry = service.history.began(found.holder, group, found.term)
        # An earlier start of this daemon may know more than "it held already".
        if entry is not None:
            age = max(found.age or 0.0, time.time() - entry.time)
            found = found._replace(age=age, because=entry.reason)
    return found


def isolation(service: HAService) -> str:
    """
    What comes before everything else where this node hears no other: a sentence without full stop, or C{""}.

    A node that has only just started, or was late itself, does not know yet.
    """
    node = service.node
    if node is None or node.machine.silent:
        return ""
    now, tolerance = service.seconds(), service.settings.tolerance
    if any(peer.direct(now) for peer in node.machine.view):  # as ever: the rest takes a while
        return ""
    rejected = rejecting(node.links, now, bool(service.settings.keys))
    listening = now < max(node.startedAt, node.driver.lateness.at) + tolerance
    if listening and not rejected:
        return ""
    return isolated(node.machine.view, _known(service), rejected, now)


def _known(service: HAService) -> set[str]:
    """The nodes that there should be, as far as votes and the last days tell."""
    quorum = service.settings.quorum
    known = set(quorum.members) if quorum is not None else set()
    last: dict[tuple[str, str], str] = {}
    since = time.time() - RECALLED
    for entry in service.history.entries:
        if entry.time >= since:
            last[entry.node, entry.group] = entry.new
    return known | {name for (name, _), role in last.items() if role != "SHUTDOWN"}


def status(service: HAService) -> dict[str, Any]:
    """
    Everything there is to tell, ready for JSON. The keys are described in docs/commands.rst.

    A service that does not run has no C{groups} and no C{nodes}.
    """
    settings, node = service.settings, service.node
    guarantee, alone = service.guarantee, isolation(service)
    found: dict[str, Any] = {
        "version": __version__,
        "cluster": settings.cluster,
        "node": settings.node,
        "session": 0,
        "uptime": 0.0,
        "interval": settings.interval,
        "tolerance": settings.tolerance,
        "digest": settings.digest().hex(),
        "signed": bool(settings.keys),
        "drained": False,
        "alone": alone,
        "guarantee": {
            "level": guarantee.level.value,
            "reason": guarantee.reason,
            "gaps": list(guarantee.gaps),
        },
        "groups": {},
        "nodes": {},
        "history": [entry._asdict() for entry in list(service.history.entries)[-SHOWN:]],
        "counters": {},
        "troubles": [],
    }
    if node is None:
        return found
    now = service.seconds()
    found["session"] = node.machine.session
    found["uptime"] = round(now - service.startedAt, 3)
    found["drained"] = node.drained
    found["groups"] = {
        name: _group(service, node, election, alone, now)
        for name, election in node.machine.elections.items()
    }
    found["nodes"] = {settings.node: _self(node, now)}
    for peer in sorted(node.machine.view, key=lambda peer: peer.name):
        found["nodes"][peer.name] = _peer(node, peer, now)
    found["counters"] = counters(node)
    found["troubles"] = [*filter(None, [_split(service, node, alone, now)]), *troubles(service)]
    return found


def troubles(service: HAService) -> list[str]:
    """What an operator should know that no role and no reason shows, a clause each."""
    node = service.node
    if node is None:
        return []
    now = service.seconds()
    found = dropping(node.links, now, bool(service.settings.keys))
    found += unsent(node.links)
    found += [
        f"{kind} in {group}, {duration(now - at)} ago: {reason}"
        for (group, kind), (at, reason) in node.notes.items()
        if now - at < RECENT
    ]
    if node.machine.displaced:
        found.insert(0, yielded(node.machine.rules.name))
    return found


def _split(service: HAService, node: Node, alone: str, now: float) -> str:
    """What a split network may mean now for what is held, without votes."""
    view = node.machine.view
    held = [
        name
        for name, election in node.machine.elections.items()
        if election.voter is None and (election.claim is not None or view.actives(name, now))
    ]
    silent = missing(view, _known(service) if alone else (), now)
    return split(held, silent)


def _group(
    service: HAService, node: Node, election: Election, alone: str, now: float
) -> dict[str, Any]:
    name = election.rules.name
    told = election.tell(node.machine.view, now)
    why = explanation(service, name, alone)
    keeper = node.keepers[name]
    return {
        "role": node.roles[name].name,
        "state": election.state.value,
        "holder": why.holder,
        "holders": [other for other, reason in why.nodes.items() if reason.kind in HOLDING],
        "under_way": _underWay(node, name, why, told),
        "term": why.term,
        "since": round(time.time() - why.age, 3) if why.age is not None else None,
        "reason": _because(why, election.name),
        "fitness": told.fitness.name.lower(),
        "fitness_reason": told.reason,
        "priority": told.priority,
        "eligible": told.eligible,
        "step": told.step,
        "steps": told.steps,
        "resources": [r.name for r in keeper.resources if not isinstance(r, GuardResource)],
        "checks": service.groups[name].checks.states() if name in service.groups else [],
    }


def _because(why: Explanation, node: str) -> str:
    """Why the holder holds; with nobody there, why this node does not."""
    nobody = not any(reason.kind in HOLDING for reason in why.nodes.values())
    return f"{node} {why.nodes[node].text}" if nobody else why.because


def _underWay(node: Node, group: str, why: Explanation, told: GroupState) -> dict[str, str]:
    """What each holder is doing that does not have everything: C{"acquiring, step 2 of 3"}."""
    found = {}
    for name, reason in why.nodes.items():
        if reason.kind not in HOLDING[1:]:
            continue
        peer = node.machine.view.peers.get(name)
        said = peer.announced(group) if peer is not None else told
        step = f", step {said.step} of {said.steps}" if said is not None and said.step else ""
        found[name] = f"{reason.kind}{step}"
    return found


def _self(node: Node, now: float) -> dict[str, Any]:
    machine = node.machine
    return {
        "alive": True,
        "self": True,
        "age": 0.0,
        "session": machine.session,
        "configuration": "same",
        "links": {link.name: 0.0 for link in node.links},
        "received": 20,
        "groups": {
            name: _member(election.tell(machine.view, now), election.claim)
            for name, election in machine.elections.items()
        },
    }


def _peer(node: Node, peer: Peer, now: float) -> dict[str, Any]:
    groups = {}
    for name in node.machine.elections:
        said, state = peer.announced(name), peer.state(name)
        if said is not None:
            groups[name] = {**_member(said, state.claim), "role": state.role.name}
    links: dict[str, float | None] = {link.name: None for link in node.links}
    links.update((name, round(now - at, 3)) for name, at in peer.links.items())
    return {
        "alive": peer.alive(now),
        "self": False,
        "age": round(now - peer.at, 3) if peer.at > -inf else None,
        "session": peer.session,
        "configuration": "same" if node.machine.view.agrees(peer) else "differs",
        "links": links,
        "received": peer.received,
        "left": peer.left(),
        "fenced": fenced(peer),
        "hears_us": peer.twoWay(now),
        "groups": groups,
    }


def _member(said: Any, claim: Any) -> dict[str, Any]:
    return {
        "role": said.role.name,
        "fitness": said.fitness.name.lower(),
        "reason": said.reason,
        "priority": said.priority,
        "term": claim.term if claim is not None else 0,
        "eligible": said.eligible,
    }


def counters(node: Node) -> dict[str, Any]:
    """What was counted since the start: packets sent, received and rejected, and events by kind."""
    rejected: Counter[str] = Counter()
    unsent: Counter[str] = Counter()
    for link in node.links:
        rejected.update(link.bad)
        unsent.update(link.unsent)
    events = dict(node.counters)
    return {
        "sent": events.pop("sent", 0),
        "received": {
            f"{peer}/{link}": n for (peer, link), n in sorted(node.driver.received.items())
        },
        "rejected": dict(rejected),
        "unsent": dict(unsent),
        "events": events,
    }
