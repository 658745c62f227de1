"""
Several nodes on one simulated clock, joined by a wire in memory: a program's own services, resources, observers and
checks, on the driver, the keeper and the protocol of a node. Packets are bytes; no network or address is touched.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.task import Clock

from hatwist.checks.check import CheckSpec
from hatwist.checks.checks import Checks
from hatwist.core.claims import Role
from hatwist.core.packet import Packet
from hatwist.core.reports import Judged
from hatwist.core.worth import Fitness
from hatwist.linux.interfaces import Farewell
from hatwist.resources.interfaces import IResource
from hatwist.runtime.driver import Custody
from hatwist.runtime.fence import Fence
from hatwist.runtime.interfaces import IRoleObserver
from hatwist.runtime.keeper import Keeper
from hatwist.runtime.node import Node
from hatwist.runtime.speaker import Speaker
from hatwist.runtime.store import MemoryStore
from hatwist.service import speakers
from hatwist.service.roleservice import RoleService, nothing
from hatwist.settings import GroupSettings, Settings

TRAVEL = 0.0002
"""Seconds that a packet is on its way."""


class Mortal:
    """The timers of one process, which end with it."""

    def __init__(self, clock: Clock) -> None:
        self.seconds = clock.seconds
        self._clock = clock
        self._calls: list[IDelayedCall] = []
        self._dead = False

    def callLater(self, delay: float, callable: Callable[..., Any], *args: Any, **kw: Any) -> Any:
        """See L{IReactorTime}."""
        call = self._clock.callLater(delay, callable, *args, **kw)
        if self._dead:
            call.cancel()
        self._calls = [each for each in self._calls if each.active()]
        self._calls.append(call)
        return call

    def getDelayedCalls(self) -> list[IDelayedCall]:
        """See L{IReactorTime}."""
        return [call for call in self._calls if call.active()]

    def die(self) -> None:
        """Nothing of it is ever called again."""
        self._dead = True
        for call in self.getDelayedCalls():
            call.cancel()


class WireLink:
    """What one node sends to the others, and hears of them, unless it is cut off."""

    name = "wire"
    failing = ""

    def __init__(self, clock: Clock, node: str, wire: list[WireLink]) -> None:
        self.node = node
        self.cut = False
        self.dropped: dict[str, Any] = {}
        self._clock = clock
        self._wire = wire
        self._receiver: Callable[[Packet], object] | None = None

    def open(self, receiver: Callable[[Packet], object]) -> None:
        self._receiver = receiver
        self._wire.append(self)

    def close(self) -> None:
        self._receiver = None
        if self in self._wire:
            self._wire.remove(self)

    def send(self, datagram: bytes, *between: object) -> None:
        for link in self._wire:
            if link is not self and not self.cut:
                self._clock.callLater(TRAVEL, link.arrive, datagram)

    def arrive(self, datagram: bytes) -> None:
        """A packet has come."""
        if self._receiver is not None and not self.cut:
            self._receiver(Packet(datagram, self.name))

    def farewells(self, datagram: bytes, *between: object) -> list[Farewell]:
        return []

    def drain(self) -> None:
        """What has arrived was read."""


class ClusterGroup:
    """One group of one node."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.fence = Fence(name)
        self.resources: list[Any] = []
        self.specs: list[CheckSpec] = []
        self.checks: Checks | None = None

    def add(self, resource: Any) -> None:
        """Acquired last."""
        IResource(resource)
        self.resources.append(resource)


