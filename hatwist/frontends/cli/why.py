"""C{hatwist why} and C{hatwist history}."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import textwrap
import time

from hatwist.core.phrases import oneLine
from hatwist.frontends.cli.asking import DONE, Subparsers, addCommand, word
from hatwist.frontends.cli.table import TextLine, coloured, colours
from hatwist.frontends.control.client import Client


def addWhy(commands: Subparsers[argparse.ArgumentParser]) -> None:
    """Register C{why}."""
    parser = addCommand(
        commands,
        "why",
        help="tell why a group is where it is, and what would change that",
        description=(
            "Tell in one paragraph for each group who holds it, since when and because of what, why the other nodes "
            "do not, this one among them, and what would change that."
        ),
        run=_why,
    )
    parser.add_argument("group", nargs="?", type=word, metavar="GROUP", help="which one (all)")
    parser.add_argument(
        "--full",
        action="store_true",
        help="add the flight recorder: the last decisions, each with what had come in before it",
    )
    parser.add_argument("--json", action="store_true", help="print it as JSON")


def addHistory(commands: Subparsers[argparse.ArgumentParser]) -> None:
    """Register C{history}."""
    parser = addCommand(
        commands,
        "history",
        help="list the role changes of all nodes, with their causes",
        description=(
            "List the role changes of all nodes, oldest first, as the daemon on this host has seen them, with their "
            "causes; earlier starts of the daemon included."
        ),
        run=_history,
    )
    parser.add_argument("group", nargs="?", type=word, metavar="GROUP", help="which one (all)")
    parser.add_argument(
        "-n", dest="limit", type=count, default=0, metavar="N", help="the last N only, at least 1"
    )
    parser.add_argument("--json", action="store_true", help="print a JSON object in each line")


def count(text: str) -> int:
    """
    How many.

    @raise argparse.ArgumentTypeError: none, or no number.
    """
    if not text.isascii() or not text.isdigit() or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r}: allowed is 1 or more")
    return int(text)


def _why(options: argparse.Namespace, client: Client) -> int:
    found = client.call("Why", group=options.group, full=options.full)
    if options.json:
        print(json.dumps(found, indent=1))
        return DONE
    if found["alone"]:
        warning = TextLine.of(f"{found['alone']}.", True)
        print("\n".join(coloured([warning], colours())), end="\n\n")
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else 0
    texts = [entry["text"] for entry in found["groups"].values()]
    if found["troubles"]:
        texts.append(" ".join(f"{trouble}." for trouble in found["troubles"]))
    for number, text in enumerate(map(oneLine, texts)):
        if number:
            print()
        print(textwrap.fill(text, width) if width else text)
    if options.full:
        print()
        for at, kind, text in found["recorder"]:
            print(f"{_time(at, 6)} {kind:8} {oneLine(text)}")
    return DONE


def _history(options: argparse.Namespace, client: Client) -> int:
    for entry in client.call("History", group=options.group, limit=options.limit):
        if options.json:
            print(json.dumps(entry))
            continue
        term = f", term {entry['term']}" if entry["term"] else ""
        old = f"{entry['old']} -> " if entry["old"] else ""
        print(
            oneLine(
                f"{_time(entry['time'], 3)} {entry['group']}: {entry['node']} {old}{entry['new']}{term}: "
                f"{entry['reason']}"
            )
        )
    return DONE


def _time(at: float, digits: int) -> str:
    """In local time."""
    whole, part = divmod(round(at * 10**digits), 10**digits)
    return f"{time.strftime('%Y-%m-%d %H:%M:%S', time.localtime(whole))}.{part:0{digits}d}"
