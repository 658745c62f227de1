"""What would become of a group if the operator moved it, if this node were undrained, if nothing bound it."""

from __future__ import annotations

from copy import copy

from hatwist.core.phrases import joined, worthOf
from hatwist.core.picture import Explanation, Prospect
from hatwist.core.worth import Fitness, Worth
from hatwist.protocols.native.election import Election
from hatwist.protocols.native.membership import Membership
from hatwist.protocols.native.reasons import ownReason, peerReason

DRAIN = "drain"
"""The source of the verdict that is the operator's, see L{hatwist.protocols.native.groups.Groups.drain}."""
_OVERRULED = ("eligible", "worth", "moved", "no-preempt", "preempt-delay", "handover")
"""Kinds of reasons that do not count for a move: of an able standby, which only the order of worths keeps from it."""
_LASTING = ("name", "back-off", "unfit", "unheard", "witness", "votes", "one-way")
"""Kinds of reasons that nothing but time or somebody's work ends."""


def hindrance(election: Election, view: Membership, to: str, now: float) -> str:
    """
    Why the operator cannot have a group moved to a node now, as far as is known here; C{""}: he can.

    @param to: C{""}: to the worthiest, as if it had never been moved.
    """
    group = election.rules.name
    try:
        holder, _, _ = election._held(view, now)
    except ValueError as e:
        return str(e)
    if to in ("", holder):
        return f"{to} holds {group} already" if to else ""
    if to == election.name:
        why = ownReason(election, view, now)
    elif to in view.peers:
        why = peerReason(election, view.peers[to], now)
    else:
        return f"{to} is not known here"
    if why.kind not in _OVERRULED:
        return f"{to} cannot take {group}: it {why.text}"
    return election._unable(to, holder, view, now)


def worthiest(election: Election, view: Membership, holder: str | None, now: float) -> str:
    """Who would hold a group if its holder were not bound to it; C{""}: there is no single holder."""
    if holder is None:
        return ""
    names = {holder, *election.others(view, now)}
    if election.eligible(view, now):
        names.add(election.name)
    worths = {name: worth for name in names if (worth := _worth(election, view, name)) is not None}
    return max(worths, key=lambda name: worths[name], default=holder)


def obstacle(election: Election, view: Membership, now: float) -> str:
    """Why this node will not hold a group soon, as a sentence without full stop; C{""}: nothing keeps it."""
    found = _lasting(election, view, now)
    if not found and election.fitness < Fitness.FIT:
        return f"{election.name} is {election.fitness.name.lower()}: {election.fitnessReason}"
    return found


def undrained(
    drained: Election, explanation: Explanation, view: Membership, alone: bool, now: float
) -> Prospect:
    """
    What would become of a group if this node might hold again, as its checks, links and votes have it now.

    @param alone: this node hears no other.
    """
    election, group, name = _fit(drained), drained.rules.name, drained.name
    if found := _lasting(election, view, now):
        return Prospect(f"not yet: {found}")
    holder = explanation.holder
    if holder is None and explanation.holders:
        return Prospect(
            f"{joined(list(explanation.holders))} hold it at once; first one of them yields"
        )
    if holder is None:
        nobody = f"{name} hears no holder" if alone else "nobody holds it"
        return Prospect(f"{nobody}; {name} will take it unless another node does first", "")
    said, mine = _worth(election, view, holder), election.worth
    if said is None or not mine > said:
        if mine.fitness == Fitness.FIT:
            return Prospect("")
        return Prospect(
            f"stays on {holder}: {name} is {mine.fitness.name.lower()}: {election.fitnessReason}"
        )
    claim = view.peers[holder].state(group).claim
    # As the holder decides, see L{hatwist.protocols.native.holding}.
    fitter = mine.fitness > said.fitness
    moved = claim is not None and claim.moved
    if moved and claim is not None:
        fitter = fitter and said.fitness < claim.worth.fitness
    text = f"from {holder} to {name}, which is worthier ({worthOf(mine)})"
    if moved and not fitter:
        return Prospect(f"stays on {holder}, where it was moved")
    if not fitter and not election.rules.preempt:
        return Prospect(f"stays on {holder}, since preempt is off")
    if not fitter and election.rules.preemptDelay:
        return Prospect(f"{text}, after {election.rules.preemptDelay:g} s")
    return Prospect(text, holder)


def _fit(drained: Election) -> Election:
    """The group as it would be here without the operator's wish, for questions only."""
    found = copy(drained)
    verdicts = [verdict for source, verdict in drained._verdicts.items() if source != DRAIN]
    found.fitness = min((fitness for fitness, _ in verdicts), default=Fitness.FIT)
    reasons = [why for fitness, why in verdicts if fitness == found.fitness and why]
    found.fitnessReason = "; ".join(reasons)
    return found


def _lasting(election: Election, view: Membership, now: float) -> str:
    """What keeps this node from a group for longer than a moment, as a sentence; C{""}: nothing."""
    why = ownReason(election, view, now)
    if why.kind == "back-off" and not election.others(view, now):
        return (
            ""  # nobody else holds the group or could: then this node does not wait after a failure
        )
    return f"{election.name} {why.text}" if why.kind in _LASTING else ""


def _worth(election: Election, view: Membership, name: str) -> Worth | None:
    """What a node says that it is worth; C{None}: it is known through others only."""
    if name == election.name:
        return election.worth
    peer = view.peers.get(name)
    said = peer.announced(election.rules.name) if peer is not None else None
    return peer.worth(said) if peer is not None and said is not None else None
