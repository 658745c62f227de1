"""A LAN that loses, delays, doubles and cuts; by chance, from a seed."""

from __future__ import annotations

import random
from collections.abc import Callable

from hatwist.protocols.native.heartbeat import Heartbeat
from hatwist.testing.timeline import Timeline

WITNESS = "witness"
"""The name of the witness in L{Simulation.cut}; it answers where the rules say that there is one."""


class Weather:
    """
    How the LAN treats a packet.

    @ivar loss, doubled, late: probabilities that it is lost, arrives twice, or is overtaken.
    @ivar delay: the least and greatest seconds of travel.
    @ivar lateness: the greatest further delay, in seconds, of a packet that is late.
    """

    def __init__(self) -> None:
        self.loss = self.doubled = self.late = 0.0
        self.delay = (0.0001, 0.001)
        self.lateness = 0.05


class Lan(Timeline):
    """
    The ways between the nodes.

    @param witnessed: there is a witness, which L{isolate} cuts off too.
    @ivar random: where all chance comes from.
    @ivar blocked: (from, to) pairs of nodes between which no packet travels.
    @ivar filters: each is asked (from, to, heartbeat) about every packet; one that says false loses it.
    """

    def __init__(self, seed: int, witnessed: bool) -> None:
        super().__init__()
        self.random = random.Random(seed)
        self.weather = Weather()
        self.blocked: set[tuple[str, str]] = set()
        self.filters: list[Callable[[str, str, Heartbeat], bool]] = []
        self._witnessed = witnessed

    def cut(self, source: str, target: str, bothWays: bool = True) -> None:
        """Packets no longer travel from one to the other."""
        self.blocked.add((source, target))
        if bothWays:
            self.blocked.add((target, source))
        self._note(source, f"is cut off {'from' if bothWays else 'towards'} {target}")

    def isolate(self, name: str) -> None:
        for other in (*self.nodes, *([WITNESS] if self._witnessed else ())):
            if other != name:
                self.cut(name, other)

    def heal(self) -> None:
        self.blocked.clear()
        self._note("lan", "heals")

    def reaches(self, source: str, target: str) -> bool:
        return (source, target) not in self.blocked

    def _carry(self, source: str, target: str, beat: Heartbeat, arrive: Callable[[], None]) -> None:
        """One packet from one node to another: it arrives once, twice, late or never."""
        if (source, target) in self.blocked:
            return
        if not all(travels(source, target, beat) for travels in self.filters):
            return
        weather, chance = self.weather, self.random.random
        if weather.loss and chance() < weather.loss:
            return

        def deliver() -> None:
            if (source, target) not in self.blocked:  # else the cable was cut while it travelled
                arrive()

        copies = 2 if weather.doubled and chance() < weather.doubled else 1
        for _ in range(copies):
            travel = self.random.uniform(*weather.delay)
            if weather.late and chance() < weather.late:
                travel += chance() * weather.lateness
            self.at(self.now + travel, deliver)
