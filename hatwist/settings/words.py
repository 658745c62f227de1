"""
What may stand for a value, in an option or in a file.

Each function raises ValueError with a sentence that says what is allowed; who calls it names key and value.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from ipaddress import IPv4Address, ip_address
from itertools import count
from typing import Any

from hatwist.core.electorate import Quorum
from hatwist.core.linkspec import MulticastGroup
from hatwist.linux.netlink.messages import Address
from hatwist.protocols.native.rules import Timing
from hatwist.settings.values import MIN_LEASE, MULTICAST, Argv

_NAME = re.compile(r"[A-Za-z0-9._-]{1,63}\Z")
_ALIAS = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,14}\Z")
NAMES = "allowed are 1 to 63 letters, digits, '.', '_' and '-'"


def text(value: object) -> str:
    """Any text but none."""
    if not isinstance(value, str) or not value:
        raise ValueError("allowed is a text")
    return value


def name(value: object) -> str:
    if not isinstance(value, str) or not _NAME.match(value):
        raise ValueError(NAMES)
    return value


def alias(value: object) -> str:
    if not isinstance(value, str) or not _ALIAS.match(value):
        raise ValueError("allowed is a name for ifup, such as eth0:1")
    return value


def interface(value: object) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= 15 or set(value) & set("/: \t\n"):
        raise ValueError("allowed is the name of a network interface, such as eth0")
    return value


def argv(value: object) -> Argv:
    """A program and its arguments."""
    if (
        not isinstance(value, list | tuple)
        or not value
        or not all(isinstance(word, str) and "\0" not in word for word in value)
        or not value[0]
    ):
        raise ValueError(
            'allowed is a program and its arguments in brackets, such as ["mount", "/srv"]; no shell reads them'
        )
    return tuple(value)


def argvs(value: object) -> tuple[Argv, ...]:
    """One program with its arguments, or several."""
    if isinstance(value, list) and value and all(isinstance(item, list) for item in value):
        return tuple(argv(item) for item in value)
    return (argv(value),)


def boolean(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError("allowed are true and false")
    return value


def choice(*allowed: str) -> Callable[[Any], str]:
    def parse(value: object) -> str:
        if value not in allowed:
            raise ValueError(f"allowed are {' and '.join(allowed)}")
        return str(value)

    return parse


def number(value: object) -> float:
    try:
        found = math.nan if isinstance(value, bool) else float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        found = math.nan
    if not math.isfinite(found):
        raise ValueError("is not a number of seconds")
    return found


def seconds(least: float, most: float) -> Callable[[Any], float]:
    def parse(value: object) -> float:
        found = number(value)
        if not least <= found <= most:
            raise ValueError(f"allowed are {least:g} to {most:g} seconds")
        return found

    return parse


def whole(value: object) -> int | None:
    """A whole number, or None for what is none."""
    try:
        return None if isinstance(value, bool) else int(str(value))
    except ValueError:
        return None


def tolerance(interval: float) -> Callable[[Any], float]:
    def parse(value: object) -> float:
        found = number(value)
        if not 2 * interval <= found <= 600:
            raise ValueError(f"allowed are {2 * interval:g} (two intervals) to 600 seconds")
        if interval and Timing(interval, found).survives() < 0:
            tries = (milliseconds / 1000 for milliseconds in count(math.ceil(found * 1000)))
            least = next(enough for enough in tries if Timing(interval, enough).survives() >= 0)
            raise ValueError(
                "a holder that releases in time would do so between two heartbeats; "
                f"give at least {least:g} seconds"
            )
        return found

    return parse


def priority(value: object) -> int:
    found = whole(value)
    if found is None or not 0 <= found <= 254:
        raise ValueError("allowed are whole numbers from 0 to 254; the highest wins")
    return found


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
