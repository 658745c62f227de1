"""
Run random fault schedules.

    python -m hatwist.testing --schedules 20000
    python -m hatwist.testing --kind majority --schedules 20000
    python -m hatwist.testing --kind groups --seed 17 --transcript --group g2

One group: plain, majority: faults that come thick and fast, without votes and with them; cuts, islands, rolling,
broken: one thing is wrong and stays so. Many groups, which come and go: groups, groups-majority.
Some groups on nodes that are overloaded: slow.
"""

from __future__ import annotations

import argparse
import sys
from concurrent.futures import ProcessPoolExecutor
from functools import partial

from hatwist.testing import groups, majority, schedules, slow, standing
from hatwist.testing.schedules import Violation

KINDS = {
    "plain": schedules.run,
    "majority": majority.run,
    "cuts": standing.cuts,
    "islands": standing.islands,
    "rolling": standing.rolling,
    "broken": standing.broken,
    "groups": groups.plain,
    "groups-majority": groups.majority,
    "slow": slow.run,
}
"""What runs the schedule of one seed, by kind."""
WIRE = 3
"""Each third schedule sends real bytes; values are faster."""


def judge(seeds: range, kind: str = "plain") -> list[Violation]:
    """Run the schedules of these seeds."""
    found: list[Violation] = []
    for seed in seeds:
        found += KINDS[kind](seed, wire=seed % WIRE == 0)[0]
    return found


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m hatwist.testing",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--schedules", type=int, default=2000, help="how many (default 2000)")
    parser.add_argument("--seed", type=int, default=0, help="the first seed (default 0)")
    parser.add_argument(
        "--kind", choices=[*KINDS, "all"], default="plain", help="of schedules (default plain)"
    )
    parser.add_argument("--processes", type=int, default=None, help="how many at a time")
    parser.add_argument("--transcript", action="store_true", help="print what happened (one seed)")
    parser.add_argument("--group", default="", help="leave out of that what is of other groups")
    options = parser.parse_args(argv)
    if options.transcript:
        if options.kind == "all":
            parser.error("--transcript takes one kind of schedules: " + ", ".join(KINDS))
        violations, sim = KINDS[options.kind](options.seed, wire=options.seed % WIRE == 0)
        others = {f"{name}:" for name in sim.transcript.groups} - {f"{options.group}:"}
        for at, node, what in sim.transcript.moments:
            if not options.group or what.split(" ", 1)[0] not in others:
                print(f"{at:9.4f} {node:8} {what}")
        for violation in violations:
            print(violation)
        return 1 if violations else 0
    kinds = list(KINDS) if options.kind == "all" else [options.kind]
    failures = 0
    with ProcessPoolExecutor(options.processes) as pool:
        for kind in kinds:
            failures += _runAll(pool, kind, options.seed, options.schedules)
    return 1 if failures else 0


def _runAll(pool: ProcessPoolExecutor, kind: str, first: int, count: int) -> int:
    """Run so many schedules of a kind, and print what was wrong; the result is how often."""
    last = first + count
    slices = [range(start, min(start + 100, last)) for start in range(first, last, 100)]
    failures = done = 0
    for part, violations in zip(slices, pool.map(partial(judge, kind=kind), slices), strict=True):
        done += len(part)
        failures += len(violations)
        for violation in violations:
            print(f"{kind} seed {violation.seed} at {violation.at:.4f} s: {violation.what}")
        if done % 1000 == 0 or done == count:
            print(f"{done} schedules ({kind}), {failures} violations", flush=True)
    return failures


if __name__ == "__main__":
    sys.exit(main())
