"""
A LAN on which nodes do nothing but tell each other of their groups: for tests of L{hatwist.protocols.native.state}.

Each datagram goes as bytes. What a node ever gave is kept, and each belief of another node is compared with it.
"""

from __future__ import annotations

import copy
import heapq
from collections import defaultdict
from collections.abc import Callable, Iterable
from itertools import count
from math import inf
from random import Random
from typing import Any

from hatwist.core.claims import Claim, Grant, Released, Role
from hatwist.core.errors import BadPacket
from hatwist.core.worth import Fitness, Worth
from hatwist.protocols.native.heartbeat import GroupState, clusterId
from hatwist.protocols.native.state.datagram import Datagram, Header
from hatwist.protocols.native.state.decoding import decode
from hatwist.protocols.native.state.encoding import encode
from hatwist.protocols.native.state.journal import toldOf
from hatwist.protocols.native.state.knowledge import Knowledge

SIGNATURE = 32
FRAME = 1472


class Violation(AssertionError):
    """Somebody believes what was never so, or does not know what it must."""


class Fact:
    """What one node knows of another, besides its groups."""

    def __init__(self, tolerance: float) -> None:
        self.tolerance = tolerance
        self.at = self.directAt = self.listedAt = -inf
        self.named = False

    def alive(self, now: float) -> bool:
        return now < self.at + self.tolerance

    def direct(self, now: float) -> bool:
        return now < self.directAt + self.tolerance

    def present(self, now: float) -> bool:
        return self.direct(now) and now < self.listedAt + self.tolerance


class Teller:
    """One node: a beat each interval, and what is due besides."""

    def __init__(self, lan: Lan, name: str, session: int, now: float) -> None:
        self.lan = lan
        self.name = name
        self.knowledge = Knowledge(
            name, session, lan.interval, lan.tolerance, lan.limit - SIGNATURE, now
        )
        self.facts: dict[str, Fact] = {}
        self.beatAt = now + lan.random.random() * lan.interval
        self.lastAt = -inf
        self.answers = False
        number = int.from_bytes(name.encode(), "big")
        self.plain = Header(
            clusterId("c"), name, 0, 0, lan.interval, lan.tolerance, number, bytes(8), eligible=True
        )

    def put(self, state: GroupState) -> None:
        if self.knowledge.journal.put(state):
            self.lan.gave(self, state.name, toldOf(state))

    def remove(self, group: str) -> None:
        if self.knowledge.journal.remove(group):
            self.lan.gave(self, group, None)

    def renew(self, session: int, now: float) -> None:
        """A new session, with the same groups."""
        states = [record.state for record in self.knowledge.journal.records]
        self.knowledge.renew(session, now)
        for state in states:
            if state is not None:
                self.put(state)

    def present(self, now: float) -> set[str]:
        return {name for name, fact in self.facts.items() if fact.present(now)}

    def live(self, now: float) -> set[str]:
        return {name for name, fact in self.facts.items() if fact.alive(now)}

    def due(self, now: float) -> float:
        telling = self.knowledge.telling
        if self.answers:
            return now
        rest = telling.restDue(self.present(now), self.live(now))
        return min(self.beatAt, telling.wordDue(), rest)

    def act(self, now: float) -> list[Datagram]:
        telling = self.knowledge.telling
        whole = self.answers or now >= min(self.beatAt, telling.wordDue())
        self.answers = False
        if now >= self.beatAt:
            self.beatAt = max(self.beatAt + self.lan.interval, now)
        if whole:
            self.lastAt = now
        listings = {
            name: self.knowledge.listing(
                name,
                now,
                direct=fact.direct(now),
                lists=fact.present(now),
                named=fact.named,
                lapses=0,
                received=20,
            )
            for name, fact in self.facts.items()
            if self.knowledge.ledgers[name].stated.seq >= 0
        }
        return self.knowledge.compose(
            self.plain, listings, self.present(now), self.live(now), whole, now
        )

    def hear(self, datagram: Datagram, now: float) -> None:
        header = datagram.header
        self._begin(header.name, header.session, now)
        ledger = self.knowledge.ledgers[header.name]
        if ledger.session != header.session:
            return
        for listing in datagram.heard:
            if listing.name == self.name and listing.session > self.knowledge.session:
                self.renew(listing.session + 1, now)
            if listing.name != self.name and listing.age < self.lan.tolerance:
                self._begin(listing.name, listing.session, now)
        fresh = ledger.directSeq < 0 or not self.facts[header.name].alive(now)
        news = self.knowledge.receive(datagram, now)
        fact = self.facts[header.name]
        if not news.late:
            fact.directAt = fact.at = now
            self.answers |= fresh and now >= self.lastAt + self.lan.interval / 4
            for listing in datagram.heard:
                if listing.name == self.name and listing.session == self.knowledge.session:
                    fact.named = True
                    if listing.direct:
                        fact.listedAt = now
                elif listing.name in self.facts:
                    other = self.facts[listing.name]
                    other.at = max(other.at, now - listing.age)
        if news.ahead:
            self.renew(self.knowledge.session + 1, now)

    def _begin(self, name: str, session: int, now: float) -> None:
        ledger = self.knowledge.ledgers.get(name)
        if ledger is None or ledger.session < session:
            self.knowledge.begin(name, session, self.lan.tolerance, now)
            self.facts[name] = Fact(self.lan.tolerance)


