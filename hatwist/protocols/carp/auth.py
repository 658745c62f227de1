"""
What CARP signs with a password: HMAC-SHA1 over version, type, vhid, the shared addresses, and a counter.

It proves that the sender knows password and addresses, and no more: advbase, advskew and demote are not signed,
and no implementation looks at the counter. Whoever hears one advertisement can send it again at any time, with
another advskew. Sources: carp_hmac_prepare in sys/netinet/ip_carp.c of OpenBSD and FreeBSD, and in src/carp.c of ucarp.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable

from hatwist.protocols.carp.packet import Address

LONGEST = 19
"""Bytes of a password that count."""
_KEY = 20
_VERSION_AND_TYPE = b"\x02\x01"


class Seal:
    """
    @param password: what is longer than L{LONGEST} bytes is cut.
    @param addresses: all that are shared, in any order.
    """

    def __init__(self, password: bytes, vhid: int, addresses: Iterable[Address]) -> None:
        key = password[:LONGEST].ljust(_KEY, b"\0")
        said = _VERSION_AND_TYPE + bytes((vhid,))
        found = sorted(set(addresses), key=lambda address: (address.version, address.packed))
        forms = [found, [address for address in found if not _leftOut(address)]]
        # FreeBSD signs with link-local addresses, OpenBSD without, and takes either.
        self._begun = [
            hmac.new(key, said + b"".join(address.packed for address in form), "sha1")
            for form in (forms if forms[0] != forms[1] else forms[:1])
        ]

    def digest(self, counter: int) -> bytes:
        """20 bytes for one packet."""
        return _finished(self._begun[0], counter)

    def verify(self, counter: int, digest: bytes) -> bool:
        """Whether its sender knew password and addresses."""
        found = [_finished(begun, counter) for begun in self._begun]
        return any(hmac.compare_digest(each, digest) for each in found)


def _leftOut(address: Address) -> bool:
    return address.version == 6 and address.is_link_local


def _finished(begun: hmac.HMAC, counter: int) -> bytes:
    signing = begun.copy()
    signing.update(counter.to_bytes(8, "big"))
    return signing.digest()
