"""Durations, worths and lists of names in the words of people."""

from __future__ import annotations

from hatwist.core.worth import Worth


def duration(seconds: float) -> str:
    """Seconds in the words of people: C{"0.35 s"}, C{"4 min 2 s"}, C{"3 d 4 h"}."""
    if seconds < 60:
        return f"{seconds:.2f} s" if seconds < 10 else f"{seconds:.0f} s"
    for unit, size, lesser, part in (
        ("d", 86400, "h", 3600),
        ("h", 3600, "min", 60),
        ("min", 60, "s", 1),
    ):
        if seconds >= size:
            rest = int(seconds % size // part)
            return f"{int(seconds // size)} {unit}" + (f" {rest} {lesser}" if rest else "")
    raise AssertionError(seconds)


def worthOf(worth: Worth) -> str:
    """What is compared, in words."""
    return f"{worth.fitness.name.lower()}, priority {worth.priority}"


def joined(names: list[str]) -> str:
    """C{"alpha, beta and gamma"}; of no name, C{"nobody"}."""
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1]))) if names else "nobody"


def oneLine(text: str) -> str:
    """Text of others, such as a command of several lines, with C{\\n} and the like in place of what is no letter."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def printable(text: str) -> str:
    """Text of others in which nothing can pass for a terminal's command or a second line."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def blamed(name: str, text: str) -> str:
    """What went wrong with something, named once."""
    return text if text.startswith(f"{name}: ") else f"{name}: {text}"
