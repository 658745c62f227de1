"""C{hatwist log-level} and C{hatwist reload}: the daemon itself."""

from __future__ import annotations

import argparse

from hatwist.frontends.cli.asking import DONE, Subparsers, addCommand
from hatwist.frontends.cli.orders import lasted
from hatwist.frontends.control.client import Client

RELOADING = 120.0
"""Seconds: what is new is acquired, and what is gone released, before there is an answer."""
LEVELS = ("debug", "info", "warn", "error", "critical")


def addLogLevel(commands: Subparsers[argparse.ArgumentParser]) -> None:
    """Register C{log-level}."""
    parser = addCommand(
        commands,
        "log-level",
        help="set from which level on the daemon writes its log",
        description=(
            "Set from which level on the daemon writes its log, until it ends. It counts for a namespace and "
            "all below it, unless one of those was given a level of its own."
        ),
        run=_logLevel,
    )
    parser.add_argument("level", metavar="LEVEL", choices=LEVELS, help=", ".join(LEVELS))
    parser.add_argument(
        "namespace",
        metavar="NAMESPACE",
        nargs="?",
        default="hatwist",
        help="such as hatwist.runtime.link (hatwist)",
    )


def addReload(commands: Subparsers[argparse.ArgumentParser]) -> None:
    """Register C{reload}."""
    parser = addCommand(
        commands,
        "reload",
        help="have the daemon read its configuration anew",
        description=(
            "Have the daemon read its configuration file again, and go on with it: what differs is told, and only "
            "that is touched. Anything wrong is told, and the old configuration goes on."
        ),
        run=_reload,
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="only tell what would be changed, or what is wrong"
    )


def _reload(options: argparse.Namespace, client: Client) -> int:
    """Say what will be changed, change it, wait, and say how long it took."""
    told = client.call("Preview", RELOADING)["changes"]
    print("\n".join(told or ["nothing has changed"]), flush=True)
    if told and not options.dry_run:
        answer = client.call("Reload", RELOADING)
        for line in answer["changes"]:
            if line not in told:  # written in between
                print(line)
        print(f"done, {lasted(answer['total'])} after the command")
    return DONE


def _logLevel(options: argparse.Namespace, client: Client) -> int:
    answer = client.call("LogLevel", level=options.level, namespace=options.namespace)
    print(f"the log level of {answer['namespace']} is now {answer['level']}")
    return DONE
