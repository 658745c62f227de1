"""Tests for C{intake} and C{peers} of L{hatwist.protocols.vrrp}: what counts, and what the log is told of it."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hatwist.core.effects import Event
from hatwist.core.errors import EXPECTED, REASONS, BadPacket
from hatwist.core.packet import Packet
from hatwist.core.reports import Gone
from hatwist.protocols.vrrp.machine import VrrpMachine
from hatwist.protocols.vrrp.packet import Checksum
from hatwist.protocols.vrrp.peers import MOST, REMIND
from hatwist.protocols.vrrp.rules import RouterRules, VrrpRules
from tests.vrrp import VIP, VIP6, advert, rules

OTHER = ip_address("10.99.0.2")


class Scene(SynchronousTestCase):
    """One node, and what others say to it."""

    def node(self, *routers: RouterRules, **more: Any) -> VrrpMachine:
        """This node, host 1."""
        self.machine = VrrpMachine(VrrpRules("c", "n", routers or (rules(1, **more),)), 100.0)
        return self.machine

    def assertCounts(self, packet: Packet, now: float = 100.0) -> None:
        """It is taken in."""
        self.assertEqual(self.machine.receive(packet, now).sender, str(packet.source))

    def assertDropped(self, reason: str, packet: Packet, now: float = 100.0) -> None:
        """It is dropped for this reason, and puts off no timer."""
        before = [router.watch.downAt for router in self.machine.routers.values()]
        with self.assertRaises(BadPacket) as caught:
            self.machine.receive(packet, now)
        self.assertEqual(caught.exception.reason, reason, str(caught.exception))
        self.assertIn(reason, REASONS)
        after = [router.watch.downAt for router in self.machine.routers.values()]
        self.assertEqual(before, after)

    def events(self, now: float = 100.0) -> list[str]:
        """What the log is told."""
        return [
            f"{event.group} {event.kind} {event.peer}: {event.reason}"
            for event in self.machine.decide(now)
            if isinstance(event, Event)
        ]


class ReceivingTests(Scene):
    """Each rule: what passes it, and what does not. Those of the message itself are in test_packet."""

    def test_hops(self) -> None:
        """By multicast the TTL or hop limit is 255: whatever was forwarded is dropped, and what is not known."""
        self.node()
        self.assertCounts(advert(rules(2), hops=255))
        for hops in (254, 1, 0, None):
            self.assertDropped("hops", advert(rules(2), hops=hops))
        self.node(addresses=VIP6)
        six = rules(2, addresses=VIP6)
        self.assertCounts(advert(six))
        self.assertDropped("hops", advert(six, hops=254))

    def test_hopsOfPeers(self) -> None:
        """Peers beyond a router are told with how many hops at least."""
        near = rules(2, peers=(ip_address("10.99.0.1"),))
        self.node(peers=(OTHER,))
        self.assertCounts(advert(near))
        self.assertDropped("hops", advert(near, hops=254))
        self.node(peers=(OTHER,), hops=254)
        self.assertCounts(advert(near, hops=254))
        self.assertDropped("hops", advert(near, hops=253))

    def test_vrid(self) -> None:
        """A router that is known on this link, and no other; that is nothing for the log."""
        self.node()
        self.assertCounts(advert(rules(2)))
        self.assertDropped("vrid", advert(rules(2, vrid=52)))
        self.assertDropped("vrid", advert(rules(2), link="eth1"))
        self.assertIn("vrid", EXPECTED)

    def test_family(self) -> None:
        """The same VRID by the other version of IP is another router, on a link that hands in both."""
        self.node()
        self.assertDropped("vrid", advert(rules(2, addresses=VIP6)))
        self.node(rules(1), rules(1, name="six", addresses=VIP6, link="eth0/6"))
        self.assertCounts(advert(rules(2, addresses=VIP6, link="eth0/6")))

    def test_version(self) -> None:
        """Version 3 and version 2 do not understand each other, and both are named."""
        self.node()
        self.assertCounts(advert(rules(2)))
        self.assertDropped("version", advert(rules(2, version=2, interval=1.0)))
        self.assertEqual(
            self.events()[-1],
            "g configuration-differs 10.99.0.2: speaks version 2 of VRRP, and this node version 3",
        )
        self.node(version=2, interval=1.0)
        self.assertCounts(advert(rules(2, version=2, interval=1.0)))
        self.assertDropped("version", advert(rules(2)))

    def test_authentication(self) -> None:
        """In version 2 the password is the same, or there is none on both sides; it is never told."""
        two: dict[str, Any] = {"version": 2, "interval": 1.0}
        for mine, theirs, good in (
            (b"", b"", True),
            (b"secret12", b"secret12", True),
            (b"short", b"short\0\0\0", True),
            (b"secret12", b"secret21", False),
            (b"secret12", b"", False),
            (b"", b"secret12", False),
        ):
            self.node(**two, password=mine)
            packet = advert(rules(2, **two, password=theirs))
            if good:
                self.assertCounts(packet)
                self.assertEqual(self.events(), [])
            else:
                self.assertDropped("authentication", packet)
                (event,) = self.events()
                self.assertIn("password", event)
                self.assertNotIn("secret", event)

    def test_interval2(self) -> None:
        """In version 2 the interval is the same; another one is dropped, and named."""
        self.node(version=2, interval=1.0)
        self.assertCounts(advert(rules(2, version=2, interval=1.0)))
        self.assertDropped("interval", advert(rules(2, version=2, interval=2.0)))
        self.assertEqual(
            self.events(),
            ["g configuration-differs 10.99.0.2: advertises every 2 s, and this node every 1 s"],
        )

    def test_interval3(self) -> None:
        """In version 3 another interval counts, and is named; the same one is not."""
        self.node()
        self.assertCounts(advert(rules(2)))
        self.assertEqual(self.events(), [])
        self.assertCounts(advert(rules(2, interval=0.2)))
        self.assertEqual(
            self.events(),
            [
                "g configuration-differs 10.99.0.2: advertises every 0.2 s, and this node every 0.1 s"
            ],
        )

    def test_addresses(self) -> None:
        """Another list of addresses counts, and is named; another order is no other list."""
        more = (VIP, ip_address("10.99.0.101"))
        words = (
            "g configuration-differs 10.99.0.2: has other addresses: it has also 10.99.0.102; "
            "it lacks 10.99.0.101"
        )
        for version, interval in ((2, 1.0), (3, 0.1)):
            self.node(addresses=more, version=version, interval=interval)
            other = rules(2, version=version, interval=interval, addresses=more[::-1])
            self.assertCounts(advert(other))
            self.assertEqual(self.events(), [])
            self.assertCounts(advert(other._replace(addresses=(VIP, ip_address("10.99.0.102")))))
            self.assertEqual(
                self.events(),
                [words],
            )

    def test_manyAddresses(self) -> None:
        """Of very many that differ some are named."""
        self.node()
        many = tuple(ip_address("10.99.1.0") + number for number in range(200))
        self.assertCounts(advert(rules(2, addresses=(VIP, *many))))
        self.assertEqual(
            self.events()[0].partition("addresses: ")[2],
            "it has also 10.99.1.0, 10.99.1.1, 10.99.1.10, 10.99.1.100, 196 more",
        )

    def test_way(self) -> None:
        """Unicast that comes where multicast is spoken counts, and is named: its sender hears no multicast."""
        self.node()
        self.assertCounts(advert(rules(2)))
        self.assertEqual(self.events(), [])
        self.assertCounts(advert(rules(2, peers=(ip_address("10.99.0.1"),))))
        self.assertIn("sends by unicast, and this node by multicast", self.events()[0])

    def test_foreignSource(self) -> None:
        """By unicast only peers count."""
        self.node(peers=(OTHER,))
        mine = (ip_address("10.99.0.1"),)
        self.assertCounts(advert(rules(2, peers=mine)))
        self.assertDropped("foreign-source", advert(rules(3, peers=mine)))

    def test_reflected(self) -> None:
        """One's own packet that comes back is no other router's; another host's with the same words is."""
        self.node()
        self.assertDropped("reflected", advert(rules(1)))
        self.assertIn("reflected", EXPECTED)
        self.assertCounts(advert(rules(2)))

    def test_noSource(self) -> None:
        """Without a source there is nobody to compare with."""
        self.node()
        self.assertDropped("malformed", advert(rules(2), source=None))

    def test_checksumOfPeers(self) -> None:
        """Which checksum each peer uses is counted; those of version 2 and of IPv6 are no choice."""
        self.node()
        for checksum in (Checksum.MESSAGE, Checksum.MESSAGE, Checksum.PSEUDO_HEADER):
            self.assertCounts(advert(rules(2, checksum=checksum)))
        known = self.machine.intake.peers.known[OTHER]
        self.assertEqual(known.checksums, {Checksum.MESSAGE: 2, Checksum.PSEUDO_HEADER: 1})
        self.node(addresses=VIP6)
        self.assertCounts(advert(rules(2, addresses=VIP6)))
        (six,) = self.machine.intake.peers.known.values()
        self.assertEqual((six.received, six.checksums), (1, {}))


