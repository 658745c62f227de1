"""
One group on this node: its state, its claim, its last release, and what became of the claims before.

A L{Standing} is the only writer of a state. It knows no protocol: who decides hands it a L{Decision}.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from math import inf
from typing import NamedTuple

from hatwist.core.causes import BY_INPUT, Cause
from hatwist.core.claims import Claim, Released, Role
from hatwist.core.effects import Event, Hold, Release, RoleChange
from hatwist.core.histogram import Histogram
from hatwist.core.states import TABLE, Do, Input, State
from hatwist.core.turn import Turn

WORDS = 100
"""Characters of a step's words that are told: the reason of the fitness has the rest of the room."""

_HOLDS_NOTHING = (Role.STANDBY, Role.ASKING)
"""Observers know both as STANDBY: to ask for votes is no role change."""


class Decision(NamedTuple):
    """
    What was decided about a group, or what happened to it.

    @ivar why: a clause for people; C{""}: what was said last goes on to be the reason.
    @ivar cause: the same as one word; C{OTHER}: the one that the input is by itself.
    """

    input: Input
    why: str = ""
    cause: Cause = Cause.OTHER


class Underway(NamedTuple):
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


class Standing:
    """
    Where a group is on this node.

    @param claimant: makes the claim with a new term, at the time that it is given.
    @param turn: the first: whatever an earlier start left is to be released.
    @ivar claim: what others are told to hold by; C{None}: nothing is held, and no votes are asked for.
    @ivar claimNamedAt: when its term was named; C{claimedAt}: when the resources were to be acquired.
    @ivar activated: everything has been held by this claim.
    @ivar released: of the last claim, for as long as others may have to hear of it.
    @ivar successor: the node that the release is to name, and whether the operator chose it; C{""}: nobody.
    @ivar clean: what an earlier start may have left is proven gone.
    @ivar why, cause: of the transition that others are not told of yet.
    @ivar ended: why it was stopped; C{""}: it was not.
    @ivar transitions: how many role changes there were, by old role, new role and cause.
    @ivar counters: how many events there were, by kind.
    @ivar takeovers: seconds from each decision to claim until everything was held.
    @ivar underway: the acquisition or release that the driver is at.
    """

    def __init__(
        self, cluster: str, group: str, claimant: Callable[[float], Claim], turn: Turn
    ) -> None:
        self._cluster = cluster
        self._group = group
        self._claimant = claimant
        self.state = State.STARTING
        self.claim: Claim | None = None
        self.claimNamedAt = self.claimedAt = -inf
        self.activated = self.clean = False
        self.released: Released | None = None
        self.releasedAt = -inf
        self.successor = ("", False)
        self.why = self.ended = ""
        self.cause = Cause.OTHER
        self.transitions: Counter[tuple[Role | None, Role, Cause]] = Counter()
        self.counters: Counter[str] = Counter()
        self.takeovers = Histogram()
        self.underway = Underway()
        turn.do(Release(group))
        self._changed(None, Role.STANDBY, 0, "started, listening", Cause.STARTED, turn)

    @property
    def role(self) -> Role:
        """What others are told: a holder is ACTIVE until its release is proven."""
        if self.state is State.SHUTDOWN:
            return Role.SHUTDOWN
        if self.state is State.ASKING:
            return Role.ASKING
        return Role.STANDBY if self.claim is None else Role.ACTIVE

    @property
    def holding(self) -> bool:
        """It is to be held: acquired, or held already."""
        return self.state is State.ACTIVE or self.state is State.ACQUIRING

    @property
    def lettingGo(self) -> bool:
        """It holds no longer than its release takes."""
        return self.state in (State.RELEASING, State.STOPPING) and self.claim is not None

    def apply(self, decision: Decision, turn: Turn) -> tuple[Do, ...]:
        """
        Apply one input by the table; a stale one changes nothing.

        @return: what was done on the way.
        """
        what, why, cause = decision
        found = TABLE[self.state][what]
        if found is None:
            return ()
        before = self.role
        self.state = found.state
        if why:
            self.why = why
            self.cause = cause if cause is not Cause.OTHER else BY_INPUT.get(what, cause)
        for action in found.do:
            self._do(action, turn)
        if what is Input.STOP:
            self.ended = why
        if before in _HOLDS_NOTHING and self.role is Role.SHUTDOWN:
            self._changed(Role.STANDBY, Role.SHUTDOWN, 0, why or "stopped", Cause.STOPPED, turn)
        turn.hurry()
        return found.do

    def _do(self, action: Do, turn: Turn) -> None:
        if action is Do.NAME_TERM:
            self.claim = self._claimant(turn.now)
            self.claimNamedAt = turn.now
        elif action is Do.DROP:
            self.claim = None
        elif action is Do.RESTART:
            self._restart(turn)
        elif action is Do.HOLD:
            assert self.claim is not None
            self.claimedAt = turn.now
            self.released = None
            turn.do(Hold(self._group, self.claim.term))
        elif action is Do.RELEASE:
            turn.do(Release(self._group))
        elif action is Do.ACTIVATE:
            self._activate(turn)
        elif action is Do.CLEAN:
            self.clean = True
        elif action is Do.LET_GO:
            self._letGo(turn)

    def _activate(self, turn: Turn) -> None:
        assert self.claim is not None
        self._changed(Role.STANDBY, Role.ACTIVE, self.claim.term, self.why, self.cause, turn)
        self.takeovers.add(turn.now - self.claimNamedAt)
        self.activated = True
        self.why = ""

    def _restart(self, turn: Turn) -> None:
        """The guard has let go of everything and said goodbye for this node: it begins anew."""
        assert self.claim is not None
        if self.activated:
            self._changed(Role.ACTIVE, Role.STANDBY, self.claim.term, self.why, self.cause, turn)
        self.why = ""
        self.claim = None
        self.successor = ("", False)
        self.activated = self.clean = False

    def _letGo(self, turn: Turn) -> None:
        why, self.why = self.why or "released", ""
        if self.claim is not None:
            self.released = Released(self.claim.term, *self.successor)
            self.releasedAt = turn.now
            term, self.claim = self.claim.term, None
            if self.activated or self.state is State.SHUTDOWN:
                old = Role.ACTIVE if self.activated else Role.STANDBY
                self._changed(old, self.role, term, why, self.cause, turn)
        self.activated = False
        self.successor = ("", False)

    def _changed(
        self, old: Role | None, new: Role, term: int, why: str, cause: Cause, turn: Turn
    ) -> None:
        self.transitions[(old, new, cause)] += 1
        turn.do(RoleChange(self._cluster, self._group, old, new, term, why))

    # What is noted without a transition

    def event(self, kind: str, turn: Turn, peer: str = "", reason: str = "") -> None:
        """Count something that is no role change, and tell the log of it."""
        self.counters[kind] += 1
        turn.do(Event(kind, self._group, peer, reason))

    def progressed(self, step: int, steps: int, words: str) -> None:
        """The driver is at this step of an acquisition or a release, see L{Underway}."""
        self.underway = Underway(step, steps, words)

    def name(self, successor: str, moved: bool) -> None:
        """The release that is under way is to name this node; C{moved}: the operator chose it."""
        self.successor = (successor, moved)

    def unbind(self) -> None:
        """The operator no longer wants the claim to stay where it was moved."""
        if self.claim is not None and self.claim.moved:
            self.claim = self.claim._replace(moved=False)

    def forgetRelease(self) -> None:
        """Everybody has had time to hear of it, or a newer claim has followed."""
        self.released = None
