"""Nodes heard, wants and ranges, put into as few datagrams as hold them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from hatwist.protocols.native.datagram import (
    Datagram,
    GroupRecord,
    Header,
    Listing,
    Range,
    Want,
)
from hatwist.protocols.native.encoding import listingSize, recordSize
from hatwist.protocols.native.layout import MIN_SIZE, MOST, RANGE, WANT, reasonBytes

FAR = (1 << 32) - 1
"""How far a record may be from the beginning of its range."""
AMPLE = 720
"""Bytes that hold a range with the longest record there can be: one that must be cut begins where there are so many."""


class _Draft:
    """One datagram, as far as it is filled."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.heard: dict[str, Listing] = {}
        self.wants: list[Want] = []
        self.ranges: list[Range] = []

    def lacks(self, listings: Iterable[Listing]) -> list[Listing]:
        return [listing for listing in listings if listing.name not in self.heard]

    def list(self, listings: Iterable[Listing]) -> None:
        for listing in listings:
            self.heard[listing.name] = listing
            self.room -= listingSize(listing)

    def holds(self, new: Iterable[Listing], size: int) -> bool:
        """Is there room for so many bytes, and for what else they need to be listed?"""
        listed = list(new)
        fits = sum(map(listingSize, listed)) + size <= self.room
        return fits and len(self.heard) + len(listed) <= MOST


class Packing:
    """
    @param limit: bytes of a datagram at most, signature not included.
    @param header: of the first datagram; the next ones count on from its C{seq}.
    @param listings: the nodes that may be referred to.
    """

    def __init__(self, limit: int, header: Header, listings: Mapping[str, Listing]) -> None:
        self._header = header
        self._listings = listings
        self._room = limit - MIN_SIZE - len(header.name) + 1
        self._drafts: list[_Draft] = []

    def heard(self) -> None:
        """Tell of all nodes."""
        draft = self._last()
        for listing in self._listings.values():
            if not draft.holds((listing,), 0):
                draft = self._new()
            draft.list((listing,))

    def want(self, want: Want) -> None:
        """Ask, where those who are named are listed already, or fit in."""
        named = [self._listings[name] for name in dict.fromkeys((want.owner, want.teller))]
        place = None
        for draft in self._drafts:
            if len(draft.wants) < MOST and draft.holds(draft.lacks(named), WANT.size):
                if place is None or not draft.lacks(named):
                    place = draft
        draft = place or self._new()
        draft.list(draft.lacks(named))
        draft.wants.append(want)
        draft.room -= WANT.size

    def begins(self, owner: str, size: int) -> bool:
        """Would a range of so many bytes be the first one of its datagram?"""
        draft = self._drafts[-1] if self._drafts else None
        return draft is None or not draft.ranges or not self._fits(draft, owner, size)

    def range(self, told: Range, size: int) -> None:
        """Tell records, of which L{cut} has said how many bytes they are."""
        draft = self._last()
        if not self._fits(draft, told.owner, size):
            draft = self._new()
        draft.list(draft.lacks(self._owner(told.owner)))
        draft.ranges.append(told)
        draft.room -= size

    def frame(self, owner: str) -> int:
        """How many bytes a range may have in a datagram of its own."""
        return self._room - sum(map(listingSize, self._owner(owner)))

    def room(self, owner: str, size: int) -> int:
        """
        How many bytes a range may have where the next one goes.

        @param size: what it needs; that of a L{frame}, if it is more.
        """
        frame = self.frame(owner)
        if not self._drafts:
            return frame
        draft = self._drafts[-1]
        left = draft.room - sum(map(listingSize, draft.lacks(self._owner(owner))))
        return left if left >= size or (size == frame and left >= AMPLE) else frame

    def datagrams(self) -> list[Datagram]:
        """What was put together."""
        header = self._header
        return [
            Datagram(
                header._replace(seq=header.seq + at) if at else header,
                tuple(draft.heard.values()),
                tuple(draft.wants),
                tuple(draft.ranges),
            )
            for at, draft in enumerate(self._drafts)
        ]

    def _owner(self, owner: str) -> list[Listing]:
        return [] if owner == self._header.name else [self._listings[owner]]

    def _fits(self, draft: _Draft, owner: str, size: int) -> bool:
        return len(draft.ranges) < MOST and draft.holds(draft.lacks(self._owner(owner)), size)

    def _last(self) -> _Draft:
        return self._drafts[-1] if self._drafts else self._new()

    def _new(self) -> _Draft:
        self._drafts.append(_Draft(self._room))
        return self._drafts[-1]


def cut(
    records: Iterator[GroupRecord], start: int, end: int, room: int, relayed: bool
) -> tuple[tuple[GroupRecord, ...], int, int]:
    """
    As many records as there is room for.

    @param records: those in (start, end].
    @param room: bytes for the whole range.
    @return: the records, through which version they are all there are, and how many bytes the range has.
    """
    size = RANGE.size
    chosen: list[GroupRecord] = []
    texts: set[str] = set()
    for record in records:
        name, version, state = record
        needs = recordSize(name, state, relayed)
        if state is not None and state.reason and state.reason not in texts:
            needs += 1 + len(reasonBytes(state.reason))
        if size + needs > room or version - start > FAR or len(texts) >= MOST:
            return tuple(chosen), version - 1, size
        if state is not None and state.reason:
            texts.add(state.reason)
        chosen.append(record)
        size += needs
    return tuple(chosen), end, size
