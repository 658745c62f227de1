"""What settings come to: for people, before anything runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import inf

from hatwist.core.guarantee import Guarantee
from hatwist.core.limits import LIMIT
from hatwist.core.phrases import oneLine
from hatwist.protocols.native.guarantee import guarantee, releasing
from hatwist.protocols.native.rules import Timing
from hatwist.resources.addresses.placing import AddressSpec
from hatwist.resources.process import CUT_SHORT
from hatwist.settings.values import (
    MIN_LEASE,
    AliasSpec,
    CommandSpec,
    GroupSettings,
    ResourceSpec,
    Settings,
    UnitSpec,
)


def releaseTime(spec: ResourceSpec) -> float:
    """Seconds that its release may take, where the guard cannot make sure of it."""
    if isinstance(spec, AddressSpec):
        return 0.0
    if isinstance(spec, CommandSpec):
        return spec.timeout if spec.check is None else 2 * spec.timeout
    return 2 * spec.timeout if isinstance(spec, AliasSpec | UnitSpec) else LIMIT


def guaranteeOf(settings: Settings, group: GroupSettings) -> Guarantee:
    """How sure it is that no two nodes hold a group."""
    slow = sum(releaseTime(spec) for spec in group.resources)
    if dict(group.hooks).get("prepare"):
        slow += CUT_SHORT
    return guarantee(
        releasing(Timing(settings.interval, settings.tolerance), len(group.addresses), slow),
        settings.quorum,
        True,
        settings.lease if group.addresses else MIN_LEASE,
        tuple(str(spec) for spec in group.resources if releaseTime(spec)),
        witness=settings.witness is not None,
    )


def order(settings: Mapping[str, Settings], group: str) -> list[str]:
    """The nodes in the order in which they would hold a group, if all are up; as far as names tell."""

    def worth(node: str) -> tuple[int, str]:
        found = next(g for g in settings[node].groups if g.name == group)
        return -found.priority, node

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
    yield f"shared configuration {any_.digest().hex()}"
    if any_.quorum is not None:
        members = ", ".join(sorted(any_.quorum.members))
        yield f"a claim takes {any_.quorum.needed} votes of {members}"
    if any_.witness is not None:
        yield f"witness {any_.witness}; when no node reaches it: {any_.witnessLost}"
    for name, found in settings.items():
        if only in (None, name):
            yield ""
            yield f"node {name}"
            yield f"  heartbeats on {', '.join(str(way) for way in found.ways)}"
            yield f"  terms and votes in {found.stateDir}"
    for group in any_.groups:
        yield ""
        yield from _group(settings, group, only)


def _group(
    settings: Mapping[str, Settings], group: GroupSettings, only: str | None
) -> Iterator[str]:
    yield f"group {group.name}"
    nodes = order(settings, group.name)
    of = {n: next(g for g in settings[n].groups if g.name == group.name).priority for n in nodes}
    yield f"  held by {', then '.join(f'{n} (priority {of[n]})' for n in nodes)}"
    if len(set(of.values())) < len(of):
        yield "  of equal priority, the node with the lowest address comes first"
    back = f"after {group.preemptDelay:g} s" if group.preemptDelay else "at once"
    yield f"  a worthier node that returns gets it {back if group.preempt else 'only when the holder fails'}"
    yield f"  where no node is fit: {'the holder keeps it' if group.lastResort == 'keep' else 'nobody holds it'}"
    if group.askLimit < inf:
        yield f"  another host that answers for an address keeps it for {group.askLimit:g} s, if no holder is heard"
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
