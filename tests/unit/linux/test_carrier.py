"""The carrier watcher on a kernel in memory."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from hatwist.linux.netlink.carrier import CarrierWatch
from hatwist.linux.netlink.memory import MemoryKernel
from hatwist.linux.netlink.messages import IFF_RUNNING, IFF_UP, EventsLost

MAC = bytes.fromhex("02000000000a")


class CarrierTests(SynchronousTestCase):
    """What is told, in order."""

    def setUp(self) -> None:
        self.kernel = MemoryKernel()
        self.eth0 = self.kernel.addLink("eth0", MAC)
        self.told: list[str] = []
        self.carrier = CarrierWatch(
            self.kernel,
            ["eth0", "eth1"],
            lambda name: self.told.append(f"{name} up"),
            lambda name: self.told.append(f"{name} down"),
        )

    def start(self) -> None:
        self.successResultOf(self.carrier.start())
        self.assertEqual(self.told, ["eth0 up", "eth1 down"])
        self.told.clear()

    def test_start(self) -> None:
        """The state of every interface is told once; a missing one has no carrier."""
        self.assertEqual(self.carrier.running, {"eth0": None, "eth1": None})
        self.start()
        self.assertEqual(self.carrier.running, {"eth0": True, "eth1": False})

    def test_cable(self) -> None:
        """A pulled cable is told, and one put back; other changes are not."""
        self.start()
        self.kernel.changeLink(self.eth0, flags=IFF_UP)
        self.kernel.changeLink(self.eth0, promotes=True)
        self.kernel.changeLink(self.eth0, flags=IFF_UP | IFF_RUNNING)
        self.assertEqual(self.told, ["eth0 down", "eth0 up"])

    def test_setDown(self) -> None:
        """An interface that is set down has no carrier, whatever else it says."""
        self.start()
        self.kernel.changeLink(self.eth0, flags=IFF_RUNNING)
        self.assertEqual(self.told, ["eth0 down"])

    def test_replaced(self) -> None:
        """An interface that goes has no carrier; another of the same name has its own."""
        self.start()
        self.kernel.removeLink(self.eth0)
        self.kernel.addLink("eth0", MAC)
        self.assertEqual(self.told, ["eth0 down", "eth0 up"])

    def test_renamed(self) -> None:
        """A renamed interface counts under its new name."""
        self.start()
        self.kernel.changeLink(self.eth0, name="eth1")
        self.assertEqual(self.told, ["eth0 down", "eth1 up"])

    def test_others(self) -> None:
        """Interfaces that nobody asked about are not told."""
        self.start()
        self.kernel.addLink("eth2", MAC)
        self.assertEqual(self.told, [])

    def test_eventsLost(self) -> None:
        """After lost events the interfaces are read again, and the difference is told."""
        self.start()
        self.kernel.links[self.eth0] = self.kernel.links[self.eth0]._replace(flags=IFF_UP)
        self.kernel.loseEvents(EventsLost())
        self.assertEqual(self.told, ["eth0 down"])

    def test_eventOvertakes(self) -> None:
        """An event that comes while the interfaces are being read is the newer word."""
        self.start()
        self.kernel.pause()
        self.kernel.loseEvents(EventsLost())
        stale = self.kernel.links[self.eth0]
        self.kernel.changeLink(self.eth0, flags=IFF_UP)
        self.kernel.links[self.eth0] = stale
        self.kernel.resume()
        self.assertEqual(self.told, ["eth0 down"])

    def test_stopped(self) -> None:
        """After a stop nothing is told, and a start tells what changed meanwhile."""
        self.start()
        self.carrier.stop()
        self.carrier.stop()
        self.kernel.changeLink(self.eth0, flags=IFF_UP)
        self.assertEqual(self.told, [])
        self.successResultOf(self.carrier.start())
        self.assertEqual(self.told, ["eth0 down"])

    def test_unreadable(self) -> None:
        """A kernel that cannot be read leaves the states unknown; events still tell."""
        self.kernel.broken = OSError("broken")
        self.successResultOf(self.carrier.start())
        self.assertEqual(self.told, [])
        self.kernel.changeLink(self.eth0, flags=IFF_UP)
        self.assertEqual(self.told, ["eth0 down"])

    def test_observerFails(self) -> None:
        """An error of who is told is logged, and the others are told all the same."""
        self.carrier = CarrierWatch(
            self.kernel,
            ["eth0", "eth1"],
            lambda name: 1 / 0,  # type: ignore[arg-type]
            lambda name: self.told.append(f"{name} down"),
        )
        self.successResultOf(self.carrier.start())
        self.assertEqual(self.told, ["eth1 down"])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
