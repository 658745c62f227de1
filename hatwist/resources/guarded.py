"""The guard as the first resource of a group: armed before anything is held, disarmed after all is released."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from twisted.internet.defer import Deferred, succeed
from zope.interface import implementer

from hatwist.errors import HatwistError, ResourceError
from hatwist.interfaces import IResource
from hatwist.linux import Farewell, IGuard


class Mission(NamedTuple):
    """
    What the guard is told about one claim.

    @ivar deadline: until when the claim holds if nothing more is heard, in seconds on the reactor's clock.
    @ivar farewells: what it says once the addresses are gone.
    """

    term: int
    deadline: float
    farewells: Sequence[Farewell]


@implementer(IResource)
class Guarded:
    """
    Held while the guard is armed for the group.

    @param mission: what to tell the guard now.
    @param deletions: fires with the netlink messages that delete the addresses of the group.
    """

    def __init__(
        self,
        guard: IGuard,
        group: str,
        mission: Callable[[], Mission],
        deletions: Callable[[], Deferred[list[bytes]]],
    ) -> None:
        self.name = f"guard of {group}"
        self._guard = guard
        self._group = group
        self._mission = mission
        self._deletions = deletions

    def acquire(self) -> Deferred[None]:
        """Arm it. Fires once the guard has confirmed."""
        return Deferred.fromCoroutine(self._acquire())

    def release(self) -> Deferred[None]:
        """Disarm it: everything of the group is proven gone."""
        return self._guard.disarm(self._group)

    def verify(self) -> Deferred[bool]:
        """Whether it is armed, and has not fired."""
        return succeed(self._guard.permits(self._group))

    def watch(self, lost: Callable[[str], None]) -> None:
        """A guard that fires ends the whole session, of which its owner is told; nothing is to be done here."""

    async def _acquire(self) -> None:
        deletions = await self._deletions()
        mission = self._mission()
        try:
            await self._guard.arm(
                self._group, mission.term, mission.deadline, deletions, mission.farewells
            )
        except HatwistError as error:
            raise ResourceError(f"not guarded: {error}") from error
