"""By which lease each group is held, and until when it may be."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from hatwist.core.effects import Effect, Hold, Leased, Release
from hatwist.protocols.native.election import Election
from hatwist.protocols.native.rules import Timing

HELD, LEAVING = "held", "leaving"
"""Without votes: of all groups that are held, and of all that are let go of, which may take until their last moment."""


def leased(election: Election, effects: list[Effect]) -> Iterator[Effect]:
    """What was decided about a group, with the lease that each claim and each end of one goes by."""
    voted = election.arbiter.quorum is not None
    for effect in effects:
        if isinstance(effect, Hold):
            yield Leased(effect.group, effect.group if voted else HELD)
        elif isinstance(effect, Release) and election.standing.lettingGo and not voted:
            yield Leased(effect.group, LEAVING)
        yield effect


def until(lease: str, elections: Mapping[str, Election], timing: Timing, now: float) -> float:
    """See L{hatwist.core.machine.Machine.until}. With votes each group has its own lease, of its name."""
    election = elections.get(lease)
    if election is not None and election.arbiter.quorum is not None:
        return election.lease(now)
    return now + timing.hold + (timing.grace if lease == LEAVING else 0.0)
