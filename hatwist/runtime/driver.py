"""
Runs the machines of one node on a reactor: gives them packets, reports and times, and has done what they decide.

A LoopingCall sends heartbeats, and a delayed call is the failover deadline. Before a deadline is believed, everything
that has arrived is read.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from math import inf
from typing import Any, NamedTuple

from twisted.internet.interfaces import IDelayedCall
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from hatwist.core.claims import Record
from hatwist.core.counting import TRUSTED
from hatwist.core.effects import Effect, Hold, Leased, Release
from hatwist.core.loop import Loop
from hatwist.core.machine import Machine
from hatwist.core.packet import Outgoing, Packet
from hatwist.core.recorder import Recorder
from hatwist.core.reports import (
    Fenced,
    Gone,
    Judged,
    Persisted,
    Progressed,
    Report,
    Witnessed,
    groupOf,
)
from hatwist.core.worth import Fitness
from hatwist.linux.interfaces import Farewell, IGuard
from hatwist.runtime.fence import Fence, KernelLease
from hatwist.runtime.keeper import Keeper
from hatwist.runtime.leases import Leases
from hatwist.runtime.link import Link
from hatwist.runtime.pace import Pace
from hatwist.runtime.performer import Performer
from hatwist.runtime.persister import Persister
from hatwist.runtime.reporter import Reporter
from hatwist.runtime.speaker import Speaker

QUIET = (Progressed, Witnessed)
"""Reports for which no decision is made: the next one takes them in. They are not recorded."""


class Custody(NamedTuple):
    """One group of a node: what makes its resources follow, and until when it may be held."""

    keeper: Keeper
    fence: Fence


class Driver:
    """
    Decides whenever there is a reason to.

    @param onOver: called when every machine has come to its end, and has said so; more than once, if need be.
    @ivar machines: one for each protocol.
    @ivar pace: how well this node keeps up.
    @ivar received: how many packets were taken in, by node and link.
    @ivar recorder: the last decisions, with what led to them.
    @ivar sentAt: when the newest packet left; C{-inf}: none did.
    @ivar running: packets and reports are taken in.
    """

    _log = Logger()

    def __init__(
        self,
        reactor: Any,
        speakers: Sequence[Speaker],
        custody: Mapping[str, Custody],
        store: Any,
        guard: IGuard | None,
        reporter: Reporter,
        ask: Callable[[str], None],
        votes: bool,
        onOver: Callable[[], None],
    ) -> None:
        self._speakers = {speaker.machine: speaker for speaker in speakers}
        self.loop = Loop(reactor.seconds, list(self._speakers), self)
        self.machines: Sequence[Machine] = self.loop.machines
        self.persister = Persister(
            reactor, lambda: self.session, store, self._persisted, self._remembers, votes
        )
        keepers = {name: keeper for name, (keeper, _) in custody.items()}
        self.performer = Performer(reactor, keepers, self.persister, ask, self.tell)
        kernels = {each.machine: each.kernel for each in speakers}
        self.leases = Leases(kernels, guard, self.performer.keep)
        self.fences = {name: fence for name, (_, fence) in custody.items()}
        self.reporter = reporter
        self.pace = Pace(self.machines[0], reporter.report)
        self.received: Counter[tuple[str, str]] = Counter()
        self.recorder = Recorder()
        self.running = False
        self.sentAt = -inf
        self._reactor = reactor
        self._guard = guard
        self._onOver = onOver
        self._senders = {
            machine: LoopingCall(self._beat, machine)
            for machine in self.machines
            if machine.interval
        }
        self._deadline: IDelayedCall | None = None
        self._soon: IDelayedCall | None = None
        self._told = False  # something for which no decision was made yet

    @property
    def speakers(self) -> Collection[Speaker]:
        """Each protocol with its links."""
        return self._speakers.values()

    @property
    def session(self) -> int:
        """Which start of this node it is."""
        return max(machine.session for machine in self.machines)

    def machineOf(self, group: str) -> Machine | None:
        """Which of them has a group; C{None}: none."""
        return next((machine for machine in self.machines if group in machine.groups), None)

    # What comes in

    def tell(self, *reports: Report) -> None:
        """
        Tell the machines what has happened. They decide in the reactor's next turn, on all that was told in this
        one; or at once, on what is told while they decide, before anything is sent.

        What is of a group goes to the machine that has it, if there still is one, and all else to each of them.
        """
        if not self.running:
            return
        now = self._reactor.seconds()
        for report in reports:
            group = groupOf(report)
            if not isinstance(report, QUIET):
                self.recorder.told(now, report)
            if isinstance(report, Gone) and report.group in self.fences:
                self.leases.ended(self.fences[report.group])
            for machine in self.machines:
                if group is None or group in machine.groups:
                    machine.tell(report, now)
        if all(isinstance(report, QUIET) for report in reports):
            return
        if self.loop.running:
            self.loop.run()
        else:
            self._told = True
            self._decideSoon()

    def _received(self, machine: Machine, packet: Packet) -> None:
        if not self.running:
            return
        now, before = self._reactor.seconds(), machine.session
        received = machine.receive(packet, now)
        if machine.session > max(before, TRUSTED):
            self.persister.count()
        self.persister.heard(received.sender, received.configuration)
        self.received[received.sender, packet.link] += 1
        self.recorder.packet(now, received)
        if machine.news:
            self._decideSoon()
        else:  # a holder may be confirmed: the guard is told at once, and nothing is decided
            self.leases.heard(self.loop.decidedAt, now)

    def _decideSoon(self) -> None:
        """In the reactor's next turn, when every socket that is readable has been read."""
        if self._soon is None:
            self._soon = self._reactor.callLater(0, self._decide)

    def _decide(self) -> None:
        self._soon = None
        if self._told or self.loop.news:  # else a beat or a deadline was due in the same turn
            self.run()

    def _beat(self, machine: Machine) -> None:
        if machine is next(iter(self._senders)):
            self.pace.beat(self._reactor.seconds())
        try:
            self._drain()
            self.run(machine)
        except Exception:
            self._log.failure("A heartbeat failed; the next one is tried all the same")

    def _elapsed(self) -> None:
        self._deadline = None
        self._drain()
        late = self._reactor.seconds() - self.loop.deadline
        if self._told or self.loop.news or late >= 0.0:
            self.pace.overload.late(late)
            self.run()
        elif self.running:  # what was read has put it off
            self._arm()

    def _drain(self) -> None:
        for speaker in self.speakers:
            speaker.drain()

    # What goes out

    def run(self, beating: Machine | None = None) -> None:
        """Let the machines decide, and do it; whoever is told of something may lead back here."""
        if self.running and self.loop.running:
            self.loop.run()
        elif self.running:
            self._told = False
            self.loop.run(beating)
            self._settle()

    def _settle(self) -> None:
        """After each run, unless it was ended by somebody who was told of something."""
        if self.running:
            self._dismiss()
            self.persister.flush()
            now = self._reactor.seconds()
            self.leases.renew(self.loop.decidedAt, now)
            self.pace.overload.late(now - self.loop.decidedAt)
            self._arm()
            if self.loop.over:
                self._onOver()

    def begin(self) -> None:
        """
        Before anything else: is this still the holder that it was when it last ran?

        Whoever waited for what the guard has answered meanwhile goes on in there, and may lead back here, too.
        """
        if self._guard is not None:
            self._guard.check()

    def decided(self, now: float, effects: Sequence[Effect]) -> None:
        """Record it."""
        self.recorder.decided(now, effects)

    def perform(self, machine: Machine, effect: Effect) -> None:
        """Tell the fence, then do it. What goes wrong is logged; the machine goes by what it is told."""
        try:
            if isinstance(effect, Leased):
                fence = self.fences[effect.group]
                self.leases.follow(fence, machine, effect.lease, self.loop.decidedAt)
                return
            if isinstance(effect, Hold):
                farewells = self._farewells(machine, effect.group)
                self.fences[effect.group].claimed(effect.term, farewells)
            elif isinstance(effect, Release):
                self.fences[effect.group].released()
            self.performer.perform(effect)
        except Exception:
            self._log.failure("An effect could not be performed: {effect}", effect=effect)

    def send(self, machine: Machine, packet: Outgoing) -> None:
        """On its links; each of them counts and logs what goes wrong."""
        if self._guard is not None:  # addresses wait until it is armed for them
            self._guard.flush()
        self._speakers[machine].send(packet)
        self.reporter.counters["sent"] += 1
        self.sentAt = self.loop.decidedAt
        self.recorder.sent(self.sentAt, packet)

    def report(self, effect: Effect) -> None:
        """To the log and the observers."""
        self.reporter.report(effect)

    def _arm(self) -> None:
        wait = self.loop.deadline - self._reactor.seconds()
        if wait == inf:
            if self._deadline is not None:
                self._deadline.cancel()
                self._deadline = None
        elif self._deadline is not None:
            self._deadline.reset(max(0.0, wait))
        else:
            self._deadline = self._reactor.callLater(max(0.0, wait), self._elapsed)

    # Memory

    def _persisted(self, records: Mapping[str, Record]) -> None:
        self.tell(*[Persisted(group, record) for group, record in records.items()])

    def _remembers(self, problem: str) -> None:
        """Whether terms can be written: a node that can is the better holder, where votes are taken or not."""
        verdict = Fitness.DEGRADED if problem else Fitness.FIT
        groups = [group for machine in self.machines for group in machine.groups]
        self.tell(*[Judged(group, "memory", verdict, problem) for group in groups])

    # How long groups may be held

    def permits(self, group: str) -> bool:
        """Look now: may this node go on to acquire a group, as it has decided last?"""
        if self._guard is not None:
            self._guard.check()
        return group in self.fences and self._reactor.seconds() < self.fences[group].until

    def _farewells(self, machine: Machine, group: str) -> list[Farewell]:
        return self._speakers[machine].farewells(group) if self._guard is not None else []

    def _fired(self, groups: Sequence[str]) -> None:
        """The guard has fired, or is about to: this session is over."""
        self._log.critical(
            "This daemon did not run for too long, so its guard released {groups}. It rejoins as STANDBY: "
            "nothing to repair",
            groups=", ".join(groups),
        )
        for fence in self.fences.values():
            self.leases.ended(fence)
        self.tell(Fenced("the guard released it"))

    # From the start to the end

    def start(self) -> None:
        """
        Open the links, release what an earlier run left, and send the first heartbeat.

        @raise OSError: a link cannot be opened; nothing is left open then.
        """
        try:
            for speaker in self.speakers:
                for link in speaker.links:
                    self.connect(speaker.machine, link)
        except BaseException:
            self.close()
            raise
        self.running = True
        if self._guard is not None:
            self._guard.onFired = self._fired
        for name in list(self.fences):
            self.performer.employ(name, self.performer.keepers[name], self.permits)
        self.pace.start(self._reactor.seconds())
        for machine, sender in self._senders.items():
            assert machine.interval is not None
            sender.clock = self._reactor
            beating = sender.start(machine.interval, now=True)
            beating.addErrback(partial(self._log.failure, "The heartbeat sender failed"))
        if len(self._senders) < len(self.machines):
            self.run()

    def connect(self, machine: Machine, link: Link) -> None:
        """Take in what arrives on one of its links. Raises OSError where that cannot be opened."""
        link.open(partial(self._received, machine))

    def change(
        self,
        machine: Machine,
        rules: Any,
        records: Mapping[str, Record],
        custody: Mapping[str, Custody],
        kernel: KernelLease,
    ) -> None:
        """
        Go on with other rules of one machine, see L{Machine.change}.

        @param custody: of the groups that come.
        @param kernel: how long the kernel keeps addresses from now on.
        @raise ValueError: it cannot be now; nothing has changed.
        """
        machine.change(rules, self._reactor.seconds(), records)
        self.leases.kernels[machine] = kernel
        for name, (keeper, fence) in custody.items():
            self.fences[name] = fence
            self.reporter.comes(name)
            self.performer.employ(name, keeper, self.permits)
        for name, fence in self.fences.items():
            if name in machine.groups and fence.until > -inf:
                fence.revised(self._farewells(machine, name))
        if self.persister.problem:
            self._remembers(self.persister.problem)
        self.run()

    def _dismiss(self) -> None:
        """What the machines have forgotten needs no keeper."""
        if len(self.fences) == sum(len(machine.groups) for machine in self.machines):
            return
        for name in set(self.fences).difference(*[machine.groups for machine in self.machines]):
            self.leases.ended(self.fences.pop(name))
            self.performer.dismiss(name)
            self.reporter.goes(name)

    def close(self) -> None:
        """Stop at once: begin nothing any more, and close the links."""
        self.running = False
        for sender in self._senders.values():
            if sender.running:
                sender.stop()
        for call in filter(None, (self._deadline, self._soon)):
            if call.active():
                call.cancel()
        self.persister.close()
        self.performer.abandon()
        for speaker in self.speakers:
            speaker.close()
