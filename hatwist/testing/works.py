"""What runs on the simulated hosts: daemons that perform what their machines decide, and guards."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from hatwist.core.effects import Ask, Effect, Event, Hold, Persist, Release, RoleChange, Send
from hatwist.core.errors import BadPacket
from hatwist.protocols.native.auth import Keyring
from hatwist.protocols.native.heartbeat import Heartbeat
from hatwist.testing.host import GROUP, QUEUE, Node
from hatwist.testing.lan import WITNESS, Lan

RETRY = 1.0
"""Seconds after which a refused write is tried again."""


class Works(Lan):
    """
    The hosts at work.

    @param interval: seconds.
    @param wire: packets travel as bytes.
    @param guarded: each node has a guard.
    @ivar guardable: a guard that fires releases everything; else it cannot release what only a daemon can.
    @ivar sent: how many packets were sent.
    """

    def __init__(
        self,
        seed: int,
        interval: float,
        keyring: Keyring,
        wire: bool,
        guarded: bool,
        witnessed: bool,
    ) -> None:
        super().__init__(seed, witnessed)
        self.interval = interval
        self.keyring = keyring
        self.wire = wire
        self.guarded = guarded
        self.guardable = True
        self.witness = True
        self.sent = 0

    # The daemon

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
            node.fenced = False
            for part in node.groups.values():
                part.wanted = False
                part.operation += 1
            node.machine.fenced("the guard has fired", node.local(self.now))

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
                part = node.groups[effect.group]
                part.wanted, part.clean = True, False
                if effect.group == GROUP:
                    for watcher in self.watchers:
                        watcher("hold", node, effect)
                if self.guarded:
                    part.armed += 1
                    part.guard = node.machine.lease(effect.group, node.local(self.now))
                    self._guardAt(node, effect.group)
                self._hold(node, True, effect.group)
                self._operate(node, effect.group, part.acquireTime, self._acquired)
            elif isinstance(effect, Release):
                part = node.groups[effect.group]
                part.wanted = False
                seconds = 0.0 if part.clean else part.releaseTime
                self._operate(node, effect.group, seconds, self._released)
            elif isinstance(effect, Persist):
                self._persist(node, effect)
            elif isinstance(effect, Ask):
                self._ask(node, effect.group)
            elif isinstance(effect, RoleChange):
                old = effect.old.name if effect.old is not None else "-"
                self._note(
                    node.name, f"{old} -> {effect.new.name} ({effect.term}): {effect.reason}"
                )
            elif isinstance(effect, Event):
                self._note(node.name, f"{effect.kind} {effect.peer}: {effect.reason}")

    # Its resources, its disk, and whom it asks

    def _operate(
        self, node: Node, group: str, seconds: float, done: Callable[[Node, str], None]
    ) -> None:
        part = node.groups[group]
        part.operation += 1
        operation = part.operation

        def finish() -> None:
            if operation == part.operation and node.running:
                if node.frozen:  # whoever does it stands still, too
                    self._attend(node, finish)
                else:
                    done(node, group)

        self.at(self.now + seconds, finish)

    def _acquired(self, node: Node, group: str) -> None:
        def act() -> None:
            part = node.groups[group]
            if not part.wanted:
                return
            if part.failing:
                node.machine.refused(group, "told to fail", node.local(self.now))
            else:
                node.machine.held(group, node.local(self.now))
            self._decide(node)

        self._attend(node, act)

    def _released(self, node: Node, group: str) -> None:
        self._hold(node, False, group)
        part = node.groups[group]
        part.guard, part.clean = None, True

        def act() -> None:
            if group in node.machine.elections:
                node.machine.released(group, node.local(self.now))
                self._decide(node)

        self._attend(node, act)

    def _persist(self, node: Node, effect: Persist) -> None:
        def written() -> None:
            if not node.running or self.nodes[node.name] is not node:
                return
            if node.refusing:
                self.at(self.now + RETRY, written)
                return
            before = node.disk.get(effect.group)
            if before is not None and before.reserved > effect.record.reserved:
                return
            node.disk[effect.group] = effect.record

            def act() -> None:
                now = node.local(self.now)
                node.machine.persisted(effect.group, effect.record, now)
                self._decide(node)

            self._attend(node, act)

        self.at(self.now + self.random.uniform(0.0005, 0.003), written)

    def _ask(self, node: Node, group: str) -> None:
        """Every reachable host that holds the address answers, whatever its daemon does."""
        for other in self.nodes.values():
            if other is node or {(node.name, other.name), (other.name, node.name)} & self.blocked:
                continue

            def answer(other: Node = other) -> None:
                def act() -> None:
                    if group in node.machine.elections:
                        node.machine.served(group, "", node.local(self.now))
                        self._decide(node)

                if group in other.groups and other.groups[group].held:
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

    # Its packets

    def _send(self, node: Node, beat: Heartbeat) -> None:
        self.sent += 1
        packet = self.keyring.seal(beat) if self.wire else beat
        for other in list(self.nodes.values()):
            if other is not node:
                self._carry(node.name, other.name, beat, partial(self._arrive, node, other, packet))

    def _arrive(self, source: Node, node: Node, packet: bytes | Heartbeat) -> None:
        def act() -> None:
            now = node.local(self.now)
            try:
                if isinstance(packet, bytes):
                    node.machine.receive(packet, "eth0", now)
                else:
                    node.machine.hear(packet, "eth0", now)
            except BadPacket as e:
                if e.reason not in ("replayed", "repeated"):
                    raise
                return
            for watcher in self.watchers:
                watcher("heard", node, source)
            if node.machine.news:
                self._decide(node)

        self._attend(node, act)

    # The guard

    def _fire(self, node: Node) -> None:
        """The guard lets go of the address, says goodbye for its node, and is gone."""
        fired = [(group, part) for group, part in node.groups.items() if part.guard is not None]
        if not fired:
            return
        for _, part in fired:
            part.guard = None
        node.fenced = True
        farewell = node.machine.farewell(fired[0][0])

        def gone() -> None:
            if not self.guardable or (self.nodes[node.name] is not node and node.running):
                return
            for group, _ in fired:
                self._hold(node, False, group)
            for _ in range(3):
                self._send(node, farewell)
            if node.running:
                self._attend(node, lambda: self._decide(node))

        self._note(node.name, "its guard fires")
        self.at(self.now + node.guardTime, gone)

    def _watchGuard(self, node: Node, group: str, armed: int) -> None:
        part = node.groups[group]
        if part.guard is None or part.armed != armed:
            return
        if node.local(self.now) >= part.guard:
            self._fire(node)
        else:
            self._guardAt(node, group)

    def _guardAt(self, node: Node, group: str) -> None:
        part = node.groups[group]
        assert part.guard is not None
        at = (part.guard - node.offset) / node.rate + 1e-6
        armed = part.armed
        self.at(max(at, self.now), lambda: self._watchGuard(node, group, armed))

    def _pet(self, node: Node) -> None:
        for group, part in node.groups.items():
            if part.guard is not None:
                part.guard = max(part.guard, node.machine.lease(group, node.local(self.now)))
