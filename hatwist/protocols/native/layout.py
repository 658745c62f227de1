"""
The layout of a datagram that tells changes.

All numbers are big endian. A I{name} is one byte of length and that many bytes of ASCII. The signature (32 bytes)
follows what is here.

Header::

    16     magic "hW", version 1, flags, key id 4, cluster 8
           flags: 1 leaving, 2 eligible, 4 listening, 8 drained, 16 reaches the witness
    name   node
    8, 8   session, sequence number
    4, 4   interval, tolerance: microseconds
    16, 8  address, digest
    8, 8   version of the state, sum of its records
    2      claims: groups that are held or asked for
    1,1,1  how many heard, wants and ranges follow, in this order

Heard, for each other node that is told of::

    name   node
    8, 8   session, sequence number: the stamp of the newest word of it
    4      age of that word: microseconds
    1      flags: 1 direct, 2 lists the sender, 4 behind, 8 said goodbye, 16 has named this start of the sender
    1      lag: the sequence number less that of its newest packet received by the sender itself; 255: none, or older
    1      lapses: how often its packets came again after a tolerance, modulo 256
    1      received: of its last 20 packets
    8      version of its state, as of the sequence number
    2      claims, likewise
    8      with "behind": the version through which its records are known; else it is the one before

Want::

    1      owner: index into heard
    1      teller: index into heard; 255: the owner
    8, 8   from, to: what lies in (from, to] is wanted

Range::

    1      owner: index into heard; 255: the sender
    8      session of the owner
    8, 8   from, to: all records whose last change lies in (from, to]
    8      newest version that was known; of the sender's own, that of the header
    1      texts that follow: each is 1 byte of length, and 1 to 255 bytes of UTF-8
    2      records that follow, by rising version

Record::

    name   group
    2      flags: 1 eligible, 2 listening, 4 has a claim, 8 has released, 16 has a grant, 32 releasing, 64 witness,
           128 moved, 256 has a request, 512 removed (no other flag, and zeros in all else), 1024 grant by name
    1,1,1  role, fitness, priority
    4      version less "from"
    8      highest term
    1, 1   step, steps
    1      text: 0 none, else which of the texts above, from 1
    10     with 4: term, fitness, priority of the claim; in a relayed range 16 bytes of address more
    8 + n  with 8: term, name of the successor or 0
    9      with 16: index into heard, term; with 1024 too: name, session, term
    n      with 256: name of the holder, its session, its term, name of whom to move to or 0

At the end 2 bytes tell how many bytes more follow, for later releases; they are skipped. Flags of header and heard that
are not known are skipped, too. Those of a record are not, since records are summed, and passed on as they are.
"""

from __future__ import annotations

import re
from struct import Struct

from hatwist.core.errors import BadPacket

MAGIC = b"hW"
VERSION = 1
MAX_SIZE = 65_507
"""Bytes that fit one IPv4 UDP datagram (RFC 768, RFC 791)."""
FRAME = 1452
"""Bytes of UDP that fit one frame of Ethernet by IPv4 and by IPv6: no datagram is longer."""
MICROSECONDS = 1_000_000
NAME = re.compile(rb"[A-Za-z0-9._-]{1,63}\Z")

PREFIX = Struct("!2sBB4s8s")  # magic, version, flags, key id, cluster
SENDER = Struct("!QQII16s8sQQHBBB")
LISTING = Struct("!QQIBBBBQH")
WANT = Struct("!BBQQ")
RANGE = Struct("!BQQQQBH")
RECORD = Struct("!HBBBIQBBB")
CLAIM = Struct("!QBB")
CLAIM_ADDRESS = Struct("!QBB16s")
TERM = Struct("!Q")
GRANT = Struct("!BQ")
SESSION_TERM = Struct("!QQ")
LENGTH = Struct("!H")

LEAVING, NODE_ELIGIBLE, NODE_LISTENING, DRAINED, NODE_WITNESSED = 1, 2, 4, 8, 16
DIRECT, LISTS, BEHIND, LEFT, NAMED = 1, 2, 4, 8, 16
ELIGIBLE, LISTENING, HAS_CLAIM, HAS_RELEASED, HAS_GRANT, LETTING_GO = 1, 2, 4, 8, 16, 32
WITNESSED, MOVED, HAS_REQUEST, REMOVED, GRANT_NAMED = 64, 128, 256, 512, 1024
RECORD_FLAGS = 2 * GRANT_NAMED - 1
NONE = 255
"""An index of heard that is none: the sender, the owner; a lag of a node whose packets do not come."""
MOST = 254
"""Nodes heard, wants, ranges and texts there may be of each in a place."""
MAX_VERSION = 1 << 62
MAX_REASON = 255

MIN_SIZE = PREFIX.size + 2 + SENDER.size + LENGTH.size
"""Bytes of the shortest datagram: a name of one letter, and nothing follows."""
MIN_FRAME = 1100
"""Bytes that hold the longest header, heard node and record there can be, and a signature."""


def reasonBytes(reason: str) -> bytes:
    """As much of a reason as there is room for; never half a character."""
    raw = reason.encode(errors="replace")
    return raw if len(raw) <= MAX_REASON else raw[:MAX_REASON].decode(errors="ignore").encode()


def keyIdOf(data: bytes) -> bytes:
    """
    The key id of a datagram, before anything else of it is believed.

    @raise BadPacket: C{truncated}, C{magic} or C{version}.
    """
    if len(data) < PREFIX.size:
        raise BadPacket("truncated" if data[:2] == MAGIC[: len(data)] else "magic")
    magic, version, _, keyId, _ = PREFIX.unpack_from(data)
    if magic != MAGIC:
        raise BadPacket("magic")
    if version != VERSION:
        raise BadPacket("version", f"{version}; this release speaks {VERSION}")
    return bytes(keyId)


def clusterOf(data: bytes) -> bytes:
    """The cluster id of a datagram that L{keyIdOf} has found to be long enough; not believed yet."""
    return data[8:16]
