"""
Two and three routers on one network, which loses packets and is cut; real packets, the real loop, a Clock.

A packet travels for 0.5 to 1 ms; an acquisition and a release take 0.5 ms. What a bound allows besides is named.
"""

from __future__ import annotations

from ipaddress import ip_address
from itertools import permutations, product
from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hatwist.core.reports import Drained, Judged, Stopped
from hatwist.core.worth import Fitness
from hatwist.protocols.vrrp.packet import RESIGN, Checksum
from hatwist.protocols.vrrp.timing import masterDown, skew
from tests.vrrp import ACT, GROUP, TRAVEL, VIP, VIP6, Host, Network, rules

HEARD = 2 * TRAVEL + 1e-6
"""A packet has arrived, and was decided on."""
CHANGE = HEARD + ACT + 1e-6
"""And what it brought about is done."""
VARIANTS: tuple[dict[str, Any], ...] = (
    {"interval": 0.1},
    {"interval": 1.0},
    {"interval": 0.05, "addresses": VIP6},
    {"interval": 1.0, "version": 2, "password": b"secret"},
    {"interval": 0.1, "checksum": Checksum.MESSAGE},
    {"interval": 0.1, "unicast": True},
)


class Scene(SynchronousTestCase):
    """Hosts a, b and c; the address of each is given, since it decides between equal priorities."""

    def start(
        self, *nodes: tuple[str, int, int], seed: int = 1, loss: float = 0.0, **more: Any
    ) -> Network:
        """@param nodes: name, number, which is the end of the address, and priority."""
        network = Network(seed, loss)
        more = dict(more)
        unicast = more.pop("unicast", False)
        for name, number, priority in nodes:
            given_ = dict(more)
            if unicast:
                given_["peers"] = tuple(
                    ip_address(f"10.99.0.{other}") for _, other, _ in nodes if other != number
                )
            network.host(name, rules(number, priority, **given_))
        return network

    def down(self, priority: int, **more: Any) -> float:
        """Until when a backup waits for a silent master."""
        version, interval = more.get("version", 3), more["interval"]
        return masterDown(version, priority, interval)

    def named(self, network: Network, name: str) -> Host:
        """The host of this name."""
        return next(host for host in network.hosts if host.name == name)


