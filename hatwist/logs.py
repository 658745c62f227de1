"""The log and who writes to it: an observer for C{twistd --logger}, and handlers of signals."""

from __future__ import annotations

import signal
import sys
from functools import partial
from typing import Any

from twisted.logger import ILogObserver, jsonFileLogObserver


def json() -> ILogObserver:
    """One JSON object for each event and line on standard output: C{twistd --logger hatwist.logs.json}."""
    return jsonFileLogObserver(sys.stdout, recordSeparator="")


def postponeSignals(reactor: Any) -> None:
    """
    Let a reactor's own handlers of SIGTERM and SIGINT, which write to the log, run in one of its turns.

    Python calls a handler between any two instructions: if one of them has just taken the lock of twistd's log
    file (L{threading._RLock}, which does not know its owner then), the handler waits for it for ever, and the
    daemon with it.

    @param reactor: it runs, or has installed its handlers.
    """
    for number in (signal.SIGTERM, signal.SIGINT):
        handler = signal.getsignal(number)
        if handler in (reactor.sigTerm, reactor.sigInt):
            signal.signal(number, partial(reactor.callFromThread, handler))
