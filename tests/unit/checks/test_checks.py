"""Tests for L{hatwist.checks.checks} and L{hatwist.checks.check}: when is asked, and what it comes to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from hatwist.checks.base import CheckFailed, CheckWorld
from hatwist.checks.check import LATE, CheckSpec
from hatwist.checks.checks import APART, LIMIT, Checks
from hatwist.core.worth import Fitness

UNFIT, DEGRADED, FIT = Fitness.UNFIT, Fitness.DEGRADED, Fitness.FIT


@dataclass(eq=False)
class Thing:
    """A kind of check that answers as the test says, and its own probe."""

    name: str
    clock: Clock
    answer: Any = None  # text: the failure; None: good; "wait": later
    asked: list[float] = field(default_factory=list)
    waiting: Deferred[None] | None = None
    cancelled: int = 0
    transcript: list[str] = field(default_factory=list)

    def problems(self) -> list[str]:
        return []

    def probe(self, world: CheckWorld) -> Thing:
        return self

    def start(self) -> None:
        self.transcript.append("start")

    def stop(self) -> None:
        self.transcript.append("stop")

    def run(self, limit: float) -> Deferred[None]:
        assert self.waiting is None, "asked twice at once"
        self.asked.append(self.clock.seconds())
        self.waiting = Deferred(self._cancel)
        self.waiting.addBoth(self._over)
        done = self.waiting
        if self.answer != "wait":
            self.reply(self.answer)
        return done

    def _over(self, result: Any) -> Any:
        self.waiting = None
        return result

    def _cancel(self, done: Deferred[None]) -> None:
        self.cancelled += 1

    def reply(self, answer: Any) -> None:
        assert self.waiting is not None
        if answer is None:
            self.waiting.callback(None)
        elif isinstance(answer, Exception):
            self.waiting.errback(answer)
        else:
            self.waiting.errback(CheckFailed(answer))


class Stuck(Thing):
    """One whose question does not end, as with a process that waits for a disk."""

    def run(self, limit: float) -> Deferred[None]:
        self.asked.append(self.clock.seconds())
        return Deferred.fromCoroutine(self._hold())

    async def _hold(self) -> None:
        while True:
            try:
                await Deferred()
            except CancelledError:
                self.cancelled += 1


class CheckedTests(SynchronousTestCase):
    """Things that are checked on a clock of the test."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.reports: list[tuple[Fitness, str]] = []

    def make(self, *specs: CheckSpec) -> Checks:
        checks = Checks(self.clock, specs, lambda *verdict: self.reports.append(verdict))
        checks.start()
        return checks

    def thing(self, name: str = "thing", answer: Any = None) -> Thing:
        return Thing(name, self.clock, answer)

    def run_(self, seconds: float) -> None:
        """Let time pass, in steps of 10 ms."""
        for _ in range(round(seconds * 100)):
            self.clock.advance(0.01)

    def take(self) -> list[tuple[Fitness, str]]:
        reports, self.reports = self.reports, []
        return reports

    def assertNear(self, times: Sequence[float], *expected: float, within: float = 0.011) -> None:
        """It was asked at these times, give or take a step of the clock."""
        self.assertEqual(len(times), len(expected), times)
        for asked, wanted in zip(times, expected, strict=True):
            self.assertTrue(abs(asked - wanted) < within, f"{times}, not {expected}")


