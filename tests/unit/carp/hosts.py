"""What CARP's tests have in common: hosts on a LAN in memory, on one clock."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from ipaddress import IPv4Address
from math import inf
from random import Random
from typing import Any

from hatwist.core.claims import Role
from hatwist.core.effects import Effect, Hold, Release, RoleChange
from hatwist.core.errors import BadPacket
from hatwist.core.loop import Loop
from hatwist.core.machine import Machine
from hatwist.core.packet import Outgoing, Packet
from hatwist.core.reports import Gone, Held, Report
from hatwist.protocols.carp.machine import CarpMachine
from hatwist.protocols.carp.packet import HOPS, CarpPacket, decode
from hatwist.protocols.carp.rules import CarpRules, VhostRules
from hatwist.testing.timeline import Timeline

GROUP, LINK, VHID = "g", "eth0,raw", 42
SHARED = IPv4Address("10.99.0.100")
PASSWORD = b"sesame"


def own(last: int) -> IPv4Address:
    """The address of a host."""
    return IPv4Address(f"10.99.0.{last}")


def rules(last: int = 1, **more: Any) -> VhostRules:
    """One virtual host of the host with this address."""
    return VhostRules(GROUP, VHID, (SHARED,), PASSWORD, {LINK: own(last)})._replace(**more)


class CarpHost:
    """A host: what its machine decides is done after C{acquireTime} and C{releaseTime} seconds."""

    def __init__(self, lan: CarpLan, last: int, at: float, **more: Any) -> None:
        self.address = own(last)
        self.machine = CarpMachine(
            CarpRules("c", str(self.address), (rules(last, **more),)), last << 32, at
        )
        self.loop = Loop(lambda: lan.timeline.now, [self.machine], self)
        self.held = False
        self.alive = True
        self.acquireTime = self.releaseTime = 0.004
        self.roles: list[RoleChange] = []
        self._lan = lan
        self._operation = 0
        self._version = 0

    def decide(self) -> None:
        """Run, and come back when the machine wants to."""
        if not self.alive:
            return
        self.loop.run()
        self._version += 1
        if self.loop.deadline < inf:
            version = self._version
            self._lan.timeline.at(self.loop.deadline, lambda: self._elapsed(version))

    def _elapsed(self, version: int) -> None:
        if version == self._version:
            self.decide()

    def tell(self, report: Report) -> None:
        self.machine.tell(report, self._lan.timeline.now)
        self.decide()

    def kill(self) -> None:
        """Power is lost."""
        self.alive = self.held = False

    def arrive(self, packet: Packet) -> None:
        if not self.alive:
            return
        try:
            self.machine.receive(packet, self._lan.timeline.now)
        except BadPacket as bad:
            self._lan.bad.append(bad.reason)
            return
        if self.machine.news:
            self.decide()

    # For the loop

    def begin(self) -> None:
        pass

    def decided(self, now: float, effects: Sequence[Effect]) -> None:
        pass

    def perform(self, machine: Machine, effect: Effect) -> None:
        if isinstance(effect, Hold):
            self._after(self.acquireTime, self._acquired)
        elif isinstance(effect, Release):
            self._after(self.releaseTime, self._released)

    def send(self, machine: Machine, packet: Outgoing) -> None:
        self._lan.carry(self, packet.data)

    def report(self, effect: Effect) -> None:
        if isinstance(effect, RoleChange):
            self.roles.append(effect)

    def _after(self, seconds: float, done: Callable[[], None]) -> None:
        self._operation += 1
        operation = self._operation
        at = self._lan.timeline.now + seconds
        self._lan.timeline.at(
            at, lambda: done() if operation == self._operation and self.alive else None
        )

    def _acquired(self) -> None:
        self.held = True
        self.tell(Held(GROUP))

    def _released(self) -> None:
        self.held = False
        self.tell(Gone(GROUP))

    @property
    def active(self) -> bool:
        return bool(self.roles) and self.roles[-1].new is Role.ACTIVE


class CarpLan:
    """
    @ivar cut: pairs of addresses between which nothing travels.
    @ivar said: every packet that was sent: when, by whom, what.
    """

    def __init__(self, seed: int = 1) -> None:
        self.timeline = Timeline()
        self.random = Random(seed)
        self.hosts: list[CarpHost] = []
        self.cut: set[tuple[IPv4Address, IPv4Address]] = set()
        self.loss = 0.0
        self.said: list[tuple[float, IPv4Address, CarpPacket]] = []
        self.bad: list[str] = []

    def host(self, last: int, **more: Any) -> CarpHost:
        """One more, which starts now."""
        host = CarpHost(self, last, self.timeline.now, **more)
        self.hosts.append(host)
        host.decide()
        return host

    def carry(self, sender: CarpHost, data: bytes) -> None:
        self.said.append((self.timeline.now, sender.address, decode(data)))
        for host in self.hosts:
            lost = self.random.random() < self.loss
            if host is sender or lost or (sender.address, host.address) in self.cut:
                continue
            packet = Packet(data, LINK, sender.address, HOPS)
            travel = self.random.uniform(0.0001, 0.001)
            self.timeline.at(self.timeline.now + travel, lambda h=host, p=packet: h.arrive(p))  # type: ignore[misc]

    def isolate(self, *hosts: CarpHost) -> None:
        """Nothing travels between these and the others."""
        for host in hosts:
            for other in self.hosts:
                if other not in hosts:
                    self.cut |= {(host.address, other.address), (other.address, host.address)}

    @property
    def holders(self) -> list[int]:
        """Who holds now, by the last number of the address."""
        return [int(host.address) & 0xFF for host in self.hosts if host.held]

    def overlap(self, seconds: float, step: float = 0.001) -> float:
        """Let time pass; for how much of it more than one held."""
        found = 0.0
        until = self.timeline.now + seconds
        while self.timeline.now < until:
            self.timeline.run(step)
            found += step * (len(self.holders) > 1)
        return found

    def until(self, *holders: int, limit: float = 20.0) -> float:
        """Let time pass until just these hold; how long that took."""
        began = self.timeline.now
        self.timeline.runUntil(lambda: self.holders == list(holders), limit)
        return self.timeline.now - began
