"""What a node must remember over a restart: written, and written again until it is on disk."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from hatwist.effects import Persist
from hatwist.machine import Machine
from hatwist.votes import Record

RETRY = 1.0
"""Seconds after which a failed write to the store is tried again."""


class Persister:
    """
    @param reactor: provides IReactorTime.
    @param store: see L{hatwist.store}.
    @param done: called with group and record when they are on disk.
    """

    _log = Logger()

    def __init__(
        self, reactor: Any, machine: Machine, store: Any, done: Callable[[str, Record], None]
    ) -> None:
        self._reactor = reactor
        self._machine = machine
        self._store = store
        self._done = done
        self._open = True
        self._forgetful = False
        self._retries: list[IDelayedCall] = []
        self._newest: dict[str, Persist] = {}

    def persist(self, effect: Persist) -> None:
        group, record = effect
        self._newest[group] = effect
        done = self._store.write(self._machine.session, {group: record})
        done.addCallback(self._persisted, group, record)
        done.addErrback(self._notPersisted, effect)

    def count(self) -> None:
        """A start's number that others could not bring back to this node is remembered at once."""
        done = self._store.write(self._machine.session, {})
        done.addErrback(lambda failure: failure.trap(OSError))  # the next record brings it along

    def _persisted(self, result: None, group: str, record: Record) -> None:
        if self._forgetful:
            self._forgetful = False
            self._log.info("Terms can be remembered again")
        if self._open:
            self._done(group, record)

    def _notPersisted(self, failure: Failure, effect: Persist) -> None:
        if not self._forgetful:
            self._forgetful = True
            self._log.error(
                "Terms and votes cannot be remembered: {error}; {consequence}",
                error=failure.getErrorMessage(),
                consequence="no claim is made and no vote given beyond those on disk"
                if self._machine.rules.quorum is not None
                else "after a crash a term may be used twice",
            )
        if self._open:
            self._retries.append(self._reactor.callLater(RETRY, self._persistAgain, effect))

    def _persistAgain(self, effect: Persist) -> None:
        self._retries = [call for call in self._retries if call.active()]
        if self._newest[effect.group] is effect:  # else the disk has, or will have, more than this
            self.persist(effect)

    def close(self) -> None:
        """Try nothing again, and report nothing more."""
        self._open = False
        for call in self._retries:
            if call.active():
                call.cancel()