class ChecksTests(CheckedTests):
    """When is asked, and what is reported."""

    def test_nothing(self) -> None:
        """Without a check all is well."""
        self.make()
        self.assertEqual(self.take(), [(FIT, "")])

    def test_unknown(self) -> None:
        """Before the first result it is unfit, whatever the effect; the first result decides at once."""
        for effect in (UNFIT, DEGRADED):
            thing = self.thing(answer="wait")
            self.make(CheckSpec(thing, effect=effect))
            self.run_(0.02)
            self.assertEqual(self.take(), [(UNFIT, "thing: no result yet")])
            thing.reply(None)
            self.assertEqual(self.take(), [(FIT, "")])

    def test_firstFailure(self) -> None:
        """A first result that is bad counts as failed at once, with the effect."""
        self.make(CheckSpec(self.thing(answer="refused"), effect=DEGRADED))
        self.run_(0.02)
        self.assertEqual(self.take()[1:], [(DEGRADED, "thing: refused (from the start)")])

    def test_riseAndFall(self) -> None:
        """Each change is reported once: after C{fall} failures, and after C{rise} good results."""
        thing = self.thing()
        checks = self.make(CheckSpec(thing, interval=2.0, rise=2, fall=3))
        self.run_(1)
        self.take()
        thing.answer = "refused"
        self.run_(4)
        self.assertEqual(self.take(), [])
        self.assertEqual(
            checks.states(), [{"name": "thing", "state": "good", "reason": "refused (2 of 3)"}]
        )
        self.run_(2)
        self.assertEqual(self.take(), [(UNFIT, "thing: refused (3 of 3)")])
        self.run_(10)
        thing.answer = None
        self.run_(2)
        self.assertEqual(self.take(), [])
        self.run_(2)
        self.assertEqual(self.take(), [(FIT, "")])

    def test_worstWins(self) -> None:
        """The worst effect is the verdict, and all complaints are its reason, the worst first."""
        a, b, c = (self.thing(name, "down") for name in "abc")
        b.answer = "out"
        c.answer = None
        checks = self.make(CheckSpec(a, effect=DEGRADED), CheckSpec(b), CheckSpec(c))
        self.run_(0.5)
        both = "b: out (from the start); a: down (from the start)"
        self.assertEqual(self.reports[-1], (UNFIT, both))
        self.assertEqual(checks.verdict, (UNFIT, both))
        b.answer = None
        self.run_(4)
        self.assertEqual(self.reports[-1], (DEGRADED, "a: down (from the start)"))

    def test_changingReason(self) -> None:
        """Another reason is reported; one that differs in numbers only is not: it would be every time."""
        thing = self.thing(answer="disk 91 % full")
        self.make(CheckSpec(thing))
        self.run_(1)
        self.take()
        thing.answer = "disk 92 % full"
        self.run_(2)
        self.assertEqual(self.take(), [])
        thing.answer = "no disk"
        self.run_(2)
        self.assertEqual(self.take(), [(UNFIT, "thing: no disk (from the start)")])

    def test_interval(self) -> None:
        """It is asked every C{interval} seconds, counted from the first time, however long it takes."""
        thing = self.thing(answer="wait")
        self.make(CheckSpec(thing, interval=2.0, timeout=1.9))
        for _ in range(3):
            self.run_(1.5)
            thing.reply(None)
            self.run_(0.49)
        self.assertNear(thing.asked, 0, 2, 4)

    def test_neverTwice(self) -> None:
        """One that may take longer than the interval is not asked again before it has answered."""
        thing = self.thing(answer="wait")
        self.make(CheckSpec(thing, interval=1.0, timeout=5.0))
        self.run_(3.5)
        self.assertEqual(len(thing.asked), 1)
        thing.reply(None)
        self.run_(1)
        self.assertNear(thing.asked, 0, 4)

    def test_timeout(self) -> None:
        """No answer in time is a failure at that very moment, and the question is ended."""
        thing = self.thing()
        self.make(CheckSpec(thing, interval=2.0, timeout=0.5, fall=1))
        self.run_(1)
        thing.answer = "wait"
        self.run_(1.4)
        self.assertEqual((self.reports[-1], thing.cancelled), ((FIT, ""), 0))
        self.run_(0.12)
        self.assertEqual(self.reports[-1], (UNFIT, "thing: no answer within 0.5 s (1 of 1)"))
        self.assertEqual(thing.cancelled, 1)
        self.assertIsNone(thing.waiting)
        self.run_(2)
        self.assertEqual(len(thing.asked), 3)

    def test_endless(self) -> None:
        """What cannot be ended fails again with every interval, and is not asked a second time."""
        thing = Stuck("thing", self.clock)
        checks = self.make(CheckSpec(thing, interval=1.0, timeout=0.5, fall=3))
        self.run_(4.6)
        self.assertEqual((len(thing.asked), thing.cancelled), (1, 1))
        self.assertEqual(
            self.reports[-1],
            (UNFIT, "thing: what was asked before cannot be ended (from the start)"),
        )
        stopped = checks.stop()
        self.assertNoResult(stopped)
        with capturedLogs() as events:
            self.clock.advance(LIMIT + 0.1)
        self.successResultOf(stopped)
        self.assertEqual(len(events), 1)

    def test_stall(self) -> None:
        """When this process itself stood still, what came meanwhile is read before it counts as late."""
        thing = self.thing(answer="wait")
        self.make(CheckSpec(thing, timeout=1.0))
        self.run_(0.1)
        self.clock.advance(30)
        thing.reply(None)
        self.assertEqual(self.take()[1:], [(FIT, "")])

    def test_silenceAfterStall(self) -> None:
        """When nothing came either, it is late all the same, a moment later."""
        thing = self.thing(answer="wait")
        self.make(CheckSpec(thing, timeout=1.0))
        self.run_(0.1)
        self.clock.advance(30)
        self.assertEqual(self.take()[1:], [])
        self.clock.advance(LATE)
        self.assertEqual(self.take(), [(UNFIT, "thing: no answer within 1 s (from the start)")])
        self.assertEqual(thing.cancelled, 1)

    def test_noBurst(self) -> None:
        """After a stall rounds that were missed are not made up for; the old rhythm goes on."""
        thing = self.thing()
        self.make(CheckSpec(thing, interval=2.0))
        self.run_(0.1)
        self.clock.advance(29.4)
        self.run_(4)
        self.assertNear(thing.asked, 0, 29.5, 30, 32)

    def test_spread(self) -> None:
        """Fifty checks do not begin in one instant, nor ever later; few begin almost at once."""
        for count, interval in ((50, 2.0), (50, 0.1), (3, 2.0)):
            things = [self.thing(str(number)) for number in range(count)]
            checks = self.make(*(CheckSpec(thing, interval=interval) for thing in things))
            began = self.clock.seconds()
            for _ in range(2100):
                self.clock.advance(0.001)
            checks.stop()
            firsts = sorted(thing.asked[0] - began for thing in things)
            step = min(APART, interval / count)
            self.assertNear(firsts, *(number * step for number in range(count)), within=0.0021)

    def test_unexpected(self) -> None:
        """A probe that breaks is a failure that names its error, is logged, and is asked again."""
        thing = self.thing(answer=RuntimeError("oops"))
        self.make(CheckSpec(thing, interval=1.0))
        self.run_(2.5)
        self.assertEqual(self.reports[-1], (UNFIT, "thing: RuntimeError: oops (from the start)"))
        self.assertEqual(len(thing.asked), 3)
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 3)

    def test_stop(self) -> None:
        """A stop ends what is under way, waits for that, and nothing is reported any more."""
        thing = self.thing(answer="wait")
        checks = self.make(CheckSpec(thing))
        self.run_(0.1)
        self.take()
        self.successResultOf(checks.stop())
        self.assertEqual((thing.cancelled, thing.transcript), (1, ["start", "stop"]))
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual(self.take(), [])

    def test_harmless(self) -> None:
        """What somebody else said cannot break a line of the log, nor fill a heartbeat."""
        self.make(CheckSpec(self.thing(answer="a\x1b[2J\nb " + "x" * 5000)))
        self.run_(0.1)
        _, reason = self.reports[-1]
        self.assertTrue(reason.startswith("thing: a\ufffd[2J b xxx"), reason)
        self.assertLess(len(reason), 200)

    def test_logged(self) -> None:
        """Each change of a check is one event of the log, and nothing else is."""
        thing = self.thing()
        with capturedLogs() as events:
            self.make(CheckSpec(thing, interval=1.0, fall=2, rise=1))
            self.run_(2)
            thing.answer = "down"
            self.run_(6)
            thing.answer = None
            self.run_(6)
        texts = [event["log_format"].format(**event) for event in events]
        self.assertEqual(texts, ["thing: down (2 of 2)", "thing: good again"])


