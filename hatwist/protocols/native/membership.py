"""
Who is alive, by which way that is known, and who hears whom.

Facts arrive directly, or by hearsay in another node's heartbeat. Hearsay carries its age, so that a dead node cannot
be kept alive by word of it going round in circles. What is known of one node: see L{hatwist.protocols.native.peer}.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from hatwist.core.agenda import Agenda
from hatwist.core.claims import Role
from hatwist.core.counting import TRUSTED, follow
from hatwist.protocols.native.confirmations import Confirmations
from hatwist.protocols.native.heartbeat import NO_LAG, GroupState, Heard, HeardGroup, Heartbeat
from hatwist.protocols.native.peer import Peer

MAX_PEERS = 250
MAX_TERMS = 4096
"""Groups of which the highest term is remembered, this node's own not counted: a reload may bring one of them."""
REMEMBERED = 3600.0
"""Seconds after which a silent node is forgotten; far beyond any tolerance."""


KEPT = 512
"""Packets of this node of which is remembered when they left."""


class Membership:
    """
    All other nodes, as one node knows them.

    What changes that concerns a group touches it in the agenda, before it changes. Facts of a node concern every
    group; its times, those that have asked for them, see L{Pulse<hatwist.core.agenda.Pulse>}.

    @param name: this node, about which nobody's word is taken.
    @param tolerance: seconds; used for a node that is known by hearsay only.
    @param digest: of this node's shared configuration.
    @param agenda: the groups that are to be decided; default: none is.
    @ivar groups: the names of this node's groups; see L{serve}.
    @ivar received: when the newest packet of this node left that any node has listed.
    @ivar confirmations: the packets that voters have received.
    """

    def __init__(
        self, name: str, tolerance: float, digest: bytes = b"", agenda: Agenda | None = None
    ) -> None:
        self.name = name
        self.tolerance = tolerance
        self.digest = digest
        self.agenda = agenda or Agenda()
        self.peers: dict[str, Peer] = {}
        self.groups: tuple[str, ...] = ()
        self.received = self.agenda.pulse()
        self.confirmations = Confirmations(self.peers, self.agenda)
        self._terms: dict[str, tuple[int, float]] = {}
        self._sent: dict[int, float] = {}

    def serve(self, groups: Iterable[str]) -> None:
        """This node has these groups from now on."""
        before, self.groups = set(self.groups), tuple(groups)
        for peer in self:
            own = (peer.directSeq, peer.directAt)
            peer.words.serve(self.groups, before, None if peer.directSeq == peer.seq else own)

    @property
    def next(self) -> int:
        """The number of this node's next packet."""
        return max(self._sent, default=0) + 1

    def departed(self, seq: int, now: float) -> None:
        """This node's packet of that number leaves now."""
        self._sent[seq] = now
        if len(self._sent) > KEPT:
            for old in list(self._sent)[: KEPT // 2]:
                del self._sent[old]

    def __iter__(self) -> Iterator[Peer]:
        return iter(self.peers.values())

    def receive(self, beat: Heartbeat, link: str, session: int, now: float) -> bool:
        """
        Take in a heartbeat.

        @param session: the session of this node now, to know its own name in C{beat.heard}.
        @return: it is the first packet of this session of the sender.
        """
        self.agenda.packet()
        peer = self.peers.get(beat.name)
        fresh = peer is None or beat.session > peer.session or peer.directSeq < 0
        if peer is None:
            peer = self._new(beat.name, beat.session, beat.tolerance)
        elif beat.session > peer.session:
            self._restart(peer, beat.session)
        if beat.session < peer.session:
            return False
        peer.reception.links[link] = now
        if beat.seq <= peer.directSeq:
            return False
        before = peer.beat
        changed: Collection[str] = ()
        if (
            before is None
            or beat.seq < peer.seq
            or not peer.direct(now)
            or beat.leaving
            or (before.tolerance, before.address, before.digest)
            != (beat.tolerance, beat.address, beat.digest)
        ):
            self.agenda.touchAll()
        if beat.seq >= peer.seq:
            changed = peer.words.changes(beat.groups)
            self.agenda.touch(changed)
            peer.arrived(beat, changed, now)
            self._noteTerms(
                [peer.words.said[name] for name in changed if name in peer.words.said], now
            )
        else:
            peer.arrived(beat, (), now)
            peer.words.late(beat.groups, self.groups, beat.seq, peer.seq, now)
            self._noteTerms(beat.groups, now)
        names: set[str] | None = None
        for heard in beat.heard:
            if heard.name != self.name:
                if names is None:
                    names = {group.name for group in beat.groups}
                self._hearsay(heard, names, now)
            elif heard.session == session:
                self._listed(peer, heard, now)
        return fresh

    def _new(self, name: str, session: int, tolerance: float) -> Peer:
        self.agenda.touchAll()
        peer = self.peers[name] = Peer(name, session, tolerance, self.agenda, self.groups)
        return peer

    def _restart(self, peer: Peer, session: int) -> None:
        self.agenda.touchAll()
        peer.restart(session, self.groups)

    def _listed(self, peer: Peer, heard: Heard, now: float) -> None:
        """A node says which packets of this one it knows of, and which it has received itself."""
        peer.listedSeq, peer.receivedOfMine = heard.seq, heard.received
        if heard.direct and heard.age < self.tolerance:
            peer.lastListed.renew(now, now)
        left = self._sent.get(heard.seq, float("-inf"))
        if left > self.received.at:
            self.received.renew(left, now)
        if heard.lag < NO_LAG:
            peer.reachedAt = self._sent.get(heard.seq - heard.lag, float("-inf"))
            self.confirmations.reached(peer.name, now)

    def _hearsay(self, heard: Heard, groups: set[str], now: float) -> None:
        """@param groups: those of the teller: on others it has no word."""
        peer = self.peers.get(heard.name)
        session = heard.session
        if session > (TRUSTED if peer is None else follow(peer.session, session)):
            return  # its own packets may say so
        if peer is None:
            if len(self.peers) >= MAX_PEERS:
                return
            peer = self._new(heard.name, heard.session, self.tolerance)
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
            self._restart(peer, heard.session)
        at = now - heard.age
        told = {state.name: state for state in heard.groups}
        known = groups.intersection(self.groups).difference(heard.untold)
        news = {
            name: told.get(name) or HeardGroup(name, Role.STANDBY)
            for name in known
            if heard.seq > peer.asOf(name)[0]
        }
        words, stamp = peer.words, (peer.seq, peer.at)
        if newer and heard.left != peer.left():
            self.agenda.touchAll()
        untold = set(self.groups).difference(news) if newer else set()
        self.agenda.touch([name for name in untold if name not in words.stale])
        for name, state in news.items():
            if name in words.stale or words.differs(name, state):
                self.agenda.touch((name,))
                words.overrule(name, state, now)
            if not newer and heard.seq < peer.seq:
                words.stale[name] = (heard.seq, at)
        for name in untold:
            words.stale.setdefault(name, stamp)
        if newer:
            peer.heard(heard.seq, at, heard.left, now)
        for name in told.keys() & known:
            claim = told[name].claim
            if claim:
                self._term(name, claim.term, now)

    def forget(self, now: float) -> None:
        """Drop who has been silent for longer than anybody would ask about."""
        for peer in list(self):
            if now - peer.at > REMEMBERED and now - peer.directAt > REMEMBERED:
                self.agenda.touchAll()
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
                    peer.lists(now),
                    peer.reception.ofLast20,
                    peer.words.relayed(),
                    peer.left(),
                    peer.listedSeq >= 0,
                    tuple(peer.words.stale),
                    min(peer.seq - peer.directSeq, NO_LAG) if peer.directSeq >= 0 else NO_LAG,
                )
                for peer in self
                if peer.seq >= 0
            ]
        )

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
            self._new(name, session, self.tolerance).heard(seq, now - REMEMBERED / 2, False, now)

    def agrees(self, peer: Peer) -> bool:
        """Its shared configuration is this node's, as far as is known."""
        return not self.digest or peer.beat is None or peer.beat.digest == self.digest

    def highest(self, group: str) -> tuple[int, float]:
        """The highest term anybody told of, as far as it is believed, and when it was first told here."""
        return self._terms.get(group, (0, float("-inf")))

    def _noteTerms(self, states: Iterable[GroupState], now: float) -> None:
        for state in states:
            self._term(state.name, state.highest, now)

    def _term(self, group: str, term: int, now: float) -> None:
        known = self.highest(group)[0]
        if term > known and (known or len(self._terms) < MAX_TERMS or group in self.groups):
            self.agenda.touch((group,))
            self._terms[group] = (follow(known, term), now)
