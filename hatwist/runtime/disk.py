"""Opening files that somebody else may have put there."""

from __future__ import annotations

import errno
import os
import stat
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
