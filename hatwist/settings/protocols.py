"""
What settings have to ask the protocols: which times and keys they can work with, and what they guarantee.

Of all that reads settings this is the only module that knows which protocols there are.
"""

from __future__ import annotations

import math
from itertools import count

from hatwist.core.guarantee import Guarantee
from hatwist.protocols.native.auth import MIN_KEY_SIZE
from hatwist.protocols.native.guarantee import guarantee, releasing
from hatwist.protocols.native.rules import Timing
from hatwist.settings.values import MIN_LEASE, Settings


def keyProblem(key: bytes) -> str:
    """Why heartbeats cannot be signed with this key, without the key; C{""}: they can."""
    if len(key) < MIN_KEY_SIZE:
        return f"has {len(key)} bytes; at least {MIN_KEY_SIZE} are needed"
    return ""


def toleranceProblem(interval: float, tolerance: float) -> str:
    """
    Why nobody could hold anything with these times, and the least tolerance that will do; C{""}: they are good.

    @param interval, tolerance: seconds.
    """
    if Timing(interval, tolerance).survives() >= 0:
        return ""
    tries = (milliseconds / 1000 for milliseconds in count(math.ceil(tolerance * 1000)))
    least = next(enough for enough in tries if Timing(interval, enough).survives() >= 0)
    return (
        "a holder that releases in time would do so between two heartbeats; "
        f"give at least {least:g} seconds"
    )


def holdTime(interval: float, tolerance: float) -> float:
    """Seconds for which a node goes on to hold after the last heartbeat of it that others have confirmed."""
    return Timing(interval, tolerance).hold


def timing(settings: Settings, addresses: int, slow: float) -> Timing:
    """
    The times of a group.

    @param addresses: how many it has.
    @param slow: seconds that the release of everything else may take.
    """
    return releasing(Timing(settings.interval, settings.tolerance), addresses, slow)


def guaranteeOf(
    settings: Settings, addresses: int, slow: float, unguardable: tuple[str, ...]
) -> Guarantee:
    """
    How sure it is that no two nodes hold a group, why, and what is not covered.

    @param addresses, slow: see L{timing}.
    @param unguardable: what of it the guard cannot release, by name.
    """
    return guarantee(
        timing(settings, addresses, slow),
        settings.quorum,
        True,
        # Without addresses there is nothing that the kernel could keep.
        settings.lease if addresses else MIN_LEASE,
        unguardable,
        witness=settings.witness is not None,
    )
