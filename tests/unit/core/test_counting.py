"""Terms and sessions cannot be used up, whatever packets and state files say."""

from __future__ import annotations

import json
import os
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hatwist.core.claims import MAX_SESSION, MAX_TERM, Claim, Record, Released, Role
from hatwist.core.counting import LEAP, REMEMBERED, TRUSTED, follow
from hatwist.core.effects import Hold, Persist, Release
from hatwist.core.electorate import Quorum
from hatwist.core.errors import BadPacket
from hatwist.core.packet import Packet
from hatwist.core.reports import Gone, Held, Persisted
from hatwist.core.terms import MARGIN
from hatwist.core.worth import Fitness, Worth
from hatwist.protocols.native.auth import Keyring
from hatwist.protocols.native.datagram import GroupState
from hatwist.protocols.native.machine import NativeMachine
from hatwist.protocols.native.rules import GroupRules, NodeRules
from hatwist.runtime.store import Store
from tests.statements import Statement, Word
from tests.unit.runtime.test_store import Threads

I, T = 0.1, 0.35  # noqa: E741
EDGES = (0, TRUSTED, TRUSTED + LEAP, MAX_TERM)
numbers = st.sampled_from(EDGES).flatmap(
    lambda edge: st.integers(max(0, edge - 70), min(MAX_TERM, edge + 70))
)
terms = numbers.map(lambda number: max(1, number))
onDisk = st.integers(0, 1 << 64) | numbers | st.just(MAX_TERM + MARGIN)


@st.composite
def strange(draw: st.DrawFn) -> Statement:
    """A heartbeat of some third node, as it may come: with whatever numbers a packet may say."""
    name = draw(st.sampled_from("xy"))
    role = draw(st.sampled_from((Role.STANDBY, Role.ASKING, Role.ACTIVE)))
    claims = role in (Role.ASKING, Role.ACTIVE)
    claim = Claim(draw(terms), Worth(Fitness.FIT, 200, 9, name)) if claims else None
    released = Released(draw(terms), "") if draw(st.booleans()) else None
    state = GroupState("web", role, Fitness.FIT, 200, True, highest=draw(numbers), claim=claim)
    heard = []
    for other in draw(st.lists(st.sampled_from("abxy"), unique=True)):
        known = GroupState("web", Role.STANDBY, Fitness.FIT, 200, released=released)
        heard.append(Word(other, draw(numbers), draw(numbers), groups=(known,)))
    groups = (state._replace(released=released),)
    return Statement(name, draw(numbers), draw(numbers), groups, tuple(heard), address=9)


def toldOf(name: str, seq: int, session: int) -> Statement:
    """What a third node says that it has just heard of C{name}."""
    state = GroupState("web", Role.STANDBY, Fitness.FIT, 200, True)
    return Statement("x", seq, 0, (state,), (Word(name, session, 0),), address=9)


class Node:
    """A machine with its file on disk, and resources that are there at once."""

    def __init__(self, name: str, directory: str, votes: bool) -> None:
        quorum = Quorum(frozenset("ab"), 2) if votes else None
        group = GroupRules("web", 100 + ord(name))
        self.rules = NodeRules("home", name, I, T, (group,), ord(name), quorum=quorum)
        self.store = Store.of(Threads(), directory, "home", name)

    def start(self, now: float) -> None:
        """As a daemon starts."""
        self.store.read()
        session = max(self.store.session + 1, 7)
        self.machine = NativeMachine(self.rules, Keyring(), session, now, dict(self.store.records))

    def take(self, datagram: bytes, now: float) -> None:
        """As the driver does."""
        before = self.machine.session
        self.machine.receive(Packet(datagram, "eth0"), now)
        if self.machine.session > max(before, TRUSTED):
            self.store.write(self.machine.session, {})

    def run(self, now: float, beat: bool) -> list[bytes]:
        """What it sends, when all is done that it decides."""
        todo = self.machine.decide(now, beat)
        while todo:
            for effect in todo:
                if isinstance(effect, Persist):
                    self.store.write(self.machine.session, {effect.group: effect.record})
                    self.machine.tell(Persisted(effect.group, effect.record), now)
                elif isinstance(effect, Hold):
                    self.machine.tell(Held(effect.group), now)
                elif isinstance(effect, Release):
                    self.machine.tell(Gone(effect.group), now)
            todo = self.machine.decide(now)
        return [packet.data for packet in self.machine.outgoing(now)]


