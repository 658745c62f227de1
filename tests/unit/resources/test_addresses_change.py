"""Addresses that are changed while they are held, and the guard of several batches of one group."""

from __future__ import annotations

import errno
from collections.abc import Callable
from ipaddress import ip_address

from twisted.internet.defer import Deferred, succeed
from twisted.trial.unittest import SynchronousTestCase

from hatwist.core.errors import ResourceError
from hatwist.linux.guard.memory import MemoryGuard
from hatwist.linux.netlink.messages import AddressChange, Event, encodeDelete
from hatwist.resources.addresses.batch import Addresses
from hatwist.resources.guard import GuardOrder, GuardResource
from tests.contracts_addresses import specsOf
from tests.unit.resources.test_addresses import MemoryWorld

A, B, C, D = (ip_address(f"10.9.0.{n}") for n in (100, 101, 102, 103))


class Changing(SynchronousTestCase):
    """Addresses on a kernel in memory, and all that happens to them there."""

    def setUp(self) -> None:
        self.world = MemoryWorld()
        self.kernel = self.world.netlink
        self.clock = self.world.reactor
        self.story: list[str] = []
        self.losses: list[str] = []
        self.armed: list[set[bytes]] = []
        self.kernel.subscribe(self.happened)
        self.before = self.world.present()

    def happened(self, events: object) -> None:
        found: list[Event] = list(events)  # type: ignore[call-overload]
        for event in found:
            if isinstance(event, AddressChange):
                what = "+" if event.present else "-"
                self.story.append(f"{what}{event.entry.address}/{event.entry.prefix}")

    def make(self, *texts: str, lease: int | None = None) -> Addresses:
        resource = Addresses(
            self.clock,
            self.kernel,
            specsOf(texts),
            self.kernel.openSender,
            lease,
            arm=lambda: self.arm(resource),
        )
        resource.watch(self.losses.append)
        return resource

    def arm(self, resource: Addresses) -> Deferred[None]:
        self.armed.append(set(resource.deletions()))
        self.story.append("armed")
        return succeed(None)

    def told(self) -> list[str]:
        self.clock.advance(0)
        story = list(self.story)
        self.story.clear()
        return story

    def acquired(self, *texts: str, lease: int | None = None) -> Addresses:
        resource = self.make(*texts, lease=lease)
        self.successResultOf(resource.acquire())
        self.told()
        return resource

    def change(self, resource: Addresses, *texts: str) -> None:
        self.successResultOf(resource.change(specsOf(texts)))

    def there(self) -> set[str]:
        return {text.split("@")[0] for text in self.world.present() - self.before}


