"""Where the control sockets are."""

from __future__ import annotations

import os
import socket
import stat

DIRECTORY = "/run/hatwist"
SUFFIX = ".sock"
MAX_PATH = 107
"""Bytes of the path of a Unix socket (struct sockaddr_un)."""
OFF = "none"


def directory() -> str:
    """As systemd tells it, for RuntimeDirectory= in a unit, or the usual one."""
    return os.environ.get("RUNTIME_DIRECTORY", "").partition(":")[0] or DIRECTORY


def defaultPath(cluster: str, node: str) -> str:
    """The socket of one node of one cluster."""
    return os.path.join(directory(), f"{cluster}.{node}{SUFFIX}")


def sockets(where: str | None = None) -> list[str]:
    """The sockets in a directory, sorted; none, if it does not exist or may not be read."""
    where = directory() if where is None else where
    try:
        names = os.listdir(where)
    except OSError:
        return []
    return sorted(os.path.join(where, name) for name in names if name.endswith(SUFFIX))


def answers(path: str) -> bool:
    """
    Does a daemon listen there? It is not waited for: who is too busy to answer listens.

    @raise OSError: it cannot be known, for want of permission.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK) as probe:
        try:
            probe.connect(path)
        except (ConnectionRefusedError, FileNotFoundError):
            return False
        except BlockingIOError:
            return True
    return True


def problem(path: str) -> str:
    """Why a daemon cannot listen there, or C{""}. Nothing is changed."""
    if not os.path.isabs(path):
        return f"{path} is not a whole path, such as {DIRECTORY}/web.alpha{SUFFIX}"
    if len(os.fsencode(path)) > MAX_PATH:
        return f"{path} has {len(os.fsencode(path))} bytes; a socket's path has at most {MAX_PATH}"
    parent = os.path.dirname(path)
    if not os.path.isdir(parent):
        return f"there is no directory {parent}"
    if not os.access(parent, os.W_OK | os.X_OK):
        return f"{parent} cannot be written to"
    try:
        kind = os.lstat(path).st_mode
    except FileNotFoundError:
        return ""
    if not stat.S_ISSOCK(kind):
        return f"{path} exists, and is not a socket"
    if answers(path):
        return f"another daemon is listening on {path}; each needs a socket of its own"
    return ""
