"""What an operator should know that no role shows: packets that are rejected, and another node of this name."""

from __future__ import annotations

from collections.abc import Iterable

from hatwist.core.overload import Burden
from hatwist.core.phrases import duration
from hatwist.service.figures import LinkFigures

RECENT = 60.0
"""Seconds after which packets that were dropped are no trouble any more."""
MEANINGS = {
    "unsigned": "does not sign its heartbeats, and this node has a key",
    "unknown-key": "signs with a key that is not in the key file of this node",
    "signature": "sends heartbeats whose signature does not match",
    "version": "speaks another version of the protocol",
    "same-name": "has a node of the same name; give each its own --node",
    "foreign-source": "is no peer of this link",
    "crowded": "is one node more than a cluster may have",
    "hops": "sends what has fewer hops left than 255, or by unicast than min_ttl",
    "authentication": "has another password",
    "interval": "advertises at another interval, which must be the same with version 2 of VRRP",
}
"""What the sender does, by reason, of those L{hatwist.core.errors.REASONS} that are no ordinary noise of a LAN."""
KEYLESS = "signs its heartbeats, and this node has no key_file"
"""The meaning of C{unknown-key} where there is no key at all."""


def dropping(links: Iterable[LinkFigures], now: float, signed: bool = True) -> list[str]:
    """
    A clause for each reason and link for which packets were rejected of late, the newest first.

    @param signed: this node has a key.
    """
    found = [
        (link.dropped[reason], link.bad[reason], reason, link.name)
        for link in links
        for reason in MEANINGS
        if reason in link.dropped and now - link.dropped[reason].at < RECENT
    ]
    found.sort(reverse=True)
    return [
        f"{source} {meaning(reason, signed)}: {count} packet{'s were' if count > 1 else ' was'} rejected on "
        f"{name} since the start, the newest {duration(max(0.0, now - at))} ago ({reason})"
        for (at, source), count, reason, name in found
    ]


def rejecting(links: Iterable[LinkFigures], now: float, signed: bool = True) -> list[str]:
    """The same in short: each sender whose packets were rejected of late, with what it does."""
    found = [
        (link.dropped[reason].at, f"{link.dropped[reason].source} {meaning(reason, signed)}")
        for link in links
        for reason in MEANINGS
        if reason in link.dropped and now - link.dropped[reason].at < RECENT
    ]
    return list(dict.fromkeys(text for _, text in sorted(found, reverse=True)))


def unsent(links: Iterable[LinkFigures]) -> list[str]:
    """A clause for each link on which this node's own heartbeats cannot be sent."""
    return [
        f"no heartbeat can be sent on {link.name}: {link.failing}" for link in links if link.failing
    ]


def overloaded(burden: Burden, now: float) -> str:
    """Of a node that does not keep up."""
    return (
        f"this node is overloaded, for {duration(max(0.0, now - burden.since))}: {burden.late} of {burden.beats} beats "
        f"were late, by up to {burden.worst:.3f} s; what can wait does"
    )


def meaning(reason: str, signed: bool) -> str:
    """What the sender of such a packet does, a clause without its subject."""
    return KEYLESS if reason == "unknown-key" and not signed else MEANINGS[reason]


def yielded(name: str) -> str:
    """Of a node that yields since another one has its name."""
    return (
        f"another host runs a node {name}, so this one holds nothing and is silent until the other has stopped; "
        "give each its own --node"
    )