class TellingTests(Scene):
    """How often the log is told."""

    def test_once(self) -> None:
        """The same difference is told once in a minute, another one at once, and none that is over."""
        self.node()
        wrong, worse = advert(rules(2, interval=0.2)), advert(rules(2, interval=0.3))
        told = []
        for now, packet in (
            (100.0, wrong),
            (100.2, wrong),
            (100.4, worse),
            (100.6, worse),
            (100.5 + REMIND, worse),
            (100.7 + REMIND, advert(rules(2))),
            (102.0 + 2 * REMIND, advert(rules(2))),
        ):
            self.assertCounts(packet, now)
            told += [now] * len(self.events(now))
        self.assertEqual(told, [100.0, 100.4, 100.5 + REMIND])

    def test_flood(self) -> None:
        """Of very many peers not all are remembered, and all of them count."""
        self.node()
        for number in range(2 * MOST):
            packet = advert(rules(2, source=ip_address("10.98.0.0") + number, interval=0.2))
            self.assertCounts(packet)
        self.assertEqual(len(self.machine.intake.peers.known), MOST)
        self.assertEqual(len(self.events()), MOST)


class ReloadTests(Scene):
    """What was known by heart is not believed after a reload."""

    def test_reload(self) -> None:
        """The same packet counts, then counts and is named, then is dropped."""
        self.node()
        packet = advert(rules(2))
        for _ in range(2):
            self.assertCounts(packet)
        more = rules(1, addresses=(VIP, ip_address("10.99.0.101")))
        for routers, reason in (
            ((more,), ""),
            ((rules(1)._replace(peers=(ip_address("10.99.0.7"),)),), "foreign-source"),
        ):
            self.machine.change(VrrpRules("c", "n", routers), 100.0, {})
            self.events()
            if reason:
                self.assertDropped(reason, packet)
            else:
                self.assertCounts(packet)
                self.assertIn("it lacks 10.99.0.101", self.events()[0])

    def test_gone(self) -> None:
        """What a group that went was told is for nobody."""
        self.node()
        packet = advert(rules(2))
        self.assertCounts(packet)
        self.machine.tell(Gone("g"), 100.0)
        self.machine.change(VrrpRules("c", "n"), 100.0, {})
        self.machine.decide(100.0)
        self.machine.tell(Gone("g"), 100.0)
        self.machine.decide(100.0)
        self.assertEqual(list(self.machine.groups), [])
        self.assertDropped("vrid", packet)