class CountingTests(SynchronousTestCase):
    """What is followed, and that two nodes are never brought to an end by it."""

    def setUp(self) -> None:
        self.patch(os, "fsync", lambda descriptor: None)  # what is written here is read at once

    def test_follow(self) -> None:
        """Any number up to half of the range is believed; one beyond brings the next ones into reach."""
        self.assertEqual(follow(5, 3), 5)
        self.assertEqual(follow(5, TRUSTED), TRUSTED)
        self.assertEqual(follow(5, TRUSTED + 9), TRUSTED)
        self.assertEqual(follow(TRUSTED, TRUSTED + 9), TRUSTED + 9)
        self.assertEqual(follow(TRUSTED, MAX_TERM), TRUSTED + LEAP)
        self.assertLess(follow(MAX_TERM - LEAP, MAX_TERM), MAX_TERM)

    def rounds(self, nodes: list[Node], now: float, count: int) -> float:
        """Time passes; every packet arrives at the other, who must take it."""
        for _ in range(count):
            now += I / 2
            for node, other in (nodes, nodes[::-1]):
                for datagram in node.run(now, True):
                    try:
                        other.take(datagram, now)
                    except BadPacket as e:
                        # After a start it may be told a later session than its file has.
                        self.assertEqual(e.reason, "replayed")
        return now

    @settings(max_examples=25, deadline=None)
    @example(
        # The other node follows both; this one yields to the first, and is too far behind for the second.
        [toldOf("b", 1, TRUSTED - 70), toldOf("b", 2, TRUSTED + 67)],
        [(0, 0), (0, 0)],
        False,
    )
    @given(
        st.lists(strange(), max_size=6),
        st.lists(st.tuples(onDisk, onDisk), min_size=2, max_size=2),
        st.booleans(),
    )
    def test_goesOn(self, packets: list[Statement], disk: list[Any], votes: bool) -> None:
        """
        Whatever state files say and third nodes send, what two nodes send is understood by each other, what they
        write is read by their next start, and one of them holds; also after many restarts and claims.
        """
        directory = self.mktemp()
        os.makedirs(directory)
        nodes = [Node(name, directory, votes) for name in "ab"]
        for node, (session, reserved) in zip(nodes, disk, strict=True):
            group = {"reserved": reserved, "vote": None}
            with open(f"{directory}/home.{node.rules.name}.json", "w", encoding="utf-8") as file:
                json.dump({"session": session, "groups": {"web": group}}, file)
            node.start(100.0)
        now = self.rounds(nodes, 100.0, 3)
        for packet in packets:
            for node in nodes:
                try:
                    node.take(Keyring().seal(packet.datagram), now)
                except BadPacket:  # it may be older than the one before, or leap
                    pass
        for start in range(6):
            now = self.rounds(nodes, now, 40)
            held = [n.machine.elections["web"].standing.claim for n in nodes]
            self.assertEqual(sum(claim is not None for claim in held), 1, (start, held))
            for node, other in (nodes, nodes[::-1]):
                view = node.machine.view.peers[other.rules.name]
                self.assertTrue(view.twoWay(now), (start, view))
            nodes[start % 2].start(now)

    def test_top(self) -> None:
        """From the top of what a file may say a thousand claims and restarts go on."""
        directory = self.mktemp()
        nodes = [Node(name, directory, True) for name in "ab"]
        for node in nodes:
            record = {"web": Record(REMEMBERED, None)}
            self.successResultOf(node.store.write(REMEMBERED - 1, record))
            node.start(100.0)
        now, terms = 100.0, []
        for start in range(20):
            now = self.rounds(nodes, now, 30)
            (claim,) = [c for n in nodes if (c := n.machine.elections["web"].standing.claim)]
            terms.append(claim.term)
            nodes[start % 2].start(now)
        self.assertEqual(terms[0], REMEMBERED + 1)
        self.assertGreater(min(terms), TRUSTED)
        self.assertLess(max(n.machine.session for n in nodes), MAX_SESSION)
