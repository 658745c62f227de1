"""
Why a group is where it is: what keeps each node from holding it, and what would change that.

Nothing is decided here. Each question is asked again that L{hatwist.election} asks, in the same order, and the
answer is put into words.
"""

from __future__ import annotations

from math import inf
from typing import NamedTuple

from hatwist.chronicle import Chronicle
from hatwist.election import Election
from hatwist.group import Group
from hatwist.heartbeat import GroupState, Role
from hatwist.membership import Membership, Peer
from hatwist.roles import State
from hatwist.rules import ASK_EVERY, SUCCESSION
from hatwist.worth import Fitness, Worth


class Why(NamedTuple):
    """
    One reason why a node does not hold a group.

    @ivar kind: a constant word, such as C{"unfit"}; C{"eligible"}: there is none.
    @ivar text: what follows the node's name in a sentence, without full stop.
    """

    kind: str
    text: str


ELIGIBLE = Why("eligible", "is ready to take it")


class Explanation(NamedTuple):
    """
    @ivar holder: who holds; C{None}: nobody, or several.
    @ivar age: seconds since that is known; C{None}: nobody holds.
    @ivar term: of the holder's claim; 0: none.
    @ivar because: why it holds, a clause.
    @ivar sentences: the rest, each without full stop.
    @ivar nodes: what is to be said of each node, this one first.
    """

    group: str
    holder: str | None
    age: float | None
    term: int
    because: str
    sentences: tuple[str, ...]
    nodes: dict[str, Why]

    def paragraph(self, since: str = "") -> str:
        """
        Everything, as one paragraph.

        @param since: the time of day at which that began, such as C{"since 03:04:05"}.
        """
        words = list(self.sentences)
        if self.holder is not None and self.age is not None:
            began = f"{since} ({duration(self.age)})" if since else f"for {duration(self.age)}"
            because = f": {self.because}" if self.because else ""
            term = f" with term {self.term}" if self.term else ""
            words.insert(0, f"{self.holder} holds {self.group}{term}, {began}{because}")
        return " ".join(f"{word}." for word in words)


