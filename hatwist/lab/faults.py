"""
Random faults, real ones, on three nodes that vote: never two holders, and one whenever a majority is connected.

    python -m hatwist.lab.faults --count 100

Each schedule is made from one number, its seed, which a failure names; C{--seed} plays it again. The
faults are then the same, their moments as nearly as a real machine allows.
"""

from __future__ import annotations

import argparse
import itertools
import os
import random
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from twisted.internet.threads import deferToThread

from hatwist.core.errors import HatwistError
from hatwist.frontends.control import place
from hatwist.frontends.control.boxes import CommandRefused
from hatwist.frontends.control.client import Client, NotRunning, Unclear
from hatwist.lab.breaking import Breaks, Pair
from hatwist.lab.lab import HOSTS, Lab, Setup
from hatwist.lab.measurement import timeline
from hatwist.lab.playing import inWorld
from hatwist.lab.waiting import Waiting

VOTERS = Setup(more=("--quorum", "majority", "--members", ",".join(HOSTS)))
FAULTS = (
    *("kill", "kill", "power", "restart"),
    *("freeze", "freeze", "freeze"),
    *("stop-claim", "stop-claim", "stop-release", "stop-guard"),
    *("cut", "cut", "one-way", "one-way", "isolate", "isolate"),
    *("heal", "heal", "heal"),
)
PAUSES = (0.05, 0.2, 0.4, 1.2, 2.4)
STOPS = (0.01, 0.1, 0.5, 0.9)
"""Seconds for which a process is stopped in the middle of something."""
MOMENT = 0.025
"""Seconds after an order within which a claim or a release is under way."""
# Beyond a tolerance: for how long there may be no holder although a majority is connected, in seconds.
PATIENCE = 1.0


def order(name: str, to: str) -> None:
    """Ask the daemon of one host to move the group to another. It may be stopped or dead: the answer is no matter."""
    try:
        with Client(place.defaultPath("default", name)) as client:
            client.call("Move", 1.0, group="default", node=to)
    except (NotRunning, CommandRefused, Unclear):
        pass


def _guardOf(daemon: int) -> int | None:
    """The guard of a daemon, which may have none at the moment."""
    try:
        children = Path(f"/proc/{daemon}/task/{daemon}/children").read_text().split()
        commands = {int(pid): Path(f"/proc/{pid}/cmdline").read_text() for pid in children}
    except OSError:
        return None
    return next((pid for pid, command in commands.items() if "guard/program.py" in command), None)


