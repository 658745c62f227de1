"""Two and three hosts that speak CARP on a LAN in memory: who holds, and for how long nobody or more than one does."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hatwist.core.reports import Drained, NotHeld, Stopped
from hatwist.protocols.carp.packet import LEAVING
from tests.unit.carp.hosts import GROUP, CarpHost, CarpLan

ORDERS = ((1, 2), (2, 1))
MOMENT = 0.02
"""Seconds that a packet, an acquisition and a release take at most, together."""


def pair(one: int, two: int, **more: object) -> tuple[CarpLan, CarpHost, CarpHost]:
    """The first one is faster, and master."""
    lan = CarpLan()
    fast = lan.host(one, advskew=0, **more)
    slow = lan.host(two, advskew=100, **more)
    lan.until(one)
    return lan, fast, slow


class PairTests(SynchronousTestCase):
    """Two hosts, in both orders of their addresses."""

    def test_election(self) -> None:
        """Started together, the faster one is master after three of its intervals, and never both."""
        for one, two in ORDERS:
            lan = CarpLan()
            lan.host(one, advskew=10)
            lan.host(two, advskew=20)
            self.assertLess(lan.until(one), 3 + 10 / 256 + MOMENT)
            self.assertEqual(lan.overlap(20), 0)
            self.assertEqual(lan.holders, [one])

    def test_equal(self) -> None:
        """As fast as each other, the lower address is master, in both orders of the start."""
        for one, two in ORDERS:
            lan = CarpLan()
            lan.host(one)
            lan.host(two)
            self.assertLess(lan.until(1), 3 + MOMENT)
            self.assertLess(lan.overlap(20), MOMENT)
            self.assertEqual(lan.holders, [1])

    def test_power(self) -> None:
        """The master loses power: the other one takes over in time, from its last advertisement."""
        for one, two in ORDERS:
            lan, fast, _ = pair(one, two)
            lan.timeline.run(5)
            fast.kill()
            self.assertLess(lan.until(two), 3 + 100 / 256 + MOMENT)

    def test_stop(self) -> None:
        """The master stops: the other one has it within a moment, and never both."""
        for one, two in ORDERS:
            lan, fast, _ = pair(one, two)
            fast.tell(Stopped())
            self.assertLess(lan.overlap(MOMENT), MOMENT / 2)
            self.assertEqual(lan.holders, [two])
            self.assertEqual(lan.overlap(5), 0)

    def test_drain(self) -> None:
        """Drained, and back: with preempt it comes back, without it does not."""
        for preempt in (True, False):
            lan, fast, _ = pair(1, 2, preempt=preempt)
            fast.tell(Drained(True))
            self.assertLess(lan.until(2), MOMENT)
            fast.tell(Drained(False))
            self.assertLess(lan.overlap(10), MOMENT)
            self.assertEqual(lan.holders, [1] if preempt else [2])

    def test_comesBack(self) -> None:
        """A faster one that starts takes it with the first advertisement it hears, if it may preempt."""
        for preempt in (True, False):
            lan = CarpLan()
            lan.host(1, advskew=100)
            lan.until(1)
            lan.host(2, advskew=0, preempt=preempt)
            self.assertLess(lan.overlap(10), MOMENT)
            self.assertEqual(lan.holders, [2] if preempt else [1])

    def test_cut(self) -> None:
        """Cut apart both hold; healed, one does, the faster one, with the first packet."""
        for one, two in ORDERS:
            lan, fast, _ = pair(one, two)
            lan.isolate(fast)
            lan.until(1, 2) if one == 1 else lan.until(2, 1)
            lan.timeline.run(7)
            lan.cut.clear()
            self.assertLess(lan.until(one), 1 + 100 / 256 + MOMENT)
            self.assertEqual(lan.overlap(20), 0)
            self.assertEqual(lan.holders, [one])

    def test_oneWay(self) -> None:
        """Where the slower one hears nothing both hold, for as long as that lasts, and the faster one tells it."""
        lan, fast, slow = pair(1, 2)
        lan.cut.add((fast.address, slow.address))
        lan.until(1, 2)
        lan.timeline.run(5)
        lan.cut.clear()
        self.assertLess(lan.until(1), 1 + 100 / 256 + MOMENT)

    def test_slowRelease(self) -> None:
        """A master whose release takes long advertises until it is done, so that nobody takes over before."""
        lan, fast, _ = pair(1, 2)
        fast.releaseTime = 8.0
        fast.tell(Stopped())
        self.assertEqual(lan.overlap(7.99), 0)
        self.assertEqual(lan.holders, [1])
        self.assertLess(lan.until(2), 0.01 + MOMENT)

    def test_resourceLost(self) -> None:
        """What is lost is held by the other one within a moment, and does not come back at once, preempt or not."""
        lan, fast, _ = pair(1, 2, preempt=True)
        fast.tell(NotHeld(GROUP, "gone"))
        self.assertLess(lan.until(2), MOMENT)
        self.assertEqual(lan.overlap(5), 0)
        self.assertEqual(lan.holders, [2])

    def test_goodbyes(self) -> None:
        """Nobody but a master says goodbye, and only at its end."""
        lan, fast, slow = pair(1, 2)
        lan.timeline.run(10)
        slow.tell(Stopped())
        fast.tell(Stopped())
        lan.timeline.run(10)
        said = [who for _, who, packet in lan.said if packet.advbase == LEAVING]
        self.assertEqual(said, [fast.address])


class TrioTests(SynchronousTestCase):
    """Three hosts."""

    def trio(self) -> tuple[CarpLan, list[CarpHost]]:
        lan = CarpLan()
        hosts = [lan.host(n, advskew=50 * n, preempt=True) for n in (3, 1, 2)]
        lan.until(1)
        lan.timeline.run(5)
        return lan, hosts

    def test_stop(self) -> None:
        """Of two that hear the goodbye the faster one stays, within a moment."""
        lan, (_, first, _) = self.trio()
        first.tell(Stopped())
        self.assertLess(lan.overlap(MOMENT), MOMENT)
        self.assertEqual(lan.holders, [2])
        self.assertEqual(lan.overlap(10), 0)

    def test_power(self) -> None:
        """The fastest one loses power: the next one takes over, and the third one never does."""
        lan, (third, first, _) = self.trio()
        first.kill()
        self.assertLess(lan.until(2), 3 + 100 / 256 + MOMENT)
        lan.timeline.run(10)
        self.assertEqual(lan.holders, [2])
        self.assertFalse(any(role.term for role in third.roles))

    def test_cut(self) -> None:
        """Cut apart each side has its master; healed, there is one, and the backup of the other side stays backup."""
        lan, (third, first, _) = self.trio()
        lan.isolate(first)
        lan.timeline.run(10)
        self.assertEqual(lan.holders, [1, 2])
        lan.cut.clear()
        self.assertLess(lan.until(1), 2 + MOMENT)
        self.assertEqual(lan.overlap(20), 0)
        self.assertFalse(any(role.term for role in third.roles))

    def test_restart(self) -> None:
        """All stop and start again, in any order: the fastest one is master."""
        lan, hosts = self.trio()
        for host in hosts:
            host.tell(Stopped())
        lan.timeline.run(1)
        self.assertEqual(lan.holders, [])
        lan.hosts.clear()
        for last in (2, 3, 1):
            lan.host(last, advskew=50 * last, preempt=True)
        lan.timeline.run(10)
        self.assertEqual(lan.holders, [1])


class WeatherTests(SynchronousTestCase):
    """Loss and cuts by chance, from a seed."""

    @settings(max_examples=40, deadline=None)
    @given(
        st.integers(0, 1 << 30),
        st.permutations([1, 2, 3]),
        st.lists(st.sampled_from([0, 30, 60, 90]), min_size=3, max_size=3),
        st.booleans(),
    )
    def test_settles(self, seed: int, order: list[int], skews: list[int], preempt: bool) -> None:
        """After any weather one holds, and with preempt the best: by skew, then by address."""
        lan = CarpLan(seed)
        hosts = [lan.host(n, advskew=skews[n - 1], preempt=preempt) for n in order]
        for _ in range(4):
            lan.loss = lan.random.choice([0.0, 0.3, 1.0])
            lan.cut.clear()
            lan.isolate(lan.random.choice(hosts))
            lan.timeline.run(lan.random.uniform(0.5, 8.0))
        lan.loss = 0.0
        lan.cut.clear()
        lan.timeline.run(6)
        self.assertEqual(lan.overlap(4, 0.05), 0)
        self.assertEqual(len(lan.holders), 1)
        if preempt:
            best = min((1, 2, 3), key=lambda n: skews[n - 1])
            self.assertEqual(skews[lan.holders[0] - 1], skews[best - 1])
