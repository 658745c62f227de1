"""The unit file for systemd, with and without its drop-in for root, as systemd itself reads it."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples" / "systemd"
LIKE_THIS = 2.5
"""Exposure, from 0 to 10, that the unit stays below; it needs the network and its rights for the rest."""


@pytest.fixture(params=["user", "root"])
def unit(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """The unit as installed, alone or with root.conf; its programs are there, and do nothing."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("twistd", "hatwist"):
        (programs / name).symlink_to("/bin/true")
    text = (EXAMPLES / "hatwist.service").read_text()
    assert "/opt/hatwist/bin/" in text
    installed = tmp_path / "hatwist.service"
    installed.write_text(text.replace("/opt/hatwist/bin/", f"{programs}/"))
    if request.param == "root":
        beside = tmp_path / "hatwist.service.d"
        beside.mkdir()
        (beside / "root.conf").write_text((EXAMPLES / "root.conf").read_text())
    return installed


def analyze(*arguments: str | Path) -> str:
    """What systemd-analyze says to this, without the state of a systemd that may run here."""
    done = subprocess.run(
        ["systemd-analyze", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "SYSTEMD_COLORS": "0", "LANG": "C"},
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.mark.needs("systemd-analyze")
def test_valid(unit: Path) -> None:
    """systemd reads every line of the unit, and has nothing to say to it."""
    assert analyze("verify", "--man=no", unit) == ""


@pytest.mark.needs("systemd-analyze")
def test_exposure(tmp_path: Path) -> None:
    """The unit's user can do little more than what it is for."""
    copy = tmp_path / "hatwist.service"
    copy.write_text((EXAMPLES / "hatwist.service").read_text())
    said = analyze("security", "--offline=true", "--no-pager", copy)
    (score,) = re.findall(r"exposure level for hatwist\.service: ([0-9.]+)", said)
    assert float(score) < LIKE_THIS


def test_explained() -> None:
    """What docs/systemd.rst says of the unit's lines is in the unit."""
    lines = (EXAMPLES / "hatwist.service").read_text().splitlines()
    said = (EXAMPLES.parents[1] / "docs" / "systemd.rst").read_text()
    explained = re.findall(
        r"``((?:KillMode|OOMPolicy|Restart|StartLimitIntervalSec|Type|WatchdogSec)=[\w-]+)``", said
    )
    assert set(explained) - set(lines) == {"Type=notify-reload"}
    assert len(set(explained)) == 7
