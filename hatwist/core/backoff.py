"""When a node keeps back because of itself: after a failure to acquire, and after it was late."""

from __future__ import annotations

from math import inf

from hatwist.core.obstacles import Obstacle
from hatwist.core.turn import Turn

MAX_BACKOFF = 64
"""Tolerances for which a node is not eligible after a failed acquire, at most."""
MAX_RETRY = 4
"""Tolerances between the attempts of a node in back-off while nobody else is eligible, at most."""


class Backoff:
    """
    Times are seconds of the local clock.

    @param interval, tolerance: seconds.
    @ivar until: the end of the back-off after a failure.
    @ivar failures: how often in a row the resources could not be acquired, or were lost; C{refusal}: why, last.
    @ivar patience: until then the others are listened to, because this node was late itself.
    """

    def __init__(self, interval: float, tolerance: float) -> None:
        self._interval = interval
        self._tolerance = tolerance
        self.until = -inf
        self.failures = 0
        self.refusal = ""
        self.patience = -inf
        self._lateSince = -inf

    def look(self, turn: Turn) -> None:
        """Be woken when it is over."""
        if turn.passed(self.patience):
            self._lateSince = -inf
        turn.passed(self.until)

    def obstacle(self, now: float) -> Obstacle | None:
        """For which of the two reasons it keeps back."""
        if now < self.until:
            return Obstacle.BACK_OFF
        return Obstacle.LATE if now < self.patience else None

    def refused(self, reason: str, now: float) -> None:
        """It failed: let others try, for twice as long each time."""
        tolerances = min(2 << min(self.failures, 10), MAX_BACKOFF)
        self.failures += 1
        self.refusal = reason
        self.until = now + tolerances * self._tolerance

    def held(self) -> None:
        """It did not fail: what was before is forgotten."""
        self.failures, self.refusal = 0, ""
        self.until = -inf

    def stalled(self, now: float) -> None:
        """This node was late: no deadline is believed before the others could be heard, a tolerance at most."""
        if self._lateSince == -inf:
            self._lateSince = now
        self.patience = min(now + self._interval, self._lateSince + self._tolerance)

    def retryAt(self, since: float) -> float:
        """
        When it may claim in back-off too, with nobody else eligible: later with each failure, up to a limit.

        @param since: its last claim or release.
        """
        gap = self._interval * 2.0 ** min(max(self.failures - 1, 0), 32)
        return since + min(gap, max(self._interval, MAX_RETRY * self._tolerance))
