"""The ancestor's alias, with Debian's real ifupdown and its interfaces file."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Protocol, cast

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from hatwist.core.errors import ResourceError
from hatwist.linux.netlink.socket import Netlink
from hatwist.resources.addresses import announcing
from hatwist.resources.alias import Alias
from hatwist.resources.process import IProgramReactor
from tests.contracts import CONTRACT, Part

pytestmark = pytest.mark.needs("ifup", "ip")

FILE = Path("/etc/network/interfaces")
STATE = Path("/run/network/ifstate")
# The host's own address comes up at boot; the shared one, without "auto", only when ifup is asked for it.
INTERFACES = """\
auto lo
iface lo inet loopback

auto eth0
iface eth0 inet static
    address 192.168.1.10
    netmask 255.255.255.0

iface eth0:1 inet static
    address 192.168.1.100
    netmask 255.255.255.0
"""
SHARED = "192.168.1.100/24"


class Make(Protocol):
    """Makes an alias."""

    def __call__(self, name: str = ..., timeout: float = ...) -> Alias: ...


def sh(*command: str) -> str:
    """Run a command, and return what it says."""
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def labelled(label: str) -> list[str]:
    """The addresses with this label, as ip(8) sees them."""
    words = sh("ip", "-o", "-4", "address", "show", "label", label).split()
    return [after for word, after in pairwise(words) if word == "inet"]


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Path]:
    """A host with eth0 up as after boot, and the path of its interfaces file."""
    interfaces = tmp_path / "interfaces"
    interfaces.write_text(INTERFACES)
    (tmp_path / "network").mkdir()
    STATE.parent.mkdir(exist_ok=True)
    sh("ip", "link", "add", "eth0", "type", "veth", "peer", "name", "switch0")
    sh("ip", "link", "set", "switch0", "up")
    sh("mount", "--bind", str(interfaces), str(FILE))
    sh("mount", "--bind", str(tmp_path / "network"), str(STATE.parent))
    try:
        sh("ifup", "eth0")
        yield interfaces
    finally:
        sh("umount", str(STATE.parent))
        sh("umount", str(FILE))
        sh("ip", "link", "delete", "eth0")


@pytest_twisted.async_yield_fixture
async def netlink() -> AsyncIterator[Netlink]:
    """The kernel of this world."""
    kernel = Netlink(reactor)
    kernel.start()
    yield kernel
    kernel.stop()


@pytest_twisted.async_yield_fixture
async def alias(host: Path, netlink: Netlink) -> AsyncIterator[Make]:
    """Makes the resource under test."""
    made: list[Alias] = []

    def make(name: str = "eth0:1", timeout: float = 10.0) -> Alias:
        made.append(Alias(cast(IProgramReactor, reactor), name, netlink, timeout))
        return made[-1]

    yield make
    host.write_text(INTERFACES)
    for resource in made:
        await resource.release()
        resource.close()


@pytest.fixture
def arps(host: Path) -> Iterator[Callable[[], list[str]]]:
    """What the switch has seen of ARP since the last call: "who-has" or "is-at", and the sender's address."""
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_NONBLOCK) as capture:
        capture.bind(("switch0", 0x0806))

        def seen() -> list[str]:
            found: list[str] = []
            while True:
                try:
                    frame = capture.recv(2048)
                except BlockingIOError:
                    return found
                except OSError:  # told once that the cable was out
                    continue
                kind = {1: "who-has", 2: "is-at"}[frame[21]]
                found.append(f"{kind} {socket.inet_ntoa(frame[28:32])}")

        yield seen


async def until(condition: Callable[[], object]) -> None:
    """Wait for C{condition()} to be true, ten seconds at most."""
    for _ in range(1000):
        if condition():
            return
        await deferLater(reactor, 0.01)
    raise AssertionError(f"{condition} did not come true within 10 s")


@pytest.mark.parametrize("part", CONTRACT, ids=lambda part: part.__name__)
@pytest_twisted.ensureDeferred
async def test_contract(part: Part, alias: Make, host: Path) -> None:
    """An alias keeps the contract of every resource."""
    await part(alias())


@pytest_twisted.ensureDeferred
async def test_upAndDown(alias: Make, host: Path) -> None:
    """It brings up the alias and nothing else, and takes down the alias and nothing else."""
    resource = alias()
    await resource.acquire()
    assert labelled("eth0:1") == [SHARED]
    assert "eth0:1=eth0:1" in STATE.read_text()
    await resource.release()
    assert labelled("eth0:1") == []
    assert labelled("eth0") == ["192.168.1.10/24"]
    assert "eth0:1" not in STATE.read_text()


@pytest_twisted.ensureDeferred
async def test_stateFileSaysUp(alias: Make, host: Path) -> None:
    """Where ifup ends with 0 and does nothing, since its state file says "up", it comes up all the same."""
    sh("ifup", "eth0:1")
    sh("ip", "address", "delete", SHARED, "dev", "eth0")
    sh("ifup", "eth0:1")
    assert labelled("eth0:1") == []
    resource = alias()
    assert not await resource.verify()
    await resource.acquire()
    assert labelled("eth0:1") == [SHARED]


