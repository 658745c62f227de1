"""Tests for L{hatwist.runtime.store}: what is written is there after a restart, and what fails harms nothing."""

from __future__ import annotations

import errno
import json
import os
import stat
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from hatwist.core.claims import MAX_SESSION, MAX_TERM, NOTHING, Grant, Record
from hatwist.core.counting import REMEMBERED
from hatwist.core.electorate import Quorum, Ran
from hatwist.runtime import disk
from hatwist.runtime.store import MemoryStore, Store

VOTE = Grant("beta", 1_700_000_000_000, 7)


def _note(done: list[int], session: int, result: None) -> None:
    done.append(session)


class Threads:
    """A reactor with a thread pool in which work waits until it is told to go on."""

    def __init__(self) -> None:
        self.waiting: list[Callable[[], None]] = []
        self.held = False

    def getThreadPool(self) -> Threads:
        return self

    def callFromThread(self, f: Callable[..., None], *args: Any) -> None:
        f(*args)

    def callInThreadWithCallback(
        self, onResult: Callable[[bool, Any], None], f: Callable[..., Any], *args: Any, **more: Any
    ) -> None:
        def work() -> None:
            from twisted.python.failure import Failure

            try:
                result = f(*args, **more)
            except Exception:
                onResult(False, Failure())
            else:
                onResult(True, result)

        if self.held:
            self.waiting.append(work)
        else:
            work()


class Contract:
    """What every store owes."""

    def make(self) -> Any:
        """A store that was read."""
        raise NotImplementedError

    def again(self, store: Any) -> Any:
        """The same one after a restart, read."""
        raise NotImplementedError

    def fail_(self, store: Any) -> None:
        """The disk is full from now on."""
        raise NotImplementedError

    def hang(self, store: Any, on: bool) -> None:
        """Writes end no more; or those that wait do now."""
        raise NotImplementedError

    def test_nothing(self: Any) -> None:
        """Before the first write nothing is known, and that is no error."""
        found = self.make()
        self.assertEqual((found.session, found.records), (0, {}))

    def test_kept(self: Any) -> None:
        """What was written is there after a restart: the session, and each group's record."""
        found = self.make()
        records = {"web": Record(65, VOTE), "db": Record(3)}
        self.assertIsNone(self.successResultOf(found.write(1234, records)))
        again = self.again(found)
        self.assertEqual((again.session, again.records), (1234, records))

    def test_oneGroup(self: Any) -> None:
        """A write of one group leaves the others as they were."""
        found = self.make()
        self.successResultOf(found.write(1, {"web": Record(65), "db": Record(3)}))
        self.successResultOf(found.write(2, {"web": Record(66, VOTE)}))
        again = self.again(found)
        self.assertEqual(again.session, 2)
        self.assertEqual(again.records, {"web": Record(66, VOTE), "db": Record(3)})

    def test_failed(self: Any) -> None:
        """A write that fails says so, and what was there before it is still there."""
        found = self.make()
        self.successResultOf(found.write(1, {"web": Record(65, VOTE)}))
        self.fail_(found)
        failure = self.failureResultOf(found.write(2, {"web": Record(99)}), OSError)
        self.assertEqual(failure.value.errno, errno.ENOSPC)
        again = self.again(found)
        self.assertEqual((again.session, again.records), (1, {"web": Record(65, VOTE)}))

    def test_hangs(self: Any) -> None:
        """While the disk hangs nothing is written and nothing fails; then all is, in the order of the calls."""
        found = self.make()
        self.successResultOf(found.write(1, {"web": Record(65)}))
        self.hang(found, True)
        writes = [found.write(2, {"web": Record(70)}), found.write(3, {"web": Record(75)})]
        for write in writes:
            self.assertNoResult(write)
        self.assertEqual(self.again(found).session, 1)
        self.hang(found, False)
        for write in writes:
            self.successResultOf(write)
        again = self.again(found)
        self.assertEqual((again.session, again.records), (3, {"web": Record(75)}))

    def test_settled(self: Any) -> None:
        """Who is about to let another one have the file waits for the writes that were begun, and for no others."""
        found = self.make()
        self.successResultOf(found.settled())
        self.hang(found, True)
        write = found.write(2, {"web": Record(70)})
        settled = found.settled()
        self.assertNoResult(settled)
        self.hang(found, False)
        self.successResultOf(write)
        self.assertIsNone(self.successResultOf(settled))
        self.assertEqual(self.again(found).session, 2)

    def test_settledThough(self: Any) -> None:
        """A write that fails has ended, too."""
        found = self.make()
        self.fail_(found)
        self.hang(found, True)
        write, settled = found.write(2, {}), found.settled()
        self.hang(found, False)
        self.failureResultOf(write, OSError)
        self.assertIsNone(self.successResultOf(settled))

    def test_ran(self: Any) -> None:
        """With which members it ran, and how the others were known, is written with anything else."""
        found = self.make()
        self.assertIsNone(found.ran)
        ran = Ran(Quorum(frozenset(("alpha", "beta")), 2), ("ab12",), {"beta": "ab12"})
        found.ran = ran
        self.successResultOf(found.write(1, {}))
        again = self.again(found).ran
        self.assertEqual(again._replace(at=0.0), ran)

    def test_drained(self: Any) -> None:
        """Whether the node is drained is there after a restart, and other writes leave it as it is."""
        found = self.make()
        self.assertIs(found.drained, False)
        self.assertIsNone(self.successResultOf(found.drain(7, True)))
        self.successResultOf(found.write(8, {"web": Record(65)}))
        again = self.again(found)
        self.assertEqual((again.session, again.drained), (8, True))
        self.successResultOf(again.drain(9, False))
        self.assertIs(self.again(again).drained, False)

    def test_drainFailed(self: Any) -> None:
        """A drain that cannot be written down says so, and a restart does not know of it."""
        found = self.make()
        self.successResultOf(found.write(1, {}))
        self.fail_(found)
        self.failureResultOf(found.drain(1, True), OSError)
        self.assertIs(self.again(found).drained, False)


