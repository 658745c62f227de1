"""
Golden vectors of the wire format: three datagrams, field by field, with the values they stand for.

They were written by hand from docs/protocol.rst, which shows the second one; a test holds the two together.
"""

from __future__ import annotations

from typing import NamedTuple

from hatwist.core.claims import Claim, Grant, Released, Role
from hatwist.core.worth import NO_ADDRESS, Fitness, Worth
from hatwist.protocols.native.datagram import (
    Datagram,
    GroupRecord,
    GroupState,
    Header,
    Listing,
    Range,
    Request,
    Want,
    clusterId,
)


class Field(NamedTuple):
    """One field on the wire: its bytes in hexadecimal, and what they say."""

    raw: str
    says: str


KEY = b"0123456789abcdef"
"""The key that signs L{SIGNED}."""

MINIMAL = (
    Field("6857", "magic: hW"),
    Field("01", "version 1"),
    Field("00", "flags: none"),
    Field("00000000", "key id: unsigned"),
    Field("31f53e44119ae012", "cluster: home"),
    Field("01 61", "node: a"),
    Field("0000000000000001", "session 1"),
    Field("0000000000000002", "sequence number 2"),
    Field("000186a0", "interval 0.1 s"),
    Field("00055730", "tolerance 0.35 s"),
    Field("ffffffffffffffffffffffffffffffff", "address: none"),
    Field("0000000000000000", "digest of the shared configuration"),
    Field("0000000000000000", "version of the state: it has no groups"),
    Field("0000000000000000", "sum of its records"),
    Field("0000", "claims: 0"),
    Field("00", "heard: 0"),
    Field("00", "wants: 0"),
    Field("00", "ranges: 0"),
    Field("0000", "for later releases: 0 bytes"),
)

MINIMAL_VALUE = Datagram(Header(clusterId("home"), "a", 1, 2, 0.1, 0.35, NO_ADDRESS, bytes(8)))

FULL = (
    Field("6857", "magic: hW"),
    Field("01", "version 1"),
    Field("12", "flags: eligible, reaches the witness"),
    Field("00000000", "key id: unsigned"),
    Field("31f53e44119ae012", "cluster: home"),
    Field("05 616c706861", "node: alpha"),
    Field("0000000000000005", "session 5"),
    Field("0000000000000100", "sequence number 256"),
    Field("000f4240", "interval 1 s"),
    Field("003567e0", "tolerance 3.5 s"),
    Field("00000000000000000000ffffc0000201", "address 192.0.2.1"),
    Field("1122334455667788", "digest of the shared configuration"),
    Field("0000000000000007", "version of the state: 7"),
    Field("0102030405060708", "sum of its records"),
    Field("0001", "claims: 1"),
    Field("02", "heard: 2"),
    Field("01", "wants: 1"),
    Field("02", "ranges: 2"),
    Field("04 62657461", "heard: beta"),
    Field("0000000000000003", "session 3"),
    Field("00000000000001f4", "sequence number 500"),
    Field("0003d090", "age 0.25 s"),
    Field("13", "flags: direct, lists me, has named me"),
    Field("02", "lag: I have received its packet 498"),
    Field("01", "lapses: 1"),
    Field("14", "received 20 of its last 20"),
    Field("0000000000000009", "version of its state: 9"),
    Field("0000", "claims: 0"),
    Field("05 67616d6d61", "heard: gamma"),
    Field("0000000000000002", "session 2"),
    Field("0000000000000064", "sequence number 100"),
    Field("00000001", "age 0.000001 s"),
    Field("04", "flags: behind"),
    Field("ff", "lag: none of its packets received"),
    Field("00", "lapses: 0"),
    Field("00", "received 0 of its last 20"),
    Field("000000000000000c", "version of its state: 12"),
    Field("0003", "claims: 3"),
    Field("000000000000000a", "known through 10"),
    Field("01", "want: of gamma"),
    Field("00", "from beta"),
    Field("000000000000000a", "what is above version 10"),
    Field("000000000000000c", "up to version 12"),
    Field("ff", "range: of the sender"),
    Field("0000000000000005", "its session 5"),
    Field("0000000000000004", "what is above version 4"),
    Field("0000000000000007", "up to version 7"),
    Field("0000000000000007", "newest version 7"),
    Field("01", "texts: 1"),
    Field("0003", "records: 3"),
    Field("05 6472c3a96c", "text 1: 5 bytes of UTF-8"),
    Field("03 776562", "group web"),
    Field("0065", "flags: eligible, has a claim, releasing, witness"),
    Field("02", "role ACTIVE"),
    Field("01", "fitness: degraded"),
    Field("c8", "priority 200"),
    Field("00000001", "version 5"),
    Field("0000000000000003", "highest term seen: 3"),
    Field("02", "step 2"),
    Field("05", "of 5 steps"),
    Field("01", "reason: text 1"),
    Field("0000000000000003", "claim: term 3"),
    Field("02", "claim: fitness fit"),
    Field("c8", "claim: priority 200"),
    Field("02 6462", "group db"),
    Field("019a", "flags: listening, has released, has a grant, moved, has a request"),
    Field("00", "role STANDBY"),
    Field("02", "fitness: fit"),
    Field("64", "priority 100"),
    Field("00000002", "version 6"),
    Field("0000000000000004", "highest term seen: 4"),
    Field("00", "step 0"),
    Field("00", "of 0 steps"),
    Field("00", "reason: none"),
    Field("0000000000000003", "released: term 3"),
    Field("05 67616d6d61", "released: successor gamma"),
    Field("01", "grant: to gamma, its session 2"),
    Field("0000000000000004", "grant: its term 4"),
    Field("05 67616d6d61", "request: the holder gamma"),
    Field("0000000000000002", "request: the holder's session 2"),
    Field("0000000000000004", "request: the holder's term 4"),
    Field("04 62657461", "request: to beta"),
    Field("03 6f6c64", "group old"),
    Field("0200", "flags: removed"),
    Field("000000", "nothing"),
    Field("00000003", "version 7"),
    Field("0000000000000000000000", "nothing"),
    Field("01", "range: of gamma"),
    Field("0000000000000002", "its session 2"),
    Field("0000000000000009", "what is above version 9"),
    Field("000000000000000a", "up to version 10"),
    Field("000000000000000c", "newest version 12"),
    Field("00", "texts: 0"),
    Field("0001", "records: 1"),
    Field("02 6462", "group db"),
    Field("0494", "flags: has a claim, has a grant, moved, grant by name"),
    Field("02", "role ACTIVE"),
    Field("01", "fitness: degraded"),
    Field("32", "priority 50"),
    Field("00000001", "version 10"),
    Field("0000000000000004", "highest term seen: 4"),
    Field("00", "step 0"),
    Field("00", "of 0 steps"),
    Field("00", "reason: none"),
    Field("0000000000000004", "claim: term 4"),
    Field("01", "claim: fitness degraded"),
    Field("32", "claim: priority 50"),
    Field("20010db8000000000000000000000003", "claim: address 2001:db8::3"),
    Field("05 64656c7461", "grant: to delta"),
    Field("0000000000000001", "grant: its session 1"),
    Field("0000000000000002", "grant: its term 2"),
    Field("0000", "for later releases: 0 bytes"),
)

