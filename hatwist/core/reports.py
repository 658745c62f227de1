"""What a driver tells its protocols: frozen values. A protocol takes note of a report, and decides afterwards."""

from __future__ import annotations

from typing import NamedTuple

from hatwist.core.claims import Record
from hatwist.core.worth import Fitness


class Held(NamedTuple):
    """The resources of a group are acquired, all of them: the answer to L{Hold<hatwist.core.effects.Hold>}."""

    group: str


class NotHeld(NamedTuple):
    """They could not be acquired, or were held and lost. Another answer to C{Hold}."""

    group: str
    reason: str


class Gone(NamedTuple):
    """They are proven gone from this node: the answer to L{Release<hatwist.core.effects.Release>}."""

    group: str


class Progressed(NamedTuple):
    """
    An acquisition or a release is at step C{step} of C{steps}; 0 of 0: it is done.

    The next packet tells it, whenever that is due.
    """

    group: str
    step: int
    steps: int
    words: str


class Persisted(NamedTuple):
    """The record of a L{Persist<hatwist.core.effects.Persist>} is safe on disk."""

    group: str
    record: Record


class Served(NamedTuple):
    """Another host has answered, on the LAN, for an address of a group: C{by}, the MAC address it named."""

    group: str
    by: str = ""


class Witnessed(NamedTuple):
    """The witness has answered the probe that was sent at C{sentAt}, on this node's clock."""

    sentAt: float


class Judged(NamedTuple):
    """
    A source has a verdict on this node's fitness for a group, in place of its last one.

    Of all sources' verdicts the worst counts.

    @ivar source: such as C{"checks"} or C{"carrier"}.
    @ivar reason: a clause without full stop; C{""}: all is well.
    """

    group: str
    source: str
    fitness: Fitness
    reason: str = ""


class Fenced(NamedTuple):
    """
    The guard has fired: it released what it could, and if that was everything, said the farewells.

    To be told before anything else when this process wakes.
    """

    why: str


class MoveWanted(NamedTuple):
    """
    The operator wants the holder, which may be this node, to hand a group over; it stays where it was moved.

    What L{hindrance<hatwist.core.machine.Machine.hindrance>} speaks against changes nothing.

    @ivar to: the name of a node; C{""}: the worthiest, as if the group had never been moved.
    """

    group: str
    to: str


class Drained(NamedTuple):
    """The operator wants nothing to be held here, and nothing to be given to this node; or no longer."""

    on: bool


class Stopped(NamedTuple):
    """Let go of everything, say goodbye, and never come back."""

    why: str = "stopped"


def groupOf(report: Report) -> str | None:
    """The group that a report is about; C{None}: it is about the node."""
    return getattr(report, "group", None)


Report = (
    Held
    | NotHeld
    | Gone
    | Progressed
    | Persisted
    | Served
    | Witnessed
    | Judged
    | Fenced
    | MoveWanted
    | Drained
    | Stopped
)
