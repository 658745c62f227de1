"""Which interfaces have a carrier: told at once when a cable is pulled, or put back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from hatwist.linux.interfaces import INetlink
from hatwist.linux.netlink.messages import Event, EventsLost, KernelLink, LinkChange


class CarrierWatch:
    """
    Watches interfaces by name. One that does not exist, or is set down, has no carrier.

    What counts is IFF_RUNNING, the kernel's operational state. Of physical interfaces
    it tells at most once in a second, so that what follows on another change within one, of any
    interface of the machine, is told up to a second late (net/core/link_watch.c). Asking with each heartbeat
    is no way out: ETHTOOL_GLINK and /sys/class/net/*/carrier take 2 microseconds, but wait for the kernel's one
    lock of all interfaces, 7 ms in 1 % of cases while another process makes and removes some.

    @param up, down: called with the name at each change, and once for each interface when it is first known.
    @ivar running: the state of each interface; C{None}: not known yet.
    @ivar links: those that exist, as they were last seen, by name.
    """

    _log = Logger()

    def __init__(
        self,
        netlink: INetlink,
        interfaces: Iterable[str],
        up: Callable[[str], None],
        down: Callable[[str], None],
    ) -> None:
        self.running: dict[str, bool | None] = dict.fromkeys(interfaces)
        self.links: dict[str, KernelLink] = {}
        self._netlink = netlink
        self._up = up
        self._down = down
        self._indexes: dict[str, int] = {}
        self._told: set[str] = set()
        self._unsubscribe: Callable[[], None] | None = None

    def start(self) -> Deferred[None]:
        """Begin; fires when the state of every interface is known and told, or could not be asked for."""
        if self._unsubscribe is None:
            self._unsubscribe = self._netlink.subscribe(self._changed, list(self.running))
        return self._compare()

    def stop(self) -> None:
        """Tell nothing more."""
        unsubscribe, self._unsubscribe = self._unsubscribe, None
        if unsubscribe is not None:
            unsubscribe()

    def _compare(self) -> Deferred[None]:
        self._told.clear()
        done: Deferred[list[KernelLink]] = self._netlink.dumpLinks()
        return done.addCallbacks(self._dumped, self._failed)

    def _failed(self, failure: Failure) -> None:
        self._log.warn("The interfaces could not be read: {error}", error=failure.value)

    def _dumped(self, links: Sequence[KernelLink]) -> None:
        found = {link.name: link for link in links if link.name in self.running}
        # An event that came meanwhile is newer than what was asked for before.
        for name in [name for name in self.running if name not in self._told]:
            link = found.get(name)
            self.links.pop(name, None)
            if link is not None:
                self.links[name] = link
                self._indexes[name] = link.ifindex
            self._note(name, link is not None and link.running)

    def _changed(self, events: Sequence[Event]) -> None:
        for event in events:
            if isinstance(event, EventsLost):
                self._compare()
            elif isinstance(event, LinkChange):
                self._linkChanged(event)

    def _linkChanged(self, event: LinkChange) -> None:
        link = event.link
        for name, index in list(self._indexes.items()):
            # The interface is gone or was renamed: another one may have its name next.
            if index == link.ifindex and (not event.present or link.name != name):
                del self._indexes[name]
                self.links.pop(name, None)
                self._told.add(name)
                self._note(name, False)
        if event.present and link.name in self.running:
            self._indexes[link.name] = link.ifindex
            self.links[link.name] = link
            self._told.add(link.name)
            self._note(link.name, link.running)

    def _note(self, name: str, running: bool) -> None:
        if self._unsubscribe is None or self.running[name] is running:
            return
        self.running[name] = running
        try:
            (self._up if running else self._down)(name)
        except Exception:
            self._log.failure("A change of the carrier of {name} could not be handled", name=name)
