"""What keepalived runs when a state changes, as the commands of events."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from hatwist.frontends.importing.draft import Argv
from hatwist.frontends.importing.keepalived.braces import ConfStatement
from hatwist.frontends.importing.keepalived.tracking import argvOf
from hatwist.frontends.importing.notes import Notes

NOTIFIES = ("notify_master", "notify_backup", "notify")
_EVENTS = {
    "notify_master": ("acquired",),
    "notify_backup": ("released",),
    "notify": ("acquired", "released"),
}
_STATES = {"acquired": "MASTER", "released": "BACKUP"}
_BACKUP = (
    'it is run by the event "released", which is told when something was held, also before a stop and after a '
    "failing check; not when a node starts"
)
_NOTIFY = (
    "it is run with MASTER when the addresses are held, and with BACKUP when they are held no more; FAULT and STOP "
    "are BACKUP too, and its last argument, the priority, is always 100. HATWIST_REASON says why"
)


def hooks(
    statements: Iterable[ConfStatement], kind: str, name: str, notes: Notes
) -> dict[str, tuple[Argv, ...]]:
    """
    The commands of each event.

    @param kind: C{"INSTANCE"} or C{"GROUP"}, which C{notify} hands to its script with the name.
    """
    found: dict[str, tuple[Argv, ...]] = {}
    # keepalived runs "notify" after the others.
    for statement in sorted(statements, key=lambda each: each.keyword == "notify"):
        argv = _argv(statement, notes)
        if argv is None:
            continue
        for event in _EVENTS[statement.keyword]:
            more = (kind, name, _STATES[event], "100") if statement.keyword == "notify" else ()
            found[event] = (*found.get(event, ()), (*argv, *more))
        if statement.keyword == "notify_backup":
            notes.differs(statement.place, statement.text, _BACKUP)
        elif statement.keyword == "notify":
            notes.differs(statement.place, statement.text, _NOTIFY)
    return found


def _argv(statement: ConfStatement, notes: Notes) -> Argv | None:
    words: Sequence[str] = statement.words[1:]
    argv = argvOf(words[0]) if words else None
    if argv is None:
        notes.lost(
            statement.place,
            statement.text,
            'no shell reads it here: put it into a file, and name that in the group\'s "on"',
        )
    elif len(words) > 1:
        notes.lost(
            statement.place,
            f"{statement.keyword} ... {' '.join(words[1:])}",
            "it is run as the user that the service runs as: set User= in its unit, or use sudo",
        )
    return argv
