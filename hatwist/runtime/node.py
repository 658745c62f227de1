"""One node, as the rest of the daemon has it: to start and stop, to tell things to, and to move and drain."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import inf
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from hatwist.core.claims import Role
from hatwist.core.effects import Change, Event
from hatwist.core.machine import Machine
from hatwist.core.picture import Context, Picture, merged
from hatwist.core.reports import Drained, MoveWanted, Report, Stopped
from hatwist.linux.interfaces import IGuard
from hatwist.runtime.driver import Custody, Driver
from hatwist.runtime.fence import KernelLease
from hatwist.runtime.interfaces import IRoleObserver
from hatwist.runtime.keeper import Keeper
from hatwist.runtime.link import Link
from hatwist.runtime.reporter import Reporter
from hatwist.runtime.speaker import Speaker
from hatwist.runtime.store import MemoryStore

STOP_LIMIT = 1.5
"""Seconds after which a stop waits for no resource any more."""
HURRY_LIMIT = 0.3
"""Seconds that what is cut short then gets to end."""


class Node:
    """
    @param reactor: provides IReactorTime, on a monotonic clock.
    @param speakers: one for each protocol, at least one.
    @param custody: of each group of the machines.
    @param store: remembers terms and votes, see L{hatwist.runtime.store}; C{None}: nothing does.
    @param guard: started; lets go of addresses when this process cannot; C{None}: nothing does.
    @param ask: asks the LAN who has the addresses of a group, which is answered by L{Served}.
    @param votes: claims take votes, so that none is made that could not be remembered.
    @ivar driver: runs it.
    @ivar startedAt: when it last began.
    @ivar notes: the newest of each group and kind that was given to L{note}, and when.
    @ivar drained: the operator wants nothing to be held here.
    """

    _log = Logger()

    def __init__(
        self,
        reactor: Any,
        speakers: Sequence[Speaker],
        custody: Mapping[str, Custody],
        store: Any = None,
        guard: IGuard | None = None,
        ask: Callable[[str], None] = lambda group: None,
        votes: bool = False,
    ) -> None:
        self._reactor = reactor
        self._store = store if store is not None else MemoryStore()
        self._reporter = Reporter(custody)
        self.driver = Driver(
            reactor,
            speakers,
            custody,
            self._store,
            guard,
            self._reporter,
            ask,
            votes,
            self._finish,
        )
        self.startedAt = -inf
        self.notes: dict[tuple[str, str], tuple[float, str]] = {}
        self.drained = False
        self._stopped: Deferred[None] | None = None
        self._late: IDelayedCall | None = None

    # What is known of it

    @property
    def now(self) -> float:
        """The time, on the clock of every time here."""
        return float(self._reactor.seconds())

    @property
    def machine(self) -> Any:
        """That of its first protocol."""
        return self.driver.machines[0]

    @property
    def cluster(self) -> str:
        """The cluster's name."""
        return self.driver.machines[0].cluster

    @property
    def name(self) -> str:
        """Its own."""
        return self.driver.machines[0].name

    @property
    def silent(self) -> bool:
        """None of its protocols sends anything."""
        return all(machine.silent for machine in self.driver.machines)

    @property
    def links(self) -> list[Link]:
        """Those of all protocols, each once: protocols may share one."""
        found = [link for speaker in self.driver.speakers for link in speaker.links]
        return list(dict.fromkeys(found))

    @property
    def keepers(self) -> dict[str, Keeper]:
        """What makes the resources of each group follow, by its name."""
        return self.driver.performer.keepers

    @property
    def roles(self) -> dict[str, Role]:
        """In each group, as its observers were told."""
        return self._reporter.roles

    @property
    def counters(self) -> Mapping[str, int]:
        """How many packets were sent (C{"sent"}), and how many events there were of each kind."""
        return self._reporter.counters

    @property
    def overloaded(self) -> bool:
        """It does not keep up, and does without what can wait."""
        return self.driver.pace.overload.burden is not None

    def subscribe(self, observer: IRoleObserver, group: str = "") -> Callable[[], None]:
        """See L{Reporter.subscribe}."""
        return self._reporter.subscribe(observer, group)

    def watch(self, watcher: Callable[[Change], None]) -> Callable[[], None]:
        """See L{Reporter.watch}."""
        return self._reporter.watch(watcher)

    # What it is told and ordered

    def tell(self, *reports: Report) -> None:
        """Something has happened; nothing is decided while the node does not run."""
        self.driver.tell(*reports)

    def note(self, kind: str, group: str, reason: str) -> None:
        """Tell the log and the observers of something that no machine need know."""
        self.notes[group, kind] = self._reactor.seconds(), reason
        self._reporter.report(Event(kind, group, "", reason))

    def move(self, group: str, to: str | None) -> None:
        """
        Ask whoever holds a group, on behalf of the operator, to hand it over at once.

        It then stays there until that claim ends for another reason, whoever is worthier.

        @param to: the name of a node; C{""} or C{None}: to the worthiest, as if it had not been moved.
        @raise ValueError: a sentence that says why it cannot be.
        """
        if not self.driver.running:
            raise ValueError("this node does not run")
        problem = self.hindrance(group, to or "")
        if problem:
            raise ValueError(problem)
        self.tell(MoveWanted(group, to or ""))

    def hindrance(self, group: str, to: str) -> str:
        """
        Why L{move} cannot be now, as a sentence without full stop; C{""}: it can.

        @raise ValueError: there is no such group.
        """
        return self._machineOf(group).hindrance(group, to, self.now)

    def picture(self, context: Context) -> Picture:
        """What its protocols know of this node and of the others."""
        return merged([machine.picture(self.now, context) for machine in self.driver.machines])

    def drain(self, on: bool) -> Deferred[None]:
        """
        Hand over whatever is held here and take nothing, at once; or be like the others again.

        Fires when a restart will remember it. Fails with L{OSError} if none will: then it is so until
        this process ends. See L{others} for who is left.
        """
        self.drained = on
        self.tell(Drained(on))
        return self._store.drain(self.driver.session, on)

    def others(self, group: str) -> list[str]:
        """
        Who besides this node holds a group or could take it at once, the worthiest first.

        @raise ValueError: there is no such group.
        """
        return self._machineOf(group).others(group, self.now)

    def contested(self, group: str) -> bool:
        """
        Others are heard that hold it too, one of which has to give way; no matter for anybody else.

        @raise ValueError: there is no such group.
        """
        return self._machineOf(group).contested(group)

    def _machineOf(self, group: str) -> Machine:
        machine = self.driver.machineOf(group)
        if machine is None:
            known = ", ".join(name for each in self.driver.machines for name in each.groups)
            raise ValueError(f"no group {group}; there are: {known}")
        return machine

    # From the start to the end

    def start(self) -> None:
        """
        Open the links, release what an earlier run left, and send the first heartbeat.

        @raise OSError: a link cannot be opened; nothing is left open then.
        """
        self.drained = self._store.drained
        for machine in self.driver.machines:
            machine.tell(Drained(self.drained), self.now)
        self.startedAt = self.now
        self.driver.start()

    def change(
        self, machine: Machine, rules: Any, custody: Mapping[str, Custody], kernel: KernelLease
    ) -> None:
        """
        Go on with other rules of one machine, see L{Machine.change}.

        @param custody: of the groups that come.
        @param kernel: how long the kernel keeps addresses from now on.
        @raise ValueError: it cannot be now; nothing has changed.
        """
        self.driver.change(machine, rules, self._store.records, custody, kernel)

    def stop(self, why: str = "stopped") -> Deferred[None]:
        """
        Release everything, say goodbye, close the links.

        Fires within C{STOP_LIMIT + HURRY_LIMIT} seconds, whatever a resource does, and the C{stopTime} of
        what is held; only if everything was released has a goodbye been said.
        """
        if self._stopped is None:
            self._stopped = Deferred()
            if not self.driver.running:
                self._finish()
                return self._stopped
            more = max((keeper.stopTime for keeper in self.keepers.values()), default=0.0)
            self._late = self._reactor.callLater(STOP_LIMIT + more, self._hurry)
            self.tell(Stopped(why))
            self.driver.run()
        return self._stopped

    def abort(self) -> None:
        """Close everything at once, as a crash does: without a release or a goodbye."""
        if self._late is not None and self._late.active():
            self._late.cancel()
        self.driver.close()

    def _hurry(self) -> None:
        for keeper in list(self.keepers.values()):
            keeper.hurry()
        if not self.driver.running:  # that was the end
            return
        self._late = self._reactor.callLater(HURRY_LIMIT, self._giveUp)

    def _giveUp(self) -> None:
        self._log.error("Stopped although not everything was released; no goodbye was said")
        self._finish()

    def _finish(self) -> None:
        stopped = self._stopped
        if stopped is None or stopped.called:
            return
        self.abort()
        stopped.callback(None)
