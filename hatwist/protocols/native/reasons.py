"""
What keeps each node from holding a group, in words.

Nothing is decided here. Each question is asked again that C{election} asks, in the same order, and the
answer is put into words.
"""

from __future__ import annotations

from math import inf

from hatwist.core.claims import Role
from hatwist.core.phrases import duration, joined, worthOf
from hatwist.core.picture import Why
from hatwist.core.states import State
from hatwist.core.worth import Fitness, Worth
from hatwist.protocols.native.election import Election
from hatwist.protocols.native.group import Group
from hatwist.protocols.native.heartbeat import MAX_SEQ, GroupState
from hatwist.protocols.native.isolation import NOTHING, Here
from hatwist.protocols.native.membership import Membership, Peer
from hatwist.protocols.native.rules import ASK_EVERY, SUCCESSION

ELIGIBLE = Why("eligible", "is ready to take it")


# This node


def ownReason(election: Election, view: Membership, now: float, here: Here = NOTHING) -> Why:
    """Why this node does not hold a group, or what it does about it."""
    return (
        _underWay(election, now)
        or _unable(election, view, now)
        or _occupied(election, view, now, here)
        or ELIGIBLE
    )


def _underWay(election: Election, now: float) -> Why | None:
    state = election.state
    if state is State.ACTIVE:
        return Why("holds", "holds it")
    if state is State.ACQUIRING:
        return Why("acquiring", f"is {election.progress.words or 'acquiring it'}")
    if state is State.RELEASING:
        return Why("releasing", f"is {election.progress.words or 'releasing it'}")
    if state is State.STOPPING:
        doing = election.progress.words or "releasing it"
        if election.claim is None:
            return Why("stopped", f"is stopping, and {doing}")
        return Why("stopping", f"is stopping, and {doing}")
    if state is State.SHUTDOWN:
        why = f": {election.ended}" if election.ended not in ("", "stopped") else ""
        return Why("stopped", f"has stopped{why}")
    if state is State.ASKING:
        assert election.voter is not None
        return Why("asking", f"is asking for {election.voter.quorum.needed} votes")
    if state is State.STARTING:
        if not election.clean:
            return Why("unclean", "has not yet released what an earlier start may have left")
        wait = max(election.listenUntil, election.patience) - now
        if wait > 0:
            return Why("listening", f"has just started, and listens for {duration(wait)} more")
        return Why(
            "starting", "has just started, and waits for a worthier node that has just started too"
        )
    return None


def _unable(election: Group, view: Membership, now: float) -> Why | None:
    """What L{Group.eligible} asks, one by one."""
    if election.muted:
        return Why("name", "is silent and holds nothing: another host runs a node of this name")
    if now < election.backoffUntil:
        cause = f" ({election.refusal})" if election.refusal else ""
        left = election.backoffUntil - now
        if view.actives(election.rules.name, now) or election._candidates(view, now):
            further = f"leaves the group to others for {duration(left)}"
        else:
            wait = max(0.0, min(left, election.retryAt - now))
            further = f"tries again in {duration(wait)}"
        return Why("back-off", f"could not hold the resources{cause}, and {further}")
    if now < election.patience:
        return Why(
            "late", f"was itself late, and listens for {duration(election.patience - now)} more"
        )
    if election.fitness == Fitness.UNFIT:
        if not election.rules.keepUnfit:
            return Why("unfit", unfit(election.fitnessReason))
        if election._candidates(view, now, fit=True):
            return Why("unfit", f"{unfit(election.fitnessReason)}; another node is not")
    alive = [peer for peer in view if peer.alive(now)]
    if election.unheardSeq is not None and alive:
        if not any(peer.listedSeq >= election.unheardSeq for peer in alive):
            return Why("unheard", f"is not heard by {_names(alive)}")
    if not election.witnessed(now):
        age = now - election.witnessedAt
        if age == inf:
            return Why("witness", "has had no answer from the witness yet")
        return Why("witness", f"has had no answer from the witness for {duration(age)}")
    if election.voter is not None:
        quorum = election.voter.quorum
        since = election.unheardSeq if election.unheardSeq is not None else -1
        there = {
            p.name
            for p in view
            if p.name in quorum.members and p.twoWay(now) and p.listedSeq >= since
        }
        if len(there) + 1 < quorum.needed:
            missing = sorted(quorum.members - there - {election.name})
            return Why(
                "votes",
                f"has {_votes(len(there) + 1)} of the {quorum.needed} it needs: "
                f"no two-way contact with {', '.join(missing)}",
            )
        return None
    direct = [peer for peer in view if peer.direct(now)]
    if direct and not any(peer.twoWay(now) for peer in direct):
        return Why("one-way", f"hears {_names(direct)}, and is heard by nobody")
    return None


def _until(election: Election, now: float) -> str:
    left = election.askUntil - now
    return "" if left == inf else f". That counts for {duration(left)} more"