class Lan:
    """
    @param loss: of each datagram at each receiver. C{copies}: likewise, that it comes twice.
    @param delay: how long one takes: seconds at least and at most.
    @ivar cut: from whom to whom nothing gets through.
    @ivar frames, records: datagrams that were sent, and those of them with records.
    """

    def __init__(
        self,
        seed: int,
        interval: float = 0.1,
        tolerance: float = 0.35,
        limit: int = FRAME,
        checks: bool = True,
    ) -> None:
        self.random = Random(seed)
        self.interval, self.tolerance, self.limit = interval, tolerance, limit
        self.now = 0.0
        self.loss = self.copies = 0.0
        self.delay = (0.0002, 0.001)
        self.cut: set[tuple[str, str]] = set()
        self.nodes: dict[str, Teller] = {}
        self.frames = self.records = self.refused = 0
        self.checks = checks
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = count()
        self._sessions = defaultdict[str, int](int)
        # What was given: by (node, session), then the packet: what each group was; and the records by version.
        self._said: dict[tuple[str, int], dict[int, list[dict[str, GroupState]]]] = defaultdict(
            lambda: defaultdict(list)
        )
        self._records: dict[tuple[str, int, int, str], list[GroupState | None]] = defaultdict(list)
        self._twice: set[tuple[str, int]] = set()
        self._groups: dict[tuple[str, int], set[str]] = defaultdict(set)
        self._checked: dict[tuple[str, str], object] = {}
        self._wakes: dict[str, float] = {}

    # Nodes

    def start(self, name: str, states: Iterable[GroupState] = ()) -> Teller:
        """A node starts, anew perhaps, without any memory but of its sessions."""
        self._sessions[name] += 1000
        node = self.nodes[name] = Teller(self, name, self._sessions[name], self.now)
        for state in states:
            node.put(state)
        self._schedule(node)
        return node

    def stop(self, name: str) -> None:
        del self.nodes[name]

    def snapshot(self, name: str) -> Teller:
        """As a hypervisor takes one."""
        node = self.nodes[name]
        return copy.deepcopy(node, {id(self): self})

    def restore(self, node: Teller) -> None:
        """
        As a hypervisor does. What was known of this session of it may be of either life, until it has noticed.
        """
        self._twice.add((node.name, node.knowledge.session))
        self.nodes[node.name] = node
        node.beatAt = self.now
        self._schedule(node)

    def gave(self, node: Teller, group: str, state: GroupState | None) -> None:
        journal = node.knowledge.journal
        self._records[(node.name, node.knowledge.session, journal.version, group)].append(state)
        self._groups[(node.name, node.knowledge.session)].add(group)

    # Time

    def run(self, until: float) -> None:
        for node in self.nodes.values():
            self._schedule(node)
        while self._events and self._events[0][0] <= until:
            self.now, _, event = heapq.heappop(self._events)
            event()
        self.now = until

    def at(self, time: float, event: Callable[[], None]) -> None:
        heapq.heappush(self._events, (max(time, self.now), next(self._numbers), event))

    def _schedule(self, node: Teller) -> None:
        due = max(node.due(self.now), self.now)
        known = self._wakes.get(node.name, inf)
        if due < known or known < self.now:
            self._wakes[node.name] = due
            self.at(due, lambda: self._wake(node, due))

    def _wake(self, node: Teller, due: float) -> None:
        if self._wakes.get(node.name) != due:
            return
        self._wakes[node.name] = inf
        if self.nodes.get(node.name) is not node:
            return
        if node.due(self.now) <= self.now:
            for datagram in node.act(self.now):
                self._send(node, datagram)
        self._schedule(node)

    def _send(self, node: Teller, datagram: Datagram) -> None:
        if self.checks:
            said = {r.name: r.state for r in node.knowledge.journal.records if r.state is not None}
            self._said[(node.name, node.knowledge.session)][datagram.header.seq].append(said)
        data = encode(datagram)
        if len(data) + SIGNATURE > self.limit:
            raise Violation(f"{len(data)} bytes and a signature")
        self.frames += 1
        self.records += bool(datagram.ranges)
        for name in self.nodes:
            if name == node.name or (node.name, name) in self.cut:
                continue
            for _ in range(1 + (self.random.random() < self.copies)):
                if self.random.random() >= self.loss:
                    at = self.now + self.random.uniform(*self.delay)
                    self.at(at, lambda name=name: self._deliver(name, data))  # type: ignore[misc]

    def _deliver(self, name: str, data: bytes) -> None:
        node = self.nodes.get(name)
        if node is None:
            return
        try:
            node.hear(decode(data), self.now)
        except BadPacket:
            self.refused += 1
        if self.checks:
            self.check(node)
        self._schedule(node)

    # Judging

    def check(self, node: Teller) -> None:
        """What a node believes was so, at the packet as of which it believes it."""
        for name, ledger in node.knowledge.ledgers.items():
            said = self._said[(name, ledger.session)]
            version = ledger.settled.version
            now = (ledger.session, version, ledger.newest, len(said[ledger.settled.seq]))
            known = (node.knowledge.session, now, [(r.name, r.version) for r in ledger.records])
            if self._checked.get((node.name, name)) == known:
                continue
            self._checked[(node.name, name)] = known
            for group in self._groups[(name, ledger.session)]:
                record = ledger.records.get(group)
                if record is not None:
                    given = self._records[(name, ledger.session, record.version, group)]
                    if record.state not in given:
                        raise Violation(f"{node.name} has {record} of {name}, never given")
                seq, _ = ledger.asOf(group)
                if (name, ledger.session) in self._twice:
                    continue
                if seq >= 0 and not any(
                    snapshot.get(group) == ledger.of(group) for snapshot in said[seq]
                ):
                    raise Violation(
                        f"{node.name} has {ledger.of(group)} of {name} as of {seq}: {said[seq]}"
                    )

    def ignorance(self, a: str, b: str) -> str:
        """What node C{a} does not know of node C{b}; C{""}: it knows all."""
        ledger = self.nodes[a].knowledge.ledgers.get(b)
        other = self.nodes[b].knowledge
        if ledger is None or ledger.session != other.session:
            return f"{a} does not know this session of {b}"
        if not ledger.complete or ledger.settled.version != other.journal.version:
            return f"{a} knows {b} through {ledger.settled} {ledger} of {other.journal.version}"
        mine = {r.name: r for r in ledger.records}
        theirs = {r.name: r for r in other.journal.records}
        return "" if mine == theirs else f"{a} knows {b} otherwise: {mine} {theirs}"

    def allKnown(self) -> bool:
        return not any(self.ignorance(a, b) for a in self.nodes for b in self.nodes if a != b)


