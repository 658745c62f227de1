"""keepalived.conf: its VRRP instances and sync groups become groups."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from hatwist.core.linkspec import Kind, LinkPeer, LinkSpec
from hatwist.frontends.importing import keywords
from hatwist.frontends.importing.draft import Argv, Draft, DraftGroup
from hatwist.frontends.importing.keepalived import joining
from hatwist.frontends.importing.keepalived.braces import ConfStatement
from hatwist.frontends.importing.keepalived.instance import (
    TRACKS,
    Instance,
    Reading,
    readInstance,
    tracked,
)
from hatwist.frontends.importing.keepalived.notifying import NOTIFIES, hooks
from hatwist.frontends.importing.keepalived.tracking import Scripts
from hatwist.frontends.importing.naming import fresh
from hatwist.frontends.importing.notes import Notes, Place
from hatwist.frontends.importing.patience import tolerance

_SCRIPTS = ("vrrp_script", "vrrp_track_process")


def draft(statements: Sequence[ConfStatement], notes: Notes, keepsVrrp: bool = False) -> Draft:
    """
    What one host's keepalived.conf says.

    @param keepsVrrp: each instance is to be a group that speaks VRRP.
    @return: without groups where nothing in it is about shared addresses.
    """
    scripts = Scripts([each for each in statements if each.keyword in _SCRIPTS], notes)
    reading = Reading(scripts, notes, {}, keepsVrrp)
    syncs = [each for each in statements if each.keyword == "vrrp_sync_group"]
    members = {name for sync in syncs for name in _members(sync)}
    instances: dict[str, Instance] = {}
    for statement in statements:
        if statement.keyword == "vrrp_instance":
            instance = readInstance(statement, reading, not members & set(statement.words[1:]))
            if instance.name in instances:
                notes.lost(statement.place, statement.text, "there is one of this name already")
            instances.setdefault(instance.name, instance)
        elif statement.keyword == "global_defs":
            own = [each for each in statement.blocks if each.keyword in joining.GLOBAL]
            others = [each for each in statement.blocks if not keepsVrrp or each not in own]
            _say(others, keywords.GLOBAL, notes)
        elif statement.keyword not in (*_SCRIPTS, "vrrp_sync_group"):
            _say([statement], keywords.TOP, notes)
    if keepsVrrp:
        version = joining.versionOf(statements)
        joins = joining.groups(syncs, _members, instances.values(), version, reading)
        scripts.unused()
        return Draft(joining.values(list(instances.values())), joins) if joins else Draft()
    groups = _groups(syncs, instances, reading)
    scripts.unused()
    return Draft(_values(list(instances.values()), notes), tuple(groups)) if groups else Draft()


def _say(
    statements: Iterable[ConfStatement], about: Mapping[str, keywords.Saying], notes: Notes
) -> None:
    for statement in statements:
        saying = about.get(statement.keyword, keywords.UNKNOWN)
        tell = notes.lost if saying.lost else notes.differs
        tell(statement.place, statement.text, saying.advice)


def _groups(
    syncs: Sequence[ConfStatement], instances: Mapping[str, Instance], reading: Reading
) -> list[DraftGroup]:
    """One for each C{vrrp_sync_group}, in the order of the file, and for each instance in none."""
    rest = dict(instances)
    found: list[DraftGroup] = []
    for sync in syncs:
        members = []
        for name in _members(sync):
            if name in rest:
                members.append(rest.pop(name))
            else:
                why = "there is no such instance, or it is in a group already"
                reading.notes.lost(sync.place, f"{sync.text}: {name}", why)
        name = fresh(" ".join(sync.words[1:]), [group.name for group in found])
        found.append(_together(sync, name, members, reading))
    for instance in rest.values():
        name = fresh(instance.name, [group.name for group in found])
        found.append(_alone(instance, name))
    for group in found:
        if not any("address" in resource for resource in group.resources):
            reading.notes.lost(
                _placeOf(group, syncs, instances),
                group.name,
                "it has no address that could be carried over, so it is left out as a whole",
            )
    return [group for group in found if any("address" in resource for resource in group.resources)]


def _placeOf(
    group: DraftGroup, syncs: Iterable[ConfStatement], instances: Mapping[str, Instance]
) -> Place:
    named = [sync.place for sync in syncs if fresh(" ".join(sync.words[1:])) == group.name]
    named += [each.place for each in instances.values() if fresh(each.name) == group.name]
    return next(iter(named), Place(""))


def _alone(instance: Instance, name: str) -> DraftGroup:
    return DraftGroup(
        name,
        instance.identity,
        instance.resources,
        instance.checks,
        instance.priority,
        instance.preempts,
        instance.preemptDelay,
        instance.hooks,
    )


def _together(
    sync: ConfStatement, name: str, members: Sequence[Instance], reading: Reading
) -> DraftGroup:
    """The members of a sync group as one group."""
    notes = reading.notes
    known = {"group", *_members(sync), *TRACKS, *NOTIFIES}
    _say((each for each in sync.blocks if each.keyword not in known), keywords.SYNC, notes)
    if members and not _inBlock(sync):
        notes.differs(
            sync.place,
            sync.text,
            "its members stand without group { }, where keepalived ignores them; here they are one group",
        )

    def common(of: Callable[[Instance], Any], what: str) -> Any:
        values = [of(member) for member in members]
        if len(set(values)) > 1:
            why = (
                f"its instances disagree on {what}; the merged group uses that of {members[0].name}"
            )
            notes.differs(sync.place, sync.text, why)
        return values[0] if values else None

    checks = tracked(sync.blocks, reading.scripts, weighted=True)
    notifies = [each for each in sync.blocks if each.keyword in NOTIFIES]
    events: dict[str, tuple[Argv, ...]] = hooks(notifies, "GROUP", name, notes)
    for member in members:
        checks += [check for check in member.checks if check not in checks]
        for event, commands in member.hooks.items():
            events[event] = (*events.get(event, ()), *commands)
    return DraftGroup(
        name,
        "+".join(sorted(member.identity for member in members)),
        tuple(resource for member in members for resource in member.resources),
        tuple(checks),
        common(lambda member: member.priority, "priority"),
        bool(common(lambda member: member.preempts, "nopreempt")),
        common(lambda member: member.preemptDelay, "preempt_delay") or 0.0,
        events,
    )


def _inBlock(sync: ConfStatement) -> bool:
    return any(each.keyword == "group" for each in sync.blocks)


def _members(sync: ConfStatement) -> list[str]:
    """Their names. They belong into C{group { }}; one sample of keepalived has them outside."""
    if _inBlock(sync):
        inside = [
            each for block in sync.blocks if block.keyword == "group" for each in block.blocks
        ]
        return [word for each in inside for word in each.words]
    known = {*keywords.SYNC, *TRACKS, *NOTIFIES}
    return [each.keyword for each in sync.blocks if each.keyword not in known]


def _values(instances: Sequence[Instance], notes: Notes) -> dict[str, Any]:
    """What stands above all groups."""
    first = instances[0]
    found: dict[str, Any] = {
        "cluster": f"vrrp-{first.router}" if first.router else "vrrp",
        "interval": min(each.interval for each in instances),
    }
    patience = max(each.patience for each in instances)
    for each in instances:
        for what, own, common in (
            ("advert_int", each.interval, found["interval"]),
            ("down_timer_adverts", each.patience, patience),
        ):
            if own != common:
                why = f"there is one for all groups: {common:g}"
                notes.differs(each.place, f"{each.name}: {what} {own:g}", why)
    if patience != 3:
        # VRRP adds up to one interval of skew, by priority.
        wanted = (patience + 0.5) * found["interval"]
        found["tolerance"] = tolerance(wanted, found["interval"], first.place, notes)
    found["interface"] = Counter(each.interface for each in instances).most_common(1)[0][0]
    links = _links(instances)
    if links != [found["interface"]]:
        found["links"] = links
    return found


def _links(instances: Sequence[Instance]) -> list[str]:
    """Every way on which keepalived sends advertisements."""
    peers: dict[str, dict[str, None]] = {}
    multicast: dict[str, bool] = {}
    for each in instances:
        if each.peers:
            peers.setdefault(each.interface, {}).update(dict.fromkeys(each.peers))
        else:
            multicast[each.interface] = multicast.get(each.interface, True) and each.six
    found = [
        f"{interface},{Kind.MULTICAST6.value}" if six else interface
        for interface, six in multicast.items()
    ]
    for interface, addresses in peers.items():
        spec = LinkSpec(interface, Kind.UNICAST, tuple(map(LinkPeer.parse, addresses)))
        found.append(str(spec))
    return found
