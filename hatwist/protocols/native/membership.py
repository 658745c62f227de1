"""
Who is alive, by which way that is known, and who hears whom.

Facts arrive directly, or by hearsay in another node's heartbeat. Hearsay carries its age, so that a dead node cannot
be kept alive by word of it going round in circles. What is known of one node: see L{hatwist.protocols.native.peer}.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from hatwist.core.claims import Claim, Role
from hatwist.core.counting import TRUSTED, follow
from hatwist.protocols.native.heartbeat import Heard, HeardGroup, Heartbeat
from hatwist.protocols.native.peer import Peer, Word

MAX_PEERS = 250
MAX_TERMS = 4096
"""Groups of which the highest term is remembered, this node's own not counted: a reload may bring one of them."""
REMEMBERED = 3600.0
"""Seconds after which a silent node is forgotten; far beyond any tolerance."""


def repeats(before: Heartbeat | None, beat: Heartbeat, name: str) -> bool:
    """
    Does a node say nothing new, but that it goes on hearing the node C{name}?

    What a vote names changes with each packet of the claim; it matters to the claim itself only.
    """
    if before is None or len(before.groups) != len(beat.groups) or beat.leaving:
        return False
    for old, new in zip(before.groups, beat.groups, strict=True):
        if new.request is not None or (new.grant is not None and new.grant.name == name):
            return False
        if old != new and old._replace(grant=new.grant) != new:
            return False
        if (old.grant and old.grant[:3]) != (new.grant and new.grant[:3]):
            return False
    if len(before.heard) != len(beat.heard):
        return False
    newer = False
    for was, now in zip(before.heard, beat.heard, strict=True):
        if was[:2] != now[:2] or was[4:] != now[4:]:
            return False
        newer = newer or (now.name == name and now.seq > was.seq)
    return newer


