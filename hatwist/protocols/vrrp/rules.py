"""What the routers of a node are configured with, and what is wrong with it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from hatwist.protocols.vrrp.packet import (
    GROUPS,
    HOPS,
    MAX_INTERVAL,
    OWNER,
    PASSWORD,
    Address,
    Checksum,
)
from hatwist.protocols.vrrp.timing import SLOTS, Beat

MAX_ADDRESSES = {4: 255, 6: 90}
"""As many as the count can say, and as fit into one packet of 1,500 bytes."""


class RouterRules(NamedTuple):
    """
    One virtual router: a group of addresses of one version of IP on one interface.

    @ivar name: of the group.
    @ivar link: the name of the link by which it speaks, of one interface and one version of IP.
    @ivar addresses: what is kept alive; for IPv6 one of them should be link-local.
    @ivar source: this host's own address there, which is sent from and decides between equal priorities, for IPv6
        link-local; only an owner's may be shared; C{None}: it has none now, and does not take part.
    @ivar priority: 1 to 254.
    @ivar owner: the interface has the addresses anyway: its priority is 255.
    @ivar interval: seconds; in version 2 whole ones, in version 3 hundredths.
    @ivar preemptDelay: seconds for which a master of a lower priority is left alone.
    @ivar peers: the others, by unicast, and nobody else; none: by multicast.
    @ivar hops: the least TTL or hop limit that is taken; fewer than 255 with C{peers} only.
    @ivar password: eight bytes of version 2 at most, which everybody on the network can read.
    @ivar checksum: what is sent in version 3 by IPv4. Both are understood.
    @ivar sync: all of this name are held together, or none; C{""}: on its own.
    @ivar guardable: the guard can release all that the group has, and then resigns for it.
    """

    name: str
    link: str
    vrid: int
    addresses: tuple[Address, ...]
    source: Address | None
    priority: int = 100
    owner: bool = False
    version: int = 3
    interval: float = 1.0
    preempt: bool = True
    preemptDelay: float = 0.0
    peers: tuple[Address, ...] = ()
    hops: int = HOPS
    password: bytes = b""
    checksum: Checksum = Checksum.PSEUDO_HEADER
    sync: str = ""
    guardable: bool = True

    @property
    def family(self) -> int:
        """The version of IP, 4 or 6."""
        return self.addresses[0].version

    @property
    def rank(self) -> int:
        """The priority as others are told."""
        return OWNER if self.owner else self.priority

    @property
    def key(self) -> tuple[str, int]:
        """What a packet is for: its link, and the VRID in it."""
        return self.link, self.vrid

    @property
    def identity(self) -> tuple[str, int, int, int]:
        """What stays the same for as long as it runs."""
        return self.link, self.vrid, self.family, self.version

    @property
    def auth(self) -> bytes | None:
        """What stands in a packet; C{None}: it has no password."""
        return self.password.ljust(PASSWORD, b"\0") if self.password else None

    @property
    def destinations(self) -> tuple[Address, ...]:
        """To whom it is sent."""
        return self.peers or (GROUPS[self.family],)

    @property
    def beat(self) -> Beat:
        """When it advertises."""
        return Beat(self.interval, self.vrid % SLOTS)


class VrrpRules(NamedTuple):
    """
    The routers of a node.

    @ivar release: how long the slowest release takes, in seconds; C{None}: what addresses take.
    """

    cluster: str
    name: str
    routers: tuple[RouterRules, ...] = ()
    release: float | None = None


def problems(routers: Iterable[RouterRules]) -> Iterator[str]:
    """What is wrong with these routers: a sentence for each, which names the group, the key and what is allowed."""
    listed = list(routers)
    for rules in listed:
        for problem in _ofOne(rules):
            yield f"{rules.name}: {problem}"
    for key, count in Counter(rules.key for rules in listed).items():
        if count > 1:
            names = ", ".join(rules.name for rules in listed if rules.key == key)
            yield f"{names}: the vrid {key[1]} is given {count} times on {key[0]}; each needs its own"


def _ofOne(rules: RouterRules) -> Iterator[str]:
    if not 1 <= rules.vrid <= 255:
        yield f"vrid {rules.vrid}: allowed are 1 to 255"
    if rules.version not in MAX_INTERVAL:
        yield f"version {rules.version}: allowed are 2 and 3"
        return
    if not 1 <= rules.priority <= 254:
        yield (
            f"priority {rules.priority}: allowed are 1 to 254; 255 is that of the owner, whose interface has the "
            "addresses anyway"
        )
    yield from _interval(rules)
    yield from _addresses(rules)
    if rules.version == 3 and rules.password:
        yield "auth_pass: version 3 has no password; it goes with version = 2"
    if len(rules.password) > PASSWORD:
        yield f"auth_pass of {len(rules.password)} bytes: allowed are {PASSWORD}"
    if not 1 <= rules.hops <= HOPS or (rules.hops < HOPS and not rules.peers):
        yield f"a TTL of {rules.hops}: allowed are 1 to 255 with unicast peers, and 255 without"


def _interval(rules: RouterRules) -> Iterator[str]:
    unit, most = (1.0, MAX_INTERVAL[2]) if rules.version == 2 else (0.01, MAX_INTERVAL[3])
    steps = rules.interval / unit
    if not unit <= rules.interval <= most or abs(steps - round(steps)) > 1e-9 * steps:
        yield (
            f"advertisement_interval {rules.interval:g}: allowed are {unit:g} to {most:g} seconds in steps of "
            f"{unit:g} with version {rules.version}"
        )


def _addresses(rules: RouterRules) -> Iterator[str]:
    if not rules.addresses:
        yield "no address: a virtual router has at least one"
        return
    family, most = rules.family, MAX_ADDRESSES[rules.family]
    if len(rules.addresses) > most:
        yield f"{len(rules.addresses)} addresses: allowed are {most} of IPv{family}"
    if rules.version == 2 and family == 6:
        yield "version 2 with IPv6 addresses: version 3 has them"
    given = [*rules.addresses, *rules.peers, *filter(None, [rules.source])]
    for address in sorted({str(each) for each in given if each.version != family}):
        yield f"{address}: a virtual router is of one version of IP, here IPv{family}"
    if rules.source in rules.addresses and not rules.owner:
        yield f"the source {rules.source}: it is a shared address; allowed is one that this host alone has"
    if rules.source in rules.peers:
        yield f"the peer {rules.source}: it is this host's own address"
    if not rules.peers and family == 6 and rules.source is not None:
        if rules.source.version == 6 and not rules.source.is_link_local:
            yield f"the source {rules.source}: by multicast it is link-local (RFC 9568, 5.1.2.1)"
