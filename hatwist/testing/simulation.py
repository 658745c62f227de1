"""Nodes with their own clocks on a LAN that loses, delays, doubles and cuts; all from one seed."""

from __future__ import annotations

import heapq
import random
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from hatwist.auth import Keyring
from hatwist.effects import Ask, Effect, Event, Hold, Persist, Release, RoleChange, Send
from hatwist.election import GroupRules, Quorum
from hatwist.errors import BadPacket
from hatwist.heartbeat import Heartbeat, Role
from hatwist.machine import Machine
from hatwist.rules import NodeRules
from hatwist.votes import Record
from hatwist.worth import Fitness, addressNumber

GROUP = "g"
WITNESS = "witness"
"""The name of the witness in L{Simulation.cut}; it answers where the rules say that there is one."""
QUEUE = 300
"""Packets that wait for a frozen node; the kernel drops what comes after."""


class Moment(NamedTuple):
    """One line of the transcript: seconds since the start, which node, what."""

    at: float
    node: str
    what: str


class Weather:
    """
    How the LAN treats a packet.

    @ivar loss, doubled, late: probabilities that it is lost, arrives twice, or is overtaken.
    @ivar delay: the least and greatest seconds of travel.
    @ivar lateness: the greatest further delay, in seconds, of a packet that is late.
    """

    def __init__(self) -> None:
        self.loss = self.doubled = self.late = 0.0
        self.delay = (0.0001, 0.001)
        self.lateness = 0.05


class Node:
    """One simulated host: its daemon, its clock, and what it holds."""

    def __init__(self, name: str, machine: Machine, rate: float, offset: float) -> None:
        self.name = name
        self.machine = machine
        self.rate = rate
        self.offset = offset
        self.running = True
        self.frozen = self.draining = False
        self.held = False
        self.wanted = False
        self.acquireTime = self.releaseTime = 0.0005
        self.failing = False
        self.inbox: deque[Callable[[], None]] = deque()
        self.version = 0
        self.operation = 0
        self.disk: dict[str, Record] = {}
        self.guard: float | None = None
        self.armed = 0
        self.fenced = False

    def local(self, at: float) -> float:
        return self.offset + at * self.rate


