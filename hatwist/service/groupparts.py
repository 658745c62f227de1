"""What one group is made of while a service runs it: its resources, its guard, its senses."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.defer import Deferred, gatherResults

from hatwist.checks.check import CheckSpec
from hatwist.checks.checks import Checks
from hatwist.core.errors import ResourceError
from hatwist.core.guarantee import Guarantee
from hatwist.core.limits import LIMIT
from hatwist.core.reports import Judged
from hatwist.core.worth import Fitness
from hatwist.linux.guard.client import GuardClient
from hatwist.linux.lan.shared import LanSockets
from hatwist.linux.netlink.socket import Netlink
from hatwist.resources.addresses.batch import Addresses
from hatwist.resources.guard import GuardResource
from hatwist.resources.interfaces import ICloseable, IResource
from hatwist.resources.kinds import parts
from hatwist.resources.process import CUT_SHORT
from hatwist.resources.spec import ResourcePart, World
from hatwist.runtime.fence import UNLIMITED, Fence, KernelLease
from hatwist.runtime.hooks import Hooks
from hatwist.runtime.keeper import Keeper
from hatwist.runtime.node import Node
from hatwist.service import leftover
from hatwist.service.exchange import GroupExchange, Made
from hatwist.service.leftover import Left
from hatwist.service.senses import Senses
from hatwist.service.speakers import GroupFacts, guaranteeOf
from hatwist.service.strays import Strays
from hatwist.settings import GroupSettings, Settings


class GroupParts:
    """
    One group of one node.

    @param sockets: those that announce and ask, for all groups of the node.
    @param resources: further ones, acquired after those of the settings.
    @param busy: whether the node is overloaded.
    @ivar fence: until when it may be held.
    @ivar checks: what decides whether this node is fit.
    """

    def __init__(
        self,
        reactor: Any,
        settings: Settings,
        group: GroupSettings,
        netlink: Netlink,
        guard: GuardClient,
        sockets: LanSockets,
        resources: Sequence[Any] = (),
        busy: Callable[[], bool] = lambda: False,
    ) -> None:
        self.group = group
        self._reactor = reactor
        self._settings = settings
        self._netlink = netlink
        self.fence = Fence(group.name)
        self._lease = UNLIMITED
        self._guarded = GuardResource(guard, group.name, self.fence.order, not group.addresses)
        self._world = World(
            reactor,
            netlink,
            group.name,
            sockets.senders.open,
            lambda: guard.permits(group.name),
            guard.check,
            lambda: guard.until(group.name),
            self._guarded.arm,
            busy,
        )
        self._made: tuple[Made, ...] = tuple((p, self._make(p)) for p in parts(group.resources))
        self._further: list[Any] = []
        for resource in resources:
            self.add(resource)
        self.senses = Senses(
            *(reactor, netlink, group.name, settings.interface, group.addresses, self._managed()),
            sockets.askers.open,
        )
        self._strays = self._straying()
        self.hooks = Hooks(reactor, group.name, dict(group.hooks), group.hookTimeout)
        self.checks = Checks(
            reactor, group.checks, self._checked, netlink, {"HATWIST_GROUP": group.name}
        )
        self._ownChecks: list[CheckSpec] = []
        self._node: Node | None = None

    @property
    def resources(self) -> list[Any]:
        """All, in the order in which they are acquired."""
        return [self._guarded, *(resource for _, resource in self._made), *self._further]

    def _straying(self) -> Strays:
        return Strays(self._reactor, self._netlink, self.group.name, self.group.addresses)

    def start(self, node: Node) -> None:
        """Perceive, and tell C{node} from now on."""
        self._node = node
        self.hooks.start(node)
        self.senses.start(node)
        self._strays.start(node)
        self.checks.start()

    def stop(self) -> Deferred[None]:
        """Tell nothing more. Fires when every check and every command of an event has ended."""
        self._node = None
        self._strays.stop()
        self.senses.stop()
        ends = gatherResults([self.checks.stop(), self.hooks.stop()])
        return ends.addCallback(lambda _: None)

    def _checked(self, fitness: Fitness, reason: str) -> None:
        if self._node is not None:
            self._node.tell(Judged(self.group.name, "checks", fitness, reason))

    def plan(self, group: GroupSettings) -> GroupExchange:
        """How its resources become those of other settings. Nothing is touched yet."""
        return GroupExchange(self.group, self._made, [*parts(group.resources)], self._make)

    def become(self, settings: Settings, group: GroupSettings) -> GroupExchange:
        """Go by other settings from now on, in all that is told of it; L{follow} makes the rest so."""
        exchange = self.plan(group)
        self._settings = settings
        self._goBy(group)
        return exchange

    def _goBy(self, group: GroupSettings) -> None:
        self.group = group
        self._guarded.alone = not group.addresses

    async def follow(self, exchange: GroupExchange, keeper: Keeper) -> None:
        """
        Make everything as it is to be. What stays is not touched. Fires when it is done.

        @param exchange: what L{become} has returned.
        @raise ResourceError: a new address was refused: the group is what it was, by its settings too. Or
            a new resource could not be acquired, or an old one not released, which is tried again; all else
            is done then.
        """
        old, group = exchange.old, self.group
        failed: ResourceError | None = None

        def refused() -> None:
            self._made = exchange.before
            self._goBy(old)

        if group.resources != old.resources:
            self._made = exchange.after
            try:
                await exchange.run(keeper, self.resources, refused, self._guarded.forget)
            except ResourceError as e:
                if self.group is old:
                    raise
                failed = e
        self.hooks.change(dict(group.hooks), group.hookTimeout)
        self.senses.change(group.addresses, self._managed())
        if group.addresses != old.addresses and self._node is not None:
            self._strays.stop()
            self._strays = self._straying()
            self._strays.start(self._node)
        if group.checks != old.checks:
            await self.checks.change([*group.checks, *self._ownChecks])
        if failed is not None:
            raise failed

    def rearm(self) -> Deferred[None]:
        """Tell the guard anew what it is to say, if anything is held."""
        return self._guarded.rearm()

    def _make(self, part: ResourcePart) -> Any:
        resource = part.make(self._world)
        self._limit(resource)
        return resource

    def _managed(self) -> set[str]:
        """Interfaces that are down unless the group is here; ifup can be given an interface's own name."""
        return {r.managed for r in self.resources if hasattr(r, "managed")}

    def addCheck(self, spec: CheckSpec) -> None:
        """One more check, beside those of the settings."""
        self._ownChecks.append(spec)
        self.checks.change([*self.group.checks, *self._ownChecks])

    def add(self, resource: Any) -> None:
        """
        One more, acquired last.

        @raise TypeError: it is no L{IResource}.
        """
        IResource(resource)
        self._further.append(resource)

    @property
    def facts(self) -> GroupFacts:
        """What a protocol has to know of it: with the time that C{prepare} takes if it must be cut short."""
        slow = [
            getattr(resource, "releaseTime", LIMIT)
            for resource in self.resources
            if not getattr(resource, "guarded", False)
        ]
        if dict(self.group.hooks).get("prepare"):
            slow.append(CUT_SHORT)
        return GroupFacts(self.group, sum(slow), self.unguardable())

    @property
    def guarantee(self) -> Guarantee:
        """How sure it is that no two nodes hold, why, and what is not covered."""
        return guaranteeOf(self._settings, self.facts)

    def unguardable(self) -> tuple[str, ...]:
        """What is left where the daemon dies, by name: whatever is no address, and does not end with the daemon."""
        return tuple(
            resource.name
            for resource in self.resources
            if not getattr(resource, "guarded", False) and not getattr(resource, "ephemeral", False)
        )

    def keepFor(self, lease: KernelLease) -> None:
        """The kernel keeps addresses that long."""
        self._lease = lease
        for resource in self.resources:
            self._limit(resource)

    def _limit(self, resource: Any) -> None:
        if isinstance(resource, Addresses):
            lease, kernel = resource.lease, self._lease
            lease.seconds, lease.margin = kernel.seconds or None, kernel.margin

    async def releaseLeft(self) -> dict[str, Left]:
        """Release what an earlier run left: see L{hatwist.service.service.HAService.releaseLeft}."""
        first, *others = self.resources
        found = await leftover.releaseLeft(self._reactor, others)
        await first.release()
        return found

    def close(self) -> None:
        """Give sockets back, once everything is released."""
        for resource in self.resources:
            if ICloseable.providedBy(resource):
                resource.close()
