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
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple, NoReturn

from hatwist.core.errors import HatwistError
from hatwist.lab.breaking import Breaks
from hatwist.lab.lab import HOSTS, TWISTD, Lab
from hatwist.lab.playing import inWorld
from hatwist.lab.verdict import HostChange, Span, holding
from hatwist.lab.waiting import Waiting

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


class ManyAddresses:
    """What became of many addresses, by the judge's changes, which are read once each."""

    def __init__(self, addresses: Sequence[str]) -> None:
        self._changes: dict[str, list[HostChange]] = {address: [] for address in addresses}
        self._read = 0

    def read(self, changes: Sequence[HostChange]) -> None:
        """Take in what is new."""
        for change in itertools.islice(changes, self._read, None):
            if change.address in self._changes:
                self._changes[change.address].append(change)
        self._read = len(changes)

    def times(self, since: float) -> list[float]:
        """When any of them came or went after that time."""
        return [each.time for own in self._changes.values() for each in own if each.time > since]

    def twice(self, since: float, until: float) -> Iterator[tuple[str, Span]]:
        """Each time for which one of them was held by more than one host."""
        for address, own in self._changes.items():
            for span in holding(own, address, since, until):
                if len(span.hosts) > 1:
                    yield address, span

    def unheld(self, now: float) -> list[str]:
        """Those that nobody holds, or more than one."""
        held = {a: holding(own, a, now, now)[-1].hosts for a, own in self._changes.items()}
        return [address for address, hosts in held.items() if len(hosts) != 1]


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
        self._addresses = ManyAddresses(addressesOf(groups))
        self._judgedUntil = 0.0
        self._breaks = Breaks(lab)
        self._waiting = Waiting(lab.reactor, self._breaks.pids)
        self.steps: list[Step] = []

    async def run(self, seconds: float) -> None:
        """Break and mend for so long, beginning with the start of all nodes at once."""
        lab = self._lab
        await lab.judge.start()
        self._waiting.start()
        try:
            await self._breaks.start(*lab.names)
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
        lab, chance, breaks = self._lab, self._chance, self._breaks
        what, one = chance.choice(FAULTS), chance.choice(lab.names)
        two = chance.choice([name for name in lab.names if name != one])
        await lab.anyMoment()
        if not lab.runs(one):
            await breaks.start(one)
            return f"{one} is started"
        program = lab.programs[one]
        if one in breaks.frozen:
            breaks.thaw(one)
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
            breaks.freeze(one)
            return f"{one} hangs"
        if what == "heal":
            broken = bool(breaks.cuts)
            breaks.heal()
            return "every cut is healed" if broken else ""
        others = [name for name in lab.names if name != one] if what == "isolate" else [two]
        for other in others:
            breaks.cut(one, other, oneWay=what == "one-way")
        return f"{what}: {one} and {', '.join(others)}"

    async def _judge(self, what: str, since: float) -> None:
        lab = self._lab
        calm = CALM * lab.tolerance
        await lab.elapse(calm)
        while (more := since + calm + self._waited(since) - lab.reactor.seconds()) > 0:
            await lab.elapse(more)
        await lab.elapse(WATCHED * lab.tolerance)
        now, addresses = await lab.judge.mark(), self._addresses
        addresses.read(lab.judge.changes)
        times = addresses.times(since)
        waited = self._waited(since)
        last = max(times, default=since) - since
        problems = [
            f"{address} was held by {' and '.join(span.hosts)} for {span.length * 1000:.2f} ms, "
            f"{span.start - since:.3f} s after it"
            for address, span in addresses.twice(self._judgedUntil, now)
        ]
        self._judgedUntil = now
        if last > calm + waited:
            problems.append(f"something changed {last:.3f} s after it")
        if self._breaks.connected() and (unheld := addresses.unheld(now)):
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
    again = ["-m", "hatwist.lab.manyfaults", *arguments]
    inWorld(again, lambda reactor: _all(reactor, options))


if __name__ == "__main__":
    main()
