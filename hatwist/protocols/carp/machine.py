"""One node by CARP, see L{hatwist.core.machine.Machine}."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from math import inf
from typing import Any, NamedTuple

from hatwist.core.agenda import Agenda
from hatwist.core.annals import Annals
from hatwist.core.claims import Record
from hatwist.core.effects import Effect, Event, RoleChange
from hatwist.core.errors import BadPacket
from hatwist.core.packet import Outgoing, Packet, Received
from hatwist.core.picture import NO_CONTEXT, Context, Picture
from hatwist.core.reports import (
    Drained,
    Fenced,
    Gone,
    Held,
    Judged,
    MoveWanted,
    NotHeld,
    Persisted,
    Progressed,
    Report,
    Served,
    Stopped,
    Witnessed,
    groupOf,
)
from hatwist.core.states import Input, State
from hatwist.core.worth import Fitness
from hatwist.protocols.carp.packet import COUNTERS, HOPS, Address, CarpPacket, decode, encode
from hatwist.protocols.carp.picture import picture
from hatwist.protocols.carp.rules import CarpRules, VhostRules
from hatwist.protocols.carp.vhost import Purpose, Vhost

LATE = 0.5
"""Seconds: half of the shortest C{advbase}. A node that was later than that hears a master before it is one."""
ALONE = 3.0
"""Seconds: the tolerance of a node that has no virtual host."""

DRAINED = (Fitness.UNFIT, "drained (hatwist undrain ends it)")


class CarpMachine:
    """
    @param counter: the last that was used, 0 to 2**64 - 1: by chance, so that another start says other packets.
    @ivar rules: by which it goes on.
    @ivar vhosts: each virtual host, by the name of its group.
    @ivar agenda: those that are to be decided.
    @ivar drained: the operator wants nothing to be held here.
    """

    interval = None
    session = 0

    def __init__(self, rules: CarpRules, counter: int, now: float) -> None:
        self.rules = rules
        self.vhosts: dict[str, Vhost] = {}
        self.agenda = Agenda()
        self.drained = False
        self.news = True
        self._counter = counter
        self._byId: dict[tuple[str, int], Vhost] = {}
        self._speaking: dict[str, Vhost] = {}  # those that have something to say
        self._going: set[str] = set()
        self._events: list[Event] = []
        self._stopped = False
        self._annals = Annals(rules.name)
        self._slack = self._tolerance = ALONE
        self._due = inf
        for vhost in rules.vhosts:
            self._add(vhost, now)
        self._index()

    @property
    def cluster(self) -> str:
        return self.rules.cluster

    @property
    def name(self) -> str:
        return self.rules.name

    @property
    def groups(self) -> Collection[str]:
        return self.vhosts.keys()

    @property
    def tolerance(self) -> float:
        return self._tolerance

    @property
    def deadline(self) -> float:
        return self.agenda.deadline

    @property
    def silent(self) -> bool:
        return self.over

    @property
    def over(self) -> bool:
        return self._stopped and all(
            vhost.standing.state is State.SHUTDOWN for vhost in self.vhosts.values()
        )

    # What comes in

    def receive(self, packet: Packet, now: float) -> Received:
        if packet.hops != HOPS:
            raise BadPacket("hops", f"{packet.hops} hops are left of {HOPS}: not from this LAN")
        said = decode(packet.data)
        vhost = self._byId.get((packet.link, said.vhid))
        if vhost is None:
            raise BadPacket("vhid", str(said.vhid))
        source = packet.source
        if source is None or source == vhost.rules.links[packet.link]:
            raise BadPacket("reflected")
        if not vhost.seal.verify(said.counter, said.digest):
            why = f"vhid {said.vhid}: it has another password, or other addresses, than here"
            raise BadPacket("signature", why)
        news = vhost.hear(said, source, packet.link, now)
        if news or (
            not vhost.standing.holding
            and self._annals.differs(vhost.rules.name, str(source), vhost.master is not None)
        ):
            self.agenda.touch((vhost.rules.name,))
            self.news = True
        return Received(str(source), b"", HeardPacket(source, packet.link, said))

    def tell(self, report: Report, now: float) -> None:
        if type(report) in OF_NODE:
            OF_NODE[type(report)](self, report, now)
        elif type(report) in OF_GROUP:
            vhost = self.vhosts.get(groupOf(report) or "")
            if vhost is not None:  # else it went meanwhile
                self.agenda.touch((vhost.rules.name,))
                OF_GROUP[type(report)](vhost, report, now)
        if isinstance(report, Judged):
            self._measure()

    def _each(self) -> list[Vhost]:
        """All of them, each of which is about to change."""
        self.agenda.touchAll()
        return list(self.vhosts.values())

    def _fenced(self, report: Fenced, now: float) -> None:
        for vhost in self._each():
            vhost.fenced(report.why, now)

    def _drain(self, report: Drained, now: float) -> None:
        self.drained = report.on
        for vhost in self._each():
            vhost.judged("drain", *(DRAINED if report.on else (Fitness.FIT, "")), now)
        self._measure()

    def _stop(self, report: Stopped, now: float) -> None:
        self._stopped = True
        for vhost in self._each():
            vhost.input(Input.STOP, now, report.why)

    # What goes out

    def decide(self, now: float, beat: bool = False) -> list[Effect]:
        self._notice(now)
        self.news = False
        effects: list[Effect] = [*self._events]
        self._events = []
        for name in self.agenda.due(now):
            vhost = self.vhosts[name]
            wake = vhost.decide(now)
            self._collect(vhost, effects, now)
            self.agenda.decided(name, wake, False)
            if vhost.due:
                self._speaking[name] = vhost
        for name in sorted(self._going):
            if self.vhosts[name].standing.state is State.SHUTDOWN:
                self._forget(name)
        self._due = self.deadline
        return effects

    def _collect(self, vhost: Vhost, effects: list[Effect], now: float) -> None:
        """What was decided about it; a role for the history, too."""
        name, annals = vhost.rules.name, self._annals
        for effect in vhost.effects:
            if isinstance(effect, RoleChange):  # the history has it before anybody acts on it
                effects.append(annals.own(effect, now))
            effects.append(effect)
        vhost.effects = []
        master = vhost.master
        if master is not None:
            effects += annals.hears(name, str(master.source), f"advertises {master.rank}", now)
        elif name in annals.masters:
            effects += annals.ended(name, vhost.standing.why or "is master no more", now)

    def _notice(self, now: float) -> None:
        """Was this node late? Then a master's packets may have been lost that it would have heard."""
        late, self._due = now - self._due, inf
        if late > LATE:
            self._events.append(Event("stalled", "", "", f"this node was late by {late:.3f} s"))
            for vhost in self._each():
                vhost.late(now)

    def outgoing(self, now: float) -> list[Outgoing]:
        speaking, self._speaking = self._speaking, {}
        found = []
        for vhost in speaking.values():
            due, vhost.due = vhost.due, []
            for purpose in due:
                found += self._compose(vhost, purpose)
        return found

    def _compose(self, vhost: Vhost, purpose: Purpose) -> list[Outgoing]:
        """For each link one packet, with a counter of its own."""
        found = []
        for link, own in vhost.rules.links.items():
            if own is None:
                continue
            self._counter = (self._counter + 1) % COUNTERS
            packet = vhost.say(purpose, self._counter)
            found.append(Outgoing(encode(packet), link, packet, own))
        return found

    def until(self, lease: str, now: float) -> float:
        return now + self._slack

    def farewells(self, group: str) -> list[Outgoing]:
        vhost = self.vhosts[group]
        return self._compose(vhost, Purpose.GOODBYE) if vhost.rules.guardable else []

    # What is asked

    def hindrance(self, group: str, to: str, now: float) -> str:
        return "CARP has no way to hand a group over: drain this node instead"

    def picture(self, now: float, context: Context = NO_CONTEXT) -> Picture:
        return picture(self.vhosts, self.name, now, self.drained, self.until)

    def contested(self, group: str) -> bool:
        return self.vhosts[group].contested

    def others(self, group: str, now: float) -> list[str]:
        vhost = self.vhosts[group]
        master = vhost.master
        alive = master is not None and now < master.at + vhost.tolerance
        return [str(master.source)] if master is not None and alive else []

    # Groups come and go

    def change(self, rules: CarpRules, now: float, records: Mapping[str, Record]) -> None:
        """
        See L{hatwist.core.machine.Machine.change}. A group that goes is let go of first.

        @raise ValueError: a group that comes is still being let go of, under the same name.
        """
        wanted = {vhost.name: vhost for vhost in rules.vhosts}
        if back := sorted(self._going & set(wanted)):
            raise ValueError(f"{', '.join(back)}: still being released; try again when it is done")
        self.rules = rules
        for vhost in self._each():
            name = vhost.rules.name
            if name in wanted:
                vhost.change(wanted.pop(name), now)
            else:
                self._going.add(name)
                vhost.input(Input.STOP, now, "no longer configured")
        for each in wanted.values():
            self._add(each, now)
        self._index()

    def _add(self, rules: VhostRules, now: float) -> None:
        vhost = self.vhosts[rules.name] = Vhost(self.rules.cluster, self.rules.name, rules, now)
        if self.drained:
            vhost.judged("drain", *DRAINED, now)
        if self._stopped:
            vhost.input(Input.STOP, now, "stopped")
        self.agenda.add(rules.name)

    def _forget(self, name: str) -> None:
        self._going.discard(name)
        del self.vhosts[name]
        self.agenda.drop(name)
        self._index()

    def _index(self) -> None:
        """What follows from the rules of all."""
        self._byId = {
            (link, vhost.rules.vhid): vhost
            for vhost in self.vhosts.values()
            for link in vhost.rules.links
        }
        self._measure()

    def _measure(self) -> None:
        """What follows from how fit it is for each of them, too."""
        each = self.vhosts.values()
        self._tolerance = min((vhost.tolerance for vhost in each), default=ALONE)
        self._slack = min((vhost.slack for vhost in each), default=ALONE)


class HeardPacket(NamedTuple):
    """What a packet said, for the flight recorder."""

    source: Address
    link: str
    packet: CarpPacket

    def __str__(self) -> str:
        return f"{self.source} on {self.link}: {self.packet}"


OF_GROUP: dict[type, Callable[[Vhost, Any, float], None]] = {
    Held: lambda vhost, report, now: vhost.held(now),
    NotHeld: lambda vhost, report, now: vhost.refused(report.reason, now),
    Gone: lambda vhost, report, now: vhost.gone(now),
    Progressed: lambda vhost, report, now: vhost.standing.progressed(
        report.step, report.steps, report.words
    ),
    Judged: lambda vhost, report, now: vhost.judged(
        report.source, report.fitness, report.reason, now
    ),
}
OF_NODE: dict[type, Callable[[CarpMachine, Any, float], None]] = {
    Fenced: CarpMachine._fenced,
    Drained: CarpMachine._drain,
    Stopped: CarpMachine._stop,
}
"""What is done about each report."""
IGNORED = (MoveWanted, Persisted, Served, Witnessed)
"""Of no use here: CARP names no successor, keeps nothing on disk, and asks neither the LAN nor a witness."""
