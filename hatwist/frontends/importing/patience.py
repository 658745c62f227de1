"""Heartbeat times of others, within what hatwist takes."""

from __future__ import annotations

import math

from hatwist.frontends.importing.notes import Notes, Place, problemOf
from hatwist.settings import words


def tolerance(wanted: float, interval: float, place: Place, notes: Notes) -> float:
    """The seconds of silence that are wanted, or the nearest ones that hatwist takes; that is told."""
    parse = words.tolerance(interval)
    found = round(wanted, 6)
    if problemOf(parse, found) is None:
        return found
    found = 600.0
    if wanted < found:
        # In steps of a hundredth of an interval from two on: it is found within one interval.
        steps = (round(interval * (2 + step / 100), 6) for step in range(10_000))
        found = next((each for each in steps if problemOf(parse, each) is None), 600.0)
    notes.differs(
        place,
        f"{wanted:g} s of silence before a host counts as gone, with {interval:g} s between heartbeats",
        f"the nearest that can be had here is {math.ceil(found * 1e6) / 1e6:g} s",
    )
    return found
