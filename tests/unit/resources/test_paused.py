"""A process that is stopped in the middle of an acquisition, and wakes when its time is over."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_address

from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from hatwist.core.errors import ResourceError
from hatwist.linux.guard.memory import MemoryGuard
from hatwist.linux.netlink.memory import MemoryKernel
from hatwist.linux.netlink.messages import AddressChange
from hatwist.resources.addresses.batch import Addresses
from hatwist.resources.guard import GuardOrder, GuardResource
from hatwist.resources.memory import MemoryResource
from hatwist.runtime.keeper import Keeper
from hatwist.runtime.prepared import Prepared
from hatwist.runtime.steps import TOO_LATE
from tests.contracts_addresses import specsOf

HOLD = 3.4
SHARED = ip_address("10.9.0.100")


class Sleepy(MemoryKernel):
    """A kernel before or after whose next change its process is stopped for a while."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self.before = self.after = 0.0

    def request(
        self, messages: object, permitted: Callable[[], bool] = lambda: True
    ) -> Deferred[list[int]]:
        before, self.before = self.before, 0.0
        after, self.after = self.after, 0.0

        def asked() -> bool:
            said = permitted()
            self._sleep(after)
            return said

        self._sleep(before)
        return super().request(messages, asked)  # type: ignore[arg-type]

    def _sleep(self, seconds: float) -> None:
        # Only the time goes on: no timer of a process that is stopped is due meanwhile.
        assert self._reactor is not None
        self._reactor.rightNow += seconds  # type: ignore[attr-defined]


class PausedTests(SynchronousTestCase):
    """Addresses with a guard that is armed for C{HOLD} seconds."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.kernel = Sleepy(self.clock)
        self.kernel.addLink("eth0", bytes.fromhex("02000000000a"))
        self.guard = MemoryGuard(self.clock, self.kernel)
        self.guard.start()
        self.deadline = HOLD
        self.guarded = GuardResource(
            self.guard, "g", lambda: GuardOrder(7, "lease", self.deadline, []), alone=False
        )
        self.addresses = Addresses(
            self.clock,
            self.kernel,
            specsOf(("10.9.0.100/24@eth0",)),
            self.kernel.openSender,
            lease=3,
            arm=lambda: self.guarded.arm(self.addresses, self.addresses.deletions()),
            look=self.guard.check,
            until=lambda: self.guard.until("g"),
        )
        self.successResultOf(self.guarded.acquire())
        self.events: list[bool] = []
        self.kernel.subscribe(
            lambda events: self.events.extend(
                event.present for event in events if isinstance(event, AddressChange)
            )
        )

    def lifetime(self) -> list[int]:
        return [e.valid for e in self.kernel.addresses if e.address == SHARED]

    def test_confirmedLate(self) -> None:
        """What the guard confirms after its deadline adds nothing, and announces nothing."""
        self.guard.slow = True
        acquiring = self.addresses.acquire()
        self.clock.rightNow += HOLD
        self.guard.confirm()
        self.failureResultOf(acquiring, ResourceError)
        self.assertEqual((self.events, self.kernel.frames), ([], []))

    def test_stoppedBeforeAdding(self) -> None:
        """Stopped past the deadline between the guard's word and the kernel, it adds nothing."""
        self.kernel.before = HOLD
        self.failureResultOf(self.addresses.acquire(), ResourceError)
        self.assertEqual((self.events, self.kernel.frames), ([], []))

    def test_stoppedWhileAdding(self) -> None:
        """Stopped in the moment of adding, it removes what it added, and announces nothing."""
        self.kernel.after = HOLD
        self.failureResultOf(self.addresses.acquire(), ResourceError)
        self.assertEqual((self.events, self.kernel.frames), ([True, False], []))

    def test_stoppedBetweenAnnouncements(self) -> None:
        """No later announcement goes out either, whatever runs first when it wakes."""
        self.successResultOf(self.addresses.acquire())
        count = len(self.kernel.frames)
        self.guard.frozen = True  # nobody has told it yet
        self.clock.rightNow += HOLD
        self.addresses.announce()
        self.clock.advance(0)
        self.assertEqual(len(self.kernel.frames), count)

    def test_shortened(self) -> None:
        """Where leases follow the guard, the first one is what is left until its deadline, less the margin."""
        self.addresses.lease.margin = 0.4
        self.guard.slow = True
        acquiring = self.addresses.acquire()
        self.clock.advance(1.5)
        self.guard.confirm()
        self.successResultOf(acquiring)
        self.assertEqual(self.lifetime(), [1])

    def test_lessThanASecond(self) -> None:
        """With less than the kernel can write down it waits for more, and fails when there will be none."""
        self.addresses.lease.margin = 0.4
        for more in (True, False):
            self.deadline = self.clock.seconds() + 1.0
            self.guard.slow = False
            acquiring = self.addresses.acquire()
            self.assertEqual(self.lifetime(), [])
            if more:
                self.guard.pet({"lease": self.clock.seconds() + HOLD})
                self.clock.advance(0.1)
                self.successResultOf(acquiring)
                self.assertEqual(self.lifetime(), [2])
                self.successResultOf(self.addresses.release())
            else:
                self.clock.pump([0.05] * 20)
                self.failureResultOf(acquiring, ResourceError)
                self.assertEqual(self.lifetime(), [])

    def test_countedFromArming(self) -> None:
        """Where they do not, it counts from the arming, and not from the waking."""
        self.addresses.lease.seconds = 4
        self.deadline = 60.0
        self.guard.slow = True
        acquiring = self.addresses.acquire()
        self.clock.advance(1.5)
        self.guard.confirm()
        self.successResultOf(acquiring)
        self.assertEqual(self.lifetime(), [2])

    def test_restoredForWhatIsLeft(self) -> None:
        """What somebody deletes is back for what is left until the deadline."""
        self.addresses.lease.margin = 0.4
        self.successResultOf(self.addresses.acquire())
        self.guard.pet({"lease": 5.0})
        self.kernel.deleteAddress(SHARED)
        self.clock.advance(2.5)
        self.assertEqual(self.lifetime(), [2])


