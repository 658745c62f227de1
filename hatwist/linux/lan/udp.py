"""
The sockets of the links: prepared here, since Twisted's own transport cannot choose all of this.

One for each link and family, on one interface only. All share a port. Those for a group or a broadcast
say SO_REUSEADDR: each of them gets a copy. A unicast datagram goes to one socket only, so a unicast link
shares with nobody: any local user could bind a socket that is preferred, and have the heartbeats instead.
Sources: ip(7), ipv6(7), socket(7), linux/in.h, linux/in6.h, net/ipv4/udp.c (udp_lib_lport_inuse).
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from ipaddress import IPv4Address, IPv6Address
from struct import pack
from typing import Any, NamedTuple

RECEIVE_BUFFER = 1 << 20
"""Bytes; the kernel may grant less. A flood must not push the peers' heartbeats out."""
EVERYBODY = "255.255.255.255"
"""Leaves by the interface that the socket is bound to, and needs neither route nor netmask."""

# What Python's socket module does not have
_SO_RCVBUFFORCE = 33
_IP_MULTICAST_ALL = 49
_IPV6_MULTICAST_ALL = 29


class Own(NamedTuple):
    """An address of this host; C{scope} is the number of its interface if it is link-local."""

    address: str
    scope: int = 0


def indexOf(interface: str) -> int:
    """
    The number of an interface.

    @raise OSError: ENODEV, with its number, which if_nametoindex leaves out.
    """
    try:
        return socket.if_nametoindex(interface)
    except OSError:
        raise OSError(errno.ENODEV, os.strerror(errno.ENODEV), interface) from None


def openMulticast4(
    interface: str, group: IPv4Address, port: int, loop: bool = False
) -> socket.socket:
    """
    A socket that sends to and receives from an IPv4 group on one interface only, with TTL 1.

    @param loop: packets also reach other sockets of this host.
    @raise OSError: no such interface, or not permitted.
    """
    index = indexOf(interface)
    with _prepared(socket.AF_INET, interface) as sock:
        sock.setsockopt(socket.IPPROTO_IP, _IP_MULTICAST_ALL, 0)
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 1)
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_LOOP, int(loop))
        # struct ip_mreqn: group, local address, interface index
        member = pack("!4s4s", group.packed, bytes(4)) + pack("=i", index)
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, member)
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, member)
        sock.bind((str(group), port))
    return sock


def openMulticast6(
    interface: str, group: IPv6Address, port: int, loop: bool = False
) -> socket.socket:
    """
    The same for an IPv6 link-local group. The sender's address is link-local too.

    @raise OSError: no such interface, IPv6 is switched off there, or not permitted.
    """
    index = indexOf(interface)
    with _prepared(socket.AF_INET6, interface) as sock:
        with suppress(OSError):  # Linux 4.20; without, a bound group is still all that arrives
            sock.setsockopt(socket.IPPROTO_IPV6, _IPV6_MULTICAST_ALL, 0)
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 1)
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_LOOP, int(loop))
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
        # struct ipv6_mreq
        member = group.packed + pack("=i", index)
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, member)
        sock.bind((str(group), port, 0, index))
    return sock


def openBroadcast(interface: str, port: int) -> socket.socket:
    """
    A socket that sends to and receives from the limited broadcast address, with TTL 1.

    @raise OSError: no such interface, or not permitted.
    """
    with _prepared(socket.AF_INET, interface) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, 1)
        # Bound to it, the socket hears nothing else, as with a group.
        sock.bind((EVERYBODY, port))
    return sock


def openUnicast(
    interface: str, port: int, family: socket.AddressFamily, own: Own | None = None
) -> socket.socket:
    """
    A socket for peers that are named; they may be behind a router. No other socket can be bound to its
    address and port from then on, by whomever.

    @param family: AF_INET or AF_INET6.
    @param own: which address of this host, see L{ownAddress}; C{None}: all of the interface's.
    @raise OSError: no such interface, not permitted, or another socket has the port.
    """
    with _prepared(family, interface, shared=False) as sock:
        if family == socket.AF_INET:
            sock.setsockopt(socket.IPPROTO_IP, _IP_MULTICAST_ALL, 0)
        sock.bind(_at(own, port) if own is not None else ("", port))
    return sock


def ownAddress(
    interface: str, family: socket.AddressFamily, peers: Iterable[tuple[Any, ...]]
) -> Own | None:
    """
    The address of this host from which an interface reaches peers; C{None}: there is none, or not one for all.

    Peers take heartbeats from the address only to which they send their own.

    @param peers: their socket addresses. Nothing is sent.
    """
    found = set()
    for peer in peers:
        with suppress(OSError), _prepared(family, interface) as sock, sock:
            sock.connect(peer)
            address, _, *scope = sock.getsockname()
            found.add(Own(address.partition("%")[0], scope[-1] if scope else 0))
    return found.pop() if len(found) == 1 else None


def isOwn(own: Own, family: socket.AddressFamily) -> bool:
    """Whether this host still has an address."""
    with socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
        try:
            sock.bind(_at(own, 0))
        except OSError as e:
            return e.errno not in (errno.EADDRNOTAVAIL, errno.ENODEV)
    return True


def _at(own: Own, port: int) -> tuple[Any, ...]:
    return (own.address, port, 0, own.scope) if ":" in own.address else (own.address, port)


@contextmanager
def _prepared(
    family: socket.AddressFamily, interface: str, shared: bool = True
) -> Iterator[socket.socket]:
    """A socket on one interface; an error within the C{with} closes it."""
    sock = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    try:
        if shared:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, RECEIVE_BUFFER)
        except OSError:  # not root of the whole machine: up to net.core.rmem_max then
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.encode() + b"\0")
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        yield sock
    except BaseException:
        sock.close()
        raise
