"""
What keeps each node from holding a group, in words.

Nothing is judged here: a sentence is found for each L{Obstacle}, of this node (L{Election.obstacle}) or of another one
(L{Others.obstacle}).
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import NamedTuple

from hatwist.core.obstacles import Obstacle
from hatwist.core.phrases import duration, joined, worthOf
from hatwist.core.picture import Why
from hatwist.core.states import State
from hatwist.core.turn import Turn
from hatwist.core.worth import Fitness, Worth
from hatwist.protocols.native.candidate import Candidate
from hatwist.protocols.native.election import Election
from hatwist.protocols.native.isolation import NOTHING, Here
from hatwist.protocols.native.membership import Membership
from hatwist.protocols.native.others import Others
from hatwist.protocols.native.peer import Peer

ELIGIBLE = Why(None, "is ready to take it")


class Scene(NamedTuple):
    """What a sentence about this node is made from."""

    election: Election
    others: Others
    here: Here

    @property
    def now(self) -> float:
        return self.others.now

    @property
    def me(self) -> Candidate:
        return self.election.me


# This node


def ownReason(election: Election, view: Membership, now: float, here: Here = NOTHING) -> Why:
    """Why this node does not hold a group, or what it does about it."""
    scene = Scene(election, election.others(view, Turn(now)), here)
    found = election.obstacle(scene.others)
    return ELIGIBLE if found is None else Why(found, OWN[found](scene))


def because(
    found: Obstacle, election: Election, peer: Peer | None, view: Membership, now: float
) -> str:
    """
    The words for an obstacle.

    @param peer: whose it is; C{None}: that of this node.
    """
    if peer is not None:
        return OTHER[found](election, peer, now)
    return OWN[found](Scene(election, election.others(view, Turn(now)), NOTHING))


def _doing(scene: Scene, otherwise: str) -> str:
    return scene.election.standing.underway.words or otherwise


def _stopped(scene: Scene) -> str:
    standing = scene.election.standing
    if standing.state is State.STOPPING:
        return f"is stopping, and {_doing(scene, 'releasing it')}"
    return "has stopped" + (f": {standing.ended}" if standing.ended not in ("", "stopped") else "")


def _asking(scene: Scene) -> str:
    quorum = scene.election.arbiter.quorum
    return f"is asking for {quorum.needed if quorum is not None else 'its'} votes"


def _listening(scene: Scene) -> str:
    candidacy, patience = scene.election.candidacy, scene.election.backoff.patience
    until = max(candidacy.listenUntil, patience) if candidacy is not None else patience
    return f"has just started, and listens for {duration(until - scene.now)} more"


def _backOff(scene: Scene) -> str:
    backoff, standing, others = scene.election.backoff, scene.election.standing, scene.others
    cause = f" ({backoff.refusal})" if backoff.refusal else ""
    left = backoff.until - scene.now
    if others.holders or others.candidates:
        further = f"leaves the group to others for {duration(left)}"
    else:
        retryAt = backoff.retryAt(max(standing.claimedAt, standing.releasedAt))
        further = f"tries again in {duration(max(0.0, min(left, retryAt - scene.now)))}"
    return f"could not hold the resources{cause}, and {further}"


def _late(scene: Scene) -> str:
    left = scene.election.backoff.patience - scene.now
    return f"was itself late, and listens for {duration(left)} more"


def _unfit(scene: Scene) -> str:
    text = unfit(scene.me.verdicts.reason)
    return f"{text}; another node is not" if scene.me.rules.keepUnfit else text


def _unheard(scene: Scene) -> str:
    return f"is not heard by {_names([p for p in scene.others if p.alive(scene.now)])}"


def _witness(scene: Scene) -> str:
    age = scene.now - scene.me.witnessed.at
    if age == inf:
        return "has had no answer from the witness yet"
    return f"has had no answer from the witness for {duration(age)}"


def _votes(scene: Scene) -> str:
    quorum, since = scene.election.arbiter.quorum, scene.election.eligibility.unheardSeq
    assert quorum is not None
    there = scene.others.present(quorum.members, since if since is not None else -1)
    missing = sorted(quorum.members - there - {scene.me.name})
    votes = "1 vote (its own)" if not there else f"{len(there) + 1} votes"
    return (
        f"has {votes} of the {quorum.needed} it needs: no two-way contact with {', '.join(missing)}"
    )


def _oneWay(scene: Scene) -> str:
    direct = [peer for peer in scene.others if peer.direct(scene.now)]
    return f"hears {_names(direct)}, and is heard by nobody"


def _lessWorthy(scene: Scene) -> str:
    peer = scene.others.holders[0][0]
    mine, theirs = scene.me.worth, scene.others.worth(peer)
    return (
        f"is ready, and less worthy ({worthOf(mine)}) than {peer.name} "
        f"({worthOf(theirs)}{_tie(mine, theirs)})"
    )


def _worthier(further: Callable[[Scene], str]) -> Callable[[Scene], str]:
    """This node is worthier than the holder, and yet..."""

    def words(scene: Scene) -> str:
        peer = scene.others.holders[0][0]
        mine, theirs = scene.me.worth, scene.others.worth(peer)
        return (
            f"is worthier ({worthOf(mine)}{_tie(mine, theirs)}) than {peer.name} "
            f"({worthOf(theirs)}), {further(scene)}"
        )

    return words


def _tie(one: Worth, other: Worth) -> str:
    """What decides between two of the same fitness and priority."""
    if (one.fitness, one.priority) != (other.fitness, other.priority):
        return ""
    return ", lower address" if one.address != other.address else ", first by name"


def _moved(scene: Scene) -> str:
    group = scene.me.rules.name
    return f"but the group was moved there by hand. To send it back: hatwist move {group}"


def _preemptDelay(scene: Scene) -> str:
    delay = duration(scene.me.rules.preemptDelay)
    return f"which hands over when this node has been ready for {delay}"


def _waits(scene: Scene) -> tuple[str, list[Peer]]:
    candidacy = scene.election.candidacy
    assert candidacy is not None
    return candidacy.waitsFor(scene.others)


def _successor(scene: Scene) -> str:
    return f"waits for {_waits(scene)[0]}, which was named as successor"


def _defers(scene: Scene) -> str:
    best = max(_waits(scene)[1], key=scene.others.worth)
    return (
        f"({worthOf(scene.me.worth)}) waits for {best.name}, "
        f"which is worthier ({worthOf(scene.others.worth(best))})"
    )


def _doubt(scene: Scene) -> str:
    peer = scene.others.doubted()
    name = peer.name if peer is not None else "another node"
    return f"waits until {name}, which holds something, has told whether it holds this group"


def _served(scene: Scene) -> str:
    left = scene.election.evidence.askUntil - scene.now
    until = "" if left == inf else f". That counts for {duration(left)} more"
    port = f" (UDP {scene.here.port})" if scene.here.port else ""
    return (
        f"hears no valid heartbeat from a holder, but {scene.here.answer}, so {scene.me.name} keeps off"
        f"{until}. Check the key and the firewall{port}"
    )


def _voteGiven(scene: Scene) -> str:
    grant = scene.election.arbiter.grant
    return f"has promised its vote to {grant.name if grant is not None else 'another node'}"


def _askLater(scene: Scene) -> str:
    return f"asks for votes again in {duration(scene.election.arbiter.askAt - scene.now)}"


OWN: dict[Obstacle, Callable[[Scene], str]] = {
    Obstacle.HOLDS: lambda scene: "holds it",
    Obstacle.ACQUIRING: lambda scene: f"is {_doing(scene, 'acquiring it')}",
    Obstacle.RELEASING: lambda scene: f"is {_doing(scene, 'releasing it')}",
    Obstacle.STOPPING: _stopped,
    Obstacle.STOPPED: _stopped,
    Obstacle.ASKING: _asking,
    Obstacle.UNCLEAN: lambda scene: "has not yet released what an earlier start may have left",
    Obstacle.LISTENING: _listening,
    Obstacle.STARTING: lambda scene: (
        "has just started, and waits for a worthier node that has just started too"
    ),
    Obstacle.NAME: lambda scene: (
        "is silent and holds nothing: another host runs a node of this name"
    ),
    Obstacle.HUSHED: lambda scene: (
        "claims nothing while it says nothing: something that an earlier session of it held may not be released yet"
    ),
    Obstacle.BACK_OFF: _backOff,
    Obstacle.LATE: _late,
    Obstacle.UNFIT: _unfit,
    Obstacle.UNHEARD: _unheard,
    Obstacle.WITNESS: _witness,
    Obstacle.VOTES: _votes,
    Obstacle.ONE_WAY: _oneWay,
    Obstacle.DISK: lambda scene: "waits until the next term is safe on its disk",
    Obstacle.WORTH: _lessWorthy,
    Obstacle.HANDOVER: _worthier(lambda scene: "which is about to hand over"),
    Obstacle.MOVED: _worthier(_moved),
    Obstacle.NO_PREEMPT: _worthier(lambda scene: "which keeps it all the same: preempt is off"),
    Obstacle.PREEMPT_DELAY: _worthier(_preemptDelay),
    Obstacle.SUCCESSOR: _successor,
    Obstacle.DEFERS: _defers,
    Obstacle.DOUBT: _doubt,
    Obstacle.SERVED: _served,
    Obstacle.ASKS_LAN: lambda scene: "is asking the LAN whether somebody has the address",
    Obstacle.VOTE_GIVEN: _voteGiven,
    Obstacle.ASK_LATER: _askLater,
}
"""The words for each obstacle of this node."""


# The others


def peerReason(election: Election, peer: Peer, view: Membership, now: float) -> Why:
    """Why another node does not hold a group, as far as can be known here."""
    others = election.others(view, Turn(now))
    found = others.obstacle(peer)
    if found is not None:
        return Why(found, OTHER[found](election, peer, now))
    said = others.said(peer)
    if said is not None and said.fitness < Fitness.FIT:
        fitness = said.fitness.name.lower()
        return Why(None, f"{ELIGIBLE.text}, although {fitness}: {said.reason}")
    return ELIGIBLE


def _told(election: Election, peer: Peer) -> str:
    """The reason that it tells itself."""
    said = peer.state(election.rules.name)
    return said.reason if said is not None else ""


def _acquiring(election: Election, peer: Peer, now: float) -> str:
    reason = _told(election, peer)
    return f"is {reason if reason.startswith('acquiring') else 'acquiring it'}"


def _hearsay(election: Election, peer: Peer, now: float) -> str:
    return f"is {'known through' if peer.header is None else 'heard by'} others only"


def _ineligible(election: Election, peer: Peer, now: float) -> str:
    said = peer.state(election.rules.name)
    # It may also be late, without its witness or majority: it does not say which.
    fit = said is not None and said.fitness is Fitness.FIT and said.reason
    return "says that it cannot take it now" + (f": it {_told(election, peer)}" if fit else "")


OTHER: dict[Obstacle, Callable[[Election, Peer, float], str]] = {
    Obstacle.HOLDS: lambda election, peer, now: "holds it",
    Obstacle.ACQUIRING: _acquiring,
    Obstacle.RELEASING: lambda election, peer, now: "is releasing it",
    Obstacle.STOPPED: lambda election, peer, now: "has stopped",
    Obstacle.FENCED: lambda election, peer, now: (
        f"died or hangs; its guard released {election.rules.name}"
    ),
    Obstacle.SILENT: lambda election, peer, now: (
        f"has not been heard for {duration(now - peer.at)}"
    ),
    Obstacle.HEARSAY: _hearsay,
    Obstacle.ONE_WAY: lambda election, peer, now: "does not hear this node",
    Obstacle.UNKNOWN_GROUP: lambda election, peer, now: (
        "does not have this group in its configuration"
    ),
    Obstacle.UNTOLD: lambda election, peer, now: "has not told everything yet",
    Obstacle.UNFIT: lambda election, peer, now: unfit(_told(election, peer)),
    Obstacle.LISTENING: lambda election, peer, now: "has just started, and listens",
    Obstacle.INELIGIBLE: _ineligible,
    Obstacle.ASKING: lambda election, peer, now: "is asking for votes",
}
"""The words for each obstacle of another node, as far as it tells."""


def unfit(reason: str) -> str:
    """A node that cannot hold, in words that follow its name; who is drained is well."""
    if drained(reason):
        return f"is {reason}"
    return f"is unfit: {reason}" if reason else "is unfit"


def drained(reason: str) -> bool:
    """This reason of a fitness is the operator's wish."""
    return reason.startswith("drained")


def _names(peers: list[Peer]) -> str:
    return joined(sorted(peer.name for peer in peers))
