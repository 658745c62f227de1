"""
The election in one group on one node, put together from its parts.

A group is always in one L{hatwist.core.states.State}, and the table there says what each input does to it. A
node is a holder from the start of C{ACQUIRING} to the end of C{RELEASING} or C{STOPPING}, and tells the others
ACTIVE for just as long. What is decided while it is not held: see L{Candidacy}; while it is: L{Tenure}.
"""

from __future__ import annotations

from math import inf

from hatwist.core.agenda import Agenda, Pulse
from hatwist.core.backoff import Backoff
from hatwist.core.causes import Cause
from hatwist.core.claims import NOTHING, Claim, Record
from hatwist.core.effects import Effect, Persist
from hatwist.core.electorate import Quorum
from hatwist.core.obstacles import Obstacle
from hatwist.core.standing import Decision, Standing
from hatwist.core.states import Do, Input, State
from hatwist.core.terms import Terms
from hatwist.core.turn import Turn
from hatwist.core.worth import Fitness
from hatwist.protocols.native.answers import Answers
from hatwist.protocols.native.arbiter import Alone, Arbiter
from hatwist.protocols.native.candidacy import Candidacy
from hatwist.protocols.native.candidate import Candidate
from hatwist.protocols.native.datagram import GroupState
from hatwist.protocols.native.eligibility import Eligibility
from hatwist.protocols.native.evidence import Evidence
from hatwist.protocols.native.membership import Membership
from hatwist.protocols.native.moveorders import MoveOrder
from hatwist.protocols.native.others import Others
from hatwist.protocols.native.parts import ElectionParts
from hatwist.protocols.native.rules import SUCCESSION, GroupRules, Timing
from hatwist.protocols.native.succession import Succession
from hatwist.protocols.native.tenure import Tenure
from hatwist.protocols.native.votes import Majority

_DOES = {
    State.ACTIVE: Obstacle.HOLDS,
    State.ACQUIRING: Obstacle.ACQUIRING,
    State.RELEASING: Obstacle.RELEASING,
    State.STOPPING: Obstacle.STOPPING,
    State.SHUTDOWN: Obstacle.STOPPED,
    State.ASKING: Obstacle.ASKING,
}
"""What a node does with a group in each state, apart from those in which that is not all."""
SHOWN = 2.0
"""Tolerances after which this node tells a term that no live node shows any more."""
_INELIGIBLE = (State.STARTING, State.STOPPING, State.SHUTDOWN)


