"""The process of a guard as the daemon has it: two pipes that no other child inherits, and its end."""

from __future__ import annotations

import fcntl
import os
import sys
import termios
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReadDescriptor, IWriteDescriptor
from twisted.python.failure import Failure
from zope.interface import implementer

from hatwist.linux import realtime
from hatwist.linux.guard import program
from hatwist.linux.guard.program import Reader

# As "python program.py", but from the bytecode, if it is there, as an import: to compile takes 1.2 MB, which stay.
_RUN = (
    "import sys; from _frozen_importlib_external import SourceFileLoader as Loader; "
    "[exec(Loader(__name__, path).get_code(__name__), {'__name__': __name__}) for path in sys.argv[1:]]"
)
_PYTHON = (sys.executable, "-I", "-S", "-B", "-c", _RUN)
COMMAND = (*_PYTHON, program.__file__)
REALTIME = (*_PYTHON, realtime.__file__, program.__file__)
"""A guard that comes before ordinary processes, and before its daemon."""
ROOM = 1 << 20
"""Bytes in the pipe, if the kernel allows: the addresses of a thousand are written in one go."""
STUCK, STUCK_LOOKS = 0.7, 3
"""A guard that has not read for so many seconds and looks is stopped or hangs."""
LOOK = 0.1
"""Seconds between two of those looks, at least."""
REAP = 0.01
"""Seconds between two looks whether it is dead, once its answers have ended."""

Told = Callable[[], None]


@implementer(IWriteDescriptor)
class Commands:
    """
    The pipe that leads to one guard; what has no room in it waits.

    All that is sent in one turn of the reactor is written in the next one, or when it is flushed, in one go.
    """

    def __init__(self, reactor: Any, descriptor: int) -> None:
        self._reactor = reactor
        self._descriptor = descriptor
        self._pending = bytearray()
        self._later: IDelayedCall | None = None
        self._unread = 0  # looks in a row at which the pipe was not empty
        self._read = self._looked = time.monotonic_ns()  # when it was, and was looked at

    def fileno(self) -> int:
        return self._descriptor

    def logPrefix(self) -> str:
        return "guard"

    def write(self, data: bytes) -> bool:
        """Write all of it now, or none, after what was sent before; whether that was possible."""
        self.flush()
        if self._pending or self._descriptor < 0:
            return False
        try:
            return os.write(self._descriptor, data) == len(data)  # atomic up to PIPE_BUF
        except OSError:
            return False

    def stuck(self, now: int) -> bool:
        """
        Look whether the guard has not read for too long: it is stopped, or hangs.

        @param now: of CLOCK_MONOTONIC, in ns.
        """
        if now - self._looked < LOOK * 1e9:
            return False
        self._looked = now
        if self._descriptor < 0 or self._empty():
            self._unread, self._read = 0, now
            return False
        self._unread += 1
        if self._unread < STUCK_LOOKS or now - self._read < STUCK * 1e9:
            return False
        self._unread = 0
        return True

    def _empty(self) -> bool:
        return fcntl.ioctl(self._descriptor, termios.FIONREAD, bytes(4)) == bytes(4)

    def send(self, data: bytes) -> None:
        """Have it written, however long it is, and everything sent after it."""
        self._pending += data
        if self._later is None:
            self._later = self._reactor.callLater(0, self.doWrite)

    def flush(self) -> None:
        """Write now what was sent."""
        if self._pending:
            self.doWrite()

    def doWrite(self) -> None:
        later, self._later = self._later, None
        if later is not None and later.active():
            later.cancel()
        while self._pending and self._descriptor >= 0:
            try:
                written = os.write(self._descriptor, self._pending)
            except BlockingIOError:
                self._reactor.addWriter(self)
                return
            except OSError:  # it has ended, as its answers will tell
                self._pending.clear()
                break
            del self._pending[:written]
        self._reactor.removeWriter(self)

    def connectionLost(self, reason: Failure) -> None:
        self.close()

    def close(self) -> None:
        if self._descriptor >= 0:
            self.doWrite()
            self._reactor.removeWriter(self)
            os.close(self._descriptor)
            self._descriptor = -1


