"""Tests for L{hatwist.runtime.history}: kept over restarts, bounded, and harmless whatever the disk does."""

from __future__ import annotations

import json
import os
from typing import Any

from twisted.internet import reactor
from twisted.internet.task import deferLater
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import TestCase

from hatwist.core.effects import Change
from hatwist.runtime.history import Entry, History
from tests.unit.resources.test_command import until


def change(number: int, new: str = "ACTIVE", node: str = "alpha") -> Change:
    return Change(1.0, node, "web", "STANDBY", new, number, f"reason {number}")


def line(moment: bytes, term: bytes) -> bytes:
    """A line of the file, with this as time and term."""
    rest = b'"node": "", "group": "", "old": "", "new": "", "reason": ""'
    return b'{"time": %s, "term": %s, %s}\n' % (moment, term, rest)


class HistoryTests(TestCase):
    """A history on a real disk."""

    def setUp(self) -> None:
        self.path = os.path.join(self.mktemp(), "deep", "web.alpha.history")

    def history(self, limit: int = 1000) -> History:
        made = History(reactor, self.path, limit, lambda: 1234.5)
        made.read()
        return made

    async def test_kept(self) -> None:
        """What was added is there after a restart, in order; the file is for its owner only."""
        before = self.history()
        self.assertEqual(list(before.entries), [])
        for number in range(3):
            before.add(change(number))
        await before.close()
        self.assertEqual(os.stat(self.path).st_mode & 0o777, 0o600)
        after = self.history()
        self.assertEqual(after.entries, before.entries)
        self.assertEqual(
            after.entries[-1],
            Entry(1234.5, "alpha", "web", "STANDBY", "ACTIVE", 2, "reason 2"),
        )

    async def test_dots(self) -> None:
        """Nodes whose names are the same with those of their clusters have a history each."""
        directory = os.path.dirname(self.path)
        first = History.of(reactor, directory, "a.b", "c")
        first.add(change(1))
        await first.close()
        second = History.of(reactor, directory, "a", "b.c")
        second.read()
        self.assertEqual(list(second.entries), [])

    async def test_bounded(self) -> None:
        """File and memory stay within their limits, and keep the newest."""
        history = self.history(10)
        for number in range(95):
            history.add(change(number))
            await history.close()
            with open(self.path) as file:
                self.assertLessEqual(len(file.readlines()), 20)
        after = self.history(10)
        self.assertEqual([entry.term for entry in after.entries], list(range(85, 95)))

    async def test_burst(self) -> None:
        """Changes that come while the disk is busy are written when it is not, each once."""
        history = self.history()
        for number in range(50):
            history.add(change(number))
        await history.close()
        with open(self.path) as file:
            terms = [json.loads(line)["term"] for line in file]
        self.assertEqual(terms, list(range(50)))

    async def test_damaged(self) -> None:
        """Lines that are no entries are left out, of which one warning tells; the rest counts."""
        history = self.history()
        history.add(change(7))
        await history.close()
        with open(self.path, "ab") as file:
            for text in (
                b"\xff\xfe{\n",
                b"[]\n",
                b"{}\n",
                b'{"time": 1, "node": 2, "group": "", "old": "", "new": "", "term": 1, "reason": ""}\n',
                b"x" * 5000 + b"\n",
                b"[" * 1500 + b"\n",
                line(b"1", b"Infinity"),
                line(b"1", b"NaN"),
                line(b"NaN", b"1"),
                line(b"1e300", b"1"),
                line(b"-1", b"1"),
                b'{"time": 1',
            ):
                file.write(text)
        with capturedLogs() as events:
            after = self.history()
        self.assertEqual([entry.term for entry in after.entries], [7])
        self.assertEqual(
            [formatEvent(event) for event in events],
            [f"{self.path}: 12 of 13 lines are damaged, and left out of the history"],
        )

    async def test_full(self) -> None:
        """A disk that refuses is told of once, costs nothing, and gets everything when it is back."""
        os.makedirs(os.path.dirname(self.path))
        os.mkdir(self.path)  # no file can be opened there
        history = History(reactor, self.path)
        with capturedLogs() as logs:
            for number in range(3):
                history.add(change(number))
                await history.close()
        self.assertEqual(
            [e["log_format"] for e in logs], ["The history cannot be written: {error}"]
        )
        os.rmdir(self.path)
        history.add(change(3))
        await history.close()
        with open(self.path) as file:
            self.assertEqual([json.loads(line)["term"] for line in file], [0, 1, 2, 3])

    async def test_fifo(self) -> None:
        """A FIFO in its place, which would keep a start and then every write waiting for ever, is only told of."""
        os.makedirs(os.path.dirname(self.path))
        os.mkfifo(self.path)
        with capturedLogs() as logs:
            history = self.history()
            history.add(change(1))
            await history.close()
        told = [formatEvent(event) for event in logs]
        self.assertEqual(len(told), 2)
        self.assertIn("The history cannot be read: ", told[0])
        self.assertIn("is not a regular file", told[0])
        self.assertIn("The history cannot be written: ", told[1])

    async def test_began(self) -> None:
        """How a claim began is found, by node, group and term."""
        history = self.history()
        for number in (1, 2):
            history.add(change(number))
            history.add(change(number, "STANDBY"))
        found: Any = history.began("alpha", "web", 1)
        self.assertEqual((found.new, found.reason), ("ACTIVE", "reason 1"))
        self.assertIsNone(history.began("beta", "web", 1))
        await history.close()

    async def test_soon(self) -> None:
        """What moves addresses goes first: a change is written a while after it, with all that have followed."""
        history = self.history()
        for number in (1, 2, 3):
            history.add(change(number))
            await deferLater(reactor, 0)
            self.assertFalse(os.path.exists(self.path))
        await until(lambda: os.path.exists(self.path))
        await history.close()
        self.assertEqual(len(self.history().entries), 3)

    async def test_beganBefore(self) -> None:
        """That a holder is heard again, or first after a restart here, is not how its claim began."""
        history = self.history()
        for old, new, term in (
            ("STANDBY", "ACTIVE", 7),
            ("ACTIVE", "STANDBY", 7),
            ("STANDBY", "ACTIVE", 7),
            ("ACTIVE", "SILENT", 7),
            ("SILENT", "ACTIVE", 7),
            ("", "ACTIVE", 7),
        ):
            reason = f"{old} {len(history.entries)}"
            history.add(Change(1.0, "alpha", "web", old, new, term, reason))
        found: Any = history.began("alpha", "web", 7)
        self.assertEqual(found.reason, "STANDBY 2")
        history.add(Change(1.0, "alpha", "web", "ACTIVE", "SILENT", 7, "silent"))
        history.add(Change(1.0, "alpha", "web", "SILENT", "ACTIVE", 8, "unseen"))
        found = history.began("alpha", "web", 8)
        self.assertEqual(found.reason, "unseen")
        await history.close()

    async def test_acquiring(self) -> None:
        """The steps of a slow claim are no entries of their own."""
        history = self.history()
        history.add(change(1, "ACQUIRING"))
        self.assertEqual(len(history.entries), 0)
        history.add(change(1, "STANDBY")._replace(old="ACQUIRING"))
        self.assertEqual(history.entries.pop().old, "ACQUIRING")
        history.add(change(1)._replace(old="ACQUIRING"))
        self.assertEqual([entry.old for entry in history.entries], ["STANDBY"])
        await history.close()

    async def test_busy(self) -> None:
        """While the node is overloaded nothing is written, and all of it at the end."""
        history = History(reactor, self.path, now=lambda: 1234.5, busy=lambda: True)
        for number in range(3):
            history.add(change(number))
        self.assertFalse(os.path.exists(self.path))
        await history.close()
        self.assertEqual([entry.term for entry in self.history().entries], [0, 1, 2])

    async def test_notBusyAgain(self) -> None:
        """What has waited is written once the node keeps up, with what comes then."""
        busy = True
        history = History(reactor, self.path, now=lambda: 1234.5, busy=lambda: busy)
        history.add(change(1))
        busy = False
        history.add(change(2))
        await history.close()
        self.assertEqual([entry.term for entry in self.history().entries], [1, 2])
