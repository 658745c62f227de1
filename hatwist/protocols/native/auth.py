"""
Who may speak: signatures, key ids and the replay rule.

A signed datagram is the encoded heartbeat followed by the 32 bytes of HMAC-SHA256 (RFC 2104) over
all of it. The key id inside is derived from the key, so that nobody has to number keys and two
may be accepted during a change.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable

from hatwist.core.errors import BadPacket
from hatwist.protocols.native.decoding import decode
from hatwist.protocols.native.encoding import encode
from hatwist.protocols.native.heartbeat import MAX_SEQ, Heartbeat
from hatwist.protocols.native.wire import MIN_SIZE, clusterOf, keyIdOf

SIGNATURE_SIZE = 32
UNSIGNED = b"\0\0\0\0"
MIN_KEY_SIZE = 16
"""Bytes; a shorter key is refused where keys are read."""


class Keyring:
    """
    The keys of a cluster. Without any key, datagrams are neither signed nor checked.

    @param keys: secrets of at least L{MIN_KEY_SIZE} bytes; the first one signs, each is accepted.
    """

    def __init__(self, keys: Iterable[bytes] = ()) -> None:
        # A keyed HMAC is copied for every packet: its key schedule is done once.
        self._macs = {keyId(key): hmac.new(key, digestmod=hashlib.sha256) for key in keys}
        self.signs = next(iter(self._macs), UNSIGNED)

    def seal(self, heartbeat: Heartbeat) -> bytes:
        """The datagram of a heartbeat, signed if there is a key."""
        data = encode(heartbeat, self.signs)
        if not self._macs:
            return data
        return data + self._sign(self.signs, data)

    def open(self, datagram: bytes, cluster: bytes | None = None) -> Heartbeat:
        """
        The heartbeat of a datagram; nothing of it is believed before its signature holds.

        @param cluster: drop what says it is of another cluster before any signature is computed.
        @raise BadPacket: see L{hatwist.core.errors.REASONS}.
        """
        signer = keyIdOf(datagram)
        if cluster is not None and clusterOf(datagram) != cluster:
            raise BadPacket("cluster")
        if not self._macs:
            if signer != UNSIGNED:
                raise BadPacket("unknown-key", "signed, but no key is configured here")
            return decode(datagram)
        if signer == UNSIGNED:
            raise BadPacket("unsigned")
        if signer not in self._macs:
            raise BadPacket("unknown-key", signer.hex())
        if len(datagram) < MIN_SIZE + SIGNATURE_SIZE:
            raise BadPacket("truncated")
        data, signature = datagram[:-SIGNATURE_SIZE], datagram[-SIGNATURE_SIZE:]
        if not hmac.compare_digest(self._sign(signer, data), signature):
            raise BadPacket("signature")
        return decode(data)

    def _sign(self, signer: bytes, data: bytes) -> bytes:
        mac = self._macs[signer].copy()
        mac.update(data)
        return mac.digest()


def keyId(key: bytes) -> bytes:
    """The four bytes that name a key on the wire; never the four zeros that mean "unsigned"."""
    name = hmac.digest(key, b"hatwist key id", "sha256")[:4]
    return name if name != UNSIGNED else b"\0\0\0\1"


class ReplayWindow:
    """
    The newest stamp of every sender on every link: what is not newer was seen before.

    The window is one packet wide: a heartbeat that was overtaken says nothing that a later one did
    not. Each link counts for itself, since one heartbeat travels on all of them.
    """

    def __init__(self) -> None:
        self._newest: dict[tuple[str, str], tuple[int, int]] = {}
        self._sessions: dict[str, int] = {}

    def newest(self, name: str) -> tuple[int, int]:
        """The greatest stamp of a sender, on whichever link."""
        return max(stamp for (sender, _), stamp in self._newest.items() if sender == name)

    def accept(self, heartbeat: Heartbeat, link: str) -> None:
        """
        Note a heartbeat.

        @raise BadPacket: C{replayed}; C{repeated} for a copy of a guard's goodbye, which is said several times.
        """
        name, session = heartbeat.name, heartbeat.session
        stamp = (session, heartbeat.seq)
        if heartbeat.seq == MAX_SEQ and self._newest.get((name, link)) == stamp:
            raise BadPacket("repeated")
        if session < self._sessions.get(name, 0) or stamp <= self._newest.get(
            (name, link), (-1, -1)
        ):
            raise BadPacket("replayed")
        self._sessions[name] = session
        self._newest[(name, link)] = stamp
