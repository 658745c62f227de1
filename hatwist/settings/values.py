"""The settings of one node as frozen values."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from itertools import groupby
from math import inf
from typing import NamedTuple

from hatwist.checks.check import CheckSpec
from hatwist.core.electorate import Quorum
from hatwist.core.linkspec import LinkSpec, MulticastGroup
from hatwist.linux.netlink.messages import Address
from hatwist.resources.addresses.placing import AddressSpec
from hatwist.runtime.store import DIRECTORY

GROUP = "default"
"""The name of the one group that the options of C{twistd ha} describe."""
MULTICAST = MulticastGroup(IPv4Address("239.2.3.4"), 5555)
MIN_LEASE = 2
"""Seconds; the kernel counts in whole ones, and removes up to one second late."""
TOLERANCE = 3.5
"""Intervals, where no tolerance is given."""
TIMEOUT = 10.0
"""Seconds that a command or an alias may take each way."""
UNIT_TIMEOUT = 30.0
PRIORITY = 100
Argv = tuple[str, ...]


class AliasSpec(NamedTuple):
    """A name for ifup and ifdown."""

    alias: str
    timeout: float = TIMEOUT

    def __str__(self) -> str:
        return f"alias {self.alias}"


class InterfaceSpec(NamedTuple):
    """An interface that is up where the group is."""

    interface: str

    def __str__(self) -> str:
        return f"interface {self.interface}"


class CommandSpec(NamedTuple):
    """A program to start and one to stop; C{check} says with 0 that it is held."""

    command: Argv
    undo: Argv
    check: Argv | None = None
    timeout: float = TIMEOUT

    def __str__(self) -> str:
        return f"command {' '.join(self.command)}"


class UnitSpec(NamedTuple):
    """A systemd unit that runs where the group is."""

    unit: str
    timeout: float = UNIT_TIMEOUT

    def __str__(self) -> str:
        return f"unit {self.unit}"


ResourceSpec = AddressSpec | AliasSpec | InterfaceSpec | CommandSpec | UnitSpec


@dataclass(frozen=True, slots=True)
class GroupSettings:
    """
    What moves together.

    @ivar resources: in the order in which they are acquired.
    @ivar preemptDelay: seconds.
    @ivar askLimit: seconds after a holder's last word; L{inf}: without end.
    @ivar lastResort: C{"keep"} or C{"release"} where no node is fit.
    @ivar hooks: events, each with the commands that it runs.
    @ivar hookTimeout: seconds for each of these commands.
    @ivar checks: what decides whether this node is fit.
    """

    name: str = GROUP
    resources: tuple[ResourceSpec, ...] = ()
    priority: int = PRIORITY
    preempt: bool = True
    preemptDelay: float = 0.0
    lastResort: str = "release"
    hooks: tuple[tuple[str, tuple[Argv, ...]], ...] = ()
    checks: tuple[CheckSpec, ...] = ()
    askLimit: float = inf
    hookTimeout: float = TIMEOUT

    @property
    def addresses(self) -> tuple[AddressSpec, ...]:
        return tuple(spec for spec in self.resources if isinstance(spec, AddressSpec))

    def shared(self) -> object:
        """What must be the same on every node: all but the priority, and where an address goes."""
        return (
            self.name,
            list(self._sharedResources()),
            f"{self.preempt} {self.preemptDelay:.6f} {self.lastResort}"
            + (f" {self.askLimit:.6f}" if self.askLimit < inf else ""),
            self.hooks,
            self.checks,
        )

    def _sharedResources(self) -> Iterator[object]:
        """Addresses that follow each other are acquired as one."""
        for addresses, specs in groupby(self.resources, lambda s: isinstance(s, AddressSpec)):
            if addresses:
                yield sorted(f"{spec.address}/{spec.prefix}" for spec in specs)  # type: ignore[union-attr]
            else:
                yield from map(repr, specs)


@dataclass(frozen=True, slots=True)
class Settings:
    """
    What one node needs to know.

    @ivar interface: where shared addresses are, and heartbeats are sent unless there are C{links}.
    @ivar groups: what is shared, and moves independently; at least one.
    @ivar keys: secrets; the first signs, each is accepted; empty: heartbeats are not signed.
    @ivar interval, tolerance: seconds.
    @ivar quorum: who votes on claims; C{None}: claims take no votes.
    @ivar lease: whole seconds after which the kernel removes an address that is not renewed; 0: never.
    @ivar stateDir: where terms and votes are remembered.
    @ivar links: the ways heartbeats travel; empty: IPv4 multicast on C{interface}.
    @ivar witness: who is asked whether this node is cut off; C{None}: nobody.
    @ivar witnessLost: C{"keep"} or C{"release"} when no node reaches it.
    @ivar control: path of the control socket; C{""}: the usual one; C{"none"}: there is none.
    @ivar http: the endpoint of the web pages, as Twisted describes one; C{None}: there are none.
    """

    interface: str
    groups: tuple[GroupSettings, ...] = (GroupSettings(),)
    node: str = ""
    cluster: str = "default"
    keys: tuple[bytes, ...] = field(default=(), repr=False)
    interval: float = 1.0
    tolerance: float = TOLERANCE
    multicast: MulticastGroup = MULTICAST
    quorum: Quorum | None = None
    lease: int = 0
    stateDir: str = DIRECTORY
    links: tuple[LinkSpec, ...] = ()
    witness: Address | None = None
    witnessLost: str = "release"
    control: str = ""
    http: str | None = None

    @property
    def ways(self) -> tuple[LinkSpec, ...]:
        """The links that heartbeats travel on."""
        return self.links or (LinkSpec(self.interface),)

    @property
    def addresses(self) -> tuple[AddressSpec, ...]:
        """The addresses of all groups."""
        return tuple(spec for group in self.groups for spec in group.addresses)

    def digest(self) -> bytes:
        """Eight bytes over what must be the same on every node; see docs/protocol.rst."""
        shared = (
            self.cluster,
            sorted((group.shared() for group in self.groups), key=repr),
            f"{self.interval:.6f} {self.tolerance:.6f}",
            (sorted(self.quorum.members), self.quorum.needed) if self.quorum is not None else None,
            self.witness is not None,
        )
        return hashlib.sha256(repr(shared).encode()).digest()[:8]
