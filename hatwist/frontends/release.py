"""
C{hatwist release}: let go of whatever a daemon that is dead may have left on this host.

For systemd's C{ExecStopPost=}, and for whoever finds an address that nobody answers for. A daemon does the same
when it is started; the guard and the kernel's lease do it for addresses when it dies. Nothing is told to other hosts.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from twisted.internet.defer import Deferred
from twisted.python import usage
from twisted.python.failure import Failure

from hatwist.core.errors import ConfigurationError
from hatwist.frontends import tap
from hatwist.frontends.cli.files import USUAL
from hatwist.runtime.lock import NodeLock, Taken
from hatwist.service.leftover import Left
from hatwist.service.service import HAService

RELEASED, KEPT, WRONG = 0, 1, 2
"""Exit statuses: nothing is held here; something stays, or the daemon runs; the options or their file are wrong."""


_BECAME = {True: "released", False: "not held here", None: "not held here any more"}
"""By whether it was there; of a command without check nobody can tell, and its undo has run."""


class Options(tap.Options):
    """Those of C{twistd ha}, of which each that does not matter here is accepted."""

    synopsis = "Usage: hatwist release [options]"
    longdesc = (
        "Let go of what the daemon of this node left here, if it is dead: everything that a twistd ha "
        f"with the same options shares; without any option but --node, what {USUAL} says. "
        "Exit status: 0 when nothing of it is held here any more, 1 when something stays, or the daemon "
        "runs and nothing was touched, 2 when the options or their file are wrong."
    )

    def parseOptions(self, options: Any = None) -> None:
        """@raise usage.UsageError: an option does not exist."""
        usage.Options.parseOptions(self, options)


def main(arguments: Sequence[str]) -> int:
    """
    Release, and say what was.

    @return: the exit status.
    """
    options = Options()
    try:
        options.parseOptions(list(arguments))
        fresh = Options()
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
    ended: list[int] = []

    def tell(left: dict[str, Left]) -> None:
        for name, (problem, was) in left.items():
            print(f"{name}: {problem or _BECAME[was]}", file=sys.stderr if problem else None)
        ended.append(KEPT if any(problem for problem, _ in left.values()) else RELEASED)

    def fail(failure: Failure) -> None:
        ended.append(_failed([failure.getErrorMessage()]))

    def begin() -> None:
        done = Deferred.fromCoroutine(service.releaseLeft())
        done.addCallback(tell).addErrback(fail).addBoth(lambda result: reactor.stop())

    reactor.callWhenRunning(begin)
    reactor.run()
    return ended[0] if ended else KEPT  # none: a signal came first


def _failed(problems: Sequence[str], status: int = KEPT) -> int:
    print("\n".join(["hatwist release failed:", *(f"  {p}" for p in problems)]), file=sys.stderr)
    return status
