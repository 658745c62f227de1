"""However it is installed, twistd and twist know "ha"."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest

import hatwist

SOURCE = Path(__file__).parents[2]
LEFT_OUT = shutil.ignore_patterns(
    ".git",
    ".venv*",
    "*.egg-info",
    "build",
    "dist",
    "__pycache__",
    "_trial_temp*",
    "tests.unit.*",
    ".*_cache",
)
SHARED = (
    "share/doc/hatwist/examples/NetworkManager/hatwist.conf",
    "share/doc/hatwist/examples/networkd/hatwist.conf",
    "share/doc/hatwist/examples/systemd/49-hatwist.rules",
    "share/doc/hatwist/examples/systemd/hatwist.service",
    "share/doc/hatwist/examples/systemd/realtime.conf",
    "share/doc/hatwist/examples/systemd/root.conf",
    "share/man/man1/hatwist.1",
    "share/man/man5/hatwist.toml.5",
)
"""What is installed below the prefix, beside the package."""
WAYS = ("wheel", "sdist", "plain", "editable")


def run(*command: str | Path, cwd: Path) -> str:
    """Run a command with nothing of this environment's Python, and return what it says."""
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PYTHON", "VIRTUAL_ENV"))
    }
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == 0, f"{command} ended with {done.returncode}:\n{done.stdout}"
    return done.stdout


@pytest.fixture(scope="session")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sources as in a clean checkout."""
    return Path(
        shutil.copytree(SOURCE, tmp_path_factory.mktemp("source") / "hatwist", ignore=LEFT_OUT)
    )


@pytest.fixture(scope="session")
def built(source: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The sdist, and the wheel built from the sdist."""
    made = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--outdir", made, source, cwd=made)
    (sdist,) = made.glob("*.tar.gz")
    (wheel,) = made.glob("*.whl")
    return {"sdist": sdist, "wheel": wheel}


def test_wheelContents(built: dict[str, Path]) -> None:
    """The wheel has every module of the package and the plugin, and nothing in Twisted's way."""
    with zipfile.ZipFile(built["wheel"]) as wheel:
        names = set(wheel.namelist())
    modules = {
        str(path.relative_to(SOURCE))
        for path in (SOURCE / "hatwist").rglob("*.py")
        if "__pycache__" not in path.parts
    }
    assert modules <= names
    assert "twisted/plugins/hatwist_plugin.py" in names
    assert "hatwist/py.typed" in names
    assert not [name for name in names if name.startswith("twisted/") and "__init__" in name]
    assert not [name for name in names if name.startswith("tests/")]
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)
    data = {name.partition(".data/data/")[2] for name in names}
    assert set(SHARED) <= data
    assert not [name for name in data if "systemd/system" in name], "systemd would read it"


def test_sdistContents(built: dict[str, Path]) -> None:
    """The sdist has what it takes to build, test and read the package."""
    with tarfile.open(built["sdist"]) as sdist:
        names = {name.partition("/")[2] for name in sdist.getnames()}
    assert {
        ".ci/audit",
        "CONTRIBUTING.rst",
        "LICENSE",
        "Makefile",
        "NEWS.rst",
        "README.rst",
        "SECURITY.rst",
        "requirements.txt",
        "pyproject.toml",
        "setup.cfg",
        "setup.py",
        "tests/contracts.py",
        "tests/packaging/test_wheel.py",
        "twisted/plugins/hatwist_plugin.py",
    } <= names


@pytest.mark.parametrize("way", WAYS)
def test_installed(way: str, source: Path, built: dict[str, Path], tmp_path: Path) -> None:
    """Installed into an empty environment, by wheel, sdist, sources or editable, "ha" is there."""
    what: dict[str, Sequence[str | Path]] = {
        "wheel": [built["wheel"]],
        "sdist": [built["sdist"]],
        "plain": [source],
        "editable": ["--editable", source],
    }
    run(sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv", cwd=tmp_path)
    there = tmp_path / "venv" / "bin"
    pip: list[str | Path] = [sys.executable, "-m", "pip", "--python", there / "python", "install"]
    run(*pip, "--quiet", "--no-compile", *what[way], cwd=tmp_path)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    assert run(there / "hatwist", "--version", cwd=elsewhere).strip().endswith(hatwist.__version__)
    for program in ("twistd", "twist"):
        listed = run(there / program, "--help", cwd=elsewhere).splitlines()
        assert any(line.split()[:2] == ["ha", "Keep"] for line in listed), (program, listed)
        assert "--priority" in run(there / program, "ha", "--help", cwd=elsewhere)
    run(there / "hatwist", "install-service", "--destdir", tmp_path / "root", cwd=elsewhere)
    unit = (tmp_path / "root/etc/systemd/system/hatwist.service").read_text()
    assert f"\nExecStart={there}/twistd --nodaemon" in unit
    assert (tmp_path / "root/usr/local/share/man/man5/hatwist.toml.5").exists()
