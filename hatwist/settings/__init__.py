"""
The settings of one node: from words to frozen values, with every problem told at once.

The same words are used by the options of C{twistd ha} and by programs that build an
L{hatwist.service.HAService} themselves.
"""

from __future__ import annotations

import hashlib
import math
import os
import re
import socket
import stat
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, ip_address
from itertools import count
from typing import TypeVar

from hatwist.auth import MIN_KEY_SIZE
from hatwist.errors import ConfigurationError
from hatwist.link import MulticastGroup
from hatwist.linkspec import LinkSpec, parseLinks
from hatwist.linux.messages import Address
from hatwist.linux.permission import mayChangeAddresses, maySendFrames
from hatwist.resources.placing import AddressSpec
from hatwist.rules import Quorum, Timing
from hatwist.store import DIRECTORY, Store

GROUP = "default"
"""The name of the one group that these settings describe."""
MULTICAST = MulticastGroup(IPv4Address("239.2.3.4"), 5555)
MIN_LEASE = 2
"""Seconds; the kernel counts in whole ones, and removes up to one second late."""
TOLERANCE = 3.5
"""Intervals, where no tolerance is given."""
_NAME = re.compile(r"[A-Za-z0-9._-]{1,63}\Z")
_ALIAS = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,14}\Z")
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Settings:
    """
    What one node needs to know.

    @ivar interface: where shared addresses are, and heartbeats are sent unless there are C{links}.
    @ivar addresses, aliases: what is shared; aliases are names for ifup, brought up before the addresses.
    @ivar keys: secrets; the first signs, each is accepted; empty: heartbeats are not signed.
    @ivar interval, tolerance, preemptDelay: seconds.
    @ivar quorum: who votes on claims; C{None}: claims take no votes.
    @ivar lease: whole seconds after which the kernel removes an address that is not renewed; 0: never.
    @ivar stateDir: where terms and votes are remembered.
    @ivar links: the ways heartbeats travel; empty: IPv4 multicast on C{interface}.
    @ivar witness: who is asked whether this node is cut off; C{None}: nobody.
    @ivar witnessLost: C{"keep"} or C{"release"} when no node reaches it.
    """

    interface: str
    addresses: tuple[AddressSpec, ...] = ()
    aliases: tuple[str, ...] = ()
    node: str = ""
    cluster: str = "default"
    keys: tuple[bytes, ...] = field(default=(), repr=False)
    priority: int = 100
    interval: float = 1.0
    tolerance: float = TOLERANCE
    multicast: MulticastGroup = MULTICAST
    preempt: bool = True
    preemptDelay: float = 0.0
    quorum: Quorum | None = None
    lease: int = 0
    stateDir: str = DIRECTORY
    links: tuple[LinkSpec, ...] = ()
    witness: Address | None = None
    witnessLost: str = "release"

    @property
    def ways(self) -> tuple[LinkSpec, ...]:
        """The links that heartbeats travel on."""
        return self.links or (LinkSpec(self.interface),)

    def digest(self) -> bytes:
        """Eight bytes over what must be the same on every node; see docs/protocol.rst."""
        shared = (
            self.cluster,
            sorted(f"{spec.address}/{spec.prefix}" for spec in self.addresses),
            self.aliases,
            f"{self.interval:.6f} {self.tolerance:.6f} {self.preempt} {self.preemptDelay:.6f}",
            (sorted(self.quorum.members), self.quorum.needed) if self.quorum is not None else None,
            self.witness is not None,
        )
        return hashlib.sha256(repr(shared).encode()).digest()[:8]


