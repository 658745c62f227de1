"""
One node of one cluster by hatwist's own protocol, see L{hatwist.core.machine.Machine}.

Deciding only when all that has arrived is read is what keeps a node that was frozen from acting on old news.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from math import inf
from typing import Any

from hatwist.core.agenda import Agenda
from hatwist.core.claims import NOTHING, Record
from hatwist.core.effects import Effect, Event, RoleChange
from hatwist.core.errors import BadPacket
from hatwist.core.packet import Outgoing, Packet, Received
from hatwist.core.picture import NO_CONTEXT, Context, Picture
from hatwist.core.reports import Drained, Fenced, Report, Stopped, Witnessed, groupOf
from hatwist.core.states import Input, State
from hatwist.core.turn import Turn
from hatwist.core.worth import Fitness
from hatwist.protocols.native.attendance import Attendance
from hatwist.protocols.native.auth import SIGNATURE_SIZE
from hatwist.protocols.native.chronicle import Chronicle
from hatwist.protocols.native.common import commonOf
from hatwist.protocols.native.datagram import Datagram, clusterId
from hatwist.protocols.native.election import Election
from hatwist.protocols.native.farewell import LastWords
from hatwist.protocols.native.grouped import OF_GROUP
from hatwist.protocols.native.identity import Identity
from hatwist.protocols.native.intake import Codec, Intake, Statement
from hatwist.protocols.native.layout import FRAME
from hatwist.protocols.native.leases import leased, until
from hatwist.protocols.native.membership import Membership
from hatwist.protocols.native.outbox import Outbox, lossy
from hatwist.protocols.native.picture import picture
from hatwist.protocols.native.prospects import hindrance
from hatwist.protocols.native.rules import WITNESSED, GroupRules, NodeRules
from hatwist.protocols.native.state.knowledge import Knowledge
from hatwist.protocols.native.tally import Tally

STALL = 1.5
"""Intervals without any decision: this node was late by more than half an interval."""

SLICE = 64
"""Groups that are decided in one go: between two such what others say is read, and heartbeats leave."""

DRAINED = (Fitness.UNFIT, "drained (hatwist undrain ends it)")


class NativeMachine:
    """
    @param session: which start of this node; greater than that of any earlier start.
    @param records: what earlier starts left on disk, by group.
    @ivar rules, keyring: by which it goes on; the keyring may be replaced at any time.
    @ivar agenda: the groups that are to be decided.
    @ivar view: what is known of the others.
    @ivar elections: each group, by name.
    @ivar drained: the operator wants nothing to be held here.
    @ivar chronicle: the role changes of all nodes.
    """

    def __init__(
        self,
        rules: NodeRules,
        keyring: Codec,
        session: int,
        now: float,
        records: Mapping[str, Record] | None = None,
    ) -> None:
        self.rules = rules
        self.keyring = keyring
        self.elections: dict[str, Election] = {}
        self.agenda = Agenda(lambda group: self.elections[group].settle())
        knowledge = Knowledge(
            rules.name, session, rules.interval, rules.tolerance, FRAME - SIGNATURE_SIZE, now
        )
        self.view = Membership(knowledge, rules.tolerance, rules.digest, self.agenda)
        self.tally = Tally()
        self.outbox = Outbox(rules, knowledge, self.view, self.tally, now)
        self.identity = Identity(rules, session, now, self.tally, self.outbox, self._say)
        self.intake = Intake(clusterId(rules.cluster), rules.name, self.view, self.identity)
        self.chronicle = Chronicle(rules.name)
        self.drained = False
        self.news = True
        self._node = (session, False, False)
        self._witnessed = self.agenda.pulse()
        self._attendance = Attendance(self.view, self._say)
        self._lastRun = self._wake = now
        self._stopped = False
        self._events: list[Event] = []
        self._farewells = LastWords(self.outbox)
        for group in rules.groups:
            self._add(group, (records or {}).get(group.name, NOTHING), now)
        self._serve()

    @property
    def cluster(self) -> str:
        return self.rules.cluster

    @property
    def name(self) -> str:
        return self.rules.name

    @property
    def interval(self) -> float:
        return self.rules.interval

    @property
    def tolerance(self) -> float:
        return self.rules.tolerance

    @property
    def groups(self) -> Collection[str]:
        return self.elections.keys()

    @property
    def session(self) -> int:
        return self.identity.session

    @property
    def deadline(self) -> float:
        due = self.outbox.deadline
        if self.over:
            return due
        if self.agenda.left:
            return self._lastRun
        return min(due, self._wake, self.agenda.deadline)

    @property
    def over(self) -> bool:
        return self._stopped and not self.tally.running

    @property
    def displaced(self) -> bool:
        """It is silent, and takes nothing, because another node of its name is heard."""
        return self.identity.displaced

    @property
    def silent(self) -> bool:
        return self.displaced or self.over

    # What comes in

    def receive(self, packet: Packet, now: float) -> Received:
        datagram = self.keyring.open(packet.data, self.intake.cluster)
        header = datagram.header
        if header.cluster != self.intake.cluster:
            raise BadPacket("cluster")
        self.hear(datagram, packet.link, now)
        return Received(header.name, header.digest, Statement.of(datagram, packet.link))

    def hear(self, datagram: Datagram, link: str, now: float) -> None:
        """As L{receive}, for a packet that is already decoded and known to be of this cluster."""
        header = datagram.header
        newest = self.intake.accept(header, link, now)
        self._notice(now)
        self.identity.listed(datagram.heard, header.name, now)
        known = self.view.peers.get(header.name)
        back = known is not None and not known.alive(now) and not known.left()
        before = (lossy(known), known.twoWay(now)) if known is not None else None
        fresh = known is None or header.session > known.session or known.header is None
        if self.view.receive(datagram, link, newest, now):
            self._ahead(header.name, now)
        peer = self.view.peers[header.name]
        fresh = fresh and peer.header is not None
        if fresh and header.digest != self.rules.digest:
            self._say("configuration-differs", header.name, "its shared configuration is another")
        if back:  # what it knows of this node is out of date, whatever was sent to it meanwhile
            self.outbox.answer()
        elif fresh:
            self.outbox.heard(now)
        elif peer.words.leading:
            self.outbox.led(now)
        if (
            self.agenda.touched
            or self.outbox.answers
            or fresh
            or before != (lossy(peer), peer.twoWay(now))
            or self.outbox.early(now)
        ):
            self.news = True

    def _ahead(self, by: str, now: float) -> None:
        """This node was restored from a snapshot: what it held may be another one's by now."""
        for election in self._each():
            if election.standing.claim is not None:
                election.input(Input.YIELD, now, "others know more of this node than it ever said")
        self.identity.ahead(by, now)

    def tell(self, report: Report, now: float) -> None:
        if type(report) in OF_NODE:
            OF_NODE[type(report)](self, report, now)
        elif type(report) in OF_GROUP:
            group = groupOf(report) or ""
            election = self.elections.get(group)
            if election is not None:  # else it went meanwhile
                self.agenda.touch((group,))
                OF_GROUP[type(report)](election, report, self.view, now)
                self.tally.note(group, election.standing)

    def _each(self) -> Iterator[Election]:
        """All groups, each of which is about to change."""
        self.agenda.touchAll()
        for name, election in self.elections.items():
            yield election
            self.tally.note(name, election.standing)

    def _answered(self, report: Witnessed, now: float) -> None:
        self._witnessed.renew(max(self._witnessed.at, report.sentAt), now)

    def _fenced(self, report: Fenced, now: float) -> None:
        """After a farewell this session is dead to all others."""
        said = self._farewells.possible
        if said:
            self.identity.session += 1
            self.outbox.beginAnew(now)
        for election in self._each():
            election.fenced(report.why, now, said)

    def _drain(self, report: Drained, now: float) -> None:
        self.drained = report.on
        verdict = DRAINED if report.on else (Fitness.FIT, "")
        for election in self._each():
            election.setFitness(*verdict, "drain")

    def _stop(self, report: Stopped, now: float) -> None:
        self._stopped = True
        for election in self._each():
            election.input(Input.STOP, now, report.why)

    # What goes out

    def decide(self, now: float, beat: bool = False) -> list[Effect]:
        self._notice(now)
        self.news = False
        self.view.forget(now)
        self.identity.decide(now)
        displaced = self.displaced
        node = (self.session, displaced, self.outbox.hushed(now))
        if self._node != node:
            self._node = node
            self.agenda.touchAll()
        if self.view.knowledge.session != self.session:
            self.outbox.renew(self.session, now)
        # The last words tell of all groups, and there is no turn after them.
        decided = self.agenda.due(now, None if self.over else SLICE, self.tally.claims)
        effects: list[Effect] = []
        urgent = False
        for name in decided:
            urgent = self._decide(name, effects, now) or urgent
        witnessed = self._witnessed.at + WITNESSED * self.rules.interval
        common, until = commonOf(
            self.view, self.rules.quorum, self.tally, witnessed, self.drained, displaced, now
        )
        wake = inf if self.over else min(self._attendance.look(now), until)
        self.outbox.decide(now, beat, urgent, common, displaced, self.over)
        effects += self._events
        self._events = []
        if decided:
            effects += self.chronicle.look(self.view, decided, now)
        if self.tally.going:
            self._forget()
        self._wake = min(wake, self.identity.rivalUntil) if displaced else wake
        return effects

    def _decide(self, name: str, effects: list[Effect], now: float) -> bool:
        """Decide one group; the result is whether others must hear of it at once."""
        election = self.elections[name]
        said = election.told
        election.me.session, election.me.muted, election.me.hushed = self._node
        election.decide(self.view, self.outbox.lastSent, now)
        for effect in leased(election, election.effects):
            if isinstance(effect, RoleChange):  # the history has it before anybody acts on it
                effects.append(self.chronicle.own(effect, election.standing.released, now))
            effects.append(effect)
        urgent, election.effects, election.sendNow = election.sendNow, [], False
        self.tally.note(name, election.standing)
        self.agenda.decided(name, election.wake, election.attentive)
        if election.told is not None and election.told != said:
            self.outbox.sayings.tell(election.told)
        return urgent

    def outgoing(self, now: float) -> list[Outgoing]:
        seal = self.keyring.seal
        return [Outgoing(seal(each), None, each.header.seq) for each in self.outbox.collect(now)]

    def until(self, lease: str, now: float) -> float:
        return until(lease, self.elections, self.rules.timing, now)

    def farewells(self, group: str) -> list[Outgoing]:
        """
        See L{hatwist.core.machine.Machine.farewells}.

        One is for all groups, so there is none while the guard could leave something of any group here.
        """
        return [self._farewells.sealed(self.keyring)] if self._farewells.possible else []

    # What is asked

    def hindrance(self, group: str, to: str, now: float) -> str:
        return hindrance(self.elections[group], self.view, to, now)

    def picture(self, now: float, context: Context = NO_CONTEXT) -> Picture:
        return picture(
            self.elections,
            self.view,
            self.chronicle,
            now,
            context,
            session=self.session,
            drained=self.drained,
            displaced=self.displaced,
            silent=self.silent,
        )

    def contested(self, group: str) -> bool:
        return bool(self.elections[group].conflicts)

    def others(self, group: str, now: float) -> list[str]:
        return self.elections[group].others(self.view, Turn(now)).inOrder()

    def _notice(self, now: float) -> None:
        """Was this node late? Then no deadline counts before the others could be heard."""
        gap, self._lastRun = now - self._lastRun, now
        if gap > STALL * self.rules.interval:
            self.news = True
            self._say("stalled", "", f"this node did nothing for {gap:.3f} s")
            for election in self._each():
                election.stalled(gap, self.view, now)

    def _say(self, kind: str, peer: str, reason: str) -> None:
        self._events.append(Event(kind, "", peer, reason))

    # Groups come and go

    def change(self, rules: NodeRules, now: float, records: Mapping[str, Record]) -> None:
        """
        See L{hatwist.core.machine.Machine.change}. Digest and release change with the groups.

        A group that goes is let go of first, and told of for a while. One that comes begins as at a start, but in
        a node that is stopped it comes to its end at once.

        @raise ValueError: a group that comes is still being let go of, under the same name.
        """
        wanted = {group.name: group for group in rules.groups}
        if back := sorted(self.tally.going & set(wanted)):
            raise ValueError(f"{', '.join(back)}: still being released; try again when it is done")
        self.rules = self.outbox.rules = rules
        self.view.digest = rules.digest
        for election in self._each():
            group = wanted.pop(election.rules.name, None)
            election.change(self.rules.timing, group)
            if group is None:
                self.tally.going.add(election.rules.name)
                election.input(Input.STOP, now, "no longer configured")
        for name, group in wanted.items():
            self._add(group, records.get(name, NOTHING), now)
        self._serve()

    def _add(self, group: GroupRules, record: Record, now: float) -> None:
        rules = self.rules
        node = (rules.address, rules.name)
        quorum, witnessed = rules.quorum, self._witnessed
        self.elections[group.name] = election = Election(
            rules.cluster, group, rules.timing, node, now, quorum, record, witnessed
        )
        if self.drained:
            election.setFitness(*DRAINED, "drain")
        if self._stopped:
            election.input(Input.STOP, now, "stopped")
        self.tally.note(group.name, election.standing)
        self.agenda.add(group.name)

    def _serve(self) -> None:
        """There are other groups, or other rules of them."""
        self.view.serve(self.elections)
        self._farewells.serve([election.rules for election in self.elections.values()])

    def _forget(self) -> None:
        """Groups that went are told of until everybody has had time to hear it."""
        for name in sorted(self.tally.going):
            standing = self.elections[name].standing
            ended = standing.state is State.SHUTDOWN and standing.released is None
            if ended and name not in self.agenda.touched:
                del self.elections[name]
                self.agenda.drop(name)
                self.tally.forget(name)
                self.outbox.sayings.forget(name)
                self._serve()


OF_NODE: dict[type, Callable[[NativeMachine, Any, float], None]] = {
    Witnessed: NativeMachine._answered,
    Fenced: NativeMachine._fenced,
    Drained: NativeMachine._drain,
    Stopped: NativeMachine._stop,
}
"""What is done about each report: this protocol ignores none."""
