"""For how long the kernel keeps a batch of addresses, and until when one may be added, renewed or announced."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import inf

from twisted.internet.interfaces import IReactorTime


class Lease:
    """
    The kernel's deletion of a batch of addresses that nobody renews.

    @param until: until when they may be here, as the guard has it by the last look, on the reactor's clock; C{inf}:
        as long as the lease lasts.
    @param look: looks what the guard has done.
    @ivar seconds: whole, at least 1: for so long the kernel keeps them, and up to 1.0 s longer, unless they are
        renewed. C{None}: for ever. May be changed between two acquires.
    @ivar margin: seconds by which a lease ends before C{until}, whatever is asked for; C{None}: there is no
        room for that, and it ends when it ends.
    """

    def __init__(
        self,
        reactor: IReactorTime,
        seconds: int | None,
        until: Callable[[], float],
        look: Callable[[], object] = lambda: None,
    ) -> None:
        if seconds is not None:
            atLeastOne(seconds)
        self.seconds = seconds
        self.margin: float | None = None
        self._reactor = reactor
        self._until = until
        self.look = look
        self._ends = inf  # when the lease ends that was last asked for

    def begin(self, since: float) -> None:
        """They are about to be added; the lease counts from C{since}, when the guard was asked to be armed."""
        self._ends = inf if self.seconds is None else since + self.seconds

    def renew(self, seconds: int) -> None:
        """They are about to be renewed: the lease ends so many seconds from now."""
        self._ends = self._reactor.seconds() + seconds

    @property
    def end(self) -> float:
        """Look: until when they may be here, on the reactor's clock: as the guard has it, else by the lease."""
        self.look()
        return self.lastEnd

    @property
    def lastEnd(self) -> float:
        """The same, as of the last look."""
        until = self._until()
        return self._ends if until == inf else until

    @property
    def remaining(self) -> float:
        """Seconds until L{end}, and 0 after it."""
        return max(0.0, self.end - self._reactor.seconds())

    def mayAdd(self) -> bool:
        """Whether they may still be here: asked last, before anything is added, renewed or announced."""
        return self.isBefore(self.end)

    def lasts(self) -> bool:
        """The same, as of the last look."""
        return self.isBefore(self.lastEnd)

    def isBefore(self, time: float) -> bool:
        """Whether it is not yet that time, on the reactor's clock."""
        return self._reactor.seconds() < time

    def left(self, late: float = 0.0) -> int | None:
        """
        Return the whole seconds for which they may be added now; C{None}: for ever.

        @param late: the seconds by which the result may outlast the lease that was asked for, if there is no L{margin}.
        """
        if self.seconds is None:
            return None
        now = self._reactor.seconds()
        if self.margin is None:
            return int(self._ends + late - now)
        return int(min(self.seconds, self.end - self.margin - now))


def allLast(leases: Sequence[Lease]) -> bool:
    """
    Whether all of them, at least one, may still be here: asked last, with one look for all that have the same guard.

    @param leases: on one clock, which is read once, after all that could take time.
    """
    for look in {lease.look for lease in leases}:
        look()
    soonest = min([lease.lastEnd for lease in leases])
    return leases[0].isBefore(soonest)


def atLeastOne(seconds: int) -> None:
    """
    Check the length of a lease.

    @raise ValueError: it is less than a second.
    """
    if seconds < 1:
        raise ValueError(f"a lease of {seconds} s: the kernel counts whole seconds from 1")
