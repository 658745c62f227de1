"""A draft as a TOML file, with what is to be told as comments above it."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hatwist.frontends.importing.draft import Draft, DraftGroup
from hatwist.frontends.importing.notes import Note

_BARE = re.compile(r"[A-Za-z0-9_-]+\Z")
_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}
_WIDTH = 96
ORDER = (
    *("cluster", "key_file", "interval", "tolerance", "interface", "links", "multicast"),
    *("witness", "witness_lost", "priority"),
)


def write(draft: Draft, notes: Sequence[Note], title: str) -> str:
    """The file, which ends with a newline. Every line of the notes is a comment."""
    return "\n".join([*_comments(notes, title), "", *_body(draft)]).rstrip("\n") + "\n"


def report(notes: Sequence[Note]) -> Iterator[str]:
    """
    The notes as lines for people, those of what was lost first. The same advice is given once, below everything
    that it is about.
    """
    for lost, heading in ((True, "Not carried over:"), (False, "Different here:")):
        about: dict[str, list[Note]] = {}
        for note in notes:
            if note.lost is lost:
                about.setdefault(note.advice, []).append(note)
        if about:
            yield heading
        for advice, those in about.items():
            yield from (printable(f"  {note.place}: {note.words}") for note in those)
            yield from textwrap.wrap(
                printable(advice),
                _WIDTH,
                initial_indent="      ",
                subsequent_indent="      ",
                break_long_words=False,
                break_on_hyphens=False,
            )


def printable(text: str) -> str:
    """The same in one line, which neither a terminal nor TOML can take for anything but text."""
    return "".join(char if char.isprintable() else "?" for char in text.replace("\t", " "))


def _comments(notes: Sequence[Note], title: str) -> Iterator[str]:
    yield f"# {printable(title)}"
    for line in report(notes):
        if not line.startswith(" "):
            yield "#"
        yield f"# {line}"


def _body(draft: Draft) -> Iterator[str]:
    if not draft.groups:
        return
    known = [key for key in ORDER if key in draft.values]
    for key in [*known, *(key for key in draft.values if key not in known)]:
        yield f"{key} = {value(draft.values[key])}"
    for name, table in draft.nodes.items():
        yield from ("", f"[node.{key_(name)}]")
        for key, inner in table.items():
            yield f"{key} = {value(inner)}"
    for group in draft.groups:
        yield from ("", f"[group.{key_(group.name)}]")
        yield from _group(group)


def _group(group: DraftGroup) -> Iterator[str]:
    for key, said in group.keys.items():
        yield f"{key} = {value(said)}"
    yield from _tables("resources", group.resources)
    if group.checks:
        yield from _tables("checks", group.checks)
    if group.priorities or group.priority is not None:
        yield f"priority = {value(group.priorities or group.priority)}"
    if not group.preempt:
        yield "preempt = false"
    if group.preemptDelay:
        yield f"preempt_delay = {value(group.preemptDelay)}"
    for event, commands in group.hooks.items():
        only = commands[0] if len(commands) == 1 else commands
        yield f"on.{key_(event)} = {value(only)}"


def _tables(key: str, tables: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    yield f"{key} = ["
    for table in tables:
        yield f"  {value(table)},"
    yield "]"


def key_(name: str) -> str:
    """A name as a key, in quotes if need be."""
    return name if _BARE.match(name) else _string(name)


def value(of: Any) -> str:
    """A value in one line."""
    if isinstance(of, bool):
        return "true" if of else "false"
    if isinstance(of, int):
        return str(of)
    if isinstance(of, float):
        return f"{of:.9f}".rstrip("0").rstrip(".")
    if isinstance(of, str):
        return _string(of)
    if isinstance(of, Mapping):
        return "{" + ", ".join(f"{key_(key)} = {value(inner)}" for key, inner in of.items()) + "}"
    return "[" + ", ".join(value(inner) for inner in of) + "]"


def _string(text: str) -> str:
    return '"' + "".join(_escaped(char) for char in text) + '"'


def _escaped(char: str) -> str:
    if char in _ESCAPES:
        return _ESCAPES[char]
    # TOML takes no control characters; every other one stands for itself.
    if ord(char) < 0x20 or ord(char) == 0x7F:
        return f"\\u{ord(char):04X}"
    return char
