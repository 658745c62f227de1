"""The guard as the first resource of a group: armed before anything is held, disarmed when no address is left."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import NamedTuple

from twisted.internet.defer import Deferred, succeed
from twisted.python.failure import Failure
from zope.interface import implementer

from hatwist.core.errors import HatwistError, ResourceError
from hatwist.linux.interfaces import Farewell, IGuard
from hatwist.resources.interfaces import IResource


class GuardOrder(NamedTuple):
    """
    What the guard is told about one claim.

    @ivar lease: the lease that the group follows, as the guard knows it.
    @ivar deadline: until when the claim holds if nothing more is heard, in seconds on the reactor's clock.
    @ivar farewells: what it says once the addresses are gone.
    """

    term: int
    lease: str
    deadline: float
    farewells: Sequence[Farewell]


@implementer(IResource)
class GuardResource:
    """
    Held while the guard is armed for the group, for all that owns addresses of it.

    @param order: what to tell the guard now.
    @ivar alone: no address of the group arms it, see L{arm}.
    """

    guarded = guards = True

    def __init__(
        self, guard: IGuard, group: str, order: Callable[[], GuardOrder], alone: bool
    ) -> None:
        self.name = f"guard of {group}"
        self._guard = guard
        self._group = group
        self._order = order
        self.alone = alone
        self._deletions: dict[Hashable, Sequence[bytes]] = {}

    def acquire(self) -> Deferred[None]:
        """Arm it for the goodbye, unless addresses do that, with what deletes them: once is enough."""
        self._deletions.clear()
        return self.arm(self, []) if self.alone else succeed(None)

    def arm(self, owner: Hashable, deletions: Sequence[bytes]) -> Deferred[None]:
        """
        Arm it with these of C{owner} in place of its earlier ones, and with those of all other owners.

        Fires once the guard has confirmed; only then may an address be added.
        """
        self._deletions[owner] = tuple(deletions)
        return self._arm()

    def forget(self, owner: Hashable) -> Deferred[None]:
        """What C{owner} had is proven gone: the others go on, without its deletions."""
        known = self._deletions.pop(owner, None) is not None
        armed = known and self._guard.permits(self._group)
        return self._arm() if armed else succeed(None)

    def rearm(self) -> Deferred[None]:
        """Arm it once more, with the order of now, if it is armed."""
        armed = self._guard.permits(self._group)
        return self._arm() if armed else succeed(None)

    def release(self) -> Deferred[None]:
        """
        Disarm it: every address of the group is proven gone.

        Nobody waits until the guard has read so: it reads before it judges, and nothing is there to delete.
        """
        self._deletions.clear()
        self._guard.disarm(self._group)
        return succeed(None)

    def verify(self) -> Deferred[bool]:
        """Whether it is armed, and has not fired."""
        return succeed(self._guard.permits(self._group))

    def watch(self, lost: Callable[[str], None]) -> None:
        """A guard that fires ends the whole session, of which its owner is told; nothing is to be done here."""

    def _arm(self) -> Deferred[None]:
        deletions = [each for owned in self._deletions.values() for each in owned]
        term, lease, deadline, farewells = self._order()
        armed = self._guard.arm(self._group, term, lease, deadline, deletions, farewells)
        return armed.addErrback(_notGuarded)


def _notGuarded(failure: Failure) -> None:
    failure.trap(HatwistError)
    raise ResourceError(f"not guarded: {failure.getErrorMessage()}") from failure.value
