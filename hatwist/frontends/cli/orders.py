"""C{hatwist move}, C{drain}, C{undrain} and C{announce}."""

from __future__ import annotations

import argparse
from typing import Any

from hatwist.frontends.cli.asking import DONE, Subparsers, addCommand, word
from hatwist.frontends.control.client import Client
from hatwist.frontends.control.times import LONGEST, PATIENCE, WAIT


def addMove(commands: Subparsers[argparse.ArgumentParser]) -> None:
    """Register C{move}."""
    parser = addCommand(
        commands,
        "move",
        help="hand a group over to a node",
        description=(
            "Have the holder of a group hand it over, whichever host this is typed on. It stays where it was moved, "
            "also where another node is worthier, until the claim ends for another reason. Without NODE "
            "the group goes to the worthiest node (fitter, then higher priority, then lower address), as if it had not "
            "been moved."
        ),
        run=_move,
    )
    parser.add_argument("group", metavar="GROUP", type=word)
    parser.add_argument("node", metavar="NODE", nargs="?", type=word)
    _waiting(parser)


def addDrain(commands: Subparsers[argparse.ArgumentParser]) -> None:
    """Register C{drain}."""
    parser = addCommand(
        commands,
        "drain",
        help="hand over whatever is held here, and take over nothing until undrained",
        description=(
            "Hand over whatever this host holds, and take over nothing until hatwist undrain: before work on it. A "
            "restart of the daemon does not end that."
        ),
        run=_drain,
    )
    parser.add_argument(
        "--force",
        action="store_true",
        help="also where no other node can take a group, which is down then",
    )
    _waiting(parser)


def addUndrain(commands: Subparsers[argparse.ArgumentParser]) -> None:
    """Register C{undrain}."""
    parser = addCommand(
        commands,
        "undrain",
        help="let this host hold again",
        description="End drain: groups for which this host is the worthiest come back.",
        run=_undrain,
    )
    _waiting(parser)


def addAnnounce(commands: Subparsers[argparse.ArgumentParser]) -> None:
    """Register C{announce}."""
    parser = addCommand(
        commands,
        "announce",
        help="tell the LAN again where the addresses are",
        description=(
            "Send gratuitous ARP (IPv6: unsolicited neighbour advertisements) for the addresses held here: for a "
            "switch or router that believes them elsewhere."
        ),
        run=_announce,
    )
    parser.add_argument(
        "group", metavar="GROUP", nargs="?", type=word, help="which one (all held here)"
    )


def _waiting(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--wait",
        type=seconds,
        default=WAIT,
        metavar="S",
        help=f"seconds it may take, 0 to {LONGEST:g} ({WAIT:g})",
    )


def seconds(text: str) -> float:
    """
    How long may be waited.

    @raise argparse.ArgumentTypeError: that long not.
    """
    try:
        found = float(text)
    except ValueError:
        found = -1.0
    if not 0 <= found <= LONGEST:  # nor is what is not a number
        raise argparse.ArgumentTypeError(f"{text!r}: allowed are 0 to {LONGEST:g} seconds")
    return found


def _move(options: argparse.Namespace, client: Client) -> int:
    return _do(options, client, "Move", group=options.group, node=options.node)


def _drain(options: argparse.Namespace, client: Client) -> int:
    return _do(options, client, "Drain", force=options.force)


def _undrain(options: argparse.Namespace, client: Client) -> int:
    return _do(options, client, "Undrain")


def _do(options: argparse.Namespace, client: Client, command: str, **arguments: Any) -> int:
    """Say what will be done, do it, wait, and say how long it took."""
    for line in client.call(command, dry=True, **arguments)["plan"]:
        print(line, flush=True)
    answer = client.call(command, options.wait + PATIENCE, wait=options.wait, **arguments)
    for move in answer.get("moves", ()):
        print(told(move))
    if answer.get("note"):
        print(answer["note"])
    return DONE


def told(move: dict[str, Any]) -> str:
    """One move, with its times."""
    total = lasted(move["total"])
    if not move["to"]:
        return f"{move['group']}: {move['from']} released it {total} after the command; nobody holds it"
    if move["dark"] is None:
        return f"{move['group']}: held by {move['to']} {total} after the command"
    return (
        f"{move['group']}: held by {move['to']} {lasted(move['dark'])} after {move['from']} released it, "
        f"{total} after the command"
    )


def lasted(seconds: float) -> str:
    """A time that was measured."""
    return f"{seconds * 1000:.1f} ms" if seconds < 1 else f"{seconds:.2f} s"


def _announce(options: argparse.Namespace, client: Client) -> int:
    answer = client.call("Announce", group=options.group)
    print(f"announced: {', '.join(answer['groups'])}")
    return DONE
