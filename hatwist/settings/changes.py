"""What differs between the settings that run and those of a changed file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import inf
from typing import NamedTuple

from hatwist.core.electorate import Quorum
from hatwist.settings.key import OnReload, Scope
from hatwist.settings.keys import of, ofGroup
from hatwist.settings.values import GroupSettings, Settings

WARNING = "warning: "
"""The beginning of a line that is one."""


class Changes(NamedTuple):
    """
    @ivar lines: what is done, one sentence each; none: the files say the same.
    @ivar problems: what cannot be done while it runs.
    """

    lines: tuple[str, ...]
    problems: tuple[str, ...]


def changes(old: Settings, new: Settings) -> Changes:
    """What a reload comes to."""
    problems = [
        f"{key.name} cannot change by reload (running {_shown(getattr(old, key.field))}, file "
        f"{_shown(getattr(new, key.field))}): restart the daemons one at a time"
        for key in of(Scope.OPTION, Scope.CLUSTER, Scope.NODE)
        if key.reload is OnReload.REFUSED
        and key.field
        and getattr(old, key.field) != getattr(new, key.field)
    ]
    before = {group.name: group for group in old.groups}
    problems += [
        f"group {group.name}: protocol cannot change by reload (running {before[group.name].protocol}, file "
        f"{group.protocol}): take the group out, reload, and add it again"
        for group in new.groups
        if group.name in before and before[group.name].protocol != group.protocol
    ]
    return Changes((*_keys(old.keys, new.keys), *_groups(old, new)), tuple(problems))


def _shown(value: object) -> str:
    """As people write it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return "none" if value == inf else f"{value:g}"
    if isinstance(value, Quorum):
        return f"{value.needed} votes of {', '.join(sorted(value.members))}"
    if type(value) is tuple:  # one with named fields has a text of its own
        return ", ".join(map(str, value)) or "none"
    return "none" if value in (None, "") else str(value)


def _keys(old: Sequence[bytes], new: Sequence[bytes]) -> Iterator[str]:
    if old == new:
        return
    if not old:
        yield "heartbeats are signed from now on: nodes without the key are not heard any more"
    elif not new:
        yield "heartbeats are not signed any more: nodes with a key do not hear this one"
    else:
        if not set(old) & set(new):
            yield (
                f"{WARNING}no key in common with those that run: until all nodes have the new one, those with it "
                "and those without do not hear each other"
            )
        added, gone = len(set(new) - set(old)), len(set(old) - set(new))
        if old[0] != new[0]:
            yield "key replaced: nodes that do not have the new key will not hear this one"
        yield f"keys: {added} added, {gone} removed, {len(new)} accepted"


def _groups(old: Settings, new: Settings) -> Iterator[str]:
    before = {group.name: group for group in old.groups}
    after = {group.name: group for group in new.groups}
    for name in before:
        if name not in after:
            yield f"group {name} goes: it is released here"
    for name, group in after.items():
        if name not in before:
            yield f"group {name} comes: {', '.join(map(str, group.resources)) or 'no resources'}"
        elif group != before[name]:
            yield from _group(before[name], group)


def _group(old: GroupSettings, new: GroupSettings) -> Iterator[str]:
    for spec in old.resources:
        if spec not in new.resources:
            yield f"group {new.name}: without {spec}"
    for spec in new.resources:
        if spec not in old.resources:
            yield f"group {new.name}: with {spec}"
    if old.resources != new.resources and set(old.resources) == set(new.resources):
        yield f"group {new.name}: its resources in another order"
    before = {(key.scope, key.path): values for key, values in ofGroup(old)}
    for key, values in ofGroup(new):
        had = before.get((key.scope, key.path))
        if had is None:
            continue  # of another protocol
        one, other = getattr(had, key.field), getattr(values, key.field)
        if key.reload is OnReload.TOLD and one != other:
            yield f"group {new.name}: {key.path} {_shown(one)} becomes {_shown(other)}"
        elif key.field == "password" and one != other:
            yield f"group {new.name}: another password"
    if old.checks != new.checks:
        yield f"group {new.name}: {len(new.checks)} checks: {', '.join(c.name for c in new.checks)}"
    if old.hooks != new.hooks:
        yield f"group {new.name}: commands on {', '.join(e for e, _ in new.hooks) or 'no event'}"
