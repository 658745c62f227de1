"""How many frames of records may be sent: all nodes together as many as the buffers of each of them take."""

from __future__ import annotations

FRAMES = 1000.0
"""A second, on a LAN, by all its nodes together."""
MOST = 32.0
"""Frames that may be sent in a row; also how far a first word may overdraw."""
FIRST = 2.0
"""At the start of a session, when other nodes may have started as well."""
ROUNDING = 1e-6


class Tokens:
    """One for each frame; they come back with time, the slower the more nodes there are."""

    def __init__(self, now: float) -> None:
        self._left = FIRST
        self._at = now
        self._rate = FRAMES

    def fill(self, now: float, nodes: int) -> None:
        """@param nodes: how many live ones there are, this one included."""
        self._left = min(MOST, self._left + (now - self._at) * self._rate)
        self._at = now
        self._rate = FRAMES / max(1, nodes)

    def take(self, overdraw: bool = False) -> bool:
        """
        May a frame be sent?

        @param overdraw: it is the first word of a change.
        """
        # When one is due there is one, whatever the rounding.
        if self._left < 1 - ROUNDING and not (overdraw and self._left > -MOST):
            return False
        self._left -= 1
        return True

    @property
    def due(self) -> float:
        """When there is one."""
        return self._at + max(0.0, 1 - self._left) / self._rate
