"""
The faults that the demo, the live tests and the benchmark share, and what may come of each.

Each scenario takes a L{Lab} in any state, brings it to the beginning it needs, makes one
fault, and returns what the judge saw of it.
"""

from __future__ import annotations

import signal
import time

from hatwist.core.errors import HatwistError
from hatwist.lab import fencing, operating
from hatwist.lab.lab import PLAIN, Lab, Setup
from hatwist.lab.measurement import (
    NO_HOLDER,
    OUTAGE,
    RIGHT_HOST,
    Measurement,
    Scenario,
    measured,
    neverTwo,
    takenOver,
)
from hatwist.lab.verdict import Report

WITHOUT_VOTES = (
    "Nothing votes here, so both sides of the cut hold until it heals. cut-with-votes is the same cut "
    "with --quorum majority."
)


async def powerLoss(lab: Lab) -> Measurement:
    """The holder's host dies without a word; the next in line answers instead."""
    await lab.settle()
    await lab.anyMoment()
    since = await lab.judge.mark()
    lab.host(lab.best).powerOff()
    report = await takenOver(lab, since, lab.second)
    bound = lab.tolerance + 0.005
    return measured(report, OUTAGE, report.outage, bound, neverTwo(report))


async def worthierReturns(lab: Lab) -> Measurement:
    """The worthiest node comes back and is handed the address."""
    await lab.without(lab.best)
    since = await lab.judge.mark()
    lab.host(lab.best).powerOn()
    lab.run(lab.best)
    await lab.untilOnly(lab.best)
    report = await takenOver(lab, since, lab.best)
    problem = neverTwo(report)
    return measured(report, OUTAGE, report.outage, 0.020, problem)


async def cleanStop(lab: Lab) -> Measurement:
    """The holder's daemon is stopped by SIGTERM, and hands over before it ends."""
    await lab.settle()
    await lab.anyMoment()
    since = await lab.judge.mark()
    daemon = lab.programs[lab.best]
    daemon.stop()
    report = await takenOver(lab, since, lab.second)
    status = await daemon.ended()
    # twistd shuts down cleanly, and then ends itself by the signal that it was stopped with.
    clean = status in (0, 128 + signal.SIGTERM)
    problem = neverTwo(report) if clean else f"exit status {status}"
    return measured(report, OUTAGE, report.outage, 0.020, problem)


async def standbyFrozen(lab: Lab, seconds: float = 3.0) -> Measurement:
    """A standby's daemon hangs for a while and goes on; that is no reason for a takeover."""
    await lab.settle()
    await lab.anyMoment()
    since = await lab.judge.mark()
    lab.programs[lab.second].freeze()
    await lab.elapse(seconds)
    lab.programs[lab.second].thaw()
    await lab.elapse(2 * lab.tolerance)
    report = await lab.judge.report(lab.address, since)
    problem = "" if report.holders == ((lab.best,),) else f"held by {report.holders} in turn"
    return measured(report, OUTAGE, report.outage, 0.020, problem)


async def unplugged(lab: Lab) -> Measurement:
    """The holder's cable is pulled; the next in line answers instead."""
    await lab.settle()
    await lab.anyMoment()
    since = await lab.judge.mark()
    lab.host(lab.best).unplug()
    report = await takenOver(lab, since, lab.second)
    return measured(report, OUTAGE, report.outage, lab.tolerance + 0.005)


async def pluggedIn(lab: Lab, seconds: float = 1.0) -> Measurement:
    """The cable is put back; the client reaches the right host, and hardly notices."""
    await lab.settle()
    lab.host(lab.best).unplug()
    await lab.judge.untilAnsweredBy(lab.address, lab.second)
    await lab.elapse(seconds)
    await lab.anyMoment()
    keptIt = lab.best in lab.judge.holders(lab.address)
    lab.host(lab.best).plug()
    since = time.monotonic()
    await lab.untilOnly(lab.best)
    report = await takenOver(lab, since, lab.best)
    if keptIt:
        # Two hosts held it, out of each other's sight: now one of them must yield.
        return _reached(lab, report, report)
    return measured(report, OUTAGE, report.outage, 0.100)


