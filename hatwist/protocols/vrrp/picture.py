"""What the virtual routers of a node know, as frozen values and in words."""

from __future__ import annotations

from collections.abc import Mapping
from math import inf

from hatwist.core.claims import Role
from hatwist.core.obstacles import Obstacle
from hatwist.core.phrases import duration
from hatwist.core.picture import (
    Explanation,
    GroupPicture,
    MemberPicture,
    PeerPicture,
    Picture,
    Prospect,
    Why,
)
from hatwist.core.states import State
from hatwist.core.worth import Fitness
from hatwist.protocols.vrrp.packet import RESIGN, VrrpAdvert
from hatwist.protocols.vrrp.peers import VrrpPeer, VrrpPeers
from hatwist.protocols.vrrp.router import Router
from hatwist.protocols.vrrp.timing import hold, masterDown

_DOES = {
    State.ACTIVE: (Obstacle.HOLDS, "holds it"),
    State.ACQUIRING: (Obstacle.ACQUIRING, "is acquiring it"),
    State.RELEASING: (Obstacle.RELEASING, "is releasing it"),
    State.STOPPING: (Obstacle.STOPPING, "is stopping, and releasing it"),
    State.SHUTDOWN: (Obstacle.STOPPED, "has stopped"),
    State.STARTING: (Obstacle.UNCLEAN, "is releasing what an earlier run may have left"),
}


_MAY = (State.STANDBY, State.ACQUIRING, State.ACTIVE)


def obstacle(router: Router, now: float) -> Why:
    """Why this node does not hold a group, or what it does about it."""
    standing, watch, rules = router.standing, router.watch, router.rules
    if standing.state in _DOES:
        kind, words = _DOES[standing.state]
        return Why(kind, standing.underway.words or words)
    if not router.able:
        return Why(Obstacle.UNFIT, f"is unfit: {router.verdicts.reason}")
    master = watch.master
    wait = duration(max(0.0, watch.downAt - now))
    if now < router.backoff.until:
        cause, until = router.backoff.refusal, duration(max(0.0, router.claimAt - now))
        return Why(Obstacle.BACK_OFF, f"could not hold the resources ({cause}), and waits {until}")
    if master is None:
        return Why(
            Obstacle.LISTENING, f"has heard no master, and takes it when none is heard for {wait}"
        )
    theirs = f"{master.source} (priority {master.priority})"
    if master.priority >= rules.rank:
        return Why(
            Obstacle.WORTH,
            f"is ready with priority {rules.rank}, and takes it when {theirs} is silent for {wait}",
        )
    if not rules.preempt and not rules.owner:
        return Why(
            Obstacle.NO_PREEMPT,
            f"has the higher priority {rules.rank} than {theirs}, and does not preempt",
        )
    left = watch.lowerSince + rules.preemptDelay - now
    if left > 0:
        return Why(
            Obstacle.PREEMPT_DELAY,
            f"has the higher priority {rules.rank} than {theirs}, and preempts in {duration(left)}",
        )
    return Why(
        Obstacle.HANDOVER,
        f"has the higher priority {rules.rank} than {theirs}, and takes it in {wait}",
    )


def hindrance(router: Router, to: str) -> str:
    """Why a group cannot be moved; C{""}: it is, to the backup of the highest priority, whoever that is."""
    rules = router.rules
    if to:
        return (
            f"VRRP names no successor, so {rules.name} cannot be moved to {to}: hatwist drain hands it to the backup "
            "of the highest priority"
        )
    if router.standing.state is not State.ACTIVE:
        return f"{rules.name} is not held here: the node that holds it hands it over"
    if rules.preempt or rules.owner:
        return f"{rules.name} preempts, so it would come back: hatwist drain hands it over"
    return ""


def others(router: Router, now: float) -> list[str]:
    """Who else is master, or said so last: backups are silent, and not known."""
    if router.advertises:
        return [str(source) for source in router.rivals.known]
    master = router.watch.master
    heard = master is not None and now < _silentAt(router)
    return [str(master.source)] if master is not None and heard else []


