"""Tests for L{hatwist.service.senses}: what a node in memory does with what it perceives."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address
from typing import Any
from unittest import mock

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from hatwist.core.claims import Role
from hatwist.core.reports import NotHeld
from hatwist.core.worth import Fitness
from hatwist.linux.lan.memory import MemoryAsker, MemoryNeighbours
from hatwist.linux.netlink.memory import MemoryKernel
from hatwist.linux.netlink.messages import IFF_RUNNING, IFF_UP
from hatwist.protocols.native.auth import Keyring
from hatwist.protocols.native.machine import NativeMachine
from hatwist.protocols.native.rules import GroupRules, NodeRules
from hatwist.resources.addresses.spec import AddressSpec
from hatwist.resources.memory import MemoryResource
from hatwist.runtime.driver import Custody
from hatwist.runtime.fence import Fence
from hatwist.runtime.keeper import Keeper
from hatwist.runtime.node import Node
from hatwist.runtime.speaker import Speaker
from hatwist.service.heldcarriers import GRACE, PAUSE
from hatwist.service.senses import Senses
from tests.unit.runtime.test_node import Cable, MemoryLink

MAC, OTHER = bytes.fromhex("02000000000a"), bytes.fromhex("02000000000b")
SHARED, SECOND = IPv4Address("10.0.0.100"), IPv6Address("fd00::100")
SPECS = (
    AddressSpec.parse(f"{SHARED}/24"),
    AddressSpec.parse("10.0.0.101/24"),
    AddressSpec.parse(f"{SECOND}/64@eth1"),
)


class SensesTestCase(SynchronousTestCase):
    """A lone node, whose tolerance is 0.35 s."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.kernel = MemoryKernel()
        self.eth0 = self.kernel.addLink("eth0", MAC)
        self.lan = MemoryNeighbours()
        self.askers: list[MemoryAsker] = []
        self.broken = False

    def senses(self, *specs: AddressSpec, managed: Any = ()) -> Senses:
        def openAsker(interface: str) -> MemoryAsker:
            self.askers.append(self.lan.asker(MAC, interface))
            self.askers[-1].broken = self.broken
            return self.askers[-1]

        return Senses(
            *(self.clock, self.kernel, "default", "eth0", specs),
            managed=managed,
            openAsker=openAsker,
        )

    def start(self, senses: Senses) -> Node:
        rules = NodeRules("c", "alpha", 0.1, 0.35, (GroupRules("default", asks=True),))
        machine = NativeMachine(rules, Keyring(()), 1, self.clock.seconds())
        self.resource = MemoryResource(self.clock, "web")
        keeper = Keeper(self.clock, "default", [self.resource], 0.1)
        links: Any = [MemoryLink(Cable())]
        node = Node(
            self.clock,
            [Speaker(machine, links)],
            {"default": Custody(keeper, Fence("default"))},
            ask=lambda group: senses.ask(),
        )
        node.start()
        self.addCleanup(node.abort)
        senses.start(node)
        self.addCleanup(senses.stop)
        return node

    def pass_(self, seconds: float) -> None:
        self.clock.pump([0.01] * round(seconds * 100))


