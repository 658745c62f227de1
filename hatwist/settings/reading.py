"""From tables of words to settings: the same for options and for files."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator, Sequence
from math import inf
from typing import Any

from hatwist.checks.check import CheckSpec
from hatwist.checks.reading import parseCheck
from hatwist.core.effects import EVENTS
from hatwist.core.electorate import Quorum
from hatwist.core.limits import LIMIT
from hatwist.core.linkspec import LinkSpec, clashes
from hatwist.core.table import Table, nearest
from hatwist.resources.addresses.placing import AddressSpec
from hatwist.resources.unit import unitName
from hatwist.runtime.store import DIRECTORY
from hatwist.settings import words
from hatwist.settings.endpoint import endpoint
from hatwist.settings.keyfile import readKeys
from hatwist.settings.values import (
    MULTICAST,
    PRIORITY,
    TIMEOUT,
    TOLERANCE,
    UNIT_TIMEOUT,
    AliasSpec,
    Argv,
    CommandSpec,
    GroupSettings,
    InterfaceSpec,
    ResourceSpec,
    Settings,
    UnitSpec,
)

OWN = (
    *("interface", "links", "key_file", "priority", "witness"),
    *("control", "http", "state_dir"),
)
"""What a node may have of its own."""


def hostName() -> str:
    """What a node is called that was given no name."""
    return socket.gethostname().split(".")[0]


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

    def of(key: str) -> Table:
        return own if key in own else top

    interface = of("interface").take("interface", words.interface, "")
    if not interface and "interface" not in of("interface"):
        top.problem("is missing: the network interface for heartbeats, such as eth0", "interface")
    beat = top.take("interval", words.seconds(0.005, 60), 0.0 if "interval" in top else 1.0)
    tolerance = top.take("tolerance", words.tolerance(beat), round(TOLERANCE * beat, 6))
    keys: tuple[bytes, ...] = of("key_file").take("key_file", _keys if here else _elsewhere, ())
    return Settings(
        interface,
        node=node,
        cluster=top.take("cluster", words.name, "default"),
        keys=keys,
        interval=beat,
        tolerance=tolerance,
        multicast=top.take("multicast", words.multicast, MULTICAST),
        quorum=_readQuorum(top, node, nodes),
        lease=top.take("lease", words.lease(beat), words.usualLease(tolerance)),
        # As systemd tells it, for StateDirectory= in a unit.
        stateDir=of("state_dir").take(
            "state_dir",
            words.text,
            os.environ.get("STATE_DIRECTORY", "").partition(":")[0] or DIRECTORY,
        ),
        links=_readLinks(of("links")),
        witness=of("witness").take("witness", words.witness, None),
        witnessLost=top.take("witness_lost", words.choice("keep", "release"), "release"),
        control=of("control").take("control", words.text, ""),
        http=of("http").take("http", endpoint, None),
    )


def _keys(value: object) -> tuple[bytes, ...]:
    return readKeys(words.text(value))


def _elsewhere(value: object) -> tuple[bytes, ...]:
    """Another host's file is not here."""
    words.text(value)
    return ()


def _readLinks(table: Table) -> tuple[LinkSpec, ...]:
    found = table.items("links", _link)
    for sentence in dict.fromkeys(clashes(found)):
        table.problem(sentence, "links")
    return found


def _link(value: object) -> LinkSpec:
    if not isinstance(value, str):
        raise ValueError('allowed is a text, such as "eth0" or "eth1,broadcast"')
    return LinkSpec.parse(value)


def _readQuorum(top: Table, node: str, nodes: Sequence[str]) -> Quorum | None:
    members = top.items("members", words.name)
    for name in sorted({name for name in members if members.count(name) > 1}):
        top.problem("the same name is given twice", "members", name)
    if "quorum" not in top:
        top.knows("quorum")
        if "members" in top:
            quorum = top.name("quorum")
            top.problem(f"goes with {quorum}, such as {_example(quorum)}", "members")
        return None
    return top.take(
        "quorum", words.quorum(members or nodes, nodes or [node], top.name("members")), None
    )


def _example(name: str) -> str:
    return f"{name} majority" if name.startswith("--") else f'{name} = "majority"'


