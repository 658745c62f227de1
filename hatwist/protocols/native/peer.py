"""
What is known of one other node: whether it is alive, by which way that is known, and what it says of each group.

A fact about a node is ordered by its stamp, the pair (session, seq): what is not newer than the known fact changes
nothing, whichever way it came. Who tells by hearsay may lack a group: so the word on each group has a stamp of its own.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from hatwist.core.claims import Role
from hatwist.core.worth import Worth
from hatwist.protocols.native.heartbeat import MAX_SEQ, GroupState, HeardGroup, Heartbeat

_UNTOLD = HeardGroup("", Role.STANDBY)
"""What a node is taken for in a group of which it said nothing."""
_ALL = 0xFFFFF
"""A bit for each of 20 packets that have arrived."""


class Word(NamedTuple):
    """
    The newest word on one group of one node.

    @ivar seq: of the packet in which that node said so; -1: no word of this session.
    @ivar at: when it was true, in seconds of the local clock.
    """

    seq: int
    at: float
    state: HeardGroup


class Reception:
    """
    Which packets of a node arrive here.

    @ivar links: when one last came on each link.
    @ivar lost: how many were missing when a later one came.
    """

    def __init__(self) -> None:
        self.links: dict[str, float] = {}
        self.lost = 0
        self._arrivals = _ALL

    def restart(self) -> None:
        self._arrivals = _ALL

    def count(self, seq: int, before: int) -> None:
        """@param before: the newest one until now; -1: this is the first."""
        step = seq - before if before >= 0 else 1
        if step > 1 and seq < MAX_SEQ:  # the guard's goodbye has the last number there is
            self.lost += step - 1
        self._arrivals = ((self._arrivals << min(step, 20)) | 1) & _ALL

    @property
    def ofLast20(self) -> int:
        """How many of its last 20 packets arrived."""
        return self._arrivals.bit_count()


class Peer:
    """
    Everything known of one other node. Times are seconds of the local clock.

    @ivar at: when the newest word of it was true, directly or by hearsay.
    @ivar directAt: when its own newest packet arrived; C{-inf}: never in this session.
    @ivar directSince: since when they have arrived without a gap of a tolerance.
    @ivar beat: that packet, or C{None}; see L{announced}.
    @ivar listedAt: when it last said that it receives this node directly; C{-inf}: never.
    @ivar listedSeq: the newest packet of this node that it knew of then, by any path; -1: none.
    @ivar receivedOfMine: how many of this node's last 20 packets it said it received.
    @ivar deafSince: hearsay says that it receives nobody, since then; C{None}: no such word.
    @ivar words: the newest word on each group of which it said something.
    @ivar complete: no word on a group of this node is older than C{seq}.
    """

    def __init__(self, name: str, session: int, tolerance: float) -> None:
        self.name = name
        self.tolerance = tolerance
        self.reception = Reception()
        self.releases: dict[str, tuple[int, float]] = {}
        self.restart(session)

    def restart(self, session: int) -> None:
        self.session = session
        self.seq = -1
        self.at = float("-inf")
        self.directAt = self.directSince = float("-inf")
        self.directSeq = -1
        self.beat: Heartbeat | None = None
        self._said: dict[str, GroupState] = {}
        self.listedAt = float("-inf")
        self.listedSeq = -1
        self.receivedOfMine = 20
        self.reception.restart()
        self.deafSince: float | None = None
        self.words: dict[str, Word] = {}
        self._others = Word(-1, float("-inf"), _UNTOLD)  # the word on all other groups
        self.complete = False
        self._left = False

    def __repr__(self) -> str:
        return f"<Peer {self.name} session {self.session} seq {self.seq} at {self.at:.6f}>"

    def left(self) -> bool:
        """It said goodbye."""
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

    def arrived(self, beat: Heartbeat, now: float) -> None:
        """Its own packet has come, with a greater number than any before."""
        self.reception.count(beat.seq, self.directSeq)
        if not self.direct(now):
            self.directSince = now
        self.directAt, self.directSeq = now, beat.seq
        self.beat, self.tolerance = beat, beat.tolerance
        self._said = {state.name: state for state in beat.groups}
        self.deafSince = None
        if beat.seq >= self.seq:
            self.heard(beat.seq, now, beat.leaving)
            self.complete = True

    def heard(self, seq: int, at: float, left: bool) -> None:
        """There is newer word of it than any before, by whichever way."""
        self.seq, self.at, self._left = seq, max(self.at, at), left

    def tell(self, states: Iterable[HeardGroup], seq: int, now: float) -> None:
        """Its own word on all that it has."""
        self.words = {name: word for name, word in self.words.items() if word.seq > seq}
        self._others = Word(seq, now, _UNTOLD)
        for state in states:
            self.learn(Word(seq, now, state), now)

    def learn(self, word: Word, now: float) -> None:
        """Word on one group; what is not newer changes nothing."""
        name, released = word.state.name, word.state.released
        known = self.words.get(name)
        if known is not None and word.seq <= known.seq:
            return
        self.words[name] = word
        if released and self.releases.get(name, (0, 0.0))[0] != released.term:
            self.releases[name] = (released.term, now)

    def word(self, group: str) -> Word:
        """The newest word on a group; of one that it does not have: that it holds nothing."""
        return self.words.get(group, self._others)

    def state(self, group: str) -> HeardGroup:
        """What it is in a group, by the newest word."""
        return self.word(group).state

    def announced(self, group: str) -> GroupState | None:
        """Its own newest word on a group, or C{None}."""
        return self._said.get(group)

    def worth(self, state: GroupState) -> Worth:
        assert self.beat is not None
        return Worth(state.fitness, state.priority, self.beat.address, self.name)
