"""Why roles change, as one word each: what is counted, where the reason is a sentence for people."""

from __future__ import annotations

from enum import Enum

from hatwist.core.states import Input


class Cause(Enum):
    """What brought a role change about."""

    STARTED = "started"
    """The node began, and listens."""
    SILENCE = "silence"
    """No holder was heard."""
    SUCCESSION = "succession"
    """The holder released it and named this node."""
    VACANCY = "vacancy"
    """The holder released it and named nobody, or one that did not come."""
    DEFAULT = "default"
    """A worthier node could have claimed and did not."""
    CONFLICT = "conflict"
    """Two nodes held, and this one yielded."""
    UNHEARD = "unheard"
    """No node receives the holder's heartbeats."""
    VOTES = "votes"
    """No majority confirms the holder's heartbeats."""
    WITNESS = "witness"
    """The witness did not answer the holder."""
    STALL = "stall"
    """The holder did nothing for longer than others wait."""
    UNFIT = "unfit"
    """The holder's checks or links say so."""
    HANDOVER = "handover"
    """Another node is worthier."""
    MOVE = "move"
    """The operator wanted it there."""
    RESOURCES = "resources"
    """They could not be acquired, or were lost."""
    GUARD = "guard"
    """The guard released it for this node."""
    NAME = "name"
    """Another node has this node's name."""
    STOPPED = "stopped"
    """The node was stopped."""
    OTHER = "other"
    """None of these."""


BY_INPUT = {
    Input.REFUSED: Cause.RESOURCES,
    Input.FENCED: Cause.GUARD,
    Input.STOP: Cause.STOPPED,
}
"""The cause that an input is by itself."""
