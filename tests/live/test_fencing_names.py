"""Mistakes in the configuration of a cluster: each is named on both nodes, and no address is fought for."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import pytest
import pytest_twisted
from twisted.internet import reactor

from hatwist.lab.capture import Capture, Frame
from hatwist.lab.lab import Lab, haDaemon

SPAN = 2.0
"""Seconds after which everything has settled."""


def changed(*more: str) -> Callable[[Lab, str], Sequence[str]]:
    """Alpha runs as always, beta with these options too, of which the last one counts."""
    return lambda lab, host: [*haDaemon(lab, host), *(more if host == "beta" else ())]


def isAnnouncement(frame: Frame) -> bool:
    """Is it a gratuitous ARP?"""
    return frame.kind == 0x0806 and frame.data[28:32] == frame.data[38:42]


async def together(lab: Lab) -> None:
    """Start both at once, and look on."""
    await lab.judge.start()
    await lab.judge.watch(lab.address)
    seen = Capture(lab.lan.client, reactor)
    for name in lab.names:
        lab.run(name)
    await lab.judge.until(lambda: lab.judge.holders(lab.address), "a holder")
    await lab.elapse(SPAN)
    since = await lab.judge.mark()
    await lab.elapse(SPAN)
    report = await lab.judge.report(lab.address, since)
    changes = [c for c in lab.judge.changes if c.address == lab.address]
    announced = [frame for frame in seen.close() if isAnnouncement(frame)]
    print(f"{len(changes)} changes, {len(announced)} announcements, then {report.holders}")
    print(lab.said())
    assert len(report.holders) == 1, lab.said()
    assert len(report.holders[0]) == 1, lab.said()
    assert report.outage < 0.1 + report.stalled
    # A claim announces five times at once and in the seconds after, in two forms.
    assert len(changes) <= 5, changes
    assert len(announced) <= 40, lab.said()


@pytest.mark.parametrize("apart", [0.0, 1.5])
@pytest_twisted.ensureDeferred
async def test_sameName(apart: float) -> None:
    """Two nodes of one name, started together or one later: one goes on, the other says why it does not."""
    lab = Lab(reactor, hosts=("alpha", "beta"), daemon=changed("--node", "alpha"))
    try:
        if apart:
            await lab.judge.start()
            lab.run("alpha")
            await lab.judge.untilHeldBy(lab.address, "alpha")
            await lab.elapse(apart)
            since = await lab.judge.mark()
            lab.run("beta")
            await lab.elapse(SPAN)
            report = await lab.judge.report(lab.address, since)
            print(report.held)
            print(lab.said())
            assert report.twoHolders == 0, lab.said()
            assert report.holders == (("alpha",),), lab.said()
            await lab.programs["beta"].says("same-name alpha: 10[.]99[.]0[.]1[0-9]* runs a node of")
        else:
            await together(lab)
            said = "this one is silent, and holds nothing"
            assert lab.said().count(said) == 1, lab.said()
    finally:
        await lab.close()


@pytest_twisted.ensureDeferred
async def test_sameNameAmongThree() -> None:
    """
    With a third node: the incumbent keeps the address, the newcomer is silent, and takes part by itself when the
    name is free.
    """
    lab = Lab(reactor, hosts=("alpha", "beta", "gamma"), daemon=changed("--node", "alpha"))
    try:
        await lab.judge.start()
        await lab.judge.watch(lab.address)
        lab.run("alpha")
        await lab.judge.untilHeldBy(lab.address, "alpha")
        lab.run("gamma")
        await lab.elapse(SPAN)
        since = await lab.judge.mark()
        lab.run("beta")
        await lab.programs["beta"].says("same-name alpha: .* this one is silent")
        await lab.elapse(SPAN)
        report = await lab.judge.report(lab.address, since)
        assert report.holders == (("alpha",),), lab.said()
        assert "same-name" not in lab.programs["alpha"].tail(1000), lab.said()
        lab.programs["alpha"].kill()
        await lab.judge.untilHeldBy(lab.address, "gamma")
        await lab.programs["beta"].says("name-free")
        # It is worthier than the third node.
        await lab.judge.untilHeldBy(lab.address, "beta")
        report = await lab.judge.report(lab.address, since)
        assert report.twoHolders == 0, lab.said()
    finally:
        await lab.close()


@pytest.mark.parametrize(
    "more",
    [
        ("--address", "10.99.0.101/24"),
        ("--tolerance", "0.7"),
        ("--no-preempt",),
        ("--quorum", "majority", "--members", "alpha,beta"),
        ("--witness", "10.99.0.200"),
    ],
    ids=lambda more: more[0],
)
@pytest_twisted.ensureDeferred
async def test_differentConfiguration(more: tuple[str, ...]) -> None:
    """Nodes of different shared configuration: both say of each other that it differs, and one holds."""
    lab = Lab(reactor, hosts=("alpha", "beta"), daemon=changed(*more))
    try:
        await together(lab)
        for name, other in (("alpha", "beta"), ("beta", "alpha")):
            await lab.programs[name].says(f"configuration-differs {re.escape(other)}")
    finally:
        await lab.close()
