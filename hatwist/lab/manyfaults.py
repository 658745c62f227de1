"""
Random faults, real ones, on three nodes with many groups: never two holders, and calm soon after each.

    python -m hatwist.lab.manyfaults --groups 250 --minutes 10

Each node is the worthiest for a third of the groups, and all of them vote. After each fault two tolerances are left,
and the time for which the machine kept a daemon waiting for a processor; then nothing may change any more, and if a
majority is connected each group must be held once. C{--seed} plays the same faults again.
"""

from __future__ import annotations

import argparse
import itertools
import random
import sys
import time
from collections.abc import Coroutine, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple, NoReturn

from twisted.internet.defer import Deferred
from twisted.internet.task import react

from hatwist.core.errors import HatwistError
from hatwist.lab import world
from hatwist.lab.lab import HOSTS, TWISTD, Lab
from hatwist.lab.verdict import HostChange
from hatwist.lab.waiting import Waiting
from hatwist.runtime.clock import useMonotonic

FAULTS = (
    *("kill", "kill", "power", "stop", "freeze", "freeze"),
    *("cut", "one-way", "isolate", "heal", "heal", "heal"),
)
PRIORITIES = (200, 150, 100)
CALM = 2.0
"""Tolerances after a fault from which on nothing may change."""
WATCHED = 1.0
"""Tolerances for which it is watched that nothing does."""


def addressesOf(groups: int) -> list[str]:
    """One for each group; the first one is the lab's own."""
    rest = [f"10.98.{number // 250}.{number % 250 + 1}" for number in range(groups - 1)]
    return [Lab.address, *rest]


def configuration(groups: int, interval: float, tolerance: float, names: Sequence[str]) -> str:
    """The file of all nodes."""
    members = ", ".join(f'"{name}"' for name in names)
    lines = [f'interface = "eth0"\ninterval = {interval}\ntolerance = {tolerance}']
    lines += [f'quorum = "majority"\nmembers = [{members}]']
    lines += [f"[node.{name}]" for name in names]
    for number, address in enumerate(addressesOf(groups)):
        order = [names[(number + place) % len(names)] for place in range(len(names))]
        priority = ", ".join(f"{n} = {p}" for n, p in zip(order, PRIORITIES, strict=True))
        lines.append(
            f"[group.g{number}]\npriority = {{{priority}}}\n"
            f'resources = [{{address = "{address}/16@eth0"}}]'
        )
    return "\n".join(lines) + "\n"


class Holders:
    """Who holds each address, and for how long two did; fed with the judge's changes in their order."""

    def __init__(self, addresses: Sequence[str]) -> None:
        self._held: dict[str, set[str]] = {address: set() for address in addresses}
        self._since: dict[str, float] = {}
        self._read = 0
        self.overlaps: list[tuple[str, float, float]] = []

    def read(self, changes: Sequence[HostChange], since: float) -> list[float]:
        """Take in what is new; the result is when, of those after C{since}."""
        times = []
        for change in itertools.islice(changes, self._read, None):
            held = self._held.get(change.address)
            if held is None:
                continue
            (held.add if change.there else held.discard)(change.host)
            if len(held) > 1:
                self._since.setdefault(change.address, change.time)
            elif change.address in self._since:
                began = self._since.pop(change.address)
                self.overlaps.append((change.address, began, change.time - began))
            if change.time > since:
                times.append(change.time)
        self._read = len(changes)
        return times

    @property
    def unheld(self) -> list[str]:
        """The addresses that nobody holds, or more than one."""
        return [address for address, held in self._held.items() if len(held) != 1]


class Step(NamedTuple):
    """
    What came of one fault. Times in seconds.

    @ivar changes: of addresses on hosts.
    @ivar calm: from the fault to the last of them.
    @ivar waited: how long the machine kept daemons waiting.
    @ivar problem: what was wrong; C{""}: nothing.
    """

    what: str
    changes: int
    calm: float
    waited: float
    problem: str


