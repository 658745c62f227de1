"""Tests for C{wire}, C{encoding} and C{decoding} of L{hatwist.protocols.native}."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hatwist.core.claims import MAX_SESSION, MAX_TERM, Claim, Grant, Released, Role
from hatwist.core.errors import REASONS, BadPacket
from hatwist.core.worth import NO_ADDRESS, Fitness, Worth
from hatwist.protocols.native.datagram import (
    MAX_SEQ,
    GroupState,
    Heard,
    HeardGroup,
    Heartbeat,
    Request,
    clusterId,
)
from hatwist.protocols.native.decoding import decode
from hatwist.protocols.native.encoding import encode
from hatwist.protocols.native.layout import keyIdOf
from tests import vectors

MINIMAL = vectors.toBytes(vectors.MINIMAL)
FULL = vectors.toBytes(vectors.FULL)
REQUEST = FULL[-29:]

names = st.text("abcXYZ019._-", min_size=1, max_size=63)
sixtyFour = st.integers(0, MAX_SEQ)
sessions = st.integers(0, MAX_SESSION)
terms = st.integers(1, MAX_TERM)
addresses = st.integers(0, NO_ADDRESS)
priorities = st.integers(0, 254)
fitnesses = st.sampled_from(Fitness)
microseconds = st.integers(1, 0xFFFFFFFE)
reasons = st.text(max_size=80).filter(lambda text: len(text.encode()) <= 255)
requests = st.none() | st.builds(Request, names, sessions, terms, names | st.just(""))
grants = st.none() | st.builds(Grant, names, sessions, terms)


@st.composite
def claims(draw: st.DrawFn, role: Role, address: int, name: str) -> Claim | None:
    if role not in (Role.ACTIVE, Role.ASKING):
        return None
    worth = Worth(draw(fitnesses), draw(priorities), address, name)
    return Claim(draw(terms), worth, draw(st.booleans()))


@st.composite
def releases(draw: st.DrawFn, claim: Claim | None) -> Released | None:
    if draw(st.booleans()):
        return None
    # Beside a claim nobody is told whether an earlier release was a move.
    moved = claim is None and draw(st.booleans())
    return Released(draw(terms), draw(names | st.just("")), moved)


@st.composite
def groupStates(draw: st.DrawFn, name: str, address: int, sender: str) -> GroupState:
    role = draw(st.sampled_from(Role))
    claim = draw(claims(role, address, sender))
    return GroupState(
        name,
        role,
        draw(fitnesses),
        draw(priorities),
        draw(st.booleans()),
        draw(st.booleans()),
        draw(st.integers(0, MAX_TERM)),
        claim,
        draw(releases(claim)),
        draw(grants),
        draw(st.integers(0, 255)),
        draw(st.integers(0, 255)),
        draw(reasons),
        draw(st.booleans()),
        draw(st.booleans()),
        draw(requests),
    )


@st.composite
def heards(draw: st.DrawFn, groups: list[str]) -> Heard:
    name = draw(names)
    known = []
    for group in draw(st.lists(st.sampled_from(groups), unique=True)) if groups else []:
        role = draw(st.sampled_from(Role))
        claim = draw(claims(role, draw(addresses), name))
        release = draw(releases(claim))
        known.append(HeardGroup(group, role, claim, release, draw(st.booleans())))
    return Heard(
        name,
        draw(sessions),
        draw(sixtyFour),
        draw(st.integers(0, 0xFFFFFFFF)) / 1_000_000,
        draw(st.booleans()),
        draw(st.booleans()),
        draw(st.integers(0, 20)),
        tuple(known),
        draw(st.booleans()),
        draw(st.booleans()),
        tuple(sorted({*groups} - {group.name for group in known})) if draw(st.booleans()) else (),
        draw(st.integers(0, 255)),
    )


@st.composite
def heartbeats(draw: st.DrawFn) -> Heartbeat:
    sender, address = draw(names), draw(addresses)
    interval = draw(microseconds)
    tolerance = draw(st.integers(interval + 1, 0xFFFFFFFF))
    groups = draw(st.lists(names, unique=True, max_size=3))
    return Heartbeat(
        draw(st.binary(min_size=8, max_size=8)),
        sender,
        draw(sessions),
        draw(sixtyFour),
        interval / 1_000_000,
        tolerance / 1_000_000,
        address,
        draw(st.binary(min_size=8, max_size=8)),
        tuple([draw(groupStates(name, address, sender)) for name in groups]),
        tuple(draw(st.lists(heards(groups), max_size=3))),
        draw(st.booleans()),
    )


def flips(data: bytes) -> Iterator[bytes]:
    """Every datagram that differs from this one in one bit."""
    for at in range(len(data)):
        for bit in range(8):
            yield data[:at] + bytes((data[at] ^ 1 << bit,)) + data[at + 1 :]


class GoldenTests(SynchronousTestCase):
    """The bytes on the wire are the documented ones."""

    def test_encodes(self) -> None:
        """A heartbeat becomes the golden bytes."""
        self.assertEqual(encode(vectors.MINIMAL_VALUE).hex(), MINIMAL.hex())
        self.assertEqual(encode(vectors.FULL_VALUE).hex(), FULL.hex())

    def test_decodes(self) -> None:
        """The golden bytes become the heartbeat."""
        self.assertEqual(decode(MINIMAL), vectors.MINIMAL_VALUE)
        self.assertEqual(decode(FULL), vectors.FULL_VALUE)

    def test_cluster(self) -> None:
        """A cluster's eight bytes are the first of a SHA-256, so that any program can find them."""
        self.assertEqual(clusterId("home").hex(), "31f53e44119ae012")

    def test_keyIdOf(self) -> None:
        """The key id can be read before anything else is believed."""
        self.assertEqual(keyIdOf(vectors.toBytes(vectors.SIGNED)).hex(), "60429e93")


