"""Random real faults on three nodes with groups that have holders of their own. Many: C{make manyfaults}."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytestmark = pytest.mark.needs("nft")


def test_faults() -> None:
    """Some faults on a few groups: never two holders, and calm after each."""
    argv = [sys.executable, "-m", "hatwist.lab.manyfaults", "--groups", "9", "--minutes", "0.2"]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    *steps, summary = done.stdout.splitlines()
    assert len(steps) > 3, done.stdout
    assert summary.endswith("0 failed"), summary
