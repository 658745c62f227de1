"""What one datagram says, as frozen values; for its bytes see L{hatwist.protocols.native.layout}."""

from __future__ import annotations

import hashlib
from typing import NamedTuple

from hatwist.core.claims import Claim, Grant, Released, Role
from hatwist.core.worth import Fitness

MAX_SEQ = (1 << 64) - 1
"""The number of a guard's goodbye: there is none after it."""


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


class GroupRecord(NamedTuple):
    """
    What a node is in one group since a version of its state.

    @ivar version: of the change that made it so, from 1; no two records of a session share one.
    @ivar state: in a datagram no reason exceeds 255 bytes of UTF-8; C{None}: the node has this group no more.
    """

    name: str
    version: int
    state: GroupState | None


class Range(NamedTuple):
    """
    All records of one session of a node whose last change lies in (start, end], as of version C{newest}.

    It stays true for ever: later changes have versions above C{newest}. It may hold records that are not the last of
    their group; they are superseded by what is told of the versions up to C{newest}.

    @ivar owner: the node whose records they are: the sender, or one that the datagram has in C{heard}.
    @ivar newest: the highest version of which the teller knew when it made this.
    @ivar records: by rising version; no group twice.
    """

    owner: str
    session: int
    start: int
    end: int
    newest: int
    records: tuple[GroupRecord, ...] = ()


class Want(NamedTuple):
    """
    The sender lacks what is in (start, end] of a node's records.

    @ivar owner, session: whose; the datagram has it in C{heard}.
    @ivar teller: who is to tell it, to all: the owner, or another node that C{heard} has.
    """

    owner: str
    session: int
    teller: str
    start: int
    end: int


class Listing(NamedTuple):
    """
    What the sender knows of another node.

    @ivar session, seq: the stamp of the newest word of it, directly or through others.
    @ivar age: seconds since that word was true, 0 to 4294.967295.
    @ivar direct: the sender itself receives its packets.
    @ivar lists: that node says that it receives the sender's packets.
    @ivar left: it said goodbye.
    @ivar named: it has named this start of the sender.
    @ivar directSeq: its newest packet that the sender itself has received, if that is one of the last 255; else -1.
    @ivar lapses: how often its packets came again after a tolerance without any, modulo 256.
    @ivar received: how many of its last 20 packets arrived.
    @ivar version: of its state, as of C{seq}.
    @ivar claims: how many groups it held or asked for, as of C{seq}.
    @ivar known: the sender knows its records through this version, which may be below or above C{version}.
    """

    name: str
    session: int
    seq: int
    age: float
    direct: bool
    lists: bool
    left: bool
    named: bool
    directSeq: int
    lapses: int
    received: int
    version: int
    claims: int
    known: int


class Header(NamedTuple):
    """
    What is the same for all groups of the sender, true as of C{seq}.

    @ivar cluster: eight bytes, see L{hatwist.protocols.native.datagram.clusterId}.
    @ivar session, seq: which start of this node, and its packet's number; together the stamp.
    @ivar interval, tolerance: seconds, to a microsecond.
    @ivar address: the number that breaks ties of worth.
    @ivar digest: eight bytes; equal on nodes that share a configuration.
    @ivar version: of its state; 0: it has no groups.
    @ivar sum: of its records, see L{hatwist.protocols.native.encoding.fingerprint}, modulo 2**64.
    @ivar claims: how many groups it holds or asks for.
    @ivar leaving: the last words of this session: whatever it held is released to nobody in particular, and it is
        SHUTDOWN in all groups.
    @ivar eligible: a group is eligible if its record says so, too.
    @ivar listening: it has just started; so is each group of it.
    @ivar drained: it is unfit in all groups, by the operator.
    @ivar witnessed: a group reaches the witness if its record says that it wants one, too.
    """

    cluster: bytes
    name: str
    session: int
    seq: int
    interval: float
    tolerance: float
    address: int
    digest: bytes
    version: int = 0
    sum: int = 0
    claims: int = 0
    leaving: bool = False
    eligible: bool = False
    listening: bool = False
    drained: bool = False
    witnessed: bool = False


class Datagram(NamedTuple):
    """
    One datagram. Each stands alone: a node that is not in C{heard} may be in the next one, and nothing is said of it.

    @ivar heard: no node twice.
    """

    header: Header
    heard: tuple[Listing, ...] = ()
    wants: tuple[Want, ...] = ()
    ranges: tuple[Range, ...] = ()


def clusterId(name: str) -> bytes:
    """The eight bytes by which packets of different clusters are told apart."""
    return hashlib.sha256(b"hatwist cluster " + name.encode()).digest()[:8]
