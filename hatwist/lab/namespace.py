"""Network namespaces held by file descriptor: no names, so nothing to clean up by name."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from hatwist.lab.world import CLONE_NEWNET, libc, succeed

OURS = "/proc/thread-self/ns/net"


class Namespace:
    """
    A network namespace of its own, alive while it is open or a process or socket is in it.

    @ivar fd: a file descriptor of it (setns(2)).
    """

    def __init__(self) -> None:
        """
        @raise OSError: outside of a private world, and not root.
        """
        home = os.open(OURS, os.O_RDONLY | os.O_CLOEXEC)
        try:
            succeed(libc.unshare(CLONE_NEWNET))
            try:
                self.fd = os.open(OURS, os.O_RDONLY | os.O_CLOEXEC)
            finally:
                succeed(libc.setns(home, CLONE_NEWNET))
        finally:
            os.close(home)
        self._inode = os.fstat(self.fd).st_ino

    @contextmanager
    def entered(self) -> Iterator[None]:
        """
        This thread is in the namespace: sockets made and processes started here belong to it for
        good. Never let the reactor run in between.
        """
        home = os.open(OURS, os.O_RDONLY | os.O_CLOEXEC)
        try:
            succeed(libc.setns(self.fd, CLONE_NEWNET))
            try:
                yield
            finally:
                succeed(libc.setns(home, CLONE_NEWNET))
        finally:
            os.close(home)

    def processes(self) -> list[int]:
        """The process ids in it now, whatever session or process group they have moved to."""
        found = []
        for entry in os.listdir("/proc"):
            if entry.isdigit():
                try:
                    here = os.stat(f"/proc/{entry}/ns/net").st_ino == self._inode
                except OSError:  # gone meanwhile, or a zombie
                    continue
                if here:
                    found.append(int(entry))
        return found

    def close(self) -> None:
        """Let go of it."""
        os.close(self.fd)