class KeeperTests(SynchronousTestCase):
    """Every resource, whatever it is."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.story: list[str] = []
        self.resources = [
            MemoryResource(self.clock, name, None, self.story) for name in ("one", "two")
        ]
        first = Prepared(self.clock, "g", self.prepare, lambda: self.story.append("UNDONE"))
        self.keeper = Keeper(self.clock, "g", self.resources, first=first)
        self.keeper.start(
            lambda: self.story.append("HELD"),
            lambda reason: self.story.append(f"REFUSED {reason}"),
            lambda: self.story.append("RELEASED"),
            permitted=lambda: self.permitted,
        )
        self.permitted = True
        self.prepared: Deferred[None] = succeed(None)

    def prepare(self, term: int) -> Deferred[None]:
        self.story.append("prepare")
        return self.prepared

    def test_beforePrepare(self) -> None:
        """Nothing is prepared, and nothing acquired."""
        self.permitted = False
        self.keeper.hold(1)
        self.assertEqual(self.story[0], f"REFUSED {TOO_LATE}")
        self.assertNotIn("prepare", self.story)
        self.assertNotIn("one: acquire", self.story)

    def test_between(self) -> None:
        """Stopped while one is acquired, it does not begin with the next."""
        self.keeper.hold(1)
        self.permitted = False
        self.resources[0].finish()
        self.assertEqual(
            self.story,
            [
                *("prepare", "one: acquire", "one: acquired"),
                *(f"REFUSED {TOO_LATE}", "two: release"),
            ],
        )

    def test_afterTheLast(self) -> None:
        """Stopped while the last one is acquired, it never says that all are held."""
        self.keeper.hold(1)
        self.resources[0].finish()
        self.permitted = False
        self.resources[1].finish()
        self.assertIn(f"REFUSED {TOO_LATE}", self.story)
        self.assertNotIn("HELD", self.story)

    def test_preparedTooLong(self) -> None:
        """Stopped while a command prepares, it acquires nothing."""
        self.prepared = Deferred()
        self.keeper.hold(1)
        self.permitted = False
        self.prepared.callback(None)
        self.assertEqual(self.story[:2], ["prepare", f"REFUSED {TOO_LATE}"])
        self.assertNotIn("one: acquire", self.story)
