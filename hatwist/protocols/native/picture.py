"""What one node knows, as frozen values; see L{hatwist.core.picture}."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from hatwist.core.claims import Claim, Role
from hatwist.core.picture import Context, GroupPicture, MemberPicture, PeerPicture, Picture
from hatwist.core.turn import Turn
from hatwist.protocols.native.chronicle import Chronicle
from hatwist.protocols.native.datagram import GroupState
from hatwist.protocols.native.election import Election
from hatwist.protocols.native.explain import explain
from hatwist.protocols.native.isolation import Here, isolated, missing, split
from hatwist.protocols.native.membership import Membership
from hatwist.protocols.native.others import fenced
from hatwist.protocols.native.peer import Peer
from hatwist.protocols.native.prospects import obstacle, undrained, worthiest


def picture(
    elections: Mapping[str, Election],
    view: Membership,
    chronicle: Chronicle,
    now: float,
    context: Context,
    *,
    session: int,
    drained: bool,
    displaced: bool,
    silent: bool,
) -> Picture:
    """
    Everything that one node knows.

    @param session: which start of this node it is.
    @param drained: the operator wants nothing to be held here.
    @param displaced: another node of this name is heard; C{silent}: for that or another reason nothing is sent.
    """
    alone = "" if silent or not elections else _alone(view, context, now)
    groups = {
        name: _group(election, view, chronicle, now, _here(name, context, alone), drained)
        for name, election in elections.items()
    }
    peers = {peer.name: _peer(peer, view, elections, now) for peer in view}
    torn = split(
        [
            n
            for n, e in elections.items()
            if not e.arbiter.exclusive and (e.standing.claim or groups[n].actives)
        ],
        missing(view, context.known if alone else (), now),
    )
    return Picture(now, view.name, session, drained, displaced, alone, torn, groups, peers)


def _alone(view: Membership, context: Context, now: float) -> str:
    """See L{Picture}: who has only just started, or was late itself, does not know yet."""
    if any(peer.direct(now) for peer in view):
        return ""
    if now < context.listensSince + view.tolerance and not context.rejected:
        return ""
    return isolated(view, context.known, context.rejected, now)


def _here(group: str, context: Context, alone: str) -> Here:
    here = Here(alone, port=context.port)
    answer = context.answers.get(group, "")
    return here._replace(answer=answer) if answer else here


def _group(
    election: Election,
    view: Membership,
    chronicle: Chronicle,
    now: float,
    here: Here,
    drained: bool,
) -> GroupPicture:
    name, standing, evidence = election.rules.name, election.standing, election.evidence
    explanation = explain(election, view, now, chronicle, here)
    said = election.tell(view, now)
    actives = tuple(peer.name for peer, _ in election.others(view, Turn(now)).holders)
    prospect = undrained(election, explanation, view, bool(here.alone), now) if drained else None
    return GroupPicture(
        name,
        standing.state,
        _member(said, said.role, standing.claim),
        explanation,
        election.terms.highest,
        actives,
        tuple(election.conflicts),
        evidence.answeredBy if evidence.served(now) and not actives else "",
        election.lease(now),
        tuple(election.others(view, Turn(now)).inOrder()),
        worthiest(election, view, explanation.holder, now),
        obstacle(election, view, now),
        prospect,
        dict(standing.transitions),
        dict(standing.counters),
        standing.takeovers.distribution(),
    )


def _peer(peer: Peer, view: Membership, groups: Iterable[str], now: float) -> PeerPicture:
    said = [(name, peer.state(name)) for name in groups]
    return PeerPicture(
        peer.name,
        peer.session,
        now - peer.at,
        peer.alive(now),
        peer.direct(now),
        peer.twoWay(now),
        peer.left(),
        fenced(peer),
        view.agrees(peer),
        peer.reception.ofLast20,
        peer.reception.lost,
        peer.ledger.diverged,
        {link: now - at for link, at in peer.reception.links.items()},
        {
            name: _member(state, state.role, state.claim)
            for name, state in said
            if state is not None
        },
    )


def _member(said: GroupState, role: Role, claim: Claim | None) -> MemberPicture:
    """@param role, claim: the newest that is known; the word on the rest may be older."""
    return MemberPicture(
        role,
        said.fitness,
        said.reason,
        said.priority,
        claim.term if claim is not None else 0,
        said.eligible,
        said.step,
        said.steps,
    )
