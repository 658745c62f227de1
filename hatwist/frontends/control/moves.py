"""Moving groups at an operator's wish: what would be done, and how long it took."""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from typing import TYPE_CHECKING, Any, NamedTuple

from twisted.internet.defer import CancelledError, Deferred

from hatwist.core.effects import Change
from hatwist.core.phrases import joined, worthOf
from hatwist.core.worth import Fitness, Worth
from hatwist.frontends.control.commands import Refused
from hatwist.protocols.native.election import Election
from hatwist.protocols.native.explain import HOLDING, Explanation
from hatwist.protocols.native.reasons import ownReason
from hatwist.runtime.node import Node
from hatwist.service.status import explanation, isolation

if TYPE_CHECKING:
    from hatwist.service.service import HAService


class Plan(NamedTuple):
    """
    @ivar lines: what will be done, for people.
    @ivar moves: which node releases each group, and which is to have it; C{""}: nobody.
    """

    lines: list[str]
    moves: dict[str, tuple[str, str]]


def planMove(service: HAService, group: str, to: str) -> Plan:
    """
    @param to: C{""}: to the worthiest, as if it had never been moved.
    @raise Refused: it cannot be done, and why.
    """
    why = known(service, group)
    if not to and why.holder is not None:
        return _planBack(service, group, why.holder)
    if to not in why.nodes:
        raise Refused(f"no node {to!r} is known; there are {', '.join(sorted(why.nodes))}")
    if why.holder == to:
        return Plan([f"{group}: {to} holds it already"], {})
    if why.holder is None:
        raise Refused(f"nothing can be moved now: {why.paragraph()}")
    _mayTake(why, to)
    node = running(service)
    view, now = node.machine.view, service.seconds()
    # The holder asks the same before it hands over.
    obstacle = node.machine.elections[group]._unable(to, why.holder, view, now)
    if obstacle:
        raise Refused(obstacle)
    return Plan([f"{group}: from {why.holder} to {to}"], {group: (why.holder, to)})


def _planBack(service: HAService, group: str, holder: str) -> Plan:
    """From wherever the operator once moved it."""
    node = running(service)
    election = node.machine.elections[group]
    names = {holder, *node.others(group)}
    if election.eligible(node.machine.view, service.seconds()):
        names.add(election.name)
    worths = {name: worth for name in names if (worth := _worth(node, election, name)) is not None}
    best = max(worths, key=lambda name: worths[name], default=holder)
    if best == holder:
        return Plan(
            [f"{group}: stays on {holder}, the worthiest, and is no longer bound to it"], {}
        )
    return Plan([f"{group}: from {holder} to {best}, the worthiest"], {group: (holder, best)})


def _mayTake(why: Explanation, to: str) -> None:
    reason = why.nodes[to]
    # An able standby is kept from it only by the order that a move overrules.
    if reason.kind not in ("eligible", "worth", "moved", "no-preempt", "preempt-delay", "handover"):
        raise Refused(f"{to} cannot take {why.group}: it {reason.text}")


def planDrain(service: HAService, force: bool) -> Plan:
    """
    @raise Refused: a group would be held by nobody.
    """
    node = running(service)
    name = service.settings.node
    if node.drained:
        return Plan([f"{name} is drained already"], {})
    lines, moves = [], {}
    stuck = []
    for group in node.machine.elections:
        why = explanation(service, group)
        if why.holder != name:
            continue
        best = next(iter(node.others(group)), "")
        if best:
            lines.append(f"{group}: from {name} to {best}")
        else:
            stuck.append(group)
            lines.append(f"{group}: nobody else can take it, so it will be down")
        moves[group] = (name, best)
    if stuck and not force:
        whys = " ".join(
            f"{other} {reason.text}."
            for other, reason in explanation(service, stuck[0]).nodes.items()
            if other != name
        )
        alone = isolation(service) != ""
        raise Refused(
            f"no other node {'that is heard ' if alone else ''}can take {', '.join(stuck)}, so "
            f"{'it' if len(stuck) == 1 else 'they'} {'may' if alone else 'would'} be down. "
            f"{whys or 'No other node is known.'} --force drains anyway"
        )
    return Plan([*lines, f"{name} will take over no group until: hatwist undrain"], moves)