class CarrierTests(SensesTestCase):
    """Who has no carrier cannot serve."""

    def pull(self) -> None:
        self.kernel.changeLink(self.eth0, flags=IFF_UP)

    def test_lost(self) -> None:
        """A holder whose cable is pulled lets go at once, and claims again when it is back."""
        node = self.start(self.senses())
        self.pass_(0.5)
        self.assertEqual(node.roles["default"], Role.ACTIVE)
        self.pull()
        self.pass_(0.01)
        self.assertFalse(self.resource.held)
        election = node.machine.elections["default"]
        self.assertEqual(election.me.verdicts.reason, "no carrier on eth0")
        self.pass_(1.0)
        self.assertEqual(node.roles["default"], Role.STANDBY)
        self.kernel.changeLink(self.eth0, flags=IFF_UP | IFF_RUNNING)
        self.assertEqual(election.me.verdicts.reason, "")
        self.pass_(1.0)
        self.assertTrue(self.resource.held)

    def test_never(self) -> None:
        """Who has had no carrier since its start makes no claim."""
        self.pull()
        node = self.start(self.senses())
        self.pass_(2.0)
        self.assertEqual(node.roles["default"], Role.STANDBY)

    def test_several(self) -> None:
        """Every interface of a shared address counts, and each without a carrier is named."""
        self.pull()
        node = self.start(self.senses(*SPECS))
        self.assertEqual(
            node.machine.elections["default"].me.verdicts.reason, "no carrier on eth0, eth1"
        )

    def test_startedAgain(self) -> None:
        """A node that is started again learns anew what its predecessor knew."""
        self.pull()
        senses = self.senses()
        self.start(senses).abort()
        senses.stop()
        node = self.start(senses)
        self.pass_(2.0)
        self.assertEqual(node.roles["default"], Role.STANDBY)
        self.kernel.changeLink(self.eth0, flags=IFF_UP | IFF_RUNNING)
        self.pass_(1.0)
        self.assertEqual(node.roles["default"], Role.ACTIVE)

    def test_stopped(self) -> None:
        """After a stop nothing is told, and nobody listens any more."""
        senses = self.senses(*SPECS[:2])
        node = self.start(senses)
        senses.stop()
        self.pull()
        self.assertEqual(node.machine.elections["default"].me.verdicts.reason, "")
        self.assertEqual(self.lan.askers, [])

    def test_others(self) -> None:
        """Once the addresses are elsewhere, the carrier where they were is nobody's concern."""
        self.kernel.addLink("eth1", OTHER)
        self.pull()
        senses = self.senses(*SPECS[:2])
        verdicts = self.start(senses).machine.elections["default"].me.verdicts
        self.assertEqual(verdicts.reason, "no carrier on eth0")
        senses.change(SPECS[2:], set())
        self.assertEqual(verdicts.reason, "")
        self.assertEqual([asker.interface for asker in self.lan.askers], ["eth1"])

    def test_othersManaged(self) -> None:
        """The same where they are on an interface now of which nothing can be said."""
        self.pull()
        senses = self.senses(*SPECS[:2])
        verdicts = self.start(senses).machine.elections["default"].me.verdicts
        senses.change(SPECS[2:], {"eth1"})
        self.assertEqual(verdicts.reason, "")


class ManagedTests(SensesTestCase):
    """An interface that is up on the holder only says nothing about who should hold."""

    def setUp(self) -> None:
        super().setUp()
        self.kernel.addLink("eth1", OTHER, up=False)

    def test_down(self) -> None:
        """A host whose shared interface is down at boot claims all the same."""
        node = self.start(self.senses(SPECS[2], managed={"eth1"}))
        self.pass_(0.5)
        self.assertEqual(node.roles["default"], Role.ACTIVE)

    def test_othersCount(self) -> None:
        """Its other interfaces are judged as ever."""
        self.kernel.changeLink(self.eth0, flags=IFF_UP)
        node = self.start(self.senses(*SPECS, managed={"eth1"}))
        self.assertEqual(node.machine.elections["default"].me.verdicts.reason, "no carrier on eth0")

    def test_notAsked(self) -> None:
        """Nobody is asked where no frame could leave; a claim of others is heard all the same."""
        senses = self.senses(*SPECS, managed={"eth1"})
        self.start(senses)
        senses.ask()
        self.assertEqual(self.lan.asked, [SHARED])
        self.assertEqual(len(self.lan.askers), 2)