class Membership:
    """
    All other nodes, as one node knows them.

    @param name: this node, about which nobody's word is taken.
    @param tolerance: seconds; used for a node that is known by hearsay only.
    @param digest: of this node's shared configuration.
    @ivar groups: the names of this node's groups; see L{serve}.
    """

    def __init__(self, name: str, tolerance: float, digest: bytes = b"") -> None:
        self.name = name
        self.tolerance = tolerance
        self.digest = digest
        self.peers: dict[str, Peer] = {}
        self.groups: tuple[str, ...] = ()
        self._terms: dict[str, tuple[int, float]] = {}

    def serve(self, groups: Iterable[str]) -> None:
        """This node has these groups from now on."""
        self.groups = tuple(groups)
        for peer in self:
            peer.complete = False

    def __iter__(self) -> Iterator[Peer]:
        return iter(self.peers.values())

    def receive(self, beat: Heartbeat, link: str, session: int, now: float) -> bool:
        """
        Take in a heartbeat.

        @param session: the session of this node now, to know its own name in C{beat.heard}.
        @return: it is the first packet of this session of the sender.
        """
        peer = self.peers.get(beat.name)
        fresh = peer is None or beat.session > peer.session or peer.directSeq < 0
        if peer is None:
            peer = self.peers[beat.name] = Peer(beat.name, beat.session, beat.tolerance)
        elif beat.session > peer.session:
            peer.restart(beat.session)
        if beat.session < peer.session:
            return False
        peer.reception.links[link] = now
        if beat.seq <= peer.directSeq:
            return False
        peer.arrived(beat, now)
        peer.tell(
            [HeardGroup(g.name, g.role, g.claim, g.released, g.lettingGo) for g in beat.groups],
            beat.seq,
            now,
        )
        names = {group.name for group in beat.groups}
        for group in beat.groups:
            self._term(group.name, group.highest, now)
        for heard in beat.heard:
            if heard.name != self.name:
                self._hearsay(heard, names, now)
            elif heard.session == session:
                peer.listedSeq, peer.receivedOfMine = heard.seq, heard.received
                if heard.direct and heard.age < self.tolerance:
                    peer.listedAt = now
        return fresh

    def _hearsay(self, heard: Heard, groups: set[str], now: float) -> None:
        """@param groups: those of the teller: on others it has no word."""
        peer = self.peers.get(heard.name)
        session = heard.session
        if session > (TRUSTED if peer is None else follow(peer.session, session)):
            return  # its own packets may say so
        if peer is None:
            if len(self.peers) >= MAX_PEERS:
                return
            peer = self.peers[heard.name] = Peer(heard.name, heard.session, self.tolerance)
        if heard.direct:
            # Does anybody at all receive a word of ours through the teller?
            if heard.lists:
                peer.deafSince = None
            elif peer.deafSince is None:
                peer.deafSince = now
        newer = (heard.session, heard.seq) > (peer.session, peer.seq)
        if heard.session < peer.session or (peer.complete and not newer):
            return
        if heard.session > peer.session:
            # A start that has been silent for long says nothing of the one that is heard now.
            patience = max(self.tolerance, peer.tolerance)
            if heard.age >= patience and now < peer.at + patience:
                return
            peer.restart(heard.session)
        at = now - heard.age
        if newer:
            peer.heard(heard.seq, at, heard.left)
        told = {state.name: state for state in heard.groups}
        for name in groups:
            if name not in heard.untold:
                state = told.get(name) or HeardGroup(name, Role.STANDBY)
                if heard.seq > peer.word(name).seq:
                    peer.learn(Word(heard.seq, at, state), now)
                if state.claim:
                    self._term(name, state.claim.term, now)
        peer.complete = all(peer.word(name).seq >= peer.seq for name in self.groups)

    def forget(self, now: float) -> None:
        """Drop who has been silent for longer than anybody would ask about."""
        for peer in list(self):
            if now - peer.at > REMEMBERED and now - peer.directAt > REMEMBERED:
                del self.peers[peer.name]

    def heard(self, now: float) -> tuple[Heard, ...]:
        """What this node tells of the others in its next packet."""
        return tuple(
            [
                Heard(
                    peer.name,
                    peer.session,
                    peer.seq,
                    now - peer.at,
                    peer.direct(now),
                    now < peer.listedAt + peer.tolerance,
                    peer.reception.ofLast20,
                    tuple(
                        [
                            state
                            for word in peer.words.values()
                            if word.seq >= peer.seq
                            and ((state := word.state).role != Role.STANDBY or state.released)
                        ]
                    ),
                    peer.left(),
                    peer.listedSeq >= 0,
                    ()
                    if peer.complete
                    else tuple([n for n in self.groups if peer.word(n).seq < peer.seq]),
                )
                for peer in self
                if peer.seq >= 0
            ]
        )

    def actives(self, group: str, now: float) -> list[tuple[Peer, Claim]]:
        """The live nodes that are ACTIVE in a group, known directly or by hearsay."""
        found = []
        for peer in self:
            word = peer.words.get(group)
            if (
                word is not None
                and word.state.role == Role.ACTIVE
                and word.state.claim is not None
                and now < word.at + peer.tolerance
            ):
                found.append((peer, word.state.claim))
        return found

    def believed(self, peer: Peer, now: float) -> bool:
        """
        It is no recording: it has named this start of this node, or that of a node with which this one has a
        two-way link. A recording names no start that came after it; and what that node knows already is no news.
        """
        return peer.listedSeq >= 0 or any(
            other is not peer
            and other.beat is not None
            and other.twoWay(now)
            and any(
                heard[:2] == (peer.name, peer.session) and heard.named for heard in other.beat.heard
            )
            for other in self
        )

    def recall(self, name: str, session: int, seq: int, now: float) -> None:
        """A node that was forgotten sends as an earlier start: list what it must be told, its last one."""
        if name not in self.peers and len(self.peers) < MAX_PEERS:
            peer = self.peers[name] = Peer(name, session, self.tolerance)
            peer.heard(seq, now - REMEMBERED / 2, False)

    def agrees(self, peer: Peer) -> bool:
        """Its shared configuration is this node's, as far as is known."""
        return not self.digest or peer.beat is None or peer.beat.digest == self.digest

    def highest(self, group: str) -> tuple[int, float]:
        """The highest term anybody told of, as far as it is believed, and when it was first told here."""
        return self._terms.get(group, (0, float("-inf")))

    def _term(self, group: str, term: int, now: float) -> None:
        known = self.highest(group)[0]
        if term > known and (known or len(self._terms) < MAX_TERMS or group in self.groups):
            self._terms[group] = (follow(known, term), now)
