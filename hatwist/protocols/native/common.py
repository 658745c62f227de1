"""What a packet says of its sender once for all groups, and until when that is so."""

from __future__ import annotations

from math import inf
from typing import NamedTuple

from hatwist.core.electorate import Quorum
from hatwist.protocols.native.membership import Membership
from hatwist.protocols.native.tally import Tally


class Common(NamedTuple):
    """
    @ivar eligible: nothing keeps it from every group at once, see L{reaches}.
    @ivar listening: it has just started, with some group.
    @ivar drained: the operator wants nothing to be held there.
    @ivar witnessed: the witness answers it.
    """

    eligible: bool = False
    listening: bool = False
    drained: bool = False
    witnessed: bool = False


def reaches(view: Membership, quorum: Quorum | None, now: float) -> tuple[bool, float]:
    """
    Does this node reach whoever must consent or know? And until when, if nothing more is heard?

    Those are a majority; where no votes are needed, one of the nodes that it hears, if it hears any.
    """
    until = inf
    present = heard = 0
    for peer in view:
        if peer.direct(now):
            heard += 1
            if peer.twoWay(now):
                present += quorum is None or peer.name in quorum.members
                until = min(until, peer.twoWayUntil)
            else:
                until = min(until, peer.tolerance + peer.lastPacket.at)
    if quorum is not None:
        return present + 1 >= quorum.needed, until
    return present > 0 or not heard, until


def commonOf(
    view: Membership,
    quorum: Quorum | None,
    tally: Tally,
    witnessedUntil: float,
    drained: bool,
    displaced: bool,
    now: float,
) -> tuple[Common, float]:
    """
    What is so now, and until when if nothing is heard.

    @param witnessedUntil: until when the last answer of the witness counts.
    @param displaced: another node of this name is heard.
    """
    reached, until = reaches(view, quorum, now)
    witnessed = now < witnessedUntil
    if witnessed:
        until = min(until, witnessedUntil)
    return Common(reached and not displaced, bool(tally.starting), drained, witnessed), until
