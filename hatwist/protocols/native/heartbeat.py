"""What one heartbeat says, as one frozen value; its bytes are the business of L{hatwist.protocols.native.wire}."""

from __future__ import annotations

import hashlib
from typing import NamedTuple

from hatwist.core.claims import Claim, Grant, Released, Role
from hatwist.core.worth import Fitness

MAX_SEQ = (1 << 64) - 1
NO_LAG = 255
"""What is told in place of L{Heard.lag} where none of the last so many packets came directly."""


class Request(NamedTuple):
    """
    The operator's wish, told to the holder: to hand over what it holds by one claim.

    @ivar holder, session, term: which node, which start of it, which claim; void for any other.
    @ivar to: to which node; C{""}: to the worthiest, if it is not the holder.
    """

    holder: str
    session: int
    term: int
    to: str


class GroupState(NamedTuple):
    """
    What the sender is in one group.

    @ivar eligible: others may defer to it and name it as successor.
    @ivar listening: it has just started and makes no claim yet.
    @ivar lettingGo: still ACTIVE, but on its way out: nobody need yield to it.
    @ivar witnessed: it reaches the witness.
    @ivar highest: the highest term it ever saw.
    @ivar step, steps: acquiring or releasing is at step C{step} of C{steps}; 0, 0 when at rest.
    @ivar reason: why its fitness is what it is; at most 255 bytes of UTF-8 on the wire.
    @ivar request: what the operator asks of the holder at this node.
    """

    name: str
    role: Role
    fitness: Fitness
    priority: int
    eligible: bool = False
    listening: bool = False
    highest: int = 0
    claim: Claim | None = None
    released: Released | None = None
    grant: Grant | None = None
    step: int = 0
    steps: int = 0
    reason: str = ""
    lettingGo: bool = False
    witnessed: bool = False
    request: Request | None = None


class HeardGroup(NamedTuple):
    """What a known node is in a group, where that is more than a plain standby."""

    name: str
    role: Role
    claim: Claim | None = None
    released: Released | None = None
    lettingGo: bool = False


class Heard(NamedTuple):
    """
    What the sender knows of another node.

    @ivar age: seconds since the newest word of it, 0 to 4294.967295.
    @ivar direct: the sender itself receives its packets.
    @ivar lists: that node says that it receives the sender's packets.
    @ivar received: how many of its last 20 packets arrived.
    @ivar groups: what it is in those groups of the sender in which it is more than a plain standby.
    @ivar left: it said goodbye.
    @ivar named: it has named this start of the sender.
    @ivar untold: the sender's groups of which it has no word as new as C{seq}: nothing follows for them.
    @ivar lag: C{seq}, less the number of the newest packet that the sender itself received; L{NO_LAG}: none.
    """

    name: str
    session: int
    seq: int
    age: float
    direct: bool
    lists: bool
    received: int
    groups: tuple[HeardGroup, ...] = ()
    left: bool = False
    named: bool = False
    untold: tuple[str, ...] = ()
    lag: int = NO_LAG


class Heartbeat(NamedTuple):
    """
    One datagram's worth of knowledge.

    @ivar cluster: eight bytes, see L{clusterId}.
    @ivar session, seq: which start of this node, and its packet's number; together the stamp.
    @ivar interval, tolerance: seconds, to a microsecond.
    @ivar address: the number that breaks ties of worth.
    @ivar digest: eight bytes; equal on nodes that share a configuration.
    @ivar leaving: the last words of this session: nothing is held, and nothing will be.
    """

    cluster: bytes
    name: str
    session: int
    seq: int
    interval: float
    tolerance: float
    address: int
    digest: bytes
    groups: tuple[GroupState, ...]
    heard: tuple[Heard, ...] = ()
    leaving: bool = False


def clusterId(name: str) -> bytes:
    """The eight bytes by which packets of different clusters are told apart."""
    return hashlib.sha256(b"hatwist cluster " + name.encode()).digest()[:8]
