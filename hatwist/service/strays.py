"""Shared addresses that somebody else has put on a host where they are not held: told, and taken away."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from hatwist.core.errors import ResourceError
from hatwist.linux.interfaces import INetlink
from hatwist.linux.netlink.messages import AddressChange, Event, EventsLost
from hatwist.resources.addresses.removing import Removal
from hatwist.resources.addresses.spec import AddressSpec
from hatwist.runtime.node import Node

AGAIN = 10.0
"""Seconds between two removals: who puts it back each time is told of, and does not take the whole processor."""


class Strays:
    """
    Watches a standby's kernel for the addresses of one group.

    @param specs: those addresses.
    """

    _log = Logger()

    def __init__(
        self, reactor: Any, netlink: INetlink, group: str, specs: Sequence[AddressSpec]
    ) -> None:
        self._reactor = reactor
        self._netlink = netlink
        self._group = group
        self._addresses = {spec.address for spec in specs}
        self._removal = Removal(group, netlink, specs)
        self._node: Node | None = None
        self._unsubscribe: Callable[[], None] = lambda: None
        self._call: IDelayedCall | None = None
        self._last = float("-inf")

    def start(self, node: Node) -> None:
        """Tell C{node}, and have its keeper remove them."""
        self._node = node
        self._unsubscribe = self._netlink.subscribe(self._changed, self._addresses)

    def stop(self) -> None:
        """Look no more."""
        self._node = None
        self._unsubscribe()
        if self._call is not None and self._call.active():
            self._call.cancel()
        self._call = None

    def _changed(self, events: Sequence[Event]) -> None:
        for event in events:
            if isinstance(event, EventsLost) or (
                isinstance(event, AddressChange)
                and event.present
                and event.entry.address in self._addresses
            ):
                self._lookSoon()
                return

    def _lookSoon(self) -> None:
        node = self._node
        if node is None or self._call is not None or not node.keepers[self._group].idle:
            return
        wait = max(0.0, self._last + AGAIN - self._reactor.seconds())
        self._call = self._reactor.callLater(wait, self._look)

    def _look(self) -> None:
        self._call = None
        looking = Deferred.fromCoroutine(self._find())
        looking.addErrback(lambda f: f.trap(ResourceError))  # the next event asks again

    async def _find(self) -> None:
        left = await self._removal.left()
        node = self._node
        keeper = None if node is None else node.keepers.get(self._group)
        if not left or node is None or keeper is None or not keeper.idle:
            return
        self._last = self._reactor.seconds()
        entry, link = left[0]
        more = f" and {len(left) - 1} more" if len(left) > 1 else ""
        node.note(
            "stray-address",
            self._group,
            f"{entry.address}/{entry.prefix} on {link.name}{more}: put there by somebody else, removed",
        )
        keeper.release()
