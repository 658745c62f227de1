"""
Live tests run as a whole inside a private world::

    python -m hatwist.lab.world -- python -m pytest tests/live
"""

from __future__ import annotations

import pathlib
import time
from collections.abc import AsyncIterator, Generator

import pytest
import pytest_twisted
from twisted.internet import reactor

from hatwist.lab import world
from hatwist.lab.judge import LabJudge
from hatwist.lab.lab import Lab
from hatwist.lab.lan import LabLan
from hatwist.lab.program import Program
from tests.daemons import processes

# What is waited for here must not end because the machine's clock was set; this process dates nothing.
reactor.seconds = time.monotonic  # type: ignore[method-assign]

HERE = pathlib.Path(__file__).parent
HOSTS = ("alpha", "beta", "gamma")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Refuse to touch the interfaces of the machine itself."""
    if not world.inside() and any(HERE in item.path.parents for item in items):
        pytest.exit(
            "the live tests make and break network interfaces, so they run in a private world:\n"
            "    python -m hatwist.lab.world -- python -m pytest tests/live\n"
            "and the unit tests without: python -m pytest -p no:twisted tests/unit",
            returncode=world.IMPOSSIBLE,
        )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A test that failed shows what its processes said and were doing then, before they are ended."""
    report = yield
    if call.when == "call" and report.failed:
        for fixture in getattr(item, "funcargs", {}).values():
            for program in _programs(fixture):
                report.sections.append((program.name, program.tail(12)))
        report.sections.append(("Processes", processes()))
    return report


def _programs(fixture: object) -> list[Program]:
    """What was started on a LAN."""
    hosts = fixture.hosts.values() if isinstance(fixture, LabLan) else []
    return [program for host in hosts for program in host.programs]


@pytest_twisted.async_yield_fixture
async def lan() -> AsyncIterator[LabLan]:
    """Hosts alpha, beta, gamma and client on one LAN; gone afterwards, with all that ran there."""
    made = LabLan(HOSTS)
    yield made
    await made.close()


@pytest_twisted.async_yield_fixture
async def judge(lan: LabLan) -> AsyncIterator[LabJudge]:
    """A judge that sees all hosts of C{lan}."""
    made = LabJudge(lan, reactor)
    await made.start()
    yield made
    await made.close()


@pytest_twisted.async_yield_fixture(scope="module")
async def lab() -> AsyncIterator[Lab]:
    """
    A LAN, a judge, and C{twistd ha} on three hosts at 0.1 s and 0.35 s, started and settled. One for
    all tests of a module: every scenario begins by undoing what the one before did.
    """
    made = Lab(reactor, hosts=HOSTS)
    try:
        await made.start()
        yield made
    finally:
        await made.close()
