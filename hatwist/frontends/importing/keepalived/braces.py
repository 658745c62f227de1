"""The grammar of keepalived.conf: statements, of which some have a block of further statements."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import Enum
from typing import NamedTuple

from hatwist.frontends.importing.keepalived.expanding import Expander, SourceLine
from hatwist.frontends.importing.notes import MigrationError, Notes, Opener, Place, opensNothing

_SECRET = ("auth_pass",)
_ESCAPED = {
    "a": "\a",
    "b": "\b",
    "f": "\f",
    "n": "\n",
    "r": "\r",
    "t": "\t",
    "v": "\v",
    "E": "\x1b",
}


class ConfStatement(NamedTuple):
    """
    One statement.

    @ivar inside: those in its block; C{None}: it has none.
    """

    words: tuple[str, ...]
    place: Place
    inside: list[ConfStatement] | None = None

    @property
    def keyword(self) -> str:
        return self.words[0]

    @property
    def blocks(self) -> list[ConfStatement]:
        """Those in its block, if there is one."""
        return self.inside or []

    @property
    def text(self) -> str:
        """What to tell of it: without secrets."""
        shown = ("...",) if self.keyword in _SECRET else self.words[1:]
        return " ".join((self.keyword, *shown))


def parse(
    text: str, file: str, host: str | None, notes: Notes, opener: Opener = opensNothing
) -> tuple[list[ConfStatement], list[str]]:
    """
    Read a file, and those that it includes.

    @param host: the configuration id, by which C{@host} lines are chosen.
    @return: the statements, and the configuration ids that lines name.
    @raise MigrationError: where the braces do not match.
    """
    expander = Expander(host, opener, notes)
    lines = expander.expand(text, file)
    return _tree(lines), [name for name in expander.hosts if name]


def _tree(lines: Iterable[SourceLine]) -> list[ConfStatement]:
    top: list[ConfStatement] = []
    open_ = [top]
    opened: list[Place] = []
    for line in lines:
        words: list[str] = []
        for token in _tokens(line.text):
            if token is _Brace.OPEN:
                open_.append(_block(open_[-1], words, line.place))
                opened.append(line.place)
                words = []
            elif token is _Brace.CLOSE:
                _flush(open_[-1], words, line.place)
                words = []
                if not opened:
                    raise MigrationError(line.place, "'}' closes nothing")
                opened.pop()
                open_.pop()
            else:
                words.append(token)
        _flush(open_[-1], words, line.place)
    if opened:
        raise MigrationError(opened[-1], "'{' is never closed")
    return top


def _flush(into: list[ConfStatement], words: list[str], place: Place) -> None:
    if words:
        into.append(ConfStatement(tuple(words), place))


def _block(into: list[ConfStatement], words: list[str], place: Place) -> list[ConfStatement]:
    """Begin the block of a statement, which may stand in the line before."""
    inside: list[ConfStatement] = []
    if words:
        into.append(ConfStatement(tuple(words), place, inside))
    elif into and into[-1].inside is None:
        into[-1] = into[-1]._replace(inside=inside)
    else:
        raise MigrationError(place, "'{' opens nothing: there is no word before it")
    return inside


class _Brace(Enum):
    """A brace that is not part of a word."""

    OPEN = "{"
    CLOSE = "}"


def _tokens(text: str) -> Iterator[str | _Brace]:
    """Words without their quotes, and braces."""
    word: list[str] | None = None
    quote = ""
    variable = False
    chars = iter(text)
    for char in chars:
        if char == "\\" and (after := next(chars, "")):
            word = word or []
            word.append(_ESCAPED.get(after, after) if quote else f"\\{after}")
        elif quote:
            word = word or []
            if char == quote:
                quote = ""
            else:
                word.append(char)
        elif char in "\"'":
            word, quote = word or [], char
        elif (char == "{" and word and word[-1] == "$") or (char == "}" and variable):
            # ${NAME}, which nobody has defined.
            variable = char == "{"
            word = [*(word or []), char]
        elif char.isspace() or char in "{}":
            if word is not None:
                yield "".join(word)
            word = None
            if char in "{}":
                yield _Brace(char)
        else:
            word = word or []
            word.append(char)
    if word is not None:
        yield "".join(word)
