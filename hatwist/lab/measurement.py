"""What one fault cost, and the bounds that it must keep."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import NamedTuple

from hatwist.lab.lab import Lab
from hatwist.lab.verdict import Report

# How long to go on looking after the last thing that should happen, in seconds.
AFTERMATH = 0.3
OUTAGE, NO_HOLDER, TWO_HOLDERS, RIGHT_HOST = "outage", "no holder", "two holders", "right host"
FIGURES = {
    OUTAGE: "the longest time for which a client, who asks all the time, had no answer",
    NO_HOLDER: "for how long no host had the address",
    TWO_HOLDERS: "for how long more than one host had it",
    RIGHT_HOST: "after how long every answer came from the host that should have it",
}
"""What is measured, and what it means."""


class Measurement(NamedTuple):
    """
    What one fault cost. All times in seconds.

    @ivar scenario: its name.
    @ivar outage: the longest time the client had no answer.
    @ivar noHolder: how long no host held the address.
    @ivar twoHolders: how long more than one did.
    @ivar bounded: which figure has a bound: one of L{FIGURES}.
    @ivar value: that figure.
    @ivar bound: what it may be at most.
    @ivar problem: what else was wrong, or nothing.
    @ivar stalled: how long the machine itself, or one of its processors, stood still meanwhile.
    @ivar usual: what the median of several such figures may be at most.
    @ivar found: where it went wrong: who held the address when, and what the daemons said last.
    @ivar note: what the figures do not say, for whoever sees them for the first time.
    """

    scenario: str
    outage: float
    noHolder: float
    twoHolders: float
    bounded: str
    value: float
    bound: float
    problem: str
    stalled: float
    usual: float = float("inf")
    found: str = ""
    note: str = ""

    @property
    def ok(self) -> bool:
        """Within the bound, and nothing else wrong?"""
        return self.value <= self.bound and not self.problem

    def excused(self, tolerance: float) -> bool:
        """
        Is the machine to blame, which stood still meanwhile? For a figure, when it would be within its
        bound without that time; for anything else, when it was half of the tolerance or more.
        """
        if self.problem:
            return self.stalled >= tolerance / 2
        return 0.0 < self.value - self.bound <= self.stalled


Scenario = Callable[[Lab], Awaitable[Measurement]]


def measured(
    report: Report,
    bounded: str,
    value: float,
    bound: float,
    problem: str = "",
    usual: float = float("inf"),
) -> Measurement:
    """A measurement with the figures of C{report}; whoever plays the scenario names it."""
    return Measurement(
        "",
        report.outage,
        report.noHolder,
        report.twoHolders,
        bounded,
        value,
        bound,
        problem,
        max(report.stalled, report.stolen),
        usual,
        f"held by {timeline(report)}",
    )


def timeline(report: Report) -> str:
    """Who held the address, from when on, in seconds after the beginning of the window."""
    return ", ".join(
        f"{'+'.join(span.hosts) or 'nobody'} from {span.start - report.since:.4f}"
        for span in report.held
    )


def neverTwo(report: Report, most: float = 0.0) -> str:
    """A problem if two hosts held the address for longer than C{most} seconds."""
    if report.twoHolders <= most:
        return ""
    return f"two hosts held the address for {report.twoHolders * 1000:.1f} ms"


def problems(*found: str) -> str:
    """Those that there are, in one line."""
    return "; ".join(filter(None, found))


async def takenOver(lab: Lab, since: float, by: str) -> Report:
    """Wait until C{by} answers, and a little longer; what was seen since C{since}."""
    await lab.judge.untilAnsweredBy(lab.address, by)
    await lab.elapse(AFTERMATH)
    return await lab.judge.report(lab.address, since)
