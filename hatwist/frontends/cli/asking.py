"""What all subcommands that ask a running daemon have in common: which one, and what becomes of errors."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable

from hatwist.frontends.control import place
from hatwist.frontends.control.boxes import CommandRefused
from hatwist.frontends.control.client import Client, NotRunning, Unclear, find

Subparsers = argparse._SubParsersAction
HOLDS, STANDBY, FAULT, NOT_RUNNING, UNKNOWN = range(5)
"""Exit codes of C{status}. Of LSB's (0 fine, 3 not running, 4 unknown) none means something else here."""
ALONE_HOLDS, ALONE = 5, 6
"""Further ones, of a node that hears no other: scripts of a holder may go on at the first, people look at both."""
DONE, REFUSED = 0, 1
"""Exit codes of what does something; 2 to 4 are as above, 2 for usage."""
EPILOG = (
    "Exit status: 0 when it is done, 1 when the daemon refuses, with the reason, 2 for wrong usage, 3 when no "
    "daemon is running, 4 when it is not clear which one is meant or it cannot be asked."
)


def addCommand(
    commands: Subparsers[argparse.ArgumentParser],
    name: str,
    help: str,
    description: str,
    run: Callable[[argparse.Namespace, Client], int],
    epilog: str = EPILOG,
) -> argparse.ArgumentParser:
    """
    A subcommand that asks a daemon.

    @param run: given the options and a connection, returns the exit status.
    """
    parser = commands.add_parser(name, help=help, description=description, epilog=epilog)
    parser.add_argument(
        "--control",
        type=word,
        metavar="PATH",
        help=f"the daemon's socket (the only one in {place.DIRECTORY})",
    )

    def ask(options: argparse.Namespace, arguments: list[str]) -> int:
        try:
            with Client(find(options.control)) as client:
                return run(options, client)
        except CommandRefused as e:
            return failed(str(e), REFUSED)
        except NotRunning as e:
            return failed(str(e), NOT_RUNNING)
        except Unclear as e:
            return failed(str(e), UNKNOWN)
        except KeyboardInterrupt:
            return 130
        except BrokenPipeError:
            # Whoever read it has seen enough; closing it at the end would complain once more.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return UNKNOWN

    parser.set_defaults(run=ask)
    return parser


def word(text: str) -> str:
    """
    An argument that names something: of a variable of a script that is not set, nothing is left.

    @raise argparse.ArgumentTypeError: it is empty.
    """
    if not text.strip():
        raise argparse.ArgumentTypeError("it is empty")
    return text


def failed(text: str, status: int) -> int:
    """Say why, and return the exit status."""
    print(f"hatwist: {text}", file=sys.stderr)
    return status
