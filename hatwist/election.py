"""
The rules of one group on one node: when to claim, when to yield, to whom to hand over.

A group is always in one L{State}, and L{TABLE} says what each L{Input} does to it; the docs draw their
diagram from that table. The rest of this module looks at what is known of the others
and decides which input is due. A node is a holder from the start of C{ACQUIRING} to the end
of C{RELEASING} or C{STOPPING}, and tells the others ACTIVE for just as long.
"""

from __future__ import annotations

from enum import Enum
from math import inf
from typing import NamedTuple

from hatwist.effects import Announce, Effect, Event, Hold, Release, RoleChange
from hatwist.heartbeat import Claim, GroupState, Released, Role
from hatwist.membership import Membership, Peer
from hatwist.worth import Fitness, Worth


class State(Enum):
    """Where a group is; the role that others are told follows from it."""

    STARTING = "starting"
    STANDBY = "standby"
    ACQUIRING = "acquiring"
    ACTIVE = "active"
    RELEASING = "releasing"
    STOPPING = "stopping"
    SHUTDOWN = "shutdown"


class Input(Enum):
    """What can happen to a group: decided here (claim, yield), reported by the driver, or asked for (stop)."""

    READY = "ready"
    CLAIM = "claim"
    HELD = "held"
    REFUSED = "refused"
    YIELD = "yield"
    RELEASED = "released"
    STOP = "stop"


class Do(Enum):
    """What a transition does, apart from changing the state."""

    HOLD = "hold"
    RELEASE = "release"
    ACTIVATE = "activate"
    LET_GO = "let go"
    CLEAN = "clean"


class Next(NamedTuple):
    """One cell of the table: the state that follows, and what is done on the way."""

    state: State
    do: tuple[Do, ...] = ()


_S = State
_STALE = None
"""An answer to a request that is no longer wanted, or a request that is already met: nothing happens."""

TABLE: dict[State, dict[Input, Next | None]] = {
    _S.STARTING: {
        Input.READY: Next(_S.STANDBY),
        Input.CLAIM: _STALE,
        Input.HELD: _STALE,
        Input.REFUSED: _STALE,
        Input.YIELD: _STALE,
        Input.RELEASED: Next(_S.STARTING, (Do.CLEAN,)),
        Input.STOP: Next(_S.STOPPING, (Do.RELEASE,)),
    },
    _S.STANDBY: {
        Input.READY: _STALE,
        Input.CLAIM: Next(_S.ACQUIRING, (Do.HOLD,)),
        Input.HELD: _STALE,
        Input.REFUSED: _STALE,
        Input.YIELD: _STALE,
        Input.RELEASED: _STALE,
        Input.STOP: Next(_S.SHUTDOWN),
    },
    _S.ACQUIRING: {
        Input.READY: _STALE,
        Input.CLAIM: _STALE,
        Input.HELD: Next(_S.ACTIVE, (Do.ACTIVATE,)),
        Input.REFUSED: Next(_S.RELEASING, (Do.RELEASE,)),
        Input.YIELD: Next(_S.RELEASING, (Do.RELEASE,)),
        Input.RELEASED: _STALE,
        Input.STOP: Next(_S.STOPPING, (Do.RELEASE,)),
    },
    _S.ACTIVE: {
        Input.READY: _STALE,
        Input.CLAIM: _STALE,
        Input.HELD: _STALE,
        Input.REFUSED: Next(_S.RELEASING, (Do.RELEASE,)),
        Input.YIELD: Next(_S.RELEASING, (Do.RELEASE,)),
        Input.RELEASED: _STALE,
        Input.STOP: Next(_S.STOPPING, (Do.RELEASE,)),
    },
    _S.RELEASING: {
        Input.READY: _STALE,
        Input.CLAIM: _STALE,
        Input.HELD: _STALE,
        Input.REFUSED: _STALE,
        Input.YIELD: _STALE,
        Input.RELEASED: Next(_S.STANDBY, (Do.LET_GO,)),
        Input.STOP: Next(_S.STOPPING),
    },
    _S.STOPPING: {
        Input.READY: _STALE,
        Input.CLAIM: _STALE,
        Input.HELD: _STALE,
        Input.REFUSED: _STALE,
        Input.YIELD: _STALE,
        Input.RELEASED: Next(_S.SHUTDOWN, (Do.LET_GO,)),
        Input.STOP: _STALE,
    },
    _S.SHUTDOWN: dict.fromkeys(Input, _STALE),
}

