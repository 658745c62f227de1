"""
What wakes a reactor, whatever becomes of the wall clock: files that become readable.

See timerfd_create(2) and eventfd(2).
"""

from __future__ import annotations

import ctypes
import os
import time
from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IReadDescriptor
from twisted.python.failure import Failure
from zope.interface import implementer

_LONGEST = 1e9
"""Seconds of a clock that the kernel need not be asked to wait for."""


class _ITimerSpec(ctypes.Structure):
    """C{struct itimerspec}: every, then when."""

    _fields_ = [(name, ctypes.c_long) for name in ("everyS", "everyNs", "seconds", "nanoseconds")]


@implementer(IReadDescriptor)
class KernelTimer:
    """
    One that goes by the clock that it was made for.

    @param reactor: provides C{IReactorFDSet}.
    @param clock: such as C{time.CLOCK_BOOTTIME}.
    @param due: called in a turn of the reactor once the time has come.
    """

    def __init__(self, reactor: Any, clock: int, due: Callable[[], None]) -> None:
        self._reactor = reactor
        self._clock = clock
        self._due = due
        self._fd = -1
        self._spec = _ITimerSpec()
        self._pointer = ctypes.byref(self._spec)
        self._at = _LONGEST  # what it is set to; later than ever: nothing
        self._setTime: Any = None

    def set(self, at: float) -> None:
        """Wake at this time of the clock, and not at another one that was set before."""
        if at == self._at:
            return
        spec = self._spec
        # By how much later it is: libfaketime takes every time itself for one of the wall clock. Rounded up, so that
        # it is not too early; and 0 would turn it off.
        ns = int(min(max(at - time.clock_gettime(self._clock), 0.0), _LONGEST) * 1e9) + 1
        spec.seconds, spec.nanoseconds = divmod(ns, 1_000_000_000)
        if self._setTime(self._fd, 0, self._pointer, None):
            raise _error()
        self._at = at

    def open(self) -> None:
        """
        @raise OSError: the process has no descriptor left.
        """
        libc = ctypes.CDLL(None, use_errno=True)
        self._setTime = libc.timerfd_settime
        fd = libc.timerfd_create(self._clock, os.O_NONBLOCK | os.O_CLOEXEC)
        if fd < 0:
            raise _error()
        self._fd = fd
        self._reactor.addReader(self)

    def close(self) -> None:
        """Give the descriptor back."""
        if self._fd >= 0:
            self._reactor.removeReader(self)
            os.close(self._fd)
            self._fd, self._at = -1, _LONGEST

    def fileno(self) -> int:
        return self._fd

    def doRead(self) -> None:
        try:
            os.read(self._fd, 8)
        except BlockingIOError:  # it was set anew since it was due
            return
        self._at = _LONGEST
        self._due()

    def logPrefix(self) -> str:
        return "KernelTimer"

    def connectionLost(self, reason: Failure) -> None:
        """The reactor is being emptied."""
        self.close()


@implementer(IReadDescriptor)
class NextTurn:
    """
    A timer that is due at once; the kernel's would have to program the hardware for that.

    @param due: called in a later turn of the reactor, once what it has found readable in this one was read.
    """

    def __init__(self, reactor: Any, due: Callable[[], None]) -> None:
        self._reactor = reactor
        self._due = due
        self._fd = -1

    @property
    def opened(self) -> bool:
        """It has a descriptor."""
        return self._fd >= 0

    def open(self) -> None:
        """
        @raise OSError: the process has no descriptor left.
        """
        self._fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._reactor.addReader(self)

    def set(self) -> None:
        """Wake now."""
        os.eventfd_write(self._fd, 1)

    def close(self) -> None:
        """Give the descriptor back."""
        if self._fd >= 0:
            self._reactor.removeReader(self)
            os.close(self._fd)
            self._fd = -1

    def fileno(self) -> int:
        return self._fd

    def doRead(self) -> None:
        try:
            os.eventfd_read(self._fd)
        except BlockingIOError:
            return
        self._due()

    def logPrefix(self) -> str:
        return "NextTurn"

    def connectionLost(self, reason: Failure) -> None:
        """The reactor is being emptied."""
        self.close()


def _error() -> OSError:
    number = ctypes.get_errno()
    return OSError(number, os.strerror(number))