def settings(
    *,
    interface: str | None,
    address: Sequence[str] = (),
    alias: Sequence[str] = (),
    node: str | None = None,
    cluster: str = "default",
    keyFile: str | None = None,
    priority: str | int = 100,
    interval: str | float = 1.0,
    tolerance: str | float | None = None,
    multicast: str = str(MULTICAST),
    preempt: bool = True,
    preemptDelay: str | float = 0.0,
    quorum: str | int | None = None,
    members: Sequence[str] = (),
    lease: str | int | None = None,
    stateDir: str | None = None,
    link: Sequence[str] = (),
    witness: str | None = None,
    witnessLost: str = "release",
    here: bool = False,
) -> Settings:
    """
    Read settings given as words.

    @param here: they are to run on this host, now: a missing interface or permission is a problem too.
    @raise ConfigurationError: with every problem, each naming its option and what is allowed.
    """
    problems: list[str] = []

    def read(option: str, value: object, parse: Callable[[], _T], default: _T) -> _T:
        try:
            return parse()
        except ValueError as e:
            problems.append(f"--{option} {value}: {e}")
            return default

    if not interface:
        problems.append(
            "--interface is missing: the network interface for heartbeats, such as eth0"
        )
    if node is None:
        node = socket.gethostname().split(".")[0]
    addresses: list[AddressSpec] = []
    for text in address:
        spec = read("address", text, lambda text=text: AddressSpec.parse(text), None)  # type: ignore[misc]
        if spec is not None and any(spec.address == other.address for other in addresses):
            problems.append(f"--address {text}: the same address is given twice")
        elif spec is not None:
            addresses.append(spec)
    for place, name in enumerate(alias):
        if not _ALIAS.match(name):
            problems.append(f"--alias {name!r}: allowed is a name for ifup, such as eth0:1")
        elif name in alias[:place]:
            problems.append(f"--alias {name}: the same alias is given twice")
    beat = read("interval", interval, lambda: _seconds(interval, 0.005, 60), 0.0)
    wait = round(TOLERANCE * beat, 6)
    if tolerance is not None:
        wait = read("tolerance", tolerance, lambda: _tolerance(tolerance, beat), wait)
    voters = None
    if quorum is not None:
        voters = read("quorum", quorum, lambda: _quorum(quorum, members, node, problems), None)
    elif members:
        problems.append("--members goes with --quorum, such as --quorum majority")
    result = Settings(
        interface or "",
        tuple(addresses),
        tuple(alias),
        read("node", node, lambda: _name(node), ""),
        read("cluster", cluster, lambda: _name(cluster), ""),
        read("key-file", keyFile, lambda: readKeys(keyFile), ()) if keyFile is not None else (),
        read("priority", priority, lambda: _priority(priority), 100),
        beat,
        wait,
        read("multicast", multicast, lambda: _multicast(multicast), MULTICAST),
        preempt,
        read("preempt-delay", preemptDelay, lambda: _seconds(preemptDelay, 0, 86400), 0.0),
        voters,
        read("lease", lease, lambda: _lease(lease, beat, wait), 0),
        # As systemd tells it, for StateDirectory= in a unit.
        stateDir or os.environ.get("STATE_DIRECTORY", "").partition(":")[0] or DIRECTORY,
        read("link", " ".join(link), lambda: parseLinks(link), ()),
        read("witness", witness, lambda: _witness(witness), None) if witness else None,
        witnessLost,
    )
    if witnessLost not in ("keep", "release"):
        problems.append(f"--witness-lost {witnessLost}: allowed are keep and release")
    if result.witness is not None and result.quorum is not None:
        problems.append("--witness goes without --quorum: votes decide who is cut off")
    if result.witness is not None and any(a.address == result.witness for a in addresses):
        problems.append(
            f"--witness {witness}: it is a shared address, which would answer for itself"
        )
    if here:
        problems += _hostProblems(result)
    if problems:
        raise ConfigurationError(problems)
    return result


def _hostProblems(settings: Settings) -> Iterable[str]:
    """What keeps these settings from running on this host; nothing is changed."""
    known = [name for _, name in socket.if_nameindex()]
    wanted = {"--interface": [settings.interface] if settings.interface else []}
    wanted["--link"] = [spec.interface for spec in settings.links]
    wanted["--address"] = [spec.interface for spec in settings.addresses if spec.interface]
    for option, names in wanted.items():
        for name in dict.fromkeys(names):
            if name not in known:
                yield (
                    f"{option}: there is no interface {name!r} on this host; "
                    f"it has {', '.join(sorted(known)) or 'none'}"
                )
    try:
        # It opens nothing else, and starts nothing: no reactor is needed.
        Store.of(None, settings.stateDir, settings.cluster, settings.node).read()
    except OSError as e:
        yield f"--state-dir: {e.filename} cannot be read: {e.strerror}"
    except ValueError as e:
        yield f"--state-dir: {e}; remove it, and this node starts as if for the first time"
    hint = "run as root, or give the service AmbientCapabilities=CAP_NET_ADMIN CAP_NET_RAW"
    if not mayChangeAddresses():
        yield f"not permitted to change addresses (CAP_NET_ADMIN): {hint}"
    if not maySendFrames():
        yield f"not permitted to send gratuitous ARP (CAP_NET_RAW): {hint}"


