"""A table of words, read key by key: every problem is noted with its place, none ends the reading."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

Path = tuple[str | int, ...]
"""Where a value is: keys of tables, and numbers of items from 0."""
REQUIRED: Any = object()
"""The default of what has none."""
Place = Callable[[Path, object], str]
"""What a problem with this value at this path is called; with L{REQUIRED}: what the key is called."""
_T = TypeVar("_T")


def dotted(path: Path) -> str:
    """C{group.web.checks[1].http}"""
    text = ""
    for step in path:
        text += f"[{step + 1}]" if isinstance(step, int) else f".{step}" if text else step
    return text


def shown(value: object) -> str:
    """A value as TOML writes it, cut short."""
    if isinstance(value, bool):
        text = str(value).lower()
    elif isinstance(value, str):
        text = '"' + value.encode("unicode_escape").decode().replace('"', '\\"') + '"'
    elif isinstance(value, Mapping):
        text = "{" + ", ".join(f"{key} = {shown(item)}" for key, item in value.items()) + "}"
    elif isinstance(value, Sequence):
        text = "[" + ", ".join(shown(item) for item in value) + "]"
    else:
        text = str(value)
    return text if len(text) <= 80 else text[:77] + "..."


def inFile(path: Path, value: object) -> str:
    """As it stands in a file, whose name and line are not known."""
    return dotted(path) if value is REQUIRED else f"{dotted(path)} = {shown(value)}"


def nearest(word: str, known: Sequence[str], listed: bool = True) -> str:
    """C{"; did you mean X?"}, or which there are, if they are few enough to be C{listed}."""
    close = difflib.get_close_matches(word, known, 1, 0.6)
    if close:
        return f"; did you mean {close[0]}?"
    return f"; there are {', '.join(sorted(known))}" if listed else ""


class Table:
    """
    @param values: what is read.
    @param problems: where one sentence for each problem goes.
    @param place: see L{Place}.
    @param literal: the values have types: a number is none where it is written as a text.
    """

    def __init__(
        self,
        values: Mapping[str, Any],
        problems: list[str],
        path: Path = (),
        place: Place = inFile,
        literal: bool = False,
    ) -> None:
        self.values = values
        self.problems = problems
        self.path = path
        self._place = place
        self._literal = literal
        self._known: dict[str, None] = {}

    def __contains__(self, key: str) -> bool:
        return key in self.values

    def problem(
        self, sentence: str, key: str | int | None = None, value: object = REQUIRED
    ) -> None:
        """Note what is wrong with one value of this table, or with the table."""
        path = self.path if key is None else (*self.path, key)
        if value is REQUIRED and key is not None:
            value = self.values.get(str(key), REQUIRED)
        separator = " " if value is REQUIRED else ": "
        self.problems.append(f"{self._place(path, value)}{separator}{sentence}")

    def name(self, key: str) -> str:
        """What whoever wrote the table calls this key."""
        return self._place((key,), REQUIRED).rpartition(": ")[2]

    def knows(self, *keys: str) -> None:
        """These keys are read by somebody else."""
        self._known.update(dict.fromkeys(keys))

    def take(self, key: str, parse: Callable[[Any], _T], default: _T = REQUIRED) -> _T:
        """
        One value.

        @param parse: raises ValueError with a sentence about what is allowed, without naming key or value.
        @param default: what counts where there is none, or a wrong one.
        """
        self._known[key] = None
        if key not in self.values:
            if default is REQUIRED:
                self.problem("is missing", key)
            return default
        try:
            found = parse(self.values[key])
        except ValueError as e:
            self.problem(str(e), key)
            return default
        if self._literal and isinstance(self.values[key], str) and type(found) in (int, float):
            self.problem("allowed is a number, which has no quotes", key)
        return found

    def items(self, key: str, parse: Callable[[Any], _T]) -> tuple[_T, ...]:
        """A list of values, each read by itself; none where there is no such key."""
        self._known[key] = None
        found = []
        for number, value in enumerate(self._list(key)):
            try:
                found.append(parse(value))
            except ValueError as e:
                self.problems.append(f"{self._place((*self.path, key, number), value)}: {e}")
        return tuple(found)

    def table(self, key: str) -> Table:
        """A table in this one; empty where there is none."""
        self._known[key] = None
        return self._below(self.values.get(key, {}), key)

    def tables(self, key: str) -> Iterator[Table]:
        """The tables of a list."""
        self._known[key] = None
        for number, value in enumerate(self._list(key)):
            yield self._below(value, key, number)

    def named(self, key: str) -> Iterator[tuple[str, Table]]:
        """The tables of a table, with their names."""
        outer = self.table(key)
        for name in outer.values:
            yield name, outer.table(name)

    def end(self) -> None:
        """Note every key that nobody asked for."""
        for key in self.values:
            if key not in self._known:
                self.problem(f"there is no such key{nearest(key, list(self._known))}", key)

    def _list(self, key: str) -> Sequence[Any]:
        value = self.values.get(key, [])
        if not isinstance(value, list | tuple):
            self.problem("allowed is a list, in brackets", key)
            return []
        return value

    def _below(self, value: object, *steps: str | int) -> Table:
        path = (*self.path, *steps)
        if not isinstance(value, Mapping):
            self.problems.append(
                f"{self._place(path, value)}: allowed is a table of keys and values"
            )
            value = {}
        return Table(value, self.problems, path, self._place, self._literal)
