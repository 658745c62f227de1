"""
What a protocol asks its driver to do: frozen values, performed in the order given.

Where an effect has an answer, it is one of L{hatwist.core.reports}.
"""

from __future__ import annotations

from typing import NamedTuple

from hatwist.core.claims import Record, Role

EVENTS = ("prepare", "acquired", "released", "conflict", "peer-joined", "peer-left")
"""What a command of the operator can be run at."""
ACQUIRING = "ACQUIRING"
"""What a node is called that has claimed a group, and does not have all of it yet."""
SILENT = "SILENT"
"""What a node is called that is no longer heard and has not said goodbye."""


class Leased(NamedTuple):
    """
    From now on a group is held by this lease, see L{until<hatwist.core.machine.Machine.until>}.

    It comes before L{Hold}, and whenever the claim goes on by another lease.

    @ivar lease: its name; what is the same for several groups of a machine has one name.
    """

    group: str
    lease: str


class Hold(NamedTuple):
    """Acquire the resources of a group for the claim of this term, and report L{Held} or L{Refused}."""

    group: str
    term: int


class Release(NamedTuple):
    """Release the resources of a group, and report L{Gone} once that is proven."""

    group: str


class Announce(NamedTuple):
    """Tell the LAN again where the addresses of a group are, if they are held."""

    group: str


class Ask(NamedTuple):
    """Ask the LAN whether anybody has the addresses of a group; report an answer as L{Served}."""

    group: str


class Persist(NamedTuple):
    """Write this to disk, and report L{Persisted} once it is safe there."""

    group: str
    record: Record


class RoleChange(NamedTuple):
    """
    One role change, the unit of the log and of observers.

    @ivar old, new: roles; C{old} is C{None} at the start.
    @ivar term: of the claim that began or ended; 0 where there is none.
    @ivar reason: one sentence without a full stop.
    """

    cluster: str
    group: str
    old: Role | None
    new: Role
    term: int
    reason: str


class Event(NamedTuple):
    """
    Something an administrator would want in the log that is no role change.

    @ivar kind: a constant name, such as C{"peer-joined"}.
    @ivar group: the group concerned, or C{""}.
    """

    kind: str
    group: str
    peer: str
    reason: str


class Change(NamedTuple):
    """
    One role change of one node in one group.

    @ivar at: when it was noticed, on this node's clock.
    @ivar old, new: names of roles, or L{SILENT}, or L{ACQUIRING} for another node; C{old} is C{""} for a node
        that was not known.
    @ivar term: of the claim that began or ended; 0 where there is none.
    @ivar reason: a clause without full stop.
    """

    at: float
    node: str
    group: str
    old: str
    new: str
    term: int
    reason: str


Effect = Leased | Hold | Release | Announce | Ask | Persist | RoleChange | Event | Change
TOLD = (RoleChange, Event, Change)
"""Effects that only tell: the log and observers get them when all is done and sent."""
