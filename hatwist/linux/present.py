"""The addresses that the kernel has now, asked without a reactor: for a look before anything is started."""

from __future__ import annotations

import socket

from hatwist.linux.messages import (
    NLMSG_DONE,
    NLMSG_ERROR,
    RTM_GETADDR,
    KernelAddress,
    decodeAddress,
    encodeDump,
    numbered,
    split,
)

TIMEOUT = 2.0
"""Seconds that the kernel may take."""


def addressesNow() -> list[tuple[str, KernelAddress]]:
    """
    Every address with the name of its interface.

    @raise OSError: the kernel cannot be asked.
    """
    names = dict(socket.if_nameindex())
    found: list[tuple[str, KernelAddress]] = []
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as sock:
        sock.settimeout(TIMEOUT)
        sock.bind((0, 0))
        sock.send(numbered(encodeDump(RTM_GETADDR), 1))
        while True:
            for message in split(sock.recv(1 << 18)):
                if message.kind in (NLMSG_DONE, NLMSG_ERROR):
                    return found
                entry = decodeAddress(message.body)
                if entry is not None and entry.ifindex in names:
                    found.append((names[entry.ifindex], entry))
