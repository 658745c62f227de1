"""
Which names a browser may call this host by, where only programs of this host can reach it.

A page of a stranger can have his name lead to 127.0.0.1 (DNS rebinding), and then read what is answered there; the
request says by which name it was asked.
"""

from __future__ import annotations

import socket
from ipaddress import ip_address

EVERYBODY = b"/health/"
"""Paths below it are for load balancers, who ask in the name of what they balance."""


def strange(path: bytes, host: str | None, here: str) -> bool:
    """
    @param host: the header of that name, if there was one: programs of old send none, and browsers always do.
    @param here: the address of this end of the connection, or C{""} where it has none.
    """
    if host is None or path.startswith(EVERYBODY) or not _loopback(here):
        return False
    name = _name(host)
    # A name without a dot is nobody's in the DNS.
    return not (
        _address(name)
        or "." not in name
        or name.endswith(".localhost")
        or name == socket.gethostname().lower()
    )


def _name(host: str) -> str:
    """Without its port, and as names are compared."""
    name = host.strip().lower()
    if name.startswith("["):
        return name[1:].partition("]")[0]
    return name.partition(":")[0].rstrip(".")


def _address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _loopback(here: str) -> bool:
    return bool(here) and _address(here) and ip_address(here).is_loopback
