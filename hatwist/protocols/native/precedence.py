"""Who goes before whom: a worthier node before the holder, or not; and one of two holders before the other."""

from __future__ import annotations

from hatwist.core.claims import Claim
from hatwist.core.obstacles import Obstacle
from hatwist.core.worth import Worth
from hatwist.protocols.native.rules import GroupRules


def fitter(other: Worth, holder: Worth, claim: Claim) -> bool:
    """
    Another node is fitter than the holder, and gets the group for that.

    What the operator moved stays, unless the holder has become less fit since: so it was wanted.
    """
    became = not claim.moved or holder.fitness < claim.worth.fitness
    return other.fitness > holder.fitness and became


def kept(other: Worth, holder: Worth, claim: Claim, rules: GroupRules) -> Obstacle:
    """
    What keeps another able node from a group that is held.

    C{HANDOVER}: nothing but a packet's time. C{PREEMPT_DELAY}: nothing, once it has been able for so long.
    """
    if not other > holder:
        return Obstacle.WORTH
    if fitter(other, holder, claim):
        return Obstacle.HANDOVER
    if claim.moved:
        return Obstacle.MOVED
    if not rules.preempt:
        return Obstacle.NO_PREEMPT
    return Obstacle.PREEMPT_DELAY if rules.preemptDelay else Obstacle.HANDOVER


def order(claim: Claim, byTerm: bool) -> tuple[int, Worth, int]:
    """
    By what two claims compare that are held at once; the greater one stays. Equal on both nodes.

    @param byTerm: the higher term stays. Otherwise what the operator moved, the last move first, and then the
        claim of the worthier node.
    """
    first = claim.term if byTerm or claim.moved else 0
    return (first, claim.worth, claim.term)
