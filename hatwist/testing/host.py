"""One simulated host: its daemon, which does what its machines decide, its resources, its disk and its guard."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from math import inf
from typing import Any, Generic, TypeVar

from hatwist.core.effects import Ask, Effect, Event, Hold, Leased, Persist, Release, RoleChange
from hatwist.core.errors import BadPacket
from hatwist.core.loop import Loop
from hatwist.core.machine import Machine
from hatwist.core.packet import Outgoing, Packet
from hatwist.core.reports import (
    Fenced,
    Gone,
    Held,
    NotHeld,
    Persisted,
    Report,
    Served,
    Witnessed,
    groupOf,
)
from hatwist.testing.disk import SimulatedDisk
from hatwist.testing.guard import SimulatedGuard
from hatwist.testing.hostgroup import HostGroup
from hatwist.testing.lan import WITNESS, Arrival, SimulatedLan, Station
from hatwist.testing.timeline import HostClock, Timeline
from hatwist.testing.transcript import Transcript

GROUP = "g"
"""The first group, which is meant where none is named."""
LINK = "eth0"
"""The only link of each host."""
QUEUE = 300
"""What waits for a frozen host before the kernel drops packets; nothing else is lost."""


M = TypeVar("M", bound=Machine)


def _ofTheFirst(name: str) -> Any:
    """An attribute of the group L{GROUP}."""
    return property(
        lambda self: getattr(self.groups[GROUP], name),
        lambda self, value: setattr(self.groups[GROUP], name, value),
    )


class SimulatedHost(Generic[M]):
    """
    @param groups: L{GROUP} is added, and never held where no machine has it.
    @param guarded: it has a guard.
    @param guardable: a guard that fires releases everything; else it cannot release what only a daemon can.
    @ivar machine: the first of its machines.
    @ivar groups: each group that it has or had, by name.
    @ivar running: its daemon lives.
    @ivar fenced: its guard has fired, and its daemon was not told yet.
    @ivar frozen: its processes stand still.
    """

    held = _ofTheFirst("held")
    wanted = _ofTheFirst("wanted")
    failing = _ofTheFirst("failing")
    acquireTime = _ofTheFirst("acquireTime")
    releaseTime = _ofTheFirst("releaseTime")

    def __init__(
        self,
        name: str,
        machines: Sequence[M],
        clock: HostClock,
        groups: Sequence[str],
        lan: SimulatedLan,
        timeline: Timeline,
        transcript: Transcript,
        guarded: bool = False,
        guardable: bool = True,
    ) -> None:
        self.name = name
        self.loop = Loop(lambda: clock.now, machines, self)
        self.machine = machines[0]
        self.clock = clock
        self.groups = {group: HostGroup() for group in dict.fromkeys((GROUP, *groups))}
        self.running = True
        self.frozen = False
        self.inbox: deque[Callable[[], object]] = deque()
        self.disk = SimulatedDisk(timeline, lan.random)
        self.guard = SimulatedGuard(timeline, clock, guarded, guardable, self._fired)
        self._lan = lan
        self._timeline = timeline
        self._transcript = transcript
        self._version = 0
        self._draining = self.fenced = False
        self._missed: Machine | None = None  # a beat was due while it was frozen

    @property
    def now(self) -> float:
        """What its clock shows."""
        return self.clock.now

    @property
    def up(self) -> bool:
        """Its daemon runs, and gets to run."""
        return self.running and not self.frozen

    @property
    def present(self) -> bool:
        """Its daemon runs, and no later start of it has taken its place."""
        return self.running and self._lan.stations[self.name] is self

    def inherit(self, before: SimulatedHost[M]) -> None:
        """Take over what an earlier start has left: its disk, and what it holds."""
        self.disk, self.guard.seconds = before.disk, before.guard.seconds
        for group, part in before.groups.items():
            if group in self.groups:
                self.groups[group].held, part.held = part.held, False
                self.groups[group].clean = not self.groups[group].held

    # What happens to it

    def start(self) -> None:
        """Its daemon begins."""
        for machine in self.loop.machines:
            self._beat(machine)

    def change(self, rules: Any) -> None:
        """
        Its first machine goes on with other rules, see L{Machine.change}.

        @raise ValueError: it cannot be now; nothing has changed.
        """
        self.machine.change(rules, self.now, self.disk.records)
        for group in self.machine.groups:
            self.groups.setdefault(group, HostGroup())

    def die(self) -> None:
        """Its daemon does nothing any more."""
        self.running = False
        self.inbox.clear()

    def kill(self) -> None:
        """It loses power: nothing of it is left."""
        self.die()
        for group in self.groups:
            self.guard.disarm(group)
            self.setHeld(False, group)

    def thaw(self) -> None:
        """It goes on, and reads first what has piled up; a beat that was due meanwhile comes late."""
        self.frozen = False
        self._wake()
        self._draining = True
        waiting, self.inbox = self.inbox, deque()
        for act in waiting:
            act()
        self._draining = False
        missed, self._missed = self._missed, None
        self.decide(missed)

    def setHeld(self, holds: bool, group: str = GROUP) -> None:
        """The resources of a group are here from now on, or are gone."""
        part = self.groups[group]
        if part.held != holds:
            part.held = holds
            self._transcript.holds(self.name, group, holds)

    def answers(self, group: str) -> bool:
        return group in self.groups and self.groups[group].held

    # The daemon

    def attend(self, act: Callable[[], object]) -> None:
        """Do something with its daemon: now, or when it thaws, or never if it is dead."""
        if not self.present:
            return
        if self.frozen:
            self.inbox.append(act)
            return
        self._wake()
        act()

    def tell(self, report: Report) -> None:
        """Tell its machines at once, and let them decide; what is of a group that none of them has is lost."""
        if self._note(report):
            self.decide()

    def _note(self, report: Report) -> bool:
        """Tell them only. The result is whether it concerned any."""
        group = groupOf(report)
        machines = [each for each in self.loop.machines if group is None or group in each.groups]
        for machine in machines:
            machine.tell(report, self.now)
        return bool(machines)

    def _wake(self) -> None:
        """Before anything else, a daemon looks whether its guard has fired."""
        if self.fenced and self.up:
            self.fenced = False
            for part in self.groups.values():
                if part.wanted:  # a release that is under way goes on
                    part.wanted = False
                    part.operation += 1
            self._note(Fenced("the guard has fired"))

    def _beat(self, machine: Machine) -> None:
        if not self.present:
            return
        if not self.frozen:
            self._wake()
            self.decide(machine if machine.interval is not None else None)
        elif machine.interval is not None:
            self._missed = machine
        if machine.interval is not None:
            self._later(machine.interval / self.clock.rate, lambda: self._beat(machine))

    def _timer(self, version: int) -> None:
        if self._version == version and self.up:  # a frozen one decides on thawing anyway
            self._wake()
            self.decide()

    def decide(self, beating: Machine | None = None) -> None:
        """Let its machines decide."""
        if self._draining:
            return
        self.loop.run(beating)
        self._pet()
        self._version += 1
        deadline = self.clock.when(self.loop.deadline)
        if deadline < inf:
            version = self._version
            late = self._lan.random.uniform(1e-6, 2e-4)
            self._timeline.at(
                max(self._timeline.now, deadline) + late, lambda: self._timer(version)
            )

    def _later(self, seconds: float, act: Callable[[], None]) -> None:
        self._timeline.at(self._timeline.now + seconds, act)

    # What its machines decide

    def begin(self) -> None:
        """Nothing comes before it: see L{_wake}."""

    def decided(self, now: float, effects: Sequence[Effect]) -> None:
        """Nobody records it."""

    def perform(self, machine: Machine, effect: Effect) -> None:
        """Begin it."""
        if isinstance(effect, Leased):
            self.groups[effect.group].lease = effect.lease
        elif isinstance(effect, Hold):
            part = self.groups[effect.group]
            part.wanted, part.clean = True, False
            self._transcript.tell("hold", self, effect)
            self.guard.arm(effect.group, machine.until(part.lease, self.now))
            self.setHeld(True, effect.group)
            self._operate(effect.group, part.acquireTime, self._acquired)
        elif isinstance(effect, Release):
            part = self.groups[effect.group]
            part.wanted = False
            seconds = 0.0 if part.clean else part.releaseTime
            self._operate(effect.group, seconds, self._released)
        elif isinstance(effect, Persist):
            written = Persisted(effect.group, effect.record)
            self.disk.write(
                effect.group,
                effect.record,
                lambda: self.attend(lambda: self.tell(written)),
                lambda: self.present,
            )
        elif isinstance(effect, Ask):
            self._ask(effect.group)

    def send(self, machine: Machine, packet: Outgoing) -> None:
        """To all others."""
        self._lan.send(self, self.loop.machines.index(machine), packet.data)

    def report(self, effect: Effect) -> None:
        """To the transcript."""
        note = self._transcript.note
        if isinstance(effect, RoleChange):
            old = effect.old.name if effect.old is not None else "-"
            what = f"{old} -> {effect.new.name} ({effect.term}): {effect.reason}"
            note(self.name, what, effect.group)
        elif isinstance(effect, Event):
            note(self.name, f"{effect.kind} {effect.peer}: {effect.reason}", effect.group)

    def arrive(self, source: Station, protocol: int, data: bytes, sentAt: float = -inf) -> None:
        """A packet has come for one of its machines; C{sentAt}: C{-inf}: it is a recording."""
        machine = self.loop.machines[protocol]

        def act() -> None:
            try:
                machine.receive(Packet(data, LINK), self.now)
            except BadPacket as e:
                if e.reason not in ("replayed", "repeated"):
                    raise
                return
            self._transcript.tell("heard", self, Arrival(source, sentAt))
            if machine.news:
                self.decide()
            else:  # it may confirm what is held
                self._pet()

        if not self.frozen or len(self.inbox) < QUEUE:
            self.attend(act)

    # Its resources, its disk, and whom it asks

    def _operate(self, group: str, seconds: float, done: Callable[[str], None]) -> None:
        part = self.groups[group]
        part.operation += 1
        operation = part.operation

        def finish() -> None:
            if operation == part.operation and self.running:
                if self.frozen:  # whoever does it stands still, too
                    self.attend(finish)
                else:
                    done(group)

        self._later(seconds, finish)

    def _acquired(self, group: str) -> None:
        part = self.groups[group]

        def act() -> None:
            if part.wanted:
                self.tell(NotHeld(group, "told to fail") if part.failing else Held(group))

        self.attend(act)

    def _released(self, group: str) -> None:
        self.setHeld(False, group)
        self.guard.disarm(group)
        self.groups[group].clean = True
        self.attend(lambda: self.tell(Gone(group)))

    def _ask(self, group: str) -> None:
        """Every reachable host that holds the address answers, whatever its daemon does."""
        for other in self._lan.stations.values():
            if other is not self and self._lan.there(self.name, other.name):
                self._later(2 * self._lan.travel(), partial(self._answer, other, group))

    def _answer(self, other: Station, group: str) -> None:
        if other.answers(group):
            self.attend(lambda: self.tell(Served(group)))

    def askWitness(self, every: float) -> None:
        """Ask it now, and again and again."""
        if not self.present:
            return
        sent = self.now
        if not self.frozen and self._lan.there(self.name, WITNESS) and self._lan.witness:
            told = Witnessed(sent)
            self._later(2 * self._lan.travel(), lambda: self.attend(lambda: self._note(told)))
        self._later(every / self.clock.rate, lambda: self.askWitness(every))

    # The guard

    def _fired(self, groups: list[str]) -> None:
        """The guard lets go of the addresses, says goodbye for its node, and is gone."""
        self.fenced = True
        farewells = []
        for protocol, machine in enumerate(self.loop.machines):
            concerned = [group for group in groups if group in machine.groups]
            for packet in machine.farewells(concerned[0]) if concerned else ():
                farewells.append((protocol, packet.data))

        def gone() -> None:
            if not self.guard.able or (not self.present and self.running):
                return
            for group in groups:
                self.setHeld(False, group)
            for _ in range(3):
                for farewell in farewells:
                    self._lan.send(self, *farewell)
            if self.running:
                self.attend(self.decide)

        self._transcript.note(self.name, "its guard fires")
        self._later(self.guard.seconds, gone)

    def _pet(self) -> None:
        for group in self.guard.armed:
            for machine in self.loop.machines:
                if group in machine.groups:
                    self.guard.pet(group, machine.until(self.groups[group].lease, self.now))