_WEB = GroupState(
    "web",
    Role.ACTIVE,
    Fitness.DEGRADED,
    200,
    eligible=True,
    highest=3,
    claim=Claim(3, Worth(Fitness.FIT, 200, 0xFFFFC0000201, "alpha")),
    step=2,
    steps=5,
    reason="drél",
    lettingGo=True,
    witnessed=True,
)
_DB = GroupState(
    "db",
    Role.STANDBY,
    Fitness.FIT,
    100,
    listening=True,
    highest=4,
    released=Released(3, "gamma", True),
    grant=Grant("gamma", 2, 4),
    request=Request("gamma", 2, 4, "beta"),
)
_RELAYED = GroupState(
    "db",
    Role.ACTIVE,
    Fitness.DEGRADED,
    50,
    highest=4,
    claim=Claim(4, Worth(Fitness.DEGRADED, 50, 0x20010DB8 << 96 | 3, "gamma"), True),
    grant=Grant("delta", 1, 2),
)

FULL_VALUE = Datagram(
    Header(
        clusterId("home"),
        "alpha",
        5,
        256,
        1.0,
        3.5,
        0xFFFFC0000201,
        bytes.fromhex("1122334455667788"),
        7,
        0x0102030405060708,
        1,
        eligible=True,
        witnessed=True,
    ),
    (
        Listing("beta", 3, 500, 0.25, True, True, False, True, 498, 1, 20, 9, 0, 9),
        Listing("gamma", 2, 100, 0.000001, False, False, False, False, -1, 0, 0, 12, 3, 10),
    ),
    (Want("gamma", 2, "beta", 10, 12),),
    (
        Range(
            "alpha",
            5,
            4,
            7,
            7,
            (GroupRecord("web", 5, _WEB), GroupRecord("db", 6, _DB), GroupRecord("old", 7, None)),
        ),
        Range("gamma", 2, 9, 10, 12, (GroupRecord("db", 10, _RELAYED),)),
    ),
)

SIGNED = (
    *MINIMAL[:3],
    Field("60429e93", "key id, derived from the key"),
    *MINIMAL[4:],
    Field(
        "f99cee6f9c48ce7d86ee5727e4c2af597f54335834be6e214a9b3328694d35bf",
        "signature: HMAC-SHA256 of all before it (made with openssl dgst -hmac)",
    ),
)


def toBytes(fields: tuple[Field, ...]) -> bytes:
    """The datagram that these fields make."""
    return bytes.fromhex("".join(field.raw for field in fields))
