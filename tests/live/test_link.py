"""Every kind of link on the real kernel: a wire with another host at its far end."""

from __future__ import annotations

import errno
import os
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import nullcontext
from ipaddress import IPv4Address

import pytest
import pytest_twisted
from twisted.internet import reactor

from hatwist.core.linkspec import LinkSpec, MulticastGroup
from hatwist.core.packet import Packet
from hatwist.runtime.link import Link
from hatwist.runtime.ways import waysOf
from tests.wire import Wire, ip

pytestmark = pytest.mark.needs("ip")

GROUP = MulticastGroup(IPv4Address("239.2.3.4"), 5555)
KINDS = ("", ",multicast6", ",broadcast", ",unicast=10.9.0.{}", ",unicast=fd09::{}")


class End:
    """One end of the wire, with the links of one C{--link}."""

    def __init__(self, wire: Wire, kind: str, far: bool = False) -> None:
        self.got: list[tuple[str, bytes]] = []
        self._there = wire.there.entered if far else nullcontext
        spec = (Wire.far if far else Wire.near) + kind.format(1 if far else 2)
        self.links = [Link(reactor, way) for way in waysOf([LinkSpec.parse(spec)], GROUP)]
        for link in self.links:
            with self._there():
                link.open(self._receive)

    def _receive(self, packet: Packet) -> None:
        self.got.append((packet.link, packet.data))

    def send(self, datagram: bytes) -> None:
        """
        Send it from the host of this end: when that fails the link looks for its interface there.

        It does while the kernel asks who the neighbour is: a question that was lost is asked again after
        a second, and by then the socket is full of what waits for the answer.
        """
        with self._there():
            self.link.send(datagram)

    @property
    def link(self) -> Link:
        (link,) = self.links
        return link

    def close(self) -> None:
        for link in self.links:
            link.close()


class Ends:
    """Both ends of the wire."""

    def __init__(self, wire: Wire, kind: str) -> None:
        self.near, self.far = End(wire, kind), End(wire, kind, far=True)

    def close(self) -> None:
        self.near.close()
        self.far.close()


@pytest_twisted.async_yield_fixture
async def wire() -> AsyncIterator[Wire]:
    """This host, another one and a wire; gone afterwards."""
    made = Wire()
    yield made
    made.close()


def spelled(kind: str) -> str:
    """The name of a kind, for pytest."""
    return kind.strip(",").partition("=")[0] + ("6" if "fd09" in kind else "") or "multicast"


@pytest.mark.parametrize("kind", KINDS, ids=spelled)
@pytest_twisted.ensureDeferred
async def test_bothWays(wire: Wire, kind: str) -> None:
    """What one end sends is received at the other, under the name of the link there."""
    ends = Ends(wire, kind)
    try:
        ends.near.send(b"there")
        await wire.until(lambda: ends.far.got == [(ends.far.link.name, b"there")])
        ends.far.send(b"back")
        await wire.until(lambda: ends.near.got == [(ends.near.link.name, b"back")])
        assert not ends.near.link.unsent
        assert set(ends.near.link.bad) <= {"reflected"}
    finally:
        ends.close()


@pytest.mark.parametrize("kind", KINDS[:3], ids=spelled)
@pytest_twisted.ensureDeferred
async def test_staysOnTheLan(wire: Wire, kind: str) -> None:
    """What goes to everybody has TTL or hop limit 1: no router passes it on."""
    with wire.there.entered():
        judge = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        judge.bind((Wire.far, 3))
    judge.setblocking(False)
    end = End(wire, kind)
    try:
        end.link.send(b"a heartbeat")
        frames = []

        def seen() -> bool:
            try:
                frames.append(judge.recv(2048))
            except BlockingIOError:
                return False
            return frames[-1].endswith(b"a heartbeat")

        await wire.until(seen)
        assert frames[-1][21 if "6" in kind else 22] == 1
    finally:
        end.close()
        judge.close()