ANSWER = 0.25
"""Intervals between two answers to a conflicting node."""
DEAF, DEAF_BY_RELAY = 2.0, 3.0
"""Intervals after which an ACTIVE that does not notice this one is left alone with the group."""
SUCCESSION = 2.0
"""Intervals that others wait for a named successor."""
FRESH = 1.5
"""Intervals for which a packet counts as a positive word."""
LAST_CALL = 0.97
"""The share of C{hold} after which a standby sends, so that a holder learns in time that it is not heard."""
MAX_BACKOFF = 64
"""Tolerances."""


class GroupRules(NamedTuple):
    """
    The configuration of one group.

    @ivar preemptDelay: seconds for which a worthier node must be eligible before it is handed the group.
    @ivar keepUnfit: with nobody fit, an unfit node may hold (C{last_resort = "keep"}).
    """

    name: str
    priority: int = 100
    preempt: bool = True
    preemptDelay: float = 0.0
    keepUnfit: bool = False


class Timing(NamedTuple):
    """Seconds: the interval and tolerance of this node, and what follows from them."""

    interval: float
    tolerance: float

    @property
    def hold(self) -> float:
        """How long one may hold unheard: below the tolerance by clock rates (1 %), release and timer lateness."""
        release = min(0.020, 0.0015 + 0.010 * self.tolerance)
        lateness = min(0.010, 0.0028 + 0.006 * self.tolerance)
        return 0.98 * self.tolerance - release - lateness


