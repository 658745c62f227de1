"""Which events say nothing new of an address, told from their bytes as the kernel sends them."""

from __future__ import annotations

import struct

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hatwist.linux.netlink.messages import RTM_DELADDR, RTM_NEWADDR, RTM_NEWLINK
from hatwist.linux.netlink.repeats import Repeats

FOUR, SIX, OTHER = bytes((10, 9, 0, 1)), bytes(range(16)), bytes((10, 9, 0, 2))


def attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)


def event(
    kind: int = RTM_NEWADDR,
    address: bytes = FOUR,
    *,
    index: int = 2,
    prefix: int = 24,
    flags: int = 0,
    lasts: int = 3,
    proto: int = 72,
    sequence: int = 0,
) -> bytes:
    """As inet_fill_ifaddr and inet6_fill_ifaddr put it together: IPv4 has the times last, IPv6 has them first."""
    times = attribute(6, struct.pack("=IIII", lasts, lasts, 100 * lasts, sequence))
    said = attribute(8, struct.pack("=I", flags)), attribute(11, bytes((proto,)))
    parts = [attribute(1, address)]
    if len(address) == 4:
        parts += [attribute(2, address), attribute(3, b"eth0:ha\0"), *said, times]
    else:
        parts += [times, *said]
    family = 2 if len(address) == 4 else 10
    body = struct.pack("=BBBBI", family, prefix, flags & 0xFF, 0, index) + b"".join(parts)
    return struct.pack("=IHHII", 16 + len(body), kind, 0, sequence, sequence) + body


class RepeatsTests(SynchronousTestCase):
    """One stream of events."""

    def test_renewed(self) -> None:
        """What differs from the last event of an address only by times and numbers is a repetition."""
        for address in (FOUR, SIX):
            repeats = Repeats()
            found = [
                repeats.repeats(event(address=address, lasts=n, sequence=n)) for n in (3, 2, 5)
            ]
            self.assertEqual(found, [False, True, True])

    def test_changed(self) -> None:
        """Whatever else differs is news, and then it is what counts."""
        for address in (FOUR, SIX):
            for change in ({"flags": 0x20}, {"proto": 18}, {"index": 3}, {"prefix": 32}):
                repeats = Repeats()
                repeats.repeats(event(address=address))
                changed = [repeats.repeats(event(address=address, **change)) for _ in range(2)]
                self.assertEqual(changed, [False, True], change)

    def test_changedBack(self) -> None:
        """What is as before after it was otherwise is news as well."""
        repeats = Repeats()
        found = [repeats.repeats(event(flags=flags)) for flags in (0, 0x20, 0, 0)]
        self.assertEqual(found, [False, False, False, True])

    def test_deleted(self) -> None:
        """A deletion is never a repetition, and nothing that was said before it counts after it."""
        repeats = Repeats()
        stream = event(), event(), event(RTM_DELADDR), event(RTM_DELADDR), event(), event()
        found = [repeats.repeats(each) for each in stream]
        self.assertEqual(found, [False, True, False, False, False, True])

    def test_lost(self) -> None:
        """Where events were lost nothing counts that was said before."""
        repeats = Repeats()
        repeats.repeats(event())
        repeats.forget()
        self.assertIs(repeats.repeats(event()), False)

    def test_others(self) -> None:
        """Other addresses are others, whatever was said of the first one."""
        repeats = Repeats()
        repeats.repeats(event())
        self.assertIs(repeats.repeats(event(address=OTHER)), False)
        self.assertIs(repeats.repeats(event()), True)

    def test_notAnAddress(self) -> None:
        """Other messages, several in one datagram, and what is too short are never repetitions."""
        repeats = Repeats()
        for data in (event(RTM_NEWLINK), event() + event(), b"", event()[:40]):
            self.assertEqual([repeats.repeats(data) for _ in range(2)], [False, False])

    @given(st.binary(max_size=120))
    def test_anything(self, data: bytes) -> None:
        """No bytes are an error, and the first ones never a repetition."""
        self.assertIs(Repeats().repeats(data), False)
