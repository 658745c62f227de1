"""A shared address that somebody puts on a standby."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any, cast

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from hatwist.linux.netlink.memory import MemoryKernel
from hatwist.linux.netlink.messages import EventsLost, KernelAddress
from hatwist.resources.addresses.batch import Addresses
from hatwist.runtime.keeper import Keeper
from hatwist.service.strays import AGAIN, Strays
from tests.contracts_addresses import specsOf

SHARED = ip_address("10.9.0.100")


class StraysTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.kernel = MemoryKernel(self.clock)
        self.eth0 = self.kernel.addLink("eth0", bytes.fromhex("02000000000a"))
        specs = specsOf(("10.9.0.100/24@eth0",))
        self.addresses = Addresses(self.clock, self.kernel, specs, self.kernel.openSender)
        self.keeper = Keeper(self.clock, "web", [self.addresses])
        self.keeper.start(lambda: None, lambda reason: None, lambda: None)
        self.keepers = {"web": self.keeper}
        self.notes: list[str] = []
        self.strays = Strays(self.clock, self.kernel, "web", specs)
        self.strays.start(cast(Any, self))
        self.keeper.release()

    def note(self, kind: str, group: str, reason: str) -> None:
        """As a node has it."""
        self.notes.append(f"{kind} {group} {reason}")

    def stray(self) -> None:
        self.kernel.addAddress(KernelAddress(SHARED, 24, self.eth0))

    def here(self) -> bool:
        return any(entry.address == SHARED for entry in self.kernel.addresses)

    def test_removed(self) -> None:
        """It is told once, and removed at once; so is another one, ten seconds later at the earliest."""
        told = "stray-address web 10.9.0.100/24 on eth0: put there by somebody else, removed"
        self.stray()
        self.clock.advance(0)
        self.assertFalse(self.here())
        self.assertEqual(self.notes, [told])
        self.stray()
        self.clock.advance(AGAIN / 2)
        self.assertTrue(self.here())
        self.clock.advance(AGAIN / 2)
        self.assertFalse(self.here())
        self.assertEqual(self.notes, [told, told])

    def test_eventsLost(self) -> None:
        """Where events were lost the kernel is asked."""
        self.kernel.addresses.append(KernelAddress(SHARED, 24, self.eth0))
        self.kernel.loseEvents(EventsLost())
        self.clock.advance(0)
        self.assertFalse(self.here())

    def test_ours(self) -> None:
        """What this node adds, holds, renews and releases is none."""
        self.keeper.hold(1)
        self.clock.advance(1.0)
        self.assertTrue(self.here())
        self.keeper.release()
        self.clock.advance(1.0)
        self.assertEqual(self.notes, [])

    def test_claimedMeanwhile(self) -> None:
        """What is to be held by the time that the kernel has answered stays."""
        self.stray()
        self.keeper.hold(1)
        self.clock.advance(1.0)
        self.assertTrue(self.here())
        self.assertEqual(self.notes, [])

    def test_anothers(self) -> None:
        """With another prefix it is another program's."""
        self.kernel.addAddress(KernelAddress(SHARED, 25, self.eth0))
        self.clock.advance(0)
        self.assertTrue(self.here())
        self.assertEqual(self.notes, [])

    def test_stopped(self) -> None:
        """After a stop nothing is watched, and no timer is left."""
        self.stray()
        self.strays.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.stray()
        self.assertEqual(self.clock.getDelayedCalls(), [])
