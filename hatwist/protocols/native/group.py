"""
One group on one node: its state, and what it tells the others.

What each input does to it is in C{inputs}; what is decided when is in C{holding}, for a holder, and in C{election}.
"""

from __future__ import annotations

from collections import Counter
from math import inf
from typing import NamedTuple

from hatwist.core.causes import Cause
from hatwist.core.claims import NOTHING, Claim, Record, Released, Role
from hatwist.core.effects import Ask, Effect, Event, Release, RoleChange
from hatwist.core.electorate import Quorum
from hatwist.core.histogram import Histogram
from hatwist.core.states import State
from hatwist.core.worth import Fitness, Worth
from hatwist.protocols.native.heartbeat import GroupState, Request
from hatwist.protocols.native.membership import Membership, Peer
from hatwist.protocols.native.rules import (
    ANSWER_FRESH,
    ASK_AFTER,
    ASK_EVERY,
    MAX_BACKOFF,
    MAX_RETRY,
    WITNESSED,
    GroupRules,
    Timing,
)
from hatwist.protocols.native.votes import Voter

WORDS = 100
"""Characters of a step's words that are told: the reason of the fitness has the rest of the room."""


class Progress(NamedTuple):
    """
    How far an acquisition or a release has come; 0 of 0: none is under way.

    @ivar words: such as "acquiring, step 2 of 5: drbdadm primary r0".
    """

    step: int = 0
    steps: int = 0
    words: str = ""

    def told(self, fitnessReason: str) -> tuple[int, int, str]:
        """Step, steps and reason for others, who have a byte for each number."""
        words = self.words if len(self.words) <= WORDS else self.words[: WORDS - 1] + "…"
        reason = "; ".join(filter(None, (words, fitnessReason)))
        return min(self.step, 255), min(self.steps, 255), reason


