"""What one running node has counted and measured, as frozen values: faces read these, and no live object."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from hatwist.core.claims import Role
from hatwist.core.histogram import Distribution
from hatwist.core.overload import Burden
from hatwist.core.packet import Dropped
from hatwist.runtime.node import Node


class LinkFigures(NamedTuple):
    """
    One link; see L{hatwist.runtime.link.Link}.

    @ivar beats: how many heartbeats were sent to everybody on it.
    @ivar unsent: how many could not be sent, by the name of the error.
    @ivar bad: how many datagrams were dropped, by reason; C{dropped}: the newest of them.
    @ivar failing: the name of the error with which it cannot send at present; C{""}: it can.
    """

    name: str
    beats: int
    bytes: int
    unsent: Mapping[str, int]
    bad: Mapping[str, int]
    dropped: Mapping[str, Dropped]
    failing: str


class Figures(NamedTuple):
    """
    One node. Times are seconds of its clock.

    @ivar now: when that was so.
    @ivar startedAt: when the node began.
    @ivar sentAt: when it last sent a heartbeat.
    @ivar silent: it sends none: it was stopped, or another node of its name is heard.
    @ivar lateAt, lateBy: when a beat last came later than is good for the node, and by how many seconds.
    @ivar lateness: by how many seconds each beat came late.
    @ivar burden: of what it is overloaded now; C{None}: it keeps up. C{overloads}: how often it was not.
    @ivar roles: of each group, as was told last.
    @ivar sent: how many heartbeats were sent; C{received}: how many arrived, by node and link.
    @ivar events: how many there were, by kind.
    @ivar notes: what the election need not know, by group and kind: when it was noted last, and its words.
    @ivar heartbeats: the names of those links on which heartbeats of hatwist's own travel.
    @ivar announced: how many frames told the LAN where the addresses are, by group.
    @ivar margins: the least that was left of the lease of each group held here, in seconds, when it was renewed.
    """

    now: float
    startedAt: float
    sentAt: float
    silent: bool
    lateAt: float
    lateBy: float
    lateness: Distribution
    burden: Burden | None
    overloads: int
    roles: Mapping[str, Role]
    sent: int
    received: Mapping[tuple[str, str], int]
    events: Mapping[str, int]
    notes: Mapping[tuple[str, str], tuple[float, str]]
    links: tuple[LinkFigures, ...]
    heartbeats: tuple[str, ...]
    announced: Mapping[str, int]
    margins: Mapping[str, float]


def figures(node: Node) -> Figures:
    """Those of a node, as they are now."""
    events = dict(node.counters)
    sent = events.pop("sent", 0)
    return Figures(
        node.now,
        node.startedAt,
        node.driver.sentAt,
        node.silent,
        node.driver.pace.lateness.at,
        node.driver.pace.lateness.by,
        node.driver.pace.lateness.tally.distribution(),
        node.driver.pace.overload.burden,
        node.driver.pace.overload.times,
        dict(node.roles),
        sent,
        dict(node.driver.received),
        events,
        dict(node.notes),
        tuple(
            LinkFigures(
                link.name,
                link.beats,
                link.bytes,
                dict(link.unsent),
                dict(link.bad),
                dict(link.dropped),
                link.failing,
            )
            for link in node.links
        ),
        tuple(link.name for link in next(iter(node.driver.speakers)).links),
        {name: keeper.announced for name, keeper in node.keepers.items()},
        {
            name: fence.margin
            for name, fence in node.driver.fences.items()
            if fence.margin is not None
        },
    )