class RoundTripTests(SynchronousTestCase):
    """What is encoded is what is decoded."""

    @settings(deadline=None)
    @given(heartbeats())
    def test_everyField(self, beat: Heartbeat) -> None:
        """Every field of every heartbeat survives the wire."""
        self.assertEqual(decode(encode(beat)), beat)

    def test_foreignGroupLeftOut(self) -> None:
        """What is heard of a group that this node does not have is not told: it has no index."""
        beat = vectors.MINIMAL_VALUE._replace(
            heard=(Heard("b", 1, 1, 0.0, True, True, 20, (HeardGroup("x", Role.SHUTDOWN),)),)
        )
        self.assertEqual(decode(encode(beat)).heard[0].groups, ())

    def test_ageStaysInItsPlace(self) -> None:
        """An age that no longer fits is told as the greatest, a negative one as none."""
        for age, told in ((5000.0, 0xFFFFFFFF / 1_000_000), (-1.0, 0.0)):
            beat = vectors.MINIMAL_VALUE._replace(heard=(Heard("b", 1, 1, age, True, True, 20),))
            self.assertEqual(decode(encode(beat)).heard[0].age, told)

    def test_longReasonCut(self) -> None:
        """A reason is cut at 255 bytes, never within a character."""
        group = GroupState("g", Role.STANDBY, Fitness.FIT, 1, reason="ü" * 200)
        beat = vectors.MINIMAL_VALUE._replace(groups=(group,))
        self.assertEqual(decode(encode(beat)).groups[0].reason, "ü" * 127)

    def test_reasonOfBytes(self) -> None:
        """A reason that names a file of no valid UTF-8, as Python has such names, keeps no heartbeat from leaving."""
        reason = "cannot write /var/lib/h" + b"\xfc".decode(errors="surrogateescape")
        group = GroupState("g", Role.STANDBY, Fitness.FIT, 1, reason=reason)
        beat = vectors.MINIMAL_VALUE._replace(groups=(group,))
        self.assertEqual(decode(encode(beat)).groups[0].reason, "cannot write /var/lib/h?")

    def test_outOfRange(self) -> None:
        """A field that does not fit its place is refused, never sent as something else."""
        minimal = vectors.MINIMAL_VALUE
        for wrong in (
            minimal._replace(session=MAX_SEQ + 1),
            minimal._replace(seq=-1),
            minimal._replace(interval=5000.0),
            minimal._replace(address=NO_ADDRESS + 1),
            minimal._replace(name="n" * 64),
            minimal._replace(name="bücher"),
            minimal._replace(cluster=b"short"),
            minimal._replace(digest=bytes(9)),
            minimal._replace(groups=(GroupState("g", Role.STANDBY, Fitness.FIT, 256),)),
        ):
            self.assertRaises(ValueError, encode, wrong)

    def test_tooLarge(self) -> None:
        """More than one datagram holds is refused."""
        heard = tuple([Heard(f"{n:063}", 1, 1, 0.0, True, True, 20) for n in range(800)])
        self.assertRaises(ValueError, encode, vectors.MINIMAL_VALUE._replace(heard=heard))


