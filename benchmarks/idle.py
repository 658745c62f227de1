"""
What a node costs while nothing happens.

    python benchmarks/idle.py

Three daemons with one group, on a LAN of their own: processor time of each daemon, its guard's included, as a
share of one core, over some seconds. The budgets are 1 % at an interval of 0.1 s and 6 % at 0.01 s. The share
includes what the lab's network costs its senders. It says what a busy loop costs too, so that figures of two
machines can be compared; a loaded machine makes all of them worse.
"""

from __future__ import annotations

import argparse
import compileall
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import hatwist
from hatwist.lab.lab import Lab, Setup
from hatwist.lab.lan import Host
from hatwist.lab.playing import inWorld
from hatwist.service.proof import LIMIT

PLAIN = Setup()
VOTES = Setup(more=("--quorum", "majority", "--members", "alpha,beta,gamma"))

NO_TLS = "import sys; sys.modules['OpenSSL'] = None; "
"""Before a daemon's program: for Twisted then, TLS is not installed, as pip leaves it."""


def compiled() -> None:
    """
    Compile hatwist, as pip does.

    Where that may not be written, each start compiles anew, which takes as long as all else.
    """
    compileall.compile_dir(Path(hatwist.__file__).parent, quiet=2)


class Budget(NamedTuple):
    """An interval and tolerance in seconds, and the share of a core that a node may use."""

    interval: float
    tolerance: float
    share: float


BUDGETS = (Budget(0.1, 0.35, 0.01), Budget(0.01, 0.035, 0.06))


def used(host: Host) -> float:
    """Seconds of processor time that all processes of a host have used so far (proc(5), schedstat)."""
    return sum(
        int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9
        for pid in host.namespace.processes()
    )


async def proven(lab: Lab) -> None:
    """Returns when no daemon has the process any more that proves its frames after its start."""
    for daemon in lab.programs.values():
        await daemon.says("scapy's", LIMIT + 30)


async def idle(reactor: Any, setup: Setup, budget: Budget, seconds: float) -> float:
    """The greatest share of a core that one of the nodes uses; prints each."""
    lab = Lab.of(setup, reactor, budget.interval, budget.tolerance)
    try:
        await lab.judge.start()
        # Nobody asks for the address meanwhile, and the judge keeps no processor busy.
        await lab.judge.watch(lab.address, spacing=0.5)
        await lab.settle()
        await proven(lab)
        await lab.elapse(2.0)
        before, began = {name: used(lab.host(name)) for name in lab.names}, time.monotonic()
        await lab.elapse(seconds)
        took = time.monotonic() - began
        shares = {name: (used(lab.host(name)) - before[name]) / took for name in lab.names}
    finally:
        await lab.close()
    kind = "votes" if setup is VOTES else "plain"
    each = ", ".join(f"{name} {share:.2%}" for name, share in shares.items())
    print(
        f"{kind}, interval {budget.interval:4g} s: {each}  "
        f"(of a core; alpha holds; budget {budget.share:.0%}: {max(shares.values()) / budget.share:.2f} of it)",
        flush=True,
    )
    return max(shares.values())


def loop() -> float:
    """Seconds that a million steps of an empty loop take here: the best of five."""
    best = float("inf")
    for _ in range(5):
        began = time.perf_counter()
        for _ in range(1_000_000):
            pass
        best = min(best, time.perf_counter() - began)
    return best


async def _main(reactor: Any, options: argparse.Namespace) -> None:
    print(f"a million steps of an empty loop: {loop() * 1000:.0f} ms", flush=True)
    failed = False
    for setup in (PLAIN, VOTES):
        for budget in BUDGETS:
            failed |= await idle(reactor, setup, budget, options.seconds) > budget.share
    if failed:
        raise SystemExit(1)


def main(argv: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description="What an idle node costs.")
    parser.add_argument("--seconds", type=float, default=20, help="how long to look (20)")
    options = parser.parse_args(argv)
    inWorld([__file__, *argv], lambda reactor: _main(reactor, options))


if __name__ == "__main__":
    main(sys.argv[1:])
