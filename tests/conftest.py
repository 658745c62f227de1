"""
What every pytest run here shares: which programs a test needs, and whether doing without is allowed.

C{@pytest.mark.needs("keepalived", "nft")} skips a test where one of these programs is missing, and names the Debian
package. With HATWIST_REQUIRE_ALL=1, as .ci/run sets it, every skip is a failure.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Generator
from typing import TypeVar

import pytest

PACKAGES = {
    "chromium": "chromium",
    "conntrack": "conntrack",
    "conntrackd": "conntrackd",
    "faketime": "faketime",
    "ifdown": "ifupdown",
    "ifup": "ifupdown",
    "ip": "iproute2",
    "keepalived": "keepalived",
    "nft": "nftables",
    "promtool": "prometheus",
    "/usr/lib/postgresql/15/bin/postgres": "postgresql-15",
    "psql": "postgresql-client-15",
    "setsid": "util-linux",
    "systemd-analyze": "systemd",
    "tc": "iproute2",
    "ucarp": "ucarp",
    "unshare": "util-linux",
}

Report = TypeVar("Report", pytest.TestReport, pytest.CollectReport)

REQUIRE_ALL = os.environ.get("HATWIST_REQUIRE_ALL") == "1"


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marker, and find what is in sbin: an ordinary user's PATH lacks it."""
    os.environ["PATH"] = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])
    config.addinivalue_line("markers", "needs(*programs): skip where a program is missing")


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what this machine lacks the programs for."""
    programs = [program for mark in item.iter_markers("needs") for program in mark.args]
    missing = {PACKAGES[program] for program in programs if shutil.which(program) is None}
    if missing:
        pytest.skip(f"needs what is not installed: apt-get install {' '.join(sorted(missing))}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Where everything is required, a skipped test has failed."""
    return _required((yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Likewise a module that is skipped as a whole."""
    return _required((yield))


def _required(report: Report) -> Report:
    if REQUIRE_ALL and report.outcome == "skipped" and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"{reason} (HATWIST_REQUIRE_ALL=1: a skip is a failure)"
    return report