class BadBytesTests(SynchronousTestCase):
    """Bytes are a heartbeat or are refused for a reason that can be counted, and nothing else."""

    def assertRefused(self, data: bytes, reason: str) -> None:
        self.assertEqual(self.assertRaises(BadPacket, decode, data).reason, reason)

    def decodesOrRefuses(self, data: bytes) -> bool:
        try:
            self.assertIsInstance(decode(data), Heartbeat)
        except BadPacket as e:
            self.assertIn(e.reason, REASONS)
            return False
        return True

    def test_everyTruncation(self) -> None:
        """Every part of a packet that misses its end is called truncated."""
        for data in (MINIMAL, FULL):
            for size in range(len(data)):
                self.assertRefused(data[:size], "truncated")

    def test_everyFlippedBit(self) -> None:
        """A packet with any one bit flipped decodes or is refused."""
        for data in (MINIMAL, FULL):
            outcomes = {self.decodesOrRefuses(flipped) for flipped in flips(data)}
            self.assertEqual(outcomes, {True, False})

    @settings(deadline=None)
    @given(st.binary(max_size=300))
    def test_anyBytes(self, data: bytes) -> None:
        """Any bytes whatever decode or are refused."""
        self.decodesOrRefuses(data)
        self.decodesOrRefuses(FULL[:16] + data)

    @settings(deadline=None)
    @given(heartbeats(), st.data())
    def test_damaged(self, beat: Heartbeat, data: st.DataObject) -> None:
        """Any heartbeat with a few bytes changed decodes or is refused."""
        damaged = bytearray(encode(beat))
        for _ in range(data.draw(st.integers(1, 4))):
            damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
        self.decodesOrRefuses(bytes(damaged))

    def test_trailing(self) -> None:
        """A packet longer than its fields say is refused."""
        self.assertRefused(MINIMAL + b"\0", "trailing")

    def test_magic(self) -> None:
        """What does not begin as a heartbeat is not taken for one, however short it is."""
        self.assertRefused(b"XX" + MINIMAL[2:], "magic")
        self.assertRefused(b"G", "magic")
        self.assertRefused(b"", "truncated")
        self.assertRefused(b"h", "truncated")

    def test_otherVersion(self) -> None:
        """Another version is refused by its number, before its fields are looked at."""
        for version in (0, 2, 255):
            self.assertRefused(MINIMAL[:2] + bytes((version,)) + MINIMAL[3:40], "version")

    def test_extensionsSkipped(self) -> None:
        """Fields that a later release of this version appends are skipped."""
        later = MINIMAL[:-2] + b"\x00\x06\xff\x00\x03new"
        self.assertEqual(decode(later), vectors.MINIMAL_VALUE)
        self.assertRefused(later[:-1], "truncated")

    def test_extensionsGrow(self) -> None:
        """What a later release appends to a request is skipped as well."""
        self.assertEqual(decode(self.extended(REQUEST + b"new")), vectors.FULL_VALUE)

    def test_extensionsMalformed(self) -> None:
        """An extension longer or shorter than it says, or a request that is none, is refused."""
        for content in (
            b"\0\2" + REQUEST[2:],  # a group index that there is not
            REQUEST[:2] + b"\xff" * 8 + REQUEST[10:],  # a session that has none after it
            REQUEST[:10] + bytes(8) + REQUEST[18:],  # term 0
            REQUEST[:10] + b"\xff" * 8 + REQUEST[18:],  # too high a term
            REQUEST[:18] + b"\0" + REQUEST[24:],  # no holder
            REQUEST[:-4] + b"b ta",  # to no name
        ):
            self.assertRefused(self.extended(content), "malformed")
        self.assertRefused(MINIMAL[:-2] + b"\x00\x06\xff\x00\x04new", "malformed")
        self.assertRefused(MINIMAL[:-2] + b"\x00\x03\x01\x00\x00", "truncated")
        self.assertRefused(self.extended(REQUEST[:-1]), "truncated")
        twice = (b"\x01\x00" + bytes((len(REQUEST),)) + REQUEST) * 2
        self.assertRefused(FULL[:-34] + b"\x00" + bytes((len(twice),)) + twice, "malformed")

    def extended(self, content: bytes) -> bytes:
        """The full packet with another content of its request."""
        head = b"\x01" + len(content).to_bytes(2, "big")
        return FULL[:-34] + (3 + len(content)).to_bytes(2, "big") + head + content

    def test_reservedIgnored(self) -> None:
        """Flags that are not known may be anything: a later release may use them."""
        self.assertEqual(decode(MINIMAL[:3] + b"\xfe" + MINIMAL[4:]), vectors.MINIMAL_VALUE)
        at = FULL.index(b"\x04beta") + 5 + 20
        self.assertEqual(FULL[at], 0x0B)
        self.assertEqual(decode(FULL[:at] + b"\xfb" + FULL[at + 1 :]), vectors.FULL_VALUE)

    def test_malformed(self) -> None:
        """Every field out of its range is refused as malformed."""
        web, db, gamma = (
            FULL.index(b"\x03web"),
            FULL.index(b"\x02db"),
            FULL.rindex(b"\x05gamma", 0, -34),
        )
        heardDb = gamma + 6 + 25  # name, then the fixed fields of a heard node
        grant = db + 37  # after the release and the name voted for
        for at, raw in (
            (17, b"\xff"),  # the node's name: not of the allowed letters
            (22, b"\xff" * 8),  # a session that has none after it
            (22, b"\x40" + bytes(6) + b"\x01"),  # the least of those
            (38, b"\0\0\0\0"),  # an interval of 0
            (42, b"\0\0\0\1"),  # a tolerance below the interval
            (web + 1, b"w b"),  # a group's name
            (web + 5, b"\x04"),  # a role that does not exist
            (web + 5, b"\x00"),  # STANDBY with a claim
            (web + 6, b"\x03"),  # a fitness that does not exist
            (web + 7, b"\xff"),  # priority 255
            (web + 8, b"\xff" * 8),  # highest term
            (web + 18, bytes(8)),  # a claim of term 0
            (web + 18, b"\x40" + bytes(6) + b"\x01"),  # a claim above the highest term there is
            (web + 26, b"\x03"),  # a claim's fitness
            (web + 27, b"\xff"),  # a claim's priority
            (web + 32, b"\xff"),  # a reason that is not UTF-8
            (db + 17, bytes(8)),  # a release of term 0
            (db + 4, b"\x02"),  # ACTIVE without a claim
            (grant, b"\xff" * 8),  # the session of a vote
            (grant + 8, bytes(8)),  # its term: 0
            (grant + 8, b"\xff" * 8),  # its term: too high
            (gamma + 6, b"\xff" * 8),  # the session of a heard node
            (gamma + 6 + 22, b"\x15"),  # received 21 of 20
            (heardDb, b"\x00\x02"),  # a group index that nobody announced
            (heardDb + 2, b"\x01\x00"),  # ASKING without a claim
        ):
            damaged = FULL[:at] + raw + FULL[at + len(raw) :]
            self.assertNotEqual(damaged, FULL)
            self.assertRefused(damaged, "malformed")

    def test_roomToGrow(self) -> None:
        """The number after any session or term that is believed can itself be sent."""
        top, highest = MAX_SESSION + 1, MAX_TERM + 1
        minimal = vectors.MINIMAL_VALUE
        worth = Worth(Fitness.FIT, 1, minimal.address, "a")
        claim, vote = Claim(highest, worth), Grant("b", top, highest)
        for group in (
            GroupState("g", Role.ACTIVE, Fitness.FIT, 1, highest=highest, claim=claim),
            GroupState("g", Role.STANDBY, Fitness.FIT, 1, released=Released(highest, "")),
            GroupState("g", Role.STANDBY, Fitness.FIT, 1, grant=vote),
        ):
            encode(minimal._replace(groups=(group,)))
        encode(minimal._replace(session=top, heard=(Heard("b", top, 1, 0.0, True, True, 20),)))
        kept = minimal._replace(session=MAX_SESSION)
        self.assertEqual(decode(encode(kept)), kept)

    def test_groupTwice(self) -> None:
        """One group told twice is refused: which of the two would count?"""
        group = GroupState("g", Role.STANDBY, Fitness.FIT, 100)
        data = encode(vectors.MINIMAL_VALUE._replace(groups=(group, group)))
        self.assertRefused(data, "malformed")


class DocumentedTests(SynchronousTestCase):
    """docs/protocol.rst says what the code does."""

    def setUp(self) -> None:
        self.page = (Path(__file__).parents[3] / "docs" / "protocol.rst").read_text()

    def test_example(self) -> None:
        """The annotated packet of the docs is the golden one, field by field."""
        block = self.page.split(".. code-block:: text\n\n")[1].split("\n\n")[0]
        shown = [(line[3:37].rstrip(), line[38:]) for line in block.splitlines()]
        self.assertEqual(shown, [(field.raw, field.says) for field in vectors.FULL])

    def test_everyReason(self) -> None:
        """Every reason for which a datagram is refused is explained, in the order of the code."""
        explained = re.findall(r"^\| ``([a-z-]+)``", self.page, re.MULTILINE)
        self.assertEqual(explained, list(REASONS))
