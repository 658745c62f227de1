"""
Random schedules in which one thing is wrong and stays so, and what must not happen meanwhile.

Faults that come thick and fast hide what a single one brings about: a group that goes back and forth for as long as
one cut lasts, a holder that lets go because a mere standby was restarted. Here a cluster settles, one fault
comes, and there is time to look.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from itertools import combinations
from typing import Any

from hatwist.testing.host import GROUP
from hatwist.testing.schedules import NAMES, Violation
from hatwist.testing.simulation import NativeHost, Simulation

SETTLED = 0.01
"""Seconds after a claim from which every packet of the holder tells of it."""
HANDLING = 0.01
"""Acquire, release, timers and packets, with some room, in seconds."""


class StandingJudge:
    """
    Watches one simulation.

    @ivar calmSince: when the last fault began or ended, anywhere.
    """

    def __init__(self, sim: Simulation, seed: int) -> None:
        self.sim = sim
        self.violations: list[Violation] = []
        self.calmSince = 0.0
        self._seed = seed
        self._claims: list[str] = []
        self._heard: dict[tuple[str, str], float] = {}
        sim.transcript.watchers.append(self._watch)

    def bad(self, what: str) -> None:
        self.violations.append(Violation(self._seed, self.sim.now, what))

    def fault(self) -> None:
        """A fault begins or ends now."""
        self.calmSince = self.sim.now
        self._claims.clear()

    def claims(self) -> list[str]:
        """Who has claimed since the last fault."""
        return list(self._claims)

    def _calm(self) -> bool:
        return self.sim.now > self.calmSince + 2 * self.sim.tolerance

    def _twoWay(self, one: str, other: str) -> bool:
        return self.sim.lan.reaches(one, other) and self.sim.lan.reaches(other, one)

    def _watch(self, kind: str, node: NativeHost, detail: Any) -> None:
        if kind == "heard":
            source = detail.source
            if source.held and source.wanted and self._since(source.name) < self.sim.now - SETTLED:
                self._heard[node.name, source.name] = self.sim.now
        elif kind == "hold" and detail.group == GROUP:
            self._claims.append(node.name)
            self._claimed(node)
        elif kind == "note" and "no majority has confirmed" in detail and self._calm():
            if self.sim.lan.weather.loss:
                return  # enough of what was sent in a lease may have been lost
            names = self.sim.quorum.members if self.sim.quorum is not None else frozenset()
            near = [n for n in names if self._votes(n) and self._twoWay(node.name, n)]
            if len(near) * 2 > len(names):
                self.bad(f"{node.name} found no majority, and has {sorted(near)}")

    def _votes(self, name: str) -> bool:
        node = self.sim.nodes[name]
        return node.up and GROUP in node.machine.elections

    def _since(self, name: str) -> float:
        """When it became a holder."""
        return self.sim.transcript.groups[GROUP].since.get(name, float("inf"))

    def _claimed(self, node: NativeHost) -> None:
        """Nobody claims who hears a holder, or a node that has a two-way link with both."""
        sim = self.sim
        for holder in sim.nodes.values():
            if holder is node or not (holder.held and holder.wanted and holder.up):
                continue
            heard = self._heard.get((node.name, holder.name), float("-inf"))
            if heard > max(sim.now - sim.tolerance + HANDLING, self._since(holder.name)):
                self.bad(f"{node.name} claimed, and had heard the holder {holder.name}")
            if not self._calm() or sim.lan.weather.loss:
                continue
            if sim.lan.reaches(holder.name, node.name):
                self.bad(f"{node.name} claimed, and hears the holder {holder.name}")
            for other in sim.nodes.values():
                if (
                    other not in (node, holder)
                    and other.up
                    and GROUP in other.machine.elections
                    and self._twoWay(other.name, node.name)
                    and self._twoWay(other.name, holder.name)
                ):
                    self.bad(
                        f"{node.name} claimed, and {other.name} hears the holder {holder.name}"
                    )


def _begin(
    seed: int, wire: bool, votes: bool, **more: Any
) -> tuple[Simulation, StandingJudge, random.Random, tuple[str, ...], Callable[[str], NativeHost]]:
    """A settled cluster, what judges it, and what starts a node of it."""
    chance = random.Random(f"standing {seed}")
    names = NAMES[: chance.choice((3, 3, 4, 5))]
    sim = Simulation(
        seed,
        wire=wire,
        members=names if votes else (),
        preempt=chance.random() < 0.7,
        asks=chance.random() < 0.9,
        **more,
    )
    priorities = {name: chance.choice((50, 100, 100, 200)) for name in names}
    rates = {name: chance.uniform(0.995, 1.005) for name in names}

    def start(name: str) -> NativeHost:
        return sim.start(name, priority=priorities[name], rate=rates[name])

    for name in names:
        start(name)
    judge = StandingJudge(sim, seed)
    sim.run(1.5 + chance.uniform(0, sim.interval))
    return sim, judge, chance, names, start


def _settles(sim: Simulation, judge: StandingJudge) -> None:
    """All is well again: within two tolerances and an interval exactly one node holds, and it keeps the group."""
    judge.fault()
    sim.run(2 * sim.tolerance + sim.interval)
    settled = sim.now
    sim.run(2 * sim.tolerance)
    if len(sim.holders()) != 1 or sim.transcript.overlap(settled) > 0:
        judge.bad(f"in the end {sim.holders() or 'nobody'} held")
    if sim.transcript.darkness(settled) > HANDLING:
        judge.bad(f"dark for {sim.transcript.darkness(settled):.4f} s in the end")


def _exclusive(sim: Simulation, judge: StandingJudge) -> None:
    if sim.quorum is not None and sim.transcript.overlap() > 0:
        judge.bad(f"two holders for {sim.transcript.overlap():.6f} s")


def cuts(seed: int, wire: bool = False) -> tuple[list[Violation], Simulation]:
    """One or two ways are cut for ten tolerances, in one direction or both; perhaps a standby restarts meanwhile."""
    votes = seed % 2 == 1
    sim, judge, chance, names, start = _begin(seed, wire, votes)
    holder = sim.holders()[0] if sim.holders() else names[0]
    for _ in range(chance.choice((1, 1, 2))):
        one, two = chance.sample(names, 2)
        if chance.random() < 0.7 and holder not in (one, two):
            one = holder
        if chance.random() < 0.5:
            one, two = two, one
        sim.cut(one, two, bothWays=chance.random() < 0.25)
    judge.fault()
    restarts = chance.random() < 0.3
    sim.run(4 * sim.tolerance)
    if restarts:
        name = chance.choice([name for name in names if name not in sim.holders()])
        sim.kill(name)
        judge.fault()
        sim.run(chance.choice((0.05, 1.0)))
        start(name)
        judge.fault()
        sim.run(4 * sim.tolerance)
    settled = sim.now
    sim.run(6 * sim.tolerance)
    late = [name for at, name, holds in sim.transcript.changes if at > settled and holds]
    if late:
        judge.bad(f"{late} claimed more than four tolerances after a standing cut")
    _exclusive(sim, judge)
    sim.heal()
    _settles(sim, judge)
    return judge.violations, sim


def islands(seed: int, wire: bool = False) -> tuple[list[Violation], Simulation]:
    """The cluster falls apart, long enough for each island to hold; then one way after the other is whole again."""
    votes = seed % 2 == 1
    sim, judge, chance, names, _ = _begin(seed, wire, votes)
    side = {name: chance.randrange(chance.choice((2, 3))) for name in names}
    cut = [(a, b) for a, b in combinations(names, 2) if side[a] != side[b]]
    for a, b in cut:
        sim.cut(a, b)
    judge.fault()
    sim.run(chance.uniform(2, 6) * sim.tolerance)
    chance.shuffle(cut)
    for a, b in cut:
        ways = [(a, b), (b, a)]
        chance.shuffle(ways)
        apart = chance.random() < 0.3
        for way in ways:
            sim.lan.blocked.discard(way)
            judge.fault()
            if apart:
                sim.run(chance.uniform(0, 3) * sim.interval)
        sim.run(chance.choice((0.002, 0.05, 0.3, 1.2)) * chance.uniform(0.5, 1.5))
    _exclusive(sim, judge)
    _settles(sim, judge)
    return judge.violations, sim


def rolling(seed: int, wire: bool = False) -> tuple[list[Violation], Simulation]:
    """Each node in turn is stopped, or loses power, and starts again: the group moves only when its holder goes."""
    votes = seed % 2 == 1
    sim, judge, chance, names, start = _begin(seed, wire, votes)
    for name in chance.sample(names, len(names)):
        holder = sim.holders()
        (sim.stop if chance.random() < 0.7 else sim.kill)(name)
        judge.fault()
        sim.run(chance.choice((0.05, 0.3, 0.8)) * chance.uniform(0.5, 1.5))
        if [name] != holder:
            if judge.claims():
                judge.bad(f"{judge.claims()} claimed after {name}, a standby, had gone")
        elif len(judge.claims()) > 1:
            judge.bad(f"{judge.claims()} claimed after {name} had gone")
        before = len(judge.claims())
        if sim.nodes[name].running:
            sim.kill(name)
        start(name)
        judge.fault()
        sim.run(2 * sim.tolerance + 2 * sim.interval + chance.uniform(0, 0.2))
        if before + len(judge.claims()) > (2 if [name] == holder else 1):
            judge.bad(f"{judge.claims()} claimed after {name} was back")
    _exclusive(sim, judge)
    _settles(sim, judge)
    return judge.violations, sim


def broken(seed: int, wire: bool = False) -> tuple[list[Violation], Simulation]:
    """
    With votes: a release that takes its time and that no guard can do, a node that lacks the group, a disk that takes
    nothing, a node that cannot acquire; and then cuts and losses of power.
    """
    chance = random.Random(f"broken {seed}")
    count = chance.choice((3, 3, 4, 5))
    names = NAMES[:count]
    release = chance.choice((0.0, 0.06, 0.1))
    sim = Simulation(
        seed,
        tolerance=0.5,
        wire=wire,
        members=names,
        preempt=chance.random() < 0.7,
        asks=True,
        guardable=chance.random() < 0.5,
    )
    sim.release = release + 0.01 if release else None
    judge = StandingJudge(sim, seed)
    lacking = chance.sample(names, chance.choice((0, 0, 1)))
    priorities = {name: chance.choice((50, 100, 100, 200)) for name in names}

    def start(name: str) -> None:
        groups: Sequence[str] = ("other",) if name in lacking else (GROUP, "other")
        node = sim.start(
            name, priority=priorities[name], rate=chance.uniform(0.991, 1.009), groups=groups
        )
        for part in node.groups.values():
            part.acquireTime = chance.uniform(0, 0.2)
            part.releaseTime = chance.uniform(release / 2, release) or 0.0005
        node.guard.seconds = 0.001 if not sim.guardable else chance.uniform(0.0005, 0.002)

    for name in names:
        start(name)
    full = chance.sample(names, chance.choice((0, 1)))
    for name in full:
        sim.at(chance.uniform(0, 3), lambda name=name: _fill(sim, name, True))  # type: ignore[misc]
    sim.run(2.0)
    for _ in range(chance.randint(1, 6)):
        _break(sim, chance, names, start)
        judge.fault()
        sim.run(chance.choice((0.05, 0.3, 1.0)) * chance.uniform(0.5, 1.5))
    sim.heal()
    sim.lan.weather.loss = 0.0
    for name, node in list(sim.nodes.items()):
        if not node.running:
            start(name)
        elif node.frozen:
            sim.thaw(name)
    judge.fault()
    sim.run(2.0)
    settled = sim.now
    sim.run(1.5)
    _exclusive(sim, judge)
    able = [name for name in names if name not in full and name not in lacking]
    if len(able) * 2 > count and len(lacking) == 0 and sim.transcript.darkness(settled) > 0.3:
        judge.bad(f"dark for {sim.transcript.darkness(settled):.4f} s though {able} are well")
    return judge.violations, sim


def _fill(sim: Simulation, name: str, full: bool) -> None:
    sim.nodes[name].disk.refusing = full


def _break(
    sim: Simulation, chance: random.Random, names: Sequence[str], start: Callable[[str], None]
) -> None:
    one = chance.choice(sim.holders() or names) if chance.random() < 0.6 else chance.choice(names)
    two = chance.choice([name for name in names if name != one])
    node = sim.nodes[one]
    kinds = ["kill", "isolate", "cut", "one-way", "deaf", "loss", "heal", "heal"]
    if sim.guardable:
        kinds += ["crash", "freeze", "fire"]
    what = chance.choice(kinds)
    if not node.running:
        start(one)
    elif node.frozen:
        sim.thaw(one)
    elif sim.strike(what, one, two):
        pass
    elif what == "loss":
        sim.lan.weather.loss = 0.0 if sim.lan.weather.loss else chance.uniform(0.05, 0.5)
    else:
        sim.heal()
