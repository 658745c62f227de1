"""
Commands that run when something happened to a group: to tell somebody, to warm up a cache.

They wait for each other and nobody waits for them, except that C{prepare} is awaited before the first
resource is acquired. What must succeed before a group may be served is no event but a resource:
L{hatwist.resources.command.Command}.
"""

from __future__ import annotations

import shlex
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.task import deferLater
from twisted.logger import Logger
from zope.interface import implementer

from hatwist.core.claims import Role
from hatwist.core.effects import EVENTS, Event, RoleChange
from hatwist.core.errors import ResourceError
from hatwist.core.phrases import printable
from hatwist.resources.process import IProgramReactor, run
from hatwist.runtime.interfaces import IEventObserver
from hatwist.runtime.node import Node
from hatwist.runtime.prepared import Prepared

TIMEOUT = 10.0
"""Seconds for each command; then it is killed with all it started."""
QUEUE = 32
"""Events that may wait for commands of earlier ones; beyond, the oldest is dropped."""
STOP_LIMIT = 1.0
"""Seconds that commands get once the node has stopped."""
REASON = 1000
"""Characters of a reason that are handed on."""


class _Happening(NamedTuple):
    event: str
    role: Role
    term: int
    peer: str = ""
    reason: str = ""


@implementer(IEventObserver)
class Hooks:
    """
    The commands of one group, by event (L{EVENTS}), each one argv: no shell reads it.

    What happened is in the environment and nowhere else, since a peer's name and reasons come from the
    network: C{HATWIST_EVENT}, C{HATWIST_CLUSTER}, C{HATWIST_NODE}, C{HATWIST_GROUP}, C{HATWIST_ROLE},
    C{HATWIST_TERM}, C{HATWIST_PEER}, C{HATWIST_REASON}; those that do not apply are empty. A command that fails is
    logged, and the next one runs.

    C{prepare} runs at once, even beside commands of earlier events; all others in the order of events. It runs
    when the group's keeper acquires L{prepared}, the first resource of the group.
    Each C{prepare} has its C{released}, whether C{acquired} came between or not: once all is proven released.

    @param commands: for each event one command after the other.
    @param timeout: seconds for each command.
    @raise ValueError: no such event.
    """

    _log = Logger()

    def __init__(
        self,
        reactor: IProgramReactor,
        group: str,
        commands: Mapping[str, Sequence[Sequence[str]]],
        timeout: float = TIMEOUT,
    ) -> None:
        self._reactor = reactor
        self._group = group
        self.change(commands, timeout)
        self._node: Node | None = None
        self._unsubscribe: Callable[[], None] = lambda: None
        self._last = _Happening("", Role.STANDBY, 0)
        self._open = self._undoneBefore = False
        self._waiting: deque[_Happening] = deque()
        self._names = ("", "")  # of the cluster and of the node
        self._working: Deferred[None] | None = None
        self.dropped = 0
        self.prepared = Prepared(reactor, group, self._prepare, self._undone)

    def change(self, commands: Mapping[str, Sequence[Sequence[str]]], timeout: float) -> None:
        """
        These from now on, for what has happened already and waits, too; so many seconds for each.

        @raise ValueError: there is no such event.
        """
        for event in commands:
            if event not in EVENTS:
                raise ValueError(f"no event {event!r}: allowed is {', '.join(EVENTS)}")
        self._commands, self._timeout = commands, timeout

    def start(self, node: Node) -> None:
        """Run commands for this node from now on."""
        self._node = node
        self._names = (node.cluster, node.name)
        self._open = False
        self._last = _Happening("", Role.STANDBY, 0)
        self._unsubscribe = node.subscribe(self, self._group)

    def stop(self, within: float = STOP_LIMIT) -> Deferred[None]:
        """The node has stopped: fires when all commands have ended, or were killed after C{within} seconds."""
        if self._node is not None:
            self._unsubscribe()
            self._node = None
        if self._working is None:
            return succeed(None)
        done: Deferred[None] = Deferred()
        working = self._working
        late = self._reactor.callLater(within, self._giveUp)

        def ended(result: object) -> None:
            if late.active():
                late.cancel()
            done.callback(None)

        working.addBoth(ended)
        return done

    # What happens

    def roleChanged(self, change: RoleChange) -> None:
        """See L{hatwist.runtime.interfaces.IRoleObserver.roleChanged}."""
        self._last = _Happening("", change.new, change.term, "", change.reason)
        if change.new is Role.ACTIVE:
            self._open = True
            self._happened(self._last._replace(event="acquired"))
        elif change.new is Role.SHUTDOWN or self._undoneBefore:
            self._released()

    def noted(self, event: Event) -> None:
        """See L{hatwist.runtime.interfaces.IEventObserver.noted}."""
        if event.kind == "acquire-failed":
            self._last = self._last._replace(reason=event.reason)
        elif event.kind in EVENTS:
            last = self._last
            self._happened(
                _Happening(event.kind, last.role, self._term(), event.peer, event.reason)
            )

    def _term(self) -> int:
        return self._last.term if self._last.role is Role.ACTIVE else 0

    def _prepare(self, term: int) -> Deferred[None]:
        """The first step of an acquisition. Fails when a command does."""
        self._open = True
        self._last = _Happening("prepare", Role.STANDBY, term)
        if not self._commandsOf(self._last):
            return succeed(None)
        return Deferred.fromCoroutine(self._prepared(self._last))

    async def _prepared(self, happening: _Happening) -> None:
        failed = [await self._run(argv, happening) for argv in self._commandsOf(happening)]
        for reason in filter(None, failed):
            raise ResourceError(reason)

    def _undone(self) -> None:
        if (
            self._last.role is Role.ACTIVE
        ):  # the change that ends it is told next, and has the reason
            self._undoneBefore = True
        else:
            self._reactor.callLater(0, self._released)

    def _released(self) -> None:
        self._undoneBefore = False
        if self._open:
            self._open = False
            self._happened(self._last._replace(event="released"))

    # Commands

    def _commandsOf(self, happening: _Happening) -> Sequence[Sequence[str]]:
        return self._commands.get(happening.event, ())

    def _happened(self, happening: _Happening) -> None:
        if not self._commandsOf(happening):
            return
        if len(self._waiting) >= QUEUE:
            oldest = self._waiting.popleft()
            self.dropped += 1
            self._log.error(
                "{group}: no command runs for the event {event}{about}: {waiting} later ones wait already",
                group=self._group,
                event=oldest.event,
                about=f" ({oldest.peer})" if oldest.peer else "",
                waiting=QUEUE,
            )
        self._waiting.append(happening)
        if self._working is None:
            self._working = Deferred.fromCoroutine(self._work())
            self._working.addErrback(lambda failure: failure.trap(CancelledError))

    async def _work(self) -> None:
        try:
            while self._waiting:
                await deferLater(
                    self._reactor, 0
                )  # starting a program takes a while: not in this turn
                happening = self._waiting.popleft()
                for argv in self._commandsOf(happening):
                    await self._run(argv, happening)
        finally:
            self._working = None

    def _giveUp(self) -> None:
        unrun = len(self._waiting)
        self._waiting.clear()
        self._log.error(
            "{group}: stopped while commands of events ran; {unrun} events have had none",
            group=self._group,
            unrun=unrun,
        )
        if self._working is not None:
            self._working.cancel()

    async def _run(self, argv: Sequence[str], happening: _Happening) -> str:
        """Run one command; the result says what went wrong, or C{""}."""
        try:
            ending = await run(self._reactor, argv, self._timeout, self._environment(happening))
        except ResourceError as error:
            reason = str(error)
        else:
            words = f" ({ending.words})" if ending.words else ""
            reason = f"{shlex.join(argv)}: ended with {ending.code}{words}" if ending.code else ""
        if reason:
            self._log.error(
                "{group}: a command of the event {event} failed: {reason}",
                group=self._group,
                event=happening.event,
                reason=reason,
            )
        return reason

    def _environment(self, happening: _Happening) -> dict[str, str]:
        cluster, node = self._names
        return {
            "HATWIST_EVENT": happening.event,
            "HATWIST_CLUSTER": cluster,
            "HATWIST_NODE": node,
            "HATWIST_GROUP": self._group,
            "HATWIST_ROLE": happening.role.name,
            "HATWIST_TERM": str(happening.term),
            "HATWIST_PEER": happening.peer,
            # A peer may have sent it.
            "HATWIST_REASON": printable(happening.reason)[:REASON],
        }
