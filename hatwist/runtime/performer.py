"""Does what was decided: each kind of effect has its action."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from twisted.internet.interfaces import IDelayedCall

from hatwist.core.effects import Announce, Ask, Effect, Hold, Persist, Release
from hatwist.core.reports import Gone, Held, NotHeld, Progressed, Report
from hatwist.resources.addresses.batch import Addresses
from hatwist.resources.addresses.renewing import renew
from hatwist.runtime.keeper import Keeper
from hatwist.runtime.persister import Persister

BEGUN = 50
"""Acquisitions that begin in one turn of the reactor, 10 ms: between two turns packets are read and sent."""


class Performer:
    """
    @param reactor: provides IReactorTime.
    @param ask: asks the LAN who has the addresses of a group.
    @param tell: is told what came of it.
    @ivar keepers: what makes the resources of each group follow, by its name.
    """

    def __init__(
        self,
        reactor: Any,
        keepers: Mapping[str, Keeper],
        persister: Persister,
        ask: Callable[[str], None],
        tell: Callable[[Report], None],
    ) -> None:
        self.keepers = dict(keepers)
        self._reactor = reactor
        self._begun = 0
        self._waiting: dict[
            str, int
        ] = {}  # terms of groups, in the order in which they were claimed
        self._soon: IDelayedCall | None = None
        self._ask = ask
        self._tell = tell
        self.actions: dict[type, Callable[..., None]] = {
            Hold: self._hold,
            Release: self._release,
            Announce: lambda group: self.keepers[group].announce(),
            Ask: lambda group: self._ask(group),
            Persist: persister.persist,
        }

    def perform(self, effect: Effect) -> None:
        """Begin what an effect asks for."""
        self.actions[type(effect)](*effect)

    def _hold(self, group: str, term: int) -> None:
        self._waiting[group] = term
        if self._begun < BEGUN:
            self._begin()

    def _begin(self) -> None:
        if self._soon is None:
            self._soon = self._reactor.callLater(0, self._more)
        while self._waiting and self._begun < BEGUN:
            self._begun += 1
            group = next(iter(self._waiting))
            self.keepers[group].hold(self._waiting.pop(group))

    def _more(self) -> None:
        self._soon, self._begun = None, 0
        if self._waiting:
            self._begin()

    def _release(self, group: str) -> None:
        self._waiting.pop(group, None)
        self.keepers[group].release()

    def keep(self, due: Mapping[str, int]) -> None:
        """Have the kernel keep what has a lease of these groups for so many seconds: all addresses together."""
        together = []
        for group, seconds in due.items():
            for resource in self.keepers[group].leased:
                if isinstance(resource, Addresses):
                    together.append((resource.upkeep, seconds))
                else:
                    resource.renew(seconds)
        renew(together)

    def employ(self, group: str, keeper: Keeper, permits: Callable[[str], bool]) -> None:
        """
        Let a keeper begin, and tell of its group from now on.

        @param permits: may this node go on to acquire that group?
        """
        self.keepers[group] = keeper
        keeper.start(
            lambda: self._tell(Held(group)),
            lambda reason: self._tell(NotHeld(group, reason)),
            lambda: self._tell(Gone(group)),
            lambda step, steps, words: self._tell(Progressed(group, step, steps, words)),
            lambda: permits(group),
        )

    def dismiss(self, group: str) -> None:
        """A group is forgotten: it needs no keeper."""
        self._waiting.pop(group, None)
        self.keepers.pop(group).abandon()

    def abandon(self) -> None:
        """Begin and tell nothing any more."""
        self._waiting.clear()
        if self._soon is not None and self._soon.active():
            self._soon.cancel()
        for keeper in list(self.keepers.values()):
            keeper.abandon()
