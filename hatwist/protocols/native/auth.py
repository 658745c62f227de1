"""
Who may speak: signatures, key ids and the replay rule.

A signed datagram is followed by the 32 bytes of HMAC-SHA256 (RFC 2104) over all of it. The key id inside is derived
from the key, so that nobody has to number keys and two may be accepted during a change.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable

from hatwist.core.errors import BadPacket
from hatwist.protocols.native.datagram import MAX_SEQ, Datagram, Header
from hatwist.protocols.native.decoding import decode
from hatwist.protocols.native.encoding import encode
from hatwist.protocols.native.layout import MIN_SIZE, clusterOf, keyIdOf

SIGNATURE_SIZE = 32
UNSIGNED = b"\0\0\0\0"
WINDOW = 256
"""By how many packets one may be overtaken; what was overtaken by more counts as a copy."""
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

    def seal(self, datagram: Datagram) -> bytes:
        """The bytes of a datagram, signed if there is a key."""
        data = encode(datagram, self.signs)
        if not self._macs:
            return data
        return data + self._sign(self.signs, data)

    def open(self, raw: bytes, cluster: bytes | None = None) -> Datagram:
        """
        The datagram in these bytes; nothing of it is believed before its signature holds.

        @param cluster: drop what says it is of another cluster before any signature is computed.
        @raise BadPacket: see L{hatwist.core.errors.REASONS}.
        """
        signer = keyIdOf(raw)
        if cluster is not None and clusterOf(raw) != cluster:
            raise BadPacket("cluster")
        if not self._macs:
            if signer != UNSIGNED:
                raise BadPacket("unknown-key", "signed, but no key is configured here")
            return decode(raw, looked=True)
        if signer == UNSIGNED:
            raise BadPacket("unsigned")
        if signer not in self._macs:
            raise BadPacket("unknown-key", signer.hex())
        if len(raw) < MIN_SIZE + SIGNATURE_SIZE:
            raise BadPacket("truncated")
        data, signature = raw[:-SIGNATURE_SIZE], raw[-SIGNATURE_SIZE:]
        if not hmac.compare_digest(self._sign(signer, data), signature):
            raise BadPacket("signature")
        return decode(data, looked=True)

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
    Which packets of every sender have come on every link: what came before is a copy.

    A packet that was overtaken is let through once, for the records in it: they are numbered, so that it does not
    matter when they come. Each link counts for itself, since one packet travels on all of them.
    """

    def __init__(self) -> None:
        # The newest stamp, and a bit for it and for each of those before it.
        self._newest: dict[tuple[str, str], tuple[tuple[int, int], int]] = {}
        self._sessions: dict[str, int] = {}

    def newest(self, name: str) -> tuple[int, int]:
        """The greatest stamp of a sender, on whichever link."""
        return max(stamp for (sender, _), (stamp, _) in self._newest.items() if sender == name)

    def accept(self, header: Header, link: str) -> bool:
        """
        Note a packet. Is it the newest on its link?

        @raise BadPacket: C{replayed}; C{repeated} for a copy of a guard's goodbye, which is said several times.
        """
        name, session, seq = header.name, header.session, header.seq
        known, seen = self._newest.get((name, link), ((-1, -1), 0))
        if session < self._sessions.get(name, 0):
            raise BadPacket("replayed")
        if (session, seq) > known:
            ahead = seq - known[1] if session == known[0] else WINDOW
            seen = ((seen << min(ahead, WINDOW)) | 1) & (1 << WINDOW) - 1
            self._sessions[name] = session
            self._newest[(name, link)] = ((session, seq), seen)
            return True
        behind = known[1] - seq
        if session < known[0] or behind >= WINDOW or seen >> behind & 1:
            copy = seq == MAX_SEQ and (session, seq) == known
            raise BadPacket("repeated" if copy else "replayed")
        self._newest[(name, link)] = (known, seen | 1 << behind)
        return False
