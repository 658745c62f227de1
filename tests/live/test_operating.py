"""
What an operator does on purpose: every scenario once.

Medians of twenty: C{hatwist lab move drain --repeat 20}.
"""

from __future__ import annotations

import pytest
import pytest_twisted

from hatwist.lab import operating, scenarios
from hatwist.lab.lab import Lab


@pytest.mark.parametrize("name", list(operating.SCENARIOS))
@pytest_twisted.ensureDeferred
async def test_scenario(lab: Lab, name: str) -> None:
    """Moves and drains keep their bounds: clients hardly notice, and there are never two holders."""
    for _ in range(3):
        result = await scenarios.play(name, lab)
        if result.ok or not result.excused(lab.tolerance):
            break
    assert result.ok, f"{result}\n{result.found}"
