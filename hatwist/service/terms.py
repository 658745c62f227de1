"""The times for which this node holds a group, for coroutines: each is a term, and work of it ends with it."""

from __future__ import annotations

import weakref
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorTime

from hatwist.runtime.fence import Fence


class Term:
    """
    A group is held here, from when everything of it is until it is let go of.

    @ivar number: its fencing token, greater than that of any holder before.
    """

    def __init__(self, clock: IReactorTime, fence: Fence) -> None:
        self.group = fence.group
        self.number = fence.order().term
        self._clock = clock
        self._fence = fence
        self._over = False
        self._sleeping: list[Deferred[bool]] = []

    def __repr__(self) -> str:
        return f"<Term {self.number} of {self.group}{'' if self.valid else ', over'}>"

    @property
    def valid(self) -> bool:
        """
        The group is held, and the guard does not let go of it yet; look again after whatever took time.

        A process that stood still finds here what its peers have thought of it meanwhile.
        """
        fence = self._fence
        return not self._over and not fence.lettingGo and self._clock.seconds() < fence.until

    def sleep(self, seconds: float) -> Deferred[bool]:
        """Fires after so many seconds, or at once when the term ends, with whether it is L{valid}. Can be cancelled."""
        if not self.valid:
            return succeed(False)
        sleeping: Deferred[bool] = Deferred()
        call = self._clock.callLater(seconds, self._wake, sleeping)
        self._sleeping.append(sleeping)

        def awake(result: Any) -> Any:
            if call.active():
                call.cancel()
            if sleeping in self._sleeping:
                self._sleeping.remove(sleeping)
            return result

        return sleeping.addBoth(awake)

    def _wake(self, sleeping: Deferred[bool]) -> None:
        sleeping.callback(self.valid)

    def end(self) -> None:
        """It is over; who sleeps wakes."""
        self._over = True
        for sleeping in list(self._sleeping):
            sleeping.callback(False)


class TermIterator:
    """An asynchronous iterator of L{Term}, see L{RoleService.terms<hatwist.service.roleservice.RoleService.terms>}."""

    def __init__(self, source: TermSource) -> None:
        self._source = source

    def __aiter__(self) -> TermIterator:
        return self

    async def __anext__(self) -> Term:
        term = await self._source.next()
        if term is None:
            raise StopAsyncIteration
        return term


class TermSource(Service):
    """
    Begins a term when it is started. When it is stopped, the term ends, and what works in it is waited for: until it
    asks for the next one, or nobody can ask any more.
    """

    def __init__(self, clock: IReactorTime, fence: Fence) -> None:
        self.name = f"terms of {fence.group}"
        self._clock = clock
        self._fence = fence
        self._term: Term | None = None
        self._fresh = False  # nobody has the term yet
        self._asking: Deferred[Term | None] | None = None
        self._working: Deferred[None] | None = None
        self._closed = False
        self._reader: Any = None

    def terms(self) -> TermIterator:
        """The only one who reads them."""
        reader = TermIterator(self)
        self._reader = weakref.ref(reader, self._left)
        return reader

    def _left(self, reader: Any) -> None:
        self._rest()

    def startService(self) -> None:
        super().startService()
        self._term, self._fresh = Term(self._clock, self._fence), True
        asking, self._asking = self._asking, None
        if asking is not None:
            asking.callback(self._begun())

    def stopService(self) -> Deferred[None]:
        """Fires when nobody works in the term any more."""
        super().stopService()
        term, self._term = self._term, None
        done: Deferred[None] = Deferred()
        waiting = self._working
        if term is not None:
            term.end()
        if waiting is None or waiting.called:
            return succeed(None)
        waiting.chainDeferred(done)
        return done

    def close(self) -> None:
        """There will be none any more."""
        self._closed = True
        asking, self._asking = self._asking, None
        if asking is not None:
            asking.callback(None)

    def next(self) -> Deferred[Term | None]:
        """Fires with the term that nobody has yet, once there is one; with C{None}: there will be none."""
        self._rest()
        if self._fresh and self._term is not None:
            return succeed(self._begun())
        if self._closed:
            return succeed(None)
        self._asking = Deferred(self._notAsking)
        return self._asking

    def _notAsking(self, asking: Deferred[Term | None]) -> None:
        self._asking = None

    def _begun(self) -> Term:
        assert self._term is not None
        self._fresh = False
        self._working = Deferred()
        return self._term

    def _rest(self) -> None:
        working, self._working = self._working, None
        if working is not None:
            working.callback(None)
