"""C{hatwist release}: what a dead daemon left."""

from __future__ import annotations

import argparse


def addRelease(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the subcommand."""
    # Its options are those of twistd ha, so that none is for argparse: whatever begins with "-" is a word.
    release = commands.add_parser(
        "release",
        help="release what a dead daemon left on this host",
        add_help=False,
        prefix_chars="\0",
        epilog="Exit status: as hatwist release --help says.",
    )
    release.add_argument("words", nargs="*")
    release.set_defaults(run=_release)


def _release(options: argparse.Namespace, arguments: list[str]) -> int:
    # Only now: importing Twisted takes its time.
    from hatwist.frontends.release import main as release

    return release(options.words)