def planUndrain(service: HAService) -> Plan:
    """What comes here at once, once this node may hold again: as its checks, links and votes have it now."""
    node = running(service)
    name = service.settings.node
    if not node.drained:
        return Plan([f"{name} is not drained"], {})
    lines, moves = [f"{name} may hold again"], {}
    view, now = node.machine.view, service.seconds()
    for group in node.machine.elections:
        election = _undrained(node.machine.elections[group])
        why = explanation(service, group)
        if obstacle := _obstacle(service, election, now):
            lines.append(f"{group}: not yet: {obstacle}")
            continue
        if why.holder is None:
            holders = [other for other, reason in why.nodes.items() if reason.kind in HOLDING]
            if holders:
                lines.append(
                    f"{group}: {joined(holders)} hold it at once; first one of them yields"
                )
                continue
            nobody = f"{name} hears no holder" if isolation(service) else "nobody holds it"
            lines.append(f"{group}: {nobody}; {name} will take it unless another node does first")
            moves[group] = ("", name)
            continue
        said = _worth(node, election, why.holder)
        mine = election.worth
        if said is None or not mine > said:
            if mine.fitness < Fitness.FIT:
                lines.append(
                    f"{group}: stays on {why.holder}: {name} is {mine.fitness.name.lower()}: "
                    f"{election.fitnessReason}"
                )
            continue
        claim = view.peers[why.holder].state(group).claim
        # As the holder decides, see L{hatwist.protocols.native.holding}.
        fitter = mine.fitness > said.fitness
        moved = claim is not None and claim.moved
        if moved and claim is not None:
            fitter = fitter and said.fitness < claim.worth.fitness
        text = f"{group}: from {why.holder} to {name}, which is worthier ({worthOf(mine)})"
        if moved and not fitter:
            lines.append(f"{group}: stays on {why.holder}, where it was moved")
        elif not fitter and not election.rules.preempt:
            lines.append(f"{group}: stays on {why.holder}, since preempt is off")
        elif not fitter and election.rules.preemptDelay:
            lines.append(f"{text}, after {election.rules.preemptDelay:g} s")
        else:
            lines.append(text)
            moves[group] = (why.holder, name)
    return Plan(lines, moves)


def _undrained(election: Election) -> Election:
    """The group as it would be here without the operator's wish, for questions only."""
    found = copy(election)
    verdicts = [verdict for source, verdict in election._verdicts.items() if source != DRAIN]
    found.fitness = min((fitness for fitness, _ in verdicts), default=Fitness.FIT)
    reasons = [why for fitness, why in verdicts if fitness == found.fitness and why]
    found.fitnessReason = "; ".join(reasons)
    return found


def _obstacle(service: HAService, election: Election, now: float) -> str:
    """What keeps this node from a group for longer than a moment, as a sentence; C{""}: nothing."""
    why = ownReason(election, running(service).machine.view, now)
    if why.kind == "back-off" and _onlyOne(service, election.rules.name):
        return ""
    return f"{election.name} {why.text}" if why.kind in _LASTING else ""


def hindrance(service: HAService, group: str) -> str:
    """Why this node, which is not drained, will not hold a group soon, as a sentence; C{""}: nothing keeps it."""
    election = running(service).machine.elections[group]
    found = _obstacle(service, election, service.seconds())
    if not found and election.fitness < Fitness.FIT:
        return f"{election.name} is {election.fitness.name.lower()}: {election.fitnessReason}"
    return found


def _onlyOne(service: HAService, group: str) -> bool:
    """Nobody else holds the group or could: then this node does not wait after a failure."""
    return not running(service).others(group)


DRAIN = "drain"
"""The source of the verdict that is the operator's, see L{hatwist.protocols.native.machine.DRAINED}."""
_LASTING = ("name", "back-off", "unfit", "unheard", "witness", "votes", "one-way")
"""Kinds of reasons that nothing but time or somebody's work ends."""


def _worth(node: Node, election: Election, name: str) -> Worth | None:
    """What a node says that it is worth; C{None}: it is known through others only."""
    if name == election.name:
        return election.worth
    peer = node.machine.view.peers.get(name)
    said = peer.announced(election.rules.name) if peer is not None else None
    return peer.worth(said) if peer is not None and said is not None else None


def running(service: HAService) -> Node:
    """
    @raise Refused: the service stops.
    """
    if service.node is None:
        raise Refused("this daemon is stopping")
    return service.node


def known(service: HAService, group: str, alone: str | None = None) -> Explanation:
    """
    @param alone: as of L{explanation}.
    @raise Refused: there is no such group.
    """
    groups = running(service).machine.elections
    if group not in groups:
        raise Refused(f"there is no group {group!r}; there is {', '.join(sorted(groups))}")
    return explanation(service, group, alone)


class Transfer:
    """
    Watches groups until each has arrived, and measures.

    Times are those at which this node noticed: of its own resources when the kernel has confirmed, of
    others when their heartbeat came.

    @param moves: as in L{Plan}.
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