class ChangeTests(CheckedTests):
    """Other checks for a node that runs."""

    def test_staying(self) -> None:
        """What is checked as before goes on with what is known of it, and is not asked out of turn."""
        kept, dropped = self.thing("kept", "down"), self.thing("dropped", "wait")
        spec = CheckSpec(kept, interval=2.0)
        checks = self.make(spec, CheckSpec(dropped))
        self.run_(1)
        self.successResultOf(checks.change([spec]))
        self.assertEqual((dropped.cancelled, dropped.transcript), (1, ["start", "stop"]))
        self.assertEqual(checks.verdict, (UNFIT, "kept: down (from the start)"))
        self.run_(0.5)
        self.assertEqual(len(kept.asked), 1)

    def test_added(self) -> None:
        """A holder does not let go because nothing is known yet of a new check; its first result counts."""
        new = self.thing("new", "wait")
        checks = self.make(CheckSpec(self.thing()))
        self.run_(1)
        self.take()
        checks.change([*checks.specs, CheckSpec(new)])
        self.run_(0.1)
        self.assertEqual(self.take(), [])
        self.assertEqual(checks.states()[1]["state"], "unknown")
        new.reply("down")
        self.assertEqual(self.take(), [(UNFIT, "new: down (from the start)")])

    def test_otherLimits(self) -> None:
        """The same thing with other limits is another check."""
        thing = self.thing()
        checks = self.make(CheckSpec(thing))
        self.run_(0.5)
        checks.change([CheckSpec(thing, fall=1)])
        thing.answer = "down"
        self.run_(0.1)
        self.assertEqual(self.reports[-1][0], UNFIT)
