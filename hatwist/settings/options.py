"""The settings that the options of C{twistd ha} describe, which are one group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from hatwist.core.errors import ConfigurationError
from hatwist.core.table import REQUIRED, Path, Place, Table, nearest
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
_LISTS = ("address", "alias", *(key.argument for key, option in OPTIONS if option.many))


def _option(path: Path, value: object) -> str:
    """C{--preempt-delay soon}"""
    name = "--" + str(path[0]).replace("_", "-").replace("links", "link")
    if value is REQUIRED:
        return name
    if isinstance(value, list | tuple):
        value = " ".join(value)
    text = str(value)
    return f"{name} {text if text and text.isprintable() and text.strip() == text else repr(text)}"


def argument(path: Path, value: object) -> str:
    """C{preemptDelay='soon'}, as a program writes it; an item of a list: C{address[0]='x'}."""
    name = _ARGUMENTS.get(str(path[0]), str(path[0])) + "".join(f"[{step}]" for step in path[1:])
    return name if value is REQUIRED else f"{name}={value!r}"


_ARGUMENTS = {key.name: key.argument for key, _ in OPTIONS}


def settings(
    *,
    interface: str | None,
    address: Sequence[str] = (),
    alias: Sequence[str] = (),
    here: bool = False,
    **words: Any,
) -> Settings:
    """
    Read settings given as arguments: each option of C{twistd ha} is one, C{preemptDelay=30} for
    C{--preempt-delay 30}, and C{preempt=False} for C{--no-preempt}. C{None} is the same as no argument.

    @param address, alias, link, members: sequences, as these options may be given several times.
    @param here: they are to run on this host, now: a missing interface or permission is a problem too.
    @raise ConfigurationError: with every problem, each naming its argument and what is allowed.
    """
    words = {"interface": interface, "address": address, "alias": alias, **words}
    return _read(words, here, argument)


def fromOptions(words: Mapping[str, Any], here: bool = False) -> Settings:
    """
    The same of options: problems name them.

    @param words: values by argument of L{settings}.
    @raise ConfigurationError: with every problem, each naming its option and what is allowed.
    """
    return _read(dict(words), here, _option)


def _read(words: dict[str, Any], here: bool, place: Place) -> Settings:
    problems: list[str] = []
    listed = {name: words.pop(name, ()) for name in ("address", "alias")}
    for name in _LISTS:
        value = listed[name] if name in listed else words.get(name)
        if isinstance(value, str):
            problems.append(
                f"{place((name,), value)}: allowed is a list, such as {name}=[{value!r}]"
            )
            (listed if name in listed else words)[name] = []
    given = {"node": hostName(), **_given(words, problems)}
    given |= {name: list(value) for name, value in listed.items() if value is not None}
    table = Table(given, problems, (), place)
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

    def called(key: str) -> str:
        return place((key,), REQUIRED)

    problems += disagreements(found, called)
    if here:
        problems += hostProblems(found, called)
    if problems:
        raise ConfigurationError(problems)
    return found


def _given(words: dict[str, Any], problems: list[str]) -> dict[str, Any]:
    """The arguments by the names of their keys; what is none is a problem."""
    given = {}
    for key, option in OPTIONS:
        value = words.pop(key.argument, None)
        if value is None or (option.blank and not value):
            continue
        if (value := option.split(value)) is not None:
            given[key.name] = value
    known = [key.argument for key, _ in OPTIONS]
    for name in words:
        problems.append(f"{name}: there is no such argument{nearest(name, known, listed=False)}")
    return given
