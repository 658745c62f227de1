"""Where HTTP is answered, as Twisted describes a server endpoint."""

from __future__ import annotations

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
