"""
One timer of the kernel, as a file that becomes readable when it is due: see timerfd_create(2).

It goes by the clock that it was made for. What waits for a file, such as the reactor's epoll_wait(2), wakes in time
whatever becomes of the wall clock.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IReadDescriptor
from twisted.python.failure import Failure
from zope.interface import implementer

TFD_TIMER_ABSTIME = 1  # include/uapi/linux/timerfd.h
_LONGEST = 1e9
"""Seconds of a clock that the kernel need not be asked to wait for."""


class _ITimerSpec(ctypes.Structure):
    """C{struct itimerspec}: every, then when."""

    _fields_ = [(name, ctypes.c_long) for name in ("everyS", "everyNs", "seconds", "nanoseconds")]


@implementer(IReadDescriptor)
class KernelTimer:
    """
    @param reactor: provides C{IReactorFDSet}.
    @param clock: such as C{time.CLOCK_BOOTTIME}.
    @param due: called in a turn of the reactor once the time has come.
    """

    def __init__(self, reactor: Any, clock: int, due: Callable[[], None]) -> None:
        self._reactor = reactor
        self._clock = clock
        self._due = due
        self._fd = -1
        self._libc: Any = None
        self._spec = _ITimerSpec()

    @property
    def opened(self) -> bool:
        """It has a descriptor."""
        return self._fd >= 0

    def set(self, at: float) -> None:
        """
        Wake at this time of the clock, and not at another one that was set before.

        @raise OSError: the process has no descriptor left.
        """
        if self._fd < 0:
            self._open()
        spec = self._spec
        # Rounded up, so that it is not too early; and 0 would turn it off.
        ns = int(min(max(at, 0.0), _LONGEST) * 1e9) + 1
        spec.seconds, spec.nanoseconds = divmod(ns, 1_000_000_000)
        if self._libc.timerfd_settime(self._fd, TFD_TIMER_ABSTIME, ctypes.byref(spec), None):
            raise _error()

    def _open(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        fd = self._libc.timerfd_create(self._clock, os.O_NONBLOCK | os.O_CLOEXEC)
        if fd < 0:
            raise _error()
        self._fd = fd
        self._reactor.addReader(self)

    def close(self) -> None:
        """Give the descriptor back; L{set} opens another one."""
        if self._fd >= 0:
            self._reactor.removeReader(self)
            os.close(self._fd)
            self._fd = -1

    def fileno(self) -> int:
        return self._fd

    def doRead(self) -> None:
        try:
            os.read(self._fd, 8)
        except BlockingIOError:  # it was set anew since it was due
            return
        self._due()

    def logPrefix(self) -> str:
        return "KernelTimer"

    def connectionLost(self, reason: Failure) -> None:
        """The reactor is being emptied."""
        self.close()


def _error() -> OSError:
    number = ctypes.get_errno()
    return OSError(number, os.strerror(number))
