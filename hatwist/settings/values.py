"""The settings of one node as frozen values."""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import IPv4Address
from math import inf

from hatwist.checks.check import CheckSpec
from hatwist.core.electorate import Quorum
from hatwist.core.linkspec import LinkSpec, MulticastGroup
from hatwist.core.parsing import Argv
from hatwist.linux.netlink.messages import Address
from hatwist.resources.addresses.spec import AddressSpec
from hatwist.resources.kinds import ResourceSpec
from hatwist.resources.spec import TIMEOUT
from hatwist.runtime.store import DIRECTORY

GROUP = "default"
"""The name of the one group that the options of C{twistd ha} describe."""
NATIVE = "native"
"""What a group speaks that does not say."""
MULTICAST = MulticastGroup(IPv4Address("239.2.3.4"), 5555)
MIN_LEASE = 2
"""Seconds; the kernel counts in whole ones, and removes up to one second late."""
INTERVAL = 1.0
"""Seconds, where no interval is given."""
HASTE = 0.05
"""Seconds; with shorter intervals a busy host makes a node late that does not come before its other processes."""
TOLERANCE = 3.5
"""Intervals, where no tolerance is given."""
PRIORITY = 100


@dataclass(frozen=True, slots=True)
class VrrpSettings:
    """
    What a group has that speaks VRRP.

    @ivar interval: seconds between two advertisements.
    @ivar checksum: C{"pseudo-header"} or C{"message"}: what the one that is sent in version 3 by IPv4 covers.
    @ivar peers: all routers, by unicast, this one may be among them; empty: by multicast.
    @ivar hops: the least TTL or hop limit that is taken from them.
    @ivar password: of version 2; empty: none.
    @ivar sync: all groups of this name are held together, or none; C{""}: on its own.
    """

    vrid: int
    version: int = 3
    interval: float = 1.0
    checksum: str = "pseudo-header"
    peers: tuple[Address, ...] = ()
    hops: int = 255
    password: bytes = field(default=b"", repr=False)
    sync: str = ""


@dataclass(frozen=True, slots=True)
class CarpSettings:
    """
    What a group has that speaks CARP.

    @ivar password: what its packets are signed with.
    @ivar advbase: seconds; C{advskew}: parts of one, of 256.
    @ivar deadRatio: after so many C{advbase} of silence a master is taken for dead.
    """

    vhid: int
    password: bytes = field(default=b"", repr=False)
    advbase: int = 1
    advskew: int = 0
    deadRatio: int = 3


@dataclass(frozen=True, slots=True)
class GroupSettings:
    """
    What moves together.

    It speaks hatwist's own protocol, unless it has settings of another one.

    @ivar resources: in the order in which they are acquired.
    @ivar preemptDelay: seconds.
    @ivar askLimit: seconds after a holder's last word; L{inf}: without end.
    @ivar lastResort: C{"keep"} or C{"release"} where no node is fit.
    @ivar hooks: events, each with the commands that it runs.
    @ivar hookTimeout: seconds for each of these commands.
    @ivar checks: what decides whether this node is fit.
    @ivar vrrp, carp: of the protocol that it speaks; C{None}: it is another one.
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
    vrrp: VrrpSettings | None = None
    carp: CarpSettings | None = None

    @property
    def protocol(self) -> str:
        """What it speaks: C{"native"}, C{"vrrp"} or C{"carp"}."""
        return "vrrp" if self.vrrp is not None else "carp" if self.carp is not None else NATIVE

    @property
    def native(self) -> bool:
        """It speaks hatwist's own protocol."""
        return self.protocol == NATIVE

    @property
    def addresses(self) -> tuple[AddressSpec, ...]:
        return tuple(spec for spec in self.resources if isinstance(spec, AddressSpec))


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
    @ivar realtime: the process comes before ordinary ones, and its memory is locked.
    """

    interface: str
    groups: tuple[GroupSettings, ...] = (GroupSettings(),)
    node: str = ""
    cluster: str = "default"
    keys: tuple[bytes, ...] = field(default=(), repr=False)
    interval: float = INTERVAL
    tolerance: float = TOLERANCE * INTERVAL
    multicast: MulticastGroup = MULTICAST
    quorum: Quorum | None = None
    lease: int = 0
    stateDir: str = DIRECTORY
    links: tuple[LinkSpec, ...] = ()
    witness: Address | None = None
    witnessLost: str = "release"
    control: str = ""
    http: str | None = None
    realtime: bool = False

    @property
    def ways(self) -> tuple[LinkSpec, ...]:
        """The links that heartbeats travel on."""
        return self.links or (LinkSpec(self.interface),)

    @property
    def nativeGroups(self) -> tuple[GroupSettings, ...]:
        """Those that speak hatwist's own protocol."""
        return tuple(group for group in self.groups if group.native)

    @property
    def addresses(self) -> tuple[AddressSpec, ...]:
        """The addresses of all groups."""
        return tuple(spec for group in self.groups for spec in group.addresses)
