"""
Random fault schedules, and the properties that every one of them must keep.

    python -m hatwist.testing --schedules 20000

Each schedule is made from one number, its seed, which a failure names; running it again with
C{--seed} and C{--transcript} shows what happened.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from hatwist.testing.host import GROUP
from hatwist.testing.simulation import NativeHost, Simulation
from hatwist.testing.words import hearsHolder

NAMES = ("alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta")
TRAVEL = 0.001
"""The greatest delay of a packet that is not late, in seconds."""
HANDLING = 0.002
"""Acquire, release and timer lateness in the simulation, with some room, in seconds."""


class Violation(NamedTuple):
    """A property that did not hold."""

    seed: int
    at: float
    what: str


class Monitor:
    """Watches one simulation for claims and overlaps that the rules forbid."""

    def __init__(self, sim: Simulation, seed: int) -> None:
        self.sim = sim
        self.seed = seed
        self.violations: list[Violation] = []
        self.lastFault = 0.0
        self.darkSince: float | None = 0.0
        self.faultAt: dict[str, float] = {}
        self.heardWhileBoth: dict[tuple[str, str], float] = {}
        self.stopped: set[str] = set()
        self.networkAt = 0.0
        self.thawedAt: dict[str, float] = {}
        self.moved: set[str] = set()
        self._seen = 0
        sim.transcript.watchers.append(self._watch)

    def fault(self, *names: str) -> None:
        """A fault begins or ends at these nodes now; judgement starts anew."""
        self._look()
        self.lastFault = self.sim.now
        if not names:
            self.networkAt = self.sim.now
        for name in names or tuple(self.sim.nodes):
            self.faultAt[name] = self.sim.now
        self.heardWhileBoth.clear()

    def _bad(self, what: str) -> None:
        self.violations.append(Violation(self.seed, self.sim.now, what))

    def _watch(self, kind: str, node: NativeHost, detail: Any) -> None:
        if kind == "heard":
            self._look()
            source = detail.source
            knows = hearsHolder(node.machine, source.machine, GROUP)
            if node.held and source.held and knows:
                pair = (node.name, source.name)
                self.heardWhileBoth.setdefault(pair, self.sim.now)
        elif kind == "hold":
            self._look()
            self._claimed(node)
            claim = node.machine.elections[GROUP].standing.claim
            self.moved.discard(node.name)
            if claim is not None and claim.moved:
                self.moved.add(node.name)
        elif kind == "note":
            if detail == "thaws":
                self.thawedAt[node.name] = self.sim.now
            elif "cut off" in detail or "heals" in detail:
                self.networkAt = self.sim.now
            elif detail == "is asked to move it to the worthiest":
                self.moved.clear()
            elif "which was worthier" in detail and node.name in self.moved:
                self._bad(f"{node.name} gave up for a worthier node what was moved to it")
            self._look()

    def _claimed(self, node: NativeHost) -> None:
        """No node claims while a holder in good order is heard by it and hears it."""
        sim = self.sim
        if node.name in self.stopped:
            self._bad(f"{node.name} claimed after its SHUTDOWN")
        calm = sim.now - 2 * sim.tolerance
        self._mute(node, calm)
        for other in sim.nodes.values():
            if (
                other is not node
                and other.held
                and other.wanted
                and other.running
                and not other.frozen
                and sim.lan.reaches(node.name, other.name)
                and sim.lan.reaches(other.name, node.name)
                and self.faultAt.get(other.name, 0.0) < calm
                and self._heldSince(other.name) < calm
                and not sim.lan.weather.loss
            ):
                quiet = self.faultAt.get(node.name, 0.0) < calm
                if self.thawedAt.get(node.name, 0.0) > calm > self.networkAt:
                    self._bad(f"{node.name} was frozen, and claimed while {other.name} held")
                elif quiet or node.machine.outbox.lastSent > calm:
                    self._bad(f"{node.name} claimed while it heard the holder {other.name}")

    def _mute(self, node: NativeHost, calm: float) -> None:
        """No node claims that hears others of which none hears it."""
        sim = self.sim
        if sim.lan.weather.loss or self.networkAt > calm or self.faultAt.get(node.name, 0.0) > calm:
            return
        others = [o.name for o in sim.nodes.values() if o is not node]
        heard = [
            name
            for name in others
            if sim.lan.reaches(name, node.name)
            and sim.nodes[name].running
            and not sim.nodes[name].frozen
            and self.faultAt.get(name, 0.0) < calm
        ]
        # One that has just stopped or died may have heard it until then.
        if heard and not any(
            sim.lan.reaches(node.name, name) and sim.lan.reaches(name, node.name) for name in others
        ):
            self._bad(f"{node.name} claimed, though none of {heard} hears it")

    def _heldSince(self, name: str) -> float:
        return self.sim.transcript.groups[GROUP].since.get(name, float("inf"))

    def _look(self) -> None:
        """Read the changes of holders that came since the last look."""
        sim = self.sim
        holders = sim.holders()
        if self._seen < len(sim.transcript.changes):
            self._seen = len(sim.transcript.changes)
            for pair in [p for p in self.heardWhileBoth if not set(p) <= set(holders)]:
                del self.heardWhileBoth[pair]  # one of them let go: what comes is another meeting
            if holders and self.darkSince is not None:
                self._dark(self.darkSince)
                self.darkSince = None
            elif not holders:
                self.darkSince = sim.transcript.changes[-1][0]
        if len(holders) > 1:
            for one in holders:
                for other in holders:
                    self._both(one, other)

    def _both(self, one: str, other: str) -> None:
        if one >= other:
            return
        a = self.heardWhileBoth.get((one, other))
        b = self.heardWhileBoth.get((other, one))
        nodes = self.sim.nodes
        if a is None or b is None or nodes[one].frozen or nodes[other].frozen:
            return
        if self.sim.now > max(a, b) + TRAVEL + HANDLING:
            self.heardWhileBoth.clear()
            self._bad(f"{one} and {other} hold, and have heard each other since {max(a, b):.4f}")

    def _dark(self, since: float) -> None:
        sim = self.sim
        start = max(since, self.lastFault)
        if sim.lan.weather.loss or not self._capable():
            return
        if sim.now - start > sim.tolerance * 1.01 + sim.interval + TRAVEL + HANDLING:
            self._bad(f"no holder from {start:.4f} to {sim.now:.4f}")

    def _capable(self) -> bool:
        """Some node is up that either hears nobody, or hears somebody who hears it."""
        sim = self.sim
        up = [n.name for n in sim.nodes.values() if n.running and not n.frozen]
        up = [n for n in up if n not in self.stopped]
        for one in up:
            others = [o for o in up if o != one and sim.lan.reaches(o, one)]
            if not others or any(sim.lan.reaches(one, o) for o in others):
                return True
        return False

    def finish(self) -> None:
        """Faults have ended: let the cluster settle, and look once more."""
        sim = self.sim
        end = sim.now
        limit = sim.tolerance * 1.01 + sim.interval + TRAVEL + HANDLING
        up = [n for n in sim.nodes.values() if n.running and n.name not in self.stopped]
        if not up:
            return
        sim.run(limit)
        self._look()
        holders = sim.holders()
        settled = sim.now
        sim.run(2 * sim.tolerance)
        self._look()
        if (
            len(holders) != 1
            and sim.transcript.darkness(settled) + sim.transcript.overlap(settled) > 0.01
        ):
            self._bad(f"{limit:.3f} s after the last fault at {end:.4f} {holders or 'nobody'} held")
        if sim.transcript.overlap(settled) > 0:
            self._bad(f"two holders after {settled:.4f}")
        if len(sim.holders()) != 1:
            self._bad(f"in the end {sim.holders() or 'nobody'} held")
        if sim.transcript.darkness(settled) > 4 * TRAVEL + HANDLING:
            self._bad(f"dark for {sim.transcript.darkness(settled):.4f} s after {settled:.4f}")

    def move(self, by: str, to: str) -> None:
        """All is well and settled: where the operator moves the group, it goes at once, and stays."""
        sim, start = self.sim, self.sim.now
        for what in moveLast(sim, by, to, 2 * sim.tolerance):
            self._bad(what)
        if sim.transcript.darkness(start) > 4 * TRAVEL + HANDLING:
            self._bad(
                f"dark for {sim.transcript.darkness(start):.4f} s after a move at {start:.4f}"
            )


def moveLast(sim: Simulation, by: str, to: str, seconds: float) -> list[str]:
    """In a settled cluster: move the group, and wait; what was wrong with that."""
    start = sim.now
    sim.move(by, to)
    sim.run(seconds)
    found = []
    if sim.transcript.said("is asked to move", start) and sim.holders() != [to]:
        found.append(f"{sim.holders()} held after a move to {to} at {start:.4f}")
    if sim.transcript.overlap(start) > 0:
        found.append(f"two holders after a move at {start:.4f}")
    return found


def moves(sim: Simulation, chance: random.Random, seconds: float) -> None:
    """Now and then the operator moves the group within the time that follows, anywhere, once or twice."""

    def move() -> None:
        names = [name for name, node in sim.nodes.items() if node.running]
        if names:
            sim.move(chance.choice(names), chance.choice([*sim.nodes, ""]))

    if chance.random() < 0.4:
        at = sim.now + chance.uniform(0, seconds)
        sim.at(at, move)
        if chance.random() < 0.5:
            sim.at(at + chance.choice((0.0, 0.0005, 0.02)), move)


def run(seed: int, wire: bool = False) -> tuple[list[Violation], Simulation]:
    """Run the schedule of one seed, and judge it."""
    chance, operator = random.Random(seed), random.Random(f"operator {seed}")
    count = chance.choice((2, 2, 3, 3, 4, 5))
    names = NAMES[:count]
    sim = Simulation(
        seed,
        wire=wire,
        preempt=chance.random() < 0.7,
        preemptDelay=chance.choice((0.0, 0.0, 0.2)),
        asks=seed % 8 != 0,
    )
    monitor = Monitor(sim, seed)

    def start(name: str) -> None:
        sim.start(
            name,
            priority=priorities[name],
            rate=chance.uniform(0.995, 1.005),
            offset=None,
        )
        monitor.fault(name)

    priorities = {name: chance.choice((50, 100, 100, 200)) for name in names}
    for name in names:
        sim.at(chance.uniform(0, 0.3), partial(start, name))
    sim.run(chance.uniform(0.3, 1.0))
    if chance.random() < 0.3:
        sim.lan.weather.doubled = 0.1
        sim.lan.weather.late = 0.1
        sim.lan.weather.lateness = 0.05
    for _ in range(chance.randint(1, 6)):
        _fault(sim, monitor, chance, start)
        seconds = chance.choice((0.05, 0.2, 0.6, 1.2)) * chance.uniform(0.5, 1.5)
        moves(sim, operator, seconds)
        sim.run(seconds)
    sim.lan.weather.loss = sim.lan.weather.late = sim.lan.weather.doubled = 0.0
    sim.heal()
    for name, node in list(sim.nodes.items()):
        if node.frozen:
            sim.thaw(name)
        if not node.running and chance.random() < 0.5 and name not in monitor.stopped:
            start(name)
    monitor.fault()
    monitor.finish()
    up = [name for name, node in sim.nodes.items() if node.running and name not in monitor.stopped]
    if up:
        monitor.move(operator.choice(up), operator.choice(up))
    return monitor.violations, sim


def _fault(
    sim: Simulation, monitor: Monitor, chance: random.Random, start: Callable[[str], None]
) -> None:
    """One random fault, or the end of one."""
    names = list(sim.nodes)
    one = chance.choice(sim.holders() or names) if chance.random() < 0.5 else chance.choice(names)
    two = chance.choice([name for name in names if name != one])
    node = sim.nodes[one]
    what = chance.choice(
        ("kill", "kill", "freeze", "freeze", "isolate", "cut", "one-way", "loss", "stop", "heal")
    )
    if one in monitor.stopped:
        what = "heal"
    if not node.running:
        start(one)
    elif node.frozen:
        sim.thaw(one)
    elif sim.strike(what, one, two):
        if what == "isolate":
            monitor.fault()
    elif what == "loss":
        sim.lan.weather.loss = 0.0 if sim.lan.weather.loss else chance.uniform(0.05, 0.4)
        monitor.fault()
    elif what == "stop" and len(monitor.stopped) < len(names) - 1:
        sim.stop(one)
        monitor.stopped.add(one)
    else:
        sim.heal()
        monitor.fault()
    monitor.fault(one, two)
