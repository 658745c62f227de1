"""
One process for one node: two would write the same memory, and release what the other one holds.

A lock (flock(2)) on a file in the state directory, which ends with the process however that ends. Neither the guard
nor a program that a resource runs inherits it.
"""

from __future__ import annotations

import fcntl
import os

from hatwist.core.errors import HatwistError
from hatwist.runtime.disk import openPrivate


class Taken(HatwistError):
    """Another process has the node."""


class NodeLock:
    """
    @ivar path: the file, which stays; in it is who took it last.
    """

    def __init__(self, path: str, what: str) -> None:
        """@param what: how errors call the node."""
        self.path = path
        self._what = what
        self._descriptor = -1

    @classmethod
    def of(cls, directory: str, cluster: str, node: str) -> NodeLock:
        """The lock of one node in a state directory."""
        path = os.path.join(directory, f"{cluster}.{node}.lock")
        return cls(path, f"node {node} of cluster {cluster}")

    def take(self) -> None:
        """
        Have it until L{free}, or the end of this process.

        @raise Taken: another process has it, or this one by another L{NodeLock}.
        @raise OSError: the file cannot be made or opened.
        """
        os.makedirs(os.path.dirname(self.path) or ".", mode=0o700, exist_ok=True)
        descriptor = self._open(os.O_RDWR | os.O_CREAT)
        try:
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        except OSError:  # a full disk: the error that another process gets only lacks the pid
            pass
        self._descriptor = descriptor

    def check(self) -> None:
        """
        Only look; nothing is made.

        @raise Taken: as for L{take}.
        """
        try:
            os.close(self._open(os.O_RDONLY))
        except OSError:  # nobody ever had it, or taking it will tell
            pass

    def _open(self, flags: int) -> int:
        """Open the file, and lock it."""
        descriptor = openPrivate(self.path, flags)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pid = os.pread(descriptor, 20, 0).decode("ascii", "replace").strip()
            os.close(descriptor)
            raise Taken(
                f"{self._what} runs here already" + (f", as process {pid}" if pid else "")
            ) from None
        except OSError:
            os.close(descriptor)
            raise
        return descriptor

    def free(self) -> None:
        """Others may have it."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