class JunkTests(Scene):
    """Whatever comes raises nothing but BadPacket."""

    @given(
        st.binary(max_size=80),
        st.none() | st.ip_addresses(),
        st.none() | st.integers(0, 255),
        st.sampled_from(["eth0", "eth1"]),
    )
    def test_junk(self, data: bytes, source: Any, hops: int | None, link: str) -> None:
        """Any bytes from anybody."""
        machine = self.node()
        try:
            machine.receive(Packet(data, link, source, hops, None), 100.0)
        except BadPacket as e:
            self.assertIn(e.reason, REASONS)
        else:
            self.assertEqual(data[1], 51)
            self.assertEqual((hops, link), (255, "eth0"))

    @given(
        st.integers(1, 255),
        st.integers(0, 255),
        st.sampled_from([0.01, 0.1, 40.95]),
        st.floats(0, 10),
        st.booleans(),
    )
    def test_anyAdvertisement(
        self, vrid: int, priority: int, interval: float, later: float, holds: bool
    ) -> None:
        """Any advertisement, at any time, leaves a machine that has a next deadline, not in the past."""
        machine = self.node(owner=holds)
        now = 100.0
        machine.decide(now)
        other = rules(2, vrid=vrid, interval=interval)
        try:
            machine.receive(advert(other, priority), now + later)
        except BadPacket as e:
            self.assertEqual((e.reason, vrid == 51), ("vrid", False))
        machine.decide(now + later)
        self.assertGreaterEqual(machine.deadline, now + later)
