"""
What is known of one other node: whether it is alive, by which way that is known, and what it says of each group.

A fact about a node is ordered by its stamp, the pair (session, seq): what is not newer than the known fact changes
nothing, whichever way it came. Who tells by hearsay may lack a group: so the word on each group has a stamp of its own.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from math import inf

from hatwist.core.agenda import Agenda
from hatwist.core.worth import Worth
from hatwist.protocols.native.heartbeat import MAX_SEQ, GroupState, HeardGroup, Heartbeat
from hatwist.protocols.native.words import Word, Words

_ALL = 0xFFFFF
"""A bit for each of 20 packets that have arrived."""


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

    @param agenda: which groups are to be decided when it is too long ago that something was heard.
    @param groups: those of this node.
    @ivar lastWord: when the newest word of it was true, directly or by hearsay.
    @ivar lastPacket: when its own newest packet of this session arrived.
    @ivar lastListed: when it last said that it receives this node directly.
    @ivar directSince: since when its packets have arrived without a gap of a tolerance.
    @ivar beat: its own newest packet, or C{None}; see L{announced}.
    @ivar listedSeq: the newest packet of this node that it knew of then, by any path; -1: none.
    @ivar reachedAt: when the newest packet of this node left that it says it received itself; C{-inf}: none.
    @ivar receivedOfMine: how many of this node's last 20 packets it said it received.
    @ivar deafSince: hearsay says that it receives nobody, since then; C{None}: no such word.
    @ivar words: on the groups.
    """

    def __init__(
        self, name: str, session: int, tolerance: float, agenda: Agenda, groups: Iterable[str]
    ) -> None:
        self.name = name
        self.tolerance = tolerance
        self.reception = Reception()
        self.lastWord, self.lastPacket, self.lastListed = [agenda.pulse() for _ in range(3)]
        self.words = Words()
        self.restart(session, groups)

    def restart(self, session: int, groups: Iterable[str]) -> None:
        self.session = session
        self.seq = -1
        for pulse in (self.lastWord, self.lastPacket, self.lastListed):
            pulse.forget()
        self.directSince = -inf
        self.directSeq = -1
        self.beat: Heartbeat | None = None
        self.listedSeq = -1
        self.reachedAt = -inf
        self.receivedOfMine = 20
        self.reception.restart()
        self.deafSince: float | None = None
        self.words.restart(groups)
        self._left = False

    def __repr__(self) -> str:
        return f"<Peer {self.name} session {self.session} seq {self.seq} at {self.at:.6f}>"

    @property
    def at(self) -> float:
        return self.lastWord.at

    @property
    def directAt(self) -> float:
        return self.lastPacket.at

    @property
    def complete(self) -> bool:
        """No word on a group of this node is older than C{seq}."""
        return not self.words.stale

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
        """It receives this node's packets, and this node its."""
        return now < self.twoWayUntil

    @property
    def twoWayUntil(self) -> float:
        """When that is over unless it is heard again; C{-inf}: it said goodbye."""
        return -inf if self._left else min(self.directAt, self.lastListed.at) + self.tolerance

    def lists(self, now: float) -> bool:
        """It said of late that it receives this node."""
        return now < self.lastListed.at + self.tolerance

    def arrived(self, beat: Heartbeat, changed: Collection[str], now: float) -> None:
        """
        Its own packet has come, with a greater number than any before.

        @param changed: of which groups it says anything new, see L{Words.changes}.
        """
        self.reception.count(beat.seq, self.directSeq)
        if not self.direct(now):
            self.directSince = now
        self.directSeq = beat.seq
        self.beat, self.tolerance = beat, beat.tolerance
        self.lastPacket.renew(now, now)
        self.deafSince = None
        if beat.seq >= self.seq:
            self.heard(beat.seq, now, beat.leaving, now)
            self.words.announce(beat.groups, changed, now)

    def heard(self, seq: int, at: float, left: bool, now: float) -> None:
        """There is newer word of it than any before, by whichever way."""
        self.seq, self._left = seq, left
        self.lastWord.renew(max(self.at, at), now)

    def asOf(self, group: str) -> tuple[int, float]:
        """As of which of its packets, and of when, the word on a group of this node is."""
        return self.words.stale.get(group) or (self.seq, self.at)

    def word(self, group: str) -> Word:
        """The newest word on a group; of one that it does not have: that it holds nothing."""
        return Word(*self.asOf(group), self.state(group))

    def state(self, group: str) -> HeardGroup:
        """What it is in a group, by the newest word."""
        return self.words.state(group)

    def announced(self, group: str) -> GroupState | None:
        """Its own newest word on a group, or C{None}."""
        return self.words.said.get(group)

    def worth(self, state: GroupState) -> Worth:
        assert self.beat is not None
        return Worth(state.fitness, state.priority, self.beat.address, self.name)
