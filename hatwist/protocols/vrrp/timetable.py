"""
When each of many is due. Only what is due costs anything, however many there are.

Most times are put off again and again before they come, one for each packet that is heard. That is not noted
here: whoever seems to be due is asked once more.
"""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush
from math import inf


class Timetable:
    """
    @param due: when a name is due, in seconds; C{inf}: it waits for something else.
    """

    def __init__(self, due: Callable[[str], float]) -> None:
        self._due = due
        self._heap: list[tuple[float, str]] = []
        self._listed: dict[str, float] = {}

    def note(self, name: str) -> None:
        """It may be due earlier than it was, or came only now."""
        self._list(name, self._due(name))

    def forget(self, name: str) -> None:
        """It is never due again."""
        self._listed.pop(name, None)

    def take(self, now: float) -> list[str]:
        """Those that are due; each is to be L{note}d again."""
        found = []
        while self._heap and self._heap[0][0] <= now:
            name = self._pop()
            if name is not None:
                due = self._due(name)
                if due <= now:
                    found.append(name)
                else:
                    self._list(name, due)
        return found

    @property
    def deadline(self) -> float:
        """When somebody is due; C{inf}: nobody is."""
        while self._heap:
            time, name = self._heap[0]
            if self._listed.get(name) == time:
                due = self._due(name)
                if due == time:
                    return time
                self._pop()
                self._list(name, due)
            else:
                heappop(self._heap)
        return inf

    def _list(self, name: str, due: float) -> None:
        if due < self._listed.get(name, inf):
            self._listed[name] = due
            heappush(self._heap, (due, name))

    def _pop(self) -> str | None:
        """The first; C{None}: it was listed anew meanwhile."""
        time, name = heappop(self._heap)
        if self._listed.get(name) != time:
            return None
        del self._listed[name]
        return name
