"""The log and who writes to it: observers for C{twistd --logger}, and handlers of signals."""

from __future__ import annotations

import os
import signal
import stat
import sys
from collections.abc import Mapping
from functools import partial
from typing import Any, TextIO

from twisted.logger import (
    FileLogObserver,
    ILogObserver,
    LogEvent,
    LogLevel,
    eventAsText,
    jsonFileLogObserver,
)

PRIORITIES = {
    LogLevel.critical: 2,
    LogLevel.error: 3,
    LogLevel.warn: 4,
    LogLevel.info: 6,
    LogLevel.debug: 7,
}
"""Of syslog(3), as sd-daemon(3) has them."""


def json() -> ILogObserver:
    """One JSON object for each event and line on standard output: C{twistd --logger hatwist.frontends.logs.json}."""
    return jsonFileLogObserver(sys.stdout, recordSeparator="")


def journal() -> ILogObserver:
    """
    Lines with priorities for the journal of systemd: C{twistd --logger hatwist.frontends.logs.journal}.

    C{twistd ha} chooses it by itself where the journal reads what it prints.
    """
    stream = journalStream() or sys.stdout
    return FileLogObserver(stream, _line)


def journalStream(
    environ: Mapping[str, str] = os.environ,
    out: TextIO | None = None,
    error: TextIO | None = None,
) -> TextIO | None:
    """
    Where the journal reads, if it reads what would go to standard output; see JOURNAL_STREAM in systemd.exec(5).

    @param out, error: C{None}: those of this process.
    @return: C{out}; C{error}, where both are sockets and only that one is known to be the journal's; or C{None}.
    """
    out, error = out or sys.stdout, error or sys.stderr
    named = environ.get("JOURNAL_STREAM", "")
    if named and _identity(out)[0] == named:
        return out
    if named and _identity(error)[0] == named and _identity(out)[1]:
        return error
    return None


def prioritized(text: str, level: Any) -> str:
    """
    Every line with the priority of C{level}: the journal reads line by line.

    @param level: of L{LogLevel}; any other counts as info.
    """
    priority = PRIORITIES.get(level, PRIORITIES[LogLevel.info])
    return "".join(f"<{priority}>{line}\n" for line in text.splitlines())


def _line(event: LogEvent) -> str:
    text = eventAsText(event, includeTimestamp=False)
    return prioritized(text, event.get("log_level"))


def _identity(stream: TextIO) -> tuple[str, bool]:
    """Device and inode, as JOURNAL_STREAM has them, and whether it is a socket."""
    try:
        status = os.fstat(stream.fileno())
    except (OSError, ValueError):  # closed, or never a file
        return "", False
    return f"{status.st_dev}:{status.st_ino}", stat.S_ISSOCK(status.st_mode)


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
