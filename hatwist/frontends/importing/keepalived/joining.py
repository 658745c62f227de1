"""VRRP instances as groups that speak VRRP themselves, and so join the hosts that still run keepalived."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from hatwist.frontends.importing.draft import Argv, DraftGroup
from hatwist.frontends.importing.keepalived.braces import ConfStatement
from hatwist.frontends.importing.keepalived.instance import Instance, Reading, tracked
from hatwist.frontends.importing.keepalived.notifying import NOTIFIES, hooks
from hatwist.frontends.importing.naming import fresh

GLOBAL = ("vrrp_version",)
"""What of C{global_defs} is read here."""
USUAL = 2
"""The version of VRRP where keepalived.conf names none."""
HOPS = 64
"""The hop limit of what keepalived sends by unicast of IPv6."""


def versionOf(statements: Iterable[ConfStatement]) -> int:
    """That of the instances that name none."""
    for statement in statements:
        for each in statement.blocks if statement.keyword == "global_defs" else ():
            if each.keyword in GLOBAL and each.words[1:] == ("3",):
                return 3
    return USUAL


def groups(
    syncs: Sequence[ConfStatement],
    members: Callable[[ConfStatement], list[str]],
    instances: Iterable[Instance],
    version: int,
    reading: Reading,
) -> tuple[DraftGroup, ...]:
    """One for each instance; those of a sync group are held together."""
    found: list[DraftGroup] = []
    of = {name: sync for sync in reversed(syncs) for name in members(sync)}
    told: set[str] = set()
    for instance in instances:
        name = fresh(instance.name, [group.name for group in found])
        sync = of.get(instance.name)
        keys = _keys(instance, version)
        if keys["advertisement_interval"] != instance.interval:
            why = "with version 2 it is whole seconds, for keepalived too"
            reading.notes.differs(instance.place, f"advert_int {instance.interval:g}", why)
        checks, events = list(instance.checks), dict(instance.hooks)
        if sync is not None:
            together = fresh(" ".join(sync.words[1:]))
            keys["sync"] = together
            checks += [
                check
                for check in tracked(sync.blocks, reading.scripts, weighted=True)
                if check not in checks
            ]
            if together not in told:  # its commands run once
                told.add(together)
                for event, commands in _events(sync, together, reading).items():
                    events[event] = (*events.get(event, ()), *commands)
        if not any("address" in resource for resource in instance.resources) or not instance.router:
            why = "it has no virtual_router_id, or no address that could be carried over"
            reading.notes.lost(instance.place, name, f"{why}, so it is left out as a whole")
            continue
        found.append(
            DraftGroup(
                name,
                instance.identity,
                instance.resources,
                tuple(checks),
                instance.priority,
                instance.preempts,
                instance.preemptDelay,
                events,
                {},
                keys,
            )
        )
    return tuple(found)


def _events(sync: ConfStatement, name: str, reading: Reading) -> dict[str, tuple[Argv, ...]]:
    notifies = [each for each in sync.blocks if each.keyword in NOTIFIES]
    return hooks(notifies, "GROUP", name, reading.notes)


def _keys(instance: Instance, usual: int) -> dict[str, Any]:
    version = 3 if instance.six else instance.version or usual
    found: dict[str, Any] = {
        "protocol": "vrrp",
        "vrid": instance.router,
        "version": version,
        "advertisement_interval": max(1, int(instance.interval))
        if version == 2
        else instance.interval,
    }
    if version == 2 and instance.password:
        found["auth_pass"] = instance.password
    if instance.peers:
        found["unicast_peers"] = list(instance.peers)
        if instance.six:
            found["min_ttl"] = HOPS
    return found


def values(instances: Sequence[Instance]) -> dict[str, Any]:
    """What stands above all groups; what hatwist's own protocol has is as usual."""
    first = instances[0]
    return {
        "cluster": f"vrrp-{first.router}" if first.router else "vrrp",
        "interface": Counter(each.interface for each in instances).most_common(1)[0][0],
    }
