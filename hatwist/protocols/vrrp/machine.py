"""
The virtual routers of one node, see L{hatwist.core.machine.Machine}.

What a link has to hand in with each packet: L{source<hatwist.core.packet.Packet>}, C{hops} and C{destination}, and as
C{data} what follows the header of IP. What comes out is that, too, with its checksum, and has to leave from C{source}
to C{destination} with a TTL or hop limit of 255 and protocol 112. A link is of one interface and one version of IP,
and all routers of those share it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any

from hatwist.core.annals import Annals
from hatwist.core.causes import Cause
from hatwist.core.claims import NOTHING, Record
from hatwist.core.effects import Effect, Hold, Leased, RoleChange
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
from hatwist.core.standing import Decision
from hatwist.core.states import Input, State
from hatwist.core.worth import Fitness
from hatwist.protocols.vrrp.intake import VrrpIntake
from hatwist.protocols.vrrp.packet import RESIGN
from hatwist.protocols.vrrp.picture import hindrance, others, picture
from hatwist.protocols.vrrp.router import Router
from hatwist.protocols.vrrp.rules import RouterRules, VrrpRules, problems
from hatwist.protocols.vrrp.sync import Sync
from hatwist.protocols.vrrp.timetable import Timetable
from hatwist.protocols.vrrp.timing import Beat, hold

DRAINED = (Fitness.UNFIT, "drained (hatwist undrain ends it)")
IDLE = 3.0
"""Seconds of silence after which nobody takes anything over from a node without routers."""


class VrrpMachine:
    """
    @param records: what earlier starts left on disk, by group.
    @ivar routers: by group.
    @ivar intake: which packets count, and who else speaks for them.
    @ivar drained: the operator wants nothing to be held here.
    @raise ValueError: the rules have L{problems}.
    """

    session = 0
    interval: float | None = None

    def __init__(
        self, rules: VrrpRules, now: float, records: Mapping[str, Record] | None = None
    ) -> None:
        self.rules = rules
        self.routers: dict[str, Router] = {}
        self.intake = VrrpIntake()
        self.news = True
        self.drained = False
        self._stopped = False
        self._syncs: dict[str, Sync] = {}
        self._syncOf: dict[str, Sync] = {}
        self._claims = Timetable(lambda name: self._syncs[name].claimAt)
        self._voices = Timetable(lambda name: self.routers[name].advertAt)
        self._touched: dict[str, Sync] = {}
        self._speaking: dict[str, Router] = {}
        self._leases: dict[str, Beat] = {}
        self._running: set[str] = set()
        self._going: set[str] = set()
        self._annals = Annals(rules.name)
        self._check(rules)
        for each in rules.routers:
            self._add(each, (records or {}).get(each.name, NOTHING), now)
        self._arrange()

    @property
    def cluster(self) -> str:
        return self.rules.cluster

    @property
    def name(self) -> str:
        return self.rules.name

    @property
    def groups(self) -> Collection[str]:
        return self.routers.keys()

    @property
    def tolerance(self) -> float:
        """Of the fastest group: 3 intervals."""
        return min((3 * each.interval for each in self.rules.routers), default=IDLE)

    @property
    def deadline(self) -> float:
        return min(self._claims.deadline, self._voices.deadline)

    @property
    def over(self) -> bool:
        return self._stopped and not self._running

    @property
    def silent(self) -> bool:
        return self.over

    # What comes in

    def receive(self, packet: Packet, now: float) -> Received:
        router, said = self.intake.open(packet, now)
        if router.hear(said.advert, said.source, now):
            self.news = True
            name = router.rules.name
            if router.advertises:
                self._voices.note(name)
            if router.effects or not router.advertises:
                self._touch(name)
        if not router.advertises and self._annals.differs(
            router.rules.name, said.name, router.watch.master is not None
        ):
            self._touch(router.rules.name)
            self.news = True
        return Received(said.name, b"", said)

    def tell(self, report: Report, now: float) -> None:
        kind = type(report)
        if kind in OF_NODE:
            OF_NODE[kind](self, report, now)
        elif kind in OF_GROUP:
            router = self.routers.get(groupOf(report) or "")
            if router is not None:  # else it went meanwhile
                OF_GROUP[kind](router, report, now)
                self._touch(router.rules.name)

    def _touch(self, group: str) -> None:
        sync = self._syncOf[group]
        self._touched[sync.name] = sync

    def _each(self) -> Iterator[Router]:
        """All routers, each of which is about to change."""
        self._touched = dict(self._syncs)
        return iter(list(self.routers.values()))

    def _fenced(self, report: Fenced, now: float) -> None:
        for router in self._each():
            router.fenced(report.why, now)

    def _drain(self, report: Drained, now: float) -> None:
        self.drained = report.on
        for router in self._each():
            router.judge("drain", *(DRAINED if report.on else (Fitness.FIT, "")), now)

    def _stop(self, report: Stopped, now: float) -> None:
        self._stopped = True
        for router in self._each():
            router.stop(report.why, now)

    # What goes out

    def decide(self, now: float, beat: bool = False) -> list[Effect]:
        self.news = False
        for name in self.intake.told:
            self._touch(name)
        self.intake.told.clear()
        touched, self._touched = self._touched, {}
        for name in self._claims.take(now):
            touched[name] = self._syncs[name]
        effects: list[Effect] = []
        for sync in touched.values():
            sync.decide(now)
            for router in sync.routers:
                self._collect(router, effects, now)
            self._claims.note(sync.name)
        for name in self._voices.take(now):
            router = self.routers[name]
            router.speak(now)
            self._collect(router, effects, now)
        if self._going:
            self._forget()
        return effects

    def _collect(self, router: Router, effects: list[Effect], now: float) -> None:
        """What was decided about it, and what it is to say; a claim with its lease, a role for the history, too."""
        name, annals = router.rules.name, self._annals
        for effect in router.effects:
            if isinstance(effect, Hold):
                effects.append(self._leased(router))
                effects += annals.ended(name, router.because, now, "silent" in router.because)
            elif isinstance(effect, RoleChange):  # the history has it before anybody acts on it
                effects.append(annals.own(effect, now))
            effects.append(effect)
        master = router.watch.master
        if not router.advertises and master is not None:
            why = f"advertises with priority {master.priority}"
            effects += annals.hears(name, str(master.source), why, now)
        elif not router.advertises:
            effects += annals.ended(name, "resigned", now)
        router.effects.clear()
        if router.voice.word is not None:
            self._speaking[name] = router
        if router.standing.state is State.SHUTDOWN:
            self._running.discard(name)
        self._voices.note(name)

    def _leased(self, router: Router) -> Leased:
        """One lease is that of all routers that advertise at the same time."""
        beat = router.rules.beat
        lease = str(beat)
        self._leases[lease] = beat
        return Leased(router.rules.name, lease)

    def outgoing(self, now: float) -> list[Outgoing]:
        speaking, self._speaking = self._speaking, {}
        return [packet for router in speaking.values() for packet in router.voice.taken()]

    def until(self, lease: str, now: float) -> float:
        beat = self._leases[lease]
        return beat.last(now) + hold(beat.interval, self.rules.release)

    def farewells(self, group: str) -> list[Outgoing]:
        router = self.routers[group]
        return router.voice.packets(RESIGN) if router.rules.guardable else []

    # What is asked

    def hindrance(self, group: str, to: str, now: float) -> str:
        return hindrance(self.routers[group], to)

    def contested(self, group: str) -> bool:
        return bool(self.routers[group].rivals.known)

    def others(self, group: str, now: float) -> list[str]:
        return others(self.routers[group], now)

    def picture(self, now: float, context: Context = NO_CONTEXT) -> Picture:
        rules = self.rules
        return picture(
            self.routers, self.intake.peers, rules.name, rules.release, self.drained, now
        )

    # Groups come and go

    def change(self, rules: VrrpRules, now: float, records: Mapping[str, Record]) -> None:
        """
        See L{hatwist.core.machine.Machine.change}. A group that goes is let go of first, and resigns.

        @raise ValueError: the rules have L{problems}; a group that comes is still being let go of, under the same
            name or VRID; or what a group is known by on the network is another.
        """
        self._check(rules)
        wanted = {each.name: each for each in rules.routers}
        self.rules = rules
        for router in self._each():
            name = router.rules.name
            new = wanted.pop(name, None)
            if new is not None:
                beat = router.rules.beat
                router.configure(new, now)
                if router.standing.holding and new.beat != beat:
                    router.effects.append(self._leased(router))
            else:
                self._going.add(name)
                router.stop("no longer configured", now)
            self.intake.peers.forget(name)
        for name, new in wanted.items():
            self._add(new, records.get(name, NOTHING), now)
        self._arrange()

    def _check(self, rules: VrrpRules) -> None:
        found = [*problems(rules.routers), *self.refusals(rules.routers)]
        if found:
            raise ValueError("\n".join(found))

    def refusals(self, routers: Iterable[RouterRules]) -> list[str]:
        """Why it cannot go on with these now, a sentence each."""
        found = []
        for each in routers:
            same, old = self.intake.routers.get(each.key), self.routers.get(each.name)
            if each.name in self._going:
                found.append(f"{each.name}: still being released; try again when it is done")
            elif same is not None and same is not old:
                found.append(
                    f"{each.name}: its vrid {each.vrid} on {each.link} is still that of {same.rules.name}; "
                    "take that one out and reload first"
                )
            elif old is not None and old.rules.identity != each.identity:
                found.append(
                    f"{each.name}: vrid, version and interface stay as they are while it runs; take the group out, "
                    "reload, and add it again"
                )
        return found

    def _add(self, rules: RouterRules, record: Record, now: float) -> None:
        router = self.routers[rules.name] = Router(self.cluster, rules, record, now)
        self.intake.routers[rules.key] = router
        self._running.add(rules.name)
        if self.drained:
            router.judge("drain", *DRAINED, now)
        if self._stopped:
            router.stop("stopped", now)

    def _arrange(self) -> None:
        """Which routers are held together."""
        together: dict[str, list[Router]] = {}
        for name, router in self.routers.items():
            sync = router.rules.sync if name not in self._going else ""
            together.setdefault(f"sync {sync}" if sync else f"group {name}", []).append(router)
        for name in self._syncs.keys() - together.keys():
            self._claims.forget(name)
        self._syncs = {name: Sync(name, routers) for name, routers in together.items()}
        self._syncOf = {
            router.rules.name: sync for sync in self._syncs.values() for router in sync.routers
        }
        self._touched = dict(self._syncs)
        self.news = True
        self.intake.changed()

    def _forget(self) -> None:
        """Groups that went. What one of them says last is still said."""
        for name in sorted(self._going):
            if name not in self._running:
                self._going.discard(name)
                del self.intake.routers[self.routers.pop(name).rules.key]
                self.intake.changed()
                alone = self._syncOf.pop(name).name
                del self._syncs[alone]
                self._touched.pop(alone, None)
                self._claims.forget(alone)
                self._voices.forget(name)


def _moved(router: Router, report: MoveWanted, now: float) -> None:
    if not hindrance(router, report.to):
        why = "the operator wanted another to hold it"
        router.yieldFor(Decision(Input.YIELD, why, Cause.MOVE), now)


OF_GROUP: dict[type, Callable[[Router, Any, float], None]] = {
    Held: lambda router, report, now: router.held(now),
    NotHeld: lambda router, report, now: router.refused(report.reason, now),
    Gone: lambda router, report, now: router.gone(now),
    Progressed: lambda router, report, now: router.standing.progressed(
        report.step, report.steps, report.words
    ),
    Persisted: lambda router, report, now: router.terms.persisted(report.record),
    Judged: lambda router, report, now: router.judge(
        report.source, report.fitness, report.reason, now
    ),
    MoveWanted: _moved,
}
OF_NODE: dict[type, Callable[[VrrpMachine, Any, float], None]] = {
    Fenced: VrrpMachine._fenced,
    Drained: VrrpMachine._drain,
    Stopped: VrrpMachine._stop,
}
IGNORED = (Served, Witnessed)
"""Whether the LAN or a witness answers is no matter of VRRP: silence alone decides."""
