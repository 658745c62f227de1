"""
What this node tells of itself and of others: what has changed, what others lack, and when.

A change is told at once, and twice more; then in each packet until all nodes with a two-way link have confirmed it.
What exceeds a frame is told once, a frame as often as there is a token, and the others ask for what they lost of it.
Who is confirmed by nobody goes round through all it has.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from math import inf

from hatwist.protocols.native.datagram import Datagram, Header, Listing, Range
from hatwist.protocols.native.layout import MIN_FRAME
from hatwist.protocols.native.state.answering import Answering
from hatwist.protocols.native.state.asking import Asking
from hatwist.protocols.native.state.journal import Journal
from hatwist.protocols.native.state.ledger import Ledger
from hatwist.protocols.native.state.packing import Packing, cut
from hatwist.protocols.native.state.tokens import Tokens

BURST = 2
"""A change that fits a frame is told again so often, a tenth of an interval apart."""
SPACING = 0.1
"""Intervals between these."""
BEHIND = 2.0
"""Tolerances after which a node that confirms nothing more asks by itself."""


class Telling:
    """
    One session of this node. Times are seconds of the local clock.

    @param name, session: of this node.
    @param ledgers: what is known of each other node.
    @param limit: bytes of a datagram at most, without the signature.
    @ivar journal: what is to be told of this node.
    @ivar told: the version through which everything was told at least once.
    """

    def __init__(
        self,
        name: str,
        session: int,
        journal: Journal,
        ledgers: Mapping[str, Ledger],
        interval: float,
        tolerance: float,
        limit: int,
        now: float,
    ) -> None:
        if limit < MIN_FRAME:
            raise ValueError(f"a frame of {limit} bytes: there must be room for {MIN_FRAME}")
        self.journal = journal
        self.told = 0
        self.asking = Asking(interval, ledgers)
        self._answering = Answering(interval)
        self._name = name
        self._session = session
        self._ledgers = ledgers
        self._interval = interval
        self._patience = BEHIND * tolerance
        self._limit = limit
        self._tokens = Tokens(now)
        self._confirmed: dict[str, tuple[int, float, float]] = {}
        self._seen = 0  # the version at the last packet
        self._bursts = 0
        self._burstAt = inf
        self._round = 0

    # What others say

    def confirm(self, by: str, known: int, now: float) -> None:
        """A node knows this one's records through a version. One that is back is waited for anew."""
        before, at, saidAt = self._confirmed.get(by, (-1, now, now))
        if known > before or known >= self.told or now >= saidAt + self._patience / BEHIND:
            at = now
        self._confirmed[by] = (known, at, now)

    def want(self, owner: str, start: int, end: int, now: float) -> None:
        """This node is asked for records of its own, or of another one."""
        self._answering.want(owner, start, min(end, self._known(owner)), now)

    def answered(self, told: Range) -> None:
        """Another node has told this: who asked for it heard that too, or asks again."""
        self._answering.answered(told.owner, told.start, told.end)

    def _known(self, owner: str) -> int:
        """Through which version this node can tell anybody of a node's records."""
        return self.told if owner == self._name else self._ledgers[owner].through

    def begin(self, owner: str) -> None:
        """Another node has a new session: nothing is known of it, and it knows nothing."""
        self.asking.begin(owner)
        self._answering.forget(owner)
        self._confirmed.pop(owner, None)

    # When

    def wordDue(self) -> float:
        """When a whole packet is due, with all nodes heard: something has changed; L{inf}: never."""
        if self.journal.version > self._seen:
            return -inf
        return self._burstAt if self._bursts else inf

    def restDue(self, nodes: Callable[[], tuple[Collection[str], Collection[str]]]) -> float:
        """
        When something else is to be told or asked, without the nodes heard; L{inf}: never.

        @param nodes: gives those with which there is a two-way link, and those that are alive, by whichever way.
        """
        due = self.asking.due(*nodes()) if self.asking.open else inf
        if self._answering.pending or self.told < self.journal.version:
            due = min(due, self._tokens.due)
        return due

    # What

    def compose(
        self,
        header: Header,
        listings: Mapping[str, Listing],
        present: Collection[str],
        live: Collection[str],
        whole: bool,
        now: float,
    ) -> list[Datagram]:
        """
        What leaves now, and is told and asked thereby.

        @param header: of the first datagram; the others count on from its C{seq}.
        @param listings: every node that is known of, by name.
        @param present: the nodes with which there is a two-way link; C{live}: those that are alive, by whichever way.
        @param whole: all nodes heard are told of.
        """
        self._tokens.fill(now, len(live) + 1)
        packing = Packing(self._limit, header, listings)
        if whole:
            packing.heard()
        for want in self.asking.wants(now, present, live):
            packing.want(want)
        self._tellOwn(packing, present, whole, now)
        self._answer(packing, listings, now)
        return packing.datagrams()

    def _tellOwn(self, packing: Packing, present: Collection[str], whole: bool, now: float) -> None:
        version, told = self.journal.version, self.told
        fresh = version > self._seen
        self._seen = version
        burst = self._bursts > 0 and now >= self._burstAt
        if burst:
            self._bursts -= 1
            self._burstAt = now + SPACING * self._interval
        base = self._base(present, now)
        # Does all that somebody may lack fit one frame?
        _, end, _size = cut(
            self.journal.records.between(base, version),
            base,
            version,
            packing.frame(self._name),
            False,
        )
        if end == version and base < version:
            if told < version or burst or whole:
                self._tell(packing, self._name, base, version, now, fresh)
                if fresh:
                    self._bursts, self._burstAt = BURST, now + SPACING * self._interval
        else:
            if told < version:
                self._tell(packing, self._name, told, version, now, fresh)
            if whole and base < self.told and not self._answering.fresh(self._name, base, end, now):
                self._tell(packing, self._name, base, min(end, self.told), now)
        if whole and not present and version and told == version:
            self._round = self._round if self._round < version else 0
            self._round = self._tell(packing, self._name, self._round, version, now, frames=1)

    def _base(self, present: Collection[str], now: float) -> int:
        """Through which version all have confirmed that are still waited for."""
        base = self.told
        for name in present:
            known, at, _ = self._confirmed.get(name, (0, now, now))
            if known < base and now < at + self._patience:
                base = known
        return base

    def _answer(self, packing: Packing, listings: Collection[str], now: float) -> None:
        while (wanted := self._answering.next()) is not None:
            owner, start, end = wanted
            end = min(end, self._known(owner))  # it may have been forgotten since
            if start >= end or (owner != self._name and owner not in listings):
                self._answering.forget(owner)
            elif self._tell(packing, owner, start, end, now) < end:
                return

    def _tell(
        self,
        packing: Packing,
        owner: str,
        start: int,
        end: int,
        now: float,
        overdraw: bool = False,
        frames: int = 0xFFFF,
    ) -> int:
        """
        Tell as much of (start, end] as there are tokens for.

        @param overdraw: of the first frame, that there is none for.
        @param frames: at most.
        @return: through which version it was told.
        """
        relayed = owner != self._name
        if relayed:
            ledger = self._ledgers[owner]
            session, newest, records = ledger.session, ledger.newest, ledger.records
        else:
            session, newest, records = self._session, self.journal.version, self.journal.records
        while start < end and frames > 0:
            frame = packing.frame(owner)
            _, through, size = cut(records.between(start, end), start, end, frame, relayed)
            room = packing.room(owner, size if through == end else frame)
            chosen, through, size = cut(records.between(start, end), start, end, room, relayed)
            if packing.begins(owner, size) and not self._tokens.take(overdraw):
                break
            overdraw = False
            frames -= 1
            packing.range(Range(owner, session, start, through, newest, chosen), size)
            self._answering.told(owner, start, through, now)
            if not relayed:
                self.told = max(self.told, through)
            start = through
        return start
