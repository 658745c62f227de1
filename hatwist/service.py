"""
hatwist as a Twisted service, for C{twistd ha} and for programs of one's own.

    service = HAService(settings(interface="eth0", address=["192.168.1.100/24"]))
    service.addActive(Listener(endpoint, factory))
    service.setServiceParent(application)
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from twisted.application.internet import StreamServerEndpointService
from twisted.application.service import IService, MultiService
from twisted.internet.defer import Deferred, DeferredList, DeferredLock
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from hatwist.auth import Keyring
from hatwist.checks.check import CheckSpec
from hatwist.checks.witness import Witness
from hatwist.clock import isMonotonic
from hatwist.composition import Composition
from hatwist.effects import RoleChange
from hatwist.errors import ConfigurationError, ResourceError
from hatwist.guarantee import Guarantee, Level, affordable, kernelLease
from hatwist.heartbeat import Role
from hatwist.history import History
from hatwist.interfaces import IRoleObserver
from hatwist.keeper import LIMIT, Keeper
from hatwist.link import interfaceAddress, makeLinks
from hatwist.linux.guarding import Guard
from hatwist.linux.netlink import Netlink
from hatwist.lock import NodeLock
from hatwist.machine import Machine, NodeRules
from hatwist.node import Node
from hatwist.resources.guarded import Mission
from hatwist.resources.service import ServiceResource
from hatwist.rules import Timing
from hatwist.settings import GroupSettings, Settings
from hatwist.settings.changes import changes
from hatwist.store import Store
from hatwist.web.server import Web
from hatwist.worth import NO_ADDRESS, addressNumber

WRITTEN = 0.2
"""Seconds that a stop waits for the history to be on disk."""


@implementer(IRoleObserver)
class HAService(MultiService):
    """
    One node of one cluster. Any number of them live in one process.

    The resources of a group are acquired in the order of its settings, then C{resources}, then the
    services given to L{addActive}; they are released in reverse.

    @param settings: see L{hatwist.settings.settings} and L{hatwist.settings.load}.
    @param reactor: its timers should be on the monotonic clock, see L{hatwist.clock.useMonotonic};
        C{None}: the global one.
    @param resources: further providers of L{IResource}, for the first group.
    @ivar node: the running driver; C{None} while the service does not run.
    @ivar groups: each group as it is made up, by name.
    @ivar history: the role changes of all nodes that it knows of.
    @ivar startedAt: when it was started, as L{seconds} tells.
    """

    _log = Logger()

    def __init__(
        self, settings: Settings, reactor: Any = None, resources: Sequence[Any] = ()
    ) -> None:
        super().__init__()
        if reactor is None:
            from twisted.internet import reactor
        self.settings = settings
        self.node: Node | None = None
        self._reactor = reactor
        self._observers: list[IRoleObserver] = []
        self._netlink = Netlink(reactor)
        self._guard = Guard(reactor)
        # One for all starts, so that a write that is still under way ends before the next one.
        self._store = Store.of(reactor, settings.stateDir, settings.cluster, settings.node)
        self._reloading = DeferredLock()
        self._departures: dict[str, Deferred[None]] = {}
        self._address = NO_ADDRESS
        self.history = History.of(reactor, settings.stateDir, settings.cluster, settings.node)
        self.startedAt = 0.0
        self._lock = NodeLock.of(settings.stateDir, settings.cluster, settings.node)
        self.groups: dict[str, Composition] = {}
        for group in settings.groups:
            self.groups[group.name] = self._compose(group, resources)
            resources = ()
        self._witness: Witness | None = None
        if settings.witness is not None:
            self._witness = Witness(
                reactor, self._netlink, settings.witness, None, settings.interval, self._witnessed
            )
        if settings.http is not None:
            Web(self, settings.http, reactor).setServiceParent(self)

    def _compose(self, group: GroupSettings, resources: Sequence[Any] = ()) -> Composition:
        return Composition(
            self._reactor,
            self.settings,
            group,
            self._netlink,
            self._guard,
            lambda: self._mission(group.name),
            resources,
        )

    def seconds(self) -> float:
        """The time on the clock of everything here."""
        now: float = self._reactor.seconds()
        return now

    @property
    def guarantee(self) -> Guarantee:
        """How sure it is that no two nodes hold, why, and what is not covered: that of the weakest group."""
        levels = list(Level)
        return min((g.guarantee for g in self.groups.values()), key=lambda g: levels.index(g.level))

    @property
    def role(self) -> Role:
        """ACTIVE while everything of the first group is held here; SHUTDOWN while the service does not run."""
        return next(iter(self.roles.values()))

    @property
    def roles(self) -> dict[str, Role]:
        """The same for every group, by name."""
        if self.node is not None:
            return dict(self.node.roles)
        return dict.fromkeys(self.groups, Role.SHUTDOWN)

    def addActive(self, service: IService, timeout: float = 10.0, group: str | None = None) -> None:
        """
        Start a service whenever the addresses are held, and await its stop before they are let go.

        It has no other parent, and must bear being started more than once.

        @param timeout: seconds that its start and its stop may take.
        @param group: the group it belongs to; C{None}: the first one.
        @raise RuntimeError: this service already runs.
        @raise TypeError: C{service} is one of Twisted's that listens only once.
        """
        if self.running:
            raise RuntimeError("addActive comes before the service is started")
        if isinstance(service, StreamServerEndpointService):
            raise TypeError(
                "StreamServerEndpointService and strports.service listen only the first time that they "
                "are started; use hatwist.resources.listener.Listener(endpoint, factory)"
            )
        name = next(iter(self.groups)) if group is None else group
        self.groups[name].add(ServiceResource(self._reactor, service, timeout))

    def addCheck(self, spec: CheckSpec, group: str | None = None) -> None:
        """
        Let one more check decide whether this node is fit to hold a group.

        @param spec: such as C{CheckSpec(Call(function, "queue"))}; see L{hatwist.checks.inside.Call}.
        @param group: C{None}: the first one.
        @raise RuntimeError: this service already runs.
        """
        if self.running:
            raise RuntimeError("addCheck comes before the service is started")
        self.groups[next(iter(self.groups)) if group is None else group].addCheck(spec)

    def addObserver(self, observer: IRoleObserver) -> None:
        """Tell C{observer} of every role change from now on."""
        self._observers.append(observer)
        if self.node is not None:
            self.node.addObserver(observer)

    def removeObserver(self, observer: IRoleObserver) -> None:
        self._observers.remove(observer)
        if self.node is not None:
            self.node.removeObserver(observer)

    def startService(self) -> None:
        """
        Join the cluster as STANDBY.

        @raise OSError: the heartbeat's interface, the kernel or the state directory cannot be reached.
        @raise ValueError: what an earlier start left in the state directory is damaged. Whatever is
            raised, also by a child, nothing is left open.
        @raise hatwist.lock.Taken: this node runs on this host already.
        """
        settings = self.settings
        if not isMonotonic(self._reactor):
            self._log.warn(
                "Timers run on the wall clock: a step of it moves addresses. "
                "Call hatwist.clock.useMonotonic(reactor) first"
            )
        self._takeLock()
        try:
            self._netlink.start()
            node = self.node = self._build()
            node.addObserver(self)
            for observer in self._observers:
                node.addObserver(observer)
            self.history.read()
            node.watchers.append(self.history.add)
            self.startedAt = self.seconds()
            node.start()
            try:
                self._perceive(node)
                super().startService()
            except BaseException:
                # Nothing is held before a tolerance has passed.
                self._blind()
                node.abort()
                self.running = False
                raise
        except BaseException:
            self.node = None
            self._netlink.stop()
            self._lock.free()
            raise
        self._guard.start().addErrback(self._unguarded)
        self._log.info(
            "Node {node} of cluster {cluster} listens on {links}, {group}; interval {interval} s, "
            "tolerance {tolerance} s, heartbeats {signed}",
            node=settings.node,
            cluster=settings.cluster,
            links=" and ".join(str(spec) for spec in settings.ways),
            group=str(settings.multicast),
            interval=settings.interval,
            tolerance=settings.tolerance,
            signed="signed" if settings.keys else "not signed",
        )
        self._tellGuarantee()

    def _takeLock(self) -> None:
        try:
            self._lock.take()
        except OSError as e:
            # It may well go on without a memory, as it does when the disk is full later.
            self._log.error("Another process of this node would not be noticed: {error}", error=e)

    def _perceive(self, node: Node) -> None:
        node.ask = lambda group: self.groups[group].senses.ask()
        if self._witness is not None:
            self._witness.start()
        for group in self.groups.values():
            group.start(node)

    def _blind(self) -> Deferred[Any]:
        if self._witness is not None:
            self._witness.stop()
        return DeferredList([group.stop() for group in self.groups.values()])

    def _witnessed(self, time: float) -> None:
        if self.node is not None:
            self.node.witnessed(time)

    def _tellGuarantee(self) -> None:
        if not self.settings.lease and any(self.settings.addresses):
            self._log.warn(
                "Without a lease the kernel keeps the addresses where daemon and guard are killed together"
            )
        found = self.guarantee
        emit = self._log.warn if found.level is Level.BEST_EFFORT else self._log.info
        emit("Guarantee: {guarantee}: {reason}", guarantee=found.level.value, reason=found.reason)
        for gap in found.gaps:
            emit("Not covered: {gap}", gap=gap)

    def _unguarded(self, failure: Failure) -> None:
        self._log.critical(
            "No guard, so nothing will be held here: {error}", error=failure.getErrorMessage()
        )

    def _mission(self, group: str) -> Mission:
        """What the guard is to know of the present claim."""
        node = self.node
        assert node is not None
        machine = node.machine
        claim = machine.elections[group].claim
        return Mission(
            claim.term if claim is not None else 0,
            machine.lease(group, self._reactor.seconds()),
            # No goodbye, which is for all groups, while something may be left here.
            [] if any(g.unguardable() for g in self.groups.values()) else node.farewells(group),
        )

    @property
    def _timing(self) -> Timing:
        """That of the group which takes longest to let go."""
        timings = [group.timing for group in self.groups.values()]
        return max(timings, key=lambda timing: timing.releaseTime)

    def _build(self) -> Node:
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
        # The wall clock counts starts, and times nothing; a peer that remembers more corrects it.
        session = max(store.session + 1, int(time.time() * 1000))
        keyring = Keyring(settings.keys)
        rules = self._rules()
        machine = Machine(rules, keyring, session, reactor.seconds(), store.records)
        links = makeLinks(reactor, settings.ways, settings.multicast)
        keepers = {name: self._keeper(group) for name, group in self.groups.items()}
        node = Node(reactor, machine, links, keepers, store, self._guard)
        timing = Timing(settings.interval, settings.tolerance, rules.release)
        node.kernelLease = kernelLease(timing, settings.quorum, settings.lease)
        for group in self.groups.values():
            group.lease(node.kernelLease)
        return node

    def _rules(self) -> NodeRules:
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
        )

    def _keeper(self, group: Composition) -> Keeper:
        return Keeper(
            self._reactor, group.group.name, group.resources, min(self.settings.interval, 1.0)
        )

    def reload(self, settings: Settings) -> Deferred[tuple[str, ...]]:
        """
        Go on with other settings; only what differs is touched.

        Fires with what was done, a sentence each, when it is done.

        Fails with L{ConfigurationError} for what takes a restart: nothing has changed then. Fails with
        L{ResourceError} when a new address was refused, and its group stays what it was; or when another
        resource cannot be acquired, which is a loss of the group as any other. All else is done then.
        """
        return self._reloading.run(lambda: Deferred.fromCoroutine(self._reload(settings)))

    async def _reload(self, settings: Settings) -> tuple[str, ...]:
        node, old = self.node, self.settings
        found = changes(old, settings)
        problems = list(found.problems)
        if node is None:
            problems.append("the service does not run")
        if problems:
            raise ConfigurationError(problems)
        assert node is not None
        if not found.lines:
            return ()
        before, new = {g.name: g for g in old.groups}, {g.name: g for g in settings.groups}
        if back := [n for n in new if n not in before and n in node.keepers]:
            raise ConfigurationError([f"group {', '.join(back)}: still being released, try again"])
        self.settings = settings
        if settings.keys != old.keys:
            node.machine.keyring = Keyring(settings.keys)
        going = [self._departure(name) for name in before if name not in new]
        staying = {n: self.groups[n].become(settings, g) for n, g in new.items() if n in before}
        coming = [self._compose(group) for name, group in new.items() if name not in before]
        for composition in coming:
            self.groups[composition.group.name] = composition
            composition.lease(node.kernelLease)
        node.change(self._rules(), {c.group.name: self._keeper(c) for c in coming})
        for composition in coming:
            composition.start(node)
        failed = []
        for name, group in staying.items():
            try:
                await self.groups[name].follow(group, node.keepers[name])
                if settings.keys != old.keys:  # the guard says goodbye with the key that all accept
                    await node.keepers[name].perform(self.groups[name].rearm)
            except ResourceError as e:
                failed.append(f"group {name}: {e}")
        for gone in going:
            try:
                await gone
            except ResourceError as e:
                failed.append(str(e))
        # What was refused is as before; how long a release takes follows from the resources.
        groups = tuple(self.groups[name].group for name in new)
        self.settings = replace(settings, groups=groups)
        if self.node is node:
            node.change(self._rules(), {})
        if failed:
            raise ResourceError("; ".join(failed))
        return found.lines

    async def _departed(self, name: str, gone: Deferred[None]) -> None:
        await gone
        composition = self.groups.pop(name)
        await composition.stop()
        composition.close()

    def _departure(self, name: str) -> Deferred[None]:
        """Fires when a group that goes is let go of, and its resources are closed."""
        gone = self._departures[name] = Deferred()
        gone.addTimeout(LIMIT, self._reactor, lambda _, seconds: self._stuck(name, seconds))
        return Deferred.fromCoroutine(self._departed(name, gone))

    @staticmethod
    def _stuck(name: str, seconds: float) -> None:
        raise ResourceError(f"group {name}: still not released after {seconds:g} s; see the log")

    def roleChanged(self, change: RoleChange) -> None:
        """See L{IRoleObserver}: which group that goes is gone?"""
        if change.new is Role.SHUTDOWN and change.group in self._departures:
            self._departures.pop(change.group).callback(None)

    def stopService(self) -> Deferred[None]:
        """
        Release everything, say goodbye, then stop the other children. Fires within two seconds of that.

        Commands of events have L{hatwist.hooks.STOP_LIMIT} to end.
        """
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        node = self.node
        if node is not None:
            await node.stop()
            await self._blind()
            self.node = None
            await self._guard.stop()
            for group in self.groups.values():
                group.close()
            self._netlink.stop()
            await self.history.close().addTimeout(WRITTEN, self._reactor, lambda late, limit: None)
            self._lock.free()
        await super().stopService()

    async def releaseLeft(self) -> dict[str, str]:
        """
        Release what an earlier run left here, in the order in which a node does, without joining the cluster.

        The service must not run, neither here nor in another process, for which its owner has L{NodeLock}.

        @return: of each resource, by name, why it could not be released; C{""}: it was.
        """
        self._netlink.start()
        found = {}
        try:
            for group in reversed(self.groups.values()):
                found.update(await group.releaseLeft())
        finally:
            for group in self.groups.values():
                group.close()
            self._netlink.stop()
        return found
