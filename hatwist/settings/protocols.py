"""
What settings have to ask the protocols: which times and keys they can work with, and what they guarantee.

Of all that reads settings this is the only module that knows which protocols there are.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import count
from typing import NamedTuple

from hatwist.core.guarantee import Guarantee, outspoken
from hatwist.linux.netlink.messages import Address
from hatwist.protocols.carp.packet import SKEWS
from hatwist.protocols.carp.rules import VhostRules
from hatwist.protocols.native.auth import MIN_KEY_SIZE
from hatwist.protocols.native.guarantee import guarantee, releasing
from hatwist.protocols.native.rules import Timing
from hatwist.protocols.vrrp import rules as vrrp
from hatwist.protocols.vrrp.packet import Checksum
from hatwist.protocols.vrrp.rules import RouterRules
from hatwist.runtime.ways import rawName
from hatwist.settings.values import MIN_LEASE, GroupSettings, Settings


def keyProblem(key: bytes) -> str:
    """Why heartbeats cannot be signed with this key, without the key; C{""}: they can."""
    if len(key) < MIN_KEY_SIZE:
        return f"has {len(key)} bytes; at least {MIN_KEY_SIZE} are needed"
    return ""


def toleranceProblem(interval: float, tolerance: float) -> str:
    """
    Why nobody could hold anything with these times, and the least tolerance that will do; C{""}: they are good.

    @param interval, tolerance: seconds.
    """
    if Timing(interval, tolerance).survives() >= 0:
        return ""
    tries = (milliseconds / 1000 for milliseconds in count(math.ceil(tolerance * 1000)))
    least = next(enough for enough in tries if Timing(interval, enough).survives() >= 0)
    return (
        "a holder that releases in time would do so between two heartbeats; "
        f"give at least {least:g} seconds"
    )


def holdTime(interval: float, tolerance: float) -> float:
    """Seconds for which a node goes on to hold after the last heartbeat of it that others have confirmed."""
    return Timing(interval, tolerance).hold


def timing(settings: Settings, addresses: int, slow: float) -> Timing:
    """
    The times of a group.

    @param addresses: how many it has.
    @param slow: seconds that the release of everything else may take.
    """
    return releasing(Timing(settings.interval, settings.tolerance), addresses, slow)


def guaranteeOf(
    settings: Settings, group: GroupSettings, slow: float, unguardable: tuple[str, ...]
) -> Guarantee:
    """
    How sure it is that no two nodes hold a group, why, and what is not covered.

    @param slow: see L{timing}.
    @param unguardable: what of it the guard cannot release, by name.
    """
    addresses = len(group.addresses)
    if not group.native:
        return outspoken(group.protocol.upper(), settings.lease, unguardable)
    return guarantee(
        timing(settings, addresses, slow),
        settings.quorum,
        True,
        # Without addresses there is nothing that the kernel could keep.
        settings.lease if addresses else MIN_LEASE,
        unguardable,
        witness=settings.witness is not None,
    )


def rank(group: GroupSettings) -> int:
    """Where a node comes in a group, as far as its settings tell: the least is the first."""
    if group.carp is not None:
        return group.carp.advbase * SKEWS + group.carp.advskew
    return -group.priority


def standing(group: GroupSettings) -> str:
    """The same for people."""
    if group.carp is not None:
        return f"advskew {group.carp.advskew}"
    return f"priority {group.priority}"


def tie(group: GroupSettings) -> str:
    """Who comes first of those that are equal there."""
    if group.carp is not None:
        return "of equal advskew, the node with the lowest address stays master"
    which = "lowest" if group.native else "highest"
    return f"of equal priority, the node with the {which} address comes first"


class RawLink(NamedTuple):
    """A raw link of a node: of one interface, and one version of IP."""

    interface: str
    version: int

    @property
    def name(self) -> str:
        return rawName(self.interface, self.version)


def rawLinks(group: GroupSettings) -> list[RawLink]:
    """Those by which a group speaks VRRP or CARP; none, where it speaks neither."""
    if group.native:
        return []
    found = [RawLink(spec.interface or "", spec.address.version) for spec in group.addresses]
    return list(dict.fromkeys(found))


def linkLocal(group: GroupSettings, link: RawLink) -> bool:
    """Whether the address is to be link-local by which a group speaks: that is so by multicast of IPv6."""
    peers = group.vrrp.peers if group.vrrp is not None else ()
    return link.version == 6 and all(peer.is_link_local for peer in peers)


def routerRules(
    group: GroupSettings, source: Address | None = None, guardable: bool = True
) -> RouterRules:
    """
    What a group that speaks VRRP goes by.

    @param source: this host's own address there; C{None}: it has none, or is not known yet.
    """
    assert group.vrrp is not None
    of = group.vrrp
    return RouterRules(
        group.name,
        rawLinks(group)[0].name,
        of.vrid,
        tuple(spec.address for spec in group.addresses),
        source,
        group.priority,
        False,
        of.version,
        of.interval,
        group.preempt,
        group.preemptDelay,
        tuple(peer for peer in of.peers if peer != source),
        of.hops,
        of.password,
        Checksum(of.checksum),
        of.sync,
        guardable,
    )


def vhostRules(
    group: GroupSettings, sources: Mapping[str, Address | None], guardable: bool = True
) -> VhostRules:
    """
    What a group that speaks CARP goes by.

    @param sources: this host's own address on each link, by name.
    """
    assert group.carp is not None
    of = group.carp
    return VhostRules(
        group.name,
        of.vhid,
        tuple(spec.address for spec in group.addresses),
        of.password,
        sources,
        of.advbase,
        of.advskew,
        group.preempt,
        of.deadRatio,
        guardable,
    )


def problems(settings: Settings) -> Iterator[str]:
    """What does not go together in groups that speak VRRP or CARP, a sentence for each."""
    routers = []
    vhids: Counter[tuple[str, int]] = Counter()
    for group in settings.groups:
        if group.native:
            continue
        links = rawLinks(group)
        interfaces = sorted({link.interface for link in links})
        if len(interfaces) > 1:
            yield (
                f"group {group.name}: its addresses are on {' and '.join(interfaces)}; allowed is one interface, on "
                "which it speaks"
            )
        elif not links:
            yield f"group {group.name}: it has no address; with {group.protocol} a group has at least one"
        elif group.vrrp is not None and group.vrrp.vrid:
            routers.append(routerRules(group))
        elif group.carp is not None:
            vhids[interfaces[0], group.carp.vhid] += 1
    for problem in vrrp.problems(routers):
        yield f"group {problem}"
    for (interface, vhid), given in vhids.items():
        if vhid and given > 1:
            yield f"vhid {vhid}: it is given {given} times on {interface}; each group there needs its own"
