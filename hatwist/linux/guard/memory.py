"""A guard in memory: L{IGuard} for tests, also for those of programs that use us."""

from __future__ import annotations

import errno
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from math import inf
from typing import NamedTuple

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from zope.interface import implementer

from hatwist.linux.guard.client import GuardError
from hatwist.linux.interfaces import Farewell, IGuard, INetlink
from hatwist.linux.netlink.messages import RTM_DELADDR, split


class MemoryArmed(NamedTuple):
    """What is armed for one group."""

    term: int
    lease: str
    deletions: tuple[bytes, ...]
    farewells: tuple[Farewell, ...]


@implementer(IGuard)
class MemoryGuard:
    """
    L{IGuard} that lives in this object, and deletes in C{kernel}.

    It is as separate from who uses it as the real one: it fires by the clock alone, and what it did
    is known to its owner when that looks (L{check}) or when its turn comes (L{deliver}).

    @param reactor: its clock; what happens by time happens when it is advanced.
    @param kernel: where it deletes, such as a L{hatwist.linux.netlink.memory.MemoryKernel}.
    @ivar armed: what is armed, by group.
    @ivar deadlines: of each lease that was ever followed.
    @ivar tellings: how often its owner told it something, each time of any number of groups or leases.
    @ivar said: every farewell that was sent, in order.
    @ivar frozen: the owner does not run, so nothing is delivered: a hung daemon.
    @ivar slow: it confirms what it is armed with only when a test says so, by L{confirm}.
    """

    def __init__(self, reactor: IReactorTime, kernel: INetlink) -> None:
        self.onFired: Callable[[Sequence[str]], None] = lambda groups: None
        self.onDied: Callable[[], None] = lambda: None
        self.counters: Counter[str] = Counter()
        self.armed: dict[str, MemoryArmed] = {}
        self.deadlines: dict[str, float] = {}
        self.tellings = 0
        self._soonest = inf
        self._untold: IDelayedCall | None = None
        self.said: list[Farewell] = []
        self.frozen = self.slow = False
        self._waiting: dict[str, list[Deferred[None]]] = {}
        self._reactor = reactor
        self._kernel = kernel
        self._running = False
        self._news: list[tuple[str, tuple[str, ...]]] = []
        self._call: IDelayedCall | None = None

    # What a test arranges

    def fire(self) -> None:
        """Fire, whatever the clock says."""
        groups, self.armed = self.armed, {}
        self._schedule(inf)
        if not groups:
            return
        refused = []
        for armed in groups.values():
            answers: list[list[int]] = []
            self._kernel.request(armed.deletions).addCallback(answers.append)
            for data, number in zip(armed.deletions, answers[0], strict=True):
                (message,) = split(data)
                gone = number in (0, errno.ENODEV, errno.EADDRNOTAVAIL)
                if message.kind == RTM_DELADDR and not gone:
                    refused.append(number)
        if not refused:
            for farewells in dict.fromkeys(armed.farewells for armed in groups.values()):
                self.said.extend(farewells * 3)
        self._tell("fired", tuple(groups))

    def confirm(self) -> None:
        """Tell the owner what is armed, as it was told to, before anything else that has happened."""
        waiting, self._waiting = self._waiting, {}
        self._elapse()
        for group, each in waiting.items():
            for done in each:
                if group in self.armed:
                    done.callback(None)
                else:
                    done.errback(GuardError("the guard fired"))

    def die(self) -> None:
        """Die without firing; another is in its place at once, with the same armed."""
        self._tell("died", ())

    def deliver(self) -> None:
        """Tell the owner what happened, unless it is C{frozen}."""
        while self._news and not self.frozen:
            what, groups = self._news.pop(0)
            self.counters[what] += 1
            if what == "fired":
                self.onFired(groups)
            else:
                self.onDied()

    # IGuard

    def start(self) -> Deferred[None]:
        """See L{IGuard.start}."""
        if self._running:
            raise RuntimeError("the guard runs already")
        self._running = True
        return succeed(None)

    def arm(
        self,
        group: str,
        term: int,
        lease: str,
        deadline: float,
        deletions: Sequence[bytes],
        farewells: Sequence[Farewell] = (),
    ) -> Deferred[None]:
        """See L{IGuard.arm}."""
        self._elapse()
        if not self._running:
            return fail(GuardError("the guard does not run"))
        if self._news:
            return fail(GuardError("the guard fired"))
        self._told()
        self.armed[group] = MemoryArmed(term, lease, tuple(deletions), tuple(farewells))
        self._extend(lease, deadline)
        if self.slow:
            done: Deferred[None] = Deferred()
            self._waiting.setdefault(group, []).append(done)
            return done
        return succeed(None)

    def follow(self, group: str, lease: str, deadline: float) -> None:
        """See L{IGuard.follow}."""
        self._elapse()
        if group in self.armed:
            self._told()
            self.armed[group] = self.armed[group]._replace(lease=lease)
            self._extend(lease, deadline)

    def pet(self, deadlines: Mapping[str, float]) -> None:
        """See L{IGuard.pet}."""
        self._elapse()
        self.flush()
        self.tellings += 1
        for lease, deadline in deadlines.items():
            self._extend(lease, deadline)

    def flush(self) -> None:
        """See L{IGuard.flush}."""
        untold, self._untold = self._untold, None
        if untold is not None and untold.active():
            untold.cancel()

    def _told(self) -> None:
        if self._untold is None or not self._untold.active():
            self.tellings += 1
            self._untold = self._reactor.callLater(0, lambda: None)

    def _extend(self, lease: str, deadline: float) -> None:
        self.deadlines[lease] = deadline
        if deadline < self._soonest:
            self._schedule(deadline)

    def disarm(self, group: str) -> Deferred[None]:
        """See L{IGuard.disarm}."""
        self.armed.pop(group, None)
        for done in self._waiting.pop(group, []):
            done.errback(GuardError("it was disarmed"))
        return succeed(None)

    def check(self) -> bool:
        """See L{IGuard.check}."""
        self._elapse()
        good = not self._news
        self.deliver()
        return good

    def permits(self, group: str) -> bool:
        """See L{IGuard.permits}."""
        self.check()
        return self.until(group) > -inf

    def until(self, group: str) -> float:
        """See L{IGuard.until}."""
        known = group in self.armed and group not in self._waiting
        return self.deadlines[self.armed[group].lease] if known else -inf

    def stop(self) -> Deferred[None]:
        """See L{IGuard.stop}."""
        self.fire()
        self._news.clear()
        self._running = False
        return succeed(None)

    def _elapse(self) -> None:
        now = self._reactor.seconds()
        if now < self._soonest:
            return
        ends = [self.deadlines[lease] for lease in {armed.lease for armed in self.armed.values()}]
        first = min(ends, default=inf)
        if first <= now:
            self.fire()
        else:
            self._schedule(first)

    def _schedule(self, soonest: float) -> None:
        """Look again then: no lease that is followed ends earlier."""
        call, self._call = self._call, None
        if call is not None and call.active():
            call.cancel()
        self._soonest = soonest
        if soonest < inf:
            wait = max(0.0, soonest - self._reactor.seconds())
            self._call = self._reactor.callLater(wait, self._elapse)

    def _tell(self, what: str, groups: tuple[str, ...]) -> None:
        self._news.append((what, groups))
        self._reactor.callLater(0, self.deliver)
