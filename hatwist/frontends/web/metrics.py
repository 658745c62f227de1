"""The figures of one node for Prometheus, read where they are counted when somebody asks."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Iterator, Mapping
from enum import Enum
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

import twisted
from hatwist import __version__
from hatwist.core.claims import Role
from hatwist.core.errors import REASONS
from hatwist.core.guarantee import Level
from hatwist.core.histogram import Tally
from hatwist.core.states import State
from hatwist.core.worth import Fitness
from hatwist.protocols.native.election import Election
from hatwist.runtime.node import Node

if TYPE_CHECKING:
    from hatwist.service.service import HAService

ROLES = (Role.STANDBY, Role.ACTIVE, Role.SHUTDOWN)


def registry(service: HAService) -> CollectorRegistry:
    """The figures of one service alone, and those of its process."""
    made = CollectorRegistry()
    made.register(Figures(service))
    ProcessCollector(registry=made)
    return made


class Figures(Collector):
    """
    Every figure of one service. Labels have only names that its configuration gave, or nodes that it
    knows, of which there are 250 at most.
    """

    def __init__(self, service: HAService) -> None:
        self._service = service

    def describe(self) -> Iterable[Metric]:
        """Nothing to look up at registration: a node may not run yet."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """All figures as they are now; those of the node only while it runs."""
        service = self._service
        versions = {
            "version": __version__,
            "python": platform.python_version(),
            "twisted": twisted.__version__,
        }
        yield InfoMetricFamily("hatwist_build", "The versions that run.", versions)
        names = {"cluster": service.settings.cluster, "node": service.settings.node}
        yield InfoMetricFamily("hatwist_node", "Which node this is, of which cluster.", names)
        yield _states(
            "hatwist_guarantee",
            "The guarantee in force: 1 for the level that it has.",
            ("level",),
            [((), service.guarantee.level)],
            Level,
        )
        node = service.node
        yield _gauge("hatwist_running", "Whether the node runs.", [((), node is not None)])
        if node is not None:
            now = node.now
            yield from _timing(node)
            yield from _groups(node, now)
            yield from _claims(node, now)
            yield from _heartbeats(node)
            yield from _peers(node, now)


def _timing(node: Node) -> Iterator[Metric]:
    rules = node.machine.rules
    yield _gauge("hatwist_interval_seconds", "Time between heartbeats.", [((), rules.interval)])
    yield _gauge(
        "hatwist_tolerance_seconds",
        "Silence after which a node counts as gone.",
        [((), rules.tolerance)],
    )
    yield _histogram(
        "hatwist_loop_lateness_seconds",
        "By how much each beat of this node came late.",
        (),
        {(): node.driver.lateness.tally},
    )
    yield _counter(
        "hatwist_stalls",
        "Times that this node did nothing for more than one and a half intervals.",
        [((), node.counters["stalled"])],
    )


def _groups(node: Node, now: float) -> Iterator[Metric]:
    elections = node.machine.elections
    yield _gauge(
        "hatwist_answered_by_other",
        "Whether another host, told by its MAC address, answers for an address that no node is heard to hold.",
        [
            ((name, e.servedBy), 1)
            for name, e in elections.items()
            if e.servedBy and e.served(now) and not node.machine.view.actives(name, now)
        ],
        ("group", "mac"),
    )
    view = node.machine.view
    group = ("group",)
    yield _states(
        "hatwist_role",
        "The role of this node: 1 for the one that it has.",
        (*group, "role"),
        [((name,), role) for name, role in node.roles.items()],
        ROLES,
    )
    yield _states(
        "hatwist_state",
        "What this node does in a group: 1 for the state that it is in.",
        (*group, "state"),
        [((name,), e.state) for name, e in elections.items()],
        State,
    )
    yield _states(
        "hatwist_fitness",
        "How fit this node is: 1 for the verdict that it has.",
        (*group, "fitness"),
        [((name,), e.fitness) for name, e in elections.items()],
        Fitness,
    )
    eligible = [((name,), e.eligible(view, now)) for name, e in elections.items()]
    yield _gauge("hatwist_eligible", "Whether this node could hold the group.", eligible, group)
    yield _gauge(
        "hatwist_priority",
        "The priority of this node.",
        [((name,), e.rules.priority) for name, e in elections.items()],
        group,
    )
    yield _gauge(
        "hatwist_term",
        "The highest term that is known.",
        [((name,), e.highest) for name, e in elections.items()],
        group,
    )
    yield _gauge(
        "hatwist_holders",
        "Live nodes that are known to hold the group, this one included.",
        [
            ((name,), len(view.actives(name, now)) + (node.roles[name] is Role.ACTIVE))
            for name in elections
        ],
        group,
    )
    yield _counter(
        "hatwist_conflicts",
        "Times that another node held the group while this one did.",
        [((name,), e.counters["conflict"]) for name, e in elections.items()],
        group,
    )
    yield _gauge(
        "hatwist_conflicting_nodes",
        "Other nodes that hold the group while this one does.",
        [((name,), len(e.conflicts)) for name, e in elections.items()],
        group,
    )


def _claims(node: Node, now: float) -> Iterator[Metric]:
    elections = node.machine.elections
    group = ("group",)
    yield _counter(
        "hatwist_role_changes",
        "Role changes of this node.",
        [
            (
                (
                    name,
                    old.name.lower() if old is not None else "none",
                    new.name.lower(),
                    cause.value,
                ),
                n,
            )
            for name, e in elections.items()
            for (old, new, cause), n in e.transitions.items()
        ],
        (*group, "old", "new", "cause"),
    )
    yield _histogram(
        "hatwist_takeover_seconds",
        "From the decision to claim until everything was held.",
        group,
        {(name,): e.takeovers for name, e in elections.items()},
    )
    yield _counter(
        "hatwist_acquire_failures",
        "Times that the resources could not be acquired, or were lost.",
        [((name,), e.counters["acquire-failed"]) for name, e in elections.items()],
        group,
    )
    yield _counter(
        "hatwist_announcements",
        "Frames that told the LAN where the addresses are.",
        [((name,), keeper.announced) for name, keeper in node.keepers.items()],
        group,
    )
    yield _gauge(
        "hatwist_lease_margin_seconds",
        "What is left of the lease of a group held here; 0: it must be released.",
        [((n,), e.lease(now) - now) for n, e in elections.items() if _holds(node, e)],
        group,
    )
    yield _gauge(
        "hatwist_lease_margin_lowest_seconds",
        "The least that was left of it, since the group is held here, when it was renewed.",
        [
            ((name,), fence.margin)
            for name, fence in node.driver.fences.items()
            if fence.margin is not None
        ],
        group,
    )


def _heartbeats(node: Node) -> Iterator[Metric]:
    link = ("link",)
    yield _counter(
        "hatwist_heartbeats_sent",
        "Heartbeats sent on each link.",
        [((way.name,), way.beats) for way in node.links],
        link,
    )
    yield _counter(
        "hatwist_heartbeats_unsent",
        "Heartbeats that could not be sent, by the name of the error.",
        [((way.name, error), n) for way in node.links for error, n in way.unsent.items()],
        (*link, "error"),
    )
    yield _counter(
        "hatwist_heartbeats_rejected",
        "Packets that were rejected; this node's own, come back, are 'reflected'.",
        [((way.name, reason), way.bad[reason]) for way in node.links for reason in REASONS],
        (*link, "reason"),
    )


def _peers(node: Node, now: float) -> Iterator[Metric]:
    view = node.machine.view
    peer = ("peer",)
    yield _gauge(
        "hatwist_peer_alive",
        "Whether a node is heard or heard of, and has not said goodbye.",
        [((p.name,), p.alive(now)) for p in view],
        peer,
    )
    yield _gauge(
        "hatwist_peer_two_way",
        "Whether heartbeats arrive from a node, and this node's arrive there.",
        [((p.name,), p.twoWay(now)) for p in view],
        peer,
    )
    yield _gauge(
        "hatwist_peer_age_seconds",
        "Time since the newest word of a node, its own or another's.",
        [((p.name,), now - p.at) for p in view],
        peer,
    )
    yield _gauge(
        "hatwist_peer_configuration_differs",
        "Whether a node's shared configuration is another than this node's.",
        [((p.name,), not view.agrees(p)) for p in view],
        peer,
    )
    yield _counter(
        "hatwist_heartbeats_received",
        "Heartbeats that arrived from a node on a link; one sent on two links arrives twice.",
        [(way, n) for way, n in node.driver.received.items() if way[0] in view.peers],
        (*peer, "link"),
    )
    yield _gauge(
        "hatwist_heartbeat_age_seconds",
        "Time since a node was last heard on a link.",
        [((p.name, link), now - at) for p in view for link, at in p.links.items()],
        (*peer, "link"),
    )
    yield _counter(
        "hatwist_heartbeats_lost",
        "Heartbeats of a node that no link had brought when a later one came.",
        [((p.name,), p.lost) for p in view],
        peer,
    )


def _holds(node: Node, election: Election) -> bool:
    return node.roles[election.rules.name] is Role.ACTIVE


Values = Iterable[tuple[tuple[str, ...], float]]


def _gauge(name: str, text: str, values: Values, labels: tuple[str, ...] = ()) -> Metric:
    family = GaugeMetricFamily(name, text, labels=labels)
    for names, value in values:
        family.add_metric(names, float(value))
    return family


def _counter(name: str, text: str, values: Values, labels: tuple[str, ...] = ()) -> Metric:
    family = CounterMetricFamily(name, text, labels=labels)
    for names, value in values:
        family.add_metric(names, float(value))
    return family


def _states(
    name: str,
    text: str,
    labels: tuple[str, ...],
    values: Iterable[tuple[tuple[str, ...], Enum]],
    states: Iterable[Enum],
) -> Metric:
    """One 0 or 1 for each state that there is: a sum over time then tells how long each was."""
    family = GaugeMetricFamily(name, text, labels=labels)
    every = tuple(states)
    for names, present in values:
        for state in every:
            family.add_metric((*names, _word(state)), float(state is present))
    return family


def _word(state: Enum) -> str:
    word = state.value if isinstance(state.value, str) else state.name
    return word.lower().replace(" ", "-")


def _histogram(
    name: str, text: str, labels: tuple[str, ...], tallies: Mapping[tuple[str, ...], Tally]
) -> Metric:
    family = HistogramMetricFamily(name, text, labels=labels)
    for names, tally in tallies.items():
        buckets = [(floatToGoString(bound), count) for bound, count in tally.cumulative()]
        family.add_metric(names, buckets, tally.total)
    return family
