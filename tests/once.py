"""What both runners need not repeat: C{make test} has two, one on each processor."""

from __future__ import annotations

import os
from typing import TypeVar

T = TypeVar("T")


def once(tests: T) -> T:
    """One runner does these random schedules for both: the one with C{HATWIST_ONCE} in its environment does not."""
    if os.environ.get("HATWIST_ONCE"):
        tests.skip = "the other runner has them"  # type: ignore[attr-defined]
    return tests
