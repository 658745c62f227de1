"""Tests for L{hatwist.protocols.native.auth}."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hatwist.core.errors import BadPacket
from hatwist.protocols.native.auth import UNSIGNED, WINDOW, Keyring, ReplayWindow, keyId
from hatwist.protocols.native.datagram import MAX_SEQ, Header
from hatwist.protocols.native.encoding import encode
from tests import vectors
from tests.unit.native.test_wire import flips

BEAT = vectors.MINIMAL_VALUE
OTHER = b"another key of more than 16 bytes"
SIGNED = vectors.toBytes(vectors.SIGNED)
PLAIN = vectors.toBytes(vectors.MINIMAL)


def beat(session: int, seq: int, name: str = "a") -> Header:
    return BEAT.header._replace(name=name, session=session, seq=seq)


class KeyringTests(SynchronousTestCase):
    """Only who has a key of the cluster is listened to."""

    def assertRefused(self, keyring: Keyring, datagram: bytes, reason: str) -> None:
        self.assertEqual(self.assertRaises(BadPacket, keyring.open, datagram).reason, reason)

    def test_golden(self) -> None:
        """A signed heartbeat is the golden datagram, both ways."""
        keyring = Keyring([vectors.KEY])
        self.assertEqual(keyring.seal(BEAT).hex(), SIGNED.hex())
        self.assertEqual(keyring.open(SIGNED), BEAT)

    def test_everyTruncation(self) -> None:
        """A signed datagram that misses its end is refused."""
        keyring = Keyring([vectors.KEY])
        for size in range(len(SIGNED)):
            error = self.assertRaises(BadPacket, keyring.open, SIGNED[:size])
            self.assertIn(error.reason, ("truncated", "signature"))

    def test_otherCluster(self) -> None:
        """With a cluster given, what names another is dropped before its signature is looked at."""
        keyring = Keyring([vectors.KEY])
        spoilt = SIGNED[:-1] + bytes((SIGNED[-1] ^ 1,))
        for datagram in (SIGNED, spoilt):
            error = self.assertRaises(BadPacket, keyring.open, datagram, b"another!")
            self.assertEqual(error.reason, "cluster")
        self.assertEqual(keyring.open(SIGNED, BEAT.header.cluster), BEAT)
        error = self.assertRaises(BadPacket, keyring.open, spoilt, BEAT.header.cluster)
        self.assertEqual(error.reason, "signature")

    def test_tooShort(self) -> None:
        """What cannot hold a heartbeat and a signature is dropped before one is computed."""
        self.assertRefused(Keyring([vectors.KEY]), SIGNED[:100], "truncated")

    def test_everyFlippedBit(self) -> None:
        """No bit of a signed datagram can be changed."""
        keyring = Keyring([vectors.KEY])
        reasons = set()
        for flipped in flips(SIGNED):
            reasons.add(self.assertRaises(BadPacket, keyring.open, flipped).reason)
        self.assertEqual(reasons, {"magic", "version", "unknown-key", "signature"})

    @settings(deadline=None)
    @given(st.binary(max_size=200))
    def test_anyBytes(self, data: bytes) -> None:
        """Any bytes whatever are refused, also those that name the key."""
        keyring = Keyring([vectors.KEY])
        self.assertRaises(BadPacket, keyring.open, data)
        self.assertRaises(BadPacket, keyring.open, SIGNED[:16] + data)

    def test_appended(self) -> None:
        """Bytes behind the signature spoil it."""
        self.assertRefused(Keyring([vectors.KEY]), SIGNED + b"\0", "signature")

    def test_wrongKey(self) -> None:
        """A signature made with another key, under this key's id, does not match."""
        forged = Keyring([OTHER]).seal(BEAT)
        renamed = encode(BEAT, keyId(vectors.KEY)) + forged[-32:]
        self.assertRefused(Keyring([vectors.KEY]), renamed, "signature")

    def test_unknownKey(self) -> None:
        """A key that is not configured is called unknown, and named in the log."""
        error = self.assertRaises(BadPacket, Keyring([OTHER]).open, SIGNED)
        self.assertEqual(error.reason, "unknown-key")
        self.assertIn("60429e93", str(error))

    def test_unsignedWithKey(self) -> None:
        """Where a key is set, an unsigned datagram is refused, with or without bytes behind it."""
        self.assertRefused(Keyring([vectors.KEY]), PLAIN, "unsigned")
        self.assertRefused(Keyring([vectors.KEY]), PLAIN + SIGNED[-32:], "unsigned")

    def test_signedWithoutKey(self) -> None:
        """Where no key is set, a signed datagram is refused: half a cluster must not be signed."""
        self.assertRefused(Keyring(), SIGNED, "unknown-key")

    def test_withoutKeys(self) -> None:
        """Without keys datagrams go unsigned."""
        self.assertEqual(Keyring().seal(BEAT), PLAIN)
        self.assertEqual(Keyring().open(PLAIN), BEAT)

    def test_rotation(self) -> None:
        """While keys change, both are accepted and the first one signs."""
        old, new = Keyring([vectors.KEY]), Keyring([OTHER])
        changing = Keyring([OTHER, vectors.KEY])
        self.assertEqual(changing.open(old.seal(BEAT)), BEAT)
        self.assertEqual(changing.open(new.seal(BEAT)), BEAT)
        self.assertEqual(changing.seal(BEAT), new.seal(BEAT))
        self.assertRefused(old, changing.seal(BEAT), "unknown-key")

    def test_keyId(self) -> None:
        """A key's id follows from the key, tells nothing of it, and never means "unsigned"."""
        self.assertEqual(keyId(vectors.KEY).hex(), "60429e93")
        self.assertNotEqual(keyId(OTHER), keyId(vectors.KEY))
        self.assertNotIn(keyId(vectors.KEY), vectors.KEY)
        self.assertNotEqual(keyId(vectors.KEY), UNSIGNED)


