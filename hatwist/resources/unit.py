"""
A systemd unit, started and stopped by systemctl.

Not over D-Bus: systemctl waits until the job is done and says in words why it failed, needs no message
bus when it runs as root (it speaks to systemd's own socket), asks polkit when it does not, and adds no
dependency. What it costs is a process of a few milliseconds for each question. No shell is involved.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import ClassVar

from twisted.internet.defer import Deferred, DeferredLock
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from zope.interface import implementer

from hatwist.core.errors import ResourceError
from hatwist.core.table import Table
from hatwist.resources.interfaces import IResource
from hatwist.resources.process import Ending, IProgramReactor, run
from hatwist.resources.spec import World, readTimeout
from hatwist.resources.vigil import Vigil

SYSTEMCTL = "systemctl"
TIMEOUT = 30.0
"""Seconds that a unit may take each way, where nothing else is said: more than a program of one's own."""
EVERY = 2.0
"""Seconds between two looks at a unit that is held."""
STEADY = 60.0
"""Seconds that a unit must have run since it was restarted here to be restarted once more."""
PATIENCE = 3
"""How often in a row systemd may not answer before what is held counts as lost."""
_RUNS = ("active", "reloading", "refreshing")
_GONE = ("inactive", "failed", "unknown")
_PASSING = ("activating", "deactivating", "maintenance")
_NAME = re.compile(
    r"[A-Za-z0-9:_.\\@-]{1,255}"
    r"\.(?:service|socket|target|mount|automount|swap|timer|path|slice|scope|device)\Z"
)
# Whatever the locale is, and never a pager or a question.
_ENVIRONMENT = {"LC_ALL": "C", "SYSTEMD_PAGER": "", "SYSTEMD_COLORS": "0"}


def unitName(value: object) -> str:
    """
    The full name of a unit; without a type it is a service.

    @raise ValueError: it is none; patterns, which systemctl would expand, are none either.
    """
    text = value if isinstance(value, str) else ""
    if text and "." not in text:
        text += ".service"
    if text.startswith("-") or not _NAME.match(text):
        raise ValueError("allowed is the name of a systemd unit, such as nginx.service")
    return text


@dataclass(frozen=True, slots=True)
class UnitSpec:
    """
    A systemd unit that runs where the group is.

    @ivar timeout: seconds that its start and its stop may each take.
    """

    kind: ClassVar[str] = "unit"
    unit: str
    timeout: float = TIMEOUT

    @classmethod
    def read(cls, table: Table) -> UnitSpec:
        """Of a table with the key C{unit}."""
        return cls(table.take("unit", unitName, ""), readTimeout(table, TIMEOUT))

    @property
    def given(self) -> str:
        return self.unit

    @property
    def programs(self) -> tuple[str, ...]:
        return (SYSTEMCTL,)

    @property
    def releaseTime(self) -> float:
        return 2 * self.timeout

    @property
    def shared(self) -> object:
        return repr(self)

    def identity(self, group: str) -> Hashable:
        return self.unit

    def make(self, world: World) -> Unit:
        return Unit(world.reactor, self.unit, self.timeout, permitted=world.permitted)

    def __str__(self) -> str:
        return f"{self.kind} {self.given}"


