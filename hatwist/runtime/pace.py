"""How well this node keeps up, as its beats and its turns tell: see L{hatwist.core.overload}."""

from __future__ import annotations

from collections.abc import Callable

from hatwist.core.effects import Event
from hatwist.core.histogram import Lateness
from hatwist.core.overload import Overload

OVERLOADED, KEEPS_UP = "overloaded", "keeps-up"


class Pace:
    """
    @param interval, tolerance: seconds.
    @param report: takes the two events of a time of overload.
    @ivar lateness: how late each beat came.
    """

    def __init__(self, interval: float, tolerance: float, report: Callable[[Event], None]) -> None:
        self.lateness = Lateness()
        self.overload = Overload(interval)
        self._interval = interval
        self._tolerance = tolerance
        self._report = report

    def start(self, now: float) -> None:
        """The first beat is due now."""
        self.lateness.start(now, self._tolerance / 2)

    def beat(self, now: float) -> None:
        """One came."""
        found = self.overload.beat(now, self.lateness.beat(now, self._interval))
        if found:
            kind = OVERLOADED if self.overload.burden is not None else KEEPS_UP
            self._report(Event(kind, "", "", found))
