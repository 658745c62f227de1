"""
What nodes know of each other's groups, with all of L{hatwist.protocols.native} put together: packets as bytes.

For tellers that do nothing else, and for named cases, see L{tests.unit.native.test_state_knowledge}.
"""

from __future__ import annotations

from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hatwist.core.worth import Fitness
from hatwist.protocols.native.datagram import Datagram
from hatwist.protocols.native.layout import FRAME
from hatwist.testing import Simulation
from hatwist.testing.words import heard, saying

I, T = 0.1, 0.35  # noqa: E741
KEY = b"the key of a cluster"
NAMES = ("alpha", "beta", "gamma", "delta")
GROUPS = [f"group{number:02}" for number in range(40)]


def old(sim: Simulation) -> list[tuple[str, str, str]]:
    """Who has which old word of whom, among those that run."""
    nodes = {name: node for name, node in sim.nodes.items() if node.up and not node.machine.silent}
    found = []
    for one, node in nodes.items():
        for other, teller in nodes.items():
            if one != other:
                said, known = saying(teller.machine, teller.now), heard(node.machine, other)
                names = {*said, *known}
                found += [(one, other, n) for n in names if said.get(n) != known.get(n)]
    return sorted(found)


class Faults:
    """Whatever may befall a cluster, by chance."""

    def __init__(self, seed: int, votes: bool) -> None:
        self.chance = chance = Random(seed)
        self.names = NAMES[: chance.choice((2, 3, 3, 4))]
        self.sim = sim = Simulation(seed, key=KEY, members=self.names if votes else ())
        weather = sim.lan.weather
        weather.loss, weather.doubled, weather.late = chance.choice(((0.05, 0.1, 0.1), (0.3, 0, 0)))
        self.files = {
            name: chance.sample(GROUPS, chance.choice((1, 4, len(GROUPS)))) for name in self.names
        }
        for name in self.names:
            sim.start(name, chance.choice((50, 100)), groups=self.files[name])

    def strike(self) -> None:
        """One of them."""
        sim, chance = self.sim, self.chance
        name, other = chance.sample(self.names, 2)
        what = chance.choice(
            ("restart", "freeze", "thaw", "cut", "one-way", "deaf", "heal", "judge")
        )
        if what == "restart":
            sim.kill(name)
            sim.start(name, groups=self.files[name])
        elif what == "thaw":
            for each in self.names:
                if sim.nodes[each].frozen:
                    sim.thaw(each)
        elif what == "heal":
            sim.heal()
        elif what == "judge":
            for group in self.files[name]:
                sim.fitness(name, chance.choice(list(Fitness)), str(chance.random()), group)
        elif sim.nodes[name].frozen is False:
            sim.strike(what, name, other)

    def end(self) -> None:
        """No fault is left."""
        sim = self.sim
        sim.heal()
        weather = sim.lan.weather
        weather.loss = weather.doubled = weather.late = 0.0
        for name in self.names:
            if sim.nodes[name].frozen:
                sim.thaw(name)


class KnowingTests(SynchronousTestCase):
    """Nodes that hear each other know each other's newest state of every group."""

    @settings(max_examples=10, deadline=None)
    @given(st.integers(0, 1 << 32), st.booleans(), st.integers(1, 12))
    def test_afterAnything(self, seed: int, votes: bool, strikes: int) -> None:
        """After any losses, restarts and reorderings, two intervals after they hear each other again."""
        faults = Faults(seed, votes)
        sim, chance = faults.sim, faults.chance
        for _ in range(strikes):
            sim.run(chance.choice((0.01, 0.1, 0.5)))
            faults.strike()
        faults.end()
        sim.run(2 * T)  # they hear each other again, and what follows from that is decided
        behind = old(sim)
        for _ in range(40):  # what is said at one of these times is still on its way
            sim.run(2 * I / 40)
            behind = [each for each in behind if each in old(sim)]
        self.assertEqual(behind, [])

    def test_replayed(self) -> None:
        """All that was ever sent, played again in any order, changes nothing of what is known."""
        sim = Simulation(3, key=KEY)
        sent: list[tuple[str, Datagram]] = []

        def record(source: str, target: str, beat: Datagram) -> bool:
            sent.append((source, beat))
            return True

        sim.lan.filters.append(record)
        for name in NAMES:
            sim.start(name, groups=GROUPS[:12])
        sim.run(2.0)
        for group in GROUPS[:12]:
            sim.fitness("beta", Fitness.DEGRADED, "slow", group)
        sim.run(1.0)
        sim.lan.filters.clear()
        changes = len(sim.transcript.changes)
        Random(1).shuffle(sent)
        for target in NAMES:
            before = {name: heard(sim.nodes[target].machine, name) for name in NAMES}
            for source, beat in sent:
                if source != target:
                    sim.nodes[target].arrive(sim.nodes[source], 0, sim.codec.seal(beat))
            after = {name: heard(sim.nodes[target].machine, name) for name in NAMES}
            self.assertEqual(before, after)
        sim.run(1.0)
        self.assertEqual(len(sim.transcript.changes), changes)
        self.assertEqual(old(sim), [])


class SizeTests(SynchronousTestCase):
    """How many bytes leave."""

    def sizes(self, count: int, groups: int, name: str = "node{:02}") -> list[int]:
        """Of what leaves in an interval of a calm cluster, signed."""
        sim = Simulation(1, key=KEY, interval=1.0, tolerance=3.5)
        found: list[int] = []

        def note(source: str, target: str, beat: Datagram) -> bool:
            found.append(len(sim.codec.seal(beat)))
            return True

        names = [f"g{number}" for number in range(groups)]
        for number in range(count):
            sim.start(name.format(number), 100 + number, groups=names)
        sim.run(12.0)
        sim.lan.filters.append(note)
        sim.run(1.0)
        return found

    def test_calm(self) -> None:
        """In a calm cluster of three a heartbeat has at most 260 bytes, whatever the number of groups."""
        for groups in (1, 60):
            self.assertLessEqual(max(self.sizes(3, groups)), 260)

    def test_many(self) -> None:
        """With 32 nodes it is one frame."""
        found = self.sizes(32, 1)
        self.assertLessEqual(max(found), FRAME)
        self.assertLessEqual(len(found) / 31, 33)

    def test_never(self) -> None:
        """No datagram exceeds a frame, also where a hundred groups are claimed at once."""
        sim = Simulation(2, key=KEY)
        sizes: list[int] = []

        def note(source: str, target: str, beat: Datagram) -> bool:
            sizes.append(len(sim.codec.seal(beat)))
            return True

        sim.lan.filters.append(note)
        for name in NAMES:
            sim.start(name, groups=[f"a-group-of-a-longer-name-{n}" for n in range(100)])
        sim.run(1.5)
        self.assertGreater(max(sizes), 1000)
        self.assertLessEqual(max(sizes), FRAME)
        self.assertEqual(old(sim), [])
