"""One node, as the rest of the daemon has it: to start and stop, to tell things to, and to move and drain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from math import inf
from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from hatwist.core.claims import Role
from hatwist.core.effects import Event
from hatwist.core.electorate import runs
from hatwist.core.picture import Context, Picture
from hatwist.core.worth import Fitness
from hatwist.linux.interfaces import Farewell, IGuard
from hatwist.protocols.native.machine import Machine
from hatwist.protocols.native.rules import NodeRules
from hatwist.runtime.driver import Driver
from hatwist.runtime.keeper import Keeper
from hatwist.runtime.link import Link
from hatwist.runtime.store import MemoryStore

STOP_LIMIT = 1.5
"""Seconds after which a stop waits for no resource any more."""
HURRY_LIMIT = 0.3
"""Seconds that what is cut short then gets to end."""


class Node(Driver):
    """
    @param reactor: provides IReactorTime, on a monotonic clock.
    @param keepers: one for each group of the machine.
    @param store: remembers terms and votes, see L{hatwist.runtime.store}; C{None}: nothing does.
    @param guard: started; lets go of addresses when this process cannot; C{None}: nothing does.
    @ivar startedAt: when it last began.
    @ivar notes: the newest of each group and kind that was given to L{note}, and when.
    """

    def __init__(
        self,
        reactor: Any,
        machine: Machine,
        links: Sequence[Link],
        keepers: Mapping[str, Keeper],
        store: Any = None,
        guard: IGuard | None = None,
    ) -> None:
        self._store = store if store is not None else MemoryStore()
        super().__init__(reactor, machine, links, keepers, self._store, guard)
        self.startedAt = -inf
        self.notes: dict[tuple[str, str], tuple[float, str]] = {}

    # What it is told, asked and ordered

    def served(self, group: str, by: str = "") -> None:
        """Another host has answered for an address of a group: C{by}, the MAC address it named."""
        if self._running:
            self._report(self.machine.served, group, by)

    def note(self, kind: str, group: str, reason: str) -> None:
        """Tell the log and the observers of something that the election need not know."""
        self.notes[group, kind] = self._reactor.seconds(), reason
        self._noted(Event(kind, group, "", reason))

    def fitness(self, group: str, fitness: Fitness, reason: str, source: str = "") -> None:
        """
        A source has a new verdict on a group, in place of its last one.

        Of all sources' verdicts the worst counts, and its reason is told.
        """
        if self._running:
            now = self._reactor.seconds()
            self.recorder.told(now, "fitness", group, (fitness.name.lower(), reason, source))
            self.machine.fitness(group, fitness, reason, source)
            self._decide()

    def move(self, group: str, to: str | None) -> None:
        """
        Ask whoever holds a group, on behalf of the operator, to hand it over at once.

        It then stays there until that claim ends for another reason, whoever is worthier.

        @param to: the name of a node; C{""} or C{None}: to the worthiest, as if it had not been moved.
        @raise ValueError: a sentence that says why it cannot be.
        """
        if not self._running:
            raise ValueError("this node does not run")
        now = self._reactor.seconds()
        self.recorder.told(now, "move", group, (to or "",))
        self.machine.move(group, to or "", now)
        self._decide()

    def hindrance(self, group: str, to: str) -> str:
        """
        Why L{move} cannot be now, as a sentence without full stop; C{""}: it can.

        @raise ValueError: there is no such group.
        """
        return self.machine.hindrance(group, to, self.now)

    def picture(self, context: Context) -> Picture:
        """What this node knows of itself and of the others."""
        return self.machine.picture(self.now, self.chronicle, context)

    @property
    def drained(self) -> bool:
        """The operator wants nothing to be held here."""
        return self.machine.drained

    def drain(self, on: bool) -> Deferred[None]:
        """
        Hand over whatever is held here and take nothing, at once; or be like the others again.

        Fires when a restart will remember it. Fails with L{OSError} if none will: then it is so until
        this process ends. See L{others} for who is left.
        """
        self.recorder.told(self._reactor.seconds(), "drain", "", (on,))
        self.machine.drain(on)
        self._decide()
        return self._store.drain(self.machine.session, on)

    def others(self, group: str) -> list[str]:
        """
        Who besides this node holds a group or could take it at once, the worthiest first.

        @raise ValueError: there is no such group.
        """
        return self.machine.others(group, self._reactor.seconds())

    def witnessed(self, time: float) -> None:
        """The witness has answered the probe sent at C{time}, on the reactor's clock."""
        self.machine.witnessed(time)

    def farewells(self, group: str) -> list[Farewell]:
        """What the guard says for this node on every link once it has let go of a group."""
        datagram = self.machine.keyring.seal(self.machine.farewell(group))
        return [farewell for link in self.links for farewell in link.farewells(datagram)]

    # From the start to the end

    def start(self) -> None:
        """
        Open the links, release what an earlier run left, and send the first heartbeat.

        @raise OSError: a link cannot be opened; nothing is left open then.
        """
        try:
            for link in self.links:
                link.open(self._received)
        except BaseException:
            self._close()
            raise
        self._running = True
        self.machine.drain(self._store.drained)
        if self._guard is not None:
            self._guard.onFired = self._fenced
        for name, keeper in self.keepers.items():
            self._employ(name, keeper)
        self.startedAt = self._reactor.seconds()
        self.lateness.start(self.startedAt, self.machine.rules.tolerance / 2)
        self._sender.start(self.machine.rules.interval, now=True).addErrback(self._failed)

    def permits(self, group: str) -> bool:
        """Look now: may this node go on to acquire a group, as it has decided last?"""
        if self._guard is not None:
            self._guard.check()
        return group in self.machine.elections and self._reactor.seconds() < self.leases.until(
            group
        )

    def _employ(self, name: str, keeper: Keeper) -> None:
        keeper.start(
            lambda: self._report(self.machine.held, name),
            lambda reason: self._report(self.machine.refused, name, reason),
            lambda: self._report(self.machine.released, name),
            # Told by the next heartbeat: nobody waits for it.
            partial(self.machine.progress, name),
            lambda: self.permits(name),
        )

    def change(self, rules: NodeRules, keepers: Mapping[str, Keeper]) -> None:
        """
        Go on with other rules, see L{Machine.change}.

        @param keepers: of the groups that come.
        @raise ValueError: it cannot be now; nothing has changed.
        """
        self.machine.change(rules, self._reactor.seconds(), self._store.records)
        self._store.ran = runs(self._store.ran, rules.quorum, rules.digest.hex())
        for name, keeper in keepers.items():
            self.keepers[name] = keeper
            self.roles[name] = Role.STANDBY
            self._employ(name, keeper)
        if self._persister.problem:
            self._remembers(self._persister.problem)
        self._decide()

    def stop(self, why: str = "stopped") -> Deferred[None]:
        """
        Release everything, say goodbye, close the links.

        Fires within C{STOP_LIMIT + HURRY_LIMIT} seconds, whatever a resource does, and the C{stopTime} of
        what is held; only if everything was released has a goodbye been said.
        """
        if self._stopped is None:
            self._stopped = Deferred()
            if not self._running:
                self._finish()
                return self._stopped
            self.machine.stop(self._reactor.seconds(), why)
            more = max((keeper.stopTime for keeper in self.keepers.values()), default=0.0)
            self._late = self._reactor.callLater(STOP_LIMIT + more, self._hurry)
            self._decide()
        return self._stopped

    def abort(self) -> None:
        """Close everything at once, as a crash does: without a release or a goodbye."""
        self._close()

    def _hurry(self) -> None:
        for keeper in list(self.keepers.values()):
            keeper.hurry()
        if not self._running:  # that was the end
            return
        self._late = self._reactor.callLater(HURRY_LIMIT, self._giveUp)

    def _giveUp(self) -> None:
        self._log.error("Stopped although not everything was released; no goodbye was said")
        self._finish()

    def _failed(self, failure: Failure) -> None:
        self._log.failure("The heartbeat sender failed", failure)
