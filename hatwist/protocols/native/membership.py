"""
Who is alive, by which way that is known, and who hears whom.

Facts arrive directly, or by hearsay in another node's packets. Hearsay carries its age, so that a dead node cannot
be kept alive by word of it going round in circles. What is known of one node: see L{hatwist.protocols.native.peer}.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from math import inf

from hatwist.core.agenda import Agenda
from hatwist.core.counting import TRUSTED, follow
from hatwist.protocols.native.confirmations import Confirmations
from hatwist.protocols.native.datagram import Datagram, Header, Listing
from hatwist.protocols.native.peer import Peer
from hatwist.protocols.native.state.knowledge import Knowledge

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

    The agenda is told of what changes in a group before it does. Facts of a node concern every group; its times, those
    that have asked for them, see L{Pulse<hatwist.core.agenda.Pulse>}; what it has not told yet, those that wait for it.

    @param knowledge: of the groups of all nodes, and of this node's name, about which nobody's word is taken.
    @param tolerance: seconds; used for a node that is known by hearsay only.
    @param digest: of this node's shared configuration.
    @param agenda: the groups that are to be decided; default: none is.
    @ivar received: when the newest packet of this node left that any node has listed.
    @ivar confirmations: the packets that voters have received.
    """

    def __init__(
        self,
        knowledge: Knowledge,
        tolerance: float,
        digest: bytes = b"",
        agenda: Agenda | None = None,
    ) -> None:
        self.knowledge = knowledge
        self.name = knowledge.name
        self.tolerance = tolerance
        self.digest = digest
        self.agenda = agenda or Agenda()
        self.peers: dict[str, Peer] = {}
        self.groups: frozenset[str] = frozenset()
        self.received = self.agenda.pulse()
        self.confirmations = Confirmations(self.peers, self.agenda)
        self._terms: dict[str, tuple[int, float]] = {}
        self._sent: dict[int, float] = {}

    def serve(self, groups: Iterable[str]) -> None:
        """This node has these groups from now on."""
        self.groups = frozenset(groups)

    @property
    def next(self) -> int:
        """The number of this node's next packet."""
        return self.knowledge.seq + 1

    def __iter__(self) -> Iterator[Peer]:
        return iter(self.peers.values())

    def present(self, now: float) -> set[str]:
        """The nodes with which there is a two-way link."""
        return {peer.name for peer in self if peer.twoWay(now)}

    def live(self, now: float) -> set[str]:
        """The nodes that are heard, or heard of."""
        return {peer.name for peer in self if peer.alive(now)}

    # What this node sends

    def departed(self, seq: int, now: float) -> None:
        """This node's packet of that number leaves now."""
        self._sent[seq] = now
        if len(self._sent) > KEPT:
            for old in list(self._sent)[: KEPT // 2]:
                del self._sent[old]

    def listings(self, now: float) -> dict[str, Listing]:
        """What this node tells of the others in its next packet."""
        return {
            peer.name: self.knowledge.listing(
                peer.name,
                now,
                direct=peer.direct(now),
                lists=peer.lists(now),
                named=peer.listedSeq >= 0,
                lapses=peer.reception.lapses % 256,
                received=peer.reception.ofLast20,
            )
            for peer in self
            if peer.seq >= 0
        }

    # What it hears

    def receive(self, datagram: Datagram, link: str, newest: bool, now: float) -> bool:
        """
        Take in a packet. Was this node restored from a snapshot, see L{News.ahead<Knowledge.receive>}?

        @param newest: no later packet of its sender has come on this link.
        @raise BadPacket: it contradicts an earlier one.
        """
        self.agenda.packet()
        header = datagram.header
        peer = self._sender(header, now)
        if header.session < peer.session:
            return False
        if newest:
            peer.reception.links[link] = now
        ledger, before = peer.ledger, peer.ledger.directSeq
        late = ledger.left or header.seq <= before
        if not late:
            for listing in datagram.heard:
                if listing.name != self.name:
                    self._begin(listing, now)
        gone = {listing.name for listing in datagram.heard if self._isLeft(listing.name)}
        news = self.knowledge.receive(datagram, now)
        for owner, groups in news.groups.items():
            self._changed(self.peers[owner], groups, now)
        for each in self:
            self.agenda.change(each.known(datagram.ranges))
        if late:
            return False
        self._arrived(peer, header, before, now)
        for listing in datagram.heard:
            if listing.name == self.name:
                if listing.session == self.knowledge.session:
                    self._listed(peer, listing, now)
            elif listing.name in self.peers:
                self._hearsay(peer, listing, listing.name in gone, now)
        return news.ahead

    def _isLeft(self, name: str) -> bool:
        return name in self.peers and self.peers[name].left()

    def _sender(self, header: Header, now: float) -> Peer:
        peer = self.peers.get(header.name)
        if peer is None:
            return self._new(header.name, header.session, header.tolerance, now)
        if header.session > peer.session:
            self._restart(peer, header.session, now)
        return peer

    def _arrived(self, peer: Peer, header: Header, before: int, now: float) -> None:
        """Its newest packet has come: what it says once for all groups."""
        known, back = peer.header, not peer.direct(now)
        if known is None or back or header.leaving or _standing(known) != _standing(header):
            self.agenda.changeAll()
        elif _flags(known) != _flags(header):
            self.agenda.touchAll()
        elif not header.claims and peer.words.leading:
            self.agenda.change(peer.words.leading)
        peer.arrived(header, before, back, now)
        peer.heard(now)
        if header.leaving:
            self._left(peer, now)

    def _left(self, peer: Peer, now: float) -> None:
        """It said goodbye: its claims are over."""
        self.agenda.changeAll()
        for record in list(peer.ledger.records):
            peer.words.put(record.name, peer.state(record.name), now)

    def _changed(self, peer: Peer, groups: Collection[str], now: float) -> None:
        """There are newer records of it."""
        self.agenda.change(groups)
        for name in groups:
            state = peer.state(name)
            peer.words.put(name, state, now)
            if state is not None:
                term = state.claim.term if state.claim is not None else 0
                self._term(name, max(state.highest, term), now)

    def _new(self, name: str, session: int, tolerance: float, now: float) -> Peer:
        self.agenda.changeAll()
        self.knowledge.begin(name, session, tolerance, now)
        ledger = self.knowledge.ledgers[name]
        peer = self.peers[name] = Peer(name, tolerance, self.agenda, ledger)
        return peer

    def _restart(self, peer: Peer, session: int, now: float) -> None:
        self.agenda.changeAll()
        self.knowledge.begin(peer.name, session, peer.tolerance, now)
        peer.restart(self.knowledge.ledgers[peer.name])

    def _listed(self, peer: Peer, listing: Listing, now: float) -> None:
        """A node says which packets of this one it knows of, and which it has received itself."""
        peer.listedSeq, peer.receivedOfMine = listing.seq, listing.received
        if listing.lapses != peer.lapses:
            self.agenda.changeAll()  # before it counts what it received since: its votes have ended meanwhile
            peer.lapses, peer.lapsedSeq = listing.lapses, peer.ledger.directSeq
        if listing.direct and listing.age < self.tolerance:
            peer.lastListed.renew(now, now)
        left = self._sent.get(listing.seq, -inf)
        if left > self.received.at:
            self.received.renew(left, now)
        if listing.directSeq >= 0:
            peer.reachedAt = self._sent.get(listing.directSeq, -inf)
            self.confirmations.reached(peer.name, now)

    def _begin(self, listing: Listing, now: float) -> None:
        """A node is heard of for the first time, or a later start of it."""
        name, session = listing.name, listing.session
        peer = self.peers.get(name)
        if session > (TRUSTED if peer is None else follow(peer.session, session)):
            return  # its own packets may say so
        if peer is None:
            if len(self.peers) < MAX_PEERS:
                self._new(name, session, self.tolerance, now)
        elif session > peer.session:
            # A start that has been silent for long says nothing of the one that is heard now.
            patience = max(self.tolerance, peer.tolerance)
            if listing.age < patience or now >= peer.at + patience:
                self._restart(peer, session, now)

    def _hearsay(self, teller: Peer, listing: Listing, gone: bool, now: float) -> None:
        """@param gone: it was known that the other node said goodbye."""
        peer = self.peers[listing.name]
        if listing.named:
            teller.named[listing.name] = listing.session
        else:
            teller.named.pop(listing.name, None)
        if listing.direct:
            # Does anybody at all receive a word of ours through the teller?
            if listing.lists:
                peer.deafSince = None
            elif peer.deafSince is None:
                peer.deafSince = now
        if listing.session != peer.session:
            return
        if peer.left() and not gone:
            self._left(peer, now)
        elif not peer.ledger.claims and peer.words.leading:
            self.agenda.change(peer.words.leading)
        peer.heard(now)

    def forget(self, now: float) -> None:
        """Drop who has been silent for longer than anybody would ask about."""
        for peer in list(self):
            if now - peer.at > REMEMBERED and now - peer.directAt > REMEMBERED:
                self.agenda.changeAll()
                del self.peers[peer.name]
                self.knowledge.forget(peer.name)

    def believed(self, peer: Peer, now: float) -> bool:
        """
        It is no recording: it has named this start of this node, or that of a node with which this one has a
        two-way link. A recording names no start that came after it; and what that node knows already is no news.
        """
        return peer.listedSeq >= 0 or any(
            other is not peer and other.twoWay(now) and other.named.get(peer.name) == peer.session
            for other in self
        )

    def recall(self, name: str, session: int, seq: int, now: float) -> None:
        """A node that was forgotten sends as an earlier start: list what it must be told, its last one."""
        if name not in self.peers and len(self.peers) < MAX_PEERS:
            peer = self._new(name, session, self.tolerance, now)
            at = now - REMEMBERED / 2
            peer.ledger.date(seq, 0, 0, at, at)
            peer.heard(now)

    def agrees(self, peer: Peer) -> bool:
        """Its shared configuration is this node's, as far as is known."""
        return not self.digest or peer.header is None or peer.header.digest == self.digest

    def highest(self, group: str) -> tuple[int, float]:
        """The highest term anybody told of, as far as it is believed, and when it was first told here."""
        return self._terms.get(group, (0, -inf))

    def _term(self, group: str, term: int, now: float) -> None:
        known = self.highest(group)[0]
        if term > known and (known or len(self._terms) < MAX_TERMS or group in self.groups):
            self.agenda.change((group,))
            self._terms[group] = (follow(known, term), now)


def _standing(header: Header) -> tuple[object, ...]:
    """What a packet says of its sender, by which votes and claims are judged."""
    return header.tolerance, header.address, header.digest


def _flags(header: Header) -> tuple[object, ...]:
    """What a packet says once for all groups: it may matter to each of them."""
    return header.eligible, header.listening, header.drained, header.witnessed
