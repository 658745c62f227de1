"""Asking the LAN who has the address: what it prevents, what it does not delay, and recordings of old packets."""

from __future__ import annotations

import itertools
from functools import partial
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from hatwist.core.claims import Role
from hatwist.core.effects import Ask
from hatwist.core.reports import Served
from hatwist.core.worth import Fitness
from hatwist.protocols.native.datagram import Datagram
from hatwist.protocols.native.rules import ANSWER_FRESH, ASK_AFTER, ASK_EVERY
from hatwist.testing import Simulation
from hatwist.testing.host import GROUP

T, I = 0.35, 0.1  # noqa: E741
HANDLING = 0.004
"""A question, its answer, and the lateness of timers, in seconds."""


def pair(seed: int = 1, **more: Any) -> Simulation:
    """Alpha holds, beta stands by; both can ask the LAN."""
    sim = Simulation(seed=seed, **{"asks": True, **more})
    for name, priority in (("alpha", 200), ("beta", 100)):
        sim.start(name, priority=priority)
    sim.run(2.0)
    assert sim.holders() == ["alpha"], sim.transcript.moments
    return sim


def filterHeartbeats(sim: Simulation, *pairs: tuple[str, str]) -> None:
    """Heartbeats no longer travel these ways; everything else does."""
    sim.lan.filters.append(lambda source, target, beat: (source, target) not in pairs)


def holds(sim: Simulation, name: str) -> bool:
    """It holds, alone."""
    return sim.holders() == [name]


class Recorder:
    """A recording of everything that is sent on a LAN, which can be played to another one."""

    def __init__(self, sim: Simulation) -> None:
        self.sim = sim
        self.beats: list[tuple[float, str, Datagram]] = []
        self._seen: set[tuple[str, int, int]] = set()
        sim.lan.filters.append(self._travels)

    def _travels(self, source: str, target: str, beat: Datagram) -> bool:
        stamp = (beat.header.name, beat.header.session, beat.header.seq)
        if stamp not in self._seen:
            self._seen.add(stamp)
            self.beats.append((self.sim.now, source, beat))
        return True

    def play(self, sim: Simulation, *targets: str, at: float | None = None) -> float:
        """Play it from now on, as fast as it was recorded; returns when it ends."""
        at = sim.now if at is None else at
        begin = self.beats[0][0]
        for when, source, beat in self.beats:
            for target in targets:
                if target == source:
                    continue

                def arrive(beat: Datagram = beat, target: str = target) -> None:
                    node = sim.nodes[target]
                    node.arrive(_Stranger(beat.header.name), 0, sim.codec.seal(beat))  # type: ignore[arg-type]

                sim.at(at + when - begin, arrive)
        return at + self.beats[-1][0] - begin


class _Stranger:
    """Whoever plays a recording."""

    def __init__(self, name: str) -> None:
        self.name = f"recording of {name}"
        self.held = False


def recording(*names: str, seconds: float = 4.0) -> Recorder:
    """Of a healthy cluster in which alpha holds."""
    sim = Simulation(seed=3, wire=False)
    for number, name in enumerate(names):
        sim.start(name, priority=200 - number)
    sim.run(1.0)
    assert sim.holders() == ["alpha"]
    recorder = Recorder(sim)
    sim.run(seconds)
    return recorder