class ClusterNode(RoleService):
    """
    One process of a L{Cluster}, made by that; it is started and stopped like any service, and killed by L{kill}.

    @param started: how many processes of this name there were.
    """

    def __init__(
        self,
        clock: Clock,
        wire: list[WireLink],
        settings: Settings,
        store: MemoryStore,
        started: int,
    ) -> None:
        super().__init__(Mortal(clock), f"ha-{settings.cluster}-{settings.node}")
        self.settings = settings
        self.link = WireLink(clock, settings.node, wire)
        self._groups = {group.name: ClusterGroup(group.name) for group in settings.groups}
        self._store = store
        self._started = started
        self.node: Node | None = None

    @property
    def roles(self) -> dict[str, Role]:
        """The role in every group, by name."""
        if self.node is not None:
            return dict(self.node.roles)
        return dict.fromkeys(self._groups, Role.SHUTDOWN)

    def _groupOf(self, group: str | None) -> ClusterGroup:
        return self._groups[self._named(group)]

    def _subscribe(self, observer: IRoleObserver) -> Callable[[], None]:
        return nothing if self.node is None else self.node.subscribe(observer)

    def addResource(self, resource: Any, group: str | None = None) -> None:
        """
        Hold a provider of L{IResource} with the group.

        @raise TypeError: it is none.
        """
        self._groupOf(group).add(resource)

    def addCheck(self, spec: CheckSpec, group: str | None = None) -> None:
        """Let one more check decide whether this node is fit to hold a group."""
        self._groupOf(group).specs.append(spec)

    def startService(self) -> None:
        """Join the others."""
        clock = self.clock
        facts = {group.name: speakers.GroupFacts(group, 0.0, ()) for group in self.settings.groups}
        rules = speakers.rulesOf(self.settings, facts, self._started, lambda link, linkLocal: None)
        machine, *_ = speakers.machinesOf(
            self.settings, rules, self._started, clock.seconds(), self._store.records
        )
        links: Any = [self.link]
        custody = {
            name: Custody(Keeper(clock, name, group.resources), group.fence)
            for name, group in self._groups.items()
        }
        self.node = node = Node(clock, [Speaker(machine, links)], custody, self._store)
        for observer in self._observers:
            self._observers[observer] = node.subscribe(observer)
        node.start()
        for name, group in self._groups.items():
            group.checks = Checks(clock, group.specs, partial(self._judged, name))
            group.checks.start()
        super().startService()

    def _judged(self, group: str, fitness: Fitness, reason: str) -> None:
        if self.node is not None:
            self.node.tell(Judged(group, "checks", fitness, reason))

    def stopService(self) -> Deferred[None]:
        """Release everything, say goodbye."""
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        if self.node is not None:
            await self.node.stop()
            await DeferredList([g.checks.stop() for g in self._groups.values() if g.checks])
            self.node = None
        self._closeWaiting()
        await super().stopService()

    def kill(self) -> None:
        """The process dies: nothing of it is called any more."""
        if self.node is not None:
            self.node.abort()
        self.clock.die()
        self.link.close()
        self.node = None


class Cluster:
    """
    @param interval, tolerance: seconds.
    @ivar clock: all time in it.
    @ivar nodes: the newest process of each node, by name.
    """

    def __init__(self, interval: float = 0.1, tolerance: float = 0.35) -> None:
        self.clock = Clock()
        self.nodes: dict[str, ClusterNode] = {}
        self._interval = interval
        self._tolerance = tolerance
        self._wire: list[WireLink] = []
        self._stores: dict[str, MemoryStore] = {}
        self._started = 0

    def node(
        self, name: str, priority: int = 100, groups: Sequence[str] = ("default",)
    ) -> ClusterNode:
        """A process of a node, which is not started; what an earlier one of this name has on disk is there."""
        self._started += 1
        settings = Settings(
            interface="wire",
            node=name,
            groups=tuple(GroupSettings(group, priority=priority) for group in groups),
            interval=self._interval,
            tolerance=self._tolerance,
        )
        store = self._stores.setdefault(name, MemoryStore())
        made = ClusterNode(self.clock, self._wire, settings, store, self._started)
        self.nodes[name] = made
        return made

    def run(self, seconds: float) -> None:
        """Let time pass, from one timer to the next."""
        end = self.clock.seconds() + seconds
        while (calls := self.clock.getDelayedCalls()) and calls[0].getTime() <= end:
            self.clock.advance(max(0.0, calls[0].getTime() - self.clock.seconds()))
        self.clock.advance(max(0.0, end - self.clock.seconds()))

    def cut(self, name: str, off: bool = True) -> None:
        """Nothing comes to a node or from it any more; or does again."""
        self.nodes[name].link.cut = off

    def holders(self, group: str = "default") -> list[str]:
        """Who is ACTIVE, sorted."""
        return sorted(
            name for name, node in self.nodes.items() if node.roles.get(group) is Role.ACTIVE
        )
