"""What an operator orders: what would be done, that it is done, and how long it took."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from twisted.internet.defer import CancelledError, Deferred, TimeoutError
from twisted.internet.interfaces import IReactorTime

from hatwist.core.effects import Change
from hatwist.core.errors import Refused
from hatwist.core.picture import Explanation, Picture
from hatwist.runtime.node import Node
from hatwist.service.snapshot import Snapshot


class MovePlan(NamedTuple):
    """
    @ivar lines: what will be done, for people.
    @ivar moves: which node releases each group, and which is to have it; C{""}: nobody.
    """

    lines: list[str]
    moves: dict[str, tuple[str, str]]


class Moved(NamedTuple):
    """
    A group that has moved.

    @ivar source: who released it; C{to}: who has it; C{""}: nobody.
    @ivar dark: seconds for which nobody had it, where that is known; C{total}: since the order.
    """

    group: str
    source: str
    to: str
    dark: float | None
    total: float


class Done(NamedTuple):
    """
    An order that has been carried out.

    @ivar plan: what was to be done, a sentence each.
    @ivar arrivals: what came of it, in that order.
    @ivar note: what else there is to know, or C{""}.
    """

    plan: tuple[str, ...]
    arrivals: tuple[Moved, ...] = ()
    note: str = ""


def seen(snapshot: Snapshot) -> Picture:
    """
    @raise Refused: the service stops.
    """
    if snapshot.picture is None:
        raise Refused("this node does not run")
    return snapshot.picture


def known(snapshot: Snapshot, group: str) -> Explanation:
    """
    @raise Refused: there is no such group.
    """
    groups = seen(snapshot).groups
    if group not in groups:
        raise Refused(f"there is no group {group!r}; there is {', '.join(sorted(groups))}")
    return snapshot.explanation(group)


def planMove(node: Node, snapshot: Snapshot, group: str, to: str) -> MovePlan:
    """
    @param to: C{""}: to the worthiest, as if it had never been moved.
    @raise Refused: it cannot be done, and why.
    """
    why = known(snapshot, group)
    if to and to not in why.nodes:
        raise Refused(f"no node {to!r} is known; there are {', '.join(sorted(why.nodes))}")
    if why.holder is None:
        raise Refused(f"nothing can be moved now: {why.paragraph()}")
    if why.holder == to:
        return MovePlan([f"{group}: {to} holds it already"], {})
    if hindrance := node.hindrance(group, to):
        raise Refused(hindrance)
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
        raise Refused(
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
    @ivar done: fires with each L{Moved}, in that order.
    """

    def __init__(self, node: Node, moves: Mapping[str, tuple[str, str]], now: float) -> None:
        self._began = now
        self._waiting = dict(moves)
        self._freed: dict[str, float] = {}
        self._arrived: list[Moved] = []
        self.done: Deferred[list[Moved]] = Deferred(self._cancelled)
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

    def _cancelled(self, done: Deferred[list[Moved]]) -> None:
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
        total = round(change.at - self._began, 6)
        self._arrived.append(Moved(change.group, source, to, dark, total))

    def _look(self) -> None:
        if not self._waiting and not self.done.called:
            self.close()
            self.done.callback(self._arrived)


class Orders:
    """
    Carries out what an operator wants of one node.

    @param node: the running one; C{None}: none runs.
    @param see: what is known now.
    """

    def __init__(
        self, clock: IReactorTime, node: Callable[[], Node | None], see: Callable[[], Snapshot]
    ) -> None:
        self._clock = clock
        self._node = node
        self._see = see

    @property
    def node(self) -> Node:
        """
        @raise Refused: none runs.
        """
        node = self._node()
        if node is None:
            raise Refused("this node does not run")
        return node

    def planMove(self, group: str, to: str) -> MovePlan:
        """See L{move}; nothing is touched."""
        return planMove(self.node, self._see(), group, to)

    def planDrain(self, force: bool) -> MovePlan:
        """See L{drain}; nothing is touched."""
        return planDrain(self._see(), force)

    def planUndrain(self) -> MovePlan:
        """See L{drain}; nothing is touched."""
        return planUndrain(self._see())

    async def move(self, group: str, to: str, limit: float) -> Done:
        """
        Have a group moved, and wait until it is there.

        @param to: C{""}: to the worthiest, as if it had never been moved.
        @raise Refused: it cannot be; or it has not come about within C{limit} seconds.
        """
        node, plan = self.node, self.planMove(group, to)
        if to and not plan.moves:  # whoever asks for what is so already has it
            return Done(tuple(plan.lines))
        transfer = Transfer(node, plan.moves, self._clock.seconds())
        try:
            node.move(group, to)
        except ValueError as e:
            transfer.close()
            raise Refused(str(e)) from None
        arrivals = await self._arrival(transfer, limit)
        if to and arrivals[0].to != to:
            raise Refused(f"{arrivals[0].to} took {group} instead of {to}")
        return Done(tuple(plan.lines), arrivals)

    async def drain(self, on: bool, force: bool, limit: float) -> Done:
        """
        Hand over what is held here and take nothing, or be like the others again; wait until that is so.

        @param force: also what nobody else can take.
        @raise Refused: it cannot be; or it has not come about within C{limit} seconds.
        """
        node = self.node
        plan = self.planDrain(force) if on else self.planUndrain()
        if node.drained == on:
            return Done(tuple(plan.lines))
        transfer = Transfer(node, plan.moves, self._clock.seconds())
        notes = []
        try:
            await node.drain(on)
        except OSError as e:
            notes.append(f"It is done, but a restart will not know of it: {e}")
        if not on:
            groups = seen(self._see()).groups
            for name in transfer.waiting:
                if why := groups[name].obstacle:
                    transfer.without(name)
                    notes.append(f"{name} is not waited for: {why}")
        arrivals = await self._arrival(transfer, limit)
        return Done(tuple(plan.lines), arrivals, "\n".join(notes))

    async def _arrival(self, transfer: Transfer, limit: float) -> tuple[Moved, ...]:
        try:
            return tuple(await transfer.done.addTimeout(limit, self._clock))
        except TimeoutError:
            snapshot = self._see()
            whys = [snapshot.explanation(group).paragraph() for group in transfer.waiting]
            raise Refused(f"it has not come about within {limit:g} s: {' '.join(whys)}") from None
        finally:
            transfer.close()
