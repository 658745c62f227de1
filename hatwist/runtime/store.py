"""
What a node remembers over a restart: which start it is, which terms and votes are used up, and whether it
is drained.

One small file of JSON in the state directory, replaced as a whole: written beside, fsynced, renamed, and the
directory fsynced, in a thread, since a disk may take seconds.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from math import inf
from typing import Any

from twisted.internet.defer import Deferred, DeferredLock
from twisted.internet.threads import deferToThreadPool

from hatwist.core.claims import Grant, Record
from hatwist.core.counting import LAST, REMEMBERED
from hatwist.core.electorate import Quorum, Ran
from hatwist.runtime.disk import fileOf, openRegular, replaceFile

DIRECTORY = "/var/lib/hatwist"


class Store:
    """
    The memory of one node of one cluster on disk.

    @ivar session: of the start before this one; 0: there was none.
    @ivar records: by group.
    @ivar drained: the operator wants nothing to be held here.
    @ivar ran: with which members it ran last, if votes were ever taken; written with whatever is written next.
    @ivar ignored: what was read and is not remembered, since nobody can have counted that far: such as
        "the last start's number 4611686018427387904". An earlier version took and wrote such numbers.
    """

    def __init__(self, reactor: Any, path: str) -> None:
        """@param path: the file; its directory must exist by the time of the first write."""
        self._reactor = reactor
        self._path = path
        self._lock = DeferredLock()
        self.session = 0
        self.records: dict[str, Record] = {}
        self.drained = False
        self.ran: Ran | None = None
        self.ignored: list[str] = []

    @property
    def path(self) -> str:
        """The file."""
        return self._path

    @classmethod
    def of(cls, reactor: Any, directory: str, cluster: str, node: str) -> Store:
        """The store of one node in a state directory."""
        return cls(reactor, fileOf(directory, cluster, node, "json"))

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
            numbers = [self.session, *(record.reserved for record in self.records.values())]
            for record in self.records.values():
                numbers += record.vote[1:] if record.vote is not None else ()
            if min(numbers) < 0:
                raise ValueError("a number is out of its range")
            drained = content.get("drained", False)  # a file may be older than draining
            if not isinstance(drained, bool):
                raise ValueError(f"drained is {drained!r}, and must be true or false")
            self.drained = drained
            self.ran = _ran(content.get("members"))
        except (KeyError, TypeError, AttributeError, ValueError, OverflowError) as e:
            raise ValueError(f"{self._path} is not a state file of hatwist: {e!r}") from e
        self._ignore()

    def _ignore(self) -> None:
        """
        A number that was used up is as good as none: to forget it is as safe as to start for the first time,
        while no other node would take a claim beyond it.
        """
        self.ignored = []
        if self.session > LAST:
            self.ignored.append(f"the last start's number {self.session}")
            self.session = 0
        for name, record in list(self.records.items()):
            if record.reserved > REMEMBERED:
                self.ignored.append(f"the terms of group {name} up to {record.reserved}")
                del self.records[name]

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

    def settled(self) -> Deferred[None]:
        """Fires once every write that was begun has ended, on disk or not: what comes later is not overwritten."""
        return self._lock.run(lambda: None)

    def writeNow(self) -> None:
        """
        The same as at a L{write}, before anything else is done: nothing else runs yet.

        @raise OSError: what was there before is still there.
        """
        replaceFile(self._path, self._text(), durable=True)

    def _write(self) -> Deferred[None]:
        pool = self._reactor.getThreadPool()
        return self._lock.run(
            deferToThreadPool, self._reactor, pool, replaceFile, self._path, self._text(), True
        )

    def _text(self) -> str:
        groups = {
            name: {"reserved": record.reserved, "vote": record.vote and list(record.vote)}
            for name, record in self.records.items()
        }
        content: dict[str, Any] = {
            "session": self.session,
            "drained": self.drained,
            "groups": groups,
        }
        if self.ran is not None:
            (members, needed), digests, heard, _ = self.ran
            content["members"] = {
                "names": sorted(members),
                "needed": needed,
                "digests": list(digests),
                "heard": heard,
                "at": time.time(),
            }
        return json.dumps(content, indent=1) + "\n"


def _grant(entry: Any) -> Grant | None:
    if entry is None:
        return None
    name, session, term = entry
    return Grant(str(name), int(session), int(term))


def _ran(entry: Any) -> Ran | None:
    if entry is None:
        return None
    quorum = Quorum(frozenset(map(str, entry["names"])), int(entry["needed"]))
    heard = {str(name): str(digest) for name, digest in entry["heard"].items()}
    return Ran(quorum, tuple(map(str, entry["digests"])), heard, float(entry["at"]))


class MemoryStore:
    """
    The double: remembers as long as it lives, and is as slow and full as it is told.

    @ivar failure: what each write fails with; C{None}: it does not.
    @ivar failures: how many writes do, after which the disk has room again; L{inf}: all.
    @ivar hangs: writes begin, and end when L{goOn} is called, in the order in which they began.
    """

    def __init__(self) -> None:
        self.session = 0
        self.records: dict[str, Record] = {}
        self.drained = False
        self.ran: Ran | None = None
        self.failure: OSError | None = None
        self.failures = inf
        self.hangs = False
        self.writes = 0
        self._waiting: list[Callable[[], None]] = []

    def read(self) -> None:
        """Nothing to do."""

    def drain(self, session: int, on: bool) -> Deferred[None]:
        return self._write(session, {}, on)

    def write(self, session: int, records: Mapping[str, Record]) -> Deferred[None]:
        """As L{Store.write}."""
        return self._write(session, records, None)

    def settled(self) -> Deferred[None]:
        """As L{Store.settled}."""
        done: Deferred[None] = Deferred()
        if self._waiting:
            self._waiting.append(lambda: done.callback(None))
        else:
            done.callback(None)
        return done

    def goOn(self) -> None:
        """The disk answers again: what was waiting is done."""
        self.hangs = False
        while self._waiting and not self.hangs:
            self._waiting.pop(0)()

    def _write(
        self, session: int, records: Mapping[str, Record], drained: bool | None
    ) -> Deferred[None]:
        done: Deferred[None] = Deferred()

        def work() -> None:
            if self.failure is not None:
                error, self.failures = self.failure, self.failures - 1
                if self.failures <= 0:
                    self.failure, self.failures = None, inf
                done.errback(error)
                return
            self.writes += 1
            self.session = session
            self.records.update(records)
            if drained is not None:
                self.drained = drained
            done.callback(None)

        if self.hangs:
            self._waiting.append(work)
        else:
            work()
        return done
