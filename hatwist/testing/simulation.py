"""Nodes with their own clocks on a LAN that loses, delays, doubles and cuts; all from one seed."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from ipaddress import ip_address
from typing import Any

from hatwist.core.claims import Role
from hatwist.core.electorate import Quorum
from hatwist.core.worth import Fitness, addressNumber
from hatwist.protocols.native.auth import Keyring
from hatwist.protocols.native.machine import Machine
from hatwist.protocols.native.rules import GroupRules, NodeRules
from hatwist.testing.host import GROUP, Node
from hatwist.testing.works import Works


class Simulation(Works):
    """
    A cluster of one group, C{"g"}, or several, and its operator, who knows of the first only.

    What happens when, and what has happened: see L{hatwist.testing.timeline.Timeline}. The ways between the
    nodes: see L{hatwist.testing.lan.Lan}.

    @ivar witness: the witness is up; it is asked where the rules say C{witness=True}.
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
        super().__init__(
            seed,
            interval,
            Keyring([key] if key else []),
            wire,
            bool(members) if guarded is None else guarded,
            bool(rules.get("witness")),
        )
        self.tolerance = tolerance
        self.guardable = bool(rules.get("guardable", True))
        self.rules = rules
        self.quorum = Quorum(frozenset(members), len(members) // 2 + 1) if members else None
        self.release: float | None = None
        self.sessions: dict[str, int] = {}

    def start(
        self,
        name: str,
        priority: int = 100,
        address: str | None = None,
        rate: float = 1.0,
        offset: float | None = None,
        groups: Sequence[str] = (GROUP,),
        **rules: Any,
    ) -> Node:
        """
        Start a node; one that ran before starts anew, with nothing but its disk and a greater session.

        @param groups: the names of its groups, which may lack that of the others.
        """
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
            tuple([GroupRules(group, priority, **{**self.rules, **rules}) for group in groups]),
            number,
            quorum=self.quorum,
            release=self.release,
        )
        disk = before.disk if before is not None else {}
        machine = Machine(settings, self.keyring, session, offset + self.now * rate, disk)
        node = self.nodes[name] = Node(name, machine, rate, offset, groups)
        node.disk = dict(disk)
        if before is not None:
            node.refusing, node.guardTime = before.refusing, before.guardTime
            for group, part in before.groups.items():  # what a crash has left
                if group in node.groups:
                    node.groups[group].held, part.held = part.held, False
                    node.groups[group].clean = not node.groups[group].held
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
        node.inbox.clear()
        for group, part in node.groups.items():
            part.guard = None
            self._hold(node, False, group)
        self._note(name, "loses power")

    def crash(self, name: str) -> None:
        """Its daemon is killed; what it held, it holds until its guard lets go."""
        node = self.nodes[name]
        node.running = False
        node.inbox.clear()
        self._note(name, "crashes")
        self._fire(node)

    def strike(self, what: str, one: str, two: str) -> bool:
        """
        A fault by its name.

        @param what: C{"kill"}, C{"crash"}, C{"freeze"}, C{"fire"} or C{"isolate"}, of C{one}; C{"cut"} or
            C{"one-way"}, of the way from C{one} to C{two}; C{"deaf"}: C{one} hears nobody.
        @return: there is such a fault.
        """
        if what in ("kill", "crash", "freeze", "fire", "isolate"):
            getattr(self, what)(one)
        elif what in ("cut", "one-way"):
            self.cut(one, two, bothWays=what == "cut")
        elif what == "deaf":
            for other in self.nodes:
                if other != one:
                    self.cut(other, one, bothWays=False)
        else:
            return False
        return True

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

    def role(self, name: str) -> Role:
        return self.nodes[name].machine.elections[GROUP].standing.role
