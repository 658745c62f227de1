"""Many groups that are acquired together: one guard, one kernel, and what is refused is refused to one of them."""

from __future__ import annotations

import errno
from functools import partial
from ipaddress import ip_address

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from hatwist.linux.guard.memory import MemoryGuard
from hatwist.linux.netlink.memory import MemoryKernel
from hatwist.resources.addresses.batch import Addresses
from hatwist.resources.guard import GuardOrder, GuardResource
from hatwist.runtime.keeper import Keeper
from tests.contracts_addresses import specsOf

GROUPS = 12


class Host:
    """
    A host with groups of an address each, all of which follow one lease.

    @ivar held, refused, gone: what the owner of the keepers was told, by group.
    """

    def __init__(self) -> None:
        self.clock = Clock()
        self.kernel = MemoryKernel(self.clock)
        self.kernel.addLink("eth0", bytes.fromhex("02000000000a"))
        self.guard = MemoryGuard(self.clock, self.kernel)
        self.guard.start()
        self.held: set[int] = set()
        self.refused: dict[int, str] = {}
        self.gone: set[int] = set()
        self.keepers = [self.keep(number) for number in range(GROUPS)]

    def keep(self, number: int) -> Keeper:
        name = f"g{number}"
        order = lambda: GuardOrder(7, "lease", 60.0, [])  # noqa: E731
        guarded = GuardResource(self.guard, name, order, alone=False)
        addresses = Addresses(
            self.clock,
            self.kernel,
            specsOf((f"10.9.0.{number + 1}/24@eth0",)),
            self.kernel.openSender,
            arm=lambda: guarded.arm(addresses, addresses.deletions()),
            until=partial(self.guard.until, name),
        )
        keeper = Keeper(self.clock, name, [guarded, addresses])
        keeper.start(
            lambda: self.held.add(number),
            lambda why: self.refused.__setitem__(number, why),
            lambda: self.gone.add(number),
        )
        keeper.release()
        self.gone.clear()
        return keeper

    @property
    def there(self) -> set[int]:
        """The groups whose address is on the host."""
        shared = {ip_address(f"10.9.0.{number + 1}"): number for number in range(GROUPS)}
        return {shared[e.address] for e in self.kernel.addresses if e.address in shared}

    def refuse(self, numbers: set[int]) -> None:
        for number in numbers:
            self.kernel.refuse[ip_address(f"10.9.0.{number + 1}")] = errno.EACCES

    def holdAll(self) -> None:
        for keeper in self.keepers:
            keeper.hold(7)


class TogetherTests(SynchronousTestCase):
    """Groups that are claimed in one turn."""

    @given(st.sets(st.integers(0, GROUPS - 1), max_size=GROUPS))
    def test_refused(self, refused: set[int]) -> None:
        """Of many that the kernel adds together those that it refuses are rolled back, and no others."""
        host = Host()
        host.refuse(refused)
        host.holdAll()
        self.assertEqual(host.held, set(range(GROUPS)) - refused)
        self.assertEqual((set(host.refused), host.gone), (refused, refused))
        self.assertEqual((host.there, set(host.guard.armed)), (host.held, self.names(host.held)))

    @given(st.sets(st.integers(0, GROUPS - 1), max_size=GROUPS))
    def test_unconfirmed(self, released: set[int]) -> None:
        """Nothing is added before the guard has all of it; what is released meanwhile is not added then."""
        host = Host()
        host.guard.slow = True
        host.holdAll()
        self.assertEqual((host.there, host.held), (set(), set()))
        for number in released:
            host.keepers[number].release()
        host.guard.confirm()
        self.assertEqual((host.held, host.there), (set(range(GROUPS)) - released,) * 2)
        self.assertEqual((host.gone, set(host.guard.armed)), (released, self.names(host.held)))

    def test_late(self) -> None:
        """What a slow guard confirms when the time is over is added for none of them."""
        host = Host()
        host.guard.slow = True
        host.holdAll()
        host.clock.rightNow += 60.0
        host.guard.confirm()
        self.assertEqual((host.there, host.held, host.kernel.frames), (set(), set(), []))
        self.assertEqual(set(host.refused), set(range(GROUPS)))

    @staticmethod
    def names(numbers: set[int]) -> set[str]:
        return {f"g{number}" for number in numbers}