def duration(seconds: float) -> str:
    """Seconds in the words of people: C{"0.35 s"}, C{"4 min 2 s"}, C{"3 d 4 h"}."""
    if seconds < 60:
        return f"{seconds:.2f} s" if seconds < 10 else f"{seconds:.0f} s"
    for unit, size, lesser, part in (
        ("d", 86400, "h", 3600),
        ("h", 3600, "min", 60),
        ("min", 60, "s", 1),
    ):
        if seconds >= size:
            rest = int(seconds % size // part)
            return f"{int(seconds // size)} {unit}" + (f" {rest} {lesser}" if rest else "")
    raise AssertionError(seconds)


def worthOf(worth: Worth) -> str:
    """What is compared, in words."""
    return f"{worth.fitness.name.lower()}, priority {worth.priority}"


# This node


def ownReason(election: Election, view: Membership, now: float) -> Why:
    """Why this node does not hold a group, or what it does about it."""
    return (
        _underWay(election, now)
        or _unable(election, view, now)
        or _occupied(election, view, now)
        or ELIGIBLE
    )


def _underWay(election: Election, now: float) -> Why | None:
    state = election.state
    if state is State.ACTIVE:
        return Why("holds", "holds it")
    if state is State.ACQUIRING:
        return Why("acquiring", f"is {election.progress.words or 'acquiring it'}")
    if state is State.RELEASING:
        return Why("releasing", f"is {election.progress.words or 'letting go of it'}")
    if state is State.STOPPING:
        return Why("stopping", f"is stopping, and {election.progress.words or 'lets go of it'}")
    if state is State.SHUTDOWN:
        return Why("stopped", "has stopped")
    if state is State.ASKING:
        assert election.voter is not None
        return Why("asking", f"is asking for {election.voter.quorum.needed} votes")
    if state is State.STARTING:
        if not election.clean:
            return Why("unclean", "has not yet released what an earlier start may have left")
        wait = max(election.listenUntil, election.patience) - now
        if wait > 0:
            return Why("listening", f"has just started, and listens for {duration(wait)} more")
        return Why("starting", "has just started, and lets a worthier node that did too go first")
    return None


def _unable(election: Group, view: Membership, now: float) -> Why | None:
    """What L{Group.eligible} asks, one by one."""
    if now < election.backoffUntil:
        return Why(
            "back-off",
            "could not hold the resources, and tries again in "
            f"{duration(election.backoffUntil - now)} unless it is the only one left",
        )
    if now < election.patience:
        return Why(
            "late", f"was itself late, and listens for {duration(election.patience - now)} more"
        )
    if election.fitness == Fitness.UNFIT:
        if not election.rules.keepUnfit:
            return Why("unfit", f"is unfit: {election.fitnessReason}")
        if election._candidates(view, now, fit=True):
            return Why("unfit", f"is unfit, and another one is not: {election.fitnessReason}")
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
        there = {p.name for p in view if p.name in quorum.members and p.twoWay(now)}
        if len(there) + 1 < quorum.needed:
            missing = sorted(quorum.members - there - {election.name})
            return Why(
                "votes",
                f"reaches {len(there) + 1} of the {quorum.needed} nodes whose votes it needs: "
                f"nothing goes both ways with {_join(missing)}",
            )
        return None
    direct = [peer for peer in view if peer.direct(now)]
    if direct and not any(peer.twoWay(now) for peer in direct):
        return Why("one-way", f"hears {_names(direct)}, and is not heard")
    return None


def _occupied(election: Election, view: Membership, now: float) -> Why | None:
    """What keeps an able node from claiming now, as L{Election._standby} has it."""
    group = election.rules.name
    actives = view.actives(group, now)
    if actives:
        return _against(election, view, actives[0][0], now)
    if election.served(now):
        return Why(
            "served",
            "hears of no holder, but another host answers on the LAN for the address: "
            "heartbeats are lost on their way",
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
    released, since = election._lastRelease(view)
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
        return Why("moved", f"{text}, where the operator has moved it")
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
    if peer.left():
        return Why("stopped", "has stopped")
    if not peer.alive(now):
        return Why("silent", f"has been silent for {duration(now - peer.at)}")
    state, said = peer.state(group), peer.announced(group)
    if state.role == Role.ACTIVE:
        if state.lettingGo:
            return Why("releasing", "is letting go of it")
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
        return Why("unfit", f"is unfit: {said.reason}" if said.reason else "is unfit")
    if not said.eligible:
        # It may be in back-off, late, without its witness or majority: it does not say which.
        return Why("ineligible", "says that it cannot take it now")
    if said.fitness < Fitness.FIT:
        return Why(
            "eligible", f"is ready to take it, although {said.fitness.name.lower()}: {said.reason}"
        )
    return ELIGIBLE


# All together


def explain(
    election: Election, view: Membership, now: float, chronicle: Chronicle | None = None
) -> Explanation:
    """
    Who holds a group and why, why this node does not, and what would change it.

    @param chronicle: knows why the holder holds; without it, what was told is all there is.
    """
    group = election.rules.name
    nodes = {election.name: ownReason(election, view, now)}
    for peer in sorted(view, key=lambda peer: peer.name):
        nodes[peer.name] = peerReason(election, peer, now)
    holders = [
        name for name, why in nodes.items() if why.kind in ("holds", "acquiring", "releasing")
    ]
    term, age, because = 0, None, ""
    holder = holders[0] if len(holders) == 1 else None
    if holder is not None:
        claim = election.claim if holder == election.name else view.peers[holder].state(group).claim
        term, age = (claim.term if claim is not None else 0), 0.0
        change = chronicle.holders.get(group, {}).get(holder) if chronicle is not None else None
        if change is not None:
            age, because = now - change.at, change.reason
    sentences: list[str] = []
    if len(holders) > 1:
        sentences.append(
            f"{_join(holders)} hold {group} at the same time: one of them yields as soon as they hear each other"
        )
    elif not holders:
        sentences.append(f"Nobody holds {group}")
    for name, why in nodes.items():
        if name != holder and why.kind not in ("holds",) and why != ELIGIBLE:
            this = " (this node)" if name == election.name else ""
            sentences.append(f"{name}{this} {why.text}")
    sentences += _outlook(election, view, now, nodes, holder)
    return Explanation(group, holder, age, term, because, tuple(sentences), nodes)


def _outlook(
    election: Election, view: Membership, now: float, nodes: dict[str, Why], holder: str | None
) -> list[str]:
    """What would change it."""
    group, rules = election.rules.name, election.rules
    if holder is None:
        return []
    ready = election._candidates(view, now)
    able: list[tuple[Worth, str]] = [
        (election._worthOf(p), p.name) for p in ready if p.name != holder
    ]
    if holder != election.name and election.eligible(view, now):
        able.append((election.worth, election.name))
    if not able:
        others = "no other node is known" if len(nodes) == 1 else "no other node could take it"
        return [f"It stays there for as long as {holder} runs and is fit: {others}"]
    worth, following = max(able, key=lambda one: one[0])
    silence = duration(election.timing.tolerance)
    causes = f"{holder} stops, is drained, becomes unfit, or is silent for {silence}"
    found = [f"{following} takes it over when {causes}"]
    if holder == election.name and worth > election.worth:
        moved = election.claim is not None and election.claim.moved
        if moved and worth.fitness <= election.worth.fitness:
            found.append(
                f"{following} is worthier ({worthOf(worth)}), and does not get it back by that, since the "
                f"operator has moved it: hatwist move {group} undoes it"
            )
        elif not (rules.preempt or worth.fitness > election.worth.fitness):
            found.append(
                f"{following} is worthier ({worthOf(worth)}), and does not get it back by that: "
                f"preempt is off; hatwist move {group} {following} does it"
            )
        else:
            since = election.worthierSince.get(following, now)
            wait = max(0.0, since + rules.preemptDelay - now)
            found.append(
                f"{following} is worthier ({worthOf(worth)}), and gets it in {duration(wait)}"
            )
    elif holder == election.name:
        found.append(f"hatwist move {group} {following} hands it over")
    return found


def _names(peers: list[Peer]) -> str:
    return _join(sorted(peer.name for peer in peers))


def _join(names: list[str]) -> str:
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1]))) if names else "nobody"
