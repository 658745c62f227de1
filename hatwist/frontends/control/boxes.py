"""
AMP's boxes, and what goes into them here: JSON of any size.

A box holds values of 65,535 bytes at most. Longer JSON is cut into pieces: the first is the value of its key, such as
C{answer}, the others follow as C{answer.1}, C{answer.2} and so on in the same box.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from struct import pack, unpack_from
from typing import Any

MAX_VALUE = 0xFFFF


class CommandRefused(Exception):
    """What was asked is not done; the text says why, as a sentence without full stop."""


def pieces(name: str, value: Any) -> dict[bytes, bytes]:
    """A value as keys and values of a box."""
    data = json.dumps(value, separators=(",", ":")).encode("ascii")
    cut = [data[at : at + MAX_VALUE] for at in range(0, len(data), MAX_VALUE)]
    return {key(name, number): piece for number, piece in enumerate(cut)}


def joined(name: str, box: Mapping[bytes, bytes]) -> Any:
    """
    The value that was cut into pieces.

    @raise ValueError: there is none, or it is not JSON.
    """
    parts: list[bytes] = []
    while (piece := box.get(key(name, len(parts)))) is not None:
        parts.append(piece)
    try:
        return json.loads(b"".join(parts))
    except RecursionError:
        raise ValueError("it is nested too deep") from None


def key(name: str, number: int) -> bytes:
    """What the piece of that number is called."""
    return (f"{name}.{number}" if number else name).encode("ascii")


def encode(box: Mapping[bytes, bytes]) -> bytes:
    """The bytes of a box."""
    parts: list[bytes] = []
    for name, value in box.items():
        parts += [pack("!H", len(name)), name, pack("!H", len(value)), value]
    return b"".join([*parts, b"\0\0"])


def decode(data: bytes) -> tuple[dict[bytes, bytes], bytes] | None:
    """
    The first box in C{data} and what comes after it; C{None}: it is not complete.

    @raise ValueError: these are no boxes.
    """
    box: dict[bytes, bytes] = {}
    at = 0
    while len(data) >= at + 2:
        (size,) = unpack_from("!H", data, at)
        if size == 0:
            return box, data[at + 2 :]
        if size > 255:
            raise ValueError("this is not AMP: a key is longer than 255 bytes")
        if len(data) < at + 4 + size:
            break
        (length,) = unpack_from("!H", data, at + 2 + size)
        end = at + 4 + size + length
        if len(data) < end:
            break
        box[data[at + 2 : at + 2 + size]] = data[end - length : end]
        at = end
    return None
