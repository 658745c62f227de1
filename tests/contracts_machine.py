"""What any protocol keeps to, see L{hatwist.core.machine}: mixed into a test case that makes machines."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import TYPE_CHECKING, Any

from hatwist.core.claims import Record, Role
from hatwist.core.effects import Effect, Hold, Leased, Persist, Release, RoleChange
from hatwist.core.errors import BadPacket
from hatwist.core.machine import Machine
from hatwist.core.packet import Outgoing, Packet
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
    Report,
    Served,
    Stopped,
    Witnessed,
)
from hatwist.core.worth import Fitness

if TYPE_CHECKING:
    from twisted.trial.unittest import SynchronousTestCase as TestCase
else:
    TestCase = object

GROUP = "g"
START = 100.0
STEP = 0.01


class Runner:
    """Drives one machine: an acquisition and a release take a while, or are told to fail; a write takes no time."""

    def __init__(self, machine: Machine, test: TestCase) -> None:
        self.machine = machine
        self.now = START
        self.effects: list[Effect] = []
        self.sent: list[Outgoing] = []
        self.refusing = False
        self.releases = True
        self._test = test
        self._answers: list[tuple[float, Report]] = []
        self._beatAt = START

    def of(self, kind: type) -> list[Any]:
        """What it decided of one kind."""
        return [effect for effect in self.effects if isinstance(effect, kind)]

    def decide(self) -> None:
        """Once, as a driver does."""
        beat = self.machine.interval is not None and self.now >= self._beatAt
        if beat:
            self._beatAt += self.machine.interval or 0.0
        effects = self.machine.decide(self.now, beat)
        self.effects += effects
        for effect in effects:
            if isinstance(effect, Hold):
                held = NotHeld(GROUP, "told to fail") if self.refusing else Held(GROUP)
                self._answers.append((self.now + STEP, held))
            elif isinstance(effect, Release) and self.releases:
                self._answers = [(self.now + STEP, Gone(GROUP))]
            elif isinstance(effect, Persist):
                self.machine.tell(Persisted(effect.group, effect.record), self.now)
        self.sent += self.machine.outgoing(self.now)
        self._test.assertEqual(self.machine.outgoing(self.now), [], "given twice")
        self._test.assertGreaterEqual(self.machine.deadline, self.now)

    def run(self, seconds: float, until: Callable[[], object] = lambda: False) -> None:
        """Let time pass, until something is so."""
        end = self.now + seconds
        while self.now < end and not until():
            due, self._answers = (
                [report for at, report in self._answers if at <= self.now],
                [(at, report) for at, report in self._answers if at > self.now],
            )
            for report in due:
                self.machine.tell(report, self.now)
            self.decide()
            self.now += STEP


class MachineContract(TestCase):
    """
    One node of one group C{"g"}.

    @cvar patience: seconds within which a node that is alone holds, or one that is fit again.
    """

    patience = 3.0

    def make(self, name: str = "a", priority: int = 100, now: float = START) -> Machine:
        """A new machine."""
        raise NotImplementedError

    def arriving(self, packet: Outgoing, source: Machine, target: Machine) -> Packet:
        """What one node sends, as a link of another one hands it in."""
        return Packet(packet.data, "eth0")

    def known(self, name: str) -> str:
        """What others call a node."""
        return name

    def runner(self, name: str = "a", priority: int = 100) -> Runner:
        return Runner(self.make(name, priority), self)

    def held(self) -> Runner:
        """Alone, it holds."""
        runner = self.runner()
        runner.run(self.patience)
        self.assertEqual(runner.of(RoleChange)[-1].new, Role.ACTIVE)
        return runner

    def test_startsByReleasing(self) -> None:
        """Whatever an earlier run left is released first, and nothing is held before that is proven."""
        runner = self.runner()
        runner.releases = False
        runner.run(10.0)
        self.assertIn(Release(GROUP), runner.effects)
        self.assertEqual(runner.of(Hold), [])
        self.assertEqual(runner.of(RoleChange)[0][2:4], (None, Role.STANDBY))
        runner.machine.tell(Gone(GROUP), runner.now)
        runner.run(self.patience)
        self.assertEqual(len(runner.of(Hold)), 1)

    def test_nothingBeforeClean(self) -> None:
        """Until then, or for a tolerance, it says nothing: others would take it for a node that holds nothing."""
        runner = self.runner()
        runner.releases = False
        runner.run(runner.machine.tolerance - STEP)
        self.assertEqual(runner.sent, [])

    def test_holds(self) -> None:
        """Alone it holds, once, for as long as it is alone, and its lease goes on."""
        runner = self.held()
        (lease,) = {effect.lease for effect in runner.of(Leased)}
        first = runner.machine.until(lease, runner.now)
        runner.run(3.0)
        self.assertEqual(len(runner.of(Hold)), 1)
        self.assertGreater(runner.machine.until(lease, runner.now), first)
        self.assertGreater(runner.of(Hold)[0].term, 0)

    def test_backsOff(self) -> None:
        """What cannot be acquired is let go of, and not tried again at once; later it is, by a greater term."""
        runner = self.runner()
        runner.refusing = True
        runner.run(self.patience, lambda: len(runner.of(Release)) == 2)
        self.assertEqual(len(runner.of(Release)), 2)
        self.assertEqual([c.new for c in runner.of(RoleChange)], [Role.STANDBY])
        failed, runner.refusing = runner.now, False
        runner.run(10.0, lambda: len(runner.of(Hold)) == 2)
        self.assertGreater(runner.now, failed + 2 * STEP)
        one, two = [effect.term for effect in runner.of(Hold)]
        self.assertGreater(two, one)

    def test_lost(self) -> None:
        """What was held and is lost is let go of, which is told."""
        runner = self.held()
        runner.machine.tell(NotHeld(GROUP, "taken away"), runner.now)
        runner.run(5 * STEP)
        self.assertEqual(len(runner.of(Release)), 2)
        self.assertEqual(runner.of(RoleChange)[-1].new, Role.STANDBY)

    def test_unfit(self) -> None:
        """One that is unfit lets go, and takes nothing; one that is fit again does."""
        runner = self.held()
        runner.machine.tell(Judged(GROUP, "test", Fitness.UNFIT, "out of paper"), runner.now)
        runner.run(3.0)
        self.assertEqual(runner.of(RoleChange)[-1].new, Role.STANDBY)
        self.assertEqual(len(runner.of(Hold)), 1)
        runner.machine.tell(Judged(GROUP, "test", Fitness.FIT), runner.now)
        runner.run(self.patience)
        self.assertEqual(len(runner.of(Hold)), 2)

    def test_stopAbsorbs(self) -> None:
        """A stop lets go, then says the last words, and nothing brings it back."""
        runner = self.held()
        runner.machine.tell(Stopped("enough"), runner.now)
        self.assertFalse(runner.machine.over)
        runner.run(3 * STEP)
        self.assertEqual(len(runner.of(Release)), 2)
        self.assertTrue(runner.machine.over)
        self.assertEqual(runner.of(RoleChange)[-1].new, Role.SHUTDOWN)
        runner.run(STEP)
        effects, sent = len(runner.effects), len(runner.sent)
        for report in self.reports():
            runner.machine.tell(report, runner.now)
        runner.run(3.0)
        self.assertEqual((runner.effects[effects:], runner.sent[sent:]), ([], []))
        self.assertTrue(runner.machine.over)

    def test_farewell(self) -> None:
        """The guard can say goodbye in its place, and what it says is understood."""
        runner = self.held()
        for packet in runner.machine.farewells(GROUP):
            other = self.make("b", 50)
            arriving = self.arriving(packet, runner.machine, other)
            self.assertEqual(other.receive(arriving, START).sender, self.known("a"))

    def test_two(self) -> None:
        """Of two that hear each other one holds; when it stops, the other does."""
        one, two = self.runner("a", 200), self.runner("b", 100)
        said = [0, 0]

        def pass_(seconds: float) -> None:
            end = one.now + seconds
            while one.now < end:
                for runner in (one, two):
                    runner.run(STEP / 2)
                for number, (source, target) in enumerate(((one, two), (two, one))):
                    for packet in source.sent[said[number] :]:
                        arriving = self.arriving(packet, source.machine, target.machine)
                        received = target.machine.receive(arriving, target.now)
                        self.assertEqual(received.sender, self.known(source.machine.name))
                    said[number] = len(source.sent)

        pass_(self.patience)
        self.assertEqual((len(one.of(Hold)), len(two.of(Hold))), (1, 0))
        self.assertEqual(two.machine.others(GROUP, two.now), [self.known("a")])
        one.machine.tell(Stopped(), one.now)
        pass_(1.0)
        self.assertTrue(one.machine.over)
        self.assertEqual(len(two.of(Hold)), 1)
        self.assertEqual(two.of(RoleChange)[-1].new, Role.ACTIVE)

    def test_illegalBytes(self) -> None:
        """A packet that cannot be read changes nothing."""
        teller = self.runner("b")
        teller.run(self.patience, lambda: teller.sent)
        said = teller.sent[0]
        random = Random(1)
        junk = [random.randbytes(random.randrange(200)) for _ in range(100)]
        one, other = self.runner(), self.runner()
        for runner in (one, other):
            runner.run(0.2)
        for data in [b"", *junk, *[said.data[:size] for size in range(4)]]:
            arriving = self.arriving(said._replace(data=data), teller.machine, one.machine)
            with self.assertRaises(BadPacket):
                one.machine.receive(arriving, one.now)
            self.assertFalse(one.machine.news)
        for runner in (one, other):
            runner.run(1.0)
        self.assertEqual((one.effects, one.sent), (other.effects, other.sent))

    def reports(self, group: str = GROUP) -> list[Report]:
        """One of each kind but for a stop."""
        return [
            Held(group),
            NotHeld(group, "no"),
            Gone(group),
            Progressed(group, 1, 2, "acquiring, step 1 of 2: r"),
            Persisted(group, Record(1)),
            Served(group, "02:00:00:00:00:01"),
            Witnessed(START),
            Judged(group, "test", Fitness.FIT),
            Fenced("told so"),
            MoveWanted(group, "nosuch"),
            Drained(False),
        ]

    def test_everyReport(self) -> None:
        """Each report is taken at any time, also of a group that went meanwhile."""
        for seconds in (0.0, 0.2, 3.0):
            for group in (GROUP, "gone"):
                for report in self.reports(group):
                    runner = self.runner()
                    runner.run(seconds)
                    runner.machine.tell(report, runner.now)
                    runner.run(1.0)
