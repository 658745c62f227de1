"""
The flight recorder: the last decisions of a node, each with what had come in before it.

Nothing is formatted until somebody asks: recording keeps references to values that exist anyway.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from enum import Enum
from typing import Any, NamedTuple

from hatwist.core.effects import (
    Announce,
    Ask,
    Change,
    Effect,
    Event,
    Hold,
    Leased,
    Persist,
    RoleChange,
)
from hatwist.core.packet import Outgoing, Received
from hatwist.core.reports import Report

DECISIONS = 256
"""Decisions kept."""
INPUTS = 32
"""What came in that is kept with each of them: the last of it."""

_ROUTINE = (Leased, Ask, Persist, Announce, Change)
"""A decision of only these is kept for as long as it is among the last inputs."""


class Line(NamedTuple):
    """
    One line of the recording.

    @ivar at: seconds, on the node's clock.
    @ivar kind: C{"packet"}, C{"told"}, C{"decided"} or C{"sent"}.
    """

    at: float
    kind: str
    text: str


class Recorder:
    """A ring of decisions, and one of what has come in, or was sent, since the last of them."""

    def __init__(self, decisions: int = DECISIONS, inputs: int = INPUTS) -> None:
        self._kept: deque[tuple[float, tuple[Any, ...], Sequence[Effect]]] = deque(maxlen=decisions)
        self._recent: deque[tuple[float, str, Any]] = deque(maxlen=inputs)

    def packet(self, now: float, received: Received) -> None:
        """A packet was taken in."""
        self._recent.append((now, "packet", received.says))

    def told(self, now: float, report: Report) -> None:
        """The driver told the machine something: resources are held, an answer of the LAN, ..."""
        self._recent.append((now, "told", report))

    def decided(self, now: float, effects: Sequence[Effect]) -> None:
        """What came of it."""
        for effect in effects:
            if not isinstance(effect, _ROUTINE):
                self._kept.append((now, tuple(self._recent), effects))
                self._recent.clear()
                return
        if effects:
            self._recent.append((now, "decided", effects))

    def sent(self, now: float, packet: Outgoing) -> None:
        """A packet left."""
        self._recent.append((now, "sent", packet.says))

    def __len__(self) -> int:
        """How many decisions are kept."""
        return len(self._kept)

    def lines(self) -> Iterator[Line]:
        """Everything kept, oldest first."""
        for at, inputs, effects in self._kept:
            for entry in inputs:
                yield _line(*entry)
            yield _line(at, "decided", effects)
        for entry in self._recent:
            yield _line(*entry)


def _line(at: float, kind: str, what: Any) -> Line:
    if kind == "told":
        return Line(at, kind, _words(what))
    if kind == "decided":
        # A change of this node's own role is there twice: for its observers, and for those of the whole cluster.
        own = {(each.group, each.reason) for each in what if isinstance(each, RoleChange)}
        told = [e for e in what if not (isinstance(e, Change) and (e.group, e.reason) in own)]
        return Line(at, kind, "; ".join(map(describe, told)))
    return Line(at, kind, str(what))


def _words(report: Report) -> str:
    """Such as "notheld web in use"."""
    fields = [each.name.lower() if isinstance(each, Enum) else str(each) for each in report]
    return " ".join(filter(None, [type(report).__name__.lower(), *fields]))


def describe(effect: Effect) -> str:
    """An effect in a few words."""
    if isinstance(effect, Hold):
        return f"hold {effect.group}, term {effect.term}"
    if isinstance(effect, RoleChange):
        old = effect.old.name if effect.old is not None else "-"
        return f"{effect.group}: {old} -> {effect.new.name}, term {effect.term}: {effect.reason}"
    if isinstance(effect, Change):
        old = effect.old or "-"
        return f"{effect.node} in {effect.group}: {old} -> {effect.new}: {effect.reason}"
    if isinstance(effect, Event):
        words = " ".join(filter(None, (effect.kind, effect.group, effect.peer)))
        return f"{words}: {effect.reason}"
    if isinstance(effect, Persist):
        return f"persist {effect.group}, terms to {effect.record.reserved}"
    if isinstance(effect, Leased):
        return f"lease of {effect.group}: {effect.lease}"
    return f"{type(effect).__name__.lower()} {effect.group}"
