"""Shared addresses on a kernel in memory, under a clock that the test turns."""

from __future__ import annotations

import errno
from collections.abc import Callable
from ipaddress import ip_address, ip_interface
from math import inf
from unittest import mock

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from hatwist.core.errors import ResourceError
from hatwist.linux.interfaces import INetlink, ISender
from hatwist.linux.netlink.memory import MemoryKernel, MemorySender
from hatwist.linux.netlink.messages import (
    IFA_PROTO_HATWIST,
    IFF_RUNNING,
    IFF_UP,
    EventsLost,
    KernelAddress,
    KernelRoute,
    decodeAddress,
    decodeLink,
    decodeRoute,
    encodeAdd,
    encodeDelete,
    encodePromote,
    lasting,
    split,
)
from hatwist.protocols import frames
from hatwist.resources.addresses.announcing import Announcer
from hatwist.resources.addresses.batch import Addresses
from hatwist.resources.addresses.spec import AddressSpec
from hatwist.resources.interfaces import IAnnouncer
from tests.contracts import ResourceContract
from tests.contracts_addresses import CONTRACT, Part, specsOf

MAC = bytes.fromhex("02000000000a")
V4, V6 = ip_address("10.9.0.100"), ip_address("fd09::100")


class MemoryWorld:
    """L{tests.contracts_addresses.World} in memory."""

    interface = "eth0"
    other = "eth1"

    def __init__(self) -> None:
        self.reactor = Clock()
        self.netlink = MemoryKernel(self.reactor)
        for name in (self.interface, self.other):
            self.netlink.addLink(name, MAC)
        self.add("10.9.0.1/24", self.interface)
        self.add("fd09::1/64", self.interface)

    def addresses(self, *texts: str) -> Addresses:
        return Addresses(self.reactor, self.netlink, specsOf(texts), self.netlink.openSender)

    def _index(self, name: str) -> int:
        return next(i for i, link in self.netlink.links.items() if link.name == name)

    def index(self) -> int:
        return self._index(self.interface)

    def add(self, text: str, interface: str) -> None:
        parsed = ip_interface(text)
        prefix = parsed.network.prefixlen
        self.netlink.addAddress(KernelAddress(parsed.ip, prefix, self._index(interface)))

    def delete(self, text: str, interface: str) -> None:
        parsed = ip_interface(text)
        for entry in self.netlink.addresses:
            if entry[:3] == (parsed.ip, parsed.network.prefixlen, self._index(interface)):
                self.netlink.deleteEntry(entry)
                return
        raise AssertionError(f"{text} is not there")

    def setUp(self, up: bool) -> None:
        self.netlink.changeLink(self.index(), flags=IFF_UP | IFF_RUNNING if up else 0)

    def present(self) -> set[str]:
        links = self.netlink.links
        return {f"{e.address}/{e.prefix}@{links[e.ifindex].name}" for e in self.netlink.addresses}

    def until(self, condition: Callable[[], bool]) -> Deferred[None]:
        for _ in range(3000):
            self.reactor.advance(0.001)
            if condition():
                return succeed(None)
        raise AssertionError("it did not happen")

    def elapse(self, seconds: float) -> Deferred[None]:
        self.reactor.pump([0.001] * round(seconds * 1000))
        return succeed(None)


class ContractTests(SynchronousTestCase):
    """The double keeps what the kernel keeps."""

    def test_provides(self) -> None:
        """The double and its sender provide the interfaces of the real ones."""
        kernel = MemoryKernel()
        ifindex = kernel.addLink("eth0", MAC)
        verifyObject(INetlink, kernel)
        verifyObject(ISender, kernel.openSender(kernel.links[ifindex]))


def _contract(part: Part) -> Callable[[ContractTests], None]:
    def test(self: ContractTests) -> None:
        self.successResultOf(Deferred.fromCoroutine(part(MemoryWorld())))

    test.__doc__ = part.__doc__
    return test


for _part in CONTRACT:
    setattr(ContractTests, f"test_{_part.__name__}", _contract(_part))


class ResourceTests(ResourceContract, SynchronousTestCase):
    """Addresses are a resource like any other."""

    def makeResource(self) -> Addresses:
        return MemoryWorld().addresses("10.9.0.100/24", "fd09::100/64")


