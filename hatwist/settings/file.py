"""The settings in a configuration file, which is the same on every node."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from hatwist.core import parsing
from hatwist.core.errors import ConfigurationError
from hatwist.core.table import Path, Table, inFile
from hatwist.runtime.disk import openRegular
from hatwist.settings.host import hostProblems
from hatwist.settings.lines import lineOf
from hatwist.settings.reading import (
    OWN,
    PER_NODE,
    disagreements,
    hostName,
    placed,
    readCluster,
    readGroup,
    readInherited,
)
from hatwist.settings.values import Settings

LARGEST = 1 << 20
"""Bytes of a file that are read."""


def load(path: str, node: str | None = None, here: bool = False) -> Settings:
    """
    What a file says for one node. The file is checked for all nodes that it names.

    @param node: C{None}: the one with this host's name.
    @param here: it is to run on this host, now: a missing interface or permission is a problem too.
    @raise ConfigurationError: with every problem, each naming line, key, value and what is allowed.
    """
    name = hostName() if node is None else node
    found = loadAll(path, name)
    if name not in found:
        hint = (
            f"this host is called {name}: name the node with --node"
            if node is None
            else "that name was given with --node"
        )
        raise ConfigurationError(
            [f"{path}: there is no [node.{name}]; there are {', '.join(sorted(found))} ({hint})"]
        )
    if here and (problems := list(hostProblems(found[name], _called))):
        raise ConfigurationError([f"{path}: {problem}" for problem in problems])
    return found[name]


def loadAll(path: str, here: str | None = None) -> dict[str, Settings]:
    """
    What a file says for every node that it names, or for C{here} alone where it names none.

    @param here: the node that this host is: only its key file is read.
    @raise ConfigurationError: with every problem.
    """
    try:
        with openRegular(path) as file:
            written = file.read(LARGEST + 1)
        if len(written) > LARGEST:
            raise ConfigurationError([f"{path}: is larger than {LARGEST} bytes"])
        text = written.decode()
    except OSError as e:
        raise ConfigurationError([f"{path}: {e.strerror}"]) from None
    except UnicodeDecodeError as e:
        raise ConfigurationError([f"{path}: is not UTF-8 text (byte {e.start})"]) from None
    if text.startswith("\ufeff"):
        raise ConfigurationError(
            [
                f"{path}: begins with a byte order mark, which TOML has not: save it as UTF-8 without BOM"
            ]
        )
    try:
        values = tomllib.loads(text)
    except (ValueError, RecursionError) as e:  # such as a number of 5,000 digits
        raise ConfigurationError([f"{path}: is not TOML: {e}"]) from None
    problems: list[str] = []
    found = {}
    for name in _nodes(values) or [here or hostName()]:
        found[name] = read(values, text, path, name, name == here, problems)
    if problems:
        raise ConfigurationError(sorted(dict.fromkeys(problems), key=lambda p: _line(p, path)))
    return found


def _line(problem: str, path: str) -> int:
    """Its line, or one after all for what concerns the whole file."""
    line = problem.removeprefix(f"{path}:").partition(":")[0]
    return int(line) if line.isdecimal() else LARGEST


def _called(key: str) -> str:
    return key


def _nodes(values: Mapping[str, Any]) -> list[str]:
    nodes = values.get("node", {})
    return list(nodes) if isinstance(nodes, dict) else []


def read(
    values: Mapping[str, Any], text: str, path: str, node: str, here: bool, problems: list[str]
) -> Settings:
    """
    What the tables of a file say for one node.

    @param text, path: where they come from, for the messages.
    @param here: this host is that node.
    @param problems: where one sentence for each problem goes.
    """

    def place(where: Path, value: object) -> str:
        line = lineOf(text, where)
        return (
            f"{path}:{line}: {inFile(where, value)}" if line else f"{path}: {inFile(where, value)}"
        )

    top = Table(values, problems, (), place, literal=True)
    nodes = []
    own = Table({}, problems, ("node", node), place, literal=True)
    for name, table in top.named("node"):
        nodes.append(name)
        _checked(parsing.name, name, table)
        table.knows(*OWN)
        table.end()
        if name == node:
            own = table
    found = readCluster(top, own, node, nodes, here)
    known = {*nodes, *(found.quorum.members if found.quorum is not None else ())} or {node}
    inherited = readInherited(top, own)
    groups = []
    for name, table in top.named("group"):
        _checked(parsing.name, name, table)
        group = placed(readGroup(table, name, node, inherited, here), found.interface)
        for key in PER_NODE:
            if isinstance(table.values.get(key), dict):
                for stranger in sorted(set(table.values[key]) - known):
                    table.table(key).problem("there is no such node", stranger)
        table.end()
        if not group.resources and not group.hooks and not table.values.get("resources"):
            table.problem(
                'has nothing to share: give resources, such as [{address = "192.168.1.100/24"}]',
            )
        groups.append(group)
    top.end()
    if not groups and "group" not in values:
        problems.append(f"{path}: there is no [group.NAME]: nothing to share")
    found = replace(found, groups=tuple(groups))
    problems += [f"{path}: {problem}" for problem in disagreements(found, _called)]
    return found


def _checked(parse: Callable[[Any], Any], value: object, table: Table) -> None:
    try:
        parse(value)
    except ValueError as e:
        table.problem(f"is no name: {e}")
