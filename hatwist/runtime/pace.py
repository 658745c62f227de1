"""How well this node keeps up, as its beats and its turns tell: see L{hatwist.core.overload}."""

from __future__ import annotations

from collections.abc import Callable

from hatwist.core.effects import Event
from hatwist.core.histogram import Lateness
from hatwist.core.machine import Machine
from hatwist.core.overload import Overload


class Pace:
    """
    @param machine: by whose interval it beats.
    @param report: takes the two events of a time of overload.
    @ivar lateness: how late each beat came.
    """

    def __init__(self, machine: Machine, report: Callable[[Event], None]) -> None:
        self._tolerance = machine.tolerance
        self._interval = machine.interval or self._tolerance / 3
        self._report = report
        self.lateness = Lateness()
        self.overload = Overload(self._interval)

    def start(self, now: float) -> None:
        """The first beat is due now."""
        self.lateness.start(now, self._tolerance / 2)

    def beat(self, now: float) -> None:
        """One came."""
        found = self.overload.beat(now, self.lateness.beat(now, self._interval))
        if found and self.overload.burden is not None:
            self._say("overloaded", found)
        elif found:
            self._say("keeps-up", found)

    def _say(self, kind: str, reason: str) -> None:
        self._report(Event(kind, "", "", reason))
