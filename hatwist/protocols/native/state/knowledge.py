"""All that one node knows of groups, its own and those of the others, and what it tells of them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import NamedTuple

from hatwist.protocols.native.datagram import MAX_SEQ, Datagram, Header, Listing
from hatwist.protocols.native.state.journal import Journal
from hatwist.protocols.native.state.ledger import Ledger
from hatwist.protocols.native.state.telling import Telling


class News(NamedTuple):
    """
    What a datagram has changed.

    @ivar late: later packets of its sender have come before: nothing but its records counts.
    @ivar groups: of which groups of which nodes something new is known.
    @ivar turned: the nodes of which everything is known now, or is not any more: that means something else for each
        group without a record.
    @ivar ahead: this node is known by more than it ever said in this session: it was restored from a snapshot,
        perhaps. It lets go, and takes a new session.
    """

    late: bool
    groups: Mapping[str, Collection[str]]
    turned: Collection[str]
    ahead: bool


OLD = News(True, {}, (), False)
"""Of an earlier session."""


class Knowledge:
    """
    Who is alive, and by which way, is the business of others. They tell of each session, see L{begin}, before they hand
    in the datagram that has it.

    @param limit: bytes of a datagram at most, without the signature.
    @ivar seq: the number of its newest datagram; it counts on from session to session.
    @ivar ledgers: what is known of each other node.
    @ivar journal: what this node is.
    @ivar telling: what it tells.
    """

    def __init__(
        self, name: str, session: int, interval: float, tolerance: float, limit: int, now: float
    ) -> None:
        self.name = name
        self.ledgers: dict[str, Ledger] = {}
        self.seq = 0
        self._interval, self._tolerance, self._limit = interval, tolerance, limit
        self.renew(session, now)

    def renew(self, session: int, now: float) -> None:
        """This node has a new session, which has no groups yet."""
        self.session = session
        self.journal = Journal()
        self.telling = Telling(
            self.name,
            session,
            self.journal,
            self.ledgers,
            self._interval,
            self._tolerance,
            self._limit,
            now,
        )

    def begin(self, name: str, session: int, tolerance: float, now: float) -> None:
        """A node is known, or has a new session: nothing is known of its groups."""
        self.ledgers[name] = Ledger(session, 2 * tolerance, now)
        self.telling.begin(name)

    def forget(self, name: str) -> None:
        """A node is not known any more."""
        del self.ledgers[name]
        self.telling.begin(name)

    # What comes in

    def receive(self, datagram: Datagram, now: float) -> News:
        """
        Take in what a datagram says of groups.

        @raise BadPacket: its version cannot be, see L{Ledger.arrived}.
        """
        header, heard, wants, ranges = datagram
        sender = header.name
        ledger = self.ledgers[sender]
        if header.session != ledger.session:
            return OLD
        if header.leaving:
            return News(False, {sender: self._goodbye(ledger, datagram, now)}, (), False)
        touched = {sender: ledger.complete}
        groups: dict[str, set[str]] = {}
        seq = ledger.arrived(header.seq, header.version, header.claims, now)
        for told in ranges:
            owner = self.ledgers.get(told.owner)
            if owner is not None and told.session == owner.session:
                touched.setdefault(told.owner, owner.complete)
                changed = owner.take(told, seq if owner is ledger else -1, now)
                groups.setdefault(told.owner, set()).update(changed)
                self.telling.answered(told)
        ahead = False
        if seq >= 0:
            groups.setdefault(sender, set()).update(ledger.check(seq, header.sum, now))
            for listing in heard:
                if listing.name == self.name:
                    ahead = self._confirmed(sender, listing, now)
                else:
                    self._heard(sender, listing, touched, now)
            for want in wants:
                if want.teller == self.name:
                    self._want(want.owner, want.session, want.start, want.end, now)
        turned = []
        for name, before in touched.items():
            self.telling.asking.look(name)
            if self.ledgers[name].complete is not before:
                turned.append(name)
        return News(seq < 0, {name: told for name, told in groups.items() if told}, turned, ahead)

    def _goodbye(self, ledger: Ledger, datagram: Datagram, now: float) -> set[str]:
        """Nothing counts but what it released last: that names who is to follow."""
        changed: set[str] = set()
        for told in datagram.ranges:
            if told.owner == datagram.header.name:
                changed |= ledger.take(told, -1, now)
        ledger.leave(datagram.header.seq, now)
        return changed

    def _confirmed(self, by: str, listing: Listing, now: float) -> bool:
        """What another node has heard of this one. Is it more than was said?"""
        if listing.session != self.session:
            return False
        highest = max(listing.known, listing.version)
        if listing.seq > self.seq or highest > self.journal.version:
            return not listing.left
        self.telling.confirm(by, listing.known, now)
        return False

    def _heard(self, by: str, listing: Listing, touched: dict[str, bool], now: float) -> None:
        ledger = self.ledgers.get(listing.name)
        if ledger is None or ledger.session != listing.session:
            return
        if listing.seq <= ledger.stated.seq and listing.known <= ledger.through:
            return
        touched.setdefault(listing.name, ledger.complete)
        if listing.left:
            ledger.leave(listing.seq, now - listing.age)
            return
        # First what is newer: else everything would seem to be known for a moment, as of what is not.
        ledger.mention(listing.known, now)
        ledger.date(listing.seq, listing.version, listing.claims, now - listing.age, now)
        self.telling.asking.shows(by, listing.name, listing.known)

    def _want(self, owner: str, session: int, start: int, end: int, now: float) -> None:
        if owner == self.name:
            known = session == self.session
        else:
            ledger = self.ledgers.get(owner)
            known = ledger is not None and session == ledger.session
        if known:
            self.telling.want(owner, start, end, now)

    # What goes out

    def _header(self, plain: Header) -> Header:
        """The header of the next datagram, of which the rest is given."""
        return plain._replace(
            session=self.session,
            seq=self.seq + 1,
            version=self.journal.version,
            sum=self.journal.records.sum,
            claims=self.journal.claims,
        )

    def farewell(self, plain: Header) -> Datagram:
        """
        The goodbye that the guard says for this node, the same as long as the session is.

        Its number is the last there can be: this session is dead to everybody who hears it.
        """
        return Datagram(
            plain._replace(
                session=self.session,
                seq=MAX_SEQ,
                leaving=True,
                eligible=False,
                listening=False,
                drained=False,
                witnessed=False,
            )
        )

    def listing(
        self,
        name: str,
        now: float,
        *,
        direct: bool,
        lists: bool,
        named: bool,
        lapses: int,
        received: int,
    ) -> Listing:
        """What to tell of another node; what its groups are known by goes with it."""
        ledger = self.ledgers[name]
        seq, version, at = ledger.stated
        return Listing(
            name,
            ledger.session,
            seq,
            now - at,
            direct,
            lists,
            ledger.left,
            named,
            ledger.directSeq,
            lapses,
            received,
            version,
            ledger.claims,
            ledger.through,
        )

    def compose(
        self,
        plain: Header,
        listings: Mapping[str, Listing],
        present: Collection[str],
        live: Collection[str],
        whole: bool,
        now: float,
    ) -> list[Datagram]:
        """What leaves now, see L{Telling.compose}; each datagram has a number of its own."""
        header = self._header(plain)
        datagrams = self.telling.compose(header, listings, present, live, whole, now)
        self.seq += len(datagrams)
        return datagrams
