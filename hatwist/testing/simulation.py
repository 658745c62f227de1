"""Nodes with their own clocks on a LAN that loses, delays, doubles and cuts; all from one seed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from ipaddress import ip_address
from typing import Any, cast

from hatwist.core.claims import Role
from hatwist.core.electorate import Quorum
from hatwist.core.reports import Drained, Judged, MoveWanted, Report, Stopped
from hatwist.core.worth import Fitness, addressNumber
from hatwist.protocols.native.auth import Keyring
from hatwist.protocols.native.datagram import Datagram
from hatwist.protocols.native.intake import Codec
from hatwist.protocols.native.machine import NativeMachine
from hatwist.protocols.native.rules import GroupRules, NodeRules
from hatwist.testing.host import GROUP, SimulatedHost
from hatwist.testing.lan import WITNESS, SimulatedLan
from hatwist.testing.timeline import HostClock, Timeline
from hatwist.testing.transcript import Transcript

NativeHost = SimulatedHost[NativeMachine]
"""A host that speaks hatwist's own protocol."""
OPENED = 256
"""Datagrams of which it is known what is in them."""


class Values:
    """A codec that leaves datagrams what they are: packets travel as values, which is faster."""

    def seal(self, datagram: Datagram) -> bytes:
        return cast(bytes, datagram)

    def open(self, raw: bytes, cluster: bytes | None = None) -> Datagram:
        return cast(Datagram, raw)


class Opened:
    """A keyring that opens each datagram once, however many nodes receive it: what comes of it is frozen."""

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring
        self._known: dict[bytes, Datagram] = {}

    def seal(self, datagram: Datagram) -> bytes:
        return self._keyring.seal(datagram)

    def open(self, raw: bytes, cluster: bytes | None = None) -> Datagram:
        found = self._known.get(raw)
        if found is None:
            if len(self._known) >= OPENED:
                self._known.clear()
            found = self._known[raw] = self._keyring.open(raw, cluster)
        return found


