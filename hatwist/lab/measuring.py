"""What one fault of the lab cost, and whether that is within its bound."""

from __future__ import annotations

from typing import NamedTuple

from hatwist.lab.lab import Lab
from hatwist.lab.verdict import Report

# How long to go on looking after the last thing that should happen.
AFTERMATH = 0.3


class Measurement(NamedTuple):
    """
    What one fault cost. All times in seconds.

    @ivar fault: what was done.
    @ivar outage: the longest time the client had no answer.
    @ivar noHolder: how long no host held the address.
    @ivar twoHolders: how long more than one did.
    @ivar bounded: which figure has a bound, in words.
    @ivar value: that figure.
    @ivar bound: what it may be at most.
    @ivar problem: what else was wrong, or nothing.
    @ivar stalled: how long the machine itself stood still meanwhile.
    """

    fault: str
    outage: float
    noHolder: float
    twoHolders: float
    bounded: str
    value: float
    bound: float
    problem: str
    stalled: float

    @property
    def ok(self) -> bool:
        """Within the bound, and nothing else wrong?"""
        return self.value <= self.bound and not self.problem


def measured(
    fault: str, report: Report, bounded: str, value: float, bound: float, problem: str = ""
) -> Measurement:
    return Measurement(
        fault=fault,
        outage=report.outage,
        noHolder=report.noHolder,
        twoHolders=report.twoHolders,
        bounded=bounded,
        value=value,
        bound=bound,
        problem=problem,
        stalled=report.stalled,
    )


def neverTwo(report: Report) -> str:
    return "two hosts held the address" if report.twoHolders else ""


async def takenOver(lab: Lab, since: float, by: str) -> Report:
    await lab.judge.untilAnsweredBy(lab.address, by)
    await lab.elapse(AFTERMATH)
    return await lab.judge.report(lab.address, since)
