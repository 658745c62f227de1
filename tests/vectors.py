"""
Golden vectors of the wire format: three datagrams, field by field, with the values they stand for.

They were written by hand from docs/protocol.rst, which shows the second one; a test holds the two together.
"""

from __future__ import annotations

from typing import NamedTuple

from hatwist.core.claims import Claim, Grant, Released, Role
from hatwist.core.worth import Fitness, Worth
from hatwist.protocols.native.datagram import GroupState, Heard, HeardGroup, Heartbeat, Request


class Field(NamedTuple):
    """One field on the wire: its bytes in hexadecimal, and what they say."""

    raw: str
    says: str


KEY = b"0123456789abcdef"
"""The key that signs L{SIGNED}."""

PREFIX = (
    Field("6857", "magic: hW"),
    Field("01", "version 1"),
    Field("00", "flags: none"),
)
UNKEYED = (Field("00000000", "key id: unsigned"),)

MINIMAL = (
    *PREFIX,
    *UNKEYED,
    Field("31f53e44119ae012", "cluster: home"),
    Field("01 61", "node: a"),
    Field("0000000000000001", "session 1"),
    Field("0000000000000002", "sequence number 2"),
    Field("000186a0", "interval 0.1 s"),
    Field("00055730", "tolerance 0.35 s"),
    Field("ffffffffffffffffffffffffffffffff", "address: none"),
    Field("0000000000000000", "digest of the shared configuration"),
    Field("0000", "groups: 0"),
    Field("0000", "heard: 0"),
    Field("0000", "extensions: 0 bytes"),
)
MINIMAL_VALUE = Heartbeat(
    bytes.fromhex("31f53e44119ae012"), "a", 1, 2, 0.1, 0.35, (1 << 128) - 1, bytes(8), ()
)

FULL = (
    *PREFIX,
    *UNKEYED,
    Field("31f53e44119ae012", "cluster: home"),
    Field("05 616c706861", "node: alpha"),
    Field("0000000000000007", "session 7"),
    Field("00000000000003e8", "sequence number 1000"),
    Field("000f4240", "interval 1.0 s"),
    Field("003567e0", "tolerance 3.5 s"),
    Field("00000000000000000000ffff0a000001", "address 10.0.0.1"),
    Field("0102030405060708", "digest of the shared configuration"),
    Field("0002", "groups: 2"),
    Field("0002", "heard: 2"),
    # Group 0
    Field("03 776562", "group 0: web"),
    Field("e4", "flags: has a claim, releasing, reaches the witness, moved"),
    Field("02", "role ACTIVE"),
    Field("00", "fitness: unfit"),
    Field("c8", "priority 200"),
    Field("0000000000000005", "highest term seen: 5"),
    Field("01", "step 1"),
    Field("02", "of 2 steps"),
    Field("0000000000000005", "claim: term 5"),
    Field("02", "claim: fitness fit"),
    Field("c8", "claim: priority 200"),
    Field("05 6472c3a96c", "reason: 5 bytes of UTF-8"),
    # Group 1
    Field("02 6462", "group 1: db"),
    Field("9b", "flags: eligible, listening, has released, has grant, moved"),
    Field("00", "role STANDBY"),
    Field("02", "fitness: fit"),
    Field("64", "priority 100"),
    Field("0000000000000004", "highest term seen: 4"),
    Field("00", "step 0"),
    Field("00", "of 0 steps"),
    Field("0000000000000003", "released: term 3"),
    Field("05 67616d6d61", "released: successor gamma"),
    Field("05 67616d6d61", "grant: to gamma"),
    Field("0000000000000002", "grant: its session 2"),
    Field("0000000000000004", "grant: its term 4"),
    Field("00", "reason: none"),
    # Heard
    Field("04 62657461", "heard: beta"),
    Field("0000000000000003", "session 3"),
    Field("00000000000001f4", "sequence number 500"),
    Field("0003d090", "age 0.25 s"),
    Field("0b", "flags: direct, lists me, has named me"),
    Field("02", "received itself: number 498"),
    Field("14", "received 20 of its last 20"),
    Field("0000", "groups that are more than a plain standby: 0"),
    Field("05 67616d6d61", "heard: gamma"),
    Field("0000000000000002", "session 2"),
    Field("0000000000000064", "sequence number 100"),
    Field("00000001", "age 0.000001 s"),
    Field("00", "flags: by hearsay, does not list me"),
    Field("ff", "received itself: none"),
    Field("00", "received 0 of its last 20"),
    Field("0002", "groups that are more than a plain standby: 2"),
    Field("0001", "group 1: db"),
    Field("02", "role ACTIVE"),
    Field("84", "flags: has a claim, moved"),
    Field("0000000000000004", "claim: term 4"),
    Field("01", "claim: fitness degraded"),
    Field("32", "claim: priority 50"),
    Field("20010db8000000000000000000000003", "claim: address 2001:db8::3"),
    Field("0000", "group 0: web"),
    Field("00", "role STANDBY"),
    Field("08", "flags: has released"),
    Field("0000000000000002", "released: term 2"),
    Field("00", "released: no successor"),
    Field("0020", "extensions: 32 bytes"),
    Field("01", "extension: request to move a group"),
    Field("001d", "its length: 29 bytes"),
    Field("0001", "request: group 1: db"),
    Field("0000000000000002", "request: the holder's session 2"),
    Field("0000000000000004", "request: the holder's term 4"),
    Field("05 67616d6d61", "request: the holder gamma"),
    Field("04 62657461", "request: to beta"),
)
_ALPHA = 0xFFFF_0A00_0001
FULL_VALUE = Heartbeat(
    bytes.fromhex("31f53e44119ae012"),
    "alpha",
    7,
    1000,
    1.0,
    3.5,
    _ALPHA,
    bytes(range(1, 9)),
    (
        GroupState(
            "web",
            Role.ACTIVE,
            Fitness.UNFIT,
            200,
            highest=5,
            claim=Claim(5, Worth(Fitness.FIT, 200, _ALPHA, "alpha"), True),
            step=1,
            steps=2,
            reason="drél",
            lettingGo=True,
            witnessed=True,
        ),
        GroupState(
            "db",
            Role.STANDBY,
            Fitness.FIT,
            100,
            eligible=True,
            listening=True,
            highest=4,
            released=Released(3, "gamma", True),
            grant=Grant("gamma", 2, 4),
            request=Request("gamma", 2, 4, "beta"),
        ),
    ),
    (
        Heard("beta", 3, 500, 0.25, True, True, 20, named=True, lag=2),
        Heard(
            "gamma",
            2,
            100,
            0.000001,
            False,
            False,
            0,
            (
                HeardGroup(
                    "db",
                    Role.ACTIVE,
                    Claim(4, Worth(Fitness.DEGRADED, 50, 0x20010DB8 << 96 | 3, "gamma"), True),
                ),
                HeardGroup("web", Role.STANDBY, released=Released(2, "")),
            ),
        ),
    ),
)

SIGNED = (
    *PREFIX,
    Field("60429e93", "key id, derived from the key"),
    *MINIMAL[4:],
    Field(
        "584c9e36c9477d87359ba82220d0dee58b424cff9e7c8d25019ecd86cd12a78c",
        "signature: HMAC-SHA256 of all before it (made with openssl dgst -hmac)",
    ),
)


def toBytes(fields: tuple[Field, ...]) -> bytes:
    """The datagram that these fields make."""
    return bytes.fromhex("".join(field.raw for field in fields))