def _silentAt(router: Router) -> float:
    watch, rules = router.watch, router.rules
    at = watch.master.at if watch.master is not None else -inf
    return at + masterDown(rules.version, rules.rank, watch.interval)


def picture(
    routers: Mapping[str, Router],
    peers: VrrpPeers,
    node: str,
    release: float | None,
    drained: bool,
    now: float,
) -> Picture:
    """
    Everything that is known. A peer is called by its address.

    @param release: see L{hatwist.protocols.vrrp.rules.VrrpRules}.
    """
    groups = {name: _group(router, node, release, drained, now) for name, router in routers.items()}
    known = [_peer(each, routers, now) for each in peers.known.values()]
    # A backup says nothing, and one that was master once may be one.
    masters = {each.name: each for each in known if each.alive}
    return Picture(now, node, 0, drained, False, "", "", groups, masters)


def _group(
    router: Router, node: str, release: float | None, drained: bool, now: float
) -> GroupPicture:
    standing, rules = router.standing, router.rules
    claim = standing.claim
    beyond = tuple(others(router, now))
    step, steps, reason = standing.underway.told(router.verdicts.reason)
    return GroupPicture(
        rules.name,
        standing.state,
        MemberPicture(
            standing.role,
            router.verdicts.fitness,
            reason,
            rules.rank,
            claim.term if claim is not None else 0,
            standing.state in _MAY and router.able,
            step,
            steps,
        ),
        _explanation(router, node, beyond, now),
        router.terms.highest,
        beyond,
        beyond if standing.holding else (),
        "",
        rules.beat.last(now) + hold(rules.interval, release) if claim is not None else -inf,
        beyond,
        node if standing.holding else "",
        "" if standing.holding else obstacle(router, now).text,
        Prospect("it takes part again, as at a start") if drained else None,
        dict(standing.transitions),
        dict(standing.counters),
        standing.takeovers.distribution(),
        True,
    )


def _explanation(router: Router, node: str, beyond: tuple[str, ...], now: float) -> Explanation:
    standing, name = router.standing, router.rules.name
    nodes = {node: obstacle(router, now)}
    nodes.update({each: Why(Obstacle.HOLDS, f"holds {name}") for each in beyond})
    holders = tuple([each for each, why in nodes.items() if why.holds])
    holder = holders[0] if len(holders) == 1 else None
    mine = holder == node and standing.claim is not None
    age = now - standing.claimedAt if mine else 0.0 if holder is not None else None
    sentences = []
    if len(holders) > 1:
        sentences.append(
            f"{' and '.join(holders)} hold {name}: one of them gives way when it hears the other"
        )
    elif not holders:
        sentences.append(f"Nobody is heard that holds {name}")
    if not nodes[node].holds:
        sentences.append(f"{node} (this node) {nodes[node].text}")
    term = standing.claim.term if mine and standing.claim is not None else 0
    because = router.because if mine else ""
    return Explanation(name, holder, holders, age, term, because, tuple(sentences), nodes)


def _patience(router: Router, advert: VrrpAdvert) -> float:
    return masterDown(advert.version, router.rules.rank, advert.interval)


def _peer(peer: VrrpPeer, routers: Mapping[str, Router], now: float) -> PeerPicture:
    said = {name: each for name, each in peer.said.items() if name in routers}
    alive = any(
        advert.priority != RESIGN and now < at + _patience(routers[name], advert)
        for name, (advert, at) in said.items()
    )
    links = {routers[name].rules.link: now - at for name, (_, at) in said.items()}
    return PeerPicture(
        peer.name,
        0,
        now - peer.at,
        alive,
        alive,
        alive,
        False,
        False,
        not peer.differs,
        0,
        0,
        0,
        links,
        {
            name: MemberPicture(
                Role.ACTIVE,
                Fitness.FIT,
                "",
                advert.priority,
                0,
                False,
                0,
                0,
            )
            for name, (advert, at) in said.items()
            if advert.priority != RESIGN and now < at + _patience(routers[name], advert)
        },
        True,
    )