@pytest.mark.parametrize("kind", KINDS, ids=spelled)
@pytest_twisted.ensureDeferred
async def test_interfaceReplaced(wire: Wire, kind: str) -> None:
    """When the interface is replaced by another of its name, the next heartbeats go by that one."""
    near = End(wire, kind)
    far = None
    try:
        near.send(b"before")
        wire.cut()
        near.send(b"into nothing")
        assert near.link.unsent
        wire.make()
        far = End(wire, kind, far=True)

        def beating() -> bool:
            assert far is not None
            near.send(b"after")
            far.send(b"after too")
            return bool(far.got and near.got)

        await wire.until(beating)
        assert far.got[0] == (far.link.name, b"after")
    finally:
        near.close()
        if far is not None:
            far.close()


@pytest_twisted.ensureDeferred
async def test_withoutIPv4(wire: Wire) -> None:
    """IPv6 multicast needs no IPv4 address and no route but the interface's own."""
    ip("address", "flush", "dev", Wire.near, "scope", "global")
    wire.farIp("address", "flush", "dev", Wire.far, "scope", "global")
    ends = Ends(wire, ",multicast6")
    try:
        ends.near.send(b"there")
        await wire.until(lambda: bool(ends.far.got))
    finally:
        ends.close()


@pytest_twisted.ensureDeferred
async def test_linkLocalPeers(wire: Wire) -> None:
    """A unicast peer may be named by its link-local address; the interface is the link's own."""
    peer = "fe80::ff:fe00:102"
    (link,) = (
        Link(reactor, way) for way in waysOf([LinkSpec.parse(f"{Wire.near},unicast={peer}")], GROUP)
    )
    far = End(wire, ",unicast=fe80::ff:fe00:101", far=True)
    link.open(lambda packet: None)
    try:
        link.send(b"there")
        await wire.until(lambda: far.got == [(f"{Wire.far},unicast6", b"there")])
    finally:
        link.close()
        far.close()


@pytest_twisted.ensureDeferred
async def test_severalPeers(wire: Wire) -> None:
    """Each of several peers gets its copy, also when another cannot be reached."""
    wire.farIp("address", "add", "10.9.0.3/24", "dev", Wire.far)
    spec = LinkSpec.parse(f"{Wire.near},unicast=10.77.0.1,10.9.0.2,10.9.0.3")
    (link,) = (Link(reactor, way) for way in waysOf([spec], GROUP))
    ears = []
    for peer in ("10.9.0.2", "10.9.0.3"):
        with wire.there.entered():
            ears.append(socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK))
        ears[-1].bind((peer, GROUP.port))
    link.open(lambda packet: None)
    try:
        link.send(b"there")
        for ear in ears:
            await wire.until(lambda ear=ear: arrived(ear) == b"there")  # type: ignore[misc]
    finally:
        link.close()
        for ear in ears:
            ear.close()


def arrived(ear: socket.socket) -> bytes:
    """One datagram; nothing: none is there yet."""
    try:
        return ear.recv(100)
    except BlockingIOError:
        return b""


THIEF = """
import socket, sys
family = socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET
for host in sys.argv[1:]:
    for options in ([], [socket.SO_REUSEADDR], [socket.SO_REUSEADDR, socket.SO_REUSEPORT]):
        for name in (b"", sys.argv[1].encode()):
            with socket.socket(family, socket.SOCK_DGRAM) as sock:
                for option in options:
                    sock.setsockopt(socket.SOL_SOCKET, option, 1)
                try:
                    sock.bind((host, 5555))
                except OSError as e:
                    print(e.errno)
                else:
                    print("bound", host, options)
"""