class HeldTests(SensesTestCase):
    """The carrier of an interface that is up on the holder only counts while it is held."""

    def setUp(self) -> None:
        super().setUp()
        self.eth1 = self.kernel.addLink("eth1", OTHER)
        self.perceived = self.senses(SPECS[2], managed={"eth1"})
        self.node = self.start(self.perceived)
        self.election = self.node.machine.elections["default"]

    def flags(self, flags: int) -> None:
        self.kernel.changeLink(self.eth1, flags=flags)

    def hold(self) -> None:
        self.pass_(0.5)
        self.assertTrue(self.resource.held)

    def again(self) -> None:
        """Let go, and hold again."""
        self.node.machine.tell(NotHeld("default", "for this test"), self.clock.seconds())
        self.pass_(0.1)
        self.assertFalse(self.resource.held)
        self.pass_(1.0)
        self.assertTrue(self.resource.held)

    def fits(self, fit: bool) -> None:
        told = (Fitness.FIT, "")
        if not fit:
            told = (Fitness.DEGRADED, "eth1 had no carrier while it was held here")
        self.assertEqual(
            (self.election.me.verdicts.fitness, self.election.me.verdicts.reason), told
        )

    def test_pulled(self) -> None:
        """A holder whose cable is pulled is less fit at once, so that others get it; alone it goes on."""
        self.hold()
        self.flags(IFF_UP)
        self.fits(False)
        self.pass_(10.0)
        self.assertTrue(self.resource.held)
        self.flags(IFF_UP | IFF_RUNNING)
        self.fits(True)

    def test_notHeld(self) -> None:
        """Before and after, it says nothing."""
        self.flags(IFF_UP)
        self.flags(IFF_UP | IFF_RUNNING)
        self.fits(True)
        self.hold()
        self.node.machine.tell(NotHeld("default", "for this test"), self.clock.seconds())
        self.pass_(0.1)
        self.flags(IFF_UP)
        self.fits(True)

    def test_setDown(self) -> None:
        """One that somebody set down, and that is set up again, has a while to get its carrier."""
        self.hold()
        self.flags(0)
        self.flags(IFF_UP)
        self.pass_(GRACE - 0.1)
        self.fits(True)
        self.pass_(0.2)
        self.fits(False)

    def test_never(self) -> None:
        """One that never had a carrier is not judged."""
        self.flags(IFF_UP)
        self.hold()
        self.pass_(2 * GRACE)
        self.fits(True)

    def test_triedAgain(self) -> None:
        """Some time later it is tried again, and if it has no carrier then, after twice that time."""
        self.hold()
        self.flags(IFF_UP)
        pause = PAUSE
        for _ in range(3):
            self.fits(False)
            self.pass_(pause - 3.0)
            self.fits(False)
            self.pass_(3.1)
            self.fits(True)
            self.again()
            self.fits(True)
            self.pass_(GRACE)
            pause *= 2
        self.fits(False)
        self.flags(IFF_UP | IFF_RUNNING)
        self.fits(True)

    def test_gone(self) -> None:
        """One that is taken away altogether is for its resource to judge."""
        self.hold()
        self.kernel.removeLink(self.eth1)
        self.pass_(2 * GRACE)
        self.fits(True)

    def test_otherAddresses(self) -> None:
        """What was found out stays known where only the addresses are others."""
        self.hold()
        self.flags(IFF_UP)
        self.perceived.change((), {"eth1"})
        self.fits(False)
        self.flags(IFF_UP | IFF_RUNNING)
        self.fits(True)
        self.flags(IFF_UP)
        self.fits(False)

    def test_otherInterfaces(self) -> None:
        """One that is no longer managed says nothing; one that comes while it is held is judged."""
        self.hold()
        self.flags(IFF_UP)
        self.perceived.change(SPECS[2:], set())
        self.assertEqual(self.election.me.verdicts.reason, "no carrier on eth1")
        self.flags(IFF_UP | IFF_RUNNING)
        self.fits(True)
        self.perceived.change(SPECS[2:], {"eth1"})
        self.flags(IFF_UP)
        self.fits(False)

    def test_stopped(self) -> None:
        """After a stop no timer is left of it."""
        self.hold()
        self.flags(IFF_UP)
        stop = self.node.stop()
        self.pass_(1.0)
        self.successResultOf(stop)


