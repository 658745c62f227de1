"""What would become of a group if the operator moved it, if this node were undrained, if nothing bound it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from hatwist.core.obstacles import Obstacle
from hatwist.core.phrases import joined, worthOf
from hatwist.core.picture import Explanation, Prospect
from hatwist.core.turn import Turn
from hatwist.core.worth import Fitness, Worth
from hatwist.protocols.native.election import Election
from hatwist.protocols.native.membership import Membership
from hatwist.protocols.native.precedence import kept
from hatwist.protocols.native.reasons import because, ownReason

DRAIN = "drain"
"""The source of the verdict that is the operator's, see L{hatwist.protocols.native.machine.DRAINED}."""


def hindrance(election: Election, view: Membership, to: str, now: float) -> str:
    """
    Why the operator cannot have a group moved to a node now, as far as is known here; C{""}: he can.

    It is what the holder goes by before it hands over.

    @param to: C{""}: to the worthiest, as if it had never been moved.
    """
    orders, others = election.orders, election.others(view, Turn(now))
    why = orders.immovable(others)
    if why or not to:
        return why
    group = election.rules.name
    found = orders.obstacle(to, orders.holder(others), others)
    if found is None:
        return ""
    if found is Obstacle.HOLDS:
        return f"{to} holds {group} already"
    if found is Obstacle.UNKNOWN:
        return f"{to} is not known here"
    peer = view.peers[to] if to != election.me.name else None
    return f"{to} cannot take {group}: it {because(found, election, peer, view, now)}"


def worthiest(election: Election, view: Membership, holder: str | None, now: float) -> str:
    """Who would hold a group if its holder were not bound to it; C{""}: there is no single holder."""
    if holder is None:
        return ""
    names = {holder, *election.others(view, Turn(now)).inOrder()}
    if election.eligible(view, now):
        names.add(election.me.name)
    worths = {name: worth for name in names if (worth := _worth(election, view, name)) is not None}
    return max(worths, key=lambda name: worths[name], default=holder)


def obstacle(election: Election, view: Membership, now: float) -> str:
    """Why this node will not hold a group soon, as a sentence without full stop; C{""}: nothing keeps it."""
    found = _lasting(election, view, now)
    verdicts = election.me.verdicts
    if not found and verdicts.fitness < Fitness.FIT:
        return f"{election.me.name} is {verdicts.fitness.name.lower()}: {verdicts.reason}"
    return found


def undrained(
    election: Election, explanation: Explanation, view: Membership, alone: bool, now: float
) -> Prospect:
    """
    What would become of a group if this node might hold again, as its checks, links and votes have it now.

    @param alone: this node hears no other.
    """
    group, name = election.rules.name, election.me.name
    with _undrained(election):
        found, mine = _lasting(election, view, now), election.me.worth
        fitnessReason = election.me.verdicts.reason
    if found:
        return Prospect(f"not yet: {found}")
    holder = explanation.holder
    if holder is None and explanation.holders:
        return Prospect(
            f"{joined(list(explanation.holders))} hold it at once; first one of them yields"
        )
    if holder is None:
        nobody = f"{name} hears no holder" if alone else "nobody holds it"
        return Prospect(f"{nobody}; {name} will take it unless another node does first", "")
    if holder == name:
        return Prospect(f"{name} {explanation.nodes[name].text}")
    said = _worth(election, view, holder)
    if said is None or not mine > said:
        if mine.fitness == Fitness.FIT:
            return Prospect("")
        return Prospect(
            f"stays on {holder}: {name} is {mine.fitness.name.lower()}: {fitnessReason}"
        )
    held = view.peers[holder].state(group)
    claim = held.claim if held is not None else None
    # As the holder decides.
    kind = kept(mine, said, claim, election.rules) if claim is not None else None
    text = f"from {holder} to {name}, which is worthier ({worthOf(mine)})"
    if kind is Obstacle.MOVED:
        return Prospect(f"stays on {holder}, where it was moved")
    if kind is Obstacle.NO_PREEMPT:
        return Prospect(f"stays on {holder}, since preempt is off")
    if kind is Obstacle.PREEMPT_DELAY:
        return Prospect(f"{text}, after {election.rules.preemptDelay:g} s")
    return Prospect(text, holder)


@contextmanager
def _undrained(election: Election) -> Iterator[None]:
    """The group as it would be here without the operator's wish, for questions only."""
    verdicts = election.me.verdicts
    election.me.verdicts = verdicts.without(DRAIN)
    try:
        yield
    finally:
        election.me.verdicts = verdicts


def _lasting(election: Election, view: Membership, now: float) -> str:
    """What keeps this node from a group for longer than a moment, as a sentence; C{""}: nothing."""
    why = ownReason(election, view, now)
    if why.kind is Obstacle.BACK_OFF and not election.others(view, Turn(now)).inOrder():
        return (
            ""  # nobody else holds the group or could: then this node does not wait after a failure
        )
    lasting = why.kind is not None and why.kind.lasting
    return f"{election.me.name} {why.text}" if lasting else ""


def _worth(election: Election, view: Membership, name: str) -> Worth | None:
    """What a node says that it is worth; C{None}: it is known through others only."""
    if name == election.me.name:
        return election.me.worth
    peer = view.peers.get(name)
    said = peer.state(election.rules.name) if peer is not None else None
    return peer.worth(said) if peer is not None and said is not None else None