def aState(random: Random, group: str, names: list[str], me: str) -> GroupState:
    """Anything that a node may be in a group."""
    number = int.from_bytes(me.encode(), "big")
    role = random.choice((Role.STANDBY, Role.ASKING, Role.ACTIVE))
    values: dict[str, Any] = {"highest": random.randrange(100)}
    if role is not Role.STANDBY:
        worth = Worth(Fitness.FIT, random.randrange(200), number, me)
        values["claim"] = Claim(random.randrange(1, 100), worth)
    elif random.random() < 0.3:
        values["released"] = Released(random.randrange(1, 100), random.choice([*names, ""]))
    if random.random() < 0.2:
        values["grant"] = Grant(random.choice(names), 1000, random.randrange(1, 100))
    if random.random() < 0.2:
        values["reason"] = random.choice(("no carrier on eth0", "disk", "x" * 200))
    return GroupState(group, role, Fitness.FIT, random.randrange(200), True, **values)


def cruel(seed: int, steps: int = 40) -> Lan:
    """A schedule of faults and changes; then nothing is lost any more, and everybody knows everything in time."""
    random = Random(seed)
    interval = random.choice((0.1, 1.0))
    lan = Lan(seed, interval, 3.5 * interval, limit=random.choice((1132, FRAME)))
    names = list("abcde")[: random.randrange(2, 6)]
    groups = [f"group{number:02}" for number in range(random.choice((2, 4, 8, 40)))]
    lan.loss, lan.copies = random.choice((0.0, 0.05, 0.3)), random.choice((0.0, 0.2))
    lan.delay = random.choice(((0.0002, 0.001), (0.0002, 0.2)))
    snapshots: list[Teller] = []

    def states(name: str) -> list[GroupState]:
        return [aState(random, g, names, name) for g in groups if random.random() < 0.8]

    for name in names:
        lan.start(name, states(name))
    for _ in range(steps):
        name = random.choice(names)
        node = lan.nodes[name]
        kind = random.randrange(20)
        if kind < 10:
            for _ in range(random.choice((1, 1, 3, len(groups)))):
                node.put(aState(random, random.choice(groups), names, name))
        elif kind < 12:
            node.remove(random.choice(groups))
        elif kind < 13:
            lan.start(name, states(name))
        elif kind < 15:
            lan.cut.add((name, random.choice(names)))
        elif kind < 16:
            lan.cut |= {(other, name) for other in names}
        elif kind < 18 and lan.cut:
            lan.cut.discard(random.choice(sorted(lan.cut)))
        elif kind < 19:
            snapshots.append(lan.snapshot(name))
        elif snapshots:
            lan.restore(random.choice(snapshots))
        lan.run(lan.now + random.expovariate(1 / (interval * random.choice((0.05, 0.5, 2)))))
    # What was restored learns of itself first, and the last of what was late comes in.
    lan.loss = lan.copies = 0.0
    lan.delay = (0.0002, interval / 50)
    lan.cut = {c for c in lan.cut if random.random() < 0.5}
    node = lan.nodes[random.choice(names)]
    node.put(aState(random, random.choice(groups), names, node.name))
    lan.run(lan.now + 2 * interval)
    for a in names:
        for b in names:
            if a != b and not {(a, b), (b, a)} & lan.cut:
                if why := lan.ignorance(a, b):
                    raise Violation(why)
    return lan
