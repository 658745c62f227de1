"""A check as a configuration file describes it: exactly one kind, and how often it is asked."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from hatwist.checks.base import CheckKind
from hatwist.checks.check import CheckSpec
from hatwist.checks.http import PORTS, HttpCheck
from hatwist.checks.inside import CarrierCheck, LatenessCheck
from hatwist.checks.ping import PingCheck
from hatwist.checks.processes import ProcessCheck
from hatwist.checks.programs import CommandCheck, FileCheck, UnitCheck
from hatwist.checks.tcp import TcpCheck
from hatwist.core.table import Table, nearest
from hatwist.core.worth import Fitness
from hatwist.linux.netlink.messages import Address
from hatwist.resources.unit import unitName

EFFECTS = {"degraded": Fitness.DEGRADED, "unfit": Fitness.UNFIT}
COMMON = ("interval", "timeout", "rise", "fall", "effect")


def parseCheck(table: Table) -> CheckSpec | None:
    """
    Read one table of C{checks}; C{None} when its problems, which the table has noted, leave nothing.

    Whether the host has what the check needs is another question: L{CheckSpec.problems}.
    """
    before = len(table.problems)
    interval = table.take("interval", seconds(0.1, 86400), 2.0)
    timeout = table.take("timeout", seconds(0.01, 3600), 1.0)
    rise = table.take("rise", whole(1, 100), 2)
    fall = table.take("fall", whole(1, 100), 3)
    effect = table.take("effect", _effect, Fitness.UNFIT)
    kinds = [kind for kind in KINDS if kind in table]
    if "process" in kinds and "pidfile" in kinds:
        kinds.remove("pidfile")
    if len(kinds) != 1:
        _oneKind(table, kinds)
        return None
    what = KINDS[kinds[0]](table)
    table.end()
    if len(table.problems) > before:
        return None
    return CheckSpec(what, interval, timeout, rise, fall, effect)


def _oneKind(table: Table, kinds: list[str]) -> None:
    """Note that there is none, a misspelt one, or more than one."""
    allowed = f"allowed is exactly one of {', '.join(KINDS)}"
    others = [key for key in table.values if key not in COMMON]
    if kinds:
        table.problem(f"has more than one check, {' and '.join(kinds)}; {allowed}")
    elif not others:
        table.problem(f"does not say what is checked; {allowed}")
    for key in [] if kinds else others[:1]:
        table.problem(f"there is no such check{nearest(key, list(KINDS))}", key)


def _effect(value: object) -> Fitness:
    if not isinstance(value, str) or value not in EFFECTS:
        raise ValueError(f"allowed are {' and '.join(EFFECTS)}")
    return EFFECTS[value]


def seconds(least: float, most: float) -> Callable[[Any], float]:
    """Reads a number of seconds in these bounds."""

    def parse(value: object) -> float:
        if (
            isinstance(value, bool)
            or not isinstance(value, int | float)
            or not math.isfinite(value)
            or not least <= value <= most
        ):
            raise ValueError(f"allowed are {least:.10g} to {most:.10g} seconds")
        return float(value)

    return parse


def whole(least: int, most: int) -> Callable[[Any], int]:
    """Reads a whole number in these bounds."""

    def parse(value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise ValueError(f"allowed are whole numbers from {least} to {most}")
        return value

    return parse


def text(value: object) -> str:
    """Reads a string that is not empty."""
    if not isinstance(value, str) or not value.strip() or "\0" in value:
        raise ValueError("allowed is a text that is not empty")
    return value


def truth(value: object) -> bool:
    """Reads true or false."""
    if not isinstance(value, bool):
        raise ValueError("allowed are true and false")
    return value


def argv(value: object) -> tuple[str, ...]:
    """Reads a program with its arguments."""
    if (
        not isinstance(value, list | tuple)
        or not value
        or not all(isinstance(word, str) and "\0" not in word for word in value)
        or not value[0]
    ):
        raise ValueError('allowed is a list of texts, such as ["/usr/local/bin/check", "--all"]')
    if "/" in value[0] and not os.path.isabs(value[0]):
        raise ValueError("the program must be an absolute path, or a name that is on the PATH")
    return tuple(value)


def absolute(value: object) -> str:
    """Reads the path of a file."""
    if not os.path.isabs(text(value)):
        raise ValueError("allowed is an absolute path")
    return str(value)


_INTERFACE = re.compile(r"[^\s/]{1,15}\Z")


def interface(value: object) -> str:
    """Reads the name of an interface."""
    if not isinstance(value, str) or not _INTERFACE.match(value) or value in (".", ".."):
        raise ValueError("allowed is the name of an interface, such as eth0")
    return value


def address(value: object) -> Address:
    """Reads the address of another host."""
    try:
        found = ip_address(value if isinstance(value, str) else "")
    except ValueError:
        raise ValueError("allowed is an IP address, such as the gateway's") from None
    if found.is_multicast or found.is_unspecified or found.is_loopback:
        raise ValueError("is not the address of another host")
    return found


_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,252}[A-Za-z0-9])?\Z")
_PORT = "allowed is HOST:PORT, such as 127.0.0.1:80 or [::1]:80"


def hostPort(value: object) -> tuple[str, int]:
    """Reads HOST:PORT."""
    host, colon, port = value.rpartition(":") if isinstance(value, str) else ("", "", "")
    if not colon or not (port.isascii() and port.isdigit()) or not 0 < int(port) < 65536:
        raise ValueError(_PORT)
    return _host(host, _PORT), int(port)


def _host(host: str, sentence: str) -> str:
    if host.startswith("[") and host.endswith("]"):
        try:
            return str(ip_address(host[1:-1]))
        except ValueError:
            raise ValueError(sentence) from None
    if not _HOST.match(host):
        raise ValueError(sentence)
    return host


_URL = "allowed is a URL, such as http://127.0.0.1/ or https://www.example.com:8443/health"


def url(value: object) -> str:
    """Reads a URL of the scheme http or https."""
    if not isinstance(value, str) or not value.isascii() or not value.isprintable():
        raise ValueError(_URL)
    try:
        parts = urlsplit(value)
        port = parts.port
    except ValueError:
        raise ValueError(_URL) from None
    if parts.scheme not in PORTS or " " in value or port == 0 or not value.startswith(parts.scheme):
        raise ValueError(_URL)
    if "@" in parts.netloc:
        raise ValueError("a user in a URL would be in every log; " + _URL)
    host = parts.hostname or ""
    _host(f"[{host}]" if ":" in host else host, _URL)
    return value


def _http(table: Table) -> CheckKind:
    return HttpCheck(
        table.take("http", url),
        table.take("status", whole(100, 599), None),
        table.take("contains", text, ""),
        table.take("verify", truth, True),
    )


def _tcp(table: Table) -> CheckKind:
    host, port = table.take("tcp", hostPort, ("", 0))
    return TcpCheck(host, port)


def _process(table: Table) -> CheckKind:
    return ProcessCheck(table.take("process", text, None), table.take("pidfile", absolute, None))


KINDS: dict[str, Callable[[Table], CheckKind]] = {
    "command": lambda table: CommandCheck(table.take("command", argv, ())),
    "tcp": _tcp,
    "http": _http,
    "process": _process,
    "pidfile": _process,
    "unit": lambda table: UnitCheck(table.take("unit", unitName, "")),
    "file": lambda table: FileCheck(
        table.take("file", absolute, ""), table.take("newer", seconds(1, 86400 * 365), None)
    ),
    "ping": lambda table: PingCheck(
        table.take("ping", address), table.take("interface", interface, None)
    ),
    "carrier": lambda table: CarrierCheck(table.take("carrier", interface, "")),
    "lateness": lambda table: LatenessCheck(table.take("lateness", seconds(0.01, 60), 0.0)),
}
"""How each kind is read; the key names it and says what is asked."""