class AskingTests(SensesTestCase):
    """The LAN knows better than silence."""

    def setUp(self) -> None:
        super().setUp()
        self.kernel.addLink("eth1", OTHER)

    def test_oneForAll(self) -> None:
        """On each interface one address is asked for: they are held together."""
        senses = self.senses(*SPECS)
        self.start(senses)
        senses.ask()
        self.assertEqual(self.lan.asked, [SHARED, SECOND])

    def test_served(self) -> None:
        """While another host answers for the address, no claim is made; when it leaves, it is."""
        self.lan.use(SHARED, OTHER)
        node = self.start(self.senses(*SPECS[:2]))
        self.pass_(2.0)
        self.assertEqual(node.roles["default"], Role.STANDBY)
        self.assertEqual(node.counters["still-served"], 1)
        self.assertEqual(node.machine.elections["default"].evidence.answeredBy, "02:00:00:00:00:0b")
        self.lan.leave(SHARED, OTHER)
        self.pass_(0.5)
        self.assertEqual(node.roles["default"], Role.ACTIVE)

    def test_notPermitted(self) -> None:
        """Where the sockets cannot be had the log says so, and the node goes on without."""
        senses = self.senses(*SPECS)
        log = mock.Mock()
        self.patch(senses, "_log", log)
        self.broken = True
        self.start(senses)
        self.assertEqual(log.error.call_count, 1)
        self.pass_(0.5)
        self.assertTrue(self.resource.held)


class SeizedTests(SensesTestCase):
    """Somebody announces an address that is held here."""

    def setUp(self) -> None:
        super().setUp()
        self.node = self.start(senses := self.senses(*SPECS[:2]))
        self.log = mock.Mock()
        self.patch(senses, "_log", self.log)
        self.announced = 0
        self.patch(self.node.keepers["default"], "announce", self.announce)

    def announce(self) -> None:
        self.announced += 1

    def test_conflict(self) -> None:
        """It is answered, though not more than every ten seconds, and logged once for each host."""
        self.pass_(0.5)
        for _ in range(3):
            self.lan.announce(SHARED, OTHER)
        self.assertEqual(self.announced, 1)
        self.pass_(10.1)
        self.lan.announce(SHARED, OTHER)
        self.assertEqual(self.announced, 2)
        ((text,), fields), *more = self.log.warn.call_args_list
        self.assertEqual(more, [])
        self.assertEqual(
            text.format(**fields),
            "conflict in default: 02:00:00:00:00:0b announces 10.0.0.100, which is held here",
        )
        self.lan.announce(SHARED, OTHER[::-1])
        self.assertEqual(self.log.warn.call_count, 2)

    def test_many(self) -> None:
        """Of ever other MACs that announce it, a line a second is enough."""
        self.pass_(0.5)
        for number in range(5000):
            self.lan.announce(SHARED, number.to_bytes(6, "big"))
            self.clock.advance(0.001)
        self.assertEqual(self.log.warn.call_count, 5)

    def test_standby(self) -> None:
        """For a standby it is nothing of note: somebody else is to hold it."""
        self.lan.announce(SHARED, OTHER)
        self.assertEqual(self.announced, 0)
        self.log.warn.assert_not_called()

    def test_again(self) -> None:
        """One that comes back in a later claim is logged again."""
        self.pass_(0.5)
        self.lan.announce(SHARED, OTHER)
        self.kernel.changeLink(self.eth0, flags=IFF_UP)
        self.pass_(0.01)
        self.lan.announce(SHARED, OTHER)
        self.assertEqual(self.announced, 1)
        self.kernel.changeLink(self.eth0, flags=IFF_UP | IFF_RUNNING)
        self.pass_(1.0)
        self.lan.announce(SHARED, OTHER)
        self.assertEqual(self.log.warn.call_count, 2)

    def test_copy(self) -> None:
        """A host that has one too, and says nothing, is found within a minute, each of them in its turn."""
        self.pass_(0.5)
        self.lan.asked.clear()
        self.lan.use(SPECS[1].address, OTHER)
        self.clock.pump([0.1] * 600)
        self.assertEqual(self.lan.asked, [SHARED, SPECS[1].address])
        ((text,), fields), *more = self.log.warn.call_args_list
        self.assertEqual(more, [])
        self.assertEqual(
            text.format(**fields),
            "conflict in default: 02:00:00:00:00:0b answers for 10.0.0.101, which is held here",
        )
        self.assertEqual(self.announced, 1)
        self.assertEqual(self.node.roles["default"], Role.ACTIVE)
