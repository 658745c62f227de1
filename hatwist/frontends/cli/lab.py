"""C{hatwist lab}."""

from __future__ import annotations

import argparse
import sys

from hatwist.lab import world


def addLab(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the subcommand."""
    lab = commands.add_parser(
        "lab",
        help="see it work: three daemons on a private LAN, faults, measured outages",
        description=(
            "Start three daemons on a LAN of network namespaces, which nothing outside can see, "
            "break their hosts one way after another, and measure what a client notices. Needs "
            "root or user namespaces, and the nft program."
        ),
        epilog=(
            "Exit status: 0 when every figure is within its bound, 1 when not, 77 when this "
            "machine allows no private network, 130 when interrupted."
        ),
    )
    lab.add_argument("scenario", nargs="*", help="which to play; default: those of the demo")
    lab.add_argument("--list", action="store_true", help="list the scenarios and end")
    lab.add_argument("--repeat", type=_count, default=1, metavar="N", help="play N times")
    lab.add_argument(
        "--interval", type=_seconds, default=0.1, metavar="S", help="between heartbeats (0.1)"
    )
    lab.add_argument(
        "--tolerance",
        type=_seconds,
        metavar="S",
        help="silence after which a node counts as gone (3.5 intervals)",
    )
    lab.add_argument("--json", action="store_true", help="print figures, in seconds, as JSON")
    lab.set_defaults(run=_lab)


def _lab(options: argparse.Namespace, arguments: list[str]) -> int:
    if not (options.list or world.inside()):
        again = [sys.executable, "-m", "hatwist.frontends.cli", *arguments]
        return world.enter(again, again)
    # Only now: importing Twisted takes its time.
    from hatwist.lab.scenarios import DEMO, LONG, SCENARIOS
    from hatwist.lab.story import Playlist, run

    if options.list:
        for name, scenario in {**SCENARIOS, **LONG}.items():
            print(f"{name:18} {(scenario.__doc__ or '').strip()}")
        return 0
    unknown = [name for name in options.scenario if name not in {**SCENARIOS, **LONG}]
    if unknown:
        print(
            f"hatwist lab: no such scenario: {', '.join(unknown)}; there are {', '.join([*SCENARIOS, *LONG])}",
            file=sys.stderr,
        )
        return 2
    return run(
        Playlist(
            names=options.scenario or DEMO,
            repeat=options.repeat,
            interval=options.interval,
            tolerance=options.tolerance or 3.5 * options.interval,
            asJson=options.json,
        )
    )


def _seconds(text: str) -> float:
    value = float(text)
    if not 0.001 <= value <= 60:
        raise argparse.ArgumentTypeError("allowed are 0.001 to 60 seconds")
    return value


def _count(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return value