class ServedTests(SynchronousTestCase):
    """While the LAN answers for the address, a silent holder is not replaced."""

    def filtered(self) -> Simulation:
        sim = pair()
        filterHeartbeats(sim, ("alpha", "beta"), ("beta", "alpha"))
        return sim

    def test_stays(self) -> None:
        """Heartbeats are lost and the old host answers: the standby stays, and says why, once."""
        sim = self.filtered()
        sim.run(5.0)
        self.assertEqual(sim.holders(), ["alpha"])
        self.assertEqual(sim.transcript.overlap(), 0)
        said = sim.transcript.said("still-served", since=2.0)
        self.assertEqual([moment.node for moment in said], ["beta"])
        self.assertApproximates(said[0].at, 2.0 + T, I)
        self.assertEqual(sim.role("beta"), Role.STANDBY)

    def test_needed(self) -> None:
        """Without asking there would be two holders."""
        sim = pair(asks=False)
        filterHeartbeats(sim, ("alpha", "beta"), ("beta", "alpha"))
        sim.run(5.0)
        self.assertEqual(sim.holders(), ["alpha", "beta"])

    def test_takesOver(self) -> None:
        """When it stops answering, the standby takes over within an interval."""
        for phase in range(10):
            sim = self.filtered()
            sim.run(3.0 + phase * I / 40)
            sim.kill("alpha")
            killed = sim.now
            sim.runUntil(partial(holds, sim, "beta"), 1.0)
            self.assertLess(sim.now - killed, ANSWER_FRESH * I + HANDLING)

    def test_three(self) -> None:
        """A third node that waits for the second asks too: none claims, and in the end the second one does."""
        for phase in range(10):
            sim = pair()
            sim.start("gamma", priority=50)
            sim.run(1.0)
            filterHeartbeats(
                sim,
                *itertools.permutations(("alpha", "beta"), 2),
                ("alpha", "gamma"),
                ("gamma", "alpha"),
            )
            sim.run(3.0 + phase * I / 4)
            self.assertEqual(sim.holders(), ["alpha"])
            self.assertEqual(
                {m.node for m in sim.transcript.said("still-served")}, {"beta", "gamma"}
            )
            sim.kill("alpha")
            killed = sim.now
            sim.runUntil(partial(holds, sim, "beta"), 1.0)
            self.assertLess(sim.now - killed, ANSWER_FRESH * I + HANDLING)
            sim.run(1.0)
            self.assertEqual((sim.holders(), sim.transcript.overlap()), (["beta"], 0))

    def test_notListeningBefore(self) -> None:
        """Who could not claim while the holder fell silent asks before it claims, and awaits the answer."""
        sim = self.filtered()
        sim.fitness("beta", Fitness.UNFIT)
        sim.run(2.0)
        sim.fitness("beta", Fitness.FIT)
        sim.run(2.0)
        self.assertEqual((sim.holders(), sim.transcript.overlap()), (["alpha"], 0))
        sim.kill("alpha")
        killed = sim.now
        sim.runUntil(partial(holds, sim, "beta"), 1.0)
        self.assertLess(sim.now - killed, ANSWER_FRESH * I + HANDLING)

    def test_saysSoEachTime(self) -> None:
        """A second failure of heartbeats is a second event."""
        sim = self.filtered()
        sim.run(1.0)
        sim.lan.filters.clear()
        sim.run(1.0)
        self.assertEqual(sim.holders(), ["alpha"])
        filterHeartbeats(sim, ("alpha", "beta"), ("beta", "alpha"))
        sim.run(1.0)
        self.assertEqual(len(sim.transcript.said("still-served")), 2)

    def test_fromTheStart(self) -> None:
        """A node that starts where heartbeats are lost asks before its first claim, and stays standby."""
        sim = Simulation(seed=1, asks=True)
        sim.start("alpha", priority=200)
        sim.run(1.0)
        filterHeartbeats(sim, ("alpha", "beta"), ("beta", "alpha"))
        sim.start("beta", priority=100)
        sim.run(3.0)
        self.assertEqual(sim.holders(), ["alpha"])
        self.assertEqual(len(sim.transcript.said("still-served")), 1)

    def test_questions(self) -> None:
        """It asks from one and a half intervals of silence on, four times in an interval, and not before."""
        sim = self.filtered()
        machine = sim.nodes["beta"].machine
        silent = machine.view.peers["alpha"].at
        asked: list[float] = []
        decide = machine.decide

        def watched(now: float, beat: bool = False) -> list[Any]:
            effects = decide(now, beat)
            asked.extend(now for effect in effects if isinstance(effect, Ask))
            return effects

        machine.decide = watched  # type: ignore[method-assign]
        sim.run(2.0)
        self.assertApproximates(asked[0] - silent, ASK_AFTER * I, 0.002)
        gaps = [b - a for a, b in itertools.pairwise(asked)]
        self.assertGreaterEqual(min(gaps), ASK_EVERY * I)
        self.assertLess(max(gaps), ASK_EVERY * I + 0.002)
        sim.lan.filters.clear()
        sim.run(I)
        del asked[:]
        sim.run(2.0)
        self.assertEqual(asked, [])


