"""
What twistd asks for the command C{ha}: it takes SIGHUP in hand, then imports L{hatwist.frontends.tap}.

By itself SIGHUP ends a process, and the imports take most of a start.
"""

from __future__ import annotations

import signal
import threading
from typing import Any

hangups: list[int] = []
"""Each SIGHUP that came before there was anybody to answer it."""


def __getattr__(name: str) -> Any:
    """C{Options} and C{makeService}, see L{twisted.application.service.ServiceMaker}."""
    if name not in ("Options", "makeService"):
        raise AttributeError(name)
    if (
        threading.current_thread() is threading.main_thread()
        and signal.getsignal(signal.SIGHUP) == signal.SIG_DFL
    ):
        signal.signal(signal.SIGHUP, _hangup)
    from hatwist.frontends import tap

    return getattr(tap, name)


def _hangup(number: int, frame: Any) -> None:
    hangups.append(number)
