"""Tests for C{layout}, C{encoding} and C{decoding} of L{hatwist.protocols.native}."""

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
from hatwist.protocols.native.decoding import decode
from hatwist.protocols.native.encoding import (
    encode,
    fingerprint,
    listingSize,
    recordSize,
)
from hatwist.protocols.native.layout import MAX_VERSION, MIN_SIZE, RANGE, keyIdOf, reasonBytes
from hatwist.protocols.native.state.journal import toldOf
from tests import vectors

MINIMAL = vectors.toBytes(vectors.MINIMAL)
FULL = vectors.toBytes(vectors.FULL)

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


def flips(data: bytes) -> Iterator[bytes]:
    """Every datagram that differs from this one in one bit."""
    for at in range(len(data)):
        for bit in range(8):
            yield data[:at] + bytes((data[at] ^ 1 << bit,)) + data[at + 1 :]


versions = st.integers(0, MAX_VERSION - 1)
bytes8 = st.binary(min_size=8, max_size=8)


@st.composite
def listings(draw: st.DrawFn, name: str) -> Listing:
    seq = draw(sixtyFour)
    direct = max(-1, seq - draw(st.integers(0, 300)))
    return Listing(
        name,
        draw(sessions),
        seq,
        draw(st.integers(0, 0xFFFFFFFF)) / 1_000_000,
        draw(st.booleans()),
        draw(st.booleans()),
        draw(st.booleans()),
        draw(st.booleans()),
        direct if seq - direct < 255 else -1,
        draw(st.integers(0, 255)),
        draw(st.integers(0, 20)),
        draw(versions),
        draw(st.integers(0, 0xFFFF)),
        draw(versions),
    )


@st.composite
def bounds(draw: st.DrawFn) -> tuple[int, int]:
    start = draw(st.integers(0, MAX_VERSION - 2))
    return start, draw(st.integers(start + 1, min(start + 100, MAX_VERSION - 1)))


@st.composite
def ranges(draw: st.DrawFn, owner: str, session: int, newest: int, address: int | None) -> Range:
    """@param newest: -1: any. C{address}: of the owner; C{None}: any."""
    start, end = draw(bounds()) if newest < 0 else (draw(st.integers(0, newest - 1)), newest)
    known = draw(st.integers(end, MAX_VERSION - 1)) if newest < 0 else newest
    at = sorted(draw(st.sets(st.integers(start + 1, min(end, start + 99)), max_size=3)))
    groups = draw(st.lists(names, unique=True, min_size=len(at), max_size=len(at)))
    records = []
    for name, version in zip(groups, at, strict=True):
        its = draw(addresses) if address is None else address
        state = draw(st.none() | groupStates(name, its, owner).map(toldOf))
        records.append(GroupRecord(name, version, state))
    return Range(owner, session, start, end, known, tuple(records))


@st.composite
def datagrams(draw: st.DrawFn) -> Datagram:
    name, *others = draw(st.lists(names, unique=True, min_size=1, max_size=4))
    interval = draw(microseconds)
    header = Header(
        draw(bytes8),
        name,
        draw(sessions),
        draw(sixtyFour),
        interval / 1_000_000,
        draw(st.integers(interval + 1, 0xFFFFFFFF)) / 1_000_000,
        draw(addresses),
        draw(bytes8),
        draw(versions),
        draw(sixtyFour),
        draw(st.integers(0, 0xFFFF)),
        *[draw(st.booleans()) for _ in range(5)],
    )
    heard = tuple([draw(listings(other)) for other in others])
    wants, told = [], []
    if heard:
        for _ in range(draw(st.integers(0, 2))):
            owner = draw(st.sampled_from(heard))
            teller = draw(st.sampled_from(others))
            wants.append(Want(owner.name, owner.session, teller, *draw(bounds())))
            told.append(draw(ranges(owner.name, draw(sessions), -1, None)))
    if header.version and draw(st.booleans()):
        told.append(draw(ranges(name, header.session, header.version, header.address)))
    return Datagram(header, heard, tuple(wants), tuple(told))


