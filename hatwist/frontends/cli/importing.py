"""C{hatwist import}: reads files, prints a configuration file, and tells what it could not carry over."""

from __future__ import annotations

import argparse
import glob
import os
import re
import sys
from typing import TYPE_CHECKING

from hatwist import __version__
from hatwist.frontends.importing import KINDS

if TYPE_CHECKING:
    from hatwist.frontends.importing.reading import Source

_LARGEST = 1 << 20
_NAMED = re.compile(r"([A-Za-z0-9._-]{1,63})=(.+)\Z", re.DOTALL)


def addImport(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the subcommand."""
    parser = commands.add_parser(
        "import",
        help="make a configuration file of that of keepalived, Heartbeat, ucarp or ha.js",
        description=(
            "Print a configuration file that does what files of another program say: keepalived.conf, ha.cf with "
            "haresources (Heartbeat, version 1), interfaces(5) with options of ucarp, or ha.json. What could not be "
            "carried over is told at the top of it and on standard error, and what to do instead."
        ),
        epilog=(
            "Exit status: 0 when everything was carried over, 1 when something was not, 2 when nothing could be "
            "read."
        ),
    )
    parser.add_argument(
        "files",
        nargs="+",
        metavar="[HOST=]FILE",
        help="files of one program, of one host or of several; '-' is standard input",
    )
    parser.add_argument(
        "--from", dest="kind", choices=KINDS, help="what the files are; default: as they look"
    )
    parser.add_argument(
        "--node",
        action="append",
        default=[],
        metavar="HOST",
        help="name of a host: of each file in turn, or of all that share the one file",
    )
    parser.add_argument(
        "--keep-vrrp",
        action="store_true",
        help="of keepalived: speak VRRP as it does, and so join the hosts that still run it",
    )
    parser.set_defaults(run=_import)


def _import(options: argparse.Namespace, arguments: list[str]) -> int:
    from hatwist.frontends.importing.notes import MigrationError, Notes, Place
    from hatwist.frontends.importing.reading import read
    from hatwist.frontends.importing.toml import printable, report, write

    notes = Notes()
    try:
        sources = _sources(options.files, options.node)
        hosts = [] if len(options.node) == len(sources) else options.node
        draft, program = read(sources, options.kind, hosts, notes, _opened, options.keep_vrrp)
    except MigrationError as error:
        print(f"hatwist import: {printable(str(error))}", file=sys.stderr)
        return 2
    if not draft.groups:
        notes.lost(
            Place(", ".join(dict.fromkeys(source.path for source in sources))),
            "the whole file",
            "nothing could be carried over, so that this file has nothing but comments",
        )
    paths = ", ".join(dict.fromkeys(source.path for source in sources))
    title = f"Imported from {paths} ({program}) by hatwist {__version__}. Try it with: hatwist check FILE"
    sys.stdout.write(write(draft, notes.all, title))
    sys.stdout.flush()
    for line in report(notes.all):
        print(line, file=sys.stderr)
    return 0 if notes.complete else 1


def _sources(files: list[str], nodes: list[str]) -> list[Source]:
    """
    @raise MigrationError: a file cannot be read, or names and files do not go together.
    """
    from hatwist.frontends.importing.notes import MigrationError, Place
    from hatwist.frontends.importing.reading import Source

    named = []
    for text in files:
        match = _NAMED.match(text)
        # A file may be called so.
        named.append((match[1], match[2]) if match and not os.path.exists(text) else ("", text))
    if nodes and any(host for host, _ in named):
        raise MigrationError(
            Place("--node"), "a host's name is given with it or before '=', not both"
        )
    for name in nodes:
        if not _NAMED.match(f"{name}=x"):
            raise MigrationError(
                Place(f"--node {name}"), "allowed are 1 to 63 letters, digits, '.', '_' and '-'"
            )
    if len(set(nodes)) < len(nodes):
        raise MigrationError(Place("--node"), "a name is given twice")
    if nodes and len(nodes) == len(named):
        named = [(node, path) for node, (_, path) in zip(nodes, named, strict=True)]
    elif len(nodes) == 1 or (nodes and len(named) > 1 and len(nodes) < len(named)):
        raise MigrationError(Place("--node"), "give one for each file, or several for one file")
    seen = set()
    for each in named:
        if each in seen:
            raise MigrationError(Place(each[1]), "is given twice")
        seen.add(each)
    return [Source(host, path, _text(path)) for host, path in named]


def _text(path: str) -> str:
    from hatwist.frontends.importing.notes import MigrationError, Place

    try:
        if path == "-":
            data = sys.stdin.buffer.read(_LARGEST + 1)
        else:
            with open(
                path, "rb", opener=lambda p, flags: os.open(p, flags | os.O_NONBLOCK)
            ) as file:
                data = file.read(_LARGEST + 1) or b""
    except OSError as error:
        raise MigrationError(Place(path), error.strerror or str(error)) from None
    if len(data) > _LARGEST:
        raise MigrationError(Place(path), f"is larger than {_LARGEST} bytes")
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise MigrationError(Place(path, line), "is not UTF-8 text") from None
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise MigrationError(Place(path, line), "is not text: it has a NUL")
    return text.replace("\r\n", "\n")


def _opened(pattern: str, beside: str) -> list[tuple[str, str]]:
    """Files that another one includes: a path, relative to its directory, which may have wildcards."""
    from hatwist.frontends.importing.notes import MigrationError

    paths = sorted(glob.glob(os.path.join(os.path.dirname(beside), pattern)))
    try:
        return [(path, _text(path)) for path in paths if not os.path.isdir(path)]
    except MigrationError as error:
        raise ValueError(str(error)) from None
