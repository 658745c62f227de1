"""In which order a node decides, does, says and tells, as a transcript."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import inf
from typing import Any, cast

from twisted.trial.unittest import SynchronousTestCase

from hatwist.core.effects import Announce, Ask, Effect, Event, Hold
from hatwist.core.loop import Loop
from hatwist.core.machine import Machine
from hatwist.core.packet import Outgoing


class Scripted:
    """A machine that decides what it is given, and sends its name after each decision that was no last one."""

    news, over = False, False

    def __init__(self, name: str, *decisions: list[Effect]) -> None:
        self.name = name
        self.decisions = list(decisions)
        self.deadline = inf
        self.packets = 0

    def decide(self, now: float, beat: bool = False) -> list[Effect]:
        if beat:
            self.packets = 1
        return self.decisions.pop(0) if self.decisions else []

    def outgoing(self, now: float) -> list[Outgoing]:
        packets, self.packets = self.packets, 0
        return [Outgoing(self.name.encode())] * packets


class LoopTests(SynchronousTestCase):
    """One loop, what it does, and what is done meanwhile."""

    def loop(self, *machines: Scripted) -> Loop:
        self.done: list[str] = []
        self.meanwhile: dict[str, Callable[[], None]] = {}
        self.now = 0.0
        return Loop(self.clock, cast(Sequence[Machine], machines), self)

    def clock(self) -> float:
        self.now += 1.0
        return self.now

    def happens(self, what: str) -> None:
        self.done.append(what)
        self.meanwhile.pop(what, lambda: None)()

    def begin(self) -> None:
        self.happens("begin")

    def decided(self, now: float, effects: Sequence[Effect]) -> None:
        self.happens(f"decided at {now:g}")

    def perform(self, machine: Any, effect: Effect) -> None:
        self.happens(f"{machine.name} {type(effect).__name__.lower()}")

    def send(self, machine: Any, packet: Outgoing) -> None:
        self.happens(f"{machine.name} sends")

    def report(self, effect: Effect) -> None:
        assert isinstance(effect, Event)
        self.happens(f"told {effect.kind}")

    def test_order(self) -> None:
        """What is decided is done first, then said, then told, whatever came first in the decision."""
        one = Scripted("one", [Event("a", "", "", ""), Hold("g", 1), Announce("g")])
        two = Scripted("two", [Ask("h"), Event("b", "", "", "")])
        loop = self.loop(one, two)
        one.packets = two.packets = 1
        loop.run()
        self.assertEqual(
            self.done,
            [
                *("begin", "decided at 1", "one hold", "one announce", "decided at 1", "two ask"),
                *("one sends", "two sends", "told a", "told b"),
            ],
        )

    def test_beat(self) -> None:
        """A beat is that of one machine."""
        one, two = Scripted("one"), Scripted("two")
        loop = self.loop(one, two)
        loop.run(cast(Machine, two))
        self.assertEqual(self.done[-1], "two sends")
        self.assertNotIn("one sends", self.done)

    def test_answeredAtOnce(self) -> None:
        """A resource that answers at once has another decision made before anything is said or told."""
        one = Scripted(
            "one", [Hold("g", 1), Event("first", "", "", "")], [Event("next", "", "", "")]
        )
        loop = self.loop(one)
        one.packets = 1
        self.meanwhile["one hold"] = loop.run
        loop.run()
        self.assertEqual(
            self.done,
            [
                *("begin", "decided at 1", "one hold", "decided at 2", "one sends"),
                *("told first", "told next"),
            ],
        )
        self.assertEqual(loop.decidedAt, 2.0)

    def test_whoIsToldWantsSomething(self) -> None:
        """What an observer asks for is decided on in the same run."""
        one = Scripted("one", [Event("first", "", "", "")], [Hold("g", 1)])
        loop = self.loop(one)
        self.meanwhile["told first"] = loop.run
        loop.run()
        self.assertEqual(
            self.done, ["begin", "decided at 1", "told first", "decided at 2", "one hold"]
        )

    def test_beforeTheFirstDecision(self) -> None:
        """What happens as the run begins is part of its first decision."""
        loop = self.loop(Scripted("one"))
        self.meanwhile["begin"] = loop.run
        loop.run()
        self.assertEqual(self.done, ["begin", "decided at 1"])

    def test_survives(self) -> None:
        """A failure ends one run, and not the next one."""
        loop = self.loop(Scripted("one", [Hold("g", 1)], [Ask("g")]))
        self.meanwhile["one hold"] = lambda: cast(None, 1 // 0)
        self.assertRaises(ZeroDivisionError, loop.run)
        self.assertFalse(loop.running)
        loop.run()
        self.assertEqual(self.done[-1], "one ask")

    def test_several(self) -> None:
        """The first deadline counts, any news, and the end of all."""
        one, two = Scripted("one"), Scripted("two")
        loop = self.loop(one, two)
        self.assertEqual((loop.deadline, loop.news, loop.over), (inf, False, False))
        two.deadline, two.news, two.over = 7.0, True, True
        self.assertEqual((loop.deadline, loop.news, loop.over), (7.0, True, False))
        one.over = True
        self.assertTrue(loop.over)
