"""Checks that a process is alive, by its name or by the file that has its number."""

from __future__ import annotations

import os
from dataclasses import dataclass

from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from hatwist.checks.base import CheckFailed, CheckWorld, Stateless
from hatwist.checks.programs import lacking, output, unreadable

SLICE = 64
"""Processes looked at in one turn of the reactor, some 20 microseconds each."""
COMM = 15
"""Characters of a process's name that the kernel keeps (TASK_COMM_LEN in include/linux/sched.h)."""


@dataclass(frozen=True, slots=True)
class ProcessCheck:
    """
    Good while a process is alive; one that is dead and not yet waited for is not.

    @ivar process: its name, as in /proc/PID/comm, of which the first 15 characters count; C{None}: any.
    @ivar pidfile: a file with its number in the first line; C{None}: any process of that name will do.
    """

    process: str | None = None
    pidfile: str | None = None

    @property
    def name(self) -> str:
        said = [f"process {self.process}" if self.process else ""]
        said.append(f"pidfile {self.pidfile}" if self.pidfile else "")
        return " ".join(filter(None, said))

    def problems(self) -> list[str]:
        return lacking("head", "setsid") if self.pidfile else []

    def probe(self, world: CheckWorld) -> _ProcessProbe:
        return _ProcessProbe(world, self)


class _ProcessProbe(Stateless):
    def __init__(self, world: CheckWorld, spec: ProcessCheck) -> None:
        self._world = world
        self._spec = spec
        self._pid = 0

    def run(self, limit: float) -> Deferred[None]:
        return Deferred.fromCoroutine(self._run(limit))

    async def _run(self, limit: float) -> None:
        spec = self._spec
        if spec.pidfile is not None:
            await self._inFile(spec.pidfile, limit)
        elif spec.process is not None and not _matches(self._pid, spec.process):
            self._pid = await self._search(spec.process)

    async def _inFile(self, path: str, limit: float) -> None:
        # Not by this process itself: the file may be on a disk that hangs.
        ending, lines = await output(self._world, ["head", "-n", "1", "--", path], limit)
        if ending.code:
            raise CheckFailed(unreadable(ending))
        line = lines[0] if lines else ""
        if not (line.isascii() and line.isdigit()):
            raise CheckFailed("there is no number in its first line")
        found = stat(int(line))
        if found is None or found[1] in _DEAD:
            raise CheckFailed(f"process {line} is not alive")
        wanted = self._spec.process
        if wanted is not None and found[0] != wanted[:COMM]:
            raise CheckFailed(f"process {line} is {found[0]}, not {wanted}")

    async def _search(self, name: str) -> int:
        """
        The first process of that name, slice by slice: there may be tens of thousands.

        @raise CheckFailed: there is none.
        """
        with os.scandir("/proc") as entries:
            for count, entry in enumerate(entries, 1):
                if count % SLICE == 0:
                    await deferLater(self._world.reactor, 0)
                if entry.name.isdigit() and _matches(int(entry.name), name):
                    return int(entry.name)
        raise CheckFailed("there is no such process")


_DEAD = "ZX"


def _matches(pid: int, name: str) -> bool:
    found = stat(pid)
    return found is not None and found[0] == name[:COMM] and found[1] not in _DEAD


def stat(pid: int) -> tuple[str, str] | None:
    """
    Name and state of a process, C{None} if there is none, from /proc/PID/stat: unlike cmdline it
    does not wait for a process that hangs in its memory management.
    """
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            text = file.read(1024).decode(errors="replace")
    except OSError:
        return None
    name, _, rest = text.partition("(")[2].rpartition(")")
    return name, rest.split()[0]
