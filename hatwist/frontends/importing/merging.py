"""The drafts of several hosts as one, which every host can be given."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from hatwist.frontends.importing.draft import Argv, Draft, DraftGroup, Table
from hatwist.frontends.importing.naming import fresh
from hatwist.frontends.importing.notes import Notes, Place
from hatwist.settings.reading import OWN

_PLACE = Place("all files")
_ONE_FILE = (
    "the other hosts need priorities of their own, and the same file: import the files of all hosts together, as in "
    "hatwist import alpha=FILE beta=FILE, or write priority = {alpha = 200, beta = 100}"
)


def merge(drafts: Sequence[tuple[str, Draft]], notes: Notes) -> Draft:
    """
    @param drafts: each host's name with what its files say; one with an empty name is for all hosts already.
    """
    drafts = [(name, draft) for name, draft in drafts if draft.groups]
    if not drafts:
        return Draft()
    if len(drafts) == 1 and not drafts[0][0]:
        return _unnamed(drafts[0][1], notes)
    nodes: dict[str, dict[str, Any]] = {name: {} for name, _ in drafts}
    values = _values(drafts, nodes, notes)
    groups = _apart([_group(identity, drafts, notes) for identity in _identities(drafts)], notes)
    if not groups:
        return Draft()
    if all(group.priorities == groups[0].priorities for group in groups):
        for name, priority in groups[0].priorities.items():
            nodes[name] = {"priority": priority, **nodes[name]}
        groups = [replace(group, priorities={}) for group in groups]
    if len(drafts) == 1:
        name = drafts[0][0]
        advice = "give the files of the other hosts too, or add a table for each of them"
        notes.differs(_PLACE, f"[node.{name}]", advice)
    return Draft(values, tuple(groups), nodes)


def _unnamed(draft: Draft, notes: Notes) -> Draft:
    """One host's file, of a host without a name."""
    for group in draft.groups:
        if group.priority is not None:
            notes.differs(_PLACE, f"{group.name}: priority = {group.priority}", _ONE_FILE)
    return draft


def _values(
    drafts: Sequence[tuple[str, Draft]], nodes: Mapping[str, dict[str, Any]], notes: Notes
) -> dict[str, Any]:
    """What is the same for all hosts; what is not goes to the nodes, if it may."""
    found: dict[str, Any] = {}
    for key in dict.fromkeys(key for _, draft in drafts for key in draft.values):
        of = {name: draft.values[key] for name, draft in drafts if key in draft.values}
        first = next(iter(of.values()))
        if len(of) == len(drafts) and all(each == first for each in of.values()):
            found[key] = first
        elif key in OWN:
            for name, value in of.items():
                nodes[name][key] = value
        else:
            found[key] = max(of.values()) if isinstance(first, int | float) else first
            said = ", ".join(f"{name}: {of.get(name, 'not said')}" for name, _ in drafts)
            notes.differs(_PLACE, f"{key} ({said})", f"it is the same on all hosts: {found[key]}")
    return found


def _identities(drafts: Iterable[tuple[str, Draft]]) -> list[str]:
    return list(dict.fromkeys(group.identity for _, draft in drafts for group in draft.groups))


def _group(identity: str, drafts: Sequence[tuple[str, Draft]], notes: Notes) -> DraftGroup:
    """What the hosts say of one group."""
    of: dict[str, DraftGroup] = {}
    for name, draft in drafts:
        of.update((name, group) for group in draft.groups if group.identity == identity)
    # It is this one that preempts, or does not.
    worthiest = max(of.values(), key=lambda group: group.priority or 0)
    first = next(iter(of.values()))
    for name, _ in drafts:
        if name not in of:
            advice = f"{name} has no such group; here every node may hold it"
            notes.lost(_PLACE, f"group {first.name}", advice)
    if len({group.name for group in of.values()}) > 1:
        names = ", ".join(f"{name}: {group.name}" for name, group in of.items())
        notes.differs(_PLACE, names, f"it is one group, called {first.name} everywhere")
    for what, values in (
        ("preempt", [group.preempt for group in of.values()]),
        ("preempt_delay", [group.preemptDelay for group in of.values()]),
    ):
        if len(set(values)) > 1:
            advice = "it is that of the host with the highest priority, on all hosts"
            notes.differs(_PLACE, f"{first.name}: {what} differs", advice)
    return replace(
        first,
        resources=_resources(of, first.name, notes),
        checks=_common(of, notes),
        priority=None,
        priorities={
            name: group.priority for name, group in of.items() if group.priority is not None
        },
        preempt=worthiest.preempt,
        preemptDelay=worthiest.preemptDelay,
        hooks=_hooks(of, first.name, notes),
        keys=_keys(of, first.name, notes),
    )


