"""Faults of the holder's daemon itself, in which others leave the address where it is."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from hatwist.errors import HatwistError
from hatwist.lab.lab import Lab
from hatwist.lab.measuring import Measurement, measured, takenOver
from hatwist.lab.program import Program

FROZEN = 5.0
"""Seconds that a holder's daemon stands still; longer than the kernel's lease of 2 s, a second late."""


def guardOf(program: Program) -> int:
    """
    The process id of a daemon's guard.

    @raise HatwistError: it has none.
    """
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            parent = int(entry.joinpath("stat").read_text().rpartition(")")[2].split()[1])
            command = entry.joinpath("cmdline").read_bytes()
        except (OSError, IndexError):
            continue  # it has ended meanwhile
        if parent == program.pid and b"guard.py" in command:
            return int(entry.name)
    raise HatwistError(f"{program.name} has no guard")


async def holderFrozen(lab: Lab) -> Measurement:
    """The holder's daemon hangs; its guard lets go. Awake again, the daemon is no second holder."""
    await lab.settle()
    await lab.anyMoment()
    since = await lab.judge.mark()
    program = lab.programs[lab.best]
    program.freeze()
    await lab.judge.untilAnsweredBy(lab.address, lab.second)
    await lab.elapse(FROZEN)
    thawed = await lab.judge.mark()
    program.thaw()
    await lab.untilOnly(lab.best)
    whole = await takenOver(lab, since, lab.best)
    after = await lab.judge.report(lab.address, thawed)
    problem = ""
    if whole.twoHolders > 0.010:
        problem = f"two holders for {whole.twoHolders * 1e3:.0f} ms"
    elif after.twoHolders:
        problem = "two holders after it went on"
    return measured(
        f"holder frozen {FROZEN:g} s", whole, "outage", whole.outage, lab.tolerance + 0.010, problem
    )


async def bothKilled(lab: Lab, lease: float = 2.0) -> Measurement:
    """
    Daemon and guard of the holder are killed together: the kernel's lease ends the address.

    Until then the LAN answers for it, so that nobody else takes it.
    """
    await lab.settle()
    await lab.anyMoment()
    program = lab.programs[lab.best]
    guard = guardOf(program)
    since = await lab.judge.mark()
    os.kill(guard, signal.SIGSTOP)  # so that it cannot act between the two
    program.kill()
    os.kill(guard, signal.SIGKILL)
    await lab.judge.untilHeldBy(lab.address, lab.second)
    report = await takenOver(lab, since, lab.second)
    gone = next(span.end for span in report.held if lab.best not in span.hosts) - since
    problem = "" if not report.twoHolders else f"two holders for {report.twoHolders * 1e3:.0f} ms"
    return measured("daemon and guard killed", report, "gone", gone, lease + 1.0, problem)
