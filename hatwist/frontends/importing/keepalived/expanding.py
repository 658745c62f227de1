"""
The lines of keepalived.conf as keepalived itself sees them, see "ADVANCED CONFIGURATION" in keepalived.conf(5).

Comments are gone, files are included, C{@host} lines are chosen, C{$NAME=} definitions are put in, C{~SEQ} and
C{~LST} lines are repeated.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from hatwist.frontends.importing.notes import MigrationError, Notes, Opener, Place

MOST_LINES = 20_000
"""That is more than a configuration has; a definition that repeats itself would never end."""
_LONGEST = 20_000
_STEPS = 200_000
_DEEPEST = 40
_INCLUDE = re.compile(r"include[rmwba]?\s+(\S.*)\Z")
_CONDITION = re.compile(r"@(\^?)(\S*)\s*(.*)\Z", re.DOTALL)
_DEFINITION = re.compile(r"\$([A-Za-z_][A-Za-z0-9_]*)=(.*)\Z", re.DOTALL)
_DEFINED_FOR = re.compile(r"(?:@\S+\s+)?\$[A-Za-z_][A-Za-z0-9_]*=")
_VARIABLE = re.compile(
    r"\$(?:\{([A-Za-z_][A-Za-z0-9_]*)(?:\s[^}]*)?\}|([A-Za-z_][A-Za-z0-9_]*)(?=\s|\Z))"
)
_REPEAT = re.compile(r"~(SEQx?|LST)\(([^()]*)\)\s*(.*)\Z", re.DOTALL)


class SourceLine(NamedTuple):
    """One line that says something, and where it comes from."""

    text: str
    place: Place


class Expander:
    """
    @param host: the configuration id; C{None}: one that no line names.
    @param opener: finds what is included.
    @ivar hosts: the configuration ids that lines name, in order.
    """

    def __init__(self, host: str | None, opener: Opener, notes: Notes) -> None:
        self._host = host
        self._opener = opener
        self._notes = notes
        self._defined = {"_HASH": "#", "_BANG": "!", "_INSTANCE": host or ""}
        self._lines: list[SourceLine] = []
        self._steps = 0
        self.hosts: dict[str, None] = {}

    def expand(self, text: str, file: str, depth: int = 0) -> list[SourceLine]:
        """
        All lines of a file and of those that it includes.

        @raise MigrationError: it does not end.
        """
        above, self._defined["_PWD"] = self._defined.get("_PWD"), file.rpartition("/")[0] or "."
        for words, place in _joined(text, file):
            if match := _INCLUDE.match(words):
                self._include(match[1].strip().strip("\"'"), place, words, depth)
            else:
                self._one(words, place, 0, whole="\n" in words)
        self._defined["_PWD"] = above or "."
        return self._lines

    def _include(self, pattern: str, place: Place, words: str, depth: int) -> None:
        if depth > _DEEPEST:
            raise MigrationError(place, "files include each other without end")
        try:
            found = self._opener(pattern, place.file)
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            self._notes.lost(place, words, f"it was not read: {reason}")
            return
        if not found:
            self._notes.lost(place, words, "there is no such file here")
        for path, inner in found:
            self.expand(inner, path, depth + 1)

    def _one(self, text: str, place: Place, depth: int, whole: bool = False) -> None:
        """
        @param whole: it is a definition of several lines, and not several lines.
        """
        if depth > _DEEPEST:
            raise MigrationError(place, "definitions use each other without end")
        while True:
            self._count(text, place)
            first, newline, rest = text.partition("\n")
            if newline and not whole:
                self._one(first, place, depth + 1)
                text = rest
                continue
            text = text.strip()
            if match := _CONDITION.match(text):
                self.hosts[match[2]] = None
                if (match[2] == self._host) is not bool(match[1]):
                    text = match[3]
                    continue
                return
            if match := _DEFINITION.match(text):
                self._defined[match[1]] = match[2].strip()
                return
            if match := _REPEAT.match(text):
                for values in self._values(match[1], match[2], place):
                    self._defined.update(values)
                    self._one(match[3], place, depth + 1)
                return
            found = next((m for m in _VARIABLE.finditer(text) if self._knows(m)), None)
            if found is None:
                if text:
                    self._lines.append(SourceLine(text, place))
                return
            text = text[: found.start()] + self._defined[found[1] or found[2]] + text[found.end() :]

    def _knows(self, match: re.Match[str]) -> bool:
        return (match[1] or match[2]) in self._defined

    def _count(self, text: str, place: Place) -> None:
        self._steps += 1 + len(text) // 1000
        if self._steps > _STEPS or len(self._lines) > MOST_LINES or len(text) > _LONGEST:
            raise MigrationError(place, "definitions make more of it than a configuration can be")

    def _values(self, kind: str, inner: str, place: Place) -> Iterator[dict[str, str]]:
        name, _, rest = inner.partition(",")
        if kind == "LST":
            yield from _listed(inner, place)
            return
        try:
            numbers = [int(number, 0) for number in rest.split(",")]
        except ValueError:
            numbers = []
        if not 1 <= len(numbers) <= 3:
            raise MigrationError(
                place, f"~{kind}({inner}): allowed is (NAME, [START, [STEP,]] END)"
            )
        end = numbers[-1]
        start = numbers[0] if len(numbers) > 1 else (1 if end > 0 else -1)
        step = numbers[1] if len(numbers) == 3 else (1 if end >= start else -1)
        if step == 0 or abs((end - start) // step) > MOST_LINES:
            raise MigrationError(place, f"~{kind}({inner}): it has no end")
        for number in range(start, end + (1 if step > 0 else -1), step):
            yield {name.strip(): f"{number:x}" if kind == "SEQx" else str(number)}


def _listed(inner: str, place: Place) -> Iterator[dict[str, str]]:
    """What C{~LST(A, 1, 2)} and C{~LST({A,B}, {1,2}, {3,4})} set."""
    parts = [part.strip() for part in re.findall(r"\{[^{}]*\}|[^,{}]+", inner) if part.strip()]
    names, *values = [[word.strip() for word in part.strip("{}").split(",")] for part in parts] or [
        []
    ]
    if not values or any(len(words) != len(names) for words in values):
        raise MigrationError(place, f"~LST({inner}): allowed is (NAME, VALUE, VALUE...)")
    for words in values:
        yield dict(zip(names, words, strict=True))


def _joined(text: str, file: str) -> Iterator[tuple[str, Place]]:
    """
    Lines without comments, and without those that are empty. What a backslash continues is one: a definition
    with newlines in it, anything else with spaces.
    """
    begun: list[str] = []
    place = Place(file)
    for number, raw in enumerate(text.split("\n"), 1):
        line = withoutComment(raw).strip()
        if not line:
            continue
        if not begun:
            place = Place(file, number)
        more = line.endswith("\\")
        begun.append(line.removesuffix("\\").rstrip())
        if not more:
            yield _join(begun), place
            begun = []
    if begun:
        yield _join(begun), place


def _join(lines: list[str]) -> str:
    return ("\n" if _DEFINED_FOR.match(lines[0]) else " ").join(lines)


def withoutComment(line: str) -> str:
    """What stands before the first C{#} or C{!} that is not in quotes."""
    quote = ""
    escaped = False
    for at, char in enumerate(line):
        if escaped:
            escaped = False
        elif char == "\\":
            escaped = True
        elif quote:
            quote = "" if char == quote else quote
        elif char in "\"'":
            quote = char
        elif char in "#!":
            return line[:at]
    return line
