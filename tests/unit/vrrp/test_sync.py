"""Tests for L{hatwist.protocols.vrrp.sync}: groups that move together, on two networks, and 250 of them on one."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from hatwist.core.effects import Hold
from hatwist.core.reports import Drained, Judged, Stopped
from hatwist.core.worth import Fitness
from hatwist.protocols.vrrp.packet import RESIGN
from hatwist.protocols.vrrp.rules import RouterRules
from hatwist.protocols.vrrp.timing import masterDown, skew
from tests.vrrp import ACT, TRAVEL, Host, Network, rules

I = 0.1  # noqa: E741
CHANGE = 2 * TRAVEL + ACT + 1e-6
"""A packet has arrived, and what it brought about is done."""
LAN, WAN = "lan", "wan"


class Scene(SynchronousTestCase):
    """Two hosts with two groups, each on its own network."""

    sync = "pair"

    def both(self, lan: int, wan: int, priority: int, **more: Any) -> tuple[RouterRules, ...]:
        """Those of one host, with the end of its address on each network."""
        return (
            rules(lan, priority, LAN, vrid=51, link="eth0", sync=self.sync, **more),
            rules(wan, priority, WAN, vrid=52, link="eth1", sync=self.sync, **more),
        )

    def pair(
        self,
        high: int = 150,
        low: int = 100,
        order: tuple[int, int, int, int] = (1, 1, 2, 2),
        **more: Any,
    ) -> tuple[Network, Host, Host]:
        """@param order: the addresses of a on both networks, then those of b."""
        network = Network()
        a = network.host("a", *self.both(*order[:2], high, **more))
        b = network.host("b", *self.both(*order[2:], low, **more))
        return network, a, b

    def settled(self, **more: Any) -> tuple[Network, Host, Host]:
        """The host a has both."""
        network, a, b = self.pair(**more)
        network.run(3.0)
        self.assertHolds(network, "a")
        return network, a, b

    def assertHolds(self, network: Network, *names: str) -> None:
        """These, and nobody else, have both."""
        for group in (LAN, WAN):
            self.assertEqual(network.holders(group), list(names), network.transcript)


class SyncTests(Scene):
    """All or nothing."""

    def test_unfit(self) -> None:
        """One network is lost to a host: it lets go of both groups at once, and the other host takes both."""
        network, a, _ = self.settled()
        since = network.now
        network.cut("a", "b", "eth0")
        a.tell(Judged(LAN, "carrier", Fitness.UNFIT, "no carrier"))
        network.run(2 * CHANGE)
        self.assertHolds(network)
        self.assertIn("in sync with lan, which is not held", a.reasons(since))
        network.run(masterDown(3, 100, I))
        self.assertHolds(network, "b")

    def test_notInSync(self) -> None:
        """Without sync the other group stays where it is."""
        self.sync = ""
        network, a, _ = self.settled()
        network.cut("a", "b", "eth0")
        a.tell(Judged(LAN, "carrier", Fitness.UNFIT, "no carrier"))
        network.run(1.0)
        self.assertEqual((network.holders(LAN), network.holders(WAN)), (["b"], ["a"]))

    def test_resigns(self) -> None:
        """What is let go of for another group's sake is resigned: nobody waits for a silence."""
        network, a, _ = self.settled()
        a.tell(Judged(LAN, "t", Fitness.UNFIT, "told so"))
        network.run(skew(3, 100, I) + 2 * CHANGE)
        self.assertHolds(network, "b")
        self.assertEqual(a.priorities().count(RESIGN), 2)

    def test_stop(self) -> None:
        """A clean stop takes one skew."""
        network, a, _ = self.settled()
        a.tell(Stopped())
        network.run(skew(3, 100, I) + 2 * CHANGE)
        self.assertHolds(network, "b")

    def test_powerLoss(self) -> None:
        """A power loss takes what it takes a single group."""
        network, a, _ = self.settled()
        a.kill()
        network.run(masterDown(3, 100, I) + CHANGE)
        self.assertHolds(network, "b")

    def test_preemption(self) -> None:
        """The higher one that comes back takes both; without preempt none."""
        for preempt in (True, False):
            network, a, b = self.settled(preempt=preempt)
            a.tell(Drained(True))
            network.run(1.0)
            self.assertHolds(network, "b")
            a.tell(Drained(False))
            network.run(1.0)
            self.assertHolds(network, "a" if preempt else "b")
            for group in (LAN, WAN):
                for _, overlap in network.overlaps(group):
                    self.assertLess(overlap, CHANGE + TRAVEL)
            self.assertLessEqual(len(b.of(Hold)), 2)

    def test_oneNetworkCut(self) -> None:
        """Who hears the master on one network takes nothing on the other, however long that is silent."""
        for link in ("eth0", "eth1"):
            network, a, _ = self.settled()
            network.cut("a", "b", link)
            network.run(5.0)
            self.assertHolds(network, "a")
            a.kill()
            network.run(masterDown(3, 100, I) + CHANGE)
            self.assertHolds(network, "b")

    def test_bothCut(self) -> None:
        """Healed on one network, one host gives way on both."""
        for link in ("eth0", "eth1"):
            network, _, b = self.settled()
            network.cut("a", "b", "eth0")
            network.cut("a", "b", "eth1")
            network.run(2.0)
            self.assertHolds(network, "a", "b")
            network.cuts = {cut for cut in network.cuts if cut[2] != link}
            network.run(I + CHANGE)
            self.assertHolds(network, "a")
            network.heal()
            network.run(3.0)
            self.assertHolds(network, "a")
            self.assertEqual(len(b.of(Hold)), 2)

    def test_refused(self) -> None:
        """One group that cannot be held gives up both."""
        network, a, b = self.pair()
        a.refusing = True
        network.run(0.6)
        self.assertHolds(network, "b")
        a.refusing = False
        network.run(20.0)
        self.assertHolds(network, "a")
        self.assertEqual(len(b.of(Hold)), 2)

    def test_slowRelease(self) -> None:
        """Nothing is taken while one of them is still being let go of, however long that takes."""
        network = Network()
        a = network.host("a", *self.both(1, 1, 150))
        network.run(1.0)
        a.slow[WAN] = 2.0
        a.tell(Judged(LAN, "t", Fitness.UNFIT, "told so"))
        network.run(0.1)
        a.tell(Judged(LAN, "t", Fitness.FIT))
        network.run(1.8)
        self.assertEqual((network.holders(LAN), network.holders(WAN)), ([], ["a"]))
        self.assertEqual(len(a.of(Hold)), 2)
        a.slow.clear()
        network.run(1.0)
        self.assertHolds(network, "a")

    def test_equalPriorities(self) -> None:
        """
        The greater address on one network is the lesser one on the other: the network of the lowest VRID decides for
        both, and they settle. Whoever else is heard there does not matter.
        """
        for order in ((1, 2, 2, 1), (2, 1, 1, 2), (1, 1, 2, 2)):
            network, *_ = self.pair(100, 100, order)
            network.run(masterDown(3, 100, I) + 3 * CHANGE)
            self.assertHolds(network, "a" if order[0] > order[2] else "b")
            held = len(network.transcript)
            network.run(5.0)
            self.assertEqual(len(network.transcript), held)

    def test_equalPrioritiesAndACut(self) -> None:
        """Where the deciding network is cut, the other one decides, two intervals later."""
        network, *_ = self.pair(100, 100, (2, 1, 1, 2))
        network.cut("a", "b", "eth0")
        network.run(masterDown(3, 100, I) + 2 * I + 2 * CHANGE)
        self.assertHolds(network, "b")
        network.run(5.0)
        self.assertHolds(network, "b")
        network.heal()
        network.run(5.0)
        self.assertHolds(network, "b")

    def test_comesAndGoes(self) -> None:
        """A reload brings a third group, which joins the two that are held, and takes one away, which moves nothing."""
        network, a, b = self.settled()
        held = len(network.transcript)
        more = [rules(n, 150, "dmz", vrid=53, link="eth2", sync=self.sync) for n in (1, 2)]
        a.change(*self.both(1, 1, 150), more[0])
        b.change(*self.both(2, 2, 100), more[1]._replace(priority=100))
        network.run(2.0)
        self.assertEqual(network.holders("dmz"), ["a"])
        self.assertEqual(len(network.transcript), held + 1)
        a.change(*self.both(1, 1, 150)[1:], more[0])
        network.run(0.01)
        self.assertEqual((network.holders(WAN), network.holders("dmz")), (["a"], ["a"]))
        a.tell(Judged(WAN, "t", Fitness.UNFIT, "told so"))
        network.run(0.01)
        self.assertEqual((network.holders(WAN), network.holders("dmz")), ([], []))

    def test_comesUnfit(self) -> None:
        """A third group that cannot be held here takes the others with it: all, or nothing."""
        network, a, _ = self.settled()
        a.change(
            *self.both(1, 1, 150),
            rules(1, 150, "dmz", vrid=53, link="eth2", sync=self.sync, source=None),
        )
        network.run(1.0)
        self.assertHolds(network, "b")


