"""What links and protocols hand to each other: datagrams, and what is known of them."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address
from typing import NamedTuple


class Packet(NamedTuple):
    """
    A datagram, as a link has read it.

    @ivar link: the name of that link.
    @ivar source: who sent it, as far as the network tells; C{None}: the protocol need not know.
    @ivar hops: how many more hops it could have gone (TTL); C{None}: the protocol need not know.
    @ivar destination: to whom it was sent, a multicast group or one host; C{None}: the protocol need not know.
    """

    data: bytes
    link: str
    source: IPv4Address | IPv6Address | None = None
    hops: int | None = None
    destination: IPv4Address | IPv6Address | None = None


class Received(NamedTuple):
    """
    What a protocol tells its driver of a packet that counts.

    @ivar sender: the name of the node.
    @ivar configuration: a digest of what it shares with the others; C{b""}: the protocol tells none.
    @ivar says: the rest, a value whose C{str} is one line for people; it is formatted only if somebody asks.
    """

    sender: str
    configuration: bytes = b""
    says: object = ""


class Outgoing(NamedTuple):
    """
    A datagram that a link is to send now.

    @ivar link: the name of that link; C{None}: every link of the protocol.
    @ivar says: as in L{Received}.
    @ivar source: by which of this host's addresses it leaves, where the datagram has a checksum of it; C{None}: any.
    @ivar destination: to whom; C{None}: to everybody on the link.
    """

    data: bytes
    link: str | None = None
    says: object = ""
    source: IPv4Address | IPv6Address | None = None
    destination: IPv4Address | IPv6Address | None = None


class Dropped(NamedTuple):
    """
    The newest packet that was dropped on one link for one reason.

    @ivar at: when, on this node's clock.
    """

    at: float
    source: str
