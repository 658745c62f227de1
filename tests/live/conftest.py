"""
Live tests run as a whole inside a private world::

    python -m hatwist.lab.world -- python -m pytest tests/live
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_twisted
from twisted.internet import reactor

from hatwist.lab import world
from hatwist.lab.judge import Judge
from hatwist.lab.lan import Lan

HOSTS = ("alpha", "beta", "gamma")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Refuse to touch the interfaces of the machine itself."""
    if items and not world.inside():
        pytest.exit(
            "the live tests make and break network interfaces, so they run in a private world:\n"
            "    python -m hatwist.lab.world -- python -m pytest tests/live",
            returncode=world.IMPOSSIBLE,
        )


@pytest_twisted.async_yield_fixture
async def lan() -> AsyncIterator[Lan]:
    """Hosts alpha, beta, gamma and client on one LAN; gone afterwards, with all that ran there."""
    made = Lan(HOSTS)
    yield made
    await made.close()


@pytest_twisted.async_yield_fixture
async def judge(lan: Lan) -> AsyncIterator[Judge]:
    """A judge that sees all hosts of C{lan}."""
    made = Judge(lan, reactor)
    await made.start()
    yield made
    await made.close()