class ManyTests(SynchronousTestCase):
    """250 groups on one network, in sync."""

    def many(self, number: int, priority: int, interval: float) -> list[RouterRules]:
        """Those of one host."""
        return [
            rules(
                number,
                priority,
                f"g{vrid:03}",
                vrid=vrid,
                interval=interval,
                sync="all",
                addresses=(ip_address("10.99.1.0") + vrid,),
            )
            for vrid in range(1, 251)
        ]

    def test_settle(self) -> None:
        """
        They settle within the bound of one, at a start, after a clean stop and after a power loss: no group is ever
        held apart from the others for longer than the packets take.
        """
        network, interval = Network(), 0.1
        a = network.host("a", *self.many(1, 150, interval))
        b = network.host("b", *self.many(2, 100, interval))
        groups = list(a.machine.groups)
        network.run(masterDown(3, 150, interval) + ACT + CHANGE)
        self.assertTrue(network.settled(*groups))
        network.run(0.5)
        self.assertEqual((len(a.held), len(b.held)), (250, 0))
        a.tell(Drained(True))
        network.run(skew(3, 100, interval) + 2 * CHANGE)
        self.assertEqual((len(a.held), len(b.held)), (0, 250))
        a.tell(Drained(False))
        network.run(masterDown(3, 150, interval) + 2 * CHANGE)
        self.assertEqual((len(a.held), len(b.held)), (250, 0))
        a.kill()
        network.run(masterDown(3, 100, interval) + CHANGE)
        self.assertEqual((len(a.held), len(b.held)), (0, 250))
        self.assertEqual((len(a.of(Hold)), len(b.of(Hold))), (500, 500))
