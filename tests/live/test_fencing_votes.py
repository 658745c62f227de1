"""Random real faults on three nodes that vote. A hundred: C{python -m hatwist.lab.faults --count 100}."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_twisted
from twisted.internet import reactor

from hatwist.lab.faults import VOTERS, Schedule, play
from hatwist.lab.lab import Lab, Setup

pytestmark = pytest.mark.needs("nft")


class Split(Schedule):
    """The holder is cut off from the others, until one of them holds too."""

    async def faults(self) -> None:
        lab = self._lab
        for other in lab.names[1:]:
            self.cut(lab.best, other)
        await lab.judge.untilHeldBy(lab.address, lab.best, lab.second)


@pytest_twisted.async_yield_fixture(scope="module")
async def voters() -> AsyncIterator[Lab]:
    """Three nodes that vote."""
    made = Lab.of(VOTERS, reactor)
    try:
        await made.start()
        yield made
    finally:
        await made.close()


@pytest.mark.parametrize("seed", range(6))
@pytest_twisted.ensureDeferred
async def test_schedule(voters: Lab, seed: int) -> None:
    """Whatever breaks, no two hosts hold the address; one does whenever a majority is connected."""
    outcome = await play(voters, Schedule(voters, seed))
    print(outcome)
    assert not outcome.problem, outcome.told()


@pytest_twisted.ensureDeferred
async def test_schedulesNotice() -> None:
    """Without votes a holder that is cut off makes two of them, and that is seen and told."""
    lab = Lab.of(Setup(), reactor)
    try:
        await lab.start()
        outcome = await play(lab, Split(lab, 0))
    finally:
        await lab.close()
    assert outcome.twoHolders > 0
    assert "two hosts held the address" in outcome.problem
    assert "alpha+beta from" in outcome.found.splitlines()[0]
    assert "python on alpha:" in outcome.told()
