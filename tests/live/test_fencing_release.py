"""A holder that loses its votes, and takes its time to let go of what no guard can release."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_twisted

from tests.recipes import Rig

pytestmark = pytest.mark.needs("nft")

CONFIGURATION = """\
cluster = "slow"
interface = "eth0"
interval = 0.5
tolerance = 2.5
quorum = "majority"
members = ["alpha", "beta", "gamma"]

[group.web]
resources = [
  {address = "10.99.0.100/24"},
  {command = ["take"], undo = ["give"], timeout = 1},
]

[node.alpha]
priority = 200
[node.beta]
priority = 100
[node.gamma]
priority = 50
"""
TAKE = '#!/bin/sh\necho "$HOST takes" >>"$LOG"\n'
# Refused for as long as there is a file of this name.
GIVE = """\
#!/bin/sh
test "$HATWIST_TERM" = 0 && exit
sleep "$(cat "$HERE/slow")"
test ! -e "$HERE/refuses" || exit 1
echo "$HOST has given" >>"$LOG"
"""


@pytest_twisted.async_yield_fixture()
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    """Three nodes that vote; alpha holds."""
    made = Rig(tmp_path, CONFIGURATION, hosts=("alpha", "beta", "gamma"))
    made.install("take", TAKE)
    made.install("give", GIVE)
    (tmp_path / "slow").write_text("0")
    try:
        lab = made.lab
        lab.interval, lab.tolerance = 0.5, 2.5
        await lab.start()
        (tmp_path / "slow").write_text("0.9")
        made.said()
        yield made
    finally:
        await made.close()


def deafen(rig: Rig) -> None:
    """From now on alpha hears nobody, and everybody hears alpha."""
    for other in ("beta", "gamma"):
        rig.lab.lan.cut(other, "alpha", oneWay=True)


@pytest_twisted.ensureDeferred
async def test_inTime(rig: Rig) -> None:
    """A command that takes nearly all of its time is done before another node takes over; no guard fires."""
    since = await rig.lab.judge.mark()
    deafen(rig)
    await rig.until(lambda: "beta takes" in rig.log.read_text(), "another holder")
    assert rig.said() == ["alpha has given", "beta takes"]
    report = await rig.lab.judge.report(rig.lab.address, since)
    assert report.twoHolders == 0
    assert "guard of web fired" not in rig.lab.programs["alpha"].tail(1000)


@pytest_twisted.ensureDeferred
async def test_refused(rig: Rig) -> None:
    """One that fails for ever keeps the votes, since it still holds: nobody else does."""
    (rig.here / "refuses").write_text("")
    deafen(rig)
    await rig.lab.elapse(4 * 2.5)
    assert "takes" not in "".join(rig.said()), rig.lab.said()
    (rig.here / "refuses").unlink()
    await rig.until(lambda: "beta takes" in rig.log.read_text(), "another holder")
    assert rig.said() == ["alpha has given", "beta takes"]
