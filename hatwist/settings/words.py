"""
What may stand for a value that means something in a cluster; for any other see L{hatwist.core.parsing}.

Each function raises ValueError with a sentence that says what is allowed; who calls it names key and value.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from ipaddress import IPv4Address, ip_address
from typing import Any

from hatwist.core.electorate import Quorum
from hatwist.core.linkspec import LinkSpec, MulticastGroup
from hatwist.core.parsing import Seconds, number, whole
from hatwist.linux.netlink.messages import Address
from hatwist.settings.protocols import toleranceProblem
from hatwist.settings.values import MIN_LEASE, MULTICAST

INTERVALS = Seconds(0.005, 60)
"""Between two heartbeats."""
DELAYS = Seconds(0, 86400)
"""Until a takeover that is not urgent: up to a day."""


def tolerance(interval: float) -> Callable[[Any], float]:
    """@param interval: seconds; 0: it is not known, since it is wrong."""

    def parse(value: object) -> float:
        found = number(value)
        if not 2 * interval <= found <= 600:
            raise ValueError(f"allowed are {2 * interval:g} (two intervals) to 600 seconds")
        if interval and (problem := toleranceProblem(interval, found)):
            raise ValueError(problem)
        return found

    return parse


def priority(value: object) -> int:
    found = whole(value)
    if found is None or not 0 <= found <= 254:
        raise ValueError("allowed are whole numbers from 0 to 254; the highest wins")
    return found


def link(value: object) -> LinkSpec:
    if not isinstance(value, str):
        raise ValueError('allowed is a text, such as "eth0" or "eth1,broadcast"')
    return LinkSpec.parse(value)


def quorum(names: Sequence[str], nodes: Sequence[str], members: str) -> Callable[[Any], Quorum]:
    """
    @param names: all that vote.
    @param nodes: all that are known here.
    @param members: what the setting is called that lists them.
    """

    def parse(value: object) -> Quorum:
        if len(names) < 2:
            raise ValueError(f"give the names of all nodes that vote with {members}, two at least")
        if strangers := [node for node in nodes if node not in names]:
            are = "is" if len(strangers) == 1 else "are"
            raise ValueError(
                f"{' and '.join(strangers)} {are} not among {members} {','.join(names)}"
            )
        majority = len(names) // 2 + 1
        needed = majority if value == "majority" else whole(value)
        if needed is None or not majority <= needed <= len(names):
            raise ValueError(
                f"allowed are 'majority' and {majority} to {len(names)}: "
                f"with fewer of {len(names)} votes two nodes could hold at once"
            )
        return Quorum(frozenset(names), needed)

    return parse


def witness(value: object) -> Address:
    try:
        address = ip_address(str(value))
    except ValueError:
        raise ValueError("allowed is an IP address, such as the gateway's") from None
    if address.is_multicast or address.is_unspecified or address.is_loopback:
        raise ValueError("is not the address of another host")
    return address


def host(value: object) -> Address:
    try:
        address = ip_address(str(value))
    except ValueError:
        raise ValueError("allowed is an IP address, such as 192.168.1.2") from None
    if address.is_multicast or address.is_unspecified or address.is_loopback:
        raise ValueError("is not the address of one host")
    return address


def lease(interval: float) -> Callable[[Any], int]:
    # It is renewed with the heartbeats, of which one may be lost.
    least = max(MIN_LEASE, math.ceil(2 * interval))

    def parse(value: object) -> int:
        found = whole(value)
        if found is None or (found != 0 and not least <= found <= 3600):
            raise ValueError(f"allowed are whole seconds from {least} to 3600, and 0 for none")
        return found

    return parse


def usualLease(tolerance: float) -> int:
    return max(MIN_LEASE, math.ceil(tolerance))


def multicast(value: object) -> MulticastGroup:
    host, colon, port = str(value).rpartition(":")
    try:
        address = ip_address(host if colon else port)
        number = int(port) if colon else MULTICAST.port
    except ValueError:
        raise ValueError("allowed is GROUP:PORT, such as 239.2.3.4:5555") from None
    if not isinstance(address, IPv4Address) or not address.is_multicast:
        raise ValueError(
            "the group must be an IPv4 multicast address: 224.0.0.0 to 239.255.255.255"
        )
    if not 0 < number < 65536:
        raise ValueError("allowed ports are 1 to 65535")
    return MulticastGroup(address, number)
