"""What an operator should know that no role shows: packets that are dropped, and another node of this name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple, Protocol

from hatwist.phrases import duration

RECENT = 60.0
"""Seconds after which packets that were dropped are no trouble any more."""
MEANINGS = {
    "unsigned": "it signs nothing; is its key_file missing?",
    "unknown-key": "it has a key that this node does not have: another key file?",
    "signature": "its signature does not match",
    "version": "it speaks another version of the protocol",
    "same-name": "another host runs a node of this name: give each its own --node",
    "foreign-source": "it is no peer of the link",
    "crowded": "too many nodes",
}
"""By reason, of those L{hatwist.errors.REASONS} that are no ordinary noise of a LAN."""


class Dropped(NamedTuple):
    """
    The newest packet that was dropped on one link for one reason.

    @ivar at: when, on this node's clock.
    """

    at: float
    source: str


class Dropping(Protocol):
    """A link, as it is looked at here; see L{hatwist.link.Link}."""

    name: str
    bad: Counter[str]
    dropped: dict[str, Dropped]


def dropping(links: Iterable[Dropping], now: float) -> list[str]:
    """A clause for each reason and link for which packets were dropped of late, the newest first."""
    found = [
        (link.dropped[reason], link.bad[reason], reason, meaning, link.name)
        for link in links
        for reason, meaning in MEANINGS.items()
        if reason in link.dropped and now - link.dropped[reason].at < RECENT
    ]
    found.sort(reverse=True)
    return [
        f"{count} packet{'s were' if count > 1 else ' was'} dropped on {name} since the start, the newest "
        f"{duration(max(0.0, now - at))} ago from {source}: {reason} ({meaning})"
        for (at, source), count, reason, meaning, name in found
    ]


def gaveWay(name: str) -> str:
    """Of a node that has stopped since another one has its name."""
    return (
        f"{name} has stopped here: another host has started a node of the same name; give each its own --node, "
        "and start this one again"
    )
