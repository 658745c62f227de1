"""
What speaks for a node on its links: the machine of a protocol, and what it goes by.

Of all that a service is made of this is the only module that knows which protocols there are.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from hatwist.core.claims import Record
from hatwist.core.guarantee import Guarantee
from hatwist.protocols.native.auth import Keyring
from hatwist.protocols.native.guarantee import affordable, askLimit, kernelLease, leaseMargin
from hatwist.protocols.native.machine import NativeMachine
from hatwist.protocols.native.rules import GroupRules, NodeRules, Timing
from hatwist.runtime.fence import KernelLease
from hatwist.settings import GroupSettings, Settings, protocols
from hatwist.settings.digest import digest


class GroupFacts(NamedTuple):
    """
    What a protocol has to know of the resources of a group.

    @ivar slow: seconds that the release of all that is no address may take.
    @ivar unguardable: what the guard cannot release, by name.
    """

    group: GroupSettings
    slow: float
    unguardable: tuple[str, ...]


def machineOf(
    settings: Settings, rules: NodeRules, session: int, now: float, records: Mapping[str, Record]
) -> NativeMachine:
    """
    The machine of a node, which has heard nothing yet.

    @param session: which start of the node this is.
    @param records: what the node remembers of each group.
    """
    return NativeMachine(rules, Keyring(settings.keys), session, now, records)


def signAnew(machine: NativeMachine, settings: Settings) -> None:
    """Sign with the keys of these settings from now on, and accept them."""
    machine.keyring = Keyring(settings.keys)


def rulesOf(settings: Settings, facts: Mapping[str, GroupFacts], address: int) -> NodeRules:
    """
    What the machine of a node goes by.

    @param facts: of each group by its name, those among them that are no longer in the settings and still released.
    @param address: of the node, as a number.
    """
    timings = [_timing(settings, each) for each in facts.values()]
    slowest = max(timings, key=lambda timing: timing.releaseTime)
    return NodeRules(
        settings.cluster,
        settings.node,
        settings.interval,
        settings.tolerance,
        tuple(_groupRules(settings, facts[group.name]) for group in settings.groups),
        address,
        digest(settings),
        settings.quorum,
        affordable(slowest, settings.quorum, settings.witness is not None),
        max(timing.guarding for timing in timings),
    )


def kernelLeaseOf(settings: Settings, rules: NodeRules) -> KernelLease:
    """How long the kernel keeps addresses: no longer than the node may hold them by its rules."""
    timing = Timing(settings.interval, settings.tolerance, rules.release)
    seconds = kernelLease(timing, settings.quorum, settings.lease)
    return KernelLease(seconds, leaseMargin(timing, settings.quorum))


def guaranteeOf(settings: Settings, facts: GroupFacts) -> Guarantee:
    """How sure it is that no two nodes hold a group, why, and what is not covered."""
    addresses = len(facts.group.addresses)
    return protocols.guaranteeOf(settings, addresses, facts.slow, facts.unguardable)


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
