"""What each input does to a group on one node, by the table of L{hatwist.core.states}."""

from __future__ import annotations

from math import inf

from hatwist.core.causes import BY_INPUT, Cause
from hatwist.core.claims import Claim, Record, Released, Role
from hatwist.core.effects import Hold, Release
from hatwist.core.states import TABLE, Do, Input, State
from hatwist.core.worth import Fitness
from hatwist.protocols.native.group import Group
from hatwist.protocols.native.membership import Membership
from hatwist.protocols.native.rules import MAX_BACKOFF


class Driven(Group):
    """A group with what is done at each input."""

    def input(self, what: Input, now: float, why: str = "", cause: Cause = Cause.OTHER) -> None:
        """Apply one input by the table; a stale one changes nothing."""
        found = TABLE[self.state][what]
        if found is None:
            return
        before = self.role
        self.state = found.state
        if why:
            self.why = why
            self.cause = cause if cause is not Cause.OTHER else BY_INPUT.get(what, cause)
        for action in found.do:
            self._do(action, now)
        if what is Input.STOP:
            self.ended = why
        if before == Role.STANDBY and self.role == Role.SHUTDOWN:
            self._changed(before, Role.SHUTDOWN, 0, why or "stopped", Cause.STOPPED)
        self.sendNow = True

    def _do(self, action: Do, now: float) -> None:
        name = self.rules.name
        if action is Do.NAME_TERM:
            self.highest, self.highestAt = self.highest + 1, now
            self.claim = Claim(self.highest, self.worth, self.chosen)
            self.askedAt = now
            if self.voter is not None:
                self.voter.promised = self.highest
        elif action is Do.DROP:
            self.claim = None
        elif action is Do.RESTART:
            self._restart(now)
        elif action is Do.HOLD:
            assert self.claim is not None
            self.claimedAt = now
            self.released = self.unheardSeq = None
            self.chosen = False
            self.deferringSince = None
            self.worthierSince.clear()
            self.conflicts.clear()
            self.effects.append(Hold(name, self.claim.term))
        elif action is Do.RELEASE:
            self.effects.append(Release(name))
        elif action is Do.ACTIVATE:
            assert self.claim is not None
            self.failures, self.refusal = 0, ""
            self.backoffUntil = -inf
            self.announcedAt = now
            self._changed(Role.STANDBY, Role.ACTIVE, self.claim.term, self.why, self.cause)
            self.takeovers.add(now - self.askedAt)
            self.activated = True
            self.why = ""
        elif action is Do.CLEAN:
            self.clean = True
        elif action is Do.LET_GO:
            self._letGo(now)

    def _restart(self, now: float) -> None:
        """The guard has let go of the addresses and said goodbye for this node: it begins anew."""
        assert self.claim is not None
        if self.activated:
            self._changed(Role.ACTIVE, Role.STANDBY, self.claim.term, self.why, self.cause)
        self.why = ""
        self.claim = self.successor = None
        self.movingTo = ""
        self.activated = self.clean = False
        self.conflicts.clear()
        self.listenUntil = now + self.timing.tolerance

    def _letGo(self, now: float) -> None:
        why, self.why = self.why or "released", ""
        if self.claim is not None:
            moved = self.movingTo != "" and self.successor == self.movingTo
            self.released = Released(self.claim.term, self.successor or "", moved)
            self.releasedAt = now
            term, self.claim = self.claim.term, None
            if self.activated or self.state == State.SHUTDOWN:
                old = Role.ACTIVE if self.activated else Role.STANDBY
                self._changed(old, self.role, term, why, self.cause)
        self.activated = False
        self.successor = None
        self.movingTo = ""
        self.conflicts.clear()

    def setFitness(self, fitness: Fitness, reason: str, source: str = "") -> None:
        """One source's verdict, in place of its last: the worst of all counts, with its reasons."""
        self._verdicts[source] = (fitness, reason)
        fitness = min(fitness for fitness, _ in self._verdicts.values())
        reasons = [why for found, why in self._verdicts.values() if found == fitness and why]
        reason = "; ".join(reasons)
        if (fitness, reason) != (self.fitness, self.fitnessReason):
            self.fitness, self.fitnessReason = fitness, reason
            self.event("fitness", reason=": ".join(filter(None, (fitness.name.lower(), reason))))
            self.sendNow = True

    def refused(self, reason: str, now: float) -> None:
        """The resources could not be acquired, or were lost: let go, and let others try for a while."""
        if self.state not in (State.ACQUIRING, State.ACTIVE):
            return
        tolerances = min(2 << min(self.failures, 10), MAX_BACKOFF)
        self.failures += 1
        self.refusal = reason
        self.backoffUntil = now + tolerances * self.timing.tolerance
        self.event("acquire-failed", reason=reason)
        self.input(Input.REFUSED, now, f"could not hold the resources: {reason}")

    def letGo(self, view: Membership, now: float) -> None:
        """The driver has proven that nothing is held here: choose the successor as things are now."""
        if self.state in (State.RELEASING, State.STOPPING) and self.claim is not None:
            holders = view.actives(self.rules.name, now)
            best = self._target(self.movingTo, view, now) or self._best(view, now)
            self.successor = holders[0][0].name if holders else best.name if best else ""
        self.input(Input.RELEASED, now)

    def fenced(self, why: str, now: float, said: bool) -> None:
        """
        The guard has fired: whatever it could release is gone.

        @param said: it may have said goodbye, so that this session is dead to all others. Else the claim ends
            as any other: once the rest is released, and not before.
        """
        if said:
            self.input(Input.FENCED, now, why)
        else:
            self._yield(why, now, Cause.GUARD)

    def persisted(self, record: Record) -> None:
        """What L{Persist} asked for is on disk."""
        self.reserved = max(self.reserved, record.reserved)

    def stalled(self, gap: float, view: Membership, now: float) -> None:
        """
        This node was itself late by C{gap} seconds: believe no deadline at once.

        A gap longer than C{hold} is longer than others may have waited: the claim is over.
        """
        timing = self.timing
        if self._patienceFrom == -inf:
            self._patienceFrom = now
        self.patience = min(now + timing.interval, self._patienceFrom + timing.tolerance)
        if gap > timing.hold and self.claim is not None and self.voter is None:
            if any(not peer.left() for peer in view):
                self._yield(f"stalled for {gap:.3f} s, longer than others wait", now, Cause.STALL)

    def _yield(self, why: str, now: float, cause: Cause = Cause.OTHER) -> None:
        self.input(Input.YIELD, now, why, cause)
