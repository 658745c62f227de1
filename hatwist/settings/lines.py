"""Where in a TOML file a value stands, for messages: tomllib does not tell."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from hatwist.core.table import Path

_HEADER = re.compile(r"\s*\[\[?\s*(.+?)\s*\]?\]\s*(#.*)?$")
_KEY = re.compile(
    r"""\s*((?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*'))*)\s*="""
)
_PART = re.compile(r"""[A-Za-z0-9_-]+|"[^"]*"|'[^']*'""")


def lineOf(text: str, path: Path) -> int | None:
    """
    The line, from 1, in which a value most probably begins; C{None}: it is not there.

    It looks for names at the beginnings of lines, and for the rest of the path within the value.
    """
    wanted = [step for step in path if isinstance(step, str)]
    best: tuple[int, int] | None = None
    lines = text.split("\n")
    for number, here in _names(lines):
        length = len(here)
        if here == wanted[:length] and (best is None or length > best[0]):
            best = (length, number)
    if best is None:
        return None
    length, number = best
    return _within(lines, number, _rest(path, length))


def _names(lines: Sequence[str]) -> list[tuple[int, list[str]]]:
    """Each line that begins with a key or is a header, with the whole name."""
    found = []
    table: list[str] = []
    for number, line in enumerate(lines, 1):
        if match := _HEADER.match(line):
            table = _parts(match[1])
            found.append((number, table))
        elif match := _KEY.match(line):
            found.append((number, [*table, *_parts(match[1])]))
    return found


def _parts(name: str) -> list[str]:
    return [part.strip("\"'") for part in _PART.findall(name)]


def _rest(path: Path, length: int) -> Path:
    """What is left of a path after so many names."""
    names = 0
    for place, step in enumerate(path):
        if isinstance(step, str):
            if names == length:
                return path[place:]
            names += 1
        elif names == length:
            return path[place:]
    return ()


def _within(lines: Sequence[str], number: int, rest: Path) -> int:
    """The line of an item or key inside a value that begins in line C{number}."""
    place = lines[number - 1].find("=") + 1
    for step in rest:
        find: Callable[..., tuple[int, int] | None] = _item if isinstance(step, int) else _word
        found = find(lines, number, place, step)
        if found is None:
            break
        number, place = found
    return number


def _item(lines: Sequence[str], number: int, place: int, wanted: int) -> tuple[int, int] | None:
    """Where item C{wanted} of the list begins that begins at this place."""
    depth = count = 0
    quote = ""
    line, column = number, place
    begun = False
    while line <= len(lines):
        text = lines[line - 1]
        while column < len(text):
            letter = text[column]
            if quote:
                if letter == "\\" and quote == '"':
                    column += 1
                elif letter == quote:
                    quote = ""
            elif letter == "#":
                break
            else:
                if begun and depth == 1 and count == wanted and letter not in " \t,]":
                    return line, column
                if letter in "\"'":
                    quote = letter
                elif letter in "[{":
                    depth += 1
                    begun = True
                elif letter in "]}":
                    depth -= 1
                    if begun and not depth:
                        return None
                elif letter == "," and depth == 1:
                    count += 1
            column += 1
        line, column = line + 1, 0
    return None


def _word(lines: Sequence[str], number: int, place: int, word: str) -> tuple[int, int] | None:
    """Where the key next stands."""
    pattern = re.compile(rf"""(?<![\w-])["']?{re.escape(word)}["']?\s*=""")
    for line in range(number, len(lines) + 1):
        if match := pattern.search(lines[line - 1], place if line == number else 0):
            return line, match.end()
    return None
