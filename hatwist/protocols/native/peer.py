"""
What is known of one other node: whether it is alive, by which way that is known, and what it says of each group.

A fact about a node is ordered by its stamp, the pair (session, seq): what is not newer than the known fact changes
nothing, whichever way it came. What is known of its groups: see L{hatwist.protocols.native.state.ledger}.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from math import inf

from hatwist.core.agenda import Agenda
from hatwist.core.worth import NO_ADDRESS, Fitness, Worth
from hatwist.protocols.native.datagram import MAX_SEQ, GroupState, Header, Range
from hatwist.protocols.native.state.ledger import Ledger
from hatwist.protocols.native.words import Words

_ALL = 0xFFFFF
"""A bit for each of 20 packets that have arrived."""


class Reception:
    """
    Which packets of a node arrive here.

    @ivar links: when one last came on each link.
    @ivar lost: how many were missing when a later one came.
    @ivar lapses: how often they came again after a tolerance without any.
    """

    def __init__(self) -> None:
        self.links: dict[str, float] = {}
        self.lost = self.lapses = 0
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
    @param ledger: of its session.
    @ivar ledger: what is known of its groups, in its present session.
    @ivar lastWord: when the newest word of it was true, directly or by hearsay.
    @ivar lastKnown: when the newest word was true as of which all its groups are known.
    @ivar lastPacket: when its own newest packet of this session arrived.
    @ivar lastListed: when it last said that it receives this node directly.
    @ivar directSince: since when its packets have arrived without a gap of a tolerance.
    @ivar header: what its own newest packet said once for all groups; C{None}: there was none.
    @ivar listedSeq: the newest packet of this node that it knew of then, by any path; -1: none.
    @ivar reachedAt: when the newest packet of this node left that it says it received itself; C{-inf}: none.
    @ivar receivedOfMine: how many of this node's last 20 packets it said it received.
    @ivar lapses: how often it said that this node's packets came again after a tolerance, modulo 256; -1: it has not.
    @ivar lapsedSeq: its first packet that said so.
    @ivar named: of which nodes it said that they have named its start, by their session.
    @ivar deafSince: hearsay says that it receives nobody, since then; C{None}: no such word.
    @ivar words: what follows from its records.
    """

    def __init__(self, name: str, tolerance: float, agenda: Agenda, ledger: Ledger) -> None:
        self.name = name
        self.tolerance = tolerance
        self.reception = Reception()
        self.lastWord, self.lastKnown, self.lastPacket, self.lastListed = [
            agenda.pulse() for _ in range(4)
        ]
        self.words = Words()
        self._waiting: set[str] = set()
        self._waitedAs: tuple[object, ...] = ()
        self.restart(ledger)

    def restart(self, ledger: Ledger) -> None:
        """It has a new session."""
        self.ledger = ledger
        for pulse in (self.lastWord, self.lastKnown, self.lastPacket, self.lastListed):
            pulse.forget()
        self.directSince = -inf
        self.header: Header | None = None
        self.listedSeq = self.lapses = self.lapsedSeq = -1
        self.reachedAt = -inf
        self.receivedOfMine = 20
        self.named: dict[str, int] = {}
        self.reception.restart()
        self.deafSince: float | None = None
        self.words.restart()
        self._waiting.clear()

    def __repr__(self) -> str:
        return f"<Peer {self.name} session {self.session} seq {self.seq} at {self.at:.6f}>"

    @property
    def session(self) -> int:
        return self.ledger.session

    @property
    def seq(self) -> int:
        """The number of its newest packet that is known of, by whichever way; -1: none."""
        return self.ledger.stated.seq

    @property
    def at(self) -> float:
        return self.lastWord.at

    @property
    def directAt(self) -> float:
        return self.lastPacket.at

    def left(self) -> bool:
        """It said goodbye."""
        return self.ledger.left

    def alive(self, now: float) -> bool:
        # As deadlines are computed: at that very moment it is over, whatever the rounding.
        return now < self.lastWord.at + self.tolerance and not self.ledger.left

    def direct(self, now: float) -> bool:
        """Its own packets arrive here."""
        return now < self.lastPacket.at + self.tolerance and not self.ledger.left

    def twoWay(self, now: float) -> bool:
        """It receives this node's packets, and this node its."""
        return now < self.twoWayUntil

    @property
    def twoWayUntil(self) -> float:
        """When that is over unless it is heard again; C{-inf}: it said goodbye."""
        packet, listed = self.lastPacket.at, self.lastListed.at
        last = packet if packet < listed else listed
        return -inf if self.ledger.left else last + self.tolerance

    def lists(self, now: float) -> bool:
        """It said of late that it receives this node."""
        return now < self.lastListed.at + self.tolerance

    def arrived(self, header: Header, before: int, back: bool, now: float) -> None:
        """
        Its own packet has come, with a greater number than any before.

        @param before: the one before it; -1: none.
        @param back: for a tolerance there was none.
        """
        self.reception.count(header.seq, before)
        if back:
            self.directSince = now
            self.reception.lapses += before >= 0
        self.header, self.tolerance = header, header.tolerance
        self.lastPacket.renew(now, now)
        self.deafSince = None

    def awaitedBy(self, group: str) -> None:
        """A group is to be decided once more is known of this node, in the group or in all of them."""
        if not self._waiting:
            self._waitedAs = self.ledger.standing
        self._waiting.add(group)

    def known(self, ranges: Iterable[Range]) -> Collection[str]:
        """The groups that have waited for what is known now: ranges have come, whosever."""
        if not self._waiting:
            return ()
        if self.ledger.standing != self._waitedAs:
            found, self._waiting = self._waiting, set()
            return found
        told = {
            record.name for each in ranges if each.owner == self.name for record in each.records
        }
        found = self._waiting & told
        self._waiting -= found
        return found

    def heard(self, now: float) -> None:
        """There may be newer word of it, by whichever way."""
        ledger = self.ledger
        if ledger.stated.at > self.lastWord.at:
            self.lastWord.renew(ledger.stated.at, now)
        if ledger.settled.at > self.lastKnown.at:
            self.lastKnown.renew(ledger.settled.at, now)

    def state(self, group: str) -> GroupState | None:
        """
        What it is in a group, by the newest word; C{None}: it does not have it, or nothing is known.

        What its newest packet said once for all groups counts as well: so that holds at once for every group.
        """
        state, header = self.ledger.of(group), self.header
        if state is None or header is None:
            return state
        eligible = state.eligible and header.eligible
        fitness, listening = state.fitness, state.listening and header.listening
        if header.drained and fitness > Fitness.UNFIT:
            fitness, eligible = Fitness.UNFIT, False
        witnessed = state.witnessed and header.witnessed
        if (eligible, listening, fitness, witnessed) == (
            state.eligible,
            state.listening,
            state.fitness,
            state.witnessed,
        ):
            return state
        return state._replace(
            eligible=eligible, listening=listening, fitness=fitness, witnessed=witnessed
        )

    def worth(self, state: GroupState) -> Worth:
        """What it is worth; a node that is known by hearsay only tells its address by its claim."""
        address = self.header.address if self.header is not None else NO_ADDRESS
        if self.header is None and state.claim is not None:
            address = state.claim.worth.address
        return Worth(state.fitness, state.priority, address, self.name)