@pytest.mark.needs("setpriv")
@pytest.mark.parametrize("hosts", [("10.9.0.1", ""), ("fd09::1", "")], ids=("4", "6"))
@pytest_twisted.ensureDeferred
async def test_notShared(wire: Wire, hosts: tuple[str, ...]) -> None:
    """
    Another user of this host cannot bind a socket that gets a unicast link's heartbeats instead; nor can
    any before it, unnoticed. A link that is opened again at once gets its port.
    """
    kind = ",unicast=fd09::{}" if ":" in hosts[0] else ",unicast=10.9.0.{}"
    ends = Ends(wire, kind)
    user = ("setpriv", "--reuid", "65533", "--clear-groups", "--bounding-set=-all")
    python = os.path.realpath(sys.executable)
    try:
        done = subprocess.run(
            [*user, "--inh-caps=-all", python, "-I", "-S", "-c", THIEF, *hosts],
            capture_output=True,
            text=True,
        )
        if "setresuid" in done.stderr:
            pytest.skip("this world has one user only")
        assert {*done.stdout.split()} == {str(errno.EADDRINUSE)}, done.stdout + done.stderr
        ends.far.send(b"there")
        await wire.until(lambda: bool(ends.near.got))
        ends.near.close()
        again = End(wire, kind)
        again.close()
        family = socket.AF_INET6 if "fd09" in kind else socket.AF_INET
        with socket.socket(family, socket.SOCK_DGRAM) as early:
            early.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            early.bind(("", GROUP.port))
            with pytest.raises(OSError, match=os.strerror(errno.EADDRINUSE)):
                End(wire, kind)
    finally:
        ends.close()


@pytest.mark.parametrize(
    ("kind", "old", "new"),
    [
        (",unicast=10.9.0.{}", "10.9.0.1/24", "10.9.0.7/24"),
        (",unicast=fd09::{}", "fd09::1/64", "fd09::7/64"),
    ],
    ids=("4", "6"),
)
@pytest_twisted.ensureDeferred
async def test_anotherAddress(wire: Wire, kind: str, old: str, new: str) -> None:
    """A unicast link goes on when the address of its host is taken away, and another one comes."""
    near = End(wire, kind)
    got: list[bytes] = []
    spec = LinkSpec.parse(f"{Wire.far},unicast={new.partition('/')[0]}")
    (far,) = (Link(reactor, way) for way in waysOf([spec], GROUP))
    with wire.there.entered():
        far.open(lambda packet: got.append(packet.data))

    def beating() -> bool:
        near.send(b"here")
        with wire.there.entered():
            far.send(b"there")
        return got[-1:] == [b"here"] and bool(near.got)

    try:
        ip("address", "del", old, "dev", Wire.near)
        near.send(b"lost")
        assert not got
        ip("address", "add", new, "dev", Wire.near)
        await wire.until(beating)
    finally:
        near.close()
        far.close()


@pytest_twisted.ensureDeferred
async def test_tentative() -> None:
    """
    Right after the interface came up its link-local address is still being checked: what cannot
    be sent is counted, nothing is raised, and within three seconds heartbeats flow by themselves.
    """
    wire = Wire(tentative=True)
    began = time.monotonic()
    for run, name in ((ip, Wire.near), (wire.farIp, Wire.far)):
        run("address", "flush", "dev", name, "scope", "global")
    ends = Ends(wire, ",multicast6")
    try:

        def beating() -> bool:
            ends.near.send(b"hello")
            return bool(ends.far.got)

        assert not beating()
        assert ends.near.link.unsent
        await wire.until(beating)
        took = time.monotonic() - began
        print(f"usable after {took:.2f} s; errors before: {dict(ends.near.link.unsent)}")
        assert took < 3.0
    finally:
        ends.close()
        wire.close()


@pytest_twisted.ensureDeferred
async def test_noCarrier(wire: Wire) -> None:
    """Without a carrier, or set down, sending raises nothing; afterwards all goes on by itself."""
    ends = Ends(wire, "")
    try:
        for end, state in ((Wire.near, "down"), (Wire.near, "up")):
            ip("link", "set", end, state)
            ends.near.send(b"hello")
        wire.farIp("link", "set", Wire.far, "down")
        ends.near.send(b"hello")
        wire.farIp("link", "set", Wire.far, "up")

        def beating() -> bool:
            ends.near.send(b"again")
            return (ends.far.link.name, b"again") in ends.far.got

        await wire.until(beating)
    finally:
        ends.close()
