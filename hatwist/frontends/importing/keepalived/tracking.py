"""What keepalived tracks, as checks."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping
from typing import Any

from hatwist.checks.reading import parseCheck
from hatwist.core import table
from hatwist.frontends.importing.draft import Argv, Table
from hatwist.frontends.importing.keepalived.braces import ConfStatement
from hatwist.frontends.importing.notes import Notes

_SHELL = re.compile(r"[|;&<>`*?]|\$[({A-Za-z_]")
_TCP = re.compile(r"(?:(?:/bin/)?(?:ba)?sh\s+-c\s+['\"])?<\s*/dev/tcp/([^/\s'\"]+)/(\d+)['\"]?\Z")
_WEIGHT = (
    "a node on which this fails comes after every node on which nothing does, whatever their priorities: weights "
    'are not added up here. Delete the check, or write effect = "unfit", if that is not what you want'
)
# keepalived is told by the kernel, and acts at once.
_AT_ONCE = {"interval": 0.2, "rise": 1, "fall": 1}
_NO_SHELL = 'no shell reads it here: put it into a file, or write command = ["sh", "-c", "..."]'


def argvOf(text: str) -> Argv | None:
    """A script with its arguments; C{None}: only a shell could read it."""
    try:
        words = shlex.split(text)
    except ValueError:
        return None
    if not words or not words[0] or "\0" in text:
        return None
    # What stands in quotes is for the program, so it is no matter here.
    bare = re.sub(r"'[^']*'|\"[^\"]*\"", "", text)
    return None if _SHELL.search(bare) else tuple(words)


class Scripts:
    """What C{vrrp_script} and C{vrrp_track_process} blocks define, by name."""

    def __init__(self, statements: Iterable[ConfStatement], notes: Notes) -> None:
        self._notes = notes
        self._scripts: dict[str, ConfStatement] = {}
        self._processes: dict[str, ConfStatement] = {}
        self._used: set[str] = set()
        for statement in statements:
            if len(statement.words) != 2:
                notes.lost(statement.place, statement.text, "it has no name")
            elif statement.keyword == "vrrp_track_process":
                self._processes[statement.words[1]] = statement
            else:
                self._scripts[statement.words[1]] = statement

    def checks(self, tracked: ConfStatement, weighted: bool) -> list[Table]:
        """
        The checks that a C{track_script}, C{track_process} or C{track_interface} block asks for.

        @param weighted: weights count; in a C{vrrp_sync_group} keepalived takes every one for 0.
        """
        found: list[Table] = []
        for entry in tracked.blocks:
            check = self._check(tracked.keyword, entry)
            if check is None:
                continue
            problems: list[str] = []
            parseCheck(table.Table(check, problems))
            if problems:
                self._notes.lost(entry.place, entry.text, problems[0])
            else:
                found.append({**check, "effect": self._effect(tracked.keyword, entry, weighted)})
        return found

    def unused(self) -> None:
        """Tell what is defined, and tracked by nobody."""
        for name, statement in {**self._scripts, **self._processes}.items():
            if name not in self._used:
                self._notes.differs(statement.place, statement.text, "nothing tracks it")

    def _check(self, kind: str, entry: ConfStatement) -> dict[str, Any] | None:
        name = entry.keyword
        self._used.add(name)
        if _reverse(entry):
            self._notes.lost(
                entry.place, entry.text, "no check here is turned round: check for the opposite"
            )
            return None
        if kind == "track_interface":
            return {"carrier": name, **_AT_ONCE}
        definition = (self._scripts if kind == "track_script" else self._processes).get(name)
        if definition is None:
            self._notes.lost(entry.place, entry.text, f"there is no such {kind[6:]}")
            return None
        says = {inner.keyword: inner for inner in definition.blocks}
        return (
            self._process(says, definition)
            if kind == "track_process"
            else self._script(says, definition)
        )

    def _script(
        self, says: Mapping[str, ConfStatement], definition: ConfStatement
    ) -> dict[str, Any] | None:
        script = says.get("script")
        if script is None or len(script.words) < 2:
            self._notes.lost(definition.place, definition.text, "it has no script")
            return None
        check = self._program(script)
        if check is None:
            return None
        interval = self._number(says, "interval", 1.0, 0.1, 86400)
        check["interval"] = interval
        check["timeout"] = self._number(says, "timeout", min(interval, 3600), 0.01, 3600)
        check["rise"] = round(self._number(says, "rise", 1, 1, 100))
        check["fall"] = round(self._number(says, "fall", 1, 1, 100))
        if (user := says.get("user")) is not None:
            self._notes.lost(
                user.place,
                user.text,
                "a check runs as the user that the service runs as: set User= in its unit, or use sudo",
            )
        if (initially := says.get("init_fail")) is not None:
            self._notes.differs(
                initially.place, initially.text, "always so: unfit until the first result is known"
            )
        known = {*("script", "interval", "timeout", "rise", "fall", "user", "init_fail", "weight")}
        for other in definition.blocks:
            if other.keyword not in known:
                self._notes.lost(other.place, other.text, "it is no word of a script")
        return check

    def _program(self, script: ConfStatement) -> dict[str, Any] | None:
        text = script.words[1] if len(script.words) == 2 else shlex.join(script.words[1:])
        if match := _TCP.match(text.strip()):
            self._notes.differs(
                script.place, script.text, "a TCP connect, made without a shell: {tcp = ...}"
            )
            return {"tcp": f"{match[1]}:{match[2]}"}
        argv = argvOf(text)
        if argv is None:
            self._notes.lost(script.place, script.text, _NO_SHELL)
            return None
        return {"command": list(argv)}

    def _process(
        self, says: Mapping[str, ConfStatement], definition: ConfStatement
    ) -> dict[str, Any] | None:
        process = says.get("process")
        if process is None or len(process.words) != 2 or set(says) - {"process", "weight", "delay"}:
            self._notes.lost(
                definition.place,
                definition.text,
                "only that a process of one name runs is carried over: write a program, and check it",
            )
            return None
        if (delay := says.get("delay")) is not None:
            self._notes.differs(
                delay.place, delay.text, 'it is "fall" and "rise" of the check here'
            )
        return {"process": process.words[1], **_AT_ONCE}

    def _effect(self, kind: str, entry: ConfStatement, weighted: bool) -> str:
        weight = _weightOf(entry)
        if weight is None and kind != "track_interface":
            defined = (self._scripts if kind == "track_script" else self._processes)[entry.keyword]
            own = next((word for word in defined.blocks if word.keyword == "weight"), None)
            weight = _weightOf(own) if own is not None else None
            if own is None and kind == "track_process":
                weight = 1
        if not weight or not weighted:
            return "unfit"
        told = entry.text if "weight" in entry.words else f"{entry.text} weight {weight}"
        self._notes.differs(entry.place, told, _WEIGHT)
        return "degraded"

    def _number(
        self, says: Mapping[str, ConfStatement], key: str, usual: float, least: float, most: float
    ) -> float:
        statement = says.get(key)
        if statement is None:
            return usual
        try:
            number = float(statement.words[1])
        except (IndexError, ValueError):
            number = -1.0
        if not least <= number <= most:
            self._notes.lost(
                statement.place,
                statement.text,
                f"allowed are {least:g} to {most:g}: {usual:g} is written",
            )
            return usual
        return number


def _reverse(entry: ConfStatement) -> bool:
    return "reverse" in entry.words[1:]


def _weightOf(entry: ConfStatement) -> int | None:
    """The weight that a statement names; C{None}: it names none."""
    words = entry.words
    if "weight" not in words[:-1]:
        return None
    try:
        return int(words[words.index("weight") + 1])
    except ValueError:
        return None
