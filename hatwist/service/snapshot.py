"""Everything that there is to tell of one service at one moment: what faces show is made of it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import NamedTuple

from hatwist.core.guarantee import Guarantee
from hatwist.core.picture import Context, Explanation, Picture
from hatwist.resources.guard import GuardResource
from hatwist.runtime.history import History
from hatwist.runtime.node import Node
from hatwist.service.figures import Figures, figures
from hatwist.service.groupparts import GroupParts
from hatwist.service.troubles import rejecting
from hatwist.settings import Settings
from hatwist.settings.values import NATIVE

RECALLED = 7 * 86400.0
"""Seconds for which a node counts as one of the cluster that the history names, and nobody hears any more."""


class Parts(NamedTuple):
    """
    What a group is made of here.

    @ivar resources: their names, in the order in which they are acquired.
    @ivar checks: of each its C{name}, C{state} and C{reason}.
    @ivar protocol: what it speaks.
    """

    resources: tuple[str, ...]
    checks: tuple[Mapping[str, str], ...]
    protocol: str


class Snapshot(NamedTuple):
    """
    One service. Without C{picture} and C{figures} it does not run.

    @ivar uptime: seconds since it was started.
    @ivar history: the role changes of all nodes.
    @ivar picture: what its node knows of itself and of the others.
    @ivar figures: what its node has counted.
    @ivar parts: of each of its groups.
    @ivar refused: what its settings ask for and its host refuses, a clause each.
    """

    settings: Settings
    guarantee: Guarantee
    history: History
    uptime: float = 0.0
    picture: Picture | None = None
    figures: Figures | None = None
    parts: Mapping[str, Parts] = {}
    refused: tuple[str, ...] = ()

    def explanation(self, group: str) -> Explanation:
        """
        Why a group is where it is, as this node knows it.

        @raise KeyError: there is no such group, or the service does not run.
        """
        if self.picture is None:
            raise KeyError(group)
        found = self.picture.groups[group].explanation
        if found.holder is None:
            return found
        entry = self.history.began(found.holder, group, found.term)
        if entry is None:
            return found
        # An earlier start of this daemon may know more than "it held already".
        age = max(found.age or 0.0, time.time() - entry.time)
        return found._replace(age=age, because=entry.reason)


def snapshot(
    settings: Settings,
    guarantee: Guarantee,
    history: History,
    groups: Mapping[str, GroupParts],
    node: Node | None,
    startedAt: float,
    refused: tuple[str, ...] = (),
) -> Snapshot:
    """
    One service as it is now.

    @param groups: as they are made up, by name.
    @param node: C{None}: it does not run.
    @param startedAt: when it was started, on the node's clock.
    @param refused: what its settings ask for and its host refuses.
    """
    if node is None:
        return Snapshot(settings, guarantee, history)
    counted = figures(node)
    context = Context(
        _known(settings, history),
        rejecting(counted.links, counted.now, bool(settings.keys)),
        max(counted.startedAt, counted.lateAt),
        {name: group.senses.answer for name, group in groups.items()},
        settings.multicast.port,
    )
    parts = {
        name: Parts(
            tuple(r.name for r in keeper.resources if not isinstance(r, GuardResource)),
            tuple(groups[name].checks.states()) if name in groups else (),
            groups[name].group.protocol if name in groups else NATIVE,
        )
        for name, keeper in node.keepers.items()
    }
    return Snapshot(
        settings,
        guarantee,
        history,
        counted.now - startedAt,
        node.picture(context),
        counted,
        parts,
        refused,
    )


def _known(settings: Settings, history: History) -> set[str]:
    """The nodes that there should be, as far as votes and the last days tell."""
    known = set(settings.quorum.members) if settings.quorum is not None else set()
    last: dict[tuple[str, str], str] = {}
    since = time.time() - RECALLED
    for entry in history.entries:
        if entry.time >= since:
            last[entry.node, entry.group] = entry.new
    return known | {name for (name, _), role in last.items() if role != "SHUTDOWN"}