@pytest_twisted.ensureDeferred
async def test_stateFileSaysDown(alias: Make, host: Path) -> None:
    """Where ifdown ends with 0 and does nothing, since its state file says "down", it is run for good."""
    ran = host.with_name("ran")
    host.write_text(INTERFACES + f"    down touch {ran}\n")
    sh("ip", "address", "add", SHARED, "dev", "eth0", "label", "eth0:1")
    sh("ifdown", "eth0:1")
    assert labelled("eth0:1") == [SHARED]
    assert not ran.exists()
    resource = alias()
    assert await resource.verify()
    await resource.release()
    assert labelled("eth0:1") == []
    assert ran.exists()
    await resource.acquire()
    assert labelled("eth0:1") == [SHARED]


@pytest_twisted.ensureDeferred
async def test_leftByACrash(alias: Make, host: Path) -> None:
    """The address that a crashed daemon left is released by the next one."""
    sh("ifup", "eth0:1")
    await alias().release()
    assert labelled("eth0:1") == []


@pytest_twisted.ensureDeferred
async def test_deletedByHand(alias: Make, host: Path) -> None:
    """An address deleted while it is held is brought back, and after the release it is not."""
    resource = alias()
    losses: list[str] = []
    resource.watch(losses.append)
    await resource.acquire()
    for _ in range(2):
        sh("ip", "address", "delete", SHARED, "dev", "eth0")
        await until(lambda: labelled("eth0:1") == [SHARED])
    await resource.release()
    assert labelled("eth0:1") == []
    assert losses == []


@pytest_twisted.ensureDeferred
async def test_notBroughtBack(alias: Make, host: Path) -> None:
    """An address that ifup cannot bring back is lost, and who watches is told why."""
    resource = alias()
    lost: Deferred[str] = Deferred()
    resource.watch(lost.callback)
    await resource.acquire()
    host.write_text("")
    sh("ip", "address", "delete", SHARED, "dev", "eth0")
    reason = await lost.addTimeout(10, reactor)
    assert reason == (
        "ifup eth0:1: the kernel shows no such address "
        "(ifup eth0:1 ended with 1: ifup: unknown interface eth0:1)"
    )
    await resource.release()


@pytest_twisted.ensureDeferred
async def test_refused(alias: Make, host: Path) -> None:
    """A name that the interfaces file does not have is refused with ifup's own words."""
    with pytest.raises(ResourceError, match=r"ended with 1: ifup: unknown interface eth0:7\)$"):
        await alias("eth0:7").acquire()


@pytest_twisted.ensureDeferred
async def test_editedFile(alias: Make, host: Path) -> None:
    """Where the interfaces file no longer has the alias, so that ifdown cannot help, it is released all the same."""
    resource = alias()
    await resource.acquire()
    host.write_text(INTERFACES.partition("iface eth0:1")[0])
    await resource.release()
    assert labelled("eth0:1") == []


@pytest_twisted.ensureDeferred
async def test_ifdownHangs(alias: Make, host: Path) -> None:
    """An ifdown whose script hangs is killed, and the address goes all the same."""
    resource = alias(timeout=0.5)
    await resource.acquire()
    host.write_text(INTERFACES + "    down sleep 600\n")
    await resource.release()
    assert labelled("eth0:1") == []


@pytest_twisted.ensureDeferred
async def test_releaseCutShort(alias: Make, host: Path) -> None:
    """A release that is cut short while ifdown hangs takes the address away at once, and so has succeeded."""
    resource = alias(timeout=600)
    await resource.acquire()
    hanging = host.with_name("hanging")
    host.write_text(INTERFACES + f"    down touch {hanging}; sleep 600\n")
    releasing = resource.release()
    await until(hanging.exists)
    assert labelled("eth0:1") == [SHARED]
    releasing.cancel()
    await releasing
    assert labelled("eth0:1") == []


@pytest_twisted.ensureDeferred
async def test_interfaceItself(alias: Make, host: Path) -> None:
    """A name without a colon is held while that interface is up with an address."""
    resource = alias("eth0")
    assert await resource.verify()
    await resource.release()
    assert labelled("eth0") == []
    assert not await resource.verify()
    await resource.acquire()
    assert labelled("eth0") == ["192.168.1.10/24"]


@pytest_twisted.ensureDeferred
async def test_announced(alias: Make, host: Path, arps: Callable[[], list[str]]) -> None:
    """Its address is announced at once when it is held, restored or asked for, and not after the release."""
    announcement = ["who-has 192.168.1.100", "is-at 192.168.1.100"]
    resource = alias()
    resource.announce()
    assert arps() == []
    timers = reactor.getDelayedCalls()
    await resource.acquire()
    assert arps() == announcement
    await until(lambda: arps() == announcement)  # after 0.1 s, by the schedule
    resource.announce()
    assert arps() == announcement
    sh("ip", "address", "delete", SHARED, "dev", "eth0")
    await until(lambda: arps() == announcement)
    await resource.release()
    arps()
    resource.announce()
    assert arps() == []
    await until(lambda: reactor.getDelayedCalls() == timers)


@pytest_twisted.ensureDeferred
async def test_announcedWithCarrier(
    alias: Make,
    host: Path,
    arps: Callable[[], list[str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is announced again when the cable is back: switches and caches may have changed meanwhile."""
    monkeypatch.setattr(announcing, "SCHEDULE", (0.0,))  # so that nothing else announces it
    resource = alias()
    await resource.acquire()
    sh("ip", "link", "set", "switch0", "down")
    sh("ip", "link", "set", "switch0", "up")
    arps()
    await until(arps)
    assert labelled("eth0:1") == [SHARED]
    await resource.release()