class SpecTests(SynchronousTestCase):
    """What an administrator may write."""

    def test_parse(self) -> None:
        """Address, prefix and interface are read, and written back the same."""
        spec = AddressSpec.parse("192.168.1.100/24@eth0")
        self.assertEqual(spec, AddressSpec(ip_address("192.168.1.100"), 24, "eth0"))
        self.assertEqual(str(spec), "192.168.1.100/24 on eth0")
        self.assertEqual(str(AddressSpec.parse("2001:db8::1/64")), "2001:db8::1/64")
        self.assertEqual(AddressSpec.parse("fe80::100/64@br-lan.7").interface, "br-lan.7")
        for text in ("10.0.0.0/31", "10.0.0.1/32", "fd00::/127", "fd00::1/128"):
            self.assertEqual(str(AddressSpec.parse(text)), text)

    def test_refused(self) -> None:
        """What no host can share is refused in one line that quotes it and says what is allowed."""
        for text, words in (
            ("10.0.0.1", "no prefix"),
            ("10.0.0.1/", "no prefix"),
            ("10.0.0.1/255.255.255.0", "no prefix"),
            ("10.0.0.1/33", "not an address"),
            ("10.0.0.256/24", "not an address"),
            ("host.example/24", "not an address"),
            ("", "no prefix"),
            ("224.0.0.1/24", "multicast"),
            ("ff02::1/64", "multicast"),
            ("127.0.0.1/8", "loopback"),
            ("::1/128", "loopback"),
            ("0.0.0.0/8", "unspecified"),
            ("0.0.0.5/8", "0.0.0.0/8"),
            ("::/64", "unspecified"),
            ("250.1.1.1/8", "reserved"),
            ("10.0.0.0/24", "network"),
            ("2001:db8::/64", "network"),
            ("10.0.0.255/24", "broadcast"),
            ("10.0.0.1/0", "prefix length 0"),
            ("::ffff:10.0.0.1/128", "IPv4"),
            ("fe80::1/64", "link-local"),
            ("fe80::1%eth0/64@eth0", "scope"),
            ("10.0.0.1/24@", "interface name"),
            ("10.0.0.1/24@a/b", "interface name"),
            ("10.0.0.1/24@sixteencharacter", "interface name"),
            ("10.0.0.1/24@eth0:ha", "interface name"),
        ):
            with self.assertRaises(ValueError) as caught:
                AddressSpec.parse(text)
            self.assertIn(words, str(caught.exception), text)
            self.assertIn(repr(text), str(caught.exception))
            self.assertNotIn("\n", str(caught.exception))

    @given(st.text() | st.from_regex(r"[0-9a-f:.%]{1,20}/[0-9]{1,5}@?[a-z]{0,3}", fullmatch=True))
    def test_anything(self, text: str) -> None:
        """Any text is an address or a ValueError."""
        try:
            AddressSpec.parse(text)
        except ValueError as error:
            self.assertIn(repr(text), str(error))


