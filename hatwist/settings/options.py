"""The settings that the options of C{twistd ha} describe, which are one group."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import inf

from hatwist.core.errors import ConfigurationError
from hatwist.core.table import REQUIRED, Path, Table
from hatwist.resources.addresses.placing import AddressSpec
from hatwist.settings import words
from hatwist.settings.host import hostProblems
from hatwist.settings.reading import disagreements, hostName, readCluster
from hatwist.settings.values import (
    GROUP,
    MULTICAST,
    PRIORITY,
    AliasSpec,
    GroupSettings,
    ResourceSpec,
    Settings,
)


def _option(path: Path, value: object) -> str:
    """C{--preempt-delay soon}"""
    name = "--" + str(path[0]).replace("_", "-").replace("links", "link")
    if value is REQUIRED:
        return name
    if isinstance(value, list | tuple):
        value = " ".join(value)
    text = str(value)
    return f"{name} {text if text and text.isprintable() and text.strip() == text else repr(text)}"


def _called(key: str) -> str:
    return _option((key,), REQUIRED)


def settings(
    *,
    interface: str | None,
    address: Sequence[str] = (),
    alias: Sequence[str] = (),
    node: str | None = None,
    cluster: str = "default",
    keyFile: str | None = None,
    priority: str | int = PRIORITY,
    interval: str | float = 1.0,
    tolerance: str | float | None = None,
    multicast: str = str(MULTICAST),
    preempt: bool = True,
    preemptDelay: str | float = 0.0,
    quorum: str | int | None = None,
    members: Sequence[str] = (),
    lease: str | int | None = None,
    stateDir: str | None = None,
    link: Sequence[str] = (),
    witness: str | None = None,
    witnessLost: str = "release",
    askLimit: str | float | None = None,
    control: str | None = None,
    http: str | None = None,
    here: bool = False,
) -> Settings:
    """
    Read settings given as words.

    @param here: they are to run on this host, now: a missing interface or permission is a problem too.
    @raise ConfigurationError: with every problem, each naming its option and what is allowed.
    """
    given = {
        "interface": interface or None,
        "address": list(address),
        "alias": list(alias),
        "node": hostName() if node is None else node,
        "cluster": cluster,
        "key_file": keyFile,
        "priority": priority,
        "interval": interval,
        "tolerance": tolerance,
        "multicast": multicast,
        "preempt_delay": preemptDelay,
        "quorum": quorum,
        "members": [n.strip() for entry in members for n in entry.split(",") if n.strip()] or None,
        "lease": lease,
        "state_dir": stateDir or None,
        "links": list(link),
        "witness": witness or None,
        "witness_lost": witnessLost,
        "ask_limit": askLimit,
        "control": control or None,
        "http": http or None,
    }
    problems: list[str] = []
    table = Table({k: v for k, v in given.items() if v is not None}, problems, (), _option)
    name = table.take("node", words.name, "")
    found = readCluster(table, Table({}, problems), name or str(node))
    resources: list[ResourceSpec] = [AliasSpec(a) for a in table.items("alias", words.alias)]
    resources += table.items("address", AddressSpec.parse)
    group = GroupSettings(
        GROUP,
        tuple(resources),
        table.take("priority", words.priority, PRIORITY),
        preempt,
        table.take("preempt_delay", words.seconds(0, 86400), 0.0),
        askLimit=table.take("ask_limit", words.seconds(0, 86400), inf),
    )
    found = replace(found, groups=(group,), node=name)
    problems += disagreements(found, _called)
    if here:
        problems += hostProblems(found, _called)
    if problems:
        raise ConfigurationError(problems)
    return found
