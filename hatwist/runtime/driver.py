"""
The loop of one node: gives datagrams and times to the machine, and performs what it decides.

A LoopingCall sends heartbeats, a delayed call is the failover deadline, and keepers make the resources
follow. Before a deadline is believed, everything that has arrived is read.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.task import LoopingCall

from hatwist.core.claims import Record
from hatwist.core.counting import TRUSTED
from hatwist.core.effects import (
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
from hatwist.core.histogram import Lateness
from hatwist.core.packet import Packet
from hatwist.core.recorder import Recorder
from hatwist.core.worth import Fitness
from hatwist.linux.interfaces import IGuard
from hatwist.protocols.native.machine import Machine
from hatwist.runtime.keeper import Keeper
from hatwist.runtime.leases import Leases
from hatwist.runtime.link import Link
from hatwist.runtime.persister import Persister
from hatwist.runtime.reporter import Reporter


class Driver(Reporter):
    """
    Decides whenever there is a reason to.

    @ivar lateness: how late each beat of this node came.
    @ivar leases: until when it may hold, as the guard and the kernel were told.
    @ivar ask: asks the LAN who has the addresses of a group.
    @ivar received: how many packets were taken in, by node and link.
    @ivar recorder: the last decisions, with what led to them.
    """

    def __init__(
        self,
        reactor: Any,
        machine: Machine,
        links: Sequence[Link],
        keepers: Mapping[str, Keeper],
        store: Any,
        guard: IGuard | None,
    ) -> None:
        super().__init__(reactor, machine, keepers)
        self.links = list(links)
        self.keepers = dict(keepers)
        self._guard = guard
        self._persister = Persister(reactor, machine, store, self._persisted, self._remembers)
        self.leases = Leases(machine, self.keepers, guard)
        self.lateness = Lateness()
        self.ask: Callable[[str], None] = lambda group: None
        self.received: Counter[tuple[str, str]] = Counter()
        self.recorder = Recorder()
        self._sender = LoopingCall(self._beat)
        self._sender.clock = reactor
        self._deadline: IDelayedCall | None = None
        self._soon: IDelayedCall | None = None
        self._late: IDelayedCall | None = None
        self._deciding = False
        self._again = False
        self._stopped: Deferred[None] | None = None
        self._running = False

    # What comes in

    def _received(self, packet: Packet) -> None:
        if not self._running:
            return
        link = packet.link
        now, before = self._reactor.seconds(), self.machine.session
        beat = self.machine.receive(packet.data, link, now)
        if self.machine.session > max(before, TRUSTED):
            self._persister.count()
        self._persister.heard(beat.name, beat.digest)
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
        self._deciding = True
        reports: list[Effect] = []
        try:
            if self._guard is not None:
                # Before anything else: is this still the holder that it was when it last ran? Whoever waited
                # for what the guard has answered meanwhile goes on in there, and may lead back here, too.
                self._guard.check()
            while True:
                self._again = False
                now = self.leases.decided = self._reactor.seconds()
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
                if self._again:
                    continue
                told, reports = reports, []
                for effect in told:
                    self._perform(effect)
                for change in self.chronicle.look(self.machine.view, now):
                    self._tell(change)
                if not self._again:  # nobody who was told wants anything
                    break
        finally:
            self._deciding = False
        if len(self.keepers) > len(self.machine.elections):
            self._dismiss()
        self.leases.pet(self._reactor.seconds())
        self._arm()
        if self.machine.over and self._stopped is not None:
            self._finish()

    def _fenced(self, groups: Sequence[str]) -> None:
        """The guard has fired, or is about to: this session is over."""
        self._log.critical(
            "This daemon did not run for too long, so its guard released {groups}. It rejoins as STANDBY: "
            "nothing to repair",
            groups=", ".join(groups),
        )
        self.leases.fenced()
        self.machine.fenced("the guard released it", self._reactor.seconds())
        if not self._deciding:
            self._decide()
        else:
            self._again = True

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
                self._persister.persist(effect)
            elif isinstance(effect, RoleChange):
                self._changed(effect)
            else:
                self._noted(effect)
        except Exception:
            self._log.failure("An effect could not be performed: {effect}", effect=effect)

    def _persisted(self, group: str, record: Record) -> None:
        if group in self.machine.elections:  # else it went meanwhile
            self._report(self.machine.persisted, group, record)

    def _remembers(self, problem: str) -> None:
        """Whether terms can be written: a node that can is the better holder, where votes are taken or not."""
        now = self._reactor.seconds()
        verdict = Fitness.DEGRADED if problem else Fitness.FIT
        for group in self.machine.elections:
            self.recorder.told(now, "fitness", group, (verdict.name.lower(), problem, "memory"))
            self.machine.fitness(group, verdict, problem, "memory")
        self._decide()

    def _dismiss(self) -> None:
        """What the machine has forgotten needs no keeper."""
        for name in [name for name in self.keepers if name not in self.machine.elections]:
            self.keepers.pop(name).abandon()
            del self.roles[name]

    # The end

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
        for call in (self._deadline, self._soon, self._late):
            if call is not None and call.active():
                call.cancel()
        self._persister.close()
        for keeper in list(self.keepers.values()):
            keeper.abandon()
        for link in self.links:
            link.close()
