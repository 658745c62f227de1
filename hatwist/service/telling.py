"""What the log has of a start."""

from __future__ import annotations

from collections.abc import Callable

from hatwist.core.guarantee import Guarantee, Level
from hatwist.settings import Settings


def tellStart(
    info: Callable[..., None], warn: Callable[..., None], settings: Settings, found: Guarantee
) -> None:
    """By what a node runs, and how sure it is that no two hold. With two methods of a logger."""
    info(
        "Node {node} of cluster {cluster} listens on {links}, {group}; interval {interval} s, "
        "tolerance {tolerance} s, heartbeats {signed}",
        node=settings.node,
        cluster=settings.cluster,
        links=" and ".join(str(spec) for spec in settings.ways),
        group=str(settings.multicast),
        interval=settings.interval,
        tolerance=settings.tolerance,
        signed="signed" if settings.keys else "not signed",
    )
    if not settings.lease and any(settings.addresses):
        warn(
            "Without a lease the kernel keeps the addresses where daemon and guard are killed together"
        )
    emit = warn if found.level is Level.BEST_EFFORT else info
    emit("Guarantee: {guarantee}: {reason}", guarantee=found.level.value, reason=found.reason)
    for gap in found.gaps:
        emit("Not protected: {gap}", gap=gap)