class PairTests(Scene):
    """Two, once the one with the greater address and once the other."""

    def each(self) -> Any:
        """Every variant, with both orders of the addresses; a has priority 150, b 100."""
        for more, (one, two) in product(VARIANTS, permutations((1, 2))):
            network = self.start(("a", one, 150), ("b", two, 100), **more)
            yield network, self.named(network, "a"), self.named(network, "b"), more

    def test_election(self) -> None:
        """The higher priority holds, after its own wait, and never did the other."""
        for network, _, _, more in self.each():
            network.run(self.down(150, **more) + ACT + CHANGE)
            self.assertEqual(network.holders(), ["a"], more)
            network.run(5.0)
            self.assertEqual([name for _, name, _, _ in network.transcript], ["a"])

    def test_cleanStop(self) -> None:
        """The other holds after its skew, and never both."""
        for network, a, _, more in self.each():
            network.run(8.0)
            since = network.now
            a.tell(Stopped())
            wait = skew(more.get("version", 3), 100, more["interval"])
            network.run(wait + 2 * CHANGE)
            self.assertEqual(network.holders(), ["b"], more)
            self.assertEqual(network.overlaps(), [])
            self.assertLess(network.vacant(since=since), wait + 2 * CHANGE)

    def test_drain(self) -> None:
        """A drain is as fast."""
        for network, a, _, more in self.each():
            network.run(8.0)
            a.tell(Drained(True))
            network.run(skew(more.get("version", 3), 100, more["interval"]) + 2 * CHANGE)
            self.assertEqual(network.holders(), ["b"], more)

    def test_powerLoss(self) -> None:
        """The other holds within three intervals and its skew."""
        for network, a, _, more in self.each():
            network.run(8.0)
            a.kill()
            network.run(self.down(100, **more) + CHANGE)
            self.assertEqual(network.holders(), ["b"], more)

    def test_preemption(self) -> None:
        """The higher one that comes takes it, with an overlap of one packet and one release; without preempt not."""
        for more, (one, two), preempt in product(VARIANTS, permutations((1, 2)), (True, False)):
            network = self.start(("b", two, 100), ("a", one, 150), preempt=preempt, **more)
            a = self.named(network, "a")
            a.tell(Judged(GROUP, "t", Fitness.UNFIT, "not yet"))
            network.run(8.0)
            self.assertEqual(network.holders(), ["b"])
            a.tell(Judged(GROUP, "t", Fitness.FIT))
            network.run(self.down(150, **more) + 2 * CHANGE)
            self.assertEqual(network.holders(), ["a"] if preempt else ["b"], more)
            for _, overlap in network.overlaps():
                self.assertLess(overlap, CHANGE)

    def test_equalPriority(self) -> None:
        """Of two that start together the one of the greater address holds, in both orders of the addresses."""
        for more, (one, two) in product(VARIANTS, permutations((1, 2))):
            network = self.start(("a", one, 100), ("b", two, 100), **more)
            network.run(self.down(100, **more) + 2 * CHANGE)
            self.assertEqual(network.holders(), ["a" if one > two else "b"], more)
            for _, overlap in network.overlaps():
                self.assertLess(overlap, CHANGE)

    def test_equalPriorityLater(self) -> None:
        """One that comes later takes nothing from its equal, though its address be the greater one."""
        for more, (one, two) in product(VARIANTS, permutations((1, 2))):
            network = self.start(("a", one, 100), ("b", two, 100), **more)
            b = self.named(network, "b")
            b.tell(Judged(GROUP, "t", Fitness.UNFIT, "not yet"))
            network.run(8.0)
            b.tell(Judged(GROUP, "t", Fitness.FIT))
            network.run(8.0)
            self.assertEqual([name for _, name, _, _ in network.transcript], ["a"])

    def test_cutAndHeal(self) -> None:
        """
        While cut both hold. Healed, one does within an interval, and has announced the addresses after the other one
        let them go; the other one never takes them again.
        """
        for network, a, _, more in self.each():
            network.run(8.0)
            network.cut("a", "b")
            network.run(self.down(100, **more) + CHANGE)
            self.assertEqual(network.holders(), ["a", "b"], more)
            network.heal()
            healed = network.now
            network.run(more["interval"] + CHANGE)
            self.assertEqual(network.holders(), ["a"], more)
            network.run(8.0)
            (letGo,) = [at for at, name, _, held in network.transcript if name == "b" and not held]
            self.assertGreaterEqual(a.announced(letGo), 1, (more, network.transcript))
            self.assertEqual(network.transcript[-1][1:], ("b", GROUP, False))
            self.assertEqual(len(network.overlaps(since=healed)), 0)

    def test_different(self) -> None:
        """Other intervals, lists of addresses and checksums are named by both, and one holds all the same."""
        others: tuple[dict[str, Any], ...] = (
            {"interval": 0.5},
            {"interval": 0.02},
            {"interval": 0.1, "checksum": Checksum.MESSAGE},
            {"interval": 0.1, "addresses": (VIP, ip_address("10.99.0.101"))},
        )
        for more, (high, low) in product(others, ((150, 100), (100, 150), (100, 100))):
            network = Network()
            a = network.host("a", rules(1, high))
            b = network.host("b", rules(2, low, **more))
            network.run(6.0)
            self.assertEqual(len(network.holders()), 1, (more, high))
            if high != low:
                self.assertEqual(network.holders(), ["a" if high > low else "b"])
            changes = len(network.transcript)
            network.run(6.0)
            self.assertEqual(len(network.transcript), changes)
            (backup,) = {"a", "b"} - set(network.holders())
            told = [line for line in self.named(network, backup).events() if "differs" in line]
            self.assertEqual(len(told), 0 if "checksum" in more else 1)
            self.assertEqual({*a.bad, *b.bad}, set())

    def test_frozen(self) -> None:
        """A master that stood still and wakes up is told at once; one of a higher priority takes it back at once."""
        for more, (one, two), high in product(VARIANTS[:2], permutations((1, 2)), "ab"):
            network = self.start(
                ("a", one, 150 if high == "a" else 100),
                ("b", two, 150 if high == "b" else 100),
                **more,
                preempt=False,
            )
            network.run(8.0)
            (holder,) = network.holders()
            frozen = self.named(network, holder)
            frozen.freeze(10 * more["interval"])
            network.run(10 * more["interval"] + 2 * CHANGE)
            self.assertEqual(network.holders(), [holder], more)
            self.assertEqual(len(network.overlaps()), 1)


