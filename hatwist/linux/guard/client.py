"""
The daemon's side of the guard (L{hatwist.linux.guard.program}): starts it, feeds it, and replaces it.

The guard outlives whatever happens to the daemon. All that reaches it is written to a pipe, which no other
child of the daemon inherits, and which is never waited for.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import chain
from math import inf
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from zope.interface import implementer

from hatwist.core.errors import HatwistError
from hatwist.core.phrases import joined
from hatwist.linux.guard import program
from hatwist.linux.guard.arming import Armed, GuardLeases, Wording, follow, pets
from hatwist.linux.guard.process import COMMAND, GuardProcess
from hatwist.linux.guard.program import Clocks, Reader, clocks, message, passed, string
from hatwist.linux.interfaces import Farewell, IGuard

START_LIMIT = 5.0
"""Seconds within which a guard must be ready."""
END_LIMIT = 2.0
"""Seconds within which one that fires, or is no longer needed, must end; then it is killed."""
AGAIN = 0.2
"""Seconds between two guards of which the first did not live that long."""


class GuardError(HatwistError):
    """Nothing is guarded: the guard could not be started, or it fired."""


@implementer(IGuard)
class GuardClient:
    """
    L{IGuard}: a process of its own.

    @param reactor: its clock is what deadlines are on.
    @param command: the guard program.
    @ivar onUnready: called when it is not L{ready} any more.
    @ivar unsent: pets that the pipe had no room for.
    @ivar counters: C{"fired"} and C{"died"}, each with how often.
    """

    _log = Logger()

    def __init__(self, reactor: Any, command: Sequence[str] = COMMAND) -> None:
        self.onFired: Callable[[Sequence[str]], None] = lambda groups: None
        self.onDied: Callable[[], None] = lambda: None
        self.onUnready: Callable[[], None] = lambda: None
        self.unsent = 0
        self.counters: Counter[str] = Counter()
        self._reactor = reactor
        self._command = command
        self._child: GuardProcess | None = None
        self._ready = False
        self._final = False  # this child has fired, or is about to
        self._groups: dict[str, Armed] = {}
        self._leases = GuardLeases()
        self._looked: tuple[Clocks, float] = clocks(), float(reactor.seconds())
        self._wording = Wording()  # of this child
        self._leaving: dict[str, list[Deferred[None]]] = {}
        self._unanswered: Counter[str] = Counter()  # what this child was told to arm
        self._started: Deferred[None] | None = None
        self._stopped: Deferred[None] | None = None
        self._call: IDelayedCall | None = None
        self._look: IDelayedCall | None = None

    # IGuard

    def start(self) -> Deferred[None]:
        """See L{IGuard.start}."""
        if self._child is not None:
            raise RuntimeError("the guard runs already")
        self._stopped = None
        started = self._started = Deferred()
        try:
            self._spawn()
        except OSError as error:
            self._started = None
            started.errback(GuardError(f"the guard cannot be started: {error}"))
        return started

    def arm(
        self,
        group: str,
        term: int,
        lease: str,
        deadline: float,
        deletions: Sequence[bytes],
        farewells: Sequence[Farewell] = (),
    ) -> Deferred[None]:
        """See L{IGuard.arm}."""
        if self._stopped is not None or (self._child is None and self._call is None):
            return fail(GuardError("the guard does not run"))
        before, now = self._groups.get(group), clocks()
        if late := self._tooLate(before, lease, now):
            self._fired(late, "it was not renewed in time")
            return fail(GuardError("the guard fired"))
        following = None if before is None else before.lease
        joined = self._leases.join(group, following, lease, self._limits(now, deadline))
        armed = Armed(term, joined, list(deletions), tuple(farewells))
        if before is not None:
            armed.waiting, armed.confirmed = before.waiting, before.confirmed
            before.waiting = []
        self._groups[group] = armed
        done: Deferred[None] = Deferred()
        armed.waiting.append(done)
        if self.ready:
            self._send(group, armed)
        return done

    def follow(self, group: str, lease: str, deadline: float) -> None:
        """See L{IGuard.follow}."""
        armed, now = self._groups.get(group), clocks()
        if armed is None:
            return
        if self._tooLate(armed, lease, now):
            self._lookSoon()
            return
        armed.lease = self._leases.join(group, armed.lease, lease, self._limits(now, deadline))
        if self._child is not None and self.ready:
            self._child.commands.send(follow(group, armed.lease, now))

    def pet(self, deadlines: Mapping[str, float]) -> None:
        """See L{IGuard.pet}."""
        now = clocks()
        leases = [lease for name in deadlines if (lease := self._leases.get(name)) is not None]
        if any(passed(lease.limits, now) for lease in leases):
            self._lookSoon()
            return
        if not leases:
            return
        limits = [self._limits(now, deadlines[lease.name]) for lease in leases]
        told = len(leases)
        child = self._child
        if child is not None and self.ready:
            if child.commands.stuck(now[0]):  # one that is stopped does not die, and does not guard
                self._log.critical("The guard does not read what it is told, and is killed")
                child.kill()
            told = 0
            for data, count in pets([lease.name for lease in leases], now, limits):
                if not child.commands.write(data):
                    self.unsent += 1
                    break
                told += count
        for lease, limit in zip(leases[:told], limits, strict=False):
            self._leases.extend(lease, limit)

    def flush(self) -> None:
        """See L{IGuard.flush}."""
        if self._child is not None:
            self._child.commands.flush()

    def disarm(self, group: str) -> Deferred[None]:
        """See L{IGuard.disarm}."""
        armed = self._groups.pop(group, None)
        if armed is None:
            return succeed(None)
        self._leases.leave(group, armed.lease)
        armed.fail(GuardError("it was disarmed"))
        if self._child is None or not self.ready:
            return succeed(None)
        self._wording.drop(group)
        done: Deferred[None] = Deferred()
        self._leaving.setdefault(group, []).append(done)
        self._child.commands.send(message(program.DISARM, string(group.encode(), 1)))
        return done

    def check(self) -> bool:
        """See L{IGuard.check}."""
        look, self._look = self._look, None
        if look is not None and look.active():
            look.cancel()
        before = sum(self.counters.values())
        if self._child is not None:
            self._child.read()
        self._looked = now, _ = clocks(), self._reactor.seconds()
        if late := self._leases.late(now):
            self._fired(late, "it was not renewed in time")
        return sum(self.counters.values()) == before

    def permits(self, group: str) -> bool:
        """See L{IGuard.permits}."""
        self.check()
        return self.until(group) > -inf

    def until(self, group: str) -> float:
        """See L{IGuard.until}."""
        armed = self._groups.get(group)
        if armed is None or not armed.confirmed:
            return -inf
        (one, two), (now, seconds) = armed.lease.limits, self._looked
        return seconds + min(one - now[0], two - now[1]) / 1e9

    def stop(self) -> Deferred[None]:
        """See L{IGuard.stop}."""
        self._cancel()
        if self._stopped is None:
            self._stopped = Deferred()
            if self._child is None:
                self._stopped.callback(None)
            else:
                self._child.commands.close()
                self._call = self._reactor.callLater(END_LIMIT, self._kill)
        done: Deferred[None] = Deferred()
        self._stopped.addCallback(lambda result: done.callback(None))
        return done

    @property
    def pid(self) -> int | None:
        """The guard's process, while it runs."""
        return None if self._child is None else self._child.pid

    @property
    def ready(self) -> bool:
        """One is there that would let go."""
        return self._child is not None and self._ready and not self._final

    # The clocks

    def _limits(self, now: Clocks, deadline: float) -> Clocks:
        """C{deadline}, which is on the reactor's clock, on the guard's. C{now} was read before."""
        left = int((deadline - self._reactor.seconds()) * 1e9)
        return max(0, now[0] + left), max(0, now[1] + left)

    def _tooLate(self, armed: Armed | None, lease: str, now: Clocks) -> list[str]:
        """The groups of the lease that a group has, or is to have, if it is too late for one of them."""
        known = {None if armed is None else armed.lease, self._leases.get(lease)} - {None}
        ended = [each for each in known if each is not None and passed(each.limits, now)]
        return [group for each in ended for group in each.followers]

    def _lookSoon(self) -> None:
        if self._look is None:
            self._look = self._reactor.callLater(0, self.check)

    # The child

    def _spawn(self) -> None:
        self._ready = self._final = False
        self._call = None
        self._unanswered.clear()
        self._wording = Wording()
        self._child = GuardProcess(self._reactor, self._command, self._received, self._ended)
        self._call = self._reactor.callLater(START_LIMIT, self._kill)

    def _respawn(self) -> None:
        try:
            self._spawn()
        except OSError as error:
            self._log.critical("The guard cannot be started: {error}", error=error)
            self._call = self._reactor.callLater(AGAIN, self._respawn)

    def _kill(self) -> None:
        self._call = None
        if self._child is not None:
            self._child.kill()

    def _cancel(self) -> None:
        for call in (self._call, self._look):
            if call is not None and call.active():
                call.cancel()
        self._call = self._look = None

    def _send(self, name: str, armed: Armed) -> None:
        assert self._child is not None
        self._unanswered[name] += 1
        words, told = self._wording.use(name, armed.farewells)
        self._child.commands.send(told + armed.encode(name, words, clocks()))

    def _received(self, kind: int, reader: Reader) -> Callable[[], None] | None:
        """Take in an answer; the result tells who waited for it."""
        if kind == program.READY:
            self._ready = True
            self._cancel()
            for name, armed in self._groups.items():
                self._send(name, armed)
            started, self._started = self._started, None
            return None if started is None else partial(started.callback, None)
        if kind == program.ARMED:
            return self._armed(reader.string(1).decode())
        if kind == program.DISARMED:
            waiting = self._leaving.get(name := reader.string(1).decode(), [Deferred()])
            done = waiting.pop(0)
            if not waiting:
                self._leaving.pop(name, None)
            return partial(done.callback, None)
        if kind == program.FIRING and self._stopped is None:
            self._fired([*self._groups, *self._leaving])
        elif kind == program.FIRED:
            self._report(reader)
        return None

    def _armed(self, name: str) -> Callable[[], None] | None:
        self._unanswered[name] -= 1
        entry = self._groups.get(name)
        if entry is None or self._unanswered[name]:
            return None
        if passed(entry.lease.limits, clocks()):
            # Whoever slept meanwhile reads of it before the end that has followed.
            self._fired([name], "it was armed, and confirmed too late")
            return None
        entry.confirmed = True
        return entry.tell

    def _report(self, reader: Reader) -> None:
        group, said = reader.string(1).decode(), reader.number(2)
        answers = [reader.number(2) for _ in range(reader.number(4))]
        refused = [code for code in answers if code not in program.GONE]
        self._log.critical(
            "The guard released {group}: {count} requests, {refused} refused, farewells sent: {said}",
            group=group,
            count=len(answers),
            refused=len(refused),
            errors=sorted({os.strerror(code) for code in refused}),
            said=said,
        )

    def _fired(self, groups: list[str], why: str = "") -> None:
        """It has fired, or will as soon as it looks at its clock: nothing is armed any more."""
        if self._final:
            return
        of = joined(groups)
        if self._child is None or not self._ready:
            # Nobody is there who would fire: what was not confirmed anew in time is over all the same.
            self._log.critical(
                "There was no guard when {of} had to be released", of=of, groups=groups
            )
        else:
            self._final = True
            self._cancel()
            self._call = self._reactor.callLater(END_LIMIT, self._kill)
        self.counters["fired"] += 1
        because = why and f": {why}"
        self._log.critical("The guard of {of} fired{why}", of=of, groups=groups, why=because)
        # One that fires lets go of everything.
        names = list(dict.fromkeys([*groups, *self._groups]))
        self._forget("the guard fired")
        self._tell(self.onUnready)
        self._tell(partial(self.onFired, names))

    def _forget(self, why: str) -> None:
        ended = list(self._groups.values())
        self._groups.clear()
        self._leases.clear()
        for armed in ended:
            armed.fail(GuardError(why))

    def _ended(self) -> None:
        child, self._child = self._child, None
        assert child is not None
        final, self._ready, self._final = self._final, False, False
        self._cancel()
        leaving, self._leaving = self._leaving, {}
        for done in chain(*leaving.values()):
            done.callback(None)
        if self._stopped is not None:
            self._forget("it is stopped")
            stopped = self._stopped
            child.reaped.addCallback(lambda how: stopped.callback(None))
            return
        if self._started is not None:
            started, self._started = self._started, None
            child.reaped.addCallback(
                lambda how: started.errback(GuardError(f"the guard ended at its start: {how}"))
            )
            return
        if not final:
            self.counters["died"] += 1
            self._log.critical(
                "The guard died: {count} groups are not guarded until another is ready",
                count=len(self._groups),
            )
            child.reaped.addCallback(
                lambda how: self._log.critical("The guard had ended by {how}", how=how)
            )
        if time.monotonic() - child.born < AGAIN:
            self._call = self._reactor.callLater(AGAIN, self._respawn)
        else:
            self._respawn()
        if not final:
            self._tell(self.onUnready)
            self._tell(self.onDied)

    def _tell(self, told: Callable[[], None]) -> None:
        try:
            told()
        except Exception:
            self._log.failure("The owner of the guard failed")
