"""Who is told of which events of the kernel: by a look into a table, however many there are."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from itertools import count

from twisted.logger import Logger

from hatwist.linux.netlink.messages import (
    Address,
    AddressChange,
    Event,
    EventsLost,
    KernelLink,
    LinkChange,
)

About = Address | str | int
"""An address, or an interface by its name or index."""
LINKS = ""
"""Every interface."""
_EVERYTHING = None

Subscriber = Callable[[Sequence[Event]], None]


class Subscribers:
    """Those of one source of events."""

    _log = Logger()

    def __init__(self) -> None:
        self._numbers = count()
        self._known: dict[int, Subscriber] = {}
        self._about: dict[About | None, set[int]] = {}
        self._names: dict[int, str] = {}  # what each interface was called last

    def add(self, subscriber: Subscriber, about: Collection[About] | None) -> Callable[[], None]:
        """See L{hatwist.linux.interfaces.INetlink.subscribe}."""
        number = next(self._numbers)
        self._known[number] = subscriber
        topics = [_EVERYTHING] if about is None else list(about)
        for topic in topics:
            self._about.setdefault(topic, set()).add(number)

        def end() -> None:
            if self._known.pop(number, None) is None:
                return
            for topic in topics:
                interested = self._about.get(topic, set())
                interested.discard(number)
                if not interested:
                    self._about.pop(topic, None)

        return end

    def learn(self, links: Iterable[KernelLink]) -> None:
        """These interfaces are there now."""
        self._names.update((link.ifindex, link.name) for link in links)

    def tell(self, events: Sequence[Event]) -> None:
        """Tell each subscriber of those that concern it, in their order; the first to subscribe is the first told."""
        told: dict[int, list[Event]] = {}
        for event in events:
            for number in self._concerned(event):
                told.setdefault(number, []).append(event)
        for number in sorted(told):
            subscriber = self._known.get(number)
            if subscriber is None:  # it has ended meanwhile
                continue
            try:
                subscriber(told[number])
            except Exception:
                self._log.failure("a subscriber to kernel events failed")

    def _concerned(self, event: Event) -> Collection[int]:
        if isinstance(event, EventsLost):
            return tuple(self._known)
        found: set[int] = set()
        for topic in self._topics(event):
            found |= self._about.get(topic, set())
        return found

    def _topics(self, event: AddressChange | LinkChange) -> Iterator[About | None]:
        yield _EVERYTHING
        if isinstance(event, AddressChange):
            yield event.entry.address
            return
        link = event.link
        yield from (LINKS, link.ifindex, link.name)
        if (before := self._names.get(link.ifindex)) is not None:
            yield before
        if event.present:
            self._names[link.ifindex] = link.name
        else:
            self._names.pop(link.ifindex, None)
