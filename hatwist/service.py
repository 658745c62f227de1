"""
hatwist as a Twisted service, for C{twistd ha} and for programs of one's own.

    service = HAService(settings(interface="eth0", address=["192.168.1.100/24"]))
    service.addActive(Listener(endpoint, factory))
    service.setServiceParent(application)
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from twisted.application.internet import StreamServerEndpointService
from twisted.application.service import IService, MultiService
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from hatwist.auth import Keyring
from hatwist.clock import isMonotonic
from hatwist.election import GroupRules
from hatwist.guarantee import Guarantee, Level, guarantee, kernelLease
from hatwist.heartbeat import Role
from hatwist.interfaces import IResource, IRoleObserver
from hatwist.keeper import LIMIT, Keeper
from hatwist.link import interfaceAddress, makeLinks
from hatwist.linux.guarding import Guard
from hatwist.linux.netlink import Netlink
from hatwist.lock import NodeLock
from hatwist.machine import Machine, NodeRules
from hatwist.node import Node
from hatwist.resources.addresses import Addresses
from hatwist.resources.alias import Alias
from hatwist.resources.guarded import Guarded, Mission
from hatwist.resources.interface import Interface
from hatwist.resources.service import ServiceResource
from hatwist.rules import Timing
from hatwist.senses import Senses
from hatwist.settings import GROUP, MIN_LEASE, Settings
from hatwist.store import Store
from hatwist.worth import addressNumber


class HAService(MultiService):
    """
    One node of one cluster. Any number of them live in one process.

    Its resources are acquired in this order, and released in reverse: aliases, addresses, C{resources},
    then the services given to L{addActive}.

    @param settings: see L{hatwist.settings.settings}.
    @param reactor: its timers should be on the monotonic clock, see L{hatwist.clock.useMonotonic};
        C{None}: the global one.
    @param resources: further providers of L{IResource}.
    @ivar node: the running driver; C{None} while the service does not run.
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
        self._closing: list[Alias | Addresses] = []
        self._resources: list[Any] = []
        for name in settings.aliases:
            self._closing.append(Alias(reactor, name, self._netlink))
        self._guard = Guard(reactor)
        # One for all starts, so that a write that is still under way ends before the next one.
        self._store = Store.of(reactor, settings.stateDir, settings.cluster, settings.node)
        self._lock = NodeLock.of(settings.stateDir, settings.cluster, settings.node)
        self._addresses: Addresses | None = None
        if settings.addresses:
            self._addresses = Addresses(
                reactor,
                self._netlink,
                settings.addresses,
                arm=self._armAddresses,
                permitted=lambda: self._guard.permits(GROUP),
            )
            self._closing.append(self._addresses)
        self._guarded = Guarded(self._guard, GROUP, self._mission, not settings.addresses)
        self._resources.append(self._guarded)
        self._resources += self._closing
        for resource in resources:
            IResource(resource)  # raises TypeError for what is none
            self._resources.append(resource)
        self._senses = Senses(
            reactor,
            self._netlink,
            GROUP,
            settings.interface,
            settings.addresses,
            settings.interval,
            settings.witness,
            # ifup can be given an interface's own name.
            {r.interface for r in resources if isinstance(r, Interface)} | {*settings.aliases},
        )

    @property
    def guarantee(self) -> Guarantee:
        """How sure it is that no two nodes hold, why, and what is not covered."""
        settings = self.settings
        return guarantee(
            self._timing,
            settings.quorum,
            True,
            # Without addresses there is nothing that the kernel could keep.
            settings.lease if settings.addresses else MIN_LEASE,
            self._unguardable(),
            witness=settings.witness is not None,
        )

    @property
    def role(self) -> Role:
        """ACTIVE while everything is held here; SHUTDOWN while the service does not run."""
        return self.node.roles[GROUP] if self.node is not None else Role.SHUTDOWN

    def addActive(self, service: IService, timeout: float = 10.0) -> None:
        """
        Start a service whenever the addresses are held, and await its stop before they are let go.

        It has no other parent, and must bear being started more than once.

        @param timeout: seconds that its start and its stop may take.
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
        self._resources.append(ServiceResource(self._reactor, service, timeout))

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
            for observer in self._observers:
                node.addObserver(observer)
            node.start()
            try:
                self._senses.start(node)
                super().startService()
            except BaseException:
                # Nothing is held before a tolerance has passed.
                self._senses.stop()
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

    def _tellGuarantee(self) -> None:
        if not self.settings.lease and self.settings.addresses:
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

    def _mission(self) -> Mission:
        """What the guard is to know of the present claim."""
        node = self.node
        assert node is not None
        machine = node.machine
        claim = machine.elections[GROUP].claim
        return Mission(
            claim.term if claim is not None else 0,
            machine.lease(GROUP, self._reactor.seconds()),
            # No goodbye while something may be left here.
            [] if self._unguardable() else node.farewells(GROUP),
        )

    def _armAddresses(self) -> Deferred[None]:
        assert self._addresses is not None
        return self._guarded.arm(self._addresses.deletions())

    def _unguardable(self) -> tuple[str, ...]:
        """What the guard cannot release: whatever is no address."""
        return tuple(resource.name for resource in self._beyondGuard())

    def _beyondGuard(self) -> list[Any]:
        known = (Addresses, Guarded, ServiceResource)
        return [resource for resource in self._resources if not isinstance(resource, known)]

    @property
    def _timing(self) -> Timing:
        """With the time that everything takes to stop of which the guard cannot make sure."""
        slow = sum(getattr(r, "releaseTime", LIMIT) for r in self._beyondGuard())
        ordinary = Timing(self.settings.interval, self.settings.tolerance)
        return ordinary._replace(release=ordinary.releaseTime + slow) if slow else ordinary

    def _release(self) -> float | None:
        """
        What the votes leave time for: a release however long, if a lost round trip is survived then.

        Otherwise what addresses take, since one could not hold at all; L{guarantee} tells so.
        """
        timing = self._timing
        return timing.release if self.settings.quorum and timing.survives() >= 1 else None

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
        rules = NodeRules(
            settings.cluster,
            settings.node,
            settings.interval,
            settings.tolerance,
            (
                GroupRules(
                    GROUP,
                    settings.priority,
                    settings.preempt,
                    settings.preemptDelay,
                    asks=bool(settings.addresses),
                    witness=settings.witness is not None,
                    keepUnwitnessed=settings.witnessLost == "keep",
                ),
            ),
            addressNumber(own),
            settings.digest(),
            settings.quorum,
            self._release(),
        )
        store = self._store
        store.read()
        # The wall clock counts starts, and times nothing; a peer that remembers more corrects it.
        session = max(store.session + 1, int(time.time() * 1000))
        keyring = Keyring(settings.keys)
        machine = Machine(rules, keyring, session, reactor.seconds(), store.records)
        links = makeLinks(reactor, settings.ways, settings.multicast)
        keeper = Keeper(reactor, GROUP, self._resources, min(settings.interval, 1.0))
        node = Node(reactor, machine, links, {GROUP: keeper}, store, self._guard)
        timing = Timing(settings.interval, settings.tolerance, rules.release)
        node.kernelLease = kernelLease(timing, settings.quorum, settings.lease)
        if self._addresses is not None:
            self._addresses.lease = node.kernelLease or None
        return node

    def stopService(self) -> Deferred[None]:
        """Release everything, say goodbye, then stop the other children. Fires within two seconds of that."""
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        node = self.node
        if node is not None:
            await node.stop()
            self._senses.stop()
            self.node = None
            await self._guard.stop()
            for resource in self._closing:
                resource.close()
            self._netlink.stop()
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
            for resource in reversed(self._resources):
                pending = resource.release()
                pending.addTimeout(getattr(resource, "releaseTime", LIMIT) + 1, self._reactor)
                try:
                    await pending
                except Exception as e:
                    found[resource.name] = str(e) or repr(e)
                else:
                    if resource is not self._guarded:
                        found[resource.name] = ""
        finally:
            for resource in self._closing:
                resource.close()
            self._netlink.stop()
        return found
