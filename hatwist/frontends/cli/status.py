"""C{hatwist status} and C{hatwist watch}."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import time
from typing import Any

from hatwist.frontends.cli.asking import (
    ALONE,
    ALONE_HOLDS,
    FAULT,
    HOLDS,
    STANDBY,
    Subparsers,
    addCommand,
    failed,
    word,
)
from hatwist.frontends.cli.table import TextLine, coloured, colours, table
from hatwist.frontends.control.boxes import CommandRefused
from hatwist.frontends.control.client import Client, NotRunning, Unclear, find

HOME, CLEAR, REST = "\x1b[H", "\x1b[2J", "\x1b[J"
HIDE, SHOW = "\x1b[?25l", "\x1b[?25h"


def addStatus(commands: Subparsers[argparse.ArgumentParser]) -> None:
    """Register C{status}."""
    parser = addCommand(
        commands,
        "status",
        help="show who holds what, and every node",
        description="Show who holds each group and why, and every node as the daemon on this host knows it.",
        epilog=(
            "Exit status: 0 when this node holds all of GROUP (without GROUP: at least one group), 1 when this node "
            "does not (or not fully) hold it, 2 when something is wrong (GROUP, or without it any, has no holder or "
            "two, or this node is unfit and not drained) and for wrong usage, 3 when no daemon is running, 4 when it "
            "is not clear which one is meant or it cannot be asked; when this node hears no other node, and so may be "
            "the one that is cut off, 5 where it holds and 6 where it does not. 3 and 4 are those of an init script."
        ),
        run=_status,
    )
    parser.add_argument(
        "group", nargs="?", type=word, metavar="GROUP", help="what the exit status is about"
    )
    parser.add_argument("--json", action="store_true", help="print everything as JSON")


def addWatch(commands: Subparsers[argparse.ArgumentParser]) -> None:
    """Register C{watch}."""
    parser = addCommand(
        commands,
        "watch",
        help="the same, live; Ctrl-C ends it",
        description=(
            "Show the status, and draw it anew in place at every change of role and once in a second, until Ctrl-C. "
            "Where the output is no terminal, one status follows the other."
        ),
        run=_watch,
    )
    parser.add_argument(
        "--count", type=int, default=0, metavar="N", help="end after N (0: go on until Ctrl-C)"
    )


def exitStatus(status: dict[str, Any], group: str | None = None) -> int:
    """See the epilog of C{hatwist status --help}."""
    groups = status["groups"]
    chosen = [groups[group]] if group is not None else list(groups.values())
    # Who still acquires tells the others that it holds; a script may act only when everything is there.
    mine = [entry for entry in chosen if entry["holder"] == status["node"]]
    holds = any(entry["state"] == "active" for entry in mine)
    if status["alone"]:
        return ALONE_HOLDS if holds else ALONE
    for entry in chosen:
        unfit = entry["fitness"] == "unfit" and not status["drained"]
        if len(entry["holders"]) != 1 or unfit:
            return FAULT
    return HOLDS if holds else STANDBY


def _status(options: argparse.Namespace, client: Client) -> int:
    status = client.call("Status")
    if options.group is not None and options.group not in status["groups"]:
        there = ", ".join(status["groups"])
        return failed(f"there is no group {options.group!r}; there is {there}", FAULT)
    if options.json:
        print(json.dumps(status, indent=1))
    else:
        print("\n".join(coloured(table(status, time.time()), colours(), _width())))
    return exitStatus(status, options.group)


def _watch(options: argparse.Namespace, client: Client) -> int:
    live = sys.stdout.isatty()
    path, shown = client.path, 0
    asked: Client | None = client
    try:
        if live:
            sys.stdout.write(HIDE + HOME + CLEAR)
        while True:
            try:
                if asked is None:
                    asked = Client(find(path))
                status = asked.call("Watch" if shown else "Status", wait=1.0)
                lines = table(status, time.time())
            except (NotRunning, Unclear, CommandRefused) as e:
                # It may be restarted this very moment.
                asked = None
                lines = [TextLine(text) for text in str(e).splitlines()]
            _draw(lines, live, shown)
            shown += 1
            if shown == options.count:
                return 0
            if asked is None:
                time.sleep(1.0)
    except KeyboardInterrupt:
        return 0
    finally:
        if live:
            sys.stdout.write(SHOW + "\n")
        sys.stdout.flush()


def _draw(lines: list[TextLine], live: bool, shown: int) -> None:
    if live:
        size = shutil.get_terminal_size()
        text = onScreen(coloured(lines, colours(), size.columns), size.lines - 1)
        sys.stdout.write(HOME + "".join(f"{line}\x1b[K\n" for line in text) + REST)
    else:
        print(*([""] if shown else []), *coloured(lines, False), sep="\n")
    sys.stdout.flush()


def onScreen(lines: list[str], height: int) -> list[str]:
    """As many as there is room for: one more would scroll what is to be drawn over. What is left out is counted."""
    if len(lines) <= height:
        return lines
    shown = max(height - 1, 0)
    return [*lines[:shown], f"... {len(lines) - shown} more lines: the window is too low for them"]


def _width() -> int:
    """Of the terminal; 0 where whoever reads it has no width, such as a file."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else 0