class ReplayTests(SynchronousTestCase):
    """A packet counts once, on each link, and never after a newer one."""

    def setUp(self) -> None:
        self.window = ReplayWindow()

    def assertReplayed(self, header: Header, link: str = "eth0") -> None:
        error = self.assertRaises(BadPacket, self.window.accept, header, link)
        self.assertEqual(error.reason, "replayed")

    def test_sameAgain(self) -> None:
        """The same packet again is refused, also after a newer one."""
        self.window.accept(beat(1, 5), "eth0")
        self.assertReplayed(beat(1, 5))
        self.window.accept(beat(1, 6), "eth0")
        self.assertReplayed(beat(1, 5))

    def test_goodbyeAgain(self) -> None:
        """Further copies of a guard's goodbye have a reason of their own; an old session's do not."""
        self.window.accept(beat(1, MAX_SEQ), "eth0")
        for _ in range(2):
            error = self.assertRaises(BadPacket, self.window.accept, beat(1, MAX_SEQ), "eth0")
            self.assertEqual(error.reason, "repeated")
        self.assertReplayed(beat(1, 7))
        self.assertTrue(self.window.accept(beat(2, 1), "eth0"))
        self.assertReplayed(beat(1, MAX_SEQ))

    def test_overtaken(self) -> None:
        """A packet that was overtaken counts once, as one that is not the newest; too late it counts no more."""
        self.assertTrue(self.window.accept(beat(1, 1), "eth0"))
        self.assertTrue(self.window.accept(beat(1, 9), "eth0"))
        self.assertFalse(self.window.accept(beat(1, 8), "eth0"))
        self.assertReplayed(beat(1, 8))
        self.assertTrue(self.window.accept(beat(1, 9 + WINDOW), "eth0"))
        self.assertReplayed(beat(1, 9))
        self.assertFalse(self.window.accept(beat(1, 10), "eth0"))

    def test_eachLink(self) -> None:
        """One heartbeat travels on every link: each counts for itself."""
        self.window.accept(beat(1, 5), "eth0")
        self.window.accept(beat(1, 5), "eth1")
        self.assertReplayed(beat(1, 5), "eth1")
        self.window.accept(beat(1, 4), "eth2")

    def test_restart(self) -> None:
        """A restart counts from its beginning, and ends the earlier one on every link."""
        self.window.accept(beat(1, 500), "eth0")
        self.window.accept(beat(2, 1), "eth0")
        self.assertReplayed(beat(1, 501), "eth0")
        self.assertReplayed(beat(1, 501), "eth1")

    def test_eachNode(self) -> None:
        """Each node counts for itself."""
        self.window.accept(beat(3, 7), "eth0")
        self.window.accept(beat(1, 1, "b"), "eth0")
        self.assertReplayed(beat(3, 7))

    def test_zeros(self) -> None:
        """The least stamp there is counts once."""
        self.window.accept(beat(0, 0), "eth0")
        self.assertReplayed(beat(0, 0))

    @given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 5)), max_size=30))
    def test_once(self, stamps: list[tuple[int, int]]) -> None:
        """On one link, each packet counts once, and none of a session that has ended."""
        window, seen, newest = ReplayWindow(), set(), (-1, -1)
        for stamp in stamps:
            if stamp in seen or stamp[0] < newest[0]:
                self.assertRaises(BadPacket, window.accept, beat(*stamp), "eth0")
            else:
                self.assertEqual(window.accept(beat(*stamp), "eth0"), stamp > newest)
                seen.add(stamp)
                newest = max(newest, stamp)
