"""
C{hatwist release}: let go of whatever a daemon that is dead may have left on this host.

For systemd's C{ExecStopPost=}, and for whoever finds an address that nobody answers for. A daemon does the same
when it is started; the guard and the kernel's lease do it for addresses when it dies. Nothing is told to other hosts.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from hatwist.core.errors import ConfigurationError
from hatwist.frontends.cli.files import USUAL

if TYPE_CHECKING:
    from hatwist.service.service import HAService

RELEASED, KEPT, WRONG = 0, 1, 2
"""Exit statuses: nothing is held here; something stays, or the daemon runs; the options or their file are wrong."""
SYNOPSIS = "Usage: hatwist release [options]"
LONGDESC = (
    "Let go of what the daemon of this node left here, if it is dead: everything that a twistd ha "
    f"with the same options shares; without any option but --node, what {USUAL} says. "
    "Exit status: 0 when nothing of it is held here any more, 1 when something stays, or the daemon "
    "runs and nothing was touched, 2 when the options or their file are wrong."
)
_BECAME = {True: "released", False: "not held here", None: "not held here any more"}
"""By whether it was there; of a command without check nobody can tell, and its undo has run."""


def addRelease(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the subcommand."""
    # Its options are those of twistd ha, so that none is for argparse: whatever begins with "-" is a word.
    parser = commands.add_parser(
        "release",
        help="release what a dead daemon left on this host",
        add_help=False,
        prefix_chars="\0",
        epilog="Exit status: as hatwist release --help says.",
    )
    parser.add_argument("words", nargs="*")
    parser.set_defaults(run=lambda options, arguments: release(options.words))


def release(arguments: Sequence[str]) -> int:
    """
    Release, and say what was.

    @param arguments: options of C{twistd ha}, of which each that does not matter here is accepted.
    @return: the exit status.
    """
    # Only now: importing Twisted takes its time, which no other command is to wait for.
    from twisted.python import usage

    from hatwist.frontends import tap
    from hatwist.runtime.lock import NodeLock, Taken
    from hatwist.service.service import HAService

    options = tap.Options()
    options.synopsis, options.longdesc = SYNOPSIS, LONGDESC
    try:
        usage.Options.parseOptions(options, list(arguments))  # its own would end the program
        fresh = tap.Options()
        if all(options[name] == fresh[name] for name in fresh if name != "node"):
            options["config"] = USUAL
        if options["config"] is None:
            options["key-file"] = None  # nothing is signed here
        found = tap.chosen(options, here=False)
    except usage.UsageError as e:
        return _failed([f"{e}; see hatwist release --help"], WRONG)
    except ConfigurationError as e:
        return _failed(e.problems, WRONG)
    lock = NodeLock.of(found.stateDir, found.cluster, found.node)
    try:
        lock.take()
    except Taken as e:
        print(
            f"hatwist release: {e}: stop it, and it releases; nothing was touched", file=sys.stderr
        )
        return KEPT
    except OSError as e:
        return _failed([f"whether a daemon runs here cannot be told: {e}"])
    from twisted.internet import reactor

    try:
        return _run(reactor, HAService(found, reactor))
    finally:
        lock.free()


def _run(reactor: Any, service: HAService) -> int:
    from twisted.internet.defer import Deferred

    ended: list[int] = []

    async def begin() -> None:
        try:
            left = await service.releaseLeft()
            for name, (problem, was) in left.items():
                print(f"{name}: {problem or _BECAME[was]}", file=sys.stderr if problem else None)
            ended.append(KEPT if any(problem for problem, _ in left.values()) else RELEASED)
        except Exception as e:
            ended.append(_failed([str(e)]))
        finally:
            reactor.stop()

    reactor.callWhenRunning(lambda: Deferred.fromCoroutine(begin()))
    reactor.run()
    return ended[0] if ended else KEPT  # none: a signal came first


def _failed(problems: Sequence[str], status: int = KEPT) -> int:
    print("\n".join(["hatwist release failed:", *(f"  {p}" for p in problems)]), file=sys.stderr)
    return status
