"""Reading files that somebody else may have put there, and writing one's own."""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from typing import BinaryIO

PATIENT = os.O_NONBLOCK | os.O_CLOEXEC
"""For C{open(2)}: a FIFO in the place of a file would keep it waiting for somebody at the other end."""


def openRegular(path: str) -> BinaryIO:
    """
    Open a file to read it; never waits.

    @raise OSError: it cannot be opened, or is a FIFO, a device, a directory.
    """
    file = open(path, "rb", opener=lambda p, flags: os.open(p, flags | PATIENT))  # noqa: SIM115
    try:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(errno.EINVAL, "is not a regular file", path)
    except BaseException:
        file.close()
        raise
    return file


def openPrivate(path: str, flags: int) -> int:
    """
    Open a file of one's own, an opener for L{open}: for this user only if it is made now.

    @raise OSError: it cannot be opened, or is a symbolic link.
    """
    return os.open(path, flags | os.O_NOFOLLOW | PATIENT, 0o600)


def replaceFile(path: str, text: str, durable: bool = False) -> None:
    """
    Put a private file in the place of another one: who reads sees the old one or the new one, whole.

    It is written beside as C{PATH.new}, and renamed; its directory is made if it is missing.

    @param durable: after this has returned a loss of power does not bring the old one back; a disk may take seconds.
    @raise OSError: the old one is as it was.
    """
    directory = os.path.dirname(path) or "."
    os.makedirs(directory, mode=0o700, exist_ok=True)
    beside = f"{path}.new"
    try:
        with open(beside, "w", encoding="utf-8", opener=openPrivate) as file:
            file.write(text)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        os.rename(beside, path)
    except OSError:
        with suppress(OSError):
            os.unlink(beside)
        raise
    if durable:
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
