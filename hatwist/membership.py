"""
Who is alive, by which way that is known, and who hears whom.

A fact about a node is ordered by its stamp, the pair (session, seq): what is not newer than the known
fact changes nothing, whichever way it came. Facts arrive directly or by hearsay in another
node's heartbeat; hearsay carries its age, so going round in circles cannot keep a dead node alive.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from hatwist.counting import TRUSTED, follow
from hatwist.heartbeat import MAX_SEQ, Claim, GroupState, Heard, HeardGroup, Heartbeat, Role
from hatwist.worth import Worth

MAX_PEERS = 250
REMEMBERED = 3600.0
"""Seconds after which a silent node is forgotten; far beyond any tolerance."""
_PLAIN = HeardGroup("", Role.STANDBY)


def repeats(before: Heartbeat | None, beat: Heartbeat, name: str) -> bool:
    """
    Does a node say nothing new, but that it goes on hearing the node C{name}?

    What a vote names changes with each packet of the claim; it matters to the claim itself only.
    """
    if before is None or len(before.groups) != len(beat.groups):
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


class Peer:
    """
    Everything known of one other node. Times are seconds of the local clock.

    @ivar at: when the newest word of it was true, directly or by hearsay.
    @ivar directAt: when its own newest packet arrived; C{-inf}: never in this session.
    @ivar directSince: since when they have arrived without a gap of a tolerance.
    @ivar beat: that packet, or C{None}.
    @ivar listedAt: when it last said that it receives this node directly; C{-inf}: never.
    @ivar listedSeq: the newest packet of this node that it knew of then, by any path; -1: none.
    @ivar receivedOfMine: how many of this node's last 20 packets it said it received.
    @ivar lost: how many of its packets were missing when a later one came.
    @ivar deafSince: hearsay says that it receives nobody, since then; C{None}: no such word.
    """

    def __init__(self, name: str, session: int, tolerance: float) -> None:
        self.name = name
        self.tolerance = tolerance
        self.restart(session)
        self.states: dict[str, HeardGroup] = {}
        self.releases: dict[str, tuple[int, float]] = {}
        self.links: dict[str, float] = {}
        self._left = False
        self.lost = 0

    def restart(self, session: int) -> None:
        self.session = session
        self.seq = -1
        self.at = float("-inf")
        self.directAt = self.directSince = float("-inf")
        self.directSeq = -1
        self.beat: Heartbeat | None = None
        self.listedAt = float("-inf")
        self.listedSeq = -1
        self.receivedOfMine = 20
        self.arrivals = 0xFFFFF
        self.deafSince: float | None = None

    def __repr__(self) -> str:
        return f"<Peer {self.name} session {self.session} seq {self.seq} at {self.at:.6f}>"

    @property
    def received(self) -> int:
        """How many of its last 20 packets arrived."""
        return self.arrivals.bit_count()

    def left(self) -> bool:
        """It said goodbye in every group."""
        return self._left

    def alive(self, now: float) -> bool:
        # As deadlines are computed: at that very moment it is over, whatever the rounding.
        return now < self.at + self.tolerance and not self._left

    def direct(self, now: float) -> bool:
        """Its own packets arrive here."""
        return now < self.directAt + self.tolerance and not self._left

    def twoWay(self, now: float) -> bool:
        return self.direct(now) and now < self.listedAt + self.tolerance

    def releasedSince(self, group: str) -> float:
        """When its newest release of a group was first told here."""
        return self.releases.get(group, (0, float("-inf")))[1]

    def tell(self, states: Iterable[HeardGroup], now: float) -> None:
        """Its newest word on every group, true at C{now}."""
        self.states = {state.name: state for state in states}
        roles = {state.role for state in self.states.values()}
        self._left = roles == {Role.SHUTDOWN}
        for name, state in self.states.items():
            if state.released and self.releases.get(name, (0, 0.0))[0] != state.released.term:
                self.releases[name] = (state.released.term, now)

    def state(self, group: str) -> HeardGroup:
        return self.states.get(group, _PLAIN)

    def announced(self, group: str) -> GroupState | None:
        """Its own newest word on a group, or C{None}."""
        if self.beat is not None:
            for state in self.beat.groups:
                if state.name == group:
                    return state
        return None

    def worth(self, state: GroupState) -> Worth:
        assert self.beat is not None
        return Worth(state.fitness, state.priority, self.beat.address, self.name)


class Membership:
    """
    All other nodes, as one node knows them.

    @param name: this node, about which nobody's word is taken.
    @param tolerance: seconds; used for a node that is known by hearsay only.
    @param digest: of this node's shared configuration.
    """

    def __init__(self, name: str, tolerance: float, digest: bytes = b"") -> None:
        self.name = name
        self.tolerance = tolerance
        self.digest = digest
        self.peers: dict[str, Peer] = {}
        self._terms: dict[str, tuple[int, float]] = {}

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
        peer.links[link] = now
        if beat.seq <= peer.directSeq:
            return False
        self._count(peer, beat.seq)
        if not peer.direct(now):
            peer.directSince = now
        peer.directAt, peer.directSeq = now, beat.seq
        peer.beat, peer.tolerance = beat, beat.tolerance
        peer.deafSince = None
        if beat.seq >= peer.seq:
            peer.seq, peer.at = beat.seq, now
            peer.tell(
                [HeardGroup(g.name, g.role, g.claim, g.released, g.lettingGo) for g in beat.groups],
                now,
            )
        for group in beat.groups:
            self._term(group.name, group.highest, now)
        for heard in beat.heard:
            if heard.name != self.name:
                self._hearsay(heard, now)
            elif heard.session == session:
                peer.listedSeq, peer.receivedOfMine = heard.seq, heard.received
                if heard.direct and heard.age < self.tolerance:
                    peer.listedAt = now
        return fresh

    @staticmethod
    def _count(peer: Peer, seq: int) -> None:
        step = seq - peer.directSeq if peer.directSeq >= 0 else 1
        if step > 1 and seq < MAX_SEQ:  # the guard's goodbye has the last number there is
            peer.lost += step - 1
        peer.arrivals = ((peer.arrivals << min(step, 20)) | 1) & 0xFFFFF

    def _hearsay(self, heard: Heard, now: float) -> None:
        stamp = (heard.session, heard.seq)
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
        if stamp <= (peer.session, peer.seq):
            return
        if heard.session > peer.session:
            peer.restart(heard.session)
        peer.seq = heard.seq
        peer.at = max(peer.at, now - heard.age)
        peer.tell(heard.groups, now)
        for group in heard.groups:
            if group.claim:
                self._term(group.name, group.claim.term, now)

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
                    peer.received,
                    tuple(
                        [
                            state
                            for state in peer.states.values()
                            if state.role != Role.STANDBY or state.released
                        ]
                    ),
                )
                for peer in self
                if peer.seq >= 0
            ]
        )

    def actives(self, group: str, now: float) -> list[tuple[Peer, Claim]]:
        """The live nodes that are ACTIVE in a group, known directly or by hearsay."""
        found = []
        for peer in self:
            state = peer.states.get(group)
            if (
                state is not None
                and state.role == Role.ACTIVE
                and state.claim is not None
                and now < peer.at + peer.tolerance
            ):
                found.append((peer, state.claim))
        return found

    def agrees(self, peer: Peer) -> bool:
        """Its shared configuration is this node's, as far as is known."""
        return not self.digest or peer.beat is None or peer.beat.digest == self.digest

    def highest(self, group: str) -> tuple[int, float]:
        """The highest term anybody told of, as far as it is believed, and when it was first told here."""
        return self._terms.get(group, (0, float("-inf")))

    def _term(self, group: str, term: int, now: float) -> None:
        known = self.highest(group)[0]
        if term > known:
            self._terms[group] = (follow(known, term), now)