class TrioTests(Scene):
    """Three."""

    def test_succession(self) -> None:
        """The two that are left never both hold: the skews keep them apart, also at an interval of 0.02 s."""
        for interval in (0.02, 0.1, 1.0):
            for order in permutations((1, 2, 3)):
                nodes = zip("abc", order, (200, 150, 100), strict=True)
                network = self.start(*nodes, interval=interval)
                network.run(6 * interval + 0.5)
                self.assertEqual(network.holders(), ["a"])
                for leaving, following in (("a", "b"), ("b", "c")):
                    self.named(network, leaving).kill()
                    network.run(masterDown(3, 100, interval) + CHANGE)
                    self.assertEqual(network.holders(), [following])
                for _, overlap in network.overlaps():
                    self.assertLess(overlap, CHANGE)

    def test_oneCut(self) -> None:
        """Where two do not hear each other and the third hears both, the third never holds."""
        network = self.start(("a", 1, 200), ("b", 2, 150), ("c", 3, 100), interval=0.1)
        network.run(3.0)
        network.cut("a", "b")
        network.run(3.0)
        self.assertEqual(network.holders(), ["a", "b"])
        network.heal()
        network.run(3.0)
        self.assertEqual(network.holders(), ["a"])
        self.assertEqual({name for _, name, _, _ in network.transcript}, {"a", "b"})


CALM = 5.0
"""Seconds for which nothing may change any more."""
UNLUCKY = 25
"""Intervals: that all advertisements of so many get lost, of which one in five does, is not seen in a lifetime."""


class Chaos:
    """A schedule of faults from a seed, on a network that loses one packet in five; then everything is whole."""

    def __init__(
        self, seed: int, scene: Scene, priorities: list[int], preempt: bool, interval: float
    ) -> None:
        self.random = Random(seed)
        order = self.random.sample(range(1, 10), len(priorities))
        self.nodes = list(zip("abc", order, priorities))  # noqa: B905 - as many as there are
        self.given: dict[str, Any] = {"interval": interval, "preempt": preempt}
        self.network = scene.start(*self.nodes, seed=seed, loss=0.2, **self.given)
        self.interval = interval
        self.down = masterDown(3, min(priorities), interval)
        self.judged: list[tuple[float, float]] = []

    def fault(self) -> None:
        """Something goes wrong, or is repaired."""
        network, random = self.network, self.random
        host = random.choice(network.hosts)
        kind = random.choice(["kill", "stop", "cut", "heal", "unfit", "fit", "freeze", "wait"])
        if kind == "cut":
            network.cut(*random.sample([name for name, _, _ in self.nodes], 2))
        elif kind == "heal":
            network.heal()
        elif kind in ("unfit", "fit"):
            verdict = Fitness.UNFIT if kind == "unfit" else Fitness.FIT
            host.tell(Judged(GROUP, "t", verdict, "told so"))
        elif kind == "freeze" and not host.dead:
            host.freeze(random.uniform(0, 2 * self.down))
        elif kind in ("kill", "stop"):
            self.replace(host, kind == "stop")

    def replace(self, host: Host, clean: bool) -> None:
        """It ends, and begins anew after a while; two of one name would be two hosts of one address."""
        network = self.network
        if clean and not host.dead:
            host.tell(Stopped())
            network.run(1.0, lambda: host.machine.over)
        host.kill()
        network.hosts.remove(host)
        network.run(self.random.uniform(0, self.down))
        name, number, priority = next(each for each in self.nodes if each[0] == host.name)
        network.host(name, rules(number, priority, **self.given))

    def repair(self) -> None:
        """No fault is left, and no packet gets lost."""
        network = self.network
        network.loss = 0.0
        network.heal()
        network.run(2 * self.down)  # the last one thaws
        for host in network.hosts:
            host.tell(Judged(GROUP, "t", Fitness.FIT))


