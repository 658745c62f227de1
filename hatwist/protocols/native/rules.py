"""The configuration of a node and of its groups, the times that follow from it, and the constants of the election."""

from __future__ import annotations

from math import inf
from typing import NamedTuple

from hatwist.core.electorate import Quorum
from hatwist.core.worth import NO_ADDRESS

ANSWER = 0.25
"""Intervals between two answers to a conflicting node."""
DEAF, DEAF_BY_RELAY = 2.0, 3.0
"""Intervals after which an ACTIVE that does not notice this one is left alone with the group."""
SUCCESSION = 2.0
"""Intervals that others wait for a named successor."""
FRESH = 1.5
"""Intervals for which a packet counts as a positive word."""
LAST_CALL = 0.97
"""The share of C{hold} after which a standby sends, so that a holder learns in time that it is not heard."""
ASKING = 1.0
"""Intervals for which votes are asked for at a time."""
ASK_AFTER, ASK_EVERY, ANSWER_FRESH = 1.5, 0.25, 1.0
"""Intervals: of a holder's silence before the LAN is asked, between two questions, and for which an answer counts."""
REMIND = 60.0
"""Seconds between two warnings that another host goes on answering for the address."""
WITNESSED = 0.6
"""Intervals after the last answered question (there are four in one) until others are told that it was the last."""
CLOCK_ERROR = 0.01
"""By how much the rates of two nodes' clocks may differ from the truth."""


class GroupRules(NamedTuple):
    """
    The configuration of one group.

    @ivar preemptDelay: seconds for which a worthier node must be eligible before it is handed the group.
    @ivar keepUnfit: with nobody fit, an unfit node may hold (C{last_resort = "keep"}).
    @ivar asks: the driver can ask the LAN who has the addresses.
    @ivar askLimit: seconds after a holder's last word, or the start, after which no answer prevents a claim.
    @ivar witness: only a node that reaches the witness may hold.
    @ivar keepUnwitnessed: unless the others that it hears do not reach it either.
    @ivar guardable: the guard can release all of it; where that is so of all groups, it says goodbye for the node.
    """

    name: str
    priority: int = 100
    preempt: bool = True
    preemptDelay: float = 0.0
    keepUnfit: bool = False
    asks: bool = False
    witness: bool = False
    keepUnwitnessed: bool = False
    guardable: bool = True
    askLimit: float = inf


class Timing(NamedTuple):
    """
    Seconds: the interval and tolerance of this node, and what follows from them.

    @ivar release: how long letting go takes; C{None}: what netlink takes on a loaded host.
    @ivar guarding: what of that the guard needs where there are very many addresses.
    """

    interval: float
    tolerance: float
    release: float | None = None
    guarding: float = 0.0

    @property
    def releaseTime(self) -> float:
        return self.release if self.release is not None else self._ordinary

    @property
    def _ordinary(self) -> float:
        return min(0.020, 0.0015 + 0.010 * self.tolerance)

    @property
    def grace(self) -> float:
        """
        For how much longer than the lease the guard waits for a daemon that lets go by itself; what then is left
        of the time of a release is the guard's own.
        """
        return max(0.0, self.releaseTime - self._ordinary / 2 - self.guarding)

    @property
    def lateness(self) -> float:
        """How late a timer may fire."""
        return min(0.010, 0.0028 + 0.006 * self.tolerance)

    @property
    def hold(self) -> float:
        """
        How long one may hold unheard, or after the last confirmed packet: released by then, however
        clocks differ, before a tolerance has passed on any other node.
        """
        rates = (1 - CLOCK_ERROR) / (1 + CLOCK_ERROR)
        return rates * self.tolerance - self.releaseTime - self.lateness

    @property
    def witnessHold(self) -> float:
        """
        How long one may hold after it sent the last probe that the witness answered: released by then
        before another node, which may have missed a heartbeat, takes over. Where the
        tolerance has no room for that, a lost heartbeat costs a short overlap.
        """
        ample = self.hold - 2 * self.interval
        return ample if ample >= self.interval else self.hold - self.interval

    @property
    def witnesses(self) -> bool:
        """There is time to ask the witness twice more, and to tell others of its silence, before letting go."""
        return self.witnessHold > WITNESSED * self.interval

    def survives(self, delay: float = 0.001) -> int:
        """How many lost round trips in a row a holder outlives, where votes are needed; -1: none at all."""
        left = self.hold - 2 * delay - self.lateness
        return int(left / self.interval + 1e-9) - 1


class NodeRules(NamedTuple):
    """
    The configuration of a node in its cluster.

    @ivar interval, tolerance: seconds.
    @ivar digest: eight bytes, equal on all nodes that share a configuration.
    @ivar quorum: who votes on claims; C{None}: nobody need.
    @ivar release: how long the slowest release takes, in seconds; C{None}: what addresses take.
    @ivar guarding: what of that the guard needs where there are very many addresses.
    """

    cluster: str
    name: str
    interval: float = 1.0
    tolerance: float = 3.5
    groups: tuple[GroupRules, ...] = ()
    address: int = NO_ADDRESS
    digest: bytes = bytes(8)
    quorum: Quorum | None = None
    release: float | None = None
    guarding: float = 0.0

    @property
    def timing(self) -> Timing:
        return Timing(self.interval, self.tolerance, self.release, self.guarding)
