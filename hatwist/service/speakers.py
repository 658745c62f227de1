"""
What speaks for a node on its links: the machine of a protocol, and what it goes by.

Of all that a service is made of this is the only module that knows which protocols there are.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from hatwist.core.claims import Record
from hatwist.core.guarantee import Guarantee
from hatwist.core.machine import Machine
from hatwist.linux.netlink.messages import Address
from hatwist.protocols.carp.machine import CarpMachine
from hatwist.protocols.carp.packet import COUNTERS
from hatwist.protocols.carp.rules import CarpRules
from hatwist.protocols.native.auth import Keyring
from hatwist.protocols.native.guarantee import affordable, askLimit, kernelLease, leaseMargin
from hatwist.protocols.native.machine import NativeMachine
from hatwist.protocols.native.rules import GroupRules, NodeRules, Timing
from hatwist.protocols.vrrp.machine import VrrpMachine
from hatwist.protocols.vrrp.rules import VrrpRules
from hatwist.runtime.fence import KernelLease
from hatwist.settings import GroupSettings, Settings, protocols
from hatwist.settings.digest import digest
from hatwist.settings.protocols import RawLink

Source = Callable[[RawLink, bool], Address | None]
"""By which address of its own this host sends on a link; of IPv6 by one that is link-local, or by another."""


class GroupFacts(NamedTuple):
    """
    What a protocol has to know of the resources of a group.

    @ivar slow: seconds that the release of all that is no address may take.
    @ivar unguardable: what the guard cannot release, by name.
    """

    group: GroupSettings
    slow: float
    unguardable: tuple[str, ...]


class Rules(NamedTuple):
    """What each machine of a node goes by, in the order of L{machinesOf}."""

    native: NodeRules
    vrrp: VrrpRules
    carp: CarpRules


def machinesOf(
    settings: Settings, rules: Rules, session: int, now: float, records: Mapping[str, Record]
) -> tuple[Machine, Machine, Machine]:
    """
    The machines of a node, which have heard nothing yet; each has the groups of its protocol, which may be none.

    @param session: which start of the node this is.
    @param records: what the node remembers of each group.
    """
    native = NativeMachine(rules.native, Keyring(settings.keys), session, now, records)
    counter = secrets.randbelow(COUNTERS)
    return native, VrrpMachine(rules.vrrp, now, records), CarpMachine(rules.carp, counter, now)


def refusals(machines: Sequence[Machine], settings: Settings) -> list[str]:
    """Why these machines cannot go by other settings now, a sentence each."""
    routers = [protocols.routerRules(group) for group in settings.groups if group.vrrp is not None]
    return [
        f"group {refusal}"
        for machine in machines
        if isinstance(machine, VrrpMachine)
        for refusal in machine.refusals(routers)
    ]


def signAnew(machine: NativeMachine, settings: Settings) -> None:
    """Sign with the keys of these settings from now on, and accept them."""
    machine.keyring = Keyring(settings.keys)


def rulesOf(
    settings: Settings, facts: Mapping[str, GroupFacts], address: int, source: Source
) -> Rules:
    """
    What the machines of a node go by.

    @param facts: of each group by its name, those among them that are no longer in the settings and still released.
    @param address: of the node, as a number.
    """
    return Rules(
        _native(settings, facts, address),
        _vrrp(settings, facts, source),
        CarpRules(
            settings.cluster,
            settings.node,
            tuple(
                protocols.vhostRules(
                    group,
                    {link.name: source(link, True) for link in protocols.rawLinks(group)},
                    not facts[group.name].unguardable,
                )
                for group in settings.groups
                if group.carp is not None
            ),
        ),
    )


def _vrrp(settings: Settings, facts: Mapping[str, GroupFacts], source: Source) -> VrrpRules:
    groups = [group for group in settings.groups if group.vrrp is not None]
    routers = []
    for group in groups:
        (link,) = protocols.rawLinks(group)
        own = source(link, protocols.linkLocal(group, link))
        routers.append(protocols.routerRules(group, own, not facts[group.name].unguardable))
    timings = [_timing(settings, facts[group.name]) for group in groups]
    release = max((timing.release for timing in timings if timing.release), default=None)
    return VrrpRules(settings.cluster, settings.node, tuple(routers), release)


def _native(settings: Settings, facts: Mapping[str, GroupFacts], address: int) -> NodeRules:
    usual = Timing(settings.interval, settings.tolerance)
    timings = [_timing(settings, each) for each in facts.values() if each.group.native]
    slowest = max(timings, key=lambda timing: timing.releaseTime, default=usual)
    return NodeRules(
        settings.cluster,
        settings.node,
        settings.interval,
        settings.tolerance,
        tuple(_groupRules(settings, facts[group.name]) for group in settings.nativeGroups),
        address,
        digest(settings),
        settings.quorum,
        affordable(slowest, settings.quorum, settings.witness is not None),
        max((timing.guarding for timing in timings), default=usual.guarding),
    )


def kernelLeaseOf(settings: Settings, rules: NodeRules) -> KernelLease:
    """How long the kernel keeps addresses: no longer than the node may hold them by its rules."""
    timing = Timing(settings.interval, settings.tolerance, rules.release)
    seconds = kernelLease(timing, settings.quorum, settings.lease)
    return KernelLease(seconds, leaseMargin(timing, settings.quorum))


def unbound(settings: Settings) -> KernelLease:
    """The same for protocols without votes."""
    return KernelLease(settings.lease)


def guaranteeOf(settings: Settings, facts: GroupFacts) -> Guarantee:
    """How sure it is that no two nodes hold a group, why, and what is not covered."""
    return protocols.guaranteeOf(settings, facts.group, facts.slow, facts.unguardable)


def _timing(settings: Settings, facts: GroupFacts) -> Timing:
    return protocols.timing(settings, len(facts.group.addresses), facts.slow)


def _groupRules(settings: Settings, facts: GroupFacts) -> GroupRules:
    group = facts.group
    limit = askLimit(_timing(settings, facts), settings.quorum, settings.lease)
    return GroupRules(
        group.name,
        group.priority,
        group.preempt,
        group.preemptDelay,
        keepUnfit=group.lastResort == "keep",
        asks=bool(group.addresses),
        witness=settings.witness is not None,
        keepUnwitnessed=settings.witnessLost == "keep",
        guardable=not facts.unguardable,
        askLimit=min(group.askLimit, limit),
    )
