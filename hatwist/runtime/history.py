"""
The history: every role change that a node has seen, kept over restarts.

One line of JSON each, appended to a file in the state directory by a thread, since a disk may take seconds; what
waits for it waits in memory. Losing the last lines in a crash harms nobody, so nothing is fsynced.
"""

from __future__ import annotations

import json
import os
import time
from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger
from twisted.python.failure import Failure

from hatwist.core.effects import ACQUIRING, SILENT, Change
from hatwist.runtime.disk import fileOf, openPrivate, openRegular, replaceFile

SOON = 0.1
"""Seconds until a change is written: a thread that writes keeps the reactor from moving what else is to be moved."""
LATER = 1.0
"""Seconds between two looks whether what waits may be written, while the node is overloaded."""
LIMIT = 1000
"""Changes kept; the file has up to twice as many lines."""
_LONGEST = 4096
"""Characters of a line that is believed."""
_LATEST = 1 << 37
"""Seconds since 1970 that are believed: every calendar has them."""


class Entry(NamedTuple):
    """
    One role change. The fields are those of L{Change}, but for the time.

    @ivar time: seconds since 1970.
    """

    time: float
    node: str
    group: str
    old: str
    new: str
    term: int
    reason: str


class History:
    """
    @param path: the file; its directory is made at the first write.
    @param now: the time of day.
    @param busy: whether the node is overloaded: what is to be written waits then, until L{close}.
    """

    _log = Logger()

    def __init__(
        self,
        reactor: Any,
        path: str,
        limit: int = LIMIT,
        now: Callable[[], float] = time.time,
        busy: Callable[[], bool] = lambda: False,
    ) -> None:
        self._reactor = reactor
        self._path = path
        self._now = now
        self._busy = busy
        self._later: IDelayedCall | None = None
        self.entries: deque[Entry] = deque(maxlen=limit)
        self._limit = limit
        self._lines = 0
        self._waiting: list[Entry] = []
        self._writing = False
        self._failing = False
        self._idle: list[Deferred[None]] = []

    @classmethod
    def of(
        cls,
        reactor: Any,
        directory: str,
        cluster: str,
        node: str,
        busy: Callable[[], bool] = lambda: False,
    ) -> History:
        """The history of one node in a state directory."""
        return cls(reactor, fileOf(directory, cluster, node, "history"), busy=busy)

    def read(self) -> None:
        """
        Read what earlier starts wrote. A line that is damaged is left out, which one warning tells; a file
        that cannot be read is as good as none: nothing depends on it.
        """
        try:
            with openRegular(self._path) as file:
                lines = [line.decode("utf-8", "replace") for line in file]
        except FileNotFoundError:
            return
        except OSError as e:
            self._log.warn("The history cannot be read: {error}", error=str(e))
            return
        self.entries.clear()
        self._lines = len(lines)
        found = [entry for entry in map(_parse, lines) if entry is not None]
        self.entries.extend(found)
        if len(found) < len(lines):
            self._log.warn(
                "{path}: {damaged} of {lines} lines are damaged, and left out of the history",
                path=self._path,
                damaged=len(lines) - len(found),
                lines=len(lines),
            )

    def add(self, change: Change) -> None:
        """Take in one change that was noticed just now. Never raises, never waits."""
        if change.new == ACQUIRING:
            return  # the change that follows tells how it ended
        old = change.old
        if old == ACQUIRING and change.new == "ACTIVE":
            old = "STANDBY"
        entry = Entry(self._now(), *change._replace(old=old)[1:])
        self.entries.append(entry)
        self._waiting.append(entry)
        if len(self._waiting) > self._limit:  # the disk hangs
            del self._waiting[0]
        if self._later is None:
            self._later = self._reactor.callLater(SOON, self._write)

    def began(self, node: str, group: str, term: int) -> Entry | None:
        """
        How the claim of this term began, if that is remembered.

        One that is heard again, or for the first time since a start of this node, had begun before that.
        """
        found = None
        for entry in reversed(self.entries):
            if (entry.node, entry.group) != (node, group):
                continue
            if (entry.term, entry.new) == (term, "ACTIVE"):
                found = entry
                if entry.old not in ("", SILENT):
                    break
            elif found is not None and entry.new != SILENT:
                break
        return found

    def close(self) -> Deferred[None]:
        """Fires when everything is written, or could not be."""
        done: Deferred[None] = Deferred()
        self._write(True)
        if self._writing:
            self._idle.append(done)
        else:
            done.callback(None)
        return done

    def _write(self, hurries: bool = False) -> None:
        later, self._later = self._later, None
        if later is not None and later.active():
            later.cancel()
        if self._writing or not self._waiting:
            return
        if self._busy() and not hurries:
            self._later = self._reactor.callLater(LATER, self._write)
            return
        self._writing = True
        added, self._waiting = self._waiting, []
        anew = list(self.entries) if self._lines + len(added) > 2 * self._limit else None
        self._lines = len(anew) if anew is not None else self._lines + len(added)
        pool = self._reactor.getThreadPool()
        writing = deferToThreadPool(self._reactor, pool, self._save, added, anew)
        writing.addCallbacks(self._written, self._unwritten, errbackArgs=(added,))

    def _written(self, result: None) -> None:
        if self._failing:
            self._failing = False
            self._log.info("The history can be written again")
        self._writing = False
        self._write(bool(self._idle))
        if not self._writing:
            self._rest()

    def _unwritten(self, failure: Failure, added: list[Entry]) -> None:
        if not self._failing:
            self._failing = True
            self._log.warn(
                "The history cannot be written: {error}", error=failure.getErrorMessage()
            )
        self._waiting[:0] = added  # the next change brings it up again
        del self._waiting[: -self._limit]
        self._lines = 2 * self._limit  # the file may be damaged now: next time it is written anew
        self._writing = False
        self._rest()

    def _rest(self) -> None:
        idle, self._idle = self._idle, []
        for done in idle:
            done.callback(None)

    def _save(self, added: list[Entry], anew: list[Entry] | None) -> None:
        """In a thread."""
        text = "".join(f"{json.dumps(entry._asdict())}\n" for entry in anew or added)
        if anew is not None:
            replaceFile(self._path, text)
            return
        os.makedirs(os.path.dirname(self._path) or ".", mode=0o700, exist_ok=True)
        with open(self._path, "a", encoding="utf-8", opener=openPrivate) as file:
            file.write(text)


def _parse(line: str) -> Entry | None:
    try:
        content = json.loads(line) if len(line) <= _LONGEST else None
        if not isinstance(content, dict):
            return None
        entry = Entry(**content)
        if any(not isinstance(value, str) for value in (*entry[1:5], entry.reason)):
            return None
        if not 0 <= entry.time < _LATEST:
            return None
        return entry._replace(time=float(entry.time), term=int(entry.term))
    except (TypeError, ValueError, OverflowError, RecursionError):
        return None
