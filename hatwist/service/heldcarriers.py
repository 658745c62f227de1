"""The carriers of interfaces that are up on the holder only: looked at while they are held."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from twisted.internet.interfaces import IDelayedCall
from zope.interface import implementer

from hatwist.core.claims import Role
from hatwist.core.effects import RoleChange
from hatwist.core.reports import Judged
from hatwist.core.worth import Fitness
from hatwist.linux.interfaces import INetlink
from hatwist.linux.netlink.carrier import CarrierWatch
from hatwist.runtime.interfaces import IRoleObserver
from hatwist.runtime.node import Node

GRACE = 5.0
"""Seconds that an interface may take to get a carrier once it is up (autonegotiation, loops looked for)."""
PAUSE, LONGEST = 60.0, 3600.0
"""Seconds until a node whose cable was pulled is as fit as before; doubled each time that it has no carrier then."""


@implementer(IRoleObserver)
class HeldCarriers:
    """
    Makes a node less fit than others when an interface that it holds loses its carrier.

    Whether the cable is back cannot be seen where the interface is down, so that is found out by holding
    it again. Only an interface that had a carrier once is judged; and who is alone goes on.

    @param names: the interfaces.
    """

    def __init__(self, reactor: Any, netlink: INetlink, group: str, names: Collection[str]) -> None:
        self._reactor = reactor
        self._netlink = netlink
        self._group = group
        self._names = tuple(sorted(names))
        self._node: Node | None = None
        self._unsubscribe: Callable[[], None] = lambda: None
        self._carrier: CarrierWatch | None = None
        self._known: set[str] = set()
        self._had: set[str] = set()
        self._since: dict[str, float] = {}
        self._pauses: dict[str, float] = {}
        self._barred: dict[str, IDelayedCall] = {}
        self._looking: IDelayedCall | None = None

    def start(self, node: Node) -> None:
        """Look, and tell C{node} from now on."""
        if not self._names:
            return
        self._node = node
        self._unsubscribe = node.subscribe(self, self._group)
        self._begin()
        self._carrier = CarrierWatch(self._netlink, self._names, self._up, self._down)
        self._carrier.start()

    def stop(self) -> None:
        """Tell nothing more."""
        node, self._node = self._node, None
        if node is None:
            return
        self._unsubscribe()
        assert self._carrier is not None
        self._carrier.stop()
        for call in (self._looking, *self._barred.values()):
            if call is not None and call.active():
                call.cancel()
        self._barred.clear()

    def roleChanged(self, change: RoleChange) -> None:
        """See L{IRoleObserver.roleChanged}."""
        if change.new is Role.ACTIVE:
            self._begin()
            self._look()

    def _begin(self) -> None:
        """They are held from now on, or it is not known for how long they have been."""
        self._had.clear()
        self._since = dict.fromkeys(self._names, self._reactor.seconds())

    def _held(self) -> bool:
        if self._node is None or self._node.roles[self._group] is not Role.ACTIVE:
            return False
        keeper = self._node.keepers[self._group]
        # Not while it is being released, which sets the interface down.
        return keeper.held and keeper.wanted

    def _up(self, name: str) -> None:
        if self._held():
            self._look()

    def _down(self, name: str) -> None:
        if self._held() and not self._pulled(name):
            # Somebody set it down; who holds it sets it up again, and it is a while until it has a carrier.
            self._had.discard(name)
            self._since[name] = self._reactor.seconds()
        if self._held():
            self._look()

    def _pulled(self, name: str) -> bool:
        """It is there and up, and has no carrier."""
        assert self._carrier is not None
        link = self._carrier.links.get(name)
        return link is not None and link.up and not link.running

    def _look(self) -> None:
        if not self._held():
            return
        assert self._carrier is not None
        now = self._reactor.seconds()
        wake: float | None = None
        for name in self._names:
            if self._carrier.running[name]:
                self._known.add(name)
                self._had.add(name)
                self._free(name)
            elif name in self._known and name not in self._barred:
                due = now if name in self._had else self._since[name] + GRACE
                if now < due:
                    wake = due if wake is None else min(wake, due)
                elif self._pulled(name):
                    self._bar(name, now)
        if self._looking is not None and self._looking.active():
            self._looking.cancel()
        if wake is not None:
            self._looking = self._reactor.callLater(wake - now, self._look)

    def _bar(self, name: str, now: float) -> None:
        before = self._pauses.get(name, 0.0)
        lasted = name in self._had and now >= self._since[name] + PAUSE
        pause = PAUSE if lasted or not before else min(2 * before, LONGEST)
        self._pauses[name] = pause
        self._barred[name] = self._reactor.callLater(pause, self._free, name)
        self._tell()

    def _free(self, name: str) -> None:
        call = self._barred.pop(name, None)
        if call is not None:
            if call.active():
                call.cancel()
            self._tell()

    def _tell(self) -> None:
        if self._node is None:
            return
        verdict = Fitness.FIT, ""
        if self._barred:
            names = ", ".join(sorted(self._barred))
            verdict = Fitness.DEGRADED, f"{names} had no carrier while it was held here"
        self._node.tell(Judged(self._group, "cable", *verdict))
