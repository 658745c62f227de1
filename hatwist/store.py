"""
What a node remembers over a restart: which start it is, which terms and votes are used up, and whether it
is drained.

One small file of JSON in the state directory, replaced as a whole: written beside, fsynced, renamed, and the
directory fsynced, in a thread, since a disk may take seconds.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

from twisted.internet.defer import Deferred, DeferredLock
from twisted.internet.threads import deferToThreadPool

from hatwist.files import PATIENT, openRegular
from hatwist.heartbeat import MAX_SESSION, MAX_TERM, Grant
from hatwist.votes import Record

DIRECTORY = "/var/lib/hatwist"


class Store:
    """
    The memory of one node of one cluster on disk.

    @ivar session: of the start before this one; 0: there was none.
    @ivar records: by group.
    @ivar drained: the operator wants nothing to be held here.
    """

    def __init__(self, reactor: Any, path: str) -> None:
        """@param path: the file; its directory must exist by the time of the first write."""
        self._reactor = reactor
        self._path = path
        self._lock = DeferredLock()
        self.session = 0
        self.records: dict[str, Record] = {}
        self.drained = False

    @classmethod
    def of(cls, reactor: Any, directory: str, cluster: str, node: str) -> Store:
        """
        The store of one node in a state directory.

        Both names may have dots in them. The first one in the file's name ends the cluster's, in which each
        is written as a plus, which no name has: else a.b with node c and a with node b.c were one file.
        """
        name = f"{cluster.replace('.', '+')}.{node}.json"
        return cls(reactor, os.path.join(directory, name))

    def read(self) -> None:
        """
        Read what an earlier start wrote; nothing there is no error.

        @raise ValueError: the file is damaged.
        @raise OSError: it cannot be read.
        """
        try:
            with openRegular(self._path) as file:
                content = json.load(file)
        except FileNotFoundError:
            return
        except (ValueError, RecursionError) as e:
            raise ValueError(f"{self._path} is not a state file of hatwist: {e}") from e
        try:
            self.session = int(content["session"])
            self.records = {
                str(name): Record(int(entry["reserved"]), _grant(entry["vote"]))
                for name, entry in content["groups"].items()
            }
            highest = max((record.reserved for record in self.records.values()), default=0)
            drained = content.get("drained", False)  # a file may be older than draining
            if not isinstance(drained, bool):
                raise ValueError(f"drained is {drained!r}, and must be true or false")
            self.drained = drained
            if not (0 <= self.session < MAX_SESSION and 0 <= highest <= MAX_TERM):
                raise ValueError("a number is out of its range")
        except (KeyError, TypeError, AttributeError, ValueError, OverflowError) as e:
            raise ValueError(f"{self._path} is not a state file of hatwist: {e!r}") from e

    def write(self, session: int, records: Mapping[str, Record]) -> Deferred[None]:
        """
        Fires once it is safe on disk. Writes are done in the order of the calls.

        Fails with L{OSError}, and what was there before is still there.
        """
        self.session = session
        self.records.update(records)
        return self._write()

    def drain(self, session: int, on: bool) -> Deferred[None]:
        """Like L{write}; whatever is written later says the same."""
        self.session, self.drained = session, on
        return self._write()

    def _write(self) -> Deferred[None]:
        groups = {
            name: {"reserved": record.reserved, "vote": record.vote and list(record.vote)}
            for name, record in self.records.items()
        }
        content = {"session": self.session, "drained": self.drained, "groups": groups}
        text = json.dumps(content, indent=1) + "\n"
        pool = self._reactor.getThreadPool()
        return self._lock.run(deferToThreadPool, self._reactor, pool, self._replace, text)

    def _replace(self, text: str) -> None:
        directory = os.path.dirname(self._path) or "."
        os.makedirs(directory, mode=0o700, exist_ok=True)
        beside = f"{self._path}.new"
        try:
            with open(beside, "w", encoding="utf-8", opener=_private) as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            os.rename(beside, self._path)
        except OSError:
            _unlink(beside)
            raise
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW | PATIENT, 0o600)


def _unlink(path: str) -> None:
    try:
        os.unlink(path)
    except OSError:
        pass


def _grant(entry: Any) -> Grant | None:
    if entry is None:
        return None
    name, session, term, seq = entry
    return Grant(str(name), int(session), int(term), int(seq))


class MemoryStore:
    """The double: remembers as long as it lives, and fails as it is told."""

    def __init__(self) -> None:
        self.session = 0
        self.records: dict[str, Record] = {}
        self.drained = False
        self.failure: OSError | None = None
        self.writes = 0

    def read(self) -> None:
        """Nothing to do."""

    def drain(self, session: int, on: bool) -> Deferred[None]:
        done = self.write(session, {})
        if self.failure is None:
            self.drained = on
        return done

    def write(self, session: int, records: Mapping[str, Record]) -> Deferred[None]:
        done: Deferred[None] = Deferred()
        if self.failure is not None:
            done.errback(self.failure)
            return done
        self.writes += 1
        self.session = session
        self.records.update(records)
        done.callback(None)
        return done
