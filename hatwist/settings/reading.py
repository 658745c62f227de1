"""From tables of words to settings: the same for options and for files."""

from __future__ import annotations

import socket
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from hatwist.core.table import Table
from hatwist.resources.addresses.spec import AddressSpec
from hatwist.settings import protocols
from hatwist.settings.key import Known, Scope
from hatwist.settings.keys import KEYS, of
from hatwist.settings.routerkeys import PROTOCOLS
from hatwist.settings.values import CarpSettings, GroupSettings, Settings, VrrpSettings

OWN = tuple(key.name for key in KEYS if key.scope is Scope.NODE or key.inherited)
"""What a node may have of its own."""


def hostName() -> str:
    """What a node is called that was given no name."""
    return socket.gethostname().split(".")[0]


PER_NODE = ("priority", "advskew")
"""What a group may have a table of, by node."""


def readCluster(
    top: Table, own: Table, node: str, nodes: Sequence[str] = (), here: bool = True
) -> Settings:
    """
    Everything but the groups. Problems are noted in the tables.

    @param own: what this node has of its own.
    @param nodes: the nodes that the file names, which vote unless there are C{members}.
    @param here: this host is that node: its key file can be read.
    """
    top.knows(*OWN)
    known = Known(node, nodes, here)
    for key in of(Scope.CLUSTER, Scope.NODE):
        key.take(own if key.scope is Scope.NODE and key.name in own else top, known)
    return Settings(node=node, **_fields(known, Scope.CLUSTER, Scope.NODE))


def readInherited(top: Table, own: Table) -> dict[str, Any]:
    """What a node has for those of its groups that say nothing, by name. Problems are noted in the tables."""
    return {
        key.name: (own if key.name in own else top).take(key.name, key.parse, key.default)
        for key in of(Scope.GROUP)
        if key.inherited and key.parse is not None
    }


def readGroup(
    table: Table,
    name: str,
    node: str,
    inherited: Mapping[str, Any] | None = None,
    here: bool = True,
) -> GroupSettings:
    """
    One group. Problems are noted in the table.

    @param inherited: see L{readInherited}.
    @param here: this host is that node: its password file can be read.
    """
    known = Known(node, (), here, inherited)
    for key in of(Scope.GROUP):
        key.take(table, known)
    found = GroupSettings(name, **_fields(known, Scope.GROUP, Scope.EVENTS))
    protocol = known.found["protocol"]
    for key in of(Scope.GROUP):
        if protocol in key.without and key.name in table:
            table.problem(f'is of no use with protocol = "{protocol}"', key.name)
    for other, scope in PROTOCOLS.items():
        for key in of(scope):
            if other == protocol:
                key.take(table, known)
            elif key.name in table:
                table.knows(key.name)
                table.problem(f'goes with protocol = "{other}"', key.name)
    if protocol == "vrrp":
        return replace(found, vrrp=VrrpSettings(**_fields(known, Scope.VRRP)))
    if protocol == "carp":
        return replace(found, carp=CarpSettings(**_fields(known, Scope.CARP)))
    return found


def placed(group: GroupSettings, interface: str) -> GroupSettings:
    """
    A group whose addresses are where its routers speak: those that do not say where are on this interface.

    Those of hatwist's own protocol are where the routes of the host lead.
    """
    if group.native:
        return group
    resources = [
        replace(spec, interface=interface)
        if isinstance(spec, AddressSpec) and spec.interface is None
        else spec
        for spec in group.resources
    ]
    return replace(group, resources=tuple(resources))


def _fields(known: Known, *scopes: Scope) -> dict[str, Any]:
    """What was read, by the names that values have for it."""
    return {key.field: known.found[key.path] for key in of(*scopes) if key.field}


def disagreements(settings: Settings, name: Callable[[str], str]) -> list[str]:
    """
    What does not go together.

    @param name: what whoever wrote the settings calls a key.
    """
    problems = []
    if settings.witness is not None and settings.quorum is not None:
        problems.append(
            f"{name('witness')} goes without {name('quorum')}: votes decide who is cut off"
        )
    if any(spec.address == settings.witness for spec in settings.addresses):
        problems.append(
            f"{name('witness')} {settings.witness}: it is a shared address, which would answer for itself"
        )
    return problems + _twice(settings, name) + list(protocols.problems(settings))


def _twice(settings: Settings, name: Callable[[str], str]) -> list[str]:
    """What is shared more than once, in one group or in two."""
    problems = []
    seen: dict[tuple[str, Hashable], GroupSettings] = {}
    for group in settings.groups:
        for spec in group.resources:
            identity = spec.kind, spec.identity(group.name)
            other = seen.get(identity)
            if other is None:
                seen[identity] = group
                continue
            where = "" if other is group else f", in the groups {other.name} and {group.name}"
            problems.append(
                f"{name(spec.kind)} {spec.given}: the same {spec.kind} is given twice{where}"
            )
    return problems
