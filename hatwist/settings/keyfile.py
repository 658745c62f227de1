"""Files with secrets: keys of heartbeats, passwords of CARP."""

from __future__ import annotations

import os
import stat

from hatwist.settings.protocols import keyProblem


def readKeys(path: str) -> tuple[bytes, ...]:
    """
    The keys in a file, one in a line; the first signs, each is accepted.

    @raise ValueError: it cannot be read, others may read or change it, or a key is too short.
    """
    lines = _secret(path).split(b"\n")
    keys = tuple(dict.fromkeys(line.strip() for line in lines if line.strip()))
    if not keys:
        raise ValueError("it is empty: write a key, such as from: openssl rand -hex 32")
    for number, key in enumerate(keys, 1):
        if problem := keyProblem(key):
            raise ValueError(f"key {number} {problem}")
    return keys


def readPassword(path: str) -> bytes:
    """
    The password in a file: its first line.

    @raise ValueError: it cannot be read, others may read or change it, or it is empty.
    """
    found = _secret(path).partition(b"\n")[0].rstrip(b"\r")
    if not found:
        raise ValueError("its first line is empty: write the password there")
    return found


def _secret(path: str) -> bytes:
    """
    What stands in a file that nobody else may read.

    @raise ValueError: it cannot be read, or others may read or change it.
    """
    try:
        # A FIFO would keep an open waiting for somebody who writes. A symbolic link is followed, since
        # secrets are often mounted as one: what counts is whose the file is.
        with open(path, "rb", opener=lambda p, flags: os.open(p, flags | os.O_NONBLOCK)) as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise ValueError("is not a regular file")
            if status.st_mode & 0o077:
                raise ValueError(
                    f"its mode is {stat.S_IMODE(status.st_mode):04o}, so that others may read it: "
                    f"chmod 0600 {path}"
                )
            if status.st_uid not in (0, os.geteuid()):
                raise ValueError(f"it belongs to user {status.st_uid}: chown it to root")
            return file.read(65536)
    except OSError as e:
        raise ValueError(os.strerror(e.errno or 0)) from None
