"""What every unit test has under pytest: a directory of its own, as with trial, and no long pauses."""

from __future__ import annotations

import gc
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


def pytest_collection_finish() -> None:
    """
    Leave what the suite consists of out of every later garbage collection.

    A full one with it takes half a second of a free processor, and two seconds of one with a load of 10. In a node that
    keeps time in this process the guard fires meanwhile, as it should.
    """
    gc.collect()
    gc.freeze()