def _signal(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass


class Outcome(NamedTuple):
    """
    What came of one schedule. Times in seconds.

    @ivar faults: what was done, each with its time after the beginning.
    @ivar changes: how often the address came to a host.
    @ivar twoHolders: how long two hosts held the address.
    @ivar darkest: the longest time without a holder while a majority was connected.
    @ivar waited: how long the daemons waited for a processor in that time, all together.
    @ivar judged: how long a majority was connected, of C{lasted}.
    @ivar problem: what was wrong, or nothing.
    @ivar found: who held the address when, and what the daemons said last.
    """

    seed: int
    faults: tuple[str, ...]
    changes: int
    twoHolders: float
    darkest: float
    waited: float
    judged: float
    lasted: float
    stalled: float
    problem: str
    found: str

    def __str__(self) -> str:
        return (
            f"seed {self.seed}: {len(self.faults)} faults in {self.lasted:.1f} s, a majority for "
            f"{self.judged:.1f} s; {self.changes} changes, two holders {self.twoHolders * 1000:.1f} ms, "
            f"none {self.darkest * 1000:.0f} ms, waited {self.waited * 1000:.0f} ms, "
            f"stood still {self.stalled * 1000:.0f} ms: {self.problem or 'ok'}"
        )

    def told(self) -> str:
        """Everything that is known of a failure."""
        return "\n".join([str(self), *self.faults, f"held by {self.found}"])


class Schedule:
    """
    One schedule on a lab of voters, which may be in any state before, and is healed afterwards.

    @ivar told: what was done so far, each with its time.
    """

    def __init__(self, lab: Lab, seed: int) -> None:
        self._lab = lab
        self.seed = seed
        self._chance = random.Random(seed)
        self._began = 0.0
        self.told: list[str] = []
        self._windows: list[tuple[float, frozenset[Pair]]] = []
        self._breaks = Breaks(lab)
        self._waiting = Waiting(lab.reactor, self._breaks.pids)

    async def run(self) -> Outcome:
        """Play it, and judge it."""
        lab = self._lab
        await lab.settle()
        await self._look()
        self._began = self._windows[0][0]
        self._waiting.start()
        try:
            await self.faults()
            await self._end()
            await self._look()
            await lab.elapse(lab.tolerance + PATIENCE + 2 * lab.interval)
            outcome = await self._judged()
            await deferToThread(order, lab.best, lab.best)  # what was moved would stay there
            return outcome
        finally:
            self._waiting.stop()

    # Faults

    async def faults(self) -> None:
        """Break and mend, at random."""
        lab, chance = self._lab, self._chance
        for _ in range(chance.randint(6, 12)):
            await self._fault()
            await self._look()
            await lab.elapse(chance.choice(PAUSES) * chance.uniform(0.5, 1.5))

    def _say(self, what: str) -> None:
        self.told.append(f"{time.monotonic() - self._began:9.4f} {what}")

    async def _fault(self) -> None:
        """One random fault, or the end of one."""
        lab, chance = self._lab, self._chance
        holders = sorted(lab.judge.holders(lab.address))
        one = chance.choice(lab.names)
        if chance.random() < 0.5 and holders:
            one = holders[0]
        two = chance.choice([name for name in lab.names if name != one])
        what = chance.choice(FAULTS)
        if not lab.runs(one):
            await self._start(one)
        elif one in self._breaks.frozen:
            self._thaw(one)
        elif what == "kill":
            self._say(f"the daemon of {one} is killed")
            lab.programs[one].kill()
            await lab.programs[one].ended()
        elif what == "power":
            self._say(f"{one} loses power")
            lab.host(one).powerOff()
            await lab.programs[one].ended()
        elif what == "restart":
            self._say(f"{one} is stopped")
            lab.programs[one].stop()
            await lab.programs[one].ended()
            await self._look()  # how long a process takes to start is another question
            await self._start(one)
        elif what == "freeze":
            self._say(f"the daemon of {one} hangs")
            self._breaks.freeze(one)
        elif what == "heal":
            self._heal()
        elif what == "stop-guard":
            await self._stopGuard(one)
        elif what.startswith("stop"):
            await self._stopWhile(what, one, two)
        else:
            others = [n for n in lab.names if n != one] if what == "isolate" else [two]
            for other in others:
                self.cut(one, other, oneWay=what == "one-way")

    async def _stopWhile(self, what: str, one: str, two: str) -> None:
        """The group is moved from or to a host, whose daemon is stopped at any moment of that, perhaps twice."""
        lab, chance = self._lab, self._chance
        to = one if what == "stop-claim" else two
        ordered = deferToThread(order, to if lab.runs(to) else one, to)
        await lab.elapse(chance.uniform(0, MOMENT))
        self._say(f"the daemon of {one} is stopped while the group is moved to {to}")
        self._breaks.frozen.add(one)
        await self._look()
        lab.programs[one].freeze()
        await lab.elapse(chance.choice(STOPS))
        if chance.random() < 0.3:  # a machine that gives it the processor in bits
            lab.programs[one].thaw()
            await lab.elapse(chance.uniform(0.001, 0.012))
            lab.programs[one].freeze()
            await lab.elapse(chance.choice(STOPS))
        self._thaw(one)
        await ordered

    async def _stopGuard(self, name: str) -> None:
        """A guard that stands still guards nothing; its daemon lives, and replaces it if it takes long."""
        guard = _guardOf(self._lab.programs[name].pid)
        if guard is None:
            return
        self._say(f"the guard of {name} is stopped")
        _signal(guard, signal.SIGSTOP)
        await self._lab.elapse(self._chance.choice(STOPS))
        _signal(guard, signal.SIGCONT)
        self._say(f"the guard of {name} goes on")

    def cut(self, one: str, two: str, oneWay: bool = False) -> None:
        """Cut two hosts apart; or let C{two} hear nothing of C{one}."""
        self._say(f"{two} does not hear {one}" if oneWay else f"{one} and {two} are cut apart")
        self._breaks.cut(one, two, oneWay)

    def _heal(self) -> None:
        self._breaks.heal()
        self._say("every cut is healed")

    def _thaw(self, name: str) -> None:
        self._say(f"the daemon of {name} goes on")
        self._breaks.thaw(name)

    async def _start(self, name: str) -> None:
        """Until it is heard; from then on it counts."""
        self._say(f"the daemon of {name} is started")
        await self._breaks.start(name)
        self._say(f"{name} is heard")

    async def _end(self) -> None:
        self._heal()
        for name in sorted(self._breaks.frozen):
            self._thaw(name)
        for name in self._lab.names:
            if not self._lab.runs(name):
                await self._start(name)

    # Judgement

    async def _look(self) -> None:
        self._windows.append((await self._lab.judge.mark(), self._breaks.connected()))

    def _spans(self, until: float) -> Iterator[tuple[float, float]]:
        """
        From when to when any two were connected without a break, whatever became of the third: faults of
        that one are no excuse for them.
        """
        for pair in itertools.combinations(self._lab.names, 2):
            since: float | None = None
            for at, connected in [*self._windows, (until, frozenset[Pair]())]:
                if pair in connected:
                    since = at if since is None else since
                elif since is not None:
                    yield since, at
                    since = None

    async def _judged(self) -> Outcome:
        lab = self._lab
        whole = await lab.judge.report(lab.address, self._began)
        # The longest time without a holder, less the time the machine kept programs waiting; and that time.
        darkest = waited = 0.0
        for since, until in self._spans(whole.until):
            part = await lab.judge.report(lab.address, since, until)
            for dark in part.held:
                if not dark.hosts:
                    wait = self._waiting.between(dark.start, dark.end)
                    if dark.length - wait >= darkest - waited:
                        darkest, waited = dark.length, wait
        edges = [at for at, _ in self._windows] + [whole.until]
        judged = sum(
            until - since
            for (since, connected), until in zip(self._windows, edges[1:], strict=True)
            if connected
        )
        problem = ""
        if whole.twoHolders > 0:
            problem = f"two hosts held the address for {whole.twoHolders * 1000:.2f} ms"
        elif darkest > lab.tolerance + PATIENCE + waited + whole.stalled:
            problem = f"a majority, and no holder for {darkest:.3f} s"
        return Outcome(
            self.seed,
            tuple(self.told),
            sum(
                change.there and change.address == lab.address and change.time >= self._began
                for change in lab.judge.changes
            ),
            whole.twoHolders,
            darkest,
            waited,
            judged,
            whole.until - self._began,
            whole.stalled,
            problem,
            f"{timeline(whole)}\n{lab.said(self._began)}" if problem else "",
        )


async def play(lab: Lab, schedule: Schedule) -> Outcome:
    """
    Play a schedule.

    @raise HatwistError: it came to no end; with what was done and what the daemons said.
    """
    try:
        return await schedule.run()
    except (HatwistError, TimeoutError) as error:
        done = "\n".join(schedule.told)
        raise HatwistError(f"seed {schedule.seed}: {error}\n{done}\n{lab.said()}") from error


async def _all(reactor: Any, seeds: Sequence[int]) -> None:
    lab = Lab.of(VOTERS, reactor)
    failed = 0
    try:
        await lab.start()
        for seed in seeds:
            outcome = await play(lab, Schedule(lab, seed))
            print(outcome.told() if outcome.problem else outcome, flush=True)
            failed += bool(outcome.problem)
    finally:
        await lab.close()
    print(f"{len(seeds)} schedules, {failed} failed")
    if failed:
        raise SystemExit(1)


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """The command line of this module; the exit status is 1 when a schedule failed."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    parser = argparse.ArgumentParser(prog="python -m hatwist.lab.faults", description=__doc__)
    parser.add_argument("--count", type=int, default=10, help="how many schedules (10)")
    parser.add_argument("--seed", type=int, default=0, help="the first seed (0)")
    options = parser.parse_args(arguments)
    seeds = range(options.seed, options.seed + options.count)

    again = ["-m", "hatwist.lab.faults", *arguments]
    inWorld(again, lambda reactor: _all(reactor, seeds))


if __name__ == "__main__":
    main()
