"""Where HTTP is answered, as Twisted describes a server endpoint."""

from __future__ import annotations

import os
import socket
from typing import Any

from twisted.internet.endpoints import serverFromString

EXAMPLE = "tcp:9107:interface=127.0.0.1"


def endpoint(value: object) -> str:
    """
    The description of a server endpoint, if it is one. What is missing only here, such as a certificate, is told
    when it is to listen.

    @raise ValueError: it is none; a sentence that says what is allowed.
    """
    allowed = f"allowed is a server endpoint of Twisted, such as {EXAMPLE}"
    if not isinstance(value, str):
        raise ValueError(allowed)
    nothing: Any = None
    try:
        # Making one opens nothing, and only keeps the reactor.
        made = serverFromString(nothing, value)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{allowed} ({str(error) or type(error).__name__})") from error
    except Exception:
        return value
    port = getattr(made, "_port", 0)
    if isinstance(port, int) and not 0 <= port < 65536:
        raise ValueError(f"{allowed} (a port is 0 to 65535)")
    return value


def unusable(description: str) -> str:
    """
    Why nobody could listen there now, as far as a look can tell; C{""}: nothing is in the way.

    @param description: one that L{endpoint} accepts.
    """
    nothing: Any = None
    try:
        made = serverFromString(nothing, description)
    except Exception as error:  # a certificate that is no file, for example
        return str(error) or type(error).__name__
    path, port = getattr(made, "_address", None), getattr(made, "_port", None)
    if isinstance(path, str):
        directory = os.path.dirname(path) or "."
        return "" if os.access(directory, os.W_OK | os.X_OK) else f"{directory} cannot be written"
    if not isinstance(port, int):
        return ""
    interface = getattr(made, "_interface", "") or ""
    family = socket.AF_INET6 if ":" in interface else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((interface, port))
            probe.listen(1)
    except OSError as error:
        return f"cannot listen there: {error.strerror or error}"
    return ""
