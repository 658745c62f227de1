"""
What an operator does on purpose: nobody should notice it.

Like L{hatwist.lab.scenarios}, and like these each undoes what it did, however it ends.
"""

from __future__ import annotations

from hatwist.lab.lab import Lab
from hatwist.lab.measurement import (
    OUTAGE,
    Measurement,
    Scenario,
    measured,
    neverTwo,
    problems,
    takenOver,
)
from hatwist.lab.verdict import Report

# What a move may take, at worst and as a rule.
AT_ONCE, USUALLY = 0.020, 0.005


async def moved(lab: Lab) -> Measurement:
    """On another host than the holder the operator moves the group to the last in line; it stays there."""
    await lab.settle()
    await lab.anyMoment()
    last = lab.names[-1]
    since = await lab.judge.mark()
    try:
        await lab.command(lab.second, "move", "default", last)
        report = await takenOver(lab, since, last)
        await lab.elapse(2 * lab.tolerance)
        whole = await lab.judge.report(lab.address, since)
    finally:
        await lab.command(lab.second, "move", "default")
    return _measured(report, _onlyTo(whole, lab.best, last))


async def drained(lab: Lab) -> Measurement:
    """The operator drains the holder's host, whose daemon then restarts; it takes nothing."""
    await lab.settle()
    await lab.anyMoment()
    since = await lab.judge.mark()
    try:
        await lab.command(lab.best, "drain")
        report = await takenOver(lab, since, lab.second)
        lab.programs[lab.best].stop()
        await lab.programs[lab.best].ended()
        began = lab.reactor.seconds()
        lab.run(lab.best)
        await lab.heartbeats.untilHeard({lab.host(lab.best).ipv4()}, began)
        await lab.elapse(3 * lab.tolerance)
        whole = await lab.judge.report(lab.address, since)
    finally:
        await lab.command(lab.best, "undrain")
    return _measured(report, _onlyTo(whole, lab.best, lab.second))


def _onlyTo(whole: Report, before: str, after: str) -> str:
    """It goes from one to the other, and nowhere else, until the end."""
    held = [hosts for hosts in whole.holders if hosts]
    turns = "" if held == [(before,), (after,)] else f"held by {held} in turn"
    return problems(neverTwo(whole), turns)


def _measured(report: Report, problem: str) -> Measurement:
    return measured(report, OUTAGE, report.outage, AT_ONCE, problem, USUALLY)


SCENARIOS: dict[str, Scenario] = {"move": moved, "drain": drained}
