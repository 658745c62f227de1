"""What a node knows of itself and of the others at one moment, as frozen values: what every face reads."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from math import inf
from typing import NamedTuple

from hatwist.core.causes import Cause
from hatwist.core.claims import Role
from hatwist.core.histogram import Distribution
from hatwist.core.obstacles import Obstacle
from hatwist.core.phrases import duration
from hatwist.core.states import State
from hatwist.core.worth import Fitness


class Context(NamedTuple):
    """
    What a node knows besides what its machine is told, for the words of a picture.

    @ivar known: names of nodes that there should be; this node's own may be among them.
    @ivar rejected: why packets of others were dropped of late, a clause for each sender.
    @ivar listensSince: when this node began to listen, or was late for the last time.
    @ivar answers: who answers on the LAN for the addresses of a group, a clause, by group.
    @ivar port: of UDP, on which heartbeats arrive; 0: not known.
    """

    known: Collection[str] = ()
    rejected: Sequence[str] = ()
    listensSince: float = -inf
    answers: Mapping[str, str] = {}
    port: int = 0


NO_CONTEXT = Context()


class Why(NamedTuple):
    """
    One reason why a node does not hold a group, or what it does about it.

    @ivar kind: C{None}: there is none, it is ready.
    @ivar text: what follows the node's name in a sentence, without full stop.
    """

    kind: Obstacle | None
    text: str

    @property
    def word(self) -> str:
        """The kind as a constant word, such as C{"unfit"}; C{"eligible"}: there is none."""
        return self.kind.value if self.kind is not None else "eligible"

    @property
    def holds(self) -> bool:
        """Others must take the node for a holder."""
        return self.kind is not None and self.kind.holds


class Explanation(NamedTuple):
    """
    Why a group is where it is.

    @ivar holder: who holds; C{None}: nobody, or several.
    @ivar holders: all whom others must take for holders.
    @ivar age: seconds since C{holder} is known to hold; C{None}: there is none.
    @ivar term: of the holder's claim; 0: none.
    @ivar because: why it holds, a clause.
    @ivar sentences: the rest, each without full stop.
    @ivar nodes: what is to be said of each node, this one first.
    """

    group: str
    holder: str | None
    holders: tuple[str, ...]
    age: float | None
    term: int
    because: str
    sentences: tuple[str, ...]
    nodes: Mapping[str, Why]

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
            why = self.nodes[self.holder]
            if why.kind is Obstacle.ACQUIRING:
                words.insert(0, f"It {why.text}, and does not hold everything yet")
            elif why.kind is not Obstacle.HOLDS:
                words.insert(0, f"It {why.text}")
            verb = "has claimed" if why.kind is Obstacle.ACQUIRING else "holds"
            words.insert(0, f"{self.holder} {verb} {self.group}{term}, {began}{because}")
        return " ".join(f"{word}." for word in words)


class Prospect(NamedTuple):
    """
    What would become of a group if this node, which is drained, might hold again.

    @ivar words: a clause; C{""}: nothing that is worth a line.
    @ivar source: the node from which the group comes here at once, C{""}: from nobody; C{None}: it does not.
    """

    words: str
    source: str | None = None


class MemberPicture(NamedTuple):
    """
    One node in one group, by its own word.

    @ivar reason: of its fitness; while steps are under way they come first.
    @ivar term: of its claim; 0: none.
    @ivar step, steps: of an acquisition or a release; 0 of 0: none is under way.
    """

    role: Role
    fitness: Fitness
    reason: str
    priority: int
    term: int
    eligible: bool
    step: int
    steps: int


class PeerPicture(NamedTuple):
    """
    One other node.

    @ivar age: seconds since the newest word of it, its own or another's; L{inf}: there was none in this session.
    @ivar direct: its own heartbeats arrive.
    @ivar twoWay: and it receives those of this node.
    @ivar left: it has said goodbye; C{fenced}: its guard did so, in place of a daemon that died or hung.
    @ivar agrees: its shared configuration is that of this node, as far as is known.
    @ivar received: how many of its last 20 heartbeats arrived; C{lost}: how many are missing since it is known.
    @ivar diverged: how often what it told of its groups could not be so, in its present session.
    @ivar links: seconds since it was last heard on a link, by the link's name.
    @ivar groups: those of this node's groups of which it says something.
    @ivar outside: nothing else is known of it, not even whether it is a node of this cluster.
    """

    name: str
    session: int
    age: float
    alive: bool
    direct: bool
    twoWay: bool
    left: bool
    fenced: bool
    agrees: bool
    received: int
    lost: int
    diverged: int
    links: Mapping[str, float]
    groups: Mapping[str, MemberPicture]
    outside: bool = False


class GroupPicture(NamedTuple):
    """
    One group, as this node knows it.

    @ivar own: what this node says of itself.
    @ivar highest: the highest term that is known.
    @ivar actives: other nodes, alive, that are known to hold it.
    @ivar conflicting: those of whom this node, which holds it too, awaits that one of both yields.
    @ivar answering: the MAC address that answers for an address though no holder is heard; C{""}: none does.
    @ivar lease: until when it may be held here if nothing more is heard; what is past: it may not be.
    @ivar others: who besides this node holds it or could at once, the holders and then the worthiest first.
    @ivar worthiest: who would hold it if its holder were not bound to it; C{""}: there is no single holder.
    @ivar obstacle: why this node will not hold it soon, a sentence; C{""}: nothing keeps it.
    @ivar undrained: what an undrain would bring; C{None}: this node is not drained.
    @ivar changes: how many role changes of this node there were, by old role, new role and cause.
    @ivar events: how many events there were, by kind.
    @ivar takeovers: seconds from each decision to claim until everything was held.
    @ivar unheard: those who could take it are silent, so that there may be some who are not among C{others}.
    """

    name: str
    state: State
    own: MemberPicture
    explanation: Explanation
    highest: int
    actives: tuple[str, ...]
    conflicting: tuple[str, ...]
    answering: str
    lease: float
    others: tuple[str, ...]
    worthiest: str
    obstacle: str
    undrained: Prospect | None
    changes: Mapping[tuple[Role | None, Role, Cause], int]
    events: Mapping[str, int]
    takeovers: Distribution
    unheard: bool = False


class Picture(NamedTuple):
    """
    Everything that one machine knows. Times are seconds of its clock.

    @ivar now: when that was so.
    @ivar session: which start of this node it is.
    @ivar drained: the operator wants nothing to be held here.
    @ivar displaced: another host runs a node of this name, so this one is silent and holds nothing.
    @ivar alone: the sentence that tells that no other node is heard, without full stop; C{""}: one is, or
        there need be none.
    @ivar split: what a split network may mean now for what is held without votes, a sentence; C{""}: nothing.
    @ivar peers: by name.
    """

    now: float
    node: str
    session: int
    drained: bool
    displaced: bool
    alone: str
    split: str
    groups: Mapping[str, GroupPicture]
    peers: Mapping[str, PeerPicture]


def merged(pictures: Sequence[Picture]) -> Picture:
    """
    What the protocols of one node know, as one: of the node what the first of them knows.

    A peer that several know by the same name is one.
    """
    first, *more = pictures
    groups, peers = dict(first.groups), dict(first.peers)
    for picture in more:
        groups.update(picture.groups)
        for name, peer in picture.peers.items():
            peers[name] = _same(peers[name], peer) if name in peers else peer
    return first._replace(groups=groups, peers=peers)


def _same(one: PeerPicture, other: PeerPicture) -> PeerPicture:
    newest = min(one, other, key=lambda peer: peer.age)
    links = {**one.links, **other.links}
    return newest._replace(
        alive=one.alive or other.alive,
        agrees=one.agrees and other.agrees,
        links={
            name: min(peer.links[name] for peer in (one, other) if name in peer.links)
            for name in links
        },
        groups={**one.groups, **other.groups},
    )
