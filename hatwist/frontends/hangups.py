"""
SIGHUP during a start, before there is anybody to answer it.

By itself it would end the process, and the imports take most of a start. So this module imports next to nothing.
"""

from __future__ import annotations

import signal
import threading
from typing import Any

waiting: list[int] = []
"""Each one that came and is not answered."""


def catch() -> None:
    """Keep SIGHUP in L{waiting} from now on, unless somebody answers it already."""
    if (
        threading.current_thread() is threading.main_thread()
        and signal.getsignal(signal.SIGHUP) == signal.SIG_DFL
    ):
        signal.signal(signal.SIGHUP, _keep)


def _keep(number: int, frame: Any) -> None:
    waiting.append(number)
