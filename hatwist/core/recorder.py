"""
The flight recorder: the last decisions of a node, each with what had come in before it.

Nothing is formatted until somebody asks: recording keeps references to values that exist anyway.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from hatwist.core.effects import Announce, Ask, Effect, Event, Hold, Persist, RoleChange, Send
from hatwist.protocols.native.heartbeat import GroupState, Heartbeat

DECISIONS = 256
"""Decisions kept."""
INPUTS = 32
"""What came in that is kept with each of them: the last of it."""

_ROUTINE = (Send, Ask, Persist, Announce)
"""A decision of only these is kept for as long as it is among the last inputs."""


class Line(NamedTuple):
    """
    One line of the recording.

    @ivar at: seconds, on the node's clock.
    @ivar kind: C{"packet"}, C{"told"} or C{"decided"}.
    """

    at: float
    kind: str
    text: str


class Recorder:
    """A ring of decisions, and one of what has come in since the last of them."""

    def __init__(self, decisions: int = DECISIONS, inputs: int = INPUTS) -> None:
        self._kept: deque[tuple[float, tuple[Any, ...], Sequence[Effect]]] = deque(maxlen=decisions)
        self._recent: deque[tuple[Any, ...]] = deque(maxlen=inputs)

    def packet(self, now: float, link: str, beat: Heartbeat) -> None:
        """A heartbeat was taken in. What it tells of third nodes is not kept."""
        self._recent.append((now, link, beat.name, beat.session, beat.seq, beat.groups))

    def told(self, now: float, what: str, group: str, details: Sequence[Any]) -> None:
        """The driver told the machine something: resources are held, an answer of the LAN, ..."""
        self._recent.append((now, what, group, details))

    def decided(self, now: float, effects: Sequence[Effect]) -> None:
        """What came of it."""
        for effect in effects:
            if not isinstance(effect, _ROUTINE):
                self._kept.append((now, tuple(self._recent), effects))
                self._recent.clear()
                return
        if effects:
            self._recent.append((now, effects))

    def __len__(self) -> int:
        """How many decisions are kept."""
        return len(self._kept)

    def lines(self) -> Iterator[Line]:
        """Everything kept, oldest first."""
        for at, inputs, effects in self._kept:
            for entry in inputs:
                yield _line(entry)
            yield Line(at, "decided", "; ".join(map(describe, effects)))
        for entry in self._recent:
            yield _line(entry)


def _line(entry: tuple[Any, ...]) -> Line:
    if len(entry) == 6:
        at, link, name, session, seq, groups = entry
        states = ", ".join(map(_state, groups))
        return Line(at, "packet", f"{name} {session}.{seq} on {link}: {states}")
    if len(entry) == 4:
        at, what, group, details = entry
        return Line(at, "told", " ".join([what, group, *map(str, details)]))
    at, effects = entry
    return Line(at, "decided", "; ".join(map(describe, effects)))


def _state(state: GroupState) -> str:
    words = [state.name, state.role.name, f"{state.fitness.name.lower()} {state.priority}"]
    if state.claim is not None:
        words.append(f"term {state.claim.term}")
    if state.steps:
        words.append(f"step {state.step} of {state.steps}")
    if state.released is not None:
        words.append(f"released {state.released.term} to {state.released.successor or '-'}")
    if state.grant is not None:
        words.append(f"votes for {state.grant.name} {state.grant.term}")
    flags = {
        "eligible": state.eligible,
        "listening": state.listening,
        "releasing": state.lettingGo,
    }
    return " ".join(words + [name for name, true in flags.items() if true])


def describe(effect: Effect) -> str:
    """An effect in a few words."""
    if isinstance(effect, Send):
        return f"send {effect.heartbeat.seq}"
    if isinstance(effect, Hold):
        return f"hold {effect.group}, term {effect.term}"
    if isinstance(effect, RoleChange):
        old = effect.old.name if effect.old is not None else "-"
        return f"{effect.group}: {old} -> {effect.new.name}, term {effect.term}: {effect.reason}"
    if isinstance(effect, Event):
        words = " ".join(filter(None, (effect.kind, effect.group, effect.peer)))
        return f"{words}: {effect.reason}"
    if isinstance(effect, Persist):
        return f"persist {effect.group}, terms to {effect.record.reserved}"
    return f"{type(effect).__name__.lower()} {effect.group}"
