"""The times of VRRP, in seconds. None is ever rounded: at 0.01 s a skew may be 0.08 ms, and decides who is first."""

from __future__ import annotations

from math import floor
from typing import NamedTuple

SLOTS = 16
"""Into how many parts an interval is divided, so that many routers of one host are not sent in one burst."""
_ON_TIME = 1e-6
"""Intervals by which a timer may seem to be early, since times are floating-point numbers."""
_CLOCK_ERROR = 0.01
"""By how much the rates of two hosts' clocks may differ from the truth."""


def skew(version: int, priority: int, interval: float) -> float:
    """
    By how much later than others a backup takes over: the more, the lower its priority.

    @param interval: that of the master, which counts in version 3 only (RFC 9568, 6.1; RFC 3768, 6.1).
    """
    return (256 - priority) / 256 * (interval if version == 3 else 1.0)


def masterDown(version: int, priority: int, interval: float) -> float:
    """After how long a silence a backup takes over (Active_Down_Interval; in version 2 Master_Down_Interval)."""
    return 3 * interval + skew(version, priority, interval)


def hold(interval: float, release: float | None) -> float:
    """
    For how long after its last advertisement a master may hold: what it has is released, however clocks differ,
    before the backup of the highest priority takes over.

    @param release: how long the slowest release takes; C{None}: what addresses take.
    """
    silence = 3 * interval
    took = min(0.020, 0.0015 + 0.010 * silence) if release is None else release
    return silence * (1 - _CLOCK_ERROR) / (1 + _CLOCK_ERROR) - took


class Beat(NamedTuple):
    """
    When a master advertises: once in an interval, at the time of its slot.

    All routers of one slot are sent in one go, and none is ever sent later than an interval after the last time.

    @ivar slot: less than L{SLOTS}.
    """

    interval: float
    slot: int

    def last(self, now: float) -> float:
        """The newest beat that is not in the future."""
        return self._at(self._number(now))

    def after(self, now: float) -> float:
        """The next one."""
        return self._at(self._number(now) + 1)

    def _number(self, now: float) -> int:
        return floor(now / self.interval - self.slot / SLOTS + _ON_TIME)

    def _at(self, number: int) -> float:
        return (number + self.slot / SLOTS) * self.interval

    def __str__(self) -> str:
        return f"{self.interval:g} s, slot {self.slot}"