class Simulation:
    """
    A cluster, its operator, and the faults that befall it. Where no group is named, C{"g"} is meant.

    @ivar timeline: what happens when.
    @ivar lan: the ways between the hosts, and all chance.
    @ivar transcript: what has happened.
    @ivar nodes: the hosts, by name.
    @ivar files: the groups that each node is configured with, by its name.
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
        self.interval = interval
        self.tolerance = tolerance
        self.codec: Codec = Opened(Keyring([key] if key else [])) if wire else Values()
        self.timeline = Timeline()
        self.nodes: dict[str, NativeHost] = {}
        self.lan = SimulatedLan(self.timeline, self.nodes, seed, self.codec.open)
        self.transcript = Transcript(self.timeline, self.nodes, GROUP)
        self.files: dict[str, tuple[GroupRules, ...]] = {}
        self.guarded = bool(members) if guarded is None else guarded
        self.guardable = bool(rules.get("guardable", True))
        self.rules = rules
        self.quorum = Quorum(frozenset(members), len(members) // 2 + 1) if members else None
        self.release: float | None = None
        self.sessions: dict[str, int] = {}

    # Time

    @property
    def now(self) -> float:
        """Seconds of true time since the start."""
        return self.timeline.now

    def at(self, time: float, act: Callable[[], None]) -> None:
        """Do something at a time of the simulation, in seconds."""
        self.timeline.at(time, act)

    def run(self, seconds: float) -> None:
        """Let time pass."""
        self.timeline.run(seconds)

    def runUntil(self, condition: Callable[[], bool], limit: float) -> None:
        """
        Let time pass until a condition holds, which is looked at after everything that happens.

        @raise AssertionError: it does not within C{limit} seconds.
        """
        self.timeline.runUntil(condition, limit)

    # Hosts come and go

    def start(
        self,
        name: str,
        priority: int = 100,
        address: str | None = None,
        rate: float = 1.0,
        offset: float | None = None,
        groups: Sequence[str | GroupRules] = (GROUP,),
        **rules: Any,
    ) -> NativeHost:
        """
        Start a node; one that ran before starts anew, with nothing but its disk and a greater session.

        @param groups: its groups, which may lack that of the others: by name, or with rules of their own, for which
            C{priority} and C{rules} mean nothing.
        """
        if offset is None:
            offset = self.lan.random.uniform(0, 1000)
        before = self.nodes.get(name)
        known = before.machine.session if before is not None else 0
        session = self.sessions[name] = max(known, self.sessions.get(name, 0)) + 1
        number = addressNumber(ip_address(address)) if address else len(self.nodes) + 1
        if before is not None and address is None:
            number = before.machine.rules.address
        self.files[name] = own = tuple(
            [
                each
                if isinstance(each, GroupRules)
                else GroupRules(each, priority, **{**self.rules, **rules})
                for each in groups
            ]
        )
        settings = NodeRules(
            "simulated",
            name,
            self.interval,
            self.tolerance,
            own,
            number,
            _digest(groups),
            quorum=self.quorum,
            release=self.release,
        )
        records = before.disk.records if before is not None else {}
        clock = HostClock(self.timeline, rate, offset)
        machine = NativeMachine(settings, self.codec, session, clock.now, records)
        node = SimulatedHost(
            name,
            [machine],
            clock,
            [group.name for group in own],
            self.lan,
            self.timeline,
            self.transcript,
            self.guarded,
            self.guardable,
        )
        self.nodes[name] = node
        if before is not None:
            node.inherit(before)
            if before.machine.drained:
                machine.tell(Drained(True), node.now)
        self.transcript.note(name, "starts")
        node.start()
        if self.rules.get("witness"):
            node.askWitness(self.interval / 4)
        return node

    def reload(self, name: str, groups: Sequence[GroupRules]) -> None:
        """
        The operator has its daemon go on with these groups.

        It does so when it gets to run. What comes back while it is still let go of has to wait: he tries again.
        """
        node, self.files[name] = self.nodes[name], tuple(groups)
        self._reload(node, self.files[name])

    def _reload(self, node: NativeHost, groups: tuple[GroupRules, ...]) -> None:
        machine, note = node.machine, self.transcript.note

        def act() -> None:
            if self.files[node.name] is not groups:
                return  # there was another order since
            rules = machine.rules._replace(groups=groups, digest=_digest(groups))
            going = sorted({g.name for g in machine.rules.groups} - {g.name for g in groups})
            try:
                node.change(rules)
            except ValueError as e:
                note(node.name, f"does not reload: {e}")
                self.at(self.now + self.interval, lambda: self._reload(node, groups))
                return
            names = " ".join(group.name for group in groups)
            note(node.name, f"reloads, and has {names or 'no group'}")
            self.transcript.tell("reload", node, going)
            node.decide()

        node.attend(act)

    def kill(self, name: str) -> None:
        """The host loses power: nothing of it is left, its address included."""
        self.nodes[name].kill()
        self.transcript.note(name, "loses power")

    def crash(self, name: str) -> None:
        """Its daemon is killed; what it held, it holds until its guard lets go."""
        self.nodes[name].die()
        self.transcript.note(name, "crashes")
        self.nodes[name].guard.fire()

    def fire(self, name: str) -> None:
        """Its guard fires for no reason."""
        self.transcript.note(name, "its guard fires for no reason")
        self.nodes[name].guard.fire()

    def freeze(self, name: str) -> None:
        """Its processes stand still; what it holds, it holds."""
        self.nodes[name].frozen = True
        self.transcript.note(name, "freezes")

    def thaw(self, name: str) -> None:
        """It goes on, and reads first what has piled up."""
        self.transcript.note(name, "thaws")
        self.nodes[name].thaw()

    # The ways between them

    def cut(self, source: str, target: str, bothWays: bool = True) -> None:
        """Packets no longer travel from one to the other, which may be the witness."""
        self.lan.blocked.add((source, target))
        if bothWays:
            self.lan.blocked.add((target, source))
        self.transcript.note(source, f"is cut off {'from' if bothWays else 'towards'} {target}")

    def isolate(self, name: str) -> None:
        """Cut it off from everybody, also from the witness, if there is one."""
        for other in (*self.nodes, *([WITNESS] if self.rules.get("witness") else ())):
            if other != name:
                self.cut(name, other)

    def heal(self) -> None:
        """Packets travel all ways again."""
        self.lan.blocked.clear()
        self.transcript.note("lan", "heals")

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

    # The operator

    def stop(self, name: str) -> None:
        """An orderly stop of its daemon."""
        self.transcript.note(name, "is stopped")
        self.tell(name, Stopped())

    def fitness(
        self, name: str, fitness: Fitness, reason: str = "told so", group: str = GROUP
    ) -> None:
        """A check of a group on a node has this verdict."""
        self.tell(name, Judged(group, "", fitness, reason))

    def tell(self, name: str, report: Report) -> None:
        """Its daemon is told this as soon as it gets to run."""
        node = self.nodes[name]
        node.attend(lambda: node.tell(report))

    def move(self, name: str, to: str, group: str = GROUP) -> None:
        """The operator asks this node to have a group moved; C{""}: to the worthiest."""
        node = self.nodes[name]

        def act() -> None:
            problem = f"no group {group}; there are: {', '.join(node.machine.groups)}"
            if group in node.machine.groups:
                problem = node.machine.elections[group].hindrance(to, node.machine.view, node.now)
            if problem:
                what = f"does not move it to {to or 'the worthiest'}: {problem}"
                self.transcript.note(name, what, group)
            else:
                self.transcript.note(name, f"is asked to move it to {to or 'the worthiest'}", group)
                node.tell(MoveWanted(group, to))

        node.attend(act)

    def drain(self, name: str, on: bool = True) -> None:
        """The operator wants nothing held there; a later start remembers it."""
        node = self.nodes[name]

        def act() -> None:
            self.transcript.note(name, "is drained" if on else "is drained no more")
            node.tell(Drained(on))

        node.attend(act)

    # What is

    def holders(self, group: str = GROUP) -> list[str]:
        """Who holds a group now, sorted."""
        return sorted(name for name, node in self.nodes.items() if node.answers(group))

    def role(self, name: str, group: str = GROUP) -> Role:
        """The role of a node in a group."""
        return self.nodes[name].machine.elections[group].standing.role


def _digest(groups: Sequence[str | GroupRules]) -> bytes:
    """What all nodes of one configuration have in common; nothing is told apart where no rules are given."""
    own = sorted(g._replace(priority=0) for g in groups if isinstance(g, GroupRules))
    return hashlib.sha256(repr(own).encode()).digest()[:8] if own else bytes(8)
