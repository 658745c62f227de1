"""
Checks that run a program: one of yours, systemctl for a unit, stat for a file.

A file may be on a disk that hangs, and whoever waits there cannot be interrupted. So
not even a file is looked at by this process itself.
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from twisted.internet.defer import Deferred

from hatwist.checks.base import CheckFailed, CheckWorld, Stateless
from hatwist.core.errors import ResourceError
from hatwist.resources.process import GRACE, Ending, find, run

SYSTEMCTL = "systemctl"
MISSING = "no such program, or no permission to run it"
_PLAIN = {"LC_ALL": "C"}  # messages that are the same everywhere


def lacking(*programs: str) -> list[str]:
    """A problem for each of these programs that is not there."""
    return [f"{each}: {MISSING}" for each in programs if find(each) is None]


async def output(
    world: CheckWorld, argv: Sequence[str], limit: float, env: Mapping[str, str] = _PLAIN
) -> tuple[Ending, list[str]]:
    """
    How a program ended, and its lines. Cancelled, it is killed at once, with all that it started.

    @raise CheckFailed: it could not be run.
    """
    lines: list[str] = []
    try:
        # Who asks ends it sooner than this. What it says is a reason, and no line of the log.
        ending = await run(world.reactor, argv, limit + GRACE, env, lines.append)
    except ResourceError as error:
        raise CheckFailed(str(error)) from error
    return ending, lines


class _Program(Stateless):
    """Runs a program that ends with 0 when all is well, and else says why."""

    def __init__(self, world: CheckWorld, argv: Sequence[str], telling: bool = False) -> None:
        """
        @param telling: its last words say all, its exit code nothing more.
        """
        self._world = world
        self._argv = tuple(argv)
        self._telling = telling

    def run(self, limit: float) -> Deferred[None]:
        return Deferred.fromCoroutine(self._run(limit))

    async def _run(self, limit: float) -> None:
        ending, _ = await output(self._world, self._argv, limit, self._world.env)
        if not ending.code:
            return
        if self._telling and ending.words:
            raise CheckFailed(ending.words)
        raise CheckFailed(f"ended with {ending.code}" + (ending.words and f": {ending.words}"))


@dataclass(frozen=True, slots=True)
class CommandCheck:
    """
    Good if a program ends with 0; its last line of output is the reason when it does not.

    @ivar argv: the program, an absolute path or on the PATH, and its arguments; no shell reads them.
    """

    argv: tuple[str, ...]

    @property
    def name(self) -> str:
        return f"command {shlex.join(self.argv)}"

    def problems(self) -> list[str]:
        return lacking(self.argv[0], "setsid")

    def probe(self, world: CheckWorld) -> _Program:
        return _Program(world, self.argv)


@dataclass(frozen=True, slots=True)
class UnitCheck:
    """
    Good while systemd calls a unit active.

    By systemctl, for the reasons that L{hatwist.resources.unit} has.
    """

    unit: str

    @property
    def name(self) -> str:
        return f"unit {self.unit}"

    def problems(self) -> list[str]:
        return lacking(SYSTEMCTL, "setsid")

    def probe(self, world: CheckWorld) -> _Program:
        return _Program(world, (SYSTEMCTL, "is-active", "--", self.unit), telling=True)


@dataclass(frozen=True, slots=True)
class FileCheck:
    """
    Good while there is such a file, or directory, or whatever; symbolic links are followed.

    @ivar newer: seconds that its last change may be ago; C{None}: any time.
    """

    path: str
    newer: float | None = None

    @property
    def name(self) -> str:
        return f"file {self.path}"

    def problems(self) -> list[str]:
        return lacking("stat", "setsid")

    def probe(self, world: CheckWorld) -> _FileProbe:
        return _FileProbe(world, self)


class _FileProbe(Stateless):
    # Times of files are on the wall clock.
    now = staticmethod(time.time)

    def __init__(self, world: CheckWorld, spec: FileCheck) -> None:
        self._world = world
        self._spec = spec

    def run(self, limit: float) -> Deferred[None]:
        return Deferred.fromCoroutine(self._run(limit))

    async def _run(self, limit: float) -> None:
        spec = self._spec
        ending, lines = await output(
            self._world, ["stat", "-L", "-c", "%Y", "--", spec.path], limit
        )
        if ending.code:
            raise CheckFailed(unreadable(ending))
        if spec.newer is not None:
            age = int(self.now()) - int(lines[0])
            if age > spec.newer:
                raise CheckFailed(f"last changed {age} s ago, allowed are {spec.newer:g} s")


def unreadable(ending: Ending) -> str:
    """What a program of the coreutils says last, as in "stat: cannot statx '/x': No such file ..."."""
    return ending.words.rpartition(": ")[2] or f"ended with {ending.code}"
