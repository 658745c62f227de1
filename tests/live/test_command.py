"""A pair of commands in the world that the daemon lives in."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest
import pytest_twisted
from twisted.internet import reactor

from hatwist.resources.command import Command
from hatwist.resources.process import IProgramReactor
from tests.contracts import CONTRACT, Part


@pytest.mark.needs("ip")
@pytest.mark.parametrize("part", CONTRACT, ids=lambda part: part.__name__)
@pytest_twisted.ensureDeferred
async def test_contract(part: Part, tmp_path: Path) -> None:
    """A pair of commands that changes the kernel keeps the contract of every resource."""
    change = ["ip", "address", "replace", "10.97.0.1/32", "dev", "lo"]
    undo = ["sh", "-c", "ip address delete 10.97.0.1/32 dev lo || true"]
    check = ["sh", "-c", "ip -o address show dev lo | grep -qF 10.97.0.1/32"]
    await part(Command(cast(IProgramReactor, reactor), change, undo, check=check))
