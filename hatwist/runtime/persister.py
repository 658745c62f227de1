"""What a node must remember over a restart: written, and written again until it is on disk."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from hatwist.core.claims import Record
from hatwist.core.effects import Persist
from hatwist.protocols.native.machine import Machine

RETRY = 1.0
"""Seconds after which a failed write to the store is tried again."""
SLOW = 2.0
"""Seconds that a write may take before the disk counts as one that cannot be written."""


class Persister:
    """
    @param reactor: provides IReactorTime.
    @param store: see L{hatwist.runtime.store}.
    @param done: called with group and record when they are on disk.
    @param changed: called with why nothing can be remembered, and with C{""} once something could again.
    @ivar problem: the last of these.
    """

    _log = Logger()

    def __init__(
        self,
        reactor: Any,
        machine: Machine,
        store: Any,
        done: Callable[[str, Record], None],
        changed: Callable[[str], None] = lambda problem: None,
    ) -> None:
        self._reactor = reactor
        self._machine = machine
        self._store = store
        self._done = done
        self._changed = changed
        self._open = True
        self.problem = ""
        self._retries: list[IDelayedCall] = []
        self._noting: IDelayedCall | None = None
        self._newest: dict[str, Persist] = {}

    def persist(self, effect: Persist) -> None:
        group, record = effect
        self._newest[group] = effect
        done = self._store.write(self._machine.session, {group: record})
        if not done.called:
            slow = self._reactor.callLater(
                SLOW, self._failing, f"a write takes more than {SLOW:g} s"
            )
            self._retries.append(slow)
            done.addBoth(_cancel, slow)
        done.addCallback(self._persisted, group, record)
        done.addErrback(self._notPersisted, effect)

    def count(self) -> None:
        """
        Write what no record brings: a start's number that others could not bring back to this node, or by which
        configurations the others are known.
        """
        done = self._store.write(self._machine.session, {})
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

    def _notPersisted(self, failure: Failure, effect: Persist) -> None:
        self._failing(failure.getErrorMessage())
        if self._open:
            self._retries.append(self._reactor.callLater(RETRY, self._persistAgain, effect))

    def _failing(self, error: str) -> None:
        if self.problem:
            return
        self.problem = f"terms and votes cannot be remembered: {error}"
        self._log.error(
            "Terms and votes cannot be remembered: {error}; {consequence}",
            error=error,
            consequence="no claim is made and no vote given beyond those on disk"
            if self._machine.rules.quorum is not None
            else "after a crash a term may be used twice",
        )
        if self._open:
            self._changed(self.problem)

    def _persistAgain(self, effect: Persist) -> None:
        self._retries = [call for call in self._retries if call.active()]
        if self._newest[effect.group] is effect:  # else the disk has, or will have, more than this
            self.persist(effect)

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
