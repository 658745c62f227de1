"""What one node is made of while a service runs it: its groups, its rules, its driver."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from hatwist.core.electorate import refusal, runs
from hatwist.core.guarantee import Guarantee, Level
from hatwist.core.machine import Machine
from hatwist.core.worth import NO_ADDRESS, addressNumber
from hatwist.linux.guard.client import GuardClient
from hatwist.linux.lan.raw import KernelRawSockets
from hatwist.linux.lan.shared import Askers, LanSockets, Senders
from hatwist.linux.netlink.present import interfaceAddress
from hatwist.linux.netlink.socket import Netlink
from hatwist.runtime.driver import Custody
from hatwist.runtime.fence import UNLIMITED, KernelLease
from hatwist.runtime.keeper import Keeper
from hatwist.runtime.link import Link
from hatwist.runtime.node import Node
from hatwist.runtime.speaker import Speaker
from hatwist.runtime.store import Store
from hatwist.runtime.ways import waysOf
from hatwist.service import speakers
from hatwist.service.groupparts import GroupParts
from hatwist.service.rawlinks import RawLinks
from hatwist.settings import GroupSettings, Settings
from hatwist.settings.digest import digest
from hatwist.settings.values import NATIVE


class NodeParts:
    """
    @param resources: further ones of the first group.
    @ivar settings: what it is made by; others after a reload.
    @ivar groups: each group as it is made up, by name.
    @ivar raw: the links of those that speak VRRP or CARP.
    @ivar node: what runs; C{None} while nothing does.
    """

    _log = Logger()

    def __init__(
        self,
        reactor: Any,
        settings: Settings,
        netlink: Netlink,
        guard: GuardClient,
        resources: Sequence[Any] = (),
    ) -> None:
        self.settings = settings
        self.node: Node | None = None
        self._lease = UNLIMITED
        self._reactor = reactor
        self._netlink = netlink
        self._guard = guard
        self._sockets = LanSockets(Senders(), Askers(reactor, netlink))
        # One for all starts, so that a write that is still under way ends before the next one.
        self._store = Store.of(reactor, settings.stateDir, settings.cluster, settings.node)
        self._address = NO_ADDRESS
        self.raw = RawLinks(reactor, netlink, KernelRawSockets(), self._moved)
        self.groups: dict[str, GroupParts] = {}
        for group in settings.groups:
            self.groups[group.name] = self.compose(group, resources)
            resources = ()

    def compose(self, group: GroupSettings, resources: Sequence[Any] = ()) -> GroupParts:
        """One group by its settings, which is not yet among L{groups}."""
        return GroupParts(
            self._reactor,
            self.settings,
            group,
            self._netlink,
            self._guard,
            self._sockets,
            resources,
            lambda: self.overloaded,
        )

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
        self.raw.want(group for group in settings.groups if not group.native)
        rules = self._rules()
        machines = speakers.machinesOf(settings, rules, session, reactor.seconds(), store.records)
        shared = [spec.address for spec in settings.addresses]
        ways = waysOf(settings.ways, settings.multicast, shared=shared)
        links = [Link(reactor, way) for way in ways]
        self._limit(rules)
        native, *routers = machines
        node = Node(
            reactor,
            [
                Speaker(native, links, self._lease),
                *[Speaker(each, self.raw.links, speakers.unbound(settings)) for each in routers],
            ],
            {name: self._custody(group) for name, group in self.groups.items()},
            store,
            self._guard,
            self._ask,
            settings.quorum is not None,
        )
        self.node = node
        return node

    @property
    def overloaded(self) -> bool:
        """See L{Node.overloaded}."""
        return self.node is not None and self.node.overloaded

    def close(self) -> None:
        """Give sockets back. A group that a reload took away, and that could not be released, is forgotten."""
        for group in self.groups.values():
            group.close()
        self.groups = {group.name: self.groups[group.name] for group in self.settings.groups}
        self.raw.keep(self.groups)

    def settled(self) -> Deferred[None]:
        """Fires once nothing is being written to the state file any more."""
        return self._store.settled()

    def _ask(self, group: str) -> None:
        self.groups[group].senses.ask()

    def _elect(self) -> None:
        """
        Go on with the members of the settings.

        @raise ValueError: that could make two holders. OSError: it cannot be written down.
        """
        settings, store = self.settings, self._store
        quorum, shared, before = settings.quorum, digest(settings).hex(), store.ran
        problem = refusal(before, quorum, shared, settings.node, store.path, time.time())
        if problem:
            raise ValueError(f"members: {problem}")
        self._remember()
        if before is not None and store.ran is not None and before.quorum != store.ran.quorum:
            store.writeNow()  # no vote is given before

    def _remember(self) -> None:
        """With whatever is written next, what it runs with now."""
        settings, store = self.settings, self._store
        store.ran = runs(store.ran, settings.quorum, digest(settings).hex())

    def _facts(self) -> dict[str, speakers.GroupFacts]:
        return {name: parts.facts for name, parts in self.groups.items()}

    def change(self, coming: Iterable[GroupParts] = ()) -> None:
        """
        Let the running driver go by the settings and groups as they are now.

        @param coming: those that it does not have yet.
        """
        rules = self._rules()
        self._remember()
        # What takes longer to release leaves less to hold, and what the kernel may be told less, too.
        self._limit(rules)
        for group in self.groups.values():
            group.keepFor(self._kernel(group.group.protocol))
        coming = list(coming)
        assert self.node is not None
        for machine, protocol, new in self._machines(rules):
            mine = [parts for parts in coming if parts.group.protocol == protocol]
            custody = {parts.group.name: self._custody(parts) for parts in mine}
            self.node.change(machine, new, custody, self._kernel(protocol))

    def _machines(self, rules: speakers.Rules) -> Iterable[tuple[Machine, str, Any]]:
        """Those of the running driver, with the names of their protocols, and what they go by."""
        assert self.node is not None
        return zip(self.node.driver.machines, rules._fields, rules, strict=True)

    def refusals(self, settings: Settings) -> list[str]:
        """Why the running driver cannot go by these settings now, a sentence each."""
        return [] if self.node is None else speakers.refusals(self.node.driver.machines, settings)

    def _moved(self) -> None:
        """This host sends by another address of its own, or has one again."""
        node = self.node
        if node is None or not node.driver.running:
            return
        for machine, protocol, new in self._machines(self._rules()):
            if protocol != NATIVE:
                node.change(machine, new, {}, self._kernel(protocol))
        for name, group in self.groups.items():
            if not group.group.native and name in node.keepers:
                Deferred.fromCoroutine(self.rearm(node, name)).addErrback(self._unarmed)

    async def rearm(self, node: Node, name: str) -> None:
        """Tell the guard anew what it is to say for a group, if that is held."""
        with suppress(CancelledError):  # it is let go of just now, and the next claim arms anew
            await node.keepers[name].perform(self.groups[name].rearm)

    def _unarmed(self, failure: Failure) -> None:
        self._log.error("The guard cannot be told: {error}", error=failure.getErrorMessage())

    def _rules(self) -> speakers.Rules:
        return speakers.rulesOf(self.settings, self._facts(), self._address, self.raw.source)

    def _limit(self, rules: speakers.Rules) -> None:
        self._lease = speakers.kernelLeaseOf(self.settings, rules.native)

    def _kernel(self, protocol: str) -> KernelLease:
        """How long the kernel keeps the addresses of groups that speak it."""
        return self._lease if protocol == NATIVE else speakers.unbound(self.settings)

    @property
    def saysFarewell(self) -> bool:
        """
        The guard says goodbye for all groups of hatwist's own protocol: it does not while it could leave something of
        any of them here.
        """
        return not any(group.unguardable() for group in self.groups.values() if group.group.native)

    def signAnew(self) -> None:
        """Sign heartbeats with the keys of the settings from now on, and accept them."""
        assert self.node is not None
        speakers.signAnew(self.node.machine, self.settings)

    def _custody(self, group: GroupParts) -> Custody:
        """What makes the resources of a group follow, and until when it may be held."""
        group.keepFor(self._kernel(group.group.protocol))
        retry = min(self.settings.interval, 1.0)
        name, first = group.group.name, group.hooks.prepared
        return Custody(Keeper(self._reactor, name, group.resources, retry, first), group.fence)

    @property
    def guarantee(self) -> Guarantee:
        """How sure it is that no two nodes hold, why, and what is not covered: that of the weakest group."""
        levels = list(Level)
        return min((g.guarantee for g in self.groups.values()), key=lambda g: levels.index(g.level))
