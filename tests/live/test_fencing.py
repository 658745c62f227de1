"""Never two holders, on real daemons: each layer by the fault that it is there for."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import pytest_twisted
from twisted.internet import reactor

from hatwist.lab import scenarios
from hatwist.lab.lab import HOSTS, Lab

ROUNDS = 3


@asynccontextmanager
async def running(*more: str, hosts: tuple[str, ...] = HOSTS, links: int = 1) -> AsyncIterator[Lab]:
    """Daemons with these further options, settled; gone afterwards, and what they said if a test fails."""
    lab = Lab(reactor, hosts=hosts, more=more, links=links)
    try:
        await lab.start()
        yield lab
    except BaseException:
        print(lab.said())
        raise
    finally:
        await lab.close()


@pytest.mark.parametrize("name", ["daemon-killed", "holder-frozen", "both-killed"])
@pytest_twisted.ensureDeferred
async def test_daemon(lab: Lab, name: str) -> None:
    """A daemon that is killed or hangs is no holder for longer than its guard, or the kernel, allows."""
    for _ in range(2):
        found = await scenarios.play(name, lab)
        print(found)
        assert found.ok or found.stalled, found


@pytest_twisted.ensureDeferred
async def test_cablePulled() -> None:
    """With a second link a holder whose service cable is pulled hands over at once."""
    async with running("--link", "eth0", "--link", "eth1", links=2) as lab:
        outages = []
        for _ in range(ROUNDS):
            await lab.settle()
            await lab.anyMoment()
            since = await lab.judge.mark()
            lab.host(lab.best).unplug()
            await lab.judge.untilAnsweredBy(lab.address, lab.second)
            report = await lab.judge.report(lab.address, since)
            assert report.twoHolders == 0
            outages.append(report.outage)
            lab.host(lab.best).plug()
        print("outages in ms:", [round(1e3 * outage, 1) for outage in outages])
        assert min(outages) <= 0.050


@pytest_twisted.ensureDeferred
async def test_linkLost() -> None:
    """A node is gone only when all its links are silent."""
    async with running("--link", "eth0", "--link", "eth1", links=2) as lab:
        since = await lab.judge.mark()
        for name in lab.names[1:]:
            lab.lan.cut(lab.best, name, link=1)
        await lab.programs[lab.second].says("link-silent alpha")
        lab.lan.healAll()
        await lab.programs[lab.second].says("link-heard alpha")
        report = await lab.judge.report(lab.address, since)
        assert report.holders == ((lab.best,),)


@pytest_twisted.ensureDeferred
async def test_witness() -> None:
    """Of two nodes the one that is cut off from the other and the witness lets go first."""
    tolerance = "--tolerance", "0.45"
    client = "10.99.0.200"
    async with running("--witness", client, *tolerance, hosts=("alpha", "beta")) as lab:
        for _ in range(ROUNDS):
            await lab.settle()
            await lab.anyMoment()
            since = await lab.judge.mark()
            lab.lan.isolate(lab.best)
            await lab.judge.untilHeldBy(lab.address, lab.second)
            await lab.elapse(1.0)
            report = await lab.judge.report(lab.address, since)
            assert report.twoHolders == 0, report


@pytest_twisted.ensureDeferred
async def test_heartbeatsFiltered() -> None:
    """While the LAN answers for the address a standby that hears no heartbeats stays, and says why."""
    async with running(hosts=("alpha", "beta")) as lab:
        since = await lab.judge.mark()
        lab.lan.block(lab.best, 5555)
        await lab.programs[lab.second].says("still-served in default")
        await lab.elapse(4 * lab.tolerance)
        report = await lab.judge.report(lab.address, since)
        assert report.holders == ((lab.best,),)
        lab.host(lab.best).powerOff()
        await lab.judge.untilAnsweredBy(lab.address, lab.second)


def faults(lab: Lab, chance: random.Random) -> list[Callable[[], Any]]:
    """One of every kind of fault, at random nodes."""
    one, two = chance.sample(lab.names, 2)
    host, program = lab.host(one), lab.programs[one]
    return [
        program.kill,
        program.freeze,
        lambda: lab.lan.isolate(one),
        lambda: lab.lan.cut(one, two),
        lambda: lab.lan.cut(one, two, oneWay=True),
        lab.lan.healAll,
        host.thaw,
        lambda: lab.runs(one) or lab.run(one),
    ]


@pytest.mark.parametrize("seed", range(4))
@pytest_twisted.ensureDeferred
async def test_majority(seed: int) -> None:
    """Under random faults of three nodes that vote no instant has two holders, and a majority has one."""
    chance = random.Random(seed)
    async with running("--quorum", "majority", "--members", ",".join(HOSTS)) as lab:
        since = await lab.judge.mark()
        for _ in range(6):
            chance.choice(faults(lab, chance))()
            await lab.elapse(chance.choice((0.1, 0.3, 0.6, 1.2)))
        lab.lan.healAll()
        for name in lab.names:
            lab.host(name).thaw()
            if not lab.runs(name):
                lab.run(name)
        await lab.judge.until(
            lambda: len(lab.judge.holders(lab.address)) == 1, "one node holds", 10.0
        )
        report = await lab.judge.report(lab.address, since)
        assert report.twoHolders == 0, report
