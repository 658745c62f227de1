"""All checks of one group: the worst of them is the verdict."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from twisted.internet.defer import Deferred, DeferredList
from twisted.logger import Logger

from hatwist.checks.base import CheckWorld
from hatwist.checks.check import Check, CheckSpec
from hatwist.core.worth import Fitness
from hatwist.linux.interfaces import INetlink

APART = 0.02
"""Seconds between the first runs of two checks, if there is time for that."""
LIMIT = 2.0
"""Seconds that a stop waits for what cannot be ended."""
_DIGITS = re.compile(r"\d+")


class Checks:
    """
    Runs checks, and reports what they come to: the worst effect of those that fail, and why.

    Before its first result a check counts as unfit, whatever its effect.

    @param report: called with the verdict at the start and at every change of it. A change of nothing
        but numbers in the reason is none.
    @param netlink: for the kinds ping and carrier.
    @param env: variables for the programs, such as C{{"HATWIST_GROUP": "web"}}.
    """

    _log = Logger()

    def __init__(
        self,
        reactor: Any,
        specs: Sequence[CheckSpec],
        report: Callable[[Fitness, str], None],
        netlink: INetlink | None = None,
        env: Mapping[str, str] | None = None,
    ) -> None:
        self._world = CheckWorld(reactor, netlink, dict(env or {}))
        self._report = report
        self._checks = [Check(self._world, spec, self._changed) for spec in specs]
        self._running = False
        self._reported: tuple[Fitness, str] | None = None

    @property
    def specs(self) -> tuple[CheckSpec, ...]:
        """What is checked."""
        return tuple(check.spec for check in self._checks)

    @property
    def verdict(self) -> tuple[Fitness, str]:
        """The worst effect, and the complaints, the worst first; C{(FIT, "")} when all is well."""
        bad = [check for check in self._checks if check.fitness < Fitness.FIT]
        bad.sort(key=lambda check: check.fitness)
        worst = min((check.fitness for check in bad), default=Fitness.FIT)
        return worst, "; ".join(check.complaint for check in bad)

    def states(self) -> list[dict[str, str]]:
        """Of each check its C{name}, C{state} (unknown, good or failed) and C{reason}, in order."""
        return [
            {
                "name": check.spec.name,
                "state": check.streak.state.value,
                "reason": check.streak.reason,
            }
            for check in self._checks
        ]

    def start(self) -> None:
        """Report what is known, which is nothing, and begin to ask."""
        self._running = True
        self._begin(self._checks)
        self._changed()

    def stop(self) -> Deferred[None]:
        """
        Report nothing more. Fires when everything has ended that was under way, or could not be ended
        within L{LIMIT} seconds.
        """
        self._running = False
        return self._end(self._checks)

    def change(self, specs: Sequence[CheckSpec]) -> Deferred[None]:
        """
        Check this from now on. What was checked before goes on with what is known of it; what is
        new counts from its first result on, so that no holder lets go because nothing is known
        yet. Fires when what is checked no more has ended.
        """
        old = list(self._checks)
        new: list[Check] = []
        self._checks = []
        for spec in specs:
            known = next((check for check in old if check.spec == spec), None)
            if known is not None:
                old.remove(known)
                self._checks.append(known)
            else:
                new.append(Check(self._world, spec, self._changed, counts=not self._running))
                self._checks.append(new[-1])
        if not self._running:
            return self._end([])
        self._begin(new)
        done = self._end(old)
        self._changed()
        return done

    def _begin(self, checks: Sequence[Check]) -> None:
        for number, check in enumerate(checks):
            step = min(APART, min(each.spec.interval for each in checks) / len(checks))
            check.start(number * step)

    def _end(self, checks: Sequence[Check]) -> Deferred[None]:
        ends = [check.stop() for check in checks]
        all_: Deferred[Any] = DeferredList(ends, consumeErrors=True)
        if not all_.called:
            all_.addTimeout(LIMIT, self._world.reactor, self._endless)
        return all_.addCallback(lambda _: None)

    def _endless(self, _result: object, seconds: float) -> None:
        self._log.warn(
            "What a check has begun could not be ended within {seconds} s", seconds=seconds
        )

    def _changed(self) -> None:
        if not self._running:
            return
        fitness, reason = self.verdict
        signature = (fitness, _DIGITS.sub("#", reason))
        if signature == self._reported:
            return
        self._reported = signature
        try:
            self._report(fitness, reason)
        except Exception:
            self._log.failure("A verdict of the checks could not be handled")
