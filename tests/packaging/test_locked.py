"""requirements.txt: what the documented installation gets, and what is asked of it."""

from __future__ import annotations

import configparser
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import hatwist
from tests.packaging.test_wheel import SOURCE, run

pytest_plugins = ("tests.packaging.test_wheel",)

LOCK = SOURCE / "requirements.txt"
AUDIT = SOURCE / ".ci" / "audit"


def locked() -> dict[str, str]:
    """The version of each package."""
    return dict(re.findall(r"^([a-z0-9.-]+)==(\S+) ", LOCK.read_text(), re.MULTILINE))


def test_allowed() -> None:
    """It has a version of every package that setup.cfg and the build ask for, and one that they allow."""
    config = configparser.ConfigParser()
    config.read(SOURCE / "setup.cfg")
    wanted = [
        Requirement(line) for line in config["options"]["install_requires"].split("\n") if line
    ]
    wanted.append(Requirement("setuptools>=64"))
    assert len(wanted) == 6
    for requirement in wanted:
        version = locked().get(canonicalize_name(requirement.name))
        assert version is not None, requirement
        assert requirement.specifier.contains(version), (requirement, version)


def test_hashes() -> None:
    """Every package has a hash, without which pip would refuse the file."""
    entries = re.split(r"^(?=[a-z0-9.-]+==)", LOCK.read_text(), flags=re.MULTILINE)[1:]
    assert len(entries) == len(locked()) > 10
    for entry in entries:
        assert "--hash=sha256:" in entry, entry


def test_documented(source: Path, tmp_path: Path) -> None:
    """The commands of README.rst install it, from files whose hashes are those in the lock, and it runs."""
    (block,) = re.findall(
        r"::\n\n((?:    .*\n)+)", (SOURCE / "README.rst").read_text().split("Two hosts")[1]
    )[:1]
    commands = [
        line.strip().replace("/opt/hatwist", str(tmp_path / "opt")) for line in block.splitlines()
    ]
    assert any("--require-hashes" in command for command in commands)
    for command in commands:
        run("sh", "-ec", command.replace("python3", sys.executable), cwd=source)
    there = tmp_path / "opt" / "bin"
    assert hatwist.__version__ in run(there / "hatwist", "--version", cwd=tmp_path)
    assert "--priority" in run(there / "twistd", "ha", "--help", cwd=tmp_path)


GOOD = {"name": "attrs", "version": "1", "vulns": []}
BAD = {"name": "six", "version": "1", "vulns": [{"id": "X-1", "fix_versions": ["2"]}]}
UNKNOWN = {"name": "idna", "skip_reason": "Dependency not found on PyPI"}


@pytest.mark.parametrize(
    ("found", "status", "says"),
    [
        ([GOOD], 0, "1 packages have no known vulnerability"),
        ([GOOD, BAD], 1, "six 1: X-1, fixed in 2"),
        ([GOOD, UNKNOWN], 2, "Not audited: 1 of 2 packages are not in the database"),
        ([BAD, UNKNOWN], 1, "six 1: X-1"),
        (
            None,
            2,
            "Not audited: the database of vulnerabilities cannot be asked: ConnectionError: no way",
        ),
    ],
    ids=["good", "vulnerable", "unknown", "both", "offline"],
)
def test_audit(found: list[Any] | None, status: int, says: str, tmp_path: Path) -> None:
    """make audit tells a vulnerability, and never takes a database that cannot be asked for a good answer."""
    program = tmp_path / "pip-audit"
    said = json.dumps({"dependencies": found}) if found is not None else ""
    program.write_text(
        f"#!/bin/sh\nprintf '%s' '{said}'\necho 'ConnectionError: no way' >&2\nexit 1\n"
    )
    program.chmod(0o755)
    done = subprocess.run(
        [sys.executable, AUDIT, program, LOCK],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == status, done.stdout
    assert says in done.stdout
