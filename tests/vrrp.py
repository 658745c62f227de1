"""
Hosts that speak VRRP on a simulated network: the real loop, real packets, and a Clock.

The network loses, delays and cuts; hosts crash, are killed, and take a while to acquire and release.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address
from math import inf
from random import Random
from typing import Any

from twisted.internet.task import Clock

from hatwist.core.effects import Announce, Effect, Event, Hold, Persist, Release, RoleChange
from hatwist.core.errors import BadPacket
from hatwist.core.loop import Loop
from hatwist.core.machine import Machine
from hatwist.core.packet import Outgoing, Packet
from hatwist.core.reports import Gone, Held, NotHeld, Persisted, Report
from hatwist.protocols.vrrp.machine import VrrpMachine
from hatwist.protocols.vrrp.packet import HOPS, Decoded, VrrpAdvert, decode, encode
from hatwist.protocols.vrrp.rules import RouterRules, VrrpRules

GROUP = "g"
LINK = "eth0"
VIP = ip_address("10.99.0.100")
VIP6 = (ip_address("fe80::100"), ip_address("2001:db8::100"))
TRAVEL = 0.0005
"""Seconds, of a packet."""
ACT = 0.0005
"""Seconds, of an acquisition or a release."""

Address = IPv4Address | IPv6Address


def rules(number: int = 1, priority: int = 100, name: str = GROUP, **more: Any) -> RouterRules:
    """Those of host C{number} for one group: version 3, IPv4, 0.1 s."""
    given: dict[str, Any] = {"vrid": 51, "interval": 0.1, "addresses": (VIP,), **more}
    family = given["addresses"][0].version
    given.setdefault(
        "source", ip_address(f"10.99.0.{number}" if family == 4 else f"fe80::{number}")
    )
    return RouterRules(name, given.pop("link", LINK), priority=priority, **given)


def advert(said: RouterRules, priority: int | None = None, **changed: Any) -> Packet:
    """What somebody with these rules says, as a link hands it in."""
    word = said.rank if priority is None else priority
    assert said.source is not None
    value = VrrpAdvert(said.version, said.vrid, word, said.interval, said.addresses, said.auth)
    to = said.destinations[0]
    data = encode(value, said.source, to, said.checksum)
    return Packet(data, said.link, said.source, HOPS, to)._replace(**changed)


class Network:
    """
    @param loss: the share of packets that get lost, for each receiver.
    @ivar cuts: pairs of hosts, and links, between which nothing gets through.
    @ivar transcript: who began or ceased to hold, when and what.
    """

    def __init__(self, seed: int = 1, loss: float = 0.0) -> None:
        self.clock = Clock()
        self.clock.advance(1000.0)
        self.random = Random(seed)
        self.loss = loss
        self.hosts: list[Host] = []
        self.cuts: set[tuple[str, str, str]] = set()
        self.transcript: list[tuple[float, str, str, bool]] = []
        self.sent: list[tuple[float, str, Outgoing]] = []
        self._newest: dict[tuple[str, str], float] = {}  # of what is on its way, in this order

    @property
    def now(self) -> float:
        return self.clock.seconds()

    def run(self, seconds: float, until: Callable[[], object] = lambda: False) -> None:
        """Let time pass, event by event; stop once something is so."""
        clock, end = self.clock, self.now + seconds
        while not until():
            due = [call.getTime() for call in clock.getDelayedCalls()]
            if not due or min(due) > end:
                clock.rightNow = end
                return
            clock.rightNow = max(clock.rightNow, min(due))
            clock.advance(0)

    def host(self, name: str, *routers: RouterRules, **more: Any) -> Host:
        """One more, started now."""
        host = Host(self, name, VrrpRules("c", name, routers), **more)
        self.hosts.append(host)
        return host

    def cut(self, one: str, other: str, link: str = LINK) -> None:
        """Nothing gets through between two hosts."""
        self.cuts |= {(one, other, link), (other, one, link)}

    def heal(self) -> None:
        """Everything does."""
        self.cuts.clear()

    def carry(self, sender: Host, packet: Outgoing) -> None:
        """To whom it is addressed."""
        self.sent.append((self.now, sender.name, packet))
        assert packet.destination is not None
        assert packet.link is not None
        for host in self.hosts:
            if host is sender or (sender.name, host.name, packet.link) in self.cuts:
                continue
            if not packet.destination.is_multicast and packet.destination not in host.addresses:
                continue
            if self.random.random() >= self.loss:
                arrived = Packet(packet.data, packet.link, packet.source, HOPS, packet.destination)
                at = self.now + TRAVEL * (1 + self.random.random())
                at = self._newest[sender.name, host.name] = max(
                    at, self._newest.get((sender.name, host.name), 0.0) + 1e-9
                )
                self.clock.callLater(at - self.now, host.receive, arrived)

    def holders(self, group: str = GROUP) -> list[str]:
        """Who has it now."""
        return [host.name for host in self.hosts if group in host.held]

    def settled(self, *groups: str) -> bool:
        """Each of these has one holder."""
        return all(len(self.holders(group)) == 1 for group in groups or (GROUP,))

    def overlaps(self, group: str = GROUP, since: float = -inf) -> list[tuple[float, float]]:
        """When two or more held it: from when, and for how many seconds."""
        found, holding, began = [], set[str](), 0.0
        for at, name, what, held in [*self.transcript, (self.now, "", group, False)]:
            if what != group:
                continue
            before = len(holding)
            (holding.add if held else holding.discard)(name)
            if before < 2 <= len(holding):
                began = at
            elif len(holding) < 2 <= before or (len(holding) >= 2 and not name):
                found.append((began, at - began))
        return [(at, long) for at, long in found if at >= since]

    def vacant(self, group: str = GROUP, since: float = 0.0) -> float:
        """For how long nobody held it, from then on."""
        holding, free, at = set[str](), 0.0, since
        for moment, name, what, held in [*self.transcript, (self.now, "", group, False)]:
            if what == group:
                if not holding and moment > at:
                    free += moment - at
                at = max(at, moment)
                (holding.add if held else holding.discard)(name)
        return free


class Host:
    """
    One node: it does what its machine decides.

    @ivar held: the groups whose addresses are here.
    @ivar act: seconds of an acquisition or a release; C{slow}: of those of a group.
    @ivar refusing: nothing can be acquired.
    @ivar effects: what was decided, with the time.
    """

    def __init__(
        self, network: Network, name: str, rules: VrrpRules, act: float = ACT, **more: Any
    ) -> None:
        self.network, self.name = network, name
        self.clock = network.clock
        self.machine = VrrpMachine(rules, self.clock.seconds(), **more)
        machines: Sequence[Machine] = [self.machine]
        self.loop = Loop(self.clock.seconds, machines, self)
        self.held: set[str] = set()
        self.act = act
        self.slow: dict[str, float] = {}
        self.refusing = self.dead = False
        self.effects: list[tuple[float, Effect]] = []
        self.bad: list[str] = []
        self._doing: dict[str, Any] = {}
        self._deadline: Any = None
        self._soon: Any = None
        self._thawing: Any = None
        self.run()

    @property
    def addresses(self) -> set[Address | None]:
        """Its own ones."""
        return {each.source for each in self.machine.rules.routers}

    def of(self, kind: type, since: float = 0.0) -> list[Any]:
        """What was decided of one kind."""
        return [each for at, each in self.effects if isinstance(each, kind) and at >= since]

    def said(self, since: float = 0.0) -> list[tuple[float, Decoded]]:
        """What it sent."""
        found = []
        for at, name, packet in self.network.sent:
            if name == self.name and at >= since:
                assert packet.source is not None
                assert packet.destination is not None
                found.append((at, decode(packet.data, packet.source, packet.destination)))
        return found

    def priorities(self, since: float = 0.0) -> list[int]:
        """The same, the priorities alone."""
        return [reading.advert.priority for _, reading in self.said(since)]

    def events(self, since: float = 0.0) -> list[str]:
        """What the log is told that is no role change."""
        return [f"{e.kind} {e.peer}: {e.reason}" for e in self.of(Event, since)]

    def reasons(self, since: float = 0.0) -> list[str]:
        """Why its roles changed."""
        return [change.reason for change in self.of(RoleChange, since)]

    def receive(self, packet: Packet) -> None:
        """A packet arrives; what is decided is decided in the next turn, as in the driver."""
        if self.dead:
            return
        try:
            self.machine.receive(packet, self.clock.seconds())
        except BadPacket as e:
            self.bad.append(e.reason)
        if self.machine.news:
            self._decideSoon()

    def tell(self, *reports: Report) -> None:
        """Something has happened."""
        if self.dead:
            return
        for report in reports:
            self.machine.tell(report, self.clock.seconds())
        if self.loop.running:
            self.loop.run()
        else:
            self._decideSoon()

    def change(self, *routers: RouterRules) -> None:
        """Go on with others."""
        self.machine.change(VrrpRules("c", self.name, routers), self.clock.seconds(), {})
        self._decideSoon()

    def kill(self, power: bool = True) -> None:
        """It stops at once; C{power}: the addresses are gone, too."""
        self.dead = True
        if self._thawing is not None and self._thawing.active():
            self._thawing.cancel()
        if power:
            for group in list(self.held):
                self._has(group, False)

    def freeze(self, seconds: float) -> None:
        """It does nothing for a while; what arrives meanwhile is lost."""
        self.dead = True
        self._thawing = self.clock.callLater(seconds, self._thaw)

    def _thaw(self) -> None:
        self.dead = False
        self.run()

    def _decideSoon(self) -> None:
        if self._soon is None or not self._soon.active():
            self._soon = self.clock.callLater(0, self.run)

    def run(self) -> None:
        """Decide."""
        if self.dead:
            return
        self.loop.run()
        if self._deadline is not None and self._deadline.active():
            self._deadline.cancel()
        wait = self.loop.deadline - self.clock.seconds()
        self._deadline = self.clock.callLater(max(0.0, wait), self.run) if wait < inf else None

    # What the loop wants done

    def begin(self) -> None:
        """Nothing comes first."""

    def decided(self, now: float, effects: Sequence[Effect]) -> None:
        """Note it."""
        self.effects += [(now, effect) for effect in effects]

    def perform(self, machine: Machine, effect: Effect) -> None:
        """Acquire, release, write."""
        if isinstance(effect, Hold):
            self._begin(effect.group, self._acquired)
        elif isinstance(effect, Release):
            self._begin(effect.group, self._released)
        elif isinstance(effect, Persist):
            machine.tell(Persisted(effect.group, effect.record), self.clock.seconds())

    def send(self, machine: Machine, packet: Outgoing) -> None:
        """Send it."""
        self.network.carry(self, packet)

    def report(self, effect: Effect) -> None:
        """It was noted."""

    def announced(self, since: float = 0.0) -> int:
        """How often the LAN was told again."""
        return len(self.of(Announce, since))

    def _begin(self, group: str, then: Callable[[str], None]) -> None:
        before = self._doing.pop(group, None)
        if before is not None and before.active():
            before.cancel()
        self._doing[group] = self.clock.callLater(self.slow.get(group, self.act), then, group)

    def _acquired(self, group: str) -> None:
        if self._waits(group, self._acquired):
            return
        if self.refusing:
            self.tell(NotHeld(group, "told to fail"))
        else:
            self._has(group, True)
            self.tell(Held(group))

    def _released(self, group: str) -> None:
        if not self._waits(group, self._released):
            self._has(group, False)
            self.tell(Gone(group))

    def _waits(self, group: str, then: Callable[[str], None]) -> bool:
        """Dead, it does not happen; frozen, it does afterwards."""
        if self.dead and self._thawing is not None and self._thawing.active():
            left = self._thawing.getTime() - self.clock.seconds()
            self._doing[group] = self.clock.callLater(left + ACT, then, group)
        return self.dead

    def _has(self, group: str, held: bool) -> None:
        if (group in self.held) != held:
            (self.held.add if held else self.held.discard)(group)
            self.network.transcript.append((self.network.now, self.name, group, held))