class MessageTests(SynchronousTestCase):
    """The bytes that go to the kernel, so that another pyroute2 cannot change them unseen."""

    def test_golden(self) -> None:
        """Adding, deleting and promoting are these bytes, worked out by hand from the headers."""
        local, peer = "08000200 0a090064", "08000100 0a090064"
        for message, golden in (
            (
                encodeAdd(V4, 24, 3, "eth0:ha"),
                (
                    "44000000 1400 0505 00000000 00000000"  # RTM_NEWADDR; REQUEST ACK REPLACE CREATE
                    f"02 18 00 00 03000000 {local} {peer}"
                    "08000400 0a0900ff 0c000300 657468303a686100 05000b00 48000000"
                ),
            ),
            (
                encodeAdd(V6, 64, 3),
                (
                    "48000000 1400 0505 00000000 00000000"
                    "0a 40 02 00 03000000"  # IFA_F_NODAD
                    "14000200 fd090000000000000000000000000100"
                    "14000100 fd090000000000000000000000000100 05000b00 48000000"
                ),
            ),
            (
                encodeDelete(V4, 24, 3),
                f"28000000 1500 0500 00000000 00000000 02 18 00 00 03000000 {local} {peer}",
            ),
            (
                encodeAdd(V4, 24, 3, validLft=2),
                (
                    "4c000000 1400 0505 00000000 00000000"
                    f"02 18 00 00 03000000 {local} {peer}"
                    "08000400 0a0900ff 05000b00 48000000"
                    # IFA_CACHEINFO: preferred_lft, valid_lft, and two that are the kernel's
                    "14000600 02000000 02000000 00000000 00000000"
                ),
            ),
            (
                encodeAdd(V4, 32, 3, validLft=2),
                (
                    "44000000 1400 0505 00000000 00000000"
                    f"02 20 00 00 03000000 {local} {peer} 05000b00 48000000"
                    "14000600 00000000 02000000 00000000 00000000"
                ),
            ),
            (
                encodeAdd(V6, 128, 3),
                (
                    "5c000000 1400 0505 00000000 00000000"
                    "0a 80 02 00 03000000"
                    "14000200 fd090000000000000000000000000100"
                    "14000100 fd090000000000000000000000000100 05000b00 48000000"
                    "14000600 00000000 ffffffff 00000000 00000000"
                ),
            ),
            (
                encodePromote(3, True),
                (
                    "34000000 1300 0500 00000000 00000000 00 00 0000 03000000 00000000 00000000"
                    "14001a00 10000200 0c000100 08001400 01000000"
                ),
            ),
        ):
            self.assertEqual(message.hex(), golden.replace(" ", ""))

    def test_lasting(self) -> None:
        """Another lease is set in a message without encoding it anew; deprecated stays deprecated."""
        for prefix in (24, 32):
            for before, after in ((2, 7), (0xFFFFFFFF, 2), (2, 0xFFFFFFFF)):
                self.assertEqual(
                    lasting(encodeAdd(V4, prefix, 3, "eth0:ha", validLft=before), after),
                    encodeAdd(V4, prefix, 3, "eth0:ha", validLft=after),
                )

    def test_length(self) -> None:
        """Every message says its own length, and is padded to four bytes: they are sent joined."""
        for name in ("a", "ab", "abc", "abcd"):
            message = encodeAdd(V4, 24, 3, f"{name}:ha")
            self.assertEqual(int.from_bytes(message[:4], "little"), len(message))
            self.assertEqual(len(message) % 4, 0)


class DecodeTests(SynchronousTestCase):
    """What comes from the kernel becomes a frozen value, or nothing."""

    def test_address(self) -> None:
        """An address that we encode is read back with its label and protocol number."""
        (message,) = split(encodeAdd(V4, 24, 3, "eth0:ha"))
        self.assertEqual(
            decodeAddress(message.body),
            KernelAddress(V4, 24, 3, "eth0:ha", IFA_PROTO_HATWIST, flags=0),
        )

    @given(st.binary(max_size=60), st.sampled_from([b"", b"\2", b"\n", b"\2\x18\0\0\xfe\0\0\1"]))
    def test_anyBytes(self, data: bytes, start: bytes) -> None:
        """No bytes at all raise anything, whatever they claim to be."""
        for decode in (decodeAddress, decodeLink, decodeRoute):
            decode(start + data)

    @given(st.binary(max_size=100))
    def test_anyDatagram(self, data: bytes) -> None:
        """The messages of a datagram never hold more bytes than it has."""
        self.assertLessEqual(sum(16 + len(m.body) for m in split(data)), len(data))

    @given(st.integers(0, 59))
    def test_cut(self, length: int) -> None:
        """A message that was cut off yields nothing."""
        self.assertEqual(list(split(encodeAdd(V4, 24, 3, "eth0:ha")[:length])), [])


