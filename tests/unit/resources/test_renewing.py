"""Many batches of addresses are renewed together, and each of them is told what concerns it."""

from __future__ import annotations

import errno
from math import inf

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from hatwist.linux.netlink.memory import MemoryKernel
from hatwist.linux.netlink.messages import IFF_RUNNING, IFF_UP
from hatwist.linux.netlink.operations import SLICE
from hatwist.resources.addresses.batch import Addresses
from hatwist.resources.addresses.renewing import renew
from tests.contracts_addresses import specsOf

MAC = bytes.fromhex("02000000000a")


class RenewingTests(SynchronousTestCase):
    """Batches of one address each, of which each may be held until its own time."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.kernel = MemoryKernel(self.clock)
        self.index = self.kernel.addLink("eth0", MAC)
        self.kernel.changeLink(self.index, promotes=True)
        self.ends: dict[int, float] = {}
        self.looks = 0
        self.losses: dict[int, str] = {}
        self.all: list[Addresses] = []

    def look(self) -> None:
        self.looks += 1

    def hold(self, count: int, version: int = 4) -> None:
        for number in range(count):
            text = (
                f"10.9.{number // 250}.{number % 250 + 1}/16"
                if version == 4
                else f"fd09::{number + 1:x}/64"
            )
            self.ends[number] = 1000.0
            made = Addresses(
                self.clock,
                self.kernel,
                specsOf((f"{text}@eth0",)),
                self.kernel.openSender,
                3,
                until=lambda number=number: self.ends[number],  # type: ignore[misc]
                look=self.look,
            )
            made.watch(lambda reason, number=number: self.losses.update({number: reason}))  # type: ignore[misc]
            self.successResultOf(made.acquire())
            self.all.append(made)
        self.clock.advance(1.0)
        self.kernel.requests = self.looks = 0

    def renewAll(self, seconds: int = 2) -> Deferred[None]:
        return renew([(each.upkeep, seconds) for each in self.all])

    def lasting(self) -> list[int]:
        """For how long the kernel keeps each, in their order."""
        found = {entry.address: entry.valid for entry in self.kernel.addresses}
        return [found.get(each.specs[0].address, 0) for each in self.all]

    def test_oneRequest(self) -> None:
        """As many as one write of netlink are one request, with as many looks as for a single one."""
        for version in (4, 6):
            for count in (1, SLICE):
                self.setUp()
                self.hold(count, version)
                self.successResultOf(self.renewAll())
                self.assertEqual((self.kernel.requests, self.looks), (1, 3))
                self.assertEqual((self.lasting(), self.losses), ([2] * count, {}))

    def test_more(self) -> None:
        """More of them are a request for each write, each permitted by itself."""
        self.hold(2 * SLICE + 1)
        self.successResultOf(self.renewAll())
        self.assertEqual((self.kernel.requests, self.lasting()), (3, [2] * (2 * SLICE + 1)))

    def test_none(self) -> None:
        """Where nothing is due nothing is asked for."""
        self.successResultOf(renew([]))
        self.assertEqual(self.kernel.requests, 0)

    def test_badSeconds(self) -> None:
        """Less than a second is a mistake, told before anything is renewed."""
        self.hold(2)
        with self.assertRaises(ValueError):
            renew([(self.all[0].upkeep, 2), (self.all[1].upkeep, 0)])
        self.assertEqual(self.lasting(), [3, 3])

    def test_ownSeconds(self) -> None:
        """Each is kept for as long as it was asked for, and the next time for another."""
        self.hold(3)
        for wanted in ([1, 2, 3], [3, 2, 1]):
            self.successResultOf(
                renew([(a.upkeep, n) for a, n in zip(self.all, wanted, strict=True)])
            )
            self.assertEqual(self.lasting(), wanted)

    def test_oneRefused(self) -> None:
        """What the kernel refuses is lost, and the others are renewed."""
        self.hold(5)
        (spec,) = self.all[2].specs
        self.kernel.refuse[spec.address] = errno.EPERM
        self.successResultOf(self.renewAll())
        self.assertEqual(self.lasting(), [2, 2, 3, 2, 2])
        self.assertEqual(list(self.losses), [2])
        self.assertIn(
            f"{spec.address}/16 was refused by eth0: Operation not permitted", self.losses[2]
        )

    def test_oneTooLate(self) -> None:
        """One whose time is over is lost and not renewed, and the others are, together."""
        self.hold(5)
        self.ends[3] = self.clock.seconds()
        self.successResultOf(self.renewAll())
        self.assertEqual((self.lasting(), self.kernel.requests), ([2, 2, 2, 3, 2], 1))
        self.assertEqual(self.losses, {3: "its lease ran out"})

    def test_tooLateWhileWaiting(self) -> None:
        """Where one's time is over before the request is sent, nothing of it is sent, and the others are renewed."""
        self.hold(5)
        self.kernel.pause()
        renewing = self.renewAll()
        self.ends[0] = -inf
        self.kernel.resume()
        self.successResultOf(renewing)
        self.assertEqual((self.lasting(), self.losses), ([3, 2, 2, 2, 2], {0: "its lease ran out"}))

    def test_firedWhileRenewing(self) -> None:
        """Where the guard lets go of one in the very moment of the renewal, which adds it again, it is lost."""
        self.hold(5)
        self.kernel.pause()
        renewing = self.renewAll()
        kernel = self.kernel

        def changing(message: object) -> int:
            self.ends[4] = -inf
            return MemoryKernel._change(kernel, message)  # type: ignore[arg-type]

        self.patch(kernel, "_change", changing)
        kernel.resume()
        self.successResultOf(renewing)
        self.assertEqual(self.losses, {4: "its lease ran out"})

    def test_unanswered(self) -> None:
        """Where the kernel cannot be asked all of them are lost, and nothing fails."""
        self.hold(3)
        self.kernel.broken = OSError(errno.ENOBUFS, "No buffer space")
        self.successResultOf(self.renewAll())
        self.assertEqual(list(self.losses), [0, 1, 2])
        self.assertIn("not renewed", self.losses[1])

    def test_releasedMeanwhile(self) -> None:
        """One that is released while the renewal is under way stays away; the others are renewed."""
        self.hold(3)
        self.kernel.pause()
        renewing, releasing = self.renewAll(), self.all[1].release()
        self.kernel.resume()
        self.successResultOf(renewing)
        self.successResultOf(releasing)
        self.assertEqual((self.lasting(), self.losses), ([2, 0, 2], {}))

    def test_releasedBefore(self) -> None:
        """One that is let go of before the request is sent is not added, even where its release came first."""
        self.hold(3)
        self.kernel.pause()
        renewing = self.renewAll()
        self.all[1].upkeep.end()
        self.kernel.forget(self.all[1].specs[0].address)
        self.kernel.resume()
        self.successResultOf(renewing)
        self.assertEqual((self.lasting(), self.losses), ([2, 0, 2], {}))

    def test_deletedBetween(self) -> None:
        """What somebody removed between two renewals is noticed, added again by the next one, and announced."""
        self.hold(3)
        for each in self.all:
            each.lease.margin = 999.5  # no second is left but by a renewal
        frames = len(self.kernel.frames)
        self.kernel.deleteAddress(self.all[1].specs[0].address)
        self.clock.advance(0.1)
        self.assertEqual(self.lasting(), [3, 0, 3])
        self.successResultOf(self.renewAll())
        self.clock.advance(0)
        self.assertEqual((self.lasting(), self.losses), ([2, 2, 2], {}))
        self.assertGreater(len(self.kernel.frames), frames)

    def test_removedUnseen(self) -> None:
        """What went without an event comes back by the renewal that did not know of it."""
        self.hold(3)
        self.kernel.forget(self.all[1].specs[0].address)
        self.successResultOf(self.renewAll())
        self.assertEqual((self.lasting(), self.losses), ([2, 2, 2], {}))

    def test_down(self) -> None:
        """What is refused because its interface is down is waited for, and the rest of it goes on."""
        self.hold(2, 6)
        self.kernel.links[self.index] = self.kernel.links[self.index]._replace(flags=0)
        (spec,) = self.all[0].specs
        self.kernel.refuse[spec.address] = errno.EACCES
        self.successResultOf(self.renewAll())
        self.assertEqual(self.losses, {})
        self.assertEqual(len(self.all[0].upkeep.missing), 1)
        del self.kernel.refuse[spec.address]
        self.kernel.changeLink(self.index, flags=IFF_UP | IFF_RUNNING)
        self.clock.advance(0)
        self.assertEqual(self.losses, {})
        self.assertEqual(self.all[0].upkeep.missing, set())

    @given(st.lists(st.tuples(st.booleans(), st.booleans(), st.booleans()), min_size=1, max_size=8))
    def test_each(self, cases: list[tuple[bool, bool, bool]]) -> None:
        """Together they become what each of them becomes alone: late, refused or deleted by somebody."""
        outcomes = []
        for together in (True, False):
            self.setUp()
            self.hold(len(cases))
            for number, (late, refused, deleted) in enumerate(cases):
                (spec,) = self.all[number].specs
                if deleted:
                    self.kernel.deleteAddress(spec.address)
                if refused:
                    self.kernel.refuse[spec.address] = errno.EPERM
                if late:
                    self.ends[number] = self.clock.seconds()
            if together:
                self.successResultOf(self.renewAll())
            else:
                for each in self.all:
                    self.successResultOf(each.renew(2))
            outcomes.append((self.lasting(), dict(self.losses)))
        self.assertEqual(*outcomes)