def _occupied(election: Election, view: Membership, now: float, here: Here) -> Why | None:
    """What keeps an able node from claiming now, as L{Election._standby} has it."""
    group = election.rules.name
    actives = view.actives(group, now)
    if actives:
        return _against(election, view, actives[0][0], now)
    if election.served(now) and now < election.askUntil:
        return Why(
            "served",
            f"hears no valid heartbeat from a holder, but {here.answer}, so {election.name} keeps off"
            f"{_until(election, now)}. "
            f"Check the key and the firewall{f' (UDP {here.port})' if here.port else ''}",
        )
    voter = election.voter
    if voter is not None:
        if voter.grant is not None:
            return Why("vote-given", f"has promised its vote to {voter.grant.name}")
        if election.highest >= election.reserved:
            return Why("disk", "waits until the next term is safe on its disk")
        wait = max(election.askAfter, voter.silentUntil) - now
        if wait > 0:
            return Why("ask-later", f"asks for votes again in {duration(wait)}")
    released, since, _ = election._lastRelease(view)
    if released is not None and released.successor not in ("", election.name):
        if now < since + SUCCESSION * election.timing.interval:
            return Why("successor", f"waits for {released.successor}, which was named as successor")
    better = [p for p in election._candidates(view, now) if election._worthOf(p) > election.worth]
    if better:
        best = max(better, key=election._worthOf)
        return Why(
            "defers",
            f"({worthOf(election.worth)}) waits for {best.name}, "
            f"which is worthier ({worthOf(election._worthOf(best))})",
        )
    if election.rules.asks and now < election.askingSince + ASK_EVERY * election.timing.interval:
        return Why("asks-lan", "is asking the LAN whether somebody has the address")
    return None


def _against(election: Election, view: Membership, holder: Peer, now: float) -> Why:
    """An able standby, and somebody else holds."""
    said = holder.announced(election.rules.name)
    mine, name = election.worth, holder.name
    if said is None:
        return Why("worth", f"is ready; {name} is known through others only")
    theirs = holder.worth(said)
    if theirs > mine:
        return Why(
            "worth",
            f"is ready, and less worthy ({worthOf(mine)}) than {name} ({worthOf(theirs)}{_tie(mine, theirs)})",
        )
    text = f"is worthier ({worthOf(mine)}{_tie(mine, theirs)}) than {name} ({worthOf(theirs)})"
    if mine.fitness > theirs.fitness:
        return Why("handover", f"{text}, which is about to hand over")
    claim = holder.state(election.rules.name).claim
    if claim is not None and claim.moved:
        return Why(
            "moved",
            f"{text}, but the group was moved there by hand. To send it back: hatwist move {election.rules.name}",
        )
    if not election.rules.preempt:
        return Why("no-preempt", f"{text}, which keeps it all the same: preempt is off")
    if election.rules.preemptDelay:
        return Why(
            "preempt-delay",
            f"{text}, which hands over when this node has been ready for "
            f"{duration(election.rules.preemptDelay)}",
        )
    return Why("handover", f"{text}, which is about to hand over")


def _tie(one: Worth, other: Worth) -> str:
    """What decides between two of the same fitness and priority."""
    if (one.fitness, one.priority) != (other.fitness, other.priority):
        return ""
    return ", lower address" if one.address != other.address else ", first by name"


# The others


def peerReason(election: Election, peer: Peer, now: float) -> Why:
    """Why another node does not hold a group, as far as can be known here."""
    group = election.rules.name
    if fenced(peer):
        return Why("fenced", f"died or hangs; its guard released {group}")
    if peer.left():
        return Why("stopped", "has stopped")
    if not peer.alive(now):
        return Why("silent", f"has not been heard for {duration(now - peer.at)}")
    state, said = peer.state(group), peer.announced(group)
    if state.role == Role.ACTIVE:
        if state.lettingGo:
            return Why("releasing", "is releasing it")
        if said is not None and said.steps:
            words = said.reason if said.reason.startswith("acquiring") else "acquiring it"
            return Why("acquiring", f"is {words}")
        return Why("holds", "holds it")
    if said is None:
        if peer.beat is not None:
            return Why("unknown-group", "does not have this group in its configuration")
        return Why("hearsay", "is known through others only")
    if not peer.direct(now):
        return Why("hearsay", "is heard by others only")
    if not peer.twoWay(now):
        return Why("one-way", "does not hear this node")
    return _told(said)


def _told(said: GroupState) -> Why:
    if said.role == Role.ASKING:
        return Why("asking", "is asking for votes")
    if said.listening:
        return Why("listening", "has just started, and listens")
    if said.fitness == Fitness.UNFIT and not said.eligible:
        return Why("unfit", unfit(said.reason))
    if not said.eligible:
        # It may also be late, without its witness or majority: it does not say which.
        why = f": it {said.reason}" if said.fitness == Fitness.FIT and said.reason else ""
        return Why("ineligible", f"says that it cannot take it now{why}")
    if said.fitness < Fitness.FIT:
        return Why(
            "eligible", f"is ready to take it, although {said.fitness.name.lower()}: {said.reason}"
        )
    return ELIGIBLE


def fenced(peer: Peer) -> bool:
    """Its daemon died or hung: the last word of it is the goodbye that its guard said."""
    return peer.left() and peer.seq == MAX_SEQ


def unfit(reason: str) -> str:
    """A node that cannot hold, in words that follow its name; who is drained is well."""
    if drained(reason):
        return f"is {reason}"
    return f"is unfit: {reason}" if reason else "is unfit"


def drained(reason: str) -> bool:
    """This reason of a fitness is the operator's wish."""
    return reason.startswith("drained")


def _votes(number: int) -> str:
    return "1 vote (its own)" if number == 1 else f"{number} votes"


def _names(peers: list[Peer]) -> str:
    return joined(sorted(peer.name for peer in peers))
