"""C{hatwist check} and C{hatwist init}: a configuration file, before it runs."""

from __future__ import annotations

import argparse
import sys
from contextlib import suppress

from hatwist.core.errors import ConfigurationError

USUAL = "/etc/hatwist/hatwist.toml"
Subparsers = argparse._SubParsersAction


def addCheck(commands: Subparsers[argparse.ArgumentParser]) -> None:
    """Register C{check}."""
    check = commands.add_parser(
        "check",
        help="validate a configuration file, and show what it means for each node",
        description=(
            "Read a configuration file as the daemon does, tell every problem with its line, or print what "
            "each node would hold, in which order, and how sure it is that no two nodes hold it."
        ),
        epilog="Exit status: 0 when the file is good, 1 when it is not.",
    )
    check.add_argument("file", nargs="?", default=USUAL, help=f"which file ({USUAL})")
    check.add_argument("--node", help="show this node only")
    check.add_argument(
        "--here",
        action="store_true",
        help="check also that this host has the interfaces, networks, programs and permissions",
    )
    check.set_defaults(run=_check)


def _check(options: argparse.Namespace, arguments: list[str]) -> int:
    from hatwist.linux.netlink.present import linksNow, routesNow
    from hatwist.settings import load, loadAll
    from hatwist.settings.host import misplaced
    from hatwist.settings.summary import plan

    try:
        if options.here:
            own, wrong = load(options.file, options.node, here=True), []
            with suppress(OSError):  # a sandbox may hide them, and then nothing can be said
                wrong = list(misplaced(own, linksNow(), routesNow()))
            if wrong:
                raise ConfigurationError([f"{options.file}: {problem}" for problem in wrong])
        found = loadAll(options.file, options.node)
        if options.node and options.node not in found:
            there = ", ".join(sorted(found))
            raise ConfigurationError(
                [f"{options.file}: there is no [node.{options.node}]; there are {there}"]
            )
    except ConfigurationError as e:
        for problem in e.problems:
            print(problem, file=sys.stderr)
        count = len(e.problems)
        print(f"{count} problem{'s' if count > 1 else ''}", file=sys.stderr)
        return 1
    print(plan(found, options.node), end="")
    return 0


def addInit(commands: Subparsers[argparse.ArgumentParser]) -> None:
    """Register C{init}."""
    init = commands.add_parser(
        "init",
        help="write a commented configuration file for the addresses given",
        description="Write a configuration file that is the same on every node, with comments.",
        epilog=(
            "Exit status: 0 when the file was written, 1 when it was not. An existing file is left as it is."
        ),
    )
    init.add_argument("address", nargs="+", help="shared address, such as 192.168.1.100/24")
    init.add_argument(
        "--interface", "-i", default="eth0", help="of the addresses and the heartbeats (eth0)"
    )
    init.add_argument(
        "--node",
        action="append",
        default=[],
        help="name of a node, the worthiest first; may be given several times (this host and beta)",
    )
    init.add_argument(
        "--key-file", metavar="FILE", help="whose key signs heartbeats (none, which it warns of)"
    )
    init.add_argument("--cluster", default="default", help="name of the cluster (default)")
    init.add_argument("--output", "-o", default="-", help="where to (- for standard output)")
    init.set_defaults(run=_init)


def _init(options: argparse.Namespace, arguments: list[str]) -> int:
    from hatwist.settings.example import example
    from hatwist.settings.reading import hostName

    nodes = options.node or [hostName(), "beta" if hostName() != "beta" else "alpha"]
    try:
        text = example(options.address, options.interface, nodes, options.cluster, options.key_file)
    except ConfigurationError as e:
        for problem in e.problems:
            print(problem, file=sys.stderr)
        return 1
    if options.output == "-":
        print(text, end="")
        return 0
    try:
        with open(options.output, "x", encoding="utf-8") as file:
            file.write(text)
    except OSError as e:
        print(f"{options.output}: {e.strerror}; nothing was written", file=sys.stderr)
        return 1
    print(
        f"{options.output} is written. Put the same file on every node, then: hatwist check --here {options.output}"
    )
    return 0
