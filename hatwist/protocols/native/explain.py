"""Why a group is where it is: what keeps each node from holding it, and what would change that."""

from __future__ import annotations

from hatwist.core.obstacles import Obstacle
from hatwist.core.phrases import duration, joined
from hatwist.core.picture import Explanation, Why
from hatwist.core.turn import Turn
from hatwist.core.worth import Worth
from hatwist.protocols.native.chronicle import Chronicle
from hatwist.protocols.native.election import Election
from hatwist.protocols.native.isolation import NOTHING, Here, split
from hatwist.protocols.native.membership import Membership
from hatwist.protocols.native.precedence import kept
from hatwist.protocols.native.reasons import ELIGIBLE, ownReason, peerReason


def explain(
    election: Election,
    view: Membership,
    now: float,
    chronicle: Chronicle | None = None,
    here: Here = NOTHING,
) -> Explanation:
    """
    Who holds a group and why, why this node does not, and what would change it.

    @param chronicle: knows why the holder holds; without it, what was told is all there is.
    @param here: what this node knows besides; if it hears nobody, only of itself something is told.
    """
    group = election.rules.name
    name = election.me.name
    nodes = {name: ownReason(election, view, now, here)}
    for peer in sorted(view, key=lambda peer: peer.name):
        nodes[peer.name] = peerReason(election, peer, view, now)
    holders = tuple(name for name, why in nodes.items() if why.holds)
    term, age, because = 0, None, ""
    holder = holders[0] if len(holders) == 1 else None
    if holder is not None:
        claim = election.standing.claim
        if holder != election.me.name:
            said = view.peers[holder].state(group)
            claim = said.claim if said is not None else None
        term, age = (claim.term if claim is not None else 0), 0.0
        change = chronicle.holders.get(group, {}).get(holder) if chronicle is not None else None
        if change is not None:
            age, because = now - change.at, change.reason
    sentences: list[str] = []
    if len(holders) > 1:
        sentences.append(
            f"{joined(list(holders))} hold {group} at the same time: one of them yields as soon as they hear each other"
        )
    elif not holders and here.alone:
        sentences.append(
            f"{election.me.name} hears no other node, so it cannot tell who holds {group}; it does not"
        )
    elif not holders:
        sentences.append(f"Nobody holds {group}")
    for name, why in nodes.items():
        if name != holder and why.kind is not Obstacle.HOLDS and why != ELIGIBLE:
            this = " (this node)" if name == election.me.name else ""
            sentences.append(f"{name}{this} {why.text}")
    if holder == election.me.name and here.alone:
        sentences.append(f"If {holder} is the one that is cut off, another may hold {group} too")
    else:
        sentences += _outlook(election, view, now, nodes, holder)
    return Explanation(group, holder, holders, age, term, because, tuple(sentences), nodes)


def _outlook(
    election: Election, view: Membership, now: float, nodes: dict[str, Why], holder: str | None
) -> list[str]:
    """What would change it."""
    group, rules = election.rules.name, election.rules
    if holder is None:
        return []
    others = election.others(view, Turn(now))
    able: list[tuple[Worth, str]] = [
        (others.worth(p), p.name) for p in others.candidates if p.name != holder
    ]
    if holder != election.me.name and election.eligible(view, now):
        able.append((election.me.worth, election.me.name))
    silent = [name for name, why in nodes.items() if why.kind is Obstacle.SILENT]
    torn = split([group] if not election.arbiter.exclusive else [], silent)
    if not able:
        nobody = "no other node is known" if len(nodes) == 1 else "no other node could take it"
        if silent:
            nobody = "no other node that is heard could take it"
        found = [f"It stays there for as long as {holder} runs and is fit: {nobody}"]
        return [*found, torn] if torn else found
    worth, following = max(able, key=lambda one: one[0])
    if nodes[holder].kind in (Obstacle.RELEASING, Obstacle.STOPPING):
        return [f"{following} takes it over when that is done"]
    silence = duration(election.me.timing.tolerance)
    causes = f"{holder} stops, is drained, becomes unfit, or is silent for {silence}"
    found = [f"{following} takes it over when {causes}"]
    claim = election.standing.claim
    if holder == election.me.name and claim is not None and worth > election.me.worth:
        binding = kept(worth, election.me.worth, claim, rules)
        if binding is Obstacle.MOVED:
            found.append(
                f"{group} was moved to {holder} by hand and stays there, although {following} "
                f"{_ahead(worth, election.me.worth)}. To send it back: hatwist move {group}"
            )
        elif binding is Obstacle.NO_PREEMPT:
            found.append(
                f"{group} stays on {holder}, although {following} {_ahead(worth, election.me.worth)}: preempt is "
                f"off. To send it there: hatwist move {group} {following}"
            )
        else:
            tenure = election.tenure
            since = tenure.worthierSince.get(following, now) if tenure is not None else now
            delay = rules.preemptDelay if binding is Obstacle.PREEMPT_DELAY else 0.0
            wait = max(0.0, since + delay - now)
            found.append(
                f"{following} {_ahead(worth, election.me.worth)}, and gets it in {duration(wait)}"
            )
    elif holder == election.me.name:
        found.append(f"hatwist move {group} {following} hands it over")
    return [*found, torn] if torn else found


def _ahead(worth: Worth, other: Worth) -> str:
    """In what the greater worth is ahead of the other one."""
    if worth.fitness != other.fitness:
        return f"is fitter ({worth.fitness.name.lower()})"
    if worth.priority != other.priority:
        return f"has the higher priority ({worth.priority})"
    return "has the lower address" if worth.address != other.address else "comes first by its name"
