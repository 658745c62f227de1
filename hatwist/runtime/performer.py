"""Does what was decided: each kind of effect has its action."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from hatwist.core.effects import Announce, Ask, Effect, Hold, Persist, Release
from hatwist.core.reports import Gone, Held, NotHeld, Progressed, Report
from hatwist.runtime.keeper import Keeper
from hatwist.runtime.persister import Persister


class Performer:
    """
    @param ask: asks the LAN who has the addresses of a group.
    @param tell: is told what came of it.
    @ivar keepers: what makes the resources of each group follow, by its name.
    """

    def __init__(
        self,
        keepers: Mapping[str, Keeper],
        persister: Persister,
        ask: Callable[[str], None],
        tell: Callable[[Report], None],
    ) -> None:
        self.keepers = dict(keepers)
        self._ask = ask
        self._tell = tell
        self.actions: dict[type, Callable[..., None]] = {
            Hold: lambda group, term: self.keepers[group].hold(term),
            Release: lambda group: self.keepers[group].release(),
            Announce: lambda group: self.keepers[group].announce(),
            Ask: lambda group: self._ask(group),
            Persist: persister.persist,
        }

    def perform(self, effect: Effect) -> None:
        """Begin what an effect asks for."""
        self.actions[type(effect)](*effect)

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
        self.keepers.pop(group).abandon()

    def abandon(self) -> None:
        """Begin and tell nothing any more."""
        for keeper in list(self.keepers.values()):
            keeper.abandon()
