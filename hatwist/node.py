"""
The driver of one node: gives datagrams and times to the machine, and performs what it decides.

A LoopingCall sends heartbeats, a delayed call is the failover deadline, and keepers make the resources
follow. Before a deadline is believed, everything that has arrived is read.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from math import inf
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from hatwist.chronicle import Change, Chronicle
from hatwist.effects import (
    Announce,
    Ask,
    Effect,
    Event,
    Hold,
    Persist,
    Release,
    RoleChange,
    Send,
)
from hatwist.heartbeat import Role
from hatwist.interfaces import IEventObserver, IRoleObserver
from hatwist.keeper import Keeper
from hatwist.link import Link
from hatwist.linux import Farewell, IGuard
from hatwist.machine import Machine, NodeRules
from hatwist.recorder import Recorder
from hatwist.store import MemoryStore
from hatwist.tally import Lateness
from hatwist.votes import Record
from hatwist.worth import Fitness

STOP_LIMIT = 1.5
"""Seconds after which a stop waits for no resource any more."""
HURRY_LIMIT = 0.3
"""Seconds that what is cut short then gets to end."""
RENEWAL = 0.5
"""Seconds between two renewals of the kernel's lease."""
RETRY = 1.0
"""Seconds after which a failed write to the store is tried again."""
_WARNINGS = frozenset(
    (
        "conflict",
        "stalled",
        "acquire-failed",
        "configuration-differs",
        "session",
        "same-name",
        "not-heard",
        "move-failed",
    )
)


