"""The kernel's lease of many batches of addresses is renewed together: by few netlink requests, with one look each."""

from __future__ import annotations

import errno
from collections.abc import Iterable, Sequence

from twisted.internet.defer import Deferred, gatherResults, succeed
from twisted.python.failure import Failure

from hatwist.linux.netlink.operations import SLICE
from hatwist.resources.addresses.lease import allLast, atLeastOne
from hatwist.resources.addresses.placing import Placement
from hatwist.resources.addresses.upkeep import Upkeep


class _Renewal:
    """One netlink request: of each batch, all addresses."""

    def __init__(self) -> None:
        self._parts: list[tuple[Upkeep, int, Sequence[Placement]]] = []
        self.messages: list[bytes] = []

    def add(
        self, upkeep: Upkeep, seconds: int, placed: Sequence[Placement], messages: Sequence[bytes]
    ) -> None:
        self._parts.append((upkeep, seconds, placed))
        self.messages += messages

    def send(self) -> Deferred[None]:
        """Fires when each of them is renewed or lost; never fails."""
        netlink = self._parts[0][0].netlink
        asked = netlink.request(self.messages, self._permitted)
        done: Deferred[None] = asked.addCallbacks(self._answered, self._unanswered)
        return done

    def _permitted(self) -> bool:
        """All are still held, by leases that last."""
        leases = [upkeep.lease for upkeep, _, _ in self._parts if upkeep.held]
        return len(leases) == len(self._parts) and allLast(leases)

    def _answered(self, answers: list[int]) -> Deferred[None] | None:
        if not any(answers) and self._permitted():
            return None
        if errno.ECANCELED in answers and len(self._parts) > 1:
            # One of them was not permitted: each asks for itself.
            return _all([renew([(upkeep, seconds)]) for upkeep, seconds, _ in self._parts])
        waiting = []
        at = 0
        for upkeep, _, placed in self._parts:
            waiting.append(upkeep.renewed(answers[at : at + len(placed)], placed))
            at += len(placed)
        return _all(waiting)

    def _unanswered(self, failure: Failure) -> None:
        for upkeep, _, _ in self._parts:
            upkeep.lose(f"not renewed: {failure.value}")


def renew(due: Iterable[tuple[Upkeep, int]]) -> Deferred[None]:
    """
    From now on the kernel keeps each batch for so many seconds, at least 1; all of them have the same kernel.

    The requests are as short as what netlink sends in one go, so that each permission is asked for last. What one
    batch is refused is told to it alone. Where addresses are missing they are added again, by a request of their own.

    @return: fires when all of that is so or they are lost; never fails.
    """
    due = list(due)
    for _, seconds in due:
        atLeastOne(seconds)
    for look in {upkeep.lease.look for upkeep, _ in due}:
        look()
    waiting: list[Deferred[None]] = []
    renewal = _Renewal()
    for upkeep, seconds in due:
        if not upkeep.mayRenew():
            continue
        prebuilt = upkeep.renewals(seconds)
        if prebuilt is None:
            waiting.append(upkeep.restore(seconds))
            continue
        placed, messages = prebuilt
        if renewal.messages and len(renewal.messages) + len(messages) > SLICE:
            waiting.append(renewal.send())
            renewal = _Renewal()
        renewal.add(upkeep, seconds, placed, messages)
    if renewal.messages:
        waiting.append(renewal.send())
    return _all(waiting)


def _all(waiting: Sequence[Deferred[None]]) -> Deferred[None]:
    if not waiting:
        return succeed(None)
    if len(waiting) == 1:
        return waiting[0]
    return gatherResults(waiting).addCallback(lambda _: None)
