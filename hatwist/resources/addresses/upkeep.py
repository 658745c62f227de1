"""Shared addresses while they are held: restored when they go, renewed, announced, or lost."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import inf
from typing import TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from hatwist.linux.interfaces import INetlink, ISender
from hatwist.linux.netlink.messages import (
    AddressChange,
    Event,
    EventsLost,
    KernelLink,
    LinkChange,
    lasting,
)
from hatwist.resources.addresses.announcing import Announcer
from hatwist.resources.addresses.places import Key, Places
from hatwist.resources.addresses.placing import Placement, keyOf
from hatwist.resources.addresses.removing import asked, explained

# Who deletes an address more often than this in a second will not stop: the address is lost then.
FIGHT = 20
RAN_OUT = "its lease ran out"
_T = TypeVar("_T")


class HeldAddresses:
    """
    A batch of addresses, of which L{hatwist.resources.addresses.batch.Addresses} says when it is held.

    @ivar lease: seconds that the kernel keeps them unless L{renew} is called; C{None}: for ever.
    @ivar margin: seconds by which a lease ends before C{until}, whatever is asked for; C{None}: there is no
        room for that, and it ends when it ends.
    """

    _log = Logger()
    name = ""

    def __init__(
        self,
        reactor: IReactorTime,
        netlink: INetlink,
        openSender: Callable[[KernelLink], ISender],
        lease: int | None,
        until: Callable[[], float],
    ) -> None:
        self._reactor = reactor
        self._netlink = netlink
        self._places = Places(reactor, netlink, openSender)
        self.lease = lease
        self.margin: float | None = None
        self._until = until
        self._leased = inf  # when the lease ends that was last asked for
        self._waiter: IDelayedCall | None = None
        self._held = False
        self._missing: set[Key] = set()
        self._doubt = False
        self._restorer: IDelayedCall | None = None
        self._restored: dict[Key, tuple[float, int]] = {}
        self._announcer = Announcer(
            reactor, lambda: self._places.announcements(self._missing), self._mayBeHere
        )
        self._unsubscribe: Callable[[], None] | None = None
        self._lost: Callable[[str], None] | None = None

    def watch(self, lost: Callable[[str], None]) -> None:
        """See L{hatwist.resources.interfaces.IResource.watch}."""
        self._lost = lost

    @property
    def announced(self) -> int:
        """How many frames told the LAN where they are."""
        return self._announcer.sent

    def announce(self) -> None:
        """See L{hatwist.resources.interfaces.IAnnouncer.announce}."""
        if self._held:
            self._announcer.start()

    def renew(self, seconds: int) -> Deferred[None]:
        """
        From now on the kernel keeps them for C{seconds}, at least 1. Not held, or without a lease: does nothing.

        Fires when that is so or they are lost; never fails. What had gone is added again. After the
        time until which they may be here nothing is renewed: they are lost.
        """
        if seconds < 1:
            raise ValueError(f"a lease of {seconds} s: the kernel counts whole seconds from 1")
        renewing = Deferred.fromCoroutine(self._renew(seconds))
        return renewing.addErrback(lambda failure: self._lose(f"not renewed: {failure.value}"))

    def _stopHolding(self) -> None:
        """From now on nothing is announced and nothing comes back; what is there is still there."""
        self._held = False
        self._announcer.stop()
        self._missing.clear()
        self._restored.clear()
        self._doubt = False
        for call in (self._restorer, self._waiter):
            if call is not None and call.active():
                call.cancel()
        self._restorer = self._waiter = None
        unsubscribe, self._unsubscribe = self._unsubscribe, None
        if unsubscribe is not None:
            unsubscribe()

    async def _add(self, placed: Sequence[Placement], seconds: int | None) -> list[int]:
        """Add or renew them, for C{seconds} or for ever; return an errno for each."""
        messages = [placement.add for placement in placed]
        if seconds is not None:
            messages = [lasting(message, seconds) for message in messages]
        first = self._places.promoting(placed)
        answers = await self._ask(self._netlink.request([*first, *messages], self._mayBeHere))
        return answers[len(first) :]

    # What happens to them while they are held

    def _changed(self, events: Sequence[Event]) -> None:
        for event in events:
            if isinstance(event, AddressChange):
                key = keyOf(event.entry)
                if key in self._places.placed:
                    (self._missing.discard if event.present else self._missing.add)(key)
            elif isinstance(event, EventsLost):
                self._doubt = True
            elif event.link.ifindex in self._places.indexes:
                self._linkChanged(event)
        self._restoreSoon()

    def _linkChanged(self, event: LinkChange) -> None:
        link = event.link
        if not event.present:
            self._lose(f"interface {link.name} is gone")
            return
        if self._places.linkChanged(link):
            self.announce()
        if self._held and not link.promotes:
            # Whoever else had addresses there has put it back as it was before that.
            self._promote()

    def _promote(self) -> None:
        if not (messages := self._places.promoting(self._places.placed.values())):
            return
        self._netlink.request(messages, self._mayBeHere).addErrback(
            lambda failure: self._log.warn(
                "promote_secondaries cannot be set: {error}", error=failure.getErrorMessage()
            )
        )

    def _restoreSoon(self) -> None:
        """Restore what is missing in the reactor's next turn: all that went together, at once."""
        if self._held and (self._missing or self._doubt) and self._restorer is None:
            self._restorer = self._reactor.callLater(0, self._restore)

    def _restore(self) -> None:
        self._restorer = None
        done = Deferred.fromCoroutine(self._restoreNow())
        done.addErrback(lambda failure: self._lose(f"cannot be restored: {failure.value}"))

    async def _restoreNow(self) -> None:
        if self._doubt:
            await self._compare()
        waiting = [
            key
            for key in self._missing
            if key in self._places.placed and self._places.links[key[2]].up
        ]
        if not self._held or not waiting:
            return
        if not self._mayBeHere():
            self._lose(RAN_OUT)
            return
        seconds = self._left()
        if seconds is not None and seconds < 1:
            # The kernel has no shorter lease than a second: the renewal adds them, if it comes in time.
            self._waitForRenewal()
            return
        # From here on a deletion is a new one, even if its event comes before our answer.
        self._missing.difference_update(waiting)
        if (fought := self._fought(waiting)) is not None:
            self._lose(f"{self._places.placed[fought].spec}: another program keeps deleting it")
            return
        self._log.warn(
            "{resource}: {count} of its addresses had gone, and are added again",
            resource=self.name,
            count=len(waiting),
        )
        placed = [self._places.placed[key] for key in waiting]
        answers = await self._add(placed, seconds)
        if self._late():
            return
        refused = [(p, number) for p, number in zip(placed, answers, strict=True) if number]
        if refused:
            await self._cannotRestore(refused)
        if self._held:
            self._announcer.start()

    # The lease

    def _mayBeHere(self) -> bool:
        return self._reactor.seconds() < self._end()

    def _end(self) -> float:
        """Until when they may be here: as the guard has it, else by the lease."""
        until = self._until()
        return self._leased if until == inf else until

    def _left(self, late: float = 0.0) -> int | None:
        """
        Return the whole seconds for which they may be added; C{None}: for ever.

        @param late: by so many seconds more may it last than the lease that was asked for.
        """
        if self.lease is None:
            return None
        now = self._reactor.seconds()
        if self.margin is None:
            return int(self._leased + late - now)
        return int(min(self.lease, self._end() - self.margin - now))

    def _late(self) -> bool:
        """If the guard let go of them in the very moment of an adding, they are lost."""
        if self._held and not self._mayBeHere():
            self._lose(RAN_OUT)
        return not self._held

    def _waitForRenewal(self) -> None:
        if self._waiter is None or not self._waiter.active():
            wait = max(0.0, self._end() - self._reactor.seconds())
            self._waiter = self._reactor.callLater(wait, self._restore)

    async def _renew(self, seconds: int) -> None:
        if not self._held or self.lease is None:
            return
        if not self._mayBeHere():
            self._lose(RAN_OUT)
            return
        here = [
            placement
            for key, placement in self._places.placed.items()
            if key not in self._missing or self._places.links[key[2]].up
        ]
        back = [placement.key for placement in here if placement.key in self._missing]
        self._missing.difference_update(back)
        self._leased = self._reactor.seconds() + seconds
        answers = await self._add(here, seconds)
        if self._late():
            return
        refused = [(p, number) for p, number in zip(here, answers, strict=True) if number]
        if refused:
            await self._cannotRestore(refused)
        if back and self._held:
            self._announcer.start()

    # Losses

    async def _cannotRestore(self, refused: list[tuple[Placement, int]]) -> None:
        """Wait for an interface that is down; otherwise an address is lost."""
        links = await self._ask(self._netlink.dumpLinks())
        down = {link.ifindex for link in links if not link.up}
        for placement, number in refused:
            if not self._held:
                return
            if placement.link.ifindex in down:
                self._places.links.update((link.ifindex, link) for link in links)
                self._missing.add(placement.key)
            else:
                self._lose(refusal(placement, number))

    async def _compare(self) -> None:
        """Events were lost: make up for them by what the kernel has now."""
        self._doubt = False
        for link in await self._ask(self._netlink.dumpLinks()):
            if self._held and link.ifindex in self._places.indexes:
                self._linkChanged(LinkChange(True, link))
        there = {keyOf(entry) for entry in await self._ask(self._netlink.dumpAddresses())}
        if self._held:
            self._missing.update(self._places.placed.keys() - there)

    def _fought(self, keys: Sequence[Key]) -> Key | None:
        """Count restorations; return an address restored more than L{FIGHT} times in a second."""
        now = self._reactor.seconds()
        for key in keys:
            since, count = self._restored.get(key, (now, 0))
            if now - since >= 1.0:
                since, count = now, 0
            if count >= FIGHT:
                return key
            self._restored[key] = since, count + 1
        return None

    def _lose(self, reason: str) -> None:
        if not self._held:
            return
        self._stopHolding()
        self._log.error("{resource} is lost: {reason}", resource=self.name, reason=reason)
        if self._lost is not None:
            self._lost(reason)

    # Common

    async def _ask(self, answer: Deferred[_T]) -> _T:
        return await asked(self.name, answer)


def refusal(placement: Placement, number: int) -> str:
    """What an error says of an address that the kernel answered with this errno."""
    spec, link = placement.spec, placement.link
    return f"{spec.address}/{spec.prefix} was refused by {link.name}: {explained(number)}"
