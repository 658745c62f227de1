"""Random fault schedules for clusters that vote: at no instant are there two holders."""

from __future__ import annotations

import random

from hatwist.testing.schedules import NAMES, Violation, moveLast, moves
from hatwist.testing.simulation import Simulation

FAULTS = (
    "kill",
    "crash",
    "freeze",
    "freeze",
    "isolate",
    "cut",
    "one-way",
    "one-way",
    "loss",
    "fire",
    "slow",
    "fail",
    "stop",
    "heal",
    "heal",
)


def run(seed: int, wire: bool = False) -> tuple[list[Violation], Simulation]:
    """Run the schedule of one seed, and judge it."""
    chance, operator = random.Random(seed), random.Random(f"operator {seed}")
    count = chance.choice((3, 3, 3, 4, 5))
    names = NAMES[:count]
    sim = Simulation(
        seed,
        wire=wire,
        members=names,
        preempt=chance.random() < 0.7,
        preemptDelay=chance.choice((0.0, 0.0, 0.2)),
        asks=seed % 8 != 0,
    )
    slow = chance.random() < 0.3
    if slow:
        sim.release = 0.08
    priorities = {name: chance.choice((50, 100, 100, 200)) for name in names}
    rates = {name: chance.uniform(0.991, 1.009) for name in names}

    def start(name: str) -> None:
        node = sim.start(name, priority=priorities[name], rate=rates[name])
        node.guard.seconds = chance.uniform(0.0005, 0.002)
        if slow:
            node.acquireTime = chance.uniform(0, 0.3)
            node.releaseTime = chance.uniform(0, 0.07)

    terms: list[int] = []
    sim.transcript.watchers.append(
        lambda kind, node, what: terms.append(what.term) if kind == "hold" else None
    )
    for name in names:
        sim.at(chance.uniform(0, 0.3), lambda name=name: start(name))  # type: ignore[misc]
    sim.run(chance.uniform(0.3, 1.0))
    if chance.random() < 0.4:
        sim.lan.weather.doubled = sim.lan.weather.late = 0.1
        sim.lan.weather.lateness = chance.choice((0.05, 0.3))
    stopped: set[str] = set()
    for _ in range(chance.randint(2, 10)):
        fault(sim, chance, start, stopped)
        seconds = chance.choice((0.05, 0.2, 0.4, 1.2)) * chance.uniform(0.5, 1.5)
        moves(sim, operator, seconds)
        sim.run(seconds)
    sim.lan.weather.loss = sim.lan.weather.late = sim.lan.weather.doubled = 0.0
    sim.heal()
    for name, node in list(sim.nodes.items()):
        node.failing = False
        if node.frozen:
            sim.thaw(name)
        if not node.running:
            start(name)
            stopped.discard(name)
        elif name in stopped:
            sim.kill(name)
            start(name)
            stopped.discard(name)
    settled = sim.now + 3 * sim.tolerance + 1.0
    # A node whose acquire failed keeps away for a while; the others do not wait for it.
    sim.run(settled - sim.now)
    dark = sim.holders() == []
    if dark:
        sim.run(2 * sim.tolerance)
    violations = []
    if sim.holders():
        by, to = operator.choice(names), operator.choice(names)
        found = moveLast(sim, by, to, 3 * sim.tolerance + 1.0)
        violations += [Violation(seed, sim.now, what) for what in found]
    if sim.transcript.overlap() > 0:
        violations.append(
            Violation(seed, sim.now, f"two holders for {sim.transcript.overlap():.6f} s")
        )
    if terms != sorted(set(terms)):
        violations.append(Violation(seed, sim.now, f"the terms of holders do not rise: {terms}"))
    if dark and not sim.holders():
        violations.append(Violation(seed, sim.now, "no holder although everything is well"))
    return violations, sim


def fault(sim: Simulation, chance: random.Random, start: object, stopped: set[str]) -> None:
    """One random fault, or the end of one."""
    assert callable(start)
    names = list(sim.nodes)
    one = chance.choice(sim.holders() or names) if chance.random() < 0.5 else chance.choice(names)
    two = chance.choice([name for name in names if name != one])
    node = sim.nodes[one]
    what = chance.choice(FAULTS)
    if not node.running:
        start(one)
        stopped.discard(one)
    elif node.frozen:
        sim.thaw(one)
    elif sim.strike(what, one, two):
        pass
    elif what == "loss":
        sim.lan.weather.loss = 0.0 if sim.lan.weather.loss else chance.uniform(0.05, 0.5)
    elif what == "slow":
        node.acquireTime = chance.uniform(0, 0.5)
    elif what == "fail":
        node.failing = not node.failing
    elif what == "stop" and len(stopped) < len(names) // 2:
        sim.stop(one)
        stopped.add(one)
    else:
        sim.heal()
