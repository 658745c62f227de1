"""What one node knows by CARP, as frozen values; see L{hatwist.core.picture}."""

from __future__ import annotations

from collections.abc import Callable, Mapping

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
from hatwist.protocols.carp.packet import SKEWS
from hatwist.protocols.carp.vhost import LEASE, CarpMaster, Vhost

_STATES = {
    State.STARTING: Why(
        Obstacle.UNCLEAN, "has not released yet what an earlier start may have left"
    ),
    State.ACQUIRING: Why(Obstacle.ACQUIRING, "acquires it"),
    State.ACTIVE: Why(Obstacle.HOLDS, "holds it"),
    State.RELEASING: Why(Obstacle.RELEASING, "lets go of it"),
    State.STOPPING: Why(Obstacle.STOPPING, "lets go of it, because it stops"),
    State.SHUTDOWN: Why(Obstacle.STOPPED, "is stopped"),
}


_MAY = (State.STANDBY, State.ACQUIRING, State.ACTIVE)


def picture(
    vhosts: Mapping[str, Vhost],
    node: str,
    now: float,
    drained: bool,
    until: Callable[[str, float], float],
) -> Picture:
    """
    Everything that one node knows. Its peers are known by their addresses, and only those that are master.

    @param until: see L{hatwist.core.machine.Machine.until}.
    """
    lease = until(LEASE, now)
    groups = {
        name: _group(vhost, node, now, drained, lease if vhost.standing.claim else now)
        for name, vhost in vhosts.items()
    }
    return Picture(now, node, 0, drained, False, "", "", groups, _peers(vhosts, now))


def _group(vhost: Vhost, node: str, now: float, drained: bool, lease: float) -> GroupPicture:
    standing, rules = vhost.standing, vhost.rules
    master = vhost.master
    known = () if master is None or now >= master.at + vhost.tolerance else (str(master.source),)
    why = _why(vhost, now)
    claim = standing.claim
    step, steps, reason = standing.underway.told(vhost.verdicts.reason)
    own = MemberPicture(
        standing.role,
        vhost.verdicts.fitness,
        reason,
        max(0, 254 - vhost.skew),
        claim.term if claim is not None else 0,
        standing.state in _MAY and vhost.obstacle(now) is None,
        step,
        steps,
    )
    holding = why.holds
    holder = node if holding else (known[0] if known else None)
    age = None
    if holder is not None:
        age = now - (standing.claimNamedAt if holding or master is None else master.at)
    nodes = {node: why}
    nodes.update((name, Why(Obstacle.HOLDS, "advertises")) for name in known)
    explanation = Explanation(
        rules.name,
        holder,
        (*((node,) if holding else ()), *known),
        age,
        own.term,
        standing.why if holding else "",
        () if holding else (f"{node} {why.text}",),
        nodes,
    )
    return GroupPicture(
        rules.name,
        standing.state,
        own,
        explanation,
        vhost.terms.highest,
        known,
        (),
        "",
        lease,
        known,
        holder or "",
        "" if holding or why.kind is None else f"{node} {why.text}",
        Prospect("") if drained else None,
        dict(standing.transitions),
        dict(standing.counters),
        standing.takeovers.distribution(),
        True,
    )


def _why(vhost: Vhost, now: float) -> Why:
    """What this node does with the group, or why it does not have it."""
    state, rules = vhost.standing.state, vhost.rules
    if state in _STATES:
        return _STATES[state]
    obstacle = vhost.obstacle(now)
    if obstacle is Obstacle.UNFIT:
        return Why(obstacle, f"is unfit: {vhost.verdicts.reason}")
    if obstacle is Obstacle.BACK_OFF:
        left = duration(vhost.backoff.until - now)
        return Why(obstacle, f"failed ({vhost.backoff.refusal}), and keeps back for {left} more")
    if obstacle is Obstacle.LATE:
        return Why(obstacle, "was late itself, and listens before it believes a silence")
    master = vhost.master
    left = duration(max(0.0, vhost.downAt - now))
    if master is None:
        return Why(Obstacle.LISTENING, f"hears no master, and takes over in {left}")
    if vhost.rank < master.rank and not rules.preempt:
        return Why(Obstacle.NO_PREEMPT, f"is faster than {master.source}, and does not preempt")
    own = f"{rules.advbase} s + {vhost.skew}/{SKEWS}"
    return Why(Obstacle.WORTH, f"would advertise every {own}, and hears {master}")


def _peers(vhosts: Mapping[str, Vhost], now: float) -> dict[str, PeerPicture]:
    found: dict[str, PeerPicture] = {}
    for name, vhost in vhosts.items():
        master = vhost.master
        if master is None:
            continue
        age, source = now - master.at, str(master.source)
        alive = age < vhost.tolerance
        before = found.get(source)
        links = {master.link: age, **(before.links if before is not None else {})}
        links[master.link] = min(links[master.link], age)
        groups = dict(before.groups) if before is not None else {}
        groups[name] = _member(master)
        youngest = min(links.values())
        alive = alive or (before is not None and before.alive)
        found[source] = PeerPicture(
            source,
            0,
            youngest,
            alive,
            alive,
            alive,
            False,
            False,
            True,
            20,
            0,
            0,
            links,
            groups,
            True,
        )
    return {name: peer for name, peer in found.items() if peer.alive}


def _member(master: CarpMaster) -> MemberPicture:
    """A master that is no node of this cluster has told its interval, and no more."""
    priority = max(0, 254 - master.rank.interval % SKEWS)
    return MemberPicture(Role.ACTIVE, Fitness.FIT, "", priority, 0, True, 0, 0)
