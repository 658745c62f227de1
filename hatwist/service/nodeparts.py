"""What one node is made of while a service runs it: its groups, its rules, its driver."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from twisted.logger import Logger

from hatwist.core.electorate import refusal, runs
from hatwist.core.guarantee import Guarantee, Level
from hatwist.core.worth import NO_ADDRESS, addressNumber
from hatwist.linux.guard.client import Guard
from hatwist.linux.netlink.present import interfaceAddress
from hatwist.linux.netlink.socket import Netlink
from hatwist.protocols.native.auth import Keyring
from hatwist.protocols.native.guarantee import affordable, kernelLease, leaseMargin
from hatwist.protocols.native.machine import Machine
from hatwist.protocols.native.rules import NodeRules, Timing
from hatwist.resources.guard import Mission
from hatwist.runtime.keeper import Keeper
from hatwist.runtime.link import Link
from hatwist.runtime.node import Node
from hatwist.runtime.store import Store
from hatwist.runtime.ways import waysOf
from hatwist.service.groupparts import Composition
from hatwist.settings import GroupSettings, Settings


class Assembly:
    """
    @param resources: further ones of the first group.
    @ivar settings: what it is made by; others after a reload.
    @ivar groups: each group as it is made up, by name.
    @ivar node: the running driver; C{None} while there is none.
    """

    _log = Logger()

    def __init__(
        self,
        reactor: Any,
        settings: Settings,
        netlink: Netlink,
        guard: Guard,
        resources: Sequence[Any] = (),
    ) -> None:
        self.settings = settings
        self.node: Node | None = None
        self._reactor = reactor
        self._netlink = netlink
        self._guard = guard
        # One for all starts, so that a write that is still under way ends before the next one.
        self._store = Store.of(reactor, settings.stateDir, settings.cluster, settings.node)
        self._address = NO_ADDRESS
        self.groups: dict[str, Composition] = {}
        for group in settings.groups:
            self.groups[group.name] = self.compose(group, resources)
            resources = ()

    def compose(self, group: GroupSettings, resources: Sequence[Any] = ()) -> Composition:
        """One group by its settings, which is not yet among L{groups}."""
        return Composition(
            self._reactor,
            self.settings,
            group,
            self._netlink,
            self._guard,
            lambda: self._mission(group.name),
            resources,
        )

    @property
    def _timing(self) -> Timing:
        """That of the group which takes longest to let go."""
        timings = [group.timing for group in self.groups.values()]
        return max(timings, key=lambda timing: timing.releaseTime)

    def build(self) -> Node:
        """
        The driver, which is not started yet.

        @raise OSError, ValueError: the state directory cannot be read, or what is in it is damaged; or the members
            are not those it ran with, and must not be these yet.
        """
        settings, reactor = self.settings, self._reactor
        own = interfaceAddress(settings.interface)
        if own is None:
            self._log.warn(
                "{interface} has no IPv4 address: heartbeats cannot be sent until it has one",
                interface=settings.interface,
            )
        elif any(spec.address == own for spec in settings.addresses):
            own = None  # left by an earlier run, on an interface without one of its own
        self._address = addressNumber(own)
        store = self._store
        store.read()
        for number in store.ignored:
            self._log.error("Not remembered, since it is out of its range: {number}", number=number)
        self._elect()
        # The wall clock counts starts, and times nothing; a peer that remembers more corrects it.
        session = max(store.session + 1, int(time.time() * 1000))
        keyring = Keyring(settings.keys)
        rules = self.rules()
        machine = Machine(rules, keyring, session, reactor.seconds(), store.records)
        shared = [spec.address for spec in settings.addresses]
        ways = waysOf(settings.ways, settings.multicast, shared=shared)
        links = [Link(reactor, way) for way in ways]
        keepers = {name: self.keeper(group) for name, group in self.groups.items()}
        node = Node(reactor, machine, links, keepers, store, self._guard)
        timing = Timing(settings.interval, settings.tolerance, rules.release)
        node.leases.kernel = kernelLease(timing, settings.quorum, settings.lease)
        node.leases.margin = leaseMargin(timing, settings.quorum)
        for group in self.groups.values():
            group.lease(node.leases)
        self.node = node
        return node

    def _elect(self) -> None:
        """
        Go on with the members of the settings.

        @raise ValueError: that could make two holders. OSError: it cannot be written down.
        """
        settings, store = self.settings, self._store
        quorum, digest, before = settings.quorum, settings.digest().hex(), store.ran
        problem = refusal(before, quorum, digest, settings.node, store.path, time.time())
        if problem:
            raise ValueError(f"members: {problem}")
        store.ran = runs(before, quorum, digest)
        if before is not None and store.ran is not None and before.quorum != store.ran.quorum:
            store.writeNow()  # no vote is given before

    def rules(self) -> NodeRules:
        """What the node's machine goes by."""
        settings = self.settings
        return NodeRules(
            settings.cluster,
            settings.node,
            settings.interval,
            settings.tolerance,
            tuple(self.groups[group.name].rules for group in settings.groups),
            self._address,
            settings.digest(),
            settings.quorum,
            affordable(self._timing, settings.quorum, settings.witness is not None),
            max(group.timing.guarding for group in self.groups.values()),
        )

    def keeper(self, group: Composition) -> Keeper:
        """What makes the resources of a group follow."""
        retry = min(self.settings.interval, 1.0)
        name, first = group.group.name, group.hooks.prepared
        return Keeper(self._reactor, name, group.resources, retry, first)

    def _mission(self, group: str) -> Mission:
        """What the guard is to know of the present claim."""
        node = self.node
        assert node is not None
        machine = node.machine
        claim = machine.elections[group].claim
        return Mission(
            claim.term if claim is not None else 0,
            node.leases.until(group),
            # No goodbye, which is for all groups, while something may be left here.
            [] if any(g.unguardable() for g in self.groups.values()) else node.farewells(group),
        )

    @property
    def guarantee(self) -> Guarantee:
        """How sure it is that no two nodes hold, why, and what is not covered: that of the weakest group."""
        levels = list(Level)
        return min((g.guarantee for g in self.groups.values()), key=lambda g: levels.index(g.level))