@implementer(IResource)
class Unit:
    """
    Held while systemd calls it active.

    While it is held it is looked at every L{EVERY} seconds. One that has stopped is started again once; when
    that fails, or it does not last for L{STEADY} seconds, it is lost. It should not be enabled:
    what systemd starts at boot is stopped here until it is this node's turn.

    @param timeout: seconds that its start and its stop may each take.
    @param permitted: asked before it is started again.
    @ivar acquireTime, releaseTime: seconds that an acquire and a release may take.
    """

    _log = Logger()

    def __init__(
        self,
        reactor: IProgramReactor,
        unit: str,
        timeout: float = TIMEOUT,
        every: float = EVERY,
        permitted: Callable[[], bool] = lambda: True,
    ) -> None:
        self._reactor = reactor
        self.name = f"unit {unit}"
        self._unit = unit
        self._timeout = timeout
        self._every = every
        self.acquireTime = 3 * timeout
        self.releaseTime = self.stopTime = 2 * timeout
        self._oneAtATime = DeferredLock()
        self._vigil = Vigil(reactor, self.name, self._holds, self._restart, permitted)
        self._next: IDelayedCall | None = None
        self._restarted = float("-inf")
        self._unanswered = 0

    def acquire(self) -> Deferred[None]:
        """Start it, unless it is active already. Fires when systemd calls it active."""
        return self._oneAtATime.run(lambda: Deferred.fromCoroutine(self._acquire()))

    def release(self) -> Deferred[None]:
        """Stop it, whoever has started it. Fires when systemd calls it inactive."""
        return Deferred.fromCoroutine(self._release())

    def verify(self) -> Deferred[bool]:
        """Ask systemd."""
        return self._oneAtATime.run(lambda: Deferred.fromCoroutine(self._runs()))

    def watch(self, lost: Callable[[str], None]) -> None:
        """Told when it had stopped and could not be restarted, or systemd cannot be asked any more."""
        self._vigil.lost = lost

    async def _acquire(self) -> None:
        await self._vigil.end()
        if not await self._runs():
            await self._start()
        self._restarted = float("-inf")
        self._unanswered = 0
        self._vigil.begin(self._rest)
        self._nextLook()

    async def _release(self) -> None:
        await self._vigil.end()
        await self._oneAtATime.run(lambda: Deferred.fromCoroutine(self._stop()))

    async def _start(self) -> None:
        ending = await self._systemctl("start")
        state = await self._state()
        if ending.code or state not in _RUNS:
            hint = ""
            if not ending.code and state == "inactive":
                hint = "; a oneshot service needs RemainAfterExit=yes"
            raise ResourceError(self._failure("start", ending, state) + hint)

    async def _stop(self) -> None:
        ending = await self._systemctl("stop")
        # One that does not exist cannot be stopped, and does not run.
        state = await self._state()
        if state not in _GONE:
            raise ResourceError(self._failure("stop", ending, state))

    def _failure(self, verb: str, ending: Ending, state: str) -> str:
        words = f" ({ending.words})" if ending.words else ""
        return f"{SYSTEMCTL} {verb} {self._unit}: ended with {ending.code}{words}, it is {state}"

    async def _runs(self) -> bool:
        return await self._state() in _RUNS

    async def _state(self) -> str:
        """
        What systemd calls it, such as "active".

        @raise ResourceError: it does not say.
        """
        lines: list[str] = []
        ending = await self._systemctl("is-active", lines.append)
        for line in lines:
            if line in (*_RUNS, *_GONE, *_PASSING):
                return line
        raise ResourceError(
            f"{SYSTEMCTL} is-active {self._unit}: ended with {ending.code}"
            + (f" ({ending.words})" if ending.words else "")
        )

    def _systemctl(self, verb: str, said: Callable[[str], None] | None = None) -> Deferred[Ending]:
        argv = [SYSTEMCTL, "--no-ask-password", verb, "--", self._unit]
        return run(self._reactor, argv, self._timeout, _ENVIRONMENT, said)

    # While it is held

    def _nextLook(self) -> None:
        self._next = self._reactor.callLater(self._every, self._look)

    def _look(self) -> None:
        self._nextLook()
        self._vigil.suspect()

    def _rest(self) -> None:
        if self._next is not None and self._next.active():
            self._next.cancel()

    def _holds(self) -> Deferred[bool]:
        return self._oneAtATime.run(lambda: Deferred.fromCoroutine(self._patiently()))

    async def _patiently(self) -> bool:
        try:
            runs = await self._runs()
        except ResourceError as error:
            self._unanswered += 1
            if self._unanswered >= PATIENCE:
                raise
            self._log.warn("{error}; it is asked again", error=error)
            return True
        self._unanswered = 0
        return runs

    def _restart(self) -> Deferred[None]:
        return self._oneAtATime.run(lambda: Deferred.fromCoroutine(self._again()))

    async def _again(self) -> None:
        since = self._reactor.seconds() - self._restarted
        if since < STEADY:
            raise ResourceError(f"it stopped again, {since:.1f} s after it had been restarted")
        await self._start()
        self._restarted = self._reactor.seconds()
