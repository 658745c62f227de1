"""The settings that the options of C{twistd ha} describe, which are one group."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from hatwist.core.errors import ConfigurationError
from hatwist.core.table import REQUIRED, Path, Table
from hatwist.resources.addresses.spec import AddressSpec
from hatwist.resources.alias import AliasSpec, aliasName
from hatwist.resources.kinds import ResourceSpec
from hatwist.settings.host import hostProblems
from hatwist.settings.key import Known, Scope
from hatwist.settings.keys import KEYS, of
from hatwist.settings.reading import disagreements, hostName, readCluster
from hatwist.settings.values import GROUP, GroupSettings, Settings

OPTIONS = tuple((key, key.option) for key in KEYS if key.option is not None)
"""The settings that options can give."""


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
    here: bool = False,
    **words: Any,
) -> Settings:
    """
    Read settings given as words: each option of C{twistd ha} as an argument, C{preemptDelay="30"} for
    C{--preempt-delay 30}, and C{preempt=False} for C{--no-preempt}. C{None} is the same as no option.

    @param address, alias, link, members: sequences, as these options may be given several times.
    @param here: they are to run on this host, now: a missing interface or permission is a problem too.
    @raise ConfigurationError: with every problem, each naming its option and what is allowed.
    """
    problems: list[str] = []
    given = {"node": hostName(), **_given({"interface": interface, **words})}
    given |= {"address": list(address), "alias": list(alias)}
    table = Table(given, problems, (), _option)
    known = Known("")
    for key in of(Scope.OPTION):
        key.take(table, known)
    node = known.found["node"]
    found = readCluster(table, Table({}, problems), node or str(given["node"]))
    resources: list[ResourceSpec] = [AliasSpec(a) for a in table.items("alias", aliasName)]
    resources += table.items("address", AddressSpec.parse)
    ofGroup = [key for key in of(Scope.GROUP) if key.option is not None]
    for key in ofGroup:
        key.take(table, known)
    values = {key.field: known.found[key.name] for key in ofGroup}
    found = replace(found, groups=(GroupSettings(GROUP, tuple(resources), **values),), node=node)
    problems += disagreements(found, _called)
    if here:
        problems += hostProblems(found, _called)
    if problems:
        raise ConfigurationError(problems)
    return found


def _given(words: dict[str, Any]) -> dict[str, Any]:
    """
    The arguments by the names of their keys.

    @raise TypeError: there is no such option.
    """
    given = {}
    for key, option in OPTIONS:
        value = words.pop(key.argument, None)
        if value is None or (option.blank and not value):
            continue
        if (value := option.split(value)) is not None:
            given[key.name] = value
    if words:
        raise TypeError(f"settings() has no argument {', '.join(words)}")
    return given
