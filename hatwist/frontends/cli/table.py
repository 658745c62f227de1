"""Status as a table for people."""

from __future__ import annotations

import os
import sys
import textwrap
from collections.abc import Sequence
from typing import Any

from hatwist.core.phrases import oneLine

RED, PLAIN = "\x1b[31m", "\x1b[0m"
ROOM = 14
"""Characters of a cell that may be long: what has more stands below its row."""
INDENT = 4


class TextLine(str):
    """
    A line of text.

    @ivar alarming: to be shown in red.
    @ivar hang: where its further lines begin if it is folded.
    """

    alarming = False
    hang = INDENT

    @classmethod
    def of(cls, text: str, alarming: bool, hang: int = INDENT) -> TextLine:
        made = cls(oneLine(text.rstrip()))
        made.alarming, made.hang = alarming, hang
        return made


def columns(rows: Sequence[tuple[bool, Sequence[str]]], note: int | None = None) -> list[TextLine]:
    """
    Rows as lines with two spaces between columns; each row says first whether it is alarming.

    @param note: the column in which there may be more than it has room for, and then stands below.
    """
    short = [
        [_brief(cell) if at == note else cell for at, cell in enumerate(row)] for _, row in rows
    ]
    widths = [max(map(len, column)) for column in zip(*short, strict=True)]
    last = sum(width + 2 for width in widths[:-1])
    lines = []
    for (alarming, row), cells in zip(rows, short, strict=True):
        padded = [cell.ljust(width) for cell, width in zip(cells, widths, strict=True)]
        lines.append(TextLine.of("  ".join(padded), alarming, last))
        if note is not None and cells[note] != row[note]:
            lines.append(TextLine.of(f"{'':{INDENT}}{row[note]}", alarming, 2 * INDENT))
    return lines


def _brief(cell: str) -> str:
    """What a column shows of a long cell, such as C{"degraded"}."""
    if len(cell) <= ROOM:
        return cell
    if cell.startswith("("):
        return ""
    beginning = cell.partition(":")[0]
    return beginning if len(beginning) <= ROOM else "see below"