class ForgedTests(SynchronousTestCase):
    """Somebody who has no key answers for the address, again and again, after the holder died."""

    mac, stranger = "02:00:00:00:00:0a", "02:00:00:00:00:42"

    def answer(self, sim: Simulation, mac: str, name: str = "beta") -> None:
        """Answers reach a node from now on, several in an interval; it asks for none of them."""
        node = sim.nodes[name]

        def again() -> None:
            node.machine.tell(Served(GROUP, mac), node.now)
            sim.at(sim.now + I / 4, again)

        again()

    def reasons(self, sim: Simulation) -> list[str]:
        return [moment.what for moment in sim.transcript.said("still-served", since=2.0)]

    def test_limit(self) -> None:
        """The node takes the address when the limit is over since the holder was last heard, and says so."""
        for seed in range(5):
            sim = pair(seed, askLimit=2.0)
            sim.nodes["beta"].machine.tell(Served(GROUP, self.mac), sim.nodes["beta"].now)
            self.answer(sim, self.stranger)
            sim.kill("alpha")
            killed = sim.now
            sim.run(1.9 - I)
            self.assertEqual(sim.holders(), [])
            sim.runUntil(partial(holds, sim, "beta"), I + 0.2)
            self.assertLess(sim.now - killed, 2.0 + HANDLING)
            first, last = self.reasons(sim)
            self.assertIn("answers for the address; it stays there", first)
            self.assertIn("answers for the address; no holder was heard for so long", last)

    def test_stranger(self) -> None:
        """One that answered while the holder was heard is told apart from one that did not."""
        for mac, words in (
            (self.mac, f"{self.mac} answers"),
            (self.stranger, f"{self.stranger} (not seen while a node held it) answers"),
        ):
            sim = pair()
            sim.nodes["beta"].machine.tell(Served(GROUP, self.mac), sim.nodes["beta"].now)
            sim.kill("alpha")
            sim.run(I * 2)
            self.answer(sim, mac)
            sim.run(1.0)
            (said,) = self.reasons(sim)
            self.assertIn(words, said)

    def test_noLimit(self) -> None:
        """Without a limit it stays away, and says so again each minute."""
        sim = pair()
        self.answer(sim, self.stranger)
        sim.kill("alpha")
        sim.run(125.0)
        self.assertEqual(sim.holders(), [])
        times = [moment.at for moment in sim.transcript.said("still-served", since=2.0)]
        gaps = [b - a for a, b in itertools.pairwise(times)]
        self.assertEqual(len(gaps), 2)
        for gap in gaps:
            self.assertApproximates(gap, 60.0, I)

    def test_fromTheStart(self) -> None:
        """All were restarted, and nobody ever heard a holder: the limit counts from the start."""
        sim = Simulation(seed=1, asks=True, askLimit=2.0)
        sim.start("beta")
        self.answer(sim, self.stranger)
        sim.run(1.9)
        self.assertEqual(sim.holders(), [])
        sim.runUntil(partial(holds, sim, "beta"), 0.2)

    def test_holderFiltered(self) -> None:
        """Within the limit a holder whose heartbeats are lost is left alone, as without one."""
        sim = pair(askLimit=30.0)
        filterHeartbeats(sim, ("alpha", "beta"), ("beta", "alpha"))
        sim.run(20.0)
        self.assertEqual((sim.holders(), sim.transcript.overlap()), (["alpha"], 0))


