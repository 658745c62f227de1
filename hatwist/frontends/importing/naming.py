"""Names that hatwist takes, made of names that others take."""

from __future__ import annotations

import re
from collections.abc import Collection


def fresh(name: str, taken: Collection[str] = ()) -> str:
    """
    A name for a group, cluster or node: 1 to 63 letters, digits, '.', '_' and '-', and none of C{taken}.
    """
    base = re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-")[:55] or "group"
    found, number = base, 1
    while found in taken:
        number += 1
        found = f"{base}-{number}"
    return found