class Node:
    """
    @param reactor: provides IReactorTime, on a monotonic clock.
    @param keepers: one for each group of the machine.
    @ivar kernelLease: whole seconds for which the kernel keeps what is not renewed; 0: for ever.
    @ivar startedAt: when it last began.
    @ivar lateness: how late each beat of this node came.
    @ivar margins: the least that was left of the lease of each group held here, in seconds, whenever it
        was renewed.
    @ivar ask: asks the LAN who has the addresses of a group.
    @ivar received: how many packets were taken in, by node and link.
    @ivar recorder: the last decisions, with what led to them.
    @ivar watchers: each is called with every role change of any node, as this one notices it.
    @param guard: started; lets go of addresses when this process cannot; C{None}: nothing does.
    @param store: remembers terms and votes, see L{hatwist.store}; C{None}: nothing does.
    """

    _log = Logger()

    def __init__(
        self,
        reactor: Any,
        machine: Machine,
        links: Sequence[Link],
        keepers: Mapping[str, Keeper],
        store: Any = None,
        guard: IGuard | None = None,
    ) -> None:
        self._reactor = reactor
        self.machine = machine
        self.links = list(links)
        self.keepers = dict(keepers)
        self._store = store if store is not None else MemoryStore()
        self._guard = guard
        self.kernelLease = 0
        self._petted: dict[str, float] = {}
        self._renewed: dict[str, float] = {}
        self.margins: dict[str, float] = {}
        self.startedAt = -inf
        self.lateness = Lateness()
        self.ask: Callable[[str], None] = lambda group: None
        self._forgetful = False
        self.roles: dict[str, Role] = dict.fromkeys(keepers, Role.STANDBY)
        self._observers: list[IRoleObserver] = []
        self._sender = LoopingCall(self._beat)
        self._sender.clock = reactor
        self._deadline: IDelayedCall | None = None
        self._soon: IDelayedCall | None = None
        self._deciding = False
        self._again = False
        self._stopped: Deferred[None] | None = None
        self._running = False
        self._retries: list[IDelayedCall] = []
        self.counters: Counter[str] = Counter()
        self.received: Counter[tuple[str, str]] = Counter()
        self.recorder = Recorder()
        self.chronicle = Chronicle(machine.rules.name, machine.elections)
        self.watchers: list[Callable[[Change], None]] = []

    # Faces

    def addObserver(self, observer: IRoleObserver) -> None:
        self._observers.append(observer)

    def removeObserver(self, observer: IRoleObserver) -> None:
        self._observers.remove(observer)

    @property
    def now(self) -> float:
        """The time, on the clock of every time here."""
        return float(self._reactor.seconds())

    def served(self, group: str) -> None:
        """Another host has answered for an address of a group."""
        if self._running:
            self._report(self.machine.served, group)

    def fitness(self, group: str, fitness: Fitness, reason: str, source: str = "") -> None:
        """
        A source has a new verdict on a group, in place of its last one.

        Of all sources' verdicts the worst counts, and its reason is told.
        """
        if self._running:
            now = self._reactor.seconds()
            self.recorder.told(now, "fitness", group, (fitness.name.lower(), reason, source))
            self.machine.fitness(group, fitness, reason, source)
            self._decide()

    def move(self, group: str, to: str | None) -> None:
        """
        Ask whoever holds a group, on behalf of the operator, to hand it over at once.

        It then stays there until that claim ends for another reason, whoever is worthier.

        @param to: the name of a node; C{""} or C{None}: to the worthiest, as if it had not been moved.
        @raise ValueError: a sentence that says why it cannot be.
        """
        if not self._running:
            raise ValueError("this node does not run")
        now = self._reactor.seconds()
        self.recorder.told(now, "move", group, (to or "",))
        self.machine.move(group, to or "", now)
        self._decide()

    @property
    def drained(self) -> bool:
        """The operator wants nothing to be held here."""
        return self.machine.drained

    def drain(self, on: bool) -> Deferred[None]:
        """
        Hand over whatever is held here and take nothing, at once; or be like the others again.

        Fires when a restart will remember it. Fails with L{OSError} if none will: then it is so until
        this process ends. See L{others} for who is left.
        """
        self.recorder.told(self._reactor.seconds(), "drain", "", (on,))
        self.machine.drain(on)
        self._decide()
        return self._store.drain(self.machine.session, on)

    def others(self, group: str) -> list[str]:
        """
        Who besides this node holds a group or could take it at once, the worthiest first.

        @raise ValueError: there is no such group.
        """
        return self.machine.others(group, self._reactor.seconds())

    def witnessed(self, time: float) -> None:
        """The witness has answered the probe sent at C{time}, on the reactor's clock."""
        self.machine.witnessed(time)

    def farewells(self, group: str) -> list[Farewell]:
        """What the guard says for this node on every link once it has let go of a group."""
        datagram = self.machine.keyring.seal(self.machine.farewell(group))
        return [farewell for link in self.links for farewell in link.farewells(datagram)]

    def start(self) -> None:
        """
        Open the links, release what an earlier run left, and send the first heartbeat.

        @raise OSError: a link cannot be opened; nothing is left open then.
        """
        try:
            for link in self.links:
                link.open(self._received)
        except BaseException:
            self._close()
            raise
        self._running = True
        self.machine.drain(self._store.drained)
        if self._guard is not None:
            self._guard.onFired = self._fenced
        for name, keeper in self.keepers.items():
            self._employ(name, keeper)
        self.startedAt = self._reactor.seconds()
        self.lateness.start(self.startedAt, self.machine.rules.tolerance / 2)
        self._sender.start(self.machine.rules.interval, now=True).addErrback(self._failed)

    def _employ(self, name: str, keeper: Keeper) -> None:
        keeper.start(
            lambda: self._report(self.machine.held, name),
            lambda reason: self._report(self.machine.refused, name, reason),
            lambda: self._report(self.machine.released, name),
            # Told by the next heartbeat: nobody waits for it.
            partial(self.machine.progress, name),
        )

    def change(self, rules: NodeRules, keepers: Mapping[str, Keeper]) -> None:
        """
        Go on with other rules, see L{Machine.change}.

        @param keepers: of the groups that come.
        @raise ValueError: it cannot be now; nothing has changed.
        """
        self.machine.change(rules, self._reactor.seconds(), self._store.records)
        for name, keeper in keepers.items():
            self.keepers[name] = keeper
            self.roles[name] = Role.STANDBY
            self._employ(name, keeper)
        self._decide()

    def _dismiss(self) -> None:
        """What the machine has forgotten needs no keeper."""
        for name in [name for name in self.keepers if name not in self.machine.elections]:
            self.keepers.pop(name).abandon()
            del self.roles[name]

    def stop(self, why: str = "stopped") -> Deferred[None]:
        """
        Release everything, say goodbye, close the links.

        Fires within C{STOP_LIMIT + HURRY_LIMIT} seconds, whatever a resource does, and the C{stopTime} of
        what is held; only if everything was released has a goodbye been said.
        """
        if self._stopped is None:
            self._stopped = Deferred()
            if not self._running:
                self._finish()
                return self._stopped
            self.machine.stop(self._reactor.seconds(), why)
            more = max((keeper.stopTime for keeper in self.keepers.values()), default=0.0)
            self._late = self._reactor.callLater(STOP_LIMIT + more, self._hurry)
            self._decide()
        return self._stopped

    def abort(self) -> None:
        """Close everything at once, as a crash does: without a release or a goodbye."""
        self._close()

    # What comes in

    def _received(self, datagram: bytes, link: str) -> None:
        if not self._running:
            return
        now = self._reactor.seconds()
        beat = self.machine.receive(datagram, link, now)
        self.received[beat.name, link] += 1
        self.recorder.packet(now, link, beat)
        if self._soon is None and self.machine.news:
            # In the reactor's next turn, when every socket that is readable has been read.
            self._soon = self._reactor.callLater(0, self._settle)

    def _settle(self) -> None:
        self._soon = None
        if self.machine.news:  # else a beat or a deadline was due in the same turn
            self._decide()

    def _beat(self) -> None:
        self.lateness.beat(self._reactor.seconds(), self.machine.timing.interval)
        try:
            self._drain()
            self._decide(beat=True)
        except Exception:
            self._log.failure("A heartbeat failed; the next one is tried all the same")

    def _elapsed(self) -> None:
        self._deadline = None
        self._drain()
        self._decide()

    def _drain(self) -> None:
        for link in self.links:
            link.drain()

    def _report(self, what: Any, group: str, *details: Any) -> None:
        now = self._reactor.seconds()
        self.recorder.told(now, what.__name__, group, details)
        what(group, *details, now)
        self._decide()

    # What goes out

    def _decide(self, beat: bool = False) -> None:
        """Let the machine decide and perform the effects; one of them may lead back here."""
        if not self._running:
            return
        if self._deciding:
            self._again = True
            return
        if self._guard is not None:
            # Before anything else: is this still the holder that it was when it last ran?
            self._guard.check()
        self._deciding = True
        reports: list[Effect] = []
        try:
            while True:
                self._again = False
                now = self._reactor.seconds()
                effects = self.machine.decide(now, beat)
                self.recorder.decided(now, effects)
                for effect in effects:
                    if isinstance(effect, RoleChange | Event):
                        reports.append(effect)
                    elif isinstance(effect, Send) and self._again:
                        # A resource has answered already: the next packet tells more.
                        self.machine.withdraw(effect.heartbeat)
                    else:
                        self._perform(effect)
                beat = False
                if not self._again:
                    break
            for effect in reports:
                self._perform(effect)
            for change in self.chronicle.look(self.machine.view, now):
                self._tell(change)
        finally:
            self._deciding = False
        if len(self.keepers) > len(self.machine.elections):
            self._dismiss()
        self._pet()
        self._arm()
        if self.machine.over and self._stopped is not None:
            self._finish()

    def _fenced(self, groups: Sequence[str]) -> None:
        """The guard has fired, or is about to: this session is over."""
        self._log.critical(
            "The guard let go of {groups}: this process was dead or hung for too long. It begins anew",
            groups=", ".join(groups),
        )
        self._petted.clear()
        self.machine.fenced("the guard let go", self._reactor.seconds())
        if not self._deciding:
            self._decide()
        else:
            self._again = True

    def _pet(self) -> None:
        """Tell the guard, a few times in an interval, until when this node may hold."""
        if self._guard is None:
            return
        step = self.machine.rules.interval / 4
        for name, election in self.machine.elections.items():
            if election.role is Role.ACTIVE:
                lease = self.machine.lease(name, self._reactor.seconds())
                before = self._petted.get(name, 0.0)
                if lease >= before + step:
                    if before:
                        left = before - self._reactor.seconds()
                        self.margins[name] = min(left, self.margins.get(name, left))
                    self._petted[name] = lease
                    self._guard.pet(name, lease)
                    self._renew(name, lease)
            else:
                self._petted.pop(name, None)
                self.margins.pop(name, None)
                self._renewed.pop(name, None)

    def _renew(self, name: str, lease: float) -> None:
        """The kernel's lease too follows what is confirmed, in the whole seconds that it knows."""
        now = self._reactor.seconds()
        if not self.kernelLease or now < self._renewed.get(name, 0.0) + RENEWAL:
            return
        self._renewed[name] = now
        seconds = self.kernelLease
        if self.machine.rules.quorum is not None:
            votes = int(lease - now - 0.4)
            # Shorter than that, a lost heartbeat would lose the addresses.
            if votes >= max(1, 2 * self.machine.rules.interval):
                seconds = min(seconds, votes)
        self.keepers[name].renew(seconds)

    def _arm(self) -> None:
        wait = self.machine.deadline - self._reactor.seconds()
        if wait == float("inf"):
            if self._deadline is not None:
                self._deadline.cancel()
                self._deadline = None
        elif self._deadline is not None:
            self._deadline.reset(max(0.0, wait))
        else:
            self._deadline = self._reactor.callLater(max(0.0, wait), self._elapsed)

    def _perform(self, effect: Effect) -> None:
        try:
            if isinstance(effect, Send):
                datagram = self.machine.keyring.seal(effect.heartbeat)
                for link in self.links:
                    link.send(datagram)
                self.counters["sent"] += 1
            elif isinstance(effect, Hold):
                self.keepers[effect.group].hold(effect.term)
            elif isinstance(effect, Release):
                self.keepers[effect.group].release()
            elif isinstance(effect, Announce):
                self.keepers[effect.group].announce()
            elif isinstance(effect, Ask):
                self.ask(effect.group)
            elif isinstance(effect, Persist):
                self._persist(effect)
            elif isinstance(effect, RoleChange):
                self._changed(effect)
            else:
                self._noted(effect)
        except Exception:
            self._log.failure("An effect could not be performed: {effect}", effect=effect)

    def _persist(self, effect: Persist) -> None:
        group, record = effect
        done = self._store.write(self.machine.session, {group: record})
        done.addCallback(self._persisted, group, record)
        done.addErrback(self._notPersisted, effect)

    def _persisted(self, result: None, group: str, record: Record) -> None:
        if self._forgetful:
            self._forgetful = False
            self._log.info("Terms can be remembered again")
        if self._running:
            self._report(self.machine.persisted, group, record)

    def _notPersisted(self, failure: Failure, effect: Persist) -> None:
        if not self._forgetful:
            self._forgetful = True
            self._log.error(
                "Terms and votes cannot be remembered: {error}; {consequence}",
                error=failure.getErrorMessage(),
                consequence="no claim is made and no vote given beyond those on disk"
                if self.machine.rules.quorum is not None
                else "after a crash a term may be used twice",
            )
        if self._running:
            self._retries.append(self._reactor.callLater(RETRY, self._persistAgain, effect))

    def _persistAgain(self, effect: Persist) -> None:
        self._retries = [call for call in self._retries if call.active()]
        self._persist(effect)

    def _changed(self, change: RoleChange) -> None:
        self.roles[change.group] = change.new
        self._log.info(
            "{group}: {old} -> {new}, term {term}: {reason}",
            cluster=change.cluster,
            group=change.group,
            old=change.old.name if change.old is not None else "-",
            new=change.new.name,
            term=change.term,
            reason=change.reason,
        )
        election = self.machine.elections.get(change.group)
        released = election.released if election is not None else None
        self._tell(self.chronicle.own(change, released, self._reactor.seconds()))
        for observer in list(self._observers):
            try:
                observer.roleChanged(change)
            except Exception:
                self._log.failure("An observer failed on {change}", change=change)

    def _tell(self, change: Change) -> None:
        for watcher in list(self.watchers):
            try:
                watcher(change)
            except Exception:
                self._log.failure("A watcher failed on {change}", change=change)

    def _noted(self, event: Event) -> None:
        emit = self._log.warn if event.kind in _WARNINGS else self._log.info
        emit(
            "{kind}{where}{about}: {reason}",
            kind=event.kind,
            where=f" in {event.group}" if event.group else "",
            about=f" {event.peer}" if event.peer else "",
            group=event.group,
            peer=event.peer,
            reason=event.reason,
        )
        self.counters[event.kind] += 1
        for observer in list(self._observers):
            if IEventObserver.providedBy(observer):
                try:
                    observer.noted(event)
                except Exception:
                    self._log.failure("An observer failed on {event}", event=event)

    # The end

    def _hurry(self) -> None:
        for keeper in self.keepers.values():
            keeper.hurry()
        self._late = self._reactor.callLater(HURRY_LIMIT, self._giveUp)

    def _giveUp(self) -> None:
        self._log.error("Stopped although not everything was released; no goodbye was said")
        self._finish()

    def _finish(self) -> None:
        stopped = self._stopped
        if stopped is None or stopped.called:
            return
        self._close()
        stopped.callback(None)

    def _close(self) -> None:
        self._running = False
        if self._sender.running:
            self._sender.stop()
        for call in (self._deadline, self._soon, self._late, *self._retries):
            if call is not None and call.active():
                call.cancel()
        for keeper in self.keepers.values():
            keeper.abandon()
        for link in self.links:
            link.close()

    _late: IDelayedCall | None = None

    def _failed(self, failure: Failure) -> None:
        self._log.failure("The heartbeat sender failed", failure)