class NoDelayTests(SynchronousTestCase):
    """Asking costs a real failover nothing."""

    def takeover(self, asks: bool, seed: int, how: str) -> float:
        sim = pair(seed, asks=asks)
        sim.run(0.01 * seed)
        getattr(sim, how)("alpha")
        since = sim.now
        sim.runUntil(lambda: sim.holders() == ["beta"], 2.0)
        return sim.now - since

    def test_lossOfPower(self) -> None:
        """The takeover comes as soon as without asking: a tolerance after the last heartbeat."""
        for seed in range(10):
            plain, asking = (self.takeover(asks, seed, "kill") for asks in (False, True))
            self.assertLess(asking - plain, 0.002, f"seed {seed}")

    def test_goodbye(self) -> None:
        """After a goodbye the successor claims at once."""
        for seed in range(10):
            plain, asking = (self.takeover(asks, seed, "stop") for asks in (False, True))
            self.assertLess(asking - plain, 0.002, f"seed {seed}")
            self.assertLess(asking, 0.01)

    def test_goodbyeWhileSomebodyAnswers(self) -> None:
        """A goodbye is believed even if an answer for the address came just now."""
        sim = pair()
        sim.nodes["beta"].machine.tell(Served(GROUP, ""), sim.nodes["beta"].now)
        sim.stop("alpha")
        stopped = sim.now
        sim.runUntil(lambda: sim.holders() == ["beta"], 1.0)
        self.assertLess(sim.now - stopped, 0.01)
        self.assertEqual(sim.transcript.said("still-served"), [])

    def test_first(self) -> None:
        """A lone node that nobody answers holds after one tolerance."""
        sim = Simulation(seed=1, asks=True)
        sim.start("alpha")
        sim.runUntil(lambda: sim.holders() == ["alpha"], 1.0)
        self.assertLess(sim.now, T + 0.002)


class RecordedGoodbyeTests(SynchronousTestCase):
    """A goodbye ends the question only where its sender is known to have named this start."""

    def test_recordedGoodbye(self) -> None:
        """Only heartbeats are lost: one recorded goodbye of an earlier start makes no second holder."""
        sim = pair()
        goodbyes: list[Datagram] = []

        def record(source: str, target: str, beat: Datagram) -> bool:
            if beat.header.leaving:
                goodbyes.append(beat)
            return not beat.header.leaving

        sim.lan.filters.append(record)
        sim.stop("alpha")
        sim.run(0.1)
        sim.start("alpha", priority=200)
        sim.run(2.0)
        sim.lan.filters.clear()
        filterHeartbeats(sim, ("alpha", "beta"), ("beta", "alpha"))
        sim.kill("beta")
        sim.start("beta")
        sim.run(2.0)
        self.assertEqual(sim.holders(), ["alpha"])
        self.assertTrue(sim.transcript.said("still-served"))
        beta = sim.nodes["beta"].machine
        for goodbye in goodbyes:
            beta.hear(goodbye, "eth0", sim.nodes["beta"].now)
            sim.run(1.0)
        self.assertGreater(len(goodbyes), 0)
        self.assertEqual((sim.holders(), sim.transcript.overlap()), (["alpha"], 0))


