"""Moving groups at an operator's wish: what would be done, and how long it took."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from twisted.internet.defer import CancelledError, Deferred

from hatwist.core.effects import Change
from hatwist.core.picture import Explanation, Picture
from hatwist.frontends.control.boxes import CommandRefused
from hatwist.runtime.node import Node
from hatwist.service.service import HAService
from hatwist.service.snapshot import Snapshot


class MovePlan(NamedTuple):
    """
    @ivar lines: what will be done, for people.
    @ivar moves: which node releases each group, and which is to have it; C{""}: nobody.
    """

    lines: list[str]
    moves: dict[str, tuple[str, str]]


def running(service: HAService) -> Node:
    """
    @raise Refused: the service stops.
    """
    if service.node is None:
        raise CommandRefused("this daemon is stopping")
    return service.node


def seen(snapshot: Snapshot) -> Picture:
    """
    @raise Refused: the service stops.
    """
    if snapshot.picture is None:
        raise CommandRefused("this daemon is stopping")
    return snapshot.picture


def known(snapshot: Snapshot, group: str) -> Explanation:
    """
    @raise Refused: there is no such group.
    """
    groups = seen(snapshot).groups
    if group not in groups:
        raise CommandRefused(f"there is no group {group!r}; there is {', '.join(sorted(groups))}")
    return snapshot.explanation(group)


def planMove(service: HAService, group: str, to: str) -> MovePlan:
    """
    @param to: C{""}: to the worthiest, as if it had never been moved.
    @raise Refused: it cannot be done, and why.
    """
    snapshot = service.snapshot()
    why = known(snapshot, group)
    if to and to not in why.nodes:
        raise CommandRefused(f"no node {to!r} is known; there are {', '.join(sorted(why.nodes))}")
    if why.holder is None:
        raise CommandRefused(f"nothing can be moved now: {why.paragraph()}")
    if why.holder == to:
        return MovePlan([f"{group}: {to} holds it already"], {})
    if hindrance := running(service).hindrance(group, to):
        raise CommandRefused(hindrance)
    if to:
        return MovePlan([f"{group}: from {why.holder} to {to}"], {group: (why.holder, to)})
    best = seen(snapshot).groups[group].worthiest
    if best == why.holder:
        return MovePlan(
            [f"{group}: stays on {best}, the worthiest, and is no longer bound to it"], {}
        )
    return MovePlan(
        [f"{group}: from {why.holder} to {best}, the worthiest"], {group: (why.holder, best)}
    )


def planDrain(snapshot: Snapshot, force: bool) -> MovePlan:
    """
    @raise Refused: a group would be held by nobody.
    """
    picture = seen(snapshot)
    name = picture.node
    if picture.drained:
        return MovePlan([f"{name} is drained already"], {})
    lines, moves = [], {}
    stuck = []
    for group in picture.groups.values():
        if group.explanation.holder != name:
            continue
        best = next(iter(group.others), "")
        if best:
            lines.append(f"{group.name}: from {name} to {best}")
        elif group.unheard:
            best = NEXT
            lines.append(f"{group.name}: from {name} to {best}, which is not heard yet")
        else:
            stuck.append(group)
            lines.append(f"{group.name}: nobody else can take it, so it will be down")
        moves[group.name] = (name, best)
    if stuck and not force:
        whys = " ".join(
            f"{other} {reason.text}."
            for other, reason in stuck[0].explanation.nodes.items()
            if other != name
        )
        alone = picture.alone != ""
        raise CommandRefused(
            f"no other node {'that is heard ' if alone else ''}can take "
            f"{', '.join(group.name for group in stuck)}, so "
            f"{'it' if len(stuck) == 1 else 'they'} {'may' if alone else 'would'} be down. "
            f"{whys or 'No other node is known.'} --force drains anyway"
        )
    return MovePlan([*lines, f"{name} will take over no group until: hatwist undrain"], moves)


def planUndrain(snapshot: Snapshot) -> MovePlan:
    """
    What comes here at once, once this node may hold again: as its checks, links and votes have it now.

    @raise Refused: the service stops.
    """
    picture = seen(snapshot)
    name = picture.node
    if not picture.drained:
        return MovePlan([f"{name} is not drained"], {})
    lines, moves = [f"{name} may hold again"], {}
    for group in picture.groups.values():
        prospect = group.undrained
        if prospect is None:
            continue
        if prospect.words:
            lines.append(f"{group.name}: {prospect.words}")
        if prospect.source is not None:
            moves[group.name] = (prospect.source, name)
    return MovePlan(lines, moves)


NEXT = "the next master"
"""To whom a group goes where those who could take it are silent."""


class Transfer:
    """
    Watches groups until each has arrived, and measures.

    Times are those at which this node noticed: of its own resources when the kernel has confirmed, of
    others when their heartbeat came.

    @param moves: as in L{MovePlan}.
    @ivar done: fires with a list of objects for JSON, in the order of arrival.
    """

    def __init__(self, node: Node, moves: Mapping[str, tuple[str, str]], now: float) -> None:
        self._began = now
        self._waiting = dict(moves)
        self._freed: dict[str, float] = {}
        self._arrived: list[dict[str, Any]] = []
        self.done: Deferred[list[dict[str, Any]]] = Deferred(self._cancelled)
        self._unwatch = node.watch(self._changed)
        self._look()

    def without(self, group: str) -> None:
        """Do not wait for this one."""
        if self._waiting.pop(group, None) is not None:
            self._look()

    @property
    def waiting(self) -> list[str]:
        """The groups that have not arrived."""
        return list(self._waiting)

    def close(self) -> None:
        """Watch no more."""
        self._unwatch()

    def _cancelled(self, done: Deferred[Any]) -> None:
        self.close()
        done.errback(CancelledError())

    def _changed(self, change: Change) -> None:
        if change.group not in self._waiting:
            return
        source, target = self._waiting[change.group]
        if change.node == source:
            if change.new in ("STANDBY", "SHUTDOWN"):
                self._freed[change.group] = change.at
                if not target:
                    self._arrive(change, "")
        elif change.new == "ACTIVE":
            self._arrive(change, change.node)
        self._look()

    def _arrive(self, change: Change, to: str) -> None:
        source, _ = self._waiting.pop(change.group)
        freed = self._freed.get(change.group)
        dark = round(change.at - freed, 6) if freed is not None and to else None
        self._arrived.append(
            {
                "group": change.group,
                "from": source,
                "to": to,
                "dark": dark,
                "total": round(change.at - self._began, 6),
            }
        )

    def _look(self) -> None:
        if not self._waiting and not self.done.called:
            self.close()
            self.done.callback(self._arrived)
