"""
A process that comes before ordinary ones, and whose memory stays: what short intervals take where a host is busy.

SCHED_RR (sched(7)) comes before all ordinary processes, and leaves them 5 % of each processor
(C{/proc/sys/kernel/sched_rt_runtime_us}). What the process starts is ordinary again. It is a program too, which the
Python of a guard runs first (L{hatwist.linux.guard.client}), so it imports nothing of hatwist.
"""

from __future__ import annotations

import ctypes
import os

DAEMON, GUARD = 1, 2
"""Priorities; a guard comes before a daemon that runs for ever."""
_CURRENT, _FUTURE, _ONFAULT = 1, 2, 4
LOCK = _CURRENT | _FUTURE | _ONFAULT
"""Of mlockall(2): pages stay from their first use on; those that are never used take no memory."""


def beforeOthers(priority: int) -> None:
    """
    Let the thread that calls it come before all ordinary processes.

    @raise OSError: it may not; see C{RLIMIT_RTPRIO} in getrlimit(2).
    """
    policy = os.SCHED_RR | os.SCHED_RESET_ON_FORK
    os.sched_setscheduler(0, policy, os.sched_param(priority))


def keepInMemory() -> None:
    """
    Let nothing of this process be swapped out.

    @raise OSError: it is more than may be locked; see C{RLIMIT_MEMLOCK} in getrlimit(2).
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mlockall(LOCK):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def refused(priority: int = DAEMON) -> list[str]:
    """Do both, until this process ends. What the host refuses, a clause each; the rest is done."""
    found = []
    try:
        beforeOthers(priority)
    except OSError as error:
        found.append(
            f"it may not come before other processes ({error.strerror}): LimitRTPRIO={GUARD}"
        )
    try:
        keepInMemory()
    except OSError as error:
        found.append(f"its memory may not be locked ({error.strerror}): LimitMEMLOCK=infinity")
    return found


if __name__ == "__main__":
    refused(GUARD)  # its daemon tells