class ReplayTests(SynchronousTestCase):
    """A recording of old packets, with valid signatures, is played to nodes that run now."""

    def test_freshLoneNode(self) -> None:
        """It keeps a lone node waiting for as long as it is new, once; played again it changes nothing."""
        recorder = recording("alpha", "beta", seconds=2.0)
        sim = Simulation(seed=5, asks=True)
        sim.start("gamma", priority=50)
        end = recorder.play(sim, "gamma")
        for _ in range(3):
            end = recorder.play(sim, "gamma", at=end)
        sim.run(2.0 - 0.1)
        self.assertEqual(sim.holders(), [])
        sim.runUntil(lambda: sim.holders() == ["gamma"], 0.1 + T + 2 * I)
        sim.run(8.0)
        self.assertEqual(len(sim.transcript.changes), 1, sim.transcript.changes[:9])

    def fresh(self, asks: bool, **rules: Any) -> Simulation:
        """Beta and gamma have just started; a recording of alpha, who held and was the worthiest, is played."""
        recorder = recording("alpha", "delta", seconds=6.0)
        sim = Simulation(seed=5, asks=asks, **rules)
        sim.start("beta", priority=50)
        sim.start("gamma", priority=40)
        recorder.play(sim, "beta", "gamma")
        sim.run(5.5)
        return sim

    def test_freshPair(self) -> None:
        """Nodes that hear each other are blocked for two tolerances; then one holds, and keeps it."""
        for preempt in (True, False):
            sim = self.fresh(asks=True, preempt=preempt)
            self.assertEqual(sim.holders(), ["beta"], sim.transcript.changes[:9])
            self.assertEqual(len(sim.transcript.changes), 1, sim.transcript.changes[:9])
            self.assertLess(sim.transcript.changes[0][0], 2 * T + 2 * I)

    def test_freshVoters(self) -> None:
        """The same where claims take votes, of which several must come together."""
        names = ("beta", "gamma", "epsilon", "zeta")
        recorder = recording("alpha", "delta", seconds=6.0)
        sim = Simulation(seed=5, asks=True, members=("alpha", *names))
        for number, name in enumerate(names):
            sim.start(name, priority=50 - number)
        recorder.play(sim, *names)
        sim.run(5.5)
        self.assertEqual(sim.holders(), ["beta"])
        self.assertEqual(len(sim.transcript.changes), 1, sim.transcript.changes[:9])
        self.assertLess(sim.transcript.changes[0][0], 2 * T + 4 * I)

    def test_freshPairThatCannotAsk(self) -> None:
        """One that cannot ask the LAN stays away for as long as the recording lasts."""
        self.assertEqual(self.fresh(asks=False).transcript.changes, [])

    def test_holderOfTheRecordingIsReal(self) -> None:
        """If the LAN answers for the address, the ACTIVE that does not list this node counts."""
        sim = Simulation(seed=5, asks=True)
        sim.start("alpha", priority=200)
        sim.run(1.0)
        for other in ("beta", "gamma"):
            filterHeartbeats(sim, (other, "alpha"))
        sim.start("beta", priority=50)
        sim.start("gamma", priority=40)
        sim.run(5.0)
        self.assertEqual(sim.holders(), ["alpha"])
        self.assertEqual(len(sim.transcript.changes), 1, sim.transcript.changes[:9])

    def test_relayedHolderIsNoRecording(self) -> None:
        """A holder that only a third node hears counts, though it cannot list this node, nor be asked."""
        for begin in (0.0, 2.0):
            sim = Simulation(seed=5, asks=True)
            for number, name in enumerate(("alpha", "beta", "gamma")):
                sim.start(name, priority=200 - number)
            sim.run(begin)
            sim.cut("alpha", "beta")
            sim.run(0.5)  # those that start cut off from each other may both claim, once
            before = len(sim.transcript.changes)
            sim.run(5.0)
            self.assertEqual(sim.holders(), ["alpha"], sim.transcript.changes[:9])
            self.assertEqual(len(sim.transcript.changes), before, sim.transcript.changes[:9])

    def test_runningPair(self) -> None:
        """Played at a pair that runs, of its own past or of a stranger's, it moves nothing."""
        sim = pair()
        recorder = Recorder(sim)
        sim.run(2.0)
        sim.lan.filters.clear()
        changes = len(sim.transcript.changes)
        recorder.play(sim, "alpha", "beta")
        sim.run(3.0)
        self.assertEqual(len(sim.transcript.changes), changes, sim.transcript.changes[:9])
        self.assertEqual(sim.holders(), ["alpha"])

    def test_pairThatStartedAnew(self) -> None:
        """Played of an earlier start at a pair that has started anew since, it moves nothing."""
        sim = pair()
        recorder = Recorder(sim)
        sim.run(2.0)
        sim.lan.filters.clear()
        for name, priority in (("alpha", 200), ("beta", 100)):
            sim.kill(name)
            sim.start(name, priority=priority)
        sim.run(1.0)
        self.assertEqual(sim.holders(), ["alpha"])
        changes = len(sim.transcript.changes)
        recorder.play(sim, "alpha", "beta")
        sim.run(3.0)
        self.assertEqual(len(sim.transcript.changes), changes, sim.transcript.changes[:9])
