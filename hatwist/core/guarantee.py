"""How sure it is that no two nodes hold a group, and why."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple


class Level(Enum):
    """How sure it is that no two nodes hold a group."""

    BEST_EFFORT = "best effort"
    SELF_RELEASING = "self-releasing"
    EXCLUSIVE = "exclusive"


class Guarantee(NamedTuple):
    """
    @ivar reason: why it is this one; a sentence without full stop.
    @ivar gaps: what it does not cover, each a sentence without full stop.
    """

    level: Level
    reason: str
    gaps: tuple[str, ...] = ()