class MemoryTests(Contract, SynchronousTestCase):
    """The double."""

    def make(self) -> MemoryStore:
        found = MemoryStore()
        found.read()
        return found

    def again(self, store: MemoryStore) -> MemoryStore:
        store.read()
        return store

    def fail_(self, store: MemoryStore) -> None:
        store.failure = OSError(errno.ENOSPC, "No space left on device")

    def hang(self, store: MemoryStore, on: bool) -> None:
        store.hangs = on
        if not on:
            store.goOn()

    def test_forAWhile(self) -> None:
        """It can fail so many times, and has room then."""
        found = self.make()
        self.fail_(found)
        found.failures = 2
        for _ in range(2):
            self.failureResultOf(found.write(1, {}), OSError)
        self.assertIsNone(self.successResultOf(found.write(2, {})))


class FileTests(Contract, SynchronousTestCase):
    """The file."""

    def setUp(self) -> None:
        self.directory: str = self.mktemp()
        self.path = os.path.join(self.directory, "home.alpha.json")
        self.threads = Threads()

    def make(self) -> Store:
        found = Store.of(self.threads, self.directory, "home", "alpha")
        found.read()
        return found

    def again(self, store: Store) -> Store:
        return self.make()

    def fail_(self, store_: Store) -> None:
        # Every write to this device fails as on a full disk.
        self.patch(disk, "openPrivate", lambda path, flags: os.open("/dev/full", os.O_WRONLY))

    def hang(self, store_: Store, on: bool) -> None:
        self.threads.held = on
        while not on and self.threads.waiting:
            self.threads.waiting.pop(0)()

    def write(self, *more: Any) -> Deferred[None]:
        return self.make().write(*(more or (1, {"web": Record(65, VOTE)})))

    def put(self, content: bytes) -> None:
        os.makedirs(self.directory, exist_ok=True)
        with open(self.path, "wb") as file:
            file.write(content)

    def test_modes(self) -> None:
        """A missing directory is made, for its owner alone; so is the file, whatever the umask."""
        self.addCleanup(os.umask, os.umask(0))
        self.successResultOf(self.write())
        for path, mode in ((self.directory, 0o700), (self.path, 0o600)):
            self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), mode, path)
        self.assertEqual(os.listdir(self.directory), ["home.alpha.json"])

    def test_directoryAbove(self) -> None:
        """Directories above it are made as well."""
        self.directory = os.path.join(self.directory, "var", "lib")
        self.successResultOf(self.write())
        self.assertEqual(self.make().session, 1)

    def test_unwritable(self) -> None:
        """A directory that cannot be made fails the write, and nothing else."""
        with open(self.directory, "wb"):
            pass
        found = Store.of(self.threads, self.directory, "home", "alpha")
        failure = self.failureResultOf(found.write(1, {"web": NOTHING}), OSError)
        self.assertIn(failure.value.errno, (errno.ENOTDIR, errno.EEXIST))

    def test_nothingBesides(self) -> None:
        """A write that fails leaves no half of a file behind."""
        self.successResultOf(self.write())

        def full(descriptor: int) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        self.patch(os, "fsync", full)
        self.failureResultOf(self.write(2, {"web": Record(99)}), OSError)
        self.assertEqual(os.listdir(self.directory), ["home.alpha.json"])
        self.assertEqual(self.make().session, 1)

    def test_drainWrittenLater(self) -> None:
        """A drain that could not be written down is, by the next write that succeeds."""
        found = self.make()
        private = disk.openPrivate
        self.fail_(found)
        self.failureResultOf(found.drain(1, True), OSError)
        self.patch(disk, "openPrivate", private)
        self.successResultOf(found.write(1, {}))
        self.assertIs(self.again(found).drained, True)

    def test_olderFile(self) -> None:
        """A file that says nothing of draining is one of a node that is not drained; other words are refused."""
        self.put(b'{"session": 5, "groups": {}}')
        found = self.make()
        self.assertEqual((found.session, found.drained), (5, False))
        self.put(b'{"session": 5, "drained": "yes", "groups": {}}')
        error = self.assertRaises(ValueError, self.make)
        self.assertIn("drained is 'yes', and must be true or false", str(error))

    def test_syncedBeforeItCounts(self) -> None:
        """The content is on disk before its name is, and the name before it is told."""
        done: list[str] = []
        fsync, rename = os.fsync, os.rename

        def synced(descriptor: int) -> None:
            kind = "directory" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file"
            done.append(f"fsync {kind}")
            fsync(descriptor)

        def renamed(old: str, new: str) -> None:
            done.append("rename")
            rename(old, new)

        self.patch(os, "fsync", synced)
        self.patch(os, "rename", renamed)
        told = self.write().addCallback(lambda _: done.append("told"))
        self.successResultOf(told)
        self.assertEqual(done, ["fsync file", "rename", "fsync directory", "told"])

    def test_order(self) -> None:
        """Writes are done one after the other in the order of the calls, whatever each takes."""
        self.threads.held = True
        found = self.make()
        done: list[int] = []
        for session in (1, 2, 3):
            written = found.write(session, {"web": Record(session)})
            written.addCallback(partial(_note, done, session))
        for session in (1, 2, 3):
            self.assertEqual(len(self.threads.waiting), 1)
            self.threads.waiting.pop()()
            again = self.make()
            self.assertEqual((again.session, again.records), (session, {"web": Record(session)}))
        self.assertEqual(done, [1, 2, 3])

    def test_afterAFailure(self) -> None:
        """A write after one that failed is done, and brings what that one should have brought."""
        found = self.make()
        self.successResultOf(found.write(1, {"web": Record(65)}))
        self.fail_(found)
        self.failureResultOf(found.write(1, {"web": Record(99)}), OSError)
        self.patch(disk, "openPrivate", lambda path, flags: os.open(path, flags, 0o600))
        self.successResultOf(found.write(1, {"db": Record(3)}))
        self.assertEqual(self.make().records, {"web": Record(99), "db": Record(3)})

    def test_symbolicLink(self) -> None:
        """Where the new file would be, nobody's link is followed."""
        self.successResultOf(self.write())
        os.symlink("/dev/null", f"{self.path}.new")
        self.failureResultOf(self.write(2, {"web": NOTHING}), OSError)
        self.assertEqual(self.make().session, 1)

    def test_damaged(self) -> None:
        """A damaged file is named; it is not taken for an empty one, which would forget promises."""
        self.successResultOf(self.write())
        with open(self.path, "rb") as file:
            good = json.load(file)
        vote = good["groups"]["web"]["vote"]
        for content in (
            b"",
            b"\xff\xfe",
            b"{",
            b"[]",
            b"{}",
            b"[" * 100_000,
            b'{"session": "x", "groups": {}}',
            b'{"session": 1, "groups": []}',
            json.dumps({**good, "session": -1}).encode(),
            json.dumps({**good, "groups": {"web": {"reserved": 1}}}).encode(),
            json.dumps({**good, "groups": {"web": {"reserved": 1e999, "vote": None}}}).encode(),
            json.dumps({**good, "groups": {"web": {"reserved": -1, "vote": None}}}).encode(),
            json.dumps({**good, "groups": {"web": {"reserved": 1, "vote": ["b", 1, -3]}}}).encode(),
            json.dumps({**good, "groups": {"web": {"reserved": 1, "vote": vote[:2]}}}).encode(),
            json.dumps(good).encode()[:-7],
        ):
            self.put(content)
            error = self.assertRaises(ValueError, self.make)
            self.assertIn(self.path, str(error), content)

    def test_usedUp(self) -> None:
        """
        What an earlier version took from a packet and wrote, beyond all that can be counted, is not remembered:
        the node starts, and says what it left out. The rest of the file counts.
        """
        found = self.make()
        records = {"web": Record(MAX_TERM + 64, VOTE), "mail": Record(65, VOTE)}
        self.successResultOf(found.write(MAX_SESSION, records))
        found = self.make()
        self.assertEqual((found.session, found.records), (0, {"mail": Record(65, VOTE)}))
        self.assertEqual(
            found.ignored,
            [
                f"the last start's number {MAX_SESSION}",
                f"the terms of group web up to {MAX_TERM + 64}",
            ],
        )
        self.successResultOf(found.write(7, {"web": Record(REMEMBERED, None)}))
        found = self.make()
        self.assertEqual((found.session, found.ignored), (7, []))
        self.assertEqual(found.records["web"], Record(REMEMBERED, None))

    def test_now(self) -> None:
        """It can be written at once, before anything runs; that it was then is written too, with the members."""
        found = self.make()
        found.ran = Ran(Quorum(frozenset(("alpha", "beta")), 2), ("ab12",), {})
        self.patch(time, "time", lambda: 77.5)
        found.writeNow()
        self.assertEqual(self.make().ran, found.ran._replace(at=77.5))
        with open(self.path, "rb") as file:
            good = json.load(file)
        for key in good["members"]:
            wrong = {**good["members"], key: 5.5 if key != "at" else "x"}
            self.put(json.dumps({**good, "members": wrong}).encode())
            if key != "needed":
                self.assertRaises(ValueError, self.make)

    def test_unreadable(self) -> None:
        """A file that cannot be read is an error, too."""
        os.makedirs(self.path)
        self.assertRaises(OSError, self.make)
        os.rmdir(self.path)
        os.mkfifo(self.path)  # nobody is waited for who might write into it
        self.assertRaises(OSError, self.make)

    def test_names(self) -> None:
        """Nodes and clusters on one host have files of their own."""
        for cluster, node in (("home", "alpha"), ("home", "beta"), ("web", "alpha")):
            found = Store.of(self.threads, self.directory, cluster, node)
            self.successResultOf(found.write(1, {}))
        self.assertEqual(len(os.listdir(self.directory)), 3)
