"""What one group is made of while a service runs it: its resources, its guard, its senses."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.defer import Deferred

from hatwist.checks.checks import Checks
from hatwist.guarantee import Guarantee, guarantee
from hatwist.interfaces import IResource
from hatwist.keeper import LIMIT
from hatwist.linux.guarding import Guard
from hatwist.linux.netlink import Netlink
from hatwist.node import Node
from hatwist.resources.addresses import Addresses
from hatwist.resources.alias import Alias
from hatwist.resources.command import Command
from hatwist.resources.guarded import Guarded, Mission
from hatwist.resources.interface import Interface
from hatwist.resources.placing import AddressSpec
from hatwist.resources.service import ServiceResource
from hatwist.resources.unit import Unit
from hatwist.rules import GroupRules, Timing
from hatwist.senses import Senses
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
from hatwist.worth import Fitness


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
        self._lease: int | None = None
        self._guarded = Guarded(guard, group.name, mission, not group.addresses)
        self.resources: list[Any] = [self._guarded, *self._made(group.resources)]
        for resource in resources:
            self.add(resource)
        self.senses = Senses(
            reactor,
            netlink,
            group.name,
            settings.interface,
            group.addresses,
            self._managed(),
        )
        self.checks = Checks(
            reactor, group.checks, self._checked, netlink, {"HATWIST_GROUP": group.name}
        )
        self._node: Node | None = None

    def start(self, node: Node) -> None:
        """
        Perceive, and tell C{node} from now on.

        @raise OSError: sockets are not permitted.
        """
        self._node = node
        self.senses.start(node)
        if self.group.checks:
            self.checks.start()

    def stop(self) -> Deferred[None]:
        """Tell nothing more. Fires when every check has ended."""
        self._node = None
        self.senses.stop()
        return self.checks.stop()

    def _checked(self, fitness: Fitness, reason: str) -> None:
        if self._node is not None:
            self._node.fitness(self.group.name, fitness, reason, source="checks")

    def _made(self, specs: Sequence[ResourceSpec]) -> list[Any]:
        """The resources of these words; addresses that follow each other are one."""
        made: list[Any] = []
        batch: list[AddressSpec] = []
        for spec in [*specs, None]:
            if isinstance(spec, AddressSpec):
                batch.append(spec)
                continue
            if batch:
                made.append(self._batch(batch))
                batch = []
            if spec is not None:
                made.append(self._single(spec))
        return made

    def _batch(self, specs: Sequence[AddressSpec]) -> Addresses:
        name = self.group.name
        found = Addresses(
            self._reactor,
            self._netlink,
            specs,
            arm=lambda: self._guarded.arm(found, found.deletions()),
            permitted=lambda: self._guard.permits(name),
        )
        found.lease = self._lease
        return found

    def _single(self, spec: ResourceSpec) -> Any:
        if isinstance(spec, AliasSpec):
            return Alias(self._reactor, spec.alias, self._netlink, spec.timeout)
        if isinstance(spec, InterfaceSpec):
            return Interface(self._reactor, self._netlink, spec.interface)
        if isinstance(spec, CommandSpec):
            environment = {"HATWIST_GROUP": self.group.name}
            return Command(
                self._reactor, spec.command, spec.undo, spec.timeout, spec.check, environment
            )
        assert isinstance(spec, UnitSpec)
        return Unit(self._reactor, spec.unit, spec.timeout)

    def _managed(self) -> set[str]:
        """Interfaces that are down unless the group is here; ifup can be given an interface's own name."""
        names = {spec.alias for spec in self.group.resources if isinstance(spec, AliasSpec)}
        return names | {r.interface for r in self.resources if isinstance(r, Interface)}

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
        """With the time that everything takes to stop of which the guard cannot make sure."""
        slow = sum(getattr(r, "releaseTime", LIMIT) for r in self._beyondGuard())
        ordinary = Timing(self._settings.interval, self._settings.tolerance)
        return ordinary._replace(release=ordinary.releaseTime + slow) if slow else ordinary

    def lease(self, seconds: int) -> None:
        """For how long the kernel keeps addresses; 0: for ever."""
        self._lease = seconds or None
        for resource in self.resources:
            if isinstance(resource, Addresses):
                resource.lease = self._lease

    async def releaseLeft(self) -> dict[str, str]:
        """Release what an earlier run left: see L{hatwist.service.HAService.releaseLeft}."""
        found = {}
        for resource in reversed(self.resources):
            pending = resource.release()
            pending.addTimeout(getattr(resource, "releaseTime", LIMIT) + 1, self._reactor)
            try:
                await pending
            except Exception as e:
                found[resource.name] = str(e) or repr(e)
            else:
                if resource is not self._guarded:
                    found[resource.name] = ""
        return found

    def close(self) -> None:
        """Give sockets back, once everything is released."""
        for resource in self.resources:
            if isinstance(resource, Alias | Addresses):
                resource.close()
