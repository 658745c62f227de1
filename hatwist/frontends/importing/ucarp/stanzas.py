"""interfaces(5): stanzas of options."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from hatwist.frontends.importing.notes import MigrationError, Notes, Opener, Place

_BEGINS = {
    *("iface", "mapping", "auto", "rename", "template", "no-auto-down", "no-scripts"),
    *("source", "source-dir", "source-directory"),
}
_DEEPEST = 20


class StanzaOption(NamedTuple):
    """One line of a stanza."""

    key: str
    value: str
    place: Place

    @property
    def text(self) -> str:
        """What to tell of it: without secrets."""
        return f"{self.key} {'...' if 'password' in self.key else self.value}".rstrip()


class Stanza(NamedTuple):
    """What follows C{iface NAME}; options may be there several times."""

    interface: str
    place: Place
    options: list[StanzaOption]

    def get(self, key: str) -> StanzaOption | None:
        """The last option of this name."""
        return next((option for option in reversed(self.options) if option.key == key), None)


def parse(text: str, file: str, notes: Notes, opener: Opener, depth: int = 0) -> Iterator[Stanza]:
    """
    The C{iface} stanzas of a file, and of those that it names with C{source}.

    @raise MigrationError: files name each other without end.
    """
    current: Stanza | None = None
    for line, place in _lines(text, file):
        word, _, rest = line.partition(" ")
        rest = rest.strip()
        if word not in _BEGINS and not word.startswith("allow-"):
            if current is not None:
                current.options.append(StanzaOption(word.replace("_", "-"), rest, place))
            continue
        if current is not None:
            yield current
        current = Stanza(rest.split()[0], place, []) if word == "iface" and rest else None
        if word.startswith("source") and rest:
            if depth > _DEEPEST:
                raise MigrationError(place, "files name each other without end")
            # A directory's files are those whose names run-parts would take.
            pattern = rest if word == "source" else f"{rest}/[a-zA-Z0-9]*"
            try:
                found = opener(pattern, file)
            except (OSError, ValueError) as error:
                reason = error.strerror if isinstance(error, OSError) else str(error)
                notes.lost(place, line, f"it was not read: {reason}")
                continue
            for path, inner in found:
                yield from parse(inner, path, notes, opener, depth + 1)
    if current is not None:
        yield current


def _lines(text: str, file: str) -> Iterator[tuple[str, Place]]:
    """Lines with single spaces; a backslash at the end continues one, and C{#} only begins one."""
    begun: list[str] = []
    place = Place(file)
    for number, raw in enumerate(text.split("\n"), 1):
        line = raw.strip()
        if not begun:
            if not line or line.startswith("#"):
                continue
            place = Place(file, number)
        begun += line.removesuffix("\\").split()
        if not line.endswith("\\") and begun:
            yield " ".join(begun), place
            begun = []
    if begun:
        yield " ".join(begun), place
