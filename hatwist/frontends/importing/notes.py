"""What an import has to tell besides the file that it prints: what was left out, and what differs."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, NamedTuple

from hatwist.core.errors import HatwistError


class Place(NamedTuple):
    """Where something stands. Line 0: the file as a whole."""

    file: str
    line: int = 0

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" if self.line else self.file


class MigrationError(HatwistError):
    """A file that cannot be read at all: where, and why."""

    def __init__(self, place: Place, reason: str) -> None:
        super().__init__(f"{place}: {reason}")
        self.place = place


class Note(NamedTuple):
    """
    One thing that whoever imports should know.

    @ivar words: what stands there; secrets are masked.
    @ivar advice: what became of it, or what to do instead.
    @ivar lost: it was not carried over.
    """

    place: Place
    words: str
    advice: str
    lost: bool


class Notes:
    """Collects notes, each once."""

    def __init__(self) -> None:
        self._notes: dict[Note, None] = {}

    def lost(self, place: Place, words: str, advice: str) -> None:
        """Something was not carried over."""
        self._notes[Note(place, words, advice, True)] = None

    def differs(self, place: Place, words: str, advice: str) -> None:
        """Something was carried over, or is not needed, and works in another way here."""
        self._notes[Note(place, words, advice, False)] = None

    @property
    def all(self) -> tuple[Note, ...]:
        """Those of what was lost first, then by file and line; what is about a whole file comes last."""
        files = list(dict.fromkeys(note.place.file for note in self._notes if note.place.line))
        places = {file: number for number, file in enumerate(files)}

        def order(note: Note) -> tuple[bool, int, int]:
            file, line = note.place
            return (not note.lost, places.get(file, len(files)), line or sys.maxsize)

        return tuple(sorted(self._notes, key=order))

    @property
    def complete(self) -> bool:
        """Nothing was lost."""
        return not any(note.lost for note in self._notes)


def problemOf(parse: Callable[[Any], object], value: object) -> str | None:
    """Why hatwist would refuse a value; C{None}: it would not."""
    try:
        parse(value)
    except ValueError as error:
        return str(error)
    return None


Opener = Callable[[str, str], list[tuple[str, str]]]
"""
Finds what a file includes: C{(pattern, path of the including file)} gives path and text of each, in order.
Raises OSError or ValueError.
"""


def opensNothing(pattern: str, beside: str) -> list[tuple[str, str]]:
    """An L{Opener} for text that has no file system around it."""
    raise ValueError("included files are not read here")