class GoldenTests(SynchronousTestCase):
    """The bytes on the wire are the documented ones."""

    def test_encodes(self) -> None:
        """A datagram becomes the golden bytes."""
        self.assertEqual(encode(vectors.MINIMAL_VALUE).hex(), MINIMAL.hex())
        self.assertEqual(encode(vectors.FULL_VALUE).hex(), FULL.hex())
        self.assertEqual(len(MINIMAL), MIN_SIZE)

    def test_decodes(self) -> None:
        """The golden bytes become the datagram."""
        self.assertEqual(decode(MINIMAL), vectors.MINIMAL_VALUE)
        self.assertEqual(decode(FULL), vectors.FULL_VALUE)

    def test_fingerprint(self) -> None:
        """
        The sum of records is one that any program can compute: these are the bytes, as b2sum -l 64 reads them.
        """
        removed = GroupRecord("old", 7, None)
        self.assertEqual(f"{fingerprint(removed):016x}", "9eddfaeafe5b1848")
        web = vectors.FULL_VALUE.ranges[0].records[0]
        self.assertEqual(f"{fingerprint(web):016x}", "1fad1a7373ad23ee")

    def test_cluster(self) -> None:
        """A cluster's eight bytes are the first of a SHA-256, so that any program can find them."""
        self.assertEqual(clusterId("home").hex(), "31f53e44119ae012")

    def test_keyIdOf(self) -> None:
        """The key id can be read before anything else is believed."""
        self.assertEqual(keyIdOf(vectors.toBytes(vectors.SIGNED)).hex(), "60429e93")


class RoundTripTests(SynchronousTestCase):
    """What is encoded is what is decoded."""

    @settings(deadline=None)
    @given(datagrams())
    def test_everyField(self, datagram: Datagram) -> None:
        """Every field of every datagram survives the wire; so does the sum of its records."""
        found = decode(encode(datagram))
        self.assertEqual(found, datagram)
        for told, again in zip(datagram.ranges, found.ranges, strict=True):
            for record, other in zip(told.records, again.records, strict=True):
                self.assertEqual(fingerprint(record), fingerprint(other))

    @settings(deadline=None)
    @given(datagrams())
    def test_sizes(self, datagram: Datagram) -> None:
        """Nothing is larger than it is reckoned to be; without grants and texts it is as large."""
        header, heard, wants, told = datagram
        least = MIN_SIZE - 1 + len(header.name)
        exact = least + sum(map(listingSize, heard)) + 18 * len(wants)
        self.assertEqual(len(encode(datagram._replace(ranges=()))), exact)
        for each in told:
            size, loose = RANGE.size, False
            for record in each.records:
                size += recordSize(record.name, record.state, each.owner != header.name)
                if record.state is not None:
                    size += 1 + len(reasonBytes(record.state.reason))
                    loose |= bool(record.state.grant) or not record.state.reason
                    loose |= each.owner == header.name
                    loose |= [r.state and r.state.reason for r in each.records].count(
                        record.state.reason
                    ) > 1
            whole = len(encode(datagram._replace(wants=(), ranges=(each,))))
            real = whole - (exact - 18 * len(wants))
            self.assertTrue(real <= size if loose else real == size, (real, size, each))

    def test_reasonCut(self) -> None:
        """A reason is cut at 255 bytes, never within a character; who relays it sums it up alike."""
        state = toldOf(GroupState("g", Role.STANDBY, Fitness.FIT, 1, reason="ü" * 200))
        self.assertEqual(state.reason, "ü" * 127)
        told = Range("alpha", 5, 4, 7, 7, (GroupRecord("g", 5, state),))
        found = decode(encode(vectors.FULL_VALUE._replace(ranges=(told,))))
        self.assertEqual(found.ranges, (told,))

    def test_reasonOfBytes(self) -> None:
        """A reason that names a file of no valid UTF-8, as Python has such names, keeps no packet from leaving."""
        reason = "cannot write /var/lib/h" + b"\xfc".decode(errors="surrogateescape")
        state = toldOf(GroupState("g", Role.STANDBY, Fitness.FIT, 1, reason=reason))
        told = Range("a", 1, 0, 1, 1, (GroupRecord("g", 1, state),))
        header = vectors.MINIMAL_VALUE.header._replace(version=1)
        datagram = decode(encode(Datagram(header, (), (), (told,))))
        self.assertEqual(state.reason, "cannot write /var/lib/h?")
        self.assertEqual(datagram.ranges, (told,))

    def test_roomToGrow(self) -> None:
        """The number after any session or term that is believed can itself be sent."""
        top, highest = MAX_SESSION + 1, MAX_TERM + 1
        header = vectors.MINIMAL_VALUE.header._replace(version=1)
        claim = Claim(highest, Worth(Fitness.FIT, 1, header.address, "a"))
        for state in (
            GroupState("g", Role.ACTIVE, Fitness.FIT, 1, highest=highest, claim=claim),
            GroupState("g", Role.STANDBY, Fitness.FIT, 1, released=Released(highest, "")),
            GroupState("g", Role.STANDBY, Fitness.FIT, 1, grant=Grant("b", top, highest)),
        ):
            told = Range("a", 1, 0, 1, 1, (GroupRecord("g", 1, state),))
            encode(Datagram(header, (), (), (told,)))
        encode(Datagram(header._replace(session=top)))
        kept = Datagram(header._replace(session=MAX_SESSION))
        self.assertEqual(decode(encode(kept)), kept)

    def test_toldAgain(self) -> None:
        """A range that is told again is read once; its bytes mean something else beside other nodes heard."""
        full = vectors.FULL_VALUE
        later = full._replace(header=full.header._replace(seq=full.header.seq + 1))
        one, two = decode(encode(full)), decode(encode(later))
        self.assertEqual((one, two), (full, later))
        self.assertIs(one.ranges[0], two.ranges[0])
        beta, gamma = full.heard
        own = full.ranges[0]
        web, db, old = own.records
        assert db.state is not None
        other = full._replace(
            heard=(beta, gamma._replace(name="delta", session=9)),
            wants=(),
            ranges=(
                own._replace(
                    records=(
                        web,
                        db._replace(state=db.state._replace(grant=Grant("delta", 9, 4))),
                        old,
                    )
                ),
            ),
        )
        self.assertEqual(decode(encode(other)), other)

    def test_ageStaysInItsPlace(self) -> None:
        """An age that no longer fits is told as the greatest, a negative one as none."""
        full = vectors.FULL_VALUE
        for age, told in ((5000.0, 0xFFFFFFFF / 1_000_000), (-1.0, 0.0)):
            heard = (full.heard[0]._replace(age=age), full.heard[1])
            self.assertEqual(decode(encode(full._replace(heard=heard))).heard[0].age, told)

    def test_lag(self) -> None:
        """A packet received is told by how far it is behind the newest word, or not at all if that is too far."""
        full = vectors.FULL_VALUE
        for seq, told in ((500, 500), (246, 246), (245, -1), (501, -1), (-1, -1)):
            heard = (full.heard[0]._replace(directSeq=seq), full.heard[1])
            found = decode(encode(full._replace(heard=heard)))
            self.assertEqual(found.heard[0].directSeq, told)

    def test_outOfRange(self) -> None:
        """A field that does not fit its place is refused, never sent as something else."""
        full = vectors.FULL_VALUE
        header, heard = full.header, full.heard
        for wrong in (
            full._replace(header=header._replace(session=1 << 64)),
            full._replace(header=header._replace(seq=-1)),
            full._replace(header=header._replace(interval=5000.0)),
            full._replace(header=header._replace(name="n" * 64)),
            full._replace(header=header._replace(name="bücher")),
            full._replace(header=header._replace(cluster=b"short")),
            full._replace(header=header._replace(digest=bytes(9))),
            full._replace(header=header._replace(claims=1 << 16)),
            full._replace(heard=()),
            full._replace(heard=heard * 128),
            full._replace(wants=(Want("gamma", 3, "beta", 1, 2),)),
            full._replace(wants=(Want("gamma", 2, "delta", 1, 2),)),
            full._replace(ranges=(Range("delta", 2, 1, 2, 2),)),
        ):
            self.assertRaises(ValueError, encode, wrong)


