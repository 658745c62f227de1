"""When a heartbeat of this node is due that no beat brings, and what it says."""

from __future__ import annotations

from collections.abc import Mapping
from math import inf

from hatwist.core.claims import Released, Role
from hatwist.protocols.native.election import Election
from hatwist.protocols.native.heartbeat import MAX_SEQ, GroupState, Heard, Heartbeat, clusterId
from hatwist.protocols.native.membership import Membership
from hatwist.protocols.native.peer import Peer
from hatwist.protocols.native.rules import NodeRules
from hatwist.protocols.native.sayings import Sayings
from hatwist.protocols.native.tally import Tally

BURST = 2
"""A packet that tells of a change is sent again this often, a tenth of an interval apart."""
SPACING = 0.1
"""Intervals between two packets at least, unless something changed."""
HURRY = 1 / 3
"""Intervals between packets while a holder misses a peer, or a peer misses packets."""
LOSSY = 19
"""Of 20 packets: a peer that received fewer of this node's makes it send more of them."""
FIRST_WORD = 1.1
"""Intervals from the start to the first packet: by then every other node has spoken, one of the same name too."""


class Outbox:
    """
    What this node has sent, and is to send.

    @param elections: this node's groups, by name, as they come and go; C{tally}: of them.
    @ivar rules: the present ones.
    @ivar sayings: what it says of the groups.
    @ivar seq: the number of its newest packet.
    @ivar lastSent: when the newest one left; C{-inf}: none did.
    @ivar deadline: when a packet is due that neither a beat nor a change brings; L{inf}: never.
    """

    def __init__(
        self,
        rules: NodeRules,
        view: Membership,
        elections: Mapping[str, Election],
        tally: Tally,
        now: float,
    ) -> None:
        self.rules = rules
        self.seq = 0
        self.lastSent = self.deadline = -inf
        self._cluster = clusterId(rules.cluster)
        self._view = view
        self._elections = elections
        self._tally = tally
        self.sayings = Sayings()
        self._answer = False
        self._bursts = 0
        self._goodbyes = 1 + BURST
        self._pending = 0  # packets that are to leave by the last decision
        self._hurried = self._follows = self._mute = self._over = False
        self._silentUntil = now + FIRST_WORD * rules.interval
        self._uncleanUntil = now + rules.tolerance

    # When

    @property
    def answers(self) -> bool:
        """A packet is due at the next decision, whatever that is."""
        return self._answer

    def answer(self) -> None:
        """A packet is due at the next decision."""
        self._answer = True

    def heard(self, now: float) -> None:
        """Something new was heard: others are to know soon what this node makes of it."""
        self._answer = self._answer or now >= self.lastSent + self.rules.interval / 4

    def led(self, now: float) -> None:
        """A holder was heard, with nothing new: a standby sends then, in place of its own beat."""
        if now >= self.lastSent + self.rules.interval / 2:
            self._answer = self._answer or not self._tally.claims

    def hush(self, until: float) -> None:
        """Say nothing until then: nobody would believe it."""
        self._silentUntil = max(self._silentUntil, until)

    def beginAnew(self, now: float) -> None:
        """As at a start, say nothing before all is released, for a tolerance at most."""
        self._uncleanUntil = now + self.rules.tolerance

    def decide(
        self,
        now: float,
        beat: bool,
        urgent: bool,
        displaced: bool,
        over: bool,
    ) -> None:
        """
        Is a packet due?

        @param urgent: something has changed, or must be answered.
        @param displaced: another node of this name is heard.
        @param over: what is sent from now on are this node's last words.
        """
        self._mute, self._over = displaced or over, over
        free = not self._tally.claims
        self._hurried = self._isHurried(free, now)
        self._follows = free and self._isFollowing(now)
        # What is decided once more before it was sent is still to be sent.
        urgent = urgent or self._answer or self._pending > 0
        self._answer = False
        self._pending = 0
        if self.sayings.unsaid:
            self._bursts, urgent = BURST, True
        if displaced or (not over and self._quiet(now) > now):
            pass  # others listen to another node of its name, or "nothing is held here" is not yet true
        elif over:  # its last words, and none after them; who has said nothing has none
            self._pending = self._goodbyes if self.seq else 0
        elif urgent or now >= self._due(now) or (beat and self._beats(now)):
            if not urgent and self._bursts:
                self._bursts -= 1
            self._pending = 1
        self.deadline = now if self._pending else self._due(now)

    def _quiet(self, now: float) -> float:
        """
        Until when nothing may be said; C{-inf}: it may.

        At a start, until a node of the same name would have been heard. And then, as after the guard has fired,
        until everything is released: what is said means that nothing is held. Who cannot release it speaks
        after a tolerance all the same, when no other node counts on this one, and is not eligible.
        """
        if now < self._silentUntil:
            return self._silentUntil
        if now < self._uncleanUntil and self._tally.unclean:
            return self._uncleanUntil
        return -inf

    def _isHurried(self, free: bool, now: float) -> bool:
        """@param free: no group is claimed by this node."""
        for peer in self._view:
            if peer.left():
                continue
            if not free and not peer.alive(now):
                return True
            if lossy(peer) and peer.direct(now):
                return True
        return False

    def _isFollowing(self, now: float) -> bool:
        """Who claims nothing sends when it has heard the holder, in place of its own beat."""
        return any(peer.words.leading and peer.direct(now) for peer in self._view)

    def _due(self, now: float) -> float:
        """When a packet is due that neither beat nor change brings."""
        if self._mute:
            return inf
        if (quiet := self._quiet(now)) > now:
            return quiet
        interval = self.rules.interval
        due = inf
        if self._bursts:
            due = self.lastSent + SPACING * interval
        if self._hurried:
            due = min(due, self.lastSent + HURRY * interval)
        if self._follows:
            due = min(due, self.lastSent + 1.25 * interval)
        return due

    def _beats(self, now: float) -> bool:
        return not self._follows and now >= self.lastSent + 0.3 * self.rules.interval

    # What

    def collect(self, now: float, session: int) -> list[Heartbeat]:
        """The packets that are due by the last decision: they leave now."""
        beats = []
        while self._pending:
            self._pending -= 1
            if self._over:
                self._goodbyes -= 1
            beats.append(self._compose(now, session))
        if beats:
            self.deadline = self._due(now)
        return beats

    def _compose(self, now: float, session: int) -> Heartbeat:
        self.seq += 1
        self.lastSent = now
        self._view.departed(self.seq, now)
        heard = self._view.heard(now)
        return self._heartbeat(session, self.seq, self.sayings.say(), heard, self._over)

    def _heartbeat(
        self,
        session: int,
        seq: int,
        groups: tuple[GroupState, ...],
        heard: tuple[Heard, ...],
        leaving: bool,
    ) -> Heartbeat:
        rules = self.rules
        return Heartbeat(
            self._cluster,
            rules.name,
            session,
            seq,
            rules.interval,
            rules.tolerance,
            rules.address,
            rules.digest,
            groups,
            heard,
            leaving,
        )

    def farewell(self, session: int) -> Heartbeat:
        """
        The goodbye that the guard says for this node once it has let go of its addresses.

        Its number is the last there can be: this session is dead to everybody who hears it.
        """
        states = []
        for election in self._elections.values():
            claim = election.standing.claim
            released = Released(claim.term, "") if claim is not None else None
            state = GroupState(
                election.rules.name,
                Role.SHUTDOWN,
                election.me.verdicts.fitness,
                election.rules.priority,
                highest=election.terms.highest,
                released=released,
            )
            states.append(state)
        return self._heartbeat(session, MAX_SEQ, tuple(states), (), True)


def lossy(peer: Peer) -> bool:
    """It has not received all that this node sent of late."""
    return peer.receivedOfMine < LOSSY
