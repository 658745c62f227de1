"""The blocking client of the control socket, for commands: no reactor, no Twisted."""

from __future__ import annotations

import os
import socket
from types import TracebackType
from typing import Any

from hatwist.frontends.control import boxes, place
from hatwist.frontends.control.boxes import CommandRefused
from hatwist.frontends.control.times import PATIENCE


class NotRunning(Exception):
    """No daemon listens; the text says where that was looked for."""


class Unclear(Exception):
    """Several daemons are there, or none may be asked; the text says what to do."""


def find(path: str | None = None) -> str:
    """
    The socket of the daemon that is meant.

    @param path: as given; C{None}: the only one that listens in the usual directory.
    @raise NotRunning: there is none.
    @raise Unclear: there are several.
    """
    if path is not None:
        return path
    where = place.directory()
    if os.path.isdir(where) and not os.access(where, os.R_OK | os.X_OK):
        raise Unclear(f"{where} may not be read: run this as root, or as the daemon's user")
    there = place.sockets(where)
    live = []
    for name in there:
        try:
            if place.answers(name):
                live.append(name)
        except PermissionError:
            live.append(name)  # asking it will say so
        except OSError:
            pass
    if not live:
        raise NotRunning(f"no daemon is running: nothing listens in {where}")
    if len(live) > 1:
        names = "".join(f"\n  --control {name}" for name in live)
        raise Unclear(f"several daemons are running; say which one is meant:{names}")
    return live[0]


class Client:
    """
    One connection.

    @param path: the socket.
    @raise NotRunning: nobody listens there.
    @raise Unclear: it may not be asked.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._data = b""
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(PATIENCE)
        try:
            self._socket.connect(path)
        except (FileNotFoundError, ConnectionRefusedError):
            self._socket.close()
            raise NotRunning(f"no daemon is running: nothing listens on {path}") from None
        except PermissionError:
            self._socket.close()
            raise Unclear(
                f"{path} may not be used: run this as root, or as the daemon's user"
            ) from None
        except OSError as e:
            self._socket.close()
            raise Unclear(f"{path} cannot be used: {e.strerror or e}") from None

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._socket.close()

    def call(self, command: str, patience: float = PATIENCE, /, **arguments: Any) -> Any:
        """
        Ask, and wait for the answer.

        @param patience: seconds it may take.
        @param arguments: whatever goes into JSON.
        @raise CommandRefused: with what the daemon says.
        @raise NotRunning: it ended meanwhile.
        @raise Unclear: it did not answer in time, or with what is no answer.
        """
        box = {b"_command": command.encode("ascii"), b"_ask": b"1"}
        box.update(boxes.pieces("arguments", arguments))
        self._socket.settimeout(patience)
        try:
            self._socket.sendall(boxes.encode(box))
            answer = self._receive()
        except TimeoutError:
            raise Unclear(
                f"the daemon did not answer within {patience:g} s ({self.path}): it hangs, or is stopped"
            ) from None
        except (ConnectionResetError, BrokenPipeError):
            answer = None
        except ValueError as e:
            raise Unclear(f"{self.path}: {e}") from None
        if answer is None:
            raise NotRunning(
                f"the daemon closed the connection ({self.path}): it ended, or you are neither root nor its user"
            )
        if b"_error_code" in answer:
            said = answer.get(b"_error_description", b"").decode("utf-8", "replace")
            if answer[b"_error_code"] == b"UNHANDLED":
                said = f"this daemon does not know {command!r}: it is of another version"
            raise CommandRefused(said)
        return boxes.joined("answer", answer)

    def _receive(self) -> dict[bytes, bytes] | None:
        while (found := boxes.decode(self._data)) is None:
            more = self._socket.recv(1 << 18)
            if not more:
                return None
            self._data += more
        box, self._data = found
        return box
