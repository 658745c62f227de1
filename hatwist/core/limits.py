"""How long an operation of a resource may take."""

from __future__ import annotations

from typing import Any

LIMIT = 60.0
"""Seconds for one operation of a resource that does not say how long it takes."""
MARGIN = 2.0
"""Seconds beyond what it says: it keeps its own time, and kills what exceeds it, in a better way."""


def timeFor(resource: Any, attribute: str) -> float:
    """
    Seconds that an operation of C{resource} may take here.

    @param attribute: C{"acquireTime"} or C{"releaseTime"}, where it says so itself; else its C{timeout} counts.
    """
    own = getattr(resource, attribute, None)
    if own is None:
        own = getattr(resource, "timeout", None)
    return LIMIT if own is None else own + MARGIN