class Play:
    """
    Faults on a lab, one after the other.

    @ivar steps: what came of each.
    """

    def __init__(self, lab: Lab, groups: int, seed: int) -> None:
        self._lab = lab
        self._chance = random.Random(seed)
        self._holders = Holders(addressesOf(groups))
        self._frozen: set[str] = set()
        self._cuts: set[tuple[str, str]] = set()
        self._waiting = Waiting(lab.reactor, self._pids)
        self.steps: list[Step] = []

    async def run(self, seconds: float) -> None:
        """Break and mend for so long, beginning with the start of all nodes at once."""
        lab = self._lab
        await lab.judge.start()
        self._waiting.start()
        try:
            for name in lab.names:
                await self._start(name, wait=False)
            await self._heard(*lab.names)
            await self._judge("all are started", await lab.judge.mark())
            end = lab.reactor.seconds() + seconds
            while lab.reactor.seconds() < end:
                what = await self._fault()
                if what:
                    await self._judge(what, await lab.judge.mark())
        finally:
            self._waiting.stop()

    async def _fault(self) -> str:
        """One random fault, or the end of one; C{""}: it would be none."""
        lab, chance = self._lab, self._chance
        what, one = chance.choice(FAULTS), chance.choice(lab.names)
        two = chance.choice([name for name in lab.names if name != one])
        await lab.anyMoment()
        if not lab.runs(one):
            await self._start(one)
            return f"{one} is started"
        program = lab.programs[one]
        if one in self._frozen:
            self._frozen.discard(one)
            program.thaw()
            return f"{one} goes on"
        if what == "kill":
            program.kill()
            await program.ended()
            return f"the daemon of {one} is killed"
        if what == "power":
            lab.host(one).powerOff()
            await program.ended()
            return f"{one} loses power"
        if what == "stop":
            program.stop()
            await program.ended()
            return f"{one} is stopped"
        if what == "freeze":
            self._frozen.add(one)
            program.freeze()
            return f"{one} hangs"
        if what == "heal":
            cuts, self._cuts = self._cuts, set()
            lab.lan.healAll()
            return "every cut is healed" if cuts else ""
        others = [name for name in lab.names if name != one] if what == "isolate" else [two]
        for other in others:
            lab.lan.heal(one, other)
            lab.lan.cut(one, other, oneWay=what == "one-way")
            self._cuts -= {(one, other), (other, one)}
            self._cuts |= {(one, other)} if what == "one-way" else {(one, other), (other, one)}
        return f"{what}: {one} and {', '.join(others)}"

    async def _start(self, name: str, wait: bool = True) -> None:
        lab = self._lab
        lab.host(name).powerOn()
        lab.run(name)
        if wait:
            await self._heard(name)

    async def _heard(self, *names: str) -> None:
        """Until they speak: how long a process takes to start is another question."""
        lab = self._lab
        since = lab.reactor.seconds()
        await lab.heartbeats.untilHeard({lab.host(name).ipv4() for name in names}, since)

    def _pids(self) -> list[int]:
        return [self._lab.programs[name].pid for name in self._lab.names if self._lab.runs(name)]

    @property
    def _majority(self) -> bool:
        """Do two running daemons hear each other?"""
        lab = self._lab
        good = [name for name in lab.names if lab.runs(name) and name not in self._frozen]
        pairs = itertools.combinations(good, 2)
        return any(not {(a, b), (b, a)} & self._cuts for a, b in pairs)

    async def _judge(self, what: str, since: float) -> None:
        lab = self._lab
        calm = CALM * lab.tolerance
        await lab.elapse(calm)
        while (more := since + calm + self._waited(since) - lab.reactor.seconds()) > 0:
            await lab.elapse(more)
        await lab.elapse(WATCHED * lab.tolerance)
        now = await lab.judge.mark()
        before = len(self._holders.overlaps)
        times = self._holders.read(lab.judge.changes, since)
        waited = self._waited(since)
        last = max(times, default=since) - since
        problems = [
            f"{address} had two holders for {length * 1000:.2f} ms, {at - since:.3f} s after it"
            for address, at, length in self._holders.overlaps[before:]
        ]
        if last > calm + waited:
            problems.append(f"something changed {last:.3f} s after it")
        if self._majority and (unheld := self._holders.unheld):
            problems.append(f"{len(unheld)} groups are not held once {now - since:.3f} s after it")
        step = Step(what, len(times), last, waited, "; ".join(problems[:5]))
        self.steps.append(step)
        print(
            f"{what}: {step.changes} changes, calm after {last * 1000:.0f} ms"
            f" (waited {waited * 1000:.0f} ms): {step.problem or 'ok'}",
            flush=True,
        )

    def _waited(self, since: float) -> float:
        return self._waiting.between(since, self._lab.reactor.seconds())


def summary(steps: Sequence[Step]) -> Iterator[str]:
    """What all of it came to."""
    failed = [step for step in steps if step.problem]
    times = sorted(step.calm for step in steps)
    yield (
        f"{len(steps)} faults, {sum(step.changes for step in steps)} changes of addresses; calm after "
        f"{times[len(times) // 2] * 1000:.0f} ms (median), {times[-1] * 1000:.0f} ms (worst); {len(failed)} failed"
    )


async def _all(reactor: Any, options: argparse.Namespace) -> None:
    with TemporaryDirectory() as directory:
        path = Path(directory, "hatwist.toml")

        def daemon(lab: Lab, host: str) -> list[str]:
            argv = [sys.executable, "-c", TWISTD, "--nodaemon", "--pidfile=", "ha"]
            return [*argv, "--config", str(path), "--node", host]

        lab = Lab(reactor, hosts=HOSTS, daemon=daemon)
        path.write_text(configuration(options.groups, lab.interval, lab.tolerance, HOSTS))
        play = Play(lab, options.groups, options.seed)
        try:
            await play.run(60 * options.minutes)
        except TimeoutError as error:
            raise HatwistError(f"{error}\n{lab.said()}") from error
        finally:
            await lab.close()
    for line in summary(play.steps):
        print(line, flush=True)
    if any(step.problem for step in play.steps):
        raise SystemExit(1)


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """The command line of this module; the exit status is 1 when something was wrong."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    parser = argparse.ArgumentParser(
        prog="python -m hatwist.lab.manyfaults",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--groups", type=int, default=250, help="how many groups (250)")
    parser.add_argument("--minutes", type=float, default=10.0, help="for how long (10)")
    parser.add_argument("--seed", type=int, default=0, help="which faults (0)")
    options = parser.parse_args(arguments)
    if not world.inside():
        again = [sys.executable, "-m", "hatwist.lab.manyfaults", *arguments]
        sys.exit(world.enter(again, again))

    def run(reactor: Any) -> Deferred[None]:
        useMonotonic(reactor, time.monotonic)
        played: Coroutine[Any, Any, None] = _all(reactor, options)
        return Deferred.fromCoroutine(played)

    react(run)


if __name__ == "__main__":
    main()
