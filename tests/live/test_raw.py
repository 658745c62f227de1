"""Raw links on the real kernel: the contract, and what only a kernel can show."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import nullcontext
from ipaddress import IPv4Address, ip_address, ip_interface

import pytest
import pytest_twisted
from twisted.internet import reactor

from hatwist.linux.lan import raw
from hatwist.linux.lan.raw import GROUPS, PROTOCOL, TOS, KernelRawSockets
from hatwist.linux.netlink.messages import Address
from tests.contracts_raw import RAW_CONTRACT, SHARED, RawEnd, RawWorld
from tests.wire import Wire, ip

pytestmark = pytest.mark.needs("ip")


def sourceOf(interface: str, version: int, shared: Sequence[Address]) -> Address | None:
    """Of this host, as it is now."""
    return raw.sourceOf(KernelRawSockets().present(), interface, version, shared)


class KernelRawWorld:
    """Both ends of a wire."""

    def __init__(self, wire: Wire, version: int) -> None:
        self.version = version
        self._wire = wire
        sockets = KernelRawSockets()
        near = sourceOf(Wire.near, version, ())
        with wire.there.entered():
            far = sourceOf(Wire.far, version, ())
        assert near is not None
        assert far is not None
        self.near = RawEnd(reactor, Wire.near, near, sockets, nullcontext)
        self.far = RawEnd(reactor, Wire.far, far, sockets, wire.there.entered)

    def _address(self, verb: str, address: Address) -> None:
        prefix = 24 if self.version == 4 else 64
        more = ("nodad",) if self.version == 6 and verb == "add" else ()
        ip("address", verb, f"{address}/{prefix}", "dev", Wire.near, *more)

    def add(self, address: Address) -> None:
        self._address("add", address)

    def remove(self, address: Address) -> None:
        self._address("delete", address)

    def down(self) -> None:
        ip("link", "set", Wire.near, "down")

    def up(self) -> None:
        ip("link", "set", Wire.near, "up")
        if self.version == 6:
            ip("address", "replace", f"{self.near.address}/64", "dev", Wire.near, "nodad")

    def pass_(self, data: bytes, hops: int) -> None:
        family = {4: socket.AF_INET, 6: socket.AF_INET6}[self.version]
        with socket.socket(family, socket.SOCK_RAW, PROTOCOL) as sock:
            if self.version == 4:
                sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, hops)
                sock.bind((str(self.near.address), 0))
                sock.sendto(data, (str(GROUPS[4]), 0))
            else:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, hops)
                index = socket.if_nametoindex(Wire.near)
                sock.sendto(data, (str(GROUPS[6]), 0, 0, index))

    def until(self, condition: Callable[[], object]) -> Awaitable[None]:
        return self._wire.until(condition)

    def close(self) -> None:
        self.near.link.close()
        self.far.link.close()


@pytest_twisted.async_yield_fixture
async def wire() -> AsyncIterator[Wire]:
    """This host, another one and a wire; gone afterwards."""
    made = Wire()
    # Without it an interface's own last address takes the shared one, of the same network, with it.
    with open(f"/proc/sys/net/ipv4/conf/{Wire.near}/promote_secondaries", "w") as file:
        file.write("1")
    yield made
    made.close()


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("promise", RAW_CONTRACT, ids=lambda promise: promise.__name__)
@pytest_twisted.ensureDeferred
async def test_contract(
    wire: Wire, promise: Callable[[RawWorld], Awaitable[None]], version: int
) -> None:
    """The kernel's sockets keep to what those in memory keep to."""
    world = KernelRawWorld(wire, version)
    try:
        await promise(world)
    finally:
        world.close()