@implementer(IReadDescriptor)
class GuardProcess:
    """
    One guard process: L{commands} go to it; it is read from, and buried when it has ended.

    @param received: takes in an answer; returns what is to be called once everything that was answered is taken in.
    """

    def __init__(
        self,
        reactor: Any,
        command: Sequence[str],
        received: Callable[[int, Reader], Told | None],
        ended: Callable[[], None],
    ) -> None:
        self._reactor = reactor
        self._received = received
        self._ended = ended
        self._rest = b""
        self._found: deque[bytes] = deque()
        self._untold: deque[Told] = deque()
        self._telling = False
        self.born = time.monotonic()
        self.reaped: Deferred[str] = Deferred()
        ours: list[int] = []
        theirs: list[int] = []
        try:
            for mine in (1, 0):  # the end of each pipe that stays here
                ends = os.pipe2(os.O_CLOEXEC)
                ours.append(_high(ends[mine]))
                theirs.append(_high(ends[1 - mine]))
                os.set_blocking(ours[-1], False)
            try:
                fcntl.fcntl(ours[0], fcntl.F_SETPIPE_SZ, ROOM)
            except OSError:  # more than one user may have
                pass
            actions = [(os.POSIX_SPAWN_DUP2, fd, number) for number, fd in enumerate(theirs)]
            self.pid = os.posix_spawn(
                command[0], list(command), os.environ, file_actions=actions, setsigmask=()
            )
        except BaseException:
            for descriptor in ours:
                os.close(descriptor)
            raise
        finally:
            for descriptor in theirs:
                os.close(descriptor)
        self.commands = Commands(reactor, ours[0])
        self._answers = ours[1]
        reactor.addReader(self)

    # The reactor's side

    def fileno(self) -> int:
        return self._answers

    def logPrefix(self) -> str:
        return "guard"

    def doRead(self) -> None:
        self.read()

    def connectionLost(self, reason: Failure) -> None:
        self._over()

    # Ours

    def read(self) -> None:
        """
        Take in what was answered, now, in its order; then tell who waited for it, one after the other.

        Whoever is told may lead back here, where what has come since is taken in: those who wait for that are told
        after it, and not inside of it, or as many as are answered together would be one stack.
        """
        while self._answers >= 0 and self._takeIn():
            pass
        if self._telling:
            return
        self._telling = True
        try:
            while self._untold:
                self._untold.popleft()()
        finally:
            self._telling = False

    def _takeIn(self) -> bool:
        """What was read, and what is there; whether there may be more."""
        self._deliver()
        try:
            data = os.read(self._answers, 1 << 16)
        except BlockingIOError:
            return False
        except OSError:
            data = b""
        if not data:
            self._over()
            return False
        try:
            found, self._rest = program.split(self._rest + data)
        except program.Malformed:  # not what we started
            self._wrong()
            return False
        self._found += found
        return True

    def _deliver(self) -> None:
        while self._found:
            reader = Reader(self._found.popleft())
            try:
                told = self._received(reader.number(1), reader)
            except program.Malformed:
                self._wrong()
            else:
                if told is not None:
                    self._untold.append(told)

    def _wrong(self) -> None:
        self._found.clear()
        self.kill()
        self._over()

    def kill(self) -> None:
        """Kill it, unless it is dead and buried."""
        if not self.reaped.called:
            os.kill(self.pid, 9)

    def _over(self) -> None:
        if self._answers < 0:
            return
        self._found.clear()
        self._reactor.removeReader(self)
        os.close(self._answers)
        self._answers = -1
        self.commands.close()
        self._reap()
        self._ended()

    def _reap(self) -> None:
        """Its answers end a moment before it does."""
        try:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
        except ChildProcessError:  # somebody ignores SIGCHLD
            pid, status = self.pid, 0
        if pid == 0:
            self._reactor.callLater(REAP, self._reap)
            return
        code = os.waitstatus_to_exitcode(status)
        self.reaped.callback(f"signal {-code}" if code < 0 else f"exit status {code}")


def _high(descriptor: int) -> int:
    """Move it out of the way of the standard ones, which a daemon may have closed."""
    if descriptor > 2:
        return descriptor
    try:
        return fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 3)
    finally:
        os.close(descriptor)
