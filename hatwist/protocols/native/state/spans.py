"""Stretches of versions (start, end], as lists that are sorted and in which no two touch."""

from __future__ import annotations

from collections.abc import Iterable

Spans = list[tuple[int, int]]


def joined(spans: Iterable[tuple[int, int]], start: int, end: int) -> Spans:
    """With (start, end] added."""
    found: Spans = []
    for first, last in spans:
        if last < start or end < first:
            found.append((first, last))
        else:
            start, end = min(start, first), max(end, last)
    found.append((start, end))
    found.sort()
    return found


def without(spans: Iterable[tuple[int, int]], start: int, end: int) -> Spans:
    """With (start, end] taken out."""
    found: Spans = []
    for first, last in spans:
        if last <= start or end <= first:
            found.append((first, last))
            continue
        if first < start:
            found.append((first, start))
        if end < last:
            found.append((end, last))
    return found