def _keys(of: Mapping[str, DraftGroup], name: str, notes: Notes) -> dict[str, Any]:
    """What must be the same on all hosts; of lists each host has a part."""
    found: dict[str, Any] = {}
    for group in of.values():
        for key, said in group.keys.items():
            if isinstance(said, list):
                found[key] = list(dict.fromkeys([*found.get(key, []), *said]))
            elif found.setdefault(key, said) != said:
                notes.differs(_PLACE, f"{name}: {key} differs", f"it is {found[key]} on all hosts")
    return found


def _resources(of: Mapping[str, DraftGroup], name: str, notes: Notes) -> tuple[Table, ...]:
    """Where only the interface of an address differs, it is where the address's network is."""
    places: dict[str, set[str]] = {}
    for group in of.values():
        for resource in group.resources:
            address, at, interface = str(resource.get("address", "")).partition("@")
            places.setdefault(address, set()).update([interface] if at else [])
    roaming = {address for address, interfaces in places.items() if len(interfaces) > 1}
    for address in sorted(roaming):
        advice = "each host puts it on the interface that is connected to its network"
        notes.differs(_PLACE, f"{address} on {' and '.join(sorted(places[address]))}", advice)

    found: list[Table] = []
    own = {
        host: [_anywhere(each, roaming) for each in group.resources] for host, group in of.items()
    }
    for resources in own.values():
        found += [resource for resource in resources if resource not in found]
    for resource in found:
        without = [host for host, resources in own.items() if resource not in resources]
        if without:
            advice = f"not in the file of {' and '.join(without)}; here it is shared by all hosts"
            notes.lost(_PLACE, f"{name}: {_shown(resource)}", advice)
    return tuple(found)


def _apart(groups: Sequence[DraftGroup], notes: Notes) -> list[DraftGroup]:
    """Groups of different names, and none that shares what another one does: hosts' files may not agree on that."""
    found: list[DraftGroup] = []
    taken: dict[tuple[str, str], str] = {}
    for group in groups:
        name = fresh(group.name, [each.name for each in found])
        left: list[Table] = []
        for resource in group.resources:
            kind = next(key for key in resource)
            key = (kind, str(resource[kind]).partition("/")[0])
            if kind == "command" or key not in taken:
                left.append(resource)
                taken[key] = name
            else:
                advice = f"the group {taken[key]} has the same {kind} already"
                notes.lost(_PLACE, f"{name}: {_shown(resource)}", advice)
        if left:
            found.append(replace(group, name=name, resources=tuple(left)))
        else:
            notes.lost(_PLACE, name, "nothing of it could be carried over")
    return found


def _anywhere(resource: Table, roaming: set[str]) -> Table:
    address = str(resource.get("address", "")).partition("@")[0]
    return {**resource, "address": address} if address in roaming else resource


def _common(of: Mapping[str, DraftGroup], notes: Notes) -> tuple[Table, ...]:
    """
    The checks that all hosts have. One that is not there may not be able to run there, and would make the host unfit.
    """
    found = list(next(iter(of.values())).checks)
    for check in [each for group in of.values() for each in group.checks]:
        without = [host for host, group in of.items() if check not in group.checks]
        if without:
            advice = (
                f"not in the file of {' and '.join(without)}, and checks are the same on all hosts: let a program of "
                "the same name find out what is to be checked"
            )
            notes.lost(_PLACE, f"check {_shown(check)}", advice)
            found = [each for each in found if each != check]
    return tuple(found)


def _shown(table: Table) -> str:
    first = next(iter(table.values()))
    return " ".join(first) if isinstance(first, list | tuple) else str(first)


def _hooks(of: Mapping[str, DraftGroup], name: str, notes: Notes) -> dict[str, tuple[Argv, ...]]:
    """The commands that all hosts run."""
    found: dict[str, tuple[Argv, ...]] = {}
    for event in dict.fromkeys(event for group in of.values() for event in group.hooks):
        every = {host: group.hooks.get(event, ()) for host, group in of.items()}
        for command in dict.fromkeys(each for commands in every.values() for each in commands):
            without = [host for host, commands in every.items() if command not in commands]
            if not without:
                found[event] = (*found.get(event, ()), command)
                continue
            advice = (
                f"not in the file of {' and '.join(without)}, and commands are the same on all hosts: let a program of "
                "the same name do what is to be done"
            )
            notes.lost(_PLACE, f"{name}: {event}: {' '.join(command)}", advice)
    return found
