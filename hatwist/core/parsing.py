"""
What may stand for a value, in an option or in a file, whatever it is for.

Each function raises ValueError with a sentence that says what is allowed; who calls it names key and value.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Argv = tuple[str, ...]
"""A program and its arguments."""
_NAME = re.compile(r"[A-Za-z0-9._-]{1,63}\Z")
_INTERFACE = re.compile(r"(?!\.{1,2}\Z)[^\s\0/:]{1,15}\Z")
"""What the kernel takes (dev_valid_name in net/core/dev.c)."""
NAMES = "allowed are 1 to 63 letters, digits, '.', '_' and '-'"


def text(value: object) -> str:
    """Any text but none."""
    if not isinstance(value, str) or not value:
        raise ValueError("allowed is a text")
    return value


def name(value: object) -> str:
    """Of a node, a cluster or a group."""
    if not isinstance(value, str) or not _NAME.match(value):
        raise ValueError(NAMES)
    return value


def interface(value: object) -> str:
    """The name of a network interface."""
    if not isinstance(value, str) or not _INTERFACE.match(value):
        raise ValueError("allowed is the name of a network interface, such as eth0")
    return value


def argv(value: object) -> Argv:
    """A program and its arguments."""
    if (
        not isinstance(value, (list, tuple))
        or not value
        or not all(isinstance(word, str) and "\0" not in word for word in value)
        or not value[0]
    ):
        raise ValueError(
            'allowed is a program and its arguments in brackets, such as ["mount", "/srv"]; no shell reads them'
        )
    return tuple(value)


def argvs(value: object) -> tuple[Argv, ...]:
    """One program with its arguments, or several."""
    if isinstance(value, list) and value and all(isinstance(item, list) for item in value):
        return tuple(argv(item) for item in value)
    return (argv(value),)


def boolean(value: object) -> bool:
    """True or false."""
    if not isinstance(value, bool):
        raise ValueError("allowed are true and false")
    return value


def choice(*allowed: str) -> Callable[[Any], str]:
    """Reads one of these words."""

    def parse(value: object) -> str:
        if value not in allowed:
            raise ValueError(f"allowed are {' and '.join(allowed)}")
        return str(value)

    return parse


def number(value: object) -> float:
    """A finite number, as one or as a text."""
    try:
        found = math.nan if isinstance(value, bool) else float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        found = math.nan
    if not math.isfinite(found):
        raise ValueError("is not a number of seconds")
    return found


@dataclass(frozen=True)
class Seconds:
    """Reads a number of seconds in these bounds."""

    least: float
    most: float

    def __call__(self, value: object) -> float:
        try:
            found = number(value)
        except ValueError as e:
            raise ValueError(f"{e}; allowed are {self}") from None
        if not self.least <= found <= self.most:
            raise ValueError(f"allowed are {self} seconds")
        return found

    def __str__(self) -> str:
        return f"{self.least:g} to {self.most:g}"


@dataclass(frozen=True)
class Whole:
    """Reads a whole number in these bounds."""

    least: int
    most: int

    def __call__(self, value: object) -> int:
        found = whole(value)
        if found is None or not self.least <= found <= self.most:
            raise ValueError(f"allowed are whole numbers from {self}")
        return found

    def __str__(self) -> str:
        return f"{self.least} to {self.most}"


def whole(value: object) -> int | None:
    """A whole number, or None for what is none."""
    try:
        return None if isinstance(value, bool) else int(str(value))
    except ValueError:
        return None
