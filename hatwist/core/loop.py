"""
The loop of one node: decide, perform, send and report, until nothing is left to do.

The driver runs it on real time and the simulator on simulated time. It does nothing by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import inf
from typing import Protocol

from hatwist.core.effects import TOLD, Effect
from hatwist.core.machine import Machine
from hatwist.core.packet import Outgoing


class Outside(Protocol):
    """Whoever does what the machines of a node decide. Each method may lead back to L{Loop.run}."""

    def begin(self) -> None:
        """A run begins: look whether anything has happened that comes before all else."""

    def decided(self, now: float, effects: Sequence[Effect]) -> None:
        """A machine has decided on this, of which nothing is done yet."""

    def perform(self, machine: Machine, effect: Effect) -> None:
        """Begin what an effect asks for. An answer that comes at once is told to the machine at once."""

    def send(self, machine: Machine, packet: Outgoing) -> None:
        """Send a packet on the links of its machine."""

    def report(self, effect: Effect) -> None:
        """Tell the log and the observers; see L{TOLD<hatwist.core.effects.TOLD>}."""


class Loop:
    """
    @param clock: the time.
    @param machines: one for each protocol.
    @ivar decidedAt: when they decided last; C{-inf}: never.
    @ivar running: it is under way.
    """

    def __init__(
        self, clock: Callable[[], float], machines: Sequence[Machine], outside: Outside
    ) -> None:
        self.machines = tuple(machines)
        self.decidedAt = -inf
        self.running = False
        self._clock = clock
        self._outside = outside
        self._again = False

    @property
    def deadline(self) -> float:
        """When it is to run at the latest; C{inf}: something else comes first."""
        return min(machine.deadline for machine in self.machines)

    @property
    def news(self) -> bool:
        """It is to run once everything that has arrived is read."""
        return any(machine.news for machine in self.machines)

    @property
    def over(self) -> bool:
        """Every machine has come to its end, and has said so."""
        return all(machine.over for machine in self.machines)

    def run(self, beating: Machine | None = None) -> None:
        """
        Let each machine decide, and do what it asks for.

        While it runs, a call only makes it decide once more: before anything is sent, where a resource has answered
        meanwhile, so that packets tell what is true when they leave.

        @param beating: an interval of this machine has passed.
        """
        if self.running:
            self._again = True
            return
        self.running = True
        outside = self._outside
        reports: list[Effect] = []
        try:
            outside.begin()
            while True:
                self._again = False
                now = self.decidedAt = self._clock()
                for machine in self.machines:
                    effects = machine.decide(now, machine is beating)
                    outside.decided(now, effects)
                    for effect in effects:
                        if isinstance(effect, TOLD):
                            reports.append(effect)
                        else:
                            outside.perform(machine, effect)
                beating = None
                if self._again:
                    continue
                for machine in self.machines:
                    for packet in machine.outgoing(now):
                        outside.send(machine, packet)
                told, reports = reports, []
                for effect in told:
                    outside.report(effect)
                if not self._again:
                    return
        finally:
            self.running = False
