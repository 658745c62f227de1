"""
Schedules in which nodes do not get the processor that they need: they stand still again and again, for less than a
tolerance each time, one of them or all. Nobody dies of that, and nothing grows out of it.

The groups stay where they are, nobody sends more than a few packets in an interval, and two tolerances after it is over
the cluster is as calm as before.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from hatwist.testing.schedules import NAMES, Violation
from hatwist.testing.simulation import Simulation

PACKETS = 4.0
"""Packets of a node in an interval, at most, while nodes are slow: a beat, and what is answered or sent again."""
CALM = 1.5
"""The same before and after."""
ONE, ALL = (0.6, 1.0), (0.6, 0.8)
"""Intervals for which one slow node stands still each time, and each of several: two may follow upon each other."""


def run(seed: int, wire: bool = False) -> tuple[list[Violation], Simulation]:
    """Run the schedule of one seed, and judge it."""
    chance = random.Random(seed)
    names = NAMES[: chance.choice((2, 3, 3, 4, 5))]
    members = names if seed % 2 and len(names) > 2 else ()
    groups = [f"g{number}" for number in range(chance.choice((1, 3, 12)))]
    sim = Simulation(seed, wire=wire, members=members, asks=chance.random() < 0.7)
    best = chance.choice(names)
    for name in names:
        priority = 200 if name == best else 100
        rate = chance.uniform(0.995, 1.005)
        sim.run(chance.uniform(0, 0.1))
        sim.start(name, priority=priority, rate=rate, groups=groups)
    sim.run(3 * sim.tolerance + 1.0)
    found = _sends(sim, "before", 1.0, CALM, seed)
    all_ = chance.random() < 0.5
    slow = list(names) if all_ else [chance.choice((best, chance.choice(names)))]
    began, until = sim.now, sim.now + chance.uniform(1.0, 4.0)
    for name in slow:
        _stutter(sim, chance, name, until, ALL if all_ else ONE)
    found += _sends(sim, "while nodes were slow", until - began, PACKETS, seed)
    sim.run(2 * sim.tolerance)
    found += _sends(sim, "two tolerances after nodes were slow", 1.0, CALM, seed)
    for group in groups:
        if sim.holders(group) != [best]:
            found.append(Violation(seed, sim.now, f"{sim.holders(group)} hold {group}"))
    for at, node, what in sim.transcript.moments:
        if at >= began and " -> " in what:
            found.append(Violation(seed, at, f"{node} {what}, though nothing but time was lost"))
    return found, sim


def _stutter(
    sim: Simulation, chance: random.Random, name: str, until: float, still: Sequence[float]
) -> None:
    """Stand still and go on, over and over."""

    def stop() -> None:
        seconds = chance.uniform(*still) * sim.interval
        if sim.now + seconds >= until:
            return
        sim.freeze(name)
        sim.at(sim.now + seconds, goOn)

    def goOn() -> None:
        sim.thaw(name)
        sim.at(sim.now + chance.uniform(0.1, 0.5) * sim.interval, stop)

    sim.at(sim.now + chance.uniform(0, sim.interval), stop)


def _sends(sim: Simulation, when: str, seconds: float, most: float, seed: int) -> list[Violation]:
    """Let time pass, in which no more is sent than so many packets by each node in an interval."""
    before = sim.lan.sent
    sim.run(seconds)
    sent = (sim.lan.sent - before) / len(sim.nodes) / (seconds / sim.interval)
    if sent <= most:
        return []
    return [Violation(seed, sim.now, f"{sent:.1f} packets of each node in an interval {when}")]
