"""
Random fault schedules for clusters of many groups, which come and go while they run.

Each group has a holder of its own: nodes differ in what they are worth for it, in whether they can hold it and in
how long that takes. The operator moves groups, drains nodes, and changes the configuration on one node after the
other, so that for a while they differ; in the middle of it a node may die.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from functools import partial

from hatwist.core.worth import Fitness
from hatwist.protocols.native.rules import GroupRules
from hatwist.testing.groupsjudge import CLOCKS, GroupsJudge
from hatwist.testing.hostgroup import HostGroup
from hatwist.testing.schedules import HANDLING, NAMES, TRAVEL, Violation
from hatwist.testing.simulation import NativeHost, Simulation

KEY = b"a key of a cluster"
ON_NODES = (
    "kill", "kill", "freeze", "freeze", "isolate", "cut", "one-way", "one-way", "deaf", "loss", "stop",
    "drain", "heal", "heal",
)  # fmt: skip
GUARDED = ("crash", "fire")
ON_GROUPS = ("fail", "unfit", "slow", "move", "move", "move")
RELOADS = ("add", "remove", "again", "swap", "priorities", "preempt")
PACES = (0.0, 0.0, 0.01, 0.1, 0.4)
"""Seconds, about, from one node's reload to the next one's."""


class Story:
    """
    One schedule under way.

    @param votes: claims take votes.
    @ivar shared: each group as all nodes are to be configured with it, by name.
    """

    def __init__(self, seed: int, votes: bool) -> None:
        self.chance = chance = random.Random(f"groups {seed}")
        self.names = NAMES[: chance.choice((3, 3, 3, 3, 4, 4, 5, 6, 8))]
        count = chance.choice((1, 2, 2, 3, 3, 4, 5, 6, 8))
        if chance.random() < 0.02:
            self.names, count = NAMES[: chance.choice((3, 3, 4))], 50
        self.slow = chance.random() < 0.3
        self.guarded = votes or chance.random() < 0.5
        self.sim = Simulation(
            seed, key=KEY, members=self.names if votes else (), guarded=self.guarded
        )
        self.sim.release = 0.08 if self.slow else None
        self.judge = GroupsJudge(self.sim, seed)
        self.shared = {f"g{number}": self._group(f"g{number}") for number in range(count)}
        self.refused = self._over = False
        self._spare = [f"g{number}" for number in range(count, count + 3)]
        self._stopped: set[str] = set()
        self._rates = {name: chance.uniform(0.991, 1.009) for name in self.names}
        self._priorities: dict[tuple[str, str], int] = {}
        self._files: dict[str, dict[str, GroupRules]] = {}
        words = [f"{len(self.names)} nodes, {count} groups, {'votes' if votes else 'no votes'}"]
        words += ["guards"] * self.guarded + ["slow resources"] * self.slow
        self.sim.transcript.note("story", ", ".join(words))

    def _group(self, name: str) -> GroupRules:
        chance = self.chance
        return GroupRules(
            name,
            preempt=chance.random() < 0.7,
            preemptDelay=chance.choice((0.0, 0.0, 0.2)),
            keepUnfit=chance.random() < 0.2,
            asks=chance.random() < 0.8,
        )

    # Nodes and their configuration

    def _own(self, name: str) -> list[GroupRules]:
        """The groups of a node, as its file has them."""
        found = []
        for group, rules in self._files[name].items():
            priority = self._priorities.get((name, group))
            if priority is None:
                priority = self.chance.choice((50, 100, 100, 200))
                self._priorities[name, group] = priority
            found.append(rules._replace(priority=priority))
        return found

    def _pace(self, node: NativeHost, groups: Sequence[GroupRules]) -> None:
        """Acquire and release take the time that they take."""
        chance = self.chance
        node.guard.seconds = chance.uniform(0.0005, 0.002)
        for rules in groups:
            part = node.groups.setdefault(rules.name, HostGroup())
            if self.slow:
                part.acquireTime, part.releaseTime = chance.uniform(0, 0.3), chance.uniform(0, 0.07)

    def start(self, name: str) -> None:
        """It starts, by its file."""
        self._files.setdefault(name, self.shared)
        self._stopped.discard(name)
        groups = self._own(name)
        node = self.sim.start(name, rate=self._rates[name], groups=groups)
        self._pace(node, groups)

    def _install(self, name: str, shared: dict[str, GroupRules]) -> None:
        """The operator changes its file, and has its daemon go by it."""
        if self._over:
            return
        self._files[name] = shared
        node = self.sim.nodes[name]
        if node.running and not node.machine.over:
            groups = self._own(name)
            self._pace(node, groups)
            self.sim.reload(name, groups)

    def _roll(self, after: float = 0.0) -> None:
        """From now on, or after a while, all nodes go by the present configuration, one after the other."""
        chance, shared = self.chance, dict(self.shared)
        at, pace = self.sim.now + after, chance.choice(PACES)
        names = chance.sample(self.names, len(self.names))
        if chance.random() < 0.2:
            names = names[: chance.randrange(1, len(names))]  # the rest follows in the end
        victim = chance.choice(names) if chance.random() < 0.25 else ""
        for name in names:
            at += pace * chance.uniform(0.2, 2)
            self.sim.at(at, partial(self._install, name, shared))
            if name == victim:
                dead = chance.choice(self.names)
                self.sim.at(at + chance.choice((0.0, 0.0005, 0.02)), partial(self._die, dead))

    def _die(self, name: str) -> None:
        if self.sim.nodes[name].running and not self._over:
            self.sim.kill(name)

    def _reload(self) -> None:
        chance, shared = self.chance, self.shared
        what = chance.choice(RELOADS)
        one = chance.choice(list(shared)) if shared else ""
        if what == "add" or not one:
            name = chance.choice(self._spare)
            self.shared = {**shared, name: self._group(name)}
        elif what == "priorities":
            for name in self.names:
                self._priorities.pop((name, one), None)
        elif what == "preempt":
            self.shared = {**shared, one: shared[one]._replace(preempt=not shared[one].preempt)}
        else:
            self.shared = {name: rules for name, rules in shared.items() if name != one}
            if what == "swap":
                name = chance.choice([name for name in self._spare if name != one])
                self.shared[name] = self._group(name)
            if one not in self._spare:
                self._spare.append(one)
        self._roll()
        if what == "again":
            self.shared = shared
            self._roll(chance.choice((0.0, 0.05, 0.4, 1.0)) * chance.uniform(0.5, 1.5))

    # Faults

    def fault(self) -> None:
        """One random fault, or the end of one."""
        chance, sim = self.chance, self.sim
        kind = chance.random()
        if kind < 0.25:
            self._reload()
            return
        one = chance.choice(self.names)
        groups = [rules.name for rules in sim.files[one]]
        if kind < 0.5 and groups:
            self._onGroup(chance.choice(ON_GROUPS), one, chance.choice(groups))
            return
        two = chance.choice([name for name in self.names if name != one])
        node = sim.nodes[one]
        what = chance.choice((*ON_NODES, *GUARDED) if self.guarded else ON_NODES)
        if not node.running:
            self.start(one)
        elif node.frozen:
            sim.thaw(one)
        elif sim.strike(what, one, two):
            pass
        elif what == "loss":
            sim.lan.weather.loss = 0.0 if sim.lan.weather.loss else chance.uniform(0.05, 0.4)
        elif what == "stop" and len(self._stopped) < len(self.names) // 2:
            sim.stop(one)
            self._stopped.add(one)
        elif what == "drain":
            sim.drain(one, not node.machine.drained)
        else:
            sim.heal()

    def _onGroup(self, what: str, one: str, group: str) -> None:
        chance, sim = self.chance, self.sim
        part = sim.nodes[one].groups[group]
        if what == "fail":
            part.failing, self.refused = not part.failing, True
        elif what == "unfit":
            worst = chance.choice((Fitness.UNFIT, Fitness.UNFIT, Fitness.DEGRADED, Fitness.FIT))
            sim.fitness(one, worst, "a check", group)
        elif what == "slow" and self.slow:
            part.acquireTime = chance.uniform(0, 0.5)
        else:
            sim.move(one, chance.choice((*self.names, "")), group)

    def mend(self) -> None:
        """All faults end, and all nodes get one configuration."""
        sim = self.sim
        sim.lan.weather.loss = sim.lan.weather.late = sim.lan.weather.doubled = 0.0
        sim.heal()
        for name in self.names:
            node = sim.nodes[name]
            for part in node.groups.values():
                part.failing = False
            if node.frozen:
                sim.thaw(name)
            if name in self._stopped:
                sim.kill(name)
            if not node.running:
                self.start(name)
            if node.machine.drained:
                sim.drain(name, False)
            for rules in sim.files[name]:
                sim.fitness(name, Fitness.FIT, "", rules.name)
            self._files[name] = self.shared
            if self._own(name) != list(sim.files[name]):
                self._install(name, self.shared)
        self._over = True

    def moves(self) -> None:
        """The operator moves some groups at once, each by one node to another: they go there, and no other goes."""
        chance, sim, start = self.chance, self.sim, self.sim.now
        groups = sorted(self.shared)
        moved = {group: chance.choice(self.names) for group in groups if chance.random() < 0.5}
        for group, to in moved.items():
            sim.move(chance.choice(self.names), to, group)
        sim.run(2 * sim.tolerance + (1.0 if self.slow else 0.0))
        for group in groups:
            told = sim.transcript.said(f"{group}: is asked to move it to", start)
            holders = sorted(sim.transcript.groups[group].since)
            if told and holders != [moved[group]]:
                self.judge.bad(f"{group}: {holders} held it after a move to {moved[group]}")
            late = [name for at, name, holds in sim.transcript.groups[group].changes if at > start]
            if late and not told and not self.refused:
                self.judge.bad(f"{group}: {late} changed when others were moved at {start:.4f}")


def _run(seed: int, votes: bool) -> tuple[list[Violation], Simulation]:
    story = Story(seed, votes)
    sim, judge, chance = story.sim, story.judge, story.chance
    for name in story.names:
        sim.at(chance.uniform(0, 0.3), partial(story.start, name))
    sim.run(chance.uniform(0.35, 1.0))
    if chance.random() < 0.4:
        sim.lan.weather.doubled = sim.lan.weather.late = 0.1
        sim.lan.weather.lateness = chance.choice((0.05, 0.3))
    for _ in range(chance.randint(2, 8)):
        story.fault()
        seconds = chance.choice((0.05, 0.2, 0.4, 1.2)) * chance.uniform(0.5, 1.5)
        if seconds > 2 * sim.interval and not (sim.lan.weather.loss or sim.lan.weather.late):
            told = judge.told()
            sim.run(2 * sim.interval)
            judge.known(told)
        sim.run(seconds)
    story.mend()
    prompt = sim.tolerance * CLOCKS + sim.interval + TRAVEL + HANDLING
    limit = prompt + sim.tolerance if votes else prompt
    if story.slow or story.refused:  # who could not acquire keeps away for a while
        limit = 3 * sim.tolerance + 1.0
    judge.settled(story.shared, limit, 2 * sim.tolerance, 0.05 if votes else 4 * TRAVEL + HANDLING)
    story.moves()
    return judge.violations, sim


def plain(seed: int, wire: bool = True) -> tuple[list[Violation], Simulation]:
    """Without votes: no two hold a group that hear each other. Packets are always bytes."""
    return _run(seed, votes=False)


def majority(seed: int, wire: bool = True) -> tuple[list[Violation], Simulation]:
    """With votes: no two hold a group at any time. Packets are always bytes."""
    return _run(seed, votes=True)
