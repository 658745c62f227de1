"""Files of one's own."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from hatwist.runtime import disk
from hatwist.runtime.disk import openPrivate, openRegular, replaceFile


class DiskTests(SynchronousTestCase):
    """A directory that is made when it is needed."""

    def setUp(self) -> None:
        self.path = Path(self.mktemp()) / "state" / "file"

    def listed(self) -> list[str]:
        return [each.name for each in self.path.parent.iterdir()]

    def test_replaced(self) -> None:
        """A private file in a private directory, whole; nothing else is left beside it."""
        for text in ("one", "two, longer", ""):
            replaceFile(str(self.path), text)
            self.assertEqual((self.path.read_text(), self.listed()), (text, ["file"]))
        modes = [path.stat().st_mode & 0o777 for path in (self.path, self.path.parent)]
        self.assertEqual(modes, [0o600, 0o700])

    def test_durable(self) -> None:
        """Only what must outlast a loss of power waits for the disk."""
        synced: list[int] = []
        self.patch(os, "fsync", synced.append)
        replaceFile(str(self.path), "one")
        self.assertEqual(len(synced), 0)
        replaceFile(str(self.path), "two", durable=True)
        self.assertEqual(len(synced), 2)

    def test_failed(self) -> None:
        """When the disk is full, the old file is as it was, and nothing is left beside it."""
        replaceFile(str(self.path), "one")
        self.patch(disk, "openPrivate", lambda path, flags: os.open("/dev/full", os.O_WRONLY))
        error = self.assertRaises(OSError, replaceFile, str(self.path), "two")
        self.assertEqual(error.errno, errno.ENOSPC)
        self.assertEqual((self.path.read_text(), self.listed()), ("one", ["file"]))

    def test_noLink(self) -> None:
        """Nobody's symbolic link is followed to where one's own file would be."""
        self.path.parent.mkdir(parents=True)
        self.path.symlink_to("/dev/null")
        error = self.assertRaises(OSError, openPrivate, str(self.path), os.O_WRONLY | os.O_CREAT)
        self.assertEqual(error.errno, errno.ELOOP)

    def test_regular(self) -> None:
        """A FIFO in the place of a file is refused, and keeps nobody waiting."""
        self.path.parent.mkdir(parents=True)
        os.mkfifo(self.path)
        error = self.assertRaises(OSError, openRegular, str(self.path))
        self.assertEqual(error.errno, errno.EINVAL)
