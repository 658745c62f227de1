"""What can be asked of a daemon: AMP commands, each with JSON in and JSON out."""

from __future__ import annotations

from typing import Any

from twisted.protocols import amp

from hatwist.frontends.control import boxes


class Refused(Exception):
    """What was asked is not done; the text says why, as a sentence without full stop."""


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


class Question(amp.Command):
    """What all have in common: C{arguments}, an object of names and values, and C{answer}."""

    arguments = [(b"arguments", Json())]
    response = [(b"answer", Json())]
    errors = {Refused: b"REFUSED"}


class Status(Question):
    """The answer is L{hatwist.service.status.status}."""


class Watch(Question):
    """The same, at the next role change of any node or after C{wait} seconds."""


class Why(Question):
    """C{group} or all, C{full} for the flight recorder; the answer has C{groups}, C{troubles} and C{recorder}."""


class History(Question):
    """C{group} or all, C{limit} or everything; the answer is a list of L{hatwist.runtime.history.Entry} as objects."""


class Move(Question):
    """
    C{group}, C{node}; the answer has C{plan}, and, unless C{dry}, C{moves}: one object for each group with C{group},
    C{from}, C{to}, C{dark} (seconds from the release to the new holder, by the daemon's clock) and C{total}.
    """


class Drain(Question):
    """C{force} though nobody else can take a group; the answer is as for L{Move}."""


class Undrain(Question):
    """The answer is as for L{Move}."""


class Announce(Question):
    """C{group} or all that are held here; the answer has C{groups}."""


class LogLevel(Question):
    """C{level}, C{namespace}; the answer has the same."""


class Preview(Question):
    """The answer has C{changes}, a list of sentences: what a L{Reload} would do; none: there are none."""


class Reload(Question):
    """The answer has C{changes}, as above, which are done, and C{total}, the seconds that it took."""
