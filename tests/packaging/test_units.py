"""The unit file for systemd, with and without its drop-ins, as systemd itself reads it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples" / "systemd"
LIKE_THIS = 2.5
"""Exposure, from 0 to 10, that the unit stays below; it needs the network and its rights for the rest."""


@pytest.fixture(params=["user", "root", "realtime"])
def unit(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """The unit as installed, alone or with a drop-in; its programs are there, and do nothing."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("twistd", "hatwist"):
        (programs / name).symlink_to("/bin/true")
    text = (EXAMPLES / "hatwist.service").read_text()
    assert "/opt/hatwist/bin/" in text
    installed = tmp_path / "hatwist.service"
    installed.write_text(text.replace("/opt/hatwist/bin/", f"{programs}/"))
    if request.param != "user":
        beside = tmp_path / "hatwist.service.d"
        beside.mkdir()
        name = f"{request.param}.conf"
        (beside / name).write_text((EXAMPLES / name).read_text())
    return installed


@pytest.fixture(params=["user", "root", "realtime"])
def written(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A system's root, after hatwist install-service of this installation."""
    more = [f"--{request.param}"] if request.param != "user" else []
    install(tmp_path, *more)
    return tmp_path


def install(destdir: Path, *more: str) -> subprocess.CompletedProcess[str]:
    """Run hatwist install-service of this installation."""
    command = Path(sys.executable).parent / "hatwist"
    return subprocess.run(
        [command, "install-service", "--destdir", destdir, *more], capture_output=True, text=True
    )


def analyze(*arguments: str | Path, manuals: Path | None = None) -> str:
    """What systemd-analyze says to this, without the state of a systemd that may run here."""
    done = subprocess.run(
        ["systemd-analyze", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={
            **os.environ,
            "SYSTEMD_COLORS": "0",
            "LANG": "C",
            **({"MANPATH": str(manuals)} if manuals else {}),
        },
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.mark.needs("systemd-analyze")
def test_valid(unit: Path) -> None:
    """systemd reads every line of the unit, and has nothing to say to it."""
    assert analyze("verify", "--man=no", unit) == ""


@pytest.mark.needs("systemd-analyze", "man")
def test_written(written: Path) -> None:
    """What install-service writes has paths that exist and manual pages that man finds: systemd has nothing to say."""
    unit = written / "etc/systemd/system/hatwist.service"
    assert analyze("verify", unit, manuals=written / "usr/local/share/man") == ""
    assert "/opt/hatwist/bin" not in unit.read_text()


def test_writtenAgain(tmp_path: Path) -> None:
    """What is there stays: a file that differs is replaced by --force only, and a dry run writes nothing."""
    dry = install(tmp_path, "--dry-run")
    assert dry.returncode == 0
    assert not list(tmp_path.iterdir())
    assert install(tmp_path).stdout.count(": written") == 3
    assert install(tmp_path).stdout.count(": is there already") == 3
    page = tmp_path / "usr/local/share/man/man1/hatwist.1"
    unit = tmp_path / "etc/systemd/system/hatwist.service"
    page.unlink()
    unit.write_text("mine")
    refused = install(tmp_path)
    assert refused.returncode == 1
    assert f"{unit} is there, and differs: --force" in refused.stderr
    assert not page.exists()
    assert install(tmp_path, "--force").returncode == 0
    assert unit.read_text() != "mine"
    assert page.exists()


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
