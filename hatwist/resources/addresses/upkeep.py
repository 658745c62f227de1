"""Shared addresses while they are held: restored when they go, renewed, announced, or lost."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from hatwist.linux.interfaces import INetlink
from hatwist.linux.netlink.messages import AddressChange, Event, EventsLost, LinkChange
from hatwist.resources.addresses.announcing import Announcer
from hatwist.resources.addresses.lease import Lease
from hatwist.resources.addresses.places import Key, Places
from hatwist.resources.addresses.placing import Placement, keyOf
from hatwist.resources.addresses.removing import asked, explained

# Deletions of an address in a second, restored each time; whoever deletes it once more will not stop, and it is lost.
FIGHT = 20
RAN_OUT = "its lease ran out"


class Upkeep:
    """
    Keeps a batch of addresses where they are, from L{begin} to L{end}; restores and announces while L{held}.

    @ivar missing: those that the kernel had and has no more.
    @ivar begun: what happens to them is followed.
    @ivar held: all were added, and none is lost.
    @ivar lease: until when they may be here.
    @ivar onLost: called with the reason when they are lost: L{end} has been called then.
    """

    _log = Logger()

    def __init__(
        self,
        reactor: IReactorTime,
        netlink: INetlink,
        places: Places,
        lease: Lease,
        announcer: Announcer,
    ) -> None:
        self._reactor = reactor
        self.netlink = netlink
        self._places = places
        self.lease = lease
        self._announcer = announcer
        self.missing: set[Key] = set()
        self.held = False
        self.onLost: Callable[[str], None] | None = None
        self._doubt = False  # events were lost: the kernel must be asked what is missing
        self._restored: dict[Key, tuple[float, int]] = {}
        self._restorer: IDelayedCall | None = None
        self._waiter: IDelayedCall | None = None
        self._unsubscribe: Callable[[], None] | None = None

    @property
    def begun(self) -> bool:
        return self._unsubscribe is not None

    def begin(self) -> None:
        """They are about to be added: what happens to one between its adding and the last answer counts."""
        if self._unsubscribe is None:
            self.missing.clear()
            self._subscribe()

    def follow(self) -> None:
        """Others are placed now: if what happens to them is followed, it is to those."""
        if (before := self._unsubscribe) is not None:
            self._subscribe()
            before()

    def _subscribe(self) -> None:
        placed = self._places.placed.values()
        about = {*self._places.indexes, *(placement.spec.address for placement in placed)}
        self._unsubscribe = self.netlink.subscribe(self._changed, about)

    def hold(self) -> None:
        """All are added: announce them, and restore what has gone meanwhile."""
        self.held = True
        self._announcer.start()
        self._restoreSoon()

    def end(self) -> None:
        """From now on nothing is announced and nothing comes back; what is there is still there."""
        self.held = False
        self._announcer.stop()
        self.missing.clear()
        self._restored.clear()
        self._doubt = False
        for call in (self._restorer, self._waiter):
            if call is not None and call.active():
                call.cancel()
        self._restorer = self._waiter = None
        unsubscribe, self._unsubscribe = self._unsubscribe, None
        if unsubscribe is not None:
            unsubscribe()

    def forget(self, gone: Iterable[Placement]) -> None:
        """These are no longer of the batch, and not missed."""
        self.missing.difference_update(placement.key for placement in gone)

    def announce(self) -> None:
        """Announce them now, and again by the schedule, if they are held."""
        if self.held:
            self._announcer.start()

    def lose(self, reason: str) -> None:
        """They are not, or must not be, here any more: if they are held that is the end."""
        if not self.held:
            return
        self.end()
        self._log.error("{resource} is lost: {reason}", resource=self._places.name, reason=reason)
        if self.onLost is not None:
            self.onLost(reason)

    # What happens to them

    def _changed(self, events: Sequence[Event]) -> None:
        for event in events:
            if isinstance(event, AddressChange):
                key = keyOf(event.entry)
                if key in self._places.placed:
                    (self.missing.discard if event.present else self.missing.add)(key)
            elif isinstance(event, EventsLost):
                self._doubt = True
            elif event.link.ifindex in self._places.indexes:
                self._linkChanged(event)
        self._restoreSoon()

    def _linkChanged(self, event: LinkChange) -> None:
        link = event.link
        if not event.present:
            self.lose(f"interface {link.name} is gone")
            return
        if self._places.linkChanged(link):
            self.announce()
        if self.held and not link.promotes:
            # Another batch on this interface was released, and has put promote_secondaries back.
            self._promote()

    def _promote(self) -> None:
        if not (messages := self._places.promoting(self._places.placed.values())):
            return
        self.netlink.request(messages, self.lease.mayAdd).addErrback(
            lambda failure: self._log.warn(
                "promote_secondaries cannot be set: {error}", error=failure.getErrorMessage()
            )
        )

    # Restored

    def _restoreSoon(self) -> None:
        """Restore what is missing in the reactor's next turn: all that went together, at once."""
        if self.held and (self.missing or self._doubt) and self._restorer is None:
            self._restorer = self._reactor.callLater(0, self._restore)

    def _restore(self) -> None:
        self._restorer = None
        done = Deferred.fromCoroutine(self._restoreNow())
        done.addErrback(lambda failure: self.lose(f"cannot be restored: {failure.value}"))

    async def _restoreNow(self) -> None:
        if self._doubt:
            await self._compare()
        places = self._places
        waiting = [key for key in self.missing if key in places.placed and places.links[key[2]].up]
        if not self.held or not waiting:
            return
        if not self.lease.mayAdd():
            self.lose(RAN_OUT)
            return
        seconds = self.lease.left()
        if seconds is not None and seconds < 1:
            # The kernel has no shorter lease than a second: the renewal adds them, if it comes in time.
            self._waitForRenewal()
            return
        # A deletion seen from here on is a new one, even if its event arrives before the answer to our adding.
        self.missing.difference_update(waiting)
        if (fought := self._fought(waiting)) is not None:
            self.lose(f"{places.placed[fought].spec}: another program keeps deleting it")
            return
        self._log.warn(
            "{resource}: {count} of its addresses had gone, and are added again",
            resource=places.name,
            count=len(waiting),
        )
        if await self._add([places.placed[key] for key in waiting], seconds):
            self.announce()

    async def _compare(self) -> None:
        """Events were lost: make up for them by what the kernel has now."""
        self._doubt = False
        name = self._places.name
        for link in await asked(name, self.netlink.dumpLinks()):
            if self.held and link.ifindex in self._places.indexes:
                self._linkChanged(LinkChange(True, link))
        there = {keyOf(entry) for entry in await asked(name, self.netlink.dumpAddresses())}
        if self.held:
            self.missing.update(self._places.placed.keys() - there)

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

    # Renewed

    def _waitForRenewal(self) -> None:
        if self._waiter is None or not self._waiter.active():
            self._waiter = self._reactor.callLater(self.lease.remaining, self._restore)

    def mayRenew(self) -> bool:
        """They are held by a lease that lasts, as of the last look; one that has ended is their end."""
        if not self.held or self.lease.seconds is None:
            return False
        if not self.lease.lasts():
            self.lose(RAN_OUT)
            return False
        return True

    def renewals(self, seconds: int) -> tuple[Sequence[Placement], Sequence[bytes]] | None:
        """
        They are about to be renewed: what is placed, and the netlink message for each.

        C{None}: something must be restored as well, see L{restore}.
        """
        prebuilt = None if self.missing else self._places.renewals(seconds)
        if prebuilt is not None:
            self.lease.renew(seconds)
        return prebuilt

    def restore(self, seconds: int) -> Deferred[None]:
        """Renew them, and add again what is missing. Fires when that is so or they are lost; never fails."""
        return self._orLost(Deferred.fromCoroutine(self._renewAll(seconds)))

    def renewed(self, answers: Sequence[int], placed: Sequence[Placement]) -> Deferred[None]:
        """The kernel has answered, an errno for each. Fires once what it refused is lost or awaited; never fails."""
        refused = self._renewed(answers, placed)
        return succeed(None) if refused is None else self._orLost(refused)

    def _orLost(self, renewing: Deferred[None]) -> Deferred[None]:
        return renewing.addErrback(lambda failure: self.lose(f"not renewed: {failure.value}"))

    async def _renewAll(self, seconds: int) -> None:
        here = [
            placement
            for key, placement in self._places.placed.items()
            if key not in self.missing or self._places.links[key[2]].up
        ]
        back = [placement.key for placement in here if placement.key in self.missing]
        self.missing.difference_update(back)
        self.lease.renew(seconds)
        if await self._add(here, seconds) and back:
            self.announce()

    # Added again, or lost

    async def _add(self, placed: Sequence[Placement], seconds: int | None) -> bool:
        """Add them again, or renew them; C{False}: they are lost, or were released meanwhile."""
        refused = self._renewed(await self._places.add(placed, seconds, self.lease.mayAdd), placed)
        if refused is not None:
            await refused
        return self.held

    def _renewed(
        self, answers: Sequence[int], placed: Sequence[Placement]
    ) -> Deferred[None] | None:
        """The kernel has answered, an errno for each; the result, if any, fires once it is known what that means."""
        if self.held and not self.lease.mayAdd():
            # The guard may have let go of them in the very moment of adding.
            self.lose(RAN_OUT)
        if not self.held or not any(answers):
            return None
        refused = [(p, number) for p, number in zip(placed, answers, strict=True) if number]
        return Deferred.fromCoroutine(self._cannotRestore(refused))

    async def _cannotRestore(self, refused: list[tuple[Placement, int]]) -> None:
        """Wait for an interface that is down; otherwise an address is lost."""
        links = await asked(self._places.name, self.netlink.dumpLinks())
        down = {link.ifindex for link in links if not link.up}
        for placement, number in refused:
            if not self.held:
                return
            if placement.link.ifindex in down:
                self._places.see(links)
                self.missing.add(placement.key)
            else:
                self.lose(refusal(placement, number))


def refusal(placement: Placement, number: int) -> str:
    """What an error says of an address that the kernel answered with this errno."""
    spec, link = placement.spec, placement.link
    return f"{spec.address}/{spec.prefix} was refused by {link.name}: {explained(number)}"
