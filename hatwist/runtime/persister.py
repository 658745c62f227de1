"""What a node must remember over a restart: written, and written again until it is on disk."""

from __future__ import annotations

from collections.abc import Callable
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
    @param done: called with group and record when they are on disk.
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
        done: Callable[[str, Record], None],
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
        self._retries: list[IDelayedCall] = []
        self._noting: IDelayedCall | None = None
        self._newest: dict[str, Record] = {}

    def persist(self, group: str, record: Record) -> None:
        """Write a record, which is told to be done once it is on disk."""
        self._newest[group] = record
        done = self._store.write(self._session(), {group: record})
        if not done.called:
            slow = self._reactor.callLater(
                SLOW, self._failing, f"a write takes more than {SLOW:g} s"
            )
            self._retries.append(slow)
            done.addBoth(_cancel, slow)
        done.addCallback(self._persisted, group, record)
        done.addErrback(self._notPersisted, group, record)

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

    def _persisted(self, result: None, group: str, record: Record) -> None:
        if self.problem:
            self.problem = ""
            self._log.info("Terms can be remembered again")
            if self._open:
                self._changed("")
        if self._open:
            self._done(group, record)

    def _notPersisted(self, failure: Failure, group: str, record: Record) -> None:
        self._failing(failure.getErrorMessage())
        if self._open:
            again = self._reactor.callLater(RETRY, self._persistAgain, group, record)
            self._retries.append(again)

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

    def _persistAgain(self, group: str, record: Record) -> None:
        self._retries = [call for call in self._retries if call.active()]
        if self._newest[group] is record:  # else the disk has, or will have, more than this
            self.persist(group, record)

    def close(self) -> None:
        """Try nothing again, and report nothing more."""
        if self._open and self._store.ran is not None:
            self.count()  # what is known of the others' members is known as of now
        self._open = False
        for call in (*self._retries, self._noting):
            if call is not None and call.active():
                call.cancel()


def _cancel(result: Any, call: IDelayedCall) -> Any:
    if call.active():
        call.cancel()
    return result