class Election:
    """
    One group on one node. Pure: C{now} is an argument, what to do comes back in L{effects}.

    @param node: its address as a number, and its name.
    @param quorum: C{None}: claims take no votes.
    @param record: what an earlier start left on disk.
    @param witnessed: see L{Candidate}; default: there is no witness.
    @ivar candidacy: while it is not held, C{tenure}: while it is; the other one is C{None}.
    @ivar effects: what was decided since the driver last took it.
    @ivar wake: the time of the next decision that no packet brings; L{inf}: none.
    @ivar attentive: the next packet is to be decided on, whatever it says.
    @ivar told: this group's part of the next packet, as of the last decision; C{None}: there was none yet.
    @ivar sendNow: something changed or must be answered: a packet is due now.
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
        witnessed: Pulse | None = None,
    ) -> None:
        self.effects: list[Effect] = []
        self.wake = inf
        self.sendNow = self.attentive = False
        self.told: GroupState | None = None
        self._shownAt = -inf
        address, name = node
        witnessed = Agenda().pulse() if witnessed is None else witnessed
        self.me = me = Candidate(cluster, name, address, rules, timing, witnessed)
        self.standing = standing = Standing(
            cluster, rules.name, self._claimant, Turn(now, self.effects)
        )
        self.terms = Terms(record.reserved)
        self.backoff = Backoff(timing.interval, timing.tolerance)
        self.evidence = Evidence(me, standing, now)
        self.arbiter: Arbiter = Alone(me, standing)
        if quorum is not None:
            self.arbiter = Majority(me, standing, self.terms, quorum, record, now)
        self.eligibility = Eligibility(me, self.backoff, self.evidence, self.arbiter)
        self.succession = Succession(me, standing)
        self.orders = MoveOrder(me, standing, self.obstacle)
        self._parts = ElectionParts(
            me,
            standing,
            self.terms,
            self.backoff,
            self.evidence,
            self.arbiter,
            self.eligibility,
            self.succession,
            Answers(me),
        )
        self.candidacy: Candidacy | None = Candidacy(self._parts, now + timing.tolerance)
        self.tenure: Tenure | None = None

    def _claimant(self, now: float) -> Claim:
        term = self.terms.next(now)
        self.arbiter.named(term)
        return Claim(term, self.me.worth, self.succession.heir.chosen)

    def change(self, timing: Timing, rules: GroupRules | None) -> None:
        """
        Go on with another configuration, of which others hear at once.

        @param rules: C{None}: they stay.
        """
        self.me.configure(rules if rules is not None else self.me.rules, timing)
        self.sendNow = self.sendNow or rules is not None

    @property
    def rules(self) -> GroupRules:
        return self.me.rules

    @property
    def conflicts(self) -> dict[str, float]:
        """Since when each other node is known to hold what this one holds."""
        return self.tenure.conflict.known if self.tenure is not None else {}

    # Decisions

    def decide(
        self,
        view: Membership,
        lastSent: float,
        now: float,
    ) -> None:
        """
        Look at everything known, once all that has arrived was taken in.

        @param lastSent: when the newest packet of this node left.
        """
        turn, claim = Turn(now, self.effects, self.me.rules.name), self.standing.claim
        others = self.others(view, turn)
        self.backoff.look(turn)
        self.terms.learn(*others.highest())
        self._forgetRelease(turn)
        self.orders.expire(others, turn)
        if self.arbiter.look(others, turn) or self.terms.scarce:
            self._persist(turn)
        standing = self.standing
        if standing.state is State.STARTING and self.candidacy is not None:
            self._apply(self.candidacy.starting(others, turn), turn)
        if standing.state is State.ASKING and self.candidacy is not None:
            self._apply(self.candidacy.asking(others, turn), turn)
        asked = standing.state
        if standing.state is State.STANDBY and self.candidacy is not None:
            self._apply(self.candidacy.decide(others, lastSent, turn), turn)
        elif standing.holding and self.tenure is not None:
            self._apply(self.tenure.decide(others, turn), turn)
        self.told = self._tell(self.others(view, turn))
        # What was asked before a change is not all that matters after it.
        same = standing.state is asked and standing.claim is claim
        self.wake = turn.wake if same else now
        self.attentive = turn.attentive
        self._close(turn)

    def settle(self) -> None:
        """What is known of the other nodes is about to change."""
        self.arbiter.settle()
        self.evidence.settle()

    def _forgetRelease(self, turn: Turn) -> None:
        standing, timing = self.standing, self.me.timing
        if standing.released is not None:
            heard = max(timing.tolerance, SUCCESSION * timing.interval)
            late = turn.passed(standing.releasedAt + heard)
            if late or self.terms.highestAt > standing.releasedAt:
                standing.forgetRelease()

    def _persist(self, turn: Turn) -> None:
        record = Record(self.terms.reserve(), self.arbiter.vote)
        turn.do(Persist(self.me.rules.name, record))

    def others(self, view: Membership, turn: Turn) -> Others:
        """What the other nodes are in this group."""
        return Others(view, self.me, turn, self.succession.passedOver)

    def _close(self, turn: Turn) -> None:
        self.sendNow = self.sendNow or turn.hurried

    def _apply(self, decision: Decision | None, turn: Turn) -> None:
        """Let the standing change, and the phases with it."""
        if decision is None:
            return
        now = turn.now
        for did in self.standing.apply(decision, turn):
            if did is Do.HOLD:
                self.eligibility.unheardFrom(None)
                self.succession.claimed()
                self.candidacy, self.tenure = None, Tenure(self._parts, self.orders)
            elif did is Do.ACTIVATE and self.tenure is not None:
                self.backoff.held()
                self.tenure.activated(now)
            elif did is Do.LET_GO:
                self.orders.over()
                self.candidacy, self.tenure = Candidacy(self._parts), None
            elif did is Do.RESTART:
                self.orders.over()
                listenUntil = now + self.me.timing.tolerance
                self.candidacy, self.tenure = Candidacy(self._parts, listenUntil), None

    # Reports

    def input(self, what: Input, now: float, why: str = "", cause: Cause = Cause.OTHER) -> None:
        """Apply one input by the table; a stale one changes nothing."""
        turn = Turn(now, self.effects)
        self._apply(Decision(what, why, cause), turn)
        self._close(turn)

    def refused(self, reason: str, now: float) -> None:
        """The resources could not be acquired, or were lost: let go, and let others try for a while."""
        if not self.standing.holding:
            return
        self.backoff.refused(reason, now)
        self.standing.event("acquire-failed", Turn(now, self.effects), reason=reason)
        self.input(Input.REFUSED, now, f"could not hold the resources: {reason}")

    def letGo(self, view: Membership, now: float) -> None:
        """The driver has proven that nothing is held here: choose the successor as things are now."""
        if self.standing.lettingGo:
            others, wanted = self.others(view, Turn(now)), self.orders.movingTo
            best = others.target(wanted) or others.best()
            successor = best.name if best is not None else ""
            if others.holders:
                successor = others.holders[0][0].name
            self.standing.name(successor, wanted != "" and successor == wanted)
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
            self.input(Input.YIELD, now, why, Cause.GUARD)

    def stalled(self, gap: float, view: Membership, now: float) -> None:
        """
        This node was itself late by C{gap} seconds: believe no deadline at once.

        A gap longer than C{hold} is longer than others may have waited: the claim is over.
        """
        self.backoff.stalled(now)
        late = gap > self.me.hold and not self.arbiter.exclusive
        if late and self.standing.claim is not None and any(not peer.left() for peer in view):
            why = f"stalled for {gap:.3f} s, longer than others wait"
            self.input(Input.YIELD, now, why, Cause.STALL)

    def setFitness(self, fitness: Fitness, reason: str, source: str = "") -> None:
        """One source's verdict, in place of its last: the worst of all counts, with its reasons."""
        verdicts = self.me.verdicts
        if verdicts.put(source, fitness, reason):
            words = ": ".join(filter(None, (verdicts.fitness.name.lower(), verdicts.reason)))
            self.standing.event("fitness", Turn(0.0, self.effects), reason=words)
            self.sendNow = True

    def move(self, to: str, view: Membership, now: float) -> None:
        """Ask the holder to hand over, see L{MoveOrder.ask}."""
        self.orders.ask(to, self.others(view, Turn(now)))

    # What is asked

    def lease(self, now: float) -> float:
        """
        Until when this node may hold, on its own clock, if nothing more is heard.

        While it lets go, as it must at the end of the lease, until that must be done.
        """
        grace = self.me.timing.grace if self.standing.lettingGo else 0.0
        return self.arbiter.confirmed(now) + self.me.hold + grace

    def eligible(self, view: Membership, now: float) -> bool:
        """Others may defer to this node and name it as successor."""
        return self._eligible(self.others(view, Turn(now)))

    def _eligible(self, others: Others) -> bool:
        ready = self.standing.state not in _INELIGIBLE
        return ready and self.eligibility.obstacle(others) is None

    def obstacle(self, others: Others) -> Obstacle | None:
        """Why this node does not hold the group, or what it does about it; C{None}: nothing keeps it from a claim."""
        standing, turn = self.standing, Turn(others.now)
        if standing.state is State.STOPPING and standing.claim is None:
            return Obstacle.STOPPED
        if standing.state in _DOES:
            return _DOES[standing.state]
        assert self.candidacy is not None
        if standing.state is State.STARTING:
            return self.candidacy.listening(others, turn) or Obstacle.STARTING
        return self.eligibility.obstacle(others) or self.candidacy.obstacle(others, turn)

    def hindrance(self, to: str, view: Membership, now: float) -> str:
        """Why the group cannot be moved there now, a sentence; C{""}: it can. C{to} as in L{MoveOrder.ask}."""
        return self.orders.hindrance(to, self.others(view, Turn(now)))

    def tell(self, view: Membership, now: float) -> GroupState:
        """What this node would say of the group, if it were to decide on it now."""
        return self._tell(self.others(view, Turn(now)))

    def _highest(self, others: Others) -> int:
        """The highest term, which need not be told by who only repeats what another live node tells."""
        highest, told = self.terms.highest, self.told
        if told is None or told.highest >= highest or self.standing.claim is not None:
            return highest
        if any(
            said.highest >= highest and others.alive(peer)
            for peer in others
            if (said := others.said(peer)) is not None
        ):
            self._shownAt = others.now
            return told.highest
        passed = others.turn.passed(self._shownAt + SHOWN * self.me.timing.tolerance)
        return highest if passed else told.highest

    def _tell(self, others: Others) -> GroupState:
        me, standing, backoff = self.me, self.standing, self.backoff
        reason = me.verdicts.reason
        if not reason and backoff.refusal and not others.turn.passed(backoff.until):
            reason = f"could not hold the resources: {backoff.refusal}"
        step, steps, reason = standing.underway.told(reason)
        return GroupState(
            me.rules.name,
            standing.role,
            me.verdicts.fitness,
            me.rules.priority,
            standing.state not in _INELIGIBLE and self.eligibility.own(others) is None,
            standing.state is State.STARTING,
            self._highest(others),
            standing.claim,
            standing.released,
            self.arbiter.grant,
            step,
            # Claimed, and not yet held: also before the first step, and between two.
            max(steps, 1) if standing.state is State.ACQUIRING else steps,
            reason,
            standing.lettingGo,
            me.rules.witness,
            self.orders.request,
        )
