"""When a heartbeat of this node is due that no beat brings, and what it says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import inf

from hatwist.core.claims import Record, Released, Role
from hatwist.core.states import State
from hatwist.protocols.native.groups import Groups
from hatwist.protocols.native.heartbeat import MAX_SEQ, GroupState, Heard, Heartbeat, clusterId
from hatwist.protocols.native.peer import Peer
from hatwist.protocols.native.rules import NodeRules

BURST = 2
"""A packet that tells of a change is sent again this often, a tenth of an interval apart."""
SPACING = 0.1
"""Intervals between two packets at least, unless something changed."""
HURRY = 1 / 3
"""Intervals between packets while a holder misses a peer, or a peer misses packets."""
LOSSY = 19
"""Of 20 packets: a peer that received fewer of this node's makes it send more of them."""
KEPT = 512
"""Send times remembered."""
FIRST_WORD = 1.1
"""Intervals from the start to the first packet: by then every other node has spoken, one of the same name too."""


class Sender(Groups):
    """
    A node with what it has sent, and is to send.

    @ivar seq: the number of its newest packet.
    @ivar sent: when each recent one left, by its number.
    @ivar rivalUntil: until when a node of the same name, to which this one yields, is alive; C{-inf}: there is none.
    """

    def __init__(
        self, rules: NodeRules, session: int, now: float, records: Mapping[str, Record]
    ) -> None:
        super().__init__(rules, session, now, records)
        self.seq = 0
        self.sent: dict[int, float] = {}
        self.lastSent = -inf
        self._cluster = clusterId(rules.cluster)
        self._answer = False
        self._bursts = 0
        self._goodbyes = 1 + BURST
        self._told: list[GroupState] = []
        self._silentUntil = now + FIRST_WORD * rules.interval
        self._uncleanUntil = now + rules.tolerance
        self.rivalUntil = -inf

    @property
    def displaced(self) -> bool:
        """It is silent, and takes nothing, because another node of its name is heard."""
        return self.rivalUntil > -inf

    @property
    def silent(self) -> bool:
        """It sends nothing: it was stopped, or another node of its name is heard."""
        return self.displaced or self.over

    def withdraw(self, heartbeat: Heartbeat) -> None:
        """This packet was not sent: the next decision makes another, with what is true then."""
        if heartbeat.seq == self.seq:
            self.sent.pop(self.seq, None)
            self.seq -= 1
        self._answer = True
        if self.over:
            self._goodbyes += 1

    # When

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

    def _quiet(self, now: float) -> float:
        """
        Until when nothing may be said; C{-inf}: it may.

        At a start, until a node of the same name would have been heard. And then, as after the guard has fired,
        until everything is released: what is said means that nothing is held. Who cannot release it speaks
        after a tolerance all the same, when no other node counts on this one, and is not eligible.
        """
        if now < self._silentUntil:
            return self._silentUntil
        if now < self._uncleanUntil and any(
            e.standing.state is State.STARTING and not e.standing.clean
            for e in self.elections.values()
        ):
            return self._uncleanUntil
        return -inf

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
        return self._claimless() and any(leads(peer) and peer.direct(now) for peer in self.view)

    def _due(self, now: float, hurried: bool, follows: bool) -> float:
        """When a packet is due that neither beat nor change brings."""
        interval = self.rules.interval
        due = inf
        if self._bursts:
            due = self.lastSent + SPACING * interval
        if self.silent:
            return inf
        if (quiet := self._quiet(now)) > now:
            return quiet
        if hurried:
            due = min(due, self.lastSent + HURRY * interval)
        if follows:
            due = min(due, self.lastSent + 1.25 * interval)
        return due

    def _beats(self, now: float, follows: bool) -> bool:
        return not self.over and not follows and now >= self.lastSent + 0.3 * self.rules.interval

    # What

    def _compose(self, told: list[GroupState], now: float) -> Heartbeat:
        self.seq += 1
        self.sent[self.seq] = self.lastSent = now
        if len(self.sent) > KEPT:
            for old in list(self.sent)[: KEPT // 2]:
                del self.sent[old]
        self._told = told
        return self._heartbeat(self.seq, tuple(told), self.view.heard(now), self.over)

    def _heartbeat(
        self,
        seq: int,
        groups: tuple[GroupState, ...],
        heard: tuple[Heard, ...],
        leaving: bool,
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
            leaving,
        )

    def farewell(self, group: str) -> Heartbeat:
        """
        The goodbye that the guard says for this node once it has let go of the addresses of a group.

        Its number is the last there can be: this session is dead to everybody who hears it.
        """
        states = []
        for election in self.elections.values():
            claim = election.standing.claim
            released = Released(claim.term, "") if claim is not None else None
            state = GroupState(
                election.rules.name,
                Role.SHUTDOWN,
                election.me.verdicts.fitness,
                election.rules.priority,
                highest=election.terms.highest,
                released=released,
                reason=f"the guard released {group}",
            )
            states.append(state)
        return self._heartbeat(MAX_SEQ, tuple(states), (), True)


def leads(peer: Peer) -> bool:
    """It holds some group, by its newest word."""
    return any(word.state.role == Role.ACTIVE for word in peer.words.values())
