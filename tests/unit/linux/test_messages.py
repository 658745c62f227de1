"""What is written by struct is what pyroute2 encodes, byte for byte: L{hatwist.linux.netlink.messages}."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hatwist.linux.netlink.classes import ifaddrmsg
from hatwist.linux.netlink.messages import (
    AF_INET,
    AF_INET6,
    FOREVER,
    IFA_F_NODAD,
    IFA_PROTO_HATWIST,
    RTM_DELADDR,
    RTM_NEWADDR,
    Address,
    encodeAdd,
    encodeDelete,
    lasting,
)

ADDRESSES = st.one_of(
    st.tuples(st.builds(IPv4Address, st.integers(0, 2**32 - 1)), st.integers(0, 32)),
    st.tuples(st.builds(IPv6Address, st.integers(0, 2**128 - 1)), st.integers(0, 128)),
)
INDEXES = st.integers(1, 2**31 - 1)


def peer(
    kind: int, how: int, address: Address, prefix: int, index: int, flags: int, *more: Any
) -> bytes:
    """By pyroute2, padded as the kernel wants messages that are sent together."""
    message = ifaddrmsg()
    message["family"] = AF_INET if address.version == 4 else AF_INET6
    message["prefixlen"], message["flags"], message["index"] = prefix, flags, index
    message["attrs"] = [("IFA_LOCAL", str(address)), ("IFA_ADDRESS", str(address)), *more]
    header = message["header"]
    header["type"], header["flags"], header["sequence_number"], header["pid"] = kind, how, 0, 0
    message.encode()
    data = bytes(message.data)
    data += bytes(-len(data) % 4)
    return len(data).to_bytes(4, "little") + data[4:]


class EncodingTests(SynchronousTestCase):
    """Addresses come and go."""

    @given(ADDRESSES, INDEXES, st.sampled_from((None, "eth0:1", "a", "a-long-name:456")))
    def test_add(self, where: tuple[Address, int], index: int, label: str | None) -> None:
        """One that is added, or renewed, for ever."""
        address, prefix = where
        more: list[Any] = []
        if address.version == 4:
            if prefix < 31:
                broadcast = IPv4Address(int(address) | (1 << (32 - prefix)) - 1)
                more.append(("IFA_BROADCAST", str(broadcast)))
            if label is not None:
                more.append(("IFA_LABEL", label))
        more.append(("IFA_PROTO", IFA_PROTO_HATWIST))
        if prefix == address.max_prefixlen:
            times = {"ifa_preferred": 0, "ifa_valid": FOREVER, "cstamp": 0, "tstamp": 0}
            more.append(("IFA_CACHEINFO", times))
        flags = 0 if address.version == 4 else IFA_F_NODAD
        self.assertEqual(
            encodeAdd(address, prefix, index, label),
            peer(RTM_NEWADDR, 0x1 | 0x4 | 0x100 | 0x400, address, prefix, index, flags, *more),
        )

    @given(ADDRESSES, INDEXES)
    def test_delete(self, where: tuple[Address, int], index: int) -> None:
        """One that is deleted."""
        self.assertEqual(
            encodeDelete(*where, index), peer(RTM_DELADDR, 0x1 | 0x4, *where, index, 0)
        )

    @given(ADDRESSES, INDEXES, st.integers(1, FOREVER), st.integers(1, FOREVER))
    def test_lasting(self, where: tuple[Address, int], index: int, one: int, two: int) -> None:
        """One that is renewed for another time is as if it had been encoded with that."""
        self.assertEqual(
            lasting(encodeAdd(*where, index, validLft=one), two),
            encodeAdd(*where, index, validLft=two),
        )
