"""
One node of one cluster, without I/O: datagrams and times in, effects out.

The driver calls L{Machine.receive} for everything that has arrived, then L{Machine.decide} once, unless
that was no news; it calls C{decide} also at L{Machine.deadline}, and with C{beat} once in an interval. Deciding
only when all is read is what keeps a node that was frozen from acting on old news.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import inf
from typing import NamedTuple, NoReturn

from hatwist.auth import Keyring, ReplayWindow
from hatwist.effects import Effect, Event, RoleChange, Send
from hatwist.election import Election, GroupRules, Input, Quorum, State, Timing
from hatwist.errors import BadPacket
from hatwist.group import Progress
from hatwist.heartbeat import (
    MAX_SEQ,
    MAX_SESSION,
    GroupState,
    Heard,
    Heartbeat,
    Released,
    Role,
    clusterId,
)
from hatwist.membership import MAX_PEERS, Membership, Peer, repeats
from hatwist.votes import NOTHING, Record
from hatwist.worth import NO_ADDRESS, Fitness

BURST = 2
"""A packet that tells of a change is sent again this often, a tenth of an interval apart."""
SPACING = 0.1
"""Intervals between two packets at least, unless something changed."""
HURRY = 1 / 3
"""Intervals between packets while a holder misses a peer, or a peer misses packets."""
LOSSY = 19
"""Of 20 packets: a peer that received fewer of this node's makes it send more of them."""
STALL = 1.5
"""Intervals without any decision: this node was late by more than half an interval."""
KEPT = 512
"""Send times remembered."""
DRAINED = (Fitness.UNFIT, "drained by the operator")


class NodeRules(NamedTuple):
    """
    The configuration of a node in its cluster.

    @ivar interval, tolerance: seconds.
    @ivar digest: eight bytes, equal on all nodes that share a configuration.
    @ivar quorum: who votes on claims; C{None}: nobody need.
    @ivar release: how long the slowest release takes, in seconds; C{None}: what addresses take.
    """

    cluster: str
    name: str
    interval: float = 1.0
    tolerance: float = 3.5
    groups: tuple[GroupRules, ...] = ()
    address: int = NO_ADDRESS
    digest: bytes = bytes(8)
    quorum: Quorum | None = None
    release: float | None = None


def _urgency(effect: Effect) -> int:
    if isinstance(effect, RoleChange | Event):
        return 2
    return 1 if isinstance(effect, Send) else 0


