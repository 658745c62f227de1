"""
The layout of a datagram: where each number is, and what can be read before the rest is believed.

Every field is described byte by byte in docs/protocol.rst. All numbers are big endian; a name is one
byte of length and that many ASCII bytes. The signature that follows is the business of C{auth}.
"""

from __future__ import annotations

import re
from struct import Struct

from hatwist.core.errors import BadPacket

MAGIC = b"hW"
VERSION = 1
MAX_SIZE = 65_507
"""Bytes that fit one IPv4 UDP datagram (RFC 768, RFC 791)."""
MICROSECONDS = 1_000_000
NAME = re.compile(rb"[A-Za-z0-9._-]{1,63}\Z")

PREFIX = Struct("!2sBB4s8s")  # magic, version, flags, key id, cluster
NODE = Struct("!QQII16s8sHH")  # session, seq, interval, tolerance, address, digest, groups, heard
GROUP = Struct("!BBBBQBB")  # flags, role, fitness, priority, highest term, step, steps
CLAIM = Struct("!QBB")  # term, fitness, priority
CLAIM_ADDRESS = Struct("!QBB16s")  # the same with the claimer's address
TERM = Struct("!Q")
GRANT = Struct("!QQ")  # session, term
HEARD = Struct("!QQIBBBH")  # session, seq, age, flags, lag, received, groups
HEARD_GROUP = Struct("!HBB")  # index, role, flags
LENGTH = Struct("!H")
EXTENSION = Struct("!BH")  # kind, length
REQUEST = Struct("!HQQ")  # index, session, term
MIN_SIZE = PREFIX.size + 2 + NODE.size + LENGTH.size
"""Bytes of the shortest heartbeat: a name of one letter, no group, nobody heard."""

ELIGIBLE, LISTENING, HAS_CLAIM, HAS_RELEASED, HAS_GRANT, LETTING_GO = 1, 2, 4, 8, 16, 32
WITNESSED, MOVED = 64, 128
MOVE = 1  # the kind of an extension: a request to move a group
DIRECT, LISTS, LEFT, NAMED = 1, 2, 4, 8
UNTOLD = 1  # the flag of a heard group of which the sender has no word as new as the rest
LEAVING = 1  # the flag of a whole packet


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
