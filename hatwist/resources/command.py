"""A pair of commands, one that starts something and one that stops it."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from twisted.internet.defer import Deferred, DeferredLock
from zope.interface import implementer

from hatwist.core import parsing
from hatwist.core.errors import ResourceError
from hatwist.core.parsing import Argv
from hatwist.core.table import Table
from hatwist.resources.interfaces import IFenced, IResource
from hatwist.resources.process import Ending, IProgramReactor, run
from hatwist.resources.spec import TIMEOUT, World, readTimeout


@dataclass(frozen=True, slots=True)
class CommandSpec:
    """
    A program to start and one to stop.

    @ivar check: says with 0 that it is held; C{None}: nothing does.
    @ivar timeout: seconds that each of them may take.
    """

    kind: ClassVar[str] = "command"
    command: Argv
    undo: Argv
    check: Argv | None = None
    timeout: float = TIMEOUT

    @classmethod
    def read(cls, table: Table) -> CommandSpec:
        """Of a table with the key C{command}."""
        return cls(
            table.take("command", parsing.argv, ()),
            table.take("undo", parsing.argv),
            table.take("check", parsing.argv, None),
            readTimeout(table),
        )

    @property
    def given(self) -> str:
        return " ".join(self.command)

    @property
    def programs(self) -> tuple[str, ...]:
        return tuple(argv[0] for argv in (self.command, self.undo, self.check) if argv)

    @property
    def releaseTime(self) -> float:
        return self.timeout if self.check is None else 2 * self.timeout

    @property
    def shared(self) -> object:
        return repr(self)

    def identity(self, group: str) -> Hashable:
        """In another group it may well do something else."""
        return group, self

    def make(self, world: World) -> Command:
        environment = {"HATWIST_GROUP": world.group}
        return Command(
            world.reactor, self.command, self.undo, self.timeout, self.check, environment
        )

    def __str__(self) -> str:
        return f"{self.kind} {self.given}"


@implementer(IResource, IFenced)
class Command:
    """
    Held between C{start} and C{stop}, of which only one runs at a time.

    An exit code other than 0 is a failure. With C{check} its exit code alone (0: held) decides what is held, since
    many a start and stop command ends with 0 and has done nothing. Without it C{stop} must
    succeed when there is nothing to stop, and L{verify} can only repeat what was last done.

    @param start, stop, check: the program and its arguments; no shell reads them.
    @param timeout: seconds each of them may take; then it is killed with all it started.
    @ivar acquireTime, releaseTime: seconds that an acquire and a release may take, with their checks.
    @ivar stopTime: the same as C{releaseTime}: a command that undoes something is not cut short.
    @param env: variables added to its environment, such as C{{"HATWIST_GROUP": "web"}}; C{HATWIST_TERM},
        the term of the claim, is always there.
    """

    def __init__(
        self,
        reactor: IProgramReactor,
        start: Sequence[str],
        stop: Sequence[str],
        timeout: float = TIMEOUT,
        check: Sequence[str] | None = None,
        env: Mapping[str, str] | None = None,
    ) -> None:
        self._reactor = reactor
        self._start = tuple(start)
        self._stop = tuple(stop)
        self._check = None if check is None else tuple(check)
        self._timeout = timeout
        self._env = dict(env or {})
        self.term = 0
        self._oneAtATime = DeferredLock()
        self.acquireTime = timeout if check is None else 3 * timeout
        self.releaseTime = timeout if check is None else 2 * timeout
        self.stopTime = self.releaseTime
        self._held = False
        self._lost: Callable[[str], None] | None = None
        self.name = shlex.join(self._start)

    @property
    def checked(self) -> bool:
        """A check tells whether it is held, also what an earlier run began."""
        return self._check is not None

    def acquire(self) -> Deferred[None]:
        """Run C{start}, unless it is held already."""
        return self._oneAtATime.run(lambda: Deferred.fromCoroutine(self._acquire()))

    def release(self) -> Deferred[None]:
        """Run C{stop}, held or not: an earlier run of this program may have left it."""
        return self._oneAtATime.run(lambda: Deferred.fromCoroutine(self._release()))

    def verify(self) -> Deferred[bool]:
        """Run C{check}. When that finds that what was held is gone, L{watch}'s function is told."""
        return self._oneAtATime.run(lambda: Deferred.fromCoroutine(self._verify()))

    def watch(self, lost: Callable[[str], None]) -> None:
        """Commands have no events: a loss is seen when C{verify} is called."""
        self._lost = lost

    async def _acquire(self) -> None:
        if await self._isHeld():
            self._held = True
            return
        self._held = False
        ending = await self._run(self._start)
        if ending.code:
            raise _failure(self._start, ending)
        if self._check is not None and (checked := await self._run(self._check)).code:
            raise _failure(self._check, checked, f"after {self.name} had ended with 0")
        self._held = True

    async def _release(self) -> None:
        ending = await self._run(self._stop)
        if self._check is None:
            if ending.code:
                raise _failure(self._stop, ending)
        elif (checked := await self._run(self._check)).code == 0:
            raise _failure(
                self._stop, ending, f"and {shlex.join(self._check)} says it still runs", checked
            )
        self._held = False

    async def _verify(self) -> bool:
        was, self._held = self._held, await self._isHeld()
        if was and not self._held and self._lost is not None:
            self._lost(f"{self.name}: its check says that it is gone")
        return self._held

    async def _isHeld(self) -> bool:
        if self._check is None:
            return self._held
        return (await self._run(self._check)).code == 0

    def _run(self, argv: Sequence[str]) -> Deferred[Ending]:
        return run(
            self._reactor, argv, self._timeout, {"HATWIST_TERM": str(self.term), **self._env}
        )


def _failure(
    argv: Sequence[str], ending: Ending, context: str = "", checked: Ending | None = None
) -> ResourceError:
    words = ending.words or (checked.words if checked else "")
    parts = [
        f"{shlex.join(argv)}: ended with {ending.code}",
        context,
        f"({words})" if words else "",
    ]
    return ResourceError(" ".join(part for part in parts if part))
