"""What is decided is done to the resources of groups."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from hatwist.linux.netlink.memory import MemoryKernel
from hatwist.resources.addresses.batch import Addresses
from hatwist.resources.interfaces import ILeased
from hatwist.resources.memory import MemoryResource
from hatwist.runtime.keeper import Keeper
from hatwist.runtime.performer import Performer
from tests.contracts_addresses import specsOf


@implementer(ILeased)
class Leased(MemoryResource):
    """A resource in memory with a lease."""

    def renew(self, seconds: int) -> Deferred[None]:
        self._note(f"renew {seconds}")
        return succeed(None)


class KeepTests(SynchronousTestCase):
    """Groups that hold an address and something else with a lease each."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.kernel = MemoryKernel(self.clock)
        self.kernel.addLink("eth0", bytes.fromhex("02000000000a"))
        self.story: list[str] = []
        self.keepers = {f"g{number}": self.keeper(number) for number in range(3)}
        persister: Any = SimpleNamespace(persist=None)
        self.performer = Performer(
            self.clock, self.keepers, persister, lambda group: None, lambda report: None
        )

    def keeper(self, number: int) -> Keeper:
        addresses = Addresses(
            self.clock,
            self.kernel,
            specsOf((f"10.9.0.{number + 1}/24@eth0",)),
            self.kernel.openSender,
            3,
        )
        other = Leased(self.clock, f"other{number}", 0.0, self.story)
        return Keeper(self.clock, f"g{number}", [addresses, other])

    def hold(self, *groups: str) -> None:
        for group in groups:
            self.keepers[group].hold()
        self.clock.advance(0)
        self.story.clear()
        self.kernel.requests = 0

    def test_together(self) -> None:
        """The addresses of all groups are renewed by one request, each for its time; other resources by their own."""
        self.hold("g0", "g1", "g2")
        self.performer.keep({"g0": 1, "g2": 2})
        self.assertEqual(self.kernel.requests, 1)
        self.assertEqual(sorted(e.valid for e in self.kernel.addresses), [1, 2, 3])
        self.assertEqual(self.story, ["other0: renew 1", "other2: renew 2"])

    def test_notHeld(self) -> None:
        """What is not held is not renewed."""
        self.hold("g0")
        self.performer.keep({"g0": 2, "g1": 2})
        self.assertEqual([e.valid for e in self.kernel.addresses], [2])
        self.assertEqual(self.story, ["other0: renew 2"])
