"""
One node of one cluster, without I/O: datagrams and times in, effects out.

The driver calls L{Machine.receive} for everything that has arrived, then L{Machine.decide} once, unless
that was no news; it calls C{decide} also at L{Machine.deadline}, and with C{beat} once in an interval. Deciding
only when all is read is what keeps a node that was frozen from acting on old news.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import inf
from typing import NoReturn

from hatwist.attendance import Attendance
from hatwist.auth import Keyring, ReplayWindow
from hatwist.counting import follow
from hatwist.effects import Effect, Event, RoleChange, Send
from hatwist.errors import BadPacket
from hatwist.heartbeat import Heartbeat
from hatwist.membership import MAX_PEERS, repeats
from hatwist.rules import NodeRules
from hatwist.sending import BURST, Sender, leads
from hatwist.votes import Record

STALL = 1.5
"""Intervals without any decision: this node was late by more than half an interval."""

REPEAT = 10.0
"""Seconds between two warnings that a peer remembers a later start: with two daemons of one name, each packet does."""


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
        self._twinTold = False
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
        self._window.accept(beat, link)
        self._notice(now)
        for heard in beat.heard:
            if heard.name == self.rules.name and self.session < heard.session == follow(
                self.session, heard.session
            ):
                if now >= self._remembered.get(beat.name, -inf) + REPEAT:
                    self._remembered[beat.name] = now
                    self._say("session", beat.name, "it remembers a later start of this node")
                self.session = heard.session + 1
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

    def _twin(self, beat: Heartbeat, now: float) -> NoReturn:
        """
        A packet with this node's own name.

        One of a later start is no recording: somebody else has this name. There can be only one, and
        all others listen to the later start: this one gives up. Its goodbye tells its twin.
        """
        if beat.session == self.session:
            raise BadPacket("reflected")
        if not self._twinTold:
            self._twinTold = True
            self._say("same-name", beat.name, "another host runs a node of this name")
        if beat.session > self.session:
            self._displaced = True
            self.stop(now, "another host has started a node of the same name")
        raise BadPacket("same-name", "another host runs a node of this name; --node must differ")

    # What goes out

    def decide(self, now: float, beat: bool = False) -> list[Effect]:
        """
        Decide on everything taken in so far.

        @param beat: an interval has passed since the last such call.
        """
        self._notice(now)
        self.news = False
        self.view.forget(now)
        effects: list[Effect] = []
        wake = inf
        urgent = self._answer
        for election in self.elections.values():
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
        if (self._displaced and not self.over) or self._unclean(now):
            pass  # others may listen to its twin already, or "nothing is held here" is not yet true
        elif self.over:  # its last words, and none after them
            while self._goodbyes:
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

    def _say(self, kind: str, peer: str, reason: str) -> None:
        self._events.append(Event(kind, "", peer, reason))
