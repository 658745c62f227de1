"""The keeper of addresses that a guard deletes where this process cannot: how long that stays armed."""

from __future__ import annotations

import errno
from ipaddress import ip_address

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from hatwist.linux.guard.memory import MemoryGuard
from hatwist.linux.netlink.memory import MemoryKernel
from hatwist.resources.addresses.batch import Addresses
from hatwist.resources.guard import GuardOrder, GuardResource
from hatwist.resources.memory import MemoryResource
from hatwist.runtime.keeper import Keeper
from tests.contracts_addresses import specsOf

HOLD = 3.4
RETRY = 2 * HOLD
SHARED = ip_address("10.9.0.100")


class GuardTests(SynchronousTestCase):
    """A group of an address and a command, held, with a guard that is armed for C{HOLD} seconds."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.kernel = MemoryKernel(self.clock)
        self.kernel.addLink("eth0", bytes.fromhex("02000000000a"))
        self.guard = MemoryGuard(self.clock, self.kernel)
        self.guard.start()
        self.guarded = GuardResource(
            self.guard,
            "g",
            lambda: GuardOrder(7, "0 held", self.clock.seconds() + HOLD, []),
            alone=False,
        )
        self.addresses = Addresses(
            self.clock,
            self.kernel,
            specsOf(("10.9.0.100/24@eth0",)),
            self.kernel.openSender,
            arm=lambda: self.guarded.arm(self.addresses, self.addresses.deletions()),
            look=self.guard.check,
            until=lambda: self.guard.until("g"),
        )
        self.command = MemoryResource(self.clock, "command", 0.0)
        self.story: list[str] = []
        self.keeper = Keeper(
            self.clock, "g", [self.guarded, self.addresses, self.command], retry=RETRY
        )
        self.keeper.start(
            lambda: self.story.append("HELD"),
            lambda reason: self.story.append(f"REFUSED {reason}"),
            lambda: self.story.append("RELEASED"),
        )
        self.keeper.hold(7)
        self.assertEqual(self.story, ["HELD"])

    @property
    def there(self) -> bool:
        return SHARED in {entry.address for entry in self.kernel.addresses}

    def test_released(self) -> None:
        """What is proven gone needs no guard."""
        self.keeper.release()
        self.assertEqual((self.guard.armed, self.story[-1]), ({}, "RELEASED"))

    def test_addressLeft(self) -> None:
        """While an address could not be deleted the guard stays armed, and deletes it when its time is over."""
        self.kernel.broken = OSError(errno.ENOBUFS, "No buffer space available")
        self.keeper.release()
        self.kernel.broken = None
        self.assertTrue(self.there)
        self.clock.advance(HOLD)
        self.assertFalse(self.there)
        self.assertEqual(self.story, ["HELD"])

    def test_afterFiring(self) -> None:
        """A guard that has fired keeps nothing from being proven gone."""
        self.test_addressLeft()
        self.clock.advance(RETRY - HOLD)
        self.assertEqual((self.guard.armed, self.story[-1]), ({}, "RELEASED"))

    def test_deletedLater(self) -> None:
        """It is disarmed by the attempt that deletes the address."""
        self.kernel.refuseDelete[SHARED] = errno.EPERM
        self.keeper.release()
        self.assertIn("g", self.guard.armed)
        del self.kernel.refuseDelete[SHARED]
        self.guard.pet({"0 held": self.clock.seconds() + 2 * RETRY})
        self.clock.advance(RETRY)
        self.assertFalse(self.there)
        self.assertEqual((self.guard.armed, self.story[-1]), ({}, "RELEASED"))

    def test_hurried(self) -> None:
        """So does a release that is cut short, because the process is to end."""
        self.kernel.pause()
        self.keeper.release()
        self.keeper.hurry()
        self.assertTrue(self.there)
        self.assertIn("g", self.guard.armed)

    def test_commandLeft(self) -> None:
        """What no guard can undo does not keep it armed: it would fire for nothing, and for all groups."""
        self.command.failNext("release", "busy")
        self.keeper.release()
        self.assertFalse(self.there)
        self.assertEqual((self.guard.armed, self.story), ({}, ["HELD"]))
