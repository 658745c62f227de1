"""A LAN that loses, delays, doubles and cuts; by chance, from a seed."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol

from hatwist.testing.timeline import Timeline

WITNESS = "witness"
"""The name of the witness in L{SimulatedLan.blocked}."""


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


class Station(Protocol):
    """A host, as the LAN has it."""

    name: str

    def answers(self, group: str) -> bool:
        """Whether it has the addresses of a group, whatever its daemon does."""
        ...

    def arrive(self, source: Station, protocol: int, data: bytes, sentAt: float = ...) -> None:
        """
        A packet has come from another one, for this one of its machines.

        @param sentAt: the true time at which it left.
        """
        ...


class Arrival(NamedTuple):
    """A packet that was taken in: whose, and the true time at which it left."""

    source: Any
    sentAt: float


class SimulatedLan:
    """
    The ways between the hosts.

    @param read: makes of a packet what L{filters} are asked about.
    @ivar random: where all chance comes from.
    @ivar stations: the hosts, by name.
    @ivar blocked: (from, to) pairs of names between which no packet travels.
    @ivar filters: each is asked (from, to, heartbeat) about every packet; one that says false loses it.
    @ivar witness: the witness is up; it is asked where the rules say C{witness=True}.
    @ivar sent: how many packets were sent.
    """

    def __init__(
        self,
        timeline: Timeline,
        stations: Mapping[str, Station],
        seed: int,
        read: Callable[[bytes], Any],
    ) -> None:
        self.random = random.Random(seed)
        self.weather = Weather()
        self.stations = stations
        self.blocked: set[tuple[str, str]] = set()
        self.filters: list[Callable[[str, str, Any], bool]] = []
        self.witness = True
        self.sent = 0
        self._timeline = timeline
        self._read = read

    def reaches(self, source: str, target: str) -> bool:
        """Packets travel this way."""
        return (source, target) not in self.blocked

    def there(self, one: str, other: str) -> bool:
        """Packets travel both ways."""
        return self.reaches(one, other) and self.reaches(other, one)

    def travel(self) -> float:
        """Seconds that a packet takes which is not late."""
        return self.random.uniform(*self.weather.delay)

    def send(self, source: Station, protocol: int, data: bytes) -> None:
        """One packet to all others."""
        self.sent += 1
        for other in list(self.stations.values()):
            if other is not source:
                self._carry(source, other, protocol, data)

    def _carry(self, source: Station, target: Station, protocol: int, data: bytes) -> None:
        """One packet from one host to another: it arrives once, twice, late or never."""
        way = (source.name, target.name)
        if way in self.blocked:
            return
        if self.filters:
            heartbeat = self._read(data)
            if not all(travels(*way, heartbeat) for travels in self.filters):
                return
        weather, chance = self.weather, self.random.random
        if weather.loss and chance() < weather.loss:
            return

        sentAt = self._timeline.now

        def deliver() -> None:
            if way not in self.blocked:  # else the cable was cut while it travelled
                target.arrive(source, protocol, data, sentAt)

        copies = 2 if weather.doubled and chance() < weather.doubled else 1
        for _ in range(copies):
            travel = self.travel()
            if weather.late and chance() < weather.late:
                travel += chance() * weather.lateness
            self._timeline.at(sentAt + travel, deliver)
