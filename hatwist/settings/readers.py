"""How those settings are read that depend on others, or are more than one value; problems are noted in the table."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

from hatwist.checks.check import CheckSpec
from hatwist.checks.reading import parseCheck
from hatwist.core import parsing
from hatwist.core.electorate import Quorum
from hatwist.core.linkspec import LinkSpec, clashes
from hatwist.core.table import Table
from hatwist.resources.kinds import ResourceSpec, readResource
from hatwist.runtime.store import DIRECTORY
from hatwist.settings import words
from hatwist.settings.key import Known
from hatwist.settings.keyfile import readKeys
from hatwist.settings.values import INTERVAL, PRIORITY, TOLERANCE


def interface(table: Table, known: Known) -> str:
    found = table.take("interface", parsing.interface, "")
    if not found and "interface" not in table:
        table.problem("is missing: the network interface for heartbeats, such as eth0", "interface")
    return found


def interval(table: Table, known: Known) -> float:
    """0.0 for a wrong one, so that nothing else is blamed for it."""
    return table.take("interval", words.INTERVALS, 0.0 if "interval" in table else INTERVAL)


def tolerance(table: Table, known: Known) -> float:
    interval: float = known.found["interval"]
    return table.take("tolerance", words.tolerance(interval), round(TOLERANCE * interval, 6))


def signingKeys(table: Table, known: Known) -> tuple[bytes, ...]:
    return table.take("key_file", _keysHere if known.here else _keysElsewhere, ())


def _keysHere(value: object) -> tuple[bytes, ...]:
    return readKeys(parsing.text(value))


def _keysElsewhere(value: object) -> tuple[bytes, ...]:
    """Another host's file is not here."""
    parsing.text(value)
    return ()


def members(table: Table, known: Known) -> tuple[str, ...]:
    members = table.items("members", parsing.name)
    for name in sorted({name for name in members if members.count(name) > 1}):
        table.problem("the same name is given twice", "members", name)
    return members


def quorum(table: Table, known: Known) -> Quorum | None:
    members, nodes = known.found["members"], known.nodes
    if "quorum" not in table:
        table.knows("quorum")
        if "members" in table:
            quorum = table.name("quorum")
            example = f"{quorum} majority" if quorum.startswith("--") else f'{quorum} = "majority"'
            table.problem(f"goes with {quorum}, such as {example}", "members")
        return None
    parse = words.quorum(members or nodes, nodes or [known.node], table.name("members"))
    return table.take("quorum", parse, None)


def lease(table: Table, known: Known) -> int:
    usual = words.usualLease(known.found["tolerance"])
    return table.take("lease", words.lease(known.found["interval"]), usual)


def stateDir(table: Table, known: Known) -> str:
    # As systemd tells it, for StateDirectory= in a unit.
    usual = os.environ.get("STATE_DIRECTORY", "").partition(":")[0] or DIRECTORY
    return table.take("state_dir", parsing.text, usual)


def links(table: Table, known: Known) -> tuple[LinkSpec, ...]:
    found = table.items("links", words.link)
    for sentence in dict.fromkeys(clashes(found)):
        table.problem(sentence, "links")
    return found


def resources(table: Table, known: Known) -> tuple[ResourceSpec, ...]:
    return tuple(spec for inner in table.tables("resources") if (spec := readResource(inner)))


def priority(table: Table, known: Known) -> int:
    return perNode(
        table, "priority", words.priority, known, known.inherited.get("priority", PRIORITY)
    )


def perNode(table: Table, key: str, parse: Callable[[Any], int], known: Known, usual: int) -> int:
    """One for all nodes, or a table of them."""
    if isinstance(table.values.get(key), dict):
        inner = table.table(key)
        for name in inner.values:
            if name != known.node:
                inner.take(name, parse, 0)
        return inner.take(known.node, parse, usual)
    return table.take(key, parse, usual)


def checks(table: Table, known: Known) -> tuple[CheckSpec, ...]:
    return tuple(check for inner in table.tables("checks") if (check := parseCheck(inner)))


def names(given: Sequence[str]) -> list[str] | None:
    """Of several options, each with commas between names; C{None}: there is none."""
    return [name.strip() for text in given for name in text.split(",") if name.strip()] or None
