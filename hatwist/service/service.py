"""
hatwist as a Twisted service, for C{twistd ha} and for programs of one's own.

    service = HAService(settings(interface="eth0", address=["192.168.1.100/24"]))
    service.addActive(Listener(endpoint, factory))
    service.setServiceParent(application)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.defer import Deferred, DeferredList, maybeDeferred
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from hatwist.checks.check import CheckSpec
from hatwist.core.claims import Role
from hatwist.core.guarantee import Guarantee, Level
from hatwist.core.picture import Explanation
from hatwist.core.reports import Witnessed
from hatwist.linux import realtime
from hatwist.linux.guard.client import GuardClient
from hatwist.linux.guard.process import COMMAND, REALTIME
from hatwist.linux.lan.witness import Witness
from hatwist.linux.netlink.socket import Netlink
from hatwist.runtime.clock import monotonic
from hatwist.runtime.history import History
from hatwist.runtime.interfaces import IRoleObserver
from hatwist.runtime.lock import NodeLock
from hatwist.runtime.node import Node
from hatwist.runtime.unguarded import REASON, Unguarded
from hatwist.service.figures import Figures, figures
from hatwist.service.groupparts import GroupParts
from hatwist.service.leftover import Left
from hatwist.service.nodeparts import NodeParts
from hatwist.service.orders import Done, Orders, known
from hatwist.service.reload import Reloading
from hatwist.service.roleservice import RoleService, nothing
from hatwist.service.snapshot import Snapshot, snapshot
from hatwist.service.telling import tellStart
from hatwist.settings import Settings

WAIT = 30.0
"""Seconds that an order may usually take."""
GUARD_AGAIN = 1.0
"""Seconds after which a guard that could not be started is tried again."""
WRITTEN = 0.2
"""Seconds that a stop waits for the history to be on disk, and then for what the node remembers."""


class HAService(RoleService):
    """
    One node of one cluster. Any number of them live in one process.

    The resources of a group are acquired in the order of its settings, then C{resources}, then the
    services given to L{addActive}; they are released in reverse.

    @param settings: see L{hatwist.settings.settings} and L{hatwist.settings.load}.
    @param reactor: C{None}: the global one. Its own timers are not used, see L{hatwist.runtime.clock.Monotonic}.
    @param resources: further providers of L{IResource}, for the first group.
    @ivar history: the role changes of all nodes that it knows of.
    @ivar orders: what an operator orders, see L{move}, and what would come of it.
    @ivar startedAt: when it was started, as L{seconds} tells.
    """

    _log = Logger()

    def __init__(
        self, settings: Settings, reactor: Any = None, resources: Sequence[Any] = ()
    ) -> None:
        if reactor is None:
            from twisted.internet import reactor
        reactor = monotonic(reactor)
        super().__init__(reactor, f"ha-{settings.cluster}-{settings.node}")
        self.orders = Orders(reactor, lambda: self.node, self.status)
        self._netlink = Netlink(reactor)
        self._guard = GuardClient(reactor, REALTIME if settings.realtime else COMMAND)
        self._unguarded = Unguarded(reactor, self._guard, settings.interval, settings.tolerance)
        self._parts = NodeParts(reactor, settings, self._netlink, self._guard, resources)
        self._reloading = Reloading(reactor, self._parts, self._netlink)
        where = settings.stateDir, settings.cluster, settings.node
        self.history = History.of(reactor, *where, lambda: self._parts.overloaded)
        self.startedAt = 0.0
        self._refused: tuple[str, ...] = ()
        self._guardLater: IDelayedCall | None = None
        self._lock = NodeLock.of(settings.stateDir, settings.cluster, settings.node)
        self._witness: Witness | None = None
        if settings.witness is not None:
            self._witness = Witness(
                reactor, self._netlink, settings.witness, None, settings.interval, self._witnessed
            )

    @property
    def settings(self) -> Settings:
        """By which it runs: other ones after a L{reload}."""
        return self._parts.settings

    @property
    def node(self) -> Node | None:
        """The running driver; C{None} while the service does not run."""
        return self._parts.node

    @property
    def groups(self) -> dict[str, GroupParts]:
        """Each group as it is made up, by name."""
        return self._parts.groups

    @property
    def guarantee(self) -> Guarantee:
        """How sure it is that no two nodes hold, why, and what is not covered: that of the weakest group."""
        found = self._parts.guarantee
        if self._unguarded.missing:
            return found._replace(level=Level.BEST_EFFORT, reason=REASON)
        return found

    def status(self) -> Snapshot:
        """Everything that there is to tell of it now."""
        return snapshot(
            self.settings,
            self.guarantee,
            self.history,
            self.groups,
            self.node,
            self.startedAt,
            self._refused,
        )

    @property
    def overloaded(self) -> bool:
        """Its node does not keep up, and does without what can wait."""
        return self._parts.overloaded

    def figures(self) -> Figures | None:
        """What is counted and measured, which takes less time than L{status}; C{None}: it does not run."""
        return figures(self.node) if self.node is not None else None

    def seconds(self) -> float:
        """The time on the clock of everything here."""
        now: float = self.clock.seconds()
        return now

    @property
    def roles(self) -> dict[str, Role]:
        """The same for every group, by name."""
        if self.node is not None:
            return dict(self.node.roles)
        return dict.fromkeys(self.groups, Role.SHUTDOWN)

    def addCheck(self, spec: CheckSpec, group: str | None = None) -> None:
        """
        Let one more check decide whether this node is fit to hold a group.

        @param spec: such as C{CheckSpec(Call(function, "queue"))}; see L{hatwist.checks.inside.CallCheck}.
        @param group: C{None}: the first one.
        @raise RuntimeError: this service already runs.
        """
        if self.running:
            raise RuntimeError("addCheck comes before the service is started")
        self._groupOf(group).addCheck(spec)

    def move(self, group: str, to: str = "", wait: float = WAIT) -> Deferred[Done]:
        """
        Have whoever holds a group hand it over, as C{hatwist move} does. Fires when it is there.

        Fails with L{Refused} if that cannot be, or does not come about within C{wait} seconds.

        @param to: C{""}: to the worthiest, as if it had never been moved.
        """
        return Deferred.fromCoroutine(self.orders.move(group, to, wait))

    def drain(self, force: bool = False, wait: float = WAIT) -> Deferred[Done]:
        """Hand over what is held here and take nothing, also after a restart. As L{move}; see L{Orders.drain}."""
        return Deferred.fromCoroutine(self.orders.drain(True, force, wait))

    def undrain(self, wait: float = WAIT) -> Deferred[Done]:
        """Be like the others again. As L{move}."""
        return Deferred.fromCoroutine(self.orders.drain(False, False, wait))

    def explain(self, group: str | None = None) -> Explanation:
        """
        Why a group is where it is, as C{hatwist why} tells.

        @raise Refused: this node does not run.
        """
        return known(self.status(), self._named(group))

    def _groupOf(self, group: str | None) -> GroupParts:
        return self.groups[self._named(group)]

    def _subscribe(self, observer: IRoleObserver) -> Callable[[], None]:
        return nothing if self.node is None else self.node.subscribe(observer)

    def startService(self) -> None:
        """
        Join the cluster as STANDBY.

        @raise OSError: the heartbeat's interface, the kernel or the state directory cannot be reached.
        @raise ValueError: what an earlier start left in the state directory is damaged. Whatever is
            raised, also by a child, nothing is left open.
        @raise hatwist.runtime.lock.Taken: this node runs on this host already.
        """
        settings = self.settings
        self._takeLock()
        self._hasten()
        try:
            self._netlink.start()
            node = self._parts.build()
            node.subscribe(self._reloading)
            for observer in self._observers:
                self._observers[observer] = node.subscribe(observer)
            self.history.read()
            node.watch(self.history.add)
            self.startedAt = self.seconds()
            node.start()
            try:
                self._perceive(node)
                super().startService()
            except BaseException:
                # Nothing is held before a tolerance has passed.
                self._blind()
                node.abort()
                self._stopStarted()
                raise
        except BaseException:
            self._parts.node = None
            self.history.close()
            self._netlink.stop()
            self._lock.free()
            raise
        self._unguarded.start(node)
        self._startGuard()
        tellStart(self._log.info, self._log.warn, settings, self.guarantee)
        Deferred.fromCoroutine(self._tellMisplaced())

    def _stopStarted(self) -> None:
        """End those children that had started before one could not."""
        self.running = False
        for child in reversed(self.services):
            if child.running:
                stopping = maybeDeferred(child.stopService)
                stopping.addErrback(lambda f: self._log.failure("A child could not be stopped", f))

    def _takeLock(self) -> None:
        try:
            self._lock.take()
        except OSError as e:
            # It may well go on without a memory, as it does when the disk is full later.
            self._log.error("Another process of this node would not be noticed: {error}", error=e)

    def _hasten(self) -> None:
        """From now on until the process ends, if the settings say so; a daemon forks before its services start."""
        if self.settings.realtime:
            self._refused = tuple(f"realtime: {what}" for what in realtime.refused())
            for what in self._refused:
                self._log.error("{what}; a busy host can make this node late", what=what)

    def _perceive(self, node: Node) -> None:
        if self._witness is not None:
            self._witness.start()
        self._parts.raw.start(node)
        for group in self.groups.values():
            group.start(node)

    def _blind(self) -> Deferred[Any]:
        if self._witness is not None:
            self._witness.stop()
        self._parts.raw.stop()
        return DeferredList([group.stop() for group in self.groups.values()])

    def _witnessed(self, time: float) -> None:
        if self.node is not None:
            self.node.tell(Witnessed(time))

    async def _tellMisplaced(self) -> None:
        """A network may come after the daemon at boot, so a start does not refuse what a reload does."""
        for problem in await self._reloading.misplaced(self.settings):
            if self.running:
                self._log.warn(
                    "{problem}; until then this node cannot take it over", problem=problem
                )

    def _noGuard(self, failure: Failure) -> None:
        self._log.critical(
            "No guard, so nothing will be held here until there is one: {error}",
            error=failure.getErrorMessage(),
        )
        if self.node is not None:
            self._guardLater = self.clock.callLater(GUARD_AGAIN, self._startGuard)

    def _startGuard(self) -> None:
        self._guardLater = None
        self._guard.start().addErrback(self._noGuard)

    def preview(self, settings: Settings) -> Deferred[tuple[str, ...]]:
        """
        What a L{reload} would do, once one that is under way has ended; nothing is touched.

        Fires with a sentence for each change; fails with L{ConfigurationError} where that would.
        """
        return self._reloading.preview(settings)

    def reload(self, settings: Settings) -> Deferred[tuple[str, ...]]:
        """
        Go on with other settings; only what differs is touched.

        Fires with what was done, a sentence each, when it is done.

        Fails with L{ConfigurationError} for what takes a restart, and for a new address that has no place on
        this host: nothing has changed then. Fails with L{ResourceError} when the kernel refused a new address,
        and its group stays what it was; or when another resource cannot be acquired, which is a loss of the
        group as any other. All else is done then.
        """
        return self._reloading.reload(settings)

    def stopService(self) -> Deferred[None]:
        """
        Release everything, say goodbye, then stop the other children. Fires within two seconds of that.

        Commands of events have L{hatwist.runtime.hooks.STOP_LIMIT} to end.
        """
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        node = self.node
        if node is not None:
            await node.stop()
            self._unguarded.stop()
            await self._blind()
            self._parts.node = None
            if self._guardLater is not None:
                self._guardLater.cancel()
                self._guardLater = None
            await self._guard.stop()
            self._parts.close()
            self._netlink.stop()
            for written in (self.history.close(), self._parts.settled()):
                await written.addTimeout(WRITTEN, self.clock, lambda late, limit: None)
            self._lock.free()
        self._closeWaiting()
        await super().stopService()

    async def releaseLeft(self) -> dict[str, Left]:
        """
        Release what an earlier run left here, in the order in which a node does, without joining the cluster.

        The service must not run, neither here nor in another process, for which its owner has L{NodeLock}.

        @return: what became of each resource, by name.
        """
        self._netlink.start()
        found: dict[str, Left] = {}
        try:
            for group in reversed(self.groups.values()):
                found.update(await group.releaseLeft())
        finally:
            for group in self.groups.values():
                group.close()
            self._netlink.stop()
        return found
