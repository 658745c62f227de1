"""What the judge's probe makes of the kernel's messages."""

from __future__ import annotations

import socket
import struct

from twisted.trial.unittest import SynchronousTestCase

from hatwist.lab.eyes import (
    IFA_ADDRESS,
    IFA_LOCAL,
    NLMSG_DONE,
    RTM_DELADDR,
    RTM_GETADDR,
    RTM_NEWADDR,
    HostAddresses,
    addressOf,
)


def attribute(kind: int, data: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(data), kind) + data + bytes(-len(data) % 4)


def message(kind: int, address: str = "") -> bytes:
    body = b""
    if address:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        packed = socket.inet_pton(family, address)
        body = struct.pack("=BBBBi", family, 24, 0, 0, 2) + attribute(IFA_ADDRESS, packed)
    return struct.pack("=IHHII", 16 + len(body), kind, 0, 0, 0) + body


class AddressOfTests(SynchronousTestCase):
    """The address in a message."""

    def test_local(self) -> None:
        """On a point-to-point interface the address is ours, not the peer's."""
        body = (
            struct.pack("=BBBBi", socket.AF_INET, 32, 0, 0, 2)
            + attribute(IFA_ADDRESS, socket.inet_aton("10.0.0.2"))
            + attribute(IFA_LOCAL, socket.inet_aton("10.0.0.1"))
        )
        self.assertEqual(addressOf(body), "10.0.0.1")

    def test_ipv6(self) -> None:
        """IPv6 has only the one attribute."""
        self.assertEqual(addressOf(message(RTM_NEWADDR, "fd99::1")[16:]), "fd99::1")


class AddressesTests(SynchronousTestCase):
    """What one host holds."""

    def setUp(self) -> None:
        self.kernel, ours = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(self.kernel.close)
        self.addresses = HostAddresses("alpha", ours.detach())
        self.addCleanup(self.addresses.socket.close)

    def said(self, *messages: bytes) -> list[tuple[str, str, str]]:
        changes: list[tuple[str, str, str]] = []
        self.kernel.send(b"".join(messages))
        self.assertTrue(self.addresses.read(changes))
        return changes

    def test_asksFirst(self) -> None:
        """At the start it asks for what is there already."""
        self.assertEqual(struct.unpack_from("=IHHII", self.kernel.recv(99))[1], RTM_GETADDR)

    def test_comesAndGoes(self) -> None:
        """An address that comes and goes is two changes; another word of the same is none."""
        self.assertEqual(
            self.said(
                message(NLMSG_DONE),
                message(RTM_NEWADDR, "10.0.0.1"),
                message(RTM_NEWADDR, "10.0.0.1"),
                message(RTM_DELADDR, "10.0.0.1"),
                message(RTM_DELADDR, "10.0.0.1"),
            ),
            [("alpha", "+", "10.0.0.1"), ("alpha", "-", "10.0.0.1")],
        )

    def test_missedChanges(self) -> None:
        """After lost events a new dump shows what came and what went meanwhile."""
        self.said(
            message(RTM_NEWADDR, "10.0.0.1"), message(RTM_NEWADDR, "10.0.0.2"), message(NLMSG_DONE)
        )
        self.addresses.dump()
        self.assertEqual(
            self.said(
                message(RTM_NEWADDR, "10.0.0.2"),
                message(RTM_NEWADDR, "10.0.0.3"),
                message(NLMSG_DONE),
            ),
            [("alpha", "+", "10.0.0.3"), ("alpha", "-", "10.0.0.1")],
        )

    def test_oneDumpAtATime(self) -> None:
        """Events lost during a dump start another one after it, not within it."""
        self.kernel.recv(99)
        self.addresses.again = True
        self.said(message(RTM_NEWADDR, "10.0.0.1"))
        self.kernel.setblocking(False)
        self.assertRaises(BlockingIOError, self.kernel.recv, 99)
        self.said(message(NLMSG_DONE))
        self.assertEqual(struct.unpack_from("=IHHII", self.kernel.recv(99))[1], RTM_GETADDR)