@pytest.mark.parametrize("version", [4, 6])
@pytest_twisted.ensureDeferred
async def test_onTheWire(wire: Wire, version: int) -> None:
    """What leaves has 255 hops, the type of service of network control, and the group's MAC."""
    with wire.there.entered():
        judge = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        judge.bind((Wire.far, 3))
    judge.setblocking(False)
    world = KernelRawWorld(wire, version)
    frames: list[bytes] = []

    def seen() -> bool:
        try:
            frames.append(judge.recv(2048))
        except BlockingIOError:
            return False
        return b"a packet" in frames[-1]

    try:
        world.near.send(b"a packet")
        await wire.until(seen)
        frame = frames[-1]
        if version == 4:
            assert frame[:6].hex() == "01005e000012"
            assert (frame[15], frame[22], frame[23]) == (TOS, 255, PROTOCOL)
            assert IPv4Address(frame[26:30]) == world.near.address
        else:
            assert frame[:6].hex() == "333300000012"
            assert int.from_bytes(frame[14:16], "big") >> 4 & 0xFF == TOS
            assert (frame[20], frame[21]) == (PROTOCOL, 255)
    finally:
        world.close()
        judge.close()


@pytest_twisted.ensureDeferred
async def test_otherInterface(wire: Wire) -> None:
    """What comes by another interface, or to a group that only somebody else has joined, is not heard."""
    world = KernelRawWorld(wire, 4)
    other = KernelRawSockets().open("lo", 4)
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_RAW, PROTOCOL) as sock:
            sock.sendto(b"lo", ("127.0.0.1", 0))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as joined:
            member = IPv4Address("224.0.0.99").packed + world.near.address.packed
            joined.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, member)
            world.far.send(b"not joined", IPv4Address("224.0.0.99"))
            world.far.send(b"joined")
            await world.until(lambda: world.near.got)
        assert [packet.data for packet in world.near.got] == [b"joined"]
    finally:
        other.close()
        world.close()


@pytest_twisted.ensureDeferred
async def test_replaced(wire: Wire) -> None:
    """An interface that is replaced by one of its name is joined again."""
    world = KernelRawWorld(wire, 4)
    try:
        wire.cut()
        world.near.send(b"lost")
        wire.make()
        world.near.send(b"lost or not")
        again = RawEnd(reactor, Wire.far, world.far.address, KernelRawSockets(), wire.there.entered)
        world.near.send(b"back")
        await wire.until(lambda: again.got)
        again.send(b"heard")
        await wire.until(lambda: world.near.got)
        again.link.close()
    finally:
        world.close()


@pytest_twisted.ensureDeferred
async def test_source(wire: Wire) -> None:
    """The source is the host's own address, not one that is shared; without any there is none."""
    own = ip_address("10.9.0.1")
    assert sourceOf(Wire.near, 4, ()) == own
    shared = ip_interface(f"{SHARED[4]}/24")
    ip("address", "add", str(shared), "dev", Wire.near)
    assert sourceOf(Wire.near, 4, [SHARED[4]]) == own
    ip("address", "delete", "10.9.0.1/24", "dev", Wire.near)
    assert sourceOf(Wire.near, 4, ()) == SHARED[4]
    assert sourceOf(Wire.near, 4, [SHARED[4]]) is None
    link = sourceOf(Wire.near, 6, ())
    assert link is not None
    assert link.is_link_local
    assert sourceOf(Wire.near, 6, [link]) is None
    assert sourceOf("nope0", 4, ()) is None


def test_oneCapability(tmp_path: object) -> None:
    """CAP_NET_RAW is enough; without it opening is not permitted."""
    program = (
        "import sys\n"
        "from hatwist.linux.lan.raw import KernelRawSockets\n"
        "for version in (4, 6):\n"
        "    try:\n"
        "        KernelRawSockets().open('lo', version).close()\n"
        "        print('open')\n"
        "    except PermissionError:\n"
        "        print('not permitted')\n"
    )
    for keep, expected in (("-all,+net_raw", "open"), ("-all", "not permitted")):
        done = subprocess.run(
            [
                "setpriv",
                f"--bounding-set={keep}",
                f"--inh-caps={keep}",
                sys.executable,
                "-c",
                program,
            ],
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )
        if done.returncode:
            pytest.skip(done.stderr)
        assert done.stdout.split("\n")[:2] == [expected] * 2


def test_stale() -> None:
    """What came before a socket was bound to its interface is dropped with the rest of the queue."""
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, PROTOCOL) as sock:
        sock.setblocking(False)
        with socket.socket(socket.AF_INET, socket.SOCK_RAW, PROTOCOL) as sender:
            sender.sendto(b"x", ("127.0.0.1", 0))
        raw._discard(sock)
        with pytest.raises(BlockingIOError):
            sock.recv(1)