class PropertyTests(Scene):
    """Whatever happened before."""

    @settings(max_examples=40, deadline=None)
    @given(
        st.integers(0, 10**6),
        st.lists(st.sampled_from([1, 100, 100, 150, 254]), min_size=2, max_size=3),
        st.booleans(),
        st.sampled_from([0.02, 0.1, 1.0]),
    )
    def test_oneHolder(
        self, seed: int, priorities: list[int], preempt: bool, interval: float
    ) -> None:
        """
        When all is whole again, exactly one holds within three intervals and a skew, and nothing changes any more;
        with preempt it is of the highest priority.
        """
        chaos = Chaos(seed, self, priorities, preempt, interval)
        network = chaos.network
        for _ in range(12):
            network.run(chaos.random.uniform(0, 2 * chaos.down))
            chaos.fault()
        chaos.repair()
        # Who was unfit begins now, and waits by the interval of whom it hears.
        network.run(chaos.down + interval + 3 * CHANGE)
        self.assertEqual(len(network.holders()), 1, network.transcript)
        since = network.now
        if preempt:
            best = max(priorities)
            names = [name for name, _, priority in chaos.nodes if priority == best]
            self.assertIn(network.holders()[0], names)
        network.run(CALM)
        self.assertEqual([each for each in network.transcript if each[0] >= since], [])

    @settings(max_examples=40, deadline=None)
    @given(
        st.integers(0, 10**6),
        st.lists(st.sampled_from([1, 100, 100, 150, 254]), min_size=2, max_size=3),
        st.sampled_from([0.02, 0.1, 1.0]),
    )
    def test_loss(self, seed: int, priorities: list[int], interval: float) -> None:
        """
        Connected routers that lose one packet in five hold both at most until one packet arrives, and it is held by
        one of them but for the waits of the protocol.
        """
        chaos = Chaos(seed, self, priorities, True, interval)
        network = chaos.network
        network.run(chaos.down + CHANGE)
        network.run(300 * interval)
        for _, overlap in network.overlaps():
            self.assertLess(overlap, UNLUCKY * interval)
        self.assertTrue(network.holders())
        network.loss = 0.0
        network.run(chaos.down + interval + 3 * CHANGE)
        self.assertEqual(len(network.holders()), 1)

    @settings(max_examples=40, deadline=None)
    @given(
        st.integers(0, 10**6),
        st.lists(st.sampled_from([1, 100, 100, 150, 254]), min_size=2, max_size=3),
        st.booleans(),
        st.sampled_from([0.02, 0.1, 1.0]),
    )
    def test_neverTwo(
        self, seed: int, priorities: list[int], preempt: bool, interval: float
    ) -> None:
        """
        Connected routers that lose nothing: stops, power losses and verdicts never bring about two holders for
        longer than a packet and a release take.
        """
        chaos = Chaos(seed, self, priorities, preempt, interval)
        network = chaos.network
        network.loss = 0.0
        network.run(chaos.down + 2 * CHANGE)
        for _ in range(12):
            network.run(chaos.random.uniform(0, 2 * chaos.down))
            host = chaos.random.choice(network.hosts)
            kind = chaos.random.choice(["kill", "stop", "unfit", "fit"])
            if kind in ("kill", "stop"):
                chaos.replace(host, kind == "stop")
            else:
                verdict = Fitness.UNFIT if kind == "unfit" else Fitness.FIT
                host.tell(Judged(GROUP, "t", verdict, "told so"))
        for at, overlap in network.overlaps():
            self.assertLess(overlap, CHANGE + TRAVEL, (at, network.transcript))

    def test_theChecksCanFail(self) -> None:
        """Two that do not hear each other hold both, which the overlap shows, and so does a resignation too early."""
        network = self.start(("a", 1, 150), ("b", 2, 100), interval=0.1)
        network.cut("a", "b")
        network.run(2.0)
        self.assertEqual(len(network.overlaps()), 1)
        self.assertGreater(network.overlaps()[0][1], 1.0)
        network.heal()
        network.run(2.0)
        a = self.named(network, "a")
        for packet in a.machine.routers[GROUP].voice.packets(RESIGN):
            network.carry(a, packet)
        a.dead = True
        network.run(1.0)
        self.assertEqual(network.holders(), ["a", "b"])
