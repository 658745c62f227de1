"""Whatever happens in whatever order: packets, reports, reloads and times, with groups in sync and alone."""

from __future__ import annotations

from ipaddress import ip_address
from math import inf
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hatwist.core.effects import Hold, Leased, Persist, Release
from hatwist.core.errors import REASONS, BadPacket
from hatwist.core.reports import (
    Drained,
    Fenced,
    Gone,
    Held,
    Judged,
    MoveWanted,
    NotHeld,
    Persisted,
    Progressed,
    Stopped,
)
from hatwist.core.worth import Fitness
from hatwist.protocols.vrrp.machine import VrrpMachine
from hatwist.protocols.vrrp.packet import RESIGN, decode
from hatwist.protocols.vrrp.rules import RouterRules, VrrpRules
from tests.vrrp import advert, rules

GROUPS = ("a", "b", "c")
groups = st.sampled_from(GROUPS)
steps = st.one_of(
    st.tuples(st.just("pass"), st.sampled_from([0.0, 0.001, 0.05, 0.11, 0.4, 3.0])),
    st.tuples(st.just("deadline"), st.just(0)),
    st.tuples(
        st.just("hear"),
        st.tuples(groups, st.integers(2, 9), st.sampled_from([0, 1, 99, 100, 101, 254, 255])),
    ),
    st.tuples(st.just("answer"), groups),
    st.tuples(st.just("refuse"), groups),
    st.tuples(st.just("judge"), st.tuples(groups, st.sampled_from(Fitness))),
    st.tuples(st.just("drain"), st.booleans()),
    st.tuples(st.just("fence"), st.just(0)),
    st.tuples(st.just("move"), groups),
    st.tuples(st.just("progress"), groups),
    st.tuples(st.just("change"), st.tuples(st.integers(1, 7), st.integers(1, 254), st.booleans())),
    st.tuples(st.just("stop"), st.just(0)),
)


def configured(which: int, priority: int, preempt: bool) -> tuple[RouterRules, ...]:
    """@param which: a bit for each group."""
    return tuple(
        rules(
            1,
            priority,
            name,
            vrid=number + 1,
            preempt=preempt,
            sync="s" if number < 2 else "",
            guardable=number != 1,
            addresses=(ip_address("10.99.0.100") + number,),
        )
        for number, name in enumerate(GROUPS)
        if which & 1 << number
    )


class World:
    """The machine, and a driver that answers when it is told to."""

    def __init__(self, test: SynchronousTestCase) -> None:
        self.test = test
        self.now = 1000.0
        self.machine = VrrpMachine(VrrpRules("c", "n", configured(7, 100, True)), self.now)
        self.asked: dict[str, str] = {}
        self.clean: dict[str, bool] = {}
        self.decide()

    def decide(self) -> None:
        """What is decided is what may be, and what is said is true."""
        machine, test = self.machine, self.test
        leased = ""
        for effect in machine.decide(self.now):
            if isinstance(effect, Leased):
                leased = effect.group
                test.assertGreater(machine.until(effect.lease, self.now), self.now)
            elif isinstance(effect, Hold):
                test.assertTrue(self.clean.get(effect.group), "not clean")
                test.assertEqual(leased, effect.group)
                self.asked[effect.group], self.clean[effect.group] = "hold", False
            elif isinstance(effect, Release):
                self.asked[effect.group], self.clean[effect.group] = "release", False
            elif isinstance(effect, Persist):
                machine.tell(Persisted(effect.group, effect.record), self.now)
        test.assertFalse(machine.news)
        test.assertGreaterEqual(machine.deadline, self.now)
        for packet in machine.outgoing(self.now):
            assert packet.source is not None
            assert packet.destination is not None
            said = decode(packet.data, packet.source, packet.destination).advert
            # Nobody who holds says that it does not.
            name = GROUPS[said.vrid - 1]
            if said.priority == RESIGN:
                test.assertTrue(self.clean.get(name), "resigned, and not clean")
        test.assertEqual(machine.outgoing(self.now), [])
        if {"a", "b"} <= {each.name for each in machine.rules.routers}:
            one, other = machine.routers["a"], machine.routers["b"]
            for each, beside in ((one, other), (other, one)):
                if each.standing.holding:
                    test.assertFalse(beside.standing.lettingGo, "in sync")
                    test.assertTrue(beside.able, "in sync")

    def answer(self, group: str) -> None:
        """What was asked for is done."""
        what = self.asked.pop(group, "")
        if what == "hold":
            self.machine.tell(Held(group), self.now)
        elif what == "release":
            self.clean[group] = True
            self.machine.tell(Gone(group), self.now)

    def step(self, kind: str, given_: Any) -> None:
        """One thing happens."""
        machine, now = self.machine, self.now
        if kind == "pass":
            self.now += given_
        elif kind == "deadline":
            if machine.deadline < inf:
                self.now = max(now, machine.deadline)
        elif kind == "hear":
            group, number, priority = given_
            said = rules(
                number, vrid=GROUPS.index(group) + 1, addresses=(ip_address("10.99.0.100"),)
            )
            try:
                machine.receive(advert(said, priority), now)
            except BadPacket as e:
                self.test.assertIn(e.reason, REASONS)
        elif kind == "answer":
            self.answer(given_)
        elif kind == "refuse":
            machine.tell(NotHeld(given_, "told to"), now)
        elif kind == "judge":
            machine.tell(Judged(given_[0], "t", given_[1], "told so"), now)
        elif kind == "drain":
            machine.tell(Drained(given_), now)
        elif kind == "fence":
            machine.tell(Fenced("it fired"), now)
        elif kind == "move":
            machine.tell(MoveWanted(given_, ""), now)
        elif kind == "progress":
            machine.tell(Progressed(given_, 1, 2, "step 1"), now)
        elif kind == "stop":
            machine.tell(Stopped(), now)
        elif kind == "change":
            try:
                machine.change(VrrpRules("c", "n", configured(*given_)), now, {})
            except ValueError as e:
                self.test.assertIn("still being released", str(e))
        self.decide()


class AnyOrderTests(SynchronousTestCase):
    """Nothing raises, nothing is held that is not clean, and everything comes to an end."""

    @settings(max_examples=100, deadline=None)
    @given(st.lists(steps, max_size=60))
    def test_anything(self, happens: list[tuple[str, Any]]) -> None:
        """And then, left alone, what is fit and configured is held, all of it; stopped, it is over."""
        world = World(self)
        for kind, given_ in happens:
            world.step(kind, given_)
        machine = world.machine
        stopped = any(kind == "stop" for kind, _ in happens)
        machine.tell(Drained(False), world.now)
        for group in GROUPS:
            machine.tell(Judged(group, "t", Fitness.FIT), world.now)
        end = world.now + 60.0
        while world.now < end:
            for group in GROUPS:
                world.answer(group)
            world.decide()
            world.now = min(max(world.now + 0.001, machine.deadline), world.now + 1.0)
        if stopped:
            self.assertTrue(machine.over)
            self.assertEqual(machine.deadline, inf)
        else:
            wanted = {each.name for each in machine.rules.routers}
            self.assertEqual(set(machine.groups), wanted)
            holding = {n for n, router in machine.routers.items() if router.standing.holding}
            self.assertEqual(holding, wanted)
