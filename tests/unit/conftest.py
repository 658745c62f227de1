"""Under pytest too, the unit tests work in a directory of their own, as trial has them do."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(scope="session", autouse=True)
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What trial's C{mktemp} makes does not end up among the sources."""
    before = Path.cwd()
    os.chdir(tmp_path_factory.mktemp("unit"))
    yield
    os.chdir(before)
