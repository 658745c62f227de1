"""What a node must remember over a restart: written, and written again until it is on disk."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from hatwist.core.claims import Record

RETRY = 1.0
"""Seconds after which a failed write to the store is tried again."""
SLOW = 2.0
"""Seconds that a write may take before the disk counts as one that cannot be written."""


class Persister:
    """
    @param reactor: provides IReactorTime.
    @param session: which start of this node it is now.
    @param store: see L{hatwist.runtime.store}.
    @param done: called with the records of groups, by name, when they are on disk.
    @param changed: called with why nothing can be remembered, and with C{""} once something could again.
    @param votes: claims take votes, so that none is made beyond what could be remembered.
    @ivar problem: the last of these.
    """

    _log = Logger()

    def __init__(
        self,
        reactor: Any,
        session: Callable[[], int],
        store: Any,
        done: Callable[[Mapping[str, Record]], None],
        changed: Callable[[str], None] = lambda problem: None,
        votes: bool = False,
    ) -> None:
        self._reactor = reactor
        self._session = session
        self._votes = votes
        self._store = store
        self._done = done
        self._changed = changed
        self._open = True
        self.problem = ""
        self._waiting: dict[str, Record] = {}
        self._writing = False
        self._next: IDelayedCall | None = None
        self._slow: IDelayedCall | None = None
        self._noting: IDelayedCall | None = None

    def persist(self, group: str, record: Record) -> None:
        """
        Write a record, which is told to be done once it is on disk.

        All records of one turn of the reactor are one write, which begins in the next turn, or when it is L{flush}ed;
        so are all that come while an earlier write is under way.
        """
        self._waiting[group] = record
        self._flushLater(0)

    def flush(self) -> None:
        """Begin to write now, if anything waits, and nothing is being written."""
        if self._writing or not self._waiting:
            return
        self._cancel(self._next)
        records, self._waiting = self._waiting, {}
        self._writing = True
        done = self._store.write(self._session(), records)
        if not done.called:
            self._slow = self._reactor.callLater(
                SLOW, self._failing, f"a write takes more than {SLOW:g} s"
            )
        done.addBoth(self._wrote, records)

    def _flushLater(self, seconds: float) -> None:
        self._cancel(self._next)
        if self._open:
            self._next = self._reactor.callLater(seconds, self.flush)

    def _wrote(self, result: Failure | None, records: dict[str, Record]) -> None:
        self._writing = False
        self._cancel(self._slow)
        if isinstance(result, Failure):
            self._failing(result.getErrorMessage())
            self._waiting = {**records, **self._waiting}
            self._flushLater(RETRY)
            return
        if self._waiting:
            self._flushLater(0)
        if self.problem:
            self.problem = ""
            self._log.info("Terms can be remembered again")
            if self._open:
                self._changed("")
        if self._open:
            self._done(records)

    def count(self) -> None:
        """
        Write what no record brings: a start's number that others could not bring back to this node, or by which
        configurations the others are known.
        """
        done = self._store.write(self._session(), {})
        done.addErrback(lambda failure: failure.trap(OSError))  # the next record brings it along

    def heard(self, name: str, digest: bytes) -> None:
        """A node was heard, directly, by a digest of its configuration: for the next change of members."""
        ran = self._store.ran
        if ran is None or name not in ran.quorum.members or ran.heard.get(name) == digest.hex():
            return
        ran.heard[name] = digest.hex()
        if self._noting is None or not self._noting.active():
            self._noting = self._reactor.callLater(
                RETRY, self.count
            )  # not as often as anybody likes

    def _failing(self, error: str) -> None:
        if self.problem:
            return
        self.problem = f"terms and votes cannot be remembered: {error}"
        self._log.error(
            "Terms and votes cannot be remembered: {error}; {consequence}",
            error=error,
            consequence="no claim is made and no vote given beyond those on disk"
            if self._votes
            else "after a crash a term may be used twice",
        )
        if self._open:
            self._changed(self.problem)

    def close(self) -> None:
        """Try nothing again, and report nothing more."""
        if self._open and (self._waiting or self._store.ran is not None):
            # What is known of the others' members is known as of now.
            done = self._store.write(self._session(), self._waiting)
            done.addErrback(lambda failure: failure.trap(OSError))
        self._open = False
        for call in (self._next, self._slow, self._noting):
            self._cancel(call)

    @staticmethod
    def _cancel(call: IDelayedCall | None) -> None:
        if call is not None and call.active():
            call.cancel()