def folded(line: str, width: int) -> list[str]:
    """A line as several, none of which has more characters than C{width}, if that is at least 20; 0: as it is."""
    if not width or len(line) <= width:
        return [line]
    hang = getattr(line, "hang", INDENT)
    return textwrap.wrap(
        str(line),
        max(width, 20),
        subsequent_indent=" " * (hang if hang <= width // 2 else INDENT),
        replace_whitespace=False,
        break_on_hyphens=False,
    )


def colours() -> bool:
    """On a terminal, unless NO_COLOR is set (no-color.org)."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR")


def coloured(lines: Sequence[str], colour: bool, width: int = 0) -> list[str]:
    """
    @param width: fold longer lines; 0: never.
    """
    return [
        f"{RED}{part}{PLAIN}" if getattr(line, "alarming", False) and colour else str(part)
        for line in lines
        for part in folded(line, width)
    ]


def table(status: dict[str, Any], now: float) -> list[TextLine]:
    """
    @param now: seconds since 1970.
    """
    alone = [TextLine.of(f"{status['alone']}.", True)] if status["alone"] else []
    groups, nodes = _groups(status, now), _nodes(status)
    return [*alone, *_head(status), TextLine(), *groups, TextLine(), *nodes, *_notes(status)]


def short(seconds: float) -> str:
    """C{"35 ms"}, C{"4.2 s"}, C{"3 min"}, C{"2 h"}, C{"5 d"}"""
    if seconds < 1:
        return f"{max(seconds, 0) * 1000:.0f} ms"
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"


def _head(status: dict[str, Any]) -> list[TextLine]:
    guarantee = status["guarantee"]
    drained = ", drained" if status["drained"] else ""
    signed = "signed" if status["signed"] else "not signed"
    return [
        TextLine.of(
            f"{status['node']} of cluster {status['cluster']}{drained}: up {short(status['uptime'])}, "
            f"interval {status['interval']:g} s, tolerance {status['tolerance']:g} s, heartbeats {signed}",
            bool(drained),
        ),
        TextLine(f"Guarantee: {guarantee['level']}: {guarantee['reason']}"),
        *(TextLine(f"Not protected: {gap}") for gap in guarantee["gaps"]),
    ]


def _groups(status: dict[str, Any], now: float) -> list[TextLine]:
    rows: list[tuple[bool, Sequence[str]]] = [
        (False, ("GROUP", "HOLDER", "FOR", "TERM", "BECAUSE"))
    ]
    nobody = "unknown" if status["alone"] else "nobody"
    for called, group in status["groups"].items():
        holders = group["holders"]
        rows.append(
            (
                len(holders) != 1,
                (
                    called,
                    " and ".join(_holder(group, name) for name in holders) or nobody,
                    short(now - group["since"]) if group["since"] is not None else "",
                    str(group["term"] or ""),
                    group["reason"],
                ),
            )
        )
    return columns(rows)


def _holder(group: dict[str, Any], name: str) -> str:
    doing = group["under_way"].get(name)
    return f"{name} ({doing})" if doing else name


def _nodes(status: dict[str, Any]) -> list[TextLine]:
    head = ("NODE", "GROUP", "ROLE", "FITNESS", "PRIO", "TERM", "HEARD", "OF 20", "LINKS")
    rows: list[tuple[bool, Sequence[str]]] = [(False, head)]
    for name, node in status["nodes"].items():
        heard = "" if node["self"] or node["age"] is None else short(node["age"])
        links = ", ".join(_link(link, age, node, status) for link, age in node["links"].items())
        received = str(node["received"]) if node["alive"] and not node["self"] else ""
        called = f"{name} (here)" if node["self"] else name
        for group, said in status["groups"].items():
            entry = node["groups"].get(group)
            if entry is None and (node["outside"] or said["protocol"] != "native"):
                continue  # of that it tells nothing: only masters do
            if entry is None:
                role = "unknown" if node["alive"] else "SILENT"
                rows.append((True, (called, group, role, "", "", "", heard, received, links)))
            else:
                rows.append(_row(called, group, node, entry, (heard, received, links)))
            called = heard = links = received = ""
        if called:  # a node that has none of the groups of hatwist's own protocol
            rows.append((False, (called, "", "", "", "", "", heard, received, links)))
    return columns(rows, note=head.index("FITNESS"))


def _row(
    name: str, group: str, node: dict[str, Any], entry: dict[str, Any], last: Sequence[str]
) -> tuple[bool, Sequence[str]]:
    role = entry["role"] if node["alive"] or entry["role"] == "SHUTDOWN" else "SILENT"
    term = str(entry["term"] or "")
    fitness = _fitness(entry, role) if node["alive"] else ""
    if role == "STANDBY" and drained(entry):
        role, fitness = "DRAINED", entry["reason"].removeprefix("drained").strip()
    alarming = not node["alive"] or (entry["fitness"] == "unfit" and role != "DRAINED")
    return alarming, (name, group, role, fitness, str(entry["priority"]), term, *last)


def _fitness(entry: dict[str, Any], role: str) -> str:
    fitness, reason = str(entry["fitness"]), str(entry["reason"])
    if fitness == "fit" and not entry["eligible"] and role == "STANDBY":
        return reason or "fit, not ready"  # what it says then is not of its fitness
    return f"{fitness}: {reason}" if reason else fitness


def drained(entry: dict[str, Any]) -> bool:
    """The operator wants nothing to be held there: no fault."""
    return entry["fitness"] == "unfit" and str(entry["reason"]).startswith("drained")


def _link(name: str, age: float | None, node: dict[str, Any], status: dict[str, Any]) -> str:
    if node["self"]:
        return name
    if age is None or age >= status["tolerance"]:
        return f"{name} silent"
    return f"{name} {short(age)}"


def _notes(status: dict[str, Any]) -> list[TextLine]:
    """What no column has room for."""
    found = list(status["troubles"])
    for name, node in status["nodes"].items():
        if node["configuration"] == "differs":
            found.append(f"{name} has another shared configuration than {status['node']}")
        if node["alive"] and not node["self"] and not node["hears_us"]:
            found.append(f"{name} does not hear {status['node']}")
    return [TextLine.of(text, True) for text in found]
