"""The figures of one node for Prometheus, read where they are counted when somebody asks."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import Enum

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
from hatwist.core.histogram import Distribution
from hatwist.core.picture import Picture
from hatwist.core.states import State
from hatwist.core.worth import Fitness
from hatwist.service.figures import Figures
from hatwist.service.snapshot import Snapshot
from hatwist.settings import Settings

ROLES = (Role.STANDBY, Role.ACTIVE, Role.SHUTDOWN)


def registry(look: Callable[[], Snapshot]) -> CollectorRegistry:
    """
    The figures of one service alone, and those of its process.

    @param look: at the service, as it is now.
    """
    made = CollectorRegistry()
    made.register(SnapshotCollector(look))
    ProcessCollector(registry=made)
    return made


class SnapshotCollector(Collector):
    """
    Every figure of one service. Labels have only names that its configuration gave, or nodes that it
    knows, of which there are 250 at most.

    @param look: at the service, as it is now.
    """

    def __init__(self, look: Callable[[], Snapshot]) -> None:
        self._look = look

    def describe(self) -> Iterable[Metric]:
        """Nothing to look up at registration: a node may not run yet."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """All figures as they are now; those of the node only while it runs."""
        snapshot = self._look()
        settings, picture, figures = snapshot.settings, snapshot.picture, snapshot.figures
        versions = {
            "version": __version__,
            "python": platform.python_version(),
            "twisted": twisted.__version__,
        }
        yield InfoMetricFamily("hatwist_build", "The versions that run.", versions)
        names = {"cluster": settings.cluster, "node": settings.node}
        yield InfoMetricFamily("hatwist_node", "Which node this is, of which cluster.", names)
        yield _states(
            "hatwist_guarantee",
            "The guarantee in force: 1 for the level that it has.",
            ("level",),
            [((), snapshot.guarantee.level)],
            Level,
        )
        yield _gauge("hatwist_running", "Whether the node runs.", [((), picture is not None)])
        if picture is not None and figures is not None:
            yield from _timing(settings, figures)
            yield from _groups(picture, figures)
            yield from _claims(picture, figures)
            yield from _heartbeats(figures)
            yield from _peers(picture, figures)


def _timing(settings: Settings, figures: Figures) -> Iterator[Metric]:
    yield _gauge("hatwist_interval_seconds", "Time between heartbeats.", [((), settings.interval)])
    yield _gauge(
        "hatwist_tolerance_seconds",
        "Silence after which a node counts as gone.",
        [((), settings.tolerance)],
    )
    yield _histogram(
        "hatwist_loop_lateness_seconds",
        "By how much each beat of this node came late.",
        (),
        {(): figures.lateness},
    )
    yield _gauge(
        "hatwist_overloaded",
        "Whether this node does not keep up: its beats are late again and again.",
        [((), figures.burden is not None)],
    )
    yield _counter(
        "hatwist_overloads",
        "Times that this node became overloaded.",
        [((), figures.overloads)],
    )
    yield _counter(
        "hatwist_stalls",
        "Times that this node did nothing for more than one and a half intervals.",
        [((), figures.events.get("stalled", 0))],
    )


def _groups(picture: Picture, figures: Figures) -> Iterator[Metric]:
    groups = picture.groups
    yield _gauge(
        "hatwist_answered_by_other",
        "Whether another host, told by its MAC address, answers for an address that no node is heard to hold.",
        [((name, g.answering), 1) for name, g in groups.items() if g.answering],
        ("group", "mac"),
    )
    group = ("group",)
    yield _states(
        "hatwist_role",
        "The role of this node: 1 for the one that it has.",
        (*group, "role"),
        [((name,), role) for name, role in figures.roles.items()],
        ROLES,
    )
    yield _states(
        "hatwist_state",
        "What this node does in a group: 1 for the state that it is in.",
        (*group, "state"),
        [((name,), g.state) for name, g in groups.items()],
        State,
    )
    yield _states(
        "hatwist_fitness",
        "How fit this node is: 1 for the verdict that it has.",
        (*group, "fitness"),
        [((name,), g.own.fitness) for name, g in groups.items()],
        Fitness,
    )
    eligible = [((name,), g.own.eligible) for name, g in groups.items()]
    yield _gauge("hatwist_eligible", "Whether this node could hold the group.", eligible, group)
    yield _gauge(
        "hatwist_priority",
        "The priority of this node.",
        [((name,), g.own.priority) for name, g in groups.items()],
        group,
    )
    yield _gauge(
        "hatwist_term",
        "The highest term that is known.",
        [((name,), g.highest) for name, g in groups.items()],
        group,
    )
    yield _gauge(
        "hatwist_holders",
        "Live nodes that are known to hold the group, this one included.",
        [
            ((name,), len(g.actives) + (figures.roles[name] is Role.ACTIVE))
            for name, g in groups.items()
        ],
        group,
    )
    yield _counter(
        "hatwist_conflicts",
        "Times that another node held the group while this one did.",
        [((name,), g.events.get("conflict", 0)) for name, g in groups.items()],
        group,
    )
    yield _gauge(
        "hatwist_conflicting_nodes",
        "Other nodes that hold the group while this one does.",
        [((name,), len(g.conflicting)) for name, g in groups.items()],
        group,
    )


def _claims(picture: Picture, figures: Figures) -> Iterator[Metric]:
    groups = picture.groups
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
            for name, g in groups.items()
            for (old, new, cause), n in g.changes.items()
        ],
        (*group, "old", "new", "cause"),
    )
    yield _histogram(
        "hatwist_takeover_seconds",
        "From the decision to claim until everything was held.",
        group,
        {(name,): g.takeovers for name, g in groups.items()},
    )
    yield _counter(
        "hatwist_acquire_failures",
        "Times that the resources could not be acquired, or were lost.",
        [((name,), g.events.get("acquire-failed", 0)) for name, g in groups.items()],
        group,
    )
    yield _counter(
        "hatwist_announcements",
        "Frames that told the LAN where the addresses are.",
        [((name,), frames) for name, frames in figures.announced.items()],
        group,
    )
    yield _gauge(
        "hatwist_lease_margin_seconds",
        "What is left of the lease of a group held here; 0: it must be released.",
        [
            ((name,), g.lease - picture.now)
            for name, g in groups.items()
            if figures.roles[name] is Role.ACTIVE
        ],
        group,
    )
    yield _gauge(
        "hatwist_lease_margin_lowest_seconds",
        "The least that was left of it, since the group is held here, when it was renewed.",
        [((name,), margin) for name, margin in figures.margins.items()],
        group,
    )


def _heartbeats(figures: Figures) -> Iterator[Metric]:
    link = ("link",)
    yield _counter(
        "hatwist_heartbeats_sent",
        "Heartbeats sent on each link.",
        [((way.name,), way.beats) for way in figures.links],
        link,
    )
    yield _counter(
        "hatwist_heartbeats_sent_bytes",
        "Bytes of these, without those of lower layers.",
        [((way.name,), way.bytes) for way in figures.links],
        link,
    )
    yield _counter(
        "hatwist_heartbeats_unsent",
        "Heartbeats that could not be sent, by the name of the error.",
        [((way.name, error), n) for way in figures.links for error, n in way.unsent.items()],
        (*link, "error"),
    )
    yield _counter(
        "hatwist_heartbeats_rejected",
        "Packets that were rejected; this node's own, come back, are 'reflected'.",
        [((w.name, reason), w.bad.get(reason, 0)) for w in figures.links for reason in REASONS],
        (*link, "reason"),
    )


def _peers(picture: Picture, figures: Figures) -> Iterator[Metric]:
    peers = picture.peers.values()
    peer = ("peer",)
    yield _gauge(
        "hatwist_peer_alive",
        "Whether a node is heard or heard of, and has not said goodbye.",
        [((p.name,), p.alive) for p in peers],
        peer,
    )
    yield _gauge(
        "hatwist_peer_two_way",
        "Whether heartbeats arrive from a node, and this node's arrive there.",
        [((p.name,), p.twoWay) for p in peers],
        peer,
    )
    yield _gauge(
        "hatwist_peer_age_seconds",
        "Time since the newest word of a node, its own or another's.",
        [((p.name,), p.age) for p in peers],
        peer,
    )
    yield _gauge(
        "hatwist_peer_configuration_differs",
        "Whether a node's shared configuration is another than this node's.",
        [((p.name,), not p.agrees) for p in peers],
        peer,
    )
    yield _counter(
        "hatwist_heartbeats_received",
        "Heartbeats that arrived from a node on a link; one sent on two links arrives twice.",
        [(way, n) for way, n in figures.received.items() if way[0] in picture.peers],
        (*peer, "link"),
    )
    yield _gauge(
        "hatwist_heartbeat_age_seconds",
        "Time since a node was last heard on a link.",
        [((p.name, link), age) for p in peers for link, age in p.links.items()],
        (*peer, "link"),
    )
    yield _counter(
        "hatwist_heartbeats_lost",
        "Heartbeats of a node that no link had brought when a later one came.",
        [((p.name,), p.lost) for p in peers],
        peer,
    )
    yield _counter(
        "hatwist_peer_diverged",
        "Times that what a node told of its groups could not be so; all of it is asked for again.",
        [((p.name,), p.diverged) for p in peers],
        peer,
    )


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
    name: str, text: str, labels: tuple[str, ...], found: Mapping[tuple[str, ...], Distribution]
) -> Metric:
    family = HistogramMetricFamily(name, text, labels=labels)
    for names, values in found.items():
        buckets = [(floatToGoString(bound), count) for bound, count in values.cumulative]
        family.add_metric(names, buckets, values.total)
    return family