class HeldTests(SynchronousTestCase):
    """From acquire to release."""

    def setUp(self) -> None:
        self.world = MemoryWorld()
        self.kernel = self.world.netlink
        self.clock = self.world.reactor
        self.losses: list[str] = []
        self.before = self.world.present()

    def make(self, *texts: str) -> Addresses:
        resource = self.world.addresses(*(texts or ("10.9.0.100/24", "fd09::100/64")))
        resource.watch(self.losses.append)
        return resource

    def acquired(self, *texts: str) -> Addresses:
        resource = self.make(*texts)
        self.successResultOf(resource.acquire())
        return resource

    def reasonOf(self, doing: Deferred[None]) -> str:
        return str(self.failureResultOf(doing, ResourceError).value)

    def times(self, seconds: float) -> list[float]:
        """Advance from one delayed call to the next; return when something was announced."""
        found = []
        start = self.clock.seconds()
        while self.clock.seconds() < start + seconds:
            due = [call.getTime() for call in self.clock.getDelayedCalls()]
            until = min([start + seconds, *due])
            count = len(self.kernel.frames)
            self.clock.advance(max(0.0, until - self.clock.seconds()))
            if len(self.kernel.frames) > count:
                found.append(round(self.clock.seconds() - start, 6))
        return found

    def leased(self, lease: int, until: Callable[[], float] = lambda: inf) -> Addresses:
        resource = Addresses(
            self.clock,
            self.kernel,
            specsOf(("10.9.0.100/24",)),
            self.kernel.openSender,
            lease,
            until=until,
        )
        resource.watch(self.losses.append)
        self.successResultOf(resource.acquire())
        return resource

    def test_badLease(self) -> None:
        """A lease of less than a second is a mistake, told at once."""
        for seconds in (0, -1):
            with self.assertRaises(ValueError):
                self.leased(seconds)
            with self.assertRaises(ValueError):
                self.leased(2).renew(seconds)

    def test_renewedInOneBatch(self) -> None:
        """A renewal is one batch, announces nothing, and is no change to anything."""
        resource = self.acquired("10.9.0.100/24", "10.9.0.101/24", "fd09::100/64")
        resource.lease.seconds = 5
        before, frames = self.kernel.requests, len(self.kernel.frames)
        self.successResultOf(resource.renew(3))
        self.clock.advance(0)
        self.assertEqual(self.kernel.requests, before + 1)
        self.assertEqual(len(self.kernel.frames), frames)
        self.assertEqual([e.valid for e in self.kernel.addresses[2:]], [3, 3, 3])

    def test_renewedTooLate(self) -> None:
        """After the lease has ended a renewal renews nothing, though the kernel still has the address."""
        resource = self.leased(2)
        self.clock.advance(2.0)
        before = self.kernel.requests
        self.successResultOf(resource.renew(2))
        self.assertEqual(self.kernel.requests, before)
        self.assertEqual(self.losses, ["its lease ran out"])

    def test_renewedAfterRelease(self) -> None:
        """A renewal that comes after a release adds nothing."""
        resource = self.leased(2)
        self.successResultOf(resource.release())
        self.successResultOf(resource.renew(2))
        self.assertEqual(self.world.present(), self.before)

    def test_renewalWhileReleasing(self) -> None:
        """A renewal under way when a release begins leaves nothing behind."""
        resource = self.leased(2)
        self.kernel.pause()
        renewing, releasing = resource.renew(2), resource.release()
        self.kernel.resume()
        self.successResultOf(renewing)
        self.successResultOf(releasing)
        self.assertEqual(self.world.present(), self.before)
        self.assertEqual(self.losses, [])

    def test_renewalRefused(self) -> None:
        """When the kernel refuses to renew, the address is lost."""
        resource = self.leased(2)
        self.kernel.refuse[V4] = errno.EPERM
        self.successResultOf(resource.renew(2))
        (loss,) = self.losses
        self.assertIn("10.9.0.100/24 was refused by eth0: Operation not permitted", loss)

    def test_renewalUnanswered(self) -> None:
        """When the kernel cannot be asked, the address is lost, and the renewal does not fail."""
        resource = self.leased(2)
        self.kernel.broken = OSError(errno.ENOBUFS, "No buffer space")
        self.successResultOf(resource.renew(2))
        (loss,) = self.losses
        self.assertIn("not renewed", loss)

    def test_deletedByGuard(self) -> None:
        """What the guard deleted is lost, and neither added again nor renewed."""
        for renewing in (False, True):
            until = [1000.0]
            resource = self.leased(5, lambda until=until: until[0])  # type: ignore[misc]
            until[0] = -inf
            self.successResultOf(self.kernel.request(resource.deletions()))
            if renewing:
                self.successResultOf(resource.renew(5))
            self.clock.advance(0)
            self.assertEqual(self.world.present(), self.before)
            self.assertEqual(self.losses, ["its lease ran out"])
            self.losses.clear()

    def test_deletedWhileRenewing(self) -> None:
        """When the guard fires in the moment of a renewal, which adds again, the address is lost."""
        until = [1000.0]
        resource = self.leased(5, lambda: until[0])
        self.kernel.pause()
        renewing = resource.renew(5)
        until[0] = -inf
        self.kernel.resume()
        self.successResultOf(renewing)
        self.assertEqual(self.losses, ["its lease ran out"])
        self.successResultOf(resource.release())
        self.assertEqual(self.world.present(), self.before)

    def test_armedFirst(self) -> None:
        """Nothing is added before the guard has confirmed, and nothing at all when it does not."""
        guard: list[Deferred[None]] = []
        deletions: list[list[bytes]] = []

        def arm() -> Deferred[None]:
            deletions.append(resource.deletions())
            guard.append(Deferred())
            return guard[-1]

        specs = specsOf(("10.9.0.100/24",))
        resource = Addresses(self.clock, self.kernel, specs, self.kernel.openSender, arm=arm)
        acquiring = resource.acquire()
        self.assertEqual(self.world.present(), self.before)
        self.assertIn(encodeDelete(V4, 24, 1), deletions[0])
        guard[0].callback(None)
        self.successResultOf(acquiring)
        self.successResultOf(resource.release())
        acquiring = resource.acquire()
        guard[1].errback(ResourceError("it fired"))
        self.failureResultOf(acquiring, ResourceError)
        self.assertEqual(self.world.present(), self.before)

    def test_announcer(self) -> None:
        """The resource also announces."""
        verifyObject(IAnnouncer, self.make())

    def test_noSpecs(self) -> None:
        """No address at all is a mistake, told at once."""
        with self.assertRaises(ValueError):
            self.world.addresses()

    def test_name(self) -> None:
        """The name has the first address, and how many more there are."""
        self.assertEqual(self.make("10.9.0.100/24@eth0").name, "10.9.0.100/24 on eth0")
        self.assertEqual(self.make().name, "10.9.0.100/24 and 1 more")

    def test_onceHowever(self) -> None:
        """An address given twice is held once."""
        self.acquired("10.9.0.100/24", "10.9.0.100/24")
        self.assertEqual(len(self.world.present() - self.before), 1)

    def test_longName(self) -> None:
        """Where a label has no room there is none, and the address is held all the same."""
        self.kernel.changeLink(1, name="enp0s31f6.4094")
        self.acquired("10.9.0.100/24")
        self.assertEqual(self.kernel.addresses[-1].label, "enp0s31f6.4094")

    def test_announcedAtOnce(self) -> None:
        """Both ARP forms and the advertisement leave in the turn in which the kernel has answered."""
        self.acquired()
        sent = [frame for _, frame in self.kernel.frames]
        arp = frames.announcements(MAC, V4)
        advertisement = frames.announcements(MAC, V6)
        self.assertEqual(sent, [arp[0], advertisement[0], arp[1]])

    def test_router(self) -> None:
        """On an interface that forwards, the advertisement says so."""
        self.kernel.changeLink(1, forwards=True)
        self.acquired("fd09::100/64")
        expected = frames.announcements(MAC, V6, router=True)
        self.assertEqual(self.kernel.frames, [("eth0", expected[0])])

    def test_schedule(self) -> None:
        """Announced at 0, 0.1, 0.5, 2 and 5 s, then every 60 s; never again after the release."""
        resource = self.acquired()
        self.assertEqual(len(self.kernel.frames), 3)
        self.assertEqual(self.times(130), [0.1, 0.5, 2.0, 5.0, 65.0, 125.0])
        self.successResultOf(resource.release())
        self.assertEqual(self.times(130), [])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_busy(self) -> None:
        """While the node is overloaded repeats wait, and the first round does not; those that are overdue are one."""
        sent: list[float] = []
        busy = True
        sender = mock.Mock(send=lambda frame: sent.append(round(self.clock.seconds(), 3)))
        announcer = Announcer(self.clock, lambda: [(sender, b"")], busy=lambda: busy)
        announcer.start()
        self.clock.pump([0.1] * 30)
        self.assertEqual(sent, [0.0])
        busy = False
        self.clock.pump([0.1] * 40)
        self.assertEqual([round(at) for at in sent], [0, 3, 5])
        announcer.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_announceAgain(self) -> None:
        """On demand the schedule begins anew, and only while the address is held."""
        resource = self.make()
        resource.announce()
        self.assertEqual(self.kernel.frames, [])
        self.successResultOf(resource.acquire())
        self.clock.advance(1.0)
        self.kernel.frames.clear()
        resource.announce()
        self.assertEqual(len(self.kernel.frames), 3)
        self.assertEqual(self.times(6), [0.1, 0.5, 2.0, 5.0])

    def test_slices(self) -> None:
        """A thousand addresses are announced in slices; a release in between ends it."""
        resource = self.make(*(f"10.9.{n // 250}.{n % 250 + 2}/16@eth0" for n in range(1000)))
        preparing = resource.prepare()
        self.assertNoResult(preparing)  # encoding is sliced too
        self.clock.advance(0)
        self.successResultOf(preparing)
        self.successResultOf(resource.acquire())
        self.assertEqual(len(self.kernel.frames), 200)
        requests = {frame[20:22] for _, frame in self.kernel.frames}
        self.assertEqual(requests, {b"\0\1"})
        self.successResultOf(resource.release())
        self.clock.pump([0.1] * 10)
        self.assertEqual(len(self.kernel.frames), 200)
        self.assertEqual(self.world.present(), self.before)
        self.successResultOf(resource.acquire())
        self.clock.advance(0)
        self.assertEqual(len(self.kernel.frames), 2200)

    def test_carrier(self) -> None:
        """When the carrier comes back the addresses are announced anew."""
        self.acquired()
        self.clock.advance(5.5)
        self.kernel.changeLink(1, flags=IFF_UP)
        self.kernel.frames.clear()
        self.clock.advance(1)
        self.assertEqual(self.kernel.frames, [])
        self.kernel.changeLink(1, flags=IFF_UP | IFF_RUNNING)
        self.assertEqual(len(self.kernel.frames), 3)

    def test_newMac(self) -> None:
        """A new hardware address is announced at once."""
        self.acquired("10.9.0.100/24")
        self.kernel.frames.clear()
        other = bytes.fromhex("02000000000b")
        self.kernel.changeLink(1, mac=other)
        expected = frames.announcements(other, V4)
        self.assertEqual([frame for _, frame in self.kernel.frames], list(expected))

    def test_unresolved(self) -> None:
        """Where nobody resolves addresses (a tunnel) the address is held, and not announced."""
        self.kernel.changeLink(1, mac=b"")
        resource = self.acquired("10.9.0.100/24")
        self.assertEqual((self.kernel.frames, self.kernel.senders), ([], []))
        self.successResultOf(resource.release())
        self.assertEqual(self.world.present(), self.before)

    def test_noSender(self) -> None:
        """Who may not announce does not hold: it fails before anything is added."""

        def refused(link: object) -> ISender:
            raise OSError(errno.EPERM, "Operation not permitted")

        resource = Addresses(self.clock, self.kernel, specsOf(("10.9.0.100/24",)), refused)
        self.assertIn("CAP_NET_RAW", self.reasonOf(resource.acquire()))
        self.assertEqual(self.world.present(), self.before)

    def test_bug(self) -> None:
        """Not even an exception that nobody thought of leaves an address behind."""

        class Broken(MemorySender):
            def send(self, frame: bytes) -> None:
                raise ZeroDivisionError("a bug")

        specs = specsOf(("10.9.0.100/24",))
        resource = Addresses(self.clock, self.kernel, specs, lambda link: Broken(self.kernel, 1))
        self.failureResultOf(resource.acquire(), ZeroDivisionError)
        self.assertEqual(self.world.present(), self.before)
        self.clock.pump([1] * 10)
        self.assertEqual(self.world.present(), self.before)

    def test_refused(self) -> None:
        """One refused address fails the batch by name, interface and reason, and nothing is left."""
        self.kernel.refuse[V6] = errno.EACCES
        reason = self.reasonOf(self.make().acquire())
        self.assertIn("fd09::100/64 was refused by eth0: Permission denied", reason)
        self.assertEqual(self.world.present(), self.before)
        self.assertEqual(self.kernel.frames, [])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_rollBackFails(self) -> None:
        """A batch that can be neither held nor removed names both failures."""
        self.kernel.refuse[V6] = errno.EACCES
        self.kernel.refuseDelete[V4] = errno.EBUSY
        reason = self.reasonOf(self.make().acquire())
        self.assertIn("fd09::100/64 was refused", reason)
        self.assertIn("10.9.0.100/24 cannot be deleted from eth0: Device or resource busy", reason)

    def test_releaseRefused(self) -> None:
        """A release that the kernel refuses fails, and one later succeeds."""
        resource = self.acquired()
        self.kernel.refuseDelete[V4] = errno.EPERM
        self.assertIn("CAP_NET_ADMIN", self.reasonOf(resource.release()))
        self.kernel.refuseDelete.clear()
        self.successResultOf(resource.release())
        self.assertEqual(self.world.present(), self.before)

    def test_kernelSilent(self) -> None:
        """Without the kernel's answer every operation fails with an error of ours."""
        resource = self.acquired()
        self.kernel.broken = OSError(errno.ESHUTDOWN, "netlink is stopped")
        for operation in (resource.release, resource.acquire, resource.prepare):
            self.assertIn("netlink is stopped", self.reasonOf(operation()))
        self.failureResultOf(resource.verify(), ResourceError)

    def test_prepare(self) -> None:
        """Preparing changes nothing, and fails where there is no place."""
        resource = self.make()
        self.successResultOf(resource.prepare())
        self.assertEqual(self.world.present(), self.before)
        self.assertEqual(self.kernel.requests, 0)
        self.assertIn("none0", self.reasonOf(self.make("10.9.0.9/24@none0").prepare()))

    def test_firstRelease(self) -> None:
        """The release with which a node starts prepares, and succeeds where there is no place."""
        self.successResultOf(self.make("10.9.0.9/24@none0").release())
        self.assertEqual(self.kernel.senders, [])
        resource = self.make()
        self.successResultOf(resource.release())
        self.assertEqual(len(self.kernel.senders), 1)
        self.successResultOf(resource.acquire())
        self.successResultOf(resource.release())
        self.assertEqual(len(self.kernel.senders), 1)
        self.assertEqual(self.world.present(), self.before)

    def test_movedInterface(self) -> None:
        """An interface that was made anew, with another index, is found at the next acquire."""
        resource = self.acquired("10.9.0.100/24@eth1")
        self.kernel.removeLink(2)
        self.assertEqual(self.losses, ["interface eth1 is gone"])
        self.successResultOf(resource.release())
        self.kernel.addLink("tun0", MAC)
        self.kernel.addLink("eth1", MAC)
        self.kernel.links[7] = self.kernel.links.pop(3)._replace(ifindex=7)
        self.kernel.frames.clear()
        self.successResultOf(resource.acquire())
        self.assertIn("10.9.0.100/24@eth1", self.world.present())
        self.assertEqual([name for name, _ in self.kernel.frames], ["eth1", "eth1"])

    def test_mostSpecific(self) -> None:
        """The most specific connected route wins; two as good as each other are refused by name."""
        self.kernel.routes.append(KernelRoute(ip_interface("10.9.0.96/28").network, 2, False))
        self.acquired("10.9.0.100/24")
        self.assertIn("10.9.0.100/24@eth1", self.world.present())
        self.kernel.routes.append(KernelRoute(ip_interface("10.9.0.0/24").network, 2, False))
        reason = self.reasonOf(self.make("10.9.0.7/24").acquire())
        self.assertIn("eth0 and eth1", reason)

    def test_gateway(self) -> None:
        """A route through a gateway, or the default route, says nothing about who is connected."""
        default = ip_interface("0.0.0.0/0").network
        far = ip_interface("172.16.0.0/12").network
        self.kernel.routes += [KernelRoute(default, 1, False), KernelRoute(far, 1, True)]
        self.assertIn("172.16.5.5", self.reasonOf(self.make("172.16.5.5/24").acquire()))

    # Cancelling

    def test_cancelAcquire(self) -> None:
        """A cancelled acquire leaves nothing, and says so only once that is true."""
        self.kernel.pause()
        resource = self.make()
        acquiring = resource.acquire()
        self.kernel.resume()
        self.successResultOf(acquiring)
        self.kernel.pause()
        again = resource.acquire()
        again.cancel()
        again.cancel()
        self.assertNoResult(again)
        self.kernel.resume()
        self.failureResultOf(again, CancelledError)
        self.assertEqual(self.world.present(), self.before)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_cancelRelease(self) -> None:
        """A cancelled release restores nothing, and another one completes it."""
        resource = self.acquired()
        self.kernel.pause()
        releasing = resource.release()
        releasing.cancel()
        self.failureResultOf(releasing, CancelledError)
        self.kernel.resume()
        self.clock.pump([1] * 10)
        self.successResultOf(resource.release())
        self.assertEqual(self.world.present(), self.before)

    # Deleted by somebody else

    def test_announcedAgain(self) -> None:
        """An address that was deleted is announced again once it is back."""
        self.acquired()
        self.clock.advance(5.5)
        self.kernel.frames.clear()
        self.kernel.deleteAddress(V4)
        self.clock.advance(0)
        self.assertEqual(len(self.kernel.frames), 3)
        self.assertEqual(self.times(1), [0.1, 0.5])

    def test_readdRefused(self) -> None:
        """An address that cannot come back is lost, told once with the reason, and not announced."""
        resource = self.acquired()
        self.kernel.refuse[V4] = errno.ENOMEM
        self.kernel.deleteAddress(V4)
        self.clock.advance(0)
        self.assertEqual(self.losses, ["10.9.0.100/24 was refused by eth0: Cannot allocate memory"])
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertFalse(self.successResultOf(resource.verify()))
        self.successResultOf(resource.release())
        self.assertEqual(self.world.present(), self.before)
        self.flushLoggedErrors()

    def test_kernelGone(self) -> None:
        """When the kernel cannot be asked to restore an address, it is lost."""
        self.acquired()
        self.kernel.deleteAddress(V4)
        self.kernel.broken = OSError(errno.ESHUTDOWN, "netlink is stopped")
        self.clock.advance(0)
        self.assertEqual(len(self.losses), 1)
        self.assertIn("netlink is stopped", self.losses[0])

    def test_fight(self) -> None:
        """Another program that deletes it without end wins after 20 times in a second."""
        self.acquired("10.9.0.100/24")
        for _ in range(20):
            self.kernel.deleteAddress(V4)
            self.clock.advance(0.01)
        self.assertEqual(self.losses, [])
        self.kernel.deleteAddress(V4)
        self.clock.advance(0.01)
        self.assertEqual(len(self.losses), 1)
        self.assertIn("keeps deleting", self.losses[0])

    def test_patience(self) -> None:
        """Twice a second for an hour is no fight."""
        self.acquired("10.9.0.100/24")
        for _ in range(7200):
            self.kernel.deleteAddress(V4)
            self.clock.advance(0.5)
        self.assertEqual(self.losses, [])
        self.assertIn("10.9.0.100/24@eth0", self.world.present())

    def test_ownDeletions(self) -> None:
        """The events of our own release, seen late, bring nothing back, not even when held again."""
        resource = self.acquired()
        self.successResultOf(resource.release())
        requests = self.kernel.requests
        self.clock.pump([0.1] * 10)
        self.assertEqual(self.kernel.requests, requests)
        self.assertEqual(self.world.present(), self.before)

    def test_deletedWhileReleasing(self) -> None:
        """A deletion seen just before the release is not undone after it."""
        resource = self.acquired()
        self.kernel.deleteAddress(V4)
        self.successResultOf(resource.release())
        self.clock.pump([0.1] * 10)
        self.assertEqual(self.world.present(), self.before)

    def test_deletedWhileAcquiring(self) -> None:
        """A deletion between adding and the last answer is made good."""
        resource = self.make()
        seen: list[str] = []

        def deleteOnce(events: object) -> None:
            if not seen and "10.9.0.100/24@eth0" in self.world.present():
                seen.append("deleted")
                self.kernel.deleteAddress(V4)

        self.kernel.subscribe(deleteOnce)
        self.successResultOf(resource.acquire())
        self.clock.advance(0)
        self.assertEqual(seen, ["deleted"])
        self.assertIn("10.9.0.100/24@eth0", self.world.present())

    def test_eventsLost(self) -> None:
        """After lost events the kernel is asked, and what is missing is added again."""
        self.acquired()
        self.kernel.forget(V4)
        self.kernel.loseEvents(EventsLost())
        self.clock.advance(0)
        self.assertIn("10.9.0.100/24@eth0", self.world.present())
        self.assertEqual(self.losses, [])

    def test_interfaceGone(self) -> None:
        """An interface that is gone takes its addresses with it: they are lost."""
        resource = self.acquired()
        self.kernel.removeLink(1)
        self.clock.advance(0)
        self.assertEqual(self.losses, ["interface eth0 is gone"])
        self.successResultOf(resource.release())

    def test_interfaceGoneUnseen(self) -> None:
        """So it is when only the comparison after lost events shows it."""
        self.acquired()
        self.kernel.links.pop(1)
        self.kernel.forget(V4)
        self.kernel.loseEvents(EventsLost())
        self.clock.advance(0)
        self.assertEqual(len(self.losses), 1)

    def test_close(self) -> None:
        """Closing gives the sockets back; acquiring opens them again."""
        resource = self.acquired()
        self.successResultOf(resource.release())
        resource.close()
        self.assertTrue(all(sender.closed for sender in self.kernel.senders))
        self.kernel.frames.clear()
        self.successResultOf(resource.acquire())
        self.assertEqual(len(self.kernel.frames), 3)