async def cutAndHealed(lab: Lab, seconds: float = 2.0) -> Measurement:
    """The holder and the others hear nothing of each other for a while; then one remains."""
    await lab.settle()
    await lab.anyMoment()
    since = await lab.judge.mark()
    for name in lab.names[1:]:
        lab.lan.cut(lab.best, name)
    await lab.judge.untilHeldBy(lab.address, lab.best, lab.second)
    await lab.elapse(seconds)
    await lab.anyMoment()
    lab.lan.healAll()
    healed = time.monotonic()
    await lab.untilOnly(lab.best)
    after = await takenOver(lab, healed, lab.best)
    whole = await lab.judge.report(lab.address, since)
    return _reached(lab, whole, after)._replace(note=WITHOUT_VOTES)


def _reached(lab: Lab, whole: Report, after: Report) -> Measurement:
    """How soon after a heal clients reach the worthiest host for good."""
    value, problem = after.reachedAfter(lab.best), ""
    if value == float("inf"):
        value, problem = after.until - after.since, f"the client does not reach {lab.best}"
    return measured(whole, RIGHT_HOST, value, 0.100, problem)


async def deletedByHand(lab: Lab) -> Measurement:
    """Somebody deletes the address on its holder; it is back at once."""
    await lab.settle()
    await lab.anyMoment()
    since = await lab.judge.mark()
    lab.host(lab.best).deleteAddress(lab.cidr)
    await lab.judge.until(
        lambda: any(
            c.time >= since and c.there for c in lab.judge.changes if c.address == lab.address
        ),
        "the address is back on a host",
    )
    report = await takenOver(lab, since, lab.best)
    without = report.longestWithout()
    others = {host for hosts in report.holders for host in hosts} - {lab.best}
    problem = f"{', '.join(sorted(others))} took over" if others else ""
    return measured(report, NO_HOLDER, without, 0.050, problem)


# In the order of the story.
SCENARIOS: dict[str, Scenario] = {
    "power-loss": powerLoss,
    "worthier-returns": worthierReturns,
    "clean-stop": cleanStop,
    "daemon-killed": fencing.SCENARIOS["daemon-killed"],
    "daemon-frozen": fencing.SCENARIOS["daemon-frozen"],
    "killed-together": fencing.SCENARIOS["killed-together"],
    "standby-frozen": standbyFrozen,
    "unplugged": unplugged,
    "plugged-in": pluggedIn,
    "deleted-by-hand": deletedByHand,
    "cut-and-healed": cutAndHealed,
    "cut-with-votes": fencing.SCENARIOS["cut-with-votes"],
    **operating.SCENARIOS,
    "filtered": fencing.SCENARIOS["filtered"],
    "loss-30": fencing.SCENARIOS["loss-30"],
    "loss-5": fencing.SCENARIOS["loss-5"],
    "cable-pulled": fencing.SCENARIOS["cable-pulled"],
    "cut-off-witness": fencing.SCENARIOS["cut-off-witness"],
}
# What the demo plays in less than a minute; all others are asked for by name.
DEMO = tuple(SCENARIOS)[: tuple(SCENARIOS).index("cut-with-votes") + 1]
LONG = fencing.LONG


def setupOf(name: str) -> Setup:
    """What the scenario of that name needs."""
    return fencing.SETUPS.get(name, PLAIN)


async def play(name: str, lab: Lab) -> Measurement:
    """
    Play the scenario of that name.

    @raise HatwistError: what should have happened did not happen at all; with what the daemons
        said last.
    """
    try:
        result = await {**SCENARIOS, **LONG}[name](lab)
    except TimeoutError as error:
        raise HatwistError(f"{name}: {error}\n{lab.said()}") from error
    result = result._replace(scenario=name)
    return result if result.ok else result._replace(found=f"{result.found}\n{lab.said()}")