class ChangeTests(Changing):
    """One batch."""

    CASES: tuple[tuple[tuple[str, ...], tuple[str, ...], list[str]], ...] = (
        # held before, wanted, everything that happens
        (("10.9.0.100/24",), ("10.9.0.100/24",), ["armed"]),
        (
            ("10.9.0.100/24",),
            ("10.9.0.100/24", "10.9.0.101/24"),
            ["armed", "+10.9.0.101/24"],
        ),
        (
            ("10.9.0.100/24", "10.9.0.101/24"),
            ("10.9.0.101/24",),
            ["armed", "-10.9.0.100/24", "armed"],
        ),
        (
            ("10.9.0.100/24", "10.9.0.101/24"),
            ("10.9.0.101/24", "fd09::100/64"),
            ["armed", "+fd09::100/64", "-10.9.0.100/24", "armed"],
        ),
        (
            ("10.9.0.100/24",),
            ("10.9.0.100/25",),
            ["armed", "+10.9.0.100/25", "-10.9.0.100/24", "armed"],
        ),
        (
            ("10.9.0.100/24@eth0", "10.9.0.101/24"),
            ("10.9.0.100/24@eth1", "10.9.0.101/24"),
            ["armed", "+10.9.0.100/24", "-10.9.0.100/24", "armed"],
        ),
    )

    def test_held(self) -> None:
        """The guard first, then what is new, then what goes; nothing else is touched, nothing is lost."""
        for old, new, story in self.CASES:
            self.setUp()
            resource = self.acquired(*old)
            self.change(resource, *new)
            self.assertEqual(self.told(), story, (old, new))
            self.assertEqual(self.there(), {text.split("@")[0] for text in new})
            self.clock.advance(1)
            self.assertEqual((self.told(), self.losses), ([], []))
            self.assertTrue(self.successResultOf(resource.verify()))
            self.assertEqual(resource.name, str(resource.specs[0]) + " and 1 more" * (len(new) - 1))
            self.successResultOf(resource.release())
            self.assertEqual(self.world.present(), self.before)

    def test_guardedBoth(self) -> None:
        """While it changes the guard deletes what goes and what comes; afterwards only what is there."""
        resource = self.acquired("10.9.0.100/24", "10.9.0.101/24")
        self.armed.clear()
        self.change(resource, "10.9.0.101/24", "10.9.0.102/24")
        first, last = self.armed
        for address, during, after in ((A, True, False), (B, True, True), (C, True, True)):
            deletion = encodeDelete(address, 24, 1)
            self.assertEqual((deletion in first, deletion in last), (during, after), address)

    def test_announced(self) -> None:
        """What is new is announced at once, and by the schedule."""
        resource = self.acquired("10.9.0.100/24")
        self.clock.advance(30)
        self.kernel.frames.clear()
        self.change(resource, "10.9.0.100/24", "10.9.0.101/24")
        frames = [frame for _, frame in self.kernel.frames]
        self.assertTrue(any(B.packed in frame for frame in frames))
        count = len(frames)
        self.clock.advance(0.1)
        self.assertGreater(len(self.kernel.frames), count)

    def test_restored(self) -> None:
        """What is new is brought back when somebody deletes it, and what went is not."""
        resource = self.acquired("10.9.0.100/24")
        self.change(resource, "10.9.0.101/24")
        self.world.delete("10.9.0.101/24", "eth0")
        self.clock.advance(0)
        self.assertEqual(self.there(), {"10.9.0.101/24"})

    def test_refused(self) -> None:
        """When the kernel refuses a new one all is as it was, and held as before."""
        resource = self.acquired("10.9.0.100/24", "10.9.0.101/24")
        self.kernel.refuse[D] = errno.EPERM
        changing = resource.change(specsOf(("10.9.0.101/24", "10.9.0.102/24", "10.9.0.103/24")))
        self.assertIn(
            "10.9.0.103/24 was refused", str(self.failureResultOf(changing, ResourceError).value)
        )
        self.assertEqual(self.there(), {"10.9.0.100/24", "10.9.0.101/24"})
        self.assertNotIn("-10.9.0.100/24", self.told())
        self.assertEqual(resource.name, "10.9.0.100/24 and 1 more")
        self.world.delete("10.9.0.100/24", "eth0")
        self.clock.advance(0)
        self.assertEqual(self.there(), {"10.9.0.100/24", "10.9.0.101/24"})
        self.assertEqual(self.losses, [])

    def test_noPlace(self) -> None:
        """An address without a place changes nothing at all."""
        resource = self.acquired("10.9.0.100/24")
        changing = resource.change(specsOf(("10.9.0.101/24@none0",)))
        self.failureResultOf(changing, ResourceError)
        self.assertEqual((self.told(), self.there()), ([], {"10.9.0.100/24"}))

    def test_notGuarded(self) -> None:
        """Nothing is added of which the guard does not know."""
        resource = self.acquired("10.9.0.100/24")
        waiting: Deferred[None] = Deferred()
        resource._arm = lambda: waiting
        changing = resource.change(specsOf(("10.9.0.101/24",)))
        self.assertEqual(self.there(), {"10.9.0.100/24"})
        resource.renew(1)
        self.assertEqual(self.there(), {"10.9.0.100/24"})
        waiting.errback(ResourceError("it fired"))
        self.failureResultOf(changing, ResourceError)
        self.assertEqual(self.there(), {"10.9.0.100/24"})

    def test_cancelled(self) -> None:
        """Cut short it leaves what was there, and the release that follows removes everything."""
        resource = self.acquired("10.9.0.100/24")
        self.kernel.pause()
        changing = resource.change(specsOf(("10.9.0.101/24",)))
        changing.addErrback(lambda failure: None)
        changing.cancel()
        self.kernel.resume()
        self.assertTrue(changing.called)
        self.assertEqual(self.there(), {"10.9.0.100/24"})
        self.successResultOf(resource.release())
        self.assertEqual(self.world.present(), self.before)

    def test_stays(self) -> None:
        """One that goes and cannot be deleted is told; the next release tries again."""
        resource = self.acquired("10.9.0.100/24")
        self.kernel.refuseDelete[A] = errno.EPERM
        changing = resource.change(specsOf(("10.9.0.101/24",)))
        self.assertIn("cannot be deleted", str(self.failureResultOf(changing, ResourceError).value))
        self.assertEqual(self.there(), {"10.9.0.100/24", "10.9.0.101/24"})
        self.failureResultOf(resource.release(), ResourceError)
        self.kernel.refuseDelete.clear()
        self.successResultOf(resource.release())
        self.assertEqual(self.world.present(), self.before)
        self.successResultOf(resource.acquire())
        self.assertEqual(self.there(), {"10.9.0.101/24"})

    def test_notHeld(self) -> None:
        """While not held, old and new are proven gone, whoever left them; then the new ones count."""
        resource = self.make("10.9.0.100/24")
        self.world.add("10.9.0.101/24", "eth0")
        self.world.add("10.9.0.100/24", "eth0")
        self.change(resource, "10.9.0.101/24")
        self.assertEqual(self.world.present(), self.before)
        self.successResultOf(resource.acquire())
        self.assertEqual(self.there(), {"10.9.0.101/24"})

    def test_lease(self) -> None:
        """What is new has the lease that is left; it waits for a renewal where that is less than a second."""
        resource = self.acquired("10.9.0.100/24", lease=3)
        self.change(resource, "10.9.0.100/24", "10.9.0.101/24")
        self.assertEqual(self.lifetimes(), {A: 3, B: 3})
        self.clock.advance(2.5)
        changing = resource.change(specsOf(("10.9.0.100/24", "10.9.0.102/24")))
        self.clock.advance(0.3)
        self.assertNoResult(changing)
        self.successResultOf(resource.renew(2))
        self.clock.advance(0.1)
        self.successResultOf(changing)
        self.assertEqual(self.lifetimes()[C], 1)
        self.assertEqual(self.losses, [])

    def test_leaseRanOut(self) -> None:
        """If no renewal comes, nothing is added, and all are lost."""
        resource = self.acquired("10.9.0.100/24", lease=2)
        self.clock.advance(1.5)
        changing = resource.change(specsOf(("10.9.0.101/24",)))
        self.clock.pump([0.1] * 10)
        self.failureResultOf(changing, ResourceError)
        self.assertEqual(self.losses, ["its lease ran out"])
        self.assertNotIn("10.9.0.101/24", self.there())

    def test_nothing(self) -> None:
        """A batch of no address is a mistake, told at once."""
        with self.assertRaises(ValueError):
            self.make("10.9.0.100/24").change([])

    def lifetimes(self) -> dict[object, int | None]:
        return {e.address: e.valid for e in self.kernel.addresses if e.address in (A, B, C)}


