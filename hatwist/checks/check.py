"""One check: asked again and again, never twice at once, and not for longer than it may take."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from hatwist.checks.base import CheckFailed, CheckKind, CheckWorld, brief
from hatwist.checks.streak import CheckState, Streak
from hatwist.core.worth import Fitness

LATE = 0.05
"""Seconds by which a timer may be late before it is taken for a stall of this process."""


@dataclass(frozen=True, slots=True)
class CheckSpec:
    """
    What is checked, how often, and what it means when it fails.

    @ivar what: one of the kinds, such as L{hatwist.checks.tcp.TcpCheck}.
    @ivar interval: seconds from one beginning to the next.
    @ivar timeout: seconds after which no answer is a failure; may be longer than C{interval}.
    @ivar rise, fall: how many good results, or failures, in a row change the state.
    @ivar effect: the fitness while it fails, C{DEGRADED} or C{UNFIT}.
    """

    what: CheckKind
    interval: float = 2.0
    timeout: float = 1.0
    rise: int = 2
    fall: int = 3
    effect: Fitness = Fitness.UNFIT

    @property
    def name(self) -> str:
        """What logs and errors call it, such as C{"http http://127.0.0.1/"}."""
        return self.what.name

    def problems(self) -> list[str]:
        """What keeps it from being asked on this host, now, without its name; empty: nothing."""
        return self.what.problems()


class Check:
    """
    @param changed: called after every result.
    @ivar counts: part of the verdict; one that joined a running node is not before its first result.
    """

    _log = Logger()

    def __init__(
        self, world: CheckWorld, spec: CheckSpec, changed: Callable[[], None], counts: bool = True
    ) -> None:
        self.spec = spec
        self.streak = Streak(spec.rise, spec.fall)
        self.counts = counts
        self._reactor = world.reactor
        self._probe = spec.what.probe(world)
        self._changed = changed
        self._first = 0.0
        self._rounds = 0
        self._next: IDelayedCall | None = None
        self._deadline: IDelayedCall | None = None
        self._until = 0.0
        self._running: Deferred[None] | None = None
        self._late = False
        self._stopped = False
        self._ends: list[Deferred[None]] = []

    @property
    def fitness(self) -> Fitness:
        """What it contributes; what is not known yet is as bad as can be."""
        if self.streak.state is CheckState.GOOD or not self.counts:
            return Fitness.FIT
        return self.spec.effect if self.streak.state is CheckState.FAILED else Fitness.UNFIT

    @property
    def complaint(self) -> str:
        """Why it is not good."""
        return f"{self.spec.name}: {self.streak.failure or self.streak.reason}"

    def start(self, delay: float) -> None:
        """Ask for the first time in so many seconds."""
        self._first = self._reactor.seconds() + delay
        self._probe.start()
        self._next = self._reactor.callLater(delay, self._due)

    def stop(self) -> Deferred[None]:
        """Tell nothing more. Fires once what was under way has ended."""
        self._stopped = True
        self._cancelTimers()
        self._probe.stop()
        done: Deferred[None] = Deferred()
        if self._running is None:
            done.callback(None)
        else:
            self._ends.append(done)
            self._running.cancel()
        return done

    def _cancelTimers(self) -> None:
        for call in (self._next, self._deadline):
            if call is not None and call.active():
                call.cancel()

    def _due(self) -> None:
        # Rounds are counted from the first one, so that checks that began at different times stay apart.
        passed = self._reactor.seconds() - self._first
        self._rounds = max(self._rounds + 1, int(passed / self.spec.interval) + 1)
        at = self._first + self._rounds * self.spec.interval
        self._next = self._reactor.callLater(max(0.0, at - self._reactor.seconds()), self._due)
        if self._running is None:
            self._ask()
        elif self._late:
            self._tell("what was asked before cannot be ended")

    def _ask(self) -> None:
        self._late = False
        limit = self.spec.timeout
        self._until = self._reactor.seconds() + limit
        self._deadline = self._reactor.callLater(limit, self._overdue)
        running = self._running = Deferred.fromCoroutine(self._asked())
        running.addBoth(self._ended)

    async def _asked(self) -> None:
        try:
            await self._probe.run(self.spec.timeout)
        except CheckFailed as error:
            self._answered(str(error))
        except Exception as error:
            if self._late or self._stopped:  # it was cancelled, and failed in another way over that
                return
            self._log.failure("{check} could not be asked", check=self.spec.name)
            self._answered(f"{type(error).__name__}: {error}")
        else:
            self._answered(None)

    def _ended(self, _result: object) -> None:
        self._running = None
        if self._deadline is not None and self._deadline.active():
            self._deadline.cancel()
        ends, self._ends = self._ends, []
        for each in ends:
            each.callback(None)

    def _overdue(self) -> None:
        if self._reactor.seconds() > self._until + LATE:
            # This process stood still. An answer may have arrived meanwhile, and is read before this is called again.
            self._until = float("inf")
            self._deadline = self._reactor.callLater(LATE, self._overdue)
            return
        self._tell(f"no answer within {self.spec.timeout:g} s")
        self._late = True
        if self._running is not None:
            self._running.cancel()

    def _answered(self, failure: str | None) -> None:
        if not self._late:
            self._tell(failure)

    def _tell(self, failure: str | None) -> None:
        """One result: C{None} is good."""
        if self._stopped:
            return
        before = self.streak.state
        if failure is None:
            self.streak.good()
        else:
            self.streak.bad(brief(failure))
        self.counts = True
        after = self.streak.state
        if after is not before:
            if after is CheckState.FAILED:
                self._log.warn("{check}", check=self.complaint)
            elif before is CheckState.FAILED:
                self._log.info("{check}: good again", check=self.spec.name)
        self._changed()