class BadBytesTests(SynchronousTestCase):
    """Bytes are a datagram or are refused for a reason that can be counted, and nothing else."""

    def assertRefused(self, data: bytes, reason: str) -> None:
        self.assertEqual(self.assertRaises(BadPacket, decode, data).reason, reason)

    def decodesOrRefuses(self, data: bytes) -> bool:
        try:
            found = decode(data)
        except BadPacket as e:
            self.assertIn(e.reason, REASONS)
            return False
        # What is taken in can be passed on, and means the same then.
        self.assertEqual(decode(encode(found)), found)
        return True

    def test_everyTruncation(self) -> None:
        """Every part of a datagram that misses its end is called truncated."""
        for data in (MINIMAL, FULL):
            for size in range(len(data)):
                self.assertRefused(data[:size], "truncated")

    def test_everyFlippedBit(self) -> None:
        """A datagram with any one bit flipped decodes or is refused."""
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
    @given(datagrams(), st.data())
    def test_damaged(self, datagram: Datagram, data: st.DataObject) -> None:
        """Any datagram with a few bytes changed decodes or is refused."""
        damaged = bytearray(encode(datagram))
        for _ in range(data.draw(st.integers(1, 4))):
            damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
        self.decodesOrRefuses(bytes(damaged))

    def test_trailing(self) -> None:
        """A datagram longer than its fields say is refused."""
        self.assertRefused(MINIMAL + b"\0", "trailing")

    def test_laterReleases(self) -> None:
        """What a later release appends is skipped, and so are flags of header and heard that are not known."""
        self.assertEqual(decode(MINIMAL[:-1] + b"\3new"), vectors.MINIMAL_VALUE)
        self.assertRefused(MINIMAL[:-1] + b"\4new", "truncated")
        self.assertEqual(decode(MINIMAL[:3] + b"\xe0" + MINIMAL[4:]), vectors.MINIMAL_VALUE)
        at = FULL.index(b"\4beta") + 5 + 20
        self.assertEqual(FULL[at], 0x13)
        self.assertEqual(decode(FULL[:at] + b"\xf3" + FULL[at + 1 :]), vectors.FULL_VALUE)

    def test_malformed(self) -> None:
        """Every field out of its range is refused as malformed."""
        beta, gamma = FULL.index(b"\4beta"), FULL.index(b"\5gamma")
        want = gamma + 6 + 34 + 8
        own = want + 18
        text = own + 36
        web, db, old = FULL.index(b"\3web"), FULL.index(b"\2db"), FULL.index(b"\3old")
        relayed = old + 24
        other = relayed + 36 + 3
        high = b"\x40" + bytes(6) + b"\1"
        for at, raw in (
            (17, b"\xff"),  # the node's name: not of the allowed letters
            (22, high),  # a session that has none after it
            (38, bytes(4)),  # an interval of 0
            (42, b"\0\0\0\1"),  # a tolerance below the interval
            (70, b"\x40"),  # a version above the highest
            (beta + 5, high),  # the session of a heard node
            (beta + 28, b"\x15"),  # received 21 of 20
            (beta + 29, b"\x40"),  # the version of a heard node
            (gamma + 6 + 21, b"\x65"),  # a lag below its first packet
            (gamma + 6 + 34, b"\x40"),  # known through more than there can be
            (want, b"\2"),  # the owner of a want
            (want + 1, b"\2"),  # its teller
            (want + 9, b"\x0c"),  # nothing is wanted
            (want + 10, b"\x40"),  # more than there can be
            (own, b"\2"),  # the owner of a range
            (own + 8, b"\4"),  # another session of the sender
            (own + 16, b"\7"),  # a range of nothing
            (own + 24, b"\6"),  # records above its end
            (own + 24, b"\x08"),  # it ends above the newest
            (own + 32, b"\x08"),  # not as of this packet
            (text + 3, b"\xff"),  # a text that is not UTF-8
            (web + 1, b"w b"),  # a group's name
            (web + 4, b"\x08"),  # a flag that nobody knows
            (web + 4, b"\4\x65"),  # a grant by name that there is not
            (web + 6, b"\4"),  # a role that does not exist
            (web + 6, b"\0"),  # STANDBY with a claim
            (web + 7, b"\3"),  # a fitness that does not exist
            (web + 8, b"\xff"),  # priority 255
            (web + 12, b"\0"),  # not above the beginning
            (web + 13, high),  # highest term
            (web + 23, b"\2"),  # a text that there is not
            (web + 24, bytes(8)),  # a claim of term 0
            (web + 24, high),  # a claim above the highest term there is
            (web + 32, b"\3"),  # a claim's fitness
            (web + 33, b"\xff"),  # a claim's priority
            (db + 3, b"\1\x82"),  # moved, with neither claim nor release
            (db + 5, b"\2"),  # ACTIVE without a claim
            (db + 11, b"\1"),  # a version twice
            (db + 23, bytes(8)),  # a release of term 0
            (db + 37, b"\2"),  # a grant to nobody
            (db + 38, bytes(8)),  # its term: 0
            (db + 38, high),  # its term: too high
            (db + 46, b"\0"),  # a request to no holder
            (db + 52, high),  # its session
            (db + 60, bytes(8)),  # its term
            (old + 4, b"\2\1"),  # removed, and eligible
            (old + 6, b"\1"),  # removed, with a role
            (old + 13, b"\1"),  # removed, with a highest term
            (relayed, b"\2"),  # the owner of a relayed range
            (relayed + 1, high),  # its session
            (other + 46 + 6, high),  # the session of a grant by name
        ):
            damaged = FULL[:at] + raw + FULL[at + len(raw) :]
            self.assertNotEqual(damaged, FULL, at)
            self.assertRefused(damaged, "malformed")

    def test_twice(self) -> None:
        """A node twice in heard and a group twice in a range are refused: which of the two would count?"""
        full = vectors.FULL_VALUE
        self.assertRefused(
            encode(full._replace(heard=full.heard[:1] * 2, wants=(), ranges=())), "malformed"
        )
        web = full.ranges[0].records[0]
        told = full.ranges[0]._replace(records=(web, web._replace(version=6)))
        self.assertRefused(encode(full._replace(ranges=(told,))), "malformed")

    def test_otherVersion(self) -> None:
        """Another version is refused by its number, and other traffic by its first bytes."""
        self.assertRefused(MINIMAL[:2] + b"\2" + MINIMAL[3:40], "version")
        self.assertRefused(b"XX" + MINIMAL[2:], "magic")


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
