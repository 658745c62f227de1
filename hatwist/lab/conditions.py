"""Waiting until something is seen: what captures, judges and listeners of the lab have in common."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

_Seen = TypeVar("_Seen")


class Conditions(Generic[_Seen]):
    """Those who wait for something, each until it is seen or its time is up."""

    def __init__(self, reactor: IReactorTime) -> None:
        self._reactor = reactor
        self._waiting: list[tuple[Callable[[_Seen], object], Deferred[_Seen]]] = []

    def until(
        self,
        condition: Callable[[_Seen], object],
        timeout: float,
        late: Callable[[], str],
    ) -> Deferred[_Seen]:
        """
        Fires with what meets the condition.

        @param late: called when it is too late; what the error says then.
        @raise TimeoutError: through the Deferred, after C{timeout} seconds.
        """
        done: Deferred[_Seen] = Deferred()
        entry = (condition, done)
        self._waiting.append(entry)

        def expired(_result: object, _seconds: float) -> None:
            raise TimeoutError(late())

        def forget(result: _Seen) -> _Seen:
            if entry in self._waiting:
                self._waiting.remove(entry)
            return result

        done.addTimeout(timeout, self._reactor, expired)
        return done.addBoth(forget)

    def look(self, seen: _Seen) -> None:
        """Tell it to those who wait for it."""
        for condition, done in list(self._waiting):
            if not done.called and condition(seen):
                done.callback(seen)

    def fail(self, error: Exception) -> None:
        """Nothing will be seen any more: tell all who wait."""
        for _, done in list(self._waiting):
            done.errback(error)
