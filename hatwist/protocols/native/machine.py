"""
One node of one cluster, without I/O: datagrams and times in, effects out.

The driver calls L{Machine.receive} for everything that has arrived, then L{Machine.decide} once, unless
that was no news; it calls C{decide} also at L{Machine.deadline}, and with C{beat} once in an interval. Deciding
only when all is read is what keeps a node that was frozen from acting on old news.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from ipaddress import IPv6Address
from math import inf
from typing import NoReturn

from hatwist.core.claims import Record, Role
from hatwist.core.counting import follow
from hatwist.core.effects import Effect, Event, RoleChange, Send
from hatwist.core.errors import BadPacket
from hatwist.core.picture import NO_CONTEXT, Context, Picture
from hatwist.core.worth import NO_ADDRESS
from hatwist.protocols.native.attendance import Attendance
from hatwist.protocols.native.auth import Keyring, ReplayWindow
from hatwist.protocols.native.chronicle import Chronicle
from hatwist.protocols.native.heartbeat import GroupState, Heard, HeardGroup, Heartbeat
from hatwist.protocols.native.membership import MAX_PEERS, repeats
from hatwist.protocols.native.outbox import BURST, Sender, leads
from hatwist.protocols.native.picture import picture
from hatwist.protocols.native.prospects import hindrance
from hatwist.protocols.native.rules import NodeRules

STALL = 1.5
"""Intervals without any decision: this node was late by more than half an interval."""

REPEAT = 10.0
"""Seconds between two warnings of one kind of which each packet gives a reason: of two nodes of one name, say."""


def _urgency(effect: Effect) -> int:
    if isinstance(effect, RoleChange | Event):
        return 2
    return 1 if isinstance(effect, Send) else 0


class Machine(Sender):
    """
    @param session: which start of this node; greater than that of any earlier start.
    @param records: what earlier starts left on disk, by group.
    @ivar deadline: when L{decide} must be called at the latest; L{inf}: a packet or beat comes first.
    @ivar session: may grow, when others remember a greater one.
    @ivar news: something was taken in for which L{decide} is due now; else the next beat is soon enough.
    @ivar drained: the operator wants nothing to be held here.
    """

    def __init__(
        self,
        rules: NodeRules,
        keyring: Keyring,
        session: int,
        now: float,
        records: Mapping[str, Record] | None = None,
    ) -> None:
        super().__init__(rules, session, now, records or {})
        self.keyring = keyring
        self.deadline = now
        self.news = True
        self._window = ReplayWindow()
        self._lastRun = now
        self._startedAt = now
        self._rivalToldAt = -inf
        self._wanted = session
        self._remembered: dict[str, float] = {}
        self._events: list[Event] = []
        self._attendance = Attendance(self.view, self._say)

    # What comes in

    def receive(self, datagram: bytes, link: str, now: float) -> Heartbeat:
        """
        Take in one datagram; decide later, when everything that has arrived is taken in.

        @return: what it says.
        @raise BadPacket: it changes nothing, and is to be counted by its reason.
        """
        beat = self.keyring.open(datagram, self._cluster)
        if beat.cluster != self._cluster:
            raise BadPacket("cluster")
        self.hear(beat, link, now)
        return beat

    def hear(self, beat: Heartbeat, link: str, now: float) -> None:
        """The same for a heartbeat that is already decoded and known to be of this cluster."""
        if beat.name == self.rules.name:
            self._twin(beat, now)
        if beat.name not in self.view.peers and len(self.view.peers) >= MAX_PEERS:
            raise BadPacket("crowded", f"{MAX_PEERS} nodes are known already")
        if beat.name in self.view.peers:
            session = self.view.peers[beat.name].session
            if beat.session > follow(session, beat.session):
                raise BadPacket("malformed", f"session {beat.session} after {session}")
        try:
            self._window.accept(beat, link)
        except BadPacket:
            if beat.name not in self.view.peers:
                self.view.recall(beat.name, *self._window.newest(beat.name), now)
            raise
        self._notice(now)
        for heard in beat.heard:
            if heard.name == self.rules.name and self.session < heard.session == follow(
                self.session, heard.session
            ):
                self._listed(heard, beat.name, now)
        known = self.view.peers.get(beat.name)
        back = known is not None and not known.alive(now) and not known.left()
        self.news = self.news or not (
            known is not None
            and known.session == beat.session
            and known.direct(now)
            and not leads(known)
            and repeats(known.beat, beat, self.rules.name)
            and all(election.calm for election in self.elections.values())
        )
        fresh = self.view.receive(beat, link, self.session, now)
        peer = self.view.peers[beat.name]
        if fresh:
            if beat.digest != self.rules.digest:
                self._say("configuration-differs", beat.name, "its shared configuration is another")
        if back:  # what it knows of this node is out of date, whatever was sent to it meanwhile
            self._answer = True
        elif fresh:
            self._answer = self._answer or now >= self.lastSent + self.rules.interval / 4
        elif leads(peer) and now >= self.lastSent + self.rules.interval / 2:
            self._answer = self._answer or self._claimless()

    # Other starts and other nodes of this name

    def _listed(self, heard: Heard, by: str, now: float) -> None:
        """A later start of this node is known: an earlier one, and the clock was behind, or another node."""
        if now >= self._remembered.get(by, -inf) + REPEAT:
            self._remembered[by] = now
            self._say(
                "session",
                by,
                "it has seen a later start of this node: it runs twice, or its state was lost",
            )
        spoke = now - heard.age
        if heard.left or heard.age >= self.rules.tolerance:
            self._outbid(heard.session)
        elif spoke < self._startedAt:
            # It may live: what is said meanwhile nobody would believe.
            self._silentUntil = max(self._silentUntil, spoke + self.rules.tolerance)
        else:
            if self._rank()[1] > _holds(heard.groups):
                self._outbid(heard.session)
            else:
                self._yieldName(spoke + self.rules.tolerance, "another host")

    def _twin(self, beat: Heartbeat, now: float) -> NoReturn:
        """
        A packet with this node's own name.

        One of this host is an echo or a recording. Else two nodes have one name, and exactly one of them goes on: a
        holder before one that holds nothing, one that has spoken before one that has not, then the later start,
        to which all others listen.
        """
        if beat.session == self.session and beat.address == self.rules.address:
            raise BadPacket("reflected")
        if beat.address == self.rules.address != NO_ADDRESS:
            raise BadPacket("replayed", "of an earlier start of this node")
        if beat.session > follow(self.session, beat.session):
            raise BadPacket("malformed", f"session {beat.session} of a node of this name")
        self._window.accept(beat, "")
        if self._rank() > (True, _holds(beat.groups), beat.session, -beat.address):
            if now >= self._rivalToldAt + REPEAT:
                self._rivalToldAt = now
                self._say("same-name", beat.name, f"{_host(beat)} runs a node of this name, too")
            self._outbid(beat.session)
            self._answer = True
        else:
            self._yieldName(now + max(beat.tolerance, self.rules.tolerance), _host(beat))
        raise BadPacket("same-name", "another host runs a node of this name; --node must differ")

    def _rank(self) -> tuple[bool, int, int, int]:
        """Of two nodes of one name the one that goes on is greater: has it spoken, what does it hold, since when."""
        claims = [
            e.standing.claim.term
            for e in self.elections.values()
            if e.standing.claim and e.standing.role is Role.ACTIVE
        ]
        spoken = self.seq > 0 and not self.displaced
        return (spoken, max(claims, default=0), self.session, -self.rules.address)

    def _yieldName(self, until: float, host: str) -> None:
        """Be silent, and hold nothing, until the other node of this name was not heard for a tolerance."""
        if not self.displaced:
            self._say(
                "same-name",
                self.rules.name,
                f"{host} runs a node of this name, too; this one is silent, and holds nothing, until the "
                "other has stopped",
            )
        self.rivalUntil = max(self.rivalUntil, until)

    def _outbid(self, session: int) -> None:
        """
        Others listen to this node again from a later session on.

        Votes were given to the present one: it goes on until nothing is held by them.
        """
        self._wanted = max(self._wanted, session + 1)
        if self.rules.quorum is None or self._claimless():
            self.session = max(self.session, self._wanted)

    # What is asked

    def picture(self, now: float, chronicle: Chronicle, context: Context = NO_CONTEXT) -> Picture:
        """What this node knows of itself and of the others."""
        return picture(
            self.elections,
            self.view,
            chronicle,
            now,
            context,
            session=self.session,
            drained=self.drained,
            displaced=self.displaced,
            silent=self.silent,
        )

    def hindrance(self, group: str, to: str, now: float) -> str:
        """Why a group cannot be moved to a node (C{""}: to the worthiest) at an operator's wish; C{""}: it can."""
        return hindrance(self._election(group), self.view, to, now)

    # What goes out

    def decide(self, now: float, beat: bool = False) -> list[Effect]:
        """
        Decide on everything taken in so far.

        @param beat: an interval has passed since the last such call.
        """
        self._notice(now)
        self.news = False
        self.view.forget(now)
        if self.displaced and now >= self.rivalUntil:
            self.rivalUntil = -inf
            self._say("name-free", "", "no other node of this name is heard: this one goes on")
        if self._wanted > self.session:
            self._outbid(self._wanted - 1)
        effects: list[Effect] = []
        wake = inf
        urgent = self._answer
        for election in self.elections.values():
            election.me.muted = self.displaced
            election.decide(self.view, self.sent, self.lastSent, now, self.session)
            effects += election.effects
            election.effects = []
            urgent = urgent or election.sendNow
            election.sendNow = False
            wake = min(wake, election.wake)
        self._answer = False
        wake = min(wake, self._attendance.look(now))
        told = [e.tell(self.view, now) for e in self.elections.values()]
        hurried, follows = self._hurried(now), self._follows(now)
        if self._differs(told):
            self._bursts, urgent = BURST, True
        if self.displaced or (not self.over and self._quiet(now) > now):
            pass  # others listen to another node of its name, or "nothing is held here" is not yet true
        elif self.over:  # its last words, and none after them; who has said nothing has none
            while self._goodbyes and self.seq:
                self._goodbyes -= 1
                effects.append(Send(self._compose(told, now)))
        elif (
            urgent
            or now >= self._due(now, hurried, follows)
            or (beat and self._beats(now, follows))
        ):
            if not urgent and self._bursts:
                self._bursts -= 1
            effects.append(Send(self._compose(told, now)))
        effects += self._events
        self._events = []
        self._forget()
        if self.displaced:
            wake = min(wake, self.rivalUntil)
        self.deadline = min(wake, self._due(now, hurried, follows))
        # Others wait for a release, then for the word of it; the log waits for both.
        effects.sort(key=_urgency)
        return effects

    def _notice(self, now: float) -> None:
        """Was this node late? Then no deadline counts before the others could be heard."""
        gap, self._lastRun = now - self._lastRun, now
        if gap > STALL * self.rules.interval:
            self.news = True
            self._say("stalled", "", f"this node did nothing for {gap:.3f} s")
            for election in self.elections.values():
                election.stalled(gap, self.view, now)

    def fenced(self, why: str, now: float) -> None:
        session = self.session
        super().fenced(why, now)
        if self.session > session:
            self._uncleanUntil = now + self.rules.tolerance

    def _say(self, kind: str, peer: str, reason: str) -> None:
        self._events.append(Event(kind, "", peer, reason))


def _holds(groups: Iterable[GroupState | HeardGroup]) -> int:
    """The highest term by which something is held; 0: nothing is."""
    return max((g.claim.term for g in groups if g.claim and g.role is Role.ACTIVE), default=0)


def _host(beat: Heartbeat) -> str:
    """The host that sent it, as far as it says."""
    if beat.address == NO_ADDRESS:
        return "another host"
    address = IPv6Address(beat.address)
    return str(address.ipv4_mapped or address)