class OwnersTests(Changing):
    """Several batches of one group, and one guard."""

    def setUp(self) -> None:
        super().setUp()
        self.guard = MemoryGuard(self.clock, self.kernel)
        self.guard.start()
        self.guarded = GuardResource(
            self.guard, "g", lambda: GuardOrder(7, "lease", 1000.0, []), alone=False
        )

    def arm(self, resource: Addresses) -> Deferred[None]:
        return self.guarded.arm(resource, resource.deletions())

    def deleted(self) -> set[object]:
        armed = self.guard.armed.get("g")
        known: Callable[[object], bool] = lambda a: (  # noqa: E731
            armed is not None and encodeDelete(a, 24, 1) in armed.deletions  # type: ignore[arg-type]
        )
        return {address for address in (A, B, C) if known(address)}

    def test_union(self) -> None:
        """Each batch adds what deletes it; none takes another's away; the end of all disarms."""
        one, two = self.make("10.9.0.100/24"), self.make("10.9.0.101/24")
        self.successResultOf(self.guarded.acquire())
        self.assertEqual(self.deleted(), set())
        self.successResultOf(one.acquire())
        self.assertEqual(self.deleted(), {A})
        self.successResultOf(two.acquire())
        self.assertEqual(self.deleted(), {A, B})
        self.change(one, "10.9.0.102/24")
        self.assertEqual(self.deleted(), {B, C})
        self.successResultOf(two.release())
        self.assertEqual(self.deleted(), {B, C})
        self.successResultOf(one.release())
        self.successResultOf(self.guarded.release())
        self.assertNotIn("g", self.guard.armed)

    def test_fires(self) -> None:
        """A guard that fires lets go of every batch."""
        one, two = self.make("10.9.0.100/24"), self.make("10.9.0.101/24")
        for resource in (self.guarded, one, two):
            self.successResultOf(resource.acquire())
        self.guard.fire()
        self.assertEqual(self.world.present(), self.before)

    def test_forgotten(self) -> None:
        """The guard goes on without a batch that is no longer kept."""
        one, two = self.make("10.9.0.100/24"), self.make("10.9.0.101/24")
        for resource in (self.guarded, one, two):
            self.successResultOf(resource.acquire())
        self.successResultOf(one.release())
        self.successResultOf(self.guarded.forget(one))
        self.assertEqual(self.deleted(), {B})
        self.successResultOf(self.guarded.forget(one))

    def test_nextClaim(self) -> None:
        """What an earlier claim had is not deleted for a later one."""
        one = self.make("10.9.0.100/24")
        self.successResultOf(self.guarded.acquire())
        self.successResultOf(one.acquire())
        self.successResultOf(one.release())
        self.successResultOf(self.guarded.release())
        self.successResultOf(self.guarded.acquire())
        self.assertEqual(self.deleted(), set())