class Group:
    """
    One group on one node. Pure: C{now} is an argument, what to do comes back in L{effects}.

    @param node: its address as a number, and its name.
    @param quorum: C{None}: claims take no votes.
    @param record: what an earlier start left on disk.
    @ivar effects: what was decided since the driver last took it.
    @ivar wake: the time of the next decision that no packet brings; L{inf}: none.
    @ivar sendNow: something changed or must be answered: a packet is due now.
    @ivar transitions: how many role changes there were, by old role, new role and cause.
    @ivar counters: how many events there were, by kind.
    @ivar wordAt: when a holder was last heard of, or this node started.
    @ivar servedBy: the MAC address that last answered for an address of the group, C{heldFrom}: those that did
        while a holder was heard.
    @ivar takeovers: seconds from each decision to claim until everything was held.
    @ivar failures, refusal: how often in a row it could not acquire, and the reason of the last time.
    @ivar session: which start of this node it is, which votes and requests name.
    @ivar request: what the operator wants of the holder, until C{requestUntil}.
    @ivar movingTo: the successor that the operator wants, while the group is let go of.
    @ivar ended: why it was stopped; C{""}: it was not.
    @ivar chosen: the operator wants this node: its next claim stays, whoever is worthier.
    @ivar muted: the node is silent, since another one has its name: it may hold nothing.
    """

    def __init__(
        self,
        cluster: str,
        rules: GroupRules,
        timing: Timing,
        node: tuple[int, str],
        now: float,
        quorum: Quorum | None = None,
        record: Record = NOTHING,
    ) -> None:
        self.cluster = cluster
        self.rules = rules
        self.timing = timing
        self.address, self.name = node
        self.effects: list[Effect] = []
        self.wake = inf
        self.sendNow = False
        self.state = State.STARTING
        self.session = 0
        self.fitness = Fitness.FIT
        self.fitnessReason = ""
        self._verdicts: dict[str, tuple[Fitness, str]] = {}
        self.highest, self.highestAt = record.reserved, -inf
        self.reserved = record.reserved
        self.voter: Voter | None = None
        if quorum is not None:
            self.voter = Voter(rules.name, quorum, record, timing.tolerance, now + timing.tolerance)
        self.confirmedAt = -inf
        self.askedAt = self.askAfter = -inf
        self.witnessedAt = self.keptAt = -inf
        self.servedAt = self.probedAt = self.askingSince = -inf
        self.servedBy = ""
        self.heldFrom: set[str] = set()
        self.wordAt = now
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
        self.refusal = ""
        self.claimedAt = -inf
        self.unheardSeq: int | None = None
        self.deferringSince: float | None = None
        self.worthierSince: dict[str, float] = {}
        self.conflicts: dict[str, float] = {}
        self.answeredAt = self.announcedAt = -inf
        self.answeredStamp: dict[str, tuple[int, int]] = {}
        self.successor: str | None = None
        self.request: Request | None = None
        self.requestUntil = -inf
        self.movingTo = ""
        self.chosen = self.muted = False
        self._missed: dict[str, tuple[int, float]] = {}
        self.why = self.ended = ""
        self.cause = Cause.OTHER
        self.transitions: Counter[tuple[Role | None, Role, Cause]] = Counter()
        self.counters: Counter[str] = Counter()
        self.takeovers = Histogram()
        self.progress = Progress()
        self.effects.append(Release(rules.name))
        self._changed(None, Role.STANDBY, 0, "started, listening", Cause.STARTED)

    @property
    def calm(self) -> bool:
        """Nothing is under way here that a packet could decide that says nothing new."""
        return (
            (self.state is State.STANDBY or (self.state is State.ACTIVE and not self.worthierSince))
            and self.request is None
            and self.unheardSeq is None
            and self.deferringSince is None
            and not self.conflicts
        )

    # What others are told

    @property
    def role(self) -> Role:
        if self.state == State.SHUTDOWN:
            return Role.SHUTDOWN
        if self.state == State.ASKING:
            return Role.ASKING
        return Role.STANDBY if self.claim is None else Role.ACTIVE

    @property
    def worth(self) -> Worth:
        return Worth(self.fitness, self.rules.priority, self.address, self.name)

    @property
    def lettingGo(self) -> bool:
        """It holds no longer than its release takes."""
        return self.state in (State.RELEASING, State.STOPPING) and self.claim is not None

    def tell(self, view: Membership, now: float) -> GroupState:
        """This group's part of the next packet."""
        standing = self.fitnessReason
        if not standing and now < self.backoffUntil and self.refusal:
            standing = f"could not hold the resources: {self.refusal}"
        step, steps, reason = self.progress.told(standing)
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
            self.voter.grant if self.voter is not None else None,
            step,
            # Claimed, and not yet held: also before the first step, and between two.
            max(steps, 1) if self.state is State.ACQUIRING else steps,
            reason,
            self.lettingGo,
            self.rules.witness and now < self.doubtAt,
            self.request,
        )

    def eligible(self, view: Membership, now: float) -> bool:
        """Others may defer to this node and name it as successor."""
        return (
            self.state not in (State.STARTING, State.STOPPING, State.SHUTDOWN)
            and now >= self.backoffUntil
            and now >= self.patience
            and self.storable
            and self._may(view, now)
        )

    @property
    def storable(self) -> bool:
        """The next term is safe on disk, where votes need that."""
        return self.voter is None or self.highest < self.reserved

    @property
    def retryAt(self) -> float:
        """When it may claim in back-off too, with nobody else eligible: later with each failure, up to a limit."""
        gap = self.timing.interval * 2.0 ** min(max(self.failures - 1, 0), 32)
        gap = min(gap, max(self.timing.interval, MAX_RETRY * self.timing.tolerance))
        return max(self.claimedAt, self.releasedAt) + gap

    def _may(self, view: Membership, now: float) -> bool:
        """Fit or kept, and heard by somebody if it hears anybody."""
        if self.muted:
            return False
        if self.fitness == Fitness.UNFIT and not (
            self.rules.keepUnfit and not self._candidates(view, now, fit=True)
        ):
            return False
        if self.unheardSeq is not None:
            alive = [peer for peer in view if peer.alive(now)]
            if alive and not any(peer.listedSeq >= self.unheardSeq for peer in alive):
                return False
        if not self.witnessed(now):
            return False
        if self.voter is not None:
            members = self.voter.quorum.members
            since = self.unheardSeq if self.unheardSeq is not None else -1
            present = sum(
                peer.name in members and peer.twoWay(now) and peer.listedSeq >= since
                for peer in view
            )
            return present + 1 >= self.voter.quorum.needed
        direct = [peer for peer in view if peer.direct(now)]
        return not direct or any(peer.twoWay(now) for peer in direct)

    @property
    def doubtAt(self) -> float:
        """When others are told that the witness does not answer: well before one lets go for that."""
        return self.witnessedAt + WITNESSED * self.timing.interval

    def witnessed(self, now: float) -> bool:
        """The witness has answered recently enough to hold, or none is asked."""
        return not self.rules.witness or now < self.witnessedAt + self.timing.witnessHold

    def _candidates(
        self, view: Membership, now: float, fit: bool = False, missed: bool = False
    ) -> list[Peer]:
        """
        Who could hold the group instead: eligible, in both directions, and not holding now.

        @param missed: also who has let a succession pass.
        """
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
                and (missed or self._at(self._missed.get(peer.name, (0, -inf))[1], now))
            ):
                found.append(peer)
        return found

    def _worthOf(self, peer: Peer) -> Worth:
        said = peer.announced(self.rules.name)
        assert said is not None
        return peer.worth(said)

    def _best(self, view: Membership, now: float) -> Peer | None:
        return max(self._candidates(view, now), key=self._worthOf, default=None)

    def _target(self, name: str, view: Membership, now: float) -> Peer | None:
        """The node of that name, if the operator may move the group there."""
        candidates = self._candidates(view, now, fit=True, missed=True)
        return next((peer for peer in candidates if peer.name == name), None)

    def _miss(self, name: str, now: float) -> None:
        """A named successor let its time pass: it is passed over for a while, each time for twice as long."""
        count = self._missed.get(name, (0, -inf))[0]
        tolerances = min(1 << min(count, 10), MAX_BACKOFF)
        self._missed[name] = (count + 1, now + tolerances * self.timing.tolerance)
        self.event("succession-missed", name, "it was named as successor, and did not claim")

    # What comes of it

    def _changed(self, old: Role | None, new: Role, term: int, why: str, cause: Cause) -> None:
        self.transitions[(old, new, cause)] += 1
        self.effects.append(RoleChange(self.cluster, self.rules.name, old, new, term, why))

    def event(self, kind: str, peer: str = "", reason: str = "") -> None:
        self.counters[kind] += 1
        self.effects.append(Event(kind, self.rules.name, peer, reason))

    def _probe(self, now: float) -> None:
        """Ask the LAN, at most every quarter of an interval, for as long as there is a doubt."""
        if not self.rules.asks:
            return
        if now >= self.probedAt + ANSWER_FRESH * self.timing.interval:
            self.askingSince = now
        if self._at(self.probedAt + ASK_EVERY * self.timing.interval, now):
            self.probedAt = now
            self.effects.append(Ask(self.rules.name))
            self._at(now + ASK_EVERY * self.timing.interval, now)

    def answered(self, by: str, now: float) -> None:
        """Another host has answered for an address of the group: C{by}, the MAC address it named."""
        self.servedAt = now
        if by:
            self.servedBy = by
            # A stranger may announce it at any time, and is to fill no memory.
            heard = self.startedAt < self.wordAt > now - ASK_AFTER * self.timing.interval
            if heard and len(self.heldFrom) < 8:
                self.heldFrom.add(by)

    @property
    def answerer(self) -> str:
        """Who answered last for an address, and whether that was told of a holder ever before."""
        if not self.servedBy:
            return "another host"
        strange = self.heldFrom and self.servedBy not in self.heldFrom
        return self.servedBy + (" (not seen while a node held it)" if strange else "")

    @property
    def askUntil(self) -> float:
        """Until when an answer of the LAN prevents a claim; L{inf}: for as long as there are any."""
        return self.wordAt + self.rules.askLimit

    def served(self, now: float) -> bool:
        """Another host has answered of late for an address of the group."""
        return now < self.servedAt + ANSWER_FRESH * self.timing.interval

    def _at(self, time: float, now: float) -> bool:
        """Is it that time? If not yet, be woken then."""
        if now >= time:
            return True
        self.wake = min(self.wake, time)
        return False
