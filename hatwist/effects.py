"""What the core asks its driver to do: frozen values, performed in the order given."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from hatwist.heartbeat import Heartbeat, Role
    from hatwist.votes import Record


class Send(NamedTuple):
    """Send this heartbeat on every link, now."""

    heartbeat: Heartbeat


class Hold(NamedTuple):
    """Acquire the resources of a group, and answer with C{held} or C{refused}."""

    group: str
    term: int


class Release(NamedTuple):
    """Release the resources of a group, and answer with C{released} once that is proven."""

    group: str


class Announce(NamedTuple):
    """Tell the LAN again where the addresses of a group are, if they are held."""

    group: str


class Ask(NamedTuple):
    """Ask the LAN whether anybody has the addresses of a group; an answer is told by C{served}."""

    group: str


class Persist(NamedTuple):
    """Write this to disk, and answer with C{persisted} once it is safe there."""

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


Effect = Send | Hold | Release | Announce | Ask | Persist | RoleChange | Event
