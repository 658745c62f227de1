"""What others lack and have asked for; it is told to all, so that one answer does for many."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from hatwist.protocols.native.state.spans import Spans, joined, without

REPEAT = 0.25
"""Intervals for which what was told is not told again: the answer to others is on its way."""


class Answering:
    """@param interval: seconds."""

    def __init__(self, interval: float) -> None:
        self._interval = interval
        self._wanted: dict[str, Spans] = {}
        self._told: dict[str, deque[tuple[int, int, float]]] = {}

    def want(self, owner: str, start: int, end: int, now: float) -> None:
        """Somebody lacks this of a node."""
        spans: Spans = [(start, end)] if start < end else []
        for first, last in self._recent(owner, now):
            spans = without(spans, first, last)
        wanted = self._wanted.get(owner, [])
        for first, last in spans:
            wanted = joined(wanted, first, last)
        if wanted:
            self._wanted[owner] = wanted

    def told(self, owner: str, start: int, end: int, now: float) -> None:
        """This was told, asked for or not."""
        self._told.setdefault(owner, deque()).append((start, end, now))
        self.answered(owner, start, end)

    def answered(self, owner: str, start: int, end: int) -> None:
        """This was told, perhaps by another node: whoever missed that asks again."""
        wanted = self._wanted.get(owner)
        if wanted:
            left = without(wanted, start, end)
            if left:
                self._wanted[owner] = left
            else:
                del self._wanted[owner]

    def fresh(self, owner: str, start: int, end: int, now: float) -> bool:
        """All of this was told just now."""
        spans: Spans = [(start, end)]
        for first, last in self._recent(owner, now):
            spans = without(spans, first, last)
        return not spans

    def _recent(self, owner: str, now: float) -> Iterable[tuple[int, int]]:
        told = self._told.get(owner)
        if told is None:
            return ()
        while told and told[0][2] <= now - REPEAT * self._interval:
            told.popleft()
        return [(start, end) for start, end, _ in told]

    def forget(self, owner: str) -> None:
        """A node has a new session, or is not known any more."""
        self._wanted.pop(owner, None)
        self._told.pop(owner, None)

    @property
    def pending(self) -> bool:
        """Something is still to be told."""
        return bool(self._wanted)

    def next(self) -> tuple[str, int, int] | None:
        """What to tell next: whose, and which versions."""
        for owner, spans in self._wanted.items():
            return (owner, *spans[0])
        return None
