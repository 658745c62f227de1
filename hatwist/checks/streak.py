"""From single results to a state: how many in a row it takes to change one's mind."""

from __future__ import annotations

from enum import Enum


class CheckState(Enum):
    """What is believed of a check."""

    UNKNOWN = "unknown"
    GOOD = "good"
    FAILED = "failed"


class Streak:
    """
    The first result decides at once; from then on C{rise} good ones in a row, or C{fall} failures.

    @ivar failure: why it counts as failed, C{""} unless it does.
    """

    def __init__(self, rise: int, fall: int) -> None:
        self.state = CheckState.UNKNOWN
        self.failure = ""
        self._rise = rise
        self._fall = fall
        self._row = 0  # results in a row that speak against the state
        self._last = ""
        self._how = ""

    def good(self) -> None:
        """One more good result."""
        if self.state is CheckState.FAILED:
            self._row += 1
            if self._row < self._rise:
                return
        self.state = CheckState.GOOD
        self.failure = self._last = ""
        self._row = 0

    def bad(self, reason: str) -> None:
        """One more failure."""
        if self.state is CheckState.GOOD:
            self._row, self._last = self._row + 1, reason
            if self._row < self._fall:
                return
            self._how = f"{self._fall} of {self._fall}"
        elif self.state is CheckState.UNKNOWN:
            self._how = "from the start"
        self.state = CheckState.FAILED
        self.failure = f"{reason} ({self._how})"
        self._row = 0

    @property
    def reason(self) -> str:
        """All there is to say, C{""} when it is good and was so the last time."""
        if self.state is CheckState.UNKNOWN:
            return "no result yet"
        if self.state is CheckState.FAILED:
            again = f"; good again: {self._row} of {self._rise}" if self._row else ""
            return self.failure + again
        return f"{self._last} ({self._row} of {self._fall})" if self._row else ""
