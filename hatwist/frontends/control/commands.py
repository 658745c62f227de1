"""What can be asked of a daemon: AMP commands, each with JSON in and JSON out."""

from __future__ import annotations

from typing import Any

from twisted.protocols import amp

from hatwist.frontends.control import boxes
from hatwist.frontends.control.boxes import CommandRefused


class Json(amp.Argument):
    """A value of any size, in pieces; see L{hatwist.frontends.control.boxes}."""

    def toBox(self, name: bytes, strings: dict[bytes, bytes], objects: Any, proto: Any) -> None:
        strings.update(boxes.pieces(name.decode("ascii"), objects[name.decode("ascii")]))

    def fromBox(self, name: bytes, strings: dict[bytes, bytes], objects: Any, proto: Any) -> None:
        called = name.decode("ascii")
        try:
            objects[called] = boxes.joined(called, strings)
        except ValueError:
            objects[called] = (
                None  # which is refused, as all but an object is; AMP would log a traceback
            )


class JsonCommand(amp.Command):
    """What all have in common: C{arguments}, an object of names and values, and C{answer}."""

    arguments = [(b"arguments", Json())]
    response = [(b"answer", Json())]
    errors = {CommandRefused: b"REFUSED"}


class StatusCommand(JsonCommand):
    """The answer is L{hatwist.service.status.status}."""

    commandName = b"Status"


class WatchCommand(JsonCommand):
    """The same, at the next role change of any node or after C{wait} seconds."""

    commandName = b"Watch"


class WhyCommand(JsonCommand):
    """C{group} or all, C{full} for the flight recorder; the answer has C{groups}, C{troubles} and C{recorder}."""

    commandName = b"Why"


class HistoryCommand(JsonCommand):
    """C{group} or all, C{limit} or everything; the answer is a list of L{hatwist.runtime.history.Entry} as objects."""

    commandName = b"History"


class MoveCommand(JsonCommand):
    """
    C{group}, C{node}; the answer has C{plan}, and, unless C{dry}, C{moves}: one object for each group with C{group},
    C{from}, C{to}, C{dark} (seconds from the release to the new holder, by the daemon's clock) and C{total}.
    """

    commandName = b"Move"


class DrainCommand(JsonCommand):
    """C{force} though nobody else can take a group; the answer is as for L{MoveCommand}."""

    commandName = b"Drain"


class UndrainCommand(JsonCommand):
    """The answer is as for L{MoveCommand}."""

    commandName = b"Undrain"


class AnnounceCommand(JsonCommand):
    """C{group} or all that are held here; the answer has C{groups}."""

    commandName = b"Announce"


class LogLevelCommand(JsonCommand):
    """C{level}, C{namespace}; the answer has the same."""

    commandName = b"LogLevel"


class PreviewCommand(JsonCommand):
    """The answer has C{changes}, a list of sentences: what a L{ReloadCommand} would do; none: there are none."""

    commandName = b"Preview"


class ReloadCommand(JsonCommand):
    """The answer has C{changes}, as above, which are done, and C{total}, the seconds that it took."""

    commandName = b"Reload"
