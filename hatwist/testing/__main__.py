"""
Run random fault schedules.

    python -m hatwist.testing --schedules 20000
    python -m hatwist.testing --majority --schedules 20000
"""

from __future__ import annotations

import argparse
import sys
from concurrent.futures import ProcessPoolExecutor
from functools import partial

from hatwist.testing import majority, schedules
from hatwist.testing.schedules import Violation


def judge(seeds: range, wireEvery: int = 10, votes: bool = False) -> list[Violation]:
    """
    Run the schedules of these seeds; every tenth sends real bytes.

    @param votes: of clusters that vote.
    """
    run = majority.run if votes else schedules.run
    found: list[Violation] = []
    for seed in seeds:
        found += run(seed, wire=seed % wireEvery == 0)[0]
    return found


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m hatwist.testing", description=__doc__)
    parser.add_argument("--schedules", type=int, default=2000, help="how many (default 2000)")
    parser.add_argument("--seed", type=int, default=0, help="the first seed (default 0)")
    parser.add_argument(
        "--majority", action="store_true", help="clusters in which claims take votes"
    )
    parser.add_argument("--processes", type=int, default=None, help="how many at a time")
    parser.add_argument("--transcript", action="store_true", help="print what happened (one seed)")
    options = parser.parse_args(argv)
    if options.transcript:
        run = majority.run if options.majority else schedules.run
        violations, sim = run(options.seed, wire=options.seed % 10 == 0)
        for at, node, what in sim.transcript:
            print(f"{at:9.4f} {node:8} {what}")
        for violation in violations:
            print(violation)
        return 1 if violations else 0
    slices = [
        range(start, min(start + 100, options.seed + options.schedules))
        for start in range(options.seed, options.seed + options.schedules, 100)
    ]
    failures = done = 0
    with ProcessPoolExecutor(options.processes) as pool:
        results = pool.map(partial(judge, votes=options.majority), slices)
        for part, violations in zip(slices, results, strict=True):
            done += len(part)
            failures += len(violations)
            for violation in violations:
                print(f"seed {violation.seed} at {violation.at:.4f} s: {violation.what}")
            if done % 1000 == 0 or done == options.schedules:
                print(f"{done} schedules, {failures} violations", flush=True)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
