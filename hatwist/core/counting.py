"""
How far the numbers that others tell are followed: terms and sessions only grow, and must never be used up.

No honest number comes near L{TRUSTED}: a session is the milliseconds of a clock, or one more than was remembered,
and a term is one more than the last. Whoever tells the greatest number there is, by malice or from a damaged
file, moves all others to L{TRUSTED} at most, and by L{LEAP} with each further packet; from there they go on by one.
"""

from __future__ import annotations

from hatwist.core.claims import MAX_TERM

TRUSTED = MAX_TERM // 2
"""Up to here a number is believed, whoever tells it: half of what a packet may say."""
LEAP = 1 << 20
"""Beyond, one word adds so much at most to what was known: a flood of days uses up nothing."""
LAST = MAX_TERM - (1 << 32)
"""Up to here one is led by others. Above, there are numbers for as long as anybody will count."""
REMEMBERED = TRUSTED + LEAP
"""The term up to which a file is believed, so that others follow at once. A session is one's own: up to L{LAST}."""


def follow(known: int, told: int) -> int:
    """What is known once C{told} was told; C{told} itself, unless that is too far away."""
    if told <= known:  # as a rule
        return known
    bound = min(max(TRUSTED, known + LEAP), LAST)
    return max(known, min(told, bound))
