"""A thousand routers in one machine: what is not due costs nothing, and all are on time."""

from __future__ import annotations

from collections import Counter
from ipaddress import ip_address
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from hatwist.core.effects import Hold
from hatwist.protocols.vrrp.rules import RouterRules
from hatwist.protocols.vrrp.sync import Sync
from hatwist.protocols.vrrp.timing import SLOTS, masterDown
from tests.vrrp import ACT, TRAVEL, Network, rules

I = 0.1  # noqa: E741
MANY = 1000
"""250 on each of four links."""


def many(number: int, priority: int, **more: Any) -> list[RouterRules]:
    """Those of one host."""
    return [
        rules(
            number,
            priority,
            f"g{each:04}",
            vrid=each % 250 + 1,
            link=f"eth{each // 250}",
            addresses=(ip_address("10.99.4.0") + each,),
            **more,
        )
        for each in range(MANY)
    ]


class ManyTests(SynchronousTestCase):
    """Two hosts with a thousand routers each."""

    def setUp(self) -> None:
        self.network = network = Network()
        self.a = network.host("a", *many(1, 150))
        self.b = network.host("b", *many(2, 100))
        self.groups = list(self.a.machine.groups)
        network.run(masterDown(3, 150, I) + ACT + 2 * TRAVEL + ACT)
        self.assertTrue(network.settled(*self.groups))
        self.assertEqual(len(self.a.held), MANY)
        network.run(2 * I)

    def test_calm(self) -> None:
        """In a calm second nothing is decided, the master wakes for each slot, and the backup every other interval."""
        decided = Counter[str]()
        original = Sync.decide

        def decide(sync: Sync, now: float) -> None:
            decided[sync.name] += 1
            original(sync, now)

        self.patch(Sync, "decide", decide)
        runs = Counter[str]()
        for host in self.network.hosts:
            loop, name, run = host.loop, host.name, host.loop.run

            def counted(name: str = name, run: Any = run) -> None:
                runs[name] += 1
                run()

            self.patch(loop, "run", counted)
        sent = len(self.network.sent)
        self.network.run(10 * I)
        self.assertEqual(decided, Counter())
        self.assertEqual(len(self.network.sent) - sent, 10 * MANY)
        self.assertLessEqual(runs["a"], 10 * SLOTS)
        self.assertLessEqual(runs["b"], 10)

    def test_bursts(self) -> None:
        """What is sent in one go is a part of them: the receive buffer of another host holds 256 packets of a link."""
        since = self.network.now
        self.network.run(10 * I)
        bursts = Counter((at, packet.link) for at, _, packet in self.network.sent if at > since)
        self.assertLessEqual(max(bursts.values()), 250 // SLOTS + 1)

    def test_takeOver(self) -> None:
        """All of them within the bound of one, and never two holders."""
        self.a.kill()
        self.network.run(masterDown(3, 100, I) + 2 * TRAVEL + ACT + 1e-6)
        self.assertEqual(len(self.b.held), MANY)
        self.assertEqual(len(self.b.of(Hold)), MANY)
        self.assertEqual([self.network.overlaps(group) for group in self.groups], [[]] * MANY)
