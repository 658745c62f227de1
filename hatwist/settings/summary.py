"""What settings come to: for people, before anything runs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from hatwist.core.guarantee import Guarantee
from hatwist.core.phrases import oneLine
from hatwist.resources.process import CUT_SHORT
from hatwist.settings import protocols
from hatwist.settings.costs import tooMuch
from hatwist.settings.digest import digest
from hatwist.settings.key import Key, Scope
from hatwist.settings.keys import of, ofGroup
from hatwist.settings.values import GroupSettings, Settings


def guaranteeOf(settings: Settings, group: GroupSettings) -> Guarantee:
    """How sure it is that no two nodes hold a group."""
    slow = sum(spec.releaseTime for spec in group.resources)
    if dict(group.hooks).get("prepare"):
        slow += CUT_SHORT
    unguardable = tuple(str(spec) for spec in group.resources if spec.releaseTime)
    return protocols.guaranteeOf(settings, group, slow, unguardable)


def order(settings: Mapping[str, Settings], group: str) -> list[str]:
    """The nodes in the order in which they would hold a group, if all are up; as far as names tell."""

    def worth(node: str) -> tuple[int, str]:
        return protocols.rank(next(g for g in settings[node].groups if g.name == group)), node

    return sorted(settings, key=worth)


def plan(settings: Mapping[str, Settings], only: str | None = None) -> str:
    """
    Lines for people.

    @param settings: of every node.
    @param only: what differs by node is shown for this one alone.
    """
    return "".join(f"{oneLine(line)}\n" for line in _lines(settings, only))


def _lines(settings: Mapping[str, Settings], only: str | None) -> Iterator[str]:
    any_ = next(iter(settings.values()))
    yield (
        f"cluster {any_.cluster}: {len(settings)} node{'s' * (len(settings) > 1)}, interval "
        f"{any_.interval:g} s, tolerance {any_.tolerance:g} s, lease {any_.lease} s"
    )
    if problem := tooMuch(any_.interval, len(settings), len(any_.nativeGroups)):
        yield f"warning: {problem}"
    yield f"shared configuration {digest(any_).hex()}"
    yield from _told(any_, "", of(Scope.CLUSTER))
    yield from _told(any_, "", (key for key in of(Scope.NODE) if key.shared))
    for name, found in settings.items():
        if only in (None, name):
            yield ""
            yield f"node {name}"
            yield f"  heartbeats on {', '.join(str(way) for way in found.ways)}"
            yield f"  terms and votes in {found.stateDir}"
            yield from _told(found, "  ", (key for key in of(Scope.NODE) if not key.shared))
    for group in any_.groups:
        yield ""
        yield from _group(settings, group, only)


def _group(
    settings: Mapping[str, Settings], group: GroupSettings, only: str | None
) -> Iterator[str]:
    yield f"group {group.name}"
    nodes = order(settings, group.name)
    own = {n: next(g for g in settings[n].groups if g.name == group.name) for n in nodes}
    yield f"  held by {', then '.join(f'{n} ({protocols.standing(own[n])})' for n in nodes)}"
    if len({protocols.rank(each) for each in own.values()}) < len(own):
        yield f"  {protocols.tie(group)}"
    for key, values in ofGroup(group):
        yield from _told(values, "  ", [key])
    for number, spec in enumerate(group.resources, 1):
        yield f"  {number}. {spec}"
    for check in group.checks:
        yield f"  checks {check.name} each {check.interval:g} s; failed: {check.effect.name.lower()}"
    for event, commands in group.hooks:
        yield f"  on {event}: {'; '.join(' '.join(argv) for argv in commands)}"
    found = guaranteeOf(settings[only or nodes[0]], group)
    yield f"  guarantee: {found.level.value}: {found.reason}"
    for gap in found.gaps:
        yield f"    not protected: {gap}"


def _told(values: Any, indent: str, keys: Iterable[Key]) -> Iterator[str]:
    """What each setting has to tell of itself."""
    for key in keys:
        if key.told is not None and (line := key.told(values)):
            yield f"{indent}{line}"