def readGroup(table: Table, name: str, node: str, priority: int = PRIORITY) -> GroupSettings:
    """
    One group. Problems are noted in the table.

    @param priority: of the node, where the group says nothing.
    """
    hooks = table.table("on")
    found = []
    for event in EVENTS:
        commands: tuple[Argv, ...] = hooks.take(event, words.argvs, ())
        if commands:
            found.append((event, commands))
    # To prepare takes no longer than an operation of the keeper, whatever its commands may.
    hookTimeout = hooks.take("timeout", words.seconds(0.1, LIMIT), TIMEOUT)
    hooks.end()
    return GroupSettings(
        name,
        tuple(spec for inner in table.tables("resources") if (spec := _readResource(inner))),
        _readPriority(table, node, priority),
        table.take("preempt", words.boolean, True),
        table.take("preempt_delay", words.seconds(0, 86400), 0.0),
        table.take("last_resort", words.choice("keep", "release"), "release"),
        tuple(found),
        tuple(_readChecks(table)),
        table.take("ask_limit", words.seconds(0, 86400), inf),
        hookTimeout,
    )


def _readChecks(table: Table) -> Iterator[CheckSpec]:
    for inner in table.tables("checks"):
        check = parseCheck(inner)
        if check is not None:
            yield check


def _readPriority(table: Table, node: str, usual: int) -> int:
    """One for all nodes, or a table of them."""
    if isinstance(table.values.get("priority"), dict):
        inner = table.table("priority")
        for name in inner.values:
            if name != node:
                inner.take(name, words.priority, 0)
        return inner.take(node, words.priority, usual)
    return table.take("priority", words.priority, usual)


def _timeout(table: Table) -> float:
    return table.take("timeout", words.seconds(0.1, 3600), TIMEOUT)


def _address(table: Table) -> ResourceSpec | None:
    return table.take("address", AddressSpec.parse, None)


def _alias(table: Table) -> ResourceSpec | None:
    return AliasSpec(table.take("alias", words.alias, ""), _timeout(table))


def _interface(table: Table) -> ResourceSpec | None:
    return InterfaceSpec(table.take("interface", words.interface, ""))


def _command(table: Table) -> ResourceSpec | None:
    return CommandSpec(
        table.take("command", words.argv, ()),
        table.take("undo", words.argv),
        table.take("check", words.argv, None),
        _timeout(table),
    )


def _unit(table: Table) -> ResourceSpec | None:
    return UnitSpec(
        table.take("unit", unitName, ""),
        table.take("timeout", words.seconds(0.1, 3600), UNIT_TIMEOUT),
    )


RESOURCES: dict[str, Callable[[Table], ResourceSpec | None]] = {
    "address": _address,
    "alias": _alias,
    "command": _command,
    "interface": _interface,
    "unit": _unit,
}


def _readResource(table: Table) -> ResourceSpec | None:
    kinds = [kind for kind in RESOURCES if kind in table]
    if len(kinds) != 1:
        if kinds:
            table.problem(f"is {' and '.join(kinds)} at once; each resource is one thing")
        elif table.values:
            table.problem(f"is no resource{nearest(next(iter(table.values)), list(RESOURCES))}")
        return None
    spec = RESOURCES[kinds[0]](table)
    table.end()
    return spec


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
    return problems + _twice(settings, name)


def _twice(settings: Settings, name: Callable[[str], str]) -> list[str]:
    """What is shared more than once, in one group or in two."""
    problems = []
    seen: dict[tuple[str, Any], GroupSettings] = {}
    for group in settings.groups:
        for spec in group.resources:
            key: tuple[str, Any]
            if isinstance(spec, AddressSpec):
                key, text = ("address", spec.address), f"{spec.address}/{spec.prefix}"
                if spec.interface:
                    text += f"@{spec.interface}"
            elif isinstance(spec, CommandSpec):  # in another group it may well do something else
                key, text = ("command", (group.name, spec)), " ".join(spec.command)
            else:
                key, text = (str(spec).partition(" ")[0], spec[0]), spec[0]
            other = seen.get(key)
            if other is None:
                seen[key] = group
                continue
            where = "" if other is group else f", in the groups {other.name} and {group.name}"
            problems.append(f"{name(key[0])} {text}: the same {key[0]} is given twice{where}")
    return problems