class Machine:
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
        self.rules = rules
        self.keyring = keyring
        self.session = session
        self.seq = 0
        self.sent: dict[int, float] = {}
        self.lastSent = -inf
        self.deadline = now
        self.timing = Timing(rules.interval, rules.tolerance, rules.release)
        self.view = Membership(rules.name, rules.tolerance, rules.digest)
        self.drained = False
        self.elections: dict[str, Election] = {}
        for group in rules.groups:
            self._add(group, (records or {}).get(group.name, NOTHING), now)
        self._cluster = clusterId(rules.cluster)
        self._window = ReplayWindow()
        self._lastRun = now
        self._answer = False
        self.news = True
        self._bursts = 0
        self._goodbyes = 1 + BURST
        self._stopped = False
        self._told: list[GroupState] = []
        self._present: set[str] = set()
        self._silent: set[tuple[str, str]] = set()
        self._unheard = False
        self._twinTold = self._displaced = False
        self._startedAt = now
        self._events: list[Event] = []

    def _add(self, group: GroupRules, record: Record, now: float) -> None:
        rules = self.rules
        node = (rules.address, rules.name)
        self.elections[group.name] = Election(
            rules.cluster, group, self.timing, node, now, rules.quorum, record
        )
        if self.drained:
            self.elections[group.name].setFitness(*DRAINED, "drain")

    def change(self, rules: NodeRules, now: float, records: Mapping[str, Record]) -> None:
        """
        Go on with other rules: groups may come, go and change, and with them digest and release.

        A group that goes is let go of first, and told of for a while. One that comes begins as at a start.

        @param records: of groups that come.
        @raise ValueError: a group that comes is still being let go of, under the same name.
        """
        wanted = {group.name: group for group in rules.groups}
        going = [name for name in self.elections if name not in self._configured()]
        if back := sorted(set(going) & set(wanted)):
            raise ValueError(f"{', '.join(back)}: still being let go of; try again when it is done")
        self.rules = rules
        self.view.digest = rules.digest
        self.timing = self.timing._replace(release=rules.release)
        for name, election in self.elections.items():
            election.timing = self.timing
            if name in wanted:
                election.rules = wanted.pop(name)
                election.sendNow = True
            else:
                election.input(Input.STOP, now, "no longer configured")
        for name, group in wanted.items():
            self._add(group, records.get(name, NOTHING), now)

    def _configured(self) -> set[str]:
        return {group.name for group in self.rules.groups}

    def _forget(self) -> None:
        """Groups that went are told of until everybody has had time to hear it."""
        configured = self._configured()
        for name in [name for name in self.elections if name not in configured]:
            election = self.elections[name]
            if election.state is State.SHUTDOWN and election.released is None:
                del self.elections[name]

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
        self._window.accept(beat, link)
        self._notice(now)
        for heard in beat.heard:
            # Beyond half of what there is no start was ever numbered, and there is room for all to come.
            if heard.name == self.rules.name and self.session < heard.session < MAX_SESSION // 2:
                self._say("session", beat.name, "it remembers a later start of this node")
                self.session = heard.session + 1
        known = self.view.peers.get(beat.name)
        back = known is not None and not known.alive(now) and not known.left()
        self.news = self.news or not (
            known is not None
            and known.session == beat.session
            and known.direct(now)
            and not self._leads(known)
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
        elif self._leads(peer) and now >= self.lastSent + self.rules.interval / 2:
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

    def held(self, group: str, now: float) -> None:
        """The driver has acquired the resources of a group."""
        self.elections[group].input(Input.HELD, now)

    def refused(self, group: str, reason: str, now: float) -> None:
        """They could not be acquired, or were held and lost."""
        self.elections[group].refused(reason, now)

    def released(self, group: str, now: float) -> None:
        """They are proven gone from this node."""
        self.elections[group].letGo(self.view, now)

    def progress(self, group: str, step: int, steps: int, words: str) -> None:
        """The driver acquires or releases: at step C{step} of C{steps}; 0 of 0: it is done."""
        self.elections[group].progress = Progress(step, steps, words)

    def persisted(self, group: str, record: Record, now: float) -> None:
        """The driver has what L{Persist} asked for on disk."""
        self.elections[group].persisted(record)

    def served(self, group: str, now: float) -> None:
        """Another host has answered, on the LAN, for an address of a group."""
        self.elections[group].servedAt = now

    def witnessed(self, time: float) -> None:
        """The witness has answered the probe that was sent at C{time}."""
        for election in self.elections.values():
            election.witnessedAt = max(election.witnessedAt, time)

    def fenced(self, why: str, now: float) -> None:
        """
        The guard has fired: it released what it could, and said goodbye for this session.

        To be told before anything else when this node wakes.
        """
        self.session += 1
        for election in self.elections.values():
            election.fenced(why, now)

    def farewell(self, group: str) -> Heartbeat:
        """
        The goodbye that the guard says for this node once it has let go of the addresses of a group.

        Its number is the last there can be: this session is dead to everybody who hears it.
        """
        states = []
        for election in self.elections.values():
            claim = election.claim
            released = Released(claim.term, "") if claim is not None else None
            state = GroupState(
                election.rules.name,
                Role.SHUTDOWN,
                election.fitness,
                election.rules.priority,
                highest=election.highest,
                released=released,
                reason=f"the guard let go of {group}",
            )
            states.append(state)
        return self._heartbeat(MAX_SEQ, tuple(states), ())

    def lease(self, group: str, now: float) -> float:
        """Until when a holder may hold if nothing more is heard, on the clock of C{now}."""
        return self.elections[group].lease(now)

    def fitness(self, group: str, fitness: Fitness, reason: str, source: str = "") -> None:
        """A source's verdict on a group, in place of its last one; the worst of all sources' counts."""
        self.elections[group].setFitness(fitness, reason, source)

    def drain(self, on: bool) -> None:
        """Hold nothing, and be given nothing, until told otherwise."""
        self.drained = on
        verdict = DRAINED if on else (Fitness.FIT, "")
        for election in self.elections.values():
            election.setFitness(*verdict, "drain")

    def move(self, group: str, to: str, now: float) -> None:
        """
        Ask the holder, which may be this node, to hand a group over; it stays where it was moved.

        @param to: to which node; C{""}: to the worthiest, as if it had never been moved.
        @raise ValueError: a sentence that says why it cannot be.
        """
        self._election(group).move(to, self.view, now)

    def others(self, group: str, now: float) -> list[str]:
        """Who besides this node holds a group or could take it at once, the worthiest first."""
        return self._election(group).others(self.view, now)

    def _election(self, group: str) -> Election:
        if group not in self.elections:
            raise ValueError(f"no group {group}; there are: {', '.join(self.elections)}")
        return self.elections[group]

    def stop(self, now: float, why: str = "stopped") -> None:
        """Let go of everything, say goodbye, and never come back."""
        self._stopped = True
        for election in self.elections.values():
            election.input(Input.STOP, now, why)

    @property
    def over(self) -> bool:
        """It was stopped, and everything is let go of."""
        return self._stopped and all(e.state is State.SHUTDOWN for e in self.elections.values())

    @property
    def silent(self) -> bool:
        """It sends nothing any more: it was stopped, or gave way to another node of its name."""
        return self._displaced or self.over

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
        wake = min(wake, self._attendance(now))
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

    def withdraw(self, heartbeat: Heartbeat) -> None:
        """This packet was not sent: the next decision makes another, with what is true then."""
        if heartbeat.seq == self.seq:
            self.sent.pop(self.seq, None)
            self.seq -= 1
        self._answer = True
        if self.over:
            self._goodbyes += 1

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

    def _attendance(self, now: float) -> float:
        """Report who came and who went; the result is when the next may be gone."""
        wake = inf
        for peer in self.view:
            alive = peer.alive(now)
            self._perLink(peer, now)
            if alive:
                wake = min(wake, peer.at + peer.tolerance)
            if alive and peer.name not in self._present:
                self._present.add(peer.name)
                self._say("peer-joined", peer.name, "heard" if peer.beat else "heard of")
            elif not alive and peer.name in self._present:
                self._present.discard(peer.name)
                why = "it said goodbye" if peer.left() else f"silent for {now - peer.at:.3f} s"
                self._say("peer-left", peer.name, why)
        return min(wake, self._hearing(now))

    def _hearing(self, now: float) -> float:
        """Report that this node hears others and none of them hears it; the result is when to look again."""
        heard = [peer for peer in self.view if peer.direct(now)]
        if any(peer.twoWay(now) for peer in heard):
            if self._unheard:
                self._say("heard-again", "", "this node may claim")
            self._unheard = False
        elif heard and not self._unheard:
            # Who has only just been heard had no time yet to answer.
            due = min(peer.directSince for peer in heard) + self.rules.tolerance
            if now < due:
                return due
            self._unheard = True
            names = ", ".join(sorted(peer.name for peer in heard))
            self._say("not-heard", "", f"it hears {names}, and is not heard: it makes no claim")
        return inf

    def _perLink(self, peer: Peer, now: float) -> None:
        """Report which of several links to a node have fallen silent, or are heard again."""
        if len(peer.links) < 2:
            return
        for link, heard in peer.links.items():
            way = (peer.name, link)
            if now < heard + peer.tolerance:
                if way in self._silent:
                    self._silent.discard(way)
                    self._say("link-heard", peer.name, f"on {link} again")
            elif way not in self._silent and peer.direct(now):
                self._silent.add(way)
                self._say("link-silent", peer.name, f"on {link}, heard on others")

    def _differs(self, told: Sequence[GroupState]) -> bool:
        old = self._told
        return len(old) != len(told) or any(
            a.role != b.role
            or a.eligible != b.eligible
            or a.claim != b.claim
            or a.fitness != b.fitness
            or a.listening != b.listening
            or a.witnessed != b.witnessed
            or (b.request is not None and a.request != b.request)
            or (a.grant and a.grant[:3]) != (b.grant and b.grant[:3])
            or (b.released is not None and a.released != b.released)
            for a, b in zip(old, told, strict=True)
        )

    def _unclean(self, now: float) -> bool:
        """
        What an earlier start may have left is not released yet. That is awaited before anything is
        said; who cannot release it speaks after a tolerance all the same, and is not eligible.
        """
        return now < self._startedAt + self.rules.tolerance and any(
            e.state is State.STARTING and not e.clean for e in self.elections.values()
        )

    def _claimless(self) -> bool:
        return all(election.claim is None for election in self.elections.values())

    @staticmethod
    def _leads(peer: Peer) -> bool:
        return any(state.role == Role.ACTIVE for state in peer.states.values())

    def _hurried(self, now: float) -> bool:
        claimless = self._claimless()
        for peer in self.view:
            if peer.left():
                continue
            if not claimless and not peer.alive(now):
                return True
            if peer.receivedOfMine < LOSSY and peer.direct(now):
                return True
        return False

    def _follows(self, now: float) -> bool:
        """A standby sends when it has heard the holder, in place of its own beat."""
        return self._claimless() and any(
            self._leads(peer) and peer.direct(now) for peer in self.view
        )

    def _due(self, now: float, hurried: bool, follows: bool) -> float:
        """When a packet is due that neither beat nor change brings."""
        interval = self.rules.interval
        due = inf
        if self._bursts:
            due = self.lastSent + SPACING * interval
        if self.over or self._displaced:
            return inf
        if self._unclean(now):
            return self._startedAt + self.rules.tolerance
        if hurried:
            due = min(due, self.lastSent + HURRY * interval)
        if follows:
            due = min(due, self.lastSent + 1.25 * interval)
        return due

    def _beats(self, now: float, follows: bool) -> bool:
        return not self.over and not follows and now >= self.lastSent + 0.3 * self.rules.interval

    def _compose(self, told: list[GroupState], now: float) -> Heartbeat:
        self.seq += 1
        self.sent[self.seq] = self.lastSent = now
        if len(self.sent) > KEPT:
            for old in list(self.sent)[: KEPT // 2]:
                del self.sent[old]
        self._told = told
        return self._heartbeat(self.seq, tuple(told), self.view.heard(now))

    def _heartbeat(
        self, seq: int, groups: tuple[GroupState, ...], heard: tuple[Heard, ...]
    ) -> Heartbeat:
        rules = self.rules
        return Heartbeat(
            self._cluster,
            rules.name,
            self.session,
            seq,
            rules.interval,
            rules.tolerance,
            rules.address,
            rules.digest,
            groups,
            heard,
        )
