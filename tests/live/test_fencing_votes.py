"""Random real faults on three nodes that vote. A hundred: C{python -m hatwist.lab.schedules --count 100}."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_twisted
from twisted.internet import reactor

from hatwist.lab.lab import Lab, Setup
from hatwist.lab.schedules import VOTERS, play

pytestmark = pytest.mark.needs("nft")
# Without votes this one has two holders: two nodes do not hear each other for a while.
REVEALING = 0


@pytest_twisted.async_yield_fixture(scope="module")
async def voters() -> AsyncIterator[Lab]:
    """Three nodes that vote."""
    made = Lab.of(VOTERS, reactor)
    try:
        await made.start()
        yield made
    finally:
        await made.close()


@pytest.mark.parametrize("seed", range(10))
@pytest_twisted.ensureDeferred
async def test_schedule(voters: Lab, seed: int) -> None:
    """Whatever breaks, no two hosts hold the address; one does whenever a majority is connected."""
    outcome = await play(voters, seed)
    print(outcome)
    assert not outcome.problem, outcome.told()


@pytest_twisted.ensureDeferred
async def test_schedulesNotice() -> None:
    """The same faults without votes bring about two holders, and that is seen and told."""
    lab = Lab.of(Setup(), reactor)
    try:
        await lab.start()
        outcome = await play(lab, REVEALING)
    finally:
        await lab.close()
    assert outcome.twoHolders > 0
    assert "two hosts held the address" in outcome.problem
    assert "+" in outcome.found.splitlines()[0]
    assert "python on alpha:" in outcome.told()
