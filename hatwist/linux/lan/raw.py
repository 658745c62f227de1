"""
Raw sockets for protocol 112, which VRRP and CARP share: one for each interface and family, whatever number of
routers speak by it. They need CAP_NET_RAW, and no more.

What leaves has 255 hops, and the address that its sender names: never one that the kernel chooses, which may be a
shared one, or, where an interface has lost its last one, 0.0.0.0. What arrives is told with its hops and its
destination. Sources: ip(7), ipv6(7), raw(7), RFC 3542, net/ipv4/raw.c (raw_sendmsg), net/ipv4/ip_sockglue.c
(ip_cmsg_send), net/ipv6/datagram.c (ip6_datagram_send_ctl).
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Collection, Iterable
from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address
from struct import Struct, pack
from typing import NamedTuple, Protocol

from hatwist.linux.lan import udp
from hatwist.linux.netlink.messages import (
    IFA_F_DADFAILED,
    IFA_F_TENTATIVE,
    IFA_PROTO_HATWIST,
    Address,
    KernelAddress,
)
from hatwist.linux.netlink.present import addressesNow

PROTOCOL = 112
HOPS = 255
TOS = 0xC0
"""Network control (RFC 2474), so that queues let it pass first."""
GROUPS: dict[int, Address] = {4: IPv4Address("224.0.0.18"), 6: IPv6Address("ff02::12")}
"""To whom VRRP and CARP multicast, by version of IP."""
RECEIVE_BUFFER = udp.RECEIVE_BUFFER

# What Python's socket module does not have (linux/in.h, linux/in6.h, linux/socket.h)
_IP_PKTINFO, _IP_MULTICAST_ALL, _IPV6_MULTICAST_ALL = 8, 49, 29
_SO_RCVBUFFORCE = 33
_PKTINFO4 = Struct("=i4s4s")  # struct in_pktinfo: interface, source, destination
_PKTINFO6 = Struct("=16si")  # struct in6_pktinfo: address, interface
_IP4 = Struct("!BBHHHBBH8s")  # RFC 791, section 3.1
_IP6 = Struct("!IHBB32s")  # RFC 8200, section 3
_ANCILLARY = 128
"""Bytes: in6_pktinfo and an int, each with its header, are 80."""
_STALE = 1024
"""Packets of other interfaces that may have come before the socket was bound to its own."""
_FAMILIES = {4: socket.AF_INET, 6: socket.AF_INET6}


class RawPacket(NamedTuple):
    """What has arrived, without any header of IP."""

    data: bytes
    source: Address
    hops: int
    destination: Address


class Socket(Protocol):
    """What a link needs of a socket."""

    def fileno(self) -> int: ...
    def getsockopt(self, level: int, option: int) -> int: ...
    def close(self) -> None: ...


class RawSockets(Protocol):
    """A host's raw sockets: the kernel's, or those of L{hatwist.linux.lan.memory_raw}."""

    def index(self, interface: str) -> int:
        """
        The number of an interface.

        @raise OSError: ENODEV.
        """
        ...

    def open(self, interface: str, version: int) -> Socket:
        """
        A socket for protocol 112 on one interface, by one version of IP.

        @raise OSError: no such interface, or not permitted.
        """
        ...

    def send(
        self, sock: Socket, index: int, data: bytes, source: Address, destination: Address
    ) -> None:
        """
        Send a packet, by the interface of this number.

        @raise OSError: C{EADDRNOTAVAIL}, where the host does not have C{source}, and others.
        """
        ...

    def receive(self, sock: Socket, buffer: memoryview) -> RawPacket:
        """
        The next packet that has arrived.

        @raise BlockingIOError: there is none.
        """
        ...

    def present(self) -> list[tuple[str, KernelAddress]]:
        """
        Every address of the host with the name of its interface.

        @raise OSError: the kernel cannot be asked.
        """
        ...


class KernelRawSockets:
    """L{RawSockets} of this host."""

    def index(self, interface: str) -> int:
        """See L{RawSockets.index}."""
        return udp.indexOf(interface)

    def open(self, interface: str, version: int) -> socket.socket:
        """See L{RawSockets.open}."""
        index = udp.indexOf(interface)
        kind = socket.SOCK_RAW | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
        sock = socket.socket(_FAMILIES[version], kind, PROTOCOL)
        try:
            try:
                sock.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, RECEIVE_BUFFER)
            except OSError:  # CAP_NET_ADMIN; up to net.core.rmem_max then
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
            device = interface.encode() + b"\0"
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device)
            _discard(sock)
            (_prepare4 if version == 4 else _prepare6)(sock, index)
        except BaseException:
            sock.close()
            raise
        return sock

    def send(
        self, sock: Socket, index: int, data: bytes, source: Address, destination: Address
    ) -> None:
        """See L{RawSockets.send}."""
        assert isinstance(sock, socket.socket)
        if source.version == 4:
            info = _PKTINFO4.pack(0, source.packed, bytes(4))
            control = (socket.IPPROTO_IP, _IP_PKTINFO, info)
            target: tuple[str, int] | tuple[str, int, int, int] = (str(destination), 0)
        else:
            info = _PKTINFO6.pack(source.packed, index)
            control = (socket.IPPROTO_IPV6, socket.IPV6_PKTINFO, info)
            target = (str(destination), 0, 0, index)
        try:
            sock.sendmsg([data], [control], 0, target)
        except OSError:
            # The kernel says EINVAL, ENETUNREACH or EADDRNOTAVAIL, by family and destination.
            if not _has(source, index):
                raise OSError(
                    errno.EADDRNOTAVAIL, f"{source} is no address of this host any more"
                ) from None
            raise

    def receive(self, sock: Socket, buffer: memoryview) -> RawPacket:
        """See L{RawSockets.receive}."""
        assert isinstance(sock, socket.socket)
        if sock.family == socket.AF_INET:
            size = sock.recv_into(buffer)
            start = (buffer[0] & 0xF) * 4
            data, source = bytes(buffer[start:size]), IPv4Address(bytes(buffer[12:16]))
            return RawPacket(data, source, buffer[8], IPv4Address(bytes(buffer[16:20])))
        size, controls, _, addr = sock.recvmsg_into([buffer], _ANCILLARY)
        found = {kind: value for level, kind, value in controls if level == socket.IPPROTO_IPV6}
        hops = int.from_bytes(found[socket.IPV6_HOPLIMIT], "little")
        to = IPv6Address(found[socket.IPV6_PKTINFO][:16])
        source6 = IPv6Address(addr[0].partition("%")[0])
        return RawPacket(bytes(buffer[:size]), source6, hops, to)

    def present(self) -> list[tuple[str, KernelAddress]]:
        """See L{RawSockets.present}."""
        return addressesNow()


def _prepare4(sock: socket.socket, index: int) -> None:
    ip = socket.IPPROTO_IP
    # struct ip_mreqn: group, local address, interface index
    member = pack("!4s4s", GROUPS[4].packed, bytes(4)) + pack("=i", index)
    sock.setsockopt(ip, _IP_MULTICAST_ALL, 0)
    sock.setsockopt(ip, socket.IP_TTL, HOPS)
    sock.setsockopt(ip, socket.IP_MULTICAST_TTL, HOPS)
    sock.setsockopt(ip, socket.IP_MULTICAST_LOOP, 0)
    sock.setsockopt(ip, socket.IP_TOS, TOS)
    sock.setsockopt(ip, socket.IP_MULTICAST_IF, member)
    sock.setsockopt(ip, socket.IP_ADD_MEMBERSHIP, member)


def _prepare6(sock: socket.socket, index: int) -> None:
    ip = socket.IPPROTO_IPV6
    with suppress(OSError):  # Linux 4.20
        sock.setsockopt(ip, _IPV6_MULTICAST_ALL, 0)
    sock.setsockopt(ip, socket.IPV6_UNICAST_HOPS, HOPS)
    sock.setsockopt(ip, socket.IPV6_MULTICAST_HOPS, HOPS)
    sock.setsockopt(ip, socket.IPV6_MULTICAST_LOOP, 0)
    sock.setsockopt(ip, socket.IPV6_TCLASS, TOS)
    sock.setsockopt(ip, socket.IPV6_RECVHOPLIMIT, 1)
    sock.setsockopt(ip, socket.IPV6_RECVPKTINFO, 1)
    sock.setsockopt(ip, socket.IPV6_MULTICAST_IF, index)
    # struct ipv6_mreq
    sock.setsockopt(ip, socket.IPV6_JOIN_GROUP, GROUPS[6].packed + pack("=i", index))


def _discard(sock: socket.socket) -> None:
    """What came before the socket was bound to its interface may be of any."""
    with suppress(BlockingIOError):
        for _ in range(_STALE):
            sock.recv(1)


def _has(source: Address, index: int) -> bool:
    return udp.isOwn(udp.Own(str(source), index), _FAMILIES[source.version])


def wholePacket(protocol: int, source: Address, destination: Address, data: bytes) -> bytes:
    """
    A packet with its header of IP and as many hops as L{KernelRawSockets} give it, for a socket of IPPROTO_RAW.

    The kernel fills in the length, the number and the checksum of an IPv4 header (raw(7)).
    """
    both = source.packed + destination.packed
    if source.version == 4:
        return _IP4.pack(4 << 4 | 5, TOS, 0, 0, 0, HOPS, protocol, 0, both) + data
    return _IP6.pack(6 << 28 | TOS << 20, len(data), protocol, HOPS, both) + data


def sourceOf(
    there: Iterable[tuple[str, KernelAddress]],
    interface: str,
    version: int,
    shared: Collection[Address],
    linkLocal: bool = True,
) -> Address | None:
    """
    The address of its own by which this host sends on an interface, C{None}: it has none.

    It is the first that is neither shared nor tentative, and that hatwist has not put there.

    @param there: see L{RawSockets.present}.
    @param linkLocal: of those of IPv6 one that is link-local, as VRRP has it (RFC 9568, section 5.1.2.1); else none.
    """
    for name, entry in there:
        address = entry.address
        if (
            name == interface
            and address.version == version
            and address not in shared
            and entry.proto != IFA_PROTO_HATWIST
            and not entry.flags & (IFA_F_TENTATIVE | IFA_F_DADFAILED)
            and (version == 4 or address.is_link_local == linkLocal)
        ):
            return address
    return None