class Election:
    """
    One group on one node. Pure: C{now} is an argument, what to do comes back in L{effects}.

    @ivar effects: what was decided since the driver last took it.
    @ivar wake: the time of the next decision that no packet brings; L{inf}: none.
    @ivar sendNow: something changed or must be answered: a packet is due now.
    """

    def __init__(
        self, cluster: str, rules: GroupRules, timing: Timing, node: tuple[int, str], now: float
    ) -> None:
        self.cluster = cluster
        self.rules = rules
        self.timing = timing
        self.address, self.name = node
        self.effects: list[Effect] = []
        self.wake = inf
        self.sendNow = False
        self.state = State.STARTING
        self.fitness = Fitness.FIT
        self.fitnessReason = ""
        self.highest, self.highestAt = 0, -inf
        self.claim: Claim | None = None
        self.released: Released | None = None
        self.releasedAt = -inf
        self.clean = False
        self.activated = False
        self.startedAt = now
        self.listenUntil = now + timing.tolerance
        self.patience = self._patienceFrom = -inf
        self.backoffUntil = -inf
        self.failures = 0
        self.claimedAt = -inf
        self.unheardSeq: int | None = None
        self.deferringSince: float | None = None
        self.worthierSince: dict[str, float] = {}
        self.conflicts: dict[str, float] = {}
        self.answeredAt = self.announcedAt = -inf
        self.answeredStamp: dict[str, tuple[int, int]] = {}
        self.successor: str | None = None
        self.why = ""
        self.effects.append(Release(rules.name))
        self.effects.append(
            RoleChange(cluster, rules.name, None, Role.STANDBY, 0, "started, listening")
        )

    # What others are told

    @property
    def role(self) -> Role:
        if self.state == State.SHUTDOWN:
            return Role.SHUTDOWN
        return Role.STANDBY if self.claim is None else Role.ACTIVE

    @property
    def worth(self) -> Worth:
        return Worth(self.fitness, self.rules.priority, self.address, self.name)

    def tell(self, view: Membership, now: float) -> GroupState:
        """This group's part of the next packet."""
        return GroupState(
            self.rules.name,
            self.role,
            self.fitness,
            self.rules.priority,
            self.eligible(view, now),
            self.state == State.STARTING,
            self.highest,
            self.claim,
            self.released,
            None,
            0,
            0,
            self.fitnessReason,
            self.state in (State.RELEASING, State.STOPPING) and self.claim is not None,
        )

    def eligible(self, view: Membership, now: float) -> bool:
        """Others may defer to this node and name it as successor."""
        return (
            self.state not in (State.STARTING, State.STOPPING, State.SHUTDOWN)
            and now >= self.backoffUntil
            and now >= self.patience
            and self._may(view, now)
        )

    def _may(self, view: Membership, now: float) -> bool:
        """Fit or kept, and heard by somebody if it hears anybody."""
        if self.fitness == Fitness.UNFIT and not (
            self.rules.keepUnfit and not self._candidates(view, now, fit=True)
        ):
            return False
        if self.unheardSeq is not None:
            alive = [peer for peer in view if peer.alive(now)]
            if alive and not any(peer.listedSeq >= self.unheardSeq for peer in alive):
                return False
        direct = [peer for peer in view if peer.direct(now)]
        return not direct or any(peer.twoWay(now) for peer in direct)

    def _candidates(self, view: Membership, now: float, fit: bool = False) -> list[Peer]:
        """Who could hold the group instead: eligible, in both directions, and not holding now."""
        found = []
        for peer in view:
            said = peer.announced(self.rules.name)
            if (
                said is not None
                and said.eligible
                # If hearsay has newer word of its role, its own word on the rest is out of date.
                and said.role == peer.state(self.rules.name).role == Role.STANDBY
                and peer.twoWay(now)
                and not (fit and said.fitness == Fitness.UNFIT)
            ):
                found.append(peer)
        return found

    def _worthOf(self, peer: Peer) -> Worth:
        said = peer.announced(self.rules.name)
        assert said is not None
        return peer.worth(said)

    def _best(self, view: Membership, now: float) -> Peer | None:
        return max(self._candidates(view, now), key=self._worthOf, default=None)

    # Inputs

    def input(self, what: Input, now: float, why: str = "") -> None:
        """Apply one input by the table; a stale one changes nothing."""
        found = TABLE[self.state][what]
        if found is None:
            return
        before = self.role
        self.state = found.state
        self.why = why or self.why
        for action in found.do:
            self._do(action, now)
        if before == Role.STANDBY and self.role == Role.SHUTDOWN:
            self._changed(before, Role.SHUTDOWN, 0, why or "stopped")
        self.sendNow = True

    def _do(self, action: Do, now: float) -> None:
        name = self.rules.name
        if action is Do.HOLD:
            self.highest, self.highestAt = self.highest + 1, now
            self.claim = Claim(self.highest, self.worth)
            self.claimedAt = now
            self.released = self.unheardSeq = None
            self.deferringSince = None
            self.worthierSince.clear()
            self.conflicts.clear()
            self.effects.append(Hold(name, self.claim.term))
        elif action is Do.RELEASE:
            self.effects.append(Release(name))
        elif action is Do.ACTIVATE:
            assert self.claim is not None
            self.failures = 0
            self.backoffUntil = -inf
            self.announcedAt = now
            self._changed(Role.STANDBY, Role.ACTIVE, self.claim.term, self.why)
            self.activated = True
            self.why = ""
        elif action is Do.CLEAN:
            self.clean = True
        elif action is Do.LET_GO:
            self._letGo(now)

    def _letGo(self, now: float) -> None:
        why, self.why = self.why or "released", ""
        if self.claim is not None:
            self.released = Released(self.claim.term, self.successor or "")
            self.releasedAt = now
            term, self.claim = self.claim.term, None
            if self.activated or self.state == State.SHUTDOWN:
                old = Role.ACTIVE if self.activated else Role.STANDBY
                self._changed(old, self.role, term, why)
        self.activated = False
        self.successor = None
        self.conflicts.clear()

    def _changed(self, old: Role, new: Role, term: int, why: str) -> None:
        self.effects.append(RoleChange(self.cluster, self.rules.name, old, new, term, why))

    def event(self, kind: str, peer: str = "", reason: str = "") -> None:
        self.effects.append(Event(kind, self.rules.name, peer, reason))

    def setFitness(self, fitness: Fitness, reason: str) -> None:
        if (fitness, reason) != (self.fitness, self.fitnessReason):
            self.fitness, self.fitnessReason = fitness, reason
            self.event("fitness", reason=f"{fitness.name.lower()}: {reason}")
            self.sendNow = True

    def refused(self, reason: str, now: float) -> None:
        """The resources could not be acquired, or were lost: let go, and let others try for a while."""
        if self.state not in (State.ACQUIRING, State.ACTIVE):
            return
        tolerances = min(2 << min(self.failures, 10), MAX_BACKOFF)
        self.failures += 1
        self.backoffUntil = now + tolerances * self.timing.tolerance
        self.event("acquire-failed", reason=reason)
        self.input(Input.REFUSED, now, f"could not hold the resources: {reason}")

    def letGo(self, view: Membership, now: float) -> None:
        """The driver has proven that nothing is held here: choose the successor as things are now."""
        if self.state in (State.RELEASING, State.STOPPING) and self.claim is not None:
            holders = view.actives(self.rules.name, now)
            best = self._best(view, now)
            self.successor = holders[0][0].name if holders else best.name if best else ""
        self.input(Input.RELEASED, now)

    def stalled(self, gap: float, view: Membership, now: float) -> None:
        """
        This node was itself late by C{gap} seconds: believe no deadline at once.

        A gap longer than C{hold} is longer than others may have waited: the claim is over.
        """
        timing = self.timing
        if self._patienceFrom == -inf:
            self._patienceFrom = now
        self.patience = min(now + timing.interval, self._patienceFrom + timing.tolerance)
        if gap > timing.hold and self.claim is not None:
            if any(not peer.left() for peer in view):
                self._yield(f"stalled for {gap:.3f} s, longer than others wait", now)

    def _yield(self, why: str, now: float) -> None:
        self.input(Input.YIELD, now, why)

    # Decisions

    def decide(self, view: Membership, sent: dict[int, float], lastSent: float, now: float) -> None:
        """
        Look at everything known, once all that has arrived was taken in.

        @param sent: when each recent packet of this node left, by its number.
        @param lastSent: when the newest one left.
        """
        self.wake = inf
        if self._at(self.patience, now):
            self._patienceFrom = -inf
        self._at(self.backoffUntil, now)
        highest, since = view.highest(self.rules.name)
        if highest > self.highest:
            self.highest, self.highestAt = highest, since
        if self.released and (
            self.highestAt > self.releasedAt
            or now
            >= self.releasedAt + max(self.timing.tolerance, SUCCESSION * self.timing.interval)
        ):
            self.released = None
        if self.state is State.STARTING:
            self._starting(view, now)
        if self.state is State.STANDBY:
            self._standby(view, lastSent, now)
        elif self.state in (State.ACQUIRING, State.ACTIVE):
            self._holding(view, sent, now)

    def _at(self, time: float, now: float) -> bool:
        """Is it that time? If not yet, be woken then."""
        if now >= time:
            return True
        self.wake = min(self.wake, time)
        return False

    def _starting(self, view: Membership, now: float) -> None:
        if not self.clean or not self._at(max(self.listenUntil, self.patience), now):
            return
        # Nodes that start together settle at once on the worthiest, instead of handing over later.
        for peer in view:
            said = peer.announced(self.rules.name)
            if (
                said is not None
                and said.listening
                and said.fitness > Fitness.UNFIT
                and peer.direct(now)
                and peer.worth(said) > self.worth
                and not self._at(self.listenUntil + self.timing.interval / 2, now)
            ):
                return
        self.input(Input.READY, now)

    def _standby(self, view: Membership, lastSent: float, now: float) -> None:
        group, timing = self.rules.name, self.timing
        if self.fitness == Fitness.UNFIT and not self.rules.keepUnfit:
            self.deferringSince = None
            return
        actives = view.actives(group, now)
        if actives:
            self.deferringSince = None
            for peer, _ in actives:
                self._at(peer.at + peer.tolerance, now)
                call = peer.at + LAST_CALL * timing.hold
                if self._at(call, now) and lastSent < call:
                    self.sendNow = True
            return
        if not self._at(self.patience, now):
            return
        if not self._eligibleToClaim(view, now):
            for peer in view:
                if peer.alive(now):
                    self._at(max(peer.at, peer.directAt) + peer.tolerance, now)
            return
        why = self._vacant(view, now)
        if why:
            self.input(Input.CLAIM, now, why)

    def _eligibleToClaim(self, view: Membership, now: float) -> bool:
        if not self._may(view, now):
            return False
        if self._at(self.backoffUntil, now):
            return True
        return not self._candidates(view, now) and self._at(
            max(self.claimedAt, self.releasedAt) + self.timing.interval, now
        )

    def _vacant(self, view: Membership, now: float) -> str:
        """With no live holder known: why this node claims now, or C{""}."""
        group = self.rules.name
        released, since = self._lastRelease(view)
        if released is not None:
            if released.successor == self.name:
                return "named as successor"
            successor = view.peers.get(released.successor)
            said = successor.announced(group) if successor else None
            expected = successor and successor.alive(now) and said and said.eligible
            if expected and not self._at(since + SUCCESSION * self.timing.interval, now):
                return ""
        worth = self.worth
        better = [p for p in self._candidates(view, now) if self._worthOf(p) > worth]
        if released is not None:  # a successor that let its time pass is no longer deferred to
            better = [p for p in better if p.name != released.successor]
        if better:
            if self.deferringSince is None:
                self.deferringSince = now
            if not self._at(self.deferringSince + self.timing.tolerance, now):
                for peer in better:
                    self._at(peer.directAt + peer.tolerance, now)
                    self._at(peer.listedAt + peer.tolerance, now)
                return ""
            return f"{max(better, key=self._worthOf).name} is worthier but did not claim"
        self.deferringSince = None
        if released is not None:
            return "the holder let go"
        return "no holder is heard"

    def _lastRelease(self, view: Membership) -> tuple[Released | None, float]:
        """
        The newest release, and since when it is known; C{None} if a claim has followed it.

        Not its term decides: the holder that won a conflict may have the lower one.
        """
        best, since = self.released, self.releasedAt
        for peer in view:
            state = peer.state(self.rules.name)
            if state.released:
                told = peer.releasedSince(self.rules.name)
                if best is None or told > since:
                    best, since = state.released, told
        return (None, since) if self.highestAt > since else (best, since)

    def _holding(self, view: Membership, sent: dict[int, float], now: float) -> None:
        if self._conflict(view, now):
            return
        if self._unheard(view, sent, now):
            return
        if self.state is State.ACTIVE:
            self._remind(view, now)
            self._handover(view, now)

    def _remind(self, view: Membership, now: float) -> None:
        """
        Announce again when others may have been told otherwise: somebody else claimed or released
        in the meantime, even unseen, or comes back from where it could not be heard.
        """
        assert self.claim is not None
        highest, since = view.highest(self.rules.name)
        newest = since if highest > self.claim.term else -inf
        for peer in view:
            newest = max(newest, peer.releasedSince(self.rules.name), peer.directSince)
        if newest > self.announcedAt:
            self.announcedAt = now
            self.effects.append(Announce(self.rules.name))

    def _order(self, claim: Claim) -> tuple[Worth, int] | tuple[int, Worth]:
        if self.rules.preempt:
            return (claim.worth, claim.term)
        return (claim.term, claim.worth)

    def _conflict(self, view: Membership, now: float) -> bool:
        """Another ACTIVE is known: one of the two yields. True: it is this one."""
        assert self.claim is not None
        interval = self.timing.interval
        found = view.actives(self.rules.name, now)
        for name in set(self.conflicts) - {peer.name for peer, _ in found}:
            del self.conflicts[name]
            self.answeredStamp.pop(name, None)
            self.effects.append(Announce(self.rules.name))
            self.event("conflict-over", name, "the addresses are announced again")
        for peer, claim in found:
            if peer.name not in self.conflicts:
                self.conflicts[peer.name] = now
                self.event("conflict", peer.name, f"it is ACTIVE too, with term {claim.term}")
            since = self.conflicts[peer.name]
            if peer.state(self.rules.name).lettingGo:
                continue
            if self._order(claim) > self._order(self.claim):
                self._yield(f"{peer.name} is ACTIVE too and comes first", now)
                return True
            direct = peer.direct(now)
            limit = max(since, peer.listedAt) + DEAF * interval
            if not direct:
                deaf = peer.deafSince
                limit = inf if deaf is None else max(since, deaf) + DEAF_BY_RELAY * interval
            if self._at(limit, now):
                self._yield(f"{peer.name} is ACTIVE too and does not hear this node", now)
                return True
            stamp = (peer.session, peer.seq)
            if stamp != self.answeredStamp.get(peer.name) and (
                now >= self.answeredAt + ANSWER * interval
            ):
                self.answeredStamp[peer.name] = stamp
                self.answeredAt = now
                self.sendNow = True
                self.effects.append(Announce(self.rules.name))
        return False

    def _unheard(self, view: Membership, sent: dict[int, float], now: float) -> bool:
        """
        A holder whose heartbeats demonstrably arrive nowhere lets go before the others take over.

        Silence proves nothing: only an eligible node's own fresh packet counts.
        """
        timing = self.timing
        newest, heardSince = self.claimedAt, inf
        for peer in view:
            if not peer.alive(now):
                continue
            newest = max(newest, sent.get(peer.listedSeq, -inf))
            said = peer.announced(self.rules.name)
            if said is not None and said.eligible and now - peer.directAt < FRESH * timing.interval:
                heardSince = min(heardSince, peer.directSince)
        # One that is heard again only now had no time yet to list a new heartbeat.
        if not self._at(max(newest, heardSince) + timing.hold, now):
            return False
        self.unheardSeq = max(sent, default=0) + 1
        self._yield(f"no node has received its heartbeats for {now - newest:.3f} s", now)
        return True

    def _handover(self, view: Membership, now: float) -> None:
        mine = self.worth
        best = self._best(view, now)
        if best is None:
            self.worthierSince.clear()
            if self.fitness == Fitness.UNFIT and not self.rules.keepUnfit:
                self._yield(f"unfit: {self.fitnessReason}", now)
            return
        worth = self._worthOf(best)
        fitter = worth.fitness > mine.fitness
        worthier = {peer.name for peer in self._candidates(view, now) if self._worthOf(peer) > mine}
        for name in set(self.worthierSince) - worthier:
            del self.worthierSince[name]
        for name in worthier:
            self.worthierSince.setdefault(name, now)
        if self.fitness == Fitness.UNFIT and not self.rules.keepUnfit:
            self._yield(f"unfit: {self.fitnessReason}; handed over to {best.name}", now)
        elif not worth > mine or not (fitter or self.rules.preempt):
            return
        elif now - best.directAt >= FRESH * self.timing.interval:
            return  # it may have just died; its next packet brings this up again
        elif fitter or self._at(self.worthierSince[best.name] + self.rules.preemptDelay, now):
            for peer in view:
                said = peer.announced(self.rules.name)
                if (
                    said is not None
                    and said.listening
                    and peer.direct(now)
                    and peer.worth(said) > worth
                    and not self._at(peer.directAt + peer.tolerance, now)
                ):
                    return
            self._yield(f"handed over to {best.name}, which is worthier", now)
