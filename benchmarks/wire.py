"""
How long a heartbeat takes: encode and sign, verify and decode; three nodes, one group.

    python benchmarks/wire.py

Each figure is the best of several rounds, in microseconds per packet; the budget is 50 for each.
"""

from __future__ import annotations

import sys
from timeit import repeat

from hatwist.protocols.native.auth import Keyring
from hatwist.protocols.native.datagram import Datagram
from hatwist.testing import Simulation

BUDGET = 50.0
PACKETS, ROUNDS = 2000, 7


def packet() -> Datagram:
    """What the holder of a settled cluster of three sends."""
    sim = Simulation(seed=1)
    found: list[Datagram] = []

    def note(source: str, target: str, beat: Datagram) -> bool:
        if source == "alpha":
            found.append(beat)
        return True

    sim.lan.filters.append(note)
    for name, priority in (("alpha", 200), ("beta", 150), ("gamma", 100)):
        sim.start(name, priority)
    sim.run(2.0)
    return found[-1]


def main() -> int:
    keyring = Keyring([b"0123456789abcdef0123456789abcdef"])
    beat = packet()
    datagram = keyring.seal(beat)
    figures = {
        "encode and sign": min(repeat(lambda: keyring.seal(beat), number=PACKETS, repeat=ROUNDS)),
        "verify and decode": min(
            repeat(lambda: keyring.open(datagram), number=PACKETS, repeat=ROUNDS)
        ),
    }
    records = sum(len(told.records) for told in beat.ranges)
    print(f"{len(datagram)} bytes, {records} records, {len(beat.heard)} others heard")
    for what, seconds in figures.items():
        print(f"{what:18} {seconds / PACKETS * 1e6:6.1f} µs  (budget {BUDGET:.0f})")
    return 1 if any(s / PACKETS * 1e6 > BUDGET for s in figures.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
