"""What runs on the simulated hosts: daemons that perform what their machines decide, and guards."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from hatwist.auth import Keyring
from hatwist.effects import Ask, Effect, Event, Hold, Persist, Release, RoleChange, Send
from hatwist.errors import BadPacket
from hatwist.heartbeat import Heartbeat
from hatwist.testing.host import GROUP, QUEUE, Node
from hatwist.testing.lan import WITNESS, Lan


class Works(Lan):
    """
    The hosts at work.

    @param interval: seconds.
    @param wire: packets travel as bytes.
    @param guarded: each node has a guard.
    @ivar guardTime: how long a guard takes to let go, in seconds.
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
        self.guardTime = 0.001
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
            node.fenced = node.wanted = False
            node.operation += 1
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

    # Its resources, its disk, and whom it asks

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

    def _released(self, node: Node) -> None:
        self._hold(node, False)
        node.guard = None

        def act() -> None:
            node.machine.released(GROUP, node.local(self.now))
            self._decide(node)

        self._attend(node, act)

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

    def _ask(self, node: Node) -> None:
        """Every reachable host that holds the address answers, whatever its daemon does."""
        for other in self.nodes.values():
            if other is node or {(node.name, other.name), (other.name, node.name)} & self.blocked:
                continue

            def answer(other: Node = other) -> None:
                def act() -> None:
                    node.machine.served(GROUP, "", node.local(self.now))
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
