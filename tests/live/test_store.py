"""The store on a file system that is really full."""

from __future__ import annotations

import contextlib
import os
import pathlib
import subprocess
from collections.abc import Iterator

import pytest
import pytest_twisted
from twisted.internet import reactor

from hatwist.core.claims import Grant, Record
from hatwist.runtime.store import Store

RECORD = Record(65, Grant("beta", 1_700_000_000_000, 7))


def fill(path: pathlib.Path) -> None:
    """Write until there is no space."""
    with open(path, "wb", 0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(1024))


@pytest.fixture
def small(tmp_path: pathlib.Path) -> Iterator[pathlib.Path]:
    """A file system of 16 KiB; it is unmounted afterwards."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16k", "hatwist", tmp_path], check=True)
    yield tmp_path
    subprocess.run(["umount", tmp_path], check=True)


@pytest_twisted.ensureDeferred
async def test_full(small: pathlib.Path) -> None:
    """A write that finds no space fails, what was there survives, and the next one with space is done."""
    store = Store.of(reactor, str(small / "state"), "home", "alpha")
    await store.write(1, {"web": RECORD})
    filler = small / "filler"
    fill(filler)
    with pytest.raises(OSError, match="No space left"):
        await store.write(2, {"web": RECORD._replace(reserved=129)})
    assert os.listdir(small / "state") == ["home.alpha.json"]
    again = Store.of(reactor, str(small / "state"), "home", "alpha")
    again.read()
    assert (again.session, again.records) == (1, {"web": RECORD})
    filler.unlink()
    await store.write(2, {"web": RECORD._replace(reserved=129)})
    again.read()
    assert (again.session, again.records["web"].reserved) == (2, 129)
