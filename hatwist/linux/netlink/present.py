"""What the kernel has now, asked without a reactor: for a look before anything is started."""

from __future__ import annotations

import fcntl
import os
import socket
from collections.abc import Callable
from ipaddress import IPv4Address
from struct import pack
from typing import TypeVar

from hatwist.linux.netlink.messages import (
    NLMSG_DONE,
    NLMSG_ERROR,
    RTM_GETADDR,
    RTM_GETLINK,
    RTM_GETROUTE,
    KernelAddress,
    KernelLink,
    KernelRoute,
    decodeAddress,
    decodeLink,
    decodeRoute,
    encodeDump,
    errnoOf,
    numbered,
    split,
)

TIMEOUT = 2.0
"""Seconds that the kernel may take."""
SIOCGIFADDR = 0x8915
_Entry = TypeVar("_Entry")


def addressesNow() -> list[tuple[str, KernelAddress]]:
    """
    Every address with the name of its interface.

    @raise OSError: the kernel cannot be asked.
    """
    names = dict(socket.if_nameindex())
    found = _dump(RTM_GETADDR, decodeAddress)
    return [(names[entry.ifindex], entry) for entry in found if entry.ifindex in names]


def linksNow() -> list[KernelLink]:
    """
    Every interface.

    @raise OSError: the kernel cannot be asked.
    """
    return _dump(RTM_GETLINK, decodeLink)


def routesNow() -> list[KernelRoute]:
    """
    Every route.

    @raise OSError: the kernel cannot be asked.
    """
    return _dump(RTM_GETROUTE, decodeRoute)


def interfaceAddress(interface: str) -> IPv4Address | None:
    """The first IPv4 address of an interface (SIOCGIFADDR, netdevice(7)), or C{None}."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        try:
            answer = fcntl.ioctl(sock, SIOCGIFADDR, pack("16s16x8x", interface.encode()))
        except OSError:
            return None
    return IPv4Address(answer[20:24])


def _dump(kind: int, decode: Callable[[bytes], _Entry | None]) -> list[_Entry]:
    found: list[_Entry] = []
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as sock:
        sock.settimeout(TIMEOUT)
        sock.bind((0, 0))
        sock.send(numbered(encodeDump(kind), 1))
        while True:
            for message in split(sock.recv(1 << 18)):
                if message.kind in (NLMSG_DONE, NLMSG_ERROR):
                    if code := errnoOf(message.body):
                        raise OSError(code, os.strerror(code))
                    return found
                entry = decode(message.body)
                if entry is not None:
                    found.append(entry)
