"""What is done about each report of the driver that concerns one group."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hatwist.core.reports import (
    Gone,
    Held,
    Judged,
    MoveWanted,
    NotHeld,
    Persisted,
    Progressed,
    Served,
)
from hatwist.core.states import Input
from hatwist.protocols.native.election import Election
from hatwist.protocols.native.membership import Membership


def _progressed(election: Election, report: Progressed, view: Membership, now: float) -> None:
    election.standing.progressed(report.step, report.steps, report.words)


OF_GROUP: dict[type, Callable[[Election, Any, Membership, float], None]] = {
    Held: lambda election, report, view, now: election.input(Input.HELD, now),
    NotHeld: lambda election, report, view, now: election.refused(report.reason, now),
    Gone: lambda election, report, view, now: election.letGo(view, now),
    Progressed: _progressed,
    Persisted: lambda election, report, view, now: election.terms.persisted(report.record),
    Served: lambda election, report, view, now: election.evidence.answered(report.by, now),
    Judged: lambda election, report, view, now: election.setFitness(
        report.fitness, report.reason, report.source
    ),
    MoveWanted: lambda election, report, view, now: election.move(report.to, view, now),
}
