"""What one group is made of while a service runs it: its resources, its guard, its senses."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from typing import Any, NamedTuple

from twisted.internet.defer import Deferred, gatherResults

from hatwist.checks.check import CheckSpec
from hatwist.checks.checks import Checks
from hatwist.core.errors import ResourceError
from hatwist.core.guarantee import Guarantee
from hatwist.core.limits import LIMIT
from hatwist.core.worth import Fitness
from hatwist.linux.guard.client import Guard
from hatwist.linux.netlink.socket import Netlink
from hatwist.protocols.native.guarantee import askLimit, guarantee, releasing
from hatwist.protocols.native.rules import GroupRules, Timing
from hatwist.resources.addresses.batch import Addresses
from hatwist.resources.addresses.placing import AddressSpec
from hatwist.resources.alias import Alias
from hatwist.resources.command import Command
from hatwist.resources.guard import Guarded, Mission
from hatwist.resources.interface import Interface
from hatwist.resources.interfaces import IResource
from hatwist.resources.process import CUT_SHORT
from hatwist.resources.service import ServiceResource
from hatwist.resources.unit import Unit
from hatwist.runtime.hooks import Hooks
from hatwist.runtime.keeper import Keeper
from hatwist.runtime.leases import Leases
from hatwist.runtime.node import Node
from hatwist.service.senses import Senses
from hatwist.service.strays import Strays
from hatwist.settings import (
    MIN_LEASE,
    AliasSpec,
    CommandSpec,
    GroupSettings,
    InterfaceSpec,
    Settings,
    UnitSpec,
)
from hatwist.settings.values import ResourceSpec


class Left(NamedTuple):
    """
    What became of a resource that an earlier run may have left.

    @ivar problem: why it could not be released; C{""}: it was, or was not there.
    @ivar was: whether it was there; C{None}: that cannot be told.
    """

    problem: str
    was: bool | None


class Composition:
    """
    One group of one node.

    @param mission: what the guard is to know of the present claim.
    @param resources: further ones, acquired after those of the settings.
    @ivar checks: what decides whether this node is fit.
    @ivar resources: all, in the order in which they are acquired.
    """

    def __init__(
        self,
        reactor: Any,
        settings: Settings,
        group: GroupSettings,
        netlink: Netlink,
        guard: Guard,
        mission: Callable[[], Mission],
        resources: Sequence[Any] = (),
    ) -> None:
        self.group = group
        self._reactor = reactor
        self._settings = settings
        self._netlink = netlink
        self._guard = guard
        self._leases: Leases | None = None
        self._guarded = Guarded(guard, group.name, mission, not group.addresses)
        self.resources: list[Any] = [self._guarded, *map(self._make, _runs(group.resources))]
        for resource in resources:
            self.add(resource)
        self.senses = self._sensing()
        self._strays = self._straying()
        self.hooks = Hooks(reactor, group.name, dict(group.hooks), group.hookTimeout)
        self.checks = Checks(
            reactor, group.checks, self._checked, netlink, {"HATWIST_GROUP": group.name}
        )
        self._ownChecks: list[CheckSpec] = []
        self._node: Node | None = None

    def _straying(self) -> Strays:
        return Strays(self._reactor, self._netlink, self.group.name, self.group.addresses)

    def _sensing(self) -> Senses:
        return Senses(
            self._reactor,
            self._netlink,
            self.group.name,
            self._settings.interface,
            self.group.addresses,
            self._managed(),
        )

    def start(self, node: Node) -> None:
        """
        Perceive, and tell C{node} from now on.

        @raise OSError: sockets are not permitted.
        """
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
            self._node.fitness(self.group.name, fitness, reason, source="checks")

    def become(self, settings: Settings, group: GroupSettings) -> GroupSettings:
        """What it is to be from now on; see L{follow}, which takes what this returns: what it was."""
        old, self._settings, self.group = self.group, settings, group
        self._guarded.alone = not group.addresses
        return old

    async def follow(self, old: GroupSettings, keeper: Keeper) -> None:
        """
        Make everything as it is to be. What stays is not touched. Fires when it is done.

        @raise ResourceError: a new address was refused: the group is what it was, by its settings too. Or
            a new resource could not be acquired, or an old one not released: it is to be tried again.
        """
        group = self.group
        if group.resources != old.resources:
            await self._exchange(old, keeper)
        self.hooks.change(dict(group.hooks), group.hookTimeout)
        if group.addresses != old.addresses and self._node is not None:
            self.senses.stop()
            self._strays.stop()
            self.senses, self._strays = self._sensing(), self._straying()
            self.senses.start(self._node)
            self._strays.start(self._node)
        if group.checks != old.checks:
            await self.checks.change([*group.checks, *self._ownChecks])

    def rearm(self) -> Deferred[None]:
        """Tell the guard anew what it is to say, if anything is held."""
        return self._guarded.rearm()

    async def _exchange(self, old: GroupSettings, keeper: Keeper) -> None:
        before = self.resources
        count = len(list(_runs(old.resources)))
        have: dict[Any, Any] = dict(zip(_runs(old.resources), before[1 : 1 + count], strict=True))
        wanted = list(_runs(self.group.resources))
        free = {specs: r for specs, r in have.items() if _batch(specs) and specs not in wanted}
        made: list[Any] = []
        changed: list[tuple[Addresses, Any]] = []
        for specs in wanted:
            resource = have.get(specs)
            near = max(free, key=lambda batch: len({*batch} & {*specs}), default=None)
            if resource is None and near and {*near} & {*specs}:
                resource = free[near]
                changed.append((resource, specs))
                del free[near]
            made.append(self._make(specs) if resource is None else resource)
        self.resources = [self._guarded, *made, *before[1 + count :]]
        done: list[tuple[Addresses, Any]] = []
        try:
            for batch, specs in changed:
                had = batch.specs
                await keeper.perform(lambda: batch.change(specs))  # noqa: B023 - awaited at once
                done.append((batch, had))
        except ResourceError:
            self.resources, self.group = before, old
            self._guarded.alone = not old.addresses
            for batch, had in done:
                await keeper.perform(lambda: batch.change(had))  # noqa: B023
            raise
        await keeper.replace(self.resources)
        for resource in before:
            if resource not in self.resources and isinstance(resource, Alias | Addresses):
                resource.close()
                await self._guarded.forget(resource)

    def _make(self, specs: Sequence[ResourceSpec]) -> Any:
        return self._batch(specs) if _batch(specs) else self._single(specs[0])  # type: ignore[arg-type]

    def _batch(self, specs: Sequence[AddressSpec]) -> Addresses:
        name = self.group.name
        found = Addresses(
            self._reactor,
            self._netlink,
            specs,
            arm=lambda: self._guarded.arm(found, found.deletions()),
            until=lambda: self._guard.until(name),
        )
        self._limit(found)
        return found

    def _single(self, spec: ResourceSpec) -> Any:
        if isinstance(spec, AliasSpec):
            return Alias(
                self._reactor, spec.alias, self._netlink, spec.timeout, permitted=self._permitted
            )
        if isinstance(spec, InterfaceSpec):
            return Interface(self._reactor, self._netlink, spec.interface, self._permitted)
        if isinstance(spec, CommandSpec):
            environment = {"HATWIST_GROUP": self.group.name}
            return Command(
                self._reactor, spec.command, spec.undo, spec.timeout, spec.check, environment
            )
        assert isinstance(spec, UnitSpec)
        return Unit(self._reactor, spec.unit, spec.timeout, permitted=self._permitted)

    def _permitted(self) -> bool:
        return self._guard.permits(self.group.name)

    def _managed(self) -> set[str]:
        """Interfaces that are down unless the group is here; ifup can be given an interface's own name."""
        names = {spec.alias for spec in self.group.resources if isinstance(spec, AliasSpec)}
        return names | {r.interface for r in self.resources if isinstance(r, Interface)}

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
        self.resources.append(resource)

    @property
    def rules(self) -> GroupRules:
        """What the election knows of the group."""
        group, settings = self.group, self._settings
        return GroupRules(
            group.name,
            group.priority,
            group.preempt,
            group.preemptDelay,
            keepUnfit=group.lastResort == "keep",
            asks=bool(group.addresses),
            witness=settings.witness is not None,
            keepUnwitnessed=settings.witnessLost == "keep",
            guardable=not self.unguardable(),
            askLimit=min(group.askLimit, askLimit(self.timing, settings.quorum, settings.lease)),
        )

    @property
    def guarantee(self) -> Guarantee:
        """How sure it is that no two nodes hold, why, and what is not covered."""
        settings = self._settings
        return guarantee(
            self.timing,
            settings.quorum,
            True,
            # Without addresses there is nothing that the kernel could keep.
            settings.lease if self.group.addresses else MIN_LEASE,
            self.unguardable(),
            witness=settings.witness is not None,
        )

    def unguardable(self) -> tuple[str, ...]:
        """What the guard cannot release: whatever is no address."""
        return tuple(resource.name for resource in self._beyondGuard())

    def _beyondGuard(self) -> list[Any]:
        known = (Addresses, Guarded, ServiceResource)
        return [resource for resource in self.resources if not isinstance(resource, known)]

    @property
    def timing(self) -> Timing:
        """With the time that everything takes to stop, C{prepare} too if it must be cut short."""
        quick = (Addresses, Guarded)
        slow = [
            getattr(r, "releaseTime", LIMIT) for r in self.resources if not isinstance(r, quick)
        ]
        if dict(self.group.hooks).get("prepare"):
            slow.append(CUT_SHORT)
        ordinary = Timing(self._settings.interval, self._settings.tolerance)
        return releasing(ordinary, len(self.group.addresses), sum(slow))

    def lease(self, leases: Leases) -> None:
        """The kernel keeps addresses as these say."""
        self._leases = leases
        for resource in self.resources:
            if isinstance(resource, Addresses):
                self._limit(resource)

    def _limit(self, addresses: Addresses) -> None:
        if self._leases is not None:
            lease = addresses.lease
            lease.seconds, lease.margin = self._leases.kernel or None, self._leases.margin

    async def releaseLeft(self) -> dict[str, Left]:
        """Release what an earlier run left: see L{hatwist.service.service.HAService.releaseLeft}."""
        found = {}
        for resource in reversed(self.resources):
            was = await self._was(resource)
            pending = resource.release()
            pending.addTimeout(getattr(resource, "releaseTime", LIMIT) + 1, self._reactor)
            try:
                await pending
            except Exception as e:
                found[resource.name] = Left(str(e) or repr(e), was)
            else:
                if isinstance(resource, Addresses):
                    was = resource.leftThere
                if resource is not self._guarded:
                    found[resource.name] = Left("", was)
        return found

    async def _was(self, resource: Any) -> bool | None:
        """Whether it is held now, before it is released; C{None}: who can tell?"""
        if resource is self._guarded or (isinstance(resource, Command) and not resource.checked):
            return None
        pending = resource.verify()
        pending.addTimeout(getattr(resource, "acquireTime", LIMIT) + 1, self._reactor)
        try:
            return bool(await pending)
        except Exception:
            return None  # its release will say what is wrong

    def close(self) -> None:
        """Give sockets back, once everything is released."""
        for resource in self.resources:
            if isinstance(resource, Alias | Addresses):
                resource.close()


def _runs(specs: Sequence[ResourceSpec]) -> Iterator[tuple[ResourceSpec, ...]]:
    """Each alone, but addresses that follow each other together: they are acquired as one."""
    for addresses, run in groupby(specs, lambda spec: isinstance(spec, AddressSpec)):
        if addresses:
            yield tuple(run)
        else:
            yield from ((spec,) for spec in run)


def _batch(specs: Sequence[ResourceSpec]) -> bool:
    return isinstance(specs[0], AddressSpec)
