"""Why a node does not hold a group: what a decision returns, what C{hatwist why} tells, what a move runs into."""

from __future__ import annotations

from enum import Enum


class Obstacle(Enum):
    """
    What keeps a node from claiming a group now. The first nine are what it does with the group already.

    Of another node only its own word and the time of it are known: some are told of this node only, and some of
    others only.
    """

    HOLDS = "holds"
    ACQUIRING = "acquiring"
    RELEASING = "releasing"
    STOPPING = "stopping"
    STOPPED = "stopped"
    ASKING = "asking"
    UNCLEAN = "unclean"
    LISTENING = "listening"
    STARTING = "starting"

    NAME = "name"
    HUSHED = "hushed"
    BACK_OFF = "back-off"
    LATE = "late"
    UNFIT = "unfit"
    UNHEARD = "unheard"
    WITNESS = "witness"
    VOTES = "votes"
    ONE_WAY = "one-way"
    DISK = "disk"

    WORTH = "worth"
    HANDOVER = "handover"
    MOVED = "moved"
    NO_PREEMPT = "no-preempt"
    PREEMPT_DELAY = "preempt-delay"

    SUCCESSOR = "successor"
    DEFERS = "defers"
    DOUBT = "doubt"
    SERVED = "served"
    ASKS_LAN = "asks-lan"
    VOTE_GIVEN = "vote-given"
    ASK_LATER = "ask-later"

    UNKNOWN = "unknown"
    FENCED = "fenced"
    SILENT = "silent"
    HEARSAY = "hearsay"
    UNKNOWN_GROUP = "unknown-group"
    UNTOLD = "untold"
    INELIGIBLE = "ineligible"

    @property
    def holds(self) -> bool:
        """Others must take it for a holder."""
        return self in _HOLDING

    @property
    def lasting(self) -> bool:
        """Nothing but time, or somebody's work, ends it."""
        return self in _LASTING

    @property
    def overruledByMove(self) -> bool:
        """It is an order among able nodes, which the operator may overrule by a move."""
        return self in _ORDER


_HOLDING = frozenset((Obstacle.HOLDS, Obstacle.ACQUIRING, Obstacle.RELEASING, Obstacle.STOPPING))
_LASTING = frozenset(
    (
        Obstacle.NAME,
        Obstacle.BACK_OFF,
        Obstacle.UNFIT,
        Obstacle.UNHEARD,
        Obstacle.WITNESS,
        Obstacle.VOTES,
        Obstacle.ONE_WAY,
    )
)
_ORDER = frozenset(
    (
        Obstacle.ASKING,
        Obstacle.WORTH,
        Obstacle.HANDOVER,
        Obstacle.MOVED,
        Obstacle.NO_PREEMPT,
        Obstacle.PREEMPT_DELAY,
    )
)
