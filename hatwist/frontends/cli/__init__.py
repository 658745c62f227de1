"""
The C{hatwist} command: a module for each kind of subcommand, entered in L{COMMANDS}.

Each imports what it needs when it runs, so that C{--help} is instant.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from hatwist import __version__
from hatwist.frontends.cli.daemon import addLogLevel, addReload
from hatwist.frontends.cli.files import addCheck, addInit
from hatwist.frontends.cli.importing import addImport
from hatwist.frontends.cli.installing import addInstallService
from hatwist.frontends.cli.lab import addLab
from hatwist.frontends.cli.orders import addAnnounce, addDrain, addMove, addUndrain
from hatwist.frontends.cli.release import addRelease
from hatwist.frontends.cli.status import addStatus, addWatch
from hatwist.frontends.cli.why import addHistory, addWhy

COMMANDS = (
    addStatus,
    addWatch,
    addWhy,
    addHistory,
    addMove,
    addDrain,
    addUndrain,
    addAnnounce,
    addLogLevel,
    addReload,
    addCheck,
    addInit,
    addImport,
    addInstallService,
    addRelease,
    addLab,
)


def main(argv: Sequence[str] | None = None) -> int:
    """
    Run a subcommand.

    @return: the exit status.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    parser = argparse.ArgumentParser(
        prog="hatwist", description="Keeps shared IP addresses alive when a host dies."
    )
    parser.add_argument("--version", action="version", version=f"hatwist {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for add in COMMANDS:
        add(commands)
    options = parser.parse_args(arguments)
    status: int = options.run(options, arguments)
    return status