class Simulation:
    """
    A cluster of one group, C{"g"}.

    @ivar now: seconds of true time since the start.
    @ivar transcript: role changes, events and faults, in order.
    @ivar changes: (time, node, holds now), each time a node became or ceased to be a holder. A node
        is a holder from the start of acquire to the end of release.
    @ivar blocked: (from, to) pairs of nodes between which no packet travels.
    @ivar witness: the witness is up; it is asked where the rules say C{witness=True}.
    @ivar filters: each is asked (from, to, heartbeat) about every packet; one that says false loses it.
    """

    def __init__(
        self,
        seed: int = 0,
        interval: float = 0.1,
        tolerance: float = 0.35,
        key: bytes | None = None,
        wire: bool = True,
        members: Sequence[str] = (),
        guarded: bool | None = None,
        **rules: Any,
    ) -> None:
        """
        @param wire: packets travel as bytes; if false, as values, which is faster.
        @param members: these vote, and a claim takes the votes of more than half of them.
        @param guarded: each node has a guard; default: where there are votes.
        @param rules: further fields of L{GroupRules}, the same on all nodes.
        """
        self.random = random.Random(seed)
        self.interval, self.tolerance = interval, tolerance
        self.rules = rules
        self.keyring = Keyring([key] if key else [])
        self.wire = wire
        self.quorum = Quorum(frozenset(members), len(members) // 2 + 1) if members else None
        self.guarded = bool(members) if guarded is None else guarded
        self.guardTime = 0.001
        self.release: float | None = None
        self.now = 0.0
        self.weather = Weather()
        self.witness = True
        self.nodes: dict[str, Node] = {}
        self.sessions: dict[str, int] = {}
        self.blocked: set[tuple[str, str]] = set()
        self.filters: list[Callable[[str, str, Heartbeat], bool]] = []
        self.transcript: list[Moment] = []
        self.changes: list[tuple[float, str, bool]] = []
        self.sent = 0
        self.watchers: list[Callable[[str, Node, Any], None]] = []
        self._queue: list[tuple[float, int, Callable[[], None]]] = []
        self._number = 0

    # Control

    def start(
        self,
        name: str,
        priority: int = 100,
        address: str | None = None,
        rate: float = 1.0,
        offset: float | None = None,
        **rules: Any,
    ) -> Node:
        """Start a node; one that ran before starts anew, with nothing but a greater session."""
        from ipaddress import ip_address

        if offset is None:
            offset = self.random.uniform(0, 1000)
        before = self.nodes.get(name)
        known = before.machine.session if before is not None else 0
        session = self.sessions[name] = max(known, self.sessions.get(name, 0)) + 1
        number = addressNumber(ip_address(address)) if address else len(self.nodes) + 1
        if before is not None and address is None:
            number = before.machine.rules.address
        settings = NodeRules(
            "simulated",
            name,
            self.interval,
            self.tolerance,
            (GroupRules(GROUP, priority, **{**self.rules, **rules}),),
            number,
            quorum=self.quorum,
            release=self.release,
        )
        disk = before.disk if before is not None else {}
        machine = Machine(settings, self.keyring, session, offset + self.now * rate, disk)
        node = self.nodes[name] = Node(name, machine, rate, offset)
        node.disk = dict(disk)
        if before is not None and before.machine.drained:
            machine.drain(True)
        self._note(name, "starts")
        self._beat(node)
        if self.rules.get("witness"):
            self._askWitness(node)
        return node

    def kill(self, name: str) -> None:
        """The host loses power: nothing of it is left, its address included."""
        node = self.nodes[name]
        node.running = False
        node.guard = None
        node.inbox.clear()
        self._hold(node, False)
        self._note(name, "loses power")

    def crash(self, name: str) -> None:
        """Its daemon is killed; what it held, it holds until its guard lets go."""
        node = self.nodes[name]
        node.running = False
        node.inbox.clear()
        self._note(name, "crashes")
        if node.guard is not None:
            self._fire(node)

    def fire(self, name: str) -> None:
        """Its guard fires for no reason."""
        self._note(name, "its guard fires for no reason")
        self._fire(self.nodes[name])

    def freeze(self, name: str) -> None:
        """Its processes stand still; what it holds, it holds."""
        self.nodes[name].frozen = True
        self._note(name, "freezes")

    def thaw(self, name: str) -> None:
        """It goes on, and reads first what has piled up."""
        node = self.nodes[name]
        self._note(name, "thaws")
        node.frozen = False
        self._wake(node)
        node.draining = True
        waiting, node.inbox = node.inbox, deque()
        for act in waiting:
            act()
        node.draining = False
        self._decide(node)

    def stop(self, name: str) -> None:
        """An orderly stop of its daemon."""
        node = self.nodes[name]
        self._note(name, "is stopped")

        def act() -> None:
            node.machine.stop(node.local(self.now))
            self._decide(node)

        self._attend(node, act)

    def fitness(self, name: str, fitness: Fitness, reason: str = "told so") -> None:
        node = self.nodes[name]

        def act() -> None:
            node.machine.fitness(GROUP, fitness, reason)
            self._decide(node)

        self._attend(node, act)

    def move(self, name: str, to: str) -> None:
        """The operator asks this node to have the group moved; C{""}: to the worthiest."""
        node = self.nodes[name]

        def act() -> None:
            try:
                node.machine.move(GROUP, to, node.local(self.now))
            except ValueError as e:
                self._note(name, f"does not move it to {to or 'the worthiest'}: {e}")
            else:
                self._note(name, f"is asked to move it to {to or 'the worthiest'}")
                self._decide(node)

        self._attend(node, act)

    def drain(self, name: str, on: bool = True) -> None:
        """The operator wants nothing held there; a later start remembers it."""
        node = self.nodes[name]

        def act() -> None:
            node.machine.drain(on)
            self._note(name, "is drained" if on else "is drained no more")
            self._decide(node)

        self._attend(node, act)

    def cut(self, source: str, target: str, bothWays: bool = True) -> None:
        """Packets no longer travel from one to the other."""
        self.blocked.add((source, target))
        if bothWays:
            self.blocked.add((target, source))
        self._note(source, f"is cut off {'from' if bothWays else 'towards'} {target}")

    def isolate(self, name: str) -> None:
        for other in (*self.nodes, *([WITNESS] if self.rules.get("witness") else ())):
            if other != name:
                self.cut(name, other)

    def heal(self) -> None:
        self.blocked.clear()
        self._note("lan", "heals")

    def at(self, time: float, act: Callable[[], None]) -> None:
        """Do something at a time of the simulation, in seconds."""
        self._number += 1
        heapq.heappush(self._queue, (time, self._number, act))

    def run(self, seconds: float) -> None:
        """Let time pass."""
        until = self.now + seconds
        queue = self._queue
        while queue and queue[0][0] <= until:
            at, _, act = heapq.heappop(queue)
            self.now = max(self.now, at)
            act()
        self.now = until

    def runUntil(self, condition: Callable[[], bool], limit: float) -> None:
        """
        Let time pass until a condition holds, which is looked at after everything that happens.

        @raise AssertionError: it does not within C{limit} seconds.
        """
        until = self.now + limit
        while not condition():
            if not self._queue or self._queue[0][0] > until:
                raise AssertionError(f"not within {limit} s")
            at, _, act = heapq.heappop(self._queue)
            self.now = max(self.now, at)
            act()

    # Questions

    def holders(self) -> list[str]:
        """Who holds the group now, sorted."""
        return sorted(name for name, node in self.nodes.items() if node.held)

    def role(self, name: str) -> Role:
        return self.nodes[name].machine.elections[GROUP].role

    def reaches(self, source: str, target: str) -> bool:
        return (source, target) not in self.blocked

    def said(self, what: str, since: float = 0.0) -> list[Moment]:
        """The lines of the transcript that contain C{what}."""
        return [moment for moment in self.transcript if what in moment.what and moment.at >= since]

    def darkness(self, since: float = 0.0) -> float:
        """The longest time without any holder, in seconds, from C{since} until now."""
        worst, count, dark = 0.0, 0, since
        for at, _, holds in self.changes:
            count += 1 if holds else -1
            if count == 0:
                dark = max(at, since)
            elif count == 1 and holds:
                worst = max(worst, at - dark)
        return max(worst, self.now - dark) if count == 0 else worst

    def overlap(self, since: float = 0.0) -> float:
        """The total time with two holders or more, in seconds."""
        total, count, before = 0.0, 0, 0.0
        for at, _, holds in [*self.changes, (self.now, "", True)]:
            if count > 1:
                total += max(0.0, at - max(before, since))
            count, before = count + (1 if holds else -1), at
        return total

    # The works

    def _note(self, node: str, what: str) -> None:
        self.transcript.append(Moment(self.now, node, what))
        for watcher in self.watchers:
            watcher("note", self.nodes.get(node, _NOBODY), what)

    def _hold(self, node: Node, holds: bool) -> None:
        if node.held != holds:
            node.held = holds
            self.changes.append((self.now, node.name, holds))

    def _attend(self, node: Node, act: Callable[[], None]) -> None:
        """Do something with a node's daemon: now, or when it thaws, or never if it is dead."""
        if not node.running or self.nodes[node.name] is not node:
            return
        if node.frozen:
            if len(node.inbox) < QUEUE:
                node.inbox.append(act)
            return
        self._wake(node)
        act()

    def _wake(self, node: Node) -> None:
        """Before anything else, a daemon looks whether its guard has fired."""
        if node.fenced and node.running and not node.frozen:
            node.fenced = node.wanted = False
            node.operation += 1
            node.machine.fenced("the guard has fired", node.local(self.now))

    def _fire(self, node: Node) -> None:
        """The guard lets go of the address, says goodbye for its node, and is gone."""
        if node.guard is None:
            return
        node.guard = None
        node.fenced = True
        farewell = node.machine.farewell(GROUP)

        def gone() -> None:
            if self.nodes[node.name] is node or not node.running:
                self._hold(node, False)
                for _ in range(3):
                    self._send(node, farewell)
                if node.running:
                    self._attend(node, lambda: self._decide(node))

        self._note(node.name, "its guard fires")
        self.at(self.now + self.guardTime, gone)

    def _watchGuard(self, node: Node, armed: int) -> None:
        if node.guard is None or node.armed != armed:
            return
        if node.local(self.now) >= node.guard:
            self._fire(node)
        else:
            self._guardAt(node)

    def _guardAt(self, node: Node) -> None:
        assert node.guard is not None
        at = (node.guard - node.offset) / node.rate + 1e-6
        armed = node.armed
        self.at(max(at, self.now), lambda: self._watchGuard(node, armed))

    def _pet(self, node: Node) -> None:
        if node.guard is not None:
            node.guard = max(node.guard, node.machine.lease(GROUP, node.local(self.now)))

    def _beat(self, node: Node) -> None:
        if not node.running or self.nodes[node.name] is not node:
            return
        if not node.frozen:
            self._wake(node)
            self._decide(node, beat=True)
        self.at(self.now + self.interval / node.rate, lambda: self._beat(node))

    def _timer(self, node: Node, version: int) -> None:
        if node.version != version or not node.running:
            return
        if node.frozen:
            return  # on thawing it decides anyway
        self._wake(node)
        self._decide(node)

    def _decide(self, node: Node, beat: bool = False) -> None:
        if node.draining:
            return
        self._perform(node, node.machine.decide(node.local(self.now), beat))
        self._pet(node)
        node.version += 1
        deadline = (node.machine.deadline - node.offset) / node.rate
        if deadline < float("inf"):
            version = node.version
            late = self.random.uniform(1e-6, 2e-4)
            self.at(max(self.now, deadline) + late, lambda: self._timer(node, version))

    def _perform(self, node: Node, effects: list[Effect]) -> None:
        for effect in effects:
            if isinstance(effect, Send):
                self._send(node, effect.heartbeat)
            elif isinstance(effect, Hold):
                node.wanted = True
                for watcher in self.watchers:
                    watcher("hold", node, effect)
                if self.guarded:
                    node.armed += 1
                    node.guard = node.machine.lease(GROUP, node.local(self.now))
                    self._guardAt(node)
                self._hold(node, True)
                self._operate(node, node.acquireTime, self._acquired)
            elif isinstance(effect, Release):
                node.wanted = False
                self._operate(node, node.releaseTime if node.held else 0.0, self._released)
            elif isinstance(effect, Persist):
                self._persist(node, effect)
            elif isinstance(effect, Ask):
                self._ask(node)
            elif isinstance(effect, RoleChange):
                old = effect.old.name if effect.old is not None else "-"
                self._note(
                    node.name, f"{old} -> {effect.new.name} ({effect.term}): {effect.reason}"
                )
            elif isinstance(effect, Event):
                self._note(node.name, f"{effect.kind} {effect.peer}: {effect.reason}")

    def _operate(self, node: Node, seconds: float, done: Callable[[Node], None]) -> None:
        node.operation += 1
        operation = node.operation

        def finish() -> None:
            if operation == node.operation and node.running:
                done(node)

        self.at(self.now + seconds, finish)

    def _acquired(self, node: Node) -> None:
        def act() -> None:
            if not node.wanted:
                return
            if node.failing:
                node.machine.refused(GROUP, "told to fail", node.local(self.now))
            else:
                node.machine.held(GROUP, node.local(self.now))
            self._decide(node)

        self._attend(node, act)

    def _ask(self, node: Node) -> None:
        """Every reachable host that holds the address answers, whatever its daemon does."""
        for other in self.nodes.values():
            if other is node or {(node.name, other.name), (other.name, node.name)} & self.blocked:
                continue

            def answer(other: Node = other) -> None:
                def act() -> None:
                    node.machine.served(GROUP, node.local(self.now))
                    self._decide(node)

                if other.held:
                    self._attend(node, act)

            self.at(self.now + 2 * self.random.uniform(*self.weather.delay), answer)

    def _askWitness(self, node: Node) -> None:
        """Four times in an interval."""
        if not node.running or self.nodes[node.name] is not node:
            return
        sent = node.local(self.now)
        ways = {(node.name, WITNESS), (WITNESS, node.name)}
        if not node.frozen and not ways & self.blocked and self.witness:
            self.at(
                self.now + 2 * self.random.uniform(*self.weather.delay),
                lambda: self._attend(node, lambda: node.machine.witnessed(sent)),
            )
        self.at(self.now + self.interval / 4 / node.rate, lambda: self._askWitness(node))

    def _persist(self, node: Node, effect: Persist) -> None:
        def written() -> None:
            if not node.running or self.nodes[node.name] is not node:
                return
            node.disk[effect.group] = effect.record

            def act() -> None:
                now = node.local(self.now)
                node.machine.persisted(effect.group, effect.record, now)
                self._decide(node)

            self._attend(node, act)

        self.at(self.now + self.random.uniform(0.0005, 0.003), written)

    def _released(self, node: Node) -> None:
        self._hold(node, False)
        node.guard = None

        def act() -> None:
            node.machine.released(GROUP, node.local(self.now))
            self._decide(node)

        self._attend(node, act)

    def _send(self, node: Node, beat: Heartbeat) -> None:
        self.sent += 1
        weather, chance = self.weather, self.random.random
        packet = self.keyring.seal(beat) if self.wire else beat
        for other in list(self.nodes.values()):
            if other is node or (node.name, other.name) in self.blocked:
                continue
            if not all(travels(node.name, other.name, beat) for travels in self.filters):
                continue
            if weather.loss and chance() < weather.loss:
                continue
            copies = 2 if weather.doubled and chance() < weather.doubled else 1
            for _ in range(copies):
                travel = self.random.uniform(*weather.delay)
                if weather.late and chance() < weather.late:
                    travel += chance() * weather.lateness
                self.at(
                    self.now + travel,
                    lambda other=other: self._arrive(node, other, packet),  # type: ignore[misc]
                )

    def _arrive(self, source: Node, node: Node, packet: bytes | Heartbeat) -> None:
        if (source.name, node.name) in self.blocked:
            return  # the cable was cut while it travelled

        def act() -> None:
            now = node.local(self.now)
            try:
                if isinstance(packet, bytes):
                    node.machine.receive(packet, "eth0", now)
                else:
                    node.machine.hear(packet, "eth0", now)
            except BadPacket as e:
                if e.reason != "replayed":
                    raise
                return
            for watcher in self.watchers:
                watcher("heard", node, source)
            if node.machine.news:
                self._decide(node)

        self._attend(node, act)


_NOBODY: Any = None
