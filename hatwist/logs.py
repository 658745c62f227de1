"""Log observers for C{twistd --logger}."""

from __future__ import annotations

import sys

from twisted.logger import ILogObserver, jsonFileLogObserver


def json() -> ILogObserver:
    """One JSON object for each event and line on standard output: C{twistd --logger hatwist.logs.json}."""
    return jsonFileLogObserver(sys.stdout, recordSeparator="")