def readKeys(path: str) -> tuple[bytes, ...]:
    """
    The keys in a file, one in a line; the first signs, each is accepted.

    @raise ValueError: it cannot be read, others may read or change it, or a key is too short.
    """
    try:
        # A FIFO would keep an open waiting for somebody who writes. A symbolic link is followed, since
        # secrets are often mounted as one: what counts is whose the file is.
        with open(path, "rb", opener=lambda p, flags: os.open(p, flags | os.O_NONBLOCK)) as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise ValueError("is not a regular file")
            if status.st_mode & 0o077:
                raise ValueError(
                    f"its mode is {stat.S_IMODE(status.st_mode):04o}, so that others may use the key: "
                    f"chmod 0600 {path}"
                )
            if status.st_uid not in (0, os.geteuid()):
                raise ValueError(f"it belongs to user {status.st_uid}: chown it to root")
            lines = file.read(65536).split(b"\n")
    except OSError as e:
        raise ValueError(os.strerror(e.errno or 0)) from None
    keys = tuple(dict.fromkeys(line.strip() for line in lines if line.strip()))
    if not keys:
        raise ValueError("it is empty: write a key, such as from: openssl rand -hex 32")
    for number, key in enumerate(keys, 1):
        if len(key) < MIN_KEY_SIZE:
            raise ValueError(
                f"key {number} has {len(key)} bytes; at least {MIN_KEY_SIZE} are needed"
            )
    return keys


def _name(text: str) -> str:
    if not _NAME.match(text):
        raise ValueError("allowed are 1 to 63 letters, digits, '.', '_' and '-'")
    return text


def _number(text: str | float) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise ValueError("is not a number of seconds")
    return number


def _seconds(text: str | float, least: float, most: float) -> float:
    number = _number(text)
    if not least <= number <= most:
        raise ValueError(f"allowed are {least:g} to {most:g} seconds")
    return number


def _tolerance(text: str | float, interval: float) -> float:
    number = _number(text)
    if not 2 * interval <= number <= 600:
        raise ValueError(f"allowed are {2 * interval:g} (two intervals) to 600 seconds")
    if interval and Timing(interval, number).survives() < 0:
        tries = (milliseconds / 1000 for milliseconds in count(math.ceil(number * 1000)))
        least = next(enough for enough in tries if Timing(interval, enough).survives() >= 0)
        raise ValueError(
            "a holder that lets go in time would do so between two heartbeats; "
            f"give at least {least:g} seconds"
        )
    return number


def _priority(text: str | int) -> int:
    try:
        number = int(str(text))
    except ValueError:
        number = -1
    if not 0 <= number <= 254:
        raise ValueError("allowed are whole numbers from 0 to 254; the highest wins")
    return number


def _quorum(
    text: str | int, members: Sequence[str], node: str | None, problems: list[str]
) -> Quorum:
    names = [name.strip() for entry in members for name in entry.split(",") if name.strip()]
    for name in names:
        if not _NAME.match(name):
            problems.append(
                f"--members {name!r}: allowed are 1 to 63 letters, digits, '.', '_' and '-'"
            )
    for name in sorted({name for name in names if names.count(name) > 1}):
        problems.append(f"--members {name}: the same name is given twice")
    if len(names) < 2:
        raise ValueError("give the names of all nodes that vote with --members, two at least")
    if node not in names:
        raise ValueError(f"this node, {node}, is not among --members {','.join(names)}")
    majority = len(names) // 2 + 1
    try:
        needed = majority if text == "majority" else int(str(text))
    except ValueError:
        needed = 0
    if not majority <= needed <= len(names):
        raise ValueError(
            f"allowed are 'majority' and {majority} to {len(names)}: "
            f"with fewer of {len(names)} votes two nodes could hold at once"
        )
    return Quorum(frozenset(names), needed)


def _witness(text: str | None) -> Address:
    try:
        address = ip_address(text or "")
    except ValueError:
        raise ValueError("allowed is an IP address, such as the gateway's") from None
    if address.is_multicast or address.is_unspecified or address.is_loopback:
        raise ValueError("is not the address of another host")
    return address


def _lease(text: str | int | None, interval: float, tolerance: float) -> int:
    if text is None:
        return max(MIN_LEASE, math.ceil(tolerance))
    try:
        number = int(str(text))
    except ValueError:
        number = -1
    # It is renewed with the heartbeats, of which one may be lost.
    least = max(MIN_LEASE, math.ceil(2 * interval))
    if number != 0 and not least <= number <= 3600:
        raise ValueError(f"allowed are whole seconds from {least} to 3600, and 0 for none")
    return number


def _multicast(text: str) -> MulticastGroup:
    host, colon, number = text.rpartition(":")
    try:
        address, port = (
            ip_address(host if colon else text),
            int(number) if colon else MULTICAST.port,
        )
    except ValueError:
        raise ValueError("allowed is GROUP:PORT, such as 239.2.3.4:5555") from None
    if not isinstance(address, IPv4Address) or not address.is_multicast:
        raise ValueError(
            "the group must be an IPv4 multicast address: 224.0.0.0 to 239.255.255.255"
        )
    if not 0 < port < 65536:
        raise ValueError("allowed ports are 1 to 65535")
    return MulticastGroup(address, port)
